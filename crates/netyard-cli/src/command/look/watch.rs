//! `netyard look --watch`: again whenever something changes.

use crate::args::Look as Args;
use crate::output::theme::{Label, Theme};
use crate::output::{self, Reader, json};
use netyard::look::{self, Scope};
use netyard::{Error, Result};
use netyard_core::look::{Changes, Look};
use std::io::IsTerminal;
use std::time::Duration;

/// How long a change may take that the kernel tells nobody of.
const POLL: Duration = Duration::from_millis(500);
/// One command makes several changes: they are shown together.
const SETTLE: Duration = Duration::from_millis(30);

/// Shows what there is, and then each time what has changed, until the reader is gone.
pub fn run(args: &Args, scope: Scope<'_>) -> Result<()> {
    let mut monitor = look::monitor()?;
    let mut last = look::look(scope)?;
    let mut reader = show(args, &last, None);
    while reader == Reader::There {
        let wait = |monitor: &mut look::Monitor, limit| {
            monitor.wait(limit).map_err(|e| Error::io("cannot listen to the kernel", &e))
        };
        if wait(&mut monitor, POLL)? {
            while wait(&mut monitor, SETTLE)? {}
        }
        let now = look::look(scope)?;
        let changes = Changes::between(&last, &now);
        if !changes.is_empty() {
            reader = show(args, &now, Some(&changes));
            last = now;
        }
    }
    Ok(())
}

/// On a terminal the whole picture again, with what has changed below; elsewhere only that.
fn show(args: &Args, look: &Look, changes: Option<&Changes>) -> Reader {
    if args.json {
        return output::print(&format!("{}\n", json::text("look", look)));
    }
    let theme = Theme::of_output();
    let lines: Vec<String> = changes.map(Changes::lines).unwrap_or_default();
    let painted = lines.iter().map(|line| {
        let label = if line.starts_with('+') { Label::Good } else { Label::Bad };
        format!("{}\n", theme.paint(label, line))
    });
    let painted: String = painted.collect();
    if !std::io::stdout().is_terminal() && changes.is_some() {
        return output::print(&painted);
    }
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J\x1b[3J" } else { "" };
    let title = if lines.is_empty() {
        String::new()
    } else {
        format!("\n{}\n", theme.paint(Label::Heading, "CHANGED"))
    };
    output::print(&format!("{clear}{}{title}{painted}", super::whole(args, look)))
}

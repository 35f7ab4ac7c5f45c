//! `netyard watch`: what happens, as it happens.

use super::place;
use super::show::text::connection_rows;
use crate::args::{Watch, WatchNat};
use crate::output::table::aligned;
use crate::output::theme::{Cell, Label, Theme};
use crate::output::{self, Reader, count, json};
use netyard::nat::{NatWatch, Waited};
use netyard::{Result, RunningLab};
use netyard_core::tracking::{Change, Happened};
use std::collections::{BTreeSet, VecDeque};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

/// How many changes are seen below the tables.
const RECENT_MAX: usize = 10;
/// The longest sleep when nothing happens.
const SLEEP: Duration = Duration::from_secs(60);

pub fn run(args: &Watch, lab: Option<&str>) -> Result<ExitCode> {
    match args {
        Watch::Nat(args) => nat(args, lab),
    }
}

/// Shows connections until the reader or the lab is gone.
fn nat(args: &WatchNat, lab: Option<&str>) -> Result<ExitCode> {
    let lab = place::lab(&args.place.reach, args.place.name.as_deref().or(lab))?;
    let scope = place::scope(&args.place.reach, lab.as_ref());
    let (mut watch, mut changes) = NatWatch::begin(scope)?;
    let mut said = BTreeSet::new();
    let mut recent = VecDeque::new();
    let is_screen = std::io::stdout().is_terminal() && !args.json;
    if is_screen {
        // What was there already is in the tables.
        changes.clear();
    }
    let mut reader = Reader::There;
    let mut is_first = true;
    loop {
        for note in watch.notes().filter(|note| said.insert((*note).to_owned())) {
            output::say(note);
        }
        if is_screen {
            recent.extend(changes.drain(..));
            recent.drain(..recent.len().saturating_sub(RECENT_MAX));
            reader = output::print(&screen(&watch, &recent));
        } else if !changes.is_empty() {
            reader = if args.json { print_json(&changes) } else { output::print(&lines(changes.iter())) };
        } else if is_first && watch.view().is_empty() {
            output::say("no node translates addresses yet");
        }
        is_first = false;
        loop {
            if reader == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
            match watch.wait(SLEEP)? {
                Waited::Changes(happened) if happened.is_empty() => {}
                Waited::Changes(happened) => {
                    changes = happened;
                    break;
                }
                Waited::LabEnded => {
                    let name = lab.as_ref().map(RunningLab::name).map(ToString::to_string);
                    output::say(&format!("lab {} is gone", name.unwrap_or_default()));
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }
}

fn print_json(changes: &[Change]) -> Reader {
    let printed = changes.iter().map(|change| json::print_line("watch-nat", change));
    printed.fold(Reader::There, |all, one| if one == Reader::Gone { one } else { all })
}

/// All connections of all nodes that translate, and what has happened last.
fn screen(watch: &NatWatch<'_>, recent: &VecDeque<Change>) -> String {
    let theme = Theme::of_output();
    let mut text = "\x1b[H\x1b[2J\x1b[3J".to_owned();
    let view = watch.view();
    if view.is_empty() {
        text.push_str("no node translates addresses yet\n");
    }
    for (node, connections) in &view {
        let title = format!("{node}: {}", count(connections.len(), "connection"));
        text.push_str(&format!("{}\n", theme.paint(Label::Heading, &title)));
        let rows: Vec<[Cell; 6]> = connections.iter().flat_map(|(_, one)| connection_rows(one)).collect();
        text.push_str(&aligned(&rows, theme));
    }
    if !recent.is_empty() {
        text.push_str(&format!("\n{}\n{}", theme.paint(Label::Heading, "CHANGED"), lines(recent.iter())));
    }
    text
}

/// One line for each change.
fn lines<'a>(changes: impl Iterator<Item = &'a Change>) -> String {
    let theme = Theme::of_output();
    let painted = changes.map(|change| {
        let label = match change.event {
            Happened::Present => Label::Plain,
            Happened::New => Label::Good,
            Happened::Changed => Label::Doubtful,
            Happened::Gone => Label::Quiet,
        };
        format!("{}\n", theme.paint(label, &change.to_string()))
    });
    painted.collect()
}

//! What the terminal can show.

use netyard_core::diagnostic::Style;
use std::io::IsTerminal;

/// Whether results may be coloured: a terminal, and no `NO_COLOR` (<https://no-color.org>).
pub fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && may_colour()
}

fn may_colour() -> bool {
    let is_unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    is_unset("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The style of reports on standard error.
pub fn style() -> Style {
    if std::io::stderr().is_terminal() && may_colour() { Style::Colour } else { Style::Plain }
}

/// Columns of the terminal; 80 where results go elsewhere and `COLUMNS` says nothing.
pub fn width() -> usize {
    if let Some((clap_width, _)) = terminal_size::terminal_size() {
        return usize::from(clap_width.0);
    }
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|c| *c > 0).unwrap_or(80)
}

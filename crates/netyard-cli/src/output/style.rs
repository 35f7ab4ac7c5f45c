//! What the terminal can show.

use super::theme::Theme;
use netyard_core::diagnostic::Style;

/// The style of reports on standard error.
pub fn style() -> Style {
    match Theme::of_errors() {
        Theme::Colour => Style::Colour,
        Theme::Plain => Style::Plain,
    }
}

/// Columns of the terminal; where there is none those that `COLUMNS` says, or 80.
pub fn width() -> usize {
    if let Some((width, _)) = terminal_size::terminal_size() {
        return usize::from(width.0);
    }
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|c| *c > 0).unwrap_or(80)
}

//! Labels, and the colours that stand for them. No other file knows a colour.

use netyard_core::diagram::{Paint, Role};
use std::fmt;
use std::io::IsTerminal;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A word without a meaning of its own.
    Plain,
    /// The title of a table or of its columns.
    Heading,
    /// A node, a lab.
    Node,
    /// A network.
    Network,
    /// An address or a prefix.
    Address,
    /// A route.
    Route,
    /// Address translation.
    Nat,
    /// Packet filter.
    Firewall,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Worth a second look.
    Doubtful,
    /// Less important than what is beside it.
    Quiet,
}

impl Label {
    /// The parameters of the escape sequence (ECMA-48, SGR); empty for none. The sixteen colours only, which users
    /// choose for themselves.
    fn sgr(self) -> &'static str {
        match self {
            Self::Plain | Self::Address => "",
            Self::Heading => "1",
            Self::Node => "36",
            Self::Network => "34",
            Self::Route => "32",
            Self::Nat => "35",
            Self::Firewall | Self::Doubtful => "33",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Quiet => "2",
        }
    }
}

impl From<Paint> for Label {
    fn from(paint: Paint) -> Self {
        match paint {
            Paint::Plain | Paint::Port => Self::Plain,
            Paint::Title(_) => Self::Heading,
            Paint::Node(Role::Bridge | Role::Hub) => Self::Network,
            Paint::Node(_) => Self::Node,
            Paint::Wire | Paint::Remark => Self::Quiet,
            Paint::Address => Self::Address,
            Paint::Route => Self::Route,
            Paint::Nat => Self::Nat,
            Paint::Firewall => Self::Firewall,
            Paint::Down => Self::Bad,
        }
    }
}

/// Whether labels become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// They do not.
    Plain,
    /// They do.
    Colour,
}

impl Theme {
    /// For standard output: colours on a terminal only, and not with `NO_COLOR` (<https://no-color.org>).
    pub fn of_output() -> Self {
        Self::of(std::io::stdout().is_terminal())
    }

    /// For standard error likewise.
    pub fn of_errors() -> Self {
        Self::of(std::io::stderr().is_terminal())
    }

    fn of(is_terminal: bool) -> Self {
        let is_unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
        let is_able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        if is_terminal && is_unset("NO_COLOR") && is_able { Self::Colour } else { Self::Plain }
    }

    /// The text as this theme shows it.
    pub fn paint(self, label: Label, text: &str) -> String {
        match (self, label.sgr()) {
            (Self::Plain, _) | (_, "") => text.to_owned(),
            (Self::Colour, _) if text.is_empty() => String::new(),
            (Self::Colour, sgr) => format!("\x1b[{sgr}m{text}\x1b[0m"),
        }
    }
}

/// A text with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub label: Label,
    pub text: String,
}

impl Cell {
    pub fn new(label: Label, text: impl fmt::Display) -> Self {
        Self { label, text: text.to_string() }
    }

    pub fn plain(text: impl fmt::Display) -> Self {
        Self::new(Label::Plain, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_colourful_theme_has_escapes() {
        assert_eq!(Theme::Plain.paint(Label::Bad, "down"), "down");
        assert_eq!(Theme::Colour.paint(Label::Bad, "down"), "\x1b[1;31mdown\x1b[0m");
        assert_eq!(Theme::Colour.paint(Label::Plain, "x"), "x");
    }
}

//! The characters that pictures are made of, and how wide text is in a terminal.

use unicode_width::UnicodeWidthChar;

/// The characters of one character set.
#[derive(Debug)]
pub(super) struct Glyphs {
    /// Border of a box: top left, top right, bottom left, bottom right, horizontal, vertical.
    pub single: [char; 6],
    /// Border of a bridge, in the same order.
    pub double: [char; 6],
    /// Wire, in the same order but with square corners.
    pub wire: [char; 6],
    /// Horizontal and vertical of a wire that is down.
    pub wire_down: [char; 2],
    /// A port with a wire.
    pub dot: char,
    /// A port without a wire.
    pub dot_free: char,
    /// A port whose link is down.
    pub dot_down: char,
    /// What stands for the rest of a text that was cut.
    pub ellipsis: char,
    /// What netyard's own signs become.
    signs: &'static [(char, &'static str)],
}

/// Box-drawing characters.
pub(super) const UNICODE: Glyphs = Glyphs {
    single: ['╭', '╮', '╰', '╯', '─', '│'],
    double: ['╔', '╗', '╚', '╝', '═', '║'],
    wire: ['┌', '┐', '└', '┘', '─', '│'],
    wire_down: ['╌', '┆'],
    dot: '●',
    dot_free: '○',
    dot_down: '✗',
    ellipsis: '…',
    signs: &[],
};

/// ASCII only; text that came from the user stays as it is.
pub(super) const ASCII: Glyphs = Glyphs {
    single: ['+', '+', '+', '+', '-', '|'],
    double: ['#', '#', '#', '#', '=', '#'],
    wire: ['+', '+', '+', '+', '-', '|'],
    wire_down: ['.', ':'],
    dot: 'o',
    dot_free: '.',
    dot_down: 'x',
    ellipsis: '~',
    signs: &[
        ('⇄', "<>"),
        ('→', "->"),
        ('…', ".."),
        ('×', "x"),
        ('±', "+-"),
        ('⊘', "!"),
        ('▸', ">"),
        ('⇡', "^"),
        ('↑', "^"),
        ('↓', "v"),
    ],
};

impl Glyphs {
    /// The text as this character set writes it: without control characters, and without the joiners and selectors
    /// that make the width of the whole differ from the sum over its characters.
    pub fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match self.signs.iter().find(|(sign, _)| *sign == c) {
                Some((_, word)) => out.push_str(word),
                None if c.is_control() => out.push(' '),
                None if matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}') =>
                    {}
                None if matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}') => {}
                None => out.push(c),
            }
        }
        out
    }

    /// The text cut to at most `width` columns, with an ellipsis where something is missing.
    pub fn fit(&self, text: &str, width: usize) -> String {
        if self::width(text) <= width {
            return text.to_owned();
        }
        let mut out = String::new();
        let mut used = 0;
        for c in text.chars() {
            used += char_width(c);
            if used + 1 > width {
                break;
            }
            out.push(c);
        }
        if width > 0 {
            out.push(self.ellipsis);
        }
        out
    }
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Columns that a character takes: 0 for a combining mark, 2 for most of Japanese.
pub(super) fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

//! From the YAML parser's places, counted in characters, to bytes.

use crate::diagnostic::Span;

/// Characters between two checkpoints.
const STRIDE: usize = 64;

/// The byte offset of every 64th character of a text; none are needed for ASCII.
pub(crate) struct Offsets<'a> {
    text: &'a str,
    checkpoints: Vec<usize>,
}

impl<'a> Offsets<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let checkpoints = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STRIDE).map(|(at, _)| at).collect()
        };
        Self { text, checkpoints }
    }

    /// The byte where a character begins; the end of the text for one past it.
    pub(crate) fn byte(&self, character: usize) -> usize {
        if self.checkpoints.is_empty() {
            return character.min(self.text.len());
        }
        let Some(start) = self.checkpoints.get(character / STRIDE) else { return self.text.len() };
        let rest = &self.text[*start..];
        rest.char_indices().nth(character % STRIDE).map_or(self.text.len(), |(at, _)| start + at)
    }

    /// A place in bytes, without the blanks that the parser counts to its end.
    pub(crate) fn span(&self, place: saphyr_parser::Span) -> Span {
        let start = self.byte(place.start.index());
        let end = self.byte(place.end.index()).max(start);
        Span::new(start, self.trim_end(start, end))
    }

    /// The end of a place without trailing blanks and comment lines.
    pub(crate) fn trim_end(&self, start: usize, end: usize) -> usize {
        let Some(mut part) = self.text.get(start..end) else { return end };
        loop {
            part = part.trim_end();
            let line_start = part.rfind('\n').map_or(0, |newline| newline + 1);
            if line_start == 0 || !part[line_start..].trim_start().starts_with('#') {
                return start + part.len();
            }
            part = &part[..line_start];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_become_bytes() {
        let text = format!("{}日本語x", "é".repeat(100));
        let offsets = Offsets::of(&text);
        for (n, (at, _)) in text.char_indices().enumerate() {
            assert_eq!(offsets.byte(n), at);
        }
        assert_eq!(offsets.byte(104), text.len());
        assert_eq!(offsets.byte(9999), text.len());
        assert_eq!(Offsets::of("abc").byte(2), 2);
    }
}

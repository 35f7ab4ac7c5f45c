//! A problem as text: the line it is in, carets under the place, what to do.

use super::{Diagnostic, Severity, Source, Span, line_start};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthChar;

/// Whether a report has colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    #[default]
    Plain,
    /// With ANSI colours.
    Colour,
}

/// What a piece of a report is; the style gives it its colour.
#[derive(Clone, Copy)]
enum Part {
    Error,
    Warning,
    Title,
    Gutter,
    Related,
    Help,
}

impl Style {
    fn paint(self, part: Part, text: &str) -> String {
        let code = match part {
            Part::Error => "1;31",
            Part::Warning => "1;33",
            Part::Title => "1",
            Part::Gutter | Part::Related => "34",
            Part::Help => "36",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour if text.is_empty() => String::new(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Longest part of a source line that is shown, in columns.
const COLUMNS_MAX: usize = 110;

impl Diagnostic {
    /// The problem as a report of a few lines, with a final newline.
    #[must_use]
    pub fn render(&self, source: &Source, style: Style) -> String {
        let (part, word) = match self.severity {
            Severity::Error => (Part::Error, "error"),
            Severity::Warning => (Part::Warning, "warning"),
        };
        let head = style.paint(part, &format!("{word}[{}]", self.code));
        let mut out =
            format!("{head}{}\n", style.paint(Part::Title, &format!(": {}", printable(&self.title))));
        let excerpts = self.excerpts(source, part);
        let width = excerpts.iter().map(|e| e.line.to_string().len()).max().unwrap_or(0);
        if let Some(span) = self.span {
            let (line, column) = source.line_and_column(span.start);
            let arrow = style.paint(Part::Gutter, &format!("{:width$} ┌─", ""));
            let _ = writeln!(out, "{arrow} {}:{line}:{column}", printable(&source.name));
        }
        for (index, excerpt) in excerpts.iter().enumerate() {
            if index > 0 && excerpts[index - 1].line + 1 < excerpt.line {
                let _ = writeln!(out, "{}", style.paint(Part::Gutter, &format!("{:width$} ·", "")));
            }
            excerpt.write(&mut out, width, style);
        }
        for (word, text) in [("kernel", &self.kernel), ("help", &self.help)] {
            let Some(text) = text else { continue };
            let indent = format!("{:width$} = {word}: ", "");
            let text = printable_lines(text).replace('\n', &format!("\n{:1$}", "", indent.len()));
            let _ = writeln!(out, "{}{text}", style.paint(Part::Help, &indent));
        }
        out
    }

    /// The lines to show, in the order of the source, each with its marks.
    fn excerpts<'a>(&'a self, source: &'a Source, part: Part) -> Vec<Excerpt<'a>> {
        let Some(span) = self.span else { return Vec::new() };
        let own = Mark { span, text: &self.label, sign: '^', part };
        let related = self.related.iter();
        let related = related.map(|r| Mark { span: r.span, text: &r.text, sign: '-', part: Part::Related });
        let mut excerpts: Vec<Excerpt<'a>> = Vec::new();
        for mark in std::iter::once(own).chain(related) {
            let (line, _) = source.line_and_column(mark.span.start);
            match excerpts.iter_mut().find(|e| e.line == line) {
                Some(excerpt) => excerpt.marks.push(mark),
                None => {
                    let (start, text) = line_at(&source.text, mark.span.start);
                    excerpts.push(Excerpt { line, start, text, marks: vec![mark] });
                }
            }
        }
        excerpts.sort_by_key(|e| e.line);
        excerpts
    }
}

/// Start and text of the line that holds a byte.
fn line_at(text: &str, offset: usize) -> (usize, &str) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let start = line_start(text, offset);
    let end = text[start..].find(['\n', '\r']).map_or(text.len(), |at| start + at);
    (start, &text[start..end])
}

struct Mark<'a> {
    span: Span,
    text: &'a str,
    sign: char,
    part: Part,
}

struct Excerpt<'a> {
    line: u32,
    start: usize,
    text: &'a str,
    marks: Vec<Mark<'a>>,
}

impl Excerpt<'_> {
    fn write(&self, out: &mut String, width: usize, style: Style) {
        let window = Window::around(self.text, self.marks[0].span.start.saturating_sub(self.start));
        let gutter = style.paint(Part::Gutter, &format!("{:width$} │", self.line));
        let _ = writeln!(out, "{gutter} {}", window.shown);
        for mark in &self.marks {
            let from = window.column(self.text, mark.span.start.saturating_sub(self.start));
            let to = window.column(self.text, mark.span.end.saturating_sub(self.start));
            let signs = mark.sign.to_string().repeat(to.saturating_sub(from).max(1));
            let note = format!("{signs} {}", printable(mark.text));
            let gutter = style.paint(Part::Gutter, &format!("{:width$} │", ""));
            let _ = writeln!(out, "{gutter} {:from$}{}", "", style.paint(mark.part, note.trim_end()));
        }
    }
}

/// The part of a long line that is shown.
struct Window {
    shown: String,
    /// Columns left out on the left, less those of the ellipsis.
    skipped: usize,
    columns: usize,
}

impl Window {
    fn around(line: &str, at: usize) -> Self {
        let total = columns_of(line);
        if total <= COLUMNS_MAX {
            let shown = line.chars().map(printable_char).collect();
            return Self { shown, skipped: 0, columns: total };
        }
        let centre = columns_of(cut(line, at));
        let first = centre.saturating_sub(COLUMNS_MAX / 2);
        let mut shown = String::new();
        let (mut column, mut left) = (0, None);
        for c in line.chars() {
            let size = width_of(c);
            if column >= first && column + size <= first + COLUMNS_MAX {
                left.get_or_insert(column);
                shown.push_str(&printable_char(c));
            }
            column += size;
        }
        let left = left.unwrap_or(0);
        let (ellipsis, skipped) = if left > 0 { ("…", left - 1) } else { ("", 0) };
        let tail = if left + columns_of(&shown) < total { "…" } else { "" };
        let shown = format!("{ellipsis}{shown}{tail}");
        Self { columns: columns_of(&shown), shown, skipped }
    }

    fn column(&self, line: &str, at: usize) -> usize {
        columns_of(cut(line, at)).saturating_sub(self.skipped).min(self.columns)
    }
}

fn cut(line: &str, at: usize) -> &str {
    let mut at = at.min(line.len());
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    &line[..at]
}

fn columns_of(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

fn width_of(c: char) -> usize {
    match c {
        '\t' => 4,
        c if is_unprintable(c) => 1,
        c => c.width().unwrap_or(1),
    }
}

/// Whether a character could do something to a terminal: controls, and marks that change the writing direction.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn printable_char(c: char) -> String {
    match c {
        '\t' => "    ".to_owned(),
        c if is_unprintable(c) => "\u{fffd}".to_owned(),
        c => c.to_string(),
    }
}

/// Longest words beside a place, in characters, and how many of longer ones are shown at their end.
const WORDS_MAX: usize = 240;
const WORDS_END: usize = 60;

/// A text without what could do something to a terminal; the middle of a very long one is left out.
fn printable(text: &str) -> String {
    let len = text.chars().count();
    let is_shown = |at: usize| len <= WORDS_MAX || at < WORDS_MAX - WORDS_END || at >= len - WORDS_END;
    let mut out = String::new();
    for (at, c) in text.chars().enumerate().filter(|(at, _)| is_shown(*at)) {
        if len > WORDS_MAX && at == len - WORDS_END {
            out.push('…');
        }
        out.push_str(&printable_char(c));
    }
    out
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    fn check(text: &str, part: &str, expected: &str) {
        let start = text.find(part).unwrap();
        let problem = Diagnostic::new(Code::InterfaceNameTooLong, Span::new(start, start + part.len()))
            .label("21 bytes")
            .help("use a shorter name");
        assert_eq!(problem.render(&Source::new("home.yaml", text), Style::Plain), expected);
    }

    #[test]
    fn carets_stand_under_the_place() {
        check(
            "a:\n  b: { name: veth-printer-upstairs }\n",
            "veth-printer-upstairs",
            "error[N014]: interface name is too long
  ┌─ home.yaml:2:14
2 │   b: { name: veth-printer-upstairs }
  │              ^^^^^^^^^^^^^^^^^^^^^ 21 bytes
  = help: use a shorter name
",
        );
    }

    #[test]
    fn wide_characters_take_two_columns_and_controls_are_not_printed() {
        check(
            "日本\x1b[31m: パソコン",
            "パソコン",
            "error[N014]: interface name is too long
  ┌─ home.yaml:1:10
1 │ 日本\u{fffd}[31m: パソコン
  │            ^^^^^^^^ 21 bytes
  = help: use a shorter name
",
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let problem = Diagnostic::new(Code::UnknownKey, Span::new(500, 504)).label("x");
        let report = problem.render(&Source::new("f", text), Style::Plain);
        let lines: Vec<&str> = report.lines().collect();
        assert!(lines[2].chars().count() < 120, "{report}");
        let place = lines[2].chars().collect::<Vec<_>>().windows(4).position(|w| w == ['H', 'E', 'R', 'E']);
        let carets = lines[3].chars().position(|c| c == '^');
        assert_eq!(place, carets, "{report}");
    }

    #[test]
    fn a_very_long_key_is_shortened_everywhere() {
        let text = "k".repeat(20_000);
        let label = format!("no key `{text}` belongs here");
        let problem = Diagnostic::new(Code::UnknownKey, Span::new(0, text.len())).label(label).help(&text);
        let report = problem.render(&Source::new("f", &text), Style::Plain);
        assert!(report.lines().all(|line| line.chars().count() < 400), "{report}");
        assert!(report.contains("…") && report.contains("k` belongs here"), "{report}");
    }

    #[test]
    fn lines_may_end_with_cr_alone() {
        let text = "lab: a\rnodez: ~\rnetworks: ~\r";
        let problem = Diagnostic::new(Code::UnknownKey, Span::new(7, 12)).label("x");
        let report = problem.render(&Source::new("f", text), Style::Plain);
        assert!(report.contains("f:2:1\n2 │ nodez: ~\n  │ ^^^^^ x"), "{report}");
    }

    #[test]
    fn colours_only_on_request() {
        let problem = Diagnostic::new(Code::UnknownKey, Span::new(0, 1));
        let source = Source::new("f", "x");
        assert!(!problem.render(&source, Style::Plain).contains('\x1b'));
        assert!(problem.render(&source, Style::Colour).contains("\x1b[1;31merror[Y007]"));
    }
}

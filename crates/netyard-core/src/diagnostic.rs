//! Problems of a lab file, or of what was done with it: code, place, what is wrong, what to do.

mod code;
mod render;

pub use code::Code;
pub use render::Style;

use serde::Serialize;
use std::borrow::Cow;

/// A text with the name under which problems show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name as the user wrote it, or `-` for standard input.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A text under a name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Line and column of a byte offset, both from 1, columns in characters. Offsets past the end count as the end.
    #[must_use]
    pub fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let start = line_start(&self.text, offset);
        let line = line_ends(&self.text, 0..start) + 1;
        let column = self.text[start..offset].chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// The byte where the line of an offset begins.
pub(crate) fn line_start(text: &str, offset: usize) -> usize {
    (0..offset.min(text.len())).rev().find(|at| ends_line(text, *at)).map_or(0, |at| at + 1)
}

/// How many lines end in a part of a text.
pub(crate) fn line_ends(text: &str, part: std::ops::Range<usize>) -> usize {
    (part.start..part.end.min(text.len())).filter(|at| ends_line(text, *at)).count()
}

/// Whether a byte is the last of its line. Lines end as in YAML: by LF, CR LF, or CR alone.
fn ends_line(text: &str, at: usize) -> bool {
    match text.as_bytes()[at] {
        b'\n' => true,
        b'\r' => text.as_bytes().get(at + 1) != Some(&b'\n'),
        _ => false,
    }
}

/// A place in a source: bytes from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// A place from its two ends.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// How grave a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The lab cannot be built.
    Error,
    /// The lab can be built, but probably does something else than was meant.
    Warning,
}

/// A second place that has to do with a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What it has to do with the problem.
    pub text: String,
}

/// One problem.
///
/// ```
/// use netyard_core::diagnostic::{Code, Diagnostic, Source, Span, Style};
/// let source = Source::new("home.yaml", "lab: HOME\n");
/// let problem = Diagnostic::new(Code::BadLabName, Span::new(5, 9)).label("capital letters");
/// assert!(problem.render(&source, Style::Plain).starts_with("error[N001]: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What kind of problem it is; `netyard explain CODE` tells more.
    pub code: Code,
    /// How grave it is.
    pub severity: Severity,
    /// Where it is; a problem of the kernel has no place.
    pub span: Option<Span>,
    /// What is wrong, as a lower-case fragment.
    pub title: Cow<'static, str>,
    /// What is wrong at this place.
    pub label: String,
    /// Other places that have to do with it.
    pub related: Vec<Label>,
    /// The kernel's own words.
    pub kernel: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A problem at a place, with the severity and title of its code.
    #[must_use]
    pub fn new(code: Code, span: Span) -> Self {
        Self { span: Some(span), ..Self::without_place(code, code.title()) }
    }

    /// A problem that is nowhere in a lab file, with a title of its own.
    #[must_use]
    pub fn without_place(code: Code, title: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            severity: code.severity(),
            span: None,
            title: title.into(),
            label: String::new(),
            related: Vec::new(),
            kernel: None,
            help: None,
        }
    }

    /// Puts a title of its own in the place of the code's.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.title = title.into();
        self
    }

    /// Says what is wrong at the place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Points at another place.
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    /// Cites the kernel.
    #[must_use]
    pub fn kernel(mut self, words: impl Into<String>) -> Self {
        self.kernel = Some(words.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// The problem with lines and columns, for `--json`.
    #[must_use]
    pub fn located<'a>(&'a self, source: &'a Source) -> Located<'a> {
        let related = self
            .related
            .iter()
            .map(|label| LocatedLabel { place: Place::of(label.span, source), text: &label.text });
        Located {
            code: self.code.as_str(),
            severity: self.severity,
            file: self.span.map(|_| source.name.as_str()),
            place: self.span.map(|span| Place::of(span, source)),
            title: &self.title,
            label: &self.label,
            related: related.collect(),
            kernel: self.kernel.as_deref(),
            help: self.help.as_deref(),
        }
    }
}

/// Lines and columns of a place, from 1; columns in characters, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Line of the first character.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Line of the character after the last.
    pub end_line: u32,
    /// Column of the character after the last.
    pub end_column: u32,
}

impl Place {
    fn of(span: Span, source: &Source) -> Self {
        let (line, column) = source.line_and_column(span.start);
        let (end_line, end_column) = source.line_and_column(span.end);
        Self { line, column, end_line, end_column }
    }
}

/// A problem as `--json` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Located<'a> {
    /// Code, for example `N014`.
    pub code: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// Name of the source; absent where the problem has no place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    /// Where it is.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What is wrong.
    pub title: &'a str,
    /// What is wrong at the place.
    pub label: &'a str,
    /// Other places.
    pub related: Vec<LocatedLabel<'a>>,
    /// The kernel's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<&'a str>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'a str>,
}

/// Another place of a problem, as `--json` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct LocatedLabel<'a> {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What it has to do with the problem.
    pub text: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters() {
        let source = Source::new("a.yaml", "a: b\n日本: x\n");
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(5), (2, 1));
        assert_eq!(source.line_and_column(11), (2, 3));
        assert_eq!(source.line_and_column(7), (2, 1));
        assert_eq!(source.line_and_column(999), (3, 1));
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line() {
        for text in ["a: b\nc: d\n", "a: b\r\nc: d\r\n", "a: b\rc: d\r"] {
            let source = Source::new("a.yaml", text);
            let at = text.find('c').unwrap();
            assert_eq!(source.line_and_column(at), (2, 1), "{text:?}");
            assert_eq!(source.line_and_column(at - 1).0, 1, "{text:?}");
            assert_eq!(source.line_and_column(text.len()), (3, 1), "{text:?}");
        }
    }

    #[test]
    fn json_has_lines_and_columns() {
        let source = Source::new("a.yaml", "lab: x\nlab: y\n");
        let problem = Diagnostic::new(Code::DuplicateKey, Span::new(7, 10))
            .label("again")
            .related(Span::new(0, 3), "first here")
            .help("remove one");
        let json = serde_json::to_value(problem.located(&source)).unwrap();
        assert_eq!(json["code"], "Y005");
        assert_eq!(json["line"], 2);
        assert_eq!(json["end_column"], 4);
        assert_eq!(json["related"][0]["line"], 1);
        assert_eq!(json["severity"], "error");
    }
}

//! What the YAML parser refuses, in words of a lab file, with what most often causes it.

use super::offsets::Offsets;
use super::read::{SPACE_AFTER_COLON, lacks_space};
use super::tree::DEPTH_MAX;
use crate::diagnostic::{Code, Diagnostic, Source, Span, line_start};
use saphyr_parser::ScanError;

/// The problem of a refusal.
pub(crate) fn problem(error: &ScanError, source: &Source, offsets: &Offsets<'_>) -> Diagnostic {
    let at = offsets.byte(error.marker().index()).min(source.text.len());
    let words = error.info();
    if words.contains("recursion limit") {
        let label = format!("deeper than {DEPTH_MAX} levels");
        return Diagnostic::new(Code::NestedTooDeeply, Span::new(at, at)).label(label);
    }
    let line_start = line_start(&source.text, at);
    let line = source.text[line_start..].split(['\n', '\r']).next().unwrap_or("");
    if let Some(tab) = line.find('\t').filter(|tab| line[..*tab].trim().is_empty()) {
        let start = line_start + tab;
        let problem = Diagnostic::new(Code::TabIndentation, Span::new(start, start + 1));
        return problem.label("this is a tab").help("indent with spaces; YAML does not take tabs there");
    }
    let end = source.text[at..]
        .chars()
        .next()
        .filter(|c| !matches!(c, '\n' | '\r'))
        .map_or(at, |c| at + c.len_utf8());
    let open = open_bracket(&source.text[..at]);
    let (label, help) = in_words(words, open.is_some());
    let problem = Diagnostic::new(Code::YamlSyntax, Span::new(at, end)).label(label);
    if let Some(key) = key_without_space(&source.text, at, open) {
        let related = problem.related(key, "this is one word");
        return related.help(SPACE_AFTER_COLON);
    }
    if has_bare_range(line) && (open.is_some() || line.contains('{')) {
        return problem.help("inside { } and [ ] a range needs quotes, for example \"h[1-3]\"");
    }
    // A bracket that is open since an earlier line is more likely the fault than what stands here.
    let problem = match open.filter(|_| help == Some(BRACKET_HELP)) {
        Some(open) => problem.related(Span::new(open, open + 1), "open since here"),
        None => problem,
    };
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

const BRACKET_HELP: &str = "is a bracket left open?";

/// The parser's words as a label, and help where there is one.
fn in_words(words: &str, is_in_brackets: bool) -> (&str, Option<&'static str>) {
    let is = |part: &str| words.contains(part);
    if is_in_brackets && (is("',' or") || is("flow")) {
        return ("a `,` or the closing bracket is needed before this", Some(BRACKET_HELP));
    }
    if is("quoted scalar") && (is("indentation") || is("end of stream") || is("document indicator")) {
        return ("this quote is not closed", None);
    }
    if is("escape") {
        return (words, Some("in double quotes `\\` begins an escape; single quotes take it as it is"));
    }
    if is("mapping values are not allowed") {
        let help = "put a text with `: ` in quotes; a map begins on a line of its own";
        return ("a second `: ` in one line", Some(help));
    }
    if is("unknown anchor") {
        return ("no `&` of this name comes before", Some("put a text that begins with `*` in quotes"));
    }
    if is("expected key") || is("indentation") || is("'-' indicator") {
        return (
            "this does not line up with the lines above",
            Some("keys of one map begin in the same column"),
        );
    }
    if is("simple key") {
        return ("a key and a colon are needed here", Some("keys of one map begin in the same column"));
    }
    if is("unexpected character") || is("cannot start any token") {
        return (words, Some("put texts that begin with a special character in quotes"));
    }
    (words, None)
}

/// The `key:value` that stands before a fault: on the line above one in a block, or in the same brackets.
fn key_without_space(text: &str, at: usize, open: Option<usize>) -> Option<Span> {
    let start = match open {
        Some(open) => text[open..at].rfind([',', '{']).map_or(open, |at| open + at) + 1,
        None => line_start(text, line_start(text, at).saturating_sub(1)),
    };
    let line = text[start..].split(['\n', '\r']).next()?;
    let word = line.trim_start();
    let start = start + line.len() - word.len();
    let len = word.find([' ', ',', '}']).unwrap_or(word.len());
    lacks_space(word).then(|| Span::new(start, start + len))
}

/// The innermost bracket that is still open at the end of a text; quotes and comments are passed over.
fn open_bracket(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut before = '\n';
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some('"'), '\\') => drop(chars.next()),
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), _) => {}
            // A quote begins a scalar only where a scalar can begin: `it's` has none.
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '#') if before.is_whitespace() => {
                let _ = chars.find(|(_, c)| *c == '\n');
            }
            (None, '{' | '[') if !open.is_empty() || !before.is_alphanumeric() => open.push(at),
            (None, '}' | ']') => drop(open.pop()),
            (None, _) => {}
        }
        before = c;
    }
    open.pop()
}

/// Whether a line holds `h[1-3]` without quotes before it.
fn has_bare_range(line: &str) -> bool {
    line.match_indices('[').any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric());
        let after = line[at + 1..].chars().next().is_some_and(|c| c.is_ascii_digit());
        before && after && line[..at].matches('"').count().is_multiple_of(2)
    })
}

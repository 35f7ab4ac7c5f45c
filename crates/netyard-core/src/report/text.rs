//! Results for people.

use super::{ExpectationResult, TestReport};
use std::fmt::Write;

/// The signs in front of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Marks {
    /// ✓ and ✗.
    #[default]
    Unicode,
    /// `ok` and `FAIL`.
    Ascii,
}

/// What a piece of the text shows; the caller turns it into a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// The sign of an expectation that came true.
    Passed,
    /// The sign of one that did not, and the reason.
    Failed,
    /// How long it took.
    Duration,
}

/// How the text is written.
#[derive(Clone, Copy)]
pub struct Writing<'a> {
    /// The signs in front of results.
    pub marks: Marks,
    /// Only what did not come true, without a sum.
    pub failures_only: bool,
    /// Each piece as it is shown, for example between escape sequences.
    pub paint: &'a dyn Fn(Piece, &str) -> String,
}

impl Default for Writing<'_> {
    fn default() -> Self {
        Self { marks: Marks::Unicode, failures_only: false, paint: &|_, text| text.to_owned() }
    }
}

impl std::fmt::Debug for Writing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writing").field("marks", &self.marks).finish_non_exhaustive()
    }
}

/// One line per expectation, the reason below each that failed, and a sum.
#[must_use]
pub fn text(report: &TestReport, writing: Writing<'_>) -> String {
    let width =
        report.expectations.iter().map(|result| result.text.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for result in report.expectations.iter().filter(|result| !(writing.failures_only && result.passed)) {
        push_result(&mut out, result, width, writing);
    }
    if writing.failures_only {
        return out;
    }
    let word = if report.expectations.len() == 1 { "expectation" } else { "expectations" };
    let _ = write!(out, "{}: {} {word}", report.lab, report.expectations.len());
    let _ = match (report.passed, report.failed) {
        (_, 0) => writeln!(out, ", all passed"),
        (0, _) => writeln!(out, ", all failed"),
        (passed, failed) => writeln!(out, ", {passed} passed, {failed} failed"),
    };
    out
}

fn push_result(out: &mut String, result: &ExpectationResult, width: usize, writing: Writing<'_>) {
    let piece = if result.passed { Piece::Passed } else { Piece::Failed };
    let mark = match (writing.marks, result.passed) {
        (Marks::Unicode, true) => "✓",
        (Marks::Unicode, false) => "✗",
        (Marks::Ascii, true) => "ok  ",
        (Marks::Ascii, false) => "FAIL",
    };
    let mut duration = format!("{:>6} ms", result.duration_ms);
    if result.attempts > 1 {
        let _ = write!(duration, ", {} attempts", result.attempts);
    }
    let (painted, duration) = ((writing.paint)(piece, mark), (writing.paint)(Piece::Duration, &duration));
    let _ = writeln!(out, "{painted} {:width$}  {duration}", result.text);
    if !result.passed {
        let indent = mark.chars().count() + 1;
        let line = if result.line > 0 { format!(" (line {})", result.line) } else { String::new() };
        let reason = (writing.paint)(Piece::Failed, &result.reason());
        let _ = writeln!(out, "{:indent$}{reason}{line}", "");
    }
}

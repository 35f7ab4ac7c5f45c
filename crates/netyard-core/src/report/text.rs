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

/// One line per expectation, the reason below each that failed, and a sum.
#[must_use]
pub fn text(report: &TestReport, marks: Marks) -> String {
    let width =
        report.expectations.iter().map(|result| result.text.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for result in &report.expectations {
        push_result(&mut out, result, width, marks);
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

fn push_result(out: &mut String, result: &ExpectationResult, width: usize, marks: Marks) {
    let mark = match (marks, result.passed) {
        (Marks::Unicode, true) => "✓",
        (Marks::Unicode, false) => "✗",
        (Marks::Ascii, true) => "ok  ",
        (Marks::Ascii, false) => "FAIL",
    };
    let _ = write!(out, "{mark} {:width$}  {:>6} ms", result.text, result.duration_ms);
    if result.attempts > 1 {
        let _ = write!(out, ", {} attempts", result.attempts);
    }
    out.push('\n');
    if !result.passed {
        let indent = mark.chars().count() + 1;
        let line = if result.line > 0 { format!(" (line {})", result.line) } else { String::new() };
        let _ = writeln!(out, "{:indent$}{}{line}", "", result.reason());
    }
}

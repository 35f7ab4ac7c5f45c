//! Results in the Test Anything Protocol, version 14 (testanything.org).

use super::TestReport;
use std::fmt::Write;

/// A TAP document; the reason of a failure is its YAML block.
#[must_use]
pub fn tap(report: &TestReport) -> String {
    let mut out = format!("TAP version 14\n1..{}\n", report.expectations.len());
    for (number, result) in (1..).zip(&report.expectations) {
        let verdict = if result.passed { "ok" } else { "not ok" };
        let _ = writeln!(out, "{verdict} {number} - {}", escaped(&result.text));
        if result.passed {
            continue;
        }
        // JSON strings are YAML strings.
        let quoted = |text: &str| serde_json::to_string(text).expect("a text is JSON");
        let (expected, found) = result.expected_and_found();
        let _ = writeln!(out, "  ---\n  wrong: {}", result.kind());
        let _ = writeln!(out, "  expected: {}\n  found: {}", quoted(&expected), quoted(&found));
        let _ = writeln!(out, "  message: {}\n  line: {}", quoted(&result.detail), result.line);
        let _ = writeln!(out, "  duration_ms: {}\n  ...", result.duration_ms);
    }
    out
}

/// `#` would begin a directive, and a line break end the line.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#").replace(['\n', '\r'], " ")
}

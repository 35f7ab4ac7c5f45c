//! Results as JUnit XML, which CI systems read.

use super::{ExpectationResult, TestReport};
use std::fmt::Write;

/// One test suite, named after the lab, with a test case per expectation.
#[must_use]
pub fn junit(report: &TestReport) -> String {
    let lab = escaped(report.lab.as_str());
    let duration_ms = report.expectations.iter().map(|result| result.duration_ms).sum();
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" time=\"{}\"",
        report.expectations.len(),
        report.failed,
        seconds(duration_ms)
    );
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"netyard\" {counts}>\n  <testsuite name=\"{lab}\" {counts}>");
    for result in &report.expectations {
        push_case(&mut out, &lab, result);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn push_case(out: &mut String, lab: &str, result: &ExpectationResult) {
    let (name, time) = (escaped(&result.text), seconds(result.duration_ms));
    let _ = write!(out, "    <testcase classname=\"{lab}\" name=\"{name}\" time=\"{time}\"");
    if result.passed {
        out.push_str("/>\n");
        return;
    }
    let kind = escaped(&result.kind());
    let line = if result.line > 0 { format!("line {}: ", result.line) } else { String::new() };
    let reason = escaped(&result.reason());
    let _ = writeln!(out, ">");
    let _ = writeln!(out, "      <failure type=\"{kind}\" message=\"{reason}\">{line}{reason}</failure>");
    let _ = writeln!(out, "    </testcase>");
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Text for element and attribute values; characters that XML 1.0 cannot hold become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

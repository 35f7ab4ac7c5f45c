//! Results of expectations, and how they are told: as text, JSON, JUnit XML and TAP.

mod junit;
mod sentence;
mod tap;
mod text;

pub use junit::junit;
pub use tap::tap;
pub use text::{Marks, Piece, Writing, text};

use crate::expect::{Expectation, Outcome};
use crate::name::LabName;
use serde::{Deserialize, Serialize};

/// What came of one expectation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationResult {
    /// Which one of the list, from 0.
    pub index: usize,
    /// Line in the lab file, from 1; 0 where there is no file.
    pub line: u32,
    /// What was expected, as a sentence.
    pub text: String,
    /// Whether it came true.
    pub passed: bool,
    /// The outcome that was expected.
    pub expected: Outcome,
    /// The outcome that was seen last; none when the probe could not be made.
    pub outcome: Option<Outcome>,
    /// What about the answer was not as expected, where something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
    /// What was seen, in words: the reason where it failed.
    pub detail: String,
    /// Time from the first attempt to the verdict, in milliseconds.
    pub duration_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
}

/// What about an answer was not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// What it is about, in the word of the lab file: `rtt`, `hops`, `seen-as`, `status`, ...
    pub what: String,
    /// What was expected of it.
    pub expected: String,
    /// What it was.
    pub found: String,
}

impl ExpectationResult {
    /// What went wrong in one word: the outcome, or, where that was as expected, what else was not.
    #[must_use]
    pub fn kind(&self) -> String {
        match (&self.outcome, &self.mismatch) {
            (None, _) => "impossible".to_owned(),
            (Some(outcome), Some(mismatch)) if *outcome == self.expected => mismatch.what.clone(),
            (Some(outcome), _) => outcome.to_string(),
        }
    }

    /// What was expected and what was found, of that which went wrong.
    #[must_use]
    pub fn expected_and_found(&self) -> (String, String) {
        match (&self.outcome, &self.mismatch) {
            (Some(outcome), Some(mismatch)) if *outcome == self.expected => {
                (mismatch.expected.clone(), mismatch.found.clone())
            }
            (outcome, _) => {
                let found = outcome.map_or_else(|| "none".to_owned(), |outcome| outcome.to_string());
                (self.expected.to_string(), found)
            }
        }
    }

    /// The result of an expectation that has been tried.
    #[must_use]
    pub fn new(index: usize, expectation: &Expectation) -> Self {
        Self {
            index,
            line: expectation.line,
            text: expectation.to_string(),
            passed: false,
            expected: expectation.outcome,
            outcome: None,
            mismatch: None,
            detail: String::new(),
            duration_ms: 0,
            attempts: 0,
        }
    }

    /// Outcome and reason on one line, for example `timeout: no answer from 10.0.0.2 within 1.0 s`. An outcome that
    /// was as expected is left out: then something else about the answer was not.
    #[must_use]
    pub fn reason(&self) -> String {
        match (self.outcome, self.detail.as_str()) {
            (Some(outcome), detail) if outcome == self.expected && !detail.is_empty() => detail.to_owned(),
            (Some(outcome), "") => outcome.to_string(),
            (Some(outcome), detail) => format!("{outcome}: {detail}"),
            (None, detail) => detail.to_owned(),
        }
    }
}

/// All results of a lab, for `netyard test --json` (schema `netyard/test/1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// `netyard/test/1`.
    pub schema: String,
    /// The lab.
    pub lab: LabName,
    /// Expectations that came true.
    pub passed: usize,
    /// Expectations that did not.
    pub failed: usize,
    /// Each one in the order of the file.
    pub expectations: Vec<ExpectationResult>,
}

impl TestReport {
    /// The version of the JSON form.
    pub const SCHEMA: &'static str = "netyard/test/1";

    /// A report of these results.
    #[must_use]
    pub fn new(lab: LabName, results: Vec<ExpectationResult>) -> Self {
        let passed = results.iter().filter(|result| result.passed).count();
        let failed = results.len() - passed;
        Self { schema: Self::SCHEMA.to_owned(), lab, passed, failed, expectations: results }
    }

    /// The JSON text, indented, with a line break at its end.
    #[must_use]
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a report has only text keys");
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests;

//! How true a lab of Kathara is here: what is used, approximated and ignored.

use crate::diagnostic::{Diagnostic, Source};
use serde::Serialize;
use std::fmt;

/// How much of something is as with Kathara.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// All of it.
    Used,
    /// What matters of it, with a difference.
    Approximated,
    /// Nothing.
    Ignored,
}

/// What became of something in the files of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// How much of it is as with Kathara.
    pub fidelity: Fidelity,
    /// The file that says it; `-o` for an option of the command line.
    pub file: String,
    /// Its line there, from 1; 0 where it is about the whole file.
    pub line: u32,
    /// What it is about, for example `r1[mem]`.
    pub what: String,
    /// What became of it, and why.
    pub reason: String,
}

impl Fidelity {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Approximated => "approximated",
            Self::Ignored => "ignored",
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fidelity.word(), self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}: {}", self.what, self.reason)
    }
}

/// A problem of one of the lab's files.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The file.
    pub source: Source,
    /// What is wrong.
    pub diagnostic: Diagnostic,
}

//! How far something slow has come, on one line of standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Nothing is shown of what is quicker than this.
const QUICK: Duration = Duration::from_millis(300);

/// A line that is rewritten, on terminals only.
#[derive(Debug)]
pub struct Progress {
    what: String,
    begun: Instant,
    is_shown: bool,
    is_terminal: bool,
}

impl Progress {
    /// Begins to tell of `what`.
    pub fn new(what: impl Into<String>) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { what: what.into(), begun: Instant::now(), is_shown: false, is_terminal }
    }

    /// Tells of `done` of `all`.
    pub fn at(&mut self, done: usize, all: usize) {
        if self.is_terminal && all > 0 && self.begun.elapsed() > QUICK {
            self.is_shown = true;
            let _ = write!(std::io::stderr(), "\r{}: {} %\x1b[K", self.what, done * 100 / all);
        }
    }

    /// Tells what is being done, and how much of it in percent where that is known.
    pub fn at_stage(&mut self, stage: &str, percent: Option<u8>) {
        if self.is_terminal {
            self.is_shown = true;
            let percent = percent.map_or_else(String::new, |percent| format!(", {percent} %"));
            let _ = write!(std::io::stderr(), "\r{}: {stage}{percent}\x1b[K", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

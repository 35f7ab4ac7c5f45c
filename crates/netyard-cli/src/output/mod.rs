//! Everything that the program prints: results on standard output, problems and progress on standard error.

pub mod json;
mod progress;
mod style;
pub mod table;

pub use progress::Progress;
pub use style::{is_coloured, style, width};

use std::io::Write;

/// Prints a result.
pub fn print(text: &str) {
    // A reader that has gone away (`netyard list | head -1`) wants nothing more: that is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints a failure.
pub fn report(error: &netyard::Error) {
    eprintln!("{error}");
}

/// Prints something worth knowing that is no result.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// `1 node`, `3 nodes`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

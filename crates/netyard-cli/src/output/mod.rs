//! Everything that the program prints: results on standard output, problems and progress on standard error.

pub mod coach;
pub mod json;
mod progress;
mod style;
pub mod table;
pub mod theme;

pub use progress::Progress;
pub use style::{style, width};

use netyard::Error;
use std::io::{ErrorKind, Write};
use theme::{Label, Theme};

/// Whether anybody still reads what we print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Yes.
    There,
    /// No (`netyard logs -f | head -1`).
    Gone,
}

/// Prints a result. A reader that has gone away wants nothing more: that is no failure.
///
/// Ends the program with exit code 3 when the text cannot be written otherwise, for example to a full disk: whoever
/// reads half a result must not take it for a whole one.
pub fn print(text: &str) -> Reader {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Reader::There,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Reader::Gone,
        Err(error) => {
            let error = Error::kernel("U023", format!("cannot write to standard output: {error}"));
            report(&error.help("the result is not complete; is the disk full?"));
            std::process::exit(3)
        }
    }
}

/// Prints a failure.
pub fn report(error: &Error) {
    say(&failure(error, Theme::of_errors()));
}

/// A failure as people read it; one that has a report of its own brings its colours.
fn failure(error: &Error, theme: Theme) -> String {
    let text = error.to_string();
    if error.report.is_some() || theme == Theme::Plain {
        return text;
    }
    let head = format!("error[{}]", error.code);
    match text.strip_prefix(&head) {
        Some(rest) => theme.paint(Label::Bad, &head) + rest,
        None => text,
    }
}

/// Prints something worth knowing that is no result.
pub fn say(text: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `1 node`, `3 nodes`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_red_up_to_its_code() {
        let error = Error::input("U003", "no lab `x` runs").help("`netyard list` shows those that do");
        let plain = "error[U003]: no lab `x` runs\n  = help: `netyard list` shows those that do";
        assert_eq!(failure(&error, Theme::Plain), plain);
        let red = plain.replace("error[U003]", "\x1b[1;31merror[U003]\x1b[0m");
        assert_eq!(failure(&error, Theme::Colour), red);
    }
}

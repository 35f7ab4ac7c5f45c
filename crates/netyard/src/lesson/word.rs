//! The words that speak to the coach, typed in the sandbox's shell.

use crate::wire::{self, Inbox};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Words that are programs in a lesson's shell.
pub const WORDS: [&str; 11] =
    ["task", "hint", "solve", "check", "next", "back", "goto", "reset", "picture", "quiz", "steps"];
/// Set in the shell of a lesson.
pub const VARIABLE: &str = "NETYARD_COACH";
/// Where the coach listens.
pub(super) const SOCKET: &str = "/run/netyard-coach";

/// A word as it was typed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Typed {
    /// The word.
    pub word: String,
    /// What stood behind it.
    pub rest: Vec<String>,
    /// Columns of the terminal.
    pub width: usize,
}

/// What the coach answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// What is to be printed.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

/// Asks the coach.
///
/// # Errors
/// That no coach listens, or that it ended meanwhile.
pub fn ask(typed: &Typed) -> io::Result<Answer> {
    let stream = UnixStream::connect(SOCKET)?;
    wire::send(stream.as_fd(), typed, &[])?;
    let (answer, _) = wire::receive(&stream, &mut Inbox::default())?;
    Ok(answer)
}

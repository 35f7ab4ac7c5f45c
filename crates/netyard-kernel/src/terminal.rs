//! The terminal at standard input while a program has it, and after.

use crate::signal::{self, SIGTTOU};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal as it is before a program takes it.
#[derive(Debug)]
pub struct Terminal {
    /// Our process group, where it has the terminal; 0 in a pid namespace where it has no number.
    group: libc::pid_t,
    modes: Termios,
}

impl Terminal {
    /// Remembers the modes; none where standard input is no terminal, or others have it.
    #[must_use]
    pub fn before() -> Option<Self> {
        // SAFETY: system calls with integers.
        let (group, foreground) = unsafe { (libc::getpgrp(), libc::tcgetpgrp(libc::STDIN_FILENO)) };
        let modes = tcgetattr(stdin()).ok()?;
        (group == foreground).then_some(Self { group, modes })
    }

    /// Takes the terminal back from a program that has ended. One that was killed had no time to give up its modes:
    /// a shell's line editor leaves the terminal without echo.
    pub fn take_back(self, was_killed: bool) {
        signal::ignore(&[SIGTTOU], true);
        // A shell in the lab makes its own group the foreground. It cannot give ours back: there it has no number.
        // SAFETY: a system call with integers; it fails where our group has none here either.
        unsafe { libc::tcsetpgrp(libc::STDIN_FILENO, self.group) };
        if was_killed {
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.modes);
        }
        signal::ignore(&[SIGTTOU], false);
    }
}

//! The terminal while a program has it, and after.

use netyard_kernel::signal::{self, SIGTTOU};
use rustix::process::{Pid, getpgrp};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};

/// The terminal as it is before a program takes it; none where there is none, or where others have it.
pub struct Terminal(Option<(Pid, Termios)>);

impl Terminal {
    pub fn before() -> Self {
        let group = getpgrp();
        let is_ours = tcgetpgrp(stdin()).is_ok_and(|foreground| foreground == group);
        Self(if is_ours { tcgetattr(stdin()).ok().map(|modes| (group, modes)) } else { None })
    }

    /// Takes the terminal back from a program that has ended. One that was killed had no time to give up its modes:
    /// a shell's line editor leaves the terminal without echo.
    pub fn take_back(self, was_killed: bool) {
        let Some((group, modes)) = self.0 else { return };
        // A shell in the lab makes its own group the foreground. It cannot give ours back: there it has no number.
        signal::ignore(&[SIGTTOU], true);
        let _ = tcsetpgrp(stdin(), group);
        if was_killed {
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &modes);
        }
        signal::ignore(&[SIGTTOU], false);
    }
}

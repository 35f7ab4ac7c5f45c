//! The terminal at standard input while a program has it, and after; terminals of nodes.

use crate::signal::{self, SIGTTOU, SIGWINCH, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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

/// Continues a child that has stopped, now that we are continued ourselves: a job of its own gets the terminal again,
/// where we have it. Same as the shell's `fg`.
pub fn resume(child: u32) {
    // SAFETY: system calls with integers. The child was not collected, so that its number is its own.
    unsafe {
        let (own, group) = (libc::getpgrp(), libc::getpgid(child.cast_signed()));
        if group <= 0 || group == own {
            // Whoever continues our group continues it too.
            return;
        }
        if libc::tcgetpgrp(libc::STDIN_FILENO) == own {
            libc::tcsetpgrp(libc::STDIN_FILENO, group);
        }
        libc::kill(-group, libc::SIGCONT);
    }
}

/// A terminal of a node that a person works with at a terminal of the machine: what is typed there goes in, what comes out
/// is shown there.
#[derive(Debug)]
pub struct NodeTerminal {
    keyboard: OwnedFd,
    modes: Termios,
    resized: SignalFd,
}

impl NodeTerminal {
    /// Takes a new terminal ([`Inside::new_terminal`](crate::inside::Inside::new_terminal)), with the size and modes of the
    /// one at standard input. The other result is the side that a program has.
    ///
    /// From now on the calling thread is told of changes of size (`SIGWINCH`).
    ///
    /// # Errors
    /// Those of ioctl(2) and signalfd(2).
    pub fn new(keyboard: OwnedFd) -> io::Result<(Self, OwnedFd)> {
        unlockpt(&keyboard)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let screen = ioctl_tiocgptpeer(&keyboard, flags)?;
        let modes = tcgetattr(stdin())?;
        tcsetattr(&screen, OptionalActions::Now, &modes)?;
        let resized = SignalFd::new(&[SIGWINCH])?;
        tcsetwinsize(&screen, tcgetwinsize(stdin())?)?;
        Ok((Self { keyboard, modes, resized }, screen))
    }

    /// Whether there is a terminal of the machine to work at: at standard input and output.
    #[must_use]
    pub fn is_wanted() -> bool {
        isatty(stdin()) && isatty(stdout())
    }

    /// Passes everything on until all programs have let go of the terminal. Meanwhile what is typed is not looked at here:
    /// Ctrl-C reaches the program.
    ///
    /// # Errors
    /// Those of the terminal of the machine.
    pub fn converse(&self) -> io::Result<()> {
        let mut raw = self.modes.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw)?;
        let (ended, end) = io::pipe()?;
        let shown = std::thread::scope(|scope| {
            scope.spawn(|| self.type_in(&ended));
            let shown = pass_on(self.keyboard.as_fd(), stdout());
            drop(end);
            shown
        });
        tcsetattr(stdin(), OptionalActions::Drain, &self.modes)?;
        shown
    }

    /// Passes on what is typed, and changes of size, until the pipe is closed.
    fn type_in(&self, ended: &PipeReader) {
        let mut bytes = [0; 1024];
        let mut is_open = true;
        loop {
            let mut fds = [
                PollFd::new(ended, PollFlags::IN),
                PollFd::new(&self.resized, PollFlags::IN),
                PollFd::from_borrowed_fd(stdin(), PollFlags::IN),
            ];
            let watched = if is_open { fds.len() } else { fds.len() - 1 };
            if poll(&mut fds[..watched], None).is_err_and(|error| error != rustix::io::Errno::INTR) {
                return;
            }
            let [is_ended, is_resized, is_typed] = fds.map(|fd| !fd.revents().is_empty());
            if is_ended {
                return;
            }
            while is_resized && self.resized.next().is_some() {
                let _ = tcgetwinsize(stdin()).and_then(|size| tcsetwinsize(&self.keyboard, size));
            }
            if is_typed {
                // Somebody who has hung up types no more.
                is_open = match rustix::io::read(stdin(), &mut bytes) {
                    Ok(length @ 1..) => write_all(self.keyboard.as_fd(), &bytes[..length]).is_ok(),
                    Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => true,
                    _ => false,
                };
            }
        }
    }
}

/// Copies until there is no more. A terminal that everybody has let go of says `EIO`.
fn pass_on(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(from, &mut bytes)) {
            Ok(0) | Err(rustix::io::Errno::IO) => return Ok(()),
            Ok(length) => write_all(to, &bytes[..length])?,
            Err(error) => return Err(error.into()),
        }
    }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(to, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

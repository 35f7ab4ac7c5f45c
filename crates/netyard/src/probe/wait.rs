//! Waiting for sockets with a limit.

use super::Patience;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The time until which a probe waits; it may move once.
pub(super) struct Deadline<'a> {
    start: Instant,
    patience: Patience<'a>,
    is_extended: bool,
}

impl<'a> Deadline<'a> {
    pub(super) fn start(patience: Patience<'a>) -> Self {
        Self { start: Instant::now(), patience, is_extended: false }
    }

    /// Time left; `None` when the wait is over. Asks once, when silence is over, whether a verdict is still to come.
    pub(super) fn left(&mut self) -> Option<Duration> {
        let spent = self.start.elapsed();
        if let Some(left) = self.patience.silence.checked_sub(spent)
            && !left.is_zero()
        {
            return Some(left);
        }
        if !self.is_extended {
            if !self.patience.is_undecided.is_some_and(|ask| ask()) {
                return None;
            }
            self.is_extended = true;
        }
        self.patience.verdict.checked_sub(spent).filter(|left| !left.is_zero())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Waits until the socket is ready for `interest` or has an error; `None` when the time is over.
pub(super) fn ready(
    fd: impl AsFd,
    interest: PollFlags,
    deadline: &mut Deadline<'_>,
) -> io::Result<Option<PollFlags>> {
    while let Some(left) = deadline.left() {
        let mut entry = [PollFd::new(&fd, interest)];
        match poll(&mut entry, Some(&timespec(left))) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(Some(entry[0].revents())),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(None)
}

/// A duration as the kernel takes it, rounded up to a millisecond so that no wait ends just before its time.
pub(super) fn timespec(duration: Duration) -> Timespec {
    let rounded = duration + Duration::from_micros(1);
    Timespec { tv_sec: rounded.as_secs().cast_signed(), tv_nsec: rounded.subsec_nanos().into() }
}

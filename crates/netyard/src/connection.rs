//! A conversation with a holder.

use crate::error::{Error, Result};
use crate::protocol::{Reply, Request};
use crate::wire::{self, Inbox};
use netyard_kernel::peer::pid_of_peer;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How long a holder may take for what it only has to tell.
const ANSWER_TIME: Duration = Duration::from_secs(8);

/// An open connection to a holder.
#[derive(Debug)]
pub struct Connection {
    stream: OwnedFd,
    inbox: Inbox,
}

impl Connection {
    /// Speaks over a connected stream socket.
    #[must_use]
    pub fn new(stream: OwnedFd) -> Self {
        Self { stream, inbox: Inbox::default() }
    }

    /// The process at the other end (`SO_PEERCRED`): the holder itself when it has called listen(2).
    ///
    /// # Errors
    /// Those of getsockopt(2) and pidfd_open(2).
    pub fn holder(&self) -> io::Result<(u32, OwnedFd)> {
        let unseen = || io::Error::other("it is outside of this pid namespace");
        let pid = pid_of_peer(self.stream.as_fd())?.ok_or_else(unseen)?;
        let raw = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or_else(unseen)?;
        let pidfd = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty())?;
        // The holder was alive when it accepted us. If our connection is still open now, it was alive when the pid
        // fd was opened too, so that the fd cannot name a later process with the same number.
        if self.is_closed()? {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok((pid, pidfd))
    }

    fn is_closed(&self) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.stream, PollFlags::RDHUP)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        Ok(fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR))
    }

    /// Asks, and waits for the answer and the descriptors that come with it.
    ///
    /// # Errors
    /// What the holder answered, or that it is gone.
    pub fn ask(&mut self, request: &Request) -> Result<(Reply, Vec<OwnedFd>)> {
        self.ask_with(request, &[], &mut |_, _| {})
    }

    /// Asks, with descriptors that go along, tells of every step done meanwhile, and waits for the answer.
    ///
    /// # Errors
    /// What the holder answered, or that it is gone.
    pub fn ask_with(
        &mut self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
        on_step: &mut dyn FnMut(usize, usize),
    ) -> Result<(Reply, Vec<OwnedFd>)> {
        wire::send(self.stream.as_fd(), request, fds).map_err(|e| gone(&e))?;
        loop {
            match self.next()? {
                (Reply::Progress(done, all), _) => on_step(done, all),
                answer => return Ok(answer),
            }
        }
    }

    /// Asks something that is answered at once, and gives up on a holder that does not.
    ///
    /// # Errors
    /// As [`Connection::ask`]; that the holder does not answer.
    pub fn ask_briefly(&mut self, request: &Request) -> Result<(Reply, Vec<OwnedFd>)> {
        self.ask_within(request, ANSWER_TIME)
    }

    /// Asks, and gives up on a holder that does not answer within that time.
    ///
    /// # Errors
    /// As [`Connection::ask`]; that the holder does not answer.
    pub fn ask_within(&mut self, request: &Request, limit: Duration) -> Result<(Reply, Vec<OwnedFd>)> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        wire::send(self.stream.as_fd(), request, &[]).map_err(|e| gone(&e))?;
        let seconds = limit.as_secs();
        let limit = Timespec { tv_sec: seconds.cast_signed(), tv_nsec: 0 };
        let answered =
            rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&limit)));
        if answered.map_err(|e| gone(&e.into()))? == 0 {
            let pid = self.holder().map_or_else(|_| String::new(), |(pid, _)| format!(", pid {pid},"));
            let title = format!("the lab's holder{pid} does not answer within {seconds} s");
            return Err(Error::kernel("K015", title)
                .help("is it stopped, or is the machine very busy? `netyard down` removes the lab"));
        }
        self.next()
    }

    /// Waits for one more answer to the last request.
    ///
    /// # Errors
    /// What the holder answered, or that it is gone.
    pub fn next(&mut self) -> Result<(Reply, Vec<OwnedFd>)> {
        match wire::receive(&self.stream, &mut self.inbox).map_err(|e| gone(&e))? {
            (Reply::Failed(error), _) => Err(*error),
            answer => Ok(answer),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// What an error of a connection, or of [`Connection::holder`], means.
pub(crate) fn gone(error: &io::Error) -> Error {
    match error.kind() {
        _ if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            gone(&io::ErrorKind::ConnectionReset.into())
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            Error::kernel("K009", "the lab's holder process has ended")
                .help("the lab is gone with it; `netyard up FILE` builds it again")
        }
        _ => Error::io("cannot speak to the lab's holder process", error),
    }
}

/// The answer was not one of those that the request has.
#[must_use]
pub fn unexpected(reply: &Reply) -> Error {
    Error::kernel("K010", format!("the lab's holder answered something else than was asked: {reply:?}"))
        .help("is it of another version of netyard? `netyard down` and `netyard up` make a new one")
}

//! Work inside namespaces that only a process with a single thread may enter (setns(2)).

use crate::fds;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a visitor brings back.
#[derive(Debug, Default)]
pub struct Findings {
    /// Whatever it has read, in a form of the caller's own.
    pub bytes: Vec<u8>,
    /// Descriptors that it has opened.
    pub fds: Vec<OwnedFd>,
}

/// Descriptors in one message.
const FDS_PER_MESSAGE: usize = 100;

/// Runs `work` in a forked child that has entered these namespaces, in order, and returns what it found.
///
/// The caller stays where it is; the child ends with the call, and with the caller's thread. Each descriptor is that of
/// a user namespace or a mount namespace. Same as `nsenter --user=FILE --mount=FILE`.
///
/// # Errors
/// Those of fork(2) and setns(2): `EPERM` for a user namespace of somebody else. `EBUSY` when the caller has other
/// threads: they may hold locks that the child would wait for.
pub fn inside(doors: &[BorrowedFd<'_>], work: impl FnOnce() -> Findings) -> io::Result<Findings> {
    let (child, ours) = send_child(doors, |socket| send(&work(), &socket))?;
    let received = receive(ours);
    match child.end() {
        Some(0) => received,
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Err(io::Error::from_raw_os_error(libc::ECHILD)),
    }
}

/// A forked child that stays in the namespaces that it has entered, and the caller's end of a socket to it.
#[derive(Debug)]
pub struct Station {
    // Closed first: the child ends when it hears that.
    socket: OwnedFd,
    _child: Child,
}

impl Station {
    /// The caller's end of the socket.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Runs `work` in a forked child that has entered these namespaces, in order, with its end of a socket.
///
/// The child ends when `work` does, when the result of this call is dropped, and with the caller's thread. Interrupts
/// from the terminal do not end it.
///
/// # Errors
/// As [`inside`].
pub fn stay(doors: &[BorrowedFd<'_>], work: impl FnOnce(OwnedFd)) -> io::Result<Station> {
    let (child, socket) = send_child(doors, |socket| {
        use libc::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
        crate::signal::ignore(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP], true);
        std::fs::File::from(socket.try_clone()?).write_all(&[0])?;
        work(socket);
        Ok(())
    })?;
    if std::fs::File::from(socket.try_clone()?).read_exact(&mut [0]).is_ok() {
        return Ok(Station { socket, _child: child });
    }
    let errno = child.end().filter(|errno| *errno != 0).unwrap_or(libc::ECHILD);
    Err(io::Error::from_raw_os_error(errno))
}

/// A child of ours, which is waited for.
#[derive(Debug)]
struct Child(Option<libc::pid_t>);

impl Child {
    /// Waits for it. Its exit status; none when a signal ended it.
    fn end(mut self) -> Option<i32> {
        self.wait()
    }

    fn wait(&mut self) -> Option<i32> {
        let pid = self.0.take()?;
        let mut status = 0;
        // SAFETY: waits for our own child, once; the pointer names `status`.
        while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 {
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return None;
            }
        }
        libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // SAFETY: kill(2) takes no pointers; nobody has waited for this child yet, so that the number is its own.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            self.wait();
        }
    }
}

/// Starts the child. Its exit status is 0 or an errno.
fn send_child(
    doors: &[BorrowedFd<'_>],
    work: impl FnOnce(OwnedFd) -> io::Result<()>,
) -> io::Result<(Child, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    if !is_alone() {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let parent = std::process::id();
    // SAFETY: the caller has one thread, so that no lock is held by another one; the child ends with `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(ours);
            let visit = || enter(doors, parent).and_then(|()| work(theirs));
            let done = catch_unwind(AssertUnwindSafe(visit));
            let status = match done {
                Ok(Ok(())) => 0,
                Ok(Err(error)) => error.raw_os_error().unwrap_or(libc::EIO),
                Err(_) => libc::EIO,
            };
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(status) }
        }
        pid => Ok((Child(Some(pid)), ours)),
    }
}

/// Whether the process has one thread. One that has just ended may still be seen for a moment.
pub(crate) fn is_alone() -> bool {
    for _ in 0..1000 {
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        if threads <= 1 {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// The child goes to where it is sent.
fn enter(doors: &[BorrowedFd<'_>], parent: u32) -> io::Result<()> {
    for door in doors {
        // SAFETY: setns(2) takes no pointers; 0 stands for whatever kind of namespace it is.
        if unsafe { libc::setns(door.as_raw_fd(), 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // After the last change of credentials, which would take it back (prctl(2)).
    // SAFETY: prctl(2) with these arguments takes no pointers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: getppid(2) has no arguments.
    let is_orphan = unsafe { libc::getppid() }.cast_unsigned() != parent;
    if is_orphan { Err(io::Error::from_raw_os_error(libc::ESRCH)) } else { Ok(()) }
}

/// The number of descriptors, the descriptors, the bytes.
fn send(found: &Findings, to: &OwnedFd) -> io::Result<()> {
    let count = u32::try_from(found.fds.len()).unwrap_or(u32::MAX);
    let mut stream = std::fs::File::from(to.try_clone()?);
    stream.write_all(&count.to_ne_bytes())?;
    for several in found.fds.chunks(FDS_PER_MESSAGE) {
        let borrowed: Vec<BorrowedFd<'_>> = several.iter().map(AsFd::as_fd).collect();
        fds::send(to.as_fd(), &[0], &borrowed)?;
    }
    stream.write_all(&found.bytes)
}

fn receive(from: OwnedFd) -> io::Result<Findings> {
    let mut stream = std::fs::File::from(from);
    let mut count = [0; 4];
    stream.read_exact(&mut count)?;
    let count = u32::from_ne_bytes(count) as usize;
    let mut found = Findings::default();
    while found.fds.len() < count {
        let (got, mut received) = fds::receive(stream.as_fd(), &mut [0])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        found.fds.append(&mut received);
    }
    stream.read_to_end(&mut found.bytes)?;
    Ok(found)
}

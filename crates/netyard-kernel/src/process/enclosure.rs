//! Work on files of many owners, in namespaces of its own that end with it.

use super::fork::become_root_of_namespace;
use crate::userns::IdMap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A child that works in namespaces of its own. Dropped, it is killed with all that it has started.
#[derive(Debug)]
pub struct Enclosed {
    /// The caller's end of a stream socket to it, which ends when the work has.
    pub socket: File,
    pid: libc::pid_t,
}

/// Runs `work` in a child that is root of a new user namespace with all ids of a system, and pid 1 of new pid, mount,
/// ipc, uts and cgroup namespaces. The network is the caller's. `work` gets its end of a socket.
///
/// All that the child starts ends with it, and it ends with the caller's thread, however that ends: nothing is left but
/// what it has written to files. Same as `unshare --user --map-auto --map-root-user --mount --pid --fork --kill-child`.
///
/// # Errors
/// Those of fork(2), unshare(2) and [`IdMap::write`]. `EBUSY` when the caller has other threads: they may hold locks
/// that the child would wait for.
pub fn enclosed(ids: &IdMap, work: impl FnOnce(File)) -> io::Result<Enclosed> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    if !crate::visit::is_alone() {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: the caller has one thread, so that no lock is held by another one; the child ends with `_exit`.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            drop(ours);
            let code =
                separate(theirs.into(), work).err().map_or(0, |e| e.raw_os_error().unwrap_or(libc::EIO));
            exit(code)
        }
        pid => pid,
    };
    drop(theirs);
    let mut child = Enclosed { socket: ours.into(), pid };
    let mut errno = [0; 4];
    child.socket.read_exact(&mut errno)?;
    match i32::from_ne_bytes(errno) {
        0 => {}
        errno => return Err(io::Error::from_raw_os_error(errno)),
    }
    ids.write(pid.cast_unsigned())?;
    child.socket.write_all(&[0])?;
    Ok(child)
}

impl Drop for Enclosed {
    fn drop(&mut self) {
        // SAFETY: nobody has waited for this child yet, so that the number is its own; no status is asked for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            while libc::waitpid(self.pid, std::ptr::null_mut(), 0) < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
    }
}

/// The child's life: it makes the namespaces, gets its ids, and waits for pid 1.
fn separate(socket: File, work: impl FnOnce(File)) -> io::Result<()> {
    die_with_parent();
    const NEW: i32 = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    const OWN: i32 = libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    // SAFETY: unshare(2) takes no pointers.
    let made = match unsafe { libc::unshare(NEW | OWN) } {
        0 => 0,
        _ => io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO),
    };
    (&socket).write_all(&made.to_ne_bytes())?;
    // The ids are mapped when this comes; the caller is gone when it does not.
    (&socket).read_exact(&mut [0])?;
    // SAFETY: this process has one thread.
    unsafe { become_root_of_namespace() };
    die_with_parent();
    let (alive, held) = io::pipe()?;
    // SAFETY: as above; the child ends with `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            drop(held);
            die_with_parent();
            if !is_closed(&alive.into()) {
                let _ = catch_unwind(AssertUnwindSafe(|| work(socket)));
            }
            exit(0)
        }
        pid => {
            drop((socket, alive));
            // SAFETY: waits for our own child; no status is asked for.
            while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
            // Closed now, or with us: pid 1 looks whether we are still there.
            drop(held);
            Ok(())
        }
    }
}

/// After each change of credentials, which takes it back (prctl(2)).
fn die_with_parent() {
    // SAFETY: prctl(2) with these arguments takes no pointers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Whether nobody holds the other end of a pipe: a parent that has died before [`die_with_parent`] is not told of.
fn is_closed(pipe: &OwnedFd) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_err() || fds[0].revents().contains(PollFlags::HUP)
}

fn exit(code: i32) -> ! {
    // SAFETY: ends the child without running the parent's exit handlers.
    unsafe { libc::_exit(code) }
}

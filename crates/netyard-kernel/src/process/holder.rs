//! Starting the holder: this program once more, as pid 1 of new namespaces.

use super::end::{kill, reap};
use super::fork::{become_root_of_namespace, clone3, reset_signals};
use crate::userns::IdMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

/// The name (`argv[0]`) under which the holder runs.
pub const HOLDER_ARGV0: &str = "netyard-holder";
/// The holder's end of the socket pair to the process that started it.
pub const HOLDER_OWNER_FD: RawFd = 3;
/// The bound socket on which the holder listens, when its second argument is `listen`.
pub const HOLDER_LISTENER_FD: RawFd = 4;

/// A process that was started, and the socket that it was given.
#[derive(Debug)]
pub struct HolderProcess {
    /// Its process id.
    pub pid: u32,
    /// Refers to it for as long as we keep this, whatever becomes of its process id.
    pub pidfd: OwnedFd,
    /// Our end of a stream socket whose other end is the holder's [`HOLDER_OWNER_FD`].
    pub owner: OwnedFd,
}

/// What [`spawn_holder`] does besides starting it.
#[derive(Debug)]
pub struct HolderOptions<'a> {
    /// A socket, bound and not yet listening, that becomes [`HOLDER_LISTENER_FD`].
    pub listener: Option<BorrowedFd<'a>>,
    /// Ids in its user namespace; none to stay in the caller's (labs that need the host's own namespaces).
    pub map: Option<IdMap>,
    /// Whether it gets a network namespace of its own; otherwise it begins in the caller's.
    pub own_netns: bool,
}

/// Starts this program once more, as pid 1 of new user, pid, mount, net, ipc, uts and cgroup namespaces.
///
/// The new process is killed when the calling thread ends, until it says otherwise by prctl(2). Its standard streams
/// are `/dev/null`, its other descriptors are closed.
/// Same as `unshare -Urpmniu --fork`.
///
/// # Errors
/// Those of clone3(2): `EPERM` or `ENOSPC` where user namespaces are not to be had; and of [`IdMap::write`].
pub fn spawn_holder(options: &HolderOptions<'_>) -> io::Result<HolderProcess> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let null = fs::File::options().read(true).write(true).open("/dev/null")?;
    let mode = if options.listener.is_some() { c"listen" } else { c"private" };
    let argv0 = CString::new(HOLDER_ARGV0).expect("a constant without zero bytes");
    let argv = [argv0.as_ptr(), mode.as_ptr(), std::ptr::null()];
    let path = CString::new(std::env::var_os("PATH").map_or_else(Vec::new, |p| {
        let mut entry = b"PATH=".to_vec();
        entry.extend_from_slice(p.as_bytes());
        entry
    }))?;
    let env = [path.as_ptr(), std::ptr::null()];

    let mut flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC;
    flags |= libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    if options.map.is_some() {
        flags |= libc::CLONE_NEWUSER;
    }
    if options.own_netns {
        flags |= libc::CLONE_NEWNET;
    }
    let fds = [Some(null.as_raw_fd()), Some(theirs.as_raw_fd()), options.listener.map(|fd| fd.as_raw_fd())];
    let mut pidfd: RawFd = -1;
    // SAFETY: without CLONE_VM the child has a copy of this memory; it makes system calls only, until execve.
    let pid = unsafe { clone3(flags, &raw mut pidfd) }?;
    if pid == 0 {
        // SAFETY: the pointers name zero-terminated arrays of zero-terminated texts prepared above.
        unsafe { become_holder(ours.as_raw_fd(), fds, &argv, &env) }
    }
    // SAFETY: clone3 has put a fresh descriptor there.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    drop(theirs);
    let started = HolderProcess { pid, pidfd, owner: ours };
    let ready = options.map.as_ref().map_or(Ok(()), |map| map.write(pid));
    match ready.and_then(|()| Ok(rustix::io::write(&started.owner, b"g")?)) {
        Ok(_) => Ok(started),
        Err(error) => {
            let _ = kill(started.pidfd.as_fd());
            let _ = reap(started.pidfd.as_fd());
            Err(error)
        }
    }
}

/// The child of [`spawn_holder`]: waits for its id map, arranges its descriptors, and executes this program again.
///
/// # Safety
/// `argv` and `env` are zero-terminated arrays of zero-terminated texts.
unsafe fn become_holder(
    starter: RawFd,
    fds: [Option<RawFd>; 3],
    argv: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> ! {
    // SAFETY: system calls on memory that outlives them. The descriptors are first moved above the fixed numbers
    // so that none is overwritten before it is used.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // The starter may have died before that call. Then nobody has its end of the pair, and the read below ends.
        libc::close(starter);
        libc::setsid();
        let mut byte = 0u8;
        let high = fds.map(|fd| fd.map_or(-1, |fd| libc::fcntl(fd, libc::F_DUPFD, 10)));
        let [null, owner, listener] = high;
        if libc::read(owner, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(1);
        }
        become_root_of_namespace();
        for target in 0..3 {
            libc::dup2(null, target);
        }
        libc::dup2(owner, HOLDER_OWNER_FD);
        let last = if listener >= 0 { libc::dup2(listener, HOLDER_LISTENER_FD) } else { HOLDER_OWNER_FD };
        libc::syscall(libc::SYS_close_range, last + 1, u32::MAX, 0);
        reset_signals();
        libc::execve(c"/proc/self/exe".as_ptr(), argv.as_ptr(), env.as_ptr());
        libc::_exit(1)
    }
}

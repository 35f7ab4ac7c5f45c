//! Network namespaces: making many at once, and knowing when they are gone.

use crate::netlink::{Protocol, Socket};
use crate::sysctl::Tree;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// A network namespace that was just made, and a socket inside it.
#[derive(Debug)]
pub struct NewNamespace {
    /// Keeps the namespace alive.
    pub fd: OwnedFd,
    /// An rtnetlink socket of the namespace.
    pub route: Socket,
}

/// Why namespaces could not be made.
#[derive(Debug)]
pub struct CreateError {
    /// The namespace and the sysctl of it that could not be written; none where something else failed.
    pub at: Option<(usize, usize)>,
    /// What the kernel said.
    pub error: io::Error,
}

impl From<io::Error> for CreateError {
    fn from(error: io::Error) -> Self {
        Self { at: None, error }
    }
}

impl From<CreateError> for io::Error {
    fn from(error: CreateError) -> Self {
        error.error
    }
}

/// A sysctl to write: path below `/proc/sys` as `net/ipv4/ip_forward`, and value.
pub type Sysctl = (String, String);

/// Makes one network namespace for each entry of `sysctls` and writes those values inside it, before any link exists
/// there besides `lo`.
///
/// The namespaces belong to the user namespace `owner`, or to the caller's own. The work is done by a forked child,
/// because only a process with a single thread may enter a user namespace, and none comes back from one.
/// Same as `ip netns add` without the name, and `sysctl -w`.
///
/// # Errors
/// Those of fork(2), setns(2) and unshare(2) (`ENOSPC`: `/proc/sys/user/max_net_namespaces` is reached), open(2) and
/// write(2) of the sysctl files (`ENOENT` for a key that the kernel lacks). No namespace is left then.
pub fn create(
    owner: Option<BorrowedFd<'_>>,
    sysctls: &[Vec<Sysctl>],
) -> Result<Vec<NewNamespace>, CreateError> {
    let writes = prepared(sysctls);
    let trees = trees(sysctls)?;
    let (ours, theirs) = pair()?;
    // SAFETY: the child makes system calls only, on memory prepared above, and ends with `_exit`.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error().into()),
        0 => {
            // SAFETY: see above; a factory whose maker dies must not outlive it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let status = factory(owner.map(|fd| fd.as_raw_fd()), &writes, &trees, theirs.as_raw_fd());
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(status) }
        }
        pid => {
            drop(theirs);
            let made = receive(ours.as_fd(), sysctls.len());
            drop(ours);
            let status = wait(pid)?;
            match (status, made) {
                (0, made) => Ok(made?),
                (errno, made) => {
                    let at = made.err().and_then(|failure| failure.at);
                    Err(CreateError { at, error: io::Error::from_raw_os_error(errno) })
                }
            }
        }
    }
}

/// Moves the calling thread into a network namespace of its own and returns the one that it leaves.
/// Same as `unshare --net`.
///
/// # Errors
/// Those of open(2) and unshare(2).
pub fn leave() -> io::Result<OwnedFd> {
    let left = std::fs::File::open("/proc/thread-self/ns/net")?;
    // SAFETY: unshare(2) takes no pointers; CLONE_NEWNET changes nothing that memory safety depends on.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(left.into())
}

/// Waits until the kernel has taken apart every network namespace that was made in `owner` or in a user namespace
/// below it; `false` when `limit` is over first. For user namespaces in which nobody makes another one.
///
/// The kernel counts them for each user namespace and shows the count to nobody, but a limit of one (sysctl
/// `user.max_net_namespaces`, namespaces(7)) refuses another until none is left. A forked child asks, because nobody
/// comes back from a user namespace.
///
/// # Errors
/// Those of fork(2), setns(2), open(2) and write(2): `EROFS` where `/proc/sys` is read-only.
pub fn wait_gone(owner: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    in_child(|| watch(owner.as_raw_fd(), deadline))
}

/// Waits until the kernel has taken apart every network namespace that nobody holds any more at the time of the call;
/// `false` when `limit` is over first. For namespaces that cannot be told from others by their user namespace.
///
/// The kernel takes them apart in the order in which they were given up, one work queue for all (net/core/net_namespace.c
/// `cleanup_net`): one that is made and given up now is gone after all of them. That is done twice, because closed sockets
/// let go of theirs some time later, in RCU callbacks, for which the first round waits (`rcu_barrier`).
///
/// # Errors
/// Those of fork(2), unshare(2), open(2) and write(2).
pub fn wait_queue(limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    for _ in 0..2 {
        if !in_child(|| follow(deadline))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a function that returns 0 or an errno in a child; `false` for `ETIMEDOUT`. It must make system calls only.
fn in_child(watch: impl Fn() -> i32) -> io::Result<bool> {
    // SAFETY: the child makes system calls only and ends with `_exit`.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let status = watch();
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(status) }
        }
        pid => match wait(pid)? {
            0 => Ok(true),
            libc::ETIMEDOUT => Ok(false),
            errno => Err(io::Error::from_raw_os_error(errno)),
        },
    }
}

/// The child of [`wait_queue`]: a child of its own makes a network namespace and gives it up by ending.
fn follow(deadline: Instant) -> i32 {
    // SAFETY: plain system calls whose pointers name memory that outlives them.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::unshare(libc::CLONE_NEWUSER) < 0 {
            return errno();
        }
        match libc::fork() {
            -1 => return errno(),
            0 => libc::_exit(if libc::unshare(libc::CLONE_NEWNET) < 0 { errno() } else { 0 }),
            last => {
                let mut status = 0;
                while libc::waitpid(last, &raw mut status, 0) < 0 {
                    if errno() != libc::EINTR {
                        return errno();
                    }
                }
                if status != 0 {
                    return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { libc::EINTR };
                }
            }
        }
        await_none(deadline)
    }
}

/// The child of [`wait_gone`]. Returns 0 or an errno. Allocates nothing.
fn watch(owner: RawFd, deadline: Instant) -> i32 {
    // SAFETY: plain system calls whose pointers name memory that outlives them.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::setns(owner, libc::CLONE_NEWUSER) < 0 {
            return errno();
        }
        // Namespaces are counted for the user who makes them: that of the lab.
        crate::process::become_root_of_namespace();
        await_none(deadline)
    }
}

/// Waits until the caller's user namespace has no network namespace left. Returns 0 or an errno. Allocates nothing.
fn await_none(deadline: Instant) -> i32 {
    // SAFETY: plain system calls whose pointers name memory that outlives them.
    unsafe {
        let limit =
            libc::open(c"/proc/sys/user/max_net_namespaces".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if limit < 0 || libc::write(limit, c"1".as_ptr().cast(), 1) < 0 {
            return errno();
        }
        while libc::unshare(libc::CLONE_NEWNET) < 0 {
            match errno() {
                libc::ENOSPC if Instant::now() < deadline => {
                    let pause = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
                    libc::nanosleep(&raw const pause, std::ptr::null_mut());
                }
                libc::ENOSPC => return libc::ETIMEDOUT,
                errno => return errno,
            }
        }
        0
    }
}

struct Write {
    path: CString,
    value: CString,
    /// Whether the file may be absent: bridge filtering, on kernels where it is not loaded.
    is_optional: bool,
}

/// The sysctls as C strings, so that the child allocates nothing.
fn prepared(sysctls: &[Vec<Sysctl>]) -> Vec<Vec<Write>> {
    let one = |(path, value): &Sysctl| Write {
        is_optional: path.starts_with("net/bridge/"),
        path: CString::new(path.as_str()).unwrap_or_default(),
        value: CString::new(value.as_str()).unwrap_or_default(),
    };
    sysctls.iter().map(|of_one| of_one.iter().map(one).collect()).collect()
}

/// Views of `/proc/sys`, each for [`Tree::NAMESPACES_MAX`] namespaces; none where there is nothing to write. They are
/// opened here because the child may not mount once it has entered another user namespace.
fn trees(sysctls: &[Vec<Sysctl>]) -> io::Result<Vec<Tree>> {
    if sysctls.iter().all(Vec::is_empty) {
        return Ok(Vec::new());
    }
    (0..sysctls.len().div_ceil(Tree::NAMESPACES_MAX)).map(|_| Tree::open()).collect()
}

/// How many pairs of descriptors go into one message (linux/net/scm.h `SCM_MAX_FD` is 253).
const PAIRS_PER_MESSAGE: usize = 120;

/// The child: makes the namespaces and sends `(namespace, socket)` pairs. Returns 0 or an errno. Allocates nothing.
fn factory(owner: Option<RawFd>, sysctls: &[Vec<Write>], trees: &[Tree], out: RawFd) -> i32 {
    // SAFETY: plain system calls whose pointers name memory that outlives them.
    unsafe {
        if let Some(owner) = owner
            && libc::setns(owner, libc::CLONE_NEWUSER) < 0
        {
            return errno();
        }
        let mut fds: [RawFd; PAIRS_PER_MESSAGE * 2] = [-1; PAIRS_PER_MESSAGE * 2];
        let mut count = 0;
        for (at, writes) in sysctls.iter().enumerate() {
            let tree = trees.get(at / Tree::NAMESPACES_MAX).map_or(-1, |tree| tree.as_fd().as_raw_fd());
            if libc::unshare(libc::CLONE_NEWNET) < 0 {
                return errno();
            }
            for (number, write) in writes.iter().enumerate() {
                let done = write_sysctl(tree, write);
                if done != 0 {
                    // A message without descriptors says which one.
                    let place = [at, number];
                    libc::send(out, place.as_ptr().cast(), size_of_val(&place), libc::MSG_NOSIGNAL);
                    return done;
                }
            }
            let ns = libc::open(c"/proc/thread-self/ns/net".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if ns < 0 {
                return errno();
            }
            let Ok(socket) = Socket::open(Protocol::Route) else { return errno() };
            fds[count] = ns;
            fds[count + 1] = socket.into_raw();
            count += 2;
            if count == fds.len() {
                if let Err(errno) = send_fds(out, &fds[..count]) {
                    return errno;
                }
                count = 0;
            }
        }
        match send_fds(out, &fds[..count]) {
            Ok(()) => 0,
            Err(errno) => errno,
        }
    }
}

/// Writes one sysctl of the calling thread's namespace below `tree`. Allocates nothing.
fn write_sysctl(tree: RawFd, write: &Write) -> i32 {
    // SAFETY: plain system calls whose pointers name memory that outlives them.
    unsafe {
        let fd = libc::openat(tree, write.path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd < 0 {
            let errno = errno();
            return if errno == libc::ENOENT && write.is_optional { 0 } else { errno };
        }
        let value = write.value.as_bytes();
        let done = libc::write(fd, value.as_ptr().cast(), value.len());
        let status = if done < 0 { errno() } else { 0 };
        libc::close(fd);
        status
    }
}

/// Sends descriptors with one byte and closes them here.
fn send_fds(out: RawFd, fds: &[RawFd]) -> Result<(), i32> {
    if fds.is_empty() {
        return Ok(());
    }
    // Room for the header and the descriptors, aligned as `cmsghdr` needs.
    let mut control = [0u64; (16 + PAIRS_PER_MESSAGE * 2 * 4) / 8 + 2];
    let mut byte = 0u8;
    // SAFETY: `message` names `byte` and `control`, which outlive the call; CMSG_SPACE of the descriptors fits into
    // `control` by its definition.
    unsafe {
        let mut vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of_val(fds) as u32) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of_val(fds) as u32) as usize;
        std::ptr::copy_nonoverlapping(fds.as_ptr(), libc::CMSG_DATA(header).cast(), fds.len());
        while libc::sendmsg(out, &raw const message, libc::MSG_NOSIGNAL) < 0 {
            // More descriptors are under way than `RLIMIT_NOFILE` allows until the receiver has taken some.
            if errno() != libc::ETOOMANYREFS {
                return Err(errno());
            }
            libc::sched_yield();
        }
        for fd in fds {
            libc::close(*fd);
        }
    }
    Ok(())
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

fn receive(from: BorrowedFd<'_>, wanted: usize) -> Result<Vec<NewNamespace>, CreateError> {
    const WORD: usize = size_of::<usize>();
    let mut made = Vec::with_capacity(wanted);
    while made.len() < wanted {
        let mut place = [0; 2 * WORD];
        let (length, fds) = crate::fds::receive(from, &mut place)?;
        if fds.is_empty() {
            // The child ended early; its exit status says why.
            let word = |at: usize| usize::from_ne_bytes(place[at..at + WORD].try_into().unwrap_or_default());
            let at = (length == place.len()).then(|| (word(0), word(WORD)));
            return Err(CreateError { at, error: io::ErrorKind::UnexpectedEof.into() });
        }
        let mut fds = fds.into_iter();
        while let (Some(fd), Some(route)) = (fds.next(), fds.next()) {
            made.push(NewNamespace { fd, route: Socket::from_fd(route) });
        }
    }
    Ok(made)
}

/// The exit code of a child; a signal counts as `ECHILD`.
fn wait(pid: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer names `status`.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } >= 0 {
            return Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { libc::ECHILD });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

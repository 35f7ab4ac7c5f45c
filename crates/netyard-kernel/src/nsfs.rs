//! Namespaces by descriptor: which one it is, and who owns it (ioctl_nsfs(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// linux/nsfs.h, `_IO(0xb7, n)`.
const NS_GET_USERNS: libc::c_ulong = 0xb701;
const NS_GET_PARENT: libc::c_ulong = 0xb702;
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
const NS_GET_OWNER_UID: libc::c_ulong = 0xb704;

/// Opens a network namespace by a name that it has: a bind mount, `/proc/PID/ns/net`, `/proc/PID/fd/N`.
///
/// # Errors
/// Those of open(2); `EINVAL` when that is something else.
pub fn open_network(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    // Not to wait for whatever else may stand there, a FIFO for example.
    let fd = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    // SAFETY: this request takes no argument; on another kind of file it is ENOTTY.
    match unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) } {
        libc::CLONE_NEWNET => Ok(fd),
        _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// The inode of a namespace: what tells it from all others.
///
/// # Errors
/// Those of fstat(2).
pub fn inode(ns: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::fstat(ns)?.st_ino)
}

/// The user namespace that owns a namespace.
///
/// # Errors
/// `EPERM` when it is none of the caller's own or below.
pub fn owner(ns: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    related(ns, NS_GET_USERNS)
}

/// The user namespace above a user namespace.
///
/// # Errors
/// `EPERM` when it is none of the caller's own or below.
pub fn parent(user: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    related(user, NS_GET_PARENT)
}

fn related(ns: BorrowedFd<'_>, request: libc::c_ulong) -> io::Result<OwnedFd> {
    // SAFETY: the request takes no argument and returns a descriptor.
    let fd: RawFd = unsafe { libc::ioctl(ns.as_raw_fd(), request) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns. The kernel makes it close-on-exec (fs/nsfs.c).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The user who made a user namespace, as the caller's numbers users.
///
/// # Errors
/// Those of ioctl(2).
pub fn owner_uid(user: BorrowedFd<'_>) -> io::Result<u32> {
    let mut uid: libc::uid_t = 0;
    // SAFETY: the pointer names a uid_t that outlives the call.
    match unsafe { libc::ioctl(user.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) } {
        0 => Ok(uid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The user namespaces that own a network namespace, from its owner up to the one below the caller's own; empty when
/// the caller's own owns it.
///
/// # Errors
/// `EPERM` when it belongs to a user namespace that is not below the caller's own.
pub fn owners_below_own(ns: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let own = inode(std::fs::File::open("/proc/thread-self/ns/user")?.as_fd())?;
    let mut chain = Vec::new();
    let mut at = owner(ns)?;
    while inode(at.as_fd())? != own {
        let above = parent(at.as_fd())?;
        chain.push(at);
        at = above;
    }
    Ok(chain)
}

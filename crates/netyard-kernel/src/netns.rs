//! Network namespaces: made in one go, entered by threads made for it.

use crate::netlink::{Protocol, Socket};
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A network namespace that was just made.
#[derive(Debug)]
pub struct NewNamespace {
    /// Holds it: when the last such descriptor is closed, it goes.
    pub fd: OwnedFd,
    /// An rtnetlink socket in it.
    pub route: Socket,
}

/// A sysctl to write: path below `/proc/sys` as `net/ipv4/ip_forward`, and value.
pub type Sysctl = (String, String);

/// Makes a network namespace for each entry of `sysctls` and writes those values inside it.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`, `ENOSPC` at `user.max_net_namespaces`, or what a sysctl was refused with.
///
/// Same as `ip netns add NAME` and `sysctl -w KEY=VALUE` in it.
pub fn create(userns: Option<BorrowedFd<'_>>, sysctls: &[Vec<Sysctl>]) -> io::Result<Vec<NewNamespace>> {
    on_a_thread(move || {
        if let Some(userns) = userns {
            enter(userns, libc::CLONE_NEWUSER)?;
        }
        sysctls.iter().map(|values| create_one(values)).collect()
    })?
}

fn create_one(sysctls: &[Sysctl]) -> io::Result<NewNamespace> {
    // SAFETY: unshare(2) takes no pointers. A network namespace is a property of the calling thread alone, and that
    // thread ends with `create`.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
        return Err(io::Error::last_os_error());
    }
    for (path, value) in sysctls {
        std::fs::write(format!("/proc/sys/{path}"), value)?;
    }
    Ok(NewNamespace {
        fd: File::open("/proc/thread-self/ns/net")?.into(),
        route: Socket::open(Protocol::Route)?,
    })
}

/// Runs `f` on a thread that has entered a network namespace.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN` in the user namespace that owns it.
pub fn within<R: Send>(ns: BorrowedFd<'_>, f: impl FnOnce() -> R + Send) -> io::Result<R> {
    on_a_thread(move || enter(ns, libc::CLONE_NEWNET).map(|()| f()))?
}

fn enter(ns: BorrowedFd<'_>, kind: libc::c_int) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: setns(2) takes no pointers; the descriptor is borrowed for the call.
    if unsafe { libc::setns(ns.as_raw_fd(), kind) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn on_a_thread<R: Send>(f: impl FnOnce() -> R + Send) -> io::Result<R> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, f)?;
        thread.join().map_err(|_| io::Error::other("a thread in a namespace panicked"))
    })
}

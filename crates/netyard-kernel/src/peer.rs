//! Who is at the other end of a Unix socket (unix(7), `SO_PEERCRED`).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The process at the other end, as the caller sees it: the one that connected, or called listen(2). None when it is
/// not in the caller's pid namespace, nor in one below.
///
/// # Errors
/// Those of getsockopt(2).
pub fn pid_of_peer(socket: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers name the credentials and their length, on this frame.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u32::try_from(credentials.pid).ok().filter(|pid| *pid != 0))
}

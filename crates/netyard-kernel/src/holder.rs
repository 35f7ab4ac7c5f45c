//! What a holder finds when it begins.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes over the descriptors that [`spawn_holder`](crate::process::spawn_holder) left open: the owner's socket, and
/// the listening socket where there is one. They are closed when a program is executed.
///
/// # Errors
/// `EBADF` when the process was not started as a holder.
pub fn inherited(owner: RawFd, listener: RawFd) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    let take = |fd: RawFd| -> io::Result<OwnedFd> {
        // SAFETY: fcntl(2) on a number; nothing else in this process owns these two, which were open before it began.
        unsafe {
            if libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(OwnedFd::from_raw_fd(fd))
        }
    };
    let owner = take(owner)?;
    match take(listener) {
        Ok(listener) => Ok((owner, Some(listener))),
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok((owner, None)),
        Err(error) => Err(error),
    }
}

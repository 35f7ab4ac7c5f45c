//! Who is at the other end of a Unix socket (unix(7), `SO_PEERCRED`, `SO_PASSCRED`).

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::io;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
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

/// Makes a datagram socket tell of each message who sent it, for [`receive_with_sender`].
///
/// # Errors
/// Those of setsockopt(2).
pub fn tell_senders(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_passcred(socket, true)?)
}

/// Receives a message, and the process that sent it, as the caller sees that.
///
/// # Errors
/// Those of recvmsg(2): `EAGAIN` where there is none and the socket does not wait.
pub fn receive_with_sender(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Option<u32>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::empty())
    })?;
    let pid = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(sender) => u32::try_from(sender.pid.as_raw_nonzero().get()).ok(),
        _ => None,
    });
    Ok((got.bytes, pid))
}

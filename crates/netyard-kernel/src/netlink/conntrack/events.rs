//! Tells when connections begin, change and end (conntrack(8) `-E`).

use crate::netlink::{Protocol, Socket};
use netyard_core::conntrack::Connection;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What has become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Its first packet has passed all hooks.
    Begun,
    /// An answer was seen, its handshake went on, or its mark changed.
    Changed,
    /// It is forgotten.
    Ended,
}

/// One message of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub change: Change,
    /// To which connection. Tuples are there always; the state of its handshake where it has changed.
    pub connection: Connection,
}

/// Hears of the connections of one network namespace.
///
/// With the kernel's default (`net.netfilter.nf_conntrack_events` = 2) connections tell of themselves only when
/// somebody was listening when they began: older ones are found with [`super::list`].
#[derive(Debug)]
pub struct Events {
    socket: Socket,
}

/// What has come since events were read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Heard {
    /// All that there was.
    All,
    /// Some found no room in the socket (`ENOBUFS`): the table has to be read again.
    Some,
}

impl Events {
    /// Listens in the calling thread's network namespace. Opening takes the right, reading none.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN over the namespace; `EPROTONOSUPPORT` where the kernel has no nfnetlink.
    ///
    /// Same as `conntrack -E`.
    pub fn open() -> io::Result<Self> {
        /// `NFNLGRP_CONNTRACK_NEW`, `NFNLGRP_CONNTRACK_UPDATE`, `NFNLGRP_CONNTRACK_DESTROY`
        /// (linux/netfilter/nfnetlink.h).
        const GROUPS: [u32; 3] = [1, 2, 3];
        let socket = Socket::open(Protocol::Netfilter)?;
        for group in GROUPS {
            socket.join(group)?;
        }
        Self::from_fd(socket.into_fd())
    }

    /// Takes over a socket that was opened elsewhere.
    ///
    /// # Errors
    /// Those of ioctl(2).
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        // As much as the kernel allows (`net.core.rmem_max`).
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&fd, 4 << 20);
        Ok(Self { socket: Socket::from_fd(fd) })
    }

    /// Gives the descriptor away, for [`Events::from_fd`].
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.socket.into_fd()
    }

    /// Calls `each` with every event that is there. Never waits.
    ///
    /// # Errors
    /// Those of recv(2), but for lost messages.
    pub fn read(&mut self, mut each: impl FnMut(Event)) -> io::Result<Heard> {
        let mut heard = Heard::All;
        loop {
            let read = self.socket.notices(|kind, flags, payload| {
                if let (Some(change), Some(connection)) = (change(kind, flags), super::parse(payload)) {
                    each(Event { change, connection });
                }
            });
            match read {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => heard = Heard::Some,
                Err(error) => return Err(error),
            }
        }
    }
}

/// What a message tells of; none for what is not about connections.
fn change(kind: u16, flags: u16) -> Option<Change> {
    /// `NFNL_SUBSYS_CTNETLINK`; `IPCTNL_MSG_CT_NEW` and `IPCTNL_MSG_CT_DELETE`.
    const NEW: u16 = 1 << 8;
    const DELETE: u16 = 1 << 8 | 2;
    const NLM_F_CREATE: u16 = 0x400;
    match kind {
        NEW if flags & NLM_F_CREATE != 0 => Some(Change::Begun),
        NEW => Some(Change::Changed),
        DELETE => Some(Change::Ended),
        _ => None,
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

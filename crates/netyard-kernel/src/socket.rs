//! What probes need of IP sockets and safe libraries lack: ICMP errors with their sender, the TTL of an answer, the
//! address that a datagram was sent to, and answers from exactly that address.
//!
//! Its tests are those of the probes (`netyard/tests`), which have namespaces to send packets in.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

/// The address family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Self::V6 } else { Self::V4 }
    }

    /// The address that stands for every local address.
    #[must_use]
    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

/// How a socket treats packets that are larger than the path takes (ip(7) `IP_MTU_DISCOVER`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragmentation {
    /// Packets may be fragmented on the way: no DF bit. The kernel fragments IPv6 packets at the sender, by the
    /// path MTU that it has learned.
    Allowed,
    /// Packets are sent whole, with DF, whatever path MTU the kernel has learned before; only the MTU of the
    /// outgoing interface is a limit, with `EMSGSIZE`.
    Forbidden,
}

/// Makes ICMP errors and local errors wait in the socket's error queue (ip(7) `IP_RECVERR`).
///
/// # Errors
/// Those of setsockopt(2).
pub fn queue_errors(fd: impl AsFd, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_int(fd, libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        Family::V6 => set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
    }
}

/// Makes [`receive`] tell the TTL or hop limit (ip(7) `IP_RECVTTL`, ipv6(7) `IPV6_RECVHOPLIMIT`).
///
/// # Errors
/// Those of setsockopt(2).
pub fn tell_ttl(fd: impl AsFd, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_int(fd, libc::IPPROTO_IP, libc::IP_RECVTTL, 1),
        Family::V6 => set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1),
    }
}

/// Makes [`receive`] tell the address that a datagram was sent to (ip(7) `IP_PKTINFO`, `IPV6_RECVPKTINFO`).
///
/// # Errors
/// Those of setsockopt(2).
pub fn tell_destination(fd: impl AsFd, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_int(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        Family::V6 => set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Lets the socket send from addresses that no interface has (ip(7) `IP_TRANSPARENT`; needs `CAP_NET_ADMIN`).
///
/// # Errors
/// `EPERM` without the capability in the owner of the network namespace.
pub fn send_from_any(fd: impl AsFd, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_int(fd, libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1),
        Family::V6 => set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1),
    }
}

/// Sets the TTL or hop limit of what is sent (ip(7) `IP_TTL`, ipv6(7) `IPV6_UNICAST_HOPS`).
///
/// # Errors
/// `EINVAL` for 0.
pub fn set_ttl(fd: impl AsFd, family: Family, ttl: u8) -> io::Result<()> {
    match family {
        Family::V4 => set_int(fd, libc::IPPROTO_IP, libc::IP_TTL, i32::from(ttl)),
        Family::V6 => set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, i32::from(ttl)),
    }
}

/// Says what happens to packets that are too large.
///
/// # Errors
/// Those of setsockopt(2).
pub fn set_fragmentation(fd: impl AsFd, family: Family, fragmentation: Fragmentation) -> io::Result<()> {
    match (family, fragmentation) {
        (Family::V4, Fragmentation::Allowed) => {
            set_int(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)
        }
        (Family::V4, Fragmentation::Forbidden) => {
            set_int(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
        }
        (Family::V6, Fragmentation::Allowed) => {
            set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_WANT)
        }
        (Family::V6, Fragmentation::Forbidden) => {
            set_int(&fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
            set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1)
        }
    }
}

/// Sends and receives by one interface only (socket(7) `SO_BINDTODEVICE`). Same as `ping -I NAME`.
///
/// # Errors
/// `ENODEV` where there is no such interface.
pub fn bind_to_interface(fd: impl AsFd, name: &str) -> io::Result<()> {
    // SAFETY: the pointer and length name the text, which lives during the call; it needs no closing zero.
    let done = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            name.len() as libc::socklen_t,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The largest TCP payload of one segment in bytes, TCP options deducted (tcp(7) `TCP_MAXSEG`).
///
/// # Errors
/// Those of getsockopt(2).
pub fn tcp_segment_len(fd: impl AsFd) -> io::Result<u32> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers name one int and its length, both live during the call.
    let done = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_MAXSEG,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(value.unsigned_abs()) }
}

fn set_int(fd: impl AsFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and length name one int that lives during the call.
    let done = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A datagram that was received, and what the kernel told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Bytes in the buffer.
    pub len: usize,
    /// Whether the datagram was longer than the buffer.
    pub is_cut: bool,
    /// Who sent it.
    pub from: Option<SocketAddr>,
    /// The address that it was sent to, after [`tell_destination`].
    pub to: Option<IpAddr>,
    /// TTL or hop limit that it arrived with, after [`tell_ttl`].
    pub ttl: Option<u8>,
}

/// Who reported an error (linux/errqueue.h `SO_EE_ORIGIN_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The sender's own kernel.
    Local,
    /// An ICMP message.
    Icmp,
    /// An ICMPv6 message.
    Icmp6,
    /// Another source, by its number.
    Other(u8),
}

/// One entry of a socket's error queue (linux/errqueue.h `struct sock_extended_err`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedError {
    /// The error number (errno(3)).
    pub errno: i32,
    /// Who reported it.
    pub origin: Origin,
    /// ICMP type; 0 where the origin is local.
    pub icmp_type: u8,
    /// ICMP code; 0 where the origin is local.
    pub icmp_code: u8,
    /// The MTU in bytes, where the error is `EMSGSIZE`.
    pub mtu: u32,
    /// The sender of the ICMP message.
    pub offender: Option<IpAddr>,
    /// Where the packet that failed was sent.
    pub to: Option<SocketAddr>,
    /// Bytes in the buffer: the payload of the packet that failed, for a ping socket from its ICMP header on.
    pub len: usize,
}

/// Takes one datagram from the socket; `None` when none is there. Never waits.
///
/// # Errors
/// Those of recvmsg(2), an error that waits on the socket included.
pub fn receive(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
    let Some(message) = receive_message(fd, buffer, 0)? else { return Ok(None) };
    let mut datagram = Datagram {
        len: message.len,
        is_cut: message.flags & libc::MSG_TRUNC != 0,
        from: message.from,
        to: None,
        ttl: None,
    };
    message.each_control(|level, kind, payload| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
            datagram.ttl = int(payload).and_then(|ttl| u8::try_from(ttl).ok());
        }
        // struct in_pktinfo: ifindex (4 bytes), local address (4), destination in the header (4).
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            datagram.to = bytes::<4>(payload, 8).map(|b| IpAddr::V4(b.into()));
        }
        // struct in6_pktinfo: destination (16 bytes), ifindex (4).
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            datagram.to = bytes::<16>(payload, 0).map(|b| IpAddr::V6(b.into()));
        }
        _ => {}
    });
    Ok(Some(datagram))
}

/// Takes one entry from the socket's error queue; `None` when it is empty. Never waits.
///
/// # Errors
/// Those of recvmsg(2).
pub fn receive_error(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<QueuedError>> {
    let Some(message) = receive_message(fd, buffer, libc::MSG_ERRQUEUE)? else { return Ok(None) };
    let mut found = None;
    message.each_control(|level, kind, payload| {
        if matches!(
            (level, kind),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        ) {
            found = extended_error(payload, message.from, message.len);
        }
    });
    Ok(found)
}

/// Reads `struct sock_extended_err`: errno (4 bytes), origin, type, code, padding, info (4), data (4), then the
/// offender's address as a `sockaddr`.
fn extended_error(payload: &[u8], to: Option<SocketAddr>, len: usize) -> Option<QueuedError> {
    let errno = int(payload)?;
    let [origin, icmp_type, icmp_code, _] = bytes::<4>(payload, 4)?;
    let origin = match origin {
        1 => Origin::Local,
        2 => Origin::Icmp,
        3 => Origin::Icmp6,
        other => Origin::Other(other),
    };
    let mtu = u32::from_ne_bytes(bytes::<4>(payload, 8)?);
    let offender = payload.get(16..).and_then(socket_address).map(|address| address.ip());
    let is_local = origin == Origin::Local;
    Some(QueuedError {
        errno,
        origin,
        icmp_type,
        icmp_code,
        mtu,
        offender: offender.filter(|_| !is_local),
        to,
        len,
    })
}

/// Sends a datagram from a given local address (ip(7) `IP_PKTINFO`), so that an answer comes from the address that
/// was asked. Never waits.
///
/// # Errors
/// Those of sendmsg(2); `EAGAIN` when the socket's buffer is full.
pub fn send_from(fd: impl AsFd, payload: &[u8], from: IpAddr, to: SocketAddr) -> io::Result<usize> {
    let mut storage = address_storage(to);
    let mut control = ControlBuffer([0; CONTROL_LEN]);
    let mut part = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
    let (level, kind, info, info_len) = match from {
        IpAddr::V4(from) => {
            let mut info = [0; 20];
            info[4..8].copy_from_slice(&from.octets());
            (libc::IPPROTO_IP, libc::IP_PKTINFO, info, 12)
        }
        IpAddr::V6(from) => {
            let mut info = [0; 20];
            info[..16].copy_from_slice(&from.octets());
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info, 20)
        }
    };
    // SAFETY: msghdr is plain data for which all zeros is a valid value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = (&raw mut storage.0).cast();
    header.msg_namelen = storage.1;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: the macros compute lengths and addresses within `control`, which is aligned for cmsghdr and longer
    // than CMSG_SPACE(20); `info` holds `info_len` bytes.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(info_len) as _;
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        (*first).cmsg_level = level;
        (*first).cmsg_type = kind;
        (*first).cmsg_len = libc::CMSG_LEN(info_len) as _;
        std::ptr::copy_nonoverlapping(info.as_ptr(), libc::CMSG_DATA(first), info_len as usize);
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every pointer in `header` names a local that lives during the call; sendmsg only reads through them.
    let sent = unsafe { libc::sendmsg(fd.as_fd().as_raw_fd(), &raw const header, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

const CONTROL_LEN: usize = 256;

/// Room for control messages, aligned as `struct cmsghdr` is.
#[repr(align(8))]
struct ControlBuffer([u8; CONTROL_LEN]);

struct Message {
    len: usize,
    flags: i32,
    from: Option<SocketAddr>,
    control: ControlBuffer,
    control_len: usize,
}

impl Message {
    /// Calls `each` with level, type and payload of every control message.
    ///
    /// Layout of `struct cmsghdr`: length with header (a word), level (4 bytes), type (4), payload; each is padded
    /// to a word (cmsg(3)).
    fn each_control(&self, mut each: impl FnMut(i32, i32, &[u8])) {
        const WORD: usize = size_of::<usize>();
        const HEADER_LEN: usize = WORD + 8;
        let mut rest = &self.control.0[..self.control_len.min(CONTROL_LEN)];
        while let Some(length) = bytes::<WORD>(rest, 0).map(usize::from_ne_bytes) {
            let (Some(level), Some(kind)) = (bytes::<4>(rest, WORD), bytes::<4>(rest, WORD + 4)) else {
                return;
            };
            let Some(payload) = rest.get(HEADER_LEN..length) else { return };
            each(i32::from_ne_bytes(level), i32::from_ne_bytes(kind), payload);
            rest = rest.get(length.next_multiple_of(WORD)..).unwrap_or_default();
        }
    }
}

fn receive_message(fd: impl AsFd, buffer: &mut [u8], flags: i32) -> io::Result<Option<Message>> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut control = ControlBuffer([0; CONTROL_LEN]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is plain data for which all zeros is a valid value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = storage.as_mut_ptr().cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_LEN as _;
    let got = loop {
        // SAFETY: every pointer in `header` names a buffer of the length beside it that lives during the call.
        let got =
            unsafe { libc::recvmsg(fd.as_fd().as_raw_fd(), &raw mut header, flags | libc::MSG_DONTWAIT) };
        if let Ok(len) = usize::try_from(got) {
            break len;
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Ok(None),
            _ => return Err(error),
        }
    };
    // SAFETY: the storage was zeroed, and every bit pattern is a valid byte.
    let name = unsafe {
        std::slice::from_raw_parts(storage.as_ptr().cast::<u8>(), size_of::<libc::sockaddr_storage>())
    };
    let from = name.get(..header.msg_namelen as usize).and_then(socket_address);
    let control_len = header.msg_controllen as usize;
    Ok(Some(Message { len: got, flags: header.msg_flags, from, control, control_len }))
}

/// Reads `struct sockaddr_in` (family, port, address) or `sockaddr_in6` (family, port, flow, address, scope).
fn socket_address(raw: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(bytes::<2>(raw, 0)?));
    let port = u16::from_be_bytes(bytes::<2>(raw, 2)?);
    match family {
        libc::AF_INET => Some(SocketAddr::new(IpAddr::V4(bytes::<4>(raw, 4)?.into()), port)),
        libc::AF_INET6 => {
            let scope = u32::from_ne_bytes(bytes::<4>(raw, 24)?);
            Some(SocketAddrV6::new(bytes::<16>(raw, 8)?.into(), port, 0, scope).into())
        }
        _ => None,
    }
}

/// An address as the kernel reads it, and its length.
fn address_storage(address: SocketAddr) -> ([u64; 4], libc::socklen_t) {
    let mut raw = [0u8; 32];
    raw[2..4].copy_from_slice(&address.port().to_be_bytes());
    let (family, length) = match address {
        SocketAddr::V4(v4) => {
            raw[4..8].copy_from_slice(&v4.ip().octets());
            (libc::AF_INET, size_of::<libc::sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            raw[8..24].copy_from_slice(&v6.ip().octets());
            raw[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (libc::AF_INET6, size_of::<libc::sockaddr_in6>())
        }
    };
    raw[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    let word = |at: usize| u64::from_ne_bytes(bytes::<8>(&raw, at).unwrap_or_default());
    ([word(0), word(8), word(16), word(24)], length as libc::socklen_t)
}

fn int(payload: &[u8]) -> Option<i32> {
    bytes::<4>(payload, 0).map(i32::from_ne_bytes)
}

fn bytes<const N: usize>(payload: &[u8], at: usize) -> Option<[u8; N]> {
    payload.get(at..at + N)?.try_into().ok()
}

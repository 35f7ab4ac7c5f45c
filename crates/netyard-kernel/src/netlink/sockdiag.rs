//! The sockets that wait for others in a network namespace.
//!
//! ```text
//! struct inet_diag_req_v2: | family (1) | protocol (1) | extensions (1) | pad (1) | states (4) | sockid (48) |
//! struct inet_diag_msg:    | family (1) | state (1) | timer (1) | retrans (1) | sockid (48) | expires (4) |
//!                          | rqueue (4) | wqueue (4) | uid (4) | inode (4) |   then attributes
//! sockid: | source port (2) | destination port (2) | source (16) | destination (16) | ifindex (4) | cookie (8) |
//! ```
//!
//! Ports and addresses in network order. Source: linux/inet_diag.h, sock_diag(7), ss(8).

use super::{Attributes, Messages, Refusal, Socket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket that anyone may send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listener {
    /// TCP, listening, or UDP, not connected.
    pub transport: Transport,
    /// The address that it is bound to, unspecified for any, and its port.
    pub address: SocketAddr,
    /// Whether it takes IPv6 only: false for one bound to `::` that takes IPv4 as well.
    pub is_v6_only: bool,
    /// The link that it is bound to (`SO_BINDTODEVICE`).
    pub ifindex: Option<u32>,
    /// The user who made it, as the user namespace of the asking process numbers users.
    pub uid: u32,
    /// Its inode, as in `/proc/PID/fd`: `socket:[INODE]`.
    pub inode: u32,
}

/// The transport protocols that have listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl Transport {
    fn protocol(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// The mask of states that are waiting (include/net/tcp_states.h): a UDP socket without a peer counts as closed.
    fn waiting(self) -> u32 {
        const TCP_CLOSE: u32 = 7;
        const TCP_LISTEN: u32 = 10;
        match self {
            Self::Tcp => 1 << TCP_LISTEN,
            Self::Udp => 1 << TCP_CLOSE,
        }
    }
}

/// Bytes of `struct inet_diag_sockid` and `struct inet_diag_msg`.
const SOCKID_LEN: usize = 48;
const ANSWER_LEN: usize = 72;

/// Reads the listening TCP and unconnected UDP sockets of the socket's network namespace (a socket of
/// `Protocol::SockDiag`), IPv4 and IPv6, in the order of protocol and port. Same as `ss -Htuln`.
///
/// ```no_run
/// use netyard_kernel::netlink::{Protocol, Socket, sockdiag};
/// for listener in sockdiag::listeners(&mut Socket::open(Protocol::SockDiag)?)? {
///     println!("{:?} {}", listener.transport, listener.address);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// `ENOENT` when the kernel cannot tell (no `CONFIG_INET_DIAG` or `CONFIG_INET_UDP_DIAG`).
pub fn listeners(socket: &mut Socket) -> Result<Vec<Listener>, Refusal> {
    const FAMILIES: [i32; 2] = [libc::AF_INET, libc::AF_INET6];
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    let mut found = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp] {
        for family in FAMILIES {
            let family = u8::try_from(family).expect("AF_INET and AF_INET6 are small");
            let mut request = [0; 8 + SOCKID_LEN];
            request[..2].copy_from_slice(&[family, transport.protocol()]);
            request[4..8].copy_from_slice(&transport.waiting().to_ne_bytes());
            let mut messages = Messages::new();
            messages.begin(SOCK_DIAG_BY_FAMILY, 0, &request);
            socket.dump(&mut messages, |_, payload| found.extend(parse(transport, payload)))?;
        }
    }
    found.sort_by_key(|l| (l.transport, l.address.port(), l.address.ip(), l.inode));
    Ok(found)
}

fn parse(transport: Transport, answer: &[u8]) -> Option<Listener> {
    /// `INET_DIAG_SKV6ONLY`
    const V6_ONLY: u16 = 11;
    let fixed = answer.get(..ANSWER_LEN)?;
    let word = |at: usize| u32::from_ne_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let port = u16::from_be_bytes([fixed[4], fixed[5]]);
    let address: IpAddr = if i32::from(fixed[0]) == libc::AF_INET {
        Ipv4Addr::from(<[u8; 4]>::try_from(&fixed[8..12]).ok()?).into()
    } else {
        Ipv6Addr::from(<[u8; 16]>::try_from(&fixed[8..24]).ok()?).into()
    };
    Some(Listener {
        transport,
        address: SocketAddr::new(address, port),
        is_v6_only: Attributes(&answer[ANSWER_LEN..]).u8(V6_ONLY) == Some(1),
        ifindex: Some(word(40)).filter(|index| *index != 0),
        uid: word(64),
        inode: word(68),
    })
}

//! Probes: one question to the network each, asked from inside a node by a socket that was made there.
//!
//! A socket stays in the network namespace where it was created, so a probe runs wherever its caller is: the holder
//! makes the socket in the node and passes it over ([`NodeSockets`]).
//!
//! A probe gives what it learned, or a [`Miss`]: the network answered otherwise, with the reason in words.

mod bound;
pub mod dns;
pub mod frr;
pub mod http;
pub mod matrix;
mod miss;
pub mod neighbour;
pub mod path;
pub mod ping;
pub mod raw_echo;
pub mod route;
mod rtnetlink;
pub mod tcp;
pub mod throughput;
pub mod udp;
mod wait;
pub mod witness;

pub use bound::Bound;
pub use miss::Miss;

use netyard_core::frr::Daemon;
use netyard_core::name::NodeName;
use netyard_kernel::socket::Family;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, ipproto, netlink, socket_with};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Makes sockets inside the network namespaces of a lab's nodes.
pub trait NodeSockets: Sync {
    /// A socket of that kind in that node, as [`SocketKind::open`] makes it there.
    ///
    /// # Errors
    /// `NotFound` for a node that does not exist; those of socket(2).
    fn socket(&self, node: &NodeName, kind: SocketKind) -> io::Result<OwnedFd>;
}

/// The kinds of socket that probes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketKind {
    /// ICMP echo without privileges (icmp(7)); `net.ipv4.ping_group_range` must hold the opener's group.
    Icmp4,
    /// ICMPv6 echo without privileges.
    Icmp6,
    /// Every ICMP packet that the node receives, with its IP header; `CAP_NET_RAW`.
    RawIcmp4,
    /// Every ICMPv6 packet that the node receives, without its IP header; `CAP_NET_RAW`.
    RawIcmp6,
    /// Every TCP segment that the node receives, with its IP header; `CAP_NET_RAW`.
    RawTcp4,
    /// Every TCP segment that the node receives, without its IP header; `CAP_NET_RAW`.
    RawTcp6,
    /// Every UDP datagram that the node receives, with its IP header; `CAP_NET_RAW`.
    RawUdp4,
    /// Every UDP datagram that the node receives, without its IP header; `CAP_NET_RAW`.
    RawUdp6,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp4,
    /// UDP over IPv6.
    Udp6,
    /// rtnetlink; deleting neighbour entries takes `CAP_NET_ADMIN`.
    Route,
    /// Listening sockets (sock_diag(7)).
    SockDiag,
    /// Connection tracking; `CAP_NET_ADMIN`.
    Netfilter,
    /// A connection to a daemon of FRR, for its commands; of full nodes, where the daemon runs.
    Frr(Daemon),
}

impl SocketKind {
    /// Opens it in the network namespace of the calling thread, closed on exec.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn open(self) -> io::Result<OwnedFd> {
        let (family, kind, protocol): (_, _, Option<Protocol>) = match self {
            Self::Icmp4 => (AddressFamily::INET, SocketType::DGRAM, Some(ipproto::ICMP)),
            Self::Icmp6 => (AddressFamily::INET6, SocketType::DGRAM, Some(ipproto::ICMPV6)),
            Self::RawIcmp4 => (AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)),
            Self::RawIcmp6 => (AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)),
            Self::RawTcp4 => (AddressFamily::INET, SocketType::RAW, Some(ipproto::TCP)),
            Self::RawTcp6 => (AddressFamily::INET6, SocketType::RAW, Some(ipproto::TCP)),
            Self::RawUdp4 => (AddressFamily::INET, SocketType::RAW, Some(ipproto::UDP)),
            Self::RawUdp6 => (AddressFamily::INET6, SocketType::RAW, Some(ipproto::UDP)),
            Self::Tcp4 => (AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP)),
            Self::Tcp6 => (AddressFamily::INET6, SocketType::STREAM, Some(ipproto::TCP)),
            Self::Udp4 => (AddressFamily::INET, SocketType::DGRAM, Some(ipproto::UDP)),
            Self::Udp6 => (AddressFamily::INET6, SocketType::DGRAM, Some(ipproto::UDP)),
            // Protocol 0 of this family is NETLINK_ROUTE (linux/netlink.h).
            Self::Route => (AddressFamily::NETLINK, SocketType::RAW, None),
            Self::SockDiag => (AddressFamily::NETLINK, SocketType::RAW, Some(netlink::SOCK_DIAG)),
            Self::Netfilter => (AddressFamily::NETLINK, SocketType::RAW, Some(netlink::NETFILTER)),
            Self::Frr(daemon) => {
                return std::os::unix::net::UnixStream::connect(daemon.socket()).map(OwnedFd::from);
            }
        };
        Ok(socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
    }

    /// The ICMP echo socket for an address.
    #[must_use]
    pub fn icmp(to: IpAddr) -> Self {
        if to.is_ipv6() { Self::Icmp6 } else { Self::Icmp4 }
    }

    /// The TCP socket for an address.
    #[must_use]
    pub fn tcp(to: IpAddr) -> Self {
        if to.is_ipv6() { Self::Tcp6 } else { Self::Tcp4 }
    }

    /// The UDP socket for an address.
    #[must_use]
    pub fn udp(to: IpAddr) -> Self {
        if to.is_ipv6() { Self::Udp6 } else { Self::Udp4 }
    }
}

/// How long a probe waits before it calls silence silence.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// Time without any sign after which a probe ends.
    pub silence: Duration,
    /// The longest time that it waits while `is_undecided` says that a verdict is still to come.
    pub verdict: Duration,
    /// Whether somebody in the lab still waits for an answer to ARP or neighbour discovery.
    ///
    /// The kernel asks three times, a second apart, before it says "host unreachable"; until then an unanswered
    /// packet cannot be told from a lost one.
    pub is_undecided: Option<&'a (dyn Fn() -> bool + Sync)>,
}

impl Patience<'_> {
    /// Time in which the kernel decides that ARP is not answered: 3 x 1 s (`mcast_solicit`, `retrans_time_ms`), and
    /// a margin.
    pub const VERDICT: Duration = Duration::from_millis(3_600);

    /// Waits this long and no longer.
    #[must_use]
    pub const fn of(silence: Duration) -> Self {
        Self { silence, verdict: silence, is_undecided: None }
    }
}

impl Default for Patience<'_> {
    /// One second.
    fn default() -> Self {
        Self::of(Duration::from_secs(1))
    }
}

/// Opens a socket in a node, or says why a probe cannot be made.
fn open(sockets: &dyn NodeSockets, node: &NodeName, kind: SocketKind) -> Result<OwnedFd, Miss> {
    sockets.socket(node, kind).map_err(|error| {
        let hint = match (kind, error.kind()) {
            (SocketKind::Icmp4 | SocketKind::Icmp6, io::ErrorKind::PermissionDenied) => {
                "; net.ipv4.ping_group_range of the node does not allow it"
            }
            _ => "",
        };
        Miss::Impossible { detail: format!("cannot open a {kind:?} socket in {node}: {error}{hint}") }
    })
}

fn family(address: IpAddr) -> Family {
    Family::of(address)
}

//! The connections that a network namespace tracks, and how NAT rewrites them.
//!
//! ```text
//! struct nfgenmsg: | family (1) | version 0 (1) | resource id (2) |   then attributes, numbers in network order
//! ```
//!
//! Source: linux/netfilter/nfnetlink_conntrack.h, linux/netfilter/nf_conntrack_common.h, conntrack(8).

use super::{Attributes, Messages, Refusal, Socket};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One tracked connection. `Display` is as `conntrack -L` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    /// The number by which nf_tables traces name it too (`ct id`).
    pub id: u32,
    /// The IANA protocol number.
    pub protocol: u8,
    /// The first packet as it came.
    pub original: Tuple,
    /// What an answer must look like: not the mirror image of `original` where NAT rewrites.
    pub reply: Tuple,
    /// What is known of it.
    pub status: Status,
    /// Seconds until it is forgotten; none in a message about its end.
    pub timeout_s: Option<u32>,
    /// Where its TCP handshake stands.
    pub tcp_state: Option<TcpState>,
    /// `ct mark`.
    pub mark: u32,
    /// `ct zone`.
    pub zone: u16,
}

/// Addresses and ports of packets in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// What tells connections between the same two addresses apart.
    pub detail: Detail,
}

/// What a transport protocol adds to the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Detail {
    /// TCP, UDP and their kin.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP and ICMPv6.
    Icmp {
        /// Identifier of an echo.
        id: u16,
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Nothing.
    None,
}

/// The bits of `IPS_*` (linux/netfilter/nf_conntrack_common.h).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

impl Status {
    /// Packets went both ways.
    #[must_use]
    pub fn has_seen_reply(self) -> bool {
        self.0 & 1 << 1 != 0
    }

    /// It is not forgotten early when the table is full.
    #[must_use]
    pub fn is_assured(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// Its first packet has left this namespace.
    #[must_use]
    pub fn is_confirmed(self) -> bool {
        self.0 & 1 << 3 != 0
    }

    /// The source is rewritten (snat, masquerade).
    #[must_use]
    pub fn has_snat(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    /// The destination is rewritten (dnat, redirect).
    #[must_use]
    pub fn has_dnat(self) -> bool {
        self.0 & 1 << 5 != 0
    }
}

/// `enum tcp_conntrack` (linux/netfilter/nf_conntrack_tcp.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpState {
    /// Nothing yet.
    None,
    /// SYN seen.
    SynSent,
    /// SYN and ACK seen.
    SynReceived,
    /// Handshake complete.
    Established,
    /// FIN seen.
    FinWait,
    /// The other side may still send.
    CloseWait,
    /// FIN of the other side seen.
    LastAck,
    /// Both are done.
    TimeWait,
    /// RST seen.
    Close,
    /// SYN from both sides.
    SynSent2,
}

impl TcpState {
    fn from_number(number: u8) -> Option<Self> {
        let states = [
            Self::None,
            Self::SynSent,
            Self::SynReceived,
            Self::Established,
            Self::FinWait,
            Self::CloseWait,
            Self::LastAck,
            Self::TimeWait,
            Self::Close,
            Self::SynSent2,
        ];
        states.get(usize::from(number)).copied()
    }
}

/// Bytes of `struct nfgenmsg`.
const NFGENMSG_LEN: usize = 4;

/// Reads the tracked connections of the socket's network namespace (a socket of `Protocol::Netfilter`).
///
/// Looking does not switch tracking on. It takes about 10 ms with 262,144 buckets (`net.netfilter.nf_conntrack_buckets`),
/// even without entries: all namespaces share one table, which is walked. The table goes on changing meanwhile: a connection may be missing or be told of
/// twice. Same as `conntrack -L`.
///
/// ```no_run
/// use netyard_kernel::netlink::{Protocol, Socket, conntrack};
/// for connection in conntrack::list(&mut Socket::open(Protocol::Netfilter)?)? {
///     println!("{connection}");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the namespace; `EINVAL` or `EOPNOTSUPP` when the kernel has no ctnetlink.
pub fn list(socket: &mut Socket) -> Result<Vec<Connection>, Refusal> {
    /// `NFNL_SUBSYS_CTNETLINK`, `IPCTNL_MSG_CT_GET`.
    const GET: u16 = 1 << 8 | 1;
    let mut messages = Messages::new();
    messages.begin(GET, 0, &[0; NFGENMSG_LEN]);
    let mut connections = Vec::new();
    socket.dump(&mut messages, |_, payload| connections.extend(parse(payload)))?;
    Ok(connections)
}

/// The connection in the payload of an answer or of an event; none when it has no tuples.
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Connection> {
    const CTA_TUPLE_ORIG: u16 = 1;
    const CTA_TUPLE_REPLY: u16 = 2;
    const CTA_STATUS: u16 = 3;
    const CTA_PROTOINFO: u16 = 4;
    const CTA_TIMEOUT: u16 = 7;
    const CTA_MARK: u16 = 8;
    const CTA_ID: u16 = 12;
    const CTA_ZONE: u16 = 18;
    const CTA_PROTOINFO_TCP: u16 = 1;
    const CTA_PROTOINFO_TCP_STATE: u16 = 1;
    let attributes = Attributes(payload.get(NFGENMSG_LEN..)?);
    let (protocol, original) = tuple(attributes.nested(CTA_TUPLE_ORIG))?;
    let (_, reply) = tuple(attributes.nested(CTA_TUPLE_REPLY))?;
    let tcp = attributes.nested(CTA_PROTOINFO).nested(CTA_PROTOINFO_TCP);
    Some(Connection {
        id: attributes.be32(CTA_ID).unwrap_or(0),
        protocol,
        original,
        reply,
        status: Status(attributes.be32(CTA_STATUS).unwrap_or(0)),
        timeout_s: attributes.be32(CTA_TIMEOUT),
        tcp_state: tcp.u8(CTA_PROTOINFO_TCP_STATE).and_then(TcpState::from_number),
        mark: attributes.be32(CTA_MARK).unwrap_or(0),
        zone: attributes.u16(CTA_ZONE).map_or(0, u16::from_be),
    })
}

/// Protocol and tuple of `CTA_TUPLE_ORIG` or `CTA_TUPLE_REPLY`.
fn tuple(attributes: Attributes<'_>) -> Option<(u8, Tuple)> {
    const CTA_TUPLE_IP: u16 = 1;
    const CTA_TUPLE_PROTO: u16 = 2;
    const CTA_PROTO_NUM: u16 = 1;
    let ip = attributes.nested(CTA_TUPLE_IP);
    let proto = attributes.nested(CTA_TUPLE_PROTO);
    let tuple = Tuple { source: address(ip, 1, 3)?, destination: address(ip, 2, 4)?, detail: detail(proto) };
    Some((proto.u8(CTA_PROTO_NUM)?, tuple))
}

/// The address in the attribute of its family (`CTA_IP_V4_*`, `CTA_IP_V6_*`).
fn address(attributes: Attributes<'_>, v4: u16, v6: u16) -> Option<IpAddr> {
    if let Some(octets) = attributes.get(v4) {
        return Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(attributes.get(v6)?).ok()?).into())
}

fn detail(attributes: Attributes<'_>) -> Detail {
    const CTA_PROTO_SRC_PORT: u16 = 2;
    const CTA_PROTO_DST_PORT: u16 = 3;
    /// `CTA_PROTO_ICMP_ID`, `CTA_PROTO_ICMPV6_ID`; type and code follow each.
    const ICMP_IDS: [u16; 2] = [4, 7];
    let number = |kind: u16| attributes.u16(kind).map(u16::from_be);
    if let (Some(source), Some(destination)) = (number(CTA_PROTO_SRC_PORT), number(CTA_PROTO_DST_PORT)) {
        return Detail::Ports { source, destination };
    }
    let icmp = |at: u16| {
        Some(Detail::Icmp { id: number(at)?, kind: attributes.u8(at + 1)?, code: attributes.u8(at + 2)? })
    };
    ICMP_IDS.into_iter().find_map(icmp).unwrap_or(Detail::None)
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            1 => f.write_str("icmp")?,
            6 => f.write_str("tcp")?,
            17 => f.write_str("udp")?,
            58 => f.write_str("icmpv6")?,
            other => write!(f, "{other}")?,
        }
        if let Some(timeout_s) = self.timeout_s {
            write!(f, " {timeout_s}")?;
        }
        if let Some(state) = self.tcp_state {
            write!(f, " {state}")?;
        }
        write!(f, " {}", self.original)?;
        if !self.status.has_seen_reply() {
            f.write_str(" [UNREPLIED]")?;
        }
        write!(f, " {}", self.reply)?;
        if self.status.is_assured() { f.write_str(" [ASSURED]") } else { Ok(()) }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src={} dst={}", self.source, self.destination)?;
        match self.detail {
            Detail::Ports { source, destination } => write!(f, " sport={source} dport={destination}"),
            Detail::Icmp { id, kind, code } => write!(f, " type={kind} code={code} id={id}"),
            Detail::None => Ok(()),
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "NONE",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::SynSent2 => "SYN_SENT2",
        })
    }
}

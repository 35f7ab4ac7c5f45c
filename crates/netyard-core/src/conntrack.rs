//! Tracked connections and how NAT rewrites them, as data.
//!
//! Source: linux/netfilter/nf_conntrack_common.h, linux/netfilter/nf_conntrack_tcp.h, conntrack(8).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// One tracked connection. `Display` is as `conntrack -L` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// What tells connections between the same two addresses apart.
    pub detail: Detail,
}

impl Tuple {
    /// The tuple of what would be sent back to this, were there no NAT.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { source: self.destination, destination: self.source, detail: self.detail.mirrored() }
    }
}

impl Detail {
    fn mirrored(self) -> Self {
        match self {
            Self::Ports { source, destination } => Self::Ports { source: destination, destination: source },
            Self::Icmp { id, kind, code } => Self::Icmp { id, kind: answer_to(kind), code },
            Self::None => Self::None,
        }
    }
}

/// Requests of ICMP and ICMPv6 and their answers (net/netfilter/nf_conntrack_proto_icmp.c `invmap`).
fn answer_to(kind: u8) -> u8 {
    const PAIRS: [(u8, u8); 6] = [(8, 0), (13, 14), (15, 16), (17, 18), (128, 129), (139, 140)];
    PAIRS
        .into_iter()
        .find_map(|(request, answer)| match kind {
            _ if kind == request => Some(answer),
            _ if kind == answer => Some(request),
            _ => None,
        })
        .unwrap_or(kind)
}

/// What a transport protocol adds to the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The state of a number of the kernel.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
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

//! The packet that is followed.

use super::field;
use crate::journey::Endpoints;
use crate::nft::Protocol;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// What a conversation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// Echo request and reply.
    Icmp,
    /// A TCP connection to a port.
    Tcp(u16),
    /// A UDP datagram to a port.
    Udp(u16),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Icmp => f.write_str("icmp"),
            Self::Tcp(port) => write!(f, "tcp:{port}"),
            Self::Udp(port) => write!(f, "udp:{port}"),
        }
    }
}

/// The source port that a conversation is thought to have: one of those that the kernel gives out
/// (`net.ipv4.ip_local_port_range`).
pub const SOURCE_PORT: u16 = 40_000;

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// What it carries.
    pub content: Content,
    /// TTL or hop limit.
    pub ttl: u8,
    /// What connection tracking makes of it.
    pub ct: Ct,
    /// Whether its destination was rewritten here.
    pub has_dnat: bool,
    /// What marks it here.
    pub marks: Marks,
}

/// Marks, which the kernel keeps beside a packet in one namespace (`meta mark`, `ct mark`); none where one is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marks {
    /// That of the packet, by which routes may be chosen.
    pub packet: Option<u32>,
    /// That of its connection.
    pub connection: Option<u32>,
}

impl Marks {
    /// Nothing is marked.
    pub const NONE: Self = Self { packet: Some(0), connection: Some(0) };

    /// What they become by a statement in the words of nft(8), `meta mark set 0x1`; none where it is no such one.
    #[must_use]
    pub fn set(self, words: &str) -> Option<Self> {
        if let Some(value) = words.strip_prefix("meta mark set ") {
            return Some(Self { packet: self.value(value), ..self });
        }
        let value = words.strip_prefix("ct mark set ")?;
        Some(Self { connection: self.value(value), ..self })
    }

    /// `0x1`, `ct mark`, `(meta mark & 0xff) ^ 0x1`; none for what is not understood.
    fn value(self, words: &str) -> Option<u32> {
        let number = |word: &str| field::number(word.trim()).and_then(|number| u32::try_from(number).ok());
        if let Some((masked, xor)) = words.strip_prefix('(').and_then(|rest| rest.split_once(") ^ ")) {
            let (value, mask) = masked.split_once(" & ")?;
            return Some(self.value(value)? & number(mask)? ^ number(xor)?);
        }
        match words {
            "meta mark" => self.packet,
            "ct mark" => self.connection,
            other => number(other),
        }
    }

    /// What is known where they are these or others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let same = |one: Option<u32>, other| one.filter(|_| one == other);
        Self { packet: same(self.packet, other.packet), connection: same(self.connection, other.connection) }
    }
}

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// ICMP or ICMPv6 of this type.
    Icmp(u8),
    /// TCP: source and destination port, and whether it is a SYN without ACK.
    Tcp(u16, u16, bool),
    /// UDP: source and destination port.
    Udp(u16, u16),
    /// ARP, which is not IP: source and destination are who asks and who is asked for.
    Arp,
}

/// What connection tracking makes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ct {
    /// The first of a connection.
    New,
    /// An answer.
    Established,
    /// An answer to what was never seen here.
    Invalid,
    /// Not tracked: ARP and neighbour discovery.
    Untracked,
}

impl Packet {
    /// The first packet of a conversation.
    #[must_use]
    pub fn first(source: IpAddr, destination: IpAddr, about: About) -> Self {
        let content = match about {
            About::Icmp if destination.is_ipv6() => Content::Icmp(128),
            About::Icmp => Content::Icmp(8),
            About::Tcp(port) => Content::Tcp(SOURCE_PORT, port, true),
            About::Udp(port) => Content::Udp(SOURCE_PORT, port),
        };
        Self { source, destination, content, ttl: 64, ct: Ct::New, has_dnat: false, marks: Marks::NONE }
    }

    /// The answer to it.
    #[must_use]
    pub fn answer(&self) -> Self {
        let content = match self.content {
            Content::Icmp(128) => Content::Icmp(129),
            Content::Icmp(8) => Content::Icmp(0),
            Content::Icmp(135) => Content::Icmp(136),
            Content::Tcp(from, to, _) => Content::Tcp(to, from, false),
            Content::Udp(from, to) => Content::Udp(to, from),
            other => other,
        };
        let (source, destination) = (self.destination, self.source);
        Self {
            source,
            destination,
            content,
            ttl: 64,
            ct: Ct::Established,
            has_dnat: false,
            marks: Marks::NONE,
        }
    }

    /// The transport protocol; none for what is not IP.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        match self.content {
            Content::Icmp(_) if self.destination.is_ipv6() => Some(Protocol::Icmpv6),
            Content::Icmp(_) => Some(Protocol::Icmp),
            Content::Tcp(..) => Some(Protocol::Tcp),
            Content::Udp(..) => Some(Protocol::Udp),
            Content::Arp => None,
        }
    }

    /// Source and destination port.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self.content {
            Content::Tcp(from, to, _) | Content::Udp(from, to) => Some((from, to)),
            Content::Icmp(_) | Content::Arp => None,
        }
    }

    /// The same packet to another port.
    #[must_use]
    pub fn with_ports(self, from: u16, to: u16) -> Self {
        let content = match self.content {
            Content::Tcp(_, _, is_first) => Content::Tcp(from, to, is_first),
            Content::Udp(..) => Content::Udp(from, to),
            other => other,
        };
        Self { content, ..self }
    }

    /// Whether it is IP.
    #[must_use]
    pub fn is_ip(&self) -> bool {
        self.content != Content::Arp
    }

    /// Addresses and ports.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        let ports = self.ports();
        Endpoints {
            source: self.source,
            source_port: ports.map(|(from, _)| from),
            destination: self.destination,
            destination_port: ports.map(|(_, to)| to),
        }
    }

    /// `ICMP echo request`, `TCP SYN to port 80`.
    #[must_use]
    pub fn title(&self) -> String {
        match self.content {
            Content::Icmp(8 | 128) => "ICMP echo request".to_owned(),
            Content::Icmp(0 | 129) => "ICMP echo reply".to_owned(),
            Content::Icmp(135) => "neighbour solicitation".to_owned(),
            Content::Icmp(136) => "neighbour advertisement".to_owned(),
            Content::Icmp(kind) => format!("ICMP type {kind}"),
            Content::Tcp(_, to, true) => format!("TCP SYN to port {to}"),
            Content::Tcp(from, _, false) => format!("TCP answer from port {from}"),
            Content::Udp(_, to) if self.ct == Ct::New => format!("UDP datagram to port {to}"),
            Content::Udp(from, _) => format!("UDP answer from port {from}"),
            Content::Arp => "ARP".to_owned(),
        }
    }
}

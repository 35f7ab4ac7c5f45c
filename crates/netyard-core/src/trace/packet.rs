//! What a captured frame says, as far as following it from place to place needs.

use crate::journey::{Endpoints, Headers};
use crate::mac::Mac;
use crate::packet::{Arp, Frame, IPV4, IPV6, IcmpKind, Ip, TcpFlags};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

/// Bytes of a payload that tell packets apart. More may not have been captured inside of a tunnel.
const PAYLOAD_TOLD: usize = 64;
/// Bytes of a payload after a header of 8 bytes that a rule trace holds (net/netfilter/nf_tables_trace.c,
/// `NFT_TRACETYPE_TRANSPORT_HSIZE` 20).
const PAYLOAD_TRACED: usize = 12;
/// IANA numbers of IPv4 and IPv6 inside of IP.
const IPIP: u8 = 4;
const SIT: u8 = 41;

/// A packet as it was seen somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// What its headers say.
    pub headers: Headers,
    /// What it is.
    pub kind: Kind,
    /// Identification: of IPv4, or of a fragment of IPv6. None where there is none, and where it is 0.
    pub id: Option<u32>,
    /// The part of a datagram that it is.
    pub fragment: Option<Fragment>,
    /// The packet that it carries, where it is one of a tunnel.
    pub inner: Option<Box<Packet>>,
    /// A hash of what no router and no translation of addresses changes.
    pub key: u64,
    /// The same of what a rule trace tells too.
    pub brief: u64,
    /// A hash of all that stays on the way between two links, TTL and addresses included.
    pub whole: u64,
}

/// What a packet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A question or an answer of ARP.
    Arp {
        /// Whether it answers.
        is_reply: bool,
        /// The Ethernet address that it tells.
        mac: Mac,
    },
    /// A question or an answer of neighbour discovery.
    Neighbour {
        /// Whether it answers.
        is_reply: bool,
        /// The address that it is about.
        target: Ipv6Addr,
        /// The Ethernet address that it tells.
        mac: Option<Mac>,
    },
    /// An echo request or reply.
    Echo {
        /// Whether it answers.
        is_reply: bool,
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
    },
    /// A segment of TCP.
    Tcp {
        /// The flags byte of its header.
        flags: u8,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Bytes of payload.
        len: u32,
    },
    /// A datagram of UDP.
    Udp {
        /// Bytes of payload.
        len: u32,
    },
    /// An error of ICMP or ICMPv6 about another packet.
    Error {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The MTU that it tells.
        mtu: Option<u32>,
        /// The packet that it is about.
        about: Option<Quoted>,
    },
    /// Anything else, by its IANA number.
    Other(u8),
}

/// A packet in an error of ICMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Addresses and ports.
    pub endpoints: Endpoints,
    /// IANA number of its transport protocol.
    pub protocol: u8,
    /// Identification of IPv4, unless 0.
    pub id: Option<u32>,
    /// Sequence number of an echo, and whether it is a reply.
    pub echo: Option<(u16, bool)>,
}

/// A part of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Where it belongs, in bytes.
    pub offset: u16,
    /// Whether more follow.
    pub more_follow: bool,
}

impl Packet {
    /// Reads a frame. `is_vxlan` tells which UDP ports carry frames (RFC 7348).
    #[must_use]
    pub fn read(frame: &Frame<'_>, is_vxlan: &dyn Fn(u16) -> bool) -> Self {
        let mut packet = match (frame.arp(), frame.ip()) {
            (Some(arp), _) => Self::of_arp(frame, &arp),
            (_, Some(ip)) => Self::of_ip(frame, &ip, is_vxlan),
            _ => Self::bare(frame, Kind::Other(0), digest(frame.payload)),
        };
        let mut hash = DefaultHasher::new();
        let headers = &packet.headers;
        (headers.macs, headers.ethertype, headers.endpoints, headers.ttl, headers.len).hash(&mut hash);
        (packet.key, packet.id, packet.fragment.map(|f| (f.offset, f.more_follow))).hash(&mut hash);
        packet.whole = hash.finish();
        packet
    }

    fn bare(frame: &Frame<'_>, kind: Kind, key: u64) -> Self {
        let headers = Headers {
            macs: frame.macs.map(|(to, from)| (Mac(from), Mac(to))),
            ethertype: frame.ethertype,
            endpoints: None,
            protocol: None,
            ttl: None,
            len: u32::try_from(frame.len).unwrap_or(u32::MAX),
        };
        Self { headers, kind, id: None, fragment: None, inner: None, key, brief: key, whole: key }
    }

    fn of_arp(frame: &Frame<'_>, arp: &Arp) -> Self {
        let is_reply = arp.operation == 2;
        let key = hashed(&(arp.operation, arp.sender, arp.target, arp.sender_mac));
        let mut packet = Self::bare(frame, Kind::Arp { is_reply, mac: Mac(arp.sender_mac) }, key);
        packet.headers.endpoints = Some(plain_ends(arp.sender.into(), arp.target.into()));
        packet
    }

    fn of_ip(frame: &Frame<'_>, ip: &Ip<'_>, is_vxlan: &dyn Fn(u16) -> bool) -> Self {
        let kind = Kind::of(ip);
        let (key, brief) = keys(ip, &kind);
        let mut packet = Self::bare(frame, kind, key);
        packet.brief = brief;
        packet.id = (ip.id != 0).then_some(ip.id);
        packet.fragment =
            ip.is_fragment().then_some(Fragment { offset: ip.offset, more_follow: ip.more_follow });
        packet.headers.protocol = Some(ip.protocol);
        packet.headers.ttl = Some(ip.ttl);
        packet.headers.endpoints = Some(endpoints(ip, &packet.kind));
        packet.inner = inner(ip, is_vxlan).map(Box::new);
        packet
    }

    /// What the parts of one datagram have in common, also with the whole of it; none for what is never cut.
    #[must_use]
    pub fn datagram(&self) -> Option<u64> {
        self.id.map(|id| hashed(&("datagram", id, self.headers.protocol)))
    }

    /// First and last sequence number of a segment with data, the last one excluded.
    #[must_use]
    pub fn range(&self) -> Option<(u32, u32)> {
        match self.kind {
            Kind::Tcp { seq, len, .. } if len > 0 => Some((seq, seq.wrapping_add(len))),
            _ => None,
        }
    }

    /// Whether it is for all or for a group.
    #[must_use]
    pub fn is_to_many(&self) -> bool {
        self.headers.macs.is_some_and(|(_, to)| to.is_group())
            || self.headers.endpoints.is_some_and(|ends| ends.destination.is_multicast())
    }

    /// Whether nobody asked for it: what hosts tell each other without a program's wish.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        match &self.kind {
            Kind::Arp { .. } => {
                // An announcement of one's own address (RFC 5227 2.3).
                self.headers.endpoints.is_some_and(|ends| ends.source == ends.destination)
            }
            // Duplicate address detection has no source yet (RFC 4862 5.4.2).
            Kind::Neighbour { is_reply: false, .. } => {
                self.headers.endpoints.is_some_and(|ends| ends.source.is_unspecified())
            }
            Kind::Neighbour { .. } | Kind::Echo { .. } | Kind::Error { .. } | Kind::Tcp { .. } => false,
            Kind::Udp { .. } | Kind::Other(_) => self.is_to_many() || self.headers.endpoints.is_none(),
        }
    }
}

impl Kind {
    fn of(ip: &Ip<'_>) -> Self {
        let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        if let Some(segment) = ip.segment() {
            let TcpFlags(flags) = segment.flags;
            return Self::Tcp { flags, seq: segment.seq, ack: segment.ack, len: len(segment.payload_len) };
        }
        if let Some(datagram) = ip.datagram() {
            return Self::Udp { len: len(datagram.payload_len) };
        }
        let Some(icmp) = ip.icmp() else { return Self::Other(ip.protocol) };
        match icmp.kind {
            IcmpKind::Echo { is_request, id, seq, .. } => Self::Echo { is_reply: !is_request, id, seq },
            IcmpKind::Error { quoted, mtu, .. } => Self::Error {
                kind: icmp.number,
                code: icmp.code,
                mtu,
                about: quoted.as_ref().map(Quoted::of),
            },
            IcmpKind::Solicitation { target, mac } => {
                Self::Neighbour { is_reply: false, target, mac: mac.map(Mac) }
            }
            IcmpKind::Advertisement { target, mac } => {
                Self::Neighbour { is_reply: true, target, mac: mac.map(Mac) }
            }
            IcmpKind::Other => Self::Other(ip.protocol),
        }
    }
}

impl Quoted {
    fn of(ip: &Ip<'_>) -> Self {
        let mut ends = plain_ends(ip.from, ip.to);
        if let Some((source, destination)) = ip.ports() {
            ends.source_port = Some(source);
            ends.destination_port = Some(destination);
        }
        let mut echo = None;
        if let Some(IcmpKind::Echo { id, seq, is_request, .. }) = ip.icmp().map(|icmp| icmp.kind) {
            ends.source_port = Some(id);
            echo = Some((seq, !is_request));
        }
        Self { endpoints: ends, protocol: ip.protocol, id: (ip.id != 0).then_some(ip.id), echo }
    }
}

fn endpoints(ip: &Ip<'_>, kind: &Kind) -> Endpoints {
    let mut ends = plain_ends(ip.from, ip.to);
    if let Kind::Echo { id, .. } = kind {
        ends.source_port = Some(*id);
    } else if let Some((source, destination)) = ip.ports() {
        ends.source_port = Some(source);
        ends.destination_port = Some(destination);
    }
    ends
}

/// The hash of what stays, and that of its part in a rule trace.
fn keys(ip: &Ip<'_>, kind: &Kind) -> (u64, u64) {
    let payload = |at: usize, len: usize| {
        let bytes = ip.payload.get(at..).unwrap_or_default();
        digest(&bytes[..bytes.len().min(len)])
    };
    let head = (ip.protocol, ip.from.is_ipv4());
    let id = ip.id;
    match kind {
        // Pieces of a segment have numbers of their own, in IP as in TCP.
        Kind::Tcp { flags, seq, ack, .. } => {
            let key = hashed(&(head, seq, ack, flags & !TcpFlags::PSH));
            (key, key)
        }
        Kind::Udp { len } => {
            let both = |told| hashed(&(head, id, len, payload(8, told)));
            (both(PAYLOAD_TOLD), both(PAYLOAD_TRACED))
        }
        Kind::Echo { is_reply, seq, .. } => {
            let both = |told| hashed(&(head, id, is_reply, seq, payload(8, told)));
            (both(PAYLOAD_TOLD), both(PAYLOAD_TRACED))
        }
        // The packet in it is translated too.
        Kind::Error { kind, code, about, .. } => {
            let about = about.map(|quoted| (quoted.protocol, quoted.id, quoted.echo));
            (hashed(&(head, id, kind, code, about)), hashed(&(head, id, kind, code)))
        }
        _ => {
            let both = |told| hashed(&(head, id, ip.payload_len, payload(0, told)));
            (both(PAYLOAD_TOLD), both(PAYLOAD_TRACED + 8))
        }
    }
}

fn inner(ip: &Ip<'_>, is_vxlan: &dyn Fn(u16) -> bool) -> Option<Packet> {
    // Flags (1), reserved (3), number of the network (3), reserved (1): RFC 7348 5.
    const VXLAN_LEN: usize = 8;
    let cooked = |ethertype| Frame::cooked(ethertype, ip.payload, ip.payload_len);
    let frame = match (ip.protocol, ip.datagram()) {
        (_, Some(datagram)) if is_vxlan(datagram.to) => {
            let len = datagram.payload_len.saturating_sub(VXLAN_LEN);
            Frame::ethernet(datagram.payload.get(VXLAN_LEN..)?, len)?
        }
        (IPIP, _) => cooked(IPV4),
        (SIT, _) => cooked(IPV6),
        _ => return None,
    };
    Some(Packet::read(&frame, is_vxlan))
}

/// Two addresses without ports.
fn plain_ends(source: IpAddr, destination: IpAddr) -> Endpoints {
    Endpoints { source, source_port: None, destination, destination_port: None }
}

fn digest(bytes: &[u8]) -> u64 {
    hashed(&bytes[..bytes.len().min(PAYLOAD_TOLD)])
}

fn hashed<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash.finish()
}

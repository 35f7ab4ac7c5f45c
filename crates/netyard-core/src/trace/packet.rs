//! What a captured frame says, as far as following it from place to place needs.

use crate::journey::{Endpoints, Headers};
use crate::mac::Mac;
use crate::packet::{Arp, Frame, ICMP, ICMPV6, Ip, TCP, UDP};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

/// Bytes of a payload that tell packets apart. More may not have been captured inside of a tunnel.
const PAYLOAD_TOLD: usize = 64;
/// Bytes of a payload after a header of 8 bytes that a rule trace holds (net/netfilter/nf_tables_trace.c,
/// `NFT_TRACETYPE_TRANSPORT_HSIZE` 20).
const PAYLOAD_TRACED: usize = 12;
/// IANA number of the fragment header of IPv6 (RFC 8200 4.5).
const FRAGMENT: u8 = 44;
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
    /// Sequence number of an echo.
    pub seq: Option<u16>,
}

/// A part of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Where it belongs, in bytes.
    pub offset: u16,
    /// Whether more follow.
    pub more_follow: bool,
}

/// Flags of TCP (RFC 9293 3.1).
pub mod flag {
    /// No more data.
    pub const FIN: u8 = 0x01;
    /// A connection begins.
    pub const SYN: u8 = 0x02;
    /// A connection is refused or broken off.
    pub const RST: u8 = 0x04;
    /// Data should be handed on at once.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
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
        let transport = Transport::of(ip);
        let kind = transport.kind(ip);
        let (key, brief) = transport.keys(ip, &kind);
        let mut packet = Self::bare(frame, kind, key);
        packet.brief = brief;
        packet.id = transport.id;
        packet.fragment = transport.fragment;
        packet.headers.protocol = Some(transport.protocol);
        packet.headers.ttl = Some(ip.ttl);
        packet.headers.endpoints = Some(transport.endpoints(ip, &packet.kind));
        packet.inner = transport.inner(is_vxlan).map(Box::new);
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

/// What follows the IP header.
struct Transport<'a> {
    protocol: u8,
    bytes: &'a [u8],
    len: usize,
    fragment: Option<Fragment>,
    id: Option<u32>,
}

impl<'a> Transport<'a> {
    fn of(ip: &Ip<'a>) -> Self {
        let is_part = ip.more_follow || ip.offset > 0;
        let mut transport = Self {
            protocol: ip.protocol,
            bytes: ip.payload,
            len: ip.payload_len,
            fragment: is_part.then_some(Fragment { offset: ip.offset, more_follow: ip.more_follow }),
            id: (ip.id != 0).then_some(u32::from(ip.id)),
        };
        // | next header (1) | 0 (1) | offset in 8 bytes (13 bits), 0 (2), more (1) | identification (4) |
        if let (FRAGMENT, Some(head)) = (ip.protocol, ip.payload.get(..8)) {
            let word = u16::from_be_bytes([head[2], head[3]]);
            transport.protocol = head[0];
            transport.bytes = &ip.payload[8..];
            transport.len = ip.payload_len.saturating_sub(8);
            transport.fragment = Some(Fragment { offset: word & 0xfff8, more_follow: word & 1 == 1 });
            transport.id = Some(u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
        }
        transport
    }

    /// Whether the transport header is in it.
    fn has_header(&self) -> bool {
        self.fragment.is_none_or(|fragment| fragment.offset == 0)
    }

    fn word(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at + 2).filter(|_| self.has_header())?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn long(&self, at: usize) -> Option<u32> {
        Some(u32::from(self.word(at)?) << 16 | u32::from(self.word(at + 2)?))
    }

    fn kind(&self, ip: &Ip<'_>) -> Kind {
        let kind = match self.protocol {
            TCP => self.tcp(),
            UDP => self.word(4).map(|len| Kind::Udp { len: u32::from(len.saturating_sub(8)) }),
            ICMP | ICMPV6 => self.icmp(ip),
            _ => None,
        };
        kind.unwrap_or(Kind::Other(self.protocol))
    }

    fn tcp(&self) -> Option<Kind> {
        let offset_and_flags = self.word(12)?;
        let header_len = usize::from(offset_and_flags >> 12) * 4;
        let len = u32::try_from(self.len.saturating_sub(header_len)).unwrap_or(0);
        let [_, flags] = offset_and_flags.to_be_bytes();
        Some(Kind::Tcp { flags, seq: self.long(0)?, ack: self.long(4)?, len })
    }

    fn icmp(&self, ip: &Ip<'_>) -> Option<Kind> {
        let [kind, code] = self.word(0)?.to_be_bytes();
        let is_v6 = self.protocol == ICMPV6;
        Some(match (is_v6, kind) {
            (false, 8 | 0) | (true, 128 | 129) => Kind::Echo {
                is_reply: matches!(kind, 0 | 129),
                id: self.word(4)?,
                seq: self.word(6)?,
            },
            (false, 3 | 11 | 12) | (true, 1..=4) => {
                let mtu = match (is_v6, kind, code) {
                    (false, 3, 4) => self.word(6).map(u32::from),
                    (true, 2, _) => self.long(4),
                    _ => None,
                };
                Kind::Error { kind, code, mtu, about: self.bytes.get(8..).and_then(|b| quoted(ip, b)) }
            }
            // | type | code | checksum (2) | flags or 0 (4) | target (16) | options: type, length in 8 bytes, address
            (true, 135 | 136) => {
                let target: [u8; 16] = self.bytes.get(8..24)?.try_into().ok()?;
                let mac = self.bytes.get(24..32).filter(|option| matches!(option[..2], [1 | 2, 1]));
                let mac = mac.and_then(|option| Some(Mac(option.get(2..8)?.try_into().ok()?)));
                Kind::Neighbour { is_reply: kind == 136, target: target.into(), mac }
            }
            _ => return None,
        })
    }

    fn endpoints(&self, ip: &Ip<'_>, kind: &Kind) -> Endpoints {
        let mut ends = plain_ends(ip.from, ip.to);
        match kind {
            Kind::Echo { id, .. } => ends.source_port = Some(*id),
            Kind::Tcp { .. } | Kind::Udp { .. } => {
                ends.source_port = self.word(0);
                ends.destination_port = self.word(2);
            }
            _ => {}
        }
        ends
    }

    /// The hash of what stays, and that of its part in a rule trace.
    fn keys(&self, ip: &Ip<'_>, kind: &Kind) -> (u64, u64) {
        let payload = |at: usize, len: usize| {
            let bytes = self.bytes.get(at..).unwrap_or_default();
            digest(&bytes[..bytes.len().min(len)])
        };
        let head = (self.protocol, ip.from.is_ipv4());
        match kind {
            // Pieces of a segment have numbers of their own, in IP as in TCP.
            Kind::Tcp { flags, seq, ack, .. } => {
                let key = hashed(&(head, seq, ack, flags & !flag::PSH));
                (key, key)
            }
            Kind::Udp { len } => {
                let both = |told| hashed(&(head, self.id, len, payload(8, told)));
                (both(PAYLOAD_TOLD), both(PAYLOAD_TRACED))
            }
            Kind::Echo { is_reply, seq, .. } => {
                let both = |told| hashed(&(head, self.id, is_reply, seq, payload(8, told)));
                (both(PAYLOAD_TOLD), both(PAYLOAD_TRACED))
            }
            // The packet in it is translated too.
            Kind::Error { kind, code, about, .. } => {
                let about = about.map(|quoted| (quoted.protocol, quoted.id, quoted.seq));
                (hashed(&(head, self.id, kind, code, about)), hashed(&(head, self.id, kind, code)))
            }
            _ => {
                let both = |told| hashed(&(head, self.id, self.len, payload(0, told)));
                (both(PAYLOAD_TOLD), both(PAYLOAD_TRACED + 8))
            }
        }
    }

    fn inner(&self, is_vxlan: &dyn Fn(u16) -> bool) -> Option<Packet> {
        // VXLAN: | flags (1) | 0 (3) | network number (3) | 0 (1) |, after the header of UDP.
        const VXLAN_START: usize = 16;
        let cooked = |ethertype| Frame::cooked(ethertype, self.bytes, self.len);
        let frame = match self.protocol {
            UDP if self.word(2).is_some_and(is_vxlan) => {
                Frame::ethernet(self.bytes.get(VXLAN_START..)?, self.len.saturating_sub(VXLAN_START))?
            }
            IPIP => cooked(crate::packet::IPV4),
            SIT => cooked(crate::packet::IPV6),
            _ => return None,
        };
        Some(Packet::read(&frame, is_vxlan))
    }
}

/// The packet in an error.
fn quoted(ip: &Ip<'_>, bytes: &[u8]) -> Option<Quoted> {
    let about = if ip.from.is_ipv4() { Ip::v4(bytes)? } else { Ip::v6(bytes)? };
    let transport = Transport::of(&about);
    let mut endpoints = plain_ends(about.from, about.to);
    let mut seq = None;
    match about.protocol {
        TCP | UDP => {
            endpoints.source_port = transport.word(0);
            endpoints.destination_port = transport.word(2);
        }
        ICMP | ICMPV6 => {
            endpoints.source_port = transport.word(4);
            seq = transport.word(6);
        }
        _ => {}
    }
    Some(Quoted { endpoints, protocol: transport.protocol, id: transport.id, seq })
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

//! The layers of a captured frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ethertype of IPv4 (IEEE 802 numbers).
pub const IPV4: u16 = 0x0800;
/// Ethertype of ARP.
pub const ARP: u16 = 0x0806;
/// Ethertype of IPv6.
pub const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
/// IANA protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Of TCP.
pub const TCP: u8 = 6;
/// Of UDP.
pub const UDP: u8 = 17;
/// Of ICMPv6.
pub const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;

/// A frame as it was captured.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Destination and source address; none where the link has no header.
    pub macs: Option<([u8; 6], [u8; 6])>,
    /// The tag of IEEE 802.1Q.
    pub vlan: Option<u16>,
    /// What it carries (IEEE 802 numbers).
    pub ethertype: u16,
    /// From the network header on.
    pub payload: &'a [u8],
    /// Bytes on the wire.
    pub len: usize,
}

impl<'a> Frame<'a> {
    /// A frame with its Ethernet header; `len` bytes were on the wire.
    #[must_use]
    pub fn ethernet(bytes: &'a [u8], len: usize) -> Option<Self> {
        let mac = |at: usize| bytes.get(at..at + 6)?.try_into().ok();
        let macs = Some((mac(0)?, mac(6)?));
        let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let (vlan, ethertype, start) = match word(12)? {
            VLAN => (Some(word(14)? & 0x0fff), word(16)?, 18),
            ethertype => (None, ethertype, 14),
        };
        Some(Self { macs, vlan, ethertype, payload: &bytes[start..], len })
    }

    /// A packet without a link header.
    #[must_use]
    pub fn cooked(ethertype: u16, payload: &'a [u8], len: usize) -> Self {
        Self { macs: None, vlan: None, ethertype, payload, len }
    }

    /// The IP packet in it.
    #[must_use]
    pub fn ip(&self) -> Option<Ip<'a>> {
        match self.ethertype {
            IPV4 => Ip::v4(self.payload),
            IPV6 => Ip::v6(self.payload),
            _ => None,
        }
    }

    /// The ARP packet in it.
    #[must_use]
    pub fn arp(&self) -> Option<Arp> {
        if self.ethertype == ARP { Arp::read(self.payload) } else { None }
    }
}

/// An IP packet.
#[derive(Debug, Clone, Copy)]
pub struct Ip<'a> {
    /// Source address.
    pub from: IpAddr,
    /// Destination address.
    pub to: IpAddr,
    /// IANA number of what it carries.
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Type of service, or traffic class.
    pub tos: u8,
    /// Flow label of IPv6.
    pub flow: u32,
    /// Identification of IPv4.
    pub id: u16,
    /// Whether no router may cut it (DF).
    pub does_not_fragment: bool,
    /// Whether more fragments follow (MF).
    pub more_follow: bool,
    /// Where a fragment belongs, in bytes.
    pub offset: u16,
    /// Bytes of the packet; for IPv6 without its header.
    pub len: u16,
    /// Whether a hop-by-hop header comes first.
    pub has_options: bool,
    /// From the transport header on, as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes from there on, also those that were not captured.
    pub payload_len: usize,
}

impl<'a> Ip<'a> {
    /// Reads a packet of IPv4.
    #[must_use]
    pub fn v4(bytes: &'a [u8]) -> Option<Self> {
        let header_len = usize::from(bytes.first()? & 0x0f) * 4;
        let head = bytes.get(..20)?;
        if head[0] >> 4 != 4 || header_len < 20 {
            return None;
        }
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let address =
            |at: usize| IpAddr::V4(Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]));
        let len = word(2);
        let fragment = word(6);
        let payload_len = usize::from(len).saturating_sub(header_len);
        let payload = bytes.get(header_len..)?;
        Some(Self {
            from: address(12),
            to: address(16),
            protocol: head[9],
            ttl: head[8],
            tos: head[1],
            flow: 0,
            id: word(4),
            does_not_fragment: fragment & 0x4000 != 0,
            more_follow: fragment & 0x2000 != 0,
            offset: (fragment & 0x1fff) * 8,
            len,
            has_options: false,
            payload: &payload[..payload.len().min(payload_len)],
            payload_len,
        })
    }

    /// Reads a packet of IPv6; a hop-by-hop header is skipped.
    #[must_use]
    pub fn v6(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.get(..40)?;
        if head[0] >> 4 != 6 {
            return None;
        }
        let address =
            |at: usize| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&head[at..at + 16]).ok()?)));
        let len = u16::from_be_bytes([head[4], head[5]]);
        let mut payload = &bytes[40..];
        payload = &payload[..payload.len().min(usize::from(len))];
        let (mut protocol, mut skipped) = (head[6], 0);
        let has_options = protocol == HOP_BY_HOP;
        if has_options {
            // RFC 8200 4.3: next header, length in units of 8 bytes beyond the first.
            let (next, units) = (*payload.first()?, usize::from(*payload.get(1)?));
            skipped = 8 * (units + 1);
            payload = payload.get(skipped..)?;
            protocol = next;
        }
        Some(Self {
            from: address(8)?,
            to: address(24)?,
            protocol,
            ttl: head[7],
            tos: (head[0] & 0x0f) << 4 | head[1] >> 4,
            flow: u32::from_be_bytes([0, head[1] & 0x0f, head[2], head[3]]),
            id: 0,
            does_not_fragment: false,
            more_follow: false,
            offset: 0,
            len,
            has_options,
            payload,
            payload_len: usize::from(len).saturating_sub(skipped),
        })
    }

    /// Source and destination port of TCP and UDP.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let has_ports = matches!(self.protocol, TCP | UDP) && self.offset == 0;
        let bytes = self.payload.get(..4).filter(|_| has_ports)?;
        Some((u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]])))
    }

    /// Whether the transport checksum is right; none where it cannot be told. With what it should be.
    pub fn checksum(&self, at: usize) -> Option<(u16, u16)> {
        if self.payload.len() < self.payload_len || self.more_follow || self.offset > 0 {
            return None;
        }
        let written = u16::from_be_bytes(self.payload.get(at..at + 2)?.try_into().ok()?);
        let mut sum = u32::from(self.protocol) + u32::try_from(self.payload_len).ok()?;
        let mut add = |bytes: &[u8]| {
            for pair in bytes.chunks(2) {
                sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            }
        };
        for address in [self.from, self.to] {
            match address {
                IpAddr::V4(address) => add(&address.octets()),
                IpAddr::V6(address) => add(&address.octets()),
            }
        }
        let mut bytes = self.payload.to_vec();
        bytes[at..at + 2].fill(0);
        add(&bytes);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let [low, high, ..] = sum.to_le_bytes();
        Some((written, !u16::from_le_bytes([low, high])))
    }
}

/// An ARP packet for IPv4 over Ethernet (RFC 826).
#[derive(Debug, Clone, Copy)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Ethernet address of the sender.
    pub sender_mac: [u8; 6],
    /// Its IPv4 address.
    pub sender: Ipv4Addr,
    /// Ethernet address of the target; all zero in a question.
    pub target_mac: [u8; 6],
    /// Its IPv4 address.
    pub target: Ipv4Addr,
}

impl Arp {
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 28] = bytes.get(..28)?.try_into().ok()?;
        // Ethernet (1), IPv4, addresses of 6 and 4 bytes.
        if bytes[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let mac = |at: usize| [0, 1, 2, 3, 4, 5].map(|index| bytes[at + index]);
        let address = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        Some(Self {
            operation: u16::from_be_bytes([bytes[6], bytes[7]]),
            sender_mac: mac(8),
            sender: address(14),
            target_mac: mac(18),
            target: address(24),
        })
    }
}

/// An Ethernet address as it is written.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

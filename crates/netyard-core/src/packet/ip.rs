//! Packets of IPv4 (RFC 791) and IPv6 (RFC 8200).

use super::{EXTENSIONS, FRAGMENT, HOP_BY_HOP, Icmp, IcmpKind, TCP, UDP};
use crate::conntrack::{Detail, Tuple};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    /// Identification: 16 bits of IPv4, 32 of a fragment header of IPv6, else 0.
    pub id: u32,
    /// Whether no router may cut it (DF).
    pub does_not_fragment: bool,
    /// Whether more fragments follow (MF).
    pub more_follow: bool,
    /// Where a fragment belongs, in bytes.
    pub offset: u16,
    /// Bytes of the packet; for IPv6 without its header. More than a link takes where the kernel, or its hardware, has
    /// still to cut it into segments (GSO).
    pub len: u32,
    /// Whether a hop-by-hop header comes first.
    pub has_options: bool,
    /// From the transport header on, as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes from there on, also those that were not captured.
    pub payload_len: usize,
}

impl<'a> Ip<'a> {
    /// Reads a packet of IPv4 that may be cut short.
    #[must_use]
    pub fn v4(bytes: &'a [u8]) -> Option<Self> {
        Self::v4_of(bytes, bytes.len())
    }

    /// As [`Ip::v4`], of which `wire_len` bytes were on the wire: one above 64 KiB does not tell its length itself.
    #[must_use]
    pub(super) fn v4_of(bytes: &'a [u8], wire_len: usize) -> Option<Self> {
        let header_len = usize::from(bytes.first()? & 0x0f) * 4;
        let head = bytes.get(..20)?;
        if head[0] >> 4 != 4 || header_len < 20 {
            return None;
        }
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let address =
            |at: usize| IpAddr::V4(Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]));
        let len = match word(2) {
            0 => wire_len,
            len => usize::from(len),
        };
        let fragment = word(6);
        let payload_len = len.saturating_sub(header_len);
        let payload = bytes.get(header_len..)?;
        Some(Self {
            from: address(12),
            to: address(16),
            protocol: head[9],
            ttl: head[8],
            tos: head[1],
            flow: 0,
            id: word(4).into(),
            does_not_fragment: fragment & 0x4000 != 0,
            more_follow: fragment & 0x2000 != 0,
            offset: (fragment & 0x1fff) * 8,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            has_options: false,
            payload: &payload[..payload.len().min(payload_len)],
            payload_len,
        })
    }

    /// Reads a packet of IPv6 that may be cut short; extension headers are skipped.
    #[must_use]
    pub fn v6(bytes: &'a [u8]) -> Option<Self> {
        Self::v6_of(bytes, bytes.len())
    }

    /// As [`Ip::v6`], of which `wire_len` bytes were on the wire: one above 64 KiB does not tell its length itself.
    #[must_use]
    pub(super) fn v6_of(bytes: &'a [u8], wire_len: usize) -> Option<Self> {
        const HEADER_LEN: usize = 40;
        let head = bytes.get(..HEADER_LEN)?;
        if head[0] >> 4 != 6 {
            return None;
        }
        let address =
            |at: usize| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&head[at..at + 16]).ok()?)));
        let len = match u16::from_be_bytes([head[4], head[5]]) {
            0 => wire_len.saturating_sub(HEADER_LEN),
            len => usize::from(len),
        };
        let payload = &bytes[HEADER_LEN..];
        let mut ip = Self {
            from: address(8)?,
            to: address(24)?,
            protocol: head[6],
            ttl: head[7],
            tos: (head[0] & 0x0f) << 4 | head[1] >> 4,
            flow: u32::from_be_bytes([0, head[1] & 0x0f, head[2], head[3]]),
            id: 0,
            does_not_fragment: false,
            more_follow: false,
            offset: 0,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            has_options: head[6] == HOP_BY_HOP,
            payload: &payload[..payload.len().min(len)],
            payload_len: len,
        };
        ip.skip_extensions()?;
        Some(ip)
    }

    /// Goes on to what the extension headers are before.
    fn skip_extensions(&mut self) -> Option<()> {
        while self.offset == 0 {
            let skipped = match self.protocol {
                // RFC 8200 4.3: next header, length in units of 8 bytes beyond the first.
                number if EXTENSIONS.contains(&number) => 8 * (usize::from(*self.payload.get(1)?) + 1),
                // RFC 8200 4.5: next header, reserved, offset and flags, identification.
                FRAGMENT => {
                    let head: &[u8; 8] = self.payload.get(..8)?.try_into().ok()?;
                    let word = u16::from_be_bytes([head[2], head[3]]);
                    self.offset = word & 0xfff8;
                    self.more_follow = word & 1 != 0;
                    self.id = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                    8
                }
                _ => break,
            };
            self.protocol = *self.payload.first()?;
            self.payload = self.payload.get(skipped..)?;
            self.payload_len = self.payload_len.saturating_sub(skipped);
        }
        Some(())
    }

    /// Whether it is a part of a packet.
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.more_follow || self.offset > 0
    }

    /// What connection tracking knows it by; none for later fragments and for messages about other packets.
    #[must_use]
    pub fn tuple(&self) -> Option<Tuple> {
        if self.offset > 0 {
            return None;
        }
        let detail = match (self.ports(), self.icmp()) {
            (Some((source, destination)), _) => Detail::Ports { source, destination },
            (_, Some(Icmp { number, code, kind: IcmpKind::Echo { id, .. } })) => {
                Detail::Icmp { id, kind: number, code }
            }
            (_, None) if !matches!(self.protocol, TCP | UDP) => Detail::None,
            _ => return None,
        };
        Some(Tuple { source: self.from, destination: self.to, detail })
    }

    /// Source and destination port of TCP and UDP.
    #[must_use]
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

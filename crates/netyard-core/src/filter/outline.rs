//! What a filter needs to know of a frame: read from its bytes as the kernel does it, length fields are not believed.

use crate::packet::{ARP, Arp, EXTENSIONS, FRAGMENT, Frame, ICMP, ICMPV6, IPV4, IPV6, TCP, UDP};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where things are in a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline {
    /// IANA number of the transport protocol; none for what is not IP.
    pub(super) protocol: Option<u8>,
    /// Where its header begins, from the network header on.
    transport: usize,
    /// Whether it is a fragment without transport header.
    pub(super) is_later: bool,
}

impl Outline {
    /// None for a packet that is too short for its headers.
    pub(super) fn of(frame: &Frame<'_>) -> Option<Self> {
        let bytes = frame.payload;
        let outline = match frame.ethertype {
            IPV4 => {
                let head = bytes.get(..20)?;
                let header_len = usize::from(head[0] & 0x0f) * 4;
                if head[0] >> 4 != 4 || header_len < 20 {
                    return None;
                }
                let offset = u16::from_be_bytes([head[6], head[7]]) & 0x1fff;
                Self { protocol: Some(head[9]), transport: header_len, is_later: offset != 0 }
            }
            IPV6 => Self::of_v6(bytes)?,
            ARP if bytes.len() < 28 => return None,
            _ => return Some(Self { protocol: None, transport: 0, is_later: false }),
        };
        let needed = match outline.protocol {
            _ if outline.is_later => 0,
            Some(TCP | UDP) => 4,
            Some(ICMP | ICMPV6) => 1,
            _ => 0,
        };
        (needed == 0 || bytes.len() >= outline.transport + needed).then_some(outline)
    }

    fn of_v6(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..40)?;
        if head[0] >> 4 != 6 {
            return None;
        }
        let mut outline = Self { protocol: Some(head[6]), transport: 40, is_later: false };
        while let Some(number) = outline.protocol.filter(|_| !outline.is_later) {
            let at = outline.transport;
            let byte = |index: usize| bytes.get(at + index).copied();
            if EXTENSIONS.contains(&number) {
                outline.transport = at + 8 * (usize::from(byte(1)?) + 1);
            } else if number == FRAGMENT {
                outline.is_later = u16::from_be_bytes([byte(2)?, byte(3)?]) & 0xfff8 != 0;
                outline.transport = at + 8;
            } else {
                break;
            }
            outline.protocol = Some(byte(0)?);
        }
        Some(outline)
    }

    /// Source and destination of IP, sender and target of ARP.
    pub(super) fn addresses(&self, frame: &Frame<'_>) -> Option<(IpAddr, IpAddr)> {
        let bytes = frame.payload;
        match frame.ethertype {
            IPV4 => {
                let at = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
                Some((at(12)?.into(), at(16)?.into()))
            }
            IPV6 => {
                let at =
                    |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?));
                Some((at(8)?.into(), at(24)?.into()))
            }
            ARP => frame.arp().map(|Arp { sender, target, .. }| (sender.into(), target.into())),
            _ => None,
        }
    }

    /// Source and destination port of TCP and UDP.
    pub(super) fn ports(&self, frame: &Frame<'_>) -> Option<(u16, u16)> {
        if self.is_later || !matches!(self.protocol, Some(TCP | UDP)) {
            return None;
        }
        let bytes = frame.payload.get(self.transport..self.transport + 4)?;
        Some((u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]])))
    }

    /// Whether it is ICMPv6, and the type of the message.
    pub(super) fn icmp_type(&self, frame: &Frame<'_>) -> Option<(bool, u8)> {
        let protocol =
            self.protocol.filter(|protocol| !self.is_later && matches!(*protocol, ICMP | ICMPV6))?;
        Some((protocol == ICMPV6, *frame.payload.get(self.transport)?))
    }
}

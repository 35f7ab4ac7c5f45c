//! The layers of a captured frame: a view of its bytes, which may be cut short or broken anywhere.

mod headers;
mod icmp;
mod ip;
mod segment;
mod tunnel;
mod way;

pub use icmp::{Icmp, IcmpKind};
pub use ip::Ip;
pub use segment::{Datagram, Segment, TcpFlags};
pub use tunnel::{Tunnelled, VXLAN_PORTS};
pub use way::Way;

use std::net::Ipv4Addr;

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
/// Extension headers of IPv6 of one form (RFC 8200 4.3 to 4.6): hop by hop, routing, destination.
pub const EXTENSIONS: [u8; 3] = [HOP_BY_HOP, 43, 60];
const HOP_BY_HOP: u8 = 0;
/// The fragment header of IPv6.
pub const FRAGMENT: u8 = 44;

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
        let link_len = if self.macs.is_some() { 14 } else { 0 } + if self.vlan.is_some() { 4 } else { 0 };
        let wire_len = self.len.saturating_sub(link_len);
        match self.ethertype {
            IPV4 => Ip::v4_of(self.payload, wire_len),
            IPV6 => Ip::v6_of(self.payload, wire_len),
            _ => None,
        }
    }

    /// The ARP packet in it.
    #[must_use]
    pub fn arp(&self) -> Option<Arp> {
        if self.ethertype == ARP { Arp::read(self.payload) } else { None }
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

#[cfg(test)]
mod tests;

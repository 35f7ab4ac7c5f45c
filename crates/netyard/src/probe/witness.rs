//! The sender's address as the receiver sees it: a raw socket in the receiving node that looks for the probe's packet.
//!
//! A raw socket gets a copy of every packet that the node takes for itself, before the node answers, AnyIP addresses
//! included. Echo requests are known by the pinger's mark and UDP by its payload; TCP has nothing that address
//! translation keeps, so the first SYN to the port counts, and nobody else should connect at that moment.

use super::{Miss, NodeSockets, SocketKind, open};
use netyard_core::name::NodeName;
use netyard_kernel::socket::{self, Family};
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// By what the packet is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign<'a> {
    /// An ICMP echo request with this at the start of its payload ([`super::ping::Pinger::mark`]).
    Echo(&'a [u8]),
    /// A TCP SYN to this port.
    Syn(u16),
    /// A UDP datagram to this port that begins with this.
    Datagram(u16, &'a [u8]),
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// ICMP echo requests.
    Icmp,
    /// TCP segments.
    Tcp,
    /// UDP datagrams.
    Udp,
}

/// A raw socket in a node, opened before the packet is sent.
#[derive(Debug)]
pub struct Witness {
    fd: OwnedFd,
    family: Family,
}

impl Witness {
    /// Starts looking in a node.
    ///
    /// # Errors
    /// [`Miss::Impossible`] without `CAP_NET_RAW` in the node.
    pub fn open(
        sockets: &dyn NodeSockets,
        node: &NodeName,
        family: Family,
        transport: Transport,
    ) -> Result<Self, Miss> {
        let kind = match (transport, family) {
            (Transport::Icmp, Family::V4) => SocketKind::RawIcmp4,
            (Transport::Icmp, Family::V6) => SocketKind::RawIcmp6,
            (Transport::Tcp, Family::V4) => SocketKind::RawTcp4,
            (Transport::Tcp, Family::V6) => SocketKind::RawTcp6,
            (Transport::Udp, Family::V4) => SocketKind::RawUdp4,
            (Transport::Udp, Family::V6) => SocketKind::RawUdp6,
        };
        Ok(Self { fd: open(sockets, node, kind)?, family })
    }

    /// The source of the first packet with that sign among those that have arrived; `None` when none has it.
    #[must_use]
    pub fn source(&self, sign: Sign<'_>) -> Option<IpAddr> {
        let mut buffer = vec![0; 2048];
        loop {
            let datagram = match socket::receive(&self.fd, &mut buffer) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => return None,
                Err(_) => continue, // An error that was waiting on the socket; reading has cleared it.
            };
            let packet = &buffer[..datagram.len];
            let payload = match self.family {
                Family::V4 => after_ipv4_header(packet),
                Family::V6 => Some(packet),
            };
            if payload.is_some_and(|payload| has_sign(payload, self.family, sign)) {
                return datagram.from.map(|from| from.ip());
            }
        }
    }
}

/// The header's length in 4-byte words is in the low half of its first byte (RFC 791 3.1).
fn after_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    let words = packet.first()? & 15;
    packet.get(usize::from(words) * 4..)
}

fn has_sign(bytes: &[u8], family: Family, sign: Sign<'_>) -> bool {
    // TCP and UDP headers both begin with source port and destination port, 2 bytes each.
    let port = || bytes.get(2..4).map(|port| u16::from_be_bytes([port[0], port[1]]));
    match sign {
        Sign::Echo(mark) => {
            let request = if family == Family::V4 { 8 } else { 128 };
            bytes.first() == Some(&request) && bytes.get(8..).is_some_and(|payload| payload.starts_with(mark))
        }
        Sign::Syn(wanted) => {
            const SYN: u8 = 2;
            const ACK: u8 = 16;
            port() == Some(wanted) && bytes.get(13).is_some_and(|flags| flags & (SYN | ACK) == SYN)
        }
        Sign::Datagram(wanted, start) => {
            port() == Some(wanted) && bytes.get(8..).is_some_and(|payload| payload.starts_with(start))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_known_by_its_sign() {
        let echo = b"\x08\0\0\0\0\x01\0\x01markrest";
        assert!(has_sign(echo, Family::V4, Sign::Echo(b"mark")));
        assert!(!has_sign(echo, Family::V6, Sign::Echo(b"mark")));
        assert!(!has_sign(echo, Family::V4, Sign::Echo(b"mask")));
        let mut segment = [0; 20];
        segment[3] = 80;
        segment[13] = 2;
        assert!(has_sign(&segment, Family::V4, Sign::Syn(80)));
        segment[13] = 18;
        assert!(!has_sign(&segment, Family::V4, Sign::Syn(80)));
        assert!(has_sign(b"\x01\x01\0\x07\0\x0a\0\0hi", Family::V6, Sign::Datagram(7, b"h")));
        assert!(!has_sign(&[], Family::V4, Sign::Datagram(7, b"")));
        assert_eq!(after_ipv4_header(&[0x45; 21]), Some(&[0x45][..]));
        assert_eq!(after_ipv4_header(&[0x4f; 21]), None);
    }
}

//! Messages of ICMP (RFC 792) and ICMPv6 (RFC 4443, neighbour discovery: RFC 4861).

use super::{ICMP, ICMPV6, Ip};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A message of ICMP or ICMPv6.
#[derive(Debug, Clone, Copy)]
pub struct Icmp<'a> {
    /// Its type.
    pub number: u8,
    /// Its code.
    pub code: u8,
    /// What it says.
    pub kind: IcmpKind<'a>,
}

/// What a message says.
#[derive(Debug, Clone, Copy)]
pub enum IcmpKind<'a> {
    /// An echo is asked for, or answered.
    Echo {
        /// Whether it asks.
        is_request: bool,
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// What is to be sent back, as far as it was captured.
        payload: &'a [u8],
    },
    /// Something is wrong with a packet.
    Error {
        /// The packet, cut short; none when even its header is cut.
        quoted: Option<Ip<'a>>,
        /// The most bytes that the next link takes, in `fragmentation needed` and `packet too big`.
        mtu: Option<u32>,
        /// Whom to send to instead, in a redirect.
        gateway: Option<IpAddr>,
    },
    /// Who has this address?
    Solicitation {
        /// The address.
        target: Ipv6Addr,
        /// Ethernet address of who asks.
        mac: Option<[u8; 6]>,
    },
    /// This address is mine.
    Advertisement {
        /// The address.
        target: Ipv6Addr,
        /// Its Ethernet address.
        mac: Option<[u8; 6]>,
    },
    /// Something else.
    Other,
}

impl<'a> Ip<'a> {
    /// The message in it; none for another protocol, for a later fragment, or when its header is cut.
    #[must_use]
    pub fn icmp(&self) -> Option<Icmp<'a>> {
        if self.offset > 0 {
            return None;
        }
        let head: &[u8; 8] = self.payload.get(..8)?.try_into().ok()?;
        let (number, code) = (head[0], head[1]);
        let kind = match (self.protocol, self.from) {
            (ICMP, IpAddr::V4(_)) => v4(number, code, head, self.payload),
            (ICMPV6, IpAddr::V6(_)) => v6(number, head, self.payload),
            _ => return None,
        };
        Some(Icmp { number, code, kind })
    }
}

fn echo<'a>(is_request: bool, head: &[u8; 8], bytes: &'a [u8]) -> IcmpKind<'a> {
    let half = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    IcmpKind::Echo { is_request, id: half(4), seq: half(6), payload: &bytes[8..] }
}

fn v4<'a>(number: u8, code: u8, head: &[u8; 8], bytes: &'a [u8]) -> IcmpKind<'a> {
    let quoted = Ip::v4(&bytes[8..]);
    let mtu = (number == 3 && code == 4).then(|| u32::from(u16::from_be_bytes([head[6], head[7]])));
    match number {
        0 | 8 => echo(number == 8, head, bytes),
        3 | 4 | 11 | 12 => IcmpKind::Error { quoted, mtu: mtu.filter(|mtu| *mtu > 0), gateway: None },
        5 => {
            let gateway = Ipv4Addr::new(head[4], head[5], head[6], head[7]);
            IcmpKind::Error { quoted, mtu: None, gateway: Some(gateway.into()) }
        }
        _ => IcmpKind::Other,
    }
}

fn v6<'a>(number: u8, head: &[u8; 8], bytes: &'a [u8]) -> IcmpKind<'a> {
    /// Options of neighbour discovery: link-layer address of the source, of the target.
    const SOURCE: u8 = 1;
    const TARGET: u8 = 2;
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?));
    match number {
        128 | 129 => echo(number == 128, head, bytes),
        1..=127 => {
            let mtu = (number == 2).then(|| u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
            IcmpKind::Error { quoted: Ip::v6(&bytes[8..]), mtu, gateway: None }
        }
        135 => match address(8) {
            Some(target) => IcmpKind::Solicitation { target, mac: option(bytes, 24, SOURCE) },
            None => IcmpKind::Other,
        },
        136 => match address(8) {
            Some(target) => IcmpKind::Advertisement { target, mac: option(bytes, 24, TARGET) },
            None => IcmpKind::Other,
        },
        137 => match address(8) {
            Some(gateway) => IcmpKind::Error { quoted: None, mtu: None, gateway: Some(gateway.into()) },
            None => IcmpKind::Other,
        },
        _ => IcmpKind::Other,
    }
}

/// The Ethernet address in an option: type, length in units of 8 bytes, address (RFC 4861 4.6.1).
fn option(bytes: &[u8], mut at: usize, wanted: u8) -> Option<[u8; 6]> {
    loop {
        let (kind, units) = (*bytes.get(at)?, usize::from(*bytes.get(at + 1)?));
        if units == 0 {
            return None;
        }
        if kind == wanted {
            return bytes.get(at + 2..at + 8)?.try_into().ok();
        }
        at += 8 * units;
    }
}

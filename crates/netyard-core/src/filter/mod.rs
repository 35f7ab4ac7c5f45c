//! Filters (pcap-filter(7)): primitives with `and`, `or`, `not` and parentheses. The one language for packets: of the
//! stand-in of tcpdump, of `capture` and of `trace`.

mod expression;
mod flow;
mod instruction;
mod outline;
mod program;
pub mod service;

pub use flow::{Flow, Remote};
pub use instruction::{INSTRUCTIONS_MAX, Instruction};

use crate::packet::{ARP, Frame, ICMP, ICMPV6, IPV4, IPV6, TCP, UDP};
use ipnet::IpNet;
use outline::Outline;
use std::net::IpAddr;

/// Types of ICMP that tell of an error (RFC 792): unreachable, quench, redirect, time exceeded, parameter problem.
const ICMP_ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
/// Types of ICMPv6 that are neighbour discovery (RFC 4861), first and last.
const DISCOVERY: (u8, u8) = (133, 137);

/// Which packets are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Every one.
    All,
    /// Not these.
    Not(Box<Filter>),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One of the two.
    Or(Box<Filter>, Box<Filter>),
    /// A protocol.
    Protocol(Protocol),
    /// Addresses of IP and ARP.
    Net(Direction, IpNet),
    /// Ports of TCP and UDP, lowest and highest.
    Ports(Direction, u16, u16),
    /// An Ethernet address.
    Ether(Direction, [u8; 6]),
    /// To all of a link, or to a group.
    ToMany,
    /// A fragment that has no ports, because it is not the first.
    Fragment,
    /// An error message of ICMP or ICMPv6.
    IcmpError,
    /// Address resolution: ARP and neighbour discovery.
    Discovery,
}

/// Protocols that have a name in filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// IPv4
    Ip,
    /// IPv6
    Ip6,
    /// ARP
    Arp,
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// ICMP
    Icmp,
    /// ICMPv6
    Icmp6,
    /// Ethernet: whatever it carries.
    Ether,
}

/// Which of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `src`
    Source,
    /// `dst`
    Destination,
    /// `src or dst`
    Either,
    /// `src and dst`
    Both,
}

impl Direction {
    fn holds(self, source: bool, destination: bool) -> bool {
        match self {
            Self::Source => source,
            Self::Destination => destination,
            Self::Either => source || destination,
            Self::Both => source && destination,
        }
    }
}

impl Filter {
    /// Reads an expression; the empty one wants everything.
    ///
    /// # Errors
    /// What tcpdump says.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_with(text, |_| Vec::new())
    }

    /// As [`Filter::parse`], with names of hosts: `addresses` tells those of a name, none where there is no such host.
    ///
    /// # Errors
    /// What tcpdump says.
    pub fn parse_with(text: &str, addresses: impl Fn(&str) -> Vec<IpAddr>) -> Result<Self, String> {
        expression::parse(text, &addresses)
    }

    /// One of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::Or(Box::new(self), Box::new(other))
    }

    /// Both of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::And(Box::new(self), Box::new(other))
    }

    /// Whether the frame is wanted. One that is too short for its own headers is wanted by the empty filter only.
    #[must_use]
    pub fn admits(&self, frame: &Frame<'_>) -> bool {
        *self == Self::All || Outline::of(frame).is_some_and(|outline| self.holds(frame, &outline))
    }

    fn holds(&self, frame: &Frame<'_>, outline: &Outline) -> bool {
        let carries = |number: u8| outline.protocol == Some(number);
        match self {
            Self::All => true,
            Self::Not(other) => !other.holds(frame, outline),
            Self::And(first, second) => first.holds(frame, outline) && second.holds(frame, outline),
            Self::Or(first, second) => first.holds(frame, outline) || second.holds(frame, outline),
            Self::Protocol(protocol) => match protocol {
                Protocol::Ip => frame.ethertype == IPV4,
                Protocol::Ip6 => frame.ethertype == IPV6,
                Protocol::Arp => frame.ethertype == ARP,
                Protocol::Tcp => carries(TCP),
                Protocol::Udp => carries(UDP),
                Protocol::Icmp => frame.ethertype == IPV4 && carries(ICMP),
                Protocol::Icmp6 => frame.ethertype == IPV6 && carries(ICMPV6),
                Protocol::Ether => true,
            },
            Self::Net(direction, net) => outline
                .addresses(frame)
                .is_some_and(|(from, to)| direction.holds(net.contains(&from), net.contains(&to))),
            Self::Ports(direction, first, last) => {
                let is_in = |port: u16| (*first..=*last).contains(&port);
                outline.ports(frame).is_some_and(|(from, to)| direction.holds(is_in(from), is_in(to)))
            }
            Self::Ether(direction, mac) => {
                frame.macs.is_some_and(|(to, from)| direction.holds(from == *mac, to == *mac))
            }
            Self::ToMany => frame.macs.is_some_and(|(to, _)| to[0] & 1 != 0),
            Self::Fragment => outline.is_later,
            Self::IcmpError => outline.icmp_type(frame).is_some_and(|(is_v6, number)| {
                if is_v6 { number < 128 } else { ICMP_ERRORS.contains(&number) }
            }),
            Self::Discovery => {
                let (first, last) = DISCOVERY;
                frame.ethertype == ARP
                    || outline
                        .icmp_type(frame)
                        .is_some_and(|(is_v6, number)| is_v6 && (first..=last).contains(&number))
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod agreement;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{ICMP, TCP};

    /// An IPv4 packet with ports, from 10.0.0.1:1000 to 1.1.1.1:80.
    fn frame(protocol: u8) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        bytes.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 1, 1, 1, 1]);
        bytes.extend([3, 0xe8, 0, 80, 0, 8, 0, 0]);
        bytes
    }

    fn check(text: &str, expected: [bool; 2]) {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let admits = [TCP, ICMP].map(|protocol| {
            let bytes = frame(protocol);
            filter.admits(&Frame::ethernet(&bytes, bytes.len()).unwrap())
        });
        assert_eq!(admits, expected, "{text}: {filter:?}");
    }

    #[test]
    fn expressions_are_those_of_pcap() {
        check("", [true, true]);
        check("src or dst 1.1.1.1", [true, true]);
        check("src 1.1.1.1", [false, false]);
        check("dst host 1.1.1.1 and tcp", [true, false]);
        check("src and dst 1.1.1.1", [false, false]);
        check("tcp port 80", [true, false]);
        check("tcp src port 80", [false, false]);
        check("port 81 or 80", [true, false]);
        check("icmp", [false, true]);
        check("not icmp", [true, false]);
        check("!(icmp or arp) && net 10.0.0.0/8", [true, false]);
        check("icmp or tcp and src 9.9.9.9", [false, false]);
        check("icmp or (tcp and src 9.9.9.9)", [false, true]);
        check("portrange 70-90", [true, false]);
        check("ether host 02:00:00:00:00:01", [true, true]);
        check("ip6 or broadcast", [false, false]);
        check("port http", [true, false]);
    }

    #[test]
    fn wrong_expressions_are_refused() {
        for text in [
            "and",
            "src",
            "port",
            "( tcp",
            "tcp )",
            "host nobody",
            "port x",
            "net 10",
            "tcp udp 1.1.1.1 2.2.2.2",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}

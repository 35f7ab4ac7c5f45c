//! Filters (pcap-filter(7)): primitives with `and`, `or`, `not` and parentheses.

use super::packet::{ARP, Frame, ICMP, ICMPV6, IPV4, IPV6, Ip, TCP, UDP, mac_text};
use ipnet::IpNet;
use std::net::IpAddr;

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
    Ether(Direction, String),
    /// To all of a link, or to a group.
    ToMany,
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

/// What a primitive says of its value; a value alone takes over what was said last.
#[derive(Debug, Clone, Copy)]
struct Qualifiers {
    protocol: Option<Protocol>,
    direction: Direction,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
}

struct Parser<'a> {
    words: std::iter::Peekable<std::vec::IntoIter<&'a str>>,
    last: Option<Qualifiers>,
}

impl Filter {
    /// Reads an expression; the empty one wants everything.
    ///
    /// # Errors
    /// What tcpdump says.
    pub fn parse(text: &str) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('!', " ! ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        if words.is_empty() {
            return Ok(Self::All);
        }
        let mut parser = Parser { words: words.into_iter().peekable(), last: None };
        let filter = parser.expression()?;
        match parser.words.next() {
            None => Ok(filter),
            Some(_) => Err(syntax_error()),
        }
    }

    /// Whether the frame is wanted.
    #[must_use]
    pub fn admits(&self, frame: &Frame<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Not(other) => !other.admits(frame),
            Self::And(first, second) => first.admits(frame) && second.admits(frame),
            Self::Or(first, second) => first.admits(frame) || second.admits(frame),
            Self::Protocol(protocol) => is_protocol(frame, *protocol),
            Self::Net(direction, net) => addresses(frame)
                .is_some_and(|(from, to)| direction.holds(net.contains(&from), net.contains(&to))),
            Self::Ports(direction, first, last) => {
                let is_in = |port: u16| (*first..=*last).contains(&port);
                let ports = frame.ip().as_ref().and_then(Ip::ports);
                ports.is_some_and(|(from, to)| direction.holds(is_in(from), is_in(to)))
            }
            Self::Ether(direction, mac) => frame
                .macs
                .is_some_and(|(to, from)| direction.holds(mac_text(from) == *mac, mac_text(to) == *mac)),
            Self::ToMany => frame.macs.is_some_and(|(to, _)| to[0] & 1 != 0),
        }
    }
}

fn is_protocol(frame: &Frame<'_>, protocol: Protocol) -> bool {
    let carries = |number: u8| frame.ip().is_some_and(|ip| ip.protocol == number);
    match protocol {
        Protocol::Ip => frame.ethertype == IPV4,
        Protocol::Ip6 => frame.ethertype == IPV6,
        Protocol::Arp => frame.ethertype == ARP,
        Protocol::Tcp => carries(TCP),
        Protocol::Udp => carries(UDP),
        Protocol::Icmp => frame.ethertype == IPV4 && carries(ICMP),
        Protocol::Icmp6 => frame.ethertype == IPV6 && carries(ICMPV6),
        Protocol::Ether => true,
    }
}

/// Source and destination of IP, sender and target of ARP.
fn addresses(frame: &Frame<'_>) -> Option<(IpAddr, IpAddr)> {
    let arp = || frame.arp().map(|arp| (arp.sender.into(), arp.target.into()));
    frame.ip().map(|ip| (ip.from, ip.to)).or_else(arp)
}

fn syntax_error() -> String {
    "can't parse filter expression: syntax error".to_owned()
}

impl Parser<'_> {
    /// `and` and `or` bind alike, from the left.
    fn expression(&mut self) -> Result<Filter, String> {
        let mut filter = self.factor()?;
        while let Some(word) = self.words.peek() {
            match *word {
                "and" | "&&" => {
                    self.words.next();
                    filter = Filter::And(Box::new(filter), Box::new(self.factor()?));
                }
                "or" | "||" => {
                    self.words.next();
                    filter = Filter::Or(Box::new(filter), Box::new(self.factor()?));
                }
                _ => break,
            }
        }
        Ok(filter)
    }

    fn factor(&mut self) -> Result<Filter, String> {
        match self.words.peek() {
            None => Err(syntax_error()),
            Some(&("not" | "!")) => {
                self.words.next();
                Ok(Filter::Not(Box::new(self.factor()?)))
            }
            Some(&"(") => {
                self.words.next();
                let filter = self.expression()?;
                if self.words.next() == Some(")") { Ok(filter) } else { Err(syntax_error()) }
            }
            Some(_) => self.primitive(),
        }
    }

    fn primitive(&mut self) -> Result<Filter, String> {
        let protocol = self.words.peek().and_then(|word| protocol(word));
        if protocol.is_some() {
            self.words.next();
        }
        if let Some(&("broadcast" | "multicast")) = self.words.peek() {
            self.words.next();
            return Ok(Filter::ToMany);
        }
        let direction = self.direction();
        let kind = self.kind();
        let is_value = self
            .words
            .peek()
            .is_some_and(|word| !matches!(*word, "and" | "or" | "&&" | "||" | ")" | "not" | "!"));
        if let (Some(protocol), None, None) = (protocol, direction, kind)
            && !is_value
        {
            return Ok(Filter::Protocol(protocol));
        }
        let value = self.words.next().ok_or_else(syntax_error)?;
        let qualifiers = match (protocol, direction, kind, self.last) {
            (None, None, None, Some(last)) => last,
            _ => Qualifiers {
                protocol,
                direction: direction.unwrap_or(Direction::Either),
                kind: kind.unwrap_or(Kind::Host),
            },
        };
        self.last = Some(qualifiers);
        of_value(qualifiers, value)
    }

    fn direction(&mut self) -> Option<Direction> {
        let first = match *self.words.peek()? {
            "src" => Direction::Source,
            "dst" => Direction::Destination,
            _ => return None,
        };
        self.words.next();
        // `src or dst` is one direction; `src or` and something else are not.
        let mut ahead = self.words.clone();
        let (joint, second) = (ahead.next(), ahead.next());
        let other = if first == Direction::Source { "dst" } else { "src" };
        let both = match joint {
            Some("or" | "||") => Direction::Either,
            Some("and" | "&&") => Direction::Both,
            _ => return Some(first),
        };
        if second != Some(other) {
            return Some(first);
        }
        self.words = ahead;
        Some(both)
    }

    fn kind(&mut self) -> Option<Kind> {
        let kind = match *self.words.peek()? {
            "host" => Kind::Host,
            "net" => Kind::Net,
            "port" => Kind::Port,
            "portrange" => Kind::PortRange,
            _ => return None,
        };
        self.words.next();
        Some(kind)
    }
}

fn protocol(word: &str) -> Option<Protocol> {
    Some(match word {
        "ip" => Protocol::Ip,
        "ip6" => Protocol::Ip6,
        "arp" => Protocol::Arp,
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "icmp" => Protocol::Icmp,
        "icmp6" => Protocol::Icmp6,
        "ether" => Protocol::Ether,
        _ => return None,
    })
}

fn of_value(qualifiers: Qualifiers, value: &str) -> Result<Filter, String> {
    let Qualifiers { protocol, direction, kind } = qualifiers;
    let filter = match kind {
        Kind::Host if protocol == Some(Protocol::Ether) => {
            Filter::Ether(direction, value.to_ascii_lowercase())
        }
        Kind::Host => {
            let address: IpAddr =
                value.parse().map_err(|_| format!("unknown host '{value}': give its address"))?;
            Filter::Net(direction, address.into())
        }
        Kind::Net => {
            let net: IpNet =
                value.parse().map_err(|_| format!("unknown network '{value}': give it as 10.0.0.0/24"))?;
            Filter::Net(direction, net)
        }
        Kind::Port => {
            let port = port(value)?;
            Filter::Ports(direction, port, port)
        }
        Kind::PortRange => {
            let (first, last) = value.split_once('-').ok_or_else(syntax_error)?;
            Filter::Ports(direction, port(first)?, port(last)?)
        }
    };
    Ok(match protocol {
        None | Some(Protocol::Ether) => filter,
        Some(protocol) => Filter::And(Box::new(Filter::Protocol(protocol)), Box::new(filter)),
    })
}

fn port(word: &str) -> Result<u16, String> {
    let known = super::line::SERVICES.iter().find(|(_, name)| *name == word).map(|(port, _)| *port);
    known.or_else(|| word.parse().ok()).ok_or_else(|| format!("unknown port '{word}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

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

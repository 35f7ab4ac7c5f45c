//! The words of a filter.

use super::{Direction, Filter, Protocol};
use crate::mac::Mac;
use ipnet::IpNet;
use std::net::IpAddr;

/// Reads an expression; the empty one wants everything.
///
/// # Errors
/// What tcpdump says.
pub(super) fn parse(text: &str, addresses: Addresses<'_>) -> Result<Filter, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('!', " ! ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    if words.is_empty() {
        return Ok(Filter::All);
    }
    let mut parser = Parser { words: words.into_iter().peekable(), last: None, addresses };
    let filter = parser.expression()?;
    match parser.words.next() {
        None => Ok(filter),
        Some(_) => Err(syntax_error()),
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

/// The addresses of a name.
type Addresses<'a> = &'a dyn Fn(&str) -> Vec<IpAddr>;

struct Parser<'a> {
    words: std::iter::Peekable<std::vec::IntoIter<&'a str>>,
    last: Option<Qualifiers>,
    addresses: Addresses<'a>,
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
        let value = self.words.next().filter(|_| is_value).ok_or_else(syntax_error)?;
        let qualifiers = match (protocol, direction, kind, self.last) {
            (None, None, None, Some(last)) => last,
            _ => Qualifiers {
                protocol,
                direction: direction.unwrap_or(Direction::Either),
                kind: kind.unwrap_or(Kind::Host),
            },
        };
        self.last = Some(qualifiers);
        of_value(qualifiers, value, self.addresses)
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

fn of_value(qualifiers: Qualifiers, value: &str, addresses: Addresses<'_>) -> Result<Filter, String> {
    let Qualifiers { protocol, direction, kind } = qualifiers;
    let filter = match kind {
        Kind::Host if protocol == Some(Protocol::Ether) => {
            let mac: Mac = value.parse().map_err(|_| format!("unknown ether host '{value}'"))?;
            Filter::Ether(direction, mac.0)
        }
        Kind::Host => {
            let known = value.parse().map_or_else(|_| addresses(value), |address| vec![address]);
            let each = known.into_iter().map(|address| Filter::Net(direction, address.into()));
            each.reduce(Filter::or).ok_or_else(|| format!("unknown host '{value}': give its address"))?
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
    let known = super::service::SERVICES.iter().find(|(_, name)| *name == word).map(|(port, _)| *port);
    known.or_else(|| word.parse().ok()).ok_or_else(|| format!("unknown port '{word}'"))
}

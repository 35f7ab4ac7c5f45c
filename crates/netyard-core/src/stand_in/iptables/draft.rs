//! The rule that is put together from the words of a command.

use super::order::{Failure, Words};
use super::{Program, Table};
use crate::name::IfName;
use crate::nft::{Action, CtStates, Match, Ports, Protocol, Rule};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What a rule is put together from.
pub(super) struct Draft {
    program: Program,
    conditions: Vec<Match>,
    protocol: Option<Protocol>,
    ports: [Option<Ports>; 2],
    icmp_type: Option<u8>,
    states: Option<CtStates>,
    target: Option<String>,
    to_source: Option<IpAddr>,
    to_destination: Option<SocketAddr>,
    /// Whether any word belongs to a rule.
    pub(super) has_words: bool,
}

impl Draft {
    pub(super) fn new(program: Program) -> Self {
        Self {
            program,
            conditions: Vec::new(),
            protocol: None,
            ports: [None; 2],
            icmp_type: None,
            states: None,
            target: None,
            to_source: None,
            to_destination: None,
            has_words: false,
        }
    }

    pub(super) fn option(
        &mut self,
        option: &str,
        attached: Option<String>,
        inverted: bool,
        words: &mut Words<'_>,
    ) -> Result<(), Failure> {
        self.has_words = true;
        let mut value = || attached.clone().map_or_else(|| words.value(option), Ok);
        if inverted && !matches!(option, "-o" | "--out-interface") {
            let name = self.program.name();
            return Err(Failure::usage(format!("`! {option}' is not for netyard's stand-in of {name}")));
        }
        let (icmp, icmp_option) = self.program.icmp();
        match option {
            "-s" | "--source" | "--src" => self.address(&value()?, Match::Source)?,
            "-d" | "--destination" | "--dst" => self.address(&value()?, Match::Destination)?,
            "-i" | "--in-interface" => self.conditions.push(Match::InterfaceIn(interface(&value()?)?)),
            "-o" | "--out-interface" => {
                let name = interface(&value()?)?;
                self.conditions.push(if inverted {
                    Match::InterfaceOutNot(name)
                } else {
                    Match::InterfaceOut(name)
                });
            }
            "-p" | "--protocol" | "--proto" => self.protocol = self.protocol_named(&value()?)?,
            "-m" | "--match" => match value()?.as_str() {
                "tcp" | "udp" | "state" | "conntrack" => {}
                name if name == self.program.icmp_match() => {}
                "icmpv6" | "ipv6-icmp" if icmp == Protocol::Icmpv6 => {}
                other => {
                    return Err(Failure::usage(format!(
                        "Couldn't load match `{other}': netyard's stand-in has tcp, udp, {}, state, conntrack",
                        self.program.icmp_match()
                    )));
                }
            },
            "-j" | "--jump" => self.target = Some(value()?),
            "--sport" | "--source-port" => self.ports[0] = Some(self.port(option, &value()?)?),
            "--dport" | "--destination-port" => self.ports[1] = Some(self.port(option, &value()?)?),
            _ if option == icmp_option && self.protocol == Some(icmp) => {
                self.icmp_type = icmp_type(icmp, &value()?)?;
            }
            "--state" | "--ctstate" => self.states = Some(states(&value()?)?),
            "--to-source" | "--to" if self.target.as_deref() == Some("SNAT") => {
                let text = value()?;
                let address = self.own_address(&text);
                let bad = || Failure::usage(format!("Bad IP address \"{text}\""));
                self.to_source = Some(address.ok_or_else(bad)?);
            }
            "--to-destination" | "--to" if self.target.as_deref() == Some("DNAT") => {
                self.to_destination = Some(self.destination(&value()?)?);
            }
            "--reject-with" if self.target.as_deref() == Some("REJECT") => match value()?.as_str() {
                word if word == self.program.reject() || word == "port-unreach" => {}
                other => return Err(Failure::usage(format!("unknown reject type \"{other}\""))),
            },
            _ if option.starts_with('-') => {
                return Err(Failure::usage(format!("unknown option \"{option}\"")));
            }
            _ => return Err(Failure::usage(format!("Bad argument `{option}'"))),
        }
        Ok(())
    }

    fn address(&mut self, text: &str, condition: fn(IpNet) -> Match) -> Result<(), Failure> {
        let unknown = || Failure::usage(format!("host/network `{text}' not found"));
        let prefix = self.prefix(text).ok_or_else(unknown)?;
        if prefix.prefix_len() > 0 {
            self.conditions.push(condition(prefix));
        }
        Ok(())
    }

    fn port(&self, option: &str, text: &str) -> Result<Ports, Failure> {
        if !matches!(self.protocol, Some(Protocol::Tcp | Protocol::Udp)) {
            return Err(Failure::usage(format!("unknown option \"{option}\"")));
        }
        let one = |text: &str| {
            let named = SERVICES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port);
            let port = named.or_else(|| text.parse().ok());
            port.ok_or_else(|| Failure::usage(format!("invalid port/service `{text}' specified")))
        };
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let first = if first.is_empty() { 0 } else { one(first)? };
        let last = if last.is_empty() { u16::MAX } else { one(last)? };
        if first > last {
            return Err(Failure::usage(format!("invalid portrange (min > max) `{text}'")));
        }
        Ok(Ports { first, last })
    }

    /// An address of the program's version of IP.
    fn own_address(&self, text: &str) -> Option<IpAddr> {
        let address = if text == "0" { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { text.parse().ok()? };
        (address.is_ipv6() == self.program.is_ipv6()).then_some(address)
    }

    fn prefix(&self, text: &str) -> Option<IpNet> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (self.own_address(address)?, Some(length)),
            None => (self.own_address(text)?, None),
        };
        let length = match length.map(|length| (length, length.parse::<u8>())) {
            None => return Some(IpNet::from(address)),
            Some((_, Ok(length))) => length,
            Some((mask, Err(_))) => ipnet::ip_mask_to_prefix(self.own_address(mask)?).ok()?,
        };
        Some(IpNet::new(address, length).ok()?.trunc())
    }

    fn protocol_named(&self, text: &str) -> Result<Option<Protocol>, Failure> {
        match (text.to_ascii_lowercase().as_str(), self.program) {
            ("all" | "0", _) => Ok(None),
            ("tcp" | "6", _) => Ok(Some(Protocol::Tcp)),
            ("udp" | "17", _) => Ok(Some(Protocol::Udp)),
            ("icmp" | "1", Program::Iptables) => Ok(Some(Protocol::Icmp)),
            ("icmpv6" | "ipv6-icmp" | "58", Program::Ip6tables) => Ok(Some(Protocol::Icmpv6)),
            _ => Err(Failure::usage(format!("unknown protocol \"{text}\" specified"))),
        }
    }

    /// `ADDRESS` or `ADDRESS:PORT`; an IPv6 address with a port stands in brackets.
    fn destination(&self, text: &str) -> Result<SocketAddr, Failure> {
        let bad = || Failure::usage(format!("Bad IP address \"{text}\""));
        if let Some(address) = self.own_address(text) {
            return Ok(SocketAddr::new(address, 0));
        }
        let with_port = text.parse().ok().filter(|to: &SocketAddr| to.is_ipv6() == self.program.is_ipv6());
        with_port.ok_or_else(bad)
    }

    pub(super) fn rule(self, table: Table) -> Result<Rule, Failure> {
        let mut matches = self.conditions;
        let [from, to] = self.ports;
        match self.protocol {
            Some(protocol) if from.is_none() && to.is_none() && self.icmp_type.is_none() => {
                matches.push(Match::Protocol(protocol));
            }
            Some(protocol) => {
                matches.extend(from.map(|ports| Match::SourcePort(protocol, ports)));
                matches.extend(to.map(|ports| Match::DestinationPort(protocol, ports)));
                matches.extend(self.icmp_type.map(|number| Match::IcmpType(protocol, number)));
            }
            None => {}
        }
        matches.extend(self.states.map(Match::CtState));
        let needs = |option: &str, target: &str| {
            Failure::usage(format!("{target}: option \"{option}\" must be specified\n"))
        };
        let action = match self.target.as_deref() {
            None => Action::Continue,
            Some("ACCEPT") => Action::Accept,
            Some("DROP") => Action::Drop,
            Some("RETURN") => Action::Return,
            Some("REJECT") if table == Table::Filter => Action::Reject,
            Some("MASQUERADE") if table == Table::Nat => Action::Masquerade,
            Some("SNAT") if table == Table::Nat => {
                Action::Snat(self.to_source.ok_or_else(|| needs("--to-source", "SNAT"))?)
            }
            Some("DNAT") if table == Table::Nat => {
                let to = self.to_destination.ok_or_else(|| needs("--to-destination", "DNAT"))?;
                if to.port() != 0 && !matches!(self.protocol, Some(Protocol::Tcp | Protocol::Udp)) {
                    return Err(Failure::usage("Need TCP, UDP, SCTP or DCCP with port specification"));
                }
                Action::Dnat(to)
            }
            Some(target @ ("MASQUERADE" | "SNAT" | "DNAT")) => {
                return Err(Failure::refused(format!("{target} works in the table nat only: `-t nat'")));
            }
            Some(target @ "REJECT") => {
                return Err(Failure::refused(format!("{target} works in the table filter only")));
            }
            Some(target @ ("LOG" | "REDIRECT" | "MARK" | "TCPMSS" | "NETMAP" | "QUEUE" | "TRACE")) => {
                return Err(Failure::usage(format!(
                    "target {target} is not for netyard's stand-in of {}",
                    self.program.name()
                )));
            }
            Some(chain) => Action::Jump(chain.to_owned()),
        };
        Ok(Rule { matches, counts: true, action })
    }
}

/// Services that are met in lessons (services(5)).
const SERVICES: [(&str, u16); 8] = [
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("https", 443),
    ("http-alt", 8080),
];

fn interface(text: &str) -> Result<IfName, Failure> {
    IfName::new(text).map_err(|error| Failure::usage(format!("interface name `{text}': {error}")))
}

/// Types of ICMP and ICMPv6 by their names (extensions/libxt_icmp.h).
fn icmp_type(protocol: Protocol, text: &str) -> Result<Option<u8>, Failure> {
    const ICMP: [(&str, u8); 7] = [
        ("echo-request", 8),
        ("ping", 8),
        ("echo-reply", 0),
        ("pong", 0),
        ("destination-unreachable", 3),
        ("time-exceeded", 11),
        ("ttl-exceeded", 11),
    ];
    const ICMPV6: [(&str, u8); 12] = [
        ("destination-unreachable", 1),
        ("packet-too-big", 2),
        ("time-exceeded", 3),
        ("ttl-exceeded", 3),
        ("echo-request", 128),
        ("ping", 128),
        ("echo-reply", 129),
        ("pong", 129),
        ("router-solicitation", 133),
        ("router-advertisement", 134),
        ("neighbour-solicitation", 135),
        ("neighbour-advertisement", 136),
    ];
    let (names, what): (&[(&str, u8)], _) = match protocol {
        Protocol::Icmpv6 => (&ICMPV6, "ICMPv6"),
        _ => (&ICMP, "ICMP"),
    };
    let named = names.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    match named.or_else(|| text.parse().ok()) {
        None if text == "any" && protocol == Protocol::Icmp => Ok(None),
        None => Err(Failure::usage(format!("Unknown {what} type `{text}'"))),
        number => Ok(number),
    }
}

fn states(text: &str) -> Result<CtStates, Failure> {
    let mut states = CtStates::default();
    for word in text.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "NEW" => states.new = true,
            "ESTABLISHED" => states.established = true,
            "RELATED" => states.related = true,
            "INVALID" => states.invalid = true,
            "UNTRACKED" => states.untracked = true,
            _ => return Err(Failure::usage(format!("Bad ctstate \"{word}\""))),
        }
    }
    Ok(states)
}

//! The rule that is put together from the words of a command.

use super::Table;
use super::order::{Failure, Words};
use crate::name::IfName;
use crate::nft::{Action, CtStates, Match, Ports, Protocol, Rule};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What a rule is put together from.
#[derive(Default)]
pub(super) struct Draft {
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
            return Err(Failure::usage(format!("`! {option}' is not for netyard's stand-in of iptables")));
        }
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
            "-p" | "--protocol" | "--proto" => self.protocol = protocol(&value()?)?,
            "-m" | "--match" => match value()?.as_str() {
                "tcp" | "udp" | "icmp" | "state" | "conntrack" => {}
                other => {
                    return Err(Failure::usage(format!(
                        "Couldn't load match `{other}': netyard's stand-in has tcp, udp, icmp, state, conntrack"
                    )));
                }
            },
            "-j" | "--jump" => self.target = Some(value()?),
            "--sport" | "--source-port" => self.ports[0] = Some(self.port(option, &value()?)?),
            "--dport" | "--destination-port" => self.ports[1] = Some(self.port(option, &value()?)?),
            "--icmp-type" if self.protocol == Some(Protocol::Icmp) => self.icmp_type = icmp_type(&value()?)?,
            "--state" | "--ctstate" => self.states = Some(states(&value()?)?),
            "--to-source" | "--to" if self.target.as_deref() == Some("SNAT") => {
                let text = value()?;
                let address =
                    text.parse().map_err(|_| Failure::usage(format!("Bad IP address \"{text}\"")))?;
                self.to_source = Some(IpAddr::V4(address));
            }
            "--to-destination" | "--to" if self.target.as_deref() == Some("DNAT") => {
                self.to_destination = Some(destination(&value()?)?);
            }
            "--reject-with" if self.target.as_deref() == Some("REJECT") => match value()?.as_str() {
                "icmp-port-unreachable" | "port-unreach" => {}
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
        let prefix = prefix(text).ok_or_else(unknown)?;
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
                    "target {target} is not for netyard's stand-in of iptables"
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

fn prefix(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let address: Ipv4Addr = if address == "0" { Ipv4Addr::UNSPECIFIED } else { address.parse().ok()? };
    let length = match length.parse::<u8>() {
        Ok(length) => length,
        Err(_) => ipnet::ipv4_mask_to_prefix(length.parse().ok()?).ok()?,
    };
    Some(IpNet::new(address.into(), length).ok()?.trunc())
}

fn interface(text: &str) -> Result<IfName, Failure> {
    IfName::new(text).map_err(|error| Failure::usage(format!("interface name `{text}': {error}")))
}

fn protocol(text: &str) -> Result<Option<Protocol>, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "all" | "0" => Ok(None),
        "icmp" | "1" => Ok(Some(Protocol::Icmp)),
        "tcp" | "6" => Ok(Some(Protocol::Tcp)),
        "udp" | "17" => Ok(Some(Protocol::Udp)),
        _ => Err(Failure::usage(format!("unknown protocol \"{text}\" specified"))),
    }
}

fn icmp_type(text: &str) -> Result<Option<u8>, Failure> {
    match text {
        "any" => Ok(None),
        "echo-request" | "ping" => Ok(Some(8)),
        "echo-reply" | "pong" => Ok(Some(0)),
        "destination-unreachable" => Ok(Some(3)),
        "time-exceeded" | "ttl-exceeded" => Ok(Some(11)),
        number => number.parse().map(Some).map_err(|_| Failure::usage(format!("Unknown ICMP type `{text}'"))),
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

fn destination(text: &str) -> Result<SocketAddr, Failure> {
    let bad = || Failure::usage(format!("Bad IP address \"{text}\""));
    let (address, port) = text.split_once(':').unwrap_or((text, "0"));
    let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
    Ok(SocketAddr::new(address.into(), port.parse().map_err(|_| bad())?))
}

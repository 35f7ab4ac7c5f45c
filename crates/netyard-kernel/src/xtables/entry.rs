//! One rule of legacy iptables.
//!
//! ```text
//! struct ipt_entry:  | ipt_ip (84) | cache (4) | target at (2) | next at (2) | from (4) | counters (16) | matches | target |
//! struct ip6t_entry: | ip6t_ip6 (136) | cache (4) | target at (2) | next at (2) | from (4), pad (4) | counters (16) | ... |
//! match, target:     | size (2) | name (29) | revision (1) | its own struct |
//! ```
//!
//! Source: linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h.

use crate::netlink::nft::compat;
use ipnet::IpNet;
use netyard_core::name::IfName;
use netyard_core::nft::{Action, Family, Match, Protocol, Rule};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A verdict as a standard target holds it: `-NF_DROP - 1`, `-NF_ACCEPT - 1`, `XT_RETURN`.
pub(super) const DROP: i32 = -1;
const ACCEPT: i32 = -2;
const RETURN: i32 = -5;

/// An entry of the blob.
pub(super) struct Entry {
    /// Its place in the blob, and its bytes.
    pub at: usize,
    pub len: usize,
    pub target: Target,
    matches: Vec<Match>,
}

pub(super) enum Target {
    /// A verdict, or the place of the chain to go on at.
    Verdict(i32),
    /// The name of the user's chain that follows.
    Name(String),
    Action(Action),
}

struct Layout {
    target_at: usize,
    header: usize,
}

/// The entries of a blob, in order; none when it is malformed.
pub(super) fn all(family: Family, bytes: &[u8]) -> Option<Vec<Entry>> {
    let layout = match family {
        Family::Ip6 => Layout { target_at: 140, header: 168 },
        _ => Layout { target_at: 88, header: 112 },
    };
    let mut entries = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let entry = bytes.get(at..)?;
        let target_at = usize::from(u16_at(entry, layout.target_at)?);
        let len = usize::from(u16_at(entry, layout.target_at + 2)?);
        let entry = entry.get(..len).filter(|_| len >= layout.header)?;
        let ip = match family {
            Family::Ip6 => ipv6(entry)?,
            _ => ipv4(entry)?,
        };
        let mut matches = ip.matches;
        for (name, info) in extensions(entry.get(layout.header..target_at)?) {
            matches.extend(compat::matches(name, info, ip.protocol));
        }
        // What names the ports names the protocol as well.
        let included: Vec<Protocol> = matches.iter().filter_map(Match::included_protocol).collect();
        matches.retain(|m| !matches!(m, Match::Protocol(p) if included.contains(p)));
        entries.push(Entry { at, len, target: target(family, entry.get(target_at..)?)?, matches });
        at += len;
    }
    Some(entries)
}

impl Entry {
    pub(super) fn rule(&self, chain_at: &impl Fn(usize) -> Option<String>) -> Rule {
        let action = match &self.target {
            Target::Verdict(DROP) => Action::Drop,
            Target::Verdict(ACCEPT) => Action::Accept,
            Target::Verdict(RETURN) => Action::Other("return".to_owned()),
            // A rule without a target goes on at the next one.
            Target::Verdict(place) if usize::try_from(*place) == Ok(self.at + self.len) => Action::Continue,
            Target::Verdict(place) => match usize::try_from(*place).ok().and_then(chain_at) {
                Some(chain) => Action::Jump(chain),
                None => Action::Other(format!("verdict {place}")),
            },
            Target::Name(name) => Action::Other(format!("chain {name}")),
            Target::Action(action) => action.clone(),
        };
        Rule { matches: self.matches.clone(), counts: false, action }
    }
}

/// The part of an entry that compares the IP header.
struct Ip {
    matches: Vec<Match>,
    protocol: Option<u8>,
}

const INVERTED_IN: u8 = 1;
const INVERTED_OUT: u8 = 2;
const INVERTED_SOURCE: u8 = 8;
const INVERTED_DESTINATION: u8 = 16;
const INVERTED_PROTOCOL: u8 = 64;

/// `struct ipt_ip`: source, destination, their masks (4 each), two names and their masks (16 each), protocol (2), flags,
/// inversions.
fn ipv4(entry: &[u8]) -> Option<Ip> {
    let address =
        |at: usize| Some(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(entry.get(at..at + 4)?).ok()?)));
    let (flags, inverted) = (*entry.get(82)?, *entry.get(83)?);
    let protocol = u16_at(entry, 80)?;
    let mut matches = interfaces(entry, 16, inverted)?;
    matches.extend(prefix(address(0)?, entry.get(8..12)?, inverted & INVERTED_SOURCE != 0, true));
    matches.extend(prefix(address(4)?, entry.get(12..16)?, inverted & INVERTED_DESTINATION != 0, false));
    if flags & 1 != 0 {
        matches.push(Match::Other("ip frag-off & 0x1fff != 0".to_owned()));
    }
    Some(with_protocol(matches, protocol, inverted))
}

/// `struct ip6t_ip6`: source, destination, their masks, two names and their masks (16 each), protocol (2), traffic
/// class, flags, inversions.
fn ipv6(entry: &[u8]) -> Option<Ip> {
    let address =
        |at: usize| Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(entry.get(at..at + 16)?).ok()?)));
    let inverted = *entry.get(132)?;
    let mut matches = interfaces(entry, 64, inverted)?;
    matches.extend(prefix(address(0)?, entry.get(32..48)?, inverted & INVERTED_SOURCE != 0, true));
    matches.extend(prefix(address(16)?, entry.get(48..64)?, inverted & INVERTED_DESTINATION != 0, false));
    Some(with_protocol(matches, u16_at(entry, 128)?, inverted))
}

fn with_protocol(mut matches: Vec<Match>, protocol: u16, inverted: u8) -> Ip {
    let number = u8::try_from(protocol).ok().filter(|number| *number != 0);
    let not = inverted & INVERTED_PROTOCOL != 0;
    matches.extend(number.map(|number| match Protocol::from_number(number) {
        Some(protocol) if !not => Match::Protocol(protocol),
        _ => Match::Other(format!("meta l4proto {}{number}", if not { "!= " } else { "" })),
    }));
    Ip { matches, protocol: number.filter(|_| !not) }
}

fn interfaces(entry: &[u8], at: usize, inverted: u8) -> Option<Vec<Match>> {
    const LEN: usize = 16;
    let mut found = Vec::new();
    let sides =
        [("iifname", at, inverted & INVERTED_IN != 0), ("oifname", at + LEN, inverted & INVERTED_OUT != 0)];
    for (word, at, not) in sides {
        let (name, mask) = (entry.get(at..at + LEN)?, entry.get(at + 2 * LEN..at + 3 * LEN)?);
        let end = name.iter().position(|b| *b == 0).unwrap_or(LEN);
        if end == 0 {
            continue;
        }
        let text = String::from_utf8_lossy(&name[..end]).into_owned();
        // A mask that ends with the name, without its closing zero, means "any name that begins so".
        let is_beginning = mask.get(end).is_none_or(|byte| *byte == 0);
        let sign = if not { "!= " } else { "" };
        found.push(match (IfName::new(&text), word, not) {
            (Ok(name), "iifname", false) if !is_beginning => Match::InterfaceIn(name),
            (Ok(name), "oifname", false) if !is_beginning => Match::InterfaceOut(name),
            (Ok(name), "oifname", true) if !is_beginning => Match::InterfaceOutNot(name),
            _ => Match::Other(format!("{word} {sign}\"{text}{}\"", if is_beginning { "*" } else { "" })),
        });
    }
    Some(found)
}

fn prefix(address: IpAddr, mask: &[u8], not: bool, is_source: bool) -> Option<Match> {
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let leading = mask.iter().take_while(|byte| **byte == 0xff).count() * 8;
    let partial = mask.get(leading / 8).map_or(0, |byte| byte.leading_ones() as usize);
    let is_contiguous = leading + partial == ones as usize;
    if ones == 0 && !not {
        return None;
    }
    let prefix =
        u8::try_from(ones).ok().filter(|_| is_contiguous).and_then(|len| IpNet::new(address, len).ok());
    Some(match (prefix, is_source, not) {
        (Some(prefix), true, false) => Match::Source(prefix),
        (Some(prefix), false, false) => Match::Destination(prefix),
        (prefix, ..) => {
            let family = if address.is_ipv4() { "ip" } else { "ip6" };
            let side = if is_source { "saddr" } else { "daddr" };
            let to = prefix.map_or_else(|| format!("{address} under a mask"), |prefix| prefix.to_string());
            Match::Other(format!("{family} {side} {}{to}", if not { "!= " } else { "" }))
        }
    })
}

/// Names and structs of the matches between the header and the target.
fn extensions(mut bytes: &[u8]) -> Vec<(&str, &[u8])> {
    let mut found = Vec::new();
    while let Some((name, info, len)) = extension(bytes) {
        found.push((name, info));
        bytes = bytes.get(len..).unwrap_or_default();
    }
    found
}

const EXTENSION_HEADER: usize = 32;

fn extension(bytes: &[u8]) -> Option<(&str, &[u8], usize)> {
    let len = usize::from(u16_at(bytes, 0)?);
    let info = bytes.get(EXTENSION_HEADER..len)?;
    let name = bytes.get(2..31)?;
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    Some((std::str::from_utf8(&name[..end]).ok()?, info, len))
}

fn target(family: Family, bytes: &[u8]) -> Option<Target> {
    let (name, info, _) = extension(bytes)?;
    let revision = u32::from(*bytes.get(31)?);
    Some(match name {
        "" => Target::Verdict(i32::from_ne_bytes(info.get(..4)?.try_into().ok()?)),
        "ERROR" => {
            let end = info.iter().position(|b| *b == 0).unwrap_or(info.len());
            Target::Name(String::from_utf8_lossy(&info[..end]).into_owned())
        }
        name => Target::Action(compat::target(family, name, revision, info)),
    })
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

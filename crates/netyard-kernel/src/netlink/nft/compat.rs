//! The xtables matches and targets that iptables-nft puts into nf_tables rules: binary structs of linux/netfilter/xt_*.h
//! and linux/netfilter_ipv4/ipt_*.h, in host order.

use super::statement;
use super::words::{self, Kind};
use netyard_core::nft::{Action, CtStates, Family, Match, Ports, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The conditions of an xtables match.
pub(crate) fn matches(name: &str, info: &[u8], protocol: Option<u8>) -> Vec<Match> {
    let known = match name {
        "conntrack" => conntrack(info).map(|m| vec![m]),
        "state" => u32_at(info, 0).and_then(|mask| xt_states(mask, 64)).map(|s| vec![Match::CtState(s)]),
        "addrtype" => addrtype(info).map(|m| vec![m]),
        "tcp" => tcp(info),
        "udp" => ports(info, Protocol::Udp, 8),
        "icmp" => icmp(info, Protocol::Icmp),
        "icmp6" => icmp(info, Protocol::Icmpv6),
        "multiport" => multiport(info, protocol).map(|words| vec![Match::Other(words)]),
        "mark" => mark("meta mark", info).map(|words| vec![Match::Other(words)]),
        "connmark" => mark("ct mark", info).map(|words| vec![Match::Other(words)]),
        "comment" => Some(vec![Match::Other(format!("comment \"{}\"", text(info)))]),
        _ => None,
    };
    known.unwrap_or_else(|| vec![Match::Other(format!("xt match \"{name}\""))])
}

/// The action of an xtables target.
pub(crate) fn target(family: Family, name: &str, revision: u32, info: &[u8]) -> Action {
    let known = match name {
        "MASQUERADE" => nat_range(family, name, revision, info).map(masquerade),
        "SNAT" => nat_range(family, name, revision, info).map(|range| nat("snat", range)),
        "DNAT" => nat_range(family, name, revision, info).map(|range| nat("dnat", range)),
        "REDIRECT" => nat_range(family, name, revision, info)
            .map(|range| Action::Other(format!("redirect{}", range.to_ports()))),
        "REJECT" => u32_at(info, 0).map(|with| reject(family, with)),
        "TCPMSS" => u16_at(info, 0).map(|size| match size {
            u16::MAX => Action::ClampMss,
            size => Action::Other(format!("tcp option maxseg size set {size}")),
        }),
        "LOG" => info.get(2..32).map(|prefix| {
            let prefix = text(prefix);
            let words = if prefix.is_empty() { "log".to_owned() } else { format!("log prefix \"{prefix}\"") };
            Action::Other(words)
        }),
        "MARK" if revision == 2 => marked("meta mark", info, 0).map(Action::Other),
        "CONNMARK" => connection_mark(info).map(Action::Other),
        _ => None,
    };
    known.unwrap_or_else(|| Action::Other(format!("xt target \"{name}\"")))
}

/// `struct xt_conntrack_mtinfo3`: eight addresses of 16 bytes, two expiry times, protocol and four ports, then
/// which fields are compared, which of them inverted, and the masks of states and statuses.
fn conntrack(info: &[u8]) -> Option<Match> {
    const FLAG_STATE: u16 = 1;
    /// Set by `-m state`, which has become another name of this match.
    const FLAG_ALIAS: u16 = 1 << 13;
    const DNAT: u32 = 1 << 7;
    let (compared, inverted, mask) = (u16_at(info, 146)?, u16_at(info, 148)?, u16_at(info, 150)?);
    if compared & !FLAG_ALIAS != FLAG_STATE || inverted != 0 {
        return None;
    }
    match u32::from(mask) {
        DNAT => Some(Match::CtStatusDnat),
        mask => xt_states(mask, 256).map(Match::CtState),
    }
}

/// `XT_CONNTRACK_STATE_BIT`: invalid, then established, related, new; `untracked` has one bit or another.
fn xt_states(mask: u32, untracked: u32) -> Option<CtStates> {
    let states = CtStates {
        invalid: mask & 1 != 0,
        established: mask & 2 != 0,
        related: mask & 4 != 0,
        new: mask & 8 != 0,
        untracked: mask & untracked != 0,
    };
    (mask != 0 && mask & !(15 | untracked) == 0).then_some(states)
}

/// `struct xt_mark_mtinfo1`, `struct xt_connmark_mtinfo1`: value, mask, inversion.
fn mark(name: &str, info: &[u8]) -> Option<String> {
    let (value, mask, is_inverted) = (u32_at(info, 0)?, u32_at(info, 4)?, *info.get(8)? != 0);
    Some(match (mask, is_inverted) {
        (u32::MAX, false) => format!("{name} {value:#010x}"),
        (u32::MAX, true) => format!("{name} != {value:#010x}"),
        (_, false) => format!("{name} & {mask:#010x} == {value:#010x}"),
        (_, true) => format!("{name} & {mask:#010x} != {value:#010x}"),
    })
}

/// `struct xt_mark_tginfo2`: a value and the bits that are cleared before it is put in by exclusive or.
fn marked(name: &str, info: &[u8], at: usize) -> Option<String> {
    let (value, mask) = (u32_at(info, at)?, u32_at(info, at + 4)?);
    Some(match mask {
        u32::MAX => format!("{name} set {value:#010x}"),
        _ => format!("{name} set ({name} & {:#010x}) ^ {value:#010x}", !mask),
    })
}

/// `struct xt_connmark_tginfo1`: value, its mask, the mask of the packet's, and whether it is set, saved or restored.
fn connection_mark(info: &[u8]) -> Option<String> {
    match (u32_at(info, 4)?, u32_at(info, 8)?, *info.get(12)?) {
        (_, _, 0) => marked("ct mark", info, 0),
        (u32::MAX, u32::MAX, 1) => Some("ct mark set meta mark".to_owned()),
        (u32::MAX, u32::MAX, 2) => Some("meta mark set ct mark".to_owned()),
        _ => None,
    }
}

/// `struct xt_addrtype_info_v1`: masks of `1 << RTN_*` for source and destination, then flags.
fn addrtype(info: &[u8]) -> Option<Match> {
    const LOCAL: u16 = 1 << 2;
    match (u16_at(info, 0)?, u16_at(info, 2)?, u32_at(info, 4)?) {
        (0, LOCAL, 0) => Some(Match::DestinationLocal),
        _ => None,
    }
}

/// `struct xt_tcp`: source ports, destination ports, option, mask and value of the flags, inversions.
fn tcp(info: &[u8]) -> Option<Vec<Match>> {
    let (option, mask, value) = (*info.get(8)?, *info.get(9)?, *info.get(10)?);
    if option != 0 {
        return None;
    }
    let mut matches = ports(info, Protocol::Tcp, 11)?;
    match (mask, value) {
        (0, _) => {}
        (6, 2) => matches.push(Match::TcpSyn),
        (mask, value) => matches.push(Match::Other(format!(
            "tcp flags {} / {}",
            words::value(Kind::TcpFlags, &[value]),
            words::value(Kind::TcpFlags, &[mask])
        ))),
    }
    Some(matches)
}

/// The port ranges at the start of `struct xt_tcp` and `struct xt_udp`; nothing may be inverted.
fn ports(info: &[u8], protocol: Protocol, inversions: usize) -> Option<Vec<Match>> {
    if *info.get(inversions)? != 0 {
        return None;
    }
    let range = |at: usize| Some(Ports { first: u16_at(info, at)?, last: u16_at(info, at + 2)? });
    let is_some = |ports: &Ports| (ports.first, ports.last) != (0, u16::MAX);
    let from = Some(range(0)?).filter(is_some).map(|ports| Match::SourcePort(protocol, ports));
    let to = Some(range(4)?).filter(is_some).map(|ports| Match::DestinationPort(protocol, ports));
    Some(from.into_iter().chain(to).collect())
}

/// `struct ipt_icmp`, `struct ip6t_icmp`: type, lowest and highest code, inversion.
fn icmp(info: &[u8], protocol: Protocol) -> Option<Vec<Match>> {
    const ANY: u8 = 255;
    match *info.get(..4)? {
        // Type 255 is how iptables says "any", but only for IPv4.
        [ANY, _, _, 0] if protocol == Protocol::Icmp => Some(Vec::new()),
        [number, 0, ANY, 0] => Some(vec![Match::IcmpType(protocol, number)]),
        _ => None,
    }
}

/// `struct xt_multiport_v1`: which side, count, fifteen ports, which of them begin a range, inversion.
fn multiport(info: &[u8], protocol: Option<u8>) -> Option<String> {
    const PORTS_MAX: usize = 15;
    let (side, count) = (*info.first()?, usize::from(*info.get(1)?).min(PORTS_MAX));
    let begins_range = |index: usize| info.get(32 + index).is_some_and(|b| *b != 0);
    let mut list = String::new();
    for index in 0..count {
        list.push_str(&u16_at(info, 2 + index * 2)?.to_string());
        if index + 1 < count {
            list.push_str(if begins_range(index) { "-" } else { ", " });
        }
    }
    let word = protocol.map_or_else(|| "th".to_owned(), words::protocol);
    let side = ["sport", "dport", "sport or dport"].get(usize::from(side))?;
    let not = if *info.get(47)? != 0 { "!= " } else { "" };
    Some(format!("{word} {side} {not}{{ {list} }}"))
}

/// What a NAT target changes to.
struct NatRange {
    flags: u32,
    first: IpAddr,
    last: IpAddr,
    ports: (u16, u16),
}

impl NatRange {
    const ADDRESSES: u32 = 1;
    const PORTS: u32 = 2;

    fn to_ports(&self) -> String {
        match self.ports {
            _ if self.flags & Self::PORTS == 0 => String::new(),
            (first, last) if first == last => format!(" to :{first}"),
            (first, last) => format!(" to :{first}-{last}"),
        }
    }
}

/// `struct nf_nat_range` (flags, two addresses of 16 bytes, two ports), or for older IPv4 targets
/// `struct nf_nat_ipv4_multi_range_compat` (count, then flags, two addresses of 4 bytes, two ports).
fn nat_range(family: Family, name: &str, revision: u32, info: &[u8]) -> Option<NatRange> {
    let is_short = family == Family::Ip && (revision == 0 || name == "MASQUERADE");
    let (at, size) = if is_short { (4, 4) } else { (0, 16) };
    let addr = |from: usize| {
        let octets = info.get(from..from + size)?;
        Some(match (family, octets) {
            (Family::Ip, &[a, b, c, d, ..]) => IpAddr::from(Ipv4Addr::new(a, b, c, d)),
            _ => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        })
    };
    let port = |from: usize| u16_at(info, from).map(u16::from_be);
    Some(NatRange {
        flags: u32_at(info, at)?,
        first: addr(at + 4)?,
        last: addr(at + 4 + size)?,
        ports: (port(at + 4 + 2 * size)?, port(at + 6 + 2 * size)?),
    })
}

fn masquerade(range: NatRange) -> Action {
    match range.flags {
        0 => Action::Masquerade,
        flags => Action::Other(format!("masquerade{}{}", range.to_ports(), statement::nat_flags(flags))),
    }
}

fn nat(word: &str, range: NatRange) -> Action {
    let NatRange { flags, first, last, ports } = range;
    let has = |flag: u32| flags & flag != 0;
    let is_single = has(NatRange::ADDRESSES) && first == last && flags & !3 == 0;
    match (word, has(NatRange::PORTS)) {
        ("snat", false) if is_single => return Action::Snat(first),
        ("dnat", false) if is_single => return Action::Dnat(SocketAddr::new(first, 0)),
        ("dnat", true) if is_single && ports.0 == ports.1 && ports.0 != 0 => {
            return Action::Dnat(SocketAddr::new(first, ports.0));
        }
        _ => {}
    }
    let addresses = match (has(NatRange::ADDRESSES), first == last) {
        (false, _) => String::new(),
        (true, true) => format!(" to {first}"),
        (true, false) => format!(" to {first}-{last}"),
    };
    let ports = match ports {
        _ if !has(NatRange::PORTS) => String::new(),
        (first, last) if first == last => format!(":{first}"),
        (first, last) => format!(":{first}-{last}"),
    };
    Action::Other(format!("{word}{addresses}{ports}{}", statement::nat_flags(flags)))
}

/// `enum ipt_reject_with`, `enum ip6t_reject_with`.
fn reject(family: Family, with: u32) -> Action {
    let words: &[&str] = if family == Family::Ip6 {
        &[
            "icmpv6 no-route",
            "icmpv6 admin-prohibited",
            "icmpv6 not-neighbour",
            "icmpv6 addr-unreachable",
            "",
            "icmpv6 echo-reply",
            "tcp reset",
            "icmpv6 policy-fail",
            "icmpv6 reject-route",
        ]
    } else {
        &[
            "icmp net-unreachable",
            "icmp host-unreachable",
            "icmp prot-unreachable",
            "",
            "icmp echo-reply",
            "icmp net-prohibited",
            "icmp host-prohibited",
            "tcp reset",
            "icmp admin-prohibited",
        ]
    };
    match words.get(with as usize) {
        Some(&"") => Action::Reject,
        Some(words) => Action::Other(format!("reject with {words}")),
        None => Action::Other(format!("reject with {with}")),
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn u16_at(info: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(info.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(info: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?))
}

//! Fields of a packet that rules compare, by their names in nft(8), and whether they have a value.

use super::condition::Truth;
use super::packet::{Content, Ct, Packet};
use super::rules::Meeting;
use crate::nft::{Family, Protocol};
use ipnet::IpNet;
use std::net::IpAddr;

/// The fields that are understood.
pub const NAMES: [&str; 27] = [
    "iifname",
    "oifname",
    "iif",
    "oif",
    "ip saddr",
    "ip daddr",
    "ip6 saddr",
    "ip6 daddr",
    "tcp dport",
    "tcp sport",
    "udp dport",
    "udp sport",
    "th dport",
    "th sport",
    "meta l4proto",
    "ip protocol",
    "ip6 nexthdr",
    "meta nfproto",
    "meta protocol",
    "ether type",
    "icmp type",
    "icmpv6 type",
    "ct state",
    "arp operation",
    "ip version",
    "meta mark",
    "ct mark",
];

/// Whether the packet has the field: one of TCP has no port of UDP.
#[must_use]
pub fn is_there(name: &str, meeting: &Meeting<'_>) -> bool {
    let packet = meeting.packet;
    let (is_ip, is_v4) = (packet.is_ip(), packet.destination.is_ipv4());
    let is_of = |protocol: Protocol| packet.protocol() == Some(protocol);
    match name.split(' ').next().unwrap_or_default() {
        "ip" => is_ip && is_v4,
        "ip6" => is_ip && !is_v4,
        "tcp" => is_of(Protocol::Tcp),
        "udp" => is_of(Protocol::Udp),
        "th" => packet.ports().is_some(),
        "icmp" => is_of(Protocol::Icmp),
        "icmpv6" => is_of(Protocol::Icmpv6),
        "arp" => !is_ip,
        _ => true,
    }
}

/// Whether the field has a value: one, a prefix, or a range.
#[must_use]
pub fn is(name: &str, value: &str, meeting: &Meeting<'_>, family: Family) -> Truth {
    let packet = meeting.packet;
    let port = |choose: fn((u16, u16)) -> u16| {
        packet.ports().map_or(Truth::No, |ports| is_number(value, u64::from(choose(ports))))
    };
    match name {
        "iifname" => is_name(value, meeting.iif.map(|(_, name)| name)),
        "oifname" => is_name(value, meeting.oif.map(|(_, name)| name)),
        "iif" => meeting.iif.map_or(Truth::No, |(index, _)| is_number(value, index.into())),
        "oif" => meeting.oif.map_or(Truth::No, |(index, _)| is_number(value, index.into())),
        "ip saddr" | "ip6 saddr" => is_address(value, packet.source),
        "ip daddr" | "ip6 daddr" => is_address(value, packet.destination),
        "tcp dport" | "udp dport" | "th dport" => port(|(_, to)| to),
        "tcp sport" | "udp sport" | "th sport" => port(|(from, _)| from),
        "meta l4proto" | "ip protocol" | "ip6 nexthdr" => is_protocol(value, packet),
        "meta nfproto" => is_nfproto(value, packet, family),
        "meta protocol" | "ether type" => is_ethertype(value, packet),
        "icmp type" => is_icmp_type(value, packet, Protocol::Icmp),
        "icmpv6 type" => is_icmp_type(value, packet, Protocol::Icmpv6),
        "ct state" => is_ct_state(value, packet),
        "meta mark" => packet.marks.packet.map_or(Truth::Unknown, |mark| is_number(value, mark.into())),
        "ct mark" => packet.marks.connection.map_or(Truth::Unknown, |mark| is_number(value, mark.into())),
        _ => Truth::Unknown,
    }
}

/// Whether these bits of a mark are a value.
#[must_use]
pub fn is_under(name: &str, mask: &str, value: &str, meeting: &Meeting<'_>) -> Truth {
    let marks = meeting.packet.marks;
    let mark = match name {
        "meta mark" => marks.packet,
        "ct mark" => marks.connection,
        _ => None,
    };
    match (mark, number(mask)) {
        (Some(mark), Some(mask)) => is_number(value, u64::from(mark) & mask),
        _ => Truth::Unknown,
    }
}

/// `80`, `0x50`.
#[must_use]
pub fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn is_number(word: &str, own: u64) -> Truth {
    let single = number(word).map(|one| one..=one);
    let range = || word.split_once('-').and_then(|(a, b)| Some(number(a)?..=number(b)?));
    single.or_else(range).map_or(Truth::Unknown, |numbers| numbers.contains(&own).into())
}

fn is_name(word: &str, name: Option<&str>) -> Truth {
    let word = word.trim_matches('"');
    let Some(name) = name else { return Truth::No };
    match word.strip_suffix('*') {
        Some(stem) if !stem.ends_with('\\') => name.starts_with(stem).into(),
        Some(stem) => (name.strip_suffix('*') == stem.strip_suffix('\\')).into(),
        None => (name == word).into(),
    }
}

fn is_address(word: &str, address: IpAddr) -> Truth {
    if let Ok(one) = word.parse::<IpAddr>() {
        return (one == address).into();
    }
    if let Ok(prefix) = word.parse::<IpNet>() {
        return prefix.contains(&address).into();
    }
    let range =
        word.split_once('-').and_then(|(a, b)| Some((a.parse::<IpAddr>().ok()?, b.parse::<IpAddr>().ok()?)));
    range.map_or(Truth::Unknown, |(first, last)| (first <= address && address <= last).into())
}

fn is_protocol(word: &str, packet: &Packet) -> Truth {
    let own = packet.protocol().map(Protocol::number);
    let number = match word {
        "icmp" => 1,
        "igmp" => 2,
        "tcp" => 6,
        "udp" => 17,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "ipv6-icmp" | "icmpv6" => 58,
        "sctp" => 132,
        other => match other.parse::<u8>() {
            Ok(number) => number,
            Err(_) => return Truth::Unknown,
        },
    };
    (own == Some(number)).into()
}

fn is_nfproto(word: &str, packet: &Packet, family: Family) -> Truth {
    match (word, family) {
        (_, Family::Bridge | Family::Netdev | Family::Arp) => Truth::Unknown,
        ("ipv4", _) => packet.destination.is_ipv4().into(),
        ("ipv6", _) => packet.destination.is_ipv6().into(),
        _ => Truth::Unknown,
    }
}

fn is_ethertype(word: &str, packet: &Packet) -> Truth {
    match word {
        "ip" | "0x0800" => (packet.is_ip() && packet.destination.is_ipv4()).into(),
        "ip6" | "0x86dd" => (packet.is_ip() && packet.destination.is_ipv6()).into(),
        "arp" | "0x0806" => (!packet.is_ip()).into(),
        "8021q" | "vlan" => Truth::No,
        _ => Truth::Unknown,
    }
}

fn is_icmp_type(word: &str, packet: &Packet, protocol: Protocol) -> Truth {
    let Content::Icmp(kind) = packet.content else { return Truth::No };
    match word.parse::<u8>() {
        Ok(number) => (number == kind).into(),
        Err(_) => (crate::nft::icmp_type_word(protocol, kind) == Some(word)).into(),
    }
}

fn is_ct_state(word: &str, packet: &Packet) -> Truth {
    let own = match packet.ct {
        Ct::New => "new",
        Ct::Established => "established",
        Ct::Invalid => "invalid",
        Ct::Untracked => "untracked",
    };
    word.split(',').any(|state| state == own).into()
}

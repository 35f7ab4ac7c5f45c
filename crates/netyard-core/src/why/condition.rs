//! Whether a condition of a rule holds for a packet: yes, no, or not known.

use super::packet::{Content, Ct, Packet};
use super::rules::Meeting;
use crate::nft::{CtStates, Family, Match, Ports, Protocol};
use ipnet::IpNet;
use std::net::IpAddr;

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It is not understood.
    Unknown,
}

impl Truth {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// Whether a condition holds in a table of this family.
#[must_use]
pub fn holds(condition: &Match, meeting: &Meeting<'_>, family: Family) -> Truth {
    let packet = meeting.packet;
    let is_ip = packet.is_ip();
    let is_protocol = |protocol: Protocol| packet.protocol() == Some(protocol);
    match condition {
        Match::InterfaceIn(name) => (meeting.iif == Some(name.as_str())).into(),
        Match::InterfaceOut(name) => (meeting.oif == Some(name.as_str())).into(),
        Match::InterfaceOutNot(name) => (meeting.oif != Some(name.as_str())).into(),
        Match::Source(prefix) => (is_ip && prefix.contains(&packet.source)).into(),
        Match::Destination(prefix) => (is_ip && prefix.contains(&packet.destination)).into(),
        Match::Protocol(protocol) => is_protocol(*protocol).into(),
        Match::DestinationPort(protocol, ports) => {
            (is_protocol(*protocol) && packet.ports().is_some_and(|(_, to)| ports.contains(to))).into()
        }
        Match::SourcePort(protocol, ports) => match packet.ports() {
            Some((from, _)) if is_protocol(*protocol) => source_port(packet, *ports, from),
            _ => Truth::No,
        },
        Match::CtState(states) => is_in_state(*states, packet.ct).into(),
        Match::CtStatusDnat => packet.has_dnat.into(),
        Match::DestinationLocal => meeting.is_local.into(),
        Match::IcmpType(protocol, kind) => {
            (is_protocol(*protocol) && packet.content == Content::Icmp(*kind)).into()
        }
        Match::TcpSyn => matches!(packet.content, Content::Tcp(..)).into(),
        Match::Other(words) => in_words(words, meeting, family),
    }
}

/// The client's own port is the kernel's choice: one of many.
fn source_port(packet: &Packet, ports: Ports, from: u16) -> Truth {
    let is_clients = matches!(packet.ct, Ct::New);
    if is_clients && ports.first >= 32_768 && ports.count() < 20_000 {
        return Truth::Unknown;
    }
    ports.contains(from).into()
}

fn is_in_state(states: CtStates, ct: Ct) -> bool {
    match ct {
        Ct::New => states.new,
        Ct::Established => states.established,
        Ct::Invalid => states.invalid,
        Ct::Untracked => states.untracked,
    }
}

/// Conditions in the words of nft(8): a name, perhaps `!=`, and a value, a range or a list.
fn in_words(words: &str, meeting: &Meeting<'_>, family: Family) -> Truth {
    let packet = meeting.packet;
    if words == "counter" || words.starts_with("log") {
        return Truth::Yes;
    }
    let names = [
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
    ];
    let Some((name, rest)) =
        names.iter().find_map(|name| Some((*name, words.strip_prefix(name)?.strip_prefix(' ')?)))
    else {
        return Truth::Unknown;
    };
    let (is_inverted, value) = match rest.strip_prefix("!= ") {
        Some(value) => (true, value),
        None => (false, rest),
    };
    let is_v4 = packet.destination.is_ipv4();
    let is_ip = packet.is_ip();
    // A field that the packet has not makes the condition false, also where it is turned round.
    let any = |is_value: &dyn Fn(&str) -> Truth| {
        let truth = any_of(value, is_value);
        if is_inverted { truth.not() } else { truth }
    };
    let address = |address: IpAddr, is_fitting: bool| {
        if is_ip && is_fitting { any(&|word| is_address(word, address)) } else { Truth::No }
    };
    let ports = packet.ports();
    let port = |protocol: Option<Protocol>, port: Option<u16>| match port {
        Some(port) if protocol.is_none() || protocol == packet.protocol() => any(&|word| is_port(word, port)),
        _ => Truth::No,
    };
    let (from, to) = (ports.map(|(from, _)| from), ports.map(|(_, to)| to));
    match name {
        "iifname" | "iif" => any(&|word| is_name(word, meeting.iif)),
        "oifname" | "oif" => any(&|word| is_name(word, meeting.oif)),
        "ip saddr" => address(packet.source, is_v4),
        "ip daddr" => address(packet.destination, is_v4),
        "ip6 saddr" => address(packet.source, !is_v4),
        "ip6 daddr" => address(packet.destination, !is_v4),
        "tcp dport" => port(Some(Protocol::Tcp), to),
        "udp dport" => port(Some(Protocol::Udp), to),
        "th dport" => port(None, to),
        "tcp sport" => port(Some(Protocol::Tcp), from),
        "udp sport" => port(Some(Protocol::Udp), from),
        "th sport" => port(None, from),
        "meta l4proto" => any(&|word| is_protocol(word, packet)),
        "ip protocol" if is_v4 && is_ip => any(&|word| is_protocol(word, packet)),
        "ip6 nexthdr" if !is_v4 && is_ip => any(&|word| is_protocol(word, packet)),
        "ip protocol" | "ip6 nexthdr" => Truth::No,
        "meta nfproto" => any(&|word| is_nfproto(word, packet, family)),
        "meta protocol" | "ether type" => any(&|word| is_ethertype(word, packet)),
        "icmp type" | "icmpv6 type" => any(&|word| is_icmp_type(word, packet, name)),
        "ct state" => any(&|word| is_ct_state(word, packet)),
        "arp operation" if is_ip => Truth::No,
        _ => Truth::Unknown,
    }
}

/// Whether one of the values in `a`, `{ a, b }` does.
fn any_of(values: &str, is_value: &dyn Fn(&str) -> Truth) -> Truth {
    let list = values.strip_prefix('{').and_then(|v| v.strip_suffix('}')).unwrap_or(values);
    let mut all = Truth::No;
    for word in list.split(", ").map(str::trim) {
        match is_value(word) {
            Truth::Yes => return Truth::Yes,
            Truth::Unknown => all = Truth::Unknown,
            Truth::No => {}
        }
    }
    all
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

fn is_port(word: &str, port: u16) -> Truth {
    let single = word.parse::<u16>().ok().map(|one| one..=one);
    let range = || word.split_once('-').and_then(|(a, b)| Some(a.parse().ok()?..=b.parse().ok()?));
    single.or_else(range).map_or(Truth::Unknown, |ports| ports.contains(&port).into())
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

fn is_icmp_type(word: &str, packet: &Packet, name: &str) -> Truth {
    let protocol = if name == "icmp type" { Protocol::Icmp } else { Protocol::Icmpv6 };
    let Content::Icmp(kind) = packet.content else { return Truth::No };
    if packet.protocol() != Some(protocol) {
        return Truth::No;
    }
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

#[cfg(test)]
mod tests {
    use super::super::packet::About;
    use super::*;

    fn truth(words: &str) -> Truth {
        let packet = Packet::first("10.0.0.1".parse().unwrap(), "10.0.1.2".parse().unwrap(), About::Tcp(80));
        let meeting = Meeting { packet: &packet, iif: Some("eth0"), oif: None, is_local: false };
        in_words(words, &meeting, Family::Inet)
    }

    #[test]
    fn conditions_in_words_are_understood_as_far_as_they_go() {
        for yes in [
            "iifname \"eth*\"",
            "iifname != \"eth1\"",
            "iifname { \"eth0\", \"eth1\" }",
            "ip saddr 10.0.0.1-10.0.0.9",
            "ip daddr != 10.0.2.0/24",
            "tcp dport { 80, 443 }",
            "tcp dport 1-1024",
            "meta l4proto { tcp, udp }",
            "meta nfproto ipv4",
            "counter",
        ] {
            assert_eq!(truth(yes), Truth::Yes, "{yes}");
        }
        for no in [
            "oifname \"eth0\"",
            "ip6 saddr != ::1",
            "tcp dport != 80",
            "udp dport 80",
            "icmp type echo-request",
        ] {
            assert_eq!(truth(no), Truth::No, "{no}");
        }
        for unknown in ["ip saddr @servers", "limit rate 5/second", "meta mark 0x1", "tcp dport ssh"] {
            assert_eq!(truth(unknown), Truth::Unknown, "{unknown}");
        }
    }
}

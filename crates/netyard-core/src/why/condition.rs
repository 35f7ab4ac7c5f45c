//! Whether a condition of a rule holds for a packet: yes, no, or not known.

use super::field;
use super::packet::{Content, Ct, Packet};
use super::rules::Meeting;
use super::sight::Ruleset;
use crate::nft::{CtStates, Family, Match, Ports, Protocol};

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

/// Whether a condition holds in a table.
#[must_use]
pub fn holds(condition: &Match, meeting: &Meeting<'_>, ruleset: &Ruleset) -> Truth {
    let packet = meeting.packet;
    let is_ip = packet.is_ip();
    let is_protocol = |protocol: Protocol| packet.protocol() == Some(protocol);
    match condition {
        Match::InterfaceIn(name) => (named(meeting.iif) == Some(name.as_str())).into(),
        Match::InterfaceOut(name) => (named(meeting.oif) == Some(name.as_str())).into(),
        Match::InterfaceOutNot(name) => (named(meeting.oif) != Some(name.as_str())).into(),
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
        Match::Other(words) => in_words(words, meeting, ruleset),
    }
}

fn named(interface: Option<(u32, &str)>) -> Option<&str> {
    interface.map(|(_, name)| name)
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

/// Conditions in the words of nft(8): fields, perhaps `!=`, and a value, a range, a list or the name of a set.
fn in_words(words: &str, meeting: &Meeting<'_>, ruleset: &Ruleset) -> Truth {
    if ["counter", "log", "comment"].iter().any(|word| is_first(words, word)) {
        return Truth::Yes;
    }
    // What is put into a set decides nothing here.
    if ["add", "update", "delete"].iter().any(|word| is_first(words, word)) && words.contains(" @") {
        return Truth::Yes;
    }
    let Some((fields, rest)) = Fields::read(words) else { return Truth::Unknown };
    let (is_inverted, values) = match rest.strip_prefix("!= ") {
        Some(values) => (true, values),
        None => (false, rest),
    };
    // A field that the packet has not makes the condition false, also where it is turned round.
    if !fields.are_there(meeting) {
        return Truth::No;
    }
    let truth = match elements(values, ruleset) {
        Some(elements) => any(elements.map(|element| fields.hold(element, meeting, ruleset.family))),
        None => Truth::Unknown,
    };
    if is_inverted { truth.not() } else { truth }
}

fn is_first(words: &str, word: &str) -> bool {
    words.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// What a map of verdicts says about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapped<'a> {
    /// This, in the words of nft(8).
    Says(&'a str),
    /// Nothing: no element is about it.
    Nothing,
    /// That is not understood.
    Unknown,
}

/// What a map of verdicts, `tcp dport vmap { 22 : accept, 80 : jump web }`, says; none for what is no such map.
#[must_use]
pub fn mapped<'a>(words: &'a str, meeting: &Meeting<'_>, ruleset: &'a Ruleset) -> Option<Mapped<'a>> {
    let (key, map) = words.split_once(" vmap ")?;
    let Some((fields, _)) = Fields::read(key) else { return Some(Mapped::Unknown) };
    if !fields.are_there(meeting) {
        return Some(Mapped::Nothing);
    }
    let Some(elements) = elements(map, ruleset) else { return Some(Mapped::Unknown) };
    let mut all_others = Mapped::Nothing;
    for element in elements {
        let Some((value, verdict)) = element.rsplit_once(" : ") else { return Some(Mapped::Unknown) };
        if value == ALL_OTHERS {
            all_others = Mapped::Says(verdict);
            continue;
        }
        match fields.hold(value, meeting, ruleset.family) {
            Truth::Yes => return Some(Mapped::Says(verdict)),
            Truth::Unknown => return Some(Mapped::Unknown),
            Truth::No => {}
        }
    }
    Some(all_others)
}

/// The element of a set that stands for what no other one names.
const ALL_OTHERS: &str = "*";

/// The elements of `a`, `{ a, b }`, or of a set with a name; none where nobody knows them.
fn elements<'a>(values: &'a str, ruleset: &'a Ruleset) -> Option<impl Iterator<Item = &'a str>> {
    let values = match values.strip_prefix('@') {
        Some(name) => &ruleset.sets.iter().find(|set| set.name == name)?.elements,
        None => values,
    };
    let list = values.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(values);
    Some(list.split(", ").map(str::trim).filter(|element| !element.is_empty()))
}

/// Whether one of these holds.
fn any(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut all = Truth::No;
    for truth in truths {
        match truth {
            Truth::Yes => return Truth::Yes,
            Truth::Unknown => all = Truth::Unknown,
            Truth::No => {}
        }
    }
    all
}

/// What a comparison is about: one field, or several that are compared as one (`ip saddr . tcp dport`).
struct Fields<'a> {
    names: Vec<&'static str>,
    /// The bits that are compared, for marks.
    mask: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Those at the start of words, and what comes behind them.
    fn read(words: &'a str) -> Option<(Self, &'a str)> {
        let mut fields = Self { names: Vec::new(), mask: None };
        let mut rest = words;
        loop {
            let name = field::NAMES.iter().find(|name| is_first(rest, name))?;
            fields.names.push(name);
            rest = rest[name.len()..].trim_start();
            match rest.strip_prefix(". ") {
                Some(next) => rest = next,
                None => break,
            }
        }
        if let Some(masked) = rest.strip_prefix("& ") {
            let (mask, compared) = masked.split_once(' ')?;
            fields.mask = Some(mask);
            rest = compared.strip_prefix("== ").unwrap_or(compared);
        }
        Some((fields, rest))
    }

    fn are_there(&self, meeting: &Meeting<'_>) -> bool {
        self.names.iter().all(|name| field::is_there(name, meeting))
    }

    /// Whether all fields have the values of an element.
    fn hold(&self, element: &str, meeting: &Meeting<'_>, family: Family) -> Truth {
        if element == ALL_OTHERS {
            return Truth::Yes;
        }
        let values: Vec<&str> = element.split(" . ").collect();
        if values.len() != self.names.len() {
            return Truth::Unknown;
        }
        let truths = self.names.iter().zip(values).map(|(name, value)| match self.mask {
            Some(mask) => field::is_under(name, mask, value, meeting),
            None => field::is(name, value, meeting, family),
        });
        truths.fold(Truth::Yes, Truth::and)
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::{About, Marks};
    use super::super::sight::NamedSet;
    use super::*;

    fn ruleset() -> Ruleset {
        let set = |(name, elements): (&str, &str)| NamedSet { name: name.into(), elements: elements.into() };
        let sets = [
            ("servers", "{ 10.0.1.0/24, 10.9.0.1-10.9.0.9 }"),
            ("pairs", "{ 10.0.0.0/24 . 1-100, 10.0.7.1 . 22 }"),
            ("none", "{  }"),
            ("doors", "{ 22 : drop, 80-90 : jump web, * : accept }"),
        ];
        let sets = sets.map(set).to_vec();
        Ruleset { is_legacy: false, family: Family::Inet, name: "t".into(), chains: Vec::new(), sets }
    }

    fn packet() -> Packet {
        let mut packet =
            Packet::first("10.0.0.1".parse().unwrap(), "10.0.1.2".parse().unwrap(), About::Tcp(80));
        packet.marks = Marks { packet: Some(0x12), connection: None };
        packet
    }

    fn truth(words: &str) -> Truth {
        let packet = packet();
        let meeting = Meeting { packet: &packet, iif: Some((2, "eth0")), oif: None, is_local: false };
        in_words(words, &meeting, &ruleset())
    }

    #[test]
    fn maps_of_verdicts_say_what_their_element_says() {
        let packet = packet();
        let meeting = Meeting { packet: &packet, iif: Some((2, "eth0")), oif: None, is_local: false };
        for (words, says) in [
            ("tcp dport vmap { 22 : drop, 80 : accept }", Some(Mapped::Says("accept"))),
            ("tcp dport vmap @doors", Some(Mapped::Says("jump web"))),
            ("tcp sport vmap @doors", Some(Mapped::Says("accept"))),
            ("udp dport vmap @doors", Some(Mapped::Nothing)),
            ("tcp dport vmap { 22 : drop }", Some(Mapped::Nothing)),
            ("iifname . tcp dport vmap { \"eth0\" . 80 : drop }", Some(Mapped::Says("drop"))),
            ("tcp dport vmap @unheard", Some(Mapped::Unknown)),
            ("meta cgroup vmap { 1 : drop }", Some(Mapped::Unknown)),
            ("tcp dport 80", None),
        ] {
            assert_eq!(mapped(words, &meeting, &ruleset()), says, "{words}");
        }
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
            "comment \"let in\"",
            "ip daddr @servers",
            "ip saddr . tcp dport @pairs",
            "ip saddr . tcp dport { 10.0.0.1 . 80, 10.0.0.2 . 81 }",
            "iifname . ip daddr { \"eth0\" . 10.0.1.2 }",
            "ip saddr != @none",
            "meta mark 0x00000012",
            "meta mark { 0x00000001, 0x00000010-0x0000001f }",
            "meta mark & 0x0000000f == 0x00000002",
            "meta mark & 0x0000000f != 0x00000001",
            "update @seen { ip saddr }",
            "iif 2",
        ] {
            assert_eq!(truth(yes), Truth::Yes, "{yes}");
        }
        for no in [
            "oifname \"eth0\"",
            "ip6 saddr != ::1",
            "tcp dport != 80",
            "udp dport 80",
            "icmp type echo-request",
            "ip saddr @servers",
            "ip saddr . tcp dport { 10.0.0.1 . 81, 10.0.0.2 . 80 }",
            "ip6 saddr . tcp dport != { ::1 . 80 }",
            "meta mark 0x00000001",
        ] {
            assert_eq!(truth(no), Truth::No, "{no}");
        }
        for unknown in [
            "ip saddr @unheard",
            "limit rate 5/second",
            "ct mark 0x1",
            "tcp dport ssh",
            "ip saddr . tcp dport { 10.0.0.1 }",
        ] {
            assert_eq!(truth(unknown), Truth::Unknown, "{unknown}");
        }
    }
}

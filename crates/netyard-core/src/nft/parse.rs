//! Rules from nft(8) syntax: those that [`super::Match`] and [`super::Action`] have forms for.

use super::{
    Action, ChainKind, CtStates, Family, Hook, Match, Policy, Ports, Protocol, Rule, icmp_type_word,
};
use crate::name::IfName;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// What of a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// The words from which on it is not understood.
    pub rest: String,
}

/// Reads what [`Rule`]'s `Display` writes.
///
/// ```
/// use netyard_core::nft::Rule;
/// let rule: Rule = "iifname \"eth0\" tcp dport 80-90 counter dnat ip to 10.0.0.2:80".parse().unwrap();
/// assert_eq!(rule.to_string(), "iifname \"eth0\" tcp dport 80-90 counter dnat ip to 10.0.0.2:80");
/// assert_eq!("tcp dport 80 fly".parse::<Rule>().unwrap_err().rest, "fly");
/// ```
impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut rest = Words(text.trim());
        let mut rule = Self { matches: Vec::new(), counts: false, action: Action::Continue };
        loop {
            let before = rest.0;
            let error = || RuleError { rest: before.to_owned() };
            if before.is_empty() {
                return if rule.counts || !rule.matches.is_empty() { Ok(rule) } else { Err(error()) };
            }
            if rest.take("counter") {
                rule.counts = true;
            } else if let Some(found) = rest.condition() {
                if rule.counts {
                    return Err(error());
                }
                rule.matches.push(found);
            } else if let Some(action) = rest.action() {
                rule.action = action;
                return if rest.0.is_empty() { Ok(rule) } else { Err(RuleError { rest: rest.0.to_owned() }) };
            } else {
                return Err(error());
            }
        }
    }
}

/// What is still to be read.
#[derive(Clone, Copy)]
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(char::is_whitespace).unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        (!word.is_empty()).then_some(word)
    }

    /// Takes these words, or nothing.
    fn take(&mut self, words: &str) -> bool {
        let mut ahead = *self;
        let is_next = words.split(' ').all(|word| ahead.next() == Some(word));
        if is_next {
            *self = ahead;
        }
        is_next
    }

    /// Takes the next word when it can be read as a value.
    fn value<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let mut ahead = *self;
        let value = read(ahead.next()?)?;
        *self = ahead;
        Some(value)
    }

    fn condition(&mut self) -> Option<Match> {
        let mut ahead = *self;
        let found = ahead.condition_ahead()?;
        *self = ahead;
        Some(found)
    }

    fn condition_ahead(&mut self) -> Option<Match> {
        if self.take("iifname") {
            return self.value(interface).map(Match::InterfaceIn);
        }
        if self.take("oifname !=") {
            return self.value(interface).map(Match::InterfaceOutNot);
        }
        if self.take("oifname") {
            return self.value(interface).map(Match::InterfaceOut);
        }
        if self.take("ip saddr") || self.take("ip6 saddr") {
            return self.value(prefix).map(Match::Source);
        }
        if self.take("ip daddr") || self.take("ip6 daddr") {
            return self.value(prefix).map(Match::Destination);
        }
        if self.take("meta l4proto") {
            return self.value(protocol).map(Match::Protocol);
        }
        if self.take("ct state") {
            return self.value(states).map(Match::CtState);
        }
        if self.take("ct status dnat") {
            return Some(Match::CtStatusDnat);
        }
        if self.take("fib daddr type local") {
            return Some(Match::DestinationLocal);
        }
        if self.take("tcp flags syn / syn,rst") {
            return Some(Match::TcpSyn);
        }
        let protocol = self.value(protocol)?;
        match self.next()? {
            "dport" => self.value(ports).map(|ports| Match::DestinationPort(protocol, ports)),
            "sport" => self.value(ports).map(|ports| Match::SourcePort(protocol, ports)),
            "type" => self
                .value(|word| {
                    let is_word = |number: &u8| icmp_type_word(protocol, *number) == Some(word);
                    word.parse().ok().or_else(|| (0..=255).find(is_word))
                })
                .map(|number| Match::IcmpType(protocol, number)),
            _ => None,
        }
    }

    fn action(&mut self) -> Option<Action> {
        if self.take("tcp option maxseg size set rt mtu") {
            return Some(Action::ClampMss);
        }
        match self.next()? {
            "continue" => Some(Action::Continue),
            "accept" => Some(Action::Accept),
            "drop" => Some(Action::Drop),
            "reject" => Some(Action::Reject),
            "masquerade" => Some(Action::Masquerade),
            "jump" => self.next().map(|chain| Action::Jump(chain.to_owned())),
            "snat" => {
                let _ = self.take("ip") || self.take("ip6");
                self.take("to").then_some(())?;
                self.value(|word| word.parse().ok()).map(Action::Snat)
            }
            "dnat" => {
                let _ = self.take("ip") || self.take("ip6");
                self.take("to").then_some(())?;
                let address = |word: &str| word.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0));
                self.value(|word| word.parse().ok().or_else(|| address(word))).map(Action::Dnat)
            }
            _ => None,
        }
    }
}

fn interface(word: &str) -> Option<IfName> {
    let bare = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(word);
    IfName::new(bare.replace("\\*", "*")).ok()
}

fn prefix(word: &str) -> Option<IpNet> {
    word.parse().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from))
}

fn protocol(word: &str) -> Option<Protocol> {
    match word {
        "icmp" => Some(Protocol::Icmp),
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        "icmpv6" | "ipv6-icmp" => Some(Protocol::Icmpv6),
        _ => None,
    }
}

fn ports(word: &str) -> Option<Ports> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let ports = Ports { first: first.parse().ok()?, last: last.parse().ok()? };
    (ports.first <= ports.last).then_some(ports)
}

fn states(word: &str) -> Option<CtStates> {
    let mut states = CtStates::default();
    for state in word.split(',') {
        match state {
            "invalid" => states.invalid = true,
            "established" => states.established = true,
            "related" => states.related = true,
            "new" => states.new = true,
            "untracked" => states.untracked = true,
            _ => return None,
        }
    }
    Some(states)
}

/// The words of families, kinds, hooks and policies.
pub(crate) const FAMILIES: [(&str, Family); 4] =
    [("inet", Family::Inet), ("ip", Family::Ip), ("ip6", Family::Ip6), ("bridge", Family::Bridge)];
pub(crate) const KINDS: [(&str, ChainKind); 3] =
    [("filter", ChainKind::Filter), ("nat", ChainKind::Nat), ("route", ChainKind::Route)];
pub(crate) const HOOKS: [(&str, Hook); 5] = [
    ("prerouting", Hook::Prerouting),
    ("input", Hook::Input),
    ("forward", Hook::Forward),
    ("output", Hook::Output),
    ("postrouting", Hook::Postrouting),
];
pub(crate) const POLICIES: [(&str, Policy); 2] = [("accept", Policy::Accept), ("drop", Policy::Drop)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_as_it_prints() {
        for text in [
            "accept",
            "iifname \"eth0\" ip saddr 10.0.0.0/24 accept",
            "oifname != \"a*\" ip6 daddr fd00::1 counter drop",
            "meta l4proto ipv6-icmp reject",
            "icmp type echo-request accept",
            "icmpv6 type 200 continue",
            "ct state established,related accept",
            "ct status dnat fib daddr type local masquerade",
            "tcp flags syn / syn,rst tcp option maxseg size set rt mtu",
            "udp sport 53 udp dport 1024-65535 snat ip to 192.0.2.1",
            "tcp dport 80 dnat ip6 to [fd00::2]:8080",
            "ip daddr 192.0.2.1 dnat ip to 10.0.0.2",
            "jump mine",
        ] {
            let rule: Rule = text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(rule.to_string().replace("\\*", "*"), text);
            assert!(rule.is_understood());
        }
        for wrong in ["", "accept drop", "tcp dport", "counter tcp dport 1 drop", "frobnicate"] {
            assert!(wrong.parse::<Rule>().is_err(), "{wrong}");
        }
    }
}

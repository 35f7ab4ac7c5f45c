//! Rules as `iptables -S` writes them, to be typed again.

use super::list::{protocol_word, state_words, target};
use super::{Parts, Program};
use crate::nft::{Action, Match, Ports, Rule};
use std::fmt::Write as _;

/// A rule as `iptables -S` writes it.
#[must_use]
pub fn specification(program: Program, chain: &str, rule: &Rule) -> String {
    let parts = Parts::of(rule);
    let mut text = format!("-A {chain}");
    let mut put = |word: &str, value: &str| {
        let _ = write!(text, " {word} {value}");
    };
    parts.source.iter().for_each(|prefix| put("-s", &prefix.to_string()));
    parts.destination.iter().for_each(|prefix| put("-d", &prefix.to_string()));
    parts.input.iter().for_each(|name| put("-i", name.as_str()));
    match parts.output {
        Some((name, true)) => put("-o", name.as_str()),
        Some((name, false)) => put("! -o", name.as_str()),
        None => {}
    }
    rule.protocol().iter().for_each(|protocol| put("-p", protocol_word(*protocol)));
    let mut last = None;
    for condition in &parts.others {
        let name = match condition {
            Match::CtState(_) => "conntrack",
            Match::IcmpType(..) => program.icmp_match(),
            other => other.included_protocol().map_or("", protocol_word),
        };
        if last != Some(name) && !name.is_empty() {
            put("-m", name);
        }
        last = Some(name);
        let range = |ports: &Ports| {
            if ports.first == ports.last {
                ports.first.to_string()
            } else {
                format!("{}:{}", ports.first, ports.last)
            }
        };
        match condition {
            Match::SourcePort(_, ports) => put("--sport", &range(ports)),
            Match::DestinationPort(_, ports) => put("--dport", &range(ports)),
            Match::IcmpType(_, number) => put(program.icmp().1, &number.to_string()),
            Match::CtState(states) => put("--ctstate", &state_words(*states)),
            other => put("#", &other.to_string()),
        }
    }
    match &rule.action {
        Action::Continue => {}
        Action::Other(words) => put("#", words),
        action => put("-j", target(action)),
    }
    match &rule.action {
        Action::Snat(to) => put("--to-source", &to.to_string()),
        Action::Dnat(to) if to.port() == 0 => put("--to-destination", &to.ip().to_string()),
        Action::Dnat(to) => put("--to-destination", &to.to_string()),
        Action::Reject => put("--reject-with", program.reject()),
        Action::ClampMss => put("--clamp-mss-to-pmtu", ""),
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Task, order};
    use super::*;

    fn check(program: Program, text: &str) {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let Task::Append(_, rule) = order(program, &words).unwrap().task else { panic!("{text}") };
        let expected = text.strip_prefix("-t nat ").unwrap_or(text);
        assert_eq!(specification(program, "X", &rule), expected);
    }

    #[test]
    fn specifications_can_be_typed_again() {
        for text in [
            "-t nat -A X -s 10.0.0.0/24 -o ens4 -j MASQUERADE",
            "-t nat -A X -s 10.0.1.0/24 ! -o ens4 -j SNAT --to-source 10.138.0.3",
            "-t nat -A X -i ens4 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.1:80",
            "-A X -d 1.1.1.1/32 -p icmp -m icmp --icmp-type 8 -m conntrack --ctstate NEW -j ACCEPT",
            "-A X -p udp -j REJECT --reject-with icmp-port-unreachable",
        ] {
            check(Program::Iptables, text);
        }
        for text in [
            "-t nat -A X -s fd00::/64 -o ens4 -j MASQUERADE",
            "-t nat -A X -s fd00::1/128 -j SNAT --to-source fd01::9",
            "-t nat -A X -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00::1]:80",
            "-t nat -A X -p udp -j DNAT --to-destination fd00::2",
            "-A X -d fd01::1/128 -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m conntrack --ctstate NEW -j DROP",
            "-A X -p udp -j REJECT --reject-with icmp6-port-unreachable",
        ] {
            check(Program::Ip6tables, text);
        }
    }
}

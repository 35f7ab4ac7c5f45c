//! What the rules of a namespace do with a packet.
//!
//! A condition that is not understood is neither true nor false. Where a packet's fate is the same either way, it does
//! not matter; where it is not, the verdict is [`Outcome::Unknown`].

use super::condition::{Mapped, Truth, holds, mapped};
use super::packet::{Marks, Packet};
use super::sight::{Chain, PlacedRule, Ruleset};
use crate::journey::RuleAt;
use crate::nft::{Action, ChainKind, Family, Hook, Match, Policy};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

/// A packet at a hook.
#[derive(Debug, Clone, Copy)]
pub struct Meeting<'a> {
    /// The packet.
    pub packet: &'a Packet,
    /// The interface that it came in by: ifindex and name.
    pub iif: Option<(u32, &'a str)>,
    /// The interface that it leaves by.
    pub oif: Option<(u32, &'a str)>,
    /// Whether its destination is an address of this node.
    pub is_local: bool,
}

/// What a base chain does with a packet, and how it is marked then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged<'a> {
    /// What is done.
    pub outcome: Outcome<'a>,
    /// The marks.
    pub marks: Marks,
}

/// What a chain does with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Nothing decided, or the policy is to accept.
    Passes,
    /// A rule lets it pass.
    Accepted(Spot<'a>),
    /// A rule drops it.
    Dropped(Spot<'a>),
    /// A rule rejects it: its sender is told.
    Rejected(Spot<'a>),
    /// The policy drops it.
    PolicyDrops(&'a Chain),
    /// Addresses are rewritten.
    Translated(Translation, Spot<'a>),
    /// It depends on this rule, which is not understood.
    Unknown(Spot<'a>),
}

/// A rule where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot<'a> {
    /// Its chain.
    pub chain: &'a Chain,
    /// The rule.
    pub rule: &'a PlacedRule,
}

/// How addresses are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Translation {
    /// The source becomes that of the outgoing interface.
    Masquerade,
    /// The source becomes this one.
    Source(IpAddr),
    /// The destination becomes this one; port 0 leaves the port.
    Destination(SocketAddr),
    /// The destination becomes this node, at that port.
    Here(Option<u16>),
}

/// The base chains that a packet of these families meets at a hook, in order, with their tables.
pub fn chains_at<'a>(
    rulesets: &'a [Ruleset],
    families: &'a [Family],
    hook: Hook,
    device: Option<&'a str>,
) -> Vec<(&'a Ruleset, &'a Chain)> {
    let chains = rulesets
        .iter()
        .filter(|r| families.contains(&r.family))
        .flat_map(|r| r.chains.iter().map(move |c| (r, c)));
    let is_here = |chain: &Chain| {
        let is_on_device = chain.devices.is_empty()
            || device.is_some_and(|device| chain.devices.iter().any(|d| d == device));
        chain.base.as_ref().is_some_and(|base| base.hook == hook) && is_on_device
    };
    let mut found: Vec<(&Ruleset, &Chain)> = chains.filter(|(_, chain)| is_here(chain)).collect();
    found.sort_by_key(|(_, chain)| chain.base.as_ref().map(|base| base.priority));
    found
}

/// Rules of IP that a packet meets: those of its own version, and those of both.
#[must_use]
pub fn families_of(packet: &Packet) -> &'static [Family] {
    match (packet.is_ip(), packet.destination.is_ipv4()) {
        (false, _) => &[Family::Arp],
        (true, true) => &[Family::Inet, Family::Ip],
        (true, false) => &[Family::Inet, Family::Ip6],
    }
}

/// What a base chain does with a packet.
#[must_use]
pub fn judge<'a>(ruleset: &'a Ruleset, chain: &'a Chain, meeting: &Meeting<'_>) -> Judged<'a> {
    let walk = Judge { ruleset, meeting, marks: Cell::new(meeting.packet.marks) };
    let outcome = match walk.run(chain, 0, 0) {
        Some(outcome) => outcome,
        None => match &chain.base {
            Some(base) if base.policy == Policy::Drop => Outcome::PolicyDrops(chain),
            _ => Outcome::Passes,
        },
    };
    Judged { outcome, marks: walk.marks.get() }
}

/// Whether a chain rewrites addresses.
#[must_use]
pub fn is_nat(chain: &Chain) -> bool {
    chain.base.as_ref().is_some_and(|base| base.kind == ChainKind::Nat)
}

struct Judge<'a, 'm> {
    ruleset: &'a Ruleset,
    meeting: &'m Meeting<'m>,
    /// As rules have changed them.
    marks: Cell<Marks>,
}

/// So deep may chains jump (`NFT_JUMP_STACK_SIZE`).
const DEPTH_MAX: usize = 16;

impl<'a> Judge<'a, '_> {
    /// What the rules of a chain decide from one on; none when they decide nothing.
    fn run(&self, chain: &'a Chain, from: usize, depth: usize) -> Option<Outcome<'a>> {
        for (at, rule) in chain.rules.iter().enumerate().skip(from) {
            match self.truth(rule) {
                Truth::No => {}
                Truth::Yes => match self.act(Spot { chain, rule }, depth) {
                    Act::Goes => {}
                    Act::Returns => return None,
                    Act::Decides(outcome) => return Some(outcome),
                },
                Truth::Unknown => {
                    let spot = Spot { chain, rule };
                    let before = self.marks.get();
                    let taken = match self.act(spot, depth) {
                        // The rules behind it see the marks of both.
                        Act::Goes => {
                            self.marks.set(self.marks.get().or(before));
                            continue;
                        }
                        Act::Returns => None,
                        Act::Decides(outcome) => Some(outcome),
                    };
                    let marks = self.marks.replace(before);
                    let skipped = self.run(chain, at + 1, depth);
                    self.marks.set(self.marks.get().or(marks));
                    return if self.is_same(&taken, &skipped) {
                        skipped
                    } else {
                        Some(Outcome::Unknown(spot))
                    };
                }
            }
        }
        None
    }

    /// Whether two ends are one for the packet.
    fn is_same(&self, a: &Option<Outcome<'a>>, b: &Option<Outcome<'a>>) -> bool {
        let passes = |o: &Option<Outcome<'a>>| match o {
            // In a chain that is jumped to, deciding nothing is not accepting; at the end of a base chain it is what
            // the policy says, which is to accept but in the rarest case.
            None => true,
            Some(Outcome::Passes | Outcome::Accepted(_)) => true,
            Some(_) => false,
        };
        a == b || passes(a) && passes(b)
    }

    fn truth(&self, rule: &PlacedRule) -> Truth {
        let mut all = Truth::Yes;
        for condition in &rule.rule.matches {
            let before = self.marks.get();
            if let Match::Other(words) = condition
                && let Some(marks) = before.set(words)
            {
                self.marks.set(if all == Truth::Yes { marks } else { marks.or(before) });
                continue;
            }
            let packet = Packet { marks: before, ..*self.meeting.packet };
            let meeting = Meeting { packet: &packet, ..*self.meeting };
            all = all.and(holds(condition, &meeting, self.ruleset));
            if all == Truth::No {
                break;
            }
        }
        all
    }

    fn act(&self, spot: Spot<'a>, depth: usize) -> Act<'a> {
        match &spot.rule.rule.action {
            Action::Continue | Action::ClampMss => Act::Goes,
            Action::Accept => Act::Decides(Outcome::Accepted(spot)),
            Action::Drop => Act::Decides(Outcome::Dropped(spot)),
            Action::Reject => Act::Decides(Outcome::Rejected(spot)),
            Action::Masquerade => Act::Decides(Outcome::Translated(Translation::Masquerade, spot)),
            Action::Snat(to) => Act::Decides(Outcome::Translated(Translation::Source(*to), spot)),
            Action::Dnat(to) => Act::Decides(Outcome::Translated(Translation::Destination(*to), spot)),
            Action::Return => Act::Returns,
            Action::Jump(name) => self.jump(name, spot, depth),
            Action::Other(words) => self.other(words, spot, depth),
        }
    }

    fn jump(&self, name: &str, spot: Spot<'a>, depth: usize) -> Act<'a> {
        let target = self.ruleset.chains.iter().find(|chain| chain.name == name);
        match target {
            Some(chain) if depth < DEPTH_MAX => self.run(chain, 0, depth + 1).map_or(Act::Goes, Act::Decides),
            _ => Act::Decides(Outcome::Unknown(spot)),
        }
    }

    /// Actions that nft writes in words.
    fn other(&self, words: &'a str, spot: Spot<'a>, depth: usize) -> Act<'a> {
        if let Some(marks) = self.marks.get().set(words) {
            self.marks.set(marks);
            return Act::Goes;
        }
        let packet = Packet { marks: self.marks.get(), ..*self.meeting.packet };
        let meeting = Meeting { packet: &packet, ..*self.meeting };
        match mapped(words, &meeting, self.ruleset) {
            Some(Mapped::Says(verdict)) => return self.verdict(verdict, spot, depth),
            Some(Mapped::Nothing) => return Act::Goes,
            Some(Mapped::Unknown) => return Act::Decides(Outcome::Unknown(spot)),
            None => {}
        }
        let mut parts = words.split_whitespace();
        match (parts.next().unwrap_or_default(), parts.next()) {
            ("log" | "counter" | "notrack" | "LOG" | "NFLOG", _) => Act::Goes,
            ("add" | "update" | "delete", Some(set)) if set.starts_with('@') => Act::Goes,
            ("reject", _) => Act::Decides(Outcome::Rejected(spot)),
            ("xt", _) if words.contains("LOG") => Act::Goes,
            ("goto", Some(_)) => self.verdict(words, spot, depth),
            ("redirect", _) => {
                let port = words.rsplit(':').next().and_then(|port| port.trim().parse().ok());
                Act::Decides(Outcome::Translated(Translation::Here(port), spot))
            }
            _ => Act::Decides(Outcome::Unknown(spot)),
        }
    }
}

impl<'a> Judge<'a, '_> {
    /// A verdict in words.
    fn verdict(&self, words: &'a str, spot: Spot<'a>, depth: usize) -> Act<'a> {
        match words.split_once(' ').unwrap_or((words, "")) {
            ("accept", _) => Act::Decides(Outcome::Accepted(spot)),
            ("drop", _) => Act::Decides(Outcome::Dropped(spot)),
            ("continue", _) => Act::Goes,
            ("return", _) => Act::Returns,
            ("jump", chain) => self.jump(chain, spot, depth),
            ("goto", chain) => match self.jump(chain, spot, depth) {
                Act::Goes => Act::Returns,
                other => other,
            },
            _ => Act::Decides(Outcome::Unknown(spot)),
        }
    }
}

enum Act<'a> {
    /// The next rule is asked.
    Goes,
    /// The chain ends here without a decision.
    Returns,
    Decides(Outcome<'a>),
}

impl Spot<'_> {
    /// The rule as hops and faults name it.
    #[must_use]
    pub fn told(&self, ruleset: &Ruleset) -> RuleAt {
        RuleAt {
            is_legacy: ruleset.is_legacy,
            family: ruleset.family,
            table: ruleset.name.clone(),
            chain: self.chain.name.clone(),
            hook: self.chain.base.as_ref().map(|base| base.hook),
            handle: Some(self.rule.handle),
            text: self.rule.rule.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::About;
    use super::*;
    use crate::nft::BaseChain;

    fn ruleset(rules: &[&str], policy: Policy) -> Ruleset {
        let rules = rules.iter().enumerate().map(|(at, text)| PlacedRule {
            handle: at as u64 + 1,
            rule: text.parse().unwrap_or_else(|_| crate::nft::Rule {
                // Conditions that are no forms of their own, one behind the other.
                matches: text
                    .rsplit_once(' ')
                    .unwrap()
                    .0
                    .split(" / ")
                    .map(|words| Match::Other(words.to_owned()))
                    .collect(),
                counts: false,
                action: match text.rsplit_once(' ').unwrap().1 {
                    "drop" => Action::Drop,
                    "continue" => Action::Continue,
                    _ => Action::Accept,
                },
            }),
            packets: None,
        });
        let base = BaseChain { kind: ChainKind::Filter, hook: Hook::Forward, priority: 0, policy };
        let chain =
            Chain { name: "forward".into(), base: Some(base), devices: Vec::new(), rules: rules.collect() };
        let sets = Vec::new();
        Ruleset { is_legacy: false, family: Family::Inet, name: "filter".into(), chains: vec![chain], sets }
    }

    fn end(rules: &[&str], policy: Policy) -> String {
        let ruleset = ruleset(rules, policy);
        let packet = Packet::first("10.0.0.1".parse().unwrap(), "1.1.1.1".parse().unwrap(), About::Tcp(25));
        let meeting =
            Meeting { packet: &packet, iif: Some((2, "eth0")), oif: Some((3, "eth1")), is_local: false };
        match judge(&ruleset, &ruleset.chains[0], &meeting).outcome {
            Outcome::Dropped(spot) => format!("drop {}", spot.rule.handle),
            Outcome::Accepted(spot) => format!("accept {}", spot.rule.handle),
            Outcome::Unknown(spot) => format!("unknown {}", spot.rule.handle),
            Outcome::PolicyDrops(_) => "policy".to_owned(),
            other => format!("{other:?}").split('(').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        assert_eq!(end(&["tcp dport 80 accept", "tcp dport 25 drop"], Policy::Accept), "drop 2");
        assert_eq!(end(&["iifname \"eth0\" accept", "tcp dport 25 drop"], Policy::Accept), "accept 1");
        assert_eq!(end(&["ct state established,related accept"], Policy::Drop), "policy");
        assert_eq!(end(&[], Policy::Accept), "Passes");
    }

    #[test]
    fn marks_that_rules_set_are_seen_by_those_behind_them() {
        let set = "meta mark set 0x00000001 continue";
        assert_eq!(end(&[set, "meta mark 0x00000001 drop"], Policy::Accept), "drop 2");
        let set = "tcp dport { 25, 26 } / ct mark set 0x2 continue";
        assert_eq!(end(&[set, "ct mark 0x2 drop"], Policy::Accept), "drop 2");
        let set = "udp dport { 25, 26 } / meta mark set 0x1 continue";
        assert_eq!(end(&[set, "meta mark 0x1 drop"], Policy::Accept), "Passes");
        // Whether it is marked is not known, and matters.
        let set = "mystery of rules / meta mark set 0x1 continue";
        assert_eq!(end(&[set, "meta mark 0x1 drop"], Policy::Accept), "unknown 2");
    }

    #[test]
    fn what_is_not_understood_matters_only_where_the_end_depends_on_it() {
        assert_eq!(end(&["mystery of rules drop"], Policy::Accept), "unknown 1");
        assert_eq!(end(&["mystery of rules accept"], Policy::Accept), "Passes");
        assert_eq!(end(&["mystery of rules drop", "tcp dport 25 drop"], Policy::Accept), "unknown 1");
        assert_eq!(end(&["tcp dport 80 drop", "ip saddr 10.0.0.0/8 drop"], Policy::Accept), "drop 2");
    }
}

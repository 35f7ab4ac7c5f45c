//! iptables(8) and ip6tables(8): their words, and their listings of nf_tables chains.

mod draft;
mod list;
mod order;
mod specification;

pub use list::{Columns, ListedChain, ListedRule, listing};
pub use order::{Failure, Order, Task, order};
pub use specification::specification;

use crate::name::IfName;
use crate::nft::{BaseChain, Chain, ChainKind, Family, Hook, Match, Policy, Protocol, Rule};
use ipnet::IpNet;

/// The program that was started: one for each version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// For IPv4.
    Iptables,
    /// For IPv6.
    Ip6tables,
}

impl Program {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Ip6tables => "ip6tables",
        }
    }

    /// The family of the nf_tables tables that hold its rules.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Iptables => Family::Ip,
            Self::Ip6tables => Family::Ip6,
        }
    }

    /// What it says of itself.
    #[must_use]
    pub fn version(self) -> String {
        format!("{} v1.8 (netyard)", self.name())
    }

    fn is_ipv6(self) -> bool {
        self == Self::Ip6tables
    }

    /// Its ICMP, with the option for types of it.
    fn icmp(self) -> (Protocol, &'static str) {
        match self {
            Self::Iptables => (Protocol::Icmp, "--icmp-type"),
            Self::Ip6tables => (Protocol::Icmpv6, "--icmpv6-type"),
        }
    }

    /// The name of its match for types of ICMP.
    fn icmp_match(self) -> &'static str {
        match self {
            Self::Iptables => "icmp",
            Self::Ip6tables => "icmp6",
        }
    }

    /// What `REJECT` answers.
    fn reject(self) -> &'static str {
        match self {
            Self::Iptables => "icmp-port-unreachable",
            Self::Ip6tables => "icmp6-port-unreachable",
        }
    }
}

/// A table that every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Decides on packets.
    Filter,
    /// Translates addresses.
    Nat,
}

impl Table {
    /// Its name, also that of the nf_tables table that holds it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }

    /// Its built-in chains in the order in which they are listed, as iptables-nft makes them for both versions of IP
    /// (iptables/nft.c `xtables_ipv4`, `xtables_ipv6`).
    #[must_use]
    pub fn built_in(self) -> Vec<Chain> {
        let chains: &[(&str, ChainKind, Hook, i32)] = match self {
            Self::Filter => &[
                ("INPUT", ChainKind::Filter, Hook::Input, 0),
                ("FORWARD", ChainKind::Filter, Hook::Forward, 0),
                ("OUTPUT", ChainKind::Filter, Hook::Output, 0),
            ],
            Self::Nat => &[
                ("PREROUTING", ChainKind::Nat, Hook::Prerouting, -100),
                ("INPUT", ChainKind::Nat, Hook::Input, 100),
                ("OUTPUT", ChainKind::Nat, Hook::Output, -100),
                ("POSTROUTING", ChainKind::Nat, Hook::Postrouting, 100),
            ],
        };
        let chain = |&(name, kind, hook, priority): &(&str, ChainKind, Hook, i32)| Chain {
            name: name.to_owned(),
            base: Some(BaseChain { kind, hook, priority, policy: Policy::Accept }),
            rules: Vec::new(),
        };
        chains.iter().map(chain).collect()
    }
}

/// Whether two rules say the same, whatever the order of their conditions.
#[must_use]
pub fn is_same(first: &Rule, second: &Rule) -> bool {
    let sorted = |rule: &Rule| {
        let mut rule = rule.canonical();
        rule.matches.sort();
        rule.counts = true;
        rule
    };
    sorted(first) == sorted(second)
}

/// The conditions that iptables writes in columns, and all others.
#[derive(Debug, Default)]
struct Parts<'a> {
    source: Option<IpNet>,
    destination: Option<IpNet>,
    input: Option<&'a IfName>,
    /// The outgoing interface, and whether it is that one or any other.
    output: Option<(&'a IfName, bool)>,
    others: Vec<&'a Match>,
}

impl<'a> Parts<'a> {
    fn of(rule: &'a Rule) -> Self {
        let mut parts = Self::default();
        for condition in &rule.matches {
            match condition {
                Match::Source(prefix) if parts.source.is_none() => parts.source = Some(*prefix),
                Match::Destination(prefix) if parts.destination.is_none() => {
                    parts.destination = Some(*prefix)
                }
                Match::InterfaceIn(name) if parts.input.is_none() => parts.input = Some(name),
                Match::InterfaceOut(name) if parts.output.is_none() => parts.output = Some((name, true)),
                Match::InterfaceOutNot(name) if parts.output.is_none() => parts.output = Some((name, false)),
                Match::Protocol(_) => {}
                other => parts.others.push(other),
            }
        }
        parts
    }
}

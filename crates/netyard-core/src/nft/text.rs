//! nf_tables in nft(8) syntax.

use super::{
    Action, BaseChain, Chain, ChainKind, CtStates, Family, Hook, Match, Policy, Ports, Protocol, Rule, Table,
};
use crate::name::IfName;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
            Self::Arp => "arp",
        })
    }
}

impl fmt::Display for ChainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmpv6 => "icmpv6",
        })
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl fmt::Display for CtStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.invalid, "invalid"),
            (self.established, "established"),
            (self.related, "related"),
            (self.new, "new"),
            (self.untracked, "untracked"),
        ];
        let words: Vec<&str> = words.into_iter().filter(|(is_in, _)| *is_in).map(|(_, word)| word).collect();
        f.write_str(&words.join(","))
    }
}

fn ip_word(addr: IpAddr) -> &'static str {
    if addr.is_ipv4() { "ip" } else { "ip6" }
}

/// A prefix as nft prints it: without its length where that is the whole address.
fn nft_prefix(prefix: IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.trunc().to_string()
    }
}

/// An interface name in quotes. A star at its end would mean "any name that begins so"; a backslash takes that away.
fn nft_ifname(name: &IfName) -> String {
    match name.as_str().strip_suffix('*') {
        Some(rest) => format!("\"{rest}\\*\""),
        None => format!("\"{name}\""),
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceIn(name) => write!(f, "iifname {}", nft_ifname(name)),
            Self::InterfaceOut(name) => write!(f, "oifname {}", nft_ifname(name)),
            Self::InterfaceOutNot(name) => write!(f, "oifname != {}", nft_ifname(name)),
            Self::Source(prefix) => write!(f, "{} saddr {}", ip_word(prefix.addr()), nft_prefix(*prefix)),
            Self::Destination(prefix) => {
                write!(f, "{} daddr {}", ip_word(prefix.addr()), nft_prefix(*prefix))
            }
            Self::Protocol(Protocol::Icmpv6) => f.write_str("meta l4proto ipv6-icmp"),
            Self::Protocol(protocol) => write!(f, "meta l4proto {protocol}"),
            Self::DestinationPort(protocol, ports) => write!(f, "{protocol} dport {ports}"),
            Self::SourcePort(protocol, ports) => write!(f, "{protocol} sport {ports}"),
            Self::CtState(states) => write!(f, "ct state {states}"),
            Self::CtStatusDnat => f.write_str("ct status dnat"),
            Self::DestinationLocal => f.write_str("fib daddr type local"),
            Self::IcmpType(protocol, number) => match icmp_type_word(*protocol, *number) {
                Some(word) => write!(f, "{protocol} type {word}"),
                None => write!(f, "{protocol} type {number}"),
            },
            Self::TcpSyn => f.write_str("tcp flags syn / syn,rst"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("continue"),
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Reject => f.write_str("reject"),
            Self::Masquerade => f.write_str("masquerade"),
            Self::Snat(addr) => write!(f, "snat {} to {addr}", ip_word(*addr)),
            Self::Dnat(to) if to.port() == 0 => write!(f, "dnat {} to {}", ip_word(to.ip()), to.ip()),
            Self::Dnat(to) => write!(f, "dnat {} to {to}", ip_word(to.ip())),
            Self::ClampMss => f.write_str("tcp option maxseg size set rt mtu"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Return => f.write_str("return"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_matches(f)?;
        write!(f, "{}", self.action)
    }
}

impl Rule {
    fn write_matches(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.matches {
            write!(f, "{part} ")?;
        }
        if self.counts { f.write_str("counter ") } else { Ok(()) }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {} {{", self.family, self.name)?;
        for (index, chain) in self.chains.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            chain.write(f, self.family)?;
        }
        writeln!(f, "}}")
    }
}

impl Chain {
    fn write(&self, f: &mut fmt::Formatter<'_>, family: Family) -> fmt::Result {
        writeln!(f, "\tchain {} {{", self.name)?;
        if let Some(base) = &self.base {
            let BaseChain { kind, hook, priority, policy } = base;
            let priority = priority_words(family, *hook, *priority);
            writeln!(f, "\t\ttype {kind} hook {hook} priority {priority}; policy {policy};")?;
        }
        for rule in &self.rules {
            f.write_str("\t\t")?;
            rule.write_matches(f)?;
            rule.write_action(f, family)?;
            writeln!(f)?;
        }
        writeln!(f, "\t}}")
    }
}

impl Rule {
    /// The action as `nft list ruleset` prints it in a table of this family: it leaves out what the family implies,
    /// and spells out what it has derived from the rule's matches.
    fn write_action(&self, f: &mut fmt::Formatter<'_>, family: Family) -> fmt::Result {
        let is_one_version = matches!(family, Family::Ip | Family::Ip6);
        match (&self.action, self.ip_version()) {
            (Action::Reject, Some(4)) if !is_one_version => f.write_str("reject with icmp port-unreachable"),
            (Action::Reject, Some(6)) if !is_one_version => {
                f.write_str("reject with icmpv6 port-unreachable")
            }
            (Action::Snat(addr), _) if is_one_version => write!(f, "snat to {addr}"),
            (Action::Dnat(to), _) if is_one_version && to.port() == 0 => write!(f, "dnat to {}", to.ip()),
            (Action::Dnat(to), _) if is_one_version => write!(f, "dnat to {to}"),
            (action, _) => write!(f, "{action}"),
        }
    }
}

/// A chain priority as nft prints it: by name where one is within ten of it (nftables src/rule.c `prio2str`).
fn priority_words(family: Family, hook: Hook, priority: i32) -> String {
    let ip: &[(&str, i32)] = &[
        ("raw", -300),
        ("mangle", -150),
        ("dstnat", -100),
        ("filter", 0),
        ("security", 50),
        ("srcnat", 100),
    ];
    let names = match family {
        Family::Inet | Family::Ip | Family::Ip6 => ip,
        Family::Bridge => &[("dstnat", -300), ("filter", -200), ("out", 100), ("srcnat", 300)],
        Family::Netdev | Family::Arp => &[("filter", 0)],
    };
    let fits = |name: &str| match name {
        "dstnat" => hook == Hook::Prerouting,
        "srcnat" => hook == Hook::Postrouting,
        "out" => hook == Hook::Output,
        _ => true,
    };
    let near = names.iter().find(|(name, base)| fits(name) && priority.abs_diff(*base) <= 10);
    match near {
        Some((name, base)) if priority == *base => (*name).to_owned(),
        Some((name, base)) if priority > *base => format!("{name} + {}", priority.abs_diff(*base)),
        Some((name, base)) => format!("{name} - {}", priority.abs_diff(*base)),
        None => priority.to_string(),
    }
}

/// nft's word for an ICMP or ICMPv6 type (nftables src/proto.c, src/datatype.c).
#[must_use]
pub fn icmp_type_word(protocol: Protocol, number: u8) -> Option<&'static str> {
    let icmp = [
        (0, "echo-reply"),
        (3, "destination-unreachable"),
        (4, "source-quench"),
        (5, "redirect"),
        (8, "echo-request"),
        (9, "router-advertisement"),
        (10, "router-solicitation"),
        (11, "time-exceeded"),
        (12, "parameter-problem"),
        (13, "timestamp-request"),
        (14, "timestamp-reply"),
        (15, "info-request"),
        (16, "info-reply"),
        (17, "address-mask-request"),
        (18, "address-mask-reply"),
    ];
    let icmpv6 = [
        (1, "destination-unreachable"),
        (2, "packet-too-big"),
        (3, "time-exceeded"),
        (4, "parameter-problem"),
        (128, "echo-request"),
        (129, "echo-reply"),
        (130, "mld-listener-query"),
        (131, "mld-listener-report"),
        (132, "mld-listener-done"),
        (133, "nd-router-solicit"),
        (134, "nd-router-advert"),
        (135, "nd-neighbor-solicit"),
        (136, "nd-neighbor-advert"),
        (137, "nd-redirect"),
        (138, "router-renumbering"),
        (141, "ind-neighbor-solicit"),
        (142, "ind-neighbor-advert"),
        (143, "mld2-listener-report"),
    ];
    let words: &[(u8, &str)] = if protocol == Protocol::Icmpv6 { &icmpv6 } else { &icmp };
    words.iter().find(|(n, _)| *n == number).map(|(_, word)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_as_nft_lists_it() {
        let port = Match::DestinationPort(Protocol::Tcp, 80.into());
        let rule = |matches: &[Match], counts, action| Rule { matches: matches.to_vec(), counts, action };
        let chain = |name: &str, base, rules| Chain { name: name.into(), base, rules };
        let base = |kind, hook, priority| Some(BaseChain { kind, hook, priority, policy: Policy::Accept });
        let from = || Match::Source("10.0.0.7/24".parse().unwrap());
        let star = Match::InterfaceIn("lan*".parse().unwrap());
        let mut table = Table {
            family: Family::Inet,
            name: "home".into(),
            chains: vec![
                chain(
                    "out",
                    base(ChainKind::Nat, Hook::Postrouting, 105),
                    vec![rule(&[from()], true, Action::Masquerade), rule(&[from()], false, Action::Reject)],
                ),
                chain(
                    "in",
                    base(ChainKind::Nat, Hook::Prerouting, -100),
                    vec![rule(&[star, port.clone()], false, Action::Dnat("10.0.0.1:0".parse().unwrap()))],
                ),
                chain("other", None, vec![rule(&[], false, Action::Jump("more".into()))]),
            ],
        };
        let text = "table inet home {\n\
            \tchain out {\n\
            \t\ttype nat hook postrouting priority srcnat + 5; policy accept;\n\
            \t\tip saddr 10.0.0.0/24 counter masquerade\n\
            \t\tip saddr 10.0.0.0/24 reject with icmp port-unreachable\n\
            \t}\n\n\
            \tchain in {\n\
            \t\ttype nat hook prerouting priority dstnat; policy accept;\n\
            \t\tiifname \"lan\\*\" tcp dport 80 dnat ip to 10.0.0.1\n\
            \t}\n\n\
            \tchain other {\n\
            \t\tjump more\n\
            \t}\n\
            }\n";
        assert_eq!(table.to_string(), text);
        table.family = Family::Ip;
        assert!(table.to_string().contains("tcp dport 80 dnat to 10.0.0.1\n"));
    }
}

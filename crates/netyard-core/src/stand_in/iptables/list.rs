//! Chains as iptables lists them.

use super::{Parts, Program};
use crate::nft::{Action, CtStates, Match, Policy, Ports, Protocol, Rule};
use ipnet::IpNet;
use std::fmt::Write as _;

/// What is shown of each rule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Columns {
    /// Numbers in place of words.
    pub is_numeric: bool,
    /// Counts and interfaces too.
    pub is_verbose: bool,
    /// The number of each rule.
    pub has_line_numbers: bool,
}

/// A chain to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedChain {
    /// Its name.
    pub name: String,
    /// Policy of a built-in chain, with the packets and bytes that it decided.
    pub policy: Option<(Policy, u64, u64)>,
    /// Jumps to it.
    pub references: u32,
    /// Its rules.
    pub rules: Vec<ListedRule>,
}

/// A rule to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRule {
    /// The rule.
    pub rule: Rule,
    /// Packets that met it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The listing of `iptables -L`.
#[must_use]
pub fn listing(program: Program, chains: &[ListedChain], columns: Columns) -> String {
    let chains: Vec<String> = chains.iter().map(|chain| of_chain(program, chain, columns)).collect();
    chains.join("\n")
}

fn of_chain(program: Program, chain: &ListedChain, columns: Columns) -> String {
    let mut text = match &chain.policy {
        Some((policy, packets, bytes)) if columns.is_verbose => {
            let counts = format!("{} packets, {} bytes", counted(*packets).trim(), counted(*bytes).trim());
            format!("Chain {} (policy {} {counts})\n", chain.name, policy_word(*policy))
        }
        Some((policy, ..)) => format!("Chain {} (policy {})\n", chain.name, policy_word(*policy)),
        None => format!("Chain {} ({} references)\n", chain.name, chain.references),
    };
    if columns.has_line_numbers {
        text += "num  ";
    }
    text += if columns.is_verbose {
        " pkts bytes target     prot opt in     out     source               destination         \n"
    } else {
        "target     prot opt source               destination         \n"
    };
    for (at, listed) in chain.rules.iter().enumerate() {
        if columns.has_line_numbers {
            let _ = write!(text, "{:<4} ", at + 1);
        }
        text += &of_rule(program, listed, columns);
    }
    text
}

fn of_rule(program: Program, listed: &ListedRule, columns: Columns) -> String {
    let ListedRule { rule, packets, bytes } = listed;
    let parts = Parts::of(rule);
    let mut text = String::new();
    if columns.is_verbose {
        let _ = write!(text, "{} {} ", counted(*packets), counted(*bytes));
    }
    let protocol = match rule.protocol() {
        None if columns.is_numeric => "0".to_owned(),
        None => "all".to_owned(),
        Some(protocol) if columns.is_numeric => protocol.number().to_string(),
        Some(protocol) => protocol_word(protocol).to_owned(),
    };
    let _ = write!(text, "{:<9}  {protocol:<4} --  ", target(&rule.action));
    if columns.is_verbose {
        let any = if columns.is_numeric { "*" } else { "any" };
        let input = parts.input.map_or(any, |name| name.as_str()).to_owned();
        let output = parts.output.map_or_else(
            || any.to_owned(),
            |(name, is_it)| if is_it { name.to_string() } else { format!("!{name}") },
        );
        let _ = write!(text, "{input:<6} {output:<6}  ");
    }
    let address = |prefix: Option<IpNet>| match prefix {
        None if columns.is_numeric && program.is_ipv6() => "::/0".to_owned(),
        None if columns.is_numeric => "0.0.0.0/0".to_owned(),
        None => "anywhere".to_owned(),
        Some(prefix) if prefix.prefix_len() == prefix.max_prefix_len() => prefix.addr().to_string(),
        Some(prefix) => prefix.to_string(),
    };
    let _ = write!(text, "{:<20} {:<20}", address(parts.source), address(parts.destination));
    let mut last_protocol = None;
    for condition in &parts.others {
        let words = condition_words(condition, columns.is_numeric);
        // The name of a match that looks into the header comes once.
        let name = condition.included_protocol().filter(|_| !matches!(condition, Match::IcmpType(..)));
        if let Some(name) = name.filter(|name| last_protocol != Some(*name)) {
            let _ = write!(text, " {}", protocol_word(name));
        }
        last_protocol = name.or(last_protocol);
        let _ = write!(text, " {words}");
    }
    match &rule.action {
        Action::Snat(to) => {
            let _ = write!(text, " to:{to}");
        }
        Action::Dnat(to) if to.port() == 0 => {
            let _ = write!(text, " to:{}", to.ip());
        }
        Action::Dnat(to) => {
            let _ = write!(text, " to:{to}");
        }
        Action::Reject => {
            let _ = write!(text, " reject-with {}", program.reject());
        }
        Action::Other(words) => {
            let _ = write!(text, " {words}");
        }
        _ => {}
    }
    text + "\n"
}

/// A count in five columns: thousands beyond 99999 (iptables/xtables.c `xtables_print_num`).
fn counted(number: u64) -> String {
    const UNITS: [(u64, char); 4] =
        [(1000, 'K'), (1_000_000, 'M'), (1_000_000_000, 'G'), (1_000_000_000_000, 'T')];
    if number <= 99_999 {
        return format!("{number:5}");
    }
    let in_unit = |(size, letter): &(u64, char)| {
        let rounded = number.saturating_add(size / 2) / size;
        (rounded <= 9999 || *letter == 'T').then(|| format!("{rounded:4}{letter}"))
    };
    UNITS.iter().find_map(in_unit).unwrap_or_default()
}

fn policy_word(policy: Policy) -> &'static str {
    match policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    }
}

pub(super) fn protocol_word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "icmp",
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmpv6 => "ipv6-icmp",
    }
}

pub(super) fn target(action: &Action) -> &str {
    match action {
        Action::Continue | Action::Other(_) => "",
        Action::Accept => "ACCEPT",
        Action::Drop => "DROP",
        Action::Reject => "REJECT",
        Action::Masquerade => "MASQUERADE",
        Action::Snat(_) => "SNAT",
        Action::Dnat(_) => "DNAT",
        Action::ClampMss => "TCPMSS",
        Action::Return => "RETURN",
        Action::Jump(chain) => chain,
    }
}

fn condition_words(condition: &Match, is_numeric: bool) -> String {
    let ports = |one: &str, many: &str, ports: &Ports| {
        if ports.first == ports.last {
            format!("{one}:{}", ports.first)
        } else {
            format!("{many}:{}:{}", ports.first, ports.last)
        }
    };
    match condition {
        Match::SourcePort(_, given) => ports("spt", "spts", given),
        Match::DestinationPort(_, given) => ports("dpt", "dpts", given),
        Match::IcmpType(Protocol::Icmp, 8) if !is_numeric => "icmp echo-request".to_owned(),
        Match::IcmpType(Protocol::Icmp, 0) if !is_numeric => "icmp echo-reply".to_owned(),
        Match::IcmpType(Protocol::Icmpv6, 128) if !is_numeric => "ipv6-icmp echo-request".to_owned(),
        Match::IcmpType(Protocol::Icmpv6, 129) if !is_numeric => "ipv6-icmp echo-reply".to_owned(),
        Match::IcmpType(protocol, number) => format!("{}type {number}", protocol_word(*protocol)),
        Match::CtState(states) => format!("ctstate {}", state_words(*states)),
        other => other.to_string(),
    }
}

pub(super) fn state_words(states: CtStates) -> String {
    let words = [
        (states.invalid, "INVALID"),
        (states.new, "NEW"),
        (states.related, "RELATED"),
        (states.established, "ESTABLISHED"),
        (states.untracked, "UNTRACKED"),
    ];
    words.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| *word).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::{Task, order};
    use super::*;

    fn rule(text: &str) -> ListedRule {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let Task::Append(_, rule) = order(Program::Iptables, &words).unwrap().task else { panic!("{text}") };
        ListedRule { rule, packets: 3, bytes: 204 }
    }

    fn chain(rules: &[&str]) -> ListedChain {
        let rules = rules.iter().map(|text| rule(text)).collect();
        ListedChain { name: "FORWARD".into(), policy: Some((Policy::Accept, 0, 0)), references: 0, rules }
    }

    #[test]
    fn listings_are_those_of_iptables() {
        let nat = chain(&["-t nat -A FORWARD -s 10.0.0.0/24 -j MASQUERADE"]);
        let verbose = Columns { is_numeric: true, is_verbose: true, has_line_numbers: false };
        let expected = "Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)
 pkts bytes target     prot opt in     out     source               destination         
    3   204 MASQUERADE  0    --  *      *       10.0.0.0/24          0.0.0.0/0           
";
        assert_eq!(listing(Program::Iptables, &[nat], verbose), expected);
        let filter = chain(&[
            "-A FORWARD -p icmp -j RETURN",
            "-A FORWARD -d 1.1.1.1 ! -o lan -j DROP",
            "-A FORWARD -p tcp --sport 1000:2000 --dport 22 -j REJECT",
            "-A FORWARD -m state --state ESTABLISHED,RELATED -j MINE",
        ]);
        let numbers = Columns { is_numeric: true, is_verbose: true, has_line_numbers: true };
        let expected = "Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)
num   pkts bytes target     prot opt in     out     source               destination         
1        3   204 RETURN     1    --  *      *       0.0.0.0/0            0.0.0.0/0           
2        3   204 DROP       0    --  *      !lan    0.0.0.0/0            1.1.1.1             
3        3   204 REJECT     6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp spts:1000:2000 dpt:22 reject-with icmp-port-unreachable
4        3   204 MINE       0    --  *      *       0.0.0.0/0            0.0.0.0/0            ctstate RELATED,ESTABLISHED
";
        assert_eq!(listing(Program::Iptables, std::slice::from_ref(&filter), numbers), expected);
        let words = listing(Program::Iptables, &[filter], Columns::default());
        let second = words.lines().nth(2).unwrap();
        assert_eq!(second, "RETURN     icmp --  anywhere             anywhere            ");
        let own = ListedChain { name: "MINE".into(), policy: None, references: 1, rules: vec![] };
        assert!(
            listing(Program::Iptables, &[own], Columns::default()).starts_with("Chain MINE (1 references)\n")
        );
    }

    #[test]
    fn large_counts_are_shortened() {
        assert_eq!([0, 99_999, 100_000, 12_345_678].map(counted), ["    0", "99999", " 100K", "  12M"]);
    }
}

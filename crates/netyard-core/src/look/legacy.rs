//! Rules as iptables-legacy(8) takes them.

use crate::nft::{Action, CtStates, Family, Match, Policy, Ports, Protocol, Rule, Table};
use crate::state::Ns;

/// The commands that make a table with all that is in it, for the namespace that they are run in.
pub(super) fn commands(table: &Table, ns: &Ns) -> Vec<String> {
    let program = if table.family == Family::Ip6 { "ip6tables-legacy" } else { "iptables-legacy" };
    let head = format!("ip netns exec {ns} {program} -t {}", table.name);
    // The first one makes the table, also where nothing is in it.
    let mut commands = vec![format!("{head} -F")];
    let own = table.chains.iter().filter(|chain| chain.base.is_none());
    commands.extend(own.map(|chain| format!("{head} -N {}", crate::command::word(&chain.name))));
    for chain in &table.chains {
        if let Some(base) = chain.base.as_ref().filter(|base| base.policy == Policy::Drop) {
            commands.push(format!("{head} -P {} {}", chain.name, base.policy.to_string().to_uppercase()));
        }
        let rules = chain.rules.iter().filter_map(arguments);
        commands
            .extend(rules.map(|words| format!("{head} -A {} {words}", crate::command::word(&chain.name))));
    }
    commands
}

/// The words behind the chain; none for a rule with a part that is not understood.
pub(super) fn arguments(rule: &Rule) -> Option<String> {
    let mut words: Vec<String> = rule.protocol().map(|p| format!("-p {p}")).into_iter().collect();
    for condition in &rule.matches {
        words.extend(of_match(condition)?);
    }
    words.extend(of_action(&rule.action)?);
    Some(words.join(" "))
}

fn of_match(condition: &Match) -> Option<Option<String>> {
    let name = |name: &crate::name::IfName| crate::command::word(name.as_str()).into_owned();
    Some(Some(match condition {
        Match::InterfaceIn(dev) => format!("-i {}", name(dev)),
        Match::InterfaceOut(dev) => format!("-o {}", name(dev)),
        Match::InterfaceOutNot(dev) => format!("! -o {}", name(dev)),
        Match::Source(prefix) => format!("-s {prefix}"),
        Match::Destination(prefix) => format!("-d {prefix}"),
        // Said before all else.
        Match::Protocol(_) => return Some(None),
        Match::DestinationPort(_, ports) => format!("--dport {}", range(*ports)),
        Match::SourcePort(_, ports) => format!("--sport {}", range(*ports)),
        Match::CtState(states) => format!("-m conntrack --ctstate {}", states_words(*states)),
        Match::CtStatusDnat => "-m conntrack --ctstate DNAT".to_owned(),
        Match::DestinationLocal => "-m addrtype --dst-type LOCAL".to_owned(),
        Match::IcmpType(Protocol::Icmpv6, number) => format!("-m icmp6 --icmpv6-type {number}"),
        Match::IcmpType(_, number) => format!("-m icmp --icmp-type {number}"),
        Match::TcpSyn => "-m tcp --tcp-flags SYN,RST SYN".to_owned(),
        Match::Other(words) => of_words(words)?,
    }))
}

/// What the reader of legacy tables says in the words of nft.
fn of_words(words: &str) -> Option<String> {
    let negated = [
        ("iifname != ", "! -i"),
        ("iifname ", "-i"),
        ("oifname != ", "! -o"),
        ("oifname ", "-o"),
        ("ip saddr != ", "! -s"),
        ("ip daddr != ", "! -d"),
        ("ip6 saddr != ", "! -s"),
        ("ip6 daddr != ", "! -d"),
    ];
    for (start, option) in negated {
        if let Some(rest) = words.strip_prefix(start)
            && !rest.contains("mask")
        {
            return Some(format!("{option} {}", rest.trim_matches('"').replace('*', "+")));
        }
    }
    if let Some(text) = words.strip_prefix("comment \"").and_then(|rest| rest.strip_suffix('"')) {
        return Some(format!("-m comment --comment {}", crate::command::word(text)));
    }
    if let Some((value, mask)) = words.strip_prefix("tcp flags ").and_then(|rest| rest.split_once(" / ")) {
        let flags = |text: &str| text.to_uppercase();
        return Some(format!("-m tcp --tcp-flags {} {}", flags(mask), flags(value)));
    }
    let (head, list) = words.split_once(" { ")?;
    let ports = list.strip_suffix(" }")?.replace(", ", ",").replace('-', ":");
    match head.split_once(' ')?.1 {
        "dport" => Some(format!("-m multiport --dports {ports}")),
        "sport" => Some(format!("-m multiport --sports {ports}")),
        _ => None,
    }
}

fn of_action(action: &Action) -> Option<Option<String>> {
    Some(Some(match action {
        Action::Continue => return Some(None),
        Action::Accept => "-j ACCEPT".to_owned(),
        Action::Drop => "-j DROP".to_owned(),
        Action::Reject => "-j REJECT".to_owned(),
        Action::Masquerade => "-j MASQUERADE".to_owned(),
        Action::Snat(to) => format!("-j SNAT --to-source {to}"),
        Action::Dnat(to) if to.port() == 0 => format!("-j DNAT --to-destination {}", to.ip()),
        Action::Dnat(to) => format!("-j DNAT --to-destination {to}"),
        Action::ClampMss => "-j TCPMSS --clamp-mss-to-pmtu".to_owned(),
        Action::Jump(chain) => format!("-j {}", crate::command::word(chain)),
        Action::Return => "-j RETURN".to_owned(),
        Action::Other(words) if words == "return" => "-j RETURN".to_owned(),
        Action::Other(_) => return None,
    }))
}

fn range(ports: Ports) -> String {
    if ports.first == ports.last {
        ports.first.to_string()
    } else {
        format!("{}:{}", ports.first, ports.last)
    }
}

fn states_words(states: CtStates) -> String {
    states.to_string().to_uppercase()
}

//! What the commands of a script need of the kernel.
//!
//! Scripts can do anything, so this goes by their words: lines with a command that is known to need a part of the kernel
//! which not every kernel has.

use crate::diagnostic::Span;
use crate::feature::Kind;

/// A command and the part of the kernel that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptNeed {
    /// What it needs.
    pub kind: Kind,
    /// The command.
    pub span: Span,
}

/// Kinds of links by their words in `ip link add ... type KIND`.
const LINKS: [(&str, Kind); 10] = [
    ("bond", Kind::Bond),
    ("dummy", Kind::Dummy),
    ("gre", Kind::Gre),
    ("gretap", Kind::Gre),
    ("ipip", Kind::Ipip),
    ("macvlan", Kind::Macvlan),
    ("vlan", Kind::Vlan),
    ("vrf", Kind::Vrf),
    ("vxlan", Kind::Vxlan),
    ("wireguard", Kind::Wireguard),
];

/// The needs of a script's commands, in order.
///
/// ```
/// use netyard_core::{feature::Kind, kathara::scan::needs};
/// let found = needs("ip addr add 10.0.0.1/24 dev eth0\ntc qdisc add dev eth0 root netem delay 10ms # slow\n");
/// assert_eq!(found.len(), 1);
/// assert_eq!(found[0].kind, Kind::Netem);
/// ```
#[must_use]
pub fn needs(script: &str) -> Vec<ScriptNeed> {
    let mut needs = Vec::new();
    let mut start = 0;
    for line in script.split_inclusive('\n') {
        let code = line.find('#').filter(|at| line[..*at].chars().last().is_none_or(char::is_whitespace));
        let code = &line[..code.unwrap_or(line.len())];
        let mut at = start;
        for command in code.split_inclusive([';', '&', '|']) {
            let words = command.trim_end_matches([';', '&', '|']);
            let begin = at + (words.len() - words.trim_start().len());
            let span = Span::new(begin, begin + words.trim().len());
            needs.extend(kinds(words).into_iter().map(|kind| ScriptNeed { kind, span }));
            at += command.len();
        }
        start += line.len();
    }
    needs
}

fn kinds(command: &str) -> Vec<Kind> {
    let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
    let at = words.iter().position(|word| is_program(word));
    let Some((program, rest)) = at.and_then(|at| words[at..].split_first()) else { return Vec::new() };
    let has = |word: &str| rest.contains(&word);
    let after = |word: &str| rest.iter().position(|w| *w == word).and_then(|at| rest.get(at + 1)).copied();
    let mut kinds = Vec::new();
    match program.rsplit('/').next().unwrap_or_default() {
        "tc" if has("netem") => kinds.push(Kind::Netem),
        "tc" if has("tbf") => kinds.push(Kind::Tbf),
        "vconfig" => kinds.push(Kind::Vlan),
        "ifenslave" => kinds.push(Kind::Bond),
        "wg" | "wg-quick" => kinds.push(Kind::Wireguard),
        "bridge" if has("vlan") => kinds.push(Kind::BridgeVlanFiltering),
        "ip" => {
            let link = after("type").and_then(|word| LINKS.iter().find(|(kind, _)| *kind == word));
            kinds.extend(link.filter(|_| has("add") || has("a")).map(|(_, kind)| *kind));
            let tunnel = after("mode").and_then(|word| LINKS.iter().find(|(kind, _)| *kind == word));
            kinds.extend(tunnel.filter(|_| has("tunnel") || has("tun")).map(|(_, kind)| *kind));
            let filters = after("vlan_filtering").is_some_and(|value| !matches!(value, "0" | "off"));
            kinds.extend(filters.then_some(Kind::BridgeVlanFiltering));
        }
        _ => {}
    }
    kinds
}

fn is_program(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    matches!(name, "tc" | "ip" | "bridge" | "vconfig" | "ifenslave" | "wg" | "wg-quick")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_by_their_words() {
        let check = |line: &str, kinds: &[Kind]| {
            assert_eq!(needs(line).into_iter().map(|need| need.kind).collect::<Vec<_>>(), kinds, "{line}");
        };
        check("ip link add name br0 type bridge vlan_filtering 1", &[Kind::BridgeVlanFiltering]);
        check("ip link set dev br0 type bridge vlan_filtering 0", &[]);
        check("bridge vlan add dev eth0 vid 10", &[Kind::BridgeVlanFiltering]);
        check("ip link add bond0 type bond mode 802.3ad", &[Kind::Bond]);
        check("ip tunnel add t0 mode ipip remote 10.0.0.1", &[Kind::Ipip]);
        check("/sbin/ip link add link eth0 name eth0.10 type vlan id 10", &[Kind::Vlan]);
        check("sleep 1; tc qdisc add dev eth0 root netem loss 1%", &[Kind::Netem]);
        check("# tc qdisc add dev eth0 root netem loss 1%", &[]);
        check("ip link set eth0 up type vlan", &[]);
        check("echo vlan", &[]);
        check("if true && ip link add d type dummy; then", &[Kind::Dummy]);
    }

    #[test]
    fn the_place_is_that_of_the_command() {
        let script = "true\n  sleep 1 ;  tc qdisc add dev eth0 root netem ; true\n";
        let span = needs(script)[0].span;
        assert_eq!(&script[span.start..span.end], "tc qdisc add dev eth0 root netem");
    }
}

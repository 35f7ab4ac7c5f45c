//! What the commands of a script need of the kernel.
//!
//! Scripts can do anything, so this goes by their words: lines with a command that is known to need a part of the kernel
//! which not every kernel has.

use super::import::What;
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
const LINKS: [(&str, Kind); 13] = [
    ("bond", Kind::Bond),
    ("dummy", Kind::Dummy),
    ("gre", Kind::Gre),
    ("gretap", Kind::Gre),
    ("ipip", Kind::Ipip),
    ("ip6gre", Kind::Ip6gre),
    ("ip6tnl", Kind::Ip6tnl),
    ("macvlan", Kind::Macvlan),
    ("sit", Kind::Sit),
    ("vlan", Kind::Vlan),
    ("vrf", Kind::Vrf),
    ("vxlan", Kind::Vxlan),
    ("wireguard", Kind::Wireguard),
];

/// Services by the names under which scripts start them: what they are, a file of them, their package in Debian.
const SERVICES: [(&[&str], &str, &str, &str); 19] = [
    (&["frr", "quagga", "zebra"], "FRR", "/usr/lib/frr/zebra", "frr"),
    (&["bind", "bind9", "named"], "BIND", "/usr/sbin/named", "bind9"),
    (&["apache2"], "Apache", "/usr/sbin/apache2", "apache2"),
    (&["nginx"], "nginx", "/usr/sbin/nginx", "nginx"),
    (&["radvd"], "radvd", "/usr/sbin/radvd", "radvd"),
    (&["dnsmasq"], "dnsmasq", "/usr/sbin/dnsmasq", "dnsmasq"),
    (&["isc-dhcp-server"], "the DHCP server of ISC", "/usr/sbin/dhcpd", "isc-dhcp-server"),
    (&["ssh", "sshd"], "the server of SSH", "/usr/sbin/sshd", "openssh-server"),
    (&["squid"], "Squid", "/usr/sbin/squid", "squid"),
    (&["snmpd"], "the agent of SNMP", "/usr/sbin/snmpd", "snmpd"),
    (&["bird"], "BIRD", "/usr/sbin/bird", "bird2"),
    (&["lighttpd"], "lighttpd", "/usr/sbin/lighttpd", "lighttpd"),
    (&["isc-dhcp-relay"], "the DHCP relay of ISC", "/usr/sbin/dhcrelay", "isc-dhcp-relay"),
    (&["vsftpd"], "vsftpd", "/usr/sbin/vsftpd", "vsftpd"),
    (&["postfix"], "Postfix", "/usr/sbin/postfix", "postfix"),
    (&["keepalived"], "keepalived", "/usr/sbin/keepalived", "keepalived"),
    (&["haproxy"], "HAProxy", "/usr/sbin/haproxy", "haproxy"),
    (&["openvpn"], "OpenVPN", "/usr/sbin/openvpn", "openvpn"),
    (&["openvswitch-switch"], "Open vSwitch", "/usr/sbin/ovs-vswitchd", "openvswitch-switch"),
];

/// The services that a script starts (`systemctl start`, `service`, `/etc/init.d/`), of those that are known.
#[must_use]
pub fn programs(script: &str) -> Vec<(What, Span)> {
    let mut found = Vec::new();
    for (words, span) in commands(script) {
        let words: Vec<&str> = words.split_whitespace().collect();
        let service = match words.as_slice() {
            ["systemctl", "start" | "restart", name, ..] => name.trim_end_matches(".service"),
            ["service", name, "start" | "restart", ..] => name,
            [path, "start" | "restart", ..] => path.strip_prefix("/etc/init.d/").unwrap_or_default(),
            _ => continue,
        };
        let known = SERVICES.iter().find(|(names, ..)| names.contains(&service));
        found.extend(known.map(|(_, what, file, package)| (What::Program(what, file, package), span)));
    }
    found
}

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
    let of =
        |(words, span): (&str, Span)| kinds(words).into_iter().map(move |kind| ScriptNeed { kind, span });
    commands(script).into_iter().flat_map(of).collect()
}

/// Each simple command with its place, as far as blanks, comments and `;`, `&`, `|` tell.
fn commands(script: &str) -> Vec<(&str, Span)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in script.split_inclusive('\n') {
        let begins_comment = |at: &usize| line[..*at].chars().last().is_none_or(char::is_whitespace);
        let code = line.match_indices('#').map(|(at, _)| at).find(begins_comment);
        let mut at = start;
        for command in line[..code.unwrap_or(line.len())].split_inclusive([';', '&', '|']) {
            let words = command.trim_end_matches([';', '&', '|']);
            let begin = at + (words.len() - words.trim_start().len());
            found.push((words.trim(), Span::new(begin, begin + words.trim().len())));
            at += command.len();
        }
        start += line.len();
    }
    found
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
            let of_mode = |word| match word {
                "ip6ip6" | "ipip6" | "ip4ip6" | "any" if has("-6") => "ip6tnl",
                other => other,
            };
            let tunnel =
                after("mode").map(of_mode).and_then(|word| LINKS.iter().find(|(kind, _)| *kind == word));
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
        check("ip tunnel add t0 mode sit remote 10.0.0.1", &[Kind::Sit]);
        check("ip link add t0 type ip6tnl remote fd00::1", &[Kind::Ip6tnl]);
        check("ip -6 tunnel add t0 mode ipip6 remote fd00::1", &[Kind::Ip6tnl]);
        check("/sbin/ip link add link eth0 name eth0.10 type vlan id 10", &[Kind::Vlan]);
        check("sleep 1; tc qdisc add dev eth0 root netem loss 1%", &[Kind::Netem]);
        check("# tc qdisc add dev eth0 root netem loss 1%", &[]);
        check("ip link set eth0 up type vlan", &[]);
        check("echo vlan", &[]);
        check("if true && ip link add d type dummy; then", &[Kind::Dummy]);
    }

    #[test]
    fn services_are_known_by_how_they_are_started() {
        let check = |line: &str, package: &[&str]| {
            let packages = |what| if let What::Program(_, _, package) = what { package } else { "" };
            let found: Vec<&str> = programs(line).into_iter().map(|(what, _)| packages(what)).collect();
            assert_eq!(found, package, "{line}");
        };
        check(
            "systemctl start frr\nservice apache2 restart; /etc/init.d/bind start",
            &["frr", "apache2", "bind9"],
        );
        check("systemctl start quagga.service", &["frr"]);
        check("systemctl stop frr\n# systemctl start frr\necho start frr", &[]);
    }

    #[test]
    fn the_place_is_that_of_the_command() {
        let script = "true\n  sleep 1 ;  tc qdisc add dev eth0 root netem ; true\n";
        let span = needs(script)[0].span;
        assert_eq!(&script[span.start..span.end], "tc qdisc add dev eth0 root netem");
    }
}

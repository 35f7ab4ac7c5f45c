//! The lab file that builds what was looked at.

use super::again::Again;
use super::label::Labels;
use super::{Look, Seen};
use crate::mac::Mac;
use crate::name::{IfName, NetworkName};
use crate::nft::parse::{FAMILIES, HOOKS};
use crate::nft::{Chain, Policy, Rule, Table};
use crate::shaping::Shaping;
use crate::state::{
    Link, LinkKind, Namespace, NextHop, Ns, Parent, PolicyAction, PolicyRule, Route, RouteTarget, Vxlan,
};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};

/// A lab file, and what it cannot say.
#[derive(Debug, Clone)]
pub struct Yaml {
    /// The text; what it cannot say is told in comments.
    pub text: String,
    /// The same, for people.
    pub remarks: Vec<String>,
}

/// The lab file that builds the namespaces again: each is a node, each veth pair a cable.
#[must_use]
pub fn yaml(look: &Look) -> Yaml {
    let again = Again::of(look);
    let remarks = again.remarks.iter().map(|(ns, text)| format!("{ns}: {text}")).collect();
    let mut file = File { look, uses_ipv6: uses_ipv6(&again), cables: cables(&again), again, remarks };
    let mut nodes = String::new();
    for (ns, namespace) in &file.again.state.namespaces.clone() {
        file.node(&mut nodes, ns, namespace);
    }
    let has_ipv6_on = |seen: &Seen| {
        let value = |of: &str| seen.sysctls.get(&format!("net.ipv6.conf.{of}.disable_ipv6"));
        ["all", "default"].into_iter().any(|of| value(of).is_some_and(|value| value == "0"))
    };
    if !file.uses_ipv6 && look.namespaces.iter().any(has_ipv6_on) {
        file.remarks.push("a lab without IPv6 addresses has IPv6 off".to_owned());
    }
    let title = look.title.replace(|c: char| c.is_control(), " ");
    let mut text = format!("# {title}: as netyard saw it\n");
    for remark in &file.remarks {
        let _ = writeln!(text, "# - {}", remark.replace(|c: char| c.is_control(), " "));
    }
    let _ = writeln!(text, "lab: {}", quoted(super::label::label(&look.title)));
    let veths = || file.again.state.namespaces.values().flat_map(|n| n.links.values()).filter(|l| is_veth(l));
    if !veths().all(|link| link.fills_checksums) {
        text.push_str("profile: fast\n");
    }
    if !file.cables.is_empty() {
        text.push_str("networks:\n");
        let names: BTreeSet<&NetworkName> = file.cables.values().collect();
        names.iter().for_each(|name| text.push_str(&format!("  {}: {{ kind: cable }}\n", quoted(name))));
    }
    text.push_str("nodes:\n");
    text.push_str(&nodes);
    Yaml { text, remarks: file.remarks }
}

struct File<'a> {
    look: &'a Look,
    again: Again,
    uses_ipv6: bool,
    /// The network of each end of a cable.
    cables: BTreeMap<(Ns, IfName), NetworkName>,
    remarks: Vec<String>,
}

fn is_veth(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Veth { .. })
}

fn uses_ipv6(again: &Again) -> bool {
    let links = again.state.namespaces.values().flat_map(|namespace| namespace.links.values());
    links.flat_map(|link| &link.addresses).any(|address| address.addr().is_ipv6())
}

/// A name for each pair: those of its nodes where they differ, else those of its ends.
fn cables(again: &Again) -> BTreeMap<(Ns, IfName), NetworkName> {
    let mut labels = Labels::default();
    let mut cables = BTreeMap::new();
    for (ns, namespace) in &again.state.namespaces {
        for (name, link) in &namespace.links {
            let LinkKind::Veth { peer_ns, peer } = &link.kind else { continue };
            let (own, other) = ((ns.clone(), name.clone()), (peer_ns.clone(), peer.clone()));
            if cables.contains_key(&own) {
                continue;
            }
            let text = if ns == peer_ns { format!("{ns}-{name}") } else { format!("{ns}-{peer_ns}") };
            let Ok(network) = NetworkName::new(labels.give(&text).as_str()) else { continue };
            cables.insert(own, network.clone());
            cables.insert(other, network);
        }
    }
    cables
}

/// The name of a node; no node may be called as the fabric is.
fn node_name(ns: &Ns) -> &str {
    match ns {
        Ns::Fabric => "switches",
        Ns::Node(name) => name.as_str(),
    }
}

impl File<'_> {
    fn remark(&mut self, ns: &Ns, text: impl Display) {
        self.remarks.push(format!("{ns}: {text}"));
    }

    fn node(&mut self, text: &mut String, ns: &Ns, namespace: &Namespace) {
        let _ = writeln!(text, "  {}:", quoted(node_name(ns)));
        self.links(text, ns, namespace);
        self.bridges(text, ns, namespace);
        self.own_links(text, ns, namespace);
        let down: Vec<&IfName> =
            namespace.links.iter().filter(|(_, link)| !link.is_up).map(|(name, _)| name).collect();
        if !down.is_empty() {
            let _ = writeln!(text, "    down: [{}]", list(down));
        }
        self.routes(text, ns, namespace);
        self.rules(text, ns, namespace);
        self.values(text, ns, namespace);
        if !namespace.neighbours.is_empty() {
            text.push_str("    neighbours:\n");
            for entry in &namespace.neighbours {
                let (to, mac, dev) = (quoted(entry.to), quoted(entry.mac), quoted(&entry.dev));
                let _ = writeln!(text, "      - {{ to: {to}, mac: {mac}, dev: {dev} }}");
            }
        }
        self.tables(text, ns, namespace);
    }

    fn links(&mut self, text: &mut String, ns: &Ns, namespace: &Namespace) {
        let mut lines = String::new();
        for (name, link) in namespace.links.iter().filter(|(_, link)| is_veth(link)) {
            let Some(network) = self.cables.get(&(ns.clone(), name.clone())) else { continue };
            let mut words = format!("network: {}, name: {}", quoted(network), quoted(name));
            match link.addresses.is_empty() {
                true => words.push_str(", address: none"),
                false => words.push_str(&addresses(&link.addresses)),
            }
            words.push_str(&mac(link.mac));
            words.push_str(&mtu(link.mtu, 1500));
            let _ = writeln!(lines, "      - {{ {words} }}");
            self.check_shaping(ns, name, link);
            if let (Some(master), false) = (&link.master, link.addresses.is_empty()) {
                self.remark(ns, format!("addresses of `{name}`, a port of `{master}`, become the bridge's"));
            }
        }
        if !lines.is_empty() {
            let _ = write!(text, "    links:\n{lines}");
        }
    }

    fn check_shaping(&mut self, ns: &Ns, name: &IfName, link: &Link) {
        if link.egress != Shaping::default() {
            self.remark(ns, format!("how `{name}` shapes what it sends (tc) is left out"));
        }
    }

    fn bridges(&mut self, text: &mut String, ns: &Ns, namespace: &Namespace) {
        let mut lines = String::new();
        for (name, link) in &namespace.links {
            let LinkKind::Bridge(bridge) = &link.kind else { continue };
            let is_port = |port: &&(&IfName, &Link)| port.1.master.as_ref() == Some(name);
            let all: Vec<(&IfName, &Link)> = namespace.links.iter().collect();
            let ports: Vec<(&IfName, &Link)> = all.iter().filter(is_port).copied().collect();
            let mut words = format!("ports: [{}]", list(ports.iter().map(|(name, _)| name)));
            words.push_str(&addresses(&link.addresses));
            words.push_str(&mac(link.mac));
            if let Some(stp) = bridge.stp {
                let (delay, hello, age) = (stp.forward_delay_s, stp.hello_s, stp.max_age_s);
                let priority = stp.priority;
                let _ = write!(
                    words,
                    ", stp: {{ forward-delay: {delay}, hello: {hello}, max-age: {age}, priority: {priority} }}"
                );
            }
            if !bridge.learns {
                words.push_str(", learning: off");
            }
            if bridge.snoops_multicast {
                words.push_str(", multicast-snooping: on");
            }
            let _ = writeln!(lines, "      {}: {{ {words} }}", quoted(name));
            let fitted = ports.iter().map(|(_, port)| port.mtu).min().unwrap_or(1500);
            if link.mtu != fitted {
                self.remark(ns, format!("bridge `{name}` will have an MTU of {fitted}, not {}", link.mtu));
            }
            if link.master.is_some() {
                self.remark(ns, format!("bridge `{name}` cannot be a port itself"));
            }
            self.check_shaping(ns, name, link);
        }
        if !lines.is_empty() {
            let _ = write!(text, "    bridges:\n{lines}");
        }
    }

    fn own_links(&mut self, text: &mut String, ns: &Ns, namespace: &Namespace) {
        let mut lines = String::new();
        for (name, link) in &namespace.links {
            let parent = |parent: &Parent| {
                let word = match parent.ns == *ns {
                    true => parent.name.to_string(),
                    false => format!("{}:{}", node_name(&parent.ns), parent.name),
                };
                format!(", parent: {}", quoted(word))
            };
            let (kind, usual) = match &link.kind {
                LinkKind::Loopback if !link.addresses.is_empty() => {
                    let _ = writeln!(lines, "      lo: [{}]", list(&link.addresses));
                    continue;
                }
                LinkKind::Macvlan { parent: p, mode } => {
                    (format!("kind: macvlan{}, mode: {}", parent(p), mode.word()), 1500)
                }
                LinkKind::Vlan { parent: p, id } => (format!("kind: vlan{}, id: {id}", parent(p)), 1500),
                LinkKind::Vxlan(vxlan) => {
                    let below = vxlan.parent.as_ref().map(parent).unwrap_or_default();
                    (format!("kind: vxlan{below}{}", vxlan_words(vxlan)), 1450)
                }
                LinkKind::Tun(_) => (format!("kind: {}", link.kind.word()), 1500),
                _ => continue,
            };
            let words =
                format!("{kind}{}{}{}", addresses(&link.addresses), mac(link.mac), mtu(link.mtu, usual));
            let _ = writeln!(lines, "      {}: {{ {words} }}", quoted(name));
            self.check_shaping(ns, name, link);
        }
        if !lines.is_empty() {
            let _ = write!(text, "    interfaces:\n{lines}");
        }
    }

    fn routes(&mut self, text: &mut String, ns: &Ns, namespace: &Namespace) {
        let mut lines = String::new();
        let is_internet = namespace.routes.iter().any(|route| takes_all(route) && route.to.addr().is_ipv4());
        if is_internet {
            text.push_str("    role: internet\n");
        }
        for route in namespace.routes.iter().filter(|route| !is_internet || !takes_all(route)) {
            match route_words(route) {
                Some(words) => lines.push_str(&format!("      - {{ {words} }}\n")),
                None => self.remark(
                    ns,
                    format!("a lab file cannot say: ip route add {}", crate::command::route_words(route)),
                ),
            }
        }
        match lines.is_empty() {
            true => text.push_str("    gateway: none\n"),
            false => text.push_str(&format!("    routes:\n{lines}")),
        }
    }

    /// Rules about interfaces that are not there are the kernel's to keep, but no lab file's.
    fn rules(&mut self, text: &mut String, ns: &Ns, namespace: &Namespace) {
        let is_there =
            |name: &Option<IfName>| name.as_ref().is_none_or(|name| namespace.links.contains_key(name));
        let mut lines = String::new();
        for rule in &namespace.rules {
            match is_there(&rule.incoming) && is_there(&rule.out) {
                true => lines.push_str(&format!("      - {{ {} }}\n", rule_words(rule))),
                false => self.remark(ns, format!("a lab file cannot say: ip rule add {rule}")),
            }
        }
        if !lines.is_empty() {
            let _ = write!(text, "    rules:\n{lines}");
        }
    }

    /// Forwarding, and the values that are not those that a lab writes by itself.
    fn values(&mut self, text: &mut String, ns: &Ns, namespace: &Namespace) {
        let seen = self.look.seen(ns);
        let is_on = |key: &str| seen.and_then(|s| s.sysctls.get(key)).is_some_and(|value| value != "0");
        let families = [("ipv4", "net.ipv4.ip_forward"), ("ipv6", "net.ipv6.conf.all.forwarding")];
        let families =
            families.into_iter().filter(|(family, key)| is_on(key) && (*family == "ipv4" || self.uses_ipv6));
        let forwards: Vec<&str> = families.map(|(family, _)| family).collect();
        if !forwards.is_empty() {
            let _ = writeln!(text, "    forward: [{}]", forwards.join(", "));
        }
        let mut lines = String::new();
        let of_bridges =
            seen.iter().flat_map(|s| &s.sysctls).filter(|(key, _)| key.starts_with("net.bridge."));
        let has_bridges = namespace.links.values().any(|link| matches!(link.kind, LinkKind::Bridge(_)));
        let usual = if has_bridges { "0" } else { "1" };
        let bridging = of_bridges.filter(|(_, value)| *value != usual);
        let others = namespace.sysctls.iter().filter(|(key, value)| {
            let is_forwarding =
                matches!(key.as_str(), "net.ipv4.ip_forward" | "net.ipv6.conf.all.forwarding");
            let is_usual = key.ends_with(".rp_filter")
                && *value == "0"
                && crate::desired::sysctls::interface_of_sysctl(key).is_none();
            let is_about_ipv6 = key.starts_with("net.ipv6.") && !self.uses_ipv6;
            !is_forwarding && !is_usual && !is_about_ipv6 && !key.starts_with("net.bridge.")
        });
        for (key, value) in bridging.chain(others) {
            let _ = writeln!(lines, "      {}: {}", quoted(key.replace('/', ".")), quoted(value));
        }
        if !lines.is_empty() {
            let _ = write!(text, "    sysctls:\n{lines}");
        }
    }

    fn tables(&mut self, text: &mut String, ns: &Ns, namespace: &Namespace) {
        let mut lines = String::new();
        let mut names: BTreeSet<(String, String)> = BTreeSet::new();
        for table in &namespace.tables {
            names.insert((table.family.to_string(), table.name.clone()));
            self.table(&mut lines, ns, table);
        }
        let legacy = self.again.legacy.get(ns).cloned().unwrap_or_default();
        for mut table in legacy {
            let is_used = |chain: &Chain| {
                let drops = chain.base.as_ref().is_some_and(|base| base.policy == Policy::Drop);
                chain.base.is_none() || drops || !chain.rules.is_empty()
            };
            table.chains.retain(is_used);
            if table.chains.is_empty() {
                continue;
            }
            if names.contains(&(table.family.to_string(), table.name.clone())) {
                table.name.push_str("-legacy");
            }
            let name = format!("{} {}", table.family, table.name);
            self.remark(
                ns,
                format!("rules of legacy iptables become the nftables table `{name}`, to the same effect"),
            );
            self.table(&mut lines, ns, &table);
        }
        if !lines.is_empty() {
            let _ = write!(text, "    tables:\n{lines}");
        }
    }

    fn table(&mut self, text: &mut String, ns: &Ns, table: &Table) {
        let name = format!("{} {}", table.family, table.name);
        if !FAMILIES.iter().any(|(_, family)| *family == table.family) {
            self.remark(ns, format!("table `{name}` is of a family that a lab file does not have"));
            return;
        }
        let _ =
            writeln!(text, "      {}:{}", quoted(&name), if table.chains.is_empty() { " {}" } else { "" });
        for chain in &table.chains {
            let (rules, odd): (Vec<&Rule>, Vec<&Rule>) =
                chain.rules.iter().partition(|rule| is_sayable(rule));
            for rule in odd {
                self.remark(ns, format!("a lab file cannot say the rule of {name} {}: {rule}", chain.name));
            }
            let list: Vec<String> = rules.iter().map(quoted).collect();
            let rules = format!("[{}]", list.join(", "));
            let Some(base) = &chain.base else {
                let _ = writeln!(text, "        {}: {rules}", quoted(&chain.name));
                continue;
            };
            if !HOOKS.iter().any(|(_, hook)| *hook == base.hook) {
                self.remark(ns, format!("chain `{}` of {name} hangs on a single link", chain.name));
                continue;
            }
            let (kind, hook, priority, policy) = (base.kind, base.hook, base.priority, base.policy);
            let head = format!("type: {kind}, hook: {hook}, priority: {priority}, policy: {policy}");
            let _ = writeln!(text, "        {}: {{ {head}, rules: {rules} }}", quoted(&chain.name));
        }
    }
}

/// Whether a lab file can say a rule: it reads back as it is.
fn is_sayable(rule: &Rule) -> bool {
    rule.is_understood()
        && rule.to_string().parse::<Rule>().is_ok_and(|read| read.canonical() == rule.canonical())
}

fn addresses(addresses: &BTreeSet<IpNet>) -> String {
    let list = list(addresses);
    match addresses.len() {
        0 => String::new(),
        1 => format!(", address: {list}"),
        _ => format!(", address: [{list}]"),
    }
}

fn mac(mac: Option<Mac>) -> String {
    mac.map(|mac| format!(", mac: {}", quoted(mac))).unwrap_or_default()
}

fn mtu(mtu: u32, usual: u32) -> String {
    if mtu == usual { String::new() } else { format!(", mtu: {mtu}") }
}

fn vxlan_words(vxlan: &Vxlan) -> String {
    let mut words = format!(", id: {}, port: {}", vxlan.id, vxlan.port);
    words.extend(vxlan.remote.map(|remote| format!(", remote: {}", quoted(remote))));
    words.extend(vxlan.local.map(|local| format!(", local: {}", quoted(local))));
    if !vxlan.learns {
        words.push_str(", learning: off");
    }
    words
}

/// Whether a route takes every address of its family for the namespace's own, as an internet node does.
fn takes_all(route: &Route) -> bool {
    matches!(route.target, RouteTarget::Local(_))
        && route.to.prefix_len() == 0
        && route.table == Route::TABLE_MAIN
}

/// A route in the keys of a lab file; none where it has none.
fn route_words(route: &Route) -> Option<String> {
    let is_plain_default = route.is_default() && route.uses_gateways_only();
    let mut words = match is_plain_default {
        true => "to: default".to_owned(),
        false => format!("to: {}", quoted(route.to)),
    };
    let is_ipv6 = route.to.addr().is_ipv6();
    let hop = |hop: &NextHop| {
        if hop.via.is_some_and(|via| via.is_ipv6() != is_ipv6) {
            return None;
        }
        let via = hop.via.map(|via| format!("via: {}, ", quoted(via))).unwrap_or_default();
        let onlink = if hop.onlink { ", onlink: true" } else { "" };
        Some(format!("{via}dev: {}{onlink}", quoted(&hop.dev)))
    };
    match &route.target {
        RouteTarget::Unicast(hops) => match hops.as_slice() {
            [one] => words.push_str(&format!(", {}", hop(one)?)),
            several => {
                let weighted = |one: &NextHop| Some(format!("{{ {}, weight: {} }}", hop(one)?, one.weight));
                let hops: Vec<String> = several.iter().map(weighted).collect::<Option<_>>()?;
                words.push_str(&format!(", hops: [{}]", hops.join(", ")));
            }
        },
        RouteTarget::Local(_) => return None,
        RouteTarget::Unreachable => words.push_str(", kind: unreachable"),
        RouteTarget::Blackhole => words.push_str(", kind: blackhole"),
        RouteTarget::Prohibit => words.push_str(", kind: prohibit"),
    }
    words.extend(route.src.map(|src| format!(", src: {}", quoted(src))));
    if route.metric != Route::metric_default(route.to) {
        let _ = write!(words, ", metric: {}", route.metric);
    }
    if route.table != Route::TABLE_MAIN {
        let _ = write!(words, ", table: {}", route.table);
    }
    Some(words)
}

/// A rule in the keys of a lab file. Where no prefix says the family, one of all addresses does.
fn rule_words(rule: &PolicyRule) -> String {
    let mut words = format!("priority: {}", rule.priority);
    if rule.is_inverted {
        words.push_str(", not: true");
    }
    let is_bare = rule.from.is_none() && rule.to.is_none();
    let everybody = is_bare.then_some(if rule.is_ipv6 { "::/0" } else { "0.0.0.0/0" });
    let ends = [("from", rule.from.map(|net| net.to_string())), ("to", rule.to.map(|net| net.to_string()))];
    let everybody = ("from", everybody.map(str::to_owned));
    let names = [("iif", &rule.incoming), ("oif", &rule.out)];
    let names = names.map(|(key, name)| (key, name.as_ref().map(ToString::to_string)));
    let mark = rule.mark.map(|(mark, mask)| match mask {
        u32::MAX => format!("{mark:#x}"),
        _ => format!("{mark:#x}/{mask:#x}"),
    });
    for (key, value) in ends.into_iter().chain([everybody]).chain(names).chain([("fwmark", mark)]) {
        words.extend(value.map(|value| format!(", {key}: {}", quoted(value))));
    }
    words.push_str(&match rule.action {
        PolicyAction::Table(table) => format!(", table: {table}"),
        PolicyAction::Blackhole => ", kind: blackhole".to_owned(),
        PolicyAction::Unreachable => ", kind: unreachable".to_owned(),
        PolicyAction::Prohibit => ", kind: prohibit".to_owned(),
        PolicyAction::Other(number) => format!(", kind: {number}"),
    });
    words
}

fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// A scalar, in quotes where YAML would read something else.
fn quoted(text: impl Display) -> String {
    let text = text.to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && text.chars().all(is_plain) && !words.contains(&text.to_lowercase().as_str()) {
        return text;
    }
    serde_json::Value::String(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_quoted_where_yaml_would_read_something_else() {
        assert_eq!(quoted("10.0.0.1/24"), "10.0.0.1/24");
        assert_eq!(quoted("fd00::1"), "\"fd00::1\"");
        assert_eq!(quoted("no"), "\"no\"");
        assert_eq!(quoted("iifname \"eth0\" accept"), r#""iifname \"eth0\" accept""#);
        assert_eq!(quoted("lo"), "lo");
    }
}

//! The commands that a person would type for a step: ip(8), tc(8), nft(8), sysctl(8) and ethtool(8).
//!
//! Every name stands after its keyword (`dev eth0`), as an interface may be called `up` or `br`.

use crate::mac::Mac;
use crate::name::IfName;
use crate::nft::{Chain, Hook, Table};
use crate::shaping::Shaping;
use crate::state::{Bridge, LinkKind, NextHop, Ns, PolicyRule, Route, RouteTarget, Vxlan};
use crate::step::{Step, VethEnd};
use ipnet::IpNet;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

impl Step {
    /// The commands of this step for a POSIX shell, in order. One with a here-document has several lines.
    ///
    /// ```
    /// use netyard_core::{state::Ns, step::Step};
    /// let step = Step::SetLinkUp { ns: "pc".parse().unwrap(), name: "eth0".parse().unwrap(), is_up: true };
    /// assert_eq!(step.commands(), ["ip -n pc link set dev eth0 up"]);
    /// ```
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        if let Self::AddNamespace { ns, sysctls } = self {
            let add = format!("ip netns add {ns}");
            return std::iter::once(add).chain(write_sysctls(ns, sysctls)).collect();
        }
        vec![self.command()]
    }

    fn command(&self) -> String {
        match self {
            Self::AddNamespace { ns, .. } => format!("ip netns add {ns}"),
            Self::DeleteNamespace { ns } => format!("ip netns delete {ns}"),
            Self::AddBridge { ns, name, mac, mtu, bridge } => {
                let (name, settings) = (word(name.as_str()), bridge_at_birth(bridge));
                format!("ip -n {ns} link add name {name} address {mac} mtu {mtu} type bridge {settings}")
            }
            Self::AddVeth { near, far } => add_veth(near, far),
            Self::AddLink { ns, name, mac, mtu, kind } => add_link(ns, name, *mac, *mtu, kind),
            Self::DeleteLink { ns, name } => format!("ip -n {ns} link delete dev {}", word(name.as_str())),
            Self::SetLinkUp { ns, name, is_up } => set_link(ns, name, if *is_up { "up" } else { "down" }),
            Self::SetMtu { ns, name, mtu } => set_link(ns, name, &format!("mtu {mtu}")),
            Self::SetMac { ns, name, mac } => set_link(ns, name, &format!("address {mac}")),
            Self::SetMaster { ns, name, master: Some(master) } => {
                set_link(ns, name, &format!("master {}", word(master.as_str())))
            }
            Self::SetMaster { ns, name, master: None } => set_link(ns, name, "nomaster"),
            Self::SetBridge { ns, name, bridge } => {
                set_link(ns, name, &format!("type bridge {}", bridge_settings(bridge)))
            }
            Self::SetChecksums { ns, name, fills } => {
                let offload = if *fills { "off" } else { "on" };
                format!("ip netns exec {ns} ethtool -K {} tx {offload}", word(name.as_str()))
            }
            Self::AddAddress { ns, dev, address, dad } => {
                let nodad = if address.addr().is_ipv6() && !dad { " nodad" } else { "" };
                format!("ip -n {ns} address add {address} dev {}{nodad}", word(dev.as_str()))
            }
            Self::DeleteAddress { ns, dev, address } => {
                format!("ip -n {ns} address delete {address} dev {}", word(dev.as_str()))
            }
            Self::AddRoute { ns, route } => change_route(ns, "add", route),
            Self::DeleteRoute { ns, route } => change_route(ns, "delete", route),
            Self::AddRule { ns, rule } => change_rule(ns, "add", rule),
            Self::DeleteRule { ns, rule } => change_rule(ns, "delete", rule),
            Self::AddNeighbour { ns, neighbour } => {
                let (to, mac, dev) = (neighbour.to, neighbour.mac, word(neighbour.dev.as_str()));
                format!("ip -n {ns} neighbour replace {to} lladdr {mac} dev {dev} nud permanent")
            }
            Self::DeleteNeighbour { ns, neighbour } => {
                format!("ip -n {ns} neighbour delete {} dev {}", neighbour.to, word(neighbour.dev.as_str()))
            }
            Self::SetSysctl { ns, key, value } => write_sysctl(ns, key, value),
            Self::SetShaping { ns, dev, egress } => set_shaping(ns, dev, egress),
            Self::ReplaceTable { ns, table } => replace_table(ns, table),
            Self::DeleteTable { ns, family, name } => {
                format!("ip netns exec {ns} nft delete table {family} {}", word(name))
            }
        }
    }
}

/// A word for a POSIX shell, quoted where it has to be.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./:,@%".contains(c);
    // A tilde is plain but for the first place, where a shell expands it.
    let is_safe = !text.is_empty() && !text.starts_with('~') && text.chars().all(|c| is_plain(c) || c == '~');
    if is_safe { Cow::Borrowed(text) } else { Cow::Owned(format!("'{}'", text.replace('\'', r"'\''"))) }
}

fn set_link(ns: &Ns, name: &IfName, what: &str) -> String {
    format!("ip -n {ns} link set dev {} {what}", word(name.as_str()))
}

fn add_veth(near: &VethEnd, far: &VethEnd) -> String {
    let end = |end: &VethEnd| format!("name {} address {} mtu {}", word(end.name.as_str()), end.mac, end.mtu);
    let master =
        near.master.as_ref().map_or(String::new(), |name| format!(" master {}", word(name.as_str())));
    let up = if near.is_up { " up" } else { "" };
    let peer_ns = if far.ns == near.ns { String::new() } else { format!(" netns {}", far.ns) };
    // The peer's own words follow `peer`; `netns` there opens the namespace by name.
    format!("ip -n {} link add {}{master}{up} type veth peer {}{peer_ns}", near.ns, end(near), end(far))
}

/// A link on another one is made where that is, and born in its own namespace.
fn add_link(ns: &Ns, name: &IfName, mac: Option<Mac>, mtu: u32, kind: &LinkKind) -> String {
    if let LinkKind::Tun(_) = kind {
        return format!("ip -n {ns} tuntap add dev {} mode {}", word(name.as_str()), kind.word());
    }
    let from = kind.parent().map_or(ns, |parent| &parent.ns);
    let link = match kind {
        LinkKind::Vxlan(_) => String::new(),
        _ => kind.parent().map(|parent| format!(" link {}", word(parent.name.as_str()))).unwrap_or_default(),
    };
    let netns = if from == ns { String::new() } else { format!(" netns {ns}") };
    let address = mac.map(|mac| format!(" address {mac}")).unwrap_or_default();
    let settings = match kind {
        LinkKind::Macvlan { mode, .. } => format!(" mode {}", mode.word()),
        LinkKind::Vlan { id, .. } => format!(" id {id}"),
        LinkKind::Vxlan(vxlan) => vxlan_settings(vxlan),
        _ => String::new(),
    };
    let (name, kind) = (word(name.as_str()), kind.word());
    format!("ip -n {from} link add{link} name {name}{netns}{address} mtu {mtu} type {kind}{settings}")
}

fn vxlan_settings(vxlan: &Vxlan) -> String {
    let mut words = format!(" id {} dstport {}", vxlan.id, vxlan.port);
    if let Some(remote) = vxlan.remote {
        let _ = write!(words, " {} {remote}", if remote.is_multicast() { "group" } else { "remote" });
    }
    if let Some(local) = vxlan.local {
        let _ = write!(words, " local {local}");
    }
    if let Some(parent) = &vxlan.parent {
        let _ = write!(words, " dev {}", word(parent.name.as_str()));
    }
    if !vxlan.learns {
        words.push_str(" nolearning");
    }
    words
}

/// The settings of a bridge that are not those it is born with, and spanning tree and snooping in any case.
fn bridge_at_birth(bridge: &Bridge) -> String {
    let settings = bridge_settings(bridge);
    if bridge.learns { settings.replace(" ageing_time 30000", "") } else { settings }
}

/// Times are in hundredths of a second, as ip(8) passes them on (`USER_HZ`).
fn bridge_settings(bridge: &Bridge) -> String {
    let tree = bridge.stp.map_or("stp_state 0".to_owned(), |stp| {
        let [delay, hello, age] =
            [stp.forward_delay_s, stp.hello_s, stp.max_age_s].map(|s| u32::from(s) * 100);
        let priority = stp.priority;
        format!("stp_state 1 forward_delay {delay} hello_time {hello} max_age {age} priority {priority}")
    });
    let snooping = u8::from(bridge.snoops_multicast);
    let ageing = if bridge.learns { 30_000 } else { 0 };
    format!("{tree} mcast_snooping {snooping} ageing_time {ageing}")
}

fn change_route(ns: &Ns, verb: &str, route: &Route) -> String {
    let family = if route.to.addr().is_ipv6() { " -6" } else { "" };
    format!("ip -n {ns}{family} route {verb} {}", route_words(route))
}

fn change_rule(ns: &Ns, verb: &str, rule: &PolicyRule) -> String {
    let family = if rule.is_ipv6 { " -6" } else { "" };
    format!("ip -n {ns}{family} rule {verb} {rule}")
}

/// A route as `ip route add` takes it: `default via 10.0.0.254 dev eth0`.
#[must_use]
pub fn route_words(route: &Route) -> String {
    let mut words = route_to(route);
    if let Some(src) = route.src {
        let _ = write!(words, " src {src}");
    }
    if route.metric != Route::metric_default(route.to) {
        let _ = write!(words, " metric {}", route.metric);
    }
    // ip(8) puts local routes into table local where none is named.
    if route.table != Route::TABLE_MAIN {
        let _ = write!(words, " table {}", route.table);
    } else if matches!(route.target, RouteTarget::Local(_)) {
        words.push_str(" table main");
    }
    if let RouteTarget::Unicast(hops) = &route.target
        && hops.len() > 1
    {
        for hop in hops {
            let via = next_hop(hop, route.to.addr().is_ipv6());
            let _ = write!(words, " nexthop{via} weight {}", hop.weight);
        }
    }
    words
}

/// The kind and destination of a route, and its next hop where there is one.
fn route_to(route: &Route) -> String {
    let to = if route.to.prefix_len() == 0 { "default".to_owned() } else { prefix(route.to) };
    match &route.target {
        RouteTarget::Unicast(hops) => match hops.as_slice() {
            [hop] => format!("{to}{}", next_hop(hop, route.to.addr().is_ipv6())),
            _ => to,
        },
        RouteTarget::Local(dev) => format!("local {to} dev {}", word(dev.as_str())),
        RouteTarget::Unreachable => format!("unreachable {to}"),
        RouteTarget::Blackhole => format!("blackhole {to}"),
        RouteTarget::Prohibit => format!("prohibit {to}"),
    }
}

/// A prefix without the length of a single address.
fn prefix(prefix: IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

fn next_hop(hop: &NextHop, is_ipv6: bool) -> String {
    let via = match hop.via {
        Some(via) if via.is_ipv6() && !is_ipv6 => format!(" via inet6 {via}"),
        Some(via) => format!(" via {via}"),
        None => String::new(),
    };
    let onlink = if hop.onlink { " onlink" } else { "" };
    format!("{via} dev {}{onlink}", word(hop.dev.as_str()))
}

/// One command for all values; keys that may be missing are written by one that overlooks it (`-e`).
fn write_sysctls(ns: &Ns, sysctls: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    let (optional, certain): (Vec<_>, Vec<_>) =
        sysctls.iter().partition(|(key, value)| may_be_absent(key, value));
    [("-qw", certain), ("-eqw", optional)].into_iter().filter(|(_, list)| !list.is_empty()).map(
        move |(options, list)| {
            let assignments: String =
                list.iter().map(|(key, value)| format!(" {}", word(&format!("{key}={value}")))).collect();
            format!("ip netns exec {ns} sysctl {options}{assignments}")
        },
    )
}

fn write_sysctl(ns: &Ns, key: &str, value: &str) -> String {
    let options = if may_be_absent(key, value) { "-eqw" } else { "-qw" };
    format!("ip netns exec {ns} sysctl {options} {}", word(&format!("{key}={value}")))
}

fn may_be_absent(key: &str, value: &str) -> bool {
    crate::desired::sysctl_may_be_absent(key, value)
}

fn set_shaping(ns: &Ns, dev: &IfName, egress: &Shaping) -> String {
    let dev = word(dev.as_str());
    match qdisc(egress) {
        Some(qdisc) => format!("tc -n {ns} qdisc replace dev {dev} root {qdisc}"),
        None => format!("tc -n {ns} qdisc delete dev {dev} root"),
    }
}

/// The qdisc with its parameters; none where packets pass as they are.
fn qdisc(egress: &Shaping) -> Option<String> {
    if egress.needs_netem() {
        return Some(netem(egress));
    }
    let (burst, latency) = (egress.burst_bytes_or_default(), egress.latency_us_or_default());
    egress.rate_bit_per_s.map(|rate| format!("tbf rate {rate}bit burst {burst} latency {latency}us"))
}

fn netem(egress: &Shaping) -> String {
    let mut words = format!("netem limit {}", egress.netem_limit_packets());
    if egress.delay_us > 0 || egress.jitter_us > 0 {
        let _ = write!(words, " delay {}us", egress.delay_us);
    }
    if egress.jitter_us > 0 {
        let _ = write!(words, " {}us", egress.jitter_us);
    }
    let shares = [
        ("loss", egress.loss),
        ("duplicate", egress.duplicate),
        ("reorder", egress.reorder),
        ("corrupt", egress.corrupt),
    ];
    for (name, share) in shares.into_iter().filter(|(_, share)| share.0 > 0) {
        let _ = write!(words, " {name} {share}");
    }
    if let Some(rate) = egress.rate_bit_per_s {
        let _ = write!(words, " rate {rate}bit");
    }
    words
}

/// One transaction: the table is made where it is missing, so that deleting it succeeds, and made as it should be.
fn replace_table(ns: &Ns, table: &Table) -> String {
    let (family, name) = (table.family, &table.name);
    let mut words = format!("ip netns exec {ns} nft -f - <<'EOF'\n");
    let _ = write!(words, "table {family} {name}\ndelete table {family} {name}\ntable {family} {name} {{\n");
    for chain in &table.chains {
        words.push_str(&chain_words(chain));
    }
    words.push_str("}\nEOF");
    words
}

fn chain_words(chain: &Chain) -> String {
    let mut words = format!("  chain {} {{\n", chain.name);
    if let Some(base) = &chain.base {
        let (kind, hook, priority, policy) =
            (base.kind, base.hook, priority(base.hook, base.priority), base.policy);
        let _ = writeln!(words, "    type {kind} hook {hook} priority {priority}; policy {policy};");
    }
    for rule in &chain.rules {
        let _ = writeln!(words, "    {rule}");
    }
    words.push_str("  }\n");
    words
}

/// A priority by its name in nft(8) where it has one at this hook.
fn priority(hook: Hook, priority: i32) -> String {
    match (hook, priority) {
        (Hook::Prerouting, -100) => "dstnat".to_owned(),
        (Hook::Postrouting, 100) => "srcnat".to_owned(),
        (_, 0) => "filter".to_owned(),
        (_, number) => number.to_string(),
    }
}

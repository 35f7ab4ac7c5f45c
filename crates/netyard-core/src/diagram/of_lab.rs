//! The picture of a lab.

use super::model::{Block, Note, NoteKind, Picture, Port, Role};
use crate::lab::{
    self, Firewall, FirewallChain, Interface, Lab, Nat, Network, NetworkKind, Node, NodeKind, Uplink,
};
use crate::nft::Policy;
use crate::shaping::Shaping;
use crate::state::{Route, RouteTarget};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Routes that are shown one by one; more are counted.
const ROUTES_SHOWN: usize = 2;
/// The MTU of Ethernet, which goes without saying.
const MTU_USUAL: u32 = 1500;
/// The label whose value stands beside a node's name.
const LABEL_TITLE: &str = "title";

impl Picture {
    /// The picture of a lab: a box per node, a double-lined box per bridge or hub, a wire per cable.
    ///
    /// The value of a node's label `title` is shown beside its name, other labels below.
    #[must_use]
    pub fn of_lab(lab: &Lab) -> Self {
        let mut picture = Self::new(lab.name.as_str());
        for node in &lab.nodes {
            picture.blocks.push(node_block(node));
        }
        for network in &lab.networks {
            picture.add_network(lab, network);
        }
        picture
    }

    fn add_network(&mut self, lab: &Lab, network: &Network) {
        let members = members(lab, network);
        if let (NetworkKind::Cable, [(one, _), (other, _)]) = (&network.kind, &*members) {
            let wire = self.connect(*one, *other);
            self.wires[wire].name = Some(network.name.to_string());
            return;
        }
        let mut block = network_block(network);
        block.ports = members.iter().map(|(_, interface)| Port::new(interface.port.as_str())).collect();
        let index = self.add(block);
        for (port, (end, _)) in members.iter().enumerate() {
            self.connect(*end, (index, port));
        }
    }
}

/// Interfaces on a network with their (block, port).
fn members<'a>(lab: &'a Lab, network: &Network) -> Vec<((usize, usize), &'a Interface)> {
    let of_node = |(block, node): (usize, &'a Node)| {
        let ports = node.interfaces.iter().enumerate();
        ports.map(move |(port, interface)| ((block, port), interface))
    };
    let all = lab.nodes.iter().enumerate().flat_map(of_node);
    all.filter(|(_, interface)| interface.network == network.name).collect()
}

fn network_block(network: &Network) -> Block {
    let role = if matches!(network.kind, NetworkKind::Bridge { .. }) { Role::Bridge } else { Role::Hub };
    let mut block = Block::network(network.name.as_str(), role);
    block
        .notes
        .extend(network.prefixes.iter().map(|prefix| Note::new(NoteKind::Address, prefix.to_string())));
    if let NetworkKind::Bridge { stp, snoops_multicast } = &network.kind {
        block.notes.extend(stp.map(|_| Note::new(NoteKind::Setting, "spanning tree")));
        block.notes.extend(snoops_multicast.then(|| Note::new(NoteKind::Setting, "multicast snooping")));
    }
    if network.mtu != MTU_USUAL {
        block.notes.push(Note::new(NoteKind::Setting, format!("mtu {}", network.mtu)));
    }
    block
}

fn node_block(node: &Node) -> Block {
    let role = match node.role {
        lab::Role::Host => Role::Host,
        lab::Role::Router => Role::Router,
        lab::Role::Bridge => Role::Bridge,
        lab::Role::Internet => Role::Internet,
    };
    let mut block = Block::node(node.name.as_str(), role);
    block.caption = node.labels.get(LABEL_TITLE).cloned();
    block.ports = node.interfaces.iter().map(|interface| port(node, interface)).collect();
    block.notes = bridges(node)
        .chain(own_links(node))
        .chain(node.nat.iter().map(|nat| Note::new(NoteKind::Nat, nat_words(node, nat))))
        .chain(node.firewall.iter().flat_map(firewall))
        .chain(other_routes(node))
        .chain(remarks(node))
        .collect();
    block
}

fn port(node: &Node, interface: &Interface) -> Port {
    let mut port = Port::new(interface.name.as_str());
    port.notes = interface.addresses.iter().map(|a| Note::new(NoteKind::Address, a.to_string())).collect();
    let defaults =
        node.routes.iter().filter(|route| route.is_default() && dev(route) == Some(interface.name.as_str()));
    port.notes.extend(defaults.map(|route| Note::new(NoteKind::Route, route_words(route))));
    port.notes.extend(shaping(interface));
    port
}

fn bridges(node: &Node) -> impl Iterator<Item = Note> + '_ {
    node.bridges.iter().flat_map(|bridge| {
        let stp = if bridge.stp.is_some() { ", spanning tree" } else { "" };
        let ports =
            Note::new(NoteKind::Setting, format!("{}: {}{stp}", bridge.name, words(&bridge.ports, " ")));
        let addresses = bridge.addresses.iter();
        let addresses = addresses.map(|a| Note::new(NoteKind::Address, format!("{}: {a}", bridge.name)));
        std::iter::once(ports).chain(addresses)
    })
}

/// Links that lead to no network: `mv: macvlan on eth0 10.0.0.3/24`.
fn own_links(node: &Node) -> impl Iterator<Item = Note> + '_ {
    node.own_links.iter().map(|link| {
        let parent = link.kind.parent().map(|parent| format!(" on {}", parent.name)).unwrap_or_default();
        let addresses = link.addresses.iter().map(|address| format!(" {address}")).collect::<String>();
        Note::new(NoteKind::Setting, format!("{}: {}{parent}{addresses}", link.name, link.kind.word()))
    })
}

fn nat_words(node: &Node, nat: &Nat) -> String {
    let network = |interface: &str| {
        node.interface(interface).map_or(interface.to_owned(), |interface| interface.network.to_string())
    };
    let sources = |from: &[ipnet::IpNet]| match from {
        [] => "any".to_owned(),
        [one] => one.to_string(),
        more => format!("{} prefixes", more.len()),
    };
    match nat {
        Nat::Masquerade { from, out } => format!("⇄ NAPT {} → {}", sources(from), network(out.as_str())),
        Nat::Snat { from, out, to } => {
            format!("⇄ SNAT {} → {to} on {}", sources(from), network(out.as_str()))
        }
        Nat::PortForward { protocol, incoming, port, to, .. } => {
            format!("⇄ {} {protocol} {port} → {to}", network(incoming.as_str()))
        }
    }
}

fn firewall(firewall: &Firewall) -> impl Iterator<Item = Note> + '_ {
    let chains = [("input", &firewall.input), ("forward", &firewall.forward)];
    chains.into_iter().filter_map(|(name, chain)| {
        let chain = chain.as_ref()?;
        Some(Note::new(NoteKind::Firewall, format!("⊘ {name}: {}", chain_words(chain))))
    })
}

fn chain_words(chain: &FirewallChain) -> String {
    let verb = match chain.policy {
        Policy::Accept => return "accept".to_owned(),
        Policy::Drop => "drop",
    };
    let one = |allow: &lab::Allow| {
        let mut parts: Vec<String> = allow.protocol.iter().map(ToString::to_string).collect();
        parts.extend(allow.ports.iter().map(ToString::to_string));
        parts.extend(allow.incoming.iter().map(|i| format!("in {i}")));
        parts.extend(allow.out.iter().map(|o| format!("out {o}")));
        parts.extend(allow.from.iter().map(|from| format!("from {from}")));
        parts.extend(allow.to.iter().map(|to| format!("to {to}")));
        parts.join(" ")
    };
    match &*chain.allow {
        [] => verb.to_owned(),
        [allow] => format!("{verb} but {}", one(allow)),
        more => format!("{verb} but {} rules", more.len()),
    }
}

/// Routes that belong to no port: all but the default routes of its interfaces.
fn other_routes(node: &Node) -> impl Iterator<Item = Note> + '_ {
    let at_port =
        |route: &&Route| route.is_default() && dev(route).is_some_and(|dev| node.interface(dev).is_some());
    let routes: Vec<&Route> = node.routes.iter().filter(|route| !at_port(route)).collect();
    let shown = if routes.len() > ROUTES_SHOWN {
        vec![format!("{} routes", routes.len())]
    } else {
        routes.into_iter().map(route_words).collect()
    };
    shown.into_iter().map(|words| Note::new(NoteKind::Route, words))
}

fn route_words(route: &Route) -> String {
    let to = if route.to.prefix_len() == 0 { "default".to_owned() } else { route.to.to_string() };
    let metric = match route.metric {
        metric if metric == Route::metric_default(route.to) => String::new(),
        metric => format!(" metric {metric}"),
    };
    match &route.target {
        RouteTarget::Unicast(hops) => {
            let hop = |hop: &crate::state::NextHop| match hop.via {
                Some(via) => format!("via {via}"),
                None => format!("dev {}", hop.dev),
            };
            format!("{to} {}{metric}", hops.iter().map(hop).collect::<Vec<_>>().join(", "))
        }
        RouteTarget::Local(dev) => format!("{to} local on {dev}"),
        RouteTarget::Unreachable => format!("{to} unreachable"),
        RouteTarget::Blackhole => format!("{to} blackhole"),
        RouteTarget::Prohibit => format!("{to} prohibit"),
    }
}

/// The interface of a route's only next hop.
fn dev(route: &Route) -> Option<&str> {
    match &route.target {
        RouteTarget::Unicast(hops) => match &**hops {
            [hop] => Some(hop.dev.as_str()),
            _ => None,
        },
        _ => None,
    }
}

fn remarks(node: &Node) -> impl Iterator<Item = Note> + '_ {
    let note = |text: String| Note::new(NoteKind::Remark, text);
    let host = (node.kind == NodeKind::Host).then(|| note("⇡ this machine".to_owned()));
    let uplink = node.uplink.map(|Uplink::Pasta| note("⇡ real network (pasta)".to_owned()));
    let hostname = node.hostname.as_ref().map(|name| note(format!("hostname {name}")));
    let names: Vec<&str> = node.programs.iter().map(|program| program.name.as_str()).collect();
    let programs = (!names.is_empty()).then(|| note(format!("▸ {}", words(&names, ", "))));
    let labels = other_labels(&node.labels).map(move |(key, value)| note(format!("{key}: {value}")));
    host.into_iter().chain(uplink).chain(hostname).chain(programs).chain(labels)
}

fn other_labels(labels: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    labels.iter().filter(|(key, _)| *key != LABEL_TITLE)
}

fn shaping(interface: &Interface) -> Vec<Note> {
    let note = |text: String| Note::new(NoteKind::Shaping, text);
    match (&interface.up, &interface.down) {
        (up, down) if up.is_none() && down.is_none() => Vec::new(),
        (up, down) if up == down => vec![note(shaping_words(up))],
        (up, down) => {
            let directions = [("↑", up), ("↓", down)].into_iter().filter(|(_, shaping)| !shaping.is_none());
            directions.map(|(arrow, shaping)| note(format!("{arrow} {}", shaping_words(shaping)))).collect()
        }
    }
}

fn shaping_words(shaping: &Shaping) -> String {
    let mut parts = Vec::new();
    parts.extend(shaping.rate_bit_per_s.map(rate));
    if shaping.delay_us > 0 {
        let jitter =
            if shaping.jitter_us > 0 { format!("±{}", time(shaping.jitter_us)) } else { String::new() };
        parts.push(format!("{}{jitter}", time(shaping.delay_us)));
    }
    let shares = [
        ("loss", shaping.loss),
        ("duplicate", shaping.duplicate),
        ("reorder", shaping.reorder),
        ("corrupt", shaping.corrupt),
    ];
    let shares = shares.into_iter().filter(|(_, share)| share.0 > 0);
    parts
        .extend(shares.map(|(name, share)| format!("{name} {}%", (share.percent() * 100.0).round() / 100.0)));
    parts.join(" ")
}

/// Bits per second in the largest unit of tc(8) that divides them.
fn rate(bit_per_s: u64) -> String {
    let units = [(1_000_000_000, "gbit"), (1_000_000, "mbit"), (1_000, "kbit")];
    match units.into_iter().find(|(unit, _)| bit_per_s >= *unit && bit_per_s.is_multiple_of(*unit)) {
        Some((unit, word)) => format!("{}{word}", bit_per_s / unit),
        None => format!("{bit_per_s}bit"),
    }
}

/// Microseconds in the largest unit that divides them.
fn time(us: u32) -> String {
    match us {
        us if us >= 1_000_000 && us % 1_000_000 == 0 => format!("{}s", us / 1_000_000),
        us if us >= 1_000 && us % 1_000 == 0 => format!("{}ms", us / 1_000),
        us => format!("{us}us"),
    }
}

fn words<T: Display>(items: &[T], between: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shaping::Share;

    #[test]
    fn shaping_is_said_in_the_words_of_tc() {
        let shaping = Shaping {
            rate_bit_per_s: Some(10_000_000),
            delay_us: 20_000,
            jitter_us: 1_500,
            loss: Share::from_percent(0.5),
            ..Shaping::default()
        };
        assert_eq!(shaping_words(&shaping), "10mbit 20ms±1500us loss 0.5%");
    }
}

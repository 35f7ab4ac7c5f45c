//! What a lab needs of the kernel, and where.

use super::Kind;
use crate::lab::{Interface, Lab, Nat, NetworkKind, Node};
use crate::name::{IfName, NetworkName, NodeName};
use crate::shaping::{Shaping, Share};
use std::collections::BTreeSet;
use std::fmt;

/// One part of a lab that needs something of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it needs.
    pub kind: Kind,
    /// Where in the lab.
    pub place: Place,
    /// Keys of the lab file that need it; none where it is no key's doing.
    pub keys: Vec<&'static str>,
}

/// A part of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All of it.
    Lab,
    /// A network.
    Network(NetworkName),
    /// A node.
    Node(NodeName),
    /// An interface of a node.
    Interface(NodeName, IfName),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lab => f.write_str("the lab"),
            Self::Network(network) => write!(f, "network `{network}`"),
            Self::Node(node) => write!(f, "node `{node}`"),
            Self::Interface(node, interface) => write!(f, "node `{node}`, interface `{interface}`"),
        }
    }
}

impl fmt::Display for Need {
    /// What needs it, for example `` `delay` and `jitter` of node `far`, interface `eth0` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.keys.iter().enumerate() {
            let before = match self.keys.len() - index {
                _ if index == 0 => "",
                1 => " and ",
                _ => ", ",
            };
            write!(f, "{before}`{key}`")?;
        }
        let of = if self.keys.is_empty() { "" } else { " of " };
        write!(f, "{of}{}", self.place)
    }
}

/// Everything that a lab needs of the kernel and that a kernel may lack, in the order of the file.
///
/// ```
/// use netyard_core::diagnostic::Source;
/// use netyard_core::feature::{Kind, needs};
///
/// let text = "networks: { lan: 10.0.0.0/24 }
/// nodes: { pc: { links: [lan] }, far: { links: { lan: { delay: 10ms } } } }";
/// let lab = netyard_core::labfile::parse(&Source::new("lab.yaml", text)).expect("it is right").lab;
/// let netem = needs(&lab).into_iter().find(|need| need.kind == Kind::Netem).expect("for the delay");
/// assert_eq!(netem.to_string(), "`delay` of node `far`, interface `eth0`");
/// ```
#[must_use]
pub fn needs(lab: &Lab) -> Vec<Need> {
    let mut needs = Vec::new();
    if lab.nodes.iter().any(|node| !node.interfaces.is_empty()) {
        needs.push(need(Kind::Veth, Place::Lab, &[]));
    }
    if lab.uses_ipv6() {
        needs.push(need(Kind::Ipv6, Place::Lab, &[]));
    }
    for network in &lab.networks {
        let place = || Place::Network(network.name.clone());
        let (has_bridge, has_stp) = match &network.kind {
            NetworkKind::Bridge { stp, .. } => (true, stp.is_some()),
            NetworkKind::Hub => (true, false),
            NetworkKind::Cable => (false, false),
        };
        needs.extend(has_bridge.then(|| need(Kind::Bridge, place(), &[])));
        needs.extend(has_stp.then(|| need(Kind::Stp, place(), &["stp"])));
    }
    lab.nodes.iter().for_each(|node| add_needs_of_node(node, &mut needs));
    needs
}

fn add_needs_of_node(node: &Node, needs: &mut Vec<Need>) {
    let place = || Place::Node(node.name.clone());
    for bridge in &node.bridges {
        needs.push(need(Kind::Bridge, place(), &["bridge"]));
        needs.extend(bridge.stp.is_some().then(|| need(Kind::Stp, place(), &["stp"])));
    }
    let nat: BTreeSet<&'static str> = node.nat.iter().map(key_of_nat).collect();
    let firewall = node.firewall.as_ref().map(|_| "firewall");
    let keys: Vec<&'static str> = nat.into_iter().chain(firewall).collect();
    if !keys.is_empty() {
        needs.push(need(Kind::Masquerade, place(), &keys));
    }
    needs.extend(firewall.map(|key| need(Kind::Conntrack, place(), &[key])));
    if node.nat.iter().any(looks_up_routes) {
        needs.push(need(Kind::Fib, place(), &["port-forward"]));
    }
    needs.extend(node.interfaces.iter().filter_map(|interface| qdisc_of(node, interface)));
}

fn key_of_nat(nat: &Nat) -> &'static str {
    match nat {
        Nat::Masquerade { .. } => "masquerade",
        Nat::Snat { .. } => "snat",
        Nat::PortForward { .. } => "port-forward",
    }
}

/// A port that is forwarded from an interface without an address of its own is matched by "any address of this node".
fn looks_up_routes(nat: &Nat) -> bool {
    let Nat::PortForward { addresses, to, .. } = nat else { return false };
    !addresses.iter().any(|address| address.is_ipv4() == to.is_ipv4())
}

/// Whether a direction asks for something.
type IsAsked = fn(&Shaping) -> bool;

/// The qdisc that shapes an interface in one direction or both; netem where both are needed.
fn qdisc_of(node: &Node, interface: &Interface) -> Option<Need> {
    let directions = [&interface.up, &interface.down];
    let place = || Place::Interface(node.name.clone(), interface.name.clone());
    if directions.iter().any(|shaping| shaping.needs_netem()) {
        let has = |key: IsAsked| directions.iter().any(|shaping| key(shaping));
        let share_keys: [(&'static str, IsAsked); 6] = [
            ("delay", |shaping| shaping.delay_us > 0),
            ("jitter", |shaping| shaping.jitter_us > 0),
            ("loss", |shaping| shaping.loss > Share::default()),
            ("duplicate", |shaping| shaping.duplicate > Share::default()),
            ("reorder", |shaping| shaping.reorder > Share::default()),
            ("corrupt", |shaping| shaping.corrupt > Share::default()),
        ];
        let keys: Vec<&'static str> =
            share_keys.into_iter().filter(|(_, is_set)| has(*is_set)).map(|(key, _)| key).collect();
        return Some(need(Kind::Netem, place(), &keys));
    }
    let has_rate = directions.iter().any(|shaping| shaping.rate_bit_per_s.is_some());
    has_rate.then(|| need(Kind::Tbf, place(), &["rate"]))
}

fn need(kind: Kind, place: Place, keys: &[&'static str]) -> Need {
    Need { kind, place, keys: keys.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;

    /// One line for each need: kind, and what needs it.
    fn check(text: &str, expected: &[&str]) {
        let source = Source::new("lab.yaml", text);
        let parsed = crate::labfile::parse(&source).map_err(|problems| format!("{problems:?}"));
        let needs = needs(&parsed.unwrap().lab);
        let lines: Vec<String> = needs.iter().map(|need| format!("{}: {need}", need.kind.name())).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_home_needs_nothing_rare() {
        let text = include_str!("../../../../labs/home.yaml");
        check(
            text,
            &[
                "veth: the lab",
                "bridge: network `lan`",
                "bridge: network `isp`",
                "nft masquerade: `masquerade` of node `router`",
            ],
        );
        let source = Source::new("home.yaml", text);
        let lab = crate::labfile::parse(&source).unwrap().lab;
        assert!(needs(&lab).iter().all(|need| !need.kind.is_rare()));
    }

    #[test]
    fn shaping_needs_netem_or_tbf_and_says_for_which_keys() {
        check(
            "
networks: { wire: { kind: cable, prefix: 10.0.0.0/30 }, lan: { kind: cable, prefix: 10.1.0.0/30, rate: 1mbit } }
nodes:
  a: { links: { wire: { up: { delay: 10ms, jitter: 1ms, loss: 1% } }, lan: } }
  b: { links: { wire: { up: { duplicate: 1%, corrupt: 1%, rate: 1mbit } }, lan: } }
",
            &[
                "veth: the lab",
                "netem: `delay`, `jitter` and `loss` of node `a`, interface `eth0`",
                "tbf: `rate` of node `a`, interface `eth1`",
                "netem: `duplicate` and `corrupt` of node `b`, interface `eth0`",
                "tbf: `rate` of node `b`, interface `eth1`",
            ],
        );
    }

    #[test]
    fn trees_filters_and_ipv6_are_needs() {
        check(
            "
networks: { lan: { prefix: 'fd00::/64', stp: on } }
nodes:
  a: { links: [lan] }
  b: { links: [lan], firewall: { input: { policy: drop } } }
",
            &[
                "veth: the lab",
                "ipv6: the lab",
                "bridge: network `lan`",
                "stp: `stp` of network `lan`",
                "nft masquerade: `firewall` of node `b`",
                "conntrack: `firewall` of node `b`",
            ],
        );
    }
}

//! Which nodes forward which family.

use super::resolve::Draft;
use super::syntax::{MasqueradeDecl, NatDecl, NodeDecl, Via, Word};
use crate::lab::Role;
use ipnet::IpNet;
use std::rc::Rc;

/// The families that something is for.
#[derive(Clone, Copy, Default)]
struct Families {
    ipv4: bool,
    ipv6: bool,
}

impl Families {
    fn add(&mut self, other: Self) {
        self.ipv4 |= other.ipv4;
        self.ipv6 |= other.ipv6;
    }

    fn of(is_ipv6: bool) -> Self {
        Self { ipv4: !is_ipv6, ipv6: is_ipv6 }
    }
}

/// Decides for every node: `forward:` where it is given, else its role, translation and sysctls.
pub(crate) fn decide(draft: &mut Draft) {
    let lab_uses_ipv6 = draft.uses_ipv6();
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        let forwards = match decl.forward {
            Some(forward) => {
                Families { ipv4: forward.value.ipv4, ipv6: forward.value.ipv6.unwrap_or(lab_uses_ipv6) }
            }
            None => implied(draft, &decl, lab_uses_ipv6),
        };
        let node = &mut draft.nodes[at].node;
        node.forwards_ipv4 = forwards.ipv4;
        node.forwards_ipv6 = forwards.ipv6;
        if decl.role.is_none() {
            let is_bridge = !node.bridges.is_empty() && node.addresses().next().is_none();
            node.role = match (is_bridge, forwards.ipv4 || forwards.ipv6) {
                (true, _) => Role::Bridge,
                (false, true) => Role::Router,
                (false, false) => Role::Host,
            };
        }
    }
}

fn implied(draft: &Draft, decl: &NodeDecl, lab_uses_ipv6: bool) -> Families {
    let mut families = Families::default();
    if decl.role == Some(Role::Router) || decl.frr.is_some() {
        families.add(Families { ipv4: true, ipv6: lab_uses_ipv6 });
    }
    let is_on = |key: &str| decl.sysctls.get(key).is_some_and(|value| value == "1");
    families.ipv4 |= is_on("net.ipv4.ip_forward") || is_on("net.ipv4.conf.all.forwarding");
    families.ipv6 |= is_on("net.ipv6.conf.all.forwarding");
    for masquerade in decl.masquerade.iter().flatten() {
        families.add(of_sources(draft, &masquerade.from));
    }
    for nat in decl.nat.iter().flatten() {
        match nat {
            NatDecl::Masquerade(list) => {
                let of = |masquerade: &MasqueradeDecl| of_sources(draft, &masquerade.from);
                list.iter().map(of).for_each(|of| families.add(of));
            }
            NatDecl::Snat { to, .. } => families.add(Families::of(to.value.is_ipv6())),
            NatDecl::PortForward(forward) => families.add(match &forward.to.value {
                Via::Address(address) => Families::of(address.is_ipv6()),
                Via::Node(name) => of_node(draft, name),
            }),
        }
    }
    families
}

/// IPv6 only where a source asks for it: nobody translates IPv6 by accident.
fn of_sources(draft: &Draft, from: &[Word]) -> Families {
    let mut families = Families { ipv4: from.is_empty(), ipv6: false };
    for net in from.iter().flat_map(|word| sources(draft, &word.value).unwrap_or_default()) {
        families.add(Families::of(net.addr().is_ipv6()));
    }
    families
}

fn of_node(draft: &Draft, name: &str) -> Families {
    let Some(at) = draft.node_index.get(name) else { return Families::default() };
    let node = &draft.nodes[*at].node;
    let ipv4 = node.address(Some(false)).is_some();
    Families { ipv4, ipv6: !ipv4 && node.address(Some(true)).is_some() }
}

/// The prefixes that a word in `from` stands for: a prefix itself, the addresses of a node, or the prefixes of a
/// network, of which the IPv6 one counts only where it has no other. `None` when the word is nothing of these.
pub(crate) fn sources(draft: &Draft, word: &str) -> Option<Vec<IpNet>> {
    if let Some(net) = super::read::as_prefix(word) {
        return Some(vec![net]);
    }
    if let Some(at) = draft.network_index.get(word) {
        return Some(preferring_ipv4(draft.networks[*at].network.prefixes.clone()));
    }
    let node = &draft.nodes[*draft.node_index.get(word)?].node;
    Some(preferring_ipv4(node.addresses().map(|net| IpNet::from(net.addr())).collect()))
}

fn preferring_ipv4(nets: Vec<IpNet>) -> Vec<IpNet> {
    let (ipv4, ipv6): (Vec<IpNet>, Vec<IpNet>) = nets.into_iter().partition(|net| net.addr().is_ipv4());
    if ipv4.is_empty() { ipv6 } else { ipv4 }
}

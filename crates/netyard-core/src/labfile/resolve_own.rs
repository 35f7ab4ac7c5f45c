//! Links of a node's own, addresses of its loopback, and what is down.

use super::read::Problems;
use super::resolve::Draft;
use super::syntax::{AddressDecl, OwnKindDecl, OwnLinkDecl, Word};
use crate::diagnostic::{Code, Diagnostic};
use crate::lab::OwnLink;
use crate::mac::Mac;
use crate::name::NodeName;
use crate::state::{LinkKind, Ns, Parent, Tun, Vxlan};
use ipnet::IpNet;
use std::rc::Rc;

/// The room that the headers of a vxlan take (RFC 7348, over IPv4).
const VXLAN_MTU: u32 = 1450;

/// Gives every node its own links; whether what they stand on is there is seen later.
pub(crate) fn add_own_links(draft: &mut Draft, problems: &mut Problems) {
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        for own in decl.interfaces.iter().flatten() {
            let addresses = addresses(own);
            let node = draft.nodes[at].node.name.clone();
            let kind = match &own.kind {
                OwnKindDecl::Loopback => {
                    draft.nodes[at].node.loopback.extend(addresses);
                    continue;
                }
                OwnKindDecl::Macvlan { parent, mode } => {
                    LinkKind::Macvlan { parent: parent_of(&node, parent), mode: *mode }
                }
                OwnKindDecl::Vlan { parent, id } => {
                    LinkKind::Vlan { parent: parent_of(&node, parent), id: *id }
                }
                OwnKindDecl::Vxlan { parent, vxlan } => LinkKind::Vxlan(Vxlan {
                    parent: parent.as_ref().map(|parent| parent_of(&node, parent)),
                    ..vxlan.clone()
                }),
                OwnKindDecl::Tun { is_tap } => LinkKind::Tun(Tun { is_tap: *is_tap, persists: true }),
            };
            let name = own.name.value.clone();
            let is_taken = draft.nodes[at].node.interfaces.iter().any(|i| i.name == name);
            if is_taken {
                let label = format!("an interface of `{node}` is called `{name}`");
                problems.push(Diagnostic::new(Code::InterfaceNameTwice, own.name.span).label(label));
            }
            let has_mac = !matches!(kind, LinkKind::Tun(Tun { is_tap: false, .. }));
            let own_mac = Mac::of_interface(draft.name.as_str(), node.as_str(), name.as_str());
            let usual = if matches!(kind, LinkKind::Vxlan(_)) { VXLAN_MTU } else { 1500 };
            draft.nodes[at].node.own_links.push(OwnLink {
                name,
                mac: has_mac.then(|| own.mac.unwrap_or(own_mac)),
                mtu: own.mtu.unwrap_or(usual),
                kind,
                addresses,
            });
        }
    }
}

/// `eth0` of the same node, or `node:eth0`.
fn parent_of(node: &NodeName, word: &Word) -> Parent {
    let (ns, name) = match word.value.split_once(':') {
        Some((other, name)) => (NodeName::new(other).unwrap_or_else(|_| node.clone()), name),
        None => (node.clone(), word.value.as_str()),
    };
    Parent { ns: Ns::Node(ns), name: crate::name::IfName::shortened(name) }
}

fn addresses(own: &OwnLinkDecl) -> Vec<IpNet> {
    let given = own.addresses.iter().filter_map(|address| match address.value {
        AddressDecl::Given { address, prefix_len } => {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            IpNet::new(address, prefix_len.unwrap_or(whole)).ok()
        }
        AddressDecl::Auto | AddressDecl::Nothing => None,
    });
    given.collect()
}

/// Checks what own links stand on and what is named as down, when all interfaces and bridges are known.
pub(crate) fn check(draft: &mut Draft, problems: &mut Problems) {
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        if draft.nodes[at].is_partial {
            continue;
        }
        for own in decl.interfaces.iter().flatten() {
            let parent = match &own.kind {
                OwnKindDecl::Macvlan { parent, .. } | OwnKindDecl::Vlan { parent, .. } => Some(parent),
                OwnKindDecl::Vxlan { parent, .. } => parent.as_ref(),
                _ => None,
            };
            let Some(word) = parent else { continue };
            let place = parent_of(&draft.nodes[at].node.name, word);
            if place.name == own.name.value && place.ns == Ns::Node(draft.nodes[at].node.name.clone()) {
                let problem = Diagnostic::new(Code::UnknownInterface, word.span);
                problems.push(problem.label("it cannot stand on itself"));
                continue;
            }
            let is_there = draft.nodes.iter().any(|other| {
                Ns::Node(other.node.name.clone()) == place.ns && other.node.has_link(place.name.as_str())
            });
            if !is_there {
                let problem = Diagnostic::new(Code::UnknownInterface, word.span);
                problems.push(problem.label(format!("there is no interface `{}`", word.value)));
            }
        }
        for name in decl.down.iter().flatten() {
            if name.value != "lo" && !draft.nodes[at].node.has_link(name.value.as_str()) {
                let label = format!("`{}` has no interface `{}`", draft.nodes[at].node.name, name.value);
                problems.push(Diagnostic::new(Code::UnknownInterface, name.span).label(label));
            }
        }
        draft.nodes[at].node.down = decl.down.iter().flatten().map(|name| name.value.clone()).collect();
        draft.nodes[at].node.tables = decl.tables.clone().unwrap_or_default();
    }
}

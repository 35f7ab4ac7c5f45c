//! Bridges inside nodes, and the segments that they make of networks.

use super::decode_node::bridge_of_all;
use super::read::Problems;
use super::resolve::Draft;
use super::suggest::nearest;
use super::syntax::{BridgeDecl, Word};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{NodeBridge, Role};
use crate::mac::Mac;
use std::collections::HashMap;
use std::rc::Rc;

/// Makes the bridges of nodes, still without addresses, and joins the networks that they connect.
pub(crate) fn add_bridges(draft: &mut Draft, problems: &mut Problems) {
    let mut joined: Vec<usize> = (0..draft.networks.len()).collect();
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        let implied;
        let bridges = match &decl.bridges {
            Some(bridges) => bridges,
            None if decl.role == Some(Role::Bridge) => {
                implied = vec![bridge_of_all(draft.nodes[at].span)];
                &implied
            }
            None => continue,
        };
        let errors_before = problems.errors();
        let mut port_of: HashMap<usize, Span> = HashMap::new();
        for bridge in bridges {
            add_bridge(draft, at, bridge, &mut port_of, &mut joined, problems);
        }
        draft.nodes[at].is_partial |= problems.errors() > errors_before;
    }
    for at in 0..draft.networks.len() {
        draft.networks[at].segment = root(&mut joined, at);
    }
}

fn add_bridge(
    draft: &mut Draft,
    at: usize,
    decl: &BridgeDecl,
    port_of: &mut HashMap<usize, Span>,
    joined: &mut [usize],
    problems: &mut Problems,
) {
    let mut ports = Vec::new();
    let mut own_ports = Vec::new();
    match &decl.ports {
        None => ports.extend((0..draft.nodes[at].links.len()).filter(|port| !port_of.contains_key(port))),
        Some(words) => {
            for word in words {
                if let Some(own) = draft.nodes[at].node.own_links.iter().find(|l| l.name == *word.value) {
                    own_ports.push(own.name.clone());
                    continue;
                }
                for port in find_ports(draft, at, word, problems) {
                    if let Some(first) = port_of.insert(port, word.span) {
                        let problem = Diagnostic::new(Code::PortOfTwoBridges, word.span);
                        problems.push(problem.label("a port already").related(first, "first here"));
                    } else {
                        ports.push(port);
                    }
                }
            }
        }
    }
    let lab = draft.name.clone();
    let owner = &mut draft.nodes[at];
    if owner.node.has_link(decl.name.value.as_str()) {
        let label = format!("an interface of `{}` is called `{}`", owner.node.name, decl.name.value);
        problems.push(Diagnostic::new(Code::InterfaceNameTwice, decl.name.span).label(label));
    }
    for port in &ports {
        port_of.entry(*port).or_insert(decl.name.span);
        owner.links[*port].is_bridge_port = true;
    }
    if let [first, rest @ ..] = &ports[..] {
        let first = root(joined, owner.links[*first].network);
        for port in rest {
            let other = root(joined, owner.links[*port].network);
            joined[other.max(first)] = other.min(first);
        }
    }
    let own_mac = || Mac::of_interface(lab.as_str(), owner.node.name.as_str(), decl.name.value.as_str());
    owner.node.bridges.push(NodeBridge {
        name: decl.name.value.clone(),
        mac: decl.mac.map_or_else(own_mac, |mac| mac.value),
        ports: ports.iter().map(|port| owner.node.interfaces[*port].name.clone()).chain(own_ports).collect(),
        stp: decl.stp,
        learns: decl.learns,
        snoops_multicast: decl.snoops_multicast,
        addresses: Vec::new(),
    });
}

/// The interfaces that a word names: one by its name, or those on a network.
fn find_ports(draft: &Draft, at: usize, word: &Word, problems: &mut Problems) -> Vec<usize> {
    let owner = &draft.nodes[at];
    if let Some(port) = owner.node.interfaces.iter().position(|i| i.name == *word.value) {
        return vec![port];
    }
    if let Some(network) = draft.network_index.get(&word.value) {
        let on: Vec<usize> =
            (0..owner.links.len()).filter(|port| owner.links[*port].network == *network).collect();
        if !on.is_empty() {
            return on;
        }
    }
    if !owner.is_partial && !draft.may_be_network(&word.value) {
        let label = format!("`{}` has no link `{}`", owner.node.name, word.value);
        let problem = Diagnostic::new(Code::UnknownInterface, word.span).label(label);
        let known = owner.node.interfaces.iter().flat_map(|i| [i.name.as_str(), i.network.as_str()]);
        problems.push(match nearest(&word.value, known) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("add `{}` to its `links`", word.value)),
        });
    }
    Vec::new()
}

/// The representative of a set of joined networks; ways to it are shortened.
fn root(joined: &mut [usize], mut at: usize) -> usize {
    while joined[at] != at {
        joined[at] = joined[joined[at]];
        at = joined[at];
    }
    at
}

//! What is written to what is meant: names looked up, addresses given out, rules checked.
//!
//! Each stage works on the whole lab and goes on after problems. A node of which something could not be read or found
//! is `is_partial`: later stages say nothing that could follow from that.

use super::expand::{NODES_MAX, names};
use super::inherit::{Groups, NodeNames};
use super::read::{Problems, bad_address};
use super::shape::ShapingDecl;
use super::syntax::{FileDecl, NodeDecl, SegmentKind, Word};
use super::{
    resolve_address, resolve_bridge, resolve_expect, resolve_firewall, resolve_forward, resolve_link,
};
use super::{
    resolve_nat, resolve_order, resolve_own, resolve_port, resolve_program, resolve_root, resolve_route,
};
use crate::diagnostic::{Code, Diagnostic, Source, Span};
use crate::lab::{Lab, Network, NetworkKind, Node, Role};
use crate::mac::Mac;
use crate::name::{IfName, LabName, NameError, NetworkName, NodeName};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

/// A lab on its way from what is written to what is meant.
pub(crate) struct Draft {
    pub name: LabName,
    /// A part of the top of the file could not be read.
    pub is_partial: bool,
    pub networks: Vec<NetworkDraft>,
    pub network_index: HashMap<String, usize>,
    pub refused_networks: HashSet<String>,
    pub nodes: Vec<NodeDraft>,
    pub node_index: HashMap<String, usize>,
    pub refused_nodes: HashSet<String>,
    pub groups: Groups,
    /// Where each address is: node and endpoint.
    pub owners: HashMap<IpAddr, Vec<(usize, usize)>>,
    /// The endpoints on each segment: node and endpoint.
    pub segments: Vec<Vec<(usize, usize)>>,
}

/// A network with what only resolving needs.
pub(crate) struct NetworkDraft {
    pub network: Network,
    pub span: Span,
    pub prefix_spans: Vec<Span>,
    pub shaping: ShapingDecl,
    pub is_partial: bool,
    /// Its ends: node and interface.
    pub ends: Vec<(usize, usize)>,
    /// Networks that bridges of nodes join have the same segment.
    pub segment: usize,
}

/// A node with what only resolving needs.
pub(crate) struct NodeDraft {
    pub node: Node,
    pub span: Span,
    pub decl: Rc<NodeDecl>,
    pub is_partial: bool,
    /// For each interface its network and link of the declaration.
    pub links: Vec<LinkDraft>,
    /// Where it speaks IP: interfaces that are no bridge ports, and its bridges.
    pub endpoints: Vec<Endpoint>,
}

/// Where an interface comes from.
#[derive(Clone, Copy)]
pub(crate) struct LinkDraft {
    pub network: usize,
    /// Its place among the links of the declaration.
    pub decl: usize,
    pub span: Span,
    pub is_bridge_port: bool,
}

/// An interface or bridge of a node at which it speaks IP.
pub(crate) struct Endpoint {
    pub dev: IfName,
    pub mac: Mac,
    pub segment: Option<usize>,
    pub network: Option<usize>,
    pub addresses: Vec<IpNet>,
}

impl Endpoint {
    /// Whether an address is on one of its prefixes.
    pub(crate) fn reaches(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.contains(&address))
    }
}

/// Resolves a decoded file. The lab is only good when no error was reported.
pub(crate) fn resolve(file: &FileDecl, source: &Source, problems: &mut Problems) -> Lab {
    let name = file.name.clone().unwrap_or_else(|| name_of_file(&source.name));
    let mut draft = Draft {
        name,
        is_partial: file.is_partial,
        networks: Vec::new(),
        network_index: HashMap::new(),
        refused_networks: HashSet::new(),
        nodes: Vec::new(),
        node_index: HashMap::new(),
        refused_nodes: HashSet::new(),
        groups: Groups::default(),
        owners: HashMap::new(),
        segments: Vec::new(),
    };
    draft.add_networks(file, problems);
    draft.add_nodes(file, problems);
    resolve_link::add_interfaces(&mut draft, problems);
    resolve_own::add_own_links(&mut draft, problems);
    resolve_bridge::add_bridges(&mut draft, problems);
    resolve_own::check(&mut draft, problems);
    resolve_address::assign(&mut draft, problems);
    resolve_port::name_ports(&mut draft, problems);
    resolve_link::shape(&mut draft, problems);
    resolve_link::check_networks(&draft, problems);
    draft.add_endpoints();
    resolve_link::check_prefixes(&draft, problems);
    resolve_forward::decide(&mut draft);
    resolve_route::add_routes(&mut draft, problems);
    resolve_nat::add_translations(&mut draft, problems);
    resolve_firewall::add_filters(&mut draft, problems);
    resolve_program::add_programs(&mut draft, problems);
    resolve_order::add_order(&mut draft, problems);
    resolve_root::add_roots(&mut draft, problems);
    let expectations = resolve_expect::expand(&draft, file, source, problems);
    Lab {
        name: draft.name,
        networks: draft.networks.into_iter().map(|draft| draft.network).collect(),
        nodes: draft.nodes.into_iter().map(|draft| draft.node).collect(),
        expectations,
        profile: file.profile,
        arp: file.arp,
        dad: file.dad,
    }
}

/// The lab name that a file name gives: its stem in small letters, `lab` where nothing is left.
fn name_of_file(path: &str) -> LabName {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    LabName::new(slug(stem)).unwrap_or_else(|_| LabName::new("lab").expect("a constant that is a lab name"))
}

/// A text in the letters of names.
fn slug(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase).take(63) {
        let fits = c.is_ascii_lowercase() || c.is_ascii_digit();
        match c {
            c if fits => name.push(c),
            '.' | '_' | '-' if !name.is_empty() && !name.ends_with('.') => name.push(c),
            _ if !name.is_empty() && !name.ends_with(['-', '.']) => name.push('-'),
            _ => {}
        }
    }
    name.truncate(name.trim_end_matches(['-', '.', '_']).len());
    name
}

impl Draft {
    fn add_networks(&mut self, file: &FileDecl, problems: &mut Problems) {
        let mut spans: HashMap<String, Span> = HashMap::new();
        for decl in &file.networks {
            for name in names(&decl.name, problems) {
                let network_name = match NetworkName::new(&name) {
                    Ok(name) => name,
                    Err(error) => {
                        problems.push(bad_name(Code::BadNetworkName, &name, decl.name.span, &error));
                        self.refused_networks.insert(name);
                        continue;
                    }
                };
                if let Some(first) = spans.insert(name.clone(), decl.name.span) {
                    let problem = Diagnostic::new(Code::NetworkTwice, decl.name.span);
                    problems.push(problem.label(format!("`{name}` again")).related(first, "first here"));
                    continue;
                }
                let stp = decl.stp;
                let kind = match decl.kind {
                    SegmentKind::Bridge => {
                        NetworkKind::Bridge { stp, snoops_multicast: decl.snoops_multicast }
                    }
                    SegmentKind::Hub => NetworkKind::Hub,
                    SegmentKind::Cable => NetworkKind::Cable,
                };
                let mtu = decl.mtu.or(file.network_defaults.mtu).unwrap_or(MTU);
                let prefixes = decl.prefixes.iter().map(|prefix| prefix.value).collect();
                self.network_index.insert(name, self.networks.len());
                self.networks.push(NetworkDraft {
                    network: Network { name: network_name, kind, prefixes, mtu },
                    span: decl.name.span,
                    prefix_spans: decl.prefixes.iter().map(|prefix| prefix.span).collect(),
                    shaping: decl.shaping.or(&file.network_defaults.shaping),
                    is_partial: decl.is_partial,
                    ends: Vec::new(),
                    segment: self.networks.len(),
                });
            }
        }
    }

    fn add_nodes(&mut self, file: &FileDecl, problems: &mut Problems) {
        let mut written: Vec<(NodeName, Span, usize)> = Vec::new();
        for (at, (word, _)) in file.nodes.iter().enumerate() {
            for name in names(word, problems) {
                self.add_node_name(name, word, at, &mut written, problems);
            }
        }
        if written.is_empty() && self.refused_nodes.is_empty() && problems.errors() == 0 {
            let problem = Diagnostic::new(Code::NoNodes, Span::new(file.span.start, file.span.start + 1));
            problems.push(problem.label("no `nodes:`").help("for example `nodes: { pc: { links: [lan] } }`"));
        }
        let own_groups = written.iter().map(|(.., at)| file.nodes[*at].1.groups.as_slice()).collect();
        let known = NodeNames { index: &self.node_index, refused: &self.refused_nodes, own_groups };
        self.groups = Groups::resolve(&file.groups, &known, problems);
        // Nodes of one range, in the same groups, share one declaration.
        let mut complete: HashMap<(usize, Vec<usize>), Rc<NodeDecl>> = HashMap::new();
        let mut weight = 0;
        for (index, (name, span, at)) in written.into_iter().enumerate() {
            let decl = complete.entry((at, self.groups.of(index).to_vec())).or_insert_with(|| {
                let own = &file.nodes[at].1;
                Rc::new(self.groups.complete(index, own, &file.groups, &file.node_defaults))
            });
            let (decl, is_partial) = (Rc::clone(decl), decl.is_partial);
            weight += decl.weight;
            if weight > WEIGHT_MAX {
                let label = format!("with this node more than {WEIGHT_MAX} values");
                problems.push(Diagnostic::new(Code::NodesTooLarge, span).label(label));
                self.is_partial = true;
                self.nodes.clear();
                self.node_index.clear();
                self.groups = Groups::default();
                return;
            }
            let node = plain_node(name, &decl);
            let (links, endpoints) = (Vec::new(), Vec::new());
            self.nodes.push(NodeDraft { node, span, decl, is_partial, links, endpoints });
        }
    }

    fn add_node_name(
        &mut self,
        name: String,
        word: &Word,
        at: usize,
        written: &mut Vec<(NodeName, Span, usize)>,
        problems: &mut Problems,
    ) {
        let node_name = match NodeName::new(&name) {
            Ok(_) if name == "all" => {
                let problem = Diagnostic::new(Code::BadNodeName, word.span).label("`all` is every node");
                problems.push(problem.help("take another name"));
                self.refused_nodes.insert(name);
                return;
            }
            Ok(name) => name,
            Err(error) => {
                problems.push(bad_name(Code::BadNodeName, &name, word.span, &error));
                self.refused_nodes.insert(name);
                return;
            }
        };
        if let Some(first) = self.node_index.get(&name) {
            let problem = Diagnostic::new(Code::NodeTwice, word.span).label(format!("`{name}` again"));
            problems.push(problem.related(written[*first].1, "first here"));
            return;
        }
        if written.len() == NODES_MAX && self.refused_nodes.insert(String::new()) {
            let problem = Diagnostic::new(Code::TooManyNodes, word.span);
            problems.push(problem.label(format!("more than {NODES_MAX} nodes with these")));
        }
        if written.len() < NODES_MAX {
            self.node_index.insert(name, written.len());
            written.push((node_name, word.span, at));
        } else {
            self.refused_nodes.insert(name);
        }
    }

    /// Notes where each node speaks IP, and who has which address.
    fn add_endpoints(&mut self) {
        self.segments = vec![Vec::new(); self.networks.len()];
        for (at, draft) in self.nodes.iter_mut().enumerate() {
            for (interface, link) in draft.node.interfaces.iter().zip(&draft.links) {
                if link.is_bridge_port && interface.addresses.is_empty() {
                    continue;
                }
                draft.endpoints.push(Endpoint {
                    dev: interface.name.clone(),
                    mac: interface.mac,
                    segment: Some(self.networks[link.network].segment),
                    network: Some(link.network),
                    addresses: interface.addresses.clone(),
                });
            }
            for bridge in &draft.node.bridges {
                let port = bridge.ports.first().and_then(|port| {
                    let at = draft.node.interfaces.iter().position(|i| i.name == *port)?;
                    Some(self.networks[draft.links[at].network].segment)
                });
                draft.endpoints.push(Endpoint {
                    dev: bridge.name.clone(),
                    mac: bridge.mac,
                    segment: port,
                    network: None,
                    addresses: bridge.addresses.clone(),
                });
            }
            let node = &draft.node;
            let own = node.own_links.iter().map(|link| (link.name.clone(), link.mac, link.addresses.clone()));
            let loopback = (!node.loopback.is_empty())
                .then(|| (crate::desired::loopback_name(), None, node.loopback.clone()));
            draft.endpoints.extend(own.chain(loopback).map(|(dev, mac, addresses)| Endpoint {
                dev,
                mac: mac.unwrap_or(Mac([0; 6])),
                segment: None,
                network: None,
                addresses,
            }));
            for (number, endpoint) in draft.endpoints.iter().enumerate() {
                if let Some(segment) = endpoint.segment {
                    self.segments[segment].push((at, number));
                }
                for address in &endpoint.addresses {
                    self.owners.entry(address.addr()).or_default().push((at, number));
                }
            }
        }
    }

    /// The network of a name; an unknown one is reported.
    pub(crate) fn find_network(&self, name: &str, span: Span, problems: &mut Problems) -> Option<usize> {
        let found = self.network_index.get(name).copied();
        if found.is_none() && !self.may_be_network(name) {
            let known = self.networks.iter().map(|draft| draft.network.name.as_str());
            problems.unknown(Code::UnknownNetwork, name, span, known);
        }
        found
    }

    /// The node of a name; an unknown one is reported.
    pub(crate) fn find_node(&self, name: &str, span: Span, problems: &mut Problems) -> Option<usize> {
        let found = self.node_index.get(name).copied();
        let is_numeric = name.contains('.') && name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if found.is_none() && (is_numeric || name.contains(['/', ':'])) {
            problems.push(bad_address(name, span));
        } else if found.is_none() && !self.may_be_node(name) {
            let known = self.nodes.iter().map(|draft| draft.node.name.as_str());
            problems.unknown(Code::UnknownMember, name, span, known);
        }
        found
    }

    /// Whether a name may be that of a network which could not be read.
    pub(crate) fn may_be_network(&self, name: &str) -> bool {
        self.refused_networks.contains(name) || self.is_partial && self.networks.is_empty()
    }

    /// Whether a name may be that of a node which could not be read.
    pub(crate) fn may_be_node(&self, name: &str) -> bool {
        self.refused_nodes.contains(name) || self.is_partial && self.nodes.is_empty()
    }

    /// The interfaces of a node that a word names: one by its own name, or those on a network.
    pub(crate) fn find_devs(&self, node: usize, word: &Word, problems: &mut Problems) -> Vec<IfName> {
        let draft = &self.nodes[node];
        let own = draft.node.interfaces.iter().map(|i| &i.name);
        let own = own.chain(draft.node.bridges.iter().map(|b| &b.name));
        let own = own.chain(draft.node.own_links.iter().map(|link| &link.name));
        if word.value == "lo" {
            return vec![crate::desired::loopback_name()];
        }
        if let Some(name) = own.clone().find(|name| **name == *word.value) {
            return vec![name.clone()];
        }
        if let Some(network) = self.network_index.get(&word.value) {
            let segment = self.networks[*network].segment;
            let on_network = |endpoint: &&Endpoint| match endpoint.network {
                Some(at) => at == *network,
                None => endpoint.segment == Some(segment),
            };
            let found: Vec<IfName> =
                draft.endpoints.iter().filter(on_network).map(|e| e.dev.clone()).collect();
            if !found.is_empty() || draft.is_partial {
                return found;
            }
            let label = format!("`{}` is not on `{}`", draft.node.name, word.value);
            let problem = Diagnostic::new(Code::UnknownInterface, word.span).label(label);
            problems.push(problem.help(format!("add `{}` to its `links`", word.value)));
            return Vec::new();
        }
        if !draft.is_partial && !self.may_be_network(&word.value) {
            let known = own.map(IfName::as_str);
            let known = known.chain(self.networks.iter().map(|n| n.network.name.as_str()));
            let label = format!("`{}` has no interface `{}`", draft.node.name, word.value);
            problems.unknown_as(&label, Code::UnknownInterface, &word.value, word.span, known);
        }
        Vec::new()
    }

    /// Whether any interface of the lab is to speak IPv6.
    pub(crate) fn uses_ipv6(&self) -> bool {
        self.networks.iter().flat_map(|draft| &draft.network.prefixes).any(|p| p.addr().is_ipv6())
            || self.owners.keys().any(IpAddr::is_ipv6)
    }
}

/// The problem of a name that breaks the rule, with one near it that does not.
pub(crate) fn bad_name(code: Code, name: &str, span: Span, error: &NameError) -> Diagnostic {
    let problem = Diagnostic::new(code, span).label(error.to_string());
    let rule = "small letters, digits, `.`, `_` and `-`, at most 63";
    let near = slug(name);
    let is_usable = !near.is_empty() && near != name && NodeName::new(&near).is_ok();
    problem.help(if is_usable { format!("{rule}; for example `{near}`") } else { rule.to_owned() })
}

/// Most values of all nodes together, each node of a range counted.
const WEIGHT_MAX: usize = 1_000_000;

/// The MTU of Ethernet (linux/if_ether.h `ETH_DATA_LEN`).
const MTU: u32 = 1500;

fn plain_node(name: NodeName, decl: &NodeDecl) -> Node {
    Node {
        kind: resolve_root::kind(decl),
        role: decl.role.unwrap_or(Role::Host),
        sysctls: decl.sysctls.clone(),
        env: BTreeMap::clone(&decl.env),
        hostname: decl.hostname.clone(),
        uplink: decl.uplink.flatten(),
        labels: decl.labels.clone(),
        ..Node::named(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_without_name_is_called_as_its_file() {
        let check = |path: &str, name: &str| assert_eq!(name_of_file(path).as_str(), name);
        check("labs/home.yaml", "home");
        check("My Lab.v2.yml", "my-lab.v2");
        check("-", "lab");
        check("日本.yaml", "lab");
        check("a..b.yaml", "a.b");
    }
}

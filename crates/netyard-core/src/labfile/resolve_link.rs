//! Links to interfaces: names, networks, MTU, shaping, and what a network must hold together.

use super::expand::names;
use super::read::Problems;
use super::resolve::{Draft, LinkDraft, NodeDraft};
use super::shape::ShapingDecl;
use super::syntax::{LinkDecl, NodeDecl};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{Interface, NetworkKind};
use crate::mac::Mac;
use crate::name::{IFNAME_LEN_MAX, IfName};
use crate::shaping::Shaping;
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Most interfaces of a node, and of all nodes together.
const NODE_INTERFACES_MAX: usize = 4096;
const INTERFACES_MAX: usize = 100_000;

/// Makes the interfaces of every node, still without addresses.
pub(crate) fn add_interfaces(draft: &mut Draft, problems: &mut Problems) {
    // Nodes of one range share their declaration: what their words mean is looked up once.
    let mut known: HashMap<*const NodeDecl, Vec<LinkDraft>> = HashMap::new();
    let mut count = 0;
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        let errors_before = problems.errors();
        let links = match known.get(&Rc::as_ptr(&decl)) {
            Some(links) => links.clone(),
            None => {
                let links = find_links(draft, &decl, problems);
                known.insert(Rc::as_ptr(&decl), links.clone());
                links
            }
        };
        count += links.len();
        if links.len() > NODE_INTERFACES_MAX || count > INTERFACES_MAX {
            let label = format!("a node has at most {NODE_INTERFACES_MAX}, a lab {INTERFACES_MAX}");
            problems.push(Diagnostic::new(Code::TooManyInterfaces, draft.nodes[at].span).label(label));
            draft.nodes.iter_mut().for_each(|node| node.is_partial = true);
            return;
        }
        let written = decl.links.as_deref().unwrap_or_default();
        draft.nodes[at].is_partial |= problems.errors() > errors_before || links.len() < written.len();
        let names = interface_names(&links, written, problems);
        let lab = draft.name.clone();
        let NodeDraft { node, links: own, .. } = &mut draft.nodes[at];
        for (link, name) in links.into_iter().zip(names) {
            let link_decl = &written[link.decl];
            let network = &mut draft.networks[link.network];
            let own_mac = || Mac::of_interface(lab.as_str(), node.name.as_str(), name.as_str());
            let mac = link_decl.mac.map_or_else(own_mac, |mac| mac.value);
            let mtu = link_decl.mtu.or(decl.mtu).map_or(network.network.mtu, |mtu| mtu.value);
            network.ends.push((at, node.interfaces.len()));
            own.push(link);
            node.interfaces.push(Interface {
                port: name.clone(),
                name,
                network: network.network.name.clone(),
                mac,
                mtu,
                addresses: Vec::new(),
                up: Shaping::default(),
                down: Shaping::default(),
            });
        }
    }
    check_macs(draft, problems);
}

/// Looks up the networks of a node's links; unknown ones, and those that repeat without a name, are reported.
fn find_links(draft: &Draft, decl: &NodeDecl, problems: &mut Problems) -> Vec<LinkDraft> {
    let mut links: Vec<LinkDraft> = Vec::new();
    let written = decl.links.as_deref().unwrap_or_default();
    let mut first_on: HashMap<usize, usize> = HashMap::new();
    for (at, link) in written.iter().enumerate() {
        for name in names(&link.network, problems) {
            let Some(network) = draft.find_network(&name, link.network.span, problems) else { continue };
            if let Some(first) = first_on.insert(network, at)
                && (link.name.is_none() || written[first].name.is_none() || first == at)
            {
                let label = format!("a second link to `{name}`");
                let problem = Diagnostic::new(Code::NodeTwiceOnNetwork, link.network.span).label(label);
                let help = format!(
                    "if two interfaces are meant, name both: `[{{ network: {name}, name: eth0 }}, {{ network: {name}, name: eth1 }}]`"
                );
                problems.push(problem.related(written[first].network.span, "the first").help(help));
                continue;
            }
            links.push(LinkDraft { network, decl: at, span: link.network.span, is_bridge_port: false });
        }
    }
    links
}

/// The names of a node's interfaces: those given, and `eth0`, `eth1` ... in order for the others.
fn interface_names(links: &[LinkDraft], written: &[LinkDecl], problems: &mut Problems) -> Vec<IfName> {
    let mut taken: HashMap<&str, Span> = HashMap::new();
    for link in links {
        let Some(name) = &written[link.decl].name else { continue };
        if let Some(first) = taken.insert(name.value.as_str(), name.span) {
            let problem = Diagnostic::new(Code::InterfaceNameTwice, name.span);
            let problem = problem.label(format!("`{}` again", name.value));
            problems.push(if first == name.span { problem } else { problem.related(first, "first here") });
        }
    }
    let mut names = Vec::with_capacity(links.len());
    let mut number = 0;
    for (at, link) in links.iter().enumerate() {
        if let Some(name) = &written[link.decl].name {
            names.push(name.value.clone());
            continue;
        }
        number = number.max(at);
        while taken.contains_key(format!("eth{number}").as_str()) {
            number += 1;
        }
        let name = format!("eth{number}");
        debug_assert!(name.len() <= IFNAME_LEN_MAX);
        names.push(IfName::shortened(&name));
        number += 1;
    }
    names
}

/// No Ethernet address twice on a network.
fn check_macs(draft: &Draft, problems: &mut Problems) {
    for network in &draft.networks {
        let mut seen: HashMap<Mac, (usize, Span, bool)> = HashMap::new();
        for (node, interface) in &network.ends {
            let owner = &draft.nodes[*node];
            let mac = owner.node.interfaces[*interface].mac;
            let link = &owner.decl.links.as_deref().unwrap_or_default()[owner.links[*interface].decl];
            let span = link.mac.map_or(link.network.span, |mac| mac.span);
            let is_written = link.mac.is_some();
            // Where neither is written, both follow from one name, which is reported as such.
            if let Some((first, first_span, first_is_written)) = seen.insert(mac, (*node, span, is_written))
                && (is_written || first_is_written)
            {
                let other = &draft.nodes[first].node.name;
                let label = format!("`{}` and `{other}` both have {mac}", owner.node.name);
                let problem = Diagnostic::new(Code::DuplicateMac, span).label(label);
                let problem =
                    if first_span == span { problem } else { problem.related(first_span, "first here") };
                problems.push(problem.help("leave `mac` out: every interface then has its own"));
            }
        }
    }
}

/// Shapes every interface: what its link says, else its network, else `defaults`.
pub(crate) fn shape(draft: &mut Draft, problems: &mut Problems) {
    // Few different shapings are on many interfaces.
    let mut done: HashMap<(usize, *const NodeDecl, usize), (Shaping, Shaping)> = HashMap::new();
    for at in 0..draft.networks.len() {
        if draft.networks[at].network.kind == NetworkKind::Cable {
            shape_cable(draft, at, problems);
            continue;
        }
        let network = &draft.networks[at];
        for (node, interface) in network.ends.clone() {
            let owner = &draft.nodes[node];
            let link = owner.links[interface];
            let (up, down) = *done.entry((at, Rc::as_ptr(&owner.decl), link.decl)).or_insert_with(|| {
                let decl = &owner.decl.links.as_deref().unwrap_or_default()[link.decl];
                let resolve = |own: &ShapingDecl, problems: &mut Problems| {
                    let span = if own.is_none() { draft.networks[at].span } else { link.span };
                    own.or(&draft.networks[at].shaping).resolve(span, problems)
                };
                (resolve(&decl.up, problems), resolve(&decl.down, problems))
            });
            let interface = &mut draft.nodes[node].node.interfaces[interface];
            (interface.up, interface.down) = (up, down);
        }
    }
}

/// On a cable there is no port between: what one end receives is what the other sends, so all shaping is `up`.
fn shape_cable(draft: &mut Draft, at: usize, problems: &mut Problems) {
    let network = &draft.networks[at];
    let [a, b] = network.ends[..] else { return };
    let decl = |(node, interface): (usize, usize)| {
        let owner = &draft.nodes[node];
        let link = owner.links[interface];
        (&owner.decl.links.as_deref().unwrap_or_default()[link.decl], link.span)
    };
    let mut shapings = Vec::new();
    for (sender, receiver) in [(a, b), (b, a)] {
        let ((sends, span), (receives, other)) = (decl(sender), decl(receiver));
        if !sends.up.is_none() && !receives.down.is_none() && sends.up != receives.down {
            let label = "`up` here is `down` at the other end, which says otherwise";
            let problem = Diagnostic::new(Code::CableShapedTwice, span).label(label);
            problems
                .push(problem.related(other, "the other end").help("shape each direction at one end only"));
        }
        let own = sends.up.or(&receives.down);
        let span = if own.is_none() { network.span } else { span };
        shapings.push((sender, own.or(&network.shaping).resolve(span, problems)));
    }
    for ((node, interface), up) in shapings {
        draft.nodes[node].node.interfaces[interface].up = up;
    }
}

/// Checks the number of ends of each network, and the MTU of each interface.
pub(crate) fn check_networks(draft: &Draft, problems: &mut Problems) {
    let has_errors = problems.errors() > 0;
    for network in &draft.networks {
        let (name, ends) = (&network.network.name, network.ends.len());
        let is_cable = network.network.kind == NetworkKind::Cable;
        if is_cable && ends != 2 && !(has_errors && ends < 2) {
            problems.push(wrong_cable(draft, network.span, &network.ends));
        } else if ends == 0 && !has_errors {
            let problem = Diagnostic::new(Code::UnusedNetwork, network.span);
            problems.push(
                problem.label("no node links to it").help(format!("remove `{name}`, or add it to `links`")),
            );
        }
        for (node, interface) in &network.ends {
            check_mtu(&draft.nodes[*node], *interface, network.network.mtu, is_cable, problems);
        }
    }
}

fn wrong_cable(draft: &Draft, span: Span, ends: &[(usize, usize)]) -> Diagnostic {
    let label = match ends.len() {
        0 => "no interface".to_owned(),
        1 => "one interface".to_owned(),
        n => format!("{n} interfaces"),
    };
    let mut problem = Diagnostic::new(Code::CableEnds, span).label(label);
    for (node, interface) in ends.iter().skip(2).take(1) {
        let owner = &draft.nodes[*node];
        let text = format!("the third is `{}`", owner.node.name);
        problem = problem.related(owner.links[*interface].span, text);
    }
    problem.help(if ends.len() > 2 {
        "`kind: bridge` joins more than two"
    } else {
        "a cable joins two nodes"
    })
}

/// The smallest MTU with which the kernel keeps IPv6 on (linux/ipv6.h `IPV6_MIN_MTU`).
const MTU_IPV6_MIN: u32 = 1280;

fn check_mtu(owner: &NodeDraft, at: usize, network_mtu: u32, is_cable: bool, problems: &mut Problems) {
    let interface = &owner.node.interfaces[at];
    let link = owner.links[at];
    let decl = &owner.decl.links.as_deref().unwrap_or_default()[link.decl];
    let span = decl.mtu.or(owner.decl.mtu).map_or(link.span, |mtu| mtu.span);
    if interface.mtu < MTU_IPV6_MIN && interface.addresses.iter().any(|a| a.addr().is_ipv6()) {
        let label = format!("an mtu of {} bytes; IPv6 needs {MTU_IPV6_MIN}", interface.mtu);
        problems.push(Diagnostic::new(Code::MtuTooSmall, span).label(label));
    }
    if interface.mtu > network_mtu && !is_cable {
        let label = format!("{} bytes; `{}` takes {network_mtu}", interface.mtu, interface.network);
        let problem = Diagnostic::new(Code::MtuAboveNetwork, span).label(label);
        problems.push(problem.help("larger packets are lost without an ICMP message"));
    }
}

/// No node may have the same prefix on two networks: it could not tell them apart.
pub(crate) fn check_prefixes(draft: &Draft, problems: &mut Problems) {
    let mut said: HashSet<(usize, usize)> = HashSet::new();
    for owner in draft.nodes.iter().filter(|owner| owner.endpoints.len() > 1) {
        let nets: Vec<(usize, IpNet)> = owner
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.network.map(|network| (network, endpoint)))
            .flat_map(|(network, endpoint)| endpoint.addresses.iter().map(move |net| (network, net.trunc())))
            .collect();
        for (at, (second, net)) in nets.iter().enumerate() {
            for (first, other) in &nets[..at] {
                let is_contained = other.contains(net) || net.contains(other);
                if first == second || !is_contained || !said.insert((*first, *second)) {
                    continue;
                }
                problems.push(same_prefix(draft, owner, [*first, *second], [*other, *net]));
            }
        }
    }
}

fn same_prefix(draft: &Draft, owner: &NodeDraft, networks: [usize; 2], nets: [IpNet; 2]) -> Diagnostic {
    let [first, second] = networks.map(|at| &draft.networks[at]);
    let link =
        |network: usize| owner.links.iter().find(|l| l.network == network).map_or(owner.span, |l| l.span);
    let names = [&first.network.name, &second.network.name];
    let node = &owner.node.name;
    if nets[0] == nets[1] {
        let label = format!("`{node}` is on `{}` and `{}`, both {}", names[0], names[1], nets[0]);
        return Diagnostic::new(Code::SamePrefixOnNode, link(networks[1]))
            .label(label)
            .related(link(networks[0]), "the other network")
            .help("give the networks different prefixes; nodes behind translation may reuse one");
    }
    let label = format!("`{node}` has {} on `{}` and {} on `{}`", nets[0], names[0], nets[1], names[1]);
    let (longer, shorter) = if nets[0].prefix_len() > nets[1].prefix_len() { (0, 1) } else { (1, 0) };
    Diagnostic::new(Code::OverlappingPrefixes, link(networks[1]))
        .label(label)
        .related(link(networks[0]), "the other network")
        .help(format!(
            "packets for {} leave towards `{}`, not `{}`",
            nets[longer], names[longer], names[shorter]
        ))
}

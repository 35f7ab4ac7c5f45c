//! Whom an expectation means: addresses of names, and the nodes that receive what is sent to an address.

use crate::dns::{Rcode, Type};
use crate::probe::{Miss, NodeSockets, Patience, dns};
use netyard_core::expect::Target;
use netyard_core::lab::{Lab, Nat, Node, Role};
use netyard_core::name::NodeName;
use netyard_core::nft::Protocol;
use std::net::{IpAddr, SocketAddr};

/// The address of a target as its sender would find it: nodes by the lab's own names, other names by DNS.
///
/// # Errors
/// The [`Miss`] of the DNS query, or [`Miss::Impossible`] when nobody has an address for it.
pub fn address(
    lab: &Lab,
    sockets: &dyn NodeSockets,
    from: &NodeName,
    target: &Target,
    patience: Patience<'_>,
) -> Result<IpAddr, Miss> {
    match target {
        Target::Name(name) => match node_of_name(lab, name) {
            Some(node) => address(lab, sockets, from, &Target::Node(node.name.clone()), patience),
            None => resolve(lab, sockets, from, name, patience),
        },
        _ => target.address(lab, from).ok_or_else(|| Miss::impossible(format!("{target} has no address"))),
    }
}

/// The resolver of a node: a node of role internet, by an address of a family that the sender has.
pub(super) fn resolver(lab: &Lab, from: &NodeName) -> Option<IpAddr> {
    let internet = internet_nodes(lab).next()?;
    Target::Node(internet.name.clone()).address(lab, from)
}

fn resolve(
    lab: &Lab,
    sockets: &dyn NodeSockets,
    from: &NodeName,
    name: &str,
    patience: Patience<'_>,
) -> Result<IpAddr, Miss> {
    let server = resolver(lab, from).ok_or_else(|| {
        Miss::impossible(format!(
            "cannot resolve {name}: no node of that name, and none of role internet to ask"
        ))
    })?;
    let has_v4 = lab.node(from.as_str()).is_none_or(|node| node.address(Some(false)).is_some());
    let kind = if has_v4 { Type::A } else { Type::AAAA };
    let answer = dns::query(sockets, from, server, name, kind, patience).map_err(|miss| match miss {
        Miss::Outcome { outcome, detail } => Miss::new(outcome, format!("cannot resolve {name}: {detail}")),
        Miss::Impossible { detail } => Miss::impossible(format!("cannot resolve {name}: {detail}")),
    })?;
    answer.response.addresses().next().ok_or_else(|| {
        let why = match answer.response.rcode {
            Rcode::OK => "it has no address of the family".to_owned(),
            rcode => rcode.to_string(),
        };
        Miss::impossible(format!("cannot resolve {name}: {server} answered: {why}"))
    })
}

/// The node that a name means: its own name, or that with the lab's name behind it.
fn node_of_name<'a>(lab: &'a Lab, name: &str) -> Option<&'a Node> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let short = name.strip_suffix(lab.name.as_str()).and_then(|name| name.strip_suffix('.'));
    lab.node(&name).or_else(|| lab.node(short?))
}

pub(super) fn internet_nodes(lab: &Lab) -> impl Iterator<Item = &Node> {
    lab.nodes.iter().filter(|node| node.role == Role::Internet)
}

/// The nodes that take what is sent to an address for themselves: those that have it (several for anycast), else those
/// that stand for the internet.
pub(super) fn receivers(lab: &Lab, to: IpAddr) -> Vec<&Node> {
    let owners: Vec<&Node> =
        lab.nodes.iter().filter(|node| node.addresses().any(|own| own.addr() == to)).collect();
    if owners.is_empty() { internet_nodes(lab).collect() } else { owners }
}

/// Where a connection really goes: through a port that is passed on, the node behind it and the port there.
pub(super) fn behind_port_forward(lab: &Lab, to: SocketAddr, protocol: Protocol) -> SocketAddr {
    let forwards = lab.node_with_address(to.ip()).into_iter().flat_map(|node| &node.nat);
    let mut found = forwards.filter_map(|nat| match nat {
        Nat::PortForward { protocol: own, addresses, ports, to: target, .. } => {
            let matches = *own == protocol && ports.contains(to.port()) && addresses.contains(&to.ip());
            let port = target.port().saturating_add(to.port().saturating_sub(ports.first));
            matches.then(|| SocketAddr::new(target.ip(), port))
        }
        _ => None,
    });
    found.next().unwrap_or(to)
}

/// The name of the node at an address, as paths are written: a node, or the address itself.
pub(super) fn place(lab: &Lab, address: IpAddr) -> String {
    lab.node_with_address(address).map_or_else(|| address.to_string(), |node| node.name.to_string())
}

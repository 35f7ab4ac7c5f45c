//! Labs for tests, made without a lab file.

use netyard_core::lab::{Arp, Interface, Lab, Network, NetworkKind, Node, Profile, Role};
use netyard_core::mac::Mac;
use netyard_core::name::{IfName, LabName, NetworkName, NodeName};
use netyard_core::shaping::Shaping;

/// A lab with one network `lan`, and nodes given by name, role and the addresses of `eth0`, `eth1` ...
pub fn lab(nodes: &[(&str, Role, &[&[&str]])]) -> Lab {
    let nodes: Vec<Node> = nodes.iter().map(|(name, role, links)| node(name, *role, links)).collect();
    let prefixes = nodes.iter().flat_map(Node::addresses).map(|prefix| prefix.trunc()).take(1).collect();
    let network =
        Network { name: NetworkName::new("lan").unwrap(), kind: NetworkKind::Hub, prefixes, mtu: 1500 };
    Lab {
        name: LabName::new("home").unwrap(),
        networks: vec![network],
        nodes,
        expectations: Vec::new(),
        profile: Profile::default(),
        arp: Arp::default(),
        dad: false,
    }
}

fn node(name: &str, role: Role, links: &[&[&str]]) -> Node {
    let interfaces = links.iter().enumerate().map(|(index, addresses)| Interface {
        name: IfName::new(format!("eth{index}")).unwrap(),
        network: NetworkName::new("lan").unwrap(),
        port: IfName::new(format!("p{index}")).unwrap(),
        mac: Mac::of_interface("home", name, &format!("eth{index}")),
        mtu: 1500,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        up: Shaping::default(),
        down: Shaping::default(),
    });
    Node {
        role,
        interfaces: interfaces.collect(),
        forwards_ipv4: role == Role::Router,
        forwards_ipv6: role == Role::Router,
        ..Node::named(NodeName::new(name).unwrap())
    }
}

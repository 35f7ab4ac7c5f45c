//! Labs for tests, made without a lab file.

use netyard_core::lab::{Arp, Interface, Lab, Network, NetworkKind, Node, NodeKind, NodeRoot, Profile, Role};
use netyard_core::mac::Mac;
use netyard_core::name::{IfName, LabName, NetworkName, NodeName};
use netyard_core::shaping::Shaping;
use std::collections::BTreeMap;

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
        name: NodeName::new(name).unwrap(),
        kind: NodeKind::default(),
        role,
        interfaces: interfaces.collect(),
        bridges: Vec::new(),
        own_links: Vec::new(),
        loopback: Vec::new(),
        down: Vec::new(),
        tables: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        forwards_ipv4: role == Role::Router,
        forwards_ipv6: role == Role::Router,
        nat: Vec::new(),
        firewall: None,
        sysctls: BTreeMap::new(),
        neighbours: Vec::new(),
        programs: Vec::new(),
        env: BTreeMap::new(),
        hostname: None,
        uplink: None,
        labels: BTreeMap::new(),
        on_down: Vec::new(),
        root: NodeRoot::default(),
    }
}

//! Labs and pictures that the tests of this folder draw.

use super::model::{Block, NoteKind, Picture, Port, Role};
use crate::lab::{Arp, Interface, Lab, Nat, Network, NetworkKind, Node, Profile};
use crate::mac::Mac;
use crate::name::{IfName, LabName, NetworkName, NodeName};
use crate::shaping::Shaping;
use crate::state::Route;
use std::collections::BTreeMap;

/// A lab without nodes.
pub(super) fn lab(name: &str, networks: &[(&str, NetworkKind, &str)]) -> Lab {
    let network = |(name, kind, prefix): &(&str, NetworkKind, &str)| Network {
        name: NetworkName::new(name).unwrap(),
        kind: kind.clone(),
        prefixes: prefix.parse().into_iter().collect(),
        mtu: 1500,
    };
    Lab {
        name: LabName::new(name).unwrap(),
        networks: networks.iter().map(network).collect(),
        nodes: Vec::new(),
        expectations: Vec::new(),
        profile: Profile::default(),
        arp: Arp::default(),
        dad: false,
    }
}

pub(super) fn bridge() -> NetworkKind {
    NetworkKind::Bridge { stp: None, snoops_multicast: false }
}

/// A node with `eth0`, `eth1` ... on these networks.
pub(super) fn node(name: &str, role: crate::lab::Role, links: &[(&str, &str)]) -> Node {
    let interface = |(index, (network, address)): (usize, &(&str, &str))| Interface {
        name: IfName::new(format!("eth{index}")).unwrap(),
        network: NetworkName::new(network).unwrap(),
        port: IfName::new(name.get(..15).unwrap_or(name)).unwrap(),
        mac: Mac::of_interface("lab", name, network),
        mtu: 1500,
        addresses: address.parse().into_iter().collect(),
        up: Shaping::default(),
        down: Shaping::default(),
    };
    Node {
        role,
        interfaces: links.iter().enumerate().map(interface).collect(),
        forwards_ipv4: role == crate::lab::Role::Router,
        ..Node::named(NodeName::new(name).unwrap())
    }
}

/// The node with a default route through `eth0`.
pub(super) fn with_gateway(mut node: Node, gateway: &str) -> Node {
    let eth0 = IfName::new("eth0").unwrap();
    node.routes.push(Route::via("0.0.0.0/0".parse().unwrap(), gateway.parse().unwrap(), eth0));
    node
}

/// The home network of the talk.
pub(super) fn home() -> Lab {
    use crate::lab::Role::{Host, Internet, Router};
    let mut lab = lab("home", &[("lan", bridge(), "10.0.0.0/24"), ("isp", bridge(), "10.138.0.0/24")]);
    let mut router = node("router", Router, &[("lan", "10.0.0.254/24"), ("isp", "10.138.0.3/24")]);
    let gateway = "10.138.0.1".parse().unwrap();
    router.routes.push(Route::via("0.0.0.0/0".parse().unwrap(), gateway, IfName::new("eth1").unwrap()));
    let (from, out) = (vec!["10.0.0.0/24".parse().unwrap()], IfName::new("eth1").unwrap());
    router.nat.push(Nat::Masquerade { from, out });
    lab.nodes = vec![
        with_gateway(node("pc", Host, &[("lan", "10.0.0.1/24")]), "10.0.0.254"),
        with_gateway(node("printer", Host, &[("lan", "10.0.0.2/24")]), "10.0.0.254"),
        router,
        node("internet", Internet, &[("isp", "10.138.0.1/24")]),
    ];
    lab
}

/// Hosts `h1` to `hN` and a router on one bridge, the internet behind the router.
pub(super) fn star(count: usize) -> Lab {
    let mut lab = home();
    lab.nodes.retain(|node| node.name == *"router" || node.name == *"internet");
    let hosts = (1..=count).map(|n| {
        let host = node(&format!("h{n}"), crate::lab::Role::Host, &[("lan", &format!("10.0.0.{n}/24"))]);
        with_gateway(host, "10.0.0.254")
    });
    lab.nodes.splice(0..0, hosts);
    lab
}

/// Routers in a ring of cables, each with one host.
pub(super) fn ring(count: usize) -> Picture {
    let mut picture = Picture::new("ring");
    for n in 1..=count {
        let eth = |index: usize| Port::new(&format!("eth{index}"));
        let router = Block::node(&format!("r{n}"), Role::Router).port(eth(0)).port(eth(1)).port(eth(2));
        picture.add(router);
    }
    for n in 1..=count {
        let port = Port::new("eth0").note(NoteKind::Address, format!("10.0.{n}.1/24"));
        let host = picture.add(Block::node(&format!("h{n}"), Role::Host).port(port));
        picture.connect((host, 0), (n - 1, 0));
        picture.connect((n - 1, 1), (n % count, 2));
    }
    picture
}

/// Two hosts on one cable.
pub(super) fn cable() -> Lab {
    use crate::lab::Role::Host;
    let mut lab = lab("cable", &[("wire", NetworkKind::Cable, "10.0.0.0/24")]);
    lab.nodes =
        vec![node("a", Host, &[("wire", "10.0.0.1/24")]), node("b", Host, &[("wire", "10.0.0.2/24")])];
    lab
}

/// Two routers between two networks of two hosts each.
pub(super) fn two_routers() -> Lab {
    use crate::lab::Role::{Host, Router};
    let networks = [
        ("left", bridge(), "10.0.1.0/24"),
        ("middle", NetworkKind::Cable, "10.0.2.0/24"),
        ("right", NetworkKind::Hub, "10.0.3.0/24"),
    ];
    let mut lab = lab("two-routers", &networks);
    let route = |to: &str, via: &str, dev: &str| {
        Route::via(to.parse().unwrap(), via.parse().unwrap(), IfName::new(dev).unwrap())
    };
    let mut r1 = node("r1", Router, &[("left", "10.0.1.254/24"), ("middle", "10.0.2.1/24")]);
    r1.routes.push(route("10.0.3.0/24", "10.0.2.2", "eth1"));
    let mut r2 = node("r2", Router, &[("middle", "10.0.2.2/24"), ("right", "10.0.3.254/24")]);
    r2.routes.push(route("10.0.1.0/24", "10.0.2.1", "eth0"));
    lab.nodes = vec![
        with_gateway(node("h1", Host, &[("left", "10.0.1.1/24")]), "10.0.1.254"),
        with_gateway(node("h2", Host, &[("left", "10.0.1.2/24")]), "10.0.1.254"),
        r1,
        r2,
        with_gateway(node("h3", Host, &[("right", "10.0.3.3/24")]), "10.0.3.254"),
        with_gateway(node("h4", Host, &[("right", "10.0.3.4/24")]), "10.0.3.254"),
    ];
    lab
}

/// The home network with Japanese words beside the names, a host name, a filter, a slow link and a service.
pub(super) fn japanese() -> Lab {
    use crate::lab::{Firewall, FirewallChain, Program, Restart};
    let mut lab = home();
    for (node, words) in lab.nodes.iter_mut().zip(["パソコン", "プリンタ", "ルーター", "インターネット"])
    {
        node.labels.insert("title".to_owned(), words.to_owned());
    }
    lab.nodes[0].labels.insert("場所".to_owned(), "二階".to_owned());
    lab.nodes[1].hostname = Some("printer.home".to_owned());
    let argv = vec!["cupsd".to_owned()];
    let env = BTreeMap::new();
    lab.nodes[1].programs.push(Program {
        name: "cupsd".to_owned(),
        argv,
        restart: Restart::Never,
        env,
        ready: None,
        after: Vec::new(),
    });
    let chain = FirewallChain { policy: crate::nft::Policy::Drop, allow: Vec::new() };
    lab.nodes[2].firewall = Some(Firewall { input: Some(chain), forward: None });
    let slow = Shaping { rate_bit_per_s: Some(10_000_000), delay_us: 20_000, ..Shaping::default() };
    lab.nodes[2].interfaces[1].up = slow;
    lab
}

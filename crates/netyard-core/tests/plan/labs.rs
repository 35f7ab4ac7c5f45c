//! Labs written by hand, as the lab file's reader would give them.

use ipnet::IpNet;
use netyard_core::lab::{
    Allow, Arp, Firewall, FirewallChain, Interface, Lab, Nat, Network, NetworkKind, Node, NodeBridge,
    NodeKind, NodeRoot, Profile, Role,
};
use netyard_core::mac::Mac;
use netyard_core::nft::{Policy, Ports, Protocol};
use netyard_core::shaping::Shaping;
use netyard_core::state::Route;
use std::collections::BTreeMap;

/// A learning bridge.
pub const BRIDGE: NetworkKind = NetworkKind::Bridge { stp: None, snoops_multicast: false };

pub fn lab(name: &str, networks: Vec<Network>, nodes: Vec<Node>) -> Lab {
    Lab {
        name: name.parse().unwrap(),
        networks,
        nodes,
        expectations: vec![],
        profile: Profile::Realistic,
        arp: Arp::Dynamic,
        dad: false,
    }
}

pub fn network(name: &str, kind: NetworkKind, prefixes: &[&str]) -> Network {
    let prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
    Network { name: name.parse().unwrap(), kind, prefixes, mtu: 1500 }
}

/// A node with `eth0`, `eth1` ... on the networks, each with its addresses. Ports are named as the node, from the
/// second on with a number.
pub fn node(name: &str, links: &[(&str, &[&str])]) -> Node {
    let interface = |(index, (network, addresses)): (usize, &(&str, &[&str]))| Interface {
        name: format!("eth{index}").parse().unwrap(),
        network: network.parse().unwrap(),
        port: if index == 0 { name.parse().unwrap() } else { format!("{name}.{index}").parse().unwrap() },
        mac: Mac::of_interface("test", name, &format!("eth{index}")),
        mtu: 1500,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        up: Shaping::default(),
        down: Shaping::default(),
    };
    Node {
        name: name.parse().unwrap(),
        kind: NodeKind::Net,
        role: Role::Host,
        interfaces: links.iter().enumerate().map(interface).collect(),
        bridges: vec![],
        own_links: vec![],
        loopback: vec![],
        down: vec![],
        tables: vec![],
        routes: vec![],
        rules: vec![],
        forwards_ipv4: false,
        forwards_ipv6: false,
        nat: vec![],
        firewall: None,
        sysctls: BTreeMap::new(),
        neighbours: vec![],
        programs: vec![],
        env: BTreeMap::new(),
        hostname: None,
        uplink: None,
        labels: BTreeMap::new(),
        on_down: Vec::new(),
        root: NodeRoot::default(),
    }
}

/// The same node with a route to everywhere.
pub fn with_gateway(mut node: Node, gateway: &str, dev: &str) -> Node {
    let gateway: std::net::IpAddr = gateway.parse().unwrap();
    let everywhere: IpNet = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" }.parse().unwrap();
    node.routes.push(Route::via(everywhere, gateway, dev.parse().unwrap()));
    node
}

/// The same node as a router.
pub fn forwarding(mut node: Node, is_ipv6: bool) -> Node {
    node.role = Role::Router;
    node.forwards_ipv4 = true;
    node.forwards_ipv6 = is_ipv6;
    node
}

/// The same node as the internet.
pub fn internet(mut node: Node) -> Node {
    node.role = Role::Internet;
    node
}

/// The same node with a bridge over some of its interfaces.
pub fn with_bridge(mut node: Node, name: &str, ports: &[&str], addresses: &[&str]) -> Node {
    node.bridges.push(NodeBridge {
        name: name.parse().unwrap(),
        mac: Mac::of_interface("test", node.name.as_str(), name),
        ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
        learns: true,
        snoops_multicast: false,
        stp: None,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    });
    node
}

pub fn masquerade(from: &[&str], out: &str) -> Nat {
    Nat::Masquerade {
        from: from.iter().map(|prefix| prefix.parse().unwrap()).collect(),
        out: out.parse().unwrap(),
    }
}

pub fn port_forward(incoming: &str, address: &str, port: u16, to: &str, hairpin: &[&str]) -> Nat {
    Nat::PortForward {
        protocol: Protocol::Tcp,
        incoming: incoming.parse().unwrap(),
        addresses: vec![address.parse().unwrap()],
        ports: port.into(),
        to: to.parse().unwrap(),
        hairpin: hairpin.iter().map(|prefix| prefix.parse().unwrap()).collect(),
    }
}

/// Lets in pings, and through it what comes from inside and some ports of one prefix.
pub fn firewall() -> Firewall {
    let dropping = |allow| Some(FirewallChain { policy: Policy::Drop, allow });
    let pings = Allow { protocol: Some(Protocol::Icmp), ..Allow::default() };
    let from_inside = Allow { incoming: Some("eth0".parse().unwrap()), ..Allow::default() };
    let to_ports = Allow {
        to: Some("10.0.0.5/24".parse().unwrap()),
        ports: vec![Ports { first: 1000, last: 1010 }],
        ..Allow::default()
    };
    Firewall { input: dropping(vec![pings]), forward: dropping(vec![from_inside, to_ports]) }
}

/// The network of the talk: two computers at a switch, a router with NAPT, and the internet.
pub fn home() -> Lab {
    let router = node("router", &[("lan", &["10.0.0.254/24"]), ("isp", &["10.138.0.3/24"])]);
    let mut router = with_gateway(forwarding(router, false), "10.138.0.1", "eth1");
    router.nat = vec![masquerade(&["10.0.0.0/24"], "eth1")];
    lab(
        "home",
        vec![network("lan", BRIDGE, &["10.0.0.0/24"]), network("isp", BRIDGE, &["10.138.0.0/24"])],
        vec![
            with_gateway(node("pc", &[("lan", &["10.0.0.1/24"])]), "10.0.0.254", "eth0"),
            with_gateway(node("printer", &[("lan", &["10.0.0.2/24"])]), "10.0.0.254", "eth0"),
            router,
            internet(node("internet", &[("isp", &["10.138.0.1/24"])])),
        ],
    )
}

/// Two hosts behind two routers, IPv4 and IPv6, cables only.
pub fn chain() -> Lab {
    let r1 = node("r1", &[("a", &["10.1.0.1/24", "fd01::1/64"]), ("mid", &["10.2.0.1/24", "fd02::1/64"])]);
    let r2 = node("r2", &[("mid", &["10.2.0.2/24", "fd02::2/64"]), ("b", &["10.3.0.1/24", "fd03::1/64"])]);
    let both = |node, gateway4, gateway6, dev| with_gateway(with_gateway(node, gateway4, dev), gateway6, dev);
    lab(
        "chain",
        vec![
            network("a", NetworkKind::Cable, &["10.1.0.0/24", "fd01::/64"]),
            network("mid", NetworkKind::Cable, &["10.2.0.0/24", "fd02::/64"]),
            network("b", NetworkKind::Cable, &["10.3.0.0/24", "fd03::/64"]),
        ],
        vec![
            both(node("h1", &[("a", &["10.1.0.2/24", "fd01::2/64"])]), "10.1.0.1", "fd01::1", "eth0"),
            both(forwarding(r1, true), "10.2.0.2", "fd02::2", "eth1"),
            both(forwarding(r2, true), "10.2.0.1", "fd02::1", "eth0"),
            both(node("h2", &[("b", &["10.3.0.2/24", "fd03::2/64"])]), "10.3.0.1", "fd03::1", "eth0"),
        ],
    )
}

/// A star of hosts at one network.
pub fn star(hosts: usize) -> Lab {
    let host = |index: usize| {
        let address = format!("10.{}.{}.{}/8", index / 62_500, index / 250 % 250, index % 250 + 1);
        node(&format!("h{index}"), &[("lan", &[&address])])
    };
    lab("star", vec![network("lan", BRIDGE, &["10.0.0.0/8"])], (0..hosts).map(host).collect())
}

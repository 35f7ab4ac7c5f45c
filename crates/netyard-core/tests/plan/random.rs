//! Random labs of few names, so that two of them have much in common and clash where they can.

use crate::labs::{internet, lab, masquerade, network, node, port_forward};
use ipnet::IpNet;
use netyard_core::lab::{Allow, Arp, Firewall, FirewallChain, Lab, NetworkKind, Node, NodeBridge, Profile};
use netyard_core::mac::Mac;
use netyard_core::nft::Policy;
use netyard_core::shaping::{Shaping, Share};
use netyard_core::state::{Neighbour, NextHop, PolicyAction, PolicyRule, Route, Stp};
use proptest::prelude::*;
use std::net::IpAddr;

/// What is random about a network.
#[derive(Debug, Clone)]
struct RandomNetwork {
    kind: u8,
    mtu: u32,
    has_ipv6: bool,
}

/// What is random about a node.
#[derive(Debug, Clone)]
struct RandomNode {
    is_there: bool,
    role: u8,
    links: Vec<RandomLink>,
    routes: Vec<(u8, u8)>,
    nat: u8,
    bridged: u8,
    sysctl: u8,
}

/// What is random about an interface.
#[derive(Debug, Clone)]
struct RandomLink {
    network: usize,
    name: u8,
    host: u8,
    mac: u8,
    mtu: u32,
    up: u8,
    down: u8,
    extra_addresses: u8,
}

pub fn labs() -> impl Strategy<Value = Lab> {
    let networks = prop::collection::vec(networks(), 4);
    let nodes = prop::collection::vec(nodes(), 5);
    (networks, nodes, any::<[bool; 5]>()).prop_map(|(networks, nodes, flags)| build(&networks, &nodes, flags))
}

fn networks() -> impl Strategy<Value = RandomNetwork> {
    (0..4u8, prop::sample::select(vec![1280, 1400, 1500]), any::<bool>())
        .prop_map(|(kind, mtu, has_ipv6)| RandomNetwork { kind, mtu, has_ipv6 })
}

fn nodes() -> impl Strategy<Value = RandomNode> {
    let routes = prop::collection::vec((0..8u8, 0..4u8), 0..4);
    (prop::bool::weighted(0.8), 0..4u8, prop::collection::vec(links(), 0..4), routes, 0..6u8, 0..4u8, 0..4u8)
        .prop_map(|(is_there, role, links, routes, nat, bridged, sysctl)| RandomNode {
            is_there,
            role,
            links,
            routes,
            nat,
            bridged,
            sysctl,
        })
}

fn links() -> impl Strategy<Value = RandomLink> {
    let numbers = (0..4usize, 0..3u8, 1..4u8, 0..3u8);
    (numbers, prop::sample::select(vec![1280, 1500]), 0..4u8, 0..4u8, 0..4u8).prop_map(
        |((network, name, host, mac), mtu, up, down, extra_addresses)| RandomLink {
            network,
            name,
            host,
            mac,
            mtu,
            up,
            down,
            extra_addresses,
        },
    )
}

fn build(networks: &[RandomNetwork], nodes: &[RandomNode], flags: [bool; 5]) -> Lab {
    let [has_ipv6, is_fast, is_static, dad, reverses_ports] = flags;
    let mut on_cable = [0; 4];
    let mut built = Vec::new();
    let mut ports = Vec::new();
    for (number, random) in nodes.iter().enumerate().filter(|(_, random)| random.is_there) {
        let mut one = node(&format!("n{number}"), &[]);
        for link in &random.links {
            let is_cable = networks[link.network].kind == 3;
            let name = format!("eth{}", link.name);
            if one.interface(&name).is_some() || (is_cable && on_cable[link.network] == 2) {
                continue;
            }
            on_cable[link.network] += 1;
            add_interface(&mut one, number, link, has_ipv6 && networks[link.network].has_ipv6);
            ports.push((built.len(), one.interfaces.len() - 1));
        }
        furnish(&mut one, random, has_ipv6);
        built.push(one);
    }
    // Port names that stay with a place in the lab, not with a node, clash when nodes come and go.
    let count = ports.len();
    for (place, (node, interface)) in ports.into_iter().enumerate() {
        let number = if reverses_ports { count - place } else { place };
        built[node].interfaces[interface].port = format!("p{number}").parse().unwrap();
    }
    let networks = networks.iter().enumerate().map(|(number, random)| {
        let mut one = network(&format!("w{number}"), kind(random.kind), &[]);
        one.mtu = random.mtu;
        one.prefixes = vec![prefix(number, 0, false).trunc()];
        one
    });
    let mut lab = lab("random", networks.collect(), built);
    lab.profile = if is_fast { Profile::Fast } else { Profile::Realistic };
    lab.arp = if is_static { Arp::Static } else { Arp::Dynamic };
    lab.dad = dad;
    // An interface alone on its cable is refused by the check of a lab.
    let alone: Vec<usize> =
        (0..4).filter(|n| on_cable[*n] == 1 && lab.networks[*n].kind == NetworkKind::Cable).collect();
    for number in alone {
        lab.networks[number].kind = NetworkKind::Hub;
    }
    lab
}

fn kind(number: u8) -> NetworkKind {
    match number {
        0 => NetworkKind::Bridge { stp: None, snoops_multicast: false },
        1 => NetworkKind::Bridge { stp: Some(Stp::CLASSROOM), snoops_multicast: true },
        2 => NetworkKind::Hub,
        _ => NetworkKind::Cable,
    }
}

/// The address of a host on a network.
fn prefix(network: usize, host: usize, is_ipv6: bool) -> IpNet {
    let text = if is_ipv6 { format!("fd0{network}::{host}/64") } else { format!("10.{network}.0.{host}/24") };
    text.parse().unwrap()
}

fn shaping(number: u8) -> Shaping {
    let rate_bit_per_s = Some(1_000_000);
    match number {
        1 => Shaping { rate_bit_per_s, ..Shaping::default() },
        2 => Shaping { delay_us: 5000, loss: Share::from_percent(1.0), ..Shaping::default() },
        3 => Shaping { rate_bit_per_s, delay_us: 5000, ..Shaping::default() },
        _ => Shaping::default(),
    }
}

fn add_interface(one: &mut Node, number: usize, link: &RandomLink, has_ipv6: bool) {
    let name = format!("eth{}", link.name);
    let network = format!("w{}", link.network);
    let host = number * 8 + usize::from(link.host);
    let mut addresses = vec![prefix(link.network, host, false)];
    if has_ipv6 {
        addresses.push(prefix(link.network, host, true));
    }
    if link.extra_addresses == 1 {
        addresses.push(format!("172.16.{number}.{}/24", link.host).parse().unwrap());
    }
    let mut interface = node(one.name.as_str(), &[(network.as_str(), &[])]).interfaces.remove(0);
    interface.mac = Mac::of_interface("random", one.name.as_str(), &format!("{name}{}", link.mac));
    interface.name = name.parse().unwrap();
    interface.mtu = link.mtu;
    interface.addresses = addresses;
    interface.up = shaping(link.up);
    interface.down = shaping(link.down);
    one.interfaces.push(interface);
}

/// Bridges, routes, translation, values and neighbours.
fn furnish(one: &mut Node, random: &RandomNode, has_ipv6: bool) {
    if random.bridged == 0 && !one.interfaces.is_empty() {
        let ports = one.interfaces.iter().take(2).map(|interface| interface.name.clone()).collect();
        let mac = Mac::of_interface("random", one.name.as_str(), "br0");
        one.bridges.push(NodeBridge {
            name: "br0".parse().unwrap(),
            mac,
            ports,
            learns: true,
            snoops_multicast: false,
            stp: None,
            addresses: vec![],
        });
    }
    one.forwards_ipv4 = random.role == 1;
    one.forwards_ipv6 = random.role == 1 && has_ipv6;
    for (kind, which) in &random.routes {
        add_route(one, *kind, *which);
    }
    if random.role == 2 {
        *one = internet(one.clone());
    }
    match random.nat {
        1 => one.nat = vec![masquerade(&["10.0.0.0/24"], "eth0")],
        2 => one.nat = vec![port_forward("eth0", "10.0.0.1", 80, "10.1.0.2:8080", &["10.1.0.0/24"])],
        3 => {
            let chain = FirewallChain { policy: Policy::Drop, allow: vec![Allow::default()] };
            one.firewall = Some(Firewall { input: Some(chain), forward: None });
        }
        4 | 5 => {
            one.rules.push(PolicyRule {
                is_ipv6: false,
                priority: 1000 + u32::from(random.sysctl),
                is_inverted: false,
                from: Some("10.9.0.0/16".parse().unwrap()),
                to: None,
                incoming: None,
                out: None,
                mark: None,
                action: if random.nat == 4 { PolicyAction::Table(7) } else { PolicyAction::Prohibit },
                others: vec![],
            });
        }
        _ => {}
    }
    let names = ["net.ipv4.ip_default_ttl", "net.ipv4.conf.eth0.forwarding", "net.ipv4.conf.eth1.rp_filter"];
    if let Some(key) = names.get(usize::from(random.sysctl)) {
        one.sysctls.insert((*key).to_owned(), "1".to_owned());
    }
    if let (true, Some((dev, _))) = (random.role == 3, devices(one).first()) {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        one.neighbours.push(Neighbour { dev: dev.clone(), to: "10.9.9.9".parse().unwrap(), mac });
    }
}

/// The interfaces of layer 3 with their addresses.
fn devices(one: &Node) -> Vec<(netyard_core::name::IfName, Vec<IpNet>)> {
    let ports: Vec<_> = one.bridges.iter().flat_map(|bridge| bridge.ports.clone()).collect();
    let interfaces = one.interfaces.iter().filter(|i| !ports.contains(&i.name));
    let mut devices: Vec<_> = interfaces.map(|i| (i.name.clone(), i.addresses.clone())).collect();
    for bridge in &one.bridges {
        let on_ports = one.interfaces.iter().filter(|i| bridge.ports.contains(&i.name));
        devices.push((bridge.name.clone(), on_ports.flat_map(|i| i.addresses.clone()).collect()));
    }
    devices
}

fn add_route(one: &mut Node, kind: u8, which: u8) {
    let devices = devices(one);
    let Some((dev, addresses)) = devices.get(usize::from(which) % devices.len().max(1)) else { return };
    let Some(own) = addresses.iter().rfind(|address| kind >= 4 || address.addr().is_ipv4()) else { return };
    let is_ipv6 = own.addr().is_ipv6();
    let net = |ipv4: &str, ipv6: &str| -> IpNet { if is_ipv6 { ipv6 } else { ipv4 }.parse().unwrap() };
    let gateway = own.hosts().nth(199).unwrap();
    let hop = |via: Option<IpAddr>, onlink| NextHop { via, dev: dev.clone(), weight: 1, onlink };
    let route = match kind % 4 {
        0 => Route::via(net("0.0.0.0/0", "::/0"), gateway, dev.clone()),
        1 => Route {
            src: Some(own.addr()),
            ..Route::via(net("203.0.113.0/24", "2001:db8:1::/48"), gateway, dev.clone())
        },
        2 => {
            let far = net("198.51.100.1/32", "2001:db8:2::1/128");
            one.routes.push(Route::unicast(far, hop(None, false)));
            Route::via(net("192.0.2.0/24", "2001:db8:3::/48"), far.addr(), dev.clone())
        }
        _ => {
            let mut hops = vec![hop(Some(gateway), false)];
            hops.extend(devices.iter().filter(|(name, _)| name != dev).map(|(name, _)| NextHop {
                via: Some(if is_ipv6 { "fe80::1" } else { "10.77.0.1" }.parse().unwrap()),
                dev: name.clone(),
                weight: 2,
                onlink: true,
            }));
            Route {
                target: netyard_core::state::RouteTarget::Unicast(hops),
                ..Route::via(net("198.18.0.0/15", "2001:db8:4::/48"), gateway, dev.clone())
            }
        }
    };
    one.routes.push(route);
    let mut seen = std::collections::BTreeSet::new();
    one.routes.retain(|route| seen.insert(route.to));
}

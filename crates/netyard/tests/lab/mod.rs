//! Small labs as states, and the steps that make them.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions, and this is their helper")]

use ipnet::IpNet;
use netyard::fault::Faults;
use netyard::namespaces::Namespaces;
use netyard_core::mac::Mac;
use netyard_core::name::{IfName, NodeName};
use netyard_core::shaping::Shaping;
use netyard_core::state::{Bridge, Link, LinkKind, Namespace, Ns, Route, State};
use netyard_core::step::{Step, VethEnd};
use netyard_kernel::traveller::Traveller;
use std::collections::{BTreeMap, BTreeSet};

pub const SWITCH: Bridge = Bridge { stp: None, learns: true, snoops_multicast: false };

pub fn if_name(text: &str) -> IfName {
    IfName::new(text).unwrap()
}

pub fn node(name: &str) -> Ns {
    Ns::Node(NodeName::new(name).unwrap())
}

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// Node, interface, bridge, addresses, gateway.
pub type Cable<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], Option<&'a str>);

/// The network of the talk.
pub fn home() -> State {
    let mut state = lab(&[
        ("pc", "eth0", "lan", &["10.0.0.1/24"], Some("10.0.0.254")),
        ("printer", "eth0", "lan", &["10.0.0.2/24"], Some("10.0.0.254")),
        ("router", "eth0", "lan", &["10.0.0.254/24", "fd00::254/64"], None),
        ("router", "eth1", "isp", &["10.138.0.3/24"], Some("10.138.0.1")),
        ("internet", "eth0", "isp", &["10.138.0.1/24"], None),
    ]);
    let router = state.namespaces.get_mut(&node("router")).unwrap();
    router.sysctls.insert("net.ipv4.ip_forward".into(), "1".into());
    state
}

/// Bridges in the fabric, and a veth from one of them for each cable.
pub fn lab(cables: &[Cable<'_>]) -> State {
    let mut state = State::default();
    for (name, interface, bridge, addresses, gateway) in cables {
        let ns = node(name);
        let port = format!("{name}-{}", interface.trim_start_matches("eth"));
        let fabric = state.namespaces.entry(Ns::Fabric).or_default();
        fabric.links.entry(if_name("lo")).or_insert_with(loopback);
        fabric
            .links
            .entry(if_name(bridge))
            .or_insert_with(|| link(LinkKind::Bridge(SWITCH), &Ns::Fabric, bridge));
        let mut near = link(veth(&ns, interface), &Ns::Fabric, &port);
        near.master = Some(if_name(bridge));
        fabric.links.insert(if_name(&port), near);
        let mut far = link(veth(&Ns::Fabric, &port), &ns, interface);
        far.addresses = addresses.iter().map(|address| net(address)).collect();
        far.fills_checksums = true;
        let namespace = state.namespaces.entry(ns).or_default();
        namespace.links.entry(if_name("lo")).or_insert_with(loopback);
        namespace.links.insert(if_name(interface), far);
        let via = |gateway: &str| Route::via(net("0.0.0.0/0"), gateway.parse().unwrap(), if_name(interface));
        namespace.routes.extend(gateway.map(via));
    }
    state
}

/// One switch with `count` hosts.
pub fn star(count: u16) -> State {
    let hosts: Vec<(String, String)> =
        (1..=count).map(|n| (format!("h{n}"), format!("10.1.{}.{}/16", n >> 8, n & 255))).collect();
    let addresses: Vec<[&str; 1]> = hosts.iter().map(|(_, address)| [address.as_str()]).collect();
    let cables: Vec<Cable<'_>> = hosts
        .iter()
        .zip(&addresses)
        .map(|((name, _), addresses)| (name.as_str(), "eth0", "lan", &addresses[..], Some("10.1.255.254")))
        .collect();
    lab(&cables)
}

fn veth(peer_ns: &Ns, peer: &str) -> LinkKind {
    LinkKind::Veth { peer_ns: peer_ns.clone(), peer: if_name(peer) }
}

fn loopback() -> Link {
    Link { mac: None, mtu: 65536, ..link(LinkKind::Loopback, &Ns::Fabric, "lo") }
}

fn link(kind: LinkKind, ns: &Ns, name: &str) -> Link {
    Link {
        kind,
        mac: Some(Mac::of_interface("test", ns.as_str(), name)),
        mtu: 1500,
        is_up: true,
        master: None,
        addresses: BTreeSet::new(),
        egress: Shaping::default(),
        fills_checksums: false,
    }
}

/// The steps from nothing to a state.
pub fn steps_of(state: &State) -> Vec<Step> {
    let add = |(ns, namespace): (&Ns, &Namespace)| Step::AddNamespace {
        ns: ns.clone(),
        sysctls: namespace.sysctls.clone(),
    };
    let mut steps: Vec<Step> = state.namespaces.iter().map(add).collect();
    let fabric = &state.namespaces[&Ns::Fabric];
    for (name, link) in &fabric.links {
        if let (LinkKind::Bridge(bridge), Some(mac)) = (&link.kind, link.mac) {
            let (name, bridge) = (name.clone(), bridge.clone());
            steps.push(Step::AddBridge { ns: Ns::Fabric, name, mac, mtu: link.mtu, bridge });
        }
    }
    for (name, link) in fabric.links.iter().filter(|(_, link)| !matches!(link.kind, LinkKind::Veth { .. })) {
        if link.is_up {
            steps.push(Step::SetLinkUp { ns: Ns::Fabric, name: name.clone(), is_up: true });
        }
    }
    for (name, link) in &fabric.links {
        let LinkKind::Veth { peer_ns, peer } = &link.kind else { continue };
        let far = veth_end(peer_ns, peer, &state.namespaces[peer_ns].links[peer]);
        let near = veth_end(&Ns::Fabric, name, link);
        steps.push(Step::AddVeth { near, far: VethEnd { is_up: false, ..far } });
    }
    for (ns, namespace) in state.namespaces.iter().filter(|(ns, _)| **ns != Ns::Fabric) {
        node_steps(&mut steps, ns, namespace);
    }
    steps
}

fn veth_end(ns: &Ns, name: &IfName, link: &Link) -> VethEnd {
    VethEnd {
        ns: ns.clone(),
        name: name.clone(),
        mac: link.mac.unwrap(),
        mtu: link.mtu,
        master: link.master.clone(),
        is_up: link.is_up,
    }
}

fn node_steps(steps: &mut Vec<Step>, ns: &Ns, namespace: &Namespace) {
    let ns = || ns.clone();
    for (name, _) in namespace.links.iter().filter(|(_, link)| link.fills_checksums) {
        steps.push(Step::SetChecksums { ns: ns(), name: name.clone(), fills: true });
    }
    for (name, link) in &namespace.links {
        let dev = || name.clone();
        let addresses = link.addresses.iter();
        steps.extend(addresses.map(|address| Step::AddAddress {
            ns: ns(),
            dev: dev(),
            address: *address,
            dad: false,
        }));
        if link.is_up {
            steps.push(Step::SetLinkUp { ns: ns(), name: dev(), is_up: true });
        }
        if !link.egress.is_none() {
            steps.push(Step::SetShaping { ns: ns(), dev: dev(), egress: link.egress });
        }
    }
    steps.extend(namespace.routes.iter().map(|route| Step::AddRoute { ns: ns(), route: route.clone() }));
    let neighbours = namespace.neighbours.iter();
    steps.extend(neighbours.map(|entry| Step::AddNeighbour { ns: ns(), neighbour: entry.clone() }));
}

/// The namespaces of a state that has just been built.
#[track_caller]
pub fn built(state: &State) -> Namespaces {
    let mut namespaces = Namespaces::new(None);
    apply(&mut namespaces, &steps_of(state));
    namespaces
}

#[track_caller]
pub fn apply(namespaces: &mut Namespaces, steps: &[Step]) {
    let mut done = Vec::new();
    let result = namespaces.apply(steps, &mut Faults::none(), |index| done.push(index));
    if let Err(error) = result {
        panic!("{error}");
    }
    assert_eq!(done, (0..steps.len()).collect::<Vec<_>>());
}

/// The live state, with the sysctls that `state` names.
#[track_caller]
pub fn live(namespaces: &mut Namespaces, state: &State) -> State {
    let keys = |namespace: &Namespace| namespace.sysctls.keys().cloned().collect();
    let keys: BTreeMap<Ns, Vec<String>> =
        state.namespaces.iter().map(|(ns, namespace)| (ns.clone(), keys(namespace))).collect();
    netyard::live::read(namespaces, &keys).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `f` on a thread in the namespace of a node.
#[track_caller]
pub fn within<R: Send>(namespaces: &Namespaces, name: &str, f: impl FnOnce() -> R + Send) -> R {
    let ns = namespaces.fd(&node(name)).unwrap();
    Traveller::run(|traveller| traveller.enter(ns).map(|()| f())).unwrap().unwrap()
}

/// The names of the links in the namespace that the tests were started in.
pub fn host_links() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/sys/class/net").unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

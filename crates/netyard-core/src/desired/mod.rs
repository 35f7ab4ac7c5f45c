//! What a lab wants from the kernel.
//!
//! [`state`] is the whole answer; its parts are the fabric ([`fabric`]), the values below `/proc/sys` ([`sysctls`]),
//! the routes of an internet node (`internet`) and the nf_tables table of a node (`tables`).

pub mod fabric;
mod internet;
pub mod sysctls;
mod tables;

pub use fabric::fabric_bridge_name;
pub use sysctls::sysctl_may_be_absent;

use crate::lab::{
    Arp, Interface, Lab, Network, NetworkKind, Node, NodeBridge, NodeKind, OwnLink, Profile, Role,
};
use crate::mac::Mac;
use crate::name::IfName;
use crate::shaping::Shaping;
use crate::state::{Bridge, Link, LinkKind, Namespace, Neighbour, Ns, State};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Everything that the kernel must hold for this lab.
///
/// The fabric is there when a network has a bridge. A node of kind `host` is there with the lab's own links only,
/// without `lo` and without values that hold for its whole namespace. An interface whose network does not exist,
/// or that is alone on its cable, has no link, and a value for an interface that is not there is left out: the
/// check of the lab refuses all three.
#[must_use]
pub fn state(lab: &Lab) -> State {
    let members = members_by_network(lab);
    let wiring = Wiring::of(lab, &members);
    let mut namespaces = BTreeMap::new();
    if !wiring.fabric.links.is_empty() {
        namespaces.insert(Ns::Fabric, wiring.fabric);
    }
    let surroundings = Surroundings { lab, uses_ipv6: lab.uses_ipv6(), prefixes: internet::prefixes(lab) };
    for (node, links) in lab.nodes.iter().zip(wiring.links_by_node) {
        namespaces.insert(Ns::Node(node.name.clone()), namespace(&surroundings, node, links));
    }
    if lab.arp == Arp::Static {
        add_neighbours(&mut namespaces, members.values());
    }
    State { namespaces }
}

/// What every node's namespace is computed from, once per lab.
struct Surroundings<'a> {
    lab: &'a Lab,
    uses_ipv6: bool,
    prefixes: Vec<IpNet>,
}

/// An interface with its node, the node by its place in the lab.
#[derive(Clone, Copy)]
struct Member<'a> {
    index: usize,
    node: &'a Node,
    interface: &'a Interface,
}

fn members_by_network(lab: &Lab) -> BTreeMap<&str, Vec<Member<'_>>> {
    let mut members: BTreeMap<&str, Vec<Member<'_>>> = BTreeMap::new();
    for (index, node) in lab.nodes.iter().enumerate() {
        for interface in &node.interfaces {
            let member = Member { index, node, interface };
            members.entry(interface.network.as_str()).or_default().push(member);
        }
    }
    members
}

/// The links of the fabric and of every node.
struct Wiring {
    fabric: Namespace,
    links_by_node: Vec<BTreeMap<IfName, Link>>,
}

impl Wiring {
    fn of(lab: &Lab, members: &BTreeMap<&str, Vec<Member<'_>>>) -> Self {
        let mut wiring =
            Self { fabric: Namespace::default(), links_by_node: vec![BTreeMap::new(); lab.nodes.len()] };
        for network in &lab.networks {
            let members = members.get(network.name.as_str()).map_or(&[][..], Vec::as_slice);
            match bridge_of(network) {
                Some(bridge) => wiring.join(lab, network, &bridge, members),
                None => wiring.connect(lab, members),
            }
        }
        if !wiring.fabric.links.is_empty() {
            wiring.fabric.links.insert(loopback_name(), loopback(false));
            wiring.fabric.sysctls = sysctls::of_fabric();
        }
        wiring
    }

    /// Gives a network its bridges, and each member a veth to one of them.
    fn join(&mut self, lab: &Lab, network: &Network, bridge: &Bridge, members: &[Member<'_>]) {
        fabric::add_bridges(&mut self.fabric.links, lab, network, bridge, members.len());
        for (index, member) in members.iter().enumerate() {
            let Member { node, interface, .. } = *member;
            let ns = Ns::Node(node.name.clone());
            let port = Link {
                mac: Some(Mac::of_interface(lab.name.as_str(), Ns::FABRIC, interface.port.as_str())),
                // The port takes what its network takes, whatever the node believes: a switch of one MTU.
                mtu: network.mtu,
                master: Some(fabric::bridge_of_port(network, index)),
                egress: interface.down.with_defaults(network.mtu),
                ..veth(ns, &interface.name)
            };
            self.fabric.links.insert(interface.port.clone(), port);
            self.add_end(lab, member, Ns::Fabric, &interface.port, interface.up);
        }
    }

    /// Connects the two members of a cable.
    fn connect(&mut self, lab: &Lab, members: &[Member<'_>]) {
        let [a, b] = members else { return };
        for (own, other) in [(a, b), (b, a)] {
            let peer_ns = Ns::Node(other.node.name.clone());
            let egress = if own.interface.up.is_none() { other.interface.down } else { own.interface.up };
            self.add_end(lab, own, peer_ns, &other.interface.name, egress);
        }
    }

    /// The node's end of a veth pair.
    fn add_end(&mut self, lab: &Lab, own: &Member<'_>, peer_ns: Ns, peer: &IfName, egress: Shaping) {
        let Member { index, node, interface } = *own;
        let bridge = bridge_with_port(node, &interface.name);
        let addresses = if bridge.is_some() { &[][..] } else { &interface.addresses };
        let end = Link {
            mac: Some(interface.mac),
            mtu: interface.mtu,
            master: bridge.map(|bridge| bridge.name.clone()),
            addresses: addresses.iter().copied().collect(),
            egress: egress.with_defaults(interface.mtu),
            // Checksums are filled where packets are made: the bridge's side only passes them on.
            fills_checksums: lab.profile == Profile::Realistic,
            ..veth(peer_ns, peer)
        };
        self.links_by_node[index].insert(interface.name.clone(), end);
    }
}

fn bridge_of(network: &Network) -> Option<Bridge> {
    match network.kind {
        NetworkKind::Bridge { stp, snoops_multicast } => Some(Bridge { stp, learns: true, snoops_multicast }),
        NetworkKind::Hub => Some(Bridge { stp: None, learns: false, snoops_multicast: false }),
        NetworkKind::Cable => None,
    }
}

fn namespace(surroundings: &Surroundings<'_>, node: &Node, mut links: BTreeMap<IfName, Link>) -> Namespace {
    for bridge in &node.bridges {
        links.insert(bridge.name.clone(), bridge_link(node, bridge));
    }
    for own in &node.own_links {
        links.insert(own.name.clone(), own_link(node, own));
    }
    if node.kind != NodeKind::Host {
        let addresses = node.loopback.iter().copied().collect();
        links.insert(loopback_name(), Link { addresses, ..loopback(true) });
    }
    for (_, link) in links.iter_mut().filter(|(name, _)| node.down.contains(name)) {
        link.is_up = false;
    }
    let mut routes: std::collections::BTreeSet<_> = node.routes.iter().cloned().collect();
    if node.role == Role::Internet {
        routes.extend(internet::routes(node, &surroundings.prefixes, surroundings.uses_ipv6));
    }
    let mut sysctls = sysctls::of_node(surroundings.lab, node, surroundings.uses_ipv6);
    sysctls.retain(|key, _| sysctls::interface_of_sysctl(key).is_none_or(|name| links.contains_key(&name)));
    Namespace {
        sysctls,
        links,
        routes,
        rules: node.rules.iter().cloned().collect(),
        neighbours: node.neighbours.iter().cloned().collect(),
        // In the form in which the kernel gives them back, so that they compare.
        tables: tables::of_node(node, surroundings.uses_ipv6)
            .iter()
            .chain(&node.tables)
            .map(crate::nft::Table::canonical)
            .collect(),
    }
}

fn bridge_link(node: &Node, bridge: &NodeBridge) -> Link {
    let ports = || node.interfaces.iter().filter(|interface| bridge.ports.contains(&interface.name));
    let (learns, snoops_multicast) = (bridge.learns, bridge.snoops_multicast);
    let settings = Bridge { stp: bridge.stp, learns, snoops_multicast };
    let own = node.own_links.iter().filter(|link| bridge.ports.contains(&link.name)).map(|link| link.mtu);
    Link {
        mac: Some(bridge.mac),
        // What the kernel makes of it by itself (net/bridge/br_if.c, br_mtu_auto_adjust).
        mtu: ports().map(|port| port.mtu).chain(own).min().unwrap_or(1500),
        addresses: addresses_of_bridge(node, bridge).collect(),
        ..link(LinkKind::Bridge(settings))
    }
}

fn own_link(node: &Node, own: &OwnLink) -> Link {
    Link {
        mac: own.mac,
        mtu: own.mtu,
        master: bridge_with_port(node, &own.name).map(|bridge| bridge.name.clone()),
        addresses: own.addresses.iter().copied().collect(),
        ..link(own.kind.clone())
    }
}

/// The addresses of a bridge; those written at one of its ports count as the bridge's.
fn addresses_of_bridge<'a>(node: &'a Node, bridge: &'a NodeBridge) -> impl Iterator<Item = IpNet> + 'a {
    let ports = node.interfaces.iter().filter(|interface| bridge.ports.contains(&interface.name));
    bridge.addresses.iter().copied().chain(ports.flat_map(|port| port.addresses.iter().copied()))
}

fn bridge_with_port<'a>(node: &'a Node, port: &IfName) -> Option<&'a NodeBridge> {
    node.bridges.iter().find(|bridge| bridge.ports.contains(port))
}

fn veth(peer_ns: Ns, peer: &IfName) -> Link {
    link(LinkKind::Veth { peer_ns, peer: peer.clone() })
}

fn link(kind: LinkKind) -> Link {
    Link {
        kind,
        mac: None,
        mtu: 1500,
        is_up: true,
        master: None,
        addresses: std::collections::BTreeSet::new(),
        egress: Shaping::default(),
        fills_checksums: false,
    }
}

/// The loopback link as every namespace has it: 65536 bytes, and no address besides the kernel's own two, which
/// states leave out.
#[must_use]
pub fn loopback(is_up: bool) -> Link {
    Link { mtu: 65_536, is_up, ..link(LinkKind::Loopback) }
}

/// `lo`.
#[must_use]
pub fn loopback_name() -> IfName {
    IfName::new("lo").expect("two letters are an interface name")
}

/// Where a member's packets are received on layer 3: its interface, or the bridge that this is a port of.
struct Layer3<'a> {
    ns: Ns,
    dev: &'a IfName,
    mac: Mac,
    addresses: Vec<IpAddr>,
}

impl<'a> Layer3<'a> {
    fn of(member: &Member<'a>) -> Self {
        let Member { node, interface, .. } = *member;
        let ns = Ns::Node(node.name.clone());
        match bridge_with_port(node, &interface.name) {
            Some(bridge) => {
                let addresses = addresses_of_bridge(node, bridge).map(|a| a.addr()).collect();
                Self { ns, dev: &bridge.name, mac: bridge.mac, addresses }
            }
            None => {
                let addresses = interface.addresses.iter().map(IpNet::addr).collect();
                Self { ns, dev: &interface.name, mac: interface.mac, addresses }
            }
        }
    }

    fn has_family_of(&self, address: &IpAddr) -> bool {
        self.addresses.iter().any(|own| own.is_ipv4() == address.is_ipv4())
    }
}

/// Permanent entries for all addresses of the same network; what the file says about an address stays.
fn add_neighbours<'a>(
    namespaces: &mut BTreeMap<Ns, Namespace>,
    networks: impl Iterator<Item = &'a Vec<Member<'a>>>,
) {
    for members in networks {
        let stations: Vec<Layer3<'_>> = members.iter().map(Layer3::of).collect();
        for own in &stations {
            let Some(namespace) = namespaces.get_mut(&own.ns) else { continue };
            let mut macs: HashMap<(IfName, IpAddr), Mac> = HashMap::new();
            for other in stations.iter().filter(|other| other.ns != own.ns) {
                for address in other.addresses.iter().filter(|address| own.has_family_of(address)) {
                    macs.insert((own.dev.clone(), *address), other.mac);
                }
            }
            for Neighbour { dev, to, .. } in &namespace.neighbours {
                macs.remove(&(dev.clone(), *to));
            }
            let entries = macs.into_iter().map(|((dev, to), mac)| Neighbour { dev, to, mac });
            namespace.neighbours.extend(entries);
        }
    }
}

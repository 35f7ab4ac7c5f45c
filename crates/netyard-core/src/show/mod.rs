//! What `netyard show` tells: a lab's definition joined with what the kernel holds for it.

mod connection;
pub(crate) mod meaning;
#[cfg(test)]
mod tests;

pub use connection::{Connection, Direction, Endpoint};

use crate::command::route_words;
use crate::lab::{Interface, Lab, Node, NodeKind, Role};
use crate::mac::Mac;
use crate::name::{IfName, LabName, NetworkName, NodeName};
use crate::nft::{Chain, ChainKind, Policy, Table};
use crate::state::{Link, LinkKind, Namespace, Ns, State};
use ipnet::IpNet;
use meaning::{LabNames, Reader};
use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;

/// A lab as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// Its name.
    pub lab: LabName,
    /// Its nodes in the order of the lab file.
    pub nodes: Vec<NodeView>,
    /// What could not be looked at, and why.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// A node as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// Its name.
    pub name: NodeName,
    /// What it is made of.
    pub kind: NodeKind,
    /// What it is for.
    pub role: Role,
    /// Interfaces in the order of the lab file, then those that somebody added; `lo` only where it has addresses of
    /// its own.
    pub interfaces: Vec<InterfaceView>,
    /// Routes as `ip route` says them, without those that the kernel makes for each address.
    pub routes: Vec<String>,
    /// Rules that choose a routing table, as `ip rule add` takes them; those of every namespace are left out.
    pub rules: Vec<String>,
    /// Rules that translate addresses.
    pub nat: Vec<RuleView>,
    /// Rules that let packets pass or not.
    pub firewall: Vec<RuleView>,
    /// Sockets that wait for others.
    pub sockets: Vec<Listening>,
    /// Programs that the lab file starts.
    pub programs: Vec<ProgramView>,
    /// Tracked connections; none where nobody asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<Connection>>,
}

/// An interface as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterfaceView {
    /// Its name.
    pub name: IfName,
    /// Ethernet address; none for `lo`.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Whether packets pass.
    pub state: LinkState,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// The network that the lab file puts it on.
    pub network: Option<NetworkName>,
    /// The other end of its cable; none for a link that has none.
    pub peer: Option<Peer>,
}

/// Whether packets pass an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// They do.
    Up,
    /// It was set down.
    Down,
    /// It is up and its other end is not.
    NoCarrier,
    /// The lab file has it, the kernel has not.
    Missing,
}

/// The other end of a cable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// The node where it ends; none when that is a port of the network's bridge.
    pub node: Option<NodeName>,
    /// The network whose port it is; none when it ends at a node.
    pub network: Option<NetworkName>,
    /// The interface or bridge port there.
    pub interface: IfName,
}

/// A rule of nf_tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleView {
    /// Family, table and chain: `inet netyard postrouting`.
    pub chain: String,
    /// As nft(8) says it.
    pub rule: String,
    /// What it does, with the lab's names; none where that is not known.
    pub meaning: Option<String>,
}

/// A socket that waits for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listening {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Where; unspecified for any address.
    pub address: SocketAddr,
}

/// A program of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProgramView {
    /// Its name.
    pub name: String,
    /// What is executed.
    pub argv: Vec<String>,
    /// What it does.
    pub state: ProgramState,
    /// Its exit code, when it has ended.
    pub status: Option<i32>,
    /// Whether it is ready; none where it says nothing of that.
    pub ready: Option<ReadyState>,
    /// How often it was started again.
    pub restarts: u32,
}

/// What a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramState {
    /// It has not been started: others must be ready first.
    Held,
    /// It runs.
    Running,
    /// It has ended and will be started again.
    Waiting,
    /// It has ended.
    Exited,
}

/// Whether a program is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyState {
    /// Not yet.
    Pending,
    /// It is, or was once.
    Ready,
    /// It was not in time, has ended before, or waits for one that has.
    Failed,
}

impl View {
    /// Joins the definition of a lab with its live state. Sockets, programs and connections are for the caller to add.
    #[must_use]
    pub fn new(lab: &Lab, live: &State) -> Self {
        let nodes = lab.nodes.iter().map(|node| node_view(lab, node, live)).collect();
        Self { lab: lab.name.clone(), nodes, notes: Vec::new() }
    }
}

fn node_view(lab: &Lab, node: &Node, live: &State) -> NodeView {
    let empty = Namespace::default();
    let here = live.namespaces.get(&Ns::Node(node.name.clone())).unwrap_or(&empty);
    let reader = Reader(LabNames { lab, node });
    NodeView {
        name: node.name.clone(),
        kind: node.kind,
        role: node.role,
        interfaces: interfaces(lab, node, here, live),
        routes: here.routes.iter().map(route_words).collect(),
        rules: here.rules.iter().map(ToString::to_string).collect(),
        nat: rules(&reader, here, |kind| kind == ChainKind::Nat),
        firewall: rules(&reader, here, |kind| kind != ChainKind::Nat),
        sockets: Vec::new(),
        programs: Vec::new(),
        connections: None,
    }
}

fn interfaces(lab: &Lab, node: &Node, here: &Namespace, live: &State) -> Vec<InterfaceView> {
    let described = node.interfaces.iter().map(|interface| match here.links.get(&interface.name) {
        Some(link) => seen(lab, &interface.name, link, Some(interface), here, live),
        None => missing(interface),
    });
    let is_described = |name: &IfName| node.interface(name.as_str()).is_some();
    let is_bare_loopback = |link: &Link| link.kind == LinkKind::Loopback && link.addresses.is_empty();
    let others = here.links.iter().filter(|(name, link)| !is_described(name) && !is_bare_loopback(link));
    described.chain(others.map(|(name, link)| seen(lab, name, link, None, here, live))).collect()
}

fn missing(interface: &Interface) -> InterfaceView {
    InterfaceView {
        name: interface.name.clone(),
        mac: Some(interface.mac),
        mtu: interface.mtu,
        state: LinkState::Missing,
        addresses: Vec::new(),
        network: Some(interface.network.clone()),
        peer: None,
    }
}

fn seen(
    lab: &Lab,
    name: &IfName,
    link: &Link,
    described: Option<&Interface>,
    here: &Namespace,
    live: &State,
) -> InterfaceView {
    let network = described.map(|interface| interface.network.clone());
    InterfaceView {
        name: name.clone(),
        mac: link.mac,
        mtu: link.mtu,
        state: state(name, link, here, live),
        addresses: in_order(link, described),
        peer: peer(lab, link, network.as_ref(), live),
        network,
    }
}

/// Addresses in the order of the lab file, then the others.
fn in_order(link: &Link, described: Option<&Interface>) -> Vec<IpNet> {
    let described: &[IpNet] = described.map_or(&[], |interface| &interface.addresses);
    let known = described.iter().filter(|address| link.addresses.contains(address));
    known.chain(link.addresses.iter().filter(|address| !described.contains(address))).copied().collect()
}

fn state(name: &IfName, link: &Link, here: &Namespace, live: &State) -> LinkState {
    let has_carrier = match &link.kind {
        LinkKind::Veth { peer_ns, peer } => {
            live.namespaces.get(peer_ns).and_then(|ns| ns.links.get(peer)).is_none_or(|link| link.is_up)
        }
        // A bridge has carrier while one of its ports has.
        LinkKind::Bridge(_) => here
            .links
            .iter()
            .filter(|(_, port)| port.master.as_ref() == Some(name))
            .any(|(port_name, port)| state(port_name, port, here, live) == LinkState::Up),
        _ => true,
    };
    match (link.is_up, has_carrier) {
        (false, _) => LinkState::Down,
        (true, false) => LinkState::NoCarrier,
        (true, true) => LinkState::Up,
    }
}

fn peer(lab: &Lab, link: &Link, network: Option<&NetworkName>, live: &State) -> Option<Peer> {
    let LinkKind::Veth { peer_ns, peer } = &link.kind else { return None };
    let interface = peer.clone();
    Some(match peer_ns {
        Ns::Node(node) => Peer { node: Some(node.clone()), network: None, interface },
        Ns::Fabric => {
            let of_port = || network_of_port(lab, live, peer);
            Peer { node: None, network: network.cloned().or_else(of_port), interface }
        }
    })
}

/// The network whose bridge has this port.
fn network_of_port(lab: &Lab, live: &State, port: &IfName) -> Option<NetworkName> {
    let bridge = live.namespaces.get(&Ns::Fabric)?.links.get(port)?.master.as_ref()?;
    lab.networks.iter().find(|network| network.bridge_name() == *bridge).map(|network| network.name.clone())
}

/// The rules of all chains of some kinds; chains that only rules jump to count as filters.
fn rules(
    reader: &Reader<LabNames<'_>>,
    here: &Namespace,
    is_wanted: impl Fn(ChainKind) -> bool,
) -> Vec<RuleView> {
    let kind = |chain: &Chain| chain.base.as_ref().map_or(ChainKind::Filter, |base| base.kind);
    let chains = here.tables.iter().flat_map(|table| table.chains.iter().map(move |chain| (table, chain)));
    let wanted = chains.filter(|(_, chain)| is_wanted(kind(chain)));
    wanted.flat_map(|(table, chain)| chain_rules(reader, table, chain)).collect()
}

fn chain_rules(reader: &Reader<LabNames<'_>>, table: &Table, chain: &Chain) -> Vec<RuleView> {
    let name = format!("{} {} {}", table.family, table.name, chain.name);
    let rules = chain.rules.iter().map(|rule| RuleView {
        chain: name.clone(),
        rule: rule.to_string(),
        meaning: reader.meaning(rule),
    });
    let drops = chain.base.as_ref().is_some_and(|base| base.policy == Policy::Drop);
    let policy = drops.then(|| RuleView {
        chain: name.clone(),
        rule: "policy drop".to_owned(),
        meaning: Some("what nothing above lets pass: is dropped".to_owned()),
    });
    rules.chain(policy).collect()
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::NoCarrier => "no-carrier",
            Self::Missing => "missing",
        })
    }
}

/// `b:eth0` for an interface of a node, `lan/pc` for a port of a network.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, &self.network) {
            (Some(node), _) => write!(f, "{node}:{}", self.interface),
            (None, Some(network)) => write!(f, "{network}/{}", self.interface),
            (None, None) => write!(f, "{}/{}", Ns::FABRIC, self.interface),
        }
    }
}

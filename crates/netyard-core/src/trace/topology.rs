//! Where the links of all namespaces lead, which addresses are whose: what following a packet has to know.

use super::sighting::Toward;
use crate::look::{Interface, Look, Seen};
use crate::mac::Mac;
use crate::name::IfName;
use crate::state::{LinkKind, Ns, RouteTarget};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// A link by its namespace and number there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// The namespace.
    pub node: Ns,
    /// The link's ifindex.
    pub index: u32,
}

/// All namespaces that packets are followed through.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    /// By name.
    pub nodes: BTreeMap<Ns, Node>,
    /// UDP ports that carry frames of VXLAN.
    pub vxlan_ports: BTreeSet<u16>,
}

/// One namespace.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its links by ifindex.
    pub links: BTreeMap<u32, Link>,
    /// Addresses and prefixes that it takes for its own.
    pub own: Vec<IpNet>,
    /// Sockets that wait for others.
    pub listening: Vec<Listening>,
}

/// A link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its name.
    pub name: IfName,
    /// What it is, as far as it matters for the way of packets.
    pub kind: Kind,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// The bridge that it is a port of.
    pub master: Option<u32>,
    /// The other end of its cable; itself for the loopback.
    pub peer: Option<At>,
    /// The link that it stands on.
    pub parent: Option<At>,
    /// Ethernet addresses that its bridge has learned behind it, and since when (nanoseconds since 1970; 0 for before).
    pub learned: BTreeMap<Mac, u64>,
    /// Layers of links below it.
    pub depth: u8,
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// It ends here, or at its peer.
    Plain,
    /// A bridge.
    Bridge,
    /// It hands frames on to its parent, with a tag or an address of its own.
    Upper,
    /// It puts packets into packets.
    Tunnel {
        /// The kernel's word.
        word: String,
        /// The network number.
        id: Option<u32>,
    },
}

/// A socket that waits for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// IANA protocol number.
    pub protocol: u8,
    /// Where; unspecified for any address.
    pub address: SocketAddr,
    /// The program that has it.
    pub program: Option<String>,
}

impl Topology {
    /// What a look has found.
    #[must_use]
    pub fn of(look: &Look) -> Self {
        let mut topology = Self::default();
        for seen in look.namespaces.iter().filter(|seen| seen.unread.is_none()) {
            topology.nodes.insert(seen.name.clone(), Node::of(seen));
            let vxlans = seen.state.links.values().filter_map(|link| match &link.kind {
                LinkKind::Vxlan(vxlan) => Some(vxlan.port),
                _ => None,
            });
            topology.vxlan_ports.extend(vxlans);
        }
        topology
    }

    /// A link.
    #[must_use]
    pub fn link(&self, at: &At) -> Option<&Link> {
        self.nodes.get(&at.node)?.links.get(&at.index)
    }

    /// Whether a packet that is seen there goes to where nothing can be seen.
    #[must_use]
    pub fn leaves_sight(&self, at: &At, toward: Toward) -> bool {
        let peer = self.link(at).and_then(|link| link.peer.as_ref());
        toward == Toward::Away && peer.is_none_or(|peer| self.link(peer).is_none())
    }

    /// The name of a link, for people.
    #[must_use]
    pub fn name(&self, at: &At) -> Option<IfName> {
        self.link(at).map(|link| link.name.clone())
    }

    /// Whether a namespace takes this address for its own.
    #[must_use]
    pub fn owns(&self, node: &Ns, address: IpAddr) -> bool {
        self.nodes.get(node).is_some_and(|node| node.owns(address))
    }
}

impl Node {
    fn of(seen: &Seen) -> Self {
        let index_of = |name: &str| seen.interfaces.iter().find(|i| i.name == name).map(|i| i.index);
        let mut links: BTreeMap<u32, Link> = seen
            .interfaces
            .iter()
            .filter_map(|interface| Some((interface.index, Link::of(seen, interface, &index_of)?)))
            .collect();
        let depths: Vec<(u32, u8)> =
            links.keys().map(|index| (*index, depth(&links, &seen.name, *index, 0))).collect();
        for (index, depth) in depths {
            links.entry(index).and_modify(|link| link.depth = depth);
        }
        let host = |address: &IpNet| IpNet::from(address.addr());
        let mut own: Vec<IpNet> = seen.interfaces.iter().flat_map(|i| i.addresses.iter().map(host)).collect();
        let is_local = |target: &RouteTarget| matches!(target, RouteTarget::Local(_));
        own.extend(seen.state.routes.iter().filter(|route| is_local(&route.target)).map(|route| route.to));
        let listening = seen.sockets.iter().map(|socket| Listening {
            protocol: if socket.protocol == "tcp" { crate::packet::TCP } else { crate::packet::UDP },
            address: socket.address,
            program: socket
                .process
                .as_ref()
                .map(|process| process.comm.clone())
                .filter(|comm| is_program(comm)),
        });
        Self { links, own, listening: listening.collect() }
    }

    /// Whether it takes this address for its own.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.iter().any(|own| own.contains(&address))
    }

    /// The socket that waits at this address and port.
    #[must_use]
    pub fn listener(&self, protocol: u8, to: IpAddr, port: u16) -> Option<&Listening> {
        let fits = |socket: &&Listening| {
            let at = socket.address.ip();
            socket.protocol == protocol && socket.address.port() == port && (at == to || at.is_unspecified())
        };
        self.listening.iter().find(fits)
    }

    /// The ports of a bridge.
    pub fn ports(&self, bridge: u32) -> impl Iterator<Item = (&u32, &Link)> {
        self.links.iter().filter(move |(_, link)| link.master == Some(bridge))
    }
}

impl Link {
    fn of(seen: &Seen, interface: &Interface, index_of: &dyn Fn(&str) -> Option<u32>) -> Option<Self> {
        let name = IfName::new(&interface.name).ok()?;
        let at = |end: &crate::look::End| Some(At { node: end.namespace.clone()?, index: end.index });
        let id = interface.settings.get("id").and_then(|id| id.parse().ok());
        let kind = match interface.kind.as_str() {
            "bridge" => Kind::Bridge,
            "vlan" | "macvlan" | "ipvlan" | "macvtap" | "bond" | "vrf" => Kind::Upper,
            word @ ("vxlan" | "gre" | "gretap" | "ipip" | "sit" | "geneve" | "ip6tnl" | "ip6gre") => {
                Kind::Tunnel { word: word.to_owned(), id }
            }
            _ => Kind::Plain,
        };
        let own = At { node: seen.name.clone(), index: interface.index };
        let is_loopback = interface.kind == "loopback";
        Some(Self {
            name,
            kind,
            mac: interface.mac,
            master: interface.master.as_deref().and_then(index_of),
            peer: if is_loopback { Some(own) } else { interface.peer.as_ref().and_then(at) },
            parent: interface.parent.as_ref().and_then(at),
            learned: BTreeMap::new(),
            depth: 0,
        })
    }
}

/// Whether it is the name of a program, and not that under which a holder has started itself.
fn is_program(comm: &str) -> bool {
    !comm.is_empty() && comm != "exe"
}

/// Links below a link: those that it stands on, or for a bridge its ports.
fn depth(links: &BTreeMap<u32, Link>, node: &Ns, index: u32, above: u8) -> u8 {
    const LAYERS_MAX: u8 = 8;
    let Some(link) = links.get(&index).filter(|_| above < LAYERS_MAX) else { return 0 };
    let parent = link.parent.as_ref().filter(|parent| parent.node == *node).map(|parent| parent.index);
    let ports = links.iter().filter(|(_, port)| port.master == Some(index)).map(|(port, _)| *port);
    // A tunnel stands on whatever link its packets leave by.
    let least = u8::from(matches!(link.kind, Kind::Tunnel { .. }));
    parent
        .into_iter()
        .chain(ports)
        .map(|below| depth(links, node, below, above + 1) + 1)
        .max()
        .unwrap_or(0)
        .max(least)
}

//! A lab as understood: every default filled in, every address given out, every reference resolved.
//!
//! A lab file becomes this (`labfile`), the builder of the library too; plans, pictures and expectations start here.

use crate::expect::Expectation;
use crate::mac::Mac;
use crate::name::{IfName, LabName, NetworkName, NodeName};
use crate::nft::{Policy, Ports, Protocol, Table};
use crate::shaping::Shaping;
use crate::state::{LinkKind, Neighbour, PolicyRule, Route, Stp};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One described network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lab {
    /// Its name.
    pub name: LabName,
    /// Layer-2 segments in the order of the file.
    pub networks: Vec<Network>,
    /// Nodes in the order of the file, ranges expanded.
    pub nodes: Vec<Node>,
    /// What `netyard test` checks.
    pub expectations: Vec<Expectation>,
    /// How close to hardware the links are.
    pub profile: Profile,
    /// How nodes learn each other's Ethernet addresses.
    pub arp: Arp,
    /// Whether IPv6 addresses pass duplicate address detection before they are usable (about 2 s).
    pub dad: bool,
}

/// How close to hardware the links are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Checksums are filled and packets are no longer than the MTU, as on a wire.
    #[default]
    Realistic,
    /// veth offloads stay on: faster, but captures show bad checksums and 64 KiB packets.
    Fast,
}

/// How nodes learn each other's Ethernet addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arp {
    /// By ARP and neighbour discovery.
    #[default]
    Dynamic,
    /// By permanent neighbour entries for every interface of the same network.
    Static,
}

/// A layer-2 segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its name; the bridge in the fabric has it too, shortened to 15 bytes where needed.
    pub name: NetworkName,
    /// What carries it.
    pub kind: NetworkKind,
    /// Prefixes in network form, at most one per address family; empty for a segment without addresses.
    pub prefixes: Vec<IpNet>,
    /// Largest packet in bytes of its bridge and of interfaces that name none.
    pub mtu: u32,
}

/// What carries a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    /// A learning bridge in the fabric.
    Bridge {
        /// Spanning tree, when on.
        stp: Option<Stp>,
        /// IGMP and MLD snooping.
        snoops_multicast: bool,
    },
    /// A bridge that learns nothing: every port sees every frame.
    Hub,
    /// A veth pair between exactly two interfaces.
    Cable,
}

/// A node: a network namespace, its programs and what they see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// What it is made of.
    pub kind: NodeKind,
    /// What it is for.
    pub role: Role,
    /// Interfaces in the order of `links`.
    pub interfaces: Vec<Interface>,
    /// Bridges inside the node.
    pub bridges: Vec<NodeBridge>,
    /// Links of its own: on other links, over UDP, or to programs.
    #[serde(default)]
    pub own_links: Vec<OwnLink>,
    /// Addresses of its loopback besides the kernel's own.
    #[serde(default)]
    pub loopback: Vec<IpNet>,
    /// Interfaces that are set down.
    #[serde(default)]
    pub down: Vec<IfName>,
    /// Tables of nf_tables as the file writes them, besides that of translations and firewall.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Routes, the default route through its gateway included.
    pub routes: Vec<Route>,
    /// Rules that choose a routing table, besides those that every namespace is born with.
    #[serde(default)]
    pub rules: Vec<PolicyRule>,
    /// Whether it forwards IPv4 packets.
    pub forwards_ipv4: bool,
    /// Whether it forwards IPv6 packets.
    pub forwards_ipv6: bool,
    /// Address translation in order.
    pub nat: Vec<Nat>,
    /// Packet filter.
    pub firewall: Option<Firewall>,
    /// Sysctls that the file sets, by dotted key below `net.`.
    pub sysctls: BTreeMap<String, String>,
    /// Permanent neighbour entries that the file sets.
    pub neighbours: Vec<Neighbour>,
    /// Programs that run as long as the lab does.
    pub programs: Vec<Program>,
    /// Programs that `down` runs before the lab ends, one after another in this order.
    #[serde(default)]
    pub on_down: Vec<Program>,
    /// Its file system; of a node of kind [`NodeKind::Full`] only.
    #[serde(default)]
    pub root: NodeRoot,
    /// Environment of its programs and of what is executed in it.
    pub env: BTreeMap<String, String>,
    /// Host name where it is not the node's name.
    pub hostname: Option<String>,
    /// Connection to the real network.
    pub uplink: Option<Uplink>,
    /// Free words for pictures and selections.
    pub labels: BTreeMap<String, String>,
}

/// What a node is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A network namespace of the lab.
    #[default]
    Net,
    /// Network, mount, pid, uts, ipc and cgroup namespaces: a node with files and processes of its own.
    Full,
    /// The namespace in which netyard was started (needs root and `--allow-host`).
    Host,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An end node.
    #[default]
    Host,
    /// A node that forwards.
    Router,
    /// A node whose only business is its bridges.
    Bridge,
    /// Answers for every address that the lab does not use, with ICMP, HTTP on 80 and DNS on 53.
    Internet,
}

/// An interface of a node and the other end of its veth pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name in the node.
    pub name: IfName,
    /// The network it is on.
    pub network: NetworkName,
    /// Name of the bridge's side in the fabric, unique there; unused on a cable.
    pub port: IfName,
    /// Ethernet address.
    pub mac: Mac,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Addresses with prefix lengths, the first of a family is the one that names resolve to.
    pub addresses: Vec<IpNet>,
    /// What happens to packets that the node sends here.
    pub up: Shaping,
    /// What happens to packets that the node receives here.
    pub down: Shaping,
}

/// A link of a node that leads to no network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnLink {
    /// Its name.
    pub name: IfName,
    /// What it is.
    pub kind: LinkKind,
    /// Ethernet address; none for one that has none.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Addresses with prefix lengths.
    pub addresses: Vec<IpNet>,
}

/// A bridge inside a node, for labs about bridges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeBridge {
    /// Its name.
    pub name: IfName,
    /// Ethernet address.
    pub mac: Mac,
    /// Interfaces of the node that are its ports.
    pub ports: Vec<IfName>,
    /// Spanning tree, when on.
    pub stp: Option<Stp>,
    /// Whether it learns addresses.
    #[serde(default = "yes")]
    pub learns: bool,
    /// IGMP and MLD snooping.
    #[serde(default)]
    pub snoops_multicast: bool,
    /// Addresses of the bridge itself.
    pub addresses: Vec<IpNet>,
}

fn yes() -> bool {
    true
}

/// One translation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// Sources become the address of the outgoing interface. Always scoped to that interface.
    Masquerade {
        /// Source prefixes; empty for every source.
        from: Vec<IpNet>,
        /// Outgoing interface.
        out: IfName,
    },
    /// Sources become this address.
    Snat {
        /// Source prefixes; empty for every source.
        from: Vec<IpNet>,
        /// Outgoing interface.
        out: IfName,
        /// New source.
        to: IpAddr,
    },
    /// A port of this node is passed on to another node.
    PortForward {
        /// `tcp` or `udp`.
        protocol: Protocol,
        /// Interface whose addresses are the public ones.
        incoming: IfName,
        /// The addresses of `incoming` that are translated, of the target's family.
        addresses: Vec<IpAddr>,
        /// Public ports, at least one.
        ports: Ports,
        /// Where to: the first of as many ports.
        to: SocketAddr,
        /// When not empty, clients on every interface reach the target by the public address. Those on the target's
        /// own network (these prefixes) are masqueraded, so that answers come back this way.
        hairpin: Vec<IpNet>,
    },
}

/// A small stateful packet filter. Established and related packets always pass.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Firewall {
    /// Packets to the node itself; loopback always passes.
    pub input: Option<FirewallChain>,
    /// Packets through the node.
    pub forward: Option<FirewallChain>,
}

/// One direction of a firewall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirewallChain {
    /// What happens to new connections that nothing allows.
    pub policy: Policy,
    /// What passes (policy drop) or is dropped (policy accept does not look at them).
    pub allow: Vec<Allow>,
}

/// New connections that a firewall lets pass: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Allow {
    /// Incoming interface.
    pub incoming: Option<IfName>,
    /// Outgoing interface (forward only).
    pub out: Option<IfName>,
    /// Source prefix.
    pub from: Option<IpNet>,
    /// Destination prefix.
    pub to: Option<IpNet>,
    /// Protocol.
    pub protocol: Option<Protocol>,
    /// ICMP or ICMPv6 type; of other protocols none.
    pub icmp_type: Option<u8>,
    /// Destination ports (tcp and udp); empty for all.
    pub ports: Vec<Ports>,
}

/// A program of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name, unique in the node; the first word's file name where none is given.
    pub name: String,
    /// Program and arguments; a text in the file becomes `sh -c TEXT`.
    pub argv: Vec<String>,
    /// When it is started again.
    pub restart: Restart,
    /// Environment on top of the node's.
    pub env: BTreeMap<String, String>,
    /// When it counts as ready; as soon as it is started where nothing is said.
    #[serde(default)]
    pub ready: Option<Ready>,
    /// Programs, of this node or others, that must be ready before it starts.
    #[serde(default)]
    pub after: Vec<ProgramOf>,
}

/// A program of a lab, told by its node and its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProgramOf {
    /// The node that it runs in.
    pub node: NodeName,
    /// Its name there.
    pub program: String,
}

/// `NODE/PROGRAM`, as in the lab file.
impl fmt::Display for ProgramOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.program)
    }
}

/// When a program counts as ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What must come true.
    pub when: ReadyWhen,
    /// Time in milliseconds until which it must; `up` fails after that.
    pub within_ms: u32,
}

/// What makes a program ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyWhen {
    /// Somebody in its node listens on this TCP port.
    Port(u16),
    /// This program, run in its node, ends with code 0.
    Command(Vec<String>),
    /// It has printed a line with this text.
    Log(String),
    /// It has ended with code 0: it is a job, not a server.
    Ended,
}

/// What the file system of a full node is made of, besides `/proc`, `/sys`, `/dev`, `/run` and `/tmp`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRoot {
    /// What lies below everything.
    #[serde(default)]
    pub base: RootBase,
    /// Package layers by name (`netyard layer`), the uppermost last.
    #[serde(default)]
    pub layers: Vec<String>,
    /// Files of its own, later ones over earlier ones.
    #[serde(default)]
    pub files: Vec<NodeFile>,
    /// Folders of the machine that it shares.
    #[serde(default)]
    pub binds: Vec<NodeBind>,
}

impl NodeRoot {
    /// Whether a file says nothing of it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// What lies below everything else in a full node's file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootBase {
    /// The machine's own programs and files, as anybody may read them.
    #[default]
    Machine,
    /// A folder with a root file system, absolute or below the lab file's folder.
    Folder(String),
    /// An archive (tar, also compressed with gzip) of a root file system, absolute or below the lab file's folder.
    Archive(String),
}

/// A file or tree of files of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// Where it is in the node, absolute; a tree is laid over the folder that is there.
    pub path: String,
    /// What is in it.
    pub content: FileContent,
    /// Permission bits; those of the source where none are given, 0644 for a text.
    #[serde(default)]
    pub mode: Option<u32>,
    /// `USER` or `USER:GROUP` of the node; root where none is given.
    #[serde(default)]
    pub owner: Option<String>,
}

/// What is in a file of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileContent {
    /// This text.
    Text(String),
    /// A copy of a file or tree below the lab file's folder.
    From {
        /// Path below the lab file's folder.
        path: String,
        /// Whether byte order marks and carriage returns are taken out of texts, as Kathara does.
        fixes_text: bool,
    },
}

/// A folder of the machine that a node sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBind {
    /// The folder on the machine, absolute or below the lab file's folder.
    pub source: String,
    /// Where the node sees it, absolute.
    pub path: String,
    /// Whether the node may not write there.
    pub is_read_only: bool,
}

/// When an ended program is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    #[default]
    Never,
    /// After an exit code other than 0, or a signal.
    OnFailure,
    /// Whenever it ends.
    Always,
}

/// Connection of a node to the real network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uplink {
    /// By the program `pasta` (package passt), without access to the host's loopback.
    Pasta,
}

impl Lab {
    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The network of that name.
    #[must_use]
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == *name)
    }

    /// The node that has this address on an interface or bridge.
    #[must_use]
    pub fn node_with_address(&self, address: IpAddr) -> Option<&Node> {
        self.nodes.iter().find(|node| node.addresses().any(|own| own.addr() == address))
    }

    /// Whether any interface or route of the lab is IPv6; otherwise IPv6 is off in its namespaces.
    #[must_use]
    pub fn uses_ipv6(&self) -> bool {
        self.networks.iter().flat_map(|n| &n.prefixes).any(|p| p.addr().is_ipv6())
            || self.nodes.iter().any(|n| n.forwards_ipv6 || n.addresses().any(|a| a.addr().is_ipv6()))
    }
}

impl Network {
    /// The name of its bridge in the fabric: its own, shortened where the kernel would not take it.
    #[must_use]
    pub fn bridge_name(&self) -> IfName {
        IfName::shortened(self.name.as_str())
    }
}

impl Node {
    /// An end node without interfaces, routes, files or programs.
    #[must_use]
    pub fn named(name: NodeName) -> Self {
        Self {
            name,
            kind: NodeKind::default(),
            role: Role::default(),
            interfaces: Vec::new(),
            bridges: Vec::new(),
            own_links: Vec::new(),
            loopback: Vec::new(),
            down: Vec::new(),
            tables: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            forwards_ipv4: false,
            forwards_ipv6: false,
            nat: Vec::new(),
            firewall: None,
            sysctls: BTreeMap::new(),
            neighbours: Vec::new(),
            programs: Vec::new(),
            on_down: Vec::new(),
            root: NodeRoot::default(),
            env: BTreeMap::new(),
            hostname: None,
            uplink: None,
            labels: BTreeMap::new(),
        }
    }

    /// The name of the interface of its uplink: the first of `uplink0`, `uplink1`, ... that nothing else in it has.
    ///
    /// # Panics
    /// Never: no node has so many interfaces.
    #[must_use]
    pub fn uplink_name(&self) -> IfName {
        let is_taken = |name: &IfName| {
            self.interface(name.as_str()).is_some() || self.bridges.iter().any(|bridge| bridge.name == *name)
        };
        let names = (0..100_000).map(|n| IfName::new(format!("uplink{n}")).expect("at most 11 characters"));
        names.into_iter().find(|name| !is_taken(name)).expect("fewer interfaces than names")
    }

    /// The interface of that name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == *name)
    }

    /// All addresses, those of its bridges included.
    pub fn addresses(&self) -> impl Iterator<Item = IpNet> + '_ {
        let bridges = self.bridges.iter().flat_map(|bridge| bridge.addresses.iter().copied());
        let own = self.own_links.iter().flat_map(|link| link.addresses.iter().copied());
        let own = bridges.chain(own).chain(self.loopback.iter().copied());
        self.interfaces.iter().flat_map(|interface| interface.addresses.iter().copied()).chain(own)
    }

    /// Whether it has a link of that name: an interface, a bridge, or one of its own.
    #[must_use]
    pub fn has_link(&self, name: &str) -> bool {
        self.interface(name).is_some()
            || self.bridges.iter().any(|bridge| bridge.name == *name)
            || self.own_links.iter().any(|link| link.name == *name)
    }

    /// The address that its name resolves to first, of one family where that is asked for.
    #[must_use]
    pub fn address(&self, is_ipv6: Option<bool>) -> Option<IpAddr> {
        self.addresses().map(|a| a.addr()).find(|a| is_ipv6.is_none_or(|six| a.is_ipv6() == six))
    }

    /// Its host name.
    #[must_use]
    pub fn hostname(&self) -> &str {
        self.hostname.as_deref().unwrap_or(self.name.as_str())
    }
}

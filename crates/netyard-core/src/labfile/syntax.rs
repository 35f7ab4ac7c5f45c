//! What is written in a lab file, decoded but not yet put in relation: names are still text with a place.

use super::shape::ShapingDecl;
use crate::diagnostic::Span;
use crate::expect::{Outcome, RouteProtocol};
use crate::fault::Cause;
use crate::lab::{Arp, FileContent, NodeKind, Profile, Ready, Restart, Role, RootBase, Uplink};
use crate::mac::Mac;
use crate::name::{IfName, LabName};
use crate::nft::{Policy, Ports, Protocol, Table};
use crate::state::{MacvlanMode, PolicyAction, Stp, Vxlan};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A value and its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct At<T> {
    pub value: T,
    pub span: Span,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A name that stands for something defined elsewhere.
pub(crate) type Word = At<String>;

#[derive(Debug, Default)]
pub(crate) struct FileDecl {
    pub span: Span,
    /// A part of the top could not be read: names that nobody defines may be defined there.
    pub is_partial: bool,
    pub name: Option<LabName>,
    pub profile: Profile,
    pub arp: Arp,
    pub dad: bool,
    pub networks: Vec<NetworkDecl>,
    pub network_defaults: NetworkDefaults,
    pub node_defaults: NodeDecl,
    pub groups: Vec<GroupDecl>,
    pub nodes: Vec<(Word, NodeDecl)>,
    pub expect: Vec<ExpectDecl>,
}

#[derive(Debug, Default)]
pub(crate) struct NetworkDefaults {
    pub mtu: Option<u32>,
    pub shaping: ShapingDecl,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SegmentKind {
    #[default]
    Bridge,
    Hub,
    Cable,
}

#[derive(Debug)]
pub(crate) struct NetworkDecl {
    pub name: Word,
    pub prefixes: Vec<At<IpNet>>,
    pub kind: SegmentKind,
    pub mtu: Option<u32>,
    pub stp: Option<Stp>,
    pub snoops_multicast: bool,
    pub shaping: ShapingDecl,
    /// Some prefix of it could not be read: what follows from the lack of prefixes is not reported.
    pub is_partial: bool,
}

#[derive(Debug)]
pub(crate) struct GroupDecl {
    pub name: Word,
    pub members: Vec<Word>,
    pub decl: NodeDecl,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct NodeDecl {
    /// Something of it could not be read: what follows from the lack of it is not reported.
    pub is_partial: bool,
    /// How many values of the file it is made of.
    pub weight: usize,
    pub role: Option<Role>,
    pub kind: Option<NodeKind>,
    pub groups: Vec<Word>,
    pub links: Option<Vec<LinkDecl>>,
    pub bridges: Option<Vec<BridgeDecl>>,
    pub interfaces: Option<Vec<OwnLinkDecl>>,
    pub down: Option<Vec<At<IfName>>>,
    pub tables: Option<Vec<Table>>,
    pub mtu: Option<At<u32>>,
    pub routes: Option<Vec<RouteDecl>>,
    pub rules: Option<Vec<RuleDecl>>,
    pub gateway: Option<At<GatewayDecl>>,
    pub forward: Option<At<ForwardDecl>>,
    pub masquerade: Option<Vec<MasqueradeDecl>>,
    pub nat: Option<Vec<NatDecl>>,
    pub firewall: Option<FirewallDecl>,
    pub sysctls: BTreeMap<String, String>,
    pub neighbours: Option<Vec<NeighbourDecl>>,
    pub run: Option<Vec<ProgramDecl>>,
    pub stop: Option<Vec<ProgramDecl>>,
    pub files: Option<Vec<NodeFileDecl>>,
    pub rootfs: Option<At<RootBase>>,
    pub layers: Option<Vec<Word>>,
    pub binds: Option<Vec<BindDecl>>,
    pub frr: Option<FrrDecl>,
    pub env: BTreeMap<String, String>,
    pub hostname: Option<String>,
    pub uplink: Option<Option<Uplink>>,
    pub labels: BTreeMap<String, String>,
}

/// Which address a link gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AddressDecl {
    /// One per prefix of the network, in order.
    Auto,
    /// This one; with the network's length where none is given.
    Given { address: IpAddr, prefix_len: Option<u8> },
    /// None at all.
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) struct LinkDecl {
    pub network: Word,
    pub addresses: Vec<At<AddressDecl>>,
    pub name: Option<At<IfName>>,
    pub port: Option<At<IfName>>,
    pub mac: Option<At<Mac>>,
    pub mtu: Option<At<u32>>,
    pub up: ShapingDecl,
    pub down: ShapingDecl,
}

#[derive(Debug, Clone)]
pub(crate) struct BridgeDecl {
    pub name: At<IfName>,
    /// Interfaces or networks; every interface of the node where none are given.
    pub ports: Option<Vec<Word>>,
    pub mac: Option<At<Mac>>,
    pub stp: Option<Stp>,
    pub learns: bool,
    pub snoops_multicast: bool,
    pub addresses: Vec<At<AddressDecl>>,
}

/// A link of a node that leads to no network.
#[derive(Debug, Clone)]
pub(crate) struct OwnLinkDecl {
    pub name: At<IfName>,
    pub kind: OwnKindDecl,
    pub mac: Option<Mac>,
    pub mtu: Option<u32>,
    pub addresses: Vec<At<AddressDecl>>,
}

/// Parents are interfaces, or `node:interface`.
#[derive(Debug, Clone)]
pub(crate) enum OwnKindDecl {
    Loopback,
    Macvlan { parent: Word, mode: MacvlanMode },
    Vlan { parent: Word, id: u16 },
    Vxlan { parent: Option<Word>, vxlan: Vxlan },
    Tun { is_tap: bool },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Destination {
    Default,
    Prefix(IpNet),
    /// A network or node.
    Named(String),
}

#[derive(Debug, Clone)]
pub(crate) struct RouteDecl {
    pub to: At<Destination>,
    pub hops: Vec<HopDecl>,
    pub kind: RouteKind,
    pub src: Option<At<IpAddr>>,
    pub metric: Option<u32>,
    pub table: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteKind {
    Unicast,
    Unreachable,
    Blackhole,
    Prohibit,
}

/// A rule that chooses a routing table.
#[derive(Debug, Clone)]
pub(crate) struct RuleDecl {
    pub span: Span,
    /// That after the rule before where none is given.
    pub priority: Option<u32>,
    pub is_inverted: bool,
    pub from: Option<At<Destination>>,
    pub to: Option<At<Destination>>,
    pub incoming: Option<Word>,
    pub out: Option<Word>,
    pub mark: Option<(u32, u32)>,
    pub action: PolicyAction,
}

#[derive(Debug, Clone)]
pub(crate) struct HopDecl {
    pub via: Option<At<Via>>,
    pub dev: Option<Word>,
    pub weight: u16,
    pub onlink: bool,
}

/// An address, or the node that has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Via {
    Address(IpAddr),
    Node(String),
}

#[derive(Debug, Clone)]
pub(crate) enum GatewayDecl {
    Nothing,
    Via(Vec<At<Via>>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ForwardDecl {
    pub ipv4: bool,
    /// `None`: where the lab uses IPv6.
    pub ipv6: Option<bool>,
}

#[derive(Debug, Clone)]
pub(crate) struct MasqueradeDecl {
    pub span: Span,
    /// Networks, nodes or prefixes.
    pub from: Vec<Word>,
    /// Networks or interfaces.
    pub out: Vec<Word>,
}

#[derive(Debug, Clone)]
pub(crate) enum NatDecl {
    Masquerade(Vec<MasqueradeDecl>),
    Snat { span: Span, from: Vec<Word>, out: Vec<Word>, to: At<IpAddr> },
    PortForward(PortForwardDecl),
}

#[derive(Debug, Clone)]
pub(crate) struct PortForwardDecl {
    pub span: Span,
    pub ports: Vec<At<Ports>>,
    pub protocols: Vec<Protocol>,
    pub incoming: Option<Word>,
    pub to: At<Via>,
    /// The target's ports: the first of them, or as many as there are public ones.
    pub to_ports: Option<Ports>,
    pub hairpin: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct FirewallDecl {
    pub input: Option<ChainDecl>,
    pub forward: Option<ChainDecl>,
}

#[derive(Debug, Clone)]
pub(crate) struct ChainDecl {
    pub policy: Policy,
    pub allow: Vec<AllowDecl>,
}

#[derive(Debug, Clone)]
pub(crate) struct AllowDecl {
    pub span: Span,
    pub from: Vec<Word>,
    pub to: Vec<Word>,
    pub incoming: Vec<Word>,
    pub out: Vec<Word>,
    pub traffic: Vec<Traffic>,
}

/// A protocol that passes, or a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    pub protocol: Protocol,
    /// Empty for all.
    pub ports: Vec<Ports>,
    pub icmp_type: Option<u8>,
}

impl From<Protocol> for Traffic {
    fn from(protocol: Protocol) -> Self {
        Self { protocol, ports: Vec::new(), icmp_type: None }
    }
}

impl Traffic {
    /// The echo requests of ICMP or ICMPv6.
    pub(crate) fn pings(protocol: Protocol) -> Self {
        Self { icmp_type: protocol.echo_request(), ..protocol.into() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct NeighbourDecl {
    pub to: At<Via>,
    pub mac: Option<Mac>,
    pub dev: Option<Word>,
}

#[derive(Debug, Clone)]
pub(crate) struct ProgramDecl {
    pub name: Option<Word>,
    pub argv: Vec<String>,
    pub restart: Restart,
    pub env: BTreeMap<String, String>,
    pub ready: Option<Ready>,
    /// Programs of the same node.
    pub after: Vec<Word>,
}

/// A file or tree in a node.
#[derive(Debug, Clone)]
pub(crate) struct NodeFileDecl {
    /// Where it is in the node, without `.` and empty parts.
    pub path: Word,
    pub content: FileContent,
    pub mode: Option<u32>,
    pub owner: Option<String>,
}

/// Routing daemons of a node.
#[derive(Debug, Clone)]
pub(crate) struct FrrDecl {
    pub span: Span,
    pub daemons: Vec<FrrDaemonDecl>,
    /// One configuration for all of them.
    pub config: Option<FileContent>,
}

#[derive(Debug, Clone)]
pub(crate) struct FrrDaemonDecl {
    pub name: &'static str,
    pub config: Option<FileContent>,
}

/// A folder of the machine that a node sees.
#[derive(Debug, Clone)]
pub(crate) struct BindDecl {
    pub source: String,
    pub path: Word,
    pub is_read_only: bool,
}

#[derive(Debug)]
pub(crate) struct ExpectDecl {
    pub span: Span,
    pub from: Vec<Word>,
    pub probe: ProbeDecl,
    pub outcome: Outcome,
    pub seen_as: Option<At<Via>>,
    pub within_ms: u32,
    pub dropped: Option<DroppedDecl>,
}

/// Why something must not arrive.
#[derive(Debug)]
pub(crate) struct DroppedDecl {
    pub by: Option<Cause>,
    pub at: Option<Word>,
}

/// Whom a probe is for, with the port behind a colon.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TargetDecl {
    pub host: Word,
    pub port: Option<u16>,
}

#[derive(Debug)]
pub(crate) enum ProbeDecl {
    Ping { to: Vec<TargetDecl>, ping: PingDecl },
    Tcp { to: Vec<TargetDecl> },
    Udp { to: Vec<TargetDecl>, payload: String, answer: Option<String> },
    Http { to: Vec<TargetDecl>, path: String, status: Option<u16>, contains: Option<String> },
    Dns { name: String, server: Option<TargetDecl>, is_ipv6: bool, address: Option<At<Via>> },
    Route { to: Vec<TargetDecl>, via: Option<At<Via>>, dev: Option<Word>, protocol: Option<RouteProtocol> },
    OspfNeighbour { to: Vec<TargetDecl>, state: String },
    BgpSession { to: Vec<TargetDecl>, state: String, remote_as: Option<u32> },
    Neighbour { to: Vec<TargetDecl>, mac: Option<Mac>, state: Option<String> },
    Path { to: Option<TargetDecl>, nodes: Vec<Word> },
    Throughput { to: Vec<TargetDecl>, rate_bit_per_s: u64, tolerance_percent: f64 },
}

#[derive(Debug, Clone, Default)]
pub(crate) struct PingDecl {
    pub count: Option<u32>,
    pub size: Option<u16>,
    pub df: bool,
    pub ttl: Option<u8>,
    pub answer_ttl: Option<u8>,
    pub hops: Option<u8>,
    pub rtt_us_max: Option<u32>,
    pub rtt_us_min: Option<u32>,
    pub source: Option<At<IpAddr>>,
}

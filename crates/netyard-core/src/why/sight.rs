//! What is read of a namespace to follow packets through it.

use crate::mac::Mac;
use crate::name::IfName;
use crate::nft::{BaseChain, Family, Rule};
use crate::state::{MacvlanMode, Ns, PolicyRule};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Links and addresses of a namespace: enough to know where cables lead and who has an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Its links, `lo` included.
    pub links: Vec<Link>,
    /// Its addresses.
    pub addresses: Vec<Address>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// ifindex.
    pub index: u32,
    /// Its name.
    pub name: IfName,
    /// What it is.
    pub kind: LinkKind,
    /// Ethernet address.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// `IFF_*` (netdevice(7)).
    pub flags: u32,
    /// ifindex of the bridge (or bond, or VRF) that it is a port of.
    pub master: Option<u32>,
    /// What its port of a bridge does.
    pub port: Option<Port>,
    /// The other end of a veth, or the link that it stands on.
    pub end: Option<End>,
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkKind {
    /// The loopback.
    Loopback,
    /// One end of a cable.
    Veth,
    /// A bridge.
    Bridge(Bridge),
    /// A second Ethernet address on another link.
    Macvlan(MacvlanMode),
    /// The frames of another link with this tag.
    Vlan(u16),
    /// A network over UDP.
    Vxlan(Vxlan),
    /// Another kind, by the kernel's word; empty for hardware.
    Other(String),
}

/// One end of a network over UDP (RFC 7348).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vxlan {
    /// Network identifier (VNI).
    pub id: u32,
    /// Where frames go whose address is not known: another end, or a multicast group.
    pub remote: Option<IpAddr>,
    /// Source address.
    pub local: Option<IpAddr>,
    /// UDP port of all ends.
    pub port: u16,
    /// Whether it learns from frames at which end an address is.
    pub learns: bool,
}

impl Vxlan {
    /// Whether it takes the frames that another end sends.
    #[must_use]
    pub fn takes(&self, other: &Self) -> bool {
        (self.id, self.port) == (other.id, other.port)
    }

    /// Bytes that it puts before a packet: Ethernet, VXLAN, UDP and IP header.
    #[must_use]
    pub fn overhead(remote: IpAddr) -> u32 {
        14 + 8 + 8 + if remote.is_ipv4() { 20 } else { 40 }
    }
}

/// A bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Whether it runs a spanning tree.
    pub has_stp: bool,
    /// Seconds in each of listening and learning.
    pub forward_delay_s: u8,
    /// Whether it looks at tags.
    pub filters_vlans: bool,
    /// Whether this bridge passes frames through iptables, whatever the namespace says (`nf_call_iptables`).
    pub calls_iptables: bool,
}

/// What a port of a bridge does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// `BR_STATE_*` (linux/if_bridge.h); 3 is forwarding.
    pub state: u8,
    /// Whether it passes nothing to other isolated ports.
    pub is_isolated: bool,
    /// Whether frames for unknown addresses leave by it.
    pub floods: bool,
    /// Whether frames may leave by the port that they came by.
    pub is_hairpin: bool,
}

impl Port {
    /// `disabled`, `listening`, `learning`, `forwarding` or `blocking`.
    #[must_use]
    pub fn word(self) -> &'static str {
        let words = ["disabled", "listening", "learning", "forwarding", "blocking"];
        words.get(usize::from(self.state)).copied().unwrap_or("unknown")
    }
}

/// A link somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its namespace; none when nothing that can be seen holds it.
    pub ns: Option<Ns>,
    /// Its ifindex there.
    pub index: u32,
}

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// ifindex of its link.
    pub index: u32,
    /// Address and prefix length.
    pub prefix: IpNet,
    /// The address at the other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// Whether it may be used: not while duplicate address detection goes on or has failed.
    pub is_usable: bool,
}

const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 0x10000;

impl Link {
    /// Administratively up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// Whether the wire is alive.
    #[must_use]
    pub fn has_carrier(&self) -> bool {
        self.flags & IFF_LOWER_UP != 0
    }

    /// What it is as a bridge.
    #[must_use]
    pub fn bridge(&self) -> Option<Bridge> {
        match self.kind {
            LinkKind::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    /// What it is as an end of a network over UDP.
    #[must_use]
    pub fn vxlan(&self) -> Option<Vxlan> {
        match self.kind {
            LinkKind::Vxlan(vxlan) => Some(vxlan),
            _ => None,
        }
    }

    /// Whether it is the loopback.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.kind == LinkKind::Loopback
    }
}

impl Outline {
    /// The link of that number.
    #[must_use]
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The link of that name.
    #[must_use]
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name.as_str() == name)
    }

    /// The addresses of a link.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |address| address.index == index)
    }

    /// Whether an address is one of its own.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.prefix.addr() == address)
    }

    /// The addresses that others may know: neither loopback nor link-local.
    pub fn global_addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(|own| is_global(own.prefix.addr()))
    }
}

/// Neither loopback nor link-local.
#[must_use]
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

/// The rest: what decides about packets inside of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Neighbours that were learned, set, or asked for in vain.
    pub neighbours: Vec<Neighbour>,
    /// What bridges have learned.
    pub learned: Vec<Learned>,
    /// Routes of all tables but `local`.
    pub routes: Vec<Route>,
    /// Rules that choose a table, in the order of the kernel.
    #[serde(default)]
    pub policy: Vec<PolicyRule>,
    /// Rules, nf_tables and legacy.
    pub rulesets: Vec<Ruleset>,
    /// Why rules could not be read, where they could not.
    pub unread_rules: Option<String>,
    /// Values below `/proc/sys` by dotted key.
    pub sysctls: BTreeMap<String, String>,
    /// How full the machine's tables of neighbours are.
    pub neighbour_tables: Vec<NeighbourTable>,
}

/// A neighbour entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// ifindex.
    pub index: u32,
    /// Its address.
    pub to: IpAddr,
    /// Its Ethernet address, where known.
    pub mac: Option<Mac>,
    /// `NUD_*` (linux/neighbour.h).
    pub state: u16,
}

impl Neighbour {
    const WORDS: [(u16, &'static str); 8] = [
        (0x01, "incomplete"),
        (0x02, "reachable"),
        (0x04, "stale"),
        (0x08, "delay"),
        (0x10, "probe"),
        (0x20, "failed"),
        (0x40, "noarp"),
        (0x80, "permanent"),
    ];

    /// The word of ip-neighbour(8).
    #[must_use]
    pub fn word(&self) -> &'static str {
        Self::WORDS.iter().find(|(bit, _)| self.state & bit != 0).map_or("none", |(_, word)| word)
    }

    /// The Ethernet address to which the kernel sends without asking (`NUD_VALID`).
    #[must_use]
    pub fn known_mac(&self) -> Option<Mac> {
        const NUD_VALID: u16 = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08;
        self.mac.filter(|_| self.state & NUD_VALID != 0)
    }

    /// Whether somebody set it, so that it is never asked for.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.state & 0x80 != 0
    }
}

/// An entry of a bridge's table, or of a vxlan's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// ifindex of the port, or of the vxlan link.
    pub port: u32,
    /// ifindex of the bridge.
    pub bridge: Option<u32>,
    /// The Ethernet address.
    pub mac: Mac,
    /// Whether it is a port's own.
    pub is_own: bool,
    /// The other end, where it is a vxlan's.
    pub remote: Option<IpAddr>,
}

/// A route, as far as it helps to explain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination.
    pub to: IpNet,
    /// Table; 254 is main.
    pub table: u32,
    /// Priority.
    pub metric: u32,
    /// Next hops: gateway and ifindex.
    pub hops: Vec<(Option<IpAddr>, u32)>,
    /// `RTN_*` (linux/rtnetlink.h).
    pub kind: u8,
}

/// A table of rules with the numbers and counts that the kernel has for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// Of iptables-legacy, else of nf_tables.
    pub is_legacy: bool,
    /// Family.
    pub family: Family,
    /// Name.
    pub name: String,
    /// Chains.
    pub chains: Vec<Chain>,
    /// Sets and maps with a name that rules look into.
    #[serde(default)]
    pub sets: Vec<NamedSet>,
}

/// A set or map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSet {
    /// Name.
    pub name: String,
    /// Its elements as rules have them that need no name: `{ 80, 443 }`.
    pub elements: String,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Name.
    pub name: String,
    /// Where packets enter it.
    pub base: Option<BaseChain>,
    /// The links that it is at (ingress and egress).
    pub devices: Vec<String>,
    /// Rules in order.
    pub rules: Vec<PlacedRule>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedRule {
    /// The kernel's number for it; its place from 1 in a legacy chain.
    pub handle: u64,
    /// The rule.
    pub rule: Rule,
    /// Packets that met it, where it counts.
    pub packets: Option<u64>,
}

/// How full a table of neighbours is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourTable {
    /// Whether it is that of IPv6.
    pub is_ipv6: bool,
    /// Entries, of all namespaces of the machine.
    pub entries: u32,
    /// `gc_thresh3`: so many and no more.
    pub max: u32,
}

/// A socket that waits for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// TCP, else UDP.
    pub is_tcp: bool,
    /// Where; unspecified for any address.
    pub address: SocketAddr,
    /// Whether it takes IPv6 only, where it is bound to `::`.
    pub is_v6_only: bool,
}

/// A route look-up, as the kernel does it for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RouteAsk {
    /// Destination.
    pub to: IpAddr,
    /// Source; none where the kernel is to choose.
    pub from: Option<IpAddr>,
    /// ifindex of the interface that it came in by; none for the node's own.
    pub iif: Option<u32>,
    /// ifindex of the interface that it must leave by.
    pub oif: Option<u32>,
    /// IANA number of the transport protocol.
    pub protocol: u8,
    /// Source and destination port.
    pub ports: Option<(u16, u16)>,
    /// Mark (`fwmark` of ip-rule(8)); 0 is none.
    pub mark: u32,
}

impl RouteAsk {
    /// A node's own look-up for an address, of which nothing else is known.
    #[must_use]
    pub fn to(address: IpAddr) -> Self {
        Self { to: address, from: None, iif: None, oif: None, protocol: 0, ports: None, mark: 0 }
    }
}

/// What the kernel would do with a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFound {
    /// `RTN_*`: 1 unicast, 2 local, 6 blackhole, 7 unreachable, 8 prohibit.
    pub kind: u8,
    /// The destination of the route, where the kernel tells.
    pub route: Option<IpNet>,
    /// Table; 254 is main.
    pub table: u32,
    /// Gateway.
    pub via: Option<IpAddr>,
    /// ifindex.
    pub index: u32,
    /// The source address that the kernel would choose.
    pub source: Option<IpAddr>,
    /// The largest packet that the route is known to take.
    pub mtu: Option<u32>,
    /// How many next hops the route has.
    pub ways: usize,
}

impl RouteFound {
    /// `RTN_LOCAL`
    pub const LOCAL: u8 = 2;
}

/// Error numbers of route look-ups (errno(3), the numbers of Linux).
pub mod errno {
    /// Permission denied: a route of type `prohibit`.
    pub const EACCES: i32 = 13;
    /// Cross-device link: the reverse path is another one.
    pub const EXDEV: i32 = 18;
    /// Invalid argument: a route of type `blackhole`, or a source that may not be.
    pub const EINVAL: i32 = 22;
    /// Network is unreachable.
    pub const ENETUNREACH: i32 = 101;
    /// No route to host.
    pub const EHOSTUNREACH: i32 = 113;
}

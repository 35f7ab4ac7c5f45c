//! What the kernel holds for a lab, desired or live: the same type for both, so that they compare.

mod kind;
mod rule;

pub use kind::{Bridge, LinkKind, MacvlanMode, Parent, Stp, Tun, Vxlan};
pub use rule::{PolicyAction, PolicyRule};

use crate::mac::Mac;
use crate::name::{IfName, NodeName};
use crate::nft::Table;
use crate::shaping::Shaping;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network namespace of a lab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Ns {
    /// The namespace that holds the bridges of the lab's networks.
    Fabric,
    /// The namespace of a node.
    Node(NodeName),
}

impl Ns {
    /// The name under which the fabric appears in plans and scripts; no node may have it.
    pub const FABRIC: &'static str = "fabric";

    /// The name for plans and scripts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Fabric => Self::FABRIC,
            Self::Node(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Ns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Ns {
    type Err = crate::name::NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::FABRIC { Ok(Self::Fabric) } else { NodeName::new(text).map(Self::Node) }
    }
}

impl TryFrom<String> for Ns {
    type Error = crate::name::NameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Ns> for String {
    fn from(ns: Ns) -> Self {
        ns.as_str().to_owned()
    }
}

/// The state of all namespaces of a lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Each namespace by its name.
    pub namespaces: BTreeMap<Ns, Namespace>,
}

/// The state of one network namespace.
///
/// What the kernel adds by itself is left out on both sides: connected and local routes, link-local addresses that
/// it made, learned neighbours and FDB entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Links by name, `lo` included.
    pub links: BTreeMap<IfName, Link>,
    /// Routes that somebody added (`proto static` or `boot`).
    pub routes: BTreeSet<Route>,
    /// Rules that choose a routing table, but for those that every namespace is born with.
    pub rules: BTreeSet<PolicyRule>,
    /// Permanent neighbour entries.
    pub neighbours: BTreeSet<Neighbour>,
    /// Values below `/proc/sys` by dotted key, for example `net.ipv4.ip_forward`. A live state holds the keys that
    /// were asked for.
    pub sysctls: BTreeMap<String, String>,
    /// The nf_tables tables.
    pub tables: BTreeSet<Table>,
}

impl Namespace {
    /// Whether IPv6 addresses pass duplicate address detection here before they can be used (RFC 4862 5.4).
    #[must_use]
    pub fn detects_duplicates(&self) -> bool {
        self.sysctls.get("net.ipv6.conf.default.accept_dad").is_some_and(|value| value != "0")
    }
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What kind of link it is, with what only that kind has.
    pub kind: LinkKind,
    /// Ethernet address; absent on the loopback.
    pub mac: Option<Mac>,
    /// Largest packet in bytes, 68 to 65535 (65536 on the loopback).
    pub mtu: u32,
    /// Administratively up (`IFF_UP`).
    pub is_up: bool,
    /// The bridge that it is a port of.
    pub master: Option<IfName>,
    /// Addresses with their prefix lengths, host bits kept.
    pub addresses: BTreeSet<IpNet>,
    /// The root qdisc where it is not the kernel's default.
    pub egress: Shaping,
    /// Whether the kernel fills in transmit checksums before the peer sees a packet (`ethtool -K DEV tx off`).
    pub fills_checksums: bool,
}

/// One route (ip-route(8)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Route {
    /// Destination; length 0 is the default route.
    pub to: IpNet,
    /// What happens to a packet that matches.
    pub target: RouteTarget,
    /// Preferred source address.
    pub src: Option<IpAddr>,
    /// Priority; the lowest wins. IPv6 routes get 1024 from the kernel where none is given, and hold it here.
    pub metric: u32,
    /// Table; 254 is `main`.
    pub table: u32,
}

impl Route {
    /// The main table (linux/rtnetlink.h `RT_TABLE_MAIN`).
    pub const TABLE_MAIN: u32 = 254;
    /// The metric of IPv6 routes that name none (linux/ipv6_route.h `IP6_RT_PRIO_USER`).
    pub const METRIC_IPV6: u32 = 1024;

    /// A route through one gateway, in the main table with the default metric.
    #[must_use]
    pub fn via(to: IpNet, via: IpAddr, dev: IfName) -> Self {
        Self::unicast(to, NextHop { via: Some(via), dev, weight: 1, onlink: false })
    }

    /// A route to one next hop, in the main table with the default metric.
    #[must_use]
    pub fn unicast(to: IpNet, hop: NextHop) -> Self {
        let metric = Self::metric_default(to);
        Self { to, target: RouteTarget::Unicast(vec![hop]), src: None, metric, table: Self::TABLE_MAIN }
    }

    /// The metric that the kernel gives when none is asked for.
    #[must_use]
    pub fn metric_default(to: IpNet) -> u32 {
        if to.addr().is_ipv6() { Self::METRIC_IPV6 } else { 0 }
    }

    /// Whether it leads over this interface.
    #[must_use]
    pub fn uses(&self, dev: &IfName) -> bool {
        match &self.target {
            RouteTarget::Unicast(hops) => hops.iter().any(|hop| hop.dev == *dev),
            RouteTarget::Local(local) => local == dev,
            RouteTarget::Unreachable | RouteTarget::Blackhole | RouteTarget::Prohibit => false,
        }
    }

    /// Whether each of its next hops is a gateway.
    #[must_use]
    pub fn uses_gateways_only(&self) -> bool {
        matches!(&self.target, RouteTarget::Unicast(hops) if hops.iter().all(|hop| hop.via.is_some()))
    }

    /// Whether it matches every destination of its address family.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.to.prefix_len() == 0 && matches!(self.target, RouteTarget::Unicast(_))
    }
}

/// Where a route leads (linux/rtnetlink.h `RTN_*`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteTarget {
    /// To one next hop, or to several by weight.
    Unicast(Vec<NextHop>),
    /// Delivered here, as if the address were this node's own (AnyIP).
    Local(IfName),
    /// Answered with "host unreachable".
    Unreachable,
    /// Dropped in silence.
    Blackhole,
    /// Answered with "administratively prohibited".
    Prohibit,
}

/// One next hop of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NextHop {
    /// Gateway; none for a directly connected destination.
    pub via: Option<IpAddr>,
    /// Interface.
    pub dev: IfName,
    /// Share among several next hops, 1 to 256.
    pub weight: u16,
    /// Take the gateway as reachable on the link though no prefix says so.
    pub onlink: bool,
}

/// A permanent neighbour entry (ip-neighbour(8), `nud permanent`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Neighbour {
    /// Interface.
    pub dev: IfName,
    /// Network-layer address.
    pub to: IpAddr,
    /// Link-layer address.
    pub mac: Mac,
}

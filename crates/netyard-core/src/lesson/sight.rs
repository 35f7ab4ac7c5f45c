//! What the kernel has in the namespaces of a sandbox, as far as lessons ask.

use crate::mac::Mac;
use crate::nft::Table;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// All namespaces by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// `vm`, `internet`, and those below `/run/netns`.
    pub namespaces: BTreeMap<String, Seen>,
}

/// One namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Its links in the order of the kernel.
    pub links: Vec<Link>,
    /// Routes of table main.
    pub routes: Vec<Route>,
    /// Neighbours that were learned or set.
    pub neighbours: Vec<Neighbour>,
    /// Ethernet addresses that bridges have learned, with the port behind which they are.
    pub learned: Vec<(String, Mac)>,
    /// The values that were asked for.
    pub sysctls: BTreeMap<String, String>,
    /// Tables of rules, legacy ones among them.
    pub tables: Vec<Table>,
    /// Sockets that wait for others.
    pub listening: Vec<Listening>,
    /// Counters of the protocols (`IpForwDatagrams`, `IcmpInEchoReps`) and of links (`ens4.rx`, `ens4.tx`).
    pub counters: BTreeMap<String, u64>,
    /// Tracked connections.
    pub flows: Vec<Flow>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// The kernel's word for its kind; empty for hardware and the loopback.
    pub kind: String,
    /// Ethernet address.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Whether it was set up.
    pub is_up: bool,
    /// Whether packets pass: it is up, and so is the other end.
    pub has_carrier: bool,
    /// The bridge that it is a port of.
    pub master: Option<String>,
    /// The other end of a veth.
    pub peer: Option<PeerEnd>,
    /// Addresses, without those that the kernel gives by itself.
    pub addresses: Vec<IpNet>,
    /// Whether it runs a spanning tree, as a bridge.
    pub has_stp: bool,
    /// Whether it is the loopback.
    pub is_loopback: bool,
}

/// The other end of a veth.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PeerEnd {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub link: String,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Destination; length 0 is the default route.
    pub to: IpNet,
    /// Gateway.
    pub via: Option<IpAddr>,
    /// Link.
    pub dev: Option<String>,
    /// Whether the kernel made it by itself, for an address.
    pub is_kernels: bool,
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address, where known.
    pub mac: Option<Mac>,
    /// Whether somebody set it for good.
    pub is_permanent: bool,
    /// Whether it did not answer.
    pub has_failed: bool,
}

/// A socket that waits for others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listening {
    /// TCP, or UDP.
    pub is_tcp: bool,
    /// Where; unspecified for any address.
    pub address: SocketAddr,
}

/// A tracked connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The IANA protocol number.
    pub protocol: u8,
    /// Who began it, as it came in.
    pub source: IpAddr,
    /// To whom, as it came in.
    pub destination: IpAddr,
    /// Ports as it came in; 0 where the protocol has none.
    pub ports: (u16, u16),
    /// Where answers go to: not the source where that was rewritten.
    pub seen_as: (IpAddr, u16),
    /// Where answers come from: not the destination where that was rewritten.
    pub answered_by: (IpAddr, u16),
    /// Whether there was an answer.
    pub is_replied: bool,
    /// As `conntrack -L` prints it.
    pub line: String,
}

impl Sight {
    /// Without what packets leave behind: neighbours, learned addresses, counters, connections.
    #[must_use]
    pub fn settled(&self) -> Self {
        let settled = |seen: &Seen| Seen {
            links: seen.links.clone(),
            routes: seen.routes.clone(),
            neighbours: seen.neighbours.iter().filter(|entry| entry.is_permanent).cloned().collect(),
            sysctls: seen.sysctls.clone(),
            tables: seen.tables.clone(),
            listening: seen.listening.clone(),
            ..Seen::default()
        };
        Self {
            namespaces: self.namespaces.iter().map(|(name, seen)| (name.clone(), settled(seen))).collect(),
        }
    }

    /// The namespace of that name.
    #[must_use]
    pub fn seen(&self, name: &str) -> Option<&Seen> {
        self.namespaces.get(name)
    }

    /// A link by namespace and name.
    #[must_use]
    pub fn link(&self, namespace: &str, name: &str) -> Option<&Link> {
        self.seen(namespace)?.link(name)
    }

    /// The value of a counter; 0 where there is none.
    #[must_use]
    pub fn counter(&self, namespace: &str, name: &str) -> u64 {
        self.seen(namespace).and_then(|seen| seen.counters.get(name)).copied().unwrap_or_default()
    }
}

impl Seen {
    /// The link of that name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// Whether it passes on packets of others.
    #[must_use]
    pub fn forwards(&self) -> bool {
        let is_on = |key: &str| self.sysctls.get(key).is_some_and(|value| value != "0");
        is_on("net.ipv4.ip_forward") || is_on("net.ipv6.conf.all.forwarding")
    }
}

//! What `netyard look` tells: network namespaces as they are, whoever made them.

pub mod again;
mod changes;
mod container;
pub mod label;
mod legacy;
mod meaning;
mod picture;
mod script;
#[cfg(test)]
mod tests;
mod yaml;

pub use changes::Changes;
pub use container::container_of;
pub use script::{Script, script};
pub use yaml::{Yaml, yaml};

use crate::mac::Mac;
use crate::name::{IfName, NodeName};
use crate::nft::{Chain, ChainKind, Policy, Table};
use crate::show::{LinkState, RuleView};
use crate::state::{Namespace, Ns, PolicyRule, State};
use ipnet::IpNet;
use meaning::Places;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Network namespaces as they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Look {
    /// What was looked at, for titles.
    pub title: String,
    /// The caller's own first, then by name.
    pub namespaces: Vec<Seen>,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

/// One network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// A short name for it, unique here; that of a node where it is one.
    pub name: Ns,
    /// Its inode, by which the kernel's tools know it: `net:[INODE]`.
    pub inode: u64,
    /// Whether the caller is in it.
    pub is_here: bool,
    /// Files that name it, such as `/run/netns/pc`.
    pub files: Vec<String>,
    /// Processes that are in it or keep it open.
    pub holders: Vec<Holder>,
    /// The running lab that it is part of.
    pub lab: Option<String>,
    /// The container or pod whose processes are in it.
    pub container: Option<String>,
    /// The user whose user namespace owns it, where that is not the caller's own.
    pub owner: Option<u32>,
    /// Why it could not be entered; nothing below is known then.
    pub unread: Option<String>,
    /// Its interfaces, in the order of the kernel.
    pub interfaces: Vec<Interface>,
    /// Routes of all tables but `local`.
    pub routes: Vec<RouteView>,
    /// Rules that choose a routing table, without those that every namespace has; as `ip rule add` takes them.
    pub rules: Vec<String>,
    /// Neighbours that were learned or set.
    pub neighbours: Vec<NeighbourView>,
    /// Rules that translate addresses, legacy ones included.
    pub nat: Vec<RuleView>,
    /// Rules that let packets pass or not, legacy ones included.
    pub firewall: Vec<RuleView>,
    /// The tables that hold them.
    pub tables: Vec<TableView>,
    /// Values below `/proc/sys` that decide about packets.
    pub sysctls: BTreeMap<String, String>,
    /// Sockets that wait for others.
    pub sockets: Vec<SocketView>,
    /// What could not be read of it, and why.
    pub notes: Vec<String>,
    /// The part that plans are about.
    #[serde(skip)]
    pub state: Namespace,
    /// The tables of legacy iptables.
    #[serde(skip)]
    pub legacy: Vec<Table>,
    /// Rules that choose a routing table, as data.
    #[serde(skip)]
    pub policy: Vec<PolicyRule>,
}

/// A process that holds a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name (`/proc/PID/comm`).
    pub comm: String,
    /// How it holds it.
    pub by: Hold,
}

/// How a process holds a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// It is in it.
    Process,
    /// One of its threads is in it.
    Thread,
    /// It has it open.
    Descriptor,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// The kernel's word for its kind; `physical` for one that has none.
    pub kind: String,
    /// Ethernet address.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Whether packets pass.
    pub state: LinkState,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// The bridge (or bond, or VRF) that it is a port of.
    pub master: Option<String>,
    /// What its port of a bridge does: `forwarding`, `blocking`, `listening`, `learning`, `disabled`.
    pub port_state: Option<&'static str>,
    /// The other end of a veth.
    pub peer: Option<End>,
    /// The link that it stands on.
    pub parent: Option<End>,
    /// What only its kind has, in the words of ip(8).
    pub settings: BTreeMap<&'static str, String>,
    /// What it is as a bridge.
    pub bridge: Option<BridgeView>,
}

/// A link somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// The namespace; none when nothing that can be seen holds it.
    pub namespace: Option<Ns>,
    /// Its name there.
    pub interface: Option<String>,
    /// Its number there.
    pub index: u32,
}

/// A bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BridgeView {
    /// Its ports.
    pub ports: Vec<String>,
    /// Whether it runs a spanning tree.
    pub stp: bool,
    /// Whether it looks at tags.
    pub filters_vlans: bool,
    /// Ethernet addresses that it has learned.
    pub learned: usize,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteView {
    /// As `ip route add` takes it.
    pub words: String,
    /// Who made it: `kernel`, `boot`, `static`, `ra`, `dhcp`, or a number.
    pub protocol: String,
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NeighbourView {
    /// Its address.
    pub address: IpAddr,
    /// The interface that it is behind.
    pub interface: String,
    /// Its Ethernet address, where known.
    pub mac: Option<Mac>,
    /// `reachable`, `stale`, `failed`, `permanent` ...
    pub state: &'static str,
}

/// A table of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableView {
    /// `nftables` or `legacy` (iptables-legacy).
    pub backend: &'static str,
    /// Address family.
    pub family: String,
    /// Its name.
    pub name: String,
    /// How many chains it has.
    pub chains: usize,
    /// How many rules.
    pub rules: usize,
    /// How many of these say something that netyard does not understand.
    pub not_understood: usize,
}

/// A socket that waits for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SocketView {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Where; unspecified for any address.
    pub address: SocketAddr,
    /// The process that has it, where that can be seen.
    pub process: Option<Process>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub comm: String,
}

impl Look {
    /// The states of all namespaces that could be read, as plans compare them.
    #[must_use]
    pub fn state(&self) -> State {
        let read = self.namespaces.iter().filter(|seen| seen.unread.is_none());
        State { namespaces: read.map(|seen| (seen.name.clone(), seen.state.clone())).collect() }
    }

    /// Tells what the rules of all namespaces do, once all is known that has a name.
    pub fn explain_rules(&mut self) {
        let places = Places::of(self);
        for seen in &mut self.namespaces {
            let tables: Vec<(bool, &Table)> = seen
                .state
                .tables
                .iter()
                .map(|table| (false, table))
                .chain(seen.legacy.iter().map(|table| (true, table)))
                .collect();
            let views = |wanted: fn(ChainKind) -> bool| {
                let chains = tables.iter().flat_map(|(is_legacy, table)| {
                    table.chains.iter().map(move |chain| (*is_legacy, *table, chain))
                });
                let kind = |chain: &Chain| chain.base.as_ref().map_or(ChainKind::Filter, |base| base.kind);
                chains
                    .filter(|(.., chain)| wanted(kind(chain)))
                    .flat_map(|(is_legacy, table, chain)| rules(&places, &seen.name, is_legacy, table, chain))
                    .collect::<Vec<_>>()
            };
            seen.nat = views(|kind| kind == ChainKind::Nat);
            seen.firewall = views(|kind| kind != ChainKind::Nat);
            seen.tables = tables.iter().map(|(is_legacy, table)| table_view(*is_legacy, table)).collect();
        }
    }

    /// The namespace of that name.
    #[must_use]
    pub fn seen(&self, name: &Ns) -> Option<&Seen> {
        self.namespaces.iter().find(|seen| seen.name == *name)
    }
}

fn rules(places: &Places, ns: &Ns, is_legacy: bool, table: &Table, chain: &Chain) -> Vec<RuleView> {
    let backend = if is_legacy { "legacy " } else { "" };
    let name = format!("{backend}{} {} {}", table.family, table.name, chain.name);
    let reader = places.reader(ns);
    let view = |rule: String, meaning| RuleView { chain: name.clone(), rule, meaning };
    let mut views: Vec<RuleView> =
        chain.rules.iter().map(|rule| view(rule.to_string(), reader.meaning(rule))).collect();
    if chain.base.as_ref().is_some_and(|base| base.policy == Policy::Drop) {
        views.push(view(
            "policy drop".to_owned(),
            Some("what nothing above lets pass: is dropped".to_owned()),
        ));
    }
    views
}

fn table_view(is_legacy: bool, table: &Table) -> TableView {
    let rules = || table.chains.iter().flat_map(|chain| &chain.rules);
    TableView {
        backend: if is_legacy { "legacy" } else { "nftables" },
        family: table.family.to_string(),
        name: table.name.clone(),
        chains: table.chains.len(),
        rules: rules().count(),
        not_understood: rules().filter(|rule| !rule.is_understood()).count(),
    }
}

impl Seen {
    /// A namespace of which nothing is known but which it is.
    #[must_use]
    pub fn new(name: NodeName, inode: u64) -> Self {
        Self {
            name: Ns::Node(name),
            inode,
            is_here: false,
            files: Vec::new(),
            holders: Vec::new(),
            lab: None,
            container: None,
            owner: None,
            unread: None,
            interfaces: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            neighbours: Vec::new(),
            nat: Vec::new(),
            firewall: Vec::new(),
            tables: Vec::new(),
            sysctls: BTreeMap::new(),
            sockets: Vec::new(),
            notes: Vec::new(),
            state: Namespace::default(),
            legacy: Vec::new(),
            policy: Vec::new(),
        }
    }

    /// The interface of that name.
    #[must_use]
    pub fn interface(&self, name: &IfName) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name.as_str())
    }

    /// Whether it passes on packets of others.
    #[must_use]
    pub fn forwards(&self) -> bool {
        let is_on = |key: &str| self.sysctls.get(key).is_some_and(|value| value != "0");
        is_on("net.ipv4.ip_forward") || is_on("net.ipv6.conf.all.forwarding")
    }

    /// What keeps it, in a few words: `/run/netns/pc`, `sleep (4711)`, `python3 (4711) has it open`.
    #[must_use]
    pub fn known_by(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.is_here.then(|| "here".to_owned()));
        words.extend(self.lab.as_ref().map(|lab| format!("lab {lab}")));
        words.extend(self.container.clone());
        words.extend(self.files.iter().cloned());
        words.extend(self.holders.iter().take(3).map(ToString::to_string));
        if self.holders.len() > 3 {
            words.push(format!("{} more processes", self.holders.len() - 3));
        }
        words
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.comm, self.pid)?;
        match self.by {
            Hold::Process => Ok(()),
            Hold::Thread => f.write_str(" in a thread"),
            Hold::Descriptor => f.write_str(" has it open"),
        }
    }
}

/// `pc:eth0`; what is not known is said to be so.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.namespace, &self.interface) {
            (Some(ns), Some(name)) => write!(f, "{ns}:{name}"),
            (Some(ns), None) => write!(f, "{ns}:number {}", self.index),
            (None, _) => write!(f, "out of sight (number {})", self.index),
        }
    }
}

//! One change to the kernel, as data: what a plan is made of.

use crate::mac::Mac;
use crate::name::IfName;
use crate::nft::{Family, Table};
use crate::shaping::Shaping;
use crate::state::{Bridge, LinkKind, Neighbour, Ns, PolicyRule, Route};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One change to one namespace (a veth pair: to two).
///
/// The commands that a person would type for it are `step.commands()`; the engine executes it by netlink or sysctl.
/// Steps that follow each other in the same namespace are sent to the kernel together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Makes a namespace and writes these sysctls in it before any link exists there.
    AddNamespace {
        /// Its name.
        ns: Ns,
        /// Dotted keys and values, written in this order; a missing key is skipped where
        /// [`sysctl_may_be_absent`](crate::desired::sysctl_may_be_absent).
        sysctls: BTreeMap<String, String>,
    },
    /// Gives up a namespace; its links vanish with it.
    DeleteNamespace {
        /// Its name.
        ns: Ns,
    },
    /// Makes a bridge, down.
    AddBridge {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
        /// Ethernet address.
        mac: Mac,
        /// Largest packet in bytes.
        mtu: u32,
        /// Its settings.
        bridge: Bridge,
    },
    /// Makes a veth pair, each end in its own namespace from birth.
    AddVeth {
        /// The end that may be up at once and have a master: the bridge's side.
        near: VethEnd,
        /// The other end; it starts down.
        far: VethEnd,
    },
    /// Makes a macvlan, vlan, vxlan or tun link, down.
    AddLink {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
        /// Ethernet address; none for one that has none, or that the kernel chooses.
        mac: Option<Mac>,
        /// Largest packet in bytes.
        mtu: u32,
        /// What it is.
        kind: LinkKind,
    },
    /// Removes a link (a veth: with its peer).
    DeleteLink {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
    },
    /// Sets a link up or down.
    SetLinkUp {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
        /// Up or down.
        is_up: bool,
    },
    /// Changes the largest packet of a link, in bytes.
    SetMtu {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
        /// Bytes.
        mtu: u32,
    },
    /// Changes the Ethernet address of a link.
    SetMac {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
        /// New address.
        mac: Mac,
    },
    /// Makes a link a port of a bridge, or takes it out.
    SetMaster {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
        /// The bridge.
        master: Option<IfName>,
    },
    /// Changes the settings of a bridge.
    SetBridge {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
        /// New settings.
        bridge: Bridge,
    },
    /// Turns transmit checksum offload off (checksums are filled) or on.
    SetChecksums {
        /// Where.
        ns: Ns,
        /// Its name.
        name: IfName,
        /// Whether the kernel fills them.
        fills: bool,
    },
    /// Adds an address.
    AddAddress {
        /// Where.
        ns: Ns,
        /// Interface.
        dev: IfName,
        /// Address and prefix length.
        address: IpNet,
        /// Whether an IPv6 address passes duplicate address detection before it is usable; without, it is at once.
        dad: bool,
    },
    /// Removes an address.
    DeleteAddress {
        /// Where.
        ns: Ns,
        /// Interface.
        dev: IfName,
        /// Address and prefix length.
        address: IpNet,
    },
    /// Adds a route.
    AddRoute {
        /// Where.
        ns: Ns,
        /// The route.
        route: Route,
    },
    /// Removes a route.
    DeleteRoute {
        /// Where.
        ns: Ns,
        /// The route.
        route: Route,
    },
    /// Adds a rule that chooses a routing table.
    AddRule {
        /// Where.
        ns: Ns,
        /// The rule.
        rule: PolicyRule,
    },
    /// Removes such a rule.
    DeleteRule {
        /// Where.
        ns: Ns,
        /// The rule.
        rule: PolicyRule,
    },
    /// Adds a permanent neighbour entry, in the place of one that was learned.
    AddNeighbour {
        /// Where.
        ns: Ns,
        /// The entry.
        neighbour: Neighbour,
    },
    /// Removes a neighbour entry.
    DeleteNeighbour {
        /// Where.
        ns: Ns,
        /// The entry.
        neighbour: Neighbour,
    },
    /// Writes a sysctl; skipped where the key is missing and may be, as for a new namespace.
    SetSysctl {
        /// Where.
        ns: Ns,
        /// Dotted key; interface names with dots are written with `/` in their place, as sysctl(8) does.
        key: String,
        /// Value.
        value: String,
    },
    /// Sets how an interface shapes what it sends; the default removes the qdisc.
    SetShaping {
        /// Where.
        ns: Ns,
        /// Interface.
        dev: IfName,
        /// New shaping.
        egress: Shaping,
    },
    /// Makes a table with all its chains and rules, replacing one of that name, in one transaction.
    ReplaceTable {
        /// Where.
        ns: Ns,
        /// The table.
        table: Table,
    },
    /// Removes a table.
    DeleteTable {
        /// Where.
        ns: Ns,
        /// Its family.
        family: Family,
        /// Its name.
        name: String,
    },
}

/// One end of a veth pair to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VethEnd {
    /// Its namespace.
    pub ns: Ns,
    /// Its name.
    pub name: IfName,
    /// Ethernet address.
    pub mac: Mac,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// The bridge that it becomes a port of; near end only.
    pub master: Option<IfName>,
    /// Whether it is up from the start; near end only.
    pub is_up: bool,
}

impl Step {
    /// The namespace that the step works in (a veth: that of its near end).
    #[must_use]
    pub fn ns(&self) -> &Ns {
        match self {
            Self::AddVeth { near, .. } => &near.ns,
            Self::AddNamespace { ns, .. }
            | Self::DeleteNamespace { ns }
            | Self::AddBridge { ns, .. }
            | Self::AddLink { ns, .. }
            | Self::DeleteLink { ns, .. }
            | Self::SetLinkUp { ns, .. }
            | Self::SetMtu { ns, .. }
            | Self::SetMac { ns, .. }
            | Self::SetMaster { ns, .. }
            | Self::SetBridge { ns, .. }
            | Self::SetChecksums { ns, .. }
            | Self::AddAddress { ns, .. }
            | Self::DeleteAddress { ns, .. }
            | Self::AddRoute { ns, .. }
            | Self::DeleteRoute { ns, .. }
            | Self::AddRule { ns, .. }
            | Self::DeleteRule { ns, .. }
            | Self::AddNeighbour { ns, .. }
            | Self::DeleteNeighbour { ns, .. }
            | Self::SetSysctl { ns, .. }
            | Self::SetShaping { ns, .. }
            | Self::ReplaceTable { ns, .. }
            | Self::DeleteTable { ns, .. } => ns,
        }
    }
}

//! What the kernel tells of one namespace, and the state that it makes.

use super::{LiveError, again};
use ipnet::IpNet;
use netyard_core::name::IfName;
use netyard_core::nft::Table;
use netyard_core::shaping::Shaping;
use netyard_core::state::{
    Link, LinkKind, Namespace, Neighbour, NextHop, Ns, Parent, PolicyRule, Route, RouteTarget, Vxlan,
};
use netyard_kernel::netlink::link::Settings;
use netyard_kernel::netlink::{Socket, address, ethtool, link, neighbour, nft, qdisc, route, rule};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the kernel tells of one namespace.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Raw {
    pub(crate) links: Vec<link::Link>,
    pub(crate) names: HashMap<u32, IfName>,
    pub(crate) addresses: Vec<address::Address>,
    pub(crate) routes: Vec<route::Route>,
    pub(crate) rules: Vec<PolicyRule>,
    pub(crate) neighbours: Vec<neighbour::Neighbour>,
    pub(crate) shapings: HashMap<u32, Shaping>,
    pub(crate) fills_checksums: BTreeSet<u32>,
    pub(crate) tables: Vec<Table>,
    pub(crate) sysctls: BTreeMap<String, String>,
}

impl Raw {
    /// Asks for everything that states hold; `netfilter` and `socket` are in the namespace.
    pub(super) fn read(
        socket: &mut Socket,
        mut netfilter: Socket,
        sysctls: BTreeMap<String, String>,
    ) -> Result<Self, LiveError> {
        let mut raw = Self::read_links(socket)?;
        raw.tables = again(|| nft::list(&mut netfilter))?;
        raw.sysctls = sysctls;
        Ok(raw)
    }

    /// Asks for all but tables and sysctls, which takes no privilege.
    pub(crate) fn read_links(socket: &mut Socket) -> Result<Self, LiveError> {
        let mut links = again(|| link::dump(socket))?;
        links.retain(|link| IfName::new(&link.name).is_ok());
        let mut fills_checksums = BTreeSet::new();
        for veth in links.iter().filter(|link| link.kind == "veth") {
            if ethtool::fills_checksums(socket, &veth.name)? {
                fills_checksums.insert(veth.index);
            }
        }
        let is_shaped = |link: &link::Link| matches!(link.qdisc.as_str(), "tbf" | "netem");
        let qdiscs = if links.iter().any(is_shaped) { again(|| qdisc::dump(socket))? } else { Vec::new() };
        Ok(Self {
            names: links.iter().filter_map(|l| Some((l.index, IfName::new(&l.name).ok()?))).collect(),
            addresses: again(|| address::dump(socket))?,
            routes: again(|| route::dump(socket))?,
            rules: again(|| rule::dump_by_hand(socket))?,
            neighbours: again(|| neighbour::dump(socket))?,
            shapings: qdiscs.into_iter().map(|qdisc| (qdisc.index, qdisc.shaping)).collect(),
            fills_checksums,
            tables: Vec::new(),
            sysctls: BTreeMap::new(),
            links,
        })
    }

    /// The state of the namespace. `end_of` tells which link another one is cabled to or stands on, `is_wanted` which
    /// routes count.
    pub(crate) fn namespace(
        &self,
        end_of: impl Fn(u32) -> Option<(Ns, IfName)>,
        is_wanted: impl Fn(&route::Route) -> bool,
    ) -> Namespace {
        let links = self.links.iter().filter_map(|link| {
            let name = self.names.get(&link.index)?.clone();
            Some((name, self.link(link, end_of(link.index))))
        });
        Namespace {
            links: links.collect(),
            routes: self
                .routes
                .iter()
                .filter(|r| is_wanted(r))
                .filter_map(|route| self.route(route))
                .collect(),
            rules: self.rules.iter().cloned().collect(),
            neighbours: self.neighbours.iter().filter_map(|entry| self.neighbour(entry)).collect(),
            sysctls: self.sysctls.clone(),
            tables: self.tables.iter().cloned().collect(),
        }
    }

    fn link(&self, link: &link::Link, end: Option<(Ns, IfName)>) -> Link {
        let kind = kind(link, end);
        Link {
            mac: link.mac.filter(|_| kind != LinkKind::Loopback),
            kind,
            mtu: link.mtu,
            is_up: link.is_up(),
            master: link.master.and_then(|index| self.names.get(&index).cloned()),
            addresses: self.addresses_of(link),
            egress: self.shapings.get(&link.index).copied().unwrap_or_default(),
            fills_checksums: self.fills_checksums.contains(&link.index),
        }
    }

    fn addresses_of(&self, link: &link::Link) -> BTreeSet<IpNet> {
        let own = |address: &&address::Address| {
            let is_loopbacks = link.is_loopback()
                && matches!(address.address.to_string().as_str(), "127.0.0.1/8" | "::1/128");
            address.index == link.index && !address.is_kernels_own() && !is_loopbacks
        };
        self.addresses.iter().filter(own).map(|address| address.address).collect()
    }

    /// The route with names; none for one that states cannot hold.
    pub(crate) fn route(&self, route: &route::Route) -> Option<Route> {
        let hop = |hop: &route::Hop| {
            let dev = self.names.get(&hop.index)?.clone();
            Some(NextHop { via: hop.via, dev, weight: hop.weight, onlink: hop.onlink })
        };
        let target = match route.kind {
            route::RouteKind::Unicast => {
                RouteTarget::Unicast(route.hops.iter().map(hop).collect::<Option<_>>()?)
            }
            route::RouteKind::Local => {
                RouteTarget::Local(self.names.get(&route.hops.first()?.index)?.clone())
            }
            route::RouteKind::Blackhole => RouteTarget::Blackhole,
            route::RouteKind::Unreachable => RouteTarget::Unreachable,
            route::RouteKind::Prohibit => RouteTarget::Prohibit,
            route::RouteKind::Other(_) => return None,
        };
        Some(Route { to: route.to, target, src: route.src, metric: route.metric, table: route.table })
    }

    fn neighbour(&self, entry: &neighbour::Neighbour) -> Option<Neighbour> {
        if entry.state != neighbour::STATE_PERMANENT {
            return None;
        }
        let dev = self.names.get(&entry.index)?.clone();
        Some(Neighbour { dev, to: entry.to, mac: entry.mac? })
    }
}

/// What a link is, once it is known what it is cabled to or stands on.
fn kind(link: &link::Link, end: Option<(Ns, IfName)>) -> LinkKind {
    let parent = end.clone().map(|(ns, name)| Parent { ns, name });
    let other = || LinkKind::Other(link.kind.clone());
    match (&link.settings, &link.bridge, end) {
        _ if link.is_loopback() => LinkKind::Loopback,
        (_, Some(bridge), _) => LinkKind::Bridge(bridge.clone()),
        (_, _, Some((peer_ns, peer))) if link.kind == "veth" => LinkKind::Veth { peer_ns, peer },
        (Settings::Macvlan(mode), ..) if link.kind == "macvlan" => {
            parent.map_or_else(other, |parent| LinkKind::Macvlan { parent, mode: *mode })
        }
        (Settings::Vlan(id), ..) => parent.map_or_else(other, |parent| LinkKind::Vlan { parent, id: *id }),
        (Settings::Vxlan { id, remote, local, port, learns, .. }, ..) => LinkKind::Vxlan(Vxlan {
            id: *id,
            remote: *remote,
            local: *local,
            port: *port,
            learns: *learns,
            parent,
        }),
        (Settings::Tun(tun), ..) => LinkKind::Tun(*tun),
        _ => other(),
    }
}

//! Reads what the kernel holds into a [`State`].

use crate::namespaces::Namespaces;
use ipnet::IpNet;
use netyard_core::name::IfName;
use netyard_core::nft::Table;
use netyard_core::shaping::Shaping;
use netyard_core::state::{Link, LinkKind, Namespace, Neighbour, NextHop, Ns, Route, RouteTarget, State};
use netyard_kernel::netlink::{
    Protocol, Refusal, Socket, address, ethtool, link, neighbour, nft, qdisc, route,
};
use netyard_kernel::traveller::Traveller;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::os::fd::AsFd;

/// A namespace that could not be read.
#[derive(Debug)]
pub struct LiveError {
    /// Which one; none when no thread could be started.
    pub ns: Option<Ns>,
    /// The kernel's error.
    pub error: io::Error,
    /// The kernel's own words.
    pub message: Option<String>,
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ns {
            Some(ns) => write!(f, "cannot read the state of {ns}: {}", self.error)?,
            None => write!(f, "cannot read the state: {}", self.error)?,
        }
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LiveError {}

impl From<Refusal> for LiveError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.message.clone();
        Self { ns: None, error: refusal.into(), message }
    }
}

impl From<io::Error> for LiveError {
    fn from(error: io::Error) -> Self {
        Self { ns: None, error, message: None }
    }
}

/// Reads all namespaces, with the values of `sysctls` where the kernel has such a key.
///
/// Left out is what the kernel adds by itself (see [`Namespace`]), routes of other programs than `ip` (routing
/// daemons), and links whose names no lab can have (`all`, `default`, with `%`). Checksum filling is told of veth
/// alone: what a bridge shows follows from its ports. The ifindexes in `namespaces` are brought up to date.
///
/// # Errors
/// The first namespace that the kernel would not tell about.
pub fn read(namespaces: &mut Namespaces, sysctls: &BTreeMap<Ns, Vec<String>>) -> Result<State, LiveError> {
    let raw = Traveller::run(|traveller| {
        let mut raw = BTreeMap::new();
        for (ns, open) in &mut namespaces.open {
            let keys = sysctls.get(ns).map(Vec::as_slice).unwrap_or_default();
            let with_ns = |error: LiveError| LiveError { ns: Some(ns.clone()), ..error };
            traveller.enter(open.fd.as_fd()).map_err(LiveError::from).map_err(with_ns)?;
            let netfilter = Socket::open(Protocol::Netfilter).map_err(LiveError::from).map_err(with_ns)?;
            let sysctls = read_sysctls(traveller, keys).map_err(LiveError::from).map_err(with_ns)?;
            let socket = open.route(traveller).map_err(LiveError::from).map_err(with_ns)?;
            raw.insert(ns.clone(), Raw::read(socket, netfilter, sysctls).map_err(with_ns)?);
        }
        Ok::<_, LiveError>(raw)
    })??;
    for (ns, raw) in &raw {
        namespaces.learn(ns, raw.names.iter().map(|(index, name)| (name.clone(), *index)).collect());
    }
    let peers = peers(namespaces, &raw)?;
    let namespaces = raw
        .into_iter()
        .map(|(ns, raw)| {
            let namespace = raw.into_namespace(|index| peers.get(&(ns.clone(), index)).cloned());
            (ns, namespace)
        })
        .collect();
    Ok(State { namespaces })
}

/// What the kernel tells of one namespace.
struct Raw {
    links: Vec<link::Link>,
    names: HashMap<u32, IfName>,
    addresses: Vec<address::Address>,
    routes: Vec<route::Route>,
    neighbours: Vec<neighbour::Neighbour>,
    shapings: HashMap<u32, Shaping>,
    fills_checksums: BTreeSet<u32>,
    tables: Vec<Table>,
    sysctls: BTreeMap<String, String>,
}

impl Raw {
    fn read(
        socket: &mut Socket,
        mut netfilter: Socket,
        sysctls: BTreeMap<String, String>,
    ) -> Result<Self, LiveError> {
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
            neighbours: again(|| neighbour::dump(socket))?,
            shapings: qdiscs.into_iter().map(|qdisc| (qdisc.index, qdisc.shaping)).collect(),
            fills_checksums,
            tables: again(|| nft::list(&mut netfilter))?,
            sysctls,
            links,
        })
    }

    fn into_namespace(self, peer_of: impl Fn(u32) -> Option<(Ns, IfName)>) -> Namespace {
        let links = self.links.iter().filter_map(|link| {
            let name = self.names.get(&link.index)?.clone();
            Some((name, self.link(link, peer_of(link.index))))
        });
        Namespace {
            links: links.collect(),
            routes: self.routes.iter().filter_map(|route| self.route(route)).collect(),
            neighbours: self.neighbours.iter().filter_map(|entry| self.neighbour(entry)).collect(),
            sysctls: self.sysctls.clone(),
            tables: self.tables.iter().cloned().collect(),
        }
    }

    fn link(&self, link: &link::Link, peer: Option<(Ns, IfName)>) -> Link {
        let kind = match (&link.bridge, peer) {
            _ if link.is_loopback() => LinkKind::Loopback,
            (Some(bridge), _) => LinkKind::Bridge(bridge.clone()),
            (None, Some((peer_ns, peer))) => LinkKind::Veth { peer_ns, peer },
            (None, None) => LinkKind::Other(link.kind.clone()),
        };
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

    fn route(&self, route: &route::Route) -> Option<Route> {
        if ![route::PROTOCOL_BOOT, route::PROTOCOL_STATIC].contains(&route.protocol) {
            return None;
        }
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

/// The values of those keys that the kernel has, in the namespace that the thread is in.
pub(crate) fn read_sysctls(
    traveller: &mut Traveller,
    keys: &[String],
) -> io::Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    if keys.is_empty() {
        return Ok(values);
    }
    let tree = traveller.sysctls()?;
    for key in keys {
        match tree.read(key) {
            Ok(value) => {
                values.insert(key.clone(), value);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(values)
}

/// Asks again when the objects changed while the kernel was telling of them.
pub(crate) fn again<T>(mut dump: impl FnMut() -> Result<T, Refusal>) -> Result<T, Refusal> {
    const TRIES: usize = 10;
    for _ in 1..TRIES {
        match dump() {
            Err(refusal) if refusal.errno == Errno::INTR.raw_os_error() => {}
            result => return result,
        }
    }
    dump()
}

type End = (Ns, u32);

/// The other end of each veth whose two ends are in the lab.
///
/// The kernel names the ifindex of the peer, and its namespace by a number that only the link's own namespace knows:
/// links that name each other's ifindex are candidates, and the number decides.
fn peers(
    namespaces: &mut Namespaces,
    raw: &BTreeMap<Ns, Raw>,
) -> Result<HashMap<End, (Ns, IfName)>, LiveError> {
    let mut by_indexes: HashMap<(u32, u32), Vec<(&Ns, &link::Link)>> = HashMap::new();
    for (ns, raw) in raw {
        for link in raw.links.iter().filter(|link| link.kind == "veth") {
            by_indexes.entry((link.index, link.peer.unwrap_or_default())).or_default().push((ns, link));
        }
    }
    let mut peers: HashMap<End, (Ns, IfName)> = HashMap::new();
    for ((index, peer), ends) in &by_indexes {
        for (ns, link) in ends {
            if peers.contains_key(&((*ns).clone(), *index)) {
                continue;
            }
            for (other_ns, other) in by_indexes.get(&(*peer, *index)).into_iter().flatten() {
                let names = (raw[*ns].names.get(index), raw[*other_ns].names.get(peer));
                let (Some(name), Some(other_name)) = names else { continue };
                if !is_at(namespaces, ns, link.peer_nsid, other_ns)? || other.index != *peer {
                    continue;
                }
                peers.insert(((*ns).clone(), *index), ((*other_ns).clone(), other_name.clone()));
                peers.insert(((*other_ns).clone(), *peer), ((*ns).clone(), name.clone()));
                break;
            }
        }
    }
    Ok(peers)
}

/// Whether the number that `ns` has for a namespace (none: itself) means `other`.
fn is_at(namespaces: &mut Namespaces, ns: &Ns, nsid: Option<i32>, other: &Ns) -> Result<bool, LiveError> {
    let Some(nsid) = nsid else { return Ok(ns == other) };
    // Taken out for the call: the descriptor of the other namespace is in the same map.
    let Some(mut socket) = namespaces.open.get_mut(ns).and_then(|open| open.route.take()) else {
        return Ok(false);
    };
    let answer = namespaces.fd(other).map(|fd| link::nsid(&mut socket, fd));
    if let Some(open) = namespaces.open.get_mut(ns) {
        open.route = Some(socket);
    }
    Ok(answer.transpose()? == Some(Some(nsid)))
}

//! What was read, with names in the place of numbers.

use super::discover::{Discovery, Found};
use super::reading::{Outcome, Reading};
use crate::live::below;
use netyard_core::command::route_words;
use netyard_core::look::{
    BridgeView, End, Interface, Look, NeighbourView, Process, RouteView, Seen, SocketView,
};
use netyard_core::name::{IfName, NodeName};
use netyard_core::show::LinkState;
use netyard_core::state::{LinkKind, Ns};
use netyard_kernel::netlink::link::{Link, Settings};
use netyard_kernel::netlink::{neighbour, route};
use std::collections::BTreeMap;

type Readings = BTreeMap<u64, (Outcome, Option<u32>)>;

/// Describes all namespaces: the caller's own first, then by name.
pub(super) fn look(title: &str, discovery: &Discovery, readings: Readings) -> Look {
    let names = Names { discovery, readings: &readings };
    let mut namespaces: Vec<Seen> = discovery
        .found
        .iter()
        .filter_map(|(inode, found)| {
            let mut seen = known(found, *inode, *inode == discovery.here);
            let (outcome, owner) = readings.get(inode)?;
            seen.owner = *owner;
            match outcome {
                Ok(reading) => names.describe(&mut seen, reading),
                Err(why) => seen.unread = Some(why.clone()),
            }
            Some(seen)
        })
        .collect();
    namespaces.sort_by(|a, b| (!a.is_here, &a.name).cmp(&(!b.is_here, &b.name)));
    Look { title: title.to_owned(), namespaces, notes: discovery.notes.clone() }
}

fn known(found: &Found, inode: u64, is_here: bool) -> Seen {
    let nameless = NodeName::new("ns").expect("two letters are a name");
    Seen {
        name: found.name.clone().unwrap_or(Ns::Node(nameless.clone())),
        is_here,
        files: found.files.clone(),
        holders: found.holders.clone(),
        container: found.container.clone(),
        lab: found.lab.clone(),
        ..Seen::new(nameless, inode)
    }
}

struct Names<'a> {
    discovery: &'a Discovery,
    readings: &'a Readings,
}

impl Names<'_> {
    fn describe(&self, seen: &mut Seen, reading: &Reading) {
        let raw = &reading.raw;
        seen.state = raw.namespace(|index| self.end_of(seen, reading, index), is_somebodys);
        seen.legacy = reading.legacy.clone();
        seen.policy = reading.policy.iter().filter(|rule| !rule.is_born()).cloned().collect();
        seen.rules = seen.policy.iter().map(ToString::to_string).collect();
        seen.sysctls = raw.sysctls.clone();
        seen.notes = reading.notes.clone();
        let mut links: Vec<&Link> = raw.links.iter().collect();
        links.sort_by_key(|link| link.index);
        seen.interfaces = links.into_iter().map(|link| self.interface(seen, reading, link)).collect();
        let views = raw.routes.iter().filter(|r| r.table != TABLE_LOCAL && !is_link_local(r));
        seen.routes = views
            .filter_map(|r| {
                Some(RouteView { words: route_words(&raw.route(r)?), protocol: protocol(r.protocol) })
            })
            .collect();
        let name = |index: u32| raw.names.get(&index).map(ToString::to_string);
        seen.neighbours = raw
            .neighbours
            .iter()
            .filter(|entry| !entry.to.is_multicast() && !entry.to.is_loopback())
            .filter_map(|entry| {
                Some(NeighbourView {
                    address: entry.to,
                    interface: name(entry.index)?,
                    mac: entry.mac,
                    state: neighbour_state(entry.state)?,
                })
            })
            .collect();
        seen.sockets = reading
            .listening
            .iter()
            .map(|socket| SocketView {
                protocol: if socket.is_tcp { "tcp" } else { "udp" },
                address: socket.address,
                process: Some(Process { pid: socket.inode, comm: String::new() }),
            })
            .collect();
    }

    /// The link that another one is cabled to or stands on, by its namespace and name.
    fn end_of(&self, seen: &Seen, reading: &Reading, index: u32) -> Option<(Ns, IfName)> {
        let link = reading.raw.links.iter().find(|link| link.index == index)?;
        let end = self.end(seen, reading, link)?;
        Some((end.namespace?, IfName::new(end.interface?).ok()?))
    }

    fn end(&self, seen: &Seen, reading: &Reading, link: &Link) -> Option<End> {
        let index = below(link)?;
        if index == link.index && link.peer_nsid.is_none() {
            return None;
        }
        let inode = match link.peer_nsid {
            None => Some(seen.inode),
            Some(number) => reading.numbers.get(&number).copied(),
        };
        let there =
            inode.and_then(|inode| self.readings.get(&inode)).and_then(|(outcome, _)| outcome.as_ref().ok());
        let name = there.and_then(|there| there.raw.links.iter().find(|other| other.index == index));
        Some(End {
            namespace: inode.and_then(|inode| self.discovery.found.get(&inode)?.name.clone()),
            interface: name.map(|link| link.name.clone()),
            index,
        })
    }

    fn interface(&self, seen: &Seen, reading: &Reading, link: &Link) -> Interface {
        let raw = &reading.raw;
        let end = self.end(seen, reading, link);
        let is_veth = link.kind == "veth";
        let name_of =
            |index: u32| raw.links.iter().find(|other| other.index == index).map(|other| other.name.clone());
        let ports =
            || raw.links.iter().filter(|port| port.master == Some(link.index)).map(|port| port.name.clone());
        let kind = match (link.is_loopback(), link.kind.as_str()) {
            (true, _) => "loopback",
            (_, "") => "physical",
            (_, kind) => kind,
        };
        Interface {
            name: link.name.clone(),
            index: link.index,
            kind: kind.to_owned(),
            mac: link.mac.filter(|_| !link.is_loopback()),
            mtu: link.mtu,
            state: state(link),
            addresses: raw.addresses.iter().filter(|a| a.index == link.index).map(|a| a.address).collect(),
            master: link.master.and_then(name_of),
            port_state: link.port_state.and_then(port_state),
            peer: end.clone().filter(|_| is_veth),
            parent: end.filter(|_| !is_veth),
            settings: settings(link),
            bridge: link.bridge.as_ref().map(|bridge| BridgeView {
                ports: ports().collect(),
                stp: bridge.stp.is_some(),
                filters_vlans: link.filters_vlans,
                learned: reading.learned.get(&link.index).copied().unwrap_or_default(),
            }),
        }
    }
}

/// `RT_TABLE_LOCAL`
const TABLE_LOCAL: u32 = 255;

/// Whether a route is not the kernel's own for an address or a link.
fn is_somebodys(route: &route::Route) -> bool {
    const PROTOCOL_KERNEL: u8 = 2;
    route.protocol != PROTOCOL_KERNEL && route.table != TABLE_LOCAL
}

/// The routes that every link has for its link-local addresses and multicast.
fn is_link_local(route: &route::Route) -> bool {
    let to = route.to.addr();
    matches!(to, std::net::IpAddr::V6(to) if to.is_unicast_link_local() || to.is_multicast())
}

fn protocol(number: u8) -> String {
    let words = [(2, "kernel"), (3, "boot"), (4, "static"), (9, "ra"), (16, "dhcp")];
    words
        .iter()
        .find(|(n, _)| *n == number)
        .map_or_else(|| number.to_string(), |(_, word)| (*word).to_owned())
}

fn state(link: &Link) -> LinkState {
    const IFF_LOWER_UP: u32 = 0x10000;
    match (link.is_up(), link.flags & IFF_LOWER_UP != 0) {
        (false, _) => LinkState::Down,
        (true, false) => LinkState::NoCarrier,
        (true, true) => LinkState::Up,
    }
}

/// linux/if_bridge.h `BR_STATE_*`.
fn port_state(state: u8) -> Option<&'static str> {
    ["disabled", "listening", "learning", "forwarding", "blocking"].get(usize::from(state)).copied()
}

/// linux/neighbour.h `NUD_*`; none for entries that are no neighbours (`NUD_NOARP`, `NUD_NONE`).
fn neighbour_state(state: u16) -> Option<&'static str> {
    let words = [
        (0x01, "incomplete"),
        (0x02, "reachable"),
        (0x04, "stale"),
        (0x08, "delay"),
        (0x10, "probe"),
        (0x20, "failed"),
        (neighbour::STATE_PERMANENT, "permanent"),
    ];
    words.iter().find(|(bit, _)| state & bit != 0).map(|(_, word)| *word)
}

/// What only the link's kind has, in the words of ip(8).
fn settings(link: &Link) -> BTreeMap<&'static str, String> {
    let mut words = BTreeMap::new();
    let mut put = |key, value: Option<String>| words.extend(value.map(|value| (key, value)));
    match &link.settings {
        Settings::Macvlan(mode) => put("mode", Some(mode.word().to_owned())),
        Settings::Vlan(id) => put("id", Some(id.to_string())),
        Settings::Vxlan { id, remote, local, port, .. } => {
            put("id", Some(id.to_string()));
            put("remote", remote.map(|a| a.to_string()));
            put("local", local.map(|a| a.to_string()));
            put("dstport", Some(port.to_string()));
        }
        Settings::Tun(tun) => put("mode", Some(LinkKind::Tun(*tun).word().to_owned())),
        Settings::Tunnel { local, remote } => {
            put("remote", remote.map(|a| a.to_string()));
            put("local", local.map(|a| a.to_string()));
        }
        Settings::Nothing => {}
    }
    words
}

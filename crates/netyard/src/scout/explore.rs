//! What explaining asks in a namespace: links and addresses, what decides about packets, routes, sockets.

use super::station::Places;
use crate::live::{again, read_sysctls};
use crate::look::netfilter;
use netyard_core::name::IfName;
use netyard_core::nft::Table;
use netyard_core::why::probe::Counters;
use netyard_core::why::{
    Address, Bridge, Chain, End, Inside, Link, LinkKind, Listener, Outline, PlacedRule, Port, Route,
    RouteAsk, RouteFound, Ruleset, Vxlan,
};
use netyard_kernel::netlink::link::{self, Settings};
use netyard_kernel::netlink::sockdiag::Transport;
use netyard_kernel::netlink::{Protocol, Socket, address, neighbour, nft, qdisc, route, rule};
use netyard_kernel::procnet;
use netyard_kernel::traveller::Traveller;
use serde::{Deserialize, Serialize};
use std::io;

/// Links and addresses, whose other ends have no names yet.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RawOutline {
    /// Links and addresses.
    pub outline: Outline,
    /// The numbers that this namespace has for those of the other ends, by the ifindex of the near one.
    pub numbers: Vec<(u32, i32)>,
}

/// Links and addresses of the namespace that the thread is in.
pub(super) fn outline() -> io::Result<RawOutline> {
    let mut socket = Socket::open(Protocol::Route)?;
    let links = again(|| link::dump(&mut socket))?;
    let addresses = again(|| address::dump(&mut socket))?;
    let numbers = links.iter().filter_map(|link| Some((link.index, link.peer_nsid?))).collect();
    const IFA_F_DADFAILED: u32 = 0x08;
    let addresses = addresses.iter().map(|own| Address {
        index: own.index,
        prefix: own.address,
        peer: own.peer,
        is_usable: !own.is_tentative() && own.flags & IFA_F_DADFAILED == 0,
    });
    let outline =
        Outline { links: links.iter().filter_map(described).collect(), addresses: addresses.collect() };
    Ok(RawOutline { outline, numbers })
}

fn described(link: &link::Link) -> Option<Link> {
    let end = crate::live::below(link).filter(|index| *index != link.index || link.peer_nsid.is_some());
    Some(Link {
        index: link.index,
        name: IfName::new(&link.name).ok()?,
        kind: kind(link),
        mac: link.mac.filter(|_| !link.is_loopback()),
        mtu: link.mtu,
        flags: link.flags,
        master: link.master,
        port: link.port.zip(link.port_state).map(|(port, state)| Port {
            state,
            is_isolated: port.is_isolated,
            floods: port.floods,
            is_hairpin: port.is_hairpin,
        }),
        end: end.map(|index| End { ns: None, index }),
    })
}

fn kind(link: &link::Link) -> LinkKind {
    if link.is_loopback() {
        return LinkKind::Loopback;
    }
    match (&link.bridge, &link.settings) {
        (Some(bridge), _) => LinkKind::Bridge(Bridge {
            has_stp: bridge.stp.is_some(),
            forward_delay_s: bridge.stp.map_or(0, |stp| stp.forward_delay_s),
            filters_vlans: link.filters_vlans,
            calls_iptables: link.calls_iptables,
        }),
        (_, Settings::Macvlan(mode)) => LinkKind::Macvlan(*mode),
        (_, Settings::Vlan(id)) => LinkKind::Vlan(*id),
        (_, &Settings::Vxlan { id, remote, local, port, learns, .. }) => {
            LinkKind::Vxlan(Vxlan { id, remote, local, port, learns })
        }
        _ if link.kind == "veth" => LinkKind::Veth,
        _ => LinkKind::Other(link.kind.clone()),
    }
}

/// The numbers that the namespace of the thread has for others.
pub(super) fn numbers(inodes: &[u64], places: &Places<'_>) -> io::Result<Vec<Option<i32>>> {
    let mut socket = Socket::open(Protocol::Route)?;
    let number = |inode: &u64| {
        let fd = places.iter().find(|(place, _)| place == inode).map(|(_, fd)| *fd)?;
        link::nsid(&mut socket, fd).ok().flatten()
    };
    Ok(inodes.iter().map(number).collect())
}

/// What decides about packets in the namespace of the thread.
pub(super) fn inside(traveller: &mut Traveller, interfaces: &[IfName]) -> io::Result<Inside> {
    let mut socket = Socket::open(Protocol::Route)?;
    let mut notes = Vec::new();
    let mut rulesets = Vec::new();
    let mut unread_rules = None;
    if netfilter::has_nf_tables() {
        match Socket::open(Protocol::Netfilter)
            .and_then(|mut s| again(|| nft::placed(&mut s)).map_err(Into::into))
        {
            Ok(found) => rulesets = found,
            Err(error) => unread_rules = Some(netfilter::reason(&error)),
        }
    }
    rulesets.extend(netfilter::legacy(&mut notes).into_iter().map(placed));
    unread_rules = unread_rules.or_else(|| notes.into_iter().next());
    let neighbours = again(|| neighbour::dump(&mut socket))?;
    let routes = again(|| route::dump(&mut socket))?;
    Ok(Inside {
        neighbours: neighbours
            .into_iter()
            .filter(|n| !n.to.is_multicast())
            .map(|n| netyard_core::why::Neighbour { index: n.index, to: n.to, mac: n.mac, state: n.state })
            .collect(),
        learned: again(|| neighbour::forwarding(&mut socket))?,
        routes: routes.into_iter().filter(|route| route.table != 255).map(told_route).collect(),
        policy: again(|| rule::dump(&mut socket))?,
        rulesets,
        unread_rules,
        sysctls: read_sysctls(traveller, &keys(interfaces))?,
        // A kernel that does not tell how many there are has no reason to be asked twice.
        neighbour_tables: again(|| neighbour::tables(&mut socket)).unwrap_or_default(),
    })
}

fn told_route(route: route::Route) -> Route {
    Route {
        to: route.to,
        table: route.table,
        metric: route.metric,
        hops: route.hops.iter().map(|hop| (hop.via, hop.index)).collect(),
        kind: route.kind.number(),
    }
}

/// A legacy table; its rules are numbered as `iptables -D CHAIN NUMBER` counts them.
fn placed(table: Table) -> Ruleset {
    let chains = table.chains.into_iter().map(|chain| Chain {
        name: chain.name,
        base: chain.base,
        devices: Vec::new(),
        rules: (1..)
            .zip(chain.rules)
            .map(|(handle, rule)| PlacedRule { handle, rule, packets: None })
            .collect(),
    });
    Ruleset {
        is_legacy: true,
        family: table.family,
        name: table.name,
        chains: chains.collect(),
        sets: Vec::new(),
    }
}

/// The values that decide about packets.
fn keys(interfaces: &[IfName]) -> Vec<String> {
    let mut keys: Vec<String> = [
        "net.ipv4.ip_forward",
        "net.ipv4.icmp_echo_ignore_all",
        "net.ipv4.ping_group_range",
        "net.ipv4.conf.all.rp_filter",
        "net.ipv4.conf.all.arp_ignore",
        "net.ipv6.conf.all.forwarding",
        "net.ipv6.conf.all.disable_ipv6",
        "net.ipv6.icmp.echo_ignore_all",
        "net.bridge.bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-ip6tables",
    ]
    .map(str::to_owned)
    .to_vec();
    for name in interfaces {
        let name = name.as_str().replace('.', "/");
        keys.extend(
            ["forwarding", "rp_filter", "arp_ignore"].map(|leaf| format!("net.ipv4.conf.{name}.{leaf}")),
        );
        keys.push(format!("net.ipv6.conf.{name}.disable_ipv6"));
    }
    keys
}

/// What the namespace of the thread would do with a packet; the error number where it refuses.
pub(super) fn route(ask: &RouteAsk) -> io::Result<Result<RouteFound, i32>> {
    let mut socket = Socket::open(Protocol::Route)?;
    Ok(route::get(&mut socket, ask).map_err(|refusal| refusal.errno))
}

/// The sockets that wait for others in the namespace of the thread.
pub(super) fn listeners() -> io::Result<Vec<Listener>> {
    let found = procnet::listeners()?.into_iter();
    let told = found.map(|l| Listener {
        is_tcp: l.transport == Transport::Tcp,
        address: l.address,
        is_v6_only: l.is_v6_only,
    });
    Ok(told.collect())
}

/// The counters of the namespace of the thread. Those of rules that may not be read are left out.
pub(super) fn counters() -> io::Result<Counters> {
    let mut counters = Counters {
        links: procnet::link_counters()?,
        protocols: procnet::protocol_counters()?,
        ..Counters::default()
    };
    // What a queue drops before it is sent is not among what links count.
    let mut socket = Socket::open(Protocol::Route)?;
    let drops = again(|| qdisc::drops(&mut socket)).unwrap_or_default();
    if !drops.is_empty() {
        for link in again(|| link::dump(&mut socket))? {
            let dropped = drops.iter().find(|(index, _)| *index == link.index);
            if let (Some((_, dropped)), Some(counts)) = (dropped, counters.links.get_mut(&link.name)) {
                counts[3] += dropped;
            }
        }
    }
    if netfilter::has_nf_tables()
        && let Ok(mut socket) = Socket::open(Protocol::Netfilter)
        && let Ok(rulesets) = again(|| nft::placed(&mut socket))
    {
        for ruleset in rulesets {
            for chain in &ruleset.chains {
                let counting = chain.rules.iter().filter_map(|rule| Some((rule.handle, rule.packets?)));
                counters.rules.extend(counting.map(|(handle, packets)| {
                    (format!("{} {} {} {handle}", ruleset.family, ruleset.name, chain.name), packets)
                }));
            }
        }
    }
    Ok(counters)
}

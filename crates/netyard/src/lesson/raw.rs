//! Reads one namespace of a sandbox, in the kernel's own words.

use crate::live::{again, read_sysctls};
use crate::look::netfilter;
use netyard_core::conntrack as tracked;
use netyard_core::lesson::{Flow, Link, Listening, Neighbour, Route, Seen, Wants};
use netyard_core::mac::Mac;
use netyard_kernel::netlink::sockdiag::{Listener, Transport};
use netyard_kernel::netlink::{Protocol, Socket, address, bridge, conntrack, link, neighbour, route};
use netyard_kernel::procnet;
use netyard_kernel::traveller::Traveller;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;

/// What the kernel tells of one namespace.
pub(super) struct Raw {
    pub(super) links: Vec<link::Link>,
    addresses: Vec<address::Address>,
    routes: Vec<route::Route>,
    neighbours: Vec<neighbour::Neighbour>,
    rest: Seen,
    learned: Vec<bridge::Learned>,
}

impl Raw {
    pub(super) fn read(
        traveller: &mut Traveller,
        name: &str,
        ns: BorrowedFd<'_>,
        socket: &mut Socket,
        wants: &Wants,
    ) -> io::Result<Self> {
        traveller.enter(ns)?;
        let mut notes = Vec::new();
        let mut rest = Seen { tables: netfilter::tables(&mut notes), ..Seen::default() };
        rest.tables.extend(netfilter::legacy(&mut notes));
        let keys: Vec<String> = wants.sysctls.iter().cloned().collect();
        rest.sysctls = read_sysctls(traveller, &keys)?;
        if wants.listening {
            let listening = procnet::listeners()?;
            let one = |l: Listener| Listening { is_tcp: l.transport == Transport::Tcp, address: l.address };
            rest.listening = listening.into_iter().map(one).collect();
        }
        if wants.counters {
            rest.counters = counters();
        }
        if wants.flows.contains(name) {
            let mut netfilter = Socket::open(Protocol::Netfilter)?;
            rest.flows = conntrack::list(&mut netfilter)
                .map_or_else(|_| Vec::new(), |all| all.iter().map(flow).collect());
        }
        let links = again(|| link::dump(socket))?;
        let has_bridge = wants.learned && links.iter().any(|link| link.bridge.is_some());
        let learned = if has_bridge { again(|| bridge::learned(socket))? } else { Vec::new() };
        Ok(Self {
            addresses: again(|| address::dump(socket))?,
            routes: again(|| route::dump(socket))?,
            neighbours: again(|| neighbour::dump(socket))?,
            links,
            rest,
            learned,
        })
    }

    fn name(&self, index: u32) -> Option<String> {
        self.links.iter().find(|link| link.index == index).map(|link| link.name.clone())
    }

    pub(super) fn seen(&self) -> Seen {
        let mut seen = self.rest.clone();
        seen.links = self.links.iter().map(|link| self.link(link)).collect();
        let is_shown = |route: &&route::Route| {
            let is_link_local =
                matches!(route.to.addr(), std::net::IpAddr::V6(to) if to.is_unicast_link_local());
            route.table == TABLE_MAIN && !is_link_local && matches!(route.kind, route::RouteKind::Unicast)
        };
        seen.routes = self
            .routes
            .iter()
            .filter(is_shown)
            .map(|route| {
                let hop = route.hops.first();
                Route {
                    to: route.to,
                    via: hop.and_then(|hop| hop.via),
                    dev: hop.and_then(|hop| self.name(hop.index)),
                    is_kernels: route.protocol == PROTOCOL_KERNEL,
                }
            })
            .collect();
        let is_neighbour = |n: &&neighbour::Neighbour| !n.to.is_multicast() && !n.to.is_loopback();
        seen.neighbours = self
            .neighbours
            .iter()
            .filter(is_neighbour)
            .map(|entry| Neighbour {
                address: entry.to,
                mac: entry.mac,
                is_permanent: entry.state == neighbour::STATE_PERMANENT,
                has_failed: entry.state & NUD_FAILED != 0,
            })
            .collect();
        seen.learned = self
            .learned
            .iter()
            .filter(|entry| !entry.is_local)
            .filter_map(|entry| Some((self.name(entry.port)?, Mac(entry.mac))))
            .collect();
        seen
    }

    fn link(&self, link: &link::Link) -> Link {
        const IFF_LOWER_UP: u32 = 0x10000;
        let is_shown = |address: &&address::Address| {
            let is_link_local =
                matches!(address.address.addr(), std::net::IpAddr::V6(a) if a.is_unicast_link_local());
            address.index == link.index && !is_link_local && !address.address.addr().is_loopback()
        };
        Link {
            name: link.name.clone(),
            kind: link.kind.clone(),
            mac: link.mac.filter(|_| !link.is_loopback()),
            mtu: link.mtu,
            is_up: link.is_up(),
            has_carrier: link.is_up() && link.flags & IFF_LOWER_UP != 0,
            master: link.master.and_then(|index| self.name(index)),
            peer: None,
            addresses: self.addresses.iter().filter(is_shown).map(|a| a.address).collect(),
            has_stp: link.bridge.as_ref().is_some_and(|bridge| bridge.stp.is_some()),
            is_loopback: link.is_loopback(),
        }
    }
}

/// `RT_TABLE_MAIN`, `RTPROT_KERNEL` (linux/rtnetlink.h), `NUD_FAILED` (linux/neighbour.h).
const TABLE_MAIN: u32 = 254;
const PROTOCOL_KERNEL: u8 = 2;
const NUD_FAILED: u16 = 0x20;

fn flow(connection: &tracked::Connection) -> Flow {
    let ports = |tuple: &tracked::Tuple| match tuple.detail {
        tracked::Detail::Ports { source, destination } => (source, destination),
        tracked::Detail::Icmp { id, .. } => (id, 0),
        tracked::Detail::None => (0, 0),
    };
    let (original, reply) = (ports(&connection.original), ports(&connection.reply));
    Flow {
        protocol: connection.protocol,
        source: connection.original.source,
        destination: connection.original.destination,
        ports: original,
        seen_as: (connection.reply.destination, reply.1),
        answered_by: (connection.reply.source, reply.0),
        is_replied: connection.status.has_seen_reply(),
        line: connection.to_string(),
    }
}

/// The counters of the namespace that the thread is in (proc_net(5)): `/proc/net/snmp`, `netstat` and `dev`.
fn counters() -> BTreeMap<String, u64> {
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
    let mut counters = BTreeMap::new();
    for file in ["snmp", "netstat"] {
        let text = read(file);
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let (Some((group, names)), Some((_, values))) =
                (pair[0].split_once(':'), pair[1].split_once(':'))
            else {
                continue;
            };
            for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
                counters.insert(format!("{group}{name}"), value.parse().unwrap_or_default());
            }
        }
    }
    for line in read("snmp6").lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(value)) = (words.next(), words.next()) {
            counters.insert(name.to_owned(), value.parse().unwrap_or_default());
        }
    }
    for line in read("dev").lines().skip(2) {
        let Some((name, values)) = line.split_once(':') else { continue };
        let values: Vec<u64> = values.split_whitespace().filter_map(|v| v.parse().ok()).collect();
        if let (Some(received), Some(sent)) = (values.get(1), values.get(9)) {
            counters.insert(format!("{}.rx", name.trim()), *received);
            counters.insert(format!("{}.tx", name.trim()), *sent);
        }
    }
    counters
}

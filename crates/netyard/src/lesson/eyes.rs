//! Reads and hears the namespaces of a sandbox, from inside.

use crate::live::{again, read_sysctls};
use crate::look::netfilter;
use crate::probe::{NodeSockets, SocketKind};
use netyard_core::lesson::{Flow, Link, Listening, MACHINE, Neighbour, PeerEnd, Route, Seen, Sight, Wants};
use netyard_core::mac::Mac;
use netyard_core::name::NodeName;
use netyard_kernel::netlink::sockdiag::{Listener, Transport};
use netyard_kernel::netlink::{Protocol, Socket, address, bridge, conntrack, link, neighbour, route};
use netyard_kernel::traveller::Traveller;
use netyard_kernel::{nsfs, procnet};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Where `ip netns` names namespaces.
const NAMED: &str = "/run/netns";

/// linux/rtnetlink.h: links, neighbours, addresses, routes and forwarding of IPv4 and IPv6.
const GROUPS: [u32; 8] = [1, 3, 5, 7, 9, 11, 24, 25];
/// linux/netfilter/nfnetlink.h `NFNLGRP_NFTABLES`.
const GROUP_NFTABLES: u32 = 7;

/// The namespaces that are watched.
#[derive(Debug)]
pub struct Eyes {
    open: BTreeMap<String, Open>,
}

#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    inode: u64,
    route: Socket,
    events: Vec<Socket>,
    /// Whether it has a name below `/run/netns`, which may go.
    is_named: bool,
}

impl Eyes {
    /// Watches the caller's own namespace as `vm`, and others under their names.
    ///
    /// # Errors
    /// Those of opening and entering namespaces.
    pub fn new(traveller: &mut Traveller, others: Vec<(String, OwnedFd)>) -> io::Result<Self> {
        let mut eyes = Self { open: BTreeMap::new() };
        let own = nsfs::open_network(Path::new("/proc/self/ns/net"))?;
        for (name, fd) in [(MACHINE.to_owned(), own)].into_iter().chain(others) {
            let open = Open::new(traveller, fd, false)?;
            eyes.open.insert(name, open);
        }
        Ok(eyes)
    }

    /// Goes back to the machine: what is started next belongs there.
    ///
    /// # Errors
    /// Those of setns(2).
    pub fn go_home(&self, traveller: &mut Traveller) -> io::Result<()> {
        self.open.get(MACHINE).map_or(Ok(()), |open| traveller.enter(open.fd.as_fd()))
    }

    /// Descriptors that become readable when something changes.
    pub fn events(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.open.values().flat_map(|open| open.events.iter().map(AsFd::as_fd))
    }

    /// Takes in the events that have arrived on the socket of that position, of [`Eyes::events`].
    pub fn hear(&mut self, position: usize) {
        if let Some(socket) = self.open.values_mut().flat_map(|open| &mut open.events).nth(position) {
            // Lost messages only mean that something has changed, which is all that is asked.
            let _ = socket.events(|_, _| {});
        }
    }

    /// Takes in namespaces that have come and lets go of those that have gone; says whether there were any.
    pub fn refresh(&mut self, traveller: &mut Traveller) -> bool {
        let mut found: HashMap<String, (OwnedFd, u64)> = HashMap::new();
        for entry in std::fs::read_dir(NAMED).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(fd) = nsfs::open_network(&entry.path()) else { continue };
            let Ok(inode) = nsfs::inode(fd.as_fd()) else { continue };
            let is_own = self.open.values().any(|open| !open.is_named && open.inode == inode);
            if !is_own && !matches!(name.as_str(), "vm" | "internet") {
                found.insert(name, (fd, inode));
            }
        }
        let before = self.open.len();
        self.open.retain(|name, open| {
            !open.is_named || found.get(name).is_some_and(|(_, inode)| *inode == open.inode)
        });
        let mut has_changed = before != self.open.len();
        if has_changed {
            traveller.forget();
        }
        for (name, (fd, _)) in found {
            if self.open.contains_key(&name) {
                continue;
            }
            if let Ok(open) = Open::new(traveller, fd, true) {
                self.open.insert(name, open);
                has_changed = true;
            }
        }
        has_changed
    }

    /// Reads what all namespaces have now. One that goes meanwhile is left out.
    pub fn look(&mut self, traveller: &mut Traveller, wants: &Wants) -> Sight {
        let mut raw = BTreeMap::new();
        for (name, open) in &mut self.open {
            if let Ok(read) = Raw::read(traveller, name, open, wants) {
                raw.insert(name.clone(), read);
            }
        }
        let mut sight = Sight::default();
        for (name, read) in &raw {
            let mut seen = read.seen();
            for (at, link) in read.links.iter().enumerate().filter(|(_, link)| link.kind == "veth") {
                seen.links[at].peer = self.peer(&raw, name, link);
            }
            sight.namespaces.insert(name.clone(), seen);
        }
        sight
    }

    /// The other end of a veth: the kernel names its ifindex, and its namespace by a number of the link's own.
    fn peer(&mut self, raw: &BTreeMap<String, Raw>, own: &str, link: &link::Link) -> Option<PeerEnd> {
        let index = link.peer?;
        let namespace = match link.peer_nsid {
            None => own.to_owned(),
            Some(number) => {
                let fds: Vec<(String, OwnedFd)> = self
                    .open
                    .iter()
                    .filter_map(|(name, open)| Some((name.clone(), open.fd.try_clone().ok()?)))
                    .collect();
                let socket = &mut self.open.get_mut(own)?.route;
                let is_there = |fd: &OwnedFd, socket: &mut Socket| {
                    link::nsid(socket, fd.as_fd()).is_ok_and(|found| found == Some(number))
                };
                fds.into_iter().find(|(_, fd)| is_there(fd, socket)).map(|(name, _)| name)?
            }
        };
        let there = raw.get(&namespace)?.links.iter().find(|other| other.index == index)?;
        Some(PeerEnd { namespace, link: there.name.clone() })
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.open.keys()
    }
}

/// Probes are made of sockets that are opened where they send from.
impl NodeSockets for Eyes {
    fn socket(&self, node: &NodeName, kind: SocketKind) -> io::Result<OwnedFd> {
        let open = self.open.iter().find(|(name, _)| node_name(name) == *node).map(|(_, open)| open);
        let fd = open.ok_or(io::ErrorKind::NotFound)?.fd.as_fd();
        Traveller::run(|traveller| {
            traveller.enter(fd)?;
            match kind {
                SocketKind::Icmp4 | SocketKind::Icmp6 => with_ping_allowed(traveller, || kind.open()),
                _ => kind.open(),
            }
        })?
    }
}

/// New namespaces allow nobody to ping without privileges; that is changed for as long as the socket is opened.
fn with_ping_allowed<T>(traveller: &mut Traveller, open: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    const KEY: &str = "net.ipv4.ping_group_range";
    let tree = traveller.sysctls()?;
    let before = tree.read(KEY)?;
    if before.starts_with("0 ") {
        return open();
    }
    tree.write(KEY, "0 0")?;
    let opened = open();
    // Where the user namespace has one group only, "nobody" cannot be written any more (EINVAL): then root's group,
    // which may ping anyway, stays allowed.
    let _ = tree.write(KEY, &before);
    opened
}

/// A node's name for a namespace, whatever `ip netns` calls it.
pub(super) fn node_name(name: &str) -> NodeName {
    NodeName::new(name).unwrap_or_else(|_| {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        NodeName::new(format!("ns-{hash:x}")).expect("letters and digits are a name")
    })
}

impl Open {
    fn new(traveller: &mut Traveller, fd: OwnedFd, is_named: bool) -> io::Result<Self> {
        // The descriptor may have the number of one that was closed.
        traveller.forget();
        traveller.enter(fd.as_fd())?;
        let changes = Socket::open(Protocol::Route)?;
        for group in GROUPS {
            changes.join(group)?;
        }
        let rules = Socket::open(Protocol::Netfilter)?;
        let events = if rules.join(GROUP_NFTABLES).is_ok() { vec![changes, rules] } else { vec![changes] };
        Ok(Self {
            inode: nsfs::inode(fd.as_fd())?,
            route: Socket::open(Protocol::Route)?,
            fd,
            events,
            is_named,
        })
    }
}

/// What the kernel tells of one namespace.
struct Raw {
    links: Vec<link::Link>,
    addresses: Vec<address::Address>,
    routes: Vec<route::Route>,
    neighbours: Vec<neighbour::Neighbour>,
    rest: Seen,
    learned: Vec<bridge::Learned>,
}

impl Raw {
    fn read(traveller: &mut Traveller, name: &str, open: &mut Open, wants: &Wants) -> io::Result<Self> {
        traveller.enter(open.fd.as_fd())?;
        let socket = &mut open.route;
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

    fn seen(&self) -> Seen {
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

fn flow(connection: &conntrack::Connection) -> Flow {
    let ports = |tuple: &conntrack::Tuple| match tuple.detail {
        conntrack::Detail::Ports { source, destination } => (source, destination),
        conntrack::Detail::Icmp { id, .. } => (id, 0),
        conntrack::Detail::None => (0, 0),
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

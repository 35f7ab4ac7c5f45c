//! Reads and hears the namespaces of a sandbox, from inside.

use super::raw::Raw;
use crate::probe::{NodeSockets, SocketKind};
use netyard_core::lesson::{MACHINE, PeerEnd, Sight, Wants};
use netyard_core::name::NodeName;
use netyard_kernel::netlink::{Protocol, Socket, link};
use netyard_kernel::nsfs;
use netyard_kernel::traveller::Traveller;
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
            if let Ok(read) = Raw::read(traveller, name, open.fd.as_fd(), &mut open.route, wants) {
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

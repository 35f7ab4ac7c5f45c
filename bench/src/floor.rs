//! The floor: the quickest program that builds the same star, with nothing beside it.
//!
//! One process makes every network namespace by unshare(2), opens its sockets there, and sends each namespace its
//! links, addresses and routes in one system call. IPv6 is off and the router forwards; no other value is written,
//! nothing is checked, kept or answered. It ends when every link carries packets.

use ipnet::{IpNet, Ipv4Net};
use netyard_core::mac::Mac;
use netyard_core::name::IfName;
use netyard_core::nft::{Action, BaseChain, Chain, ChainKind, Family, Hook, Match, Policy, Rule, Table};
use netyard_core::state::{Bridge, Route};
use netyard_kernel::limit;
use netyard_kernel::netlink::link::{self, LOOPBACK, OPERSTATE_UP, PORT_FORWARDING, VethEnd};
use netyard_kernel::netlink::{Messages, Protocol, Socket, address, nft, route};
use netyard_kernel::sysctl::Tree;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

const MTU: u32 = 1500;
/// Ports of one bridge are on one /22.
const PREFIX_LEN: u8 = 22;
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 3, 254);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(10, 138, 0, 3);

pub fn main(hosts: &str) -> io::Result<bool> {
    let hosts: u32 = hosts.parse().map_err(io::Error::other)?;
    limit::raise_open_files();
    let mut trees = Trees::default();
    let mut fabric = Room::make(&mut trees)?;
    let mut rooms: Vec<Room> = (0..hosts).map(|_| Room::make(&mut trees)).collect::<io::Result<_>>()?;
    let mut router = Room::make(&mut trees)?;
    trees.write("net.ipv4.ip_forward", "1")?;
    // A table is made from within its namespace, which this thread is in still.
    nft::replace_table(&mut Socket::open(Protocol::Netfilter)?, &masquerade())?;

    let (lan, isp) = (2, 3);
    let mut messages = Messages::new();
    add_bridge(&mut messages, "lan", lan);
    add_bridge(&mut messages, "isp", isp);
    for (number, room) in (0..).zip(&rooms) {
        add_cable(&mut messages, number, lan, "eth0", room);
    }
    add_cable(&mut messages, hosts, lan, "eth0", &router);
    add_cable(&mut messages, hosts + 1, isp, "eth1", &router);
    fabric.socket.send(&mut messages)?;

    for (number, room) in (0..).zip(&mut rooms) {
        let own = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + number);
        messages.clear();
        link::set_up(&mut messages, LOOPBACK, true);
        address::add(&mut messages, far_index(number), prefix(own), false);
        link::set_up(&mut messages, far_index(number), true);
        route::add(&mut messages, &default_route(), &[far_index(number)]);
        room.socket.send(&mut messages)?;
    }
    messages.clear();
    link::set_up(&mut messages, LOOPBACK, true);
    for (number, own) in [(hosts, ROUTER), (hosts + 1, PUBLIC)] {
        address::add(&mut messages, far_index(number), prefix(own), false);
        link::set_up(&mut messages, far_index(number), true);
    }
    router.socket.send(&mut messages)?;
    wait_until_ready(&mut fabric, &mut rooms, hosts)
}

/// A network namespace with a socket in it.
struct Room {
    ns: File,
    socket: Socket,
}

impl Room {
    /// Makes one without IPv6, and stays in it.
    #[expect(
        unsafe_code,
        reason = "the quickest way to a namespace; rustix calls all of unshare(2) unsafe for one flag"
    )]
    fn make(trees: &mut Trees) -> io::Result<Self> {
        // SAFETY: a new network namespace takes nothing from other threads, of which there are none.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET)? };
        trees.write("net.ipv6.conf.all.disable_ipv6", "1")?;
        Ok(Self { ns: File::open("/proc/thread-self/ns/net")?, socket: Socket::open(Protocol::Route)? })
    }
}

/// The way to sysctls: a new one after every few namespaces, because they slow each other down in one.
#[derive(Default)]
struct Trees {
    tree: Option<Tree>,
    writes: usize,
}

impl Trees {
    fn write(&mut self, key: &str, value: &str) -> io::Result<()> {
        if self.writes.is_multiple_of(Tree::NAMESPACES_MAX) {
            self.tree = None;
        }
        self.writes += 1;
        let tree = match &mut self.tree {
            Some(tree) => tree,
            none => none.insert(Tree::open()?),
        };
        tree.write(key, value)
    }
}

fn add_bridge(messages: &mut Messages, name: &str, index: u32) {
    let bridge = Bridge { stp: None, learns: true, snoops_multicast: false };
    link::add_bridge(messages, name, index, mac(index), MTU, &bridge);
    link::set_up(messages, index, true);
}

fn add_cable(messages: &mut Messages, number: u32, bridge: u32, name: &str, room: &Room) {
    let near_name = format!("p{number}");
    let near =
        VethEnd { name: &near_name, index: near_index(number), mac: mac(near_index(number)), mtu: MTU };
    let far = VethEnd { name, index: far_index(number), mac: mac(far_index(number)), mtu: MTU };
    link::add_veth(messages, near, Some(bridge), true, far, room.ns.as_fd());
}

fn near_index(number: u32) -> u32 {
    10 + 2 * number
}

fn far_index(number: u32) -> u32 {
    11 + 2 * number
}

fn mac(index: u32) -> Mac {
    let [a, b, c, d] = index.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

fn prefix(own: Ipv4Addr) -> IpNet {
    Ipv4Net::new_assert(own, PREFIX_LEN).into()
}

fn default_route() -> Route {
    let everything = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
    Route::via(everything.into(), ROUTER.into(), interface("eth0"))
}

fn masquerade() -> Table {
    let matches = vec![Match::Source(prefix(ROUTER).trunc()), Match::InterfaceOut(interface("eth1"))];
    let rule = Rule { matches, counts: false, action: Action::Masquerade };
    let base =
        BaseChain { kind: ChainKind::Nat, hook: Hook::Postrouting, priority: 100, policy: Policy::Accept };
    let chain = Chain { name: "postrouting".to_owned(), base: Some(base), rules: vec![rule] };
    Table { family: Family::Inet, name: "floor".to_owned(), chains: vec![chain] }
}

fn interface(name: &str) -> IfName {
    IfName::new(name).expect("a short word is an interface name")
}

/// Asks until every port forwards and every host's link is up.
fn wait_until_ready(fabric: &mut Room, rooms: &mut [Room], hosts: u32) -> io::Result<bool> {
    let is_up = |link: &link::Link| link.operstate == OPERSTATE_UP;
    loop {
        let links = link::dump(&mut fabric.socket)?;
        let is_ready = |link: &&link::Link| is_up(link) && link.port_state == Some(PORT_FORWARDING);
        if links.iter().filter(is_ready).count() == hosts as usize + 2 {
            break;
        }
        std::thread::yield_now();
    }
    for (number, room) in (0..).zip(rooms) {
        while !is_up(&link::get(&mut room.socket, far_index(number))?) {
            std::thread::yield_now();
        }
    }
    Ok(true)
}

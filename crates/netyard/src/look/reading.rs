//! Reads what is in namespaces.

use super::discover::Discovery;
use super::netfilter;
use crate::live::{Raw, again, read_sysctls};
use crate::scout::{Answer, Question, Scout, Told};
use netyard_core::nft::Table;
use netyard_core::state::PolicyRule;
use netyard_kernel::netlink::sockdiag::Transport;
use netyard_kernel::netlink::{Protocol, Socket, link, neighbour, rule};
use netyard_kernel::traveller::Traveller;
use netyard_kernel::{nsfs, procnet};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// What was read of a namespace.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reading {
    pub(super) raw: Raw,
    /// Namespaces by the numbers that this one has for them.
    pub(super) numbers: BTreeMap<i32, u64>,
    pub(super) legacy: Vec<Table>,
    pub(super) policy: Vec<PolicyRule>,
    /// Learned Ethernet addresses by bridge.
    pub(super) learned: HashMap<u32, usize>,
    pub(super) listening: Vec<Listening>,
    pub(super) notes: Vec<String>,
}

/// A socket that waits for others.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Listening {
    pub(super) is_tcp: bool,
    pub(super) address: SocketAddr,
    pub(super) inode: u32,
}

/// What became of a namespace: what was read, or why it was not.
pub(super) type Outcome = std::result::Result<Reading, String>;

/// Reads all. The user who owns a namespace that is not the caller's own is told too.
pub(super) fn read(discovery: &Discovery, scout: &Scout) -> BTreeMap<u64, (Outcome, Option<u32>)> {
    let inodes: Vec<u64> = discovery.found.keys().copied().collect();
    let answers = scout.ask_inodes(inodes.iter().map(|inode| (*inode, Question::Read)).collect());
    let told = inodes.into_iter().zip(answers).filter_map(|(inode, answer)| {
        let outcome = match answer {
            Ok(Answer { told: Told::Reading(reading), .. }) => Ok(*reading),
            Ok(_) => return None,
            Err(trouble) => Err(trouble.words),
        };
        let fd = discovery.found.get(&inode)?.fd.as_ref();
        Some((inode, (outcome, fd.and_then(|fd| owner(fd.as_fd())))))
    });
    told.collect()
}

/// The user whose user namespace owns a namespace; none for the caller's own user namespace.
fn owner(ns: BorrowedFd<'_>) -> Option<u32> {
    let chain = nsfs::owners_below_own(ns).ok()?;
    nsfs::owner_uid(chain.first()?.as_fd()).ok()
}

/// Why a namespace cannot be entered.
pub(crate) fn refusal(fd: BorrowedFd<'_>, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return format!("cannot enter it: {error}");
    }
    let owner = nsfs::owners_below_own(fd).ok().and_then(|chain| {
        let uid = nsfs::owner_uid(chain.last()?.as_fd()).ok()?;
        Some(user_name(uid).unwrap_or_else(|| format!("user {uid}")))
    });
    match owner {
        Some(owner) => format!("cannot enter it: it is {owner}'s; only {owner} and root may"),
        None => "cannot enter it: only root may".to_owned(),
    }
}

fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Reads the namespace that the thread is in.
pub(crate) fn reading(traveller: &mut Traveller, all: &[(u64, BorrowedFd<'_>)]) -> io::Result<Reading> {
    let mut notes = Vec::new();
    let mut socket = Socket::open(Protocol::Route)?;
    let mut raw = Raw::read_links(&mut socket).map_err(|error| error.error)?;
    raw.tables = netfilter::tables(&mut notes);
    let keys = keys(&raw);
    raw.sysctls = read_sysctls(traveller, &keys)?;
    let mut numbers = BTreeMap::new();
    if raw.links.iter().any(|link| link.peer_nsid.is_some()) {
        for (inode, fd) in all {
            if let Ok(Some(number)) = link::nsid(&mut socket, *fd) {
                numbers.insert(number, *inode);
            }
        }
    }
    notes.extend(untold(&raw));
    let has_bridges = raw.links.iter().any(|link| link.bridge.is_some());
    let learned = if has_bridges { again(|| neighbour::learned(&mut socket))? } else { HashMap::new() };
    let listening = procnet::listeners().unwrap_or_else(|error| {
        notes.push(format!("listening sockets are not told: {error}"));
        Vec::new()
    });
    Ok(Reading {
        raw,
        numbers,
        legacy: netfilter::legacy(&mut notes),
        policy: again(|| rule::dump(&mut socket))?,
        learned,
        listening: listening
            .into_iter()
            .map(|l| Listening { is_tcp: l.transport == Transport::Tcp, address: l.address, inode: l.inode })
            .collect(),
        notes,
    })
}

/// What is there and has no place in a look.
fn untold(raw: &Raw) -> Vec<String> {
    /// What the kernel gives by itself, and what is read.
    const QDISCS: [&str; 9] = ["", "noqueue", "noop", "pfifo_fast", "fq_codel", "fq", "mq", "tbf", "netem"];
    let name = |index: u32| raw.names.get(&index).map_or("?", |name| name.as_str());
    let peers = raw.addresses.iter().filter_map(|a| Some((a, a.peer?)));
    let peers =
        peers.map(|(a, peer)| format!("{} on {} has the peer {peer}", a.address.addr(), name(a.index)));
    let odd = raw.links.iter().filter(|link| !QDISCS.contains(&link.qdisc.as_str()));
    let qdiscs =
        odd.map(|link| format!("the parameters of qdisc {} of {} are not told", link.qdisc, link.name));
    peers.chain(qdiscs).collect()
}

/// The values that decide about packets: of the namespace, and of each interface.
fn keys(raw: &Raw) -> Vec<String> {
    let mut keys: Vec<String> = [
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
        "net.ipv4.conf.all.rp_filter",
        "net.ipv4.conf.default.rp_filter",
        "net.ipv6.conf.all.disable_ipv6",
        "net.ipv6.conf.default.disable_ipv6",
        "net.bridge.bridge-nf-call-iptables",
        "net.bridge.bridge-nf-call-ip6tables",
        "net.bridge.bridge-nf-call-arptables",
    ]
    .map(str::to_owned)
    .to_vec();
    for name in raw.names.values() {
        let name = name.as_str().replace('.', "/");
        keys.extend(["forwarding", "rp_filter"].map(|leaf| format!("net.ipv4.conf.{name}.{leaf}")));
        keys.extend(["forwarding", "disable_ipv6"].map(|leaf| format!("net.ipv6.conf.{name}.{leaf}")));
    }
    keys
}

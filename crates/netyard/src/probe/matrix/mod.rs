//! Every node pings every other (`netyard ping --all`), with one ICMP socket per node.
//!
//! The neighbour table is one for the whole machine and holds 1024 entries at most (`gc_thresh3`); when it is full,
//! packets are dropped in silence. Each pair of hosts on one link makes an entry at both ends. So the pairs are asked
//! in waves that make at most a given number of entries, and between waves the entries that the probe
//! made are deleted: those that were not there before it, `permanent` ones never. What a lab had learned stays.
//!
//! The first round waits only as long as answers keep coming; pairs without an answer are asked once more, with the
//! full patience, before they count as silent.
//!
//! An ARP request goes to every port of its bridge. If each pair asked for itself, the time would grow with the third
//! power of the hosts on one link (measured: 0.8 s of one core for 100 hosts, 30 s for 300). Instead each host makes
//! one request by ARP in a wave, and the others of the wave listen: they get empty neighbour entries (`nud none`)
//! before, which the kernel fills from what it hears on the wire, and from nothing else. Who has not been heard is
//! asked for as always.

mod host;
mod round;
mod waves;

use super::{Miss, NodeSockets};
use host::Host;
use netyard_core::expect::Outcome;
use netyard_core::lab::{Lab, Node};
use netyard_core::name::NodeName;
use netyard_kernel::socket::Family;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};
use waves::Wave;

/// How the pairs are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Time without an answer after which a pair counts as silent.
    pub silence: Duration,
    /// Neighbour entries that may exist at once because of the probe.
    pub neighbours_max: usize,
}

impl Default for Options {
    /// One second, and 450 entries: from 512 on (`gc_thresh2`) the kernel begins to drop the entries of others.
    fn default() -> Self {
        Self { silence: Duration::from_secs(1), neighbours_max: 450 }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Ordered pairs there are.
    pub pairs: usize,
    /// Pairs of which the result is known.
    pub done: usize,
    /// Pairs that have answered.
    pub answered: usize,
}

/// What came of one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The outcome.
    pub outcome: Outcome,
    /// Time from sending to the answer, in microseconds; 0 where none came.
    pub rtt_us: u32,
}

/// A pair that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The sender, as an index into [`Matrix::nodes`].
    pub from: usize,
    /// The receiver.
    pub to: usize,
    /// The outcome.
    pub outcome: Outcome,
    /// The reason in words.
    pub detail: String,
}

/// What came of all pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The nodes, in the order that was asked for.
    pub nodes: Vec<NodeName>,
    /// Pairs that were not answered, by sender and receiver.
    pub failures: Vec<Failure>,
    /// Pairs that answered.
    pub answered: usize,
    /// Ordered pairs, a node with itself not counted.
    pub pairs: usize,
    /// Time that it took.
    pub duration: Duration,
    rows: Vec<Vec<Option<Cell>>>,
}

impl Matrix {
    /// The result of one pair; `None` for a node with itself, and for pairs not reached when the probe was ended.
    ///
    /// # Panics
    /// When an index is not below the number of nodes.
    #[must_use]
    pub fn cell(&self, from: usize, to: usize) -> Option<Cell> {
        self.rows[from][to]
    }
}

/// Lets each of the nodes ping each other one, by the address that the other's name has for it.
///
/// `progress` is called after each wave and may end the probe.
///
/// # Errors
/// [`Miss::Impossible`] when a node does not exist or has no socket to give. What fails between nodes is a result.
pub fn run(
    lab: &Lab,
    sockets: &dyn NodeSockets,
    nodes: &[NodeName],
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Matrix, Miss> {
    let start = Instant::now();
    allow_open_files(2 * nodes.len() as u64 + 256);
    let mut all = All::open(lab, sockets, nodes, options)?;
    all.ask_everybody(progress)?;
    let Progress { pairs, answered, .. } = all.progress();
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for (from, host) in all.hosts.into_iter().enumerate() {
        let (row, failed) = host.into_results();
        rows.push(row);
        failures.extend(failed.into_iter().map(|(to, outcome, detail)| Failure {
            from,
            to,
            outcome,
            detail,
        }));
    }
    failures.sort_by_key(|failure| (failure.from, failure.to));
    Ok(Matrix { nodes: nodes.to_vec(), failures, answered, pairs, duration: start.elapsed(), rows })
}

/// Raises the soft limit of open files as far as the hard one allows: each node takes two.
fn allow_open_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        // Where it is refused, opening the socket that is one too many says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum });
    }
}

struct All<'a> {
    options: &'a Options,
    hosts: Vec<Host>,
    /// Nodes that forward but are not asked: their neighbour tables fill as well.
    routers: Vec<Host>,
    wave: u32,
}

type Pair = (usize, usize);

impl<'a> All<'a> {
    fn open(
        lab: &Lab,
        sockets: &dyn NodeSockets,
        nodes: &[NodeName],
        options: &'a Options,
    ) -> Result<Self, Miss> {
        let find = |name: &NodeName| {
            let node = lab.node(name.as_str());
            node.ok_or_else(|| Miss::impossible(format!("the lab {} has no node {name}", lab.name)))
        };
        let found = nodes.iter().map(find).collect::<Result<Vec<&Node>, Miss>>()?;
        let rows: Vec<Vec<Option<IpAddr>>> =
            found.iter().map(|from| found.iter().map(|to| address(from, to)).collect()).collect();
        let mut families: Vec<Family> = rows.iter().flatten().flatten().map(|to| Family::of(*to)).collect();
        families.sort_unstable();
        families.dedup();
        let forwards = lab.nodes.iter().filter(|node| node.forwards_ipv4 || node.forwards_ipv6);
        let routers = forwards.filter(|node| !nodes.contains(&node.name));
        let hosts = found.iter().zip(rows).map(|(node, row)| Host::open(sockets, node, &families, row));
        let routers = routers.map(|node| Host::open(sockets, node, &[], Vec::new()));
        let (hosts, routers) = (hosts.collect::<Result<_, _>>()?, routers.collect::<Result<_, _>>()?);
        Ok(Self { options, hosts, routers, wave: 0 })
    }

    fn ask_everybody(&mut self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<(), Miss> {
        let waves = waves::of_everybody(self.hosts.len(), self.options.neighbours_max);
        // Few hosts keep what they learn, as after ping(8).
        let cleans = waves.len() > 1;
        let mut silent: Vec<Pair> = Vec::new();
        for wave in &waves {
            if cleans {
                self.listen_for_neighbours(wave)?;
            }
            for step in [&wave.introductions, &wave.there, &wave.back] {
                self.ask(step, false)?;
            }
            silent.extend(self.silent(wave.pairs()));
            if cleans {
                self.forget_neighbours(wave.pairs())?;
            }
            if progress(self.progress()).is_break() {
                return Ok(());
            }
        }
        silent.sort_unstable();
        for pairs in silent.chunks((self.options.neighbours_max / 2).max(1)) {
            self.ask(pairs, true)?;
            let left = self.silent(pairs.iter().copied());
            for sender in left.chunk_by(|a, b| a.0 == b.0) {
                let receivers = sender.iter().map(|(_, to)| *to);
                self.hosts[sender[0].0].judge_silence(receivers, self.options.silence)?;
            }
            if cleans {
                self.forget_neighbours(pairs.iter().copied())?;
            }
            if progress(self.progress()).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Pairs of which nothing has come yet, in the same order.
    fn silent(&self, pairs: impl Iterator<Item = Pair>) -> Vec<Pair> {
        pairs.filter(|(from, to)| self.hosts[*from].cell(*to).is_none()).collect()
    }

    /// Asks and waits for answers, spread over the machine's cores by sender.
    fn ask(&mut self, pairs: &[Pair], is_last_round: bool) -> Result<(), Miss> {
        self.wave += 1;
        let mut receivers = vec![Vec::new(); self.hosts.len()];
        for (from, to) in pairs {
            receivers[*from].push(*to);
        }
        let rtt_max = self.hosts.iter().filter_map(Host::rtt_max).max();
        let patience = round::Patience::new(self.options.silence, is_last_round, self.wave == 1, rtt_max);
        let senders: Vec<_> =
            self.hosts.iter_mut().zip(receivers).filter(|(_, receivers)| !receivers.is_empty()).collect();
        let mut groups: Vec<Vec<_>> = (0..threads().min(senders.len())).map(|_| Vec::new()).collect();
        let count = groups.len();
        for (index, sender) in senders.into_iter().enumerate() {
            groups[index % count].push(sender);
        }
        let wave = self.wave;
        thread::scope(|scope| {
            let run = |group| scope.spawn(move || round::ask(group, wave, patience));
            let running: Vec<_> = groups.into_iter().map(run).collect();
            let ended = running.into_iter().map(|thread| thread.join().expect("asking does not panic"));
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }

    /// Lets the hosts of a wave take note of those that they will ask, and that are about to introduce themselves.
    fn listen_for_neighbours(&mut self, wave: &Wave) -> Result<(), Miss> {
        let mut receivers = vec![Vec::new(); self.hosts.len()];
        for (from, to) in wave.there.iter().chain(&wave.back) {
            receivers[*from].push(*to);
        }
        let mut hosts = self.hosts.iter_mut().zip(receivers);
        hosts.try_for_each(|(host, receivers)| host.listen_for(&receivers))
    }

    /// Deletes what the hosts of some pairs, and the routers between them, have learned.
    fn forget_neighbours(&mut self, pairs: impl Iterator<Item = Pair>) -> Result<(), Miss> {
        let mut touched = vec![false; self.hosts.len()];
        for (from, to) in pairs {
            touched[from] = true;
            touched[to] = true;
        }
        let hosts = self.hosts.iter_mut().zip(touched).filter(|(_, touched)| *touched).map(|(host, _)| host);
        hosts.chain(&mut self.routers).try_for_each(Host::forget_neighbours)
    }

    fn progress(&self) -> Progress {
        let count = self.hosts.len();
        Progress {
            pairs: count * count.saturating_sub(1),
            done: self.hosts.iter().map(Host::done).sum(),
            answered: self.hosts.iter().map(Host::answered).sum(),
        }
    }
}

/// The address by which one node pings another: the first of a family that both have.
fn address(from: &Node, to: &Node) -> Option<IpAddr> {
    let has = |address: &IpAddr| from.address(Some(address.is_ipv6())).is_some();
    to.addresses().map(|prefix| prefix.addr()).find(has).filter(|_| from.name != to.name)
}

/// More threads than this wait for the kernel's neighbour table rather than for the processor.
const THREADS_MAX: usize = 8;

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

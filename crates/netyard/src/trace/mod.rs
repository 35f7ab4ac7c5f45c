//! `netyard trace`: follows packets through namespaces while they pass.
//!
//! Taps see them, a table of our own lets rules tell of them, and what they were looked up by is asked afterwards. All
//! of it is held by descriptors, and gone with this process however that ends.

mod blame;
mod bulk;
mod ears;
mod kernel;
mod probe;
mod program;

pub use probe::Probe;
pub use program::Program;

use crate::deep::DropReasons;
use crate::error::{Error, Result};
use crate::look::{Discovery, Scope, look_through};
use crate::scout::{Question, Scout, Told};
use crate::why;
use bulk::Sieve;
use ears::Ears;
use netyard_core::filter::Filter;
use netyard_core::journey::Journey;
use netyard_core::look::Look;
use netyard_core::name::IfName;
use netyard_core::packet::VXLAN_PORTS;
use netyard_core::state::Ns;
use netyard_core::trace::rules::{KnownChain, Ruleset};
use netyard_core::trace::tell::{Known, RouteQuestion, RouteTold};
use netyard_core::trace::{At, Follower, Sighting, Topology, Wanted, sighting};
use netyard_core::why::probe::Counters;
use netyard_core::why::{RouteAsk, Versions};
use netyard_kernel::tap::RETIRE_MS;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Which packets are followed.
#[derive(Debug, Clone)]
pub enum Follow {
    /// Those that begin or end at a node.
    Node(Ns),
    /// Those that a filter lets pass, wherever on their way.
    Filter(Filter),
    /// All, also what hosts tell each other by themselves.
    All,
}

/// A trace that goes on.
#[derive(Debug)]
pub struct Trace {
    scout: Arc<Scout>,
    discovery: Discovery,
    is_lab: bool,
    look: Look,
    follower: Follower,
    ears: Ears,
    sieve: Sieve,
    /// Seen, and not yet in order.
    pending: Vec<Sighting>,
    /// What was seen before this time has been taken in.
    until_ns: u64,
    /// Namespaces whose connections are asked for.
    trackers: Vec<Ns>,
    /// When they were asked last.
    asked: Option<Instant>,
    /// UDP ports that carry frames.
    vxlan_ports: BTreeSet<u16>,
    counters: BTreeMap<Ns, BTreeMap<String, u64>>,
    notes: Vec<String>,
    /// The interface that our own packets leave a node by.
    bound: Option<(Ns, IfName)>,
    /// Where it was asked for and the kernel tells.
    deep: Option<Box<DropReasons>>,
}

/// How long a frame may take from being seen to being read: blocks of rings are handed over when they are so old.
const READING_NS: u64 = 40_000_000;

impl Trace {
    /// Begins to follow packets. Call it while the process has one thread.
    ///
    /// # Errors
    /// As [`look`](crate::look::look), and that not one namespace can be entered.
    pub fn begin(scope: Scope<'_>, follow: Follow) -> Result<Self> {
        let (look, scout, discovery) = look_through(scope)?;
        let nodes: Vec<Ns> = look
            .namespaces
            .iter()
            .filter(|seen| seen.unread.is_none())
            .map(|seen| seen.name.clone())
            .collect();
        if nodes.is_empty() {
            let why = look.namespaces.first().and_then(|seen| seen.unread.clone()).unwrap_or_default();
            return Err(Error::kernel("K001", format!("cannot follow packets: {why}")));
        }
        let with_rules: Vec<(Ns, bool)> = look
            .namespaces
            .iter()
            .filter(|seen| !seen.state.tables.is_empty())
            .map(|seen| (seen.name.clone(), seen.interfaces.iter().any(|i| i.bridge.is_some())))
            .collect();
        let trackers = look
            .namespaces
            .iter()
            .filter(|seen| !seen.nat.is_empty())
            .map(|seen| seen.name.clone())
            .collect();
        let mut notes = notes(&look);
        let known = known(&look, &scout, &with_rules);
        let (wanted, filter) = match follow {
            Follow::Node(node) => (Wanted::Node(node), Filter::All),
            Follow::Filter(filter) => (Wanted::Marked, filter),
            Follow::All => (Wanted::All, Filter::All),
        };
        let ears = Ears::open(&scout, &nodes, &with_rules, filter, &mut notes)?;
        let counters = counters(&scout, &nodes);
        let vxlan_ports = known.topology.vxlan_ports.clone();
        Ok(Self {
            scout: Arc::new(scout),
            discovery,
            is_lab: matches!(scope, Scope::Lab(_)),
            look,
            follower: Follower::new(known, wanted),
            ears,
            sieve: Sieve::default(),
            pending: Vec::new(),
            until_ns: 0,
            trackers,
            asked: None,
            vxlan_ports,
            counters,
            notes,
            bound: None,
            deep: None,
        })
    }

    /// What was there when the trace began.
    #[must_use]
    pub fn look(&self) -> &Look {
        &self.look
    }

    /// Takes in that our own packets leave a node by one interface.
    pub fn bind(&mut self, node: Ns, interface: IfName) {
        self.bound = Some((node, interface));
    }

    /// The address that a word means to a node: an address, a node or `NODE:INTERFACE`, as
    /// [`why`](crate::why::why) takes them. `from` may name an interface too.
    ///
    /// # Errors
    /// That nobody is meant.
    pub fn address(&self, from: &str, to: &str, versions: Versions) -> Result<IpAddr> {
        // Also one of no host: packets to all, or to a group, are worth following.
        if let Ok(address) = to.parse::<IpAddr>()
            && versions.takes(address)
        {
            return Ok(address);
        }
        let (_, to) = why::parties(&self.scout, self.is_lab, from, to, versions)?;
        to.address.ok_or_else(|| Error::input("U009", "nobody has that address"))
    }

    /// Those who make sockets in the namespaces.
    #[must_use]
    pub fn sockets(&self) -> Arc<Scout> {
        Arc::clone(&self.scout)
    }

    pub(crate) fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// What is worth knowing about the trace itself: what it could not see, or has lost.
    pub fn notes(&mut self) -> Vec<String> {
        let mut notes = self.notes.clone();
        notes.extend(self.ears.losses());
        notes.extend(self.untold());
        notes
    }

    /// Waits until something is seen, no longer than this, and takes it in.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn listen(&mut self, limit: Duration) -> Result<()> {
        self.hear_kernel();
        let ports = &self.vxlan_ports;
        let is_vxlan = |port: u16| ports.contains(&port);
        let mut touched = Vec::new();
        let (sieve, pending) = (&mut self.sieve, &mut self.pending);
        let mut events = Vec::new();
        let begun_ns = self
            .ears
            .listen(
                limit,
                &is_vxlan,
                |frame| sieve.sift(frame, pending, &mut touched),
                |event| events.push(event),
            )
            .map_err(|e| Error::io("cannot listen to taps", &e))?;
        for event in events {
            self.follower.hear(&event);
        }
        for (node, packet, at_ns) in touched {
            self.follower.touch(&node, &packet, at_ns);
        }
        let until_ns = begun_ns.saturating_sub(READING_NS);
        if self.take_in(until_ns) {
            self.until_ns = until_ns;
        }
        Ok(())
    }

    /// Hands over what was seen before a time, in order, unless that has to wait for the tables of connections: a
    /// packet is understood by what they tell after it has passed.
    fn take_in(&mut self, before_ns: u64) -> bool {
        if !self.pending.iter().any(|seen| seen.at_ns < before_ns) {
            return true;
        }
        if !self.ask_connections(before_ns == u64::MAX) {
            return false;
        }
        let mut ready = Vec::new();
        let mut late = Vec::new();
        for seen in self.pending.drain(..) {
            if seen.at_ns < before_ns { ready.push(seen) } else { late.push(seen) }
        }
        self.pending = late;
        sighting::sort(&mut ready, &self.follower.known().topology);
        for seen in ready {
            self.follower.see(seen);
        }
        true
    }

    /// Tells of conversations in which nothing was seen for so long.
    #[must_use]
    pub fn over(&mut self, quiet: Duration) -> Vec<Journey> {
        let quiet_ns = u64::try_from(quiet.as_nanos()).unwrap_or(u64::MAX);
        self.tell(self.until_ns.saturating_sub(quiet_ns), self.until_ns)
    }

    /// Waits until nothing has been seen for a while, no longer than this, and tells of all that is left.
    ///
    /// # Errors
    /// As [`Trace::listen`].
    pub fn end(&mut self, limit: Duration) -> Result<Vec<Journey>> {
        // Taps show frames late, and later still where the machine has much to do.
        const QUIET: Duration = Duration::from_millis(5 * RETIRE_MS as u64);
        let begun = Instant::now();
        let mut last = Instant::now();
        while begun.elapsed() < limit && last.elapsed() < QUIET {
            let before = self.ears.seen();
            self.listen(Duration::from_millis(10))?;
            if self.ears.seen() != before {
                last = Instant::now();
            }
        }
        self.take_in(u64::MAX);
        Ok(self.tell(u64::MAX, now_ns()))
    }

    fn tell(&mut self, quiet_since_ns: u64, now_ns: u64) -> Vec<Journey> {
        self.ask_routes();
        let mut journeys = self.follower.over(quiet_since_ns, now_ns);
        self.sieve.count(&mut journeys, &self.follower.known().topology);
        journeys
    }

    /// The tables of connections change while packets pass; later ones tell more. Whether they were asked now.
    fn ask_connections(&mut self, is_last: bool) -> bool {
        // Each answer takes the kernel a walk through the table of the machine.
        const PAUSE: Duration = Duration::from_millis(250);
        if self.trackers.is_empty() {
            return true;
        }
        if !is_last && self.asked.is_some_and(|asked| asked.elapsed() < PAUSE) {
            return false;
        }
        self.asked = Some(Instant::now());
        let asked = self.trackers.iter().map(|node| (node.clone(), Question::Connections)).collect();
        let answers = self.scout.ask_all(asked);
        for (node, answer) in self.trackers.iter().zip(answers) {
            let Ok(Told::Connections(told)) = answer.map(|answer| answer.told) else { continue };
            let known = self.follower.known().connections.entry(node.clone()).or_default();
            // Those that have ended since are of packets that were seen.
            known.retain(|old| !told.iter().any(|one| one.id == old.id && one.original == old.original));
            known.extend(told);
            let excess = known.len().saturating_sub(CONNECTIONS_MAX);
            known.drain(..excess);
        }
        true
    }

    fn ask_routes(&mut self) {
        let questions: Vec<RouteQuestion> = self.follower.questions().into_iter().collect();
        let ask = |question: &RouteQuestion| {
            let iif = question.iif.as_ref().and_then(|name| {
                let seen = self.look.seen(&question.node)?;
                seen.interfaces.iter().find(|i| i.name == name.as_str()).map(|i| i.index)
            });
            let ask = RouteAsk { from: question.from, iif, ..RouteAsk::to(question.to) };
            (question.node.clone(), Question::Route(ask))
        };
        let answers = self.scout.ask_all(questions.iter().map(ask).collect());
        let known = self.follower.known();
        for (question, answer) in questions.into_iter().zip(answers) {
            let Ok(Told::Route(Ok(found))) = answer.map(|answer| answer.told) else { continue };
            let at = At { node: question.node.clone(), index: found.index };
            let Some(dev) = known.topology.name(&at) else { continue };
            let told =
                RouteTold { route: found.route, table: found.table, via: found.via, dev, src: found.source };
            known.routes.insert(question, told);
        }
    }

    /// What the kernel has counted in a namespace since the trace began, by the names of nstat(8).
    #[must_use]
    pub fn counted(&self, node: &Ns) -> Vec<(String, u64)> {
        let now = counters(&self.scout, std::slice::from_ref(node));
        let (Some(before), Some(now)) = (self.counters.get(node), now.get(node)) else { return Vec::new() };
        let grown = now.iter().filter_map(|(name, value)| {
            let more = value.saturating_sub(before.get(name).copied().unwrap_or(0));
            (more > 0).then(|| (name.clone(), more))
        });
        grown.collect()
    }
}

/// The most connections of a namespace that are kept in mind.
const CONNECTIONS_MAX: usize = 20_000;

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// What cannot be seen, and is worth knowing.
fn notes(look: &Look) -> Vec<String> {
    let mut notes = Vec::new();
    for seen in &look.namespaces {
        if let Some(why) = &seen.unread {
            notes.push(format!("nothing is seen in {}: {why}", seen.name));
        }
        if !seen.legacy.is_empty() {
            notes.push(format!(
                "rules of iptables-legacy in {} do not tell what they do; what they drop is seen to end there",
                seen.name
            ));
        }
    }
    notes
}

fn counters(scout: &Scout, nodes: &[Ns]) -> BTreeMap<Ns, BTreeMap<String, u64>> {
    let answers = scout.ask_all(nodes.iter().map(|node| (node.clone(), Question::Counters)).collect());
    let told = nodes.iter().zip(answers).filter_map(|(node, answer)| match answer.ok()?.told {
        Told::Counters(counters) => Some((node.clone(), flat(*counters))),
        _ => None,
    });
    told.collect()
}

/// Counters by the names that nstat(8) gives them (`IpInAddrErrors`), and what links have dropped (`eth0 dropped on sending`).
fn flat(counters: Counters) -> BTreeMap<String, u64> {
    let protocols = counters.protocols.into_iter().map(|(name, value)| (name.replace('.', ""), value));
    let links = counters.links.into_iter();
    let dropped = links.flat_map(|(name, [.., on_receipt, on_sending])| {
        [(format!("{name} dropped on receipt"), on_receipt), (format!("{name}{ON_SENDING}"), on_sending)]
    });
    protocols.chain(dropped).collect()
}

/// After the name of a link: what could not be sent.
const ON_SENDING: &str = " dropped on sending";

/// What is known before the first packet.
fn known(look: &Look, scout: &Scout, with_rules: &[(Ns, bool)]) -> Known {
    let mut known = Known { topology: Topology::of(look), ..Known::default() };
    known.topology.vxlan_ports.extend(VXLAN_PORTS);
    let answers = scout.ask_all(with_rules.iter().map(|(node, _)| (node.clone(), Question::Rules)).collect());
    for ((node, _), answer) in with_rules.iter().zip(answers) {
        let Ok(Told::Rules(tables)) = answer.map(|answer| answer.told) else { continue };
        let mut ruleset = Ruleset::new();
        for table in tables {
            for chain in table.chains {
                let rules = chain.rules.into_iter().map(|placed| (placed.handle, placed.rule)).collect();
                let key = (table.family, table.name.clone(), chain.name);
                ruleset.insert(key, KnownChain { base: chain.base, rules });
            }
        }
        known.rulesets.insert(node.clone(), ruleset);
    }
    let with_bridges: Vec<Ns> = look
        .namespaces
        .iter()
        .filter(|seen| seen.interfaces.iter().any(|i| i.bridge.is_some()))
        .map(|seen| seen.name.clone())
        .collect();
    let answers = scout.ask_all(with_bridges.iter().map(|node| (node.clone(), Question::Learned)).collect());
    for (node, answer) in with_bridges.iter().zip(answers) {
        let Ok(Told::Learned(learned)) = answer.map(|answer| answer.told) else { continue };
        let links = known.topology.nodes.get_mut(node).map(|node| &mut node.links);
        let Some(links) = links else { continue };
        for entry in learned.iter().filter(|entry| entry.remote.is_none()) {
            if let Some(link) = links.get_mut(&entry.port) {
                link.learned.insert(entry.mac, 0);
            }
        }
    }
    for seen in &look.namespaces {
        for neighbour in &seen.neighbours {
            known.neighbours.insert((seen.name.clone(), neighbour.address), neighbour.state.to_owned());
        }
        let rules = seen.legacy.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        let masquerades =
            |rule: &netyard_core::nft::Rule| rule.action == netyard_core::nft::Action::Masquerade;
        if rules.into_iter().any(masquerades) {
            known.legacy_masquerade.insert(seen.name.clone());
        }
    }
    known
}

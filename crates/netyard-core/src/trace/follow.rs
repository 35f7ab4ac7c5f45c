//! Follows all packets at once, and tells of those whose conversation is over.

use super::conversation::{Conversation, Conversations};
use super::packet::{Kind, Packet};
use super::rules::{Passage, Passages, RuleEvent, Ruleset};
use super::sighting::{Sighting, Toward};
use super::tell::{self, Known, Met, RouteQuestion};
use super::track::{Step, Taken, TrackId, Tracks};
use super::{nat, title, verdict};
use crate::fault::{Confidence, Way};
use crate::journey::{Event, Headers, Hop, Journey, Leg};
use crate::name::IfName;
use crate::state::Ns;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Which conversations are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All, also what hosts tell each other by themselves.
    All,
    /// Those with a packet that was asked for ([`Sighting::is_wanted`]).
    Marked,
    /// Those that begin or end at a node.
    Node(Ns),
}

/// All packets of a trace, and what is known about them.
#[derive(Debug)]
pub struct Follower {
    known: Known,
    wanted: Wanted,
    tracks: Tracks,
    conversations: Conversations,
    passages: Passages,
    /// When each node has asked for a neighbour last.
    asked: BTreeMap<(Ns, IpAddr), u64>,
    /// Conversations that have been told.
    told: u32,
}

/// A packet with the way that it has taken.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) leg: Leg,
    pub(super) steps: Vec<Step>,
    pub(super) packet: Packet,
    /// Copies for other ports of a bridge that went nowhere.
    pub(super) has_arrived: bool,
}

impl Follower {
    /// Begins with what is known.
    #[must_use]
    pub fn new(known: Known, wanted: Wanted) -> Self {
        Self {
            known,
            wanted,
            tracks: Tracks::default(),
            conversations: Conversations::default(),
            passages: Passages::default(),
            asked: BTreeMap::new(),
            told: 0,
        }
    }

    /// What is known; it may grow.
    pub fn known(&mut self) -> &mut Known {
        &mut self.known
    }

    /// Takes a sighting; they must come in the order of [`super::sighting::sort`].
    pub fn see(&mut self, seen: Sighting) {
        let (at, at_ns, toward, is_wanted) = (seen.at.clone(), seen.at_ns, seen.toward, seen.is_wanted);
        let packet = seen.packet.clone();
        if let Sighting { toward: Toward::Away, packet: Packet { kind, headers, .. }, .. } = &seen {
            let target = match kind {
                Kind::Arp { is_reply: false, .. } => headers.endpoints.map(|ends| ends.destination),
                Kind::Neighbour { is_reply: false, target, .. } => Some((*target).into()),
                _ => None,
            };
            if let Some(target) = target {
                self.asked.insert((at.node.clone(), target), at_ns);
            }
        }
        self.learn(&seen);
        let known = &self.known;
        let translates =
            |node: &Ns, before: &Packet, after: &Packet| nat::translates(known, node, before, after);
        let taken = self.tracks.take(seen, &self.known.topology, &translates);
        // Frames in a bridge, and copies for others, are answered elsewhere.
        let link = self.known.topology.link(&at);
        let is_port = link.is_some_and(|link| link.master.is_some());
        let is_in = matches!(toward, Toward::Here | Toward::Many) && !is_port;
        // What answers out of sight is seen first where the question was seen last.
        let is_answered_here = is_in || self.known.topology.leaves_sight(&at, toward);
        let track = match taken {
            Taken::Begun(track) => {
                self.conversations.begin(track, &at.node, &packet, at_ns);
                track
            }
            Taken::Branched(track) => {
                if let Some((parent, _)) = self.tracks.get(track).and_then(|own| own.parent) {
                    self.conversations.branch(track, parent);
                }
                track
            }
            Taken::Continued(track) | Taken::Piece(track) => track,
        };
        self.conversations.pass(track, &at.node, &packet, at_ns, is_answered_here, is_wanted);
    }

    /// A bridge learns the addresses of those who send.
    fn learn(&mut self, seen: &Sighting) {
        let Some((from, _)) = seen.packet.headers.macs.filter(|_| seen.toward.is_in()) else { return };
        let node = self.known.topology.nodes.get_mut(&seen.at.node);
        let link = node.and_then(|node| node.links.get_mut(&seen.at.index));
        if let Some(link) = link.filter(|link| link.master.is_some()) {
            link.learned.entry(from).or_insert(seen.at_ns);
        }
    }

    /// A conversation goes on, by packets that are counted only.
    pub fn touch(&mut self, node: &Ns, packet: &Packet, at_ns: u64) {
        self.conversations.touch(node, packet, at_ns);
    }

    /// Takes a message of a rule trace.
    pub fn hear(&mut self, event: &RuleEvent) {
        let empty = Ruleset::new();
        self.passages.take(event, self.known.rulesets.get(&event.node).unwrap_or(&empty));
    }

    /// The routes that should be asked for before journeys are told.
    #[must_use]
    pub fn questions(&self) -> BTreeSet<RouteQuestion> {
        let conversations = self.conversations.iter().filter(|one| self.may_be_wanted(one));
        let tracks = conversations.flat_map(|one| &one.tracks);
        let asked =
            tracks.flat_map(|(track, _)| tell::questions(&self.tracks.path(*track), &self.known.topology));
        asked.filter(|question| !self.known.routes.contains_key(question)).collect()
    }

    /// Tells of the conversations in which nothing was seen since a time, and forgets them.
    pub fn over(&mut self, quiet_since_ns: u64, now_ns: u64) -> Vec<Journey> {
        let over = self.conversations.take(|one| one.last_ns < quiet_since_ns);
        let mut journeys = Vec::new();
        let mut gone = Vec::new();
        let mut told: Vec<(Conversation, Vec<Told>)> = Vec::new();
        for (_, conversation) in over {
            let legs = self.legs(&conversation);
            gone.extend(conversation.tracks.iter().map(|(track, _)| *track));
            told.push((conversation, legs));
        }
        let asked = self.asked_for(&told);
        for (conversation, legs) in told {
            if self.is_wanted(&conversation, &legs, &asked) {
                self.told += 1;
                journeys.push(verdict::journey(self.told, legs, &self.known, now_ns));
            }
        }
        for passage in self.passages.claim_unsent(quiet_since_ns) {
            let is_wanted = match &self.wanted {
                Wanted::Node(node) => *node == passage.node,
                Wanted::All | Wanted::Marked => true,
            };
            if is_wanted && !passage.traced.packet.is_noise() {
                self.told += 1;
                journeys.push(unsent(self.told, &passage, &self.known));
            }
        }
        journeys.sort_by_key(|journey| {
            journey.legs.first().and_then(|leg| leg.hops.first()).and_then(|hop| hop.at_ns)
        });
        let first = self.told + 1 - u32::try_from(journeys.len()).unwrap_or(0);
        for (number, journey) in (first..).zip(&mut journeys) {
            journey.number = number;
        }
        self.tracks.forget(&gone, now_ns);
        self.passages.forget(quiet_since_ns.saturating_sub(RULES_KEPT_NS));
        journeys
    }

    /// Whether a conversation is told, as far as can be said before its legs are.
    fn may_be_wanted(&self, conversation: &Conversation) -> bool {
        match &self.wanted {
            Wanted::All | Wanted::Node(_) => true,
            Wanted::Marked => conversation.is_wanted,
        }
    }

    fn is_wanted(&self, conversation: &Conversation, legs: &[Told], asked: &BTreeSet<(Ns, IpAddr)>) -> bool {
        let Some(first) = legs.first() else { return false };
        if self.wanted == Wanted::All {
            return true;
        }
        if first.packet.is_noise() {
            return false;
        }
        let starts_at = first.steps.first().map(|step| step.seen.at.node.clone());
        let target = match first.packet.kind {
            Kind::Arp { .. } => first.packet.headers.endpoints.map(|ends| ends.destination),
            Kind::Neighbour { target, .. } => Some(target.into()),
            _ => None,
        };
        let Wanted::Node(node) = &self.wanted else { return conversation.is_wanted };
        match (target, starts_at) {
            // Who asks for a neighbour, asks for the sake of packets.
            (Some(target), Some(at)) => at == *node || asked.contains(&(at, target)),
            _ => legs.iter().any(|told| {
                let first = told
                    .steps
                    .first()
                    .is_some_and(|step| step.seen.at.node == *node && !step.seen.toward.is_in());
                let last = told
                    .steps
                    .last()
                    .is_some_and(|step| step.seen.at.node == *node && step.seen.toward == Toward::Here);
                first || last
            }),
        }
    }

    /// The neighbours that wanted packets had to wait for.
    fn asked_for(&self, told: &[(Conversation, Vec<Told>)]) -> BTreeSet<(Ns, IpAddr)> {
        let none = BTreeSet::new();
        let wanted = told.iter().filter(|(conversation, legs)| self.is_wanted(conversation, legs, &none));
        let hops = wanted.flat_map(|(_, legs)| legs).flat_map(|told| &told.leg.hops);
        let asked = hops.filter_map(|hop| match &hop.event {
            Event::Neighbour { to, state, .. } if state == "asked" => Some((hop.place.node.clone(), *to)),
            _ => None,
        });
        asked.collect()
    }

    /// The packets of a conversation, each with the one of its branches that went furthest.
    fn legs(&mut self, conversation: &Conversation) -> Vec<Told> {
        let mut trees: BTreeMap<TrackId, Vec<(TrackId, Vec<Step>)>> = BTreeMap::new();
        let mut ways: HashMap<TrackId, Way> = HashMap::new();
        for (track, way) in &conversation.tracks {
            let root = self.root(*track);
            ways.entry(root).or_insert(*way);
            trees.entry(root).or_default().push((*track, self.tracks.path(*track)));
        }
        let mut legs = Vec::new();
        for (root, branches) in trees {
            let way = ways.get(&root).copied().unwrap_or(Way::There);
            let Some(main) = self.main(&branches) else { continue };
            let steps = branches[main].1.clone();
            let is_copy = self.tracks.get(root).is_some_and(|track| track.is_copy);
            let ports = self.ports(&steps, &branches);
            let passages = self.claim(&steps);
            let by_step: BTreeMap<usize, &Passage> =
                passages.iter().map(|(at, passage)| (*at, passage)).collect();
            let met = Met { passages: &by_step, way, asked: &self.asked, ports: &ports };
            let hops = tell::hops(&steps, &self.known, met);
            let mut packet = steps[0].seen.packet.clone();
            // What rules of the sender have rewritten before any link.
            if let Some(passage) = by_step.get(&0).filter(|passage| passage.is_own) {
                packet.headers.endpoints = passage.endpoints();
            }
            let leg =
                Leg { way, title: title::of_packet(&packet), headers: packet.headers.clone(), is_copy, hops };
            let has_arrived = leg.hops.iter().any(|hop| matches!(hop.event, Event::Delivered { .. }));
            legs.push(Told { leg, steps, packet, has_arrived });
        }
        legs.retain(|told| !self.is_absorbed(told));
        legs.sort_by_key(|told| told.steps[0].seen.at_ns);
        legs
    }

    fn root(&self, track: TrackId) -> TrackId {
        match self.tracks.get(track).and_then(|track| track.parent) {
            Some((parent, _)) => self.root(parent),
            None => track,
        }
    }

    /// The branch that arrives where the packet is for, or else goes furthest.
    fn main(&self, branches: &[(TrackId, Vec<Step>)]) -> Option<usize> {
        let worth = |steps: &[Step]| {
            let last = steps.last();
            let is_owner = last.is_some_and(|last| {
                let target = match last.seen.packet.kind {
                    Kind::Neighbour { target, is_reply: false, .. } => Some(target.into()),
                    _ => last.seen.packet.headers.endpoints.map(|ends| ends.destination),
                };
                target.is_some_and(|target| self.known.topology.owns(&last.seen.at.node, target))
            });
            let is_for_it = last.is_some_and(|last| last.seen.toward != Toward::Other);
            (is_owner && is_for_it, is_for_it, steps.len())
        };
        // Of equal ones the first.
        (0..branches.len()).rev().max_by_key(|index| worth(&branches[*index].1))
    }

    /// The ports by which each step has left its bridge, this branch's own first.
    fn ports(&self, steps: &[Step], branches: &[(TrackId, Vec<Step>)]) -> BTreeMap<usize, Vec<IfName>> {
        let mut ports = BTreeMap::new();
        for index in 0..steps.len() {
            let step = &steps[index];
            let link = self.known.topology.link(&step.seen.at);
            let Some(master) = link.filter(|_| !step.seen.toward.is_in()).and_then(|link| link.master) else {
                continue;
            };
            let mut names: Vec<IfName> = Vec::new();
            for (_, other) in branches {
                let is_branch = index == 0
                    || other.get(index - 1).is_some_and(|before| is_same(before, &steps[index - 1]));
                let Some(next) = other.get(index).filter(|_| is_branch) else { continue };
                let port = self.known.topology.link(&next.seen.at).filter(|port| port.master == Some(master));
                if let Some(port) =
                    port.filter(|port| !next.seen.toward.is_in() && !names.contains(&port.name))
                {
                    names.push(port.name.clone());
                }
            }
            names.sort();
            ports.insert(index, names);
        }
        ports
    }

    /// The passages through rules of a packet's way.
    fn claim(&mut self, steps: &[Step]) -> Vec<(usize, Passage)> {
        let starts = tell::starts(steps, &self.known.topology);
        let claimed = starts.into_iter().filter_map(|start| {
            let step = &steps[start];
            let is_own = !step.seen.toward.is_in();
            let passage = self.passages.claim(&step.seen.at.node, step.seen.packet.brief, is_own)?;
            Some((start, passage))
        });
        claimed.collect()
    }

    /// Whether it was merged into another segment on the way (GRO), which goes on for both.
    fn is_absorbed(&self, told: &Told) -> bool {
        let Some(last) = told.steps.last() else { return false };
        let Some((start, _)) = last.seen.packet.range() else { return false };
        if told.has_arrived || !last.seen.toward.is_in() {
            return false;
        }
        self.tracks.iter().any(|(_, track)| {
            track.steps.iter().any(|step| {
                let is_out = step.seen.at.node == last.seen.at.node && !step.seen.toward.is_in();
                let is_in = step.seen.packet.range().is_some_and(|(first, end)| {
                    first != start && start.wrapping_sub(first) < end.wrapping_sub(first)
                });
                let is_same_way = step.seen.packet.headers.endpoints.map(|ends| ends.destination)
                    == last.seen.packet.headers.endpoints.map(|ends| ends.destination);
                is_out && is_in && is_same_way
            })
        })
    }
}

/// How long messages of rules wait for the packet that they are about.
const RULES_KEPT_NS: u64 = 10_000_000_000;

fn is_same(one: &Step, other: &Step) -> bool {
    one.seen.at == other.seen.at && one.seen.at_ns == other.seen.at_ns && one.seen.toward == other.seen.toward
}

/// The journey of a packet that its own node's rules have dropped.
fn unsent(number: u32, passage: &Passage, known: &Known) -> Journey {
    let packet = &passage.traced.packet;
    let mut headers: Headers = packet.headers.clone();
    headers.macs = None;
    let mut hops: Vec<Hop> = tell::unseen(passage, known, Way::There);
    for hop in &mut hops {
        hop.at_ns = Some(passage.heard_ns);
        hop.confidence = Confidence::Certain;
    }
    let leg = Leg { way: Way::There, title: title::of_packet(packet), headers, is_copy: false, hops };
    verdict::unsent(number, title::of_journey(packet), leg)
}

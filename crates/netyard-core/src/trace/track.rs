//! One packet on its way: the sightings that are the same packet, joined in the order in which they were made.

use super::packet::Packet;
use super::sighting::{Sighting, Toward};
use super::topology::{At, Kind, Link, Topology};
use crate::fault::Confidence;
use crate::state::Ns;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// The number of a track.
pub type TrackId = u64;

/// The sightings of one packet.
#[derive(Debug, Clone)]
pub struct Track {
    /// In order.
    pub steps: Vec<Step>,
    /// The track that it branched off, at a bridge, and how many of its steps it shares.
    pub parent: Option<(TrackId, usize)>,
    /// Whether somebody has made a second one of it (netem, a repeated frame).
    pub is_copy: bool,
    /// The piece of a bigger packet that it was merged into, where it was.
    pub merged: Option<TrackId>,
}

/// A place of a track.
#[derive(Debug, Clone)]
pub struct Step {
    /// What was seen there; of several pieces, the first.
    pub seen: Sighting,
    /// How many pieces it was there.
    pub pieces: u32,
    /// How sure it is that it is the packet of the step before.
    pub confidence: Confidence,
}

/// Where a track may be seen next.
#[derive(Debug, Clone, Copy)]
struct Open {
    track: TrackId,
    step: usize,
}

/// What became of a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A packet that was not seen before.
    Begun(TrackId),
    /// The next place of one.
    Continued(TrackId),
    /// A copy for another port of a bridge.
    Branched(TrackId),
    /// Another piece of one, at a place where it was seen already.
    Piece(TrackId),
}

/// How long a packet may stay at a place and still be known as the same: queues and delays hold it.
const STAY_MAX_NS: u64 = 20_000_000_000;
/// The most packets that are remembered at one place with the same key.
const SAME_MAX: usize = 256;
/// The most packets of which pieces are looked for in one namespace.
const PIECES_MAX: usize = 512;

/// All packets that are on their way.
#[derive(Debug, Default)]
pub struct Tracks {
    next: TrackId,
    tracks: BTreeMap<TrackId, Track>,
    /// Out at one end of a cable, not yet in at the other.
    crossing: HashMap<At, VecDeque<Open>>,
    /// In a namespace, by what stays.
    inside: HashMap<(Ns, u64), VecDeque<Open>>,
    /// In a namespace and perhaps cut to pieces or put together there.
    whole: HashMap<Ns, VecDeque<Open>>,
    /// Where datagrams that are cut have been seen.
    cut: HashMap<(At, bool, u64), Open>,
    /// The last packets that left by a link, for those that leave twice.
    left: HashMap<At, VecDeque<(u64, TrackId)>>,
}

impl Tracks {
    /// Takes a sighting; they must come in the order of [`super::sighting::sort`]. `translates` tells whether the
    /// namespace is known to write one pair of addresses in the place of the other.
    pub fn take(
        &mut self,
        seen: Sighting,
        topology: &Topology,
        translates: &dyn Fn(&Ns, &Packet, &Packet) -> bool,
    ) -> Taken {
        if let Some(track) = self.piece(&seen) {
            return Taken::Piece(track);
        }
        let Some(link) = topology.link(&seen.at) else { return self.begin(seen, topology) };
        let found = if seen.toward.is_in() {
            self.across(&seen, link).or_else(|| self.up(&seen, link, topology))
        } else {
            self.down(&seen, topology)
                .or_else(|| self.bridged(&seen, link, topology))
                .or_else(|| self.forwarded(&seen, topology, translates))
        };
        match found {
            Some((open, confidence)) => self.go_on(open, seen, confidence, topology),
            None => match self.merged(&seen) {
                Some(track) => Taken::Piece(track),
                None => self.begin(seen, topology),
            },
        }
    }

    /// A track.
    #[must_use]
    pub fn get(&self, track: TrackId) -> Option<&Track> {
        self.tracks.get(&track)
    }

    /// All tracks in the order of their beginning.
    pub fn iter(&self) -> impl Iterator<Item = (TrackId, &Track)> {
        self.tracks.iter().map(|(id, track)| (*id, track))
    }

    /// The steps of a track with those before it branched off.
    #[must_use]
    pub fn path(&self, track: TrackId) -> Vec<Step> {
        let Some(own) = self.tracks.get(&track) else { return Vec::new() };
        let mut steps = own.parent.map(|(parent, shared)| {
            let mut steps = self.path(parent);
            steps.truncate(shared);
            steps
        });
        let steps = steps.get_or_insert_default();
        steps.extend(own.steps.iter().cloned());
        std::mem::take(steps)
    }

    /// Forgets tracks, and whatever is too old to be met again.
    pub fn forget(&mut self, tracks: &[TrackId], now_ns: u64) {
        for track in tracks {
            self.tracks.remove(track);
        }
        let tracks = &self.tracks;
        let is_kept = |open: &Open| {
            let step = tracks.get(&open.track).and_then(|track| track.steps.get(open.step));
            step.is_some_and(|step| now_ns.saturating_sub(step.seen.at_ns) < STAY_MAX_NS)
        };
        for queue in self.crossing.values_mut() {
            queue.retain(is_kept);
        }
        for queue in self.inside.values_mut() {
            queue.retain(is_kept);
        }
        for queue in self.whole.values_mut() {
            queue.retain(is_kept);
        }
        self.crossing.retain(|_, queue| !queue.is_empty());
        self.inside.retain(|_, queue| !queue.is_empty());
        self.cut.retain(|_, open| tracks.contains_key(&open.track));
        for queue in self.left.values_mut() {
            queue.retain(|(_, track)| tracks.contains_key(track));
        }
    }

    fn step(&self, open: Open) -> Option<&Step> {
        self.tracks.get(&open.track)?.steps.get(open.step)
    }

    /// Another part of a datagram, or of a segment, at a place where one was seen.
    fn piece(&mut self, seen: &Sighting) -> Option<TrackId> {
        let key = (seen.at.clone(), seen.toward.is_in(), seen.packet.fragment.and(seen.packet.datagram())?);
        let open = *self.cut.get(&key)?;
        let step = self.tracks.get_mut(&open.track)?.steps.get_mut(open.step)?;
        // The same part once more is another packet: a copy, or the number has come round again.
        let is_same = step.seen.packet.fragment == seen.packet.fragment;
        if is_same || seen.at_ns.saturating_sub(step.seen.at_ns) > STAY_MAX_NS {
            return None;
        }
        step.pieces += 1;
        Some(open.track)
    }

    /// In at one end of a cable: it was out at the other.
    fn across(&mut self, seen: &Sighting, link: &Link) -> Option<(Open, Confidence)> {
        let peer = link.peer.as_ref()?;
        let queue = self.crossing.get(peer)?;
        let tracks = &self.tracks;
        let is_it = |open: &Open| {
            let step = tracks.get(&open.track).and_then(|track| track.steps.get(open.step));
            step.is_some_and(|step| step.seen.packet.whole == seen.packet.whole)
        };
        let at = queue.iter().position(is_it)?;
        let open = self.crossing.get_mut(peer)?.remove(at)?;
        Some((open, Confidence::Certain))
    }

    /// In at a link that stands on others: it was in at one of those.
    fn up(&self, seen: &Sighting, link: &Link, topology: &Topology) -> Option<(Open, Confidence)> {
        let is_below = |open: &Open| {
            let Some(step) = self.step(*open).filter(|step| step.seen.toward.is_in()) else { return false };
            let Some(below) = topology.link(&step.seen.at) else { return false };
            let stands_on =
                link.parent.as_ref() == Some(&step.seen.at) || below.master == Some(seen.at.index);
            match &link.kind {
                Kind::Tunnel { .. } => {
                    step.seen.packet.inner.as_ref().is_some_and(|inner| inner.key == seen.packet.key)
                }
                Kind::Bridge | Kind::Upper => stands_on && step.seen.packet.key == seen.packet.key,
                // An address of its own on the same wire (macvlan) has no numbers here.
                Kind::Plain => stands_on && step.seen.packet.key == seen.packet.key,
            }
        };
        let queue = self.inside.get(&(seen.at.node.clone(), seen.packet.key))?;
        let open = queue.iter().find(|open| is_below(open) && !self.has_gone_to(**open, &seen.at))?;
        Some((*open, Confidence::Certain))
    }

    /// Out at a link that others stand on: it was out at one of those.
    fn down(&self, seen: &Sighting, topology: &Topology) -> Option<(Open, Confidence)> {
        let link = topology.link(&seen.at)?;
        let carried = seen.packet.inner.as_deref();
        let is_above = |open: &&Open| {
            let Some(step) = self.step(**open).filter(|step| !step.seen.toward.is_in()) else { return false };
            let Some(above) = topology.link(&step.seen.at) else { return false };
            let stands_on =
                above.parent.as_ref() == Some(&seen.at) || link.master == Some(step.seen.at.index);
            match &above.kind {
                Kind::Tunnel { .. } => carried.is_some_and(|inner| inner.key == step.seen.packet.key),
                Kind::Bridge | Kind::Upper => stands_on && step.seen.packet.key == seen.packet.key,
                Kind::Plain => false,
            }
        };
        let keys = [Some(seen.packet.key), carried.map(|inner| inner.key)];
        let queues =
            keys.into_iter().flatten().filter_map(|key| self.inside.get(&(seen.at.node.clone(), key)));
        let open = queues.flatten().find(|open| is_above(open) && !self.has_gone_to(**open, &seen.at))?;
        Some((*open, Confidence::Certain))
    }

    /// Out at a port of a bridge: it was in at another one.
    fn bridged(&self, seen: &Sighting, link: &Link, topology: &Topology) -> Option<(Open, Confidence)> {
        let bridge = link.master?;
        let is_it = |open: &&Open| {
            let Some(step) = self.step(**open).filter(|step| step.seen.toward.is_in()) else { return false };
            let from = topology.link(&step.seen.at);
            let is_other_port =
                step.seen.at != seen.at && from.is_some_and(|from| from.master == Some(bridge));
            let is_same = step.seen.packet.whole == seen.packet.whole;
            is_other_port && is_same && !self.has_gone_to(**open, &seen.at)
        };
        let queue = self.inside.get(&(seen.at.node.clone(), seen.packet.key))?;
        Some((*queue.iter().find(is_it)?, Confidence::Certain))
    }

    /// Whether a packet has gone on from a place to this link already.
    fn has_gone_to(&self, open: Open, to: &At) -> bool {
        let next = |track: &Track, at: usize| track.steps.get(at).is_some_and(|step| step.seen.at == *to);
        let own = self.tracks.get(&open.track).is_some_and(|track| next(track, open.step + 1));
        let shared = self.shared(open);
        own || self
            .tracks
            .range(open.track..)
            .any(|(_, track)| track.parent == Some((open.track, shared)) && next(track, 0))
    }

    /// The steps that a branch at this place has in common with its track.
    fn shared(&self, open: Open) -> usize {
        let before =
            self.tracks.get(&open.track).and_then(|track| track.parent).map_or(0, |(_, shared)| shared);
        before + open.step + 1
    }

    /// Out at a link: it was in at another one of the same namespace, perhaps with other addresses.
    fn forwarded(
        &self,
        seen: &Sighting,
        topology: &Topology,
        translates: &dyn Fn(&Ns, &Packet, &Packet) -> bool,
    ) -> Option<(Open, Confidence)> {
        let node = &seen.at.node;
        let may_be = |open: &&Open| {
            let Some(step) = self.step(**open) else { return false };
            let is_routed = topology.link(&step.seen.at).is_none_or(|from| from.master.is_none())
                && step.seen.toward == Toward::Here;
            is_routed && self.is_last(**open)
        };
        let datagram = seen.packet.datagram();
        let keys = [Some(seen.packet.key), datagram].into_iter().flatten();
        let queues = keys.filter_map(|key| self.inside.get(&(node.clone(), key)));
        let mut candidates: Vec<(&Open, &Packet)> = queues
            .flatten()
            .filter(may_be)
            .filter_map(|open| Some((open, &self.step(*open)?.seen.packet)))
            .filter(|(_, before)| fits(before, &seen.packet))
            .collect();
        // One may be known by both keys.
        let mut known = BTreeSet::new();
        candidates.retain(|(open, _)| known.insert((open.track, open.step)));
        let candidates = if candidates.is_empty() { self.cut_from(seen, &may_be) } else { candidates };
        let rank = |before: &Packet| {
            let is_same = before.headers.endpoints == seen.packet.headers.endpoints;
            let has_id = before.id.is_some() && before.id == seen.packet.id;
            (u8::from(has_id), u8::from(is_same || translates(node, before, &seen.packet)))
        };
        let best = candidates.iter().map(|(_, before)| rank(before)).max()?;
        let mut found = candidates.iter().filter(|(_, before)| rank(before) == best);
        let (open, before) = found.next()?;
        let is_only = found.next().is_none();
        let is_told = is_only && (best.0 > 0 || best.1 > 0 || is_numbered(before));
        let confidence = if is_told { Confidence::Certain } else { Confidence::Likely };
        Some((**open, confidence))
    }

    /// Segments in a namespace that this one is a piece of.
    fn cut_from(&self, seen: &Sighting, may_be: &dyn Fn(&&Open) -> bool) -> Vec<(&Open, &Packet)> {
        let Some((start, _)) = seen.packet.range() else { return Vec::new() };
        let Some(queue) = self.whole.get(&seen.at.node) else { return Vec::new() };
        queue
            .iter()
            .filter(may_be)
            .filter_map(|open| Some((open, &self.step(*open)?.seen.packet)))
            .filter(|(_, before)| holds(before, start) && is_same_way(before, &seen.packet))
            .collect()
    }

    /// The packet of which this is a further piece, or which is now part of this one.
    fn merged(&mut self, seen: &Sighting) -> Option<TrackId> {
        let (start, _) = seen.packet.range()?;
        let queue = self.whole.get(&seen.at.node)?;
        let is_it = |open: &&Open| {
            let Some(step) = self.step(**open) else { return false };
            let first = self.tracks.get(&open.track).and_then(|track| track.steps.first());
            let is_here = step.seen.at == seen.at && step.seen.toward == seen.toward;
            let is_cut = first.is_some_and(|first| holds(&first.seen.packet, start));
            is_here
                && is_cut
                && is_same_way(&step.seen.packet, &seen.packet)
                && step.seen.packet.headers.endpoints == seen.packet.headers.endpoints
                && step.seen.packet.range().is_some_and(|(first, _)| first != start)
        };
        let open = *queue.iter().rev().find(is_it)?;
        self.tracks.get_mut(&open.track)?.steps.get_mut(open.step)?.pieces += 1;
        Some(open.track)
    }

    fn is_last(&self, open: Open) -> bool {
        self.tracks.get(&open.track).is_some_and(|track| track.steps.len() == open.step + 1)
    }

    fn begin(&mut self, seen: Sighting, topology: &Topology) -> Taken {
        let id = self.next;
        self.next += 1;
        let is_copy = self.has_just_left(&seen);
        let step = Step { seen, pieces: 1, confidence: Confidence::Certain };
        self.tracks.insert(id, Track { steps: vec![step], parent: None, is_copy, merged: None });
        self.open(Open { track: id, step: 0 }, topology);
        Taken::Begun(id)
    }

    /// Whether the very same packet has left by the same link a moment before.
    fn has_just_left(&self, seen: &Sighting) -> bool {
        let is_identical = seen.packet.id.is_some() || is_numbered(&seen.packet);
        !seen.toward.is_in()
            && is_identical
            && self
                .left
                .get(&seen.at)
                .is_some_and(|left| left.iter().any(|(whole, _)| *whole == seen.packet.whole))
    }

    fn go_on(&mut self, open: Open, seen: Sighting, confidence: Confidence, topology: &Topology) -> Taken {
        let step = Step { seen, pieces: 1, confidence };
        if self.is_last(open) {
            if let Some(track) = self.tracks.get_mut(&open.track) {
                track.steps.push(step);
            }
            self.open(Open { track: open.track, step: open.step + 1 }, topology);
            return Taken::Continued(open.track);
        }
        let id = self.next;
        self.next += 1;
        let parent = Some((open.track, self.shared(open)));
        self.tracks.insert(id, Track { steps: vec![step], parent, is_copy: false, merged: None });
        self.open(Open { track: id, step: 0 }, topology);
        Taken::Branched(id)
    }

    /// Remembers where a packet is, for its next sighting.
    fn open(&mut self, open: Open, topology: &Topology) {
        let Some(step) = self.step(open) else { return };
        let Sighting { at, packet, toward, .. } = step.seen.clone();
        let mut put = |key| {
            let queue = self.inside.entry((at.node.clone(), key)).or_default();
            queue.push_back(open);
            if queue.len() > SAME_MAX {
                queue.pop_front();
            }
        };
        put(packet.key);
        if let Some(inner) = packet.inner.as_ref().filter(|_| toward.is_in()) {
            put(inner.key);
        }
        if let Some(datagram) = packet.datagram() {
            if toward == Toward::Here {
                put(datagram);
            }
            if packet.fragment.is_some() {
                self.cut.insert((at.clone(), toward.is_in(), datagram), open);
            }
        }
        if packet.range().is_some() {
            let queue = self.whole.entry(at.node.clone()).or_default();
            queue.push_back(open);
            if queue.len() > PIECES_MAX {
                queue.pop_front();
            }
        }
        if toward == Toward::Away {
            let left = self.left.entry(at.clone()).or_default();
            left.push_back((packet.whole, open.track));
            if left.len() > SAME_MAX {
                left.pop_front();
            }
            if topology.link(&at).is_some_and(|link| link.peer.is_some()) {
                self.crossing.entry(at).or_default().push_back(open);
            }
        }
    }
}

/// Whether one may have become the other inside of a namespace.
fn fits(before: &Packet, after: &Packet) -> bool {
    let is_cut = before.fragment.is_some() || after.fragment.is_some();
    if is_cut {
        return before.datagram().is_some() && before.datagram() == after.datagram();
    }
    before.key == after.key
}

/// Whether it has numbers of its own that tell it from others of the same content.
fn is_numbered(packet: &Packet) -> bool {
    use super::packet::Kind;
    matches!(packet.kind, Kind::Tcp { .. } | Kind::Echo { .. }) || packet.id.is_some()
}

/// Whether a sequence number is one of the segment's, the first one included.
fn holds(packet: &Packet, seq: u32) -> bool {
    packet.range().is_some_and(|(first, end)| seq.wrapping_sub(first) < end.wrapping_sub(first))
}

/// Whether two segments acknowledge the same: those of one connection that follow each other do.
fn is_same_way(one: &Packet, other: &Packet) -> bool {
    use super::packet::Kind;
    match (&one.kind, &other.kind) {
        (Kind::Tcp { ack, .. }, Kind::Tcp { ack: other, .. }) => ack == other,
        _ => false,
    }
}

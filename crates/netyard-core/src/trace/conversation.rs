//! Packets that belong together: a question, its answers, and errors about it.

use super::packet::{Kind, Packet, Quoted};
use super::track::TrackId;
use crate::fault::Way;
use crate::journey::Endpoints;
use crate::state::Ns;
use std::collections::HashMap;

/// The number of a conversation.
pub type ConversationId = u64;

/// What packets of a conversation have in common at a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flow {
    node: Ns,
    protocol: u16,
    ends: Endpoints,
    /// Of an echo; a node that asks itself has both in one place.
    echo: Option<Echo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Echo {
    seq: u16,
    is_reply: bool,
}

/// A conversation, or the part of it that was not told yet.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Its packets in the order of their beginning.
    pub tracks: Vec<(TrackId, Way)>,
    /// When something of it was seen last.
    pub last_ns: u64,
    /// When something of it was seen first.
    pub first_ns: u64,
    /// Whether one of its packets was asked for.
    pub is_wanted: bool,
    flows: Vec<Flow>,
}

/// All conversations that are going on.
#[derive(Debug, Default)]
pub struct Conversations {
    next: ConversationId,
    all: HashMap<ConversationId, Conversation>,
    /// Where whose packets may begin.
    begins: HashMap<Flow, (ConversationId, Way)>,
    /// Where whose packets have passed, for errors about them.
    passes: HashMap<Flow, (ConversationId, Way)>,
    of_track: HashMap<TrackId, (ConversationId, Way)>,
}

impl Conversations {
    /// A packet that begins at a node, or was not seen before.
    pub fn begin(&mut self, track: TrackId, node: &Ns, packet: &Packet, at_ns: u64) {
        let flow = Flow::of(node, packet);
        let about = match &packet.kind {
            Kind::Error { about: Some(about), .. } => self.passes.get(&Flow::quoted(node, about)),
            _ => None,
        };
        let known = match about {
            Some((conversation, way)) => Some((*conversation, other(*way))),
            None => flow
                .as_ref()
                .and_then(|flow| self.begins.get(flow).or_else(|| self.passes.get(flow)).copied()),
        };
        let (id, way) = known.filter(|(id, _)| self.all.contains_key(id)).unwrap_or_else(|| {
            let id = self.next;
            self.next += 1;
            let empty = Conversation {
                tracks: Vec::new(),
                last_ns: at_ns,
                first_ns: at_ns,
                is_wanted: false,
                flows: Vec::new(),
            };
            self.all.insert(id, empty);
            (id, Way::There)
        });
        self.of_track.insert(track, (id, way));
        if let Some(conversation) = self.all.get_mut(&id) {
            conversation.tracks.push((track, way));
        }
        if let Some(flow) = flow.filter(|_| !matches!(packet.kind, Kind::Error { .. })) {
            self.begins.insert(flow.clone(), (id, way));
            self.remember(id, flow);
        }
    }

    /// A branch of a packet.
    pub fn branch(&mut self, track: TrackId, of: TrackId) {
        if let Some((id, way)) = self.of_track.get(&of).copied() {
            self.of_track.insert(track, (id, way));
            if let Some(conversation) = self.all.get_mut(&id) {
                conversation.tracks.push((track, way));
            }
        }
    }

    /// A packet was seen at a node. `is_answered_here` tells whether the first that is seen of its answer may be there.
    pub fn pass(
        &mut self,
        track: TrackId,
        node: &Ns,
        packet: &Packet,
        at_ns: u64,
        is_answered_here: bool,
        is_wanted: bool,
    ) {
        let Some((id, way)) = self.of_track.get(&track).copied() else { return };
        if let Some(conversation) = self.all.get_mut(&id) {
            conversation.last_ns = conversation.last_ns.max(at_ns);
            conversation.is_wanted |= is_wanted;
        }
        if matches!(packet.kind, Kind::Error { .. }) {
            return;
        }
        let Some(flow) = Flow::of(node, packet) else { return };
        if is_answered_here {
            let answer = flow.reversed();
            self.begins.entry(answer.clone()).or_insert((id, other(way)));
            self.remember(id, answer);
        }
        self.passes.insert(flow.clone(), (id, way));
        self.remember(id, flow);
    }

    /// A packet that is not followed was seen.
    pub fn touch(&mut self, node: &Ns, packet: &Packet, at_ns: u64) {
        let known = Flow::of(node, packet).and_then(|flow| self.passes.get(&flow).copied());
        if let Some(conversation) = known.and_then(|(id, _)| self.all.get_mut(&id)) {
            conversation.last_ns = conversation.last_ns.max(at_ns);
        }
    }

    /// Takes out the conversations for which this holds, in the order of their beginning.
    pub fn take(&mut self, is_over: impl Fn(&Conversation) -> bool) -> Vec<(ConversationId, Conversation)> {
        let mut ids: Vec<ConversationId> =
            self.all.iter().filter(|(_, one)| is_over(one)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        let mut taken = Vec::new();
        for id in ids {
            let Some(conversation) = self.all.remove(&id) else { continue };
            for flow in &conversation.flows {
                for map in [&mut self.begins, &mut self.passes] {
                    if map.get(flow).is_some_and(|(known, _)| *known == id) {
                        map.remove(flow);
                    }
                }
            }
            for (track, _) in &conversation.tracks {
                self.of_track.remove(track);
            }
            taken.push((id, conversation));
        }
        taken
    }

    /// All that are going on.
    pub fn iter(&self) -> impl Iterator<Item = &Conversation> {
        self.all.values()
    }

    fn remember(&mut self, id: ConversationId, flow: Flow) {
        if let Some(conversation) = self.all.get_mut(&id)
            && !conversation.flows.contains(&flow)
        {
            conversation.flows.push(flow);
        }
    }
}

impl Flow {
    /// Numbers for what has none of IANA: ARP and neighbour discovery.
    const ARP: u16 = 0x100;
    const NEIGHBOUR: u16 = 0x101;

    fn of(node: &Ns, packet: &Packet) -> Option<Self> {
        let mut ends = packet.headers.endpoints?;
        let (protocol, echo) = match packet.kind {
            Kind::Arp { .. } => (Self::ARP, None),
            Kind::Neighbour { is_reply, target, .. } => {
                // The question goes to a group, the answer may come from another address of the one asked.
                if is_reply {
                    ends.source = target.into();
                } else {
                    ends.destination = target.into();
                }
                (Self::NEIGHBOUR, None)
            }
            Kind::Echo { seq, is_reply, .. } => {
                (u16::from(packet.headers.protocol?), Some(Echo { seq, is_reply }))
            }
            _ => (u16::from(packet.headers.protocol?), None),
        };
        Some(Self { node: node.clone(), protocol, ends, echo })
    }

    fn quoted(node: &Ns, about: &Quoted) -> Self {
        let echo = about.echo.map(|(seq, is_reply)| Echo { seq, is_reply });
        Self { node: node.clone(), protocol: about.protocol.into(), ends: about.endpoints, echo }
    }

    fn reversed(&self) -> Self {
        let echo = self.echo.map(|echo| Echo { is_reply: !echo.is_reply, ..echo });
        Self { ends: super::nat::reversed(&self.ends), echo, ..self.clone() }
    }
}

/// The other way.
#[must_use]
pub fn other(way: Way) -> Way {
    match way {
        Way::There => Way::Back,
        Way::Back => Way::There,
    }
}

//! The way of one packet as hops: what each namespace did with it, in the order in which the kernel does it.

use super::kernel::KernelDrop;
use super::packet::{Kind as Packets, Packet};
use super::rules::{Decision, Passage, RuleVerdict, Ruleset};
use super::sighting::Toward;
use super::topology::{At, Kind, Link, Topology};
use super::track::Step;
use super::{blame, nat};
use crate::conntrack::Connection;
use crate::fault::{Confidence, Place, Way};
use crate::journey::{Endpoints, Event, Forwarding, Headers, Hop, Source};
use crate::name::IfName;
use crate::nft::{Action, ChainKind, Hook, Rule};
use crate::state::Ns;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// What is known besides the packets.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Links and addresses.
    pub topology: Topology,
    /// Rules with their numbers.
    pub rulesets: BTreeMap<Ns, Ruleset>,
    /// Tracked connections of namespaces that translate.
    pub connections: BTreeMap<Ns, Vec<Connection>>,
    /// Routes that were asked for.
    pub routes: BTreeMap<RouteQuestion, RouteTold>,
    /// States of neighbours when the trace began.
    pub neighbours: BTreeMap<(Ns, IpAddr), String>,
    /// Namespaces whose legacy rules masquerade.
    pub legacy_masquerade: BTreeSet<Ns>,
    /// Packets of which the kernel has said that it dropped them, in order.
    pub drops: Vec<KernelDrop>,
}

/// A question for a route (`RTM_GETROUTE`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteQuestion {
    /// The namespace that is asked.
    pub node: Ns,
    /// Where to.
    pub to: IpAddr,
    /// The source, of a packet that came by a link.
    pub from: Option<IpAddr>,
    /// That link.
    pub iif: Option<IfName>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTold {
    /// The route's destination; none where the kernel does not tell.
    pub route: Option<IpNet>,
    /// Table; 254 is `main`.
    pub table: u32,
    /// Gateway.
    pub via: Option<IpAddr>,
    /// Interface.
    pub dev: IfName,
    /// Source address of the node's own packets.
    pub src: Option<IpAddr>,
}

/// What a packet met on its way, besides where it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Met<'a> {
    /// The passages through rules, by the step that each begins at.
    pub passages: &'a BTreeMap<usize, &'a Passage>,
    /// There or back.
    pub way: Way,
    /// When each node has asked for a neighbour.
    pub asked: &'a BTreeMap<(Ns, IpAddr), u64>,
    /// Ports by which each step left its bridge, for those that were flooded.
    pub ports: &'a BTreeMap<usize, Vec<IfName>>,
}

/// How long before a packet its node may have asked for the neighbour.
const ASKED_BEFORE_NS: u64 = 5_000_000_000;

/// Where a new passage through a namespace begins: at the first step, and at each that comes in by a cable.
#[must_use]
pub fn starts(steps: &[Step], topology: &Topology) -> Vec<usize> {
    let begins = |index: &usize| {
        let step = &steps[*index];
        let Some(before) = index.checked_sub(1).map(|before| &steps[before]) else { return true };
        let crosses = before.seen.toward == Toward::Away && step.seen.toward.is_in();
        crosses || before.seen.at.node != step.seen.at.node || topology.link(&step.seen.at).is_none()
    };
    (0..steps.len()).filter(begins).collect()
}

/// The questions for routes that a packet's way raises.
#[must_use]
pub fn questions(steps: &[Step], topology: &Topology) -> Vec<RouteQuestion> {
    let starts = starts(steps, topology);
    let mut questions = Vec::new();
    for (at, start) in starts.iter().enumerate() {
        let end = starts.get(at + 1).copied().unwrap_or(steps.len());
        for index in *start..end {
            let before = (index > *start).then(|| &steps[index - 1]);
            questions.extend(question(before, &steps[index], topology));
        }
    }
    questions
}

/// The question for the route by which a step left.
fn question(before: Option<&Step>, step: &Step, topology: &Topology) -> Option<RouteQuestion> {
    if step.seen.toward != Toward::Away || !is_routed(before, step, topology) {
        return None;
    }
    let node = step.seen.at.node.clone();
    let to = step.seen.packet.headers.endpoints?.destination;
    if to.is_multicast()
        || !matches!(step.seen.packet.headers.ethertype, crate::packet::IPV4 | crate::packet::IPV6)
    {
        return None;
    }
    let came = before.filter(|before| before.seen.toward.is_in());
    Some(RouteQuestion {
        node,
        to,
        from: came.and_then(|came| Some(came.seen.packet.headers.endpoints?.source)),
        iif: came.and_then(|came| topology.name(&came.seen.at)),
    })
}

/// Whether the network layer has sent it, and not a bridge or a link that stands on another one.
fn is_routed(before: Option<&Step>, step: &Step, topology: &Topology) -> bool {
    let Some(before) = before else { return true };
    let (Some(from), Some(to)) = (topology.link(&before.seen.at), topology.link(&step.seen.at)) else {
        return true;
    };
    if before.seen.toward.is_in() {
        let is_bridged = from.master.is_some() && from.master == to.master;
        return !is_bridged;
    }
    // What a tunnel has packed in is sent like any other packet.
    matches!(from.kind, Kind::Tunnel { .. })
}

/// The hops of a packet.
#[must_use]
pub fn hops(steps: &[Step], known: &Known, met: Met<'_>) -> Vec<Hop> {
    let starts = starts(steps, &known.topology);
    let mut teller = Teller { known, met, steps, hops: Vec::new() };
    for (at, start) in starts.iter().enumerate() {
        let end = starts.get(at + 1).copied().unwrap_or(steps.len());
        teller.pass(*start, end);
    }
    teller.hops
}

/// The hops of a packet that no link has seen: rules have dropped it at its own node.
#[must_use]
pub fn unseen(passage: &Passage, known: &Known, way: Way) -> Vec<Hop> {
    let empty = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let met = Met { passages: &empty.0, way, asked: &empty.1, ports: &empty.2 };
    let mut teller = Teller { known, met, steps: &[], hops: Vec::new() };
    teller.rules(passage, None, &[]);
    teller.drop(passage, None, &passage.node);
    teller.hops
}

struct Teller<'a> {
    known: &'a Known,
    met: Met<'a>,
    steps: &'a [Step],
    hops: Vec<Hop>,
}

impl Teller<'_> {
    /// One namespace, from coming in to leaving or ending.
    fn pass(&mut self, start: usize, end: usize) {
        let passage = self.met.passages.get(&start).copied();
        for index in start..end {
            let step = &self.steps[index];
            let before = (index > start).then(|| &self.steps[index - 1]);
            let after = self.steps.get(index + 1).filter(|_| index + 1 < end);
            if step.seen.toward.is_in() {
                self.came(before, step, after);
            } else {
                self.left(index, before, step, passage);
            }
        }
        let last = &self.steps[end - 1];
        if last.seen.toward.is_in() {
            self.ended(last, passage);
        }
    }

    fn came(&mut self, before: Option<&Step>, step: &Step, after: Option<&Step>) {
        let topology = &self.known.topology;
        let Some(link) = topology.link(&step.seen.at) else {
            return self.put_at(step, Event::Received, Source::Packet);
        };
        let leaves_bridge = |after: &Step| {
            let to = topology.link(&after.seen.at);
            link.master.is_some() && to.is_some_and(|to| to.master == link.master)
        };
        let below = before.and_then(|before| Some((before, topology.link(&before.seen.at)?)));
        match (&link.kind, below) {
            (Kind::Bridge, Some((before, port))) if port.master == Some(step.seen.at.index) => {
                let event = Event::Bridged {
                    bridge: link.name.clone(),
                    from: topology.name(&before.seen.at),
                    to: Vec::new(),
                    decision: Forwarding::Local,
                };
                self.put_at(step, event, Source::Packet);
            }
            (Kind::Tunnel { word, id }, Some(_)) => {
                let event = Event::Tunnelled { kind: word.clone(), is_in: false, id: *id };
                self.put_at(step, event, Source::Packet);
            }
            // The bridge tells both ends.
            _ if after.is_some_and(leaves_bridge) => {}
            _ => self.put_at(step, Event::Received, Source::Packet),
        }
    }

    fn left(&mut self, index: usize, before: Option<&Step>, step: &Step, passage: Option<&Passage>) {
        let topology = &self.known.topology;
        let link = topology.link(&step.seen.at);
        let above = before.and_then(|before| Some((before, topology.link(&before.seen.at)?)));
        if let (Some(link), Some((before, above))) = (link, above) {
            if before.seen.toward.is_in() && above.master.is_some() && above.master == link.master {
                return self.bridged(index, Some(before), step, link);
            }
            if !before.seen.toward.is_in() {
                match &above.kind {
                    Kind::Bridge if link.master == Some(before.seen.at.index) => {
                        return self.bridged(index, None, step, link);
                    }
                    Kind::Tunnel { word, id } => {
                        let event = Event::Tunnelled { kind: word.clone(), is_in: true, id: *id };
                        self.put(
                            step.seen.at_ns,
                            &before.seen.at,
                            event,
                            Some(&step.seen.packet),
                            Source::Packet,
                        );
                        self.sent(step, None);
                        return;
                    }
                    _ => return self.put_at(step, Event::Sent, Source::Packet),
                }
            }
        }
        let came = before.filter(|before| before.seen.toward.is_in());
        self.routed(came, step, passage);
    }

    fn bridged(&mut self, index: usize, before: Option<&Step>, step: &Step, link: &Link) {
        let topology = &self.known.topology;
        let bridge = At { node: step.seen.at.node.clone(), index: link.master.unwrap_or_default() };
        let to = self.met.ports.get(&index).cloned().unwrap_or_else(|| vec![link.name.clone()]);
        let destination = step.seen.packet.headers.macs.map(|(_, to)| to);
        let is_known = destination
            .is_some_and(|mac| link.learned.get(&mac).is_some_and(|since| *since <= step.seen.at_ns));
        let is_flooded = step.seen.packet.is_to_many() || to.len() > 1;
        let decision = if is_flooded { Forwarding::Flood } else { Forwarding::Hit };
        let event = Event::Bridged {
            bridge: topology.name(&bridge).unwrap_or_else(|| link.name.clone()),
            from: before.and_then(|before| topology.name(&before.seen.at)),
            to,
            decision,
        };
        let at_ns = before.map_or(step.seen.at_ns, |before| before.seen.at_ns);
        self.put(at_ns, &bridge, event, Some(&step.seen.packet), Source::Packet);
        let ports = topology.nodes.get(&bridge.node).map_or(0, |node| node.ports(bridge.index).count());
        // With two ports a frame leaves by the other one, known or not.
        if decision == Forwarding::Hit
            && !is_known
            && ports < 3
            && let Some(hop) = self.hops.last_mut()
        {
            hop.confidence = Confidence::Likely;
        }
    }

    /// The network layer: rules, route, TTL, translation, neighbour, link.
    fn routed(&mut self, came: Option<&Step>, step: &Step, passage: Option<&Passage>) {
        let before = match (came, passage) {
            (Some(came), _) => came.seen.packet.headers.endpoints,
            (None, Some(passage)) => passage.endpoints(),
            (None, None) => step.seen.packet.headers.endpoints,
        };
        let after = step.seen.packet.headers.endpoints;
        let rewrites = nat::rewrites(
            self.known,
            &step.seen.at.node,
            before,
            after,
            &step.seen.packet,
            passage,
            self.met.way,
        );
        let first: &[Hook] =
            if came.is_some() { &[Hook::Ingress, Hook::Prerouting] } else { &[Hook::Output] };
        let at = Some(step);
        if let Some(passage) = passage {
            self.rules(passage, at, first);
        }
        self.translated(step, rewrites.destination);
        self.route(came, step);
        if let (Some(from), Some(to)) =
            (came.and_then(|c| c.seen.packet.headers.ttl), step.seen.packet.headers.ttl)
            && from != to
        {
            self.put_at(step, Event::Ttl { from, to }, Source::Packet);
        }
        if let Some(passage) = passage {
            self.rules(passage, at, &[Hook::Forward, Hook::Postrouting]);
        }
        self.translated(step, rewrites.source);
        self.sent(step, came);
    }

    fn translated(&mut self, step: &Step, rewrite: Option<nat::Rewrite>) {
        let Some(rewrite) = rewrite else { return };
        let event = Event::Translated {
            nat: rewrite.nat,
            before: rewrite.before,
            after: rewrite.after,
            ct: rewrite.ct,
            rule: rewrite.rule,
        };
        let mut headers = step.seen.packet.headers.clone();
        headers.endpoints = Some(rewrite.after);
        let source = if rewrite.ct.is_some() { Source::Conntrack } else { Source::Packet };
        let confidence = rewrite.confidence.max(step.confidence);
        let place = Place::node(step.seen.at.node.clone());
        self.hops.push(Hop {
            at_ns: Some(step.seen.at_ns),
            place,
            event,
            headers: Some(headers),
            source,
            confidence,
        });
    }

    fn route(&mut self, came: Option<&Step>, step: &Step) {
        let topology = &self.known.topology;
        let Some(question) = question(came, step, topology) else { return };
        let Some(dev) = topology.name(&step.seen.at) else { return };
        let told = self.known.routes.get(&question).filter(|told| told.dev == dev);
        let event = match told {
            Some(RouteTold { route, table, via, dev, src }) => Event::Routed {
                route: *route,
                table: *table,
                via: *via,
                dev: dev.clone(),
                src: src.filter(|_| came.is_none()),
            },
            None => Event::Routed { route: None, table: 0, via: None, dev, src: None },
        };
        let source = if told.is_some() { Source::Asked } else { Source::Packet };
        let place = Place::node(step.seen.at.node.clone());
        let confidence = Confidence::Certain;
        self.hops.push(Hop { at_ns: Some(step.seen.at_ns), place, event, headers: None, source, confidence });
    }

    /// The neighbour, pieces, and the link itself.
    fn sent(&mut self, step: &Step, came: Option<&Step>) {
        self.neighbour(came, step);
        let was = came.map_or(1, |came| came.pieces);
        if step.pieces > 1 && step.pieces != was {
            let pieces = step.pieces;
            let is_tcp = step.seen.packet.fragment.is_none();
            let event = if is_tcp { Event::Segmented { pieces } } else { Event::Fragmented { pieces } };
            self.put_at(step, event, Source::Packet);
        }
        self.put_at(step, Event::Sent, Source::Packet);
    }

    fn neighbour(&mut self, came: Option<&Step>, step: &Step) {
        let topology = &self.known.topology;
        let Some(question) = question(came, step, topology) else { return };
        let Some(told) = self.known.routes.get(&question) else { return };
        let Some((_, mac)) = step.seen.packet.headers.macs.filter(|(_, to)| !to.is_group()) else { return };
        if topology.link(&step.seen.at).is_none_or(|link| link.mac.is_none())
            || topology.name(&step.seen.at).as_ref() != Some(&told.dev)
        {
            return;
        }
        let to = told.via.unwrap_or(question.to);
        let key = (step.seen.at.node.clone(), to);
        let asked = self
            .met
            .asked
            .get(&key)
            .is_some_and(|asked| *asked <= step.seen.at_ns && step.seen.at_ns - asked < ASKED_BEFORE_NS);
        let state = match (asked, self.known.neighbours.get(&key)) {
            (true, _) => "asked".to_owned(),
            (false, Some(state)) => state.clone(),
            (false, None) => "known".to_owned(),
        };
        self.put_at(step, Event::Neighbour { to, mac: Some(mac), state }, Source::Packet);
    }

    /// What came in and did not leave.
    fn ended(&mut self, last: &Step, passage: Option<&Passage>) {
        let node = &last.seen.at.node;
        let mut final_ends = last.seen.packet.headers.endpoints;
        if let Some(passage) = passage {
            self.rules(passage, Some(last), &[Hook::Ingress, Hook::Prerouting]);
            let told = passage.last.headers.endpoints;
            let rewrites = nat::rewrites(
                self.known,
                node,
                final_ends,
                told,
                &last.seen.packet,
                Some(passage),
                self.met.way,
            );
            self.translated(last, rewrites.destination);
            final_ends = told;
            self.rules(passage, Some(last), &[Hook::Forward, Hook::Input, Hook::Postrouting]);
            if passage.is_delivered {
                self.translated(last, rewrites.source);
            }
            if passage.dropped_by().is_some() {
                return self.drop(passage, Some(last), node);
            }
        }
        let Some(ends) = final_ends else { return };
        let is_reached =
            self.known.topology.owns(node, ends.destination) && last.seen.toward != Toward::Other;
        let is_port = self.known.topology.link(&last.seen.at).is_some_and(|link| link.master.is_some());
        let is_ip = matches!(last.seen.packet.headers.ethertype, crate::packet::IPV4 | crate::packet::IPV6);
        let is_nd = matches!(last.seen.packet.kind, Packets::Neighbour { .. });
        let is_group = is_nd && last.seen.toward != Toward::Other;
        if is_port || !(is_reached || is_group) {
            return;
        }
        if last.pieces > 1 && last.seen.packet.fragment.is_some() {
            self.put_at(last, Event::Reassembled { pieces: last.pieces }, Source::Packet);
        }
        let to = match last.seen.packet.kind {
            Packets::Neighbour { target, is_reply: false, .. } => {
                if !self.known.topology.owns(node, target.into()) {
                    return;
                }
                target.into()
            }
            _ => ends.destination,
        };
        let listener = is_ip.then(|| self.listener(node, &last.seen.packet, ends)).flatten();
        let (socket, program) = listener.unzip();
        let event = Event::Delivered { to, socket, program: program.flatten() };
        self.put_at(last, event, Source::Packet);
        if let Some(hop) = self.hops.last_mut() {
            // A packet that is in front of the door is not yet inside.
            hop.confidence = match passage {
                Some(passage) if passage.is_delivered => Confidence::Certain,
                _ => Confidence::Likely,
            };
        }
    }

    fn listener(&self, node: &Ns, packet: &Packet, ends: Endpoints) -> Option<(SocketAddr, Option<String>)> {
        let node = self.known.topology.nodes.get(node)?;
        let listener = node.listener(packet.headers.protocol?, ends.destination, ends.destination_port?)?;
        Some((listener.address, listener.program.clone()))
    }

    /// The rules at these hooks; with none named: all.
    fn rules(&mut self, passage: &Passage, step: Option<&Step>, hooks: &[Hook]) {
        for decision in passage.decisions.iter().filter(|decision| decision.is_told()) {
            let is_here = hooks.is_empty() || decision.hook.is_some_and(|hook| hooks.contains(&hook));
            if is_here && !is_translation(decision) && !decision.ends() {
                let event = Event::Filtered { rule: decision.rule.clone(), verdict: decision.verdict.word() };
                self.put_rule(step, &passage.node, event);
            }
        }
    }

    fn drop(&mut self, passage: &Passage, step: Option<&Step>, node: &Ns) {
        let Some(decision) = passage.dropped_by() else { return };
        let event = Event::Filtered { rule: decision.rule.clone(), verdict: decision.verdict.word() };
        self.put_rule(step, node, event);
        let fault = blame::rule(node, decision, self.met.way, passage.endpoints());
        self.put_rule(step, node, Event::Dropped(Box::new(fault)));
    }

    fn put_rule(&mut self, step: Option<&Step>, node: &Ns, event: Event) {
        let place = Place::node(node.clone());
        let (source, confidence) = (Source::RuleTrace, Confidence::Certain);
        let at_ns = step.map(|step| step.seen.at_ns);
        self.hops.push(Hop { at_ns, place, event, headers: None, source, confidence });
    }

    fn put_at(&mut self, step: &Step, event: Event, source: Source) {
        self.put(step.seen.at_ns, &step.seen.at, event, Some(&step.seen.packet), source);
        if let Some(hop) = self.hops.last_mut() {
            hop.confidence = step.confidence;
        }
    }

    fn put(&mut self, at_ns: u64, at: &At, event: Event, packet: Option<&Packet>, source: Source) {
        let place = Place { node: at.node.clone(), interface: self.known.topology.name(at) };
        let headers: Option<Headers> = packet.map(|packet| packet.headers.clone());
        let confidence = Confidence::Certain;
        self.hops.push(Hop { at_ns: Some(at_ns), place, event, headers, source, confidence });
    }
}

/// Whether a rule rewrites addresses: the translation tells it.
#[must_use]
pub fn is_translation(decision: &Decision) -> bool {
    decision.chain_kind == ChainKind::Nat
        && decision.verdict == RuleVerdict::Accept
        && decision.known.as_ref().is_some_and(rewrites)
}

fn rewrites(rule: &Rule) -> bool {
    match &rule.action {
        Action::Masquerade | Action::Snat(_) | Action::Dnat(_) => true,
        Action::Other(words) => {
            ["masquerade", "snat", "dnat", "redirect"].iter().any(|word| words.contains(word))
        }
        _ => false,
    }
}

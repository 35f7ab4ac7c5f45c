//! The way of a packet from node to node: routes, hooks, address translation, delivery.

use super::packet::{Content, Ct, Marks, Packet};
use super::rules::{self, Meeting, Outcome, Spot, Translation};
use super::segment::Sent;
use super::sight::{RouteAsk, RouteFound};
use super::walk::{Ended, Exit, Flow, Walk};
use crate::fault::Place;
use crate::journey::{Event, Nat, RuleAt};
use crate::nft::{ChainKind, Hook, Match, Protocol};
use crate::state::Ns;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

/// The ifindex of the loopback in every namespace.
const LOOPBACK: u32 = 1;

/// Where a packet meets rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) ns: &'a Ns,
    pub(super) hook: Hook,
    pub(super) iif: Option<u32>,
    pub(super) oif: Option<u32>,
}

impl Walk<'_> {
    /// Follows a packet that a node makes itself. Returns how it ends, and the packet as it was made.
    pub(super) fn originate(&mut self, ns: &Ns, mut packet: Packet, oif: Option<u32>) -> (Ended, Packet) {
        self.passed_by(ns);
        let Some(found) = self.way_out(ns, &packet, oif) else { return (Ended::Lost, packet) };
        if packet.source.is_unspecified() {
            match found.source.filter(|source| !source.is_unspecified()) {
                Some(source) => packet.source = source,
                None => {
                    self.blame_no_address(ns, &packet);
                    return (Ended::Lost, packet);
                }
            }
        }
        let sent = packet;
        (self.leave(ns, packet, found), sent)
    }

    fn passed_by(&mut self, ns: &Ns) {
        if self.way.is_there() {
            self.passed.insert(ns.clone());
        }
    }

    fn leave(&mut self, ns: &Ns, mut packet: Packet, mut found: RouteFound) -> Ended {
        let before = packet.destination;
        self.track(ns, &mut packet);
        let unmarked = packet.marks.packet;
        let undone = self.undo_destination(ns, &mut packet);
        self.pass(At { ns, hook: Hook::Output, iif: None, oif: Some(found.index) }, &mut packet);
        // A chain of type route has the route looked up again for a packet that it has changed.
        let is_marked = packet.marks.packet != unmarked && self.routes_again(ns);
        if packet.destination != before || is_marked {
            match self.way_out(ns, &packet, None) {
                Some(other) => found = other,
                None => return Ended::Lost,
            }
        }
        self.routed(ns, &found, &packet);
        let out = At { ns, hook: Hook::Postrouting, iif: None, oif: Some(found.index) };
        if found.kind == RouteFound::LOCAL {
            if !self.link(ns, LOOPBACK).is_some_and(|lo| lo.is_up()) {
                self.blame_loopback(ns, &packet);
            }
            self.pass(At { oif: Some(LOOPBACK), ..out }, &mut packet);
            return self.deliver(ns, LOOPBACK, packet, None);
        }
        self.pass(out, &mut packet);
        self.undo_source(ns, undone, &mut packet);
        if self.way.is_there() {
            self.exits.push(Exit { ns: ns.clone(), iif: None, oif: found.index, source: packet.source });
        }
        let next = found.via.unwrap_or(packet.destination);
        match self.transmit(ns, found.index, next, found.via.is_some(), &mut packet) {
            Sent::To(ns, link) => self.travel(ns, link, packet),
            Sent::OutOfSight => Ended::Left(ns.clone(), found.index, packet),
            Sent::Nowhere => Ended::Lost,
        }
    }

    /// Whether packets of a node's own pass a chain of type route.
    fn routes_again(&mut self, ns: &Ns) -> bool {
        let inside = self.inside(ns);
        let mut bases =
            inside.rulesets.iter().flat_map(|r| &r.chains).filter_map(|chain| chain.base.as_ref());
        bases.any(|base| base.kind == ChainKind::Route && base.hook == Hook::Output)
    }

    fn routed(&mut self, ns: &Ns, found: &RouteFound, packet: &Packet) {
        let Some(dev) = self.link(ns, found.index).map(|link| link.name) else { return };
        let event =
            Event::Routed { route: found.route, table: found.table, via: found.via, dev, src: found.source };
        self.hop(Place::node(ns.clone()), event, packet);
    }

    /// Follows a packet that has come in by a link, from node to node.
    pub(super) fn travel(&mut self, mut ns: Ns, mut link: u32, mut packet: Packet) -> Ended {
        let mut been = HashSet::new();
        loop {
            if !been.insert((ns.clone(), link, packet.destination, packet.source)) || packet.ttl <= 1 {
                self.blame_loop(&ns, &packet);
                return Ended::Lost;
            }
            self.passed_by(&ns);
            self.track(&ns, &mut packet);
            let undone = self.undo_destination(&ns, &mut packet);
            self.pass(At { ns: &ns, hook: Hook::Prerouting, iif: Some(link), oif: None }, &mut packet);
            let Some(found) = self.way_through(&ns, link, &packet) else { return Ended::Lost };
            if found.kind == RouteFound::LOCAL {
                return self.deliver(&ns, link, packet, undone);
            }
            self.routed(&ns, &found, &packet);
            let event = Event::Ttl { from: packet.ttl, to: packet.ttl - 1 };
            packet.ttl -= 1;
            self.hop(Place::node(ns.clone()), event, &packet);
            let (iif, oif) = (Some(link), Some(found.index));
            self.pass(At { ns: &ns, hook: Hook::Forward, iif, oif }, &mut packet);
            let source = packet.source;
            self.pass(At { ns: &ns, hook: Hook::Postrouting, iif: None, oif }, &mut packet);
            self.undo_source(&ns, undone, &mut packet);
            if self.way.is_there() && packet.source == source {
                self.exits.push(Exit { ns: ns.clone(), iif, oif: found.index, source });
            }
            let next = found.via.unwrap_or(packet.destination);
            match self.transmit(&ns, found.index, next, found.via.is_some(), &mut packet) {
                Sent::To(next, by) => (ns, link) = (next, by),
                Sent::OutOfSight => {
                    self.check_private(&ns, (link, found.index), &packet);
                    return Ended::Left(ns, found.index, packet);
                }
                Sent::Nowhere => return Ended::Lost,
            }
        }
    }

    /// Gives a packet to the node.
    fn deliver(&mut self, ns: &Ns, link: u32, mut packet: Packet, undone: Option<usize>) -> Ended {
        self.pass(At { ns, hook: Hook::Input, iif: Some(link), oif: None }, &mut packet);
        self.undo_source(ns, undone, &mut packet);
        let socket = if self.way.is_there() && !self.is_in_tunnel { self.socket(ns, &packet) } else { None };
        let event = Event::Delivered { to: packet.destination, socket, program: None };
        let place = self.place(ns, link);
        self.hop(place, event, &packet);
        Ended::Delivered(ns.clone(), packet)
    }

    /// The socket that takes a packet; what is wrong where none does.
    fn socket(&mut self, ns: &Ns, packet: &Packet) -> Option<SocketAddr> {
        let is_tcp = match packet.content {
            Content::Tcp(..) => true,
            Content::Udp(..) => false,
            _ => {
                self.check_echo(ns, packet);
                return None;
            }
        };
        let (_, port) = packet.ports()?;
        let listeners = self.kernel.listeners(ns);
        let mut on_port =
            listeners.iter().filter(|l| l.is_tcp == is_tcp && l.address.port() == port).peekable();
        let takes = |at: &IpAddr, is_v6_only: bool| match (at, packet.destination) {
            (IpAddr::V6(any), IpAddr::V4(_)) if any.is_unspecified() => !is_v6_only,
            (at, to) => *at == to || at.is_unspecified() && at.is_ipv4() == to.is_ipv4(),
        };
        if on_port.peek().is_none() {
            self.blame_no_listener(ns, packet, port);
            return None;
        }
        let others: Vec<SocketAddr> = on_port.clone().map(|l| l.address).collect();
        let found = on_port.find(|l| takes(&l.address.ip(), l.is_v6_only)).map(|l| l.address);
        if found.is_none() {
            self.blame_other_listener(ns, packet, &others);
        }
        found
    }

    /// Shows a packet to the rules of a hook. What would stop it is taken down, and it goes on.
    pub(super) fn pass(&mut self, at: At<'_>, packet: &mut Packet) {
        let inside = self.inside(at.ns);
        if let Some(why) = &inside.unread_rules {
            self.blame_unread(at.ns, why, packet);
        }
        if inside.rulesets.is_empty() {
            return;
        }
        let outline = self.outline(at.ns);
        let name = |index: Option<u32>| Some((index?, outline.link(index?)?.name.as_str()));
        let (iif, oif) = (name(at.iif), name(at.oif));
        let asks_for_local = || {
            let rules = inside.rulesets.iter().flat_map(|r| &r.chains).flat_map(|c| &c.rules);
            rules.flat_map(|r| &r.rule.matches).any(|m| *m == Match::DestinationLocal)
        };
        let is_local = asks_for_local() && self.is_local(at.ns, packet);
        let was = *packet;
        for (ruleset, chain) in rules::chains_at(
            &inside.rulesets,
            rules::families_of(packet),
            at.hook,
            iif.or(oif).map(|link| link.1),
        ) {
            if rules::is_nat(chain) && packet.ct != Ct::New {
                continue;
            }
            let meeting = Meeting { packet, iif, oif, is_local };
            let judged = rules::judge(ruleset, chain, &meeting);
            self.mark(at.ns, judged.marks, packet);
            match judged.outcome {
                Outcome::Passes => {}
                Outcome::Accepted(spot) => self.filtered(at.ns, spot.told(ruleset), "accept", packet),
                Outcome::Dropped(spot) => self.blame_rule(at, spot, ruleset, packet, false),
                Outcome::Rejected(spot) => self.blame_rule(at, spot, ruleset, packet, true),
                Outcome::PolicyDrops(chain) => self.blame_policy(at, chain, ruleset, packet),
                Outcome::Unknown(spot) => {
                    self.blame_unknown_rule(at, spot, ruleset, packet);
                    self.is_doubtful |= rules::is_nat(chain);
                }
                Outcome::Translated(translation, spot) => {
                    self.translate(at, translation, spot.told(ruleset), spot, packet);
                }
            }
        }
        if packet.endpoints() != was.endpoints() && self.way.is_there() {
            self.remember(at.ns, was, *packet);
        }
    }

    /// Marks a packet. The mark of a connection is kept for what else belongs to it.
    fn mark(&mut self, ns: &Ns, marks: Marks, packet: &mut Packet) {
        packet.marks = marks;
        if packet.ct != Ct::Untracked {
            self.ct_marks.insert(ns.clone(), marks.connection);
        }
    }

    fn filtered(&mut self, ns: &Ns, rule: RuleAt, verdict: &str, packet: &Packet) {
        let event = Event::Filtered { rule, verdict: verdict.to_owned() };
        self.hop(Place::node(ns.clone()), event, packet);
    }

    /// Whether the destination is this node.
    pub(super) fn is_local(&mut self, ns: &Ns, packet: &Packet) -> bool {
        let ask = RouteAsk { from: None, ..ask(packet) };
        self.kernel.route(ns, &ask).is_ok_and(|found| found.kind == RouteFound::LOCAL)
    }

    fn translate(&mut self, at: At<'_>, how: Translation, rule: RuleAt, spot: Spot<'_>, packet: &mut Packet) {
        let before = packet.endpoints();
        let nat = match how {
            Translation::Masquerade => Nat::Masquerade,
            Translation::Source(_) => Nat::Snat,
            Translation::Destination(_) | Translation::Here(_) => Nat::Dnat,
        };
        match how {
            Translation::Masquerade => match self.masquerade_address(at, packet) {
                Some(source) => packet.source = source,
                None => return self.blame_no_masquerade_address(at, &rule, packet),
            },
            Translation::Source(to) => packet.source = to,
            Translation::Destination(to) => {
                redirect(packet, to.ip(), Some(to.port()).filter(|port| *port != 0))
            }
            Translation::Here(port) => {
                let own = if at.hook == Hook::Output {
                    loopback(packet.destination)
                } else {
                    self.address_at(at, packet)
                };
                let Some(own) = own else { return self.blame_unknown_rule_at(at, spot, &rule, packet) };
                redirect(packet, own, port);
            }
        }
        let after = packet.endpoints();
        let event = Event::Translated { nat, before, after, ct: None, rule: Some(rule) };
        self.hop(Place::node(at.ns.clone()), event, packet);
    }

    /// The first address of the interface that a packet came in by.
    fn address_at(&mut self, at: At<'_>, packet: &Packet) -> Option<IpAddr> {
        let outline = self.outline(at.ns);
        let mut own = outline.addresses_of(at.iif?).map(|address| address.prefix.addr());
        own.find(|own| own.is_ipv4() == packet.destination.is_ipv4())
    }

    /// The address that masquerading takes (net/netfilter/nf_nat_masquerade.c): of the outgoing interface, in the
    /// prefix of the next hop where there is one.
    fn masquerade_address(&mut self, at: At<'_>, packet: &Packet) -> Option<IpAddr> {
        let next = self
            .kernel
            .route(at.ns, &RouteAsk { from: None, ..ask(packet) })
            .ok()
            .and_then(|found| found.via)
            .unwrap_or(packet.destination);
        let outline = self.outline(at.ns);
        let is_fitting = |address: IpAddr| address.is_ipv4() == packet.destination.is_ipv4();
        let own: Vec<_> = outline
            .addresses_of(at.oif?)
            .filter(|a| is_fitting(a.prefix.addr()) && super::is_global(a.prefix.addr()))
            .collect();
        let near = own.iter().find(|a| a.prefix.contains(&next));
        if let Some(found) = near.or(own.first()) {
            return Some(found.prefix.addr());
        }
        outline.global_addresses().map(|a| a.prefix.addr()).find(|a| is_fitting(*a))
    }

    fn remember(&mut self, ns: &Ns, original: Packet, translated: Packet) {
        match self.flows.last_mut() {
            Some(flow) if flow.ns == *ns && flow.translated.endpoints() == original.endpoints() => {
                flow.translated = translated;
            }
            _ => self.flows.push(Flow { ns: ns.clone(), original, translated }),
        }
    }

    /// Undoes in an answer what was done to the source: the first half of what connection tracking does.
    pub(super) fn undo_destination(&mut self, ns: &Ns, packet: &mut Packet) -> Option<usize> {
        if self.way.is_there() {
            return None;
        }
        let is_answer = |flow: &Flow| {
            let answer = flow.translated.answer();
            flow.ns == *ns
                && (answer.source, answer.destination, answer.ports())
                    == (packet.source, packet.destination, packet.ports())
        };
        let index = self.flows.iter().position(is_answer)?;
        let flow = self.flows[index].clone();
        let back = flow.original.answer();
        if packet.destination != back.destination {
            let before = packet.endpoints();
            packet.destination = back.destination;
            self.undone(ns, before, packet);
        }
        Some(index)
    }

    /// The second half: what was done to the destination.
    pub(super) fn undo_source(&mut self, ns: &Ns, index: Option<usize>, packet: &mut Packet) {
        let Some(flow) = index.and_then(|index| self.flows.get(index)).cloned() else { return };
        let back = flow.original.answer();
        let before = packet.endpoints();
        packet.source = back.source;
        if let Some((from, to)) = back.ports() {
            *packet = packet.with_ports(from, to);
        }
        if packet.endpoints() != before {
            self.undone(ns, before, packet);
        }
    }

    fn undone(&mut self, ns: &Ns, before: crate::journey::Endpoints, packet: &Packet) {
        let event =
            Event::Translated { nat: Nat::Undo, before, after: packet.endpoints(), ct: None, rule: None };
        self.hop(Place::node(ns.clone()), event, packet);
    }
}

fn redirect(packet: &mut Packet, to: IpAddr, port: Option<u16>) {
    packet.destination = to;
    packet.has_dnat = true;
    if let (Some(port), Some((from, _))) = (port, packet.ports()) {
        *packet = packet.with_ports(from, port);
    }
}

fn loopback(like: IpAddr) -> Option<IpAddr> {
    Some(if like.is_ipv4() {
        IpAddr::from(std::net::Ipv4Addr::LOCALHOST)
    } else {
        IpAddr::from(std::net::Ipv6Addr::LOCALHOST)
    })
}

/// The look-up for a packet of a node's own.
pub(super) fn ask(packet: &Packet) -> RouteAsk {
    let protocol = packet.protocol().map_or(0, Protocol::number);
    RouteAsk {
        to: packet.destination,
        from: Some(packet.source).filter(|source| !source.is_unspecified()),
        iif: None,
        oif: None,
        protocol,
        ports: packet.ports(),
        mark: packet.marks.packet.unwrap_or(0),
    }
}

//! From one node to the next: who has the next hop's address, and whether frames get there.

use super::ethernet::{self, Arrival, Spread, To, What};
use super::packet::{Content, Ct, Marks, Packet};
use super::path::At;
use super::sight::{Link, LinkKind, Neighbour, Outline, RouteAsk, RouteFound};
use super::walk::Walk;
use crate::fault::Place;
use crate::journey::Event;
use crate::mac::Mac;
use crate::nft::Hook;
use crate::state::Ns;
use std::net::IpAddr;

/// Where a packet comes in.
pub(super) enum Sent {
    /// By this link of this namespace.
    To(Ns, u32),
    /// Somewhere that cannot be seen.
    OutOfSight,
    /// Nowhere.
    Nowhere,
}

impl Walk<'_> {
    /// Sends a packet out of a link to the next hop.
    pub(super) fn transmit(
        &mut self,
        ns: &Ns,
        out: u32,
        next: IpAddr,
        is_gateway: bool,
        packet: &mut Packet,
    ) -> Sent {
        let Some(link) = self.link(ns, out) else { return Sent::Nowhere };
        if matches!(link.kind, LinkKind::Other(_)) {
            self.blame_out_of_sight(ns, &link, packet);
            return Sent::OutOfSight;
        }
        self.leaves_sight = false;
        let Some(arrival) = self.next_hop(ns, &link, next, is_gateway, packet) else {
            return if self.leaves_sight { Sent::OutOfSight } else { Sent::Nowhere };
        };
        self.follow(&arrival, packet, true);
        self.check_mtu(&link, &arrival, packet);
        self.undo_in_bridges(&arrival, packet);
        Sent::To(arrival.ns, arrival.link)
    }

    /// Bridges that show their frames to iptables translate answers back as routers do.
    fn undo_in_bridges(&mut self, arrival: &Arrival, packet: &mut Packet) {
        for step in &arrival.steps {
            if let What::Bridged { from: Some(_), to: Some(_), .. } = step.what
                && self.calls_iptables(&step.ns, step.link, packet.destination)
            {
                let before = packet.destination;
                let undone = self.undo_destination(&step.ns, packet);
                if packet.destination == before {
                    self.undo_source(&step.ns, undone, packet);
                }
            }
        }
    }

    /// Where frames for the next hop arrive.
    fn next_hop(
        &mut self,
        ns: &Ns,
        link: &Link,
        next: IpAddr,
        is_gateway: bool,
        packet: &Packet,
    ) -> Option<Arrival> {
        let inside = self.inside(ns);
        let entry = inside.neighbours.iter().find(|n| n.index == link.index && n.to == next).copied();
        let known = entry.and_then(|entry| entry.known_mac());
        let mut told = Event::Neighbour {
            to: next,
            mac: known,
            state: entry.map_or("none", |entry| entry.word()).to_owned(),
        };
        let answers = self.who_answers(ns, link, next);
        if let (Some(mac), Some(entry)) = (known, entry) {
            self.hop(Place::interface(ns.clone(), link.name.clone()), told, packet);
            return self.by_entry(ns, link, next, (mac, entry), answers, packet, is_gateway);
        }
        if link.master.is_some() && self.is_bridge_port(ns, link) {
            self.blame_address_on_port(ns, link, packet);
        }
        if answers.is_empty()
            && let Some(mac) = self.asker(ns, link, next)
        {
            if let Event::Neighbour { mac: told_mac, .. } = &mut told {
                *told_mac = Some(mac);
            }
            let spread = ethernet::spread(self.kernel, (ns, link.index), To::One(mac), &|_, _, _| true);
            if let Some(found) = spread.arrivals.into_iter().next() {
                self.hop(Place::interface(ns.clone(), link.name.clone()), told, packet);
                return Some(found);
            }
        }
        let Some(best) = answers.first().cloned() else {
            self.blame_nobody(ns, link, next, is_gateway, entry, packet);
            return None;
        };
        self.check_duplicates(ns, link, next, &answers, false, packet);
        self.check_room(ns, packet, next);
        let mac = self.link(&best.ns, best.link).and_then(|link| link.mac);
        if let Event::Neighbour { mac: told_mac, .. } = &mut told {
            *told_mac = mac;
        }
        self.hop(Place::interface(ns.clone(), link.name.clone()), told, packet);
        self.ask_and_answer(ns, link, next, &best);
        self.frame_to(ns, link, mac, &best)
    }

    /// The way of the packet itself to an Ethernet address; that of the request where it is not known otherwise.
    fn frame_to(&mut self, ns: &Ns, link: &Link, mac: Option<Mac>, asked: &Arrival) -> Option<Arrival> {
        let Some(mac) = mac else { return Some(asked.clone()) };
        let (place, at) = (asked.ns.clone(), asked.link);
        let spread = ethernet::spread(self.kernel, (ns, link.index), To::One(mac), &|ns, link, _| {
            *ns == place && link.index == at
        });
        Some(spread.arrivals.into_iter().next().unwrap_or_else(|| asked.clone()))
    }

    /// Frames go to the address of a neighbour entry.
    #[allow(clippy::too_many_arguments, reason = "they are one question")]
    fn by_entry(
        &mut self,
        ns: &Ns,
        link: &Link,
        next: IpAddr,
        (mac, entry): (Mac, Neighbour),
        answers: Vec<Arrival>,
        packet: &Packet,
        is_gateway: bool,
    ) -> Option<Arrival> {
        let spread = ethernet::spread(self.kernel, (ns, link.index), To::One(mac), &|_, _, _| true);
        let owns = |arrival: &&Arrival| {
            answers.iter().any(|answer| (&answer.ns, answer.link) == (&arrival.ns, arrival.link))
        };
        if let Some(found) = spread.arrivals.iter().find(owns).cloned() {
            let meant = answers.first().filter(|meant| meant.ns != found.ns).cloned();
            let is_lost = is_gateway && meant.is_some() && !self.is_meant(&found);
            self.check_duplicates(ns, link, next, &answers, is_lost, packet);
            return match meant {
                Some(meant) if is_lost => {
                    let mac = self.link(&meant.ns, meant.link).and_then(|link| link.mac);
                    self.frame_to(ns, link, mac, &meant)
                }
                _ => Some(found),
            };
        }
        // The entry names nobody who has the address. Where somebody else has it, the entry is wrong; where nobody
        // can be asked, the reason for that is the fault.
        match (answers.first().cloned(), spread.arrivals.first().cloned()) {
            (Some(owner), stranger) => {
                self.blame_neighbour(ns, link, next, (mac, entry), (&owner, stranger.as_ref()), packet);
                let mac = self.link(&owner.ns, owner.link).and_then(|link| link.mac);
                self.frame_to(ns, link, mac, &owner)
            }
            // Somebody takes the frames without having the address: a proxy, or a node that has every address.
            (None, Some(stranger)) => Some(stranger),
            (None, None) => {
                self.blame_nobody(ns, link, next, is_gateway, Some(entry), packet);
                None
            }
        }
    }

    /// The Ethernet address of a neighbour that has asked a node itself.
    fn asker(&self, ns: &Ns, link: &Link, address: IpAddr) -> Option<Mac> {
        let is_it = |(owner, index, asker, _): &&(Ns, u32, IpAddr, Mac)| {
            (owner, *index, *asker) == (ns, link.index, address)
        };
        self.askers.iter().find(is_it).map(|(.., mac)| *mac)
    }

    fn is_bridge_port(&mut self, ns: &Ns, link: &Link) -> bool {
        let master = link.master.and_then(|master| self.link(ns, master));
        master.is_some_and(|master| master.bridge().is_some())
    }

    /// The request as a packet: ARP, or a neighbour solicitation.
    fn request(&mut self, ns: &Ns, link: &Link, next: IpAddr) -> Packet {
        let outline = self.outline(ns);
        let is_fitting = |address: &IpAddr| address.is_ipv4() == next.is_ipv4();
        let on_link = outline
            .addresses_of(link.index)
            .find(|a| is_fitting(&a.prefix.addr()) && a.prefix.contains(&next));
        let any = || outline.addresses_of(link.index).find(|a| is_fitting(&a.prefix.addr()));
        let other = || outline.global_addresses().find(|a| is_fitting(&a.prefix.addr()));
        let source = on_link.or_else(any).or_else(other).map_or(next, |address| address.prefix.addr());
        let content = if next.is_ipv4() { Content::Arp } else { Content::Icmp(135) };
        let (ct, marks) = (Ct::Untracked, Marks::NONE);
        Packet { source, destination: next, content, ttl: 255, ct, has_dnat: false, marks }
    }

    /// Who would answer a request for an address that is sent out of a link, the nearest first.
    pub(super) fn who_answers(&mut self, ns: &Ns, link: &Link, next: IpAddr) -> Vec<Arrival> {
        let request = self.request(ns, link, next);
        let spread =
            ethernet::spread(self.kernel, (ns, link.index), To::All, &|place, _, outline: &Outline| {
                place != ns && outline.has(next)
            });
        let mut answers: Vec<Arrival> =
            spread.arrivals.into_iter().filter(|arrival| self.answers(arrival, &request)).collect();
        // Of several with one address the one that is meant comes first: who answers first is luck.
        answers.sort_by_key(|answer| (answer.trouble_count(), !self.is_meant(answer)));
        answers
    }

    /// Whether a node is the one who is asked, or passes packets on.
    fn is_meant(&mut self, arrival: &Arrival) -> bool {
        let is_target = Some(&arrival.ns) == self.target.as_ref() || Some(&arrival.ns) == self.from.as_ref();
        is_target || self.forwards_ipv4(&arrival.ns, arrival.link)
    }

    /// Everything that a frame to all reaches from a link.
    pub(super) fn reached(&mut self, ns: &Ns, index: u32) -> Spread {
        ethernet::spread(self.kernel, (ns, index), To::All, &|_, _, _| true)
    }

    /// Whether a node that has an address answers a request for it at this link (net/ipv4/arp.c `arp_process`,
    /// net/ipv6/ndisc.c `ndisc_recv_ns`).
    fn answers(&mut self, arrival: &Arrival, request: &Packet) -> bool {
        let outline = self.outline(&arrival.ns);
        let inside = self.inside(&arrival.ns);
        let asked = request.destination;
        let is_on_link = outline.addresses_of(arrival.link).any(|a| a.prefix.addr() == asked && a.is_usable);
        if asked.is_ipv6() {
            return is_on_link;
        }
        let name =
            outline.link(arrival.link).map(|link| link.name.as_str().replace('.', "/")).unwrap_or_default();
        let value = |conf: &str| {
            inside
                .sysctls
                .get(&format!("net.ipv4.conf.{conf}.arp_ignore"))
                .and_then(|v| v.parse::<u32>().ok())
        };
        let ignores = value("all").unwrap_or(0).max(value(&name).unwrap_or(0));
        let is_near = outline.addresses_of(arrival.link).any(|a| a.prefix.contains(&request.source));
        match ignores {
            1 if !is_on_link => return false,
            2 if !is_on_link || !is_near => return false,
            8.. => return false,
            _ => {}
        }
        // A link that is down routes nothing; it would answer if it were up.
        if arrival.troubles().any(|(_, trouble)| Self::is_down(trouble)) {
            return true;
        }
        let ask = RouteAsk { from: Some(request.source), iif: Some(arrival.link), ..RouteAsk::to(asked) };
        self.kernel.route(&arrival.ns, &ask).is_ok_and(|found| found.kind == RouteFound::LOCAL)
    }

    /// The request and its answer meet rules and obstacles too.
    fn ask_and_answer(&mut self, ns: &Ns, link: &Link, next: IpAddr, owner: &Arrival) {
        let mut request = self.request(ns, link, next);
        self.ask_rules(ns, Hook::Output, (None, Some(link.index)), &mut request);
        self.follow(owner, &request, false);
        self.ask_rules(&owner.ns, Hook::Input, (Some(owner.link), None), &mut request);
        if let Some(mac) = link.mac {
            self.askers.push((owner.ns.clone(), owner.link, request.source, mac));
        }
        let mut answer = request.answer();
        answer.ct = Ct::Untracked;
        self.ask_rules(&owner.ns, Hook::Output, (None, Some(owner.link)), &mut answer);
        if let Some(mac) = link.mac {
            let (home, at) = (ns.clone(), link.index);
            let spread =
                ethernet::spread(self.kernel, (&owner.ns, owner.link), To::One(mac), &|place, found, _| {
                    *place == home && found.index == at
                });
            if let Some(back) = spread.arrivals.first() {
                self.follow(back, &answer, false);
            }
        }
        self.ask_rules(ns, Hook::Input, (Some(link.index), None), &mut answer);
    }

    /// Rules for ARP, or for neighbour discovery.
    fn ask_rules(
        &mut self,
        ns: &Ns,
        hook: Hook,
        (iif, oif): (Option<u32>, Option<u32>),
        packet: &mut Packet,
    ) {
        self.pass(At { ns, hook, iif, oif }, packet);
        if packet.content == Content::Icmp(135) || packet.content == Content::Icmp(136) {
            packet.ct = Ct::Untracked;
        }
    }

    /// Several nodes with one address on one network.
    fn check_duplicates(
        &mut self,
        ns: &Ns,
        link: &Link,
        next: IpAddr,
        answers: &[Arrival],
        is_lost: bool,
        packet: &Packet,
    ) {
        let mut owners: Vec<(Ns, u32, Option<Mac>)> = Vec::new();
        for answer in answers.iter().filter(|answer| answer.trouble_count() == 0) {
            let mac = self.link(&answer.ns, answer.link).and_then(|link| link.mac);
            if !owners.iter().any(|(place, ..)| *place == answer.ns) {
                owners.push((answer.ns.clone(), answer.link, mac));
            }
        }
        if owners.len() > 1 {
            self.blame_duplicate(ns, link, next, &owners, is_lost, packet);
        }
    }

    /// Room for one more neighbour.
    fn check_room(&mut self, ns: &Ns, packet: &Packet, next: IpAddr) {
        let inside = self.inside(ns);
        let table = inside.neighbour_tables.iter().find(|table| table.is_ipv6 == next.is_ipv6());
        let Some(mut table) = table.filter(|table| table.entries >= table.max).cloned() else { return };
        // Permanent entries are counted by the kernel, and take no room.
        let places = self.kernel.places();
        let permanent = |ns: &Ns| {
            let inside = self.kernel.inside(ns);
            let is_fitting = |n: &&Neighbour| n.is_permanent() && n.to.is_ipv6() == next.is_ipv6();
            inside.neighbours.iter().filter(is_fitting).count()
        };
        let permanent: usize = places.iter().map(permanent).sum();
        table.entries = table.entries.saturating_sub(u32::try_from(permanent).unwrap_or(u32::MAX));
        if table.entries >= table.max {
            self.blame_full_table(ns, &table, packet);
        }
    }

    /// Links on the way that take less than the sender's, silently.
    fn check_mtu(&mut self, from: &Link, arrival: &Arrival, packet: &Packet) {
        let largest = self.largest.map_or(from.mtu, |largest| largest.min(from.mtu));
        let mut narrowest: Option<(Ns, Link)> = None;
        for step in &arrival.steps {
            let Some(link) = self.link(&step.ns, step.link).filter(|link| link.bridge().is_none()) else {
                continue;
            };
            let is_less =
                link.mtu < largest && narrowest.as_ref().is_none_or(|(_, other)| link.mtu < other.mtu);
            // What a tunnel adds is cut by its own node, which tells.
            if is_less && link.vxlan().is_none() {
                narrowest = Some((step.ns.clone(), link));
            }
        }
        if let Some((ns, link)) = narrowest {
            self.blame_mtu((from, largest), &ns, &link, packet);
        }
    }
}

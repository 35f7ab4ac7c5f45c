//! The walk itself: there, and back.

use super::kernel::Kernel;
use super::packet::{Content, Ct, Marks, Packet};
use super::sight::{Inside, Link, Outline};
use super::{About, Question};
use crate::fault::{Confidence, Fault, Place, Way};
use crate::journey::{Event, Headers, Hop, Leg, Source};
use crate::mac::Mac;
use crate::state::Ns;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

/// What is known so far.
pub(super) struct Walk<'k> {
    pub(super) kernel: &'k mut dyn Kernel,
    pub(super) way: Way,
    pub(super) about: About,
    /// Who is asked, where that is a node.
    pub(super) target: Option<Ns>,
    pub(super) from: Option<Ns>,
    pub(super) hops: Vec<Hop>,
    legs: Vec<Leg>,
    pub(super) faults: Vec<Fault>,
    /// What was rewritten on the way there, and where.
    pub(super) flows: Vec<Flow>,
    /// Who was asked for an Ethernet address, at which link, and the address and Ethernet address of who asked: whoever
    /// is asked knows the asker from then on.
    pub(super) askers: Vec<(Ns, u32, IpAddr, Mac)>,
    /// The marks of the connection where rules have set one.
    pub(super) ct_marks: BTreeMap<Ns, Option<u32>>,
    /// The namespaces that the packet passed on the way there, which know the answer for one.
    pub(super) passed: BTreeSet<Ns>,
    /// Where a private source address left for a public network: namespace and interface.
    pub(super) exits: Vec<Exit>,
    /// The namespaces that there is any way to.
    pub(super) near: BTreeSet<Ns>,
    /// Whether the packet that is followed is one of a tunnel.
    pub(super) is_in_tunnel: bool,
    /// The largest packet of that tunnel, in bytes.
    pub(super) largest: Option<u32>,
    /// Whether frames were just found to leave what can be seen.
    pub(super) leaves_sight: bool,
    /// Whether a rule that may have translated the packet is not understood: what is found from there on is about a packet
    /// that there may never be.
    pub(super) is_doubtful: bool,
}

/// A connection that was rewritten.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) ns: Ns,
    /// The packet before and after.
    pub(super) original: Packet,
    pub(super) translated: Packet,
}

/// Where a packet left a router.
#[derive(Debug, Clone)]
pub(super) struct Exit {
    pub(super) ns: Ns,
    pub(super) iif: Option<u32>,
    pub(super) oif: u32,
    pub(super) source: IpAddr,
}

/// How a leg ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// In a namespace, by the link, as this packet.
    Delivered(Ns, Packet),
    /// It left by a link for what cannot be seen.
    Left(Ns, u32, Packet),
    /// Somewhere before.
    Lost,
}

impl<'k> Walk<'k> {
    pub(super) fn new(kernel: &'k mut dyn Kernel, question: &Question) -> Self {
        let near =
            question.from.node.as_ref().map(|ns| super::party::connected(kernel, ns)).unwrap_or_default();
        Self {
            kernel,
            near,
            way: Way::There,
            about: question.about,
            target: question.to.node.clone(),
            from: question.from.node.clone(),
            hops: Vec::new(),
            legs: Vec::new(),
            faults: Vec::new(),
            flows: Vec::new(),
            askers: Vec::new(),
            ct_marks: BTreeMap::new(),
            passed: BTreeSet::new(),
            exits: Vec::new(),
            is_in_tunnel: false,
            largest: None,
            leaves_sight: false,
            is_doubtful: false,
        }
    }

    pub(super) fn end(mut self) -> (Vec<Fault>, Vec<Leg>) {
        self.check_names();
        (self.faults, self.legs)
    }

    /// The namespaces on the way, each once.
    fn places_on_the_way(&self) -> Vec<Ns> {
        let mut places: Vec<Ns> = Vec::new();
        for hop in self.legs.iter().flat_map(|leg| &leg.hops) {
            if !places.contains(&hop.place.node) {
                places.push(hop.place.node.clone());
            }
        }
        places
    }

    /// Namespaces that live on without a name.
    fn check_names(&mut self) {
        for ns in self.places_on_the_way() {
            if let Some((comm, pid)) = self.kernel.keeper_of_unnamed(&ns) {
                self.blame_unnamed(&ns, &comm, pid);
            }
        }
    }

    /// Follows the packet to its end, and the answer to its end.
    pub(super) fn there_and_back(&mut self, question: &Question) {
        let (Some(from), Some(to)) = (question.from.node.clone(), question.to.address) else { return };
        let mut packet = Packet::first(question.from.address.unwrap_or(unspecified(to)), to, question.about);
        let oif = question.from.interface.as_ref().and_then(|name| {
            let outline = self.kernel.outline(&from)?;
            outline.link_named(name.as_str()).map(|link| link.index)
        });
        self.check_ping(&from);
        let (ended, sent) = self.originate(&from, packet, oif);
        packet = sent;
        self.close(packet);
        if let Ended::Left(border, link, left) = ended {
            // Whoever is out there would answer this packet; the answer comes in where it left.
            self.way = Way::Back;
            let answer = left.answer();
            if let Ended::Delivered(home, got) = self.travel(border.clone(), link, answer) {
                self.is_expected(&from, &home, &packet, &got, &border);
            }
            self.close(answer);
            return;
        }
        let Ended::Delivered(place, arrived) = ended else { return };
        if self.is_elsewhere(&place, to) {
            return;
        }
        // A packet that comes from where it goes needs no way back.
        if place == from && arrived.source == arrived.destination {
            return;
        }
        self.way = Way::Back;
        let answer = arrived.answer();
        let (ended, _) = self.originate(&place, answer, None);
        if let Ended::Delivered(home, got) = &ended {
            self.is_expected(&from, home, &packet, got, &place);
        }
        self.close(answer);
    }

    fn close(&mut self, packet: Packet) {
        let hops = std::mem::take(&mut self.hops);
        self.legs.push(Leg {
            way: self.way,
            title: packet.title(),
            headers: headers(&packet),
            hops,
            is_copy: false,
        });
    }

    pub(super) fn outline(&mut self, ns: &Ns) -> Rc<Outline> {
        self.kernel.outline(ns).unwrap_or_default()
    }

    pub(super) fn inside(&mut self, ns: &Ns) -> Rc<Inside> {
        self.kernel.inside(ns)
    }

    pub(super) fn link(&mut self, ns: &Ns, index: u32) -> Option<Link> {
        self.kernel.outline(ns)?.link(index).cloned()
    }

    /// The place of a link.
    pub(super) fn place(&mut self, ns: &Ns, index: u32) -> Place {
        Place { node: ns.clone(), interface: self.link(ns, index).map(|link| link.name) }
    }

    /// Takes down what happens.
    pub(super) fn hop(&mut self, place: Place, event: Event, packet: &Packet) {
        let headers = Some(headers(packet));
        let (source, confidence) = (Source::Asked, Confidence::Certain);
        self.hops.push(Hop { at_ns: None, place, event, headers, source, confidence });
    }

    /// Takes down what is wrong, once.
    pub(super) fn blame(&mut self, mut fault: Fault, packet: &Packet) {
        if self.is_doubtful {
            fault.confidence = Confidence::Unknown;
            fault.sentence = format!("if that rule leaves the packet as it is: {}", fault.sentence);
        }
        self.hop(fault.at.clone(), Event::Dropped(Box::new(fault.clone())), packet);
        let is_same = |known: &Fault| {
            let fix = |fault: &Fault| fault.fixes.first().map(|fix| fix.command.clone());
            known.cause == fault.cause && known.at == fault.at && fix(known) == fix(&fault)
        };
        if !self.faults.iter().any(is_same) {
            self.faults.push(fault);
        }
    }

    /// What connection tracking makes of a packet in a namespace. The packet's own mark does not leave its namespace.
    pub(super) fn track(&self, ns: &Ns, packet: &mut Packet) {
        let connection = self.ct_marks.get(ns).copied().unwrap_or(Some(0));
        packet.marks = Marks { packet: Some(0), connection };
        if packet.ct == Ct::Untracked || self.way.is_there() {
            return;
        }
        packet.ct = match (self.passed.contains(ns), packet.content) {
            // Each end of a tunnel sends from a port of its own choice: what it sends is no answer.
            _ if self.is_in_tunnel => Ct::New,
            (true, _) => Ct::Established,
            (false, Content::Udp(..)) => Ct::New,
            (false, _) => Ct::Invalid,
        };
    }
}

pub(super) fn headers(packet: &Packet) -> Headers {
    Headers {
        macs: None,
        ethertype: match (packet.is_ip(), packet.destination.is_ipv4()) {
            (false, _) => 0x0806,
            (true, true) => 0x0800,
            (true, false) => 0x86dd,
        },
        endpoints: Some(packet.endpoints()),
        protocol: packet.protocol().map(crate::nft::Protocol::number),
        ttl: Some(packet.ttl),
        len: 0,
    }
}

/// No address, of the version of another one.
pub(super) fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

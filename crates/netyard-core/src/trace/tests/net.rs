//! A network on paper: links that are cabled, frames that are seen at them, and the hops that come of it.

use crate::conntrack::{Connection, Detail, Status, Tuple};
use crate::fault::Confidence;
use crate::journey::{Event, Hop, Journey, Verdict};
use crate::mac::Mac;
use crate::name::IfName;
use crate::packet::{Frame, ICMP, IPV4, IPV6, TCP, UDP};
use crate::state::Ns;
use crate::trace::packet::Packet;
use crate::trace::rules::{RuleEvent, RuleEventKind, RuleVerdict, Traced};
use crate::trace::tell::Known;
use crate::trace::topology::{Kind, Link};
use crate::trace::{At, Follower, Sighting, Toward, Wanted, sighting};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// UDP port of VXLAN.
pub const VXLAN: u16 = 4789;

#[derive(Default)]
pub struct Net {
    pub known: Known,
    seen: Vec<Sighting>,
    heard: Vec<RuleEvent>,
    now: u64,
}

/// An IPv4 packet in the making.
#[derive(Clone)]
pub struct Ip {
    pub from: &'static str,
    pub to: &'static str,
    pub ttl: u8,
    pub id: u16,
    pub protocol: u8,
    /// Flags and offset as they are written: 0x2000 more, 0x4000 do not fragment.
    pub fragment: u16,
    pub body: Vec<u8>,
}

impl Net {
    /// A link `node:name` with its addresses; links are numbered in the order of their making.
    pub fn link(&mut self, place: &str, kind: Kind, addresses: &[&str]) -> At {
        let (node, name) = place.split_once(':').unwrap();
        let index = self.known.topology.nodes.values().map(|node| node.links.len()).sum::<usize>() + 1;
        let index = u32::try_from(index).unwrap();
        let at = At { node: node.parse().unwrap(), index };
        let node = self.known.topology.nodes.entry(at.node.clone()).or_default();
        node.own
            .extend(addresses.iter().map(|address| ipnet::IpNet::from(address.parse::<IpAddr>().unwrap())));
        let link = Link {
            name: IfName::new(name).unwrap(),
            kind,
            mac: Some(mac(index)),
            master: None,
            peer: None,
            parent: None,
            learned: BTreeMap::new(),
            depth: 0,
        };
        node.links.insert(index, link);
        at
    }

    /// A cable between two places.
    pub fn cable(&mut self, one: &str, addresses: &[&str], other: &str, others: &[&str]) -> (At, At) {
        let (one, other) = (self.link(one, Kind::Plain, addresses), self.link(other, Kind::Plain, others));
        self.change(&one, |link| link.peer = Some(other.clone()));
        self.change(&other, |link| link.peer = Some(one.clone()));
        (one, other)
    }

    pub fn change(&mut self, at: &At, change: impl FnOnce(&mut Link)) {
        change(self.known.topology.nodes.get_mut(&at.node).unwrap().links.get_mut(&at.index).unwrap());
    }

    /// Makes a link a port of a bridge.
    pub fn enslave(&mut self, bridge: &At, ports: &[&At]) {
        for port in ports {
            self.change(port, |link| link.master = Some(bridge.index));
        }
    }

    /// A frame is seen at a link.
    pub fn see(&mut self, at: &At, toward: Toward, frame: &[u8]) {
        self.now += 1_000;
        let frame = Frame::ethernet(frame, frame.len()).unwrap();
        let packet = Packet::read(&frame, &|port| port == VXLAN);
        self.seen.push(Sighting { at_ns: self.now, at: at.clone(), toward, packet, is_wanted: true });
    }

    /// It leaves one end of a cable, and comes in at the other.
    pub fn cross(&mut self, from: &At, to: &At, frame: &[u8]) {
        self.see(from, Toward::Away, frame);
        self.see(to, Toward::Here, frame);
    }

    /// A rule, or with none a policy, of `family inet table own chain fw` says something about a packet.
    pub fn rule(
        &mut self,
        node: &Ns,
        chain: (&str, &str),
        handle: Option<u64>,
        verdict: RuleVerdict,
        from: Option<u32>,
        frame: Option<&[u8]>,
    ) {
        let packet = frame.map(|frame| {
            // Headers of at most 40 and 20 bytes, as the kernel gives them.
            let frame = Frame::cooked(IPV4, &frame[14..frame.len().min(54)], 40);
            let packet = Packet::read(&frame, &|_| false);
            Traced { brief: packet.brief, packet }
        });
        self.heard.push(RuleEvent {
            node: node.clone(),
            heard_ns: self.now,
            id: 7,
            family: crate::nft::Family::Inet,
            table: chain.0.to_owned(),
            chain: chain.1.to_owned(),
            kind: handle.map_or(RuleEventKind::Policy, RuleEventKind::Rule),
            verdict,
            from,
            to: None,
            packet,
            ct: Some(99),
        });
    }

    /// A tracked connection of a namespace.
    pub fn track(
        &mut self,
        node: &Ns,
        id: u32,
        protocol: u8,
        original: [(&str, u16); 2],
        reply: [(&str, u16); 2],
    ) {
        let tuple = |[from, to]: [(&str, u16); 2]| Tuple {
            source: from.0.parse().unwrap(),
            destination: to.0.parse().unwrap(),
            detail: match protocol {
                ICMP => Detail::Icmp { id: from.1, kind: 8, code: 0 },
                _ => Detail::Ports { source: from.1, destination: to.1 },
            },
        };
        let connection = Connection {
            id,
            protocol,
            original: tuple(original),
            reply: tuple(reply),
            status: Status(0),
            timeout_s: None,
            tcp_state: None,
            mark: 0,
            zone: 0,
        };
        self.known.connections.entry(node.clone()).or_default().push(connection);
    }

    /// All conversations, as lines.
    pub fn told(mut self) -> Vec<String> {
        let mut follower = Follower::new(self.known, Wanted::All);
        sighting::sort(&mut self.seen, &follower.known().topology.clone());
        for event in &self.heard {
            follower.hear(event);
        }
        for seen in self.seen {
            follower.see(seen);
        }
        let journeys = follower.over(u64::MAX, u64::MAX);
        journeys.iter().flat_map(lines).collect()
    }
}

fn mac(index: u32) -> Mac {
    let [.., low] = index.to_be_bytes();
    Mac([2, 0, 0, 0, 0, low])
}

/// An Ethernet frame from one link to another; `to` none is for all.
pub fn frame(from: &At, to: Option<&At>, ethertype: u16, body: &[u8]) -> Vec<u8> {
    let to = to.map_or([0xff; 6], |to| mac(to.index).0);
    [&to[..], &mac(from.index).0, &ethertype.to_be_bytes(), body].concat()
}

impl Ip {
    pub fn frame(&self, from: &At, to: &At) -> Vec<u8> {
        frame(from, Some(to), IPV4, &self.bytes())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let len = u16::try_from(20 + self.body.len()).unwrap();
        let address = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
        let mut bytes = vec![0x45, 0];
        for word in [len, self.id, self.fragment] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend([self.ttl, self.protocol, 0, 0]);
        bytes.extend(address(self.from));
        bytes.extend(address(self.to));
        bytes.extend(&self.body);
        bytes
    }

    /// The next hop's copy.
    pub fn hop(&self) -> Self {
        Self { ttl: self.ttl - 1, ..self.clone() }
    }

    pub fn with(&self, from: &'static str, to: &'static str) -> Self {
        Self { from, to, ..self.clone() }
    }
}

pub fn echo(from: &'static str, to: &'static str, is_reply: bool, id: u16, size: usize) -> Ip {
    let mut body = vec![if is_reply { 0 } else { 8 }, 0, 0, 0];
    body.extend(77u16.to_be_bytes());
    body.extend(1u16.to_be_bytes());
    body.extend((0..size).map(|at| at.to_le_bytes()[0]));
    Ip { from, to, ttl: 64, id, protocol: ICMP, fragment: 0, body }
}

pub fn udp(from: (&'static str, u16), to: (&'static str, u16), id: u16, payload: &[u8]) -> Ip {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let mut body = Vec::new();
    for word in [from.1, to.1, len, 0] {
        body.extend(word.to_be_bytes());
    }
    body.extend(payload);
    Ip { from: from.0, to: to.0, ttl: 64, id, protocol: UDP, fragment: 0x4000, body }
}

pub fn tcp(
    from: (&'static str, u16),
    to: (&'static str, u16),
    id: u16,
    flags: u8,
    seq: u32,
    ack: u32,
    size: usize,
) -> Ip {
    let mut body = Vec::new();
    body.extend(from.1.to_be_bytes());
    body.extend(to.1.to_be_bytes());
    body.extend(seq.to_be_bytes());
    body.extend(ack.to_be_bytes());
    body.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
    body.extend(vec![0xaa; size]);
    Ip { from: from.0, to: to.0, ttl: 64, id, protocol: TCP, fragment: 0x4000, body }
}

/// An IPv6 packet with an echo request or reply.
pub fn echo6(from: &str, to: &str, hop_limit: u8, is_reply: bool) -> Vec<u8> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let body = [if is_reply { 129 } else { 128 }, 0, 0, 0, 0, 7, 0, 1, 1, 2, 3, 4];
    let mut bytes = vec![0x60, 0, 0, 0, 0, 12, 58, hop_limit];
    bytes.extend(address(from));
    bytes.extend(address(to));
    bytes.extend(body);
    bytes
}

pub fn frame6(from: &At, to: &At, body: &[u8]) -> Vec<u8> {
    frame(from, Some(to), IPV6, body)
}

/// A question (1) or an answer (2) of ARP.
pub fn arp(operation: u8, from: (&At, &str), to: (Option<&At>, &str)) -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
    let target = to.0.map_or([0; 6], |to| mac(to.index).0);
    let body = [
        &[0, 1, 8, 0, 6, 4, 0, operation][..],
        &mac(from.0.index).0,
        &address(from.1),
        &target,
        &address(to.1),
    ];
    frame(from.0, to.0, 0x0806, &body.concat())
}

fn lines(journey: &Journey) -> Vec<String> {
    let mut lines = vec![journey.title.clone()];
    for leg in &journey.legs {
        let copy = if leg.is_copy { " (copy)" } else { "" };
        lines.push(format!("{:?}: {}{copy}", leg.way, leg.title));
        lines.extend(leg.hops.iter().map(line));
    }
    lines.push(match &journey.verdict {
        Verdict::Arrived { .. } => "arrived".to_owned(),
        Verdict::Refused { by, says, .. } => format!("refused by {}: {says}", by.node),
        Verdict::Open => "open".to_owned(),
        Verdict::Lost { way, last, faults } => {
            let causes: Vec<String> = faults.iter().map(|fault| fault.cause.word()).collect();
            format!("lost {way:?} at {last}: {}", causes.join(", "))
        }
    });
    lines
}

fn line(hop: &Hop) -> String {
    let words = match &hop.event {
        Event::Sent => "sent".to_owned(),
        Event::Received => "received".to_owned(),
        Event::Bridged { from, to, decision, .. } => {
            let from = from.as_ref().map_or("itself", |from| from.as_str());
            let to: Vec<&str> = to.iter().map(IfName::as_str).collect();
            format!("bridge {from} > {} {decision:?}", to.join(" "))
        }
        Event::Routed { dev, .. } => format!("route dev {dev}"),
        Event::Neighbour { to, state, .. } => format!("neighbour {to} {state}"),
        Event::Ttl { from, to } => format!("ttl {from} > {to}"),
        Event::Filtered { rule, verdict } => format!("rule {}: {verdict}", rule.chain),
        Event::Translated { nat, before, after, ct, .. } => {
            let ends = |ends: &crate::journey::Endpoints| {
                crate::trace::title::ends(ends, ends.destination_port.is_some())
            };
            let ct = ct.map_or_else(String::new, |ct| format!(" ct {ct}"));
            format!("{nat:?} {} becomes {}{ct}", ends(before), ends(after))
        }
        Event::Fragmented { pieces } => format!("cut into {pieces} fragments"),
        Event::Reassembled { pieces } => format!("put together from {pieces}"),
        Event::Segmented { pieces } => format!("cut into {pieces} segments"),
        Event::Tunnelled { kind, is_in, .. } => format!("{} {kind}", if *is_in { "into" } else { "out of" }),
        Event::Delivered { to, .. } => format!("delivered to {to}"),
        Event::Dropped(fault) => format!("dropped: {}", fault.cause.word()),
    };
    // Whether what came to a door went in is another question.
    let is_delivery = matches!(hop.event, Event::Delivered { .. });
    let likely = if hop.confidence == Confidence::Certain || is_delivery { "" } else { " (likely)" };
    format!("  {} {words}{likely}", hop.place)
}

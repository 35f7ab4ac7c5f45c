//! How a conversation ended.

use super::blame;
use super::follow::Told;
use super::kernel;
use super::packet::Kind;
use super::sighting::Toward;
use super::tell::Known;
use super::title;
use crate::conntrack::{Detail, Tuple};
use crate::fault::{Confidence, Fault, Place, Way};
use crate::journey::{Event, Forwarding, Hop, Journey, Leg, Verdict};
use crate::packet::{ICMPV6, TcpFlags};

/// What is still so young when looking ends may go on.
const YOUNG_NS: u64 = 20_000_000;

/// The journey of a conversation. `now_ns` is when looking ended.
pub(super) fn journey(number: u32, mut legs: Vec<Told>, known: &Known, now_ns: u64) -> Journey {
    confirm(&mut legs);
    let title = legs.first().map(|told| title::of_journey(&told.packet)).unwrap_or_default();
    let mut verdict = verdict(&legs, known, now_ns);
    kernel::join(&mut legs, &mut verdict, known);
    Journey {
        number,
        title,
        legs: legs.into_iter().map(|told| told.leg).collect(),
        more: Vec::new(),
        verdict,
    }
}

/// The journey of a packet that was dropped where it was made.
pub(super) fn unsent(number: u32, title: String, leg: Leg) -> Journey {
    let faults = faults(&leg);
    let last = leg.hops.last().map(|hop| hop.place.clone());
    let verdict = match last {
        Some(last) => Verdict::Lost { way: Way::There, last, faults },
        None => Verdict::Open,
    };
    Journey { number, title, legs: vec![leg], more: Vec::new(), verdict }
}

/// Who answers has received.
fn confirm(legs: &mut [Told]) {
    let answers: Vec<(Way, u64, crate::state::Ns)> = legs
        .iter()
        .filter_map(|told| {
            let first = &told.steps.first()?.seen;
            Some((told.leg.way, first.at_ns, first.at.node.clone()))
        })
        .collect();
    for told in legs {
        let Some(last) = told.steps.last().map(|step| step.seen.clone()) else { continue };
        let is_answered = answers
            .iter()
            .any(|(way, at_ns, node)| *way != told.leg.way && *at_ns >= last.at_ns && *node == last.at.node);
        if let Some(hop) = told.leg.hops.last_mut()
            && matches!(hop.event, Event::Delivered { .. })
            && is_answered
        {
            hop.confidence = Confidence::Certain;
        }
    }
}

fn verdict(legs: &[Told], known: &Known, now_ns: u64) -> Verdict {
    let Some(first) = legs.first() else { return Verdict::Open };
    let way_of = |way: Way| legs.iter().filter(move |told| told.leg.way == way && !told.leg.is_copy);
    if let Some(verdict) = error(legs) {
        return verdict;
    }
    if let Some(reset) = legs.iter().find(|told| is_refusal(told, legs)) {
        let by = place(reset, true);
        return Verdict::Refused { by, says: "TCP RST".to_owned(), faults: Vec::new() };
    }
    let there = way_of(Way::There).find(|told| told.has_arrived);
    let back = way_of(Way::Back).find(|told| told.has_arrived);
    let Some(there) = there else {
        // The last one tells how far it got.
        let lost = way_of(Way::There).next_back().unwrap_or(first);
        if let Some(back) = back.filter(|_| leaves_sight(lost, known)) {
            return arrived(first, lost, Some(back));
        }
        if let Some(verdict) = unanswered(legs, lost, now_ns) {
            return verdict;
        }
        return if is_young(lost, now_ns) || leaves_sight(lost, known) { Verdict::Open } else { end(lost) };
    };
    let is_due = matches!(
        first.packet.kind,
        Kind::Echo { is_reply: false, .. }
            | Kind::Arp { is_reply: false, .. }
            | Kind::Neighbour { is_reply: false, .. }
    ) || is_syn(first);
    match (back, way_of(Way::Back).next_back()) {
        (Some(back), _) if is_syn(first) && !answers(back, first) => end(back),
        (Some(back), _) => arrived(first, there, Some(back)),
        (None, Some(lost)) if is_young(lost, now_ns) || leaves_sight(lost, known) => Verdict::Open,
        (None, Some(lost)) => end(lost),
        (None, None) if is_due && is_young(there, now_ns) => Verdict::Open,
        (None, None) if is_due => {
            if let Some(verdict) = unanswered(legs, there, now_ns) {
                return verdict;
            }
            let is_inside = there.leg.hops.last().is_some_and(|hop| hop.confidence == Confidence::Certain);
            let way = if is_inside { Way::Back } else { Way::There };
            Verdict::Lost { way, last: place(there, false), faults: Vec::new() }
        }
        (None, None) => arrived(first, there, None),
    }
}

/// Nobody has the address that a neighbour was asked for.
fn unanswered(legs: &[Told], last: &Told, now_ns: u64) -> Option<Verdict> {
    let target = match last.packet.kind {
        Kind::Arp { is_reply: false, .. } => last.packet.headers.endpoints?.destination,
        Kind::Neighbour { is_reply: false, target, .. } => target.into(),
        _ => return None,
    };
    if is_young(last, now_ns) {
        return Some(Verdict::Open);
    }
    let asker = place(last, true);
    let fault = blame::nobody(&asker, target, legs.len());
    Some(Verdict::Lost { way: Way::There, last: place(last, false), faults: vec![fault] })
}

fn arrived(first: &Told, there: &Told, back: Option<&Told>) -> Verdict {
    let end = back.unwrap_or(there);
    let begun = first.steps.first().map(|step| step.seen.at_ns);
    let ended = end.steps.last().map(|step| step.seen.at_ns);
    let took_ns = begun.zip(ended).map(|(begun, ended)| ended.saturating_sub(begun));
    Verdict::Arrived { took_ns, seen_as: seen_as(there) }
}

/// The addresses that the receiver saw.
fn seen_as(told: &Told) -> Option<Tuple> {
    let packet = &told.steps.last()?.seen.packet;
    let ends = packet.headers.endpoints?;
    let detail = match (&packet.kind, ends.source_port, ends.destination_port) {
        (Kind::Echo { id, is_reply, .. }, ..) => {
            let kind = match (packet.headers.protocol, is_reply) {
                (Some(ICMPV6), false) => 128,
                (Some(ICMPV6), true) => 129,
                (_, false) => 8,
                (_, true) => 0,
            };
            Detail::Icmp { id: *id, kind, code: 0 }
        }
        (_, Some(source), Some(destination)) => Detail::Ports { source, destination },
        _ => Detail::None,
    };
    Some(Tuple { source: ends.source, destination: ends.destination, detail })
}

/// The verdict of an error about a packet of the conversation.
fn error(legs: &[Told]) -> Option<Verdict> {
    let told = legs.iter().find(|told| matches!(told.packet.kind, Kind::Error { .. }))?;
    let Kind::Error { kind, code, mtu, .. } = told.packet.kind else { return None };
    let is_v6 = told.packet.headers.protocol == Some(ICMPV6);
    let by = place(told, true);
    let way = super::conversation::other(told.leg.way);
    let dropped: Vec<Fault> = legs.iter().flat_map(|told| faults(&told.leg)).collect();
    let about = legs.iter().rfind(|other| other.leg.way == way && !other.has_arrived);
    let is_at_target = legs.iter().any(|other| {
        other.leg.way == way
            && other
                .steps
                .last()
                .is_some_and(|last| last.seen.at.node == by.node && last.seen.toward == Toward::Here)
            && other.has_arrived
    });
    match blame::error(&by.node, is_v6, kind, code, mtu, way) {
        Some(fault) if !is_at_target => {
            let faults = if dropped.is_empty() { vec![fault] } else { dropped };
            Some(Verdict::Lost { way, last: about.map_or(by, |about| place(about, false)), faults })
        }
        _ if !dropped.is_empty() => {
            Some(Verdict::Lost { way, last: about.map_or(by, |about| place(about, false)), faults: dropped })
        }
        _ => {
            let icmp = if is_v6 { "ICMPv6" } else { "ICMP" };
            let says = format!("{icmp} {}", title::error(is_v6, kind, code, mtu));
            Some(Verdict::Refused { by, says, faults: Vec::new() })
        }
    }
}

/// Whether it is a reset that answers a packet that wants to begin a connection.
fn is_refusal(told: &Told, legs: &[Told]) -> bool {
    let Kind::Tcp { flags, .. } = told.packet.kind else { return false };
    let has_begun = legs.iter().any(|other| {
        matches!(other.packet.kind, Kind::Tcp { flags, .. } if flags & (TcpFlags::SYN | TcpFlags::ACK) == TcpFlags::SYN | TcpFlags::ACK)
    });
    flags & TcpFlags::RST != 0 && told.leg.way == Way::Back && !has_begun
}

fn is_syn(told: &Told) -> bool {
    matches!(told.packet.kind, Kind::Tcp { flags, .. } if flags & (TcpFlags::SYN | TcpFlags::ACK) == TcpFlags::SYN)
}

/// Whether it comes from the address and port that were asked: no socket takes one from elsewhere.
fn answers(back: &Told, first: &Told) -> bool {
    let ends = |told: &Told, is_first: bool| {
        let step = if is_first { told.steps.first() } else { told.steps.last() };
        step.and_then(|step| step.seen.packet.headers.endpoints)
    };
    let (Some(asked), Some(answered)) = (ends(first, true), ends(back, false)) else { return true };
    // What was made and translated before any tap has seen it was asked of another one.
    let is_asker = (answered.destination, answered.destination_port) == (asked.source, asked.source_port);
    !is_asker || (answered.source, answered.source_port) == (asked.destination, asked.destination_port)
}

fn is_young(told: &Told, now_ns: u64) -> bool {
    told.steps.last().is_some_and(|step| now_ns.saturating_sub(step.seen.at_ns) < YOUNG_NS)
}

/// Whether it has left by a link whose other end is nowhere that can be seen.
fn leaves_sight(told: &Told, known: &Known) -> bool {
    told.steps.last().is_some_and(|step| known.topology.leaves_sight(&step.seen.at, step.seen.toward))
}

fn end(told: &Told) -> Verdict {
    Verdict::Lost { way: told.leg.way, last: place(told, false), faults: faults(&told.leg) }
}

fn faults(leg: &Leg) -> Vec<Fault> {
    let dropped = leg.hops.iter().filter_map(|hop| match &hop.event {
        Event::Dropped(fault) => Some((**fault).clone()),
        _ => None,
    });
    dropped.collect()
}

/// Where a packet began, or where it was seen last on its way: a node that got a flooded frame which was meant for
/// another one is not on the way.
pub(super) fn place(told: &Told, is_first: bool) -> Place {
    let hop = match told.leg.hops.as_slice() {
        hops if is_first => hops.first(),
        [.., flooded, Hop { event: Event::Received, .. }] if is_flood(flooded) && is_for_others(told) => {
            Some(flooded)
        }
        hops => hops.last(),
    };
    let node = || {
        let step = if is_first { told.steps.first() } else { told.steps.last() };
        step.map(|step| step.seen.at.node.clone())
    };
    match (hop, node()) {
        (Some(hop), _) => hop.place.clone(),
        (None, Some(node)) => Place::node(node),
        (None, None) => Place::node(crate::state::Ns::Fabric),
    }
}

fn is_flood(hop: &Hop) -> bool {
    matches!(hop.event, Event::Bridged { decision: Forwarding::Flood, .. })
}

/// Whether who has received it last does not take it for his own.
fn is_for_others(told: &Told) -> bool {
    let toward = told.steps.last().map(|step| step.seen.toward);
    matches!(toward, Some(Toward::Other | Toward::Many))
}

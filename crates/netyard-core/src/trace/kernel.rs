//! Packets that the kernel itself says it has dropped, joined to the ways of packets (`--deep`).

use super::follow::Told;
use super::packet::Packet;
use super::topology::At;
use super::verdict::place;
use super::{tell::Known, title};
use crate::dropped::Dropped;
use crate::fault::{Cause, Confidence, Effect, Evidence, Fault, Place, Way};
use crate::journey::{Event, Hop, Source, Verdict};
use crate::state::Ns;

/// A packet that was dropped.
#[derive(Debug, Clone)]
pub struct KernelDrop {
    /// Where.
    pub node: Ns,
    /// What it was.
    pub packet: Packet,
    /// What the kernel says.
    pub dropped: Dropped,
}

/// How much later than its end a packet may have been seen: clocks are read one after the other.
const SLACK_NS: u64 = 1_000_000;

/// Ends the ways of packets that were dropped, and tells why in the verdict.
pub(super) fn join(legs: &mut [Told], verdict: &mut Verdict, known: &Known) {
    for drop in &known.drops {
        let Some(told) = legs.iter_mut().rev().find(|told| is_end_of(drop, told)) else { continue };
        let fault = fault(drop, told.leg.way, known);
        // That it was delivered was likely, and is not so.
        let is_undelivered = told
            .leg
            .hops
            .pop_if(|hop| matches!(hop.event, Event::Delivered { .. }) && hop.place.node == drop.node);
        if !ends_dropped(told) {
            told.leg.hops.push(Hop {
                at_ns: Some(drop.dropped.at_ns),
                place: fault.at.clone(),
                event: Event::Dropped(Box::new(fault.clone())),
                headers: None,
                source: Source::DropReason,
                confidence: Confidence::Certain,
            });
        }
        blame(verdict, fault, is_undelivered.is_some().then(|| place(told, false)));
    }
}

/// Whether it is the end of this packet, as far as that was seen.
fn is_end_of(drop: &KernelDrop, told: &Told) -> bool {
    told.steps.last().is_some_and(|last| {
        last.seen.at.node == drop.node
            && last.seen.packet.key == drop.packet.key
            && last.seen.at_ns <= drop.dropped.at_ns + SLACK_NS
    })
}

fn ends_dropped(told: &Told) -> bool {
    told.leg.hops.last().is_some_and(|hop| matches!(hop.event, Event::Dropped(_)))
}

/// The fault that the kernel's word proves.
fn fault(drop: &KernelDrop, way: Way, known: &Known) -> Fault {
    let KernelDrop { node, packet, dropped } = drop;
    let interface = dropped.ifindex.and_then(|index| known.topology.name(&At { node: node.clone(), index }));
    let whose =
        packet.headers.endpoints.map_or_else(String::new, |ends| format!(" {}", title::ends(&ends, false)));
    let at = dropped.function.as_ref().map_or_else(String::new, |function| format!(" at {function}"));
    Fault {
        cause: dropped.cause().unwrap_or(Cause::NotUnderstood),
        at: Place { node: node.clone(), interface },
        way,
        sentence: format!(
            "the kernel of {node} drops the packet{whose}: {} ({}{at})",
            dropped.meaning(),
            dropped.reason
        ),
        effect: Effect::Stops,
        confidence: Confidence::Certain,
        evidence: vec![evidence(drop)],
        fixes: Vec::new(),
    }
}

fn evidence(drop: &KernelDrop) -> Evidence {
    let dropped = &drop.dropped;
    let at = dropped.function.as_ref().map_or_else(String::new, |function| format!(", location: {function}"));
    Evidence {
        command: "perf trace -e skb:kfree_skb".to_owned(),
        node: drop.node.clone(),
        says: format!("reason: {}{at}", dropped.reason),
    }
}

/// Adds a fault to what is known of the end, or evidence to the fault that is the same.
fn blame(verdict: &mut Verdict, fault: Fault, undelivered: Option<Place>) {
    match verdict {
        Verdict::Lost { way, faults, .. } if *way == fault.way => {
            let is_same = |other: &Fault| {
                other.at.node == fault.at.node
                    && (other.cause == fault.cause || is_filter(other.cause, fault.cause))
            };
            match faults.iter().position(is_same) {
                Some(same) => faults[same].evidence.extend(fault.evidence),
                None if fault.cause == Cause::NotUnderstood && !faults.is_empty() => {}
                None => faults.push(fault),
            }
        }
        Verdict::Arrived { .. } | Verdict::Open if fault.way == Way::There => {
            if let Some(last) = undelivered {
                *verdict = Verdict::Lost { way: fault.way, last, faults: vec![fault] };
            }
        }
        _ => {}
    }
}

/// The kernel has one word for what rules and policies do.
fn is_filter(one: Cause, other: Cause) -> bool {
    let is = |cause| matches!(cause, Cause::Rule | Cause::Policy | Cause::BridgedFramesFiltered);
    is(one) && is(other)
}

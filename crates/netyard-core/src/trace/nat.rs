//! What a namespace has rewritten of a packet's addresses, and by which rule.

use super::packet::Packet;
use super::rules::{Decision, Passage, Ruleset};
use super::tell::{Known, is_translation};
use crate::conntrack::{Connection, Detail, Tuple};
use crate::fault::{Confidence, Way};
use crate::journey::{Endpoints, Nat, RuleAt};
use crate::nft::{Action, Rule};
use crate::state::Ns;

/// What was rewritten on the way through a namespace.
#[derive(Debug, Clone, Default)]
pub struct Rewrites {
    /// Before the route was chosen.
    pub destination: Option<Rewrite>,
    /// After.
    pub source: Option<Rewrite>,
}

/// One rewriting.
#[derive(Debug, Clone)]
pub struct Rewrite {
    /// What was done.
    pub nat: Nat,
    /// Before.
    pub before: Endpoints,
    /// After.
    pub after: Endpoints,
    /// The tracked connection.
    pub ct: Option<u32>,
    /// The rule, at the first packet of a connection.
    pub rule: Option<RuleAt>,
    /// How sure the kind of rewriting is.
    pub confidence: Confidence,
}

/// Compares a packet before and after a namespace.
#[must_use]
pub fn rewrites(
    known: &Known,
    node: &Ns,
    before: Option<Endpoints>,
    after: Option<Endpoints>,
    packet: &Packet,
    passage: Option<&Passage>,
    way: Way,
) -> Rewrites {
    let (Some(before), Some(after)) = (before, after) else { return Rewrites::default() };
    let between =
        Endpoints { destination: after.destination, destination_port: after.destination_port, ..before };
    let connection = connection(known, node, packet, &before, passage);
    let decisions = || passage.into_iter().flat_map(|p| &p.decisions).filter(|d| is_translation(d));
    // An answer runs against the direction of its connection; the rules have seen the first packet only.
    let (is_undone, confidence) = match &connection {
        Some(connection) => (!is_original(connection, &before), Confidence::Certain),
        None if decisions().next().is_some() => (false, Confidence::Certain),
        None => (way == Way::Back, Confidence::Likely),
    };
    let ct = passage.and_then(|passage| passage.ct).or(connection.as_ref().map(|connection| connection.id));
    let rewrite = |nat: Nat, from: Endpoints, to: Endpoints, rule: Option<&Decision>| Rewrite {
        nat: if is_undone { Nat::Undo } else { nat },
        before: from,
        after: to,
        ct,
        rule: rule.map(|decision| decision.rule.clone()),
        confidence,
    };
    let by = |is_source: bool| {
        decisions().find(|d| d.known.as_ref().is_some_and(|rule| writes_source(rule) == is_source))
    };
    let destination = (before != between).then(|| rewrite(Nat::Dnat, before, between, by(false)));
    let source = (between != after).then(|| {
        let decision = by(true);
        let masquerades = match decision.and_then(|decision| decision.known.as_ref()) {
            Some(rule) => is_masquerade(rule),
            None => {
                known.legacy_masquerade.contains(node) || known.rulesets.get(node).is_some_and(has_masquerade)
            }
        };
        rewrite(if masquerades { Nat::Masquerade } else { Nat::Snat }, between, after, decision)
    });
    Rewrites { destination, source }
}

/// Whether a namespace has a connection that makes of one packet the other.
#[must_use]
pub fn translates(known: &Known, node: &Ns, before: &Packet, after: &Packet) -> bool {
    let (Some(from), Some(to)) = (before.headers.endpoints, after.headers.endpoints) else { return false };
    let Some(connections) = known.connections.get(node) else { return false };
    connections.iter().filter(|connection| Some(connection.protocol) == before.headers.protocol).any(
        |connection| {
            let (original, reply) = (&connection.original, &connection.reply);
            (is_tuple(original, &from) && is_tuple(reply, &reversed(&to)))
                || (is_tuple(reply, &from) && is_tuple(original, &reversed(&to)))
        },
    )
}

/// The tracked connection of a packet that comes in.
fn connection<'a>(
    known: &'a Known,
    node: &Ns,
    packet: &Packet,
    before: &Endpoints,
    passage: Option<&Passage>,
) -> Option<&'a Connection> {
    let connections = known.connections.get(node)?;
    let fits = |connection: &&Connection| {
        Some(connection.protocol) == packet.headers.protocol
            && (is_tuple(&connection.original, before) || is_tuple(&connection.reply, before))
    };
    let by_number =
        passage.and_then(|passage| passage.ct).and_then(|ct| connections.iter().find(|c| c.id == ct));
    // A number may come again for another connection.
    by_number.filter(fits).or_else(|| connections.iter().rev().find(fits))
}

fn is_original(connection: &Connection, before: &Endpoints) -> bool {
    is_tuple(&connection.original, before)
}

/// Whether a packet with these addresses is of that direction.
fn is_tuple(tuple: &Tuple, ends: &Endpoints) -> bool {
    let has_addresses = tuple.source == ends.source && tuple.destination == ends.destination;
    has_addresses
        && match tuple.detail {
            Detail::Ports { source, destination } => {
                ends.source_port == Some(source) && ends.destination_port == Some(destination)
            }
            Detail::Icmp { id, .. } => ends.source_port.is_none_or(|port| port == id),
            Detail::None => true,
        }
}

/// The other way round. The identifier of an echo is that of both ways.
#[must_use]
pub fn reversed(ends: &Endpoints) -> Endpoints {
    match ends.destination_port {
        Some(port) => Endpoints {
            source: ends.destination,
            source_port: Some(port),
            destination: ends.source,
            destination_port: ends.source_port,
        },
        None => Endpoints { source: ends.destination, destination: ends.source, ..*ends },
    }
}

fn writes_source(rule: &Rule) -> bool {
    match &rule.action {
        Action::Masquerade | Action::Snat(_) => true,
        Action::Other(words) => words.contains("masquerade") || words.contains("snat"),
        _ => false,
    }
}

fn is_masquerade(rule: &Rule) -> bool {
    match &rule.action {
        Action::Masquerade => true,
        Action::Other(words) => words.contains("masquerade"),
        _ => false,
    }
}

fn has_masquerade(ruleset: &Ruleset) -> bool {
    ruleset.values().flat_map(|chain| chain.rules.values()).any(is_masquerade)
}

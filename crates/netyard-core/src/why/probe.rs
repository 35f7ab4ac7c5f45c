//! What one real packet has changed on its way: counters before and after.

use super::{Explanation, Verdict};
use crate::fault::{Cause, Confidence, Effect, Evidence, Fault, Place, Way};
use crate::journey::Event;
use crate::name::IfName;
use crate::state::Ns;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counters of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Packets of each link: received, sent, dropped on receipt, dropped on sending (`/proc/net/dev`).
    pub links: BTreeMap<String, [u64; 4]>,
    /// Counters of protocols by their names, such as `Ip.InAddrErrors` (`/proc/net/snmp`, `netstat`, `snmp6`).
    pub protocols: BTreeMap<String, u64>,
    /// Packets that counting rules have met, by table, chain and handle.
    pub rules: BTreeMap<String, u64>,
}

/// What came of the real packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Whether an answer came.
    pub is_answered: bool,
    /// What came of it, in words.
    pub says: String,
    /// The first place where it arrived and that it did not leave; none when it was answered or nothing tells.
    pub last: Option<Place>,
    /// Counters that have moved.
    pub changes: Vec<Change>,
}

/// A counter that has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where.
    pub node: Ns,
    /// Its name: `Ip.InAddrErrors`, `eth0 received`, `rule inet filter forward 3`.
    pub counter: String,
    /// By how much.
    pub by: u64,
}

/// Counters that tell of packets that went no further.
const TELLING: [&str; 26] = [
    "Ip.InHdrErrors",
    "Ip.InAddrErrors",
    "Ip.InDiscards",
    "Ip.OutDiscards",
    "Ip.OutNoRoutes",
    "Ip.FragFails",
    "Icmp.OutDestUnreachs",
    "Icmp.OutTimeExcds",
    "Icmp.InDestUnreachs",
    "Tcp.OutRsts",
    "Udp.NoPorts",
    "TcpExt.IPReversePathFilter",
    "TcpExt.ListenDrops",
    "IpExt.InNoRoutes",
    "IpExt.InCsumErrors",
    "Ip6InHdrErrors",
    "Ip6InTooBigErrors",
    "Ip6InNoRoutes",
    "Ip6InAddrErrors",
    "Ip6OutNoRoutes",
    "Ip6InDiscards",
    "Ip6OutDiscards",
    "Icmp6OutDestUnreachs",
    "Icmp6OutTimeExcds",
    "Udp6NoPorts",
    "Icmp6InDestUnreachs",
];

/// The counters that have moved from one reading to the next.
#[must_use]
pub fn changes(before: &BTreeMap<Ns, Counters>, after: &BTreeMap<Ns, Counters>) -> Vec<Change> {
    let mut found = Vec::new();
    for (ns, after) in after {
        let Some(before) = before.get(ns) else { continue };
        let mut push = |counter: String, by: u64| {
            if by > 0 {
                found.push(Change { node: ns.clone(), counter, by });
            }
        };
        for (name, now) in &after.links {
            let was = before.links.get(name).copied().unwrap_or_default();
            let words = ["received", "sent", "dropped on receipt", "dropped on sending"];
            for ((word, now), was) in words.iter().zip(now).zip(was) {
                push(format!("{name} {word}"), now.saturating_sub(was));
            }
        }
        for (name, now) in &after.protocols {
            push(name.clone(), now.saturating_sub(before.protocols.get(name).copied().unwrap_or_default()));
        }
        for (name, now) in &after.rules {
            push(
                format!("rule {name}"),
                now.saturating_sub(before.rules.get(name).copied().unwrap_or_default()),
            );
        }
    }
    found
}

/// Joins what a real packet met with what was foretold.
///
/// The packet decides: where it was answered although something that is not understood lay in its way, the verdict is
/// that it was; where it was not, although nothing was found, the place where it was seen last is a fault.
pub fn conclude(explanation: &mut Explanation, is_answered: bool, says: String, changes: Vec<Change>) {
    let last = if is_answered { None } else { last_place(explanation, &changes) };
    for fault in &mut explanation.faults {
        let telling: Vec<String> = changes
            .iter()
            .filter(|change| change.node == fault.at.node && is_telling(change))
            .map(|change| format!("{} +{}", change.counter, change.by))
            .collect();
        if !telling.is_empty() && !is_answered {
            let command = "nstat -az; nft list ruleset; ip -s link".to_owned();
            fault.evidence.push(Evidence { command, node: fault.at.node.clone(), says: telling.join(", ") });
        }
    }
    let was = explanation.verdict;
    explanation.verdict = if is_answered { Verdict::Reachable } else { Verdict::Unreachable };
    if !is_answered && was == Verdict::Reachable {
        explanation.faults.insert(0, surprise(last.clone(), &says, &changes, explanation));
    }
    if is_answered {
        for fault in explanation.faults.iter_mut().filter(|fault| fault.effect == Effect::Stops) {
            // It did not stop this packet.
            fault.effect = Effect::Remark;
        }
    }
    explanation.probe = Some(Probed { is_answered, says, last, changes });
}

fn is_telling(change: &Change) -> bool {
    TELLING.contains(&change.counter.as_str())
        || change.counter.starts_with("rule ")
        || change.counter.contains("dropped")
}

/// The first place on the way there that has received more than it has passed on.
fn last_place(explanation: &Explanation, changes: &[Change]) -> Option<Place> {
    let moved = |place: &Place, word: &str| {
        let counter = format!("{} {word}", place.interface.as_ref().map_or("", IfName::as_str));
        changes.iter().any(|change| change.node == place.node && change.counter == counter)
    };
    let mut last = None;
    for leg in &explanation.legs {
        for hop in &leg.hops {
            let has_passed = match hop.event {
                Event::Sent => moved(&hop.place, "sent"),
                Event::Received => moved(&hop.place, "received"),
                _ => continue,
            };
            if !has_passed {
                return last;
            }
            last = Some(hop.place.clone());
        }
    }
    last
}

/// Nothing was found, and the packet was lost all the same.
fn surprise(last: Option<Place>, says: &str, changes: &[Change], explanation: &Explanation) -> Fault {
    let asker = explanation.from.node.clone().unwrap_or(Ns::Fabric);
    let at = last.clone().unwrap_or_else(|| Place::node(asker.clone()));
    let telling: Vec<&Change> = changes.iter().filter(|change| is_telling(change)).collect();
    let counters: Vec<String> =
        telling.iter().map(|change| format!("{}: {} +{}", change.node, change.counter, change.by)).collect();
    let full = telling.iter().find(|change| change.counter.ends_with("dropped on sending"));
    let (cause, sentence) = match full {
        Some(change) => {
            (Cause::QueueFull, format!("{} drops what it is to send: {}", change.node, change.counter))
        }
        None => (
            Cause::NotUnderstood,
            format!(
                "nothing was found in the way, and the packet was lost all the same ({says}); it was seen last at {at}"
            ),
        ),
    };
    let says = if counters.is_empty() { "no counter tells".to_owned() } else { counters.join(", ") };
    Fault {
        cause,
        at: at.clone(),
        way: Way::There,
        sentence,
        effect: Effect::Stops,
        confidence: Confidence::Likely,
        evidence: vec![Evidence { command: "nstat -az; ip -s link".to_owned(), node: at.node, says }],
        fixes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_moved_is_told() {
        let ns: Ns = "router".parse().unwrap();
        let counters = |errors: u64, sent: u64| {
            let mut counters = Counters::default();
            counters.protocols.insert("Ip.InAddrErrors".into(), errors);
            counters.protocols.insert("Ip.InReceives".into(), 7);
            counters.links.insert("eth0".into(), [1, sent, 0, 0]);
            BTreeMap::from([(ns.clone(), counters)])
        };
        let told = changes(&counters(3, 9), &counters(4, 11));
        let words: Vec<String> =
            told.iter().map(|change| format!("{} +{}", change.counter, change.by)).collect();
        assert_eq!(words, ["eth0 sent +2", "Ip.InAddrErrors +1"]);
        assert!(!is_telling(&told[0]) && is_telling(&told[1]));
    }
}

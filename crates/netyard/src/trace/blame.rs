//! Why a packet that was lost was lost: what rules and errors have told, what the kernels say that they would do with
//! it, and what they have counted.

use super::{ON_SENDING, Trace};
use crate::why;
use netyard_core::fault::{Cause, Confidence, Effect, Evidence, Fault, Place, Way};
use netyard_core::journey::{Journey, Leg, Verdict};
use netyard_core::packet::{ICMP, ICMPV6, TCP, UDP};
use netyard_core::state::Ns;
use netyard_core::why::{About, Versions};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Counters that grow where packets end, by the names of nstat(8).
const LOSSES: [&str; 17] = [
    "IpInHdrErrors",
    "IpInAddrErrors",
    "IpInDiscards",
    "IpOutNoRoutes",
    "IpOutDiscards",
    "IpFragFails",
    "IpExtInNoRoutes",
    "TcpExtIPReversePathFilter",
    "TcpExtListenDrops",
    "UdpNoPorts",
    "UdpRcvbufErrors",
    "Ip6InHdrErrors",
    "Ip6InNoRoutes",
    "Ip6InAddrErrors",
    "Ip6InDiscards",
    "Ip6OutNoRoutes",
    "Ip6FragFails",
];

/// The most questions that are asked for one telling.
const ASKED_MAX: usize = 16;

/// What a conversation wants, from whom.
type Wish = (Ns, IpAddr, About);

impl Trace {
    /// Adds causes to journeys that were lost. Of neighbours that do not answer the reason is asked for only where
    /// nothing else tells of the packets that wait for them.
    pub fn blame(&self, journeys: &mut [Journey], has_neighbours: bool) {
        let mut answers: BTreeMap<String, Vec<Fault>> = BTreeMap::new();
        for journey in journeys {
            let wish = wish(journey, has_neighbours);
            let (way, last, faults, is_refused) = match &mut journey.verdict {
                Verdict::Lost { way, last, faults } => (*way, last, faults, false),
                Verdict::Refused { by, faults, .. } => (Way::There, by, faults, true),
                _ => continue,
            };
            let Some(wish) = wish else { continue };
            let key = format!("{wish:?}");
            if !answers.contains_key(&key) && answers.len() >= ASKED_MAX {
                continue;
            }
            let foretold = answers.entry(key).or_insert_with(|| self.foretell(&wish));
            if is_refused {
                // Who refuses has the reason.
                faults.extend(foretold.iter().filter(|fault| fault.at.node == last.node).cloned());
            } else {
                join(faults, foretold, way);
                if faults.is_empty() {
                    faults.extend(self.full(&last.node, way));
                }
            }
            for fault in faults {
                fault.evidence.extend(self.evidence(&fault.at.node, last));
            }
        }
    }

    /// The journey of a packet that was wanted and that nobody has seen.
    #[must_use]
    pub fn unsent(&self, number: u32, from: &Ns, to: IpAddr, about: About, says: Option<&str>) -> Journey {
        let faults = self.foretell(&(from.clone(), to, about));
        let says = says.map_or_else(String::new, |says| format!(": {says}"));
        Journey {
            number,
            title: format!("no packet has left {from} for {to}{says}"),
            legs: Vec::new(),
            more: Vec::new(),
            verdict: Verdict::Lost { way: Way::There, last: Place::node(from.clone()), faults },
        }
    }

    /// What is wrong on the way, as the kernels say now.
    fn foretell(&self, (from, to, about): &Wish) -> Vec<Fault> {
        let from = match &self.bound {
            Some((node, interface)) if node == from => format!("{node}:{interface}"),
            _ => from.to_string(),
        };
        let told = why::why(&self.scout, self.is_lab, &from, &to.to_string(), *about, Versions::Any);
        let stops =
            |fault: &Fault| matches!(fault.effect, Effect::Stops | Effect::StopsLarge | Effect::Sometimes);
        told.map(|told| told.faults.into_iter().filter(stops).collect()).unwrap_or_default()
    }

    /// The queue of a node that has dropped packets meanwhile.
    fn full(&self, node: &Ns, way: Way) -> Option<Fault> {
        let grown = self.counted(node);
        let (link, more) =
            grown.iter().find_map(|(name, more)| Some((name.strip_suffix(ON_SENDING)?, more)))?;
        let packets = if *more == 1 { "a packet".to_owned() } else { format!("{more} packets") };
        Some(Fault {
            cause: Cause::QueueFull,
            at: Place { node: node.clone(), interface: link.parse().ok() },
            way,
            sentence: format!("the queue of {link} in {node} has dropped {packets} that it was to send"),
            effect: Effect::Sometimes,
            confidence: Confidence::Likely,
            evidence: vec![Evidence {
                command: format!("tc -s qdisc show dev {link}"),
                node: node.clone(),
                says: format!("dropped {more} since the trace began"),
            }],
            fixes: Vec::new(),
        })
    }

    /// Counters of the place that have grown meanwhile.
    fn evidence(&self, node: &Ns, last: &Place) -> Option<Evidence> {
        if *node != last.node {
            return None;
        }
        let grown: Vec<String> = self
            .counted(node)
            .into_iter()
            .filter(|(name, _)| LOSSES.contains(&name.as_str()) || name.contains(" dropped on "))
            .map(|(name, more)| format!("{name} +{more}"))
            .collect();
        (!grown.is_empty()).then(|| Evidence {
            command: "nstat -as; ip -s link".to_owned(),
            node: node.clone(),
            says: format!("{} since the trace began", grown.join(", ")),
        })
    }
}

/// Who has sent what, and whom it was for.
fn wish(journey: &Journey, has_neighbours: bool) -> Option<Wish> {
    let first: &Leg = journey.legs.first()?;
    let ends = first.headers.endpoints?;
    let port = ends.destination_port.unwrap_or(0);
    let about = match first.headers.protocol {
        None if !has_neighbours => return None,
        Some(ICMP | ICMPV6) | None => About::Icmp,
        Some(TCP) => About::Tcp(port),
        Some(UDP) => About::Udp(port),
        Some(_) => return None,
    };
    Some((first.hops.first()?.place.node.clone(), ends.destination, about))
}

/// What was seen comes first; what was foretold adds to it, or stands in for it.
fn join(faults: &mut Vec<Fault>, foretold: &[Fault], way: Way) {
    let is_same = |one: &Fault, other: &Fault| one.cause == other.cause && one.at.node == other.at.node;
    for fault in faults.iter_mut() {
        let Some(same) = foretold.iter().find(|other| is_same(fault, other)) else {
            if let Some(reason) = foretold.iter().find(|other| other.way == way && explains(other, fault)) {
                let seen = std::mem::replace(fault, reason.clone());
                fault.evidence.extend(seen.evidence);
            }
            continue;
        };
        if fault.fixes.is_empty() || same.fixes.iter().any(|fix| fix.lab_line.is_some()) {
            fault.fixes.clone_from(&same.fixes);
        }
        let is_new = |one: &&Evidence| !fault.evidence.iter().any(|known| known.command == one.command);
        let more: Vec<Evidence> = same.evidence.iter().filter(is_new).cloned().collect();
        fault.evidence.extend(more);
    }
    // An unanswered question has a reason of its own, which may be known.
    let is_vague = |fault: &Fault| matches!(fault.cause, Cause::NeighbourFailed);
    let better: Vec<Fault> = foretold
        .iter()
        .filter(|fault| fault.way == way && !faults.iter().any(|known| is_same(known, fault)))
        .cloned()
        .collect();
    if faults.iter().all(is_vague) && !better.is_empty() {
        *faults = better;
    } else if faults.is_empty() {
        *faults = foretold.to_vec();
    }
}

/// Whether a fault of the same node is the reason of what was seen there: a rule for packets that are routed meets
/// those of a bridge, or an error tells what its sender could not do, and not what has made it so.
fn explains(reason: &Fault, seen: &Fault) -> bool {
    let is_reason = match seen.cause {
        Cause::Rule | Cause::Policy => matches!(reason.cause, Cause::BridgedFramesFiltered),
        Cause::NoRouteOnTheWay | Cause::Prohibit => seen.fixes.is_empty(),
        _ => false,
    };
    is_reason && reason.at.node == seen.at.node
}

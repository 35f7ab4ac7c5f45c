//! Faults that a trace itself proves: a rule that dropped, an error that a node has sent.

use super::rules::Decision;
use super::title;
use crate::fault::{Cause, Confidence, Effect, Evidence, Fault, Fix, Place, Way};
use crate::journey::Endpoints;
use crate::nft::Action;
use crate::state::Ns;
use std::net::IpAddr;

/// The fault of a rule or policy that was seen to drop a packet.
#[must_use]
pub fn rule(node: &Ns, decision: &Decision, way: Way, ends: Option<Endpoints>) -> Fault {
    let rule = &decision.rule;
    let chain = format!("{} {} {}", rule.family, rule.table, rule.chain);
    let is_reject = decision.known.as_ref().is_some_and(|known| known.action == Action::Reject)
        || rule.text.contains("reject");
    let verb = if is_reject { "rejects" } else { "drops" };
    let whose = ends.map_or_else(String::new, |ends| format!(" {}", title::ends(&ends, false)));
    let (cause, sentence, fix) = match rule.handle {
        Some(handle) if !decision.is_policy => (
            Cause::Rule,
            format!("a rule of {node} {verb} the packet{whose}: nft {chain}, `{}`", rule.text),
            Fix {
                does: "removes the rule".to_owned(),
                node: node.clone(),
                command: format!("nft delete rule {chain} handle {handle}"),
                lab_line: None,
            },
        ),
        _ => (
            Cause::Policy,
            format!("the policy of {node}'s chain {chain} drops the packet{whose}, which no rule accepts"),
            Fix {
                does: "lets packets pass that no rule decides".to_owned(),
                node: node.clone(),
                command: format!("nft chain {chain} '{{ policy accept; }}'"),
                lab_line: None,
            },
        ),
    };
    Fault {
        cause,
        at: Place::node(node.clone()),
        way,
        sentence,
        effect: Effect::Stops,
        confidence: Confidence::Certain,
        evidence: vec![Evidence {
            command: format!("nft -a list chain {chain}"),
            node: node.clone(),
            says: rule
                .handle
                .map_or_else(|| rule.text.clone(), |handle| format!("{} # handle {handle}", rule.text)),
        }],
        fixes: vec![fix],
    }
}

/// The fault of an address that was asked for and that nobody has answered for.
#[must_use]
pub fn nobody(asker: &Place, target: IpAddr, times: usize) -> Fault {
    let what = if target.is_ipv4() { "ARP" } else { "neighbour discovery" };
    let times = match times {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        times => format!("{times} times"),
    };
    let node = &asker.node;
    Fault {
        cause: Cause::NeighbourFailed,
        at: asker.clone(),
        way: Way::There,
        sentence: format!("nobody answers for {target}: {node} has asked {times} by {what}"),
        effect: Effect::Stops,
        confidence: Confidence::Certain,
        evidence: vec![Evidence {
            command: format!("ip neighbour show {target}"),
            node: node.clone(),
            says: "INCOMPLETE or FAILED".to_owned(),
        }],
        fixes: Vec::new(),
    }
}

/// The fault that an error of ICMP about a packet tells; none for one that is no fault on the way.
#[must_use]
pub fn error(from: &Ns, is_v6: bool, kind: u8, code: u8, mtu: Option<u32>, way: Way) -> Option<Fault> {
    let (cause, what) = match (is_v6, kind, code) {
        (false, 11, 0) | (true, 3, 0) => (Cause::TtlExceeded, "has counted the TTL down to 0".to_owned()),
        (false, 3, 0) | (true, 1, 0) => (Cause::NoRouteOnTheWay, "has no route".to_owned()),
        (false, 3, 1) | (true, 1, 3) => {
            (Cause::NeighbourFailed, "gets no answer from the next hop".to_owned())
        }
        (false, 3, 9 | 10 | 13) | (true, 1, 1) => (Cause::Prohibit, "says that it is prohibited".to_owned()),
        (false, 3, 4) | (true, 2, _) => (
            Cause::MtuTooSmall,
            format!(
                "cannot send so large a packet on{}",
                mtu.map_or_else(String::new, |mtu| format!(": MTU {mtu}"))
            ),
        ),
        _ => return None,
    };
    let words = title::error(is_v6, kind, code, mtu);
    let icmp = if is_v6 { "ICMPv6" } else { "ICMP" };
    Some(Fault {
        cause,
        at: Place::node(from.clone()),
        way,
        sentence: format!("{from} {what} and says so: {icmp} {words}"),
        effect: if cause == Cause::MtuTooSmall { Effect::StopsLarge } else { Effect::Stops },
        confidence: Confidence::Certain,
        evidence: Vec::new(),
        fixes: Vec::new(),
    })
}

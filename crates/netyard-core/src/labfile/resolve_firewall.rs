//! Packet filters: what `allow` names becomes interfaces and prefixes.

use super::read::Problems;
use super::resolve::Draft;
use super::resolve_nat::{RULES_MAX, refuse_source, too_many_rules};
use super::syntax::{AllowDecl, ChainDecl, Traffic, Word};
use crate::diagnostic::{Code, Diagnostic};
use crate::lab::{Allow, Firewall, FirewallChain};
use crate::name::IfName;
use crate::nft::Protocol;
use ipnet::IpNet;
use std::rc::Rc;

/// Gives every node its packet filter.
pub(crate) fn add_filters(draft: &mut Draft, problems: &mut Problems) {
    let mut left = RULES_MAX;
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        let Some(firewall) = &decl.firewall else { continue };
        let mut write = |decl: &Option<ChainDecl>, is_input: bool, problems: &mut Problems| {
            decl.as_ref().map(|decl| chain(draft, at, decl, is_input, &mut left, problems))
        };
        let input = write(&firewall.input, true, problems);
        let forward = write(&firewall.forward, false, problems);
        if left == 0 {
            return problems.push(too_many_rules(draft.nodes[at].span));
        }
        draft.nodes[at].node.firewall = Some(Firewall { input, forward });
    }
}

fn chain(
    draft: &Draft,
    at: usize,
    decl: &ChainDecl,
    is_input: bool,
    left: &mut usize,
    problems: &mut Problems,
) -> FirewallChain {
    let mut allow = Vec::new();
    for entry in &decl.allow {
        let rules = allowed(draft, at, entry, is_input, *left, problems);
        *left = left.saturating_sub(rules.len());
        allow.extend(rules);
        if *left == 0 {
            break;
        }
    }
    FirewallChain { policy: decl.policy, allow }
}

/// One side of a connection: an interface of the node, a prefix, or anything.
#[derive(Clone)]
enum Side {
    Any,
    Interface(IfName),
    Prefix(IpNet),
}

/// An entry as one rule per source, destination and protocol.
fn allowed(
    draft: &Draft,
    at: usize,
    decl: &AllowDecl,
    is_input: bool,
    most: usize,
    problems: &mut Problems,
) -> Vec<Allow> {
    let from = sides(draft, at, &decl.from, true, problems);
    let to = sides(draft, at, &decl.to, !is_input, problems);
    let incoming = devs(draft, at, &decl.incoming, problems);
    let out = devs(draft, at, &decl.out, problems);
    let (Some(from), Some(to), Some(incoming), Some(out)) = (from, to, incoming, out) else {
        return Vec::new();
    };
    if is_input && !decl.out.is_empty() {
        let label = "packets to the node itself do not go out";
        problems.push(Diagnostic::new(Code::AllowMixesFamilies, decl.out[0].span).label(label));
        return Vec::new();
    }
    let given: Vec<Option<&Traffic>> = decl.traffic.iter().map(Some).collect();
    let traffic = if given.is_empty() { &[None][..] } else { &given[..] };
    let mut all = Vec::new();
    // What is left of the limit is spent at most; the caller sees that nothing is left.
    for from in &from {
        if all.len() > most {
            return all;
        }
        for to in &to {
            for incoming in &incoming {
                for out in &out {
                    all.extend(traffic.iter().filter_map(|kind| rule(from, to, incoming, out, *kind)));
                }
            }
        }
    }
    let all = without_idle_icmpv6(draft, all);
    if all.is_empty() {
        let problem = Diagnostic::new(Code::AllowMixesFamilies, decl.span);
        problems
            .push(problem.label("its parts are of different families, or name two interfaces for one side"));
    }
    all
}

fn rule(
    from: &Side,
    to: &Side,
    incoming: &Option<IfName>,
    out: &Option<IfName>,
    traffic: Option<&Traffic>,
) -> Option<Allow> {
    let mut allow = Allow {
        incoming: incoming.clone(),
        out: out.clone(),
        protocol: traffic.map(|traffic| traffic.protocol),
        icmp_type: traffic.and_then(|traffic| traffic.icmp_type),
        ports: traffic.map(|traffic| traffic.ports.clone()).unwrap_or_default(),
        ..Allow::default()
    };
    match from {
        Side::Any => {}
        Side::Interface(name) if allow.incoming.as_ref().is_some_and(|own| own != name) => return None,
        Side::Interface(name) => allow.incoming = Some(name.clone()),
        Side::Prefix(net) => allow.from = Some(*net),
    }
    match to {
        Side::Any => {}
        Side::Interface(name) if allow.out.as_ref().is_some_and(|own| own != name) => return None,
        Side::Interface(name) => allow.out = Some(name.clone()),
        Side::Prefix(net) => allow.to = Some(*net),
    }
    let family = |net: &IpNet| net.addr().is_ipv6();
    let wanted = match allow.protocol {
        Some(Protocol::Icmp) => Some(false),
        Some(Protocol::Icmpv6) => Some(true),
        _ => None,
    };
    let families = [allow.from.as_ref().map(family), allow.to.as_ref().map(family), wanted];
    let mut families = families.into_iter().flatten();
    let first = families.next();
    families.all(|other| Some(other) == first).then_some(allow)
}

/// `ping` means both families; in a lab without IPv6 only one is written.
fn without_idle_icmpv6(draft: &Draft, mut all: Vec<Allow>) -> Vec<Allow> {
    let has_icmp = all.iter().any(|allow| allow.protocol == Some(Protocol::Icmp));
    if has_icmp && !draft.uses_ipv6() {
        all.retain(|allow| allow.protocol != Some(Protocol::Icmpv6));
    }
    all
}

/// What `from` or `to` names; `None` when something of it is unknown. A network that the node is on is its interface
/// there, if the direction has one.
fn sides(
    draft: &Draft,
    at: usize,
    words: &[Word],
    has_interface: bool,
    problems: &mut Problems,
) -> Option<Vec<Side>> {
    if words.is_empty() {
        return Some(vec![Side::Any]);
    }
    let mut sides = Vec::new();
    let mut is_complete = true;
    for word in words {
        match side(draft, at, &word.value, has_interface) {
            Some(found) if found.is_empty() => is_complete = false,
            Some(found) => sides.extend(found),
            None => {
                is_complete = false;
                refuse_source(draft, word, problems);
            }
        }
    }
    is_complete.then_some(sides)
}

fn side(draft: &Draft, at: usize, word: &str, has_interface: bool) -> Option<Vec<Side>> {
    if word == "all" || word == "any" {
        return Some(vec![Side::Any]);
    }
    if let Some(net) = super::read::as_prefix(word) {
        return Some(vec![Side::Prefix(net.trunc())]);
    }
    if let Some(network) = draft.network_index.get(word) {
        let owner = &draft.nodes[at];
        let own = owner.endpoints.iter().filter(|endpoint| endpoint.network == Some(*network));
        let own: Vec<Side> = own.map(|endpoint| Side::Interface(endpoint.dev.clone())).collect();
        if has_interface && !own.is_empty() {
            return Some(own);
        }
        return Some(draft.networks[*network].network.prefixes.iter().copied().map(Side::Prefix).collect());
    }
    let of_node = |at: &usize| -> Vec<Side> {
        draft.nodes[*at].node.addresses().map(|net| Side::Prefix(IpNet::from(net.addr()))).collect()
    };
    if let Some(node) = draft.node_index.get(word) {
        return Some(of_node(node));
    }
    draft.groups.members.get(word).map(|members| members.iter().flat_map(of_node).collect())
}

fn devs(draft: &Draft, at: usize, words: &[Word], problems: &mut Problems) -> Option<Vec<Option<IfName>>> {
    if words.is_empty() {
        return Some(vec![None]);
    }
    let found: Vec<Option<IfName>> =
        words.iter().flat_map(|word| draft.find_devs(at, word, problems)).map(Some).collect();
    (!found.is_empty()).then_some(found)
}

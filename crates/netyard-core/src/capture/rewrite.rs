//! Which packets of a node are rewritten by NAT, and by which rule.

use crate::conntrack::{Connection, Detail, Tuple};
use crate::journey::RuleAt;
use crate::nft::{Action, Hook, Match, Rule};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

/// A rule that translates addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatRule {
    /// Where it stands.
    pub at: RuleAt,
    /// What it says.
    pub rule: Rule,
}

/// The connections of one node that NAT rewrites.
#[derive(Debug, Clone, Default)]
pub struct Rewrites {
    /// By protocol, and tuple of the packet as it leaves the node.
    by_tuple: HashMap<(u8, Tuple), Rewrite>,
    rules: Vec<NatRule>,
}

/// What happened to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rewrite {
    id: u32,
    /// Whether it goes the way of the first packet.
    is_original: bool,
    before: Tuple,
    after: Tuple,
}

impl Rewrites {
    /// Takes the node's rules, in their order.
    pub fn set_rules(&mut self, rules: Vec<NatRule>) {
        self.rules = rules;
    }

    /// Learns of a connection; whether it is rewritten.
    pub fn learn(&mut self, connection: &Connection) -> bool {
        let Connection { id, protocol, original, reply, .. } = *connection;
        let (there, back) = (reply.mirrored(), original.mirrored());
        if there == original {
            return false;
        }
        let rewrite = |is_original, before, after| Rewrite { id, is_original, before, after };
        self.by_tuple.insert((protocol, there), rewrite(true, original, there));
        self.by_tuple.insert((protocol, back), rewrite(false, reply, back));
        true
    }

    /// Forgets a connection that has ended, unless another one has taken its place.
    pub fn forget(&mut self, connection: &Connection) {
        for tuple in [connection.reply.mirrored(), connection.original.mirrored()] {
            let key = (connection.protocol, tuple);
            if self.by_tuple.get(&key).is_some_and(|rewrite| rewrite.id == connection.id) {
                self.by_tuple.remove(&key);
            }
        }
    }

    /// Whether no connection is rewritten.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_tuple.is_empty()
    }

    /// What the node called `node` has done to a packet that leaves it by `interface`: one remark for each end that
    /// was rewritten.
    #[must_use]
    pub fn remarks(&self, node: &str, interface: &str, protocol: u8, tuple: Tuple) -> Vec<String> {
        let Some(rewrite) = self.by_tuple.get(&(protocol, tuple)) else { return Vec::new() };
        let Rewrite { before, after, .. } = *rewrite;
        let mut remarks = Vec::new();
        let ends = [
            (Side::Source, End::source(before), End::source(after)),
            (Side::Destination, End::destination(before), End::destination(after)),
        ];
        for (side, from, to) in ends.into_iter().filter(|(_, from, to)| from != to) {
            let remark = |done: &str| format!("{done} by node {node}: {from} → {to}");
            if !rewrite.is_original {
                remarks.push(remark("translated back"));
                continue;
            }
            let rule = self.rule(side, rewrite, protocol, interface, to);
            let done = match (rule.map(|rule| &rule.rule.action), side) {
                (Some(Action::Masquerade), _) => "masqueraded",
                (_, Side::Source) => "source translated",
                (_, Side::Destination) => "destination translated",
            };
            let at = rule.map_or_else(String::new, |rule| format!(" ({})", place(&rule.at)));
            remarks.push(remark(done) + &at);
        }
        remarks
    }

    /// The rule that did it, where only one can have: the first whose matches all hold, with none before it that
    /// perhaps holds; or the only one that perhaps holds.
    fn rule(
        &self,
        side: Side,
        rewrite: &Rewrite,
        protocol: u8,
        interface: &str,
        to: End,
    ) -> Option<&NatRule> {
        // Sources are translated last: the destination is then what it has become.
        let tuple = match side {
            Side::Source => Tuple { source: rewrite.before.source, ..rewrite.after },
            Side::Destination => rewrite.before,
        };
        let mut perhaps = Vec::new();
        for rule in self.rules.iter().filter(|rule| can_do(&rule.rule.action, side, to)) {
            let is_at = |hooks: [Hook; 2]| rule.at.hook.is_none_or(|hook| hooks.contains(&hook));
            let out = match side {
                Side::Source if is_at([Hook::Postrouting, Hook::Input]) => Some(interface),
                Side::Destination if is_at([Hook::Prerouting, Hook::Output]) => None,
                _ => continue,
            };
            let source_port = End::source(rewrite.before).port;
            let held = rule.rule.matches.iter().map(|one| holds(one, &tuple, source_port, protocol, out));
            match held.fold(Some(true), both) {
                Some(false) => {}
                Some(true) if perhaps.is_empty() => return Some(rule),
                _ => perhaps.push(rule),
            }
        }
        if let [only] = perhaps[..] { Some(only) } else { None }
    }
}

/// `nft inet nat/post handle 2`, `legacy ip nat/POSTROUTING`
fn place(at: &RuleAt) -> String {
    let backend = if at.is_legacy { "legacy" } else { "nft" };
    let handle = at.handle.map_or_else(String::new, |handle| format!(" handle {handle}"));
    format!("{backend} {} {}/{}{handle}", at.family, at.table, at.chain)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

/// An address with its port, or the identifier of an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    address: IpAddr,
    port: Option<u16>,
}

impl End {
    fn source(tuple: Tuple) -> Self {
        let port = match tuple.detail {
            Detail::Ports { source, .. } => Some(source),
            Detail::Icmp { id, .. } => Some(id),
            Detail::None => None,
        };
        Self { address: tuple.source, port }
    }

    fn destination(tuple: Tuple) -> Self {
        let port = match tuple.detail {
            Detail::Ports { destination, .. } => Some(destination),
            // The identifier is the sender's.
            Detail::Icmp { .. } | Detail::None => None,
        };
        Self { address: tuple.destination, port }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.port) {
            (address, None) => address.fmt(f),
            (IpAddr::V4(address), Some(port)) => write!(f, "{address}:{port}"),
            (IpAddr::V6(address), Some(port)) => write!(f, "[{address}]:{port}"),
        }
    }
}

/// Whether an action can have given a packet that end.
fn can_do(action: &Action, side: Side, to: End) -> bool {
    match (action, side) {
        (Action::Masquerade, Side::Source) => true,
        (Action::Snat(address), Side::Source) => *address == to.address,
        (Action::Dnat(target), Side::Destination) => {
            target.ip() == to.address && (target.port() == 0 || Some(target.port()) == to.port)
        }
        (Action::Other(words), Side::Source) => words.contains("snat") || words.contains("masquerade"),
        (Action::Other(words), Side::Destination) => words.contains("dnat") || words.contains("redirect"),
        _ => false,
    }
}

/// Whether a condition held; none where that cannot be told afterwards.
fn holds(
    condition: &Match,
    tuple: &Tuple,
    source_port: Option<u16>,
    protocol: u8,
    out: Option<&str>,
) -> Option<bool> {
    let ports = |wanted: crate::nft::Protocol, is_in: Option<bool>| {
        if wanted.number() == protocol { is_in } else { Some(false) }
    };
    match condition {
        Match::InterfaceOut(name) => out.map(|out| name.as_str() == out),
        Match::InterfaceOutNot(name) => out.map(|out| name.as_str() != out),
        Match::Source(net) => Some(net.contains(&tuple.source)),
        Match::Destination(net) => Some(net.contains(&tuple.destination)),
        Match::Protocol(wanted) => Some(wanted.number() == protocol),
        Match::DestinationPort(wanted, range) => {
            let port = match tuple.detail {
                Detail::Ports { destination, .. } => Some(range.contains(destination)),
                _ => Some(false),
            };
            ports(*wanted, port)
        }
        Match::SourcePort(wanted, range) => ports(*wanted, source_port.map(|port| range.contains(port))),
        Match::IcmpType(wanted, number) => {
            let is_type = match tuple.detail {
                Detail::Icmp { kind, .. } => Some(kind == *number),
                _ => Some(false),
            };
            ports(*wanted, is_type)
        }
        Match::TcpSyn => ports(crate::nft::Protocol::Tcp, Some(true)),
        // NAT sees first packets only.
        Match::CtState(states) if states.new => Some(true),
        Match::InterfaceIn(_)
        | Match::CtState(_)
        | Match::CtStatusDnat
        | Match::DestinationLocal
        | Match::Other(_) => None,
    }
}

/// Both of two; unknown unless one is known not to hold.
fn both(first: Option<bool>, second: Option<bool>) -> Option<bool> {
    match (first, second) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

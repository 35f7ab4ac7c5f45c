//! The nf_tables table `inet netyard` of a node: its translations and its packet filter.

use crate::lab::{Allow, Firewall, FirewallChain, Nat, Node, NodeKind};
use crate::name::IfName;
use crate::nft::{
    Action, BaseChain, Chain, ChainKind, CtStates, Family, Hook, Match, Policy, Ports, Protocol, Rule, Table,
};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The name of a node's table.
const TABLE: &str = "netyard";

/// Priorities of nft(8): `dstnat`, `filter`, `srcnat`.
const DSTNAT: i32 = -100;
const FILTER: i32 = 0;
const SRCNAT: i32 = 100;

/// The table of a node; none where it neither translates nor filters.
///
/// A node of kind `host` gets no filter: a policy there would decide about packets that are not the lab's.
pub(super) fn of_node(node: &Node, uses_ipv6: bool) -> Option<Table> {
    let forwards: Vec<PortForward<'_>> = node.nat.iter().filter_map(PortForward::of).collect();
    let firewall = node.firewall.as_ref().filter(|_| node.kind != NodeKind::Host);
    let nat = |hook, priority, rules| chain(hook, ChainKind::Nat, priority, Policy::Accept, rules);
    let filter = |hook, rules| chain(hook, ChainKind::Filter, FILTER, Policy::Drop, rules);
    let chains = [
        nat(Hook::Prerouting, DSTNAT, forwards.iter().flat_map(PortForward::prerouting).collect()),
        filter(Hook::Input, firewall.map_or(vec![], |firewall| input(firewall, uses_ipv6))),
        filter(Hook::Forward, firewall.map_or(vec![], |firewall| forward(firewall, !forwards.is_empty()))),
        nat(Hook::Output, DSTNAT, forwards.iter().flat_map(PortForward::output).collect()),
        nat(Hook::Postrouting, SRCNAT, node.nat.iter().flat_map(postrouting).chain(uplink(node)).collect()),
    ];
    let chains: Vec<Chain> = chains.into_iter().filter(|chain| !chain.rules.is_empty()).collect();
    (!chains.is_empty()).then(|| Table { family: Family::Inet, name: TABLE.to_owned(), chains })
}

/// A base chain named as its hook.
fn chain(hook: Hook, kind: ChainKind, priority: i32, policy: Policy, rules: Vec<Rule>) -> Chain {
    Chain { name: hook.to_string(), base: Some(BaseChain { kind, hook, priority, policy }), rules }
}

fn rule(matches: Vec<Match>, action: Action) -> Rule {
    Rule { matches, counts: false, action }
}

/// [`Nat::PortForward`] with its fields at hand.
struct PortForward<'a> {
    protocol: Protocol,
    incoming: &'a IfName,
    /// One condition for each public address; where none is known, "any address of this node".
    destinations: Vec<Match>,
    ports: Ports,
    to: SocketAddr,
    hairpin: &'a [IpNet],
}

impl<'a> PortForward<'a> {
    fn of(nat: &'a Nat) -> Option<Self> {
        let Nat::PortForward { protocol, incoming, addresses, ports, to, hairpin } = nat else { return None };
        let public = addresses.iter().filter(|address| address.is_ipv4() == to.is_ipv4());
        let mut destinations: Vec<Match> =
            public.map(|address| Match::Destination(IpNet::from(*address))).collect();
        if destinations.is_empty() {
            destinations.push(Match::DestinationLocal);
        }
        Some(Self { protocol: *protocol, incoming, destinations, ports: *ports, to: *to, hairpin })
    }

    /// From outside; with a hairpin from every interface, as whoever asks for a public address means what is there.
    fn prerouting(&self) -> Vec<Rule> {
        let from_outside = Match::InterfaceIn(self.incoming.clone());
        self.dnat(self.hairpin.is_empty().then_some(from_outside))
    }

    /// From the node itself, so that it reaches its own public port as others do.
    fn output(&self) -> Vec<Rule> {
        self.dnat(None)
    }

    fn dnat(&self, source: Option<Match>) -> Vec<Rule> {
        let mut rules = Vec::new();
        for destination in &self.destinations {
            for (ports, to) in self.translations() {
                let port = Match::DestinationPort(self.protocol, ports);
                let matches = source.iter().cloned().chain([destination.clone(), port]).collect();
                rules.push(rule(matches, Action::Dnat(to)));
            }
        }
        rules
    }

    /// Public ports and their targets. Several ports stay as they are with one rule; those that become others take
    /// one each, because the kernel chooses any port of a range (net/netfilter/nf_nat_core.c `nf_nat_l4proto_unique_tuple`).
    fn translations(&self) -> Vec<(Ports, SocketAddr)> {
        let to = |port| SocketAddr::new(self.to.ip(), port);
        if self.ports.count() == 1 {
            return vec![(self.ports, self.to)];
        }
        if self.to.port() == self.ports.first {
            return vec![(self.ports, to(0))];
        }
        let targets = self.to.port()..=u16::MAX;
        (self.ports.first..=self.ports.last)
            .zip(targets)
            .map(|(port, target)| (port.into(), to(target)))
            .collect()
    }

    /// The ports of the target.
    fn target_ports(&self) -> Ports {
        let last = u32::from(self.to.port()) + self.ports.count() - 1;
        Ports { first: self.to.port(), last: u16::try_from(last).unwrap_or(u16::MAX) }
    }

    /// Answers to a client of the target's own network would go to it directly, from an address that it never asked.
    fn hairpin_masquerade(&self) -> Vec<Rule> {
        let rule_for = |source| {
            let matches = vec![
                Match::Source(source),
                Match::Destination(IpNet::from(self.to.ip())),
                Match::DestinationPort(self.protocol, self.target_ports()),
                Match::CtStatusDnat,
            ];
            rule(matches, Action::Masquerade)
        };
        self.hairpin_sources().map(rule_for).collect()
    }

    fn hairpin_sources(&self) -> impl Iterator<Item = IpNet> + '_ {
        let same_family = |prefix: &&IpNet| prefix.addr().is_ipv4() == self.to.is_ipv4();
        self.hairpin.iter().filter(same_family).map(IpNet::trunc)
    }
}

fn postrouting(nat: &Nat) -> Vec<Rule> {
    match nat {
        Nat::Masquerade { from, out } => source_nat(from, out, None),
        Nat::Snat { from, out, to } => source_nat(from, out, Some(*to)),
        Nat::PortForward { .. } => {
            PortForward::of(nat).map_or(vec![], |forward| forward.hairpin_masquerade())
        }
    }
}

/// What a router passes on through its uplink must have the uplink's address: pasta(1) answers no other.
fn uplink(node: &Node) -> Vec<Rule> {
    let forwards = node.forwards_ipv4 || node.forwards_ipv6;
    if node.uplink.is_none() || !forwards { vec![] } else { source_nat(&[], &node.uplink_name(), None) }
}

fn source_nat(from: &[IpNet], out: &IfName, to: Option<IpAddr>) -> Vec<Rule> {
    let action = to.map_or(Action::Masquerade, Action::Snat);
    let leaves = Match::InterfaceOut(out.clone());
    if from.is_empty() {
        return vec![rule(vec![leaves], action)];
    }
    from.iter()
        .filter(|prefix| to.is_none_or(|to| to.is_ipv4() == prefix.addr().is_ipv4()))
        .map(|prefix| rule(vec![leaves.clone(), Match::Source(prefix.trunc())], action.clone()))
        .collect()
}

/// Rules of a chain that drops by policy. A chain that accepts by policy decides nothing, and is left out.
fn input(firewall: &Firewall, uses_ipv6: bool) -> Vec<Rule> {
    let Some(chain) = dropping(firewall.input.as_ref()) else { return vec![] };
    let mut rules = vec![answers(), rule(vec![Match::InterfaceIn(super::loopback_name())], Action::Accept)];
    if uses_ipv6 {
        // Router and neighbour discovery, RFC 4861: without it IPv6 does not work at all.
        let discovery = (133..=137).map(|number| Match::IcmpType(Protocol::Icmpv6, number));
        rules.extend(discovery.map(|kind| rule(vec![kind], Action::Accept)));
    }
    rules.extend(chain.allow.iter().flat_map(allow));
    rules
}

fn forward(firewall: &Firewall, has_port_forward: bool) -> Vec<Rule> {
    let Some(chain) = dropping(firewall.forward.as_ref()) else { return vec![] };
    let mut rules = vec![answers()];
    if has_port_forward {
        rules.push(rule(vec![Match::CtStatusDnat], Action::Accept));
    }
    rules.extend(chain.allow.iter().flat_map(allow));
    rules
}

fn dropping(chain: Option<&FirewallChain>) -> Option<&FirewallChain> {
    chain.filter(|chain| chain.policy == Policy::Drop)
}

fn answers() -> Rule {
    let states = CtStates { established: true, related: true, ..CtStates::default() };
    rule(vec![Match::CtState(states)], Action::Accept)
}

fn allow(allow: &Allow) -> Vec<Rule> {
    let Allow { incoming, out, from, to, protocol, icmp_type, ports } = allow;
    if let (Some(from), Some(to)) = (from, to)
        && from.addr().is_ipv4() != to.addr().is_ipv4()
    {
        // No packet is of both families; nft refuses such a rule.
        return vec![];
    }
    let mut matches = Vec::new();
    matches.extend(incoming.clone().map(Match::InterfaceIn));
    matches.extend(out.clone().map(Match::InterfaceOut));
    matches.extend(from.map(|prefix| Match::Source(prefix.trunc())));
    matches.extend(to.map(|prefix| Match::Destination(prefix.trunc())));
    let with = |last: Option<Match>| rule(matches.iter().cloned().chain(last).collect(), Action::Accept);
    if ports.is_empty() {
        let kind = protocol.zip(*icmp_type).map(|(protocol, number)| Match::IcmpType(protocol, number));
        return vec![with(kind.or(protocol.map(Match::Protocol)))];
    }
    let protocols = match protocol {
        Some(protocol) => vec![*protocol],
        None => vec![Protocol::Tcp, Protocol::Udp],
    };
    let of_protocol =
        |protocol| ports.iter().map(move |ports: &Ports| Match::DestinationPort(protocol, *ports));
    protocols.into_iter().flat_map(of_protocol).map(|last| with(Some(last))).collect()
}

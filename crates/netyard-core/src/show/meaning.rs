//! What a rule of nf_tables does, in plain words and with names for addresses.

use crate::lab::{Lab, Node};
use crate::name::IfName;
use crate::nft::{Action, CtStates, Match, Ports, Protocol, Rule, icmp_type_word};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Who has which address, as the node sees it whose rules are read.
pub(crate) trait Names {
    /// Who else has this address.
    fn owner_of(&self, address: IpAddr) -> Option<String>;
    /// The network of that prefix.
    fn network_of(&self, prefix: IpNet) -> Option<String>;
    /// An address of one of the node's own interfaces.
    fn address_of(&self, interface: &IfName, is_ipv4: bool) -> Option<IpAddr>;
}

/// The names of a lab.
pub(super) struct LabNames<'a> {
    pub lab: &'a Lab,
    pub node: &'a Node,
}

impl Names for LabNames<'_> {
    fn owner_of(&self, address: IpAddr) -> Option<String> {
        let owner = self.lab.node_with_address(address).filter(|node| node.name != self.node.name);
        owner.map(|node| node.name.to_string())
    }

    fn network_of(&self, prefix: IpNet) -> Option<String> {
        let network = self.lab.networks.iter().find(|network| network.prefixes.contains(&prefix.trunc()));
        network.map(|network| network.name.to_string())
    }

    fn address_of(&self, interface: &IfName, is_ipv4: bool) -> Option<IpAddr> {
        let addresses = &self.node.interface(interface.as_str())?.addresses;
        addresses.iter().map(IpNet::addr).find(|address| address.is_ipv4() == is_ipv4)
    }
}

/// Reads the rules of one node.
pub(crate) struct Reader<N>(pub(crate) N);

impl<N: Names> Reader<N> {
    /// `from lan, out by eth1: the source becomes 10.138.0.3`; none when a part of the rule is not understood.
    pub(crate) fn meaning(&self, rule: &Rule) -> Option<String> {
        let conditions: Option<Vec<String>> = rule.matches.iter().map(|m| self.condition(m)).collect();
        let conditions = conditions?;
        let what = if conditions.is_empty() { "everything".to_owned() } else { conditions.join(", ") };
        Some(format!("{what}: {}", self.action(rule)?))
    }

    fn condition(&self, condition: &Match) -> Option<String> {
        Some(match condition {
            Match::InterfaceIn(name) => format!("in by {name}"),
            Match::InterfaceOut(name) => format!("out by {name}"),
            Match::InterfaceOutNot(name) => format!("not out by {name}"),
            Match::Source(prefix) => format!("from {}", self.prefix(*prefix)),
            Match::Destination(prefix) => format!("to {}", self.prefix(*prefix)),
            Match::Protocol(protocol) => protocol.to_string(),
            Match::DestinationPort(protocol, ports) => format!("to {protocol} {}", port_words(*ports)),
            Match::SourcePort(protocol, ports) => format!("from {protocol} {}", port_words(*ports)),
            Match::CtState(states) => states_words(*states),
            Match::CtStatusDnat => "with a translated destination".to_owned(),
            Match::DestinationLocal => "to this node itself".to_owned(),
            Match::IcmpType(protocol, number) => icmp_words(*protocol, *number),
            Match::TcpSyn => "beginning a TCP connection".to_owned(),
            Match::Other(_) => return None,
        })
    }

    fn action(&self, rule: &Rule) -> Option<String> {
        Some(match &rule.action {
            Action::Continue => "is counted".to_owned(),
            Action::Accept => "passes".to_owned(),
            Action::Drop => "is dropped".to_owned(),
            Action::Reject => "is refused".to_owned(),
            Action::Masquerade => format!("the source becomes {}", self.masquerade_source(rule)),
            Action::Snat(to) => format!("the source becomes {}", self.address(*to)),
            Action::Dnat(to) => format!("goes on to {}", self.socket(*to)),
            Action::ClampMss => "the TCP segment size is lowered to what the way carries".to_owned(),
            Action::Jump(chain) => format!("the rules of {chain} decide"),
            Action::Return | Action::Other(_) => return None,
        })
    }

    /// The address that a masquerade gives: that of the only interface that the rule is about.
    fn masquerade_source(&self, rule: &Rule) -> String {
        let is_ipv4 = rule.ip_version() != Some(6);
        let address = rule.matches.iter().find_map(|m| match m {
            Match::InterfaceOut(name) => self.0.address_of(name, is_ipv4),
            _ => None,
        });
        address.map_or_else(|| "the address of the interface that it leaves by".to_owned(), |a| a.to_string())
    }

    /// The network or node of that prefix, or the prefix.
    fn prefix(&self, prefix: IpNet) -> String {
        if prefix.prefix_len() == prefix.max_prefix_len() {
            return self.address(prefix.addr());
        }
        self.0.network_of(prefix).unwrap_or_else(|| prefix.to_string())
    }

    /// `pc (10.0.0.1)`; the address alone where it is this node's own or nobody's.
    fn address(&self, address: IpAddr) -> String {
        match self.0.owner_of(address) {
            Some(owner) => format!("{owner} ({address})"),
            None => address.to_string(),
        }
    }

    /// As [`Self::address`], with the port where there is one.
    fn socket(&self, to: SocketAddr) -> String {
        match (to.port(), self.0.owner_of(to.ip())) {
            (0, _) => self.address(to.ip()),
            (_, Some(owner)) => format!("{owner} ({to})"),
            (_, None) => to.to_string(),
        }
    }
}

fn port_words(ports: Ports) -> String {
    let plural = if ports.first == ports.last { "" } else { "s" };
    format!("port{plural} {ports}")
}

fn states_words(states: CtStates) -> String {
    let CtStates { established, related, new, invalid, untracked } = states;
    match (established, related, new, invalid, untracked) {
        (true, true, false, false, false) => "answers and what belongs to them".to_owned(),
        _ => format!("{states} connections"),
    }
}

fn icmp_words(protocol: Protocol, number: u8) -> String {
    match icmp_type_word(protocol, number) {
        Some(word) => format!("{protocol} {word}"),
        None => format!("{protocol} type {number}"),
    }
}

//! nf_tables tables as data: what a lab's NAT and firewall are made of, and what is read back from the kernel.
//!
//! `Display` of each part is nft(8) syntax; that of a [`Table`] is what `nft list ruleset` prints, without counts.

pub(crate) mod parse;
mod text;

pub use parse::RuleError;
pub use text::icmp_type_word;

use crate::name::IfName;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Table {
    /// Address family.
    pub family: Family,
    /// Name, unique in its family.
    pub name: String,
    /// Chains in the order of their making.
    pub chains: Vec<Chain>,
}

/// The address family of a table (linux/netfilter.h `NFPROTO_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Bridged frames.
    Bridge,
    /// Frames at one link.
    Netdev,
    /// ARP.
    Arp,
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Chain {
    /// Name, unique in its table.
    pub name: String,
    /// Where packets enter it from; none for a chain that only rules jump to.
    pub base: Option<BaseChain>,
    /// Rules in order.
    pub rules: Vec<Rule>,
}

/// How a base chain hangs in the packet path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BaseChain {
    /// `filter`, `nat` or `route`.
    pub kind: ChainKind,
    /// The hook.
    pub hook: Hook,
    /// Order among the chains of one hook; the lowest is first.
    pub priority: i32,
    /// What happens to packets that no rule decides.
    pub policy: Policy,
}

/// The type of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainKind {
    /// Decides on packets.
    Filter,
    /// Sees the first packet of each connection and rewrites.
    Nat,
    /// Routes again after changes.
    Route,
}

/// The hooks of the IP families (linux/netfilter.h `NF_INET_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// To this node's sockets.
    Input,
    /// Through this node.
    Forward,
    /// From this node's sockets.
    Output,
    /// After routing.
    Postrouting,
    /// At a link, before all else.
    Ingress,
    /// At a link, after all else; family `netdev` only.
    Egress,
}

/// The policy of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Packets pass.
    Accept,
    /// Packets are dropped.
    Drop,
}

/// One rule: all matches hold, then the action.
///
/// Several ways to write a rule are one rule in the kernel; [`Rule::canonical`] is the one that is read back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Conditions, all of which must hold.
    pub matches: Vec<Match>,
    /// Whether packets and bytes are counted.
    pub counts: bool,
    /// What happens then.
    pub action: Action,
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// `iifname NAME`.
    InterfaceIn(IfName),
    /// `oifname NAME`.
    InterfaceOut(IfName),
    /// `oifname != NAME`.
    InterfaceOutNot(IfName),
    /// `ip saddr PREFIX` or `ip6 saddr PREFIX`.
    Source(IpNet),
    /// `ip daddr PREFIX` or `ip6 daddr PREFIX`.
    Destination(IpNet),
    /// `meta l4proto PROTO`.
    Protocol(Protocol),
    /// `tcp dport PORTS`, `udp dport PORTS`: includes the match on the protocol.
    DestinationPort(Protocol, Ports),
    /// `tcp sport PORTS`, `udp sport PORTS`: includes the match on the protocol.
    SourcePort(Protocol, Ports),
    /// `ct state A,B`.
    CtState(CtStates),
    /// `ct status dnat`.
    CtStatusDnat,
    /// `fib daddr type local`: the packet is for an address of this node.
    DestinationLocal,
    /// `icmp type N` or `icmpv6 type N`: includes the match on the protocol and on IPv4 or IPv6.
    IcmpType(Protocol, u8),
    /// `tcp flags syn / syn,rst`: the first packet of a connection each way.
    TcpSyn,
    /// An expression that is not one of the above, as read from the kernel, in words. Never encoded.
    Other(String),
}

/// Transport protocols that rules name (IANA protocol numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// 1
    Icmp,
    /// 6
    Tcp,
    /// 17
    Udp,
    /// 58
    Icmpv6,
}

impl Protocol {
    /// The IANA protocol number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Icmp => 1,
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmpv6 => 58,
        }
    }

    /// The protocol of an IANA number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Icmp, Self::Tcp, Self::Udp, Self::Icmpv6].into_iter().find(|p| p.number() == number)
    }
}

/// One port or a range, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ports {
    /// Lowest port.
    pub first: u16,
    /// Highest port; equal to `first` for a single one.
    pub last: u16,
}

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

/// A set of connection tracking states (linux/netfilter/nf_conntrack_common.h).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CtStates {
    /// `invalid`
    pub invalid: bool,
    /// `established`
    pub established: bool,
    /// `related`
    pub related: bool,
    /// `new`
    pub new: bool,
    /// `untracked`
    pub untracked: bool,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: the rule counts, or is there for its trace.
    Continue,
    /// The packet passes this hook.
    Accept,
    /// The packet is gone.
    Drop,
    /// The packet is gone and its sender is told "port unreachable" by ICMP or ICMPv6, TCP too (no reset).
    Reject,
    /// Source address becomes that of the outgoing interface.
    Masquerade,
    /// Source address becomes this one.
    Snat(IpAddr),
    /// Destination becomes this address and port; port 0 leaves the port as it is. With a port the rule must match
    /// on TCP or UDP.
    Dnat(SocketAddr),
    /// The TCP maximum segment size is lowered to what the route carries.
    ClampMss,
    /// Rules of the named chain, then back here.
    Jump(String),
    /// Back to the chain that jumped here; in a base chain, its policy decides.
    Return,
    /// An action that is not one of the above, as read from the kernel, in words. Never encoded.
    Other(String),
}

impl Rule {
    /// The version of IP that the matches restrict the rule to, 4 or 6.
    #[must_use]
    pub fn ip_version(&self) -> Option<u8> {
        self.matches.iter().find_map(Match::ip_version)
    }

    /// The transport protocol that the matches restrict the rule to.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        self.matches.iter().find_map(|m| match m {
            Match::Protocol(protocol) => Some(*protocol),
            other => other.included_protocol(),
        })
    }

    /// Whether every part of it has a form of its own here, so that it can be made again.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        let is_other = |m: &Match| matches!(m, Match::Other(_));
        !self.matches.iter().any(is_other) && !matches!(self.action, Action::Other(_))
    }

    /// The same rule in the form in which the kernel gives it back.
    ///
    /// Prefixes lose their host bits; a match on a protocol goes where another match includes it (`meta l4proto tcp
    /// tcp dport 80` is `tcp dport 80`); of two ports side by side the source comes first, as nft joins them into one
    /// comparison.
    ///
    /// ```
    /// # use netyard_core::nft::{Action, Match, Protocol, Rule};
    /// let port = Match::DestinationPort(Protocol::Tcp, 80.into());
    /// let long = Rule { matches: vec![Match::Protocol(Protocol::Tcp), port.clone()], counts: false, action: Action::Accept };
    /// assert_eq!(long.canonical().matches, [port]);
    /// ```
    #[must_use]
    pub fn canonical(&self) -> Self {
        let included: Vec<Protocol> = self.matches.iter().filter_map(Match::included_protocol).collect();
        let is_needed = |m: &&Match| !matches!(m, Match::Protocol(p) if included.contains(p));
        let mut matches: Vec<Match> = self.matches.iter().filter(is_needed).map(Match::canonical).collect();
        for index in 1..matches.len() {
            if is_reversed_pair(&matches[index - 1], &matches[index]) {
                matches.swap(index - 1, index);
            }
        }
        Self { matches, counts: self.counts, action: self.action.clone() }
    }
}

impl Table {
    /// The same table with every rule in the form in which the kernel gives it back ([`Rule::canonical`]).
    #[must_use]
    pub fn canonical(&self) -> Self {
        let rules = |chain: &Chain| chain.rules.iter().map(Rule::canonical).collect();
        let chains = self.chains.iter().map(|c| Chain { rules: rules(c), ..c.clone() }).collect();
        Self { family: self.family, name: self.name.clone(), chains }
    }
}

impl Match {
    /// The transport protocol without which this match cannot hold.
    #[must_use]
    pub fn included_protocol(&self) -> Option<Protocol> {
        match self {
            Self::DestinationPort(protocol, _)
            | Self::SourcePort(protocol, _)
            | Self::IcmpType(protocol, _) => Some(*protocol),
            Self::TcpSyn => Some(Protocol::Tcp),
            _ => None,
        }
    }

    /// The version of IP, 4 or 6, without which this match cannot hold.
    #[must_use]
    pub fn ip_version(&self) -> Option<u8> {
        match self {
            Self::Source(prefix) | Self::Destination(prefix) if prefix.addr().is_ipv4() => Some(4),
            Self::Source(_) | Self::Destination(_) => Some(6),
            Self::IcmpType(Protocol::Icmpv6, _) => Some(6),
            Self::IcmpType(..) => Some(4),
            _ => None,
        }
    }

    fn canonical(&self) -> Self {
        match self {
            Self::Source(prefix) => Self::Source(prefix.trunc()),
            Self::Destination(prefix) => Self::Destination(prefix.trunc()),
            other => other.clone(),
        }
    }
}

/// Whether nft joins these two into one comparison, which reads back the other way round.
fn is_reversed_pair(first: &Match, second: &Match) -> bool {
    let is_single = |ports: &Ports| ports.first == ports.last;
    match (first, second) {
        (Match::DestinationPort(_, to), Match::SourcePort(_, from)) => is_single(to) && is_single(from),
        _ => false,
    }
}

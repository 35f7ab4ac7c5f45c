//! nf_tables tables as data: what a lab's NAT and firewall are made of, and what is read back from the kernel.
//!
//! `Display` of each part is nft(8) syntax.

use crate::name::IfName;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
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
    /// `icmp type N` or `icmpv6 type N`: includes the match on the protocol.
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
    /// The packet is answered: TCP with a reset, all else with "port unreachable".
    Reject,
    /// Source address becomes that of the outgoing interface.
    Masquerade,
    /// Source address becomes this one.
    Snat(IpAddr),
    /// Destination becomes this address and port.
    Dnat(SocketAddr),
    /// The TCP maximum segment size is lowered to what the route carries.
    ClampMss,
    /// Rules of the named chain, then back here.
    Jump(String),
    /// An action that is not one of the above, as read from the kernel, in words. Never encoded.
    Other(String),
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
            Self::Arp => "arp",
        })
    }
}

impl fmt::Display for ChainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Icmp => "icmp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmpv6 => "icmpv6",
        })
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl fmt::Display for CtStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.invalid, "invalid"),
            (self.established, "established"),
            (self.related, "related"),
            (self.new, "new"),
            (self.untracked, "untracked"),
        ];
        let words: Vec<&str> = words.into_iter().filter(|(is_in, _)| *is_in).map(|(_, word)| word).collect();
        f.write_str(&words.join(","))
    }
}

fn ip_word(addr: IpAddr) -> &'static str {
    if addr.is_ipv4() { "ip" } else { "ip6" }
}

/// A prefix as nft prints it: without its length where that is the whole address.
fn nft_prefix(prefix: IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        prefix.addr().to_string()
    } else {
        prefix.trunc().to_string()
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceIn(name) => write!(f, "iifname \"{name}\""),
            Self::InterfaceOut(name) => write!(f, "oifname \"{name}\""),
            Self::InterfaceOutNot(name) => write!(f, "oifname != \"{name}\""),
            Self::Source(prefix) => write!(f, "{} saddr {}", ip_word(prefix.addr()), nft_prefix(*prefix)),
            Self::Destination(prefix) => {
                write!(f, "{} daddr {}", ip_word(prefix.addr()), nft_prefix(*prefix))
            }
            Self::Protocol(Protocol::Icmpv6) => f.write_str("meta l4proto ipv6-icmp"),
            Self::Protocol(protocol) => write!(f, "meta l4proto {protocol}"),
            Self::DestinationPort(protocol, ports) => write!(f, "{protocol} dport {ports}"),
            Self::SourcePort(protocol, ports) => write!(f, "{protocol} sport {ports}"),
            Self::CtState(states) => write!(f, "ct state {states}"),
            Self::CtStatusDnat => f.write_str("ct status dnat"),
            Self::DestinationLocal => f.write_str("fib daddr type local"),
            Self::IcmpType(protocol, number) => write!(f, "{protocol} type {number}"),
            Self::TcpSyn => f.write_str("tcp flags syn / syn,rst"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("continue"),
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Reject => f.write_str("reject"),
            Self::Masquerade => f.write_str("masquerade"),
            Self::Snat(addr) => write!(f, "snat {} to {addr}", ip_word(*addr)),
            Self::Dnat(to) => write!(f, "dnat {} to {to}", ip_word(to.ip())),
            Self::ClampMss => f.write_str("tcp option maxseg size set rt mtu"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.matches {
            write!(f, "{part} ")?;
        }
        if self.counts {
            f.write_str("counter ")?;
        }
        self.action.fmt(f)
    }
}

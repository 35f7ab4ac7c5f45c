//! Expectations: what a lab states about itself, and how an answer is judged.

use crate::fault::{Cause, Fault};
use crate::lab::Lab;
use crate::name::{IfName, NodeName};
use crate::state::Ns;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// One entry of `expect:`, its groups expanded to one sender each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Line in the lab file, from 1; 0 where there is no file.
    pub line: u32,
    /// The node that looks or sends.
    pub from: NodeName,
    /// What is done.
    pub probe: Probe,
    /// What must come of it.
    pub outcome: Outcome,
    /// The sender's address as the receiver saw it.
    pub seen_as: Option<IpAddr>,
    /// Time in milliseconds until which it must come true; it is tried again until then. 0: tried once.
    pub within_ms: u32,
    /// What must be the reason, where it must not arrive ([`Outcome::Dropped`]).
    #[serde(default)]
    pub dropped: Option<Dropped>,
}

/// Why something does not arrive, as far as it is stated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The cause.
    pub by: Option<Cause>,
    /// The node where it ends.
    pub at: Option<NodeName>,
}

impl Dropped {
    /// Whether a fault is the one that is meant.
    #[must_use]
    pub fn is_by(&self, fault: &Fault) -> bool {
        let is_at = |node: &NodeName| fault.at.node == Ns::Node(node.clone());
        self.by.is_none_or(|by| by == fault.cause) && self.at.as_ref().is_none_or(is_at)
    }

    /// Whether nothing is stated but that it does not arrive.
    #[must_use]
    pub fn is_anything(&self) -> bool {
        self.by.is_none() && self.at.is_none()
    }
}

/// What an expectation does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// ICMP echo requests.
    Ping(Ping),
    /// A TCP connection.
    Tcp {
        /// Whom.
        to: Target,
        /// Port.
        port: u16,
    },
    /// A UDP datagram that is answered.
    Udp {
        /// Whom.
        to: Target,
        /// Port.
        port: u16,
        /// What is sent.
        payload: String,
        /// What the answer must contain.
        answer: Option<String>,
    },
    /// An HTTP/1.1 GET.
    Http {
        /// Whom.
        to: Target,
        /// Port.
        port: u16,
        /// Path with its query.
        path: String,
        /// The status that is expected; any below 400 where none is given.
        status: Option<u16>,
        /// What the body must contain.
        contains: Option<String>,
    },
    /// A DNS query for A or AAAA.
    Dns {
        /// The name asked for.
        name: String,
        /// The server; the node's own resolver where none is given.
        server: Option<Target>,
        /// Ask for AAAA.
        is_ipv6: bool,
        /// An address that the answer must hold.
        address: Option<IpAddr>,
    },
    /// The kernel's route look-up (`ip route get`).
    Route {
        /// Destination.
        to: Target,
        /// Gateway that it must use.
        via: Option<IpAddr>,
        /// Interface that it must use.
        dev: Option<IfName>,
        /// Who must have made it.
        #[serde(default)]
        protocol: Option<RouteProtocol>,
    },
    /// An OSPF neighbour of FRR's ospfd or ospf6d (`show ip ospf neighbor`).
    OspfNeighbour {
        /// The node, or its router id or address.
        to: Target,
        /// State, in small letters.
        state: String,
    },
    /// A BGP session of FRR's bgpd (`show bgp summary`).
    BgpSession {
        /// The node, or its address.
        to: Target,
        /// State, in small letters.
        state: String,
        /// The autonomous system of the other end.
        remote_as: Option<u32>,
    },
    /// A neighbour entry (`ip neighbour show`).
    Neighbour {
        /// Address.
        to: Target,
        /// Its Ethernet address.
        mac: Option<crate::mac::Mac>,
        /// State word of ip-neighbour(8) in lower case, for example `reachable`; any valid one where none is given.
        state: Option<String>,
    },
    /// The routers on the way, found by rising TTL, the destination last.
    Path {
        /// Destination.
        to: Target,
        /// Nodes in order.
        nodes: Vec<NodeName>,
    },
    /// TCP throughput to a node.
    Throughput {
        /// Receiver.
        to: NodeName,
        /// Address of the receiver; the first that both share a family of where none is given.
        address: Option<IpAddr>,
        /// Expected rate in bits per second of payload and headers up to layer 2.
        rate_bit_per_s: u64,
        /// Allowed deviation in per cent.
        tolerance_percent: f64,
    },
}

/// Who made a route (`proto` of ip-route(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteProtocol {
    /// The kernel, for an address.
    Kernel,
    /// A person, a lab file, or a static route of a daemon.
    Static,
    /// OSPF.
    Ospf,
    /// BGP.
    Bgp,
    /// RIP or RIPng.
    Rip,
    /// IS-IS.
    Isis,
    /// EIGRP.
    Eigrp,
    /// Babel.
    Babel,
}

impl RouteProtocol {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Kernel, Self::Static, Self::Ospf, Self::Bgp, Self::Rip, Self::Isis, Self::Eigrp, Self::Babel];

    /// The protocol of this number; none for others.
    ///
    /// Source: linux/rtnetlink.h `RTPROT_*`, and FRR's zebra/rt_netlink.h for RIPng (190) and its static routes (196).
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            2 => Self::Kernel,
            3 | 4 | 196 => Self::Static,
            42 => Self::Babel,
            186 => Self::Bgp,
            187 => Self::Isis,
            188 => Self::Ospf,
            189 | 190 => Self::Rip,
            192 => Self::Eigrp,
            _ => return None,
        })
    }

    /// Its word in lab files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Static => "static",
            Self::Ospf => "ospf",
            Self::Bgp => "bgp",
            Self::Rip => "rip",
            Self::Isis => "isis",
            Self::Eigrp => "eigrp",
            Self::Babel => "babel",
        }
    }
}

impl fmt::Display for RouteProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// ICMP echo requests and what each must satisfy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ping {
    /// Whom.
    pub to: Target,
    /// Echo requests that must all be answered, 1 and more.
    pub count: u32,
    /// Payload in bytes after the ICMP header, as ping(8) `-s`.
    pub size: u16,
    /// Do not fragment (ping(8) `-M do`).
    pub df: bool,
    /// TTL or hop limit of the requests; the kernel's default where none is given.
    pub ttl: Option<u8>,
    /// TTL that the answer must arrive with.
    pub answer_ttl: Option<u8>,
    /// Routers that the answer passed, computed from its TTL.
    pub hops: Option<u8>,
    /// Longest round trip in microseconds.
    pub rtt_us_max: Option<u32>,
    /// Shortest round trip in microseconds, for links with delay.
    pub rtt_us_min: Option<u32>,
    /// Source address; the kernel's choice where none is given.
    pub source: Option<IpAddr>,
}

impl Ping {
    /// One ordinary echo request.
    #[must_use]
    pub fn to(to: Target) -> Self {
        Self {
            to,
            count: 1,
            size: 56,
            df: false,
            ttl: None,
            answer_ttl: None,
            hops: None,
            rtt_us_max: None,
            rtt_us_min: None,
            source: None,
        }
    }
}

/// Whom a probe is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A node, by the address that its name resolves to.
    Node(NodeName),
    /// A node's interface: its first address.
    Interface(NodeName, IfName),
    /// An address.
    Address(IpAddr),
    /// A name for the resolver of the sending node.
    Name(String),
}

impl Target {
    /// The address, where no resolver is needed for it: of the family that `from` has in common with a node.
    #[must_use]
    pub fn address(&self, lab: &Lab, from: &NodeName) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Node(name) => {
                let node = lab.node(name.as_str())?;
                let sender = lab.node(from.as_str())?;
                let has = |six: bool| sender.address(Some(six)).is_some();
                let first = node.addresses().map(|a| a.addr()).find(|a| has(a.is_ipv6()));
                first.or_else(|| node.address(None))
            }
            Self::Interface(name, interface) => {
                let node = lab.node(name.as_str())?;
                node.interface(interface.as_str())?.addresses.first().map(IpNet::addr)
            }
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped")?;
        if let Some(by) = self.by {
            write!(f, " by {}", by.word())?;
        }
        self.at.as_ref().map_or(Ok(()), |at| write!(f, " at {at}"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => name.fmt(f),
            Self::Interface(name, interface) => write!(f, "{name}:{interface}"),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What comes of a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was answered as it should be.
    #[default]
    Ok,
    /// A TCP reset, or ICMP "port unreachable" (3/3).
    Refused,
    /// Another ICMP "unreachable" (3/x), or no answer to ARP.
    Unreachable,
    /// The sender has no route.
    NoRoute,
    /// Silence.
    Timeout,
    /// The packet was larger than a link takes and might not be fragmented (ICMP 3/4, ICMPv6 2, EMSGSIZE).
    TooBig,
    /// The packet ran out of hops (ICMP 11/0).
    TtlExceeded,
    /// It, or the answer to it, ends on the way, whether somebody says so or not.
    Dropped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::NoRoute => "no-route",
            Self::Timeout => "timeout",
            Self::TooBig => "too-big",
            Self::TtlExceeded => "ttl-exceeded",
            Self::Dropped => "dropped",
        })
    }
}

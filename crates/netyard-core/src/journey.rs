//! The way of packets through a network, as data: foretold by `why`, seen by `trace`, replayed from a file.

use crate::conntrack::Tuple;
use crate::fault::{Confidence, Fault, Place, Way};
use crate::mac::Mac;
use crate::name::IfName;
use crate::nft::{Family, Hook};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// What became of one packet, of the answers to it, and of errors about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    /// Its number in a trace, from 1.
    pub number: u32,
    /// What it is: `ICMP echo 10.0.0.1 > 1.1.1.1`, `TCP 10.0.0.1:41000 > 10.0.0.2:80`.
    pub title: String,
    /// The packet, then replies and errors, each when it was first seen.
    pub legs: Vec<Leg>,
    /// Further packets of the same conversation that were counted only.
    pub more: Vec<More>,
    /// How it ended.
    pub verdict: Verdict,
}

/// Packets that were counted where they passed, and not followed one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// The link.
    pub place: Place,
    /// Whether they left by it.
    pub is_out: bool,
    /// Source and destination there.
    pub endpoints: Endpoints,
    /// How many.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// The way of one packet, from where it was made to where it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// There or back.
    pub way: Way,
    /// What it is: `ICMP echo request seq 1`, `TCP SYN`.
    pub title: String,
    /// What its headers said where it was first seen.
    pub headers: Headers,
    /// Whether it is a second one of a packet before, that somebody on the way has made.
    pub is_copy: bool,
    /// Where it went, in order.
    pub hops: Vec<Hop>,
}

/// One thing that happened to a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// When, in nanoseconds since 1970; none where nothing was sent.
    pub at_ns: Option<u64>,
    /// Where.
    pub place: Place,
    /// What.
    pub event: Event,
    /// The headers from here on, where they are known.
    pub headers: Option<Headers>,
    /// How it is known.
    pub source: Source,
    /// How sure it is.
    pub confidence: Confidence,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Left by an interface.
    Sent,
    /// Came in by an interface.
    Received,
    /// Passed a bridge.
    Bridged {
        /// The bridge.
        bridge: IfName,
        /// The port that it came in by; none when the bridge's own node sent it.
        from: Option<IfName>,
        /// The ports that it left by.
        to: Vec<IfName>,
        /// How the ports were chosen.
        decision: Forwarding,
    },
    /// A route was chosen.
    Routed {
        /// The route's destination; none where the kernel did not tell.
        route: Option<IpNet>,
        /// Table; 254 is `main`.
        table: u32,
        /// Gateway.
        via: Option<IpAddr>,
        /// Interface.
        dev: IfName,
        /// Source address of the node's own packets.
        src: Option<IpAddr>,
    },
    /// The Ethernet address of the next hop was known, or asked for.
    Neighbour {
        /// The next hop.
        to: IpAddr,
        /// Its Ethernet address.
        mac: Option<Mac>,
        /// `reachable`, `stale`, `permanent`, `failed` ...
        state: String,
    },
    /// TTL or hop limit was counted down.
    Ttl {
        /// Before.
        from: u8,
        /// After.
        to: u8,
    },
    /// A rule or the policy of a chain said what happens.
    Filtered {
        /// The rule.
        rule: RuleAt,
        /// `accept`, `drop`, `jump NAME` ...
        verdict: String,
    },
    /// Addresses or ports were rewritten.
    Translated {
        /// What was rewritten.
        nat: Nat,
        /// Before.
        before: Endpoints,
        /// After.
        after: Endpoints,
        /// The number of the tracked connection.
        ct: Option<u32>,
        /// The rule, at the first packet of a connection.
        rule: Option<RuleAt>,
    },
    /// Cut into fragments.
    Fragmented {
        /// Pieces.
        pieces: u32,
    },
    /// Put together again from fragments.
    Reassembled {
        /// Pieces.
        pieces: u32,
    },
    /// A large TCP segment was cut to what a link carries (GSO).
    Segmented {
        /// Pieces.
        pieces: u32,
    },
    /// Put into a packet of a tunnel, or taken out.
    Tunnelled {
        /// `vxlan`, for example.
        kind: String,
        /// Whether it was put in.
        is_in: bool,
        /// The network number.
        id: Option<u32>,
    },
    /// Given to a socket of the node, or to the kernel itself (echo).
    Delivered {
        /// The address.
        to: IpAddr,
        /// The socket, where one is known.
        socket: Option<SocketAddr>,
        /// The program that has it, where that can be seen.
        program: Option<String>,
    },
    /// Ended here.
    Dropped(Box<Fault>),
}

/// How a bridge chose the ports of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarding {
    /// The forwarding database had the address.
    Hit,
    /// Nobody knew it: out of all ports.
    Flood,
    /// For the bridge's own node.
    Local,
}

/// Which end NAT rewrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// The source, by `masquerade`.
    Masquerade,
    /// The source, by `snat`.
    Snat,
    /// The destination, by `dnat`.
    Dnat,
    /// What an earlier packet of the connection had rewritten, undone in an answer.
    Undo,
}

/// A rule, or the policy of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleAt {
    /// `legacy` for iptables-legacy, else nf_tables.
    pub is_legacy: bool,
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// The chain's hook; none where rules jump to it.
    pub hook: Option<Hook>,
    /// The rule's handle; none for a policy and for legacy rules.
    pub handle: Option<u64>,
    /// The rule as nft(8) writes it; `policy drop` for a policy.
    pub text: String,
}

/// Source and destination of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoints {
    /// Source address.
    pub source: IpAddr,
    /// Source port, or the identifier of an echo.
    pub source_port: Option<u16>,
    /// Destination address.
    pub destination: IpAddr,
    /// Destination port.
    pub destination_port: Option<u16>,
}

/// What the headers of a packet say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers {
    /// Ethernet source and destination, where there is such a header.
    pub macs: Option<(Mac, Mac)>,
    /// What it carries (IEEE 802 numbers).
    pub ethertype: u16,
    /// Addresses and ports; none for what is not IP (of ARP: asker and asked).
    pub endpoints: Option<Endpoints>,
    /// IANA number of the transport protocol.
    pub protocol: Option<u8>,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// Bytes on the wire.
    pub len: u32,
}

/// How something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A packet socket saw it.
    Packet,
    /// A trace of nf_tables.
    RuleTrace,
    /// The table of tracked connections.
    Conntrack,
    /// A counter of the kernel.
    Counter,
    /// A drop reason of the kernel (eBPF).
    DropReason,
    /// What the kernel said when it was asked what it would do.
    Asked,
}

/// How a journey ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The packet arrived, and so did an answer where one was due.
    Arrived {
        /// From the first sighting to the last, in nanoseconds.
        took_ns: Option<u64>,
        /// The addresses of the packet as its receiver saw them.
        seen_as: Option<Tuple>,
    },
    /// It, or the answer, ended on the way.
    Lost {
        /// On which way.
        way: Way,
        /// Where it was seen last.
        last: Place,
        /// What it ended by; none where nothing that was seen tells.
        faults: Vec<Fault>,
    },
    /// It arrived and the answer was an error (RST, ICMP).
    Refused {
        /// By whom.
        by: Place,
        /// What it said: `ICMP port unreachable`.
        says: String,
        /// Why it says so, where that is known.
        #[serde(default)]
        faults: Vec<Fault>,
    },
    /// Still under way when looking ended.
    Open,
}

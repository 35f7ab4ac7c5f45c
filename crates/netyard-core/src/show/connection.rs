//! Tracked connections with the names of nodes.

use crate::conntrack::{self, Detail, TcpState, Tuple};
use crate::name::NodeName;
use crate::nft::Protocol;
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A tracked connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// `tcp`, `udp`, `icmp`, or a number.
    pub protocol: String,
    /// State of its TCP handshake.
    pub state: Option<String>,
    /// The first packet as it came.
    pub original: Direction,
    /// What an answer looks like; not the mirror image of `original` where NAT rewrites.
    pub reply: Direction,
    /// Whether the source is rewritten.
    pub snat: bool,
    /// Whether the destination is rewritten.
    pub dnat: bool,
    /// Whether an answer was seen.
    pub answered: bool,
    /// Seconds until it is forgotten.
    pub timeout_s: Option<u32>,
}

/// Packets of a connection in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Direction {
    /// Where from.
    pub source: Endpoint,
    /// Where to.
    pub destination: Endpoint,
    /// Identifier of an ICMP echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u16>,
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its port, where the protocol has ports.
    pub port: Option<u16>,
    /// The node that has the address.
    pub node: Option<NodeName>,
}

impl Connection {
    /// A connection with the names of the nodes that have its addresses.
    #[must_use]
    pub fn of(connection: &conntrack::Connection, node_with: impl Fn(IpAddr) -> Option<NodeName>) -> Self {
        let number = connection.protocol;
        Self {
            protocol: Protocol::from_number(number).map_or_else(|| number.to_string(), |p| p.to_string()),
            state: connection.tcp_state.map(|state| state_word(state).to_owned()),
            original: Direction::of(&connection.original, &node_with),
            reply: Direction::of(&connection.reply, &node_with),
            snat: connection.status.has_snat(),
            dnat: connection.status.has_dnat(),
            answered: connection.status.has_seen_reply(),
            timeout_s: connection.timeout_s,
        }
    }

    /// What is rewritten: `snat`, `dnat`, `snat, dnat`, or nothing.
    #[must_use]
    pub fn rewrites(&self) -> &'static str {
        match (self.snat, self.dnat) {
            (true, true) => "snat, dnat",
            (true, false) => "snat",
            (false, true) => "dnat",
            (false, false) => "",
        }
    }
}

impl Direction {
    fn of(tuple: &Tuple, node_with: &impl Fn(IpAddr) -> Option<NodeName>) -> Self {
        let (source_port, destination_port, id) = match tuple.detail {
            Detail::Ports { source, destination } => (Some(source), Some(destination), None),
            Detail::Icmp { id, .. } => (None, None, Some(id)),
            Detail::None => (None, None, None),
        };
        let end = |address, port| Endpoint { address, port, node: node_with(address) };
        Self {
            source: end(tuple.source, source_port),
            destination: end(tuple.destination, destination_port),
            id,
        }
    }
}

fn state_word(state: TcpState) -> &'static str {
    match state {
        TcpState::None => "none",
        TcpState::SynSent => "syn-sent",
        TcpState::SynReceived => "syn-received",
        TcpState::Established => "established",
        TcpState::FinWait => "fin-wait",
        TcpState::CloseWait => "close-wait",
        TcpState::LastAck => "last-ack",
        TcpState::TimeWait => "time-wait",
        TcpState::Close => "close",
        TcpState::SynSent2 => "syn-sent-both",
    }
}

/// `pc 10.0.0.1:4242 → 1.1.1.1:80`, with the identifier of an ICMP echo.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.source, self.destination)?;
        self.id.map_or(Ok(()), |id| write!(f, ", id {id}"))
    }
}

/// `pc 10.0.0.1:4242`, as far as known.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.node {
            write!(f, "{node} ")?;
        }
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

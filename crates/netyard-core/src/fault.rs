//! Why a packet does not arrive: the cause, the state of the kernel that proves it, and what mends it.
//!
//! What `why` finds and what `trace` sees end are told with the same words.

use crate::name::IfName;
use crate::state::Ns;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that keeps packets from arriving, or makes them arrive by luck only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What it is.
    pub cause: Cause,
    /// Where.
    pub at: Place,
    /// On which way.
    pub way: Way,
    /// The cause in one sentence, with its place and its numbers.
    pub sentence: String,
    /// What comes of it.
    pub effect: Effect,
    /// How sure it is.
    pub confidence: Confidence,
    /// The state of the kernel that proves it.
    pub evidence: Vec<Evidence>,
    /// What mends it, the simplest first.
    pub fixes: Vec<Fix>,
}

/// A node, and an interface of it where that matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The node, or the fabric.
    pub node: Ns,
    /// One of its links.
    pub interface: Option<IfName>,
}

/// One of the two ways of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From the one who asks.
    There,
    /// To the one who asked.
    Back,
}

/// What comes of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing arrives.
    Stops,
    /// Some packets arrive, by luck.
    Sometimes,
    /// Small packets arrive, large ones do not.
    StopsLarge,
    /// Packets arrive; programs of ordinary users cannot send them.
    StopsUsers,
    /// Nothing is lost by it.
    Remark,
}

/// How sure a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The kernel has said so.
    Certain,
    /// Nothing else fits what was seen.
    Likely,
    /// Something has a part in it that netyard does not understand; a probe would tell.
    Unknown,
}

/// A piece of the kernel's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The command that shows it, to be typed in a shell of `node`.
    pub command: String,
    /// Where that is.
    pub node: Ns,
    /// What it says, shortened to what matters.
    pub says: String,
}

/// Something that mends a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// What it does, in a few words.
    pub does: String,
    /// Where the command is to be typed.
    pub node: Ns,
    /// The command.
    pub command: String,
    /// What the lab file should say, where it can say it.
    pub lab_line: Option<String>,
}

/// What can be the matter. The words are those of `why --json` and of `dropped-by:` in a lab file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// No address at all: the node cannot send.
    NoAddress,
    /// The sender has no route (`ENETUNREACH`).
    NoRoute,
    /// A router on the way has no route.
    NoRouteOnTheWay,
    /// The answer finds no route.
    NoReturnRoute,
    /// A route of type `blackhole`.
    Blackhole,
    /// A route of type `unreachable`.
    UnreachableRoute,
    /// A route of type `prohibit`.
    Prohibit,
    /// An interface is administratively down.
    InterfaceDown,
    /// The other end of a cable is down, so that there is no carrier.
    NoCarrier,
    /// A cable leads nowhere: its other end was deleted or is in no namespace that can be seen.
    NoPeer,
    /// A bridge is down.
    BridgeDown,
    /// The loopback is down.
    LoopbackDown,
    /// A cable ends beside the bridge: it is no port of it.
    NotABridgePort,
    /// A port of a bridge does not forward (spanning tree).
    PortNotForwarding,
    /// Two ports of a bridge are isolated from each other.
    PortsIsolated,
    /// An address stands on a port of a bridge instead of the bridge.
    AddressOnPort,
    /// A prefix length does not fit the network.
    WrongPrefix,
    /// The same prefix on two interfaces.
    OverlappingPrefixes,
    /// Two nodes of a network have the same address.
    DuplicateAddress,
    /// Nobody answers for the next hop (`NUD_FAILED`).
    NeighbourFailed,
    /// The next hop is an address that nobody has.
    NoSuchGateway,
    /// A neighbour entry has an Ethernet address that is not the neighbour's.
    WrongNeighbour,
    /// The machine's table of neighbours is full.
    NeighbourTableFull,
    /// A router does not forward.
    NotForwarding,
    /// Strict reverse path filtering.
    ReversePathFilter,
    /// A rule drops or rejects.
    Rule,
    /// The policy of a chain drops.
    Policy,
    /// Bridged frames pass the rules of IP (`bridge-nf-call-iptables`).
    BridgedFramesFiltered,
    /// A private source address leaves untranslated to where no way back is known.
    NotTranslated,
    /// A forwarded port is translated for packets from outside only, not for the node's own.
    LocalNotTranslated,
    /// A forwarded port is reached from inside, and the answer takes the short way (hairpin).
    HairpinNotTranslated,
    /// TTL or hop limit used up: too far, or a loop.
    TtlExceeded,
    /// A link on the way takes less than the sender sends, and nobody says so.
    MtuTooSmall,
    /// The ends of a tunnel do not fit: network identifier, port or address.
    TunnelMismatch,
    /// A queue is full.
    QueueFull,
    /// A frame for another Ethernet address.
    OtherHost,
    /// The node does not answer echo requests (`icmp_echo_ignore_all`).
    EchoIgnored,
    /// Nothing listens at the port.
    NotListening,
    /// Something listens, but at another address of the node.
    ListensElsewhere,
    /// The target's address is nobody's.
    NoSuchAddress,
    /// The node has no name server that it can reach.
    NoNameServer,
    /// Programs of ordinary users may not ping (`ping_group_range`).
    PingNotPermitted,
    /// A namespace has lost its name but lives on.
    NamespaceUnnamed,
    /// Something lies in the way that netyard does not understand.
    NotUnderstood,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{}:{interface}", self.node),
            None => self.node.fmt(f),
        }
    }
}

impl Place {
    /// A node as a whole.
    #[must_use]
    pub fn node(node: Ns) -> Self {
        Self { node, interface: None }
    }

    /// An interface of a node.
    #[must_use]
    pub fn interface(node: Ns, interface: IfName) -> Self {
        Self { node, interface: Some(interface) }
    }
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 44] = [
        Self::NoAddress,
        Self::NoRoute,
        Self::NoRouteOnTheWay,
        Self::NoReturnRoute,
        Self::Blackhole,
        Self::UnreachableRoute,
        Self::Prohibit,
        Self::InterfaceDown,
        Self::NoCarrier,
        Self::NoPeer,
        Self::BridgeDown,
        Self::LoopbackDown,
        Self::NotABridgePort,
        Self::PortNotForwarding,
        Self::PortsIsolated,
        Self::AddressOnPort,
        Self::WrongPrefix,
        Self::OverlappingPrefixes,
        Self::DuplicateAddress,
        Self::NeighbourFailed,
        Self::NoSuchGateway,
        Self::WrongNeighbour,
        Self::NeighbourTableFull,
        Self::NotForwarding,
        Self::ReversePathFilter,
        Self::Rule,
        Self::Policy,
        Self::BridgedFramesFiltered,
        Self::NotTranslated,
        Self::LocalNotTranslated,
        Self::HairpinNotTranslated,
        Self::TtlExceeded,
        Self::MtuTooSmall,
        Self::TunnelMismatch,
        Self::QueueFull,
        Self::OtherHost,
        Self::EchoIgnored,
        Self::NotListening,
        Self::ListensElsewhere,
        Self::NoSuchAddress,
        Self::NoNameServer,
        Self::PingNotPermitted,
        Self::NamespaceUnnamed,
        Self::NotUnderstood,
    ];

    /// The word of `why --json` and of lab files: `no-route`.
    ///
    /// ```
    /// assert_eq!(netyard_core::fault::Cause::NoRouteOnTheWay.word(), "no-route-on-the-way");
    /// ```
    #[must_use]
    pub fn word(self) -> String {
        let mut word = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() && !word.is_empty() {
                word.push('-');
            }
            word.push(c.to_ascii_lowercase());
        }
        word
    }
}

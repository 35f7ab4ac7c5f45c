//! The language of checks: what a step says about live state.

use super::{MACHINE, Text};
use crate::expect::{Outcome, Probe};
use crate::nft::{Hook, Policy};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One entry of `check:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What is said.
    pub fact: Fact,
    /// Whether it must not be true.
    pub is_negated: bool,
    /// What to say while it does not hold; made from the fact where there is none.
    pub say: Option<Text>,
}

/// A link somewhere, written `pc:eth0`; without a namespace it is in `vm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The namespace.
    pub namespace: String,
    /// The link.
    pub link: String,
}

/// What can be said about live state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// There is a namespace.
    Namespace(String),
    /// There is a link.
    Link(LinkFact),
    /// A link, or any of a namespace, has an address.
    Address {
        /// The address with its length.
        address: IpNet,
        /// The namespace.
        namespace: String,
        /// The link, where it must be this one.
        link: Option<String>,
    },
    /// There is a route.
    Route {
        /// The namespace.
        namespace: String,
        /// Destination.
        to: IpNet,
        /// Gateway.
        via: Option<IpAddr>,
        /// Link.
        dev: Option<String>,
    },
    /// A value below `/proc/sys`.
    Sysctl {
        /// The namespace.
        namespace: String,
        /// The dotted key.
        key: String,
        /// The value.
        value: String,
    },
    /// Addresses are translated, whichever program wrote the rule.
    Nat {
        /// The namespace.
        namespace: String,
        /// How.
        translation: Translation,
    },
    /// What happens in the end to packets at a hook that no rule has decided about.
    Policy {
        /// The namespace.
        namespace: String,
        /// The hook.
        hook: Hook,
        /// `drop` when any chain there drops.
        policy: Policy,
    },
    /// A neighbour is known.
    Neighbour {
        /// The namespace.
        namespace: String,
        /// Its address.
        address: IpAddr,
        /// The link whose Ethernet address it must have.
        mac_of: Option<Place>,
    },
    /// A bridge has learned behind which port a link is.
    Learned {
        /// The link.
        link: Place,
        /// The port.
        port: Place,
    },
    /// A socket waits for others.
    Listening {
        /// The namespace.
        namespace: String,
        /// TCP, or UDP.
        is_tcp: bool,
        /// Its port.
        port: u16,
    },
    /// A counter has grown since the step began.
    Counter {
        /// The namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// By so much at least.
        grows: u64,
    },
    /// Connections are tracked.
    Flows {
        /// The namespace.
        namespace: String,
        /// How many at least.
        count: usize,
        /// Sources, each of which must have one.
        from: Vec<IpAddr>,
        /// Destination.
        to: Option<IpAddr>,
        /// Destination port.
        port: Option<u16>,
        /// The source as others see it.
        seen_as: Option<IpAddr>,
        /// Whether they were answered.
        is_replied: Option<bool>,
    },
    /// What comes of a packet.
    Probe(ProbeFact),
}

/// What is said about a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkFact {
    /// Where it is.
    pub place: Place,
    /// The kernel's word for its kind.
    pub kind: Option<String>,
    /// The bridge that it is a port of; empty for none.
    pub master: Option<String>,
    /// The other end of a veth.
    pub peer: Option<Place>,
    /// Whether it is up.
    pub is_up: Option<bool>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
    /// Whether it runs a spanning tree.
    pub has_stp: Option<bool>,
}

/// How addresses are translated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Translation {
    /// Sources of a prefix become an address of the machine.
    Masquerade {
        /// The prefix.
        from: IpNet,
        /// Link by which they leave.
        out: Option<String>,
    },
    /// A port is passed on.
    Dnat {
        /// The port.
        port: u16,
        /// Where to.
        to: SocketAddr,
    },
}

/// A probe with what must come of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeFact {
    /// The namespace that sends.
    pub from: String,
    /// What it does.
    pub probe: Probe,
    /// What must come of it.
    pub outcome: Outcome,
    /// The sender's address as the receiver sees it.
    pub seen_as: Option<IpAddr>,
    /// Milliseconds in which it is tried again.
    pub within_ms: u32,
}

impl Place {
    /// Reads `NAMESPACE:LINK` or `LINK`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (namespace, link) = text.split_once(':').unwrap_or((MACHINE, text));
        Self { namespace: namespace.to_owned(), link: link.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.link)
    }
}

impl Check {
    /// The probe, where it is about one.
    #[must_use]
    pub fn probe(&self) -> Option<&ProbeFact> {
        match &self.fact {
            Fact::Probe(probe) => Some(probe),
            _ => None,
        }
    }
}

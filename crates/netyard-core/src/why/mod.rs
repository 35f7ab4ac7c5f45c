//! `netyard why`: why one node reaches another or does not, by asking the kernel; no packet is sent.
//!
//! A packet is followed from its sender to the target, and the answer back. At every node the kernel is asked for the
//! route; what it cannot be asked (cables, bridges, rules, neighbours) is read, and what is read is understood or said
//! not to be. Nothing here knows a lab file: the same network built by hand is explained in the same words.

mod blame;
mod condition;
mod ethernet;
mod field;
mod frame;
mod kernel;
mod packet;
mod party;
mod path;
pub mod probe;
mod routing;
mod rules;
mod segment;
mod sight;
#[cfg(test)]
mod tests;
mod tunnel;
mod walk;

pub use kernel::Kernel;
pub use packet::{About, SOURCE_PORT};
pub use party::{PartyError, Versions, find};
pub use sight::{
    Address, Bridge, Chain, End, Inside, Learned, Link, LinkKind, Listener, NamedSet, Neighbour,
    NeighbourTable, Outline, PlacedRule, Port, Route, RouteAsk, RouteFound, Ruleset, Vxlan, errno, is_global,
};

use crate::fault::{Confidence, Effect, Fault, Way};
use crate::journey::Leg;
use crate::name::IfName;
use crate::state::Ns;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One end of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its namespace; none where nobody that can be seen has the address.
    pub node: Option<Ns>,
    /// The interface that was named.
    pub interface: Option<IfName>,
    /// Its address; none where the kernel is to choose, or where it has none.
    pub address: Option<IpAddr>,
}

/// Who wants what from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who asks; its node is known.
    pub from: Party,
    /// Who is asked; its address is known.
    pub to: Party,
    /// What about.
    pub about: About,
}

/// Whether the answer would arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It would.
    Reachable,
    /// It would not.
    Unreachable,
    /// That depends on something that is not understood.
    Unknown,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Who asks.
    pub from: Party,
    /// Who is asked.
    pub to: Party,
    /// What about.
    pub about: About,
    /// The name that was asked for, where the target's address was found by one.
    pub name: Option<String>,
    /// Whether the answer would arrive.
    pub verdict: Verdict,
    /// What is wrong, the first to be met first.
    pub faults: Vec<Fault>,
    /// The way there and the way back.
    pub legs: Vec<Leg>,
    /// What came of a real packet, where one was sent.
    pub probe: Option<probe::Probed>,
}

/// Follows a packet and the answer to it.
pub fn explain(kernel: &mut dyn Kernel, question: &Question) -> Explanation {
    let mut walk = walk::Walk::new(kernel, question);
    walk.there_and_back(question);
    let (mut faults, legs) = walk.end();
    // What stops packets comes first, in the order in which it is met; what is not understood may not stop them.
    faults.sort_by_key(|fault| (fault.effect, fault.confidence == Confidence::Unknown));
    Explanation {
        from: question.from.clone(),
        to: question.to.clone(),
        about: question.about,
        name: None,
        verdict: verdict(&faults),
        faults,
        legs,
        probe: None,
    }
}

/// The verdict of what was found.
#[must_use]
pub fn verdict(faults: &[Fault]) -> Verdict {
    let mut stops = faults.iter().filter(|fault| fault.effect == Effect::Stops).peekable();
    if stops.peek().is_none() {
        Verdict::Reachable
    } else if stops.all(|fault| fault.confidence == Confidence::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Unreachable
    }
}

impl Way {
    /// Whether it is the way there.
    #[must_use]
    pub fn is_there(self) -> bool {
        self == Self::There
    }
}

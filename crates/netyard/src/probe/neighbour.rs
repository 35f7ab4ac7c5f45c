//! Neighbour tables (`ip neighbour`): what a node knows about the Ethernet addresses around it. No packet is sent.

use super::rtnetlink::{self, FoundNeighbour, neighbour_state};
use super::{Miss, NodeSockets, SocketKind, open};
use netyard_core::expect::Outcome;
use netyard_core::mac::Mac;
use netyard_core::name::NodeName;
use netyard_kernel::netlink::Socket;
use std::net::IpAddr;

/// An entry of a neighbour table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The address.
    pub to: IpAddr,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// The state word of ip-neighbour(8) in lower case.
    pub state: &'static str,
}

/// Looks an address up in a node's neighbour table.
///
/// # Errors
/// [`Outcome::Unreachable`] when there is no entry, or one that nobody answered for.
pub fn look_up(sockets: &dyn NodeSockets, node: &NodeName, to: IpAddr) -> Result<Neighbour, Miss> {
    let entries = dump(sockets, node)?;
    let unanswered = neighbour_state::INCOMPLETE | neighbour_state::FAILED;
    // The same address may be asked for on several interfaces; an answered one is the one that counts.
    let best = entries.iter().filter(|e| e.to == to).min_by_key(|e| e.state & unanswered);
    match best {
        None => Err(Miss::new(Outcome::Unreachable, format!("{node} has no neighbour entry for {to}"))),
        Some(entry) if entry.state & unanswered != 0 => {
            let state = state_word(entry.state);
            let detail = format!("the neighbour entry of {node} for {to} is {state}");
            Err(Miss::new(Outcome::Unreachable, detail))
        }
        Some(entry) => Ok(Neighbour { to, mac: entry.mac, state: state_word(entry.state) }),
    }
}

/// Whether a node still waits for the answer to an ARP request or neighbour solicitation.
#[must_use]
pub fn is_asking(sockets: &dyn NodeSockets, node: &NodeName) -> bool {
    dump(sockets, node)
        .is_ok_and(|entries| entries.iter().any(|entry| entry.state & neighbour_state::INCOMPLETE != 0))
}

fn dump(sockets: &dyn NodeSockets, node: &NodeName) -> Result<Vec<FoundNeighbour>, Miss> {
    let mut socket = Socket::from_fd(open(sockets, node, SocketKind::Route)?);
    rtnetlink::neighbours(&mut socket)
        .map_err(|refusal| Miss::impossible(format!("cannot read the neighbour table of {node}: {refusal}")))
}

/// The word of ip-neighbour(8) for a state (linux/neighbour.h `NUD_*`).
fn state_word(state: u16) -> &'static str {
    match state {
        0x01 => "incomplete",
        0x02 => "reachable",
        0x04 => "stale",
        0x08 => "delay",
        0x10 => "probe",
        0x20 => "failed",
        0x40 => "noarp",
        0x80 => "permanent",
        _ => "none",
    }
}

//! One packet seen at one link.

use super::packet::Packet;
use super::topology::{At, Topology};

/// A packet that passed a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// Where.
    pub at: At,
    /// Which way it went, seen from the link.
    pub toward: Toward,
    /// What it was.
    pub packet: Packet,
    /// Whether it is one of those that were asked for.
    pub is_wanted: bool,
}

/// Which way a frame went, and for whom it was (linux/if_packet.h `PACKET_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Toward {
    /// In, for this link's Ethernet address.
    Here,
    /// In, for all or for a group.
    Many,
    /// In, for another Ethernet address.
    Other,
    /// Out.
    Away,
}

impl Toward {
    /// Whether it came in.
    #[must_use]
    pub fn is_in(self) -> bool {
        self != Self::Away
    }
}

/// The order of events: by time; at the same time the lower link comes first on the way in, the upper one on the way
/// out.
///
/// A frame keeps the time of its first tap on the way in: a port of a bridge and the bridge tell the same one.
pub fn sort(sightings: &mut [Sighting], topology: &Topology) {
    sightings.sort_by_key(|sighting| {
        let depth = topology.link(&sighting.at).map_or(0, |link| link.depth);
        (sighting.at_ns, if sighting.toward.is_in() { depth } else { u8::MAX - depth })
    });
}

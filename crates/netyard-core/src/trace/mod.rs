//! `netyard trace`: sightings of packets, messages of rules and tracked connections, joined to journeys.
//!
//! A packet is followed by three kinds of evidence. What left one end of a cable comes in at the other: that is
//! certain. Inside of a namespace a packet is known by what neither routers nor translations change: its
//! identification, sequence numbers and payload. Which of several equal ones it is, is told by the table of tracked
//! connections and by order; where nothing tells, the hop says `likely`.

pub mod blame;
pub mod conversation;
pub mod follow;
mod kernel;
pub mod nat;
pub mod packet;
pub mod rules;
pub mod sighting;
pub mod tell;
#[cfg(test)]
mod tests;
pub mod title;
pub mod topology;
pub mod track;
mod verdict;

pub use follow::{Follower, Wanted};
pub use kernel::KernelDrop;
pub use sighting::{Sighting, Toward};
pub use topology::{At, Topology};

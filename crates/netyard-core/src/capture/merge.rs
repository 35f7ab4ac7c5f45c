//! Frames of many rings in one order.

use super::{Place, Sighting};
use crate::packet::Way;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Holds sightings back until all that came before them have been read.
///
/// A ring shows its frames some milliseconds late, each ring by another delay. All that is older than
/// [`Merge::WINDOW_NS`] before the rings were read last is there.
#[derive(Debug, Default)]
pub struct Merge {
    waiting: BinaryHeap<Reverse<Waiting>>,
    count: u64,
    /// Bytes of the frames that wait.
    len: usize,
}

/// Time, place in the way of a frame, order of coming.
///
/// Where somebody has asked the kernel for timestamps, a frame keeps that of its first sighting inside of a node: the
/// port of a bridge and the bridge have equal times. A frame goes out by the bridge first and by the port last, then
/// comes in at the other end, by the port first.
type Key = (u64, u8, u64);

#[derive(Debug)]
struct Waiting {
    key: Key,
    sighting: Sighting,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl Merge {
    /// Longer than any ring keeps a frame to itself.
    pub const WINDOW_NS: u64 = 50_000_000;

    /// Takes a sighting in.
    pub fn push(&mut self, sighting: Sighting, place: &Place) {
        let rank = match sighting.way {
            Way::Out => 127 - place.depth.min(127),
            _ => 128 + place.depth.min(127),
        };
        self.count += 1;
        self.len += sighting.bytes.len();
        self.waiting.push(Reverse(Waiting { key: (sighting.at_ns, rank, self.count), sighting }));
    }

    /// The next sighting that was seen at `until_ns` or before.
    pub fn next(&mut self, until_ns: u64) -> Option<Sighting> {
        let Reverse(first) = self.waiting.peek()?;
        if first.key.0 > until_ns {
            return None;
        }
        let Reverse(waiting) = self.waiting.pop()?;
        self.len -= waiting.sighting.bytes.len();
        Some(waiting.sighting)
    }

    /// Whether so much waits that no more should be taken in: it is told more slowly than it comes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        const FRAMES_MAX: usize = 1_000_000;
        const LEN_MAX: usize = 256 << 20;
        self.waiting.len() > FRAMES_MAX || self.len > LEN_MAX
    }

    /// When the first that waits was seen.
    #[must_use]
    pub fn first_ns(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse(first)| first.key.0)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

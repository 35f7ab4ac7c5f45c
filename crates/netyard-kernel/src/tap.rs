//! A tap: a copy of every frame that passes any link of a network namespace, through a ring that is shared with the
//! kernel (packet(7), `TPACKET_V3`, networking/packet_mmap.rst).
//!
//! A tap is opened where the frames are, which takes CAP_NET_RAW over the namespace, and read wherever its descriptor
//! is, which takes no right.

mod frame;
mod many;
mod open;
mod ring;

pub use frame::TapFrame;
pub use many::{close_all, open_in};
pub use open::{OpenTap, Settings, open};
pub use ring::{Counts, Tap};

use serde::{Deserialize, Serialize};

/// The shape of a ring: the kernel fills one block after the other, and gives each away when it is full or
/// `RETIRE_MS` old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Bytes of a block, a multiple of the page size.
    pub block_len: u32,
    /// How many blocks there are.
    pub blocks: u32,
}

impl Shape {
    /// A ring of about so many bytes for frames of which `snap` bytes are kept.
    #[must_use]
    pub fn new(ring_len: usize, snap: u32) -> Self {
        // A frame fits a block, with the headers that the kernel puts before it.
        let block_len = (snap + FRAME_OVERHEAD).next_power_of_two().clamp(BLOCK_LEN_MIN, BLOCK_LEN_MAX);
        let blocks = u32::try_from(ring_len).unwrap_or(u32::MAX) / block_len;
        Self { block_len, blocks: blocks.max(BLOCKS_MIN) }
    }

    /// Bytes of the whole ring.
    #[must_use]
    pub fn len(&self) -> usize {
        self.block_len as usize * self.blocks as usize
    }

    /// Whether it has no room at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Milliseconds after which the kernel gives away a block that is not full. Up to twice as long may pass from a frame
/// to its being seen.
pub const RETIRE_MS: u32 = 20;
const BLOCK_LEN_MIN: u32 = 16 << 10;
const BLOCK_LEN_MAX: u32 = 512 << 10;
/// While a reader is away, a block is used up every `RETIRE_MS` even by few frames.
const BLOCKS_MIN: u32 = 8;
/// Room for the headers of a block and of a frame.
const FRAME_OVERHEAD: u32 = 256;

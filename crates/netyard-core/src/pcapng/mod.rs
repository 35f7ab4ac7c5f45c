//! Capture files that know nodes: pcapng (draft-ietf-opsawg-pcapng), as Wireshark reads it.
//!
//! One interface for each `node:interface`, names for addresses, a direction and comments for each packet, losses at
//! the end. Blocks may be written as they come, so a file can be read while it grows.
//!
//! ```text
//! 0      4              8                    length - 4
//! | type | whole length | body, 4-aligned    | whole length |      options: code (2) | length (2) | value, 4-aligned
//! ```

mod reader;
mod writer;

pub use reader::{Block, Malformed, blocks};
pub use writer::{Interface, Packet, Statistics, interface, names, packet, section, statistics};

/// Kinds of link headers (tcpdump.org/linktypes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkType {
    /// Ethernet.
    Ethernet = 1,
    /// None: an IP packet is all.
    Raw = 101,
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
/// By it a reader knows the order of bytes.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Options of all blocks.
const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
/// Of the section.
const APPLICATION: u16 = 4;
/// Of an interface.
const NAME: u16 = 2;
const DESCRIPTION: u16 = 3;
const TIME_RESOLUTION: u16 = 9;
const FILTER: u16 = 11;
/// Of a packet.
const FLAGS: u16 = 2;
/// Of statistics.
const START_TIME: u16 = 2;
const END_TIME: u16 = 3;
const DROPPED: u16 = 7;
const DELIVERED: u16 = 8;
/// Of names.
const IPV4_NAME: u16 = 1;
const IPV6_NAME: u16 = 2;

#[cfg(test)]
mod tests;

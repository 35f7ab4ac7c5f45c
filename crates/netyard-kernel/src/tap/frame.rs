//! One frame in a ring.
//!
//! ```text
//! struct tpacket3_hdr: 0 next (4) | 4 seconds (4) | 8 nanoseconds (4) | 12 bytes kept (4) | 16 bytes on the wire (4)
//!   | 20 status (4) | 24 offset of the frame (2) | 26 offset of the network header (2) | 28 hash (4)
//!   | 32 VLAN tag (4) | 36 its ethertype (2) | 38 padding (10)
//! 48 struct sockaddr_ll: family (2) | protocol, network order (2) | ifindex (4) | ARPHRD_* (2) | direction (1) ...
//! ```
//!
//! Source: linux/if_packet.h.

use crate::capture::Way;

/// A frame as a tap has seen it.
#[derive(Debug, Clone, Copy)]
pub struct TapFrame<'a> {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The ifindex of the link.
    pub index: u32,
    /// Which way it went.
    pub way: Way,
    /// What kind of link header it has (`ARPHRD_*`, linux/if_arp.h): 1 is Ethernet, 772 the loopback, which looks alike.
    pub hardware: u16,
    /// What it carries (IEEE 802 numbers).
    pub ethertype: u16,
    /// The 802.1Q tag that the kernel has taken out, with the ethertype that it had.
    pub vlan: Option<(u16, u16)>,
    /// Whether its checksum was still to be written: it never left the machine.
    pub is_checksum_missing: bool,
    /// Bytes on the wire, or of the whole of several segments that are still to be cut.
    pub len: u32,
    /// The bytes that were kept, from the link header on.
    pub bytes: &'a [u8],
    /// Where in `bytes` the network header begins.
    pub network_at: usize,
}

const HEADER_LEN: usize = 48;
const ADDRESS_LEN: usize = 20;

impl<'a> TapFrame<'a> {
    /// The frame at the beginning of `bytes`, and the offset of the next one; none when the ring holds nonsense.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        const CHECKSUM_NOT_READY: u32 = 1 << 3;
        const VLAN_VALID: u32 = 1 << 4;
        const VLAN_TPID_VALID: u32 = 1 << 6;
        const ETH_P_8021Q: u16 = 0x8100;
        let head = bytes.get(..HEADER_LEN + ADDRESS_LEN)?;
        let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let half = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
        let (status, start) = (word(20), usize::from(half(24)));
        let vlan = (status & VLAN_VALID != 0).then(|| {
            let ethertype = if status & VLAN_TPID_VALID != 0 { half(36) } else { ETH_P_8021Q };
            let [low, high, ..] = word(32).to_le_bytes();
            (u16::from_le_bytes([low, high]), ethertype)
        });
        let frame = Self {
            at_ns: u64::from(word(4)) * 1_000_000_000 + u64::from(word(8)),
            index: word(HEADER_LEN + 4),
            way: match head[HEADER_LEN + 10] {
                0 => Way::In,
                1 => Way::Broadcast,
                2 => Way::Multicast,
                4 => Way::Out,
                _ => Way::Other,
            },
            hardware: half(HEADER_LEN + 8),
            ethertype: u16::from_be(half(HEADER_LEN + 2)),
            vlan,
            is_checksum_missing: status & CHECKSUM_NOT_READY != 0,
            len: word(16),
            bytes: bytes.get(start..start + word(12) as usize)?,
            network_at: usize::from(half(26)).saturating_sub(start),
        };
        Some((frame, word(0) as usize))
    }
}

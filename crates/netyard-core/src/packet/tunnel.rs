//! Frames that travel inside of packets: VXLAN (RFC 7348).

use super::{Frame, Ip};

/// A frame in a packet of a tunnel.
#[derive(Debug, Clone, Copy)]
pub struct Tunnelled<'a> {
    /// The number of the network.
    pub network: u32,
    /// The frame.
    pub inner: Frame<'a>,
}

/// UDP ports of VXLAN: the assigned one and the one that Linux takes where none is given.
pub const VXLAN_PORTS: [u16; 2] = [4789, 8472];

impl<'a> Ip<'a> {
    /// The frame that a datagram to one of [`VXLAN_PORTS`] carries: flags (1), reserved (3), number (3), reserved (1).
    #[must_use]
    pub fn vxlan(&self) -> Option<Tunnelled<'a>> {
        const HEADER_LEN: usize = 8;
        /// The number is there.
        const HAS_NETWORK: u8 = 0x08;
        let datagram = self.datagram().filter(|datagram| VXLAN_PORTS.contains(&datagram.to))?;
        let head: &[u8; HEADER_LEN] = datagram.payload.get(..HEADER_LEN)?.try_into().ok()?;
        if head[0] & HAS_NETWORK == 0 {
            return None;
        }
        let inner_len = datagram.payload_len.saturating_sub(HEADER_LEN);
        Some(Tunnelled {
            network: u32::from_be_bytes([0, head[4], head[5], head[6]]),
            inner: Frame::ethernet(&datagram.payload[HEADER_LEN..], inner_len)?,
        })
    }
}

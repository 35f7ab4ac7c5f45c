//! Segments of TCP (RFC 9293) and datagrams of UDP (RFC 768).

use super::{Ip, TCP, UDP};
use std::fmt;

/// A segment of TCP.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Source port.
    pub from: u16,
    /// Destination port.
    pub to: u16,
    /// Number of the first byte.
    pub seq: u32,
    /// Number of the byte that is expected next.
    pub ack: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window, not scaled.
    pub window: u16,
    /// The options, as far as they were captured.
    pub options: &'a [u8],
    /// What is carried, as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes that are carried.
    pub payload_len: usize,
}

/// The flags of a segment. `Display` names them: `SYN ACK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more follows.
    pub const FIN: u8 = 1;
    /// A connection begins.
    pub const SYN: u8 = 2;
    /// There is no such connection.
    pub const RST: u8 = 4;
    /// To be given to the program at once.
    pub const PSH: u8 = 8;
    /// `ack` counts.
    pub const ACK: u8 = 16;

    /// Whether all of these are set.
    #[must_use]
    pub fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u8, &str); 8] = [
            (TcpFlags::SYN, "SYN"),
            (TcpFlags::FIN, "FIN"),
            (TcpFlags::RST, "RST"),
            (TcpFlags::PSH, "PSH"),
            (TcpFlags::ACK, "ACK"),
            (32, "URG"),
            (64, "ECE"),
            (128, "CWR"),
        ];
        let names = NAMES.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(" "))
    }
}

/// A datagram of UDP.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Source port.
    pub from: u16,
    /// Destination port.
    pub to: u16,
    /// What is carried, as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes that are carried.
    pub payload_len: usize,
}

impl<'a> Ip<'a> {
    /// The segment in it; none for another protocol, for a later fragment, or when its header is cut.
    #[must_use]
    pub fn segment(&self) -> Option<Segment<'a>> {
        let head: &[u8; 20] =
            self.payload.get(..20).filter(|_| self.protocol == TCP && self.offset == 0)?.try_into().ok()?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let half = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let header_len = usize::from(head[12] >> 4) * 4;
        let captured = self.payload.len();
        Some(Segment {
            from: half(0),
            to: half(2),
            seq: word(4),
            ack: word(8),
            flags: TcpFlags(head[13]),
            window: half(14),
            options: self.payload.get(20..header_len.min(captured)).unwrap_or_default(),
            payload: self.payload.get(header_len.max(20)..).unwrap_or_default(),
            payload_len: self.payload_len.checked_sub(header_len.max(20))?,
        })
    }

    /// The datagram in it; none for another protocol, for a later fragment, or when its header is cut.
    #[must_use]
    pub fn datagram(&self) -> Option<Datagram<'a>> {
        const HEADER_LEN: usize = 8;
        let head = self.payload.get(..HEADER_LEN).filter(|_| self.protocol == UDP && self.offset == 0)?;
        let half = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        // 0 stands for all that there is (RFC 2675 4), and so does what the kernel has still to cut.
        let len = match usize::from(half(4)) {
            len if len >= HEADER_LEN => len,
            _ => self.payload_len,
        };
        let payload = &self.payload[HEADER_LEN..];
        let payload_len = len.saturating_sub(HEADER_LEN);
        Some(Datagram {
            from: half(0),
            to: half(2),
            payload: &payload[..payload.len().min(payload_len)],
            payload_len,
        })
    }
}

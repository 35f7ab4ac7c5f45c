//! Writes blocks, each as bytes of its own.

use super::{
    APPLICATION, BYTE_ORDER, COMMENT, DELIVERED, DESCRIPTION, DROPPED, END_OF_OPTIONS, END_TIME, FILTER,
    FLAGS, INTERFACE, IPV4_NAME, IPV6_NAME, LinkType, NAME, NAMES, PACKET, SECTION, START_TIME, STATISTICS,
    TIME_RESOLUTION,
};
use crate::packet::Way;
use std::net::IpAddr;

/// An interface that packets are seen at.
#[derive(Debug, Clone, Copy)]
pub struct Interface<'a> {
    /// `node:interface`.
    pub name: &'a str,
    /// What it is.
    pub description: &'a str,
    /// The filter, as it was typed; empty for none.
    pub filter: &'a str,
    /// The header that its packets begin with.
    pub link_type: LinkType,
    /// The most bytes that are kept.
    pub snap: u32,
}

/// A packet at one interface.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The number of the interface, in the order of their blocks, from 0.
    pub interface: u32,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Which way it went.
    pub way: Way,
    /// Whether its checksum was still to be written.
    pub is_checksum_missing: bool,
    /// The bytes that were kept.
    pub bytes: &'a [u8],
    /// Bytes on the wire.
    pub len: u32,
    /// What is worth knowing of it.
    pub comments: &'a [String],
}

/// What became of the packets of one interface.
#[derive(Debug, Clone, Copy)]
pub struct Statistics<'a> {
    /// The number of the interface.
    pub interface: u32,
    /// When the capture began and ended, in nanoseconds since 1970.
    pub time_ns: (u64, u64),
    /// Packets of it in the file.
    pub delivered: u64,
    /// Packets that the kernel had no room for; none where that is counted elsewhere.
    pub dropped: Option<u64>,
    /// What is worth knowing of these numbers.
    pub comment: &'a str,
}

/// The first block; `application` wrote it.
#[must_use]
pub fn section(comment: &str, application: &str) -> Vec<u8> {
    let mut block = Block::new(SECTION);
    block.word(BYTE_ORDER);
    block.half(1);
    block.half(0);
    // The length of the section is not known.
    block.bytes(&u64::MAX.to_le_bytes());
    block.option(COMMENT, comment.as_bytes());
    block.option(APPLICATION, application.as_bytes());
    block.finish()
}

/// An interface; its number is how many there were before.
#[must_use]
pub fn interface(interface: &Interface<'_>) -> Vec<u8> {
    const NANOSECONDS: u8 = 9;
    /// The filter is a text, not a program.
    const AS_TEXT: u8 = 0;
    let mut block = Block::new(INTERFACE);
    block.half(interface.link_type as u16);
    block.half(0);
    block.word(interface.snap);
    block.option(NAME, interface.name.as_bytes());
    block.option(DESCRIPTION, interface.description.as_bytes());
    block.option(TIME_RESOLUTION, &[NANOSECONDS]);
    if !interface.filter.is_empty() {
        block.option(FILTER, &[&[AS_TEXT], interface.filter.as_bytes()].concat());
    }
    block.finish()
}

/// Names of addresses.
#[must_use]
pub fn names(names: &[(IpAddr, String)]) -> Vec<u8> {
    let mut block = Block::new(NAMES);
    for (address, name) in names {
        let (kind, mut record) = match address {
            IpAddr::V4(address) => (IPV4_NAME, address.octets().to_vec()),
            IpAddr::V6(address) => (IPV6_NAME, address.octets().to_vec()),
        };
        record.extend(name.as_bytes());
        record.push(0);
        block.value(kind, &record);
    }
    // The end of the records.
    block.value(0, &[]);
    block.finish()
}

/// A packet.
#[must_use]
pub fn packet(packet: &Packet<'_>) -> Vec<u8> {
    let mut block = Block::new(PACKET);
    block.word(packet.interface);
    block.time(packet.at_ns);
    block.word(u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX));
    block.word(packet.len);
    block.bytes(packet.bytes);
    block.align();
    for comment in packet.comments {
        block.option(COMMENT, comment.as_bytes());
    }
    block.option(FLAGS, &flags(packet).to_le_bytes());
    block.finish()
}

/// Direction (2 bits: 1 in, 2 out), to whom (3 bits: unicast, multicast, broadcast, somebody else), checksum missing.
fn flags(packet: &Packet<'_>) -> u32 {
    let direction = if packet.way == Way::Out { 2 } else { 1 };
    let to = match packet.way {
        Way::In => 1,
        Way::Multicast => 2,
        Way::Broadcast => 3,
        Way::Other => 4,
        Way::Out => 0,
    };
    direction | to << 2 | u32::from(packet.is_checksum_missing) << 9
}

/// What became of the packets of an interface; at the end.
#[must_use]
pub fn statistics(statistics: &Statistics<'_>) -> Vec<u8> {
    let (start, end) = statistics.time_ns;
    let mut block = Block::new(STATISTICS);
    block.word(statistics.interface);
    block.time(end);
    if !statistics.comment.is_empty() {
        block.option(COMMENT, statistics.comment.as_bytes());
    }
    block.option(START_TIME, &time(start));
    block.option(END_TIME, &time(end));
    if let Some(dropped) = statistics.dropped {
        block.option(DROPPED, &dropped.to_le_bytes());
    }
    block.option(DELIVERED, &statistics.delivered.to_le_bytes());
    block.finish()
}

/// The upper half of a time, then the lower.
fn time(at_ns: u64) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h] = at_ns.to_le_bytes();
    [e, f, g, h, a, b, c, d]
}

/// A block that is being written.
struct Block {
    written: Vec<u8>,
    has_options: bool,
}

impl Block {
    fn new(kind: u32) -> Self {
        let mut written = Vec::with_capacity(256);
        written.extend(kind.to_le_bytes());
        written.extend([0; 4]);
        Self { written, has_options: false }
    }

    fn half(&mut self, number: u16) {
        self.bytes(&number.to_le_bytes());
    }

    fn word(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    fn time(&mut self, at_ns: u64) {
        self.bytes(&time(at_ns));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
    }

    fn align(&mut self) {
        self.written.resize(self.written.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.has_options = true;
        // Longer texts than a length field can tell are cut.
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.value(code, value);
    }

    fn value(&mut self, code: u16, value: &[u8]) {
        self.half(code);
        self.half(u16::try_from(value.len()).expect("names and options are short"));
        self.bytes(value);
        self.align();
    }

    fn finish(mut self) -> Vec<u8> {
        if self.has_options {
            self.value(END_OF_OPTIONS, &[]);
        }
        let len = u32::try_from(self.written.len() + 4).expect("a block is below 4 GiB");
        self.word(len);
        self.written[4..8].copy_from_slice(&len.to_le_bytes());
        self.written
    }
}

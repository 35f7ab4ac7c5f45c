//! Reads what the writer writes.

use super::{
    BYTE_ORDER, COMMENT, DELIVERED, DESCRIPTION, DROPPED, FILTER, FLAGS, INTERFACE, IPV4_NAME, IPV6_NAME,
    NAME, NAMES, PACKET, SECTION, STATISTICS,
};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// The first one.
    Section {
        /// Its comment.
        comment: String,
    },
    /// An interface.
    Interface {
        /// Its name.
        name: String,
        /// What it is.
        description: String,
        /// The filter, as text.
        filter: String,
        /// The number of its link type.
        link_type: u16,
        /// The most bytes that are kept.
        snap: u32,
    },
    /// Names of addresses.
    Names(Vec<(IpAddr, String)>),
    /// A packet.
    Packet {
        /// The number of its interface.
        interface: u32,
        /// Nanoseconds since 1970.
        at_ns: u64,
        /// Direction and more (`epb_flags`).
        flags: u32,
        /// The bytes that were kept.
        bytes: Vec<u8>,
        /// Bytes on the wire.
        len: u32,
        /// Comments.
        comments: Vec<String>,
    },
    /// What became of the packets of an interface.
    Statistics {
        /// The number of the interface.
        interface: u32,
        /// Packets of it in the file.
        delivered: u64,
        /// Packets that were lost.
        dropped: Option<u64>,
    },
    /// Something else.
    Other(u32),
}

/// The bytes are no such file, or end within a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Where.
    pub at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no pcapng block at byte {}", self.at)
    }
}

impl std::error::Error for Malformed {}

/// All blocks of a file of this machine's own, with times in nanoseconds.
///
/// # Errors
/// [`Malformed`]
pub fn blocks(bytes: &[u8]) -> Result<Vec<Block>, Malformed> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (block, len) = block(&bytes[at..]).ok_or(Malformed { at })?;
        let is_section = matches!(block, Block::Section { .. });
        if blocks.is_empty() != is_section {
            return Err(Malformed { at });
        }
        blocks.push(block);
        at += len;
    }
    Ok(blocks)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn block(bytes: &[u8]) -> Option<(Block, usize)> {
    let (kind, len) = (word(bytes, 0)?, word(bytes, 4)? as usize);
    if len < 12 || !len.is_multiple_of(4) || word(bytes, len - 4)? as usize != len {
        return None;
    }
    let body = bytes.get(8..len - 4)?;
    let block = match kind {
        SECTION if word(body, 0)? == BYTE_ORDER => {
            Block::Section { comment: text(&values(body.get(16..)?)?, COMMENT) }
        }
        SECTION => return None,
        INTERFACE => {
            let options = values(body.get(8..)?)?;
            let filter = text(&options, FILTER);
            Block::Interface {
                name: text(&options, NAME),
                description: text(&options, DESCRIPTION),
                filter: filter.trim_start_matches('\0').to_owned(),
                link_type: half(body, 0)?,
                snap: word(body, 4)?,
            }
        }
        NAMES => Block::Names(values(body)?.iter().filter_map(name).collect()),
        PACKET => packet(body)?,
        STATISTICS => {
            let options = values(body.get(12..)?)?;
            let number = |code| {
                let value = options.iter().find(|(found, _)| *found == code)?.1;
                Some(u64::from_le_bytes(value.try_into().ok()?))
            };
            Block::Statistics {
                interface: word(body, 0)?,
                delivered: number(DELIVERED).unwrap_or(0),
                dropped: number(DROPPED),
            }
        }
        other => Block::Other(other),
    };
    Some((block, len))
}

fn packet(body: &[u8]) -> Option<Block> {
    let kept = word(body, 12)? as usize;
    let options = values(body.get(20 + kept.next_multiple_of(4)..)?)?;
    let flags = options.iter().find(|(code, _)| *code == FLAGS).and_then(|(_, value)| word(value, 0));
    let comments = options.iter().filter(|(code, _)| *code == COMMENT);
    Some(Block::Packet {
        interface: word(body, 0)?,
        at_ns: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
        flags: flags.unwrap_or(0),
        bytes: body.get(20..20 + kept)?.to_vec(),
        len: word(body, 16)?,
        comments: comments.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect(),
    })
}

/// Options, or records of names: code and value.
fn values(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (code, len) = (half(bytes, 0)?, usize::from(half(bytes, 2)?));
        if code == 0 {
            break;
        }
        values.push((code, bytes.get(4..4 + len)?));
        bytes = bytes.get(4 + len.next_multiple_of(4)..)?;
    }
    Some(values)
}

fn text(options: &[(u16, &[u8])], wanted: u16) -> String {
    let found = options.iter().find(|(code, _)| *code == wanted);
    found.map_or_else(String::new, |(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn name((kind, record): &(u16, &[u8])) -> Option<(IpAddr, String)> {
    let (address, name): (IpAddr, _) = match *kind {
        IPV4_NAME => (Ipv4Addr::from(<[u8; 4]>::try_from(record.get(..4)?).ok()?).into(), record.get(4..)?),
        IPV6_NAME => {
            (Ipv6Addr::from(<[u8; 16]>::try_from(record.get(..16)?).ok()?).into(), record.get(16..)?)
        }
        _ => return None,
    };
    Some((address, String::from_utf8_lossy(name).trim_end_matches('\0').to_owned()))
}

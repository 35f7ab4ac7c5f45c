//! What `netyard capture` makes of frames from many namespaces: one order, names, remarks about NAT, lines, files.

mod file;
mod line;
mod merge;
mod names;
mod rewrite;
mod selection;

pub use file::{End, File};
pub use line::{EndRecord, Parts, Record, Text};
pub use merge::Merge;
pub use names::names;
pub use rewrite::{NatRule, Rewrites};
pub use selection::{Selection, select};

use crate::packet::{Frame, Way};
use crate::pcapng::LinkType;
use crate::state::Ns;
use std::net::IpAddr;

/// A namespace, and who it is in filters and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: Ns,
    /// Names and addresses of its interfaces.
    pub interfaces: Vec<(String, Vec<IpAddr>)>,
    /// Why it cannot be entered.
    pub refusal: Option<String>,
}

/// An interface at which frames are seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its namespace: a node or the fabric.
    pub node: Ns,
    /// Its name.
    pub interface: String,
    /// Its number in the namespace.
    pub index: u32,
    /// What it is: the kernel's word for its kind, and the link that it is a port of.
    pub description: String,
    /// How many links it stands on: 0 for a port, 1 for a bridge.
    pub depth: u8,
    /// Whether it is the loopback, whose frames are seen twice.
    pub is_loopback: bool,
    /// The header that its frames begin with.
    pub link_type: LinkType,
}

impl Place {
    /// `node:interface`
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.node, self.interface)
    }
}

/// A frame that was seen at one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The number of its [`Place`].
    pub place: usize,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Which way it went.
    pub way: Way,
    /// What it carries (IEEE 802 numbers).
    pub ethertype: u16,
    /// Whether its checksum was still to be written.
    pub is_checksum_missing: bool,
    /// Whether it begins with an Ethernet header.
    pub link_type: LinkType,
    /// The bytes that were kept, with the 802.1Q tag that the kernel had taken out.
    pub bytes: Vec<u8>,
    /// Bytes on the wire.
    pub len: u32,
}

impl Sighting {
    /// Its layers.
    #[must_use]
    pub fn frame(&self) -> Option<Frame<'_>> {
        let len = self.len as usize;
        match self.link_type {
            LinkType::Ethernet => Frame::ethernet(&self.bytes, len),
            LinkType::Raw => Some(Frame::cooked(self.ethertype, &self.bytes, len)),
        }
    }
}

/// Puts an 802.1Q tag back behind the addresses of an Ethernet frame, where it was on the wire.
#[must_use]
pub fn with_tag(bytes: &[u8], (tag, ethertype): (u16, u16)) -> Vec<u8> {
    const ADDRESSES_LEN: usize = 12;
    let (addresses, rest) = bytes.split_at(bytes.len().min(ADDRESSES_LEN));
    let [a, b] = ethertype.to_be_bytes();
    let [c, d] = tag.to_be_bytes();
    [addresses, &[a, b, c, d], rest].concat()
}

#[cfg(test)]
mod tests;

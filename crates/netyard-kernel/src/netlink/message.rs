//! The wire format of netlink requests and answers (netlink(7), linux/netlink.h).
//!
//! ```text
//! 0        4      6       8     12     16
//! | length | type | flags | seq | port | family header | attributes, each 4-aligned: length, type, payload |
//! ```

use std::ops::{Deref, DerefMut};

/// Bytes of `struct nlmsghdr`.
pub(super) const HEADER_LEN: usize = 16;
const ATTRIBUTE_HEADER_LEN: usize = 4;
/// Marks an attribute that holds attributes (linux/netlink.h).
const NLA_F_NESTED: u16 = 1 << 15;
/// The bits of an attribute's type that are not flags (linux/netlink.h `NLA_TYPE_MASK`).
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Several requests, one after the other, as they are sent.
#[derive(Debug, Default)]
pub struct Messages {
    pub(super) bytes: Vec<u8>,
    pub(super) starts: Vec<usize>,
}

impl Messages {
    /// No request yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Forgets all requests and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    /// Forgets all requests but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        if let Some(start) = self.starts.get(count) {
            self.bytes.truncate(*start);
            self.starts.truncate(count);
        }
    }

    /// The attributes of the first request, when it has no family header.
    pub(super) fn attributes(&self) -> &[u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Begins a request; it ends when the returned value is dropped.
    ///
    /// `flags` are `NLM_F_*`, `NLM_F_REQUEST` included by itself. `family_header` is the fixed part that the
    /// protocol puts before the attributes, for example `struct ifinfomsg`.
    pub fn begin(&mut self, kind: u16, flags: u16, family_header: &[u8]) -> Message<'_> {
        const NLM_F_REQUEST: u16 = 1;
        let start = self.bytes.len();
        self.starts.push(start);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(family_header);
        align(&mut self.bytes);
        Message { bytes: &mut self.bytes, start }
    }
}

/// A request that is being written.
#[derive(Debug)]
pub struct Message<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl Message<'_> {
    /// Appends an attribute.
    pub fn put(&mut self, kind: u16, payload: &[u8]) {
        let length =
            u16::try_from(ATTRIBUTE_HEADER_LEN + payload.len()).expect("an attribute is below 64 KiB");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        align(self.bytes);
    }

    /// Appends an attribute without payload.
    pub fn put_flag(&mut self, kind: u16) {
        self.put(kind, &[]);
    }

    /// Appends a byte.
    pub fn put_u8(&mut self, kind: u16, value: u8) {
        self.put(kind, &[value]);
    }

    /// Appends 16 bits in host order.
    pub fn put_u16(&mut self, kind: u16, value: u16) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Appends 32 bits in host order.
    pub fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Appends 32 bits in network order, as nf_tables and conntrack want them.
    pub fn put_be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Appends 64 bits in host order.
    pub fn put_u64(&mut self, kind: u16, value: u64) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Appends a text with its closing zero.
    pub fn put_str(&mut self, kind: u16, text: &str) {
        let mut payload = Vec::with_capacity(text.len() + 1);
        payload.extend_from_slice(text.as_bytes());
        payload.push(0);
        self.put(kind, &payload);
    }

    /// Appends bytes that belong to no attribute (the fixed part inside `VETH_INFO_PEER`), 4-aligned.
    pub fn put_raw(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        align(self.bytes);
    }

    /// Begins an attribute that holds attributes; it ends when the returned value is dropped.
    pub fn nest(&mut self, kind: u16) -> Nest<'_> {
        self.nest_plain(kind | NLA_F_NESTED)
    }

    /// Begins an attribute that holds attributes but is not marked so, as netem's options are (a fixed part is before
    /// the attributes); it ends when the returned value is dropped.
    pub fn nest_plain(&mut self, kind: u16) -> Nest<'_> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        Nest { inner: Message { bytes: self.bytes, start: usize::MAX }, start }
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        if self.start == usize::MAX {
            return; // The view inside a `Nest`, which closes itself.
        }
        let length = u32::try_from(self.bytes.len() - self.start).expect("a request is below 4 GiB");
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// An attribute that holds attributes and is being written.
#[derive(Debug)]
pub struct Nest<'a> {
    inner: Message<'a>,
    start: usize,
}

impl<'a> Deref for Nest<'a> {
    type Target = Message<'a>;
    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Nest<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

impl Drop for Nest<'_> {
    fn drop(&mut self) {
        let bytes = &mut self.inner.bytes;
        let length = u16::try_from(bytes.len() - self.start).expect("an attribute is below 64 KiB");
        bytes[self.start..self.start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// The attributes of an answer, in order: type without flags, and payload. Stops at the first malformed one.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Attributes<'a> {
    /// The payload of the first attribute of this type.
    #[must_use]
    pub fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.into_iter().find(|(k, _)| *k == kind).map(|(_, payload)| payload)
    }

    /// The attributes inside the first attribute of this type; none when it is absent.
    #[must_use]
    pub fn nested(self, kind: u16) -> Attributes<'a> {
        Attributes(self.get(kind).unwrap_or_default())
    }

    /// A byte.
    #[must_use]
    pub fn u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.first().copied()
    }

    /// 16 bits in host order.
    #[must_use]
    pub fn u16(self, kind: u16) -> Option<u16> {
        Some(u16::from_ne_bytes(self.get(kind)?.get(..2)?.try_into().ok()?))
    }

    /// 32 bits in host order.
    #[must_use]
    pub fn u32(self, kind: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(self.get(kind)?.get(..4)?.try_into().ok()?))
    }

    /// 32 bits in network order.
    #[must_use]
    pub fn be32(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.get(..4)?.try_into().ok()?))
    }

    /// 64 bits in host order.
    #[must_use]
    pub fn u64(self, kind: u16) -> Option<u64> {
        Some(u64::from_ne_bytes(self.get(kind)?.get(..8)?.try_into().ok()?))
    }

    /// A text up to its closing zero.
    #[must_use]
    pub fn str(self, kind: u16) -> Option<&'a str> {
        let payload = self.get(kind)?;
        let end = payload.iter().position(|b| *b == 0).unwrap_or(payload.len());
        std::str::from_utf8(&payload[..end]).ok()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0;
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let payload = bytes.get(ATTRIBUTE_HEADER_LEN..length)?;
        self.0 = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & NLA_TYPE_MASK, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let mut messages = Messages::new();
        {
            let mut message = messages.begin(16, 0, &[7; 4]);
            message.put_str(3, "eth0");
            let mut nest = message.nest(18);
            nest.put_u8(1, 9);
            nest.nest(2).put_be32(5, 0x0102_0304);
        }
        let bytes = &messages.bytes;
        assert_eq!(bytes.len(), u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize);
        let attributes = Attributes(&bytes[HEADER_LEN + 4..]);
        assert_eq!(attributes.str(3), Some("eth0"));
        assert_eq!(attributes.nested(18).u8(1), Some(9));
        assert_eq!(attributes.nested(18).nested(2).be32(5), Some(0x0102_0304));
    }

    #[test]
    fn a_malformed_attribute_ends_the_list() {
        assert_eq!(Attributes(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(Attributes(&[200, 0, 1, 0]).count(), 0);
        assert_eq!(Attributes(&[1]).count(), 0);
    }
}

//! Types as compilers and the kernel tell of them (BTF).
//!
//! ```text
//! 0 magic (2) | version (1) | flags (1) | 4 header length (4) | 8 types: offset, length | 16 texts: offset, length
//! type: | name (4) | bit 31 flag, 28-24 kind, 15-0 count (4) | size or type (4) | what its kind has
//! ```
//!
//! Source: Documentation/bpf/btf.rst, linux/btf.h.

use std::io;

const MAGIC: u16 = 0xeb9f;
const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
pub(super) const KIND_STRUCT: u32 = 4;
pub(super) const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
/// A name for another type.
pub const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;
/// Bytes of what all types begin with.
const TYPE_LEN: usize = 12;
const MEMBER_LEN: usize = 12;
const ENUM_LEN: usize = 8;

/// All types of the kernel, or of an object.
#[derive(Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    /// Where each type begins; that of number 0, `void`, is not there.
    types: Vec<u32>,
    texts: usize,
}

/// A field of a structure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: u32,
    /// None for a bit field.
    pub(super) offset: Option<u32>,
}

impl Btf {
    /// The types of the running kernel (`/sys/kernel/btf/vmlinux`).
    ///
    /// # Errors
    /// `ENOENT` for a kernel that was built without them.
    pub fn of_kernel() -> io::Result<Self> {
        Self::read(std::fs::read("/sys/kernel/btf/vmlinux")?)
    }

    /// Reads types.
    ///
    /// # Errors
    /// `InvalidData` for anything else.
    pub fn read(bytes: Vec<u8>) -> io::Result<Self> {
        let mut btf = Self { bytes, types: Vec::new(), texts: 0 };
        btf.index().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "these are no BTF types"))?;
        Ok(btf)
    }

    fn index(&mut self) -> Option<()> {
        if self.bytes.get(..2)? != MAGIC.to_le_bytes() {
            return None;
        }
        let header = self.word(4)? as usize;
        let mut at = header.checked_add(self.word(8)? as usize)?;
        let end = at.checked_add(self.word(12)? as usize)?;
        self.texts = header.checked_add(self.word(16)? as usize)?;
        if end > self.bytes.len() || self.texts > self.bytes.len() {
            return None;
        }
        while at < end {
            self.types.push(u32::try_from(at).ok()?);
            let info = self.word(at + 4)?;
            let count = (info & 0xffff) as usize;
            at += TYPE_LEN
                + match kind_of(info) {
                    KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
                    KIND_ARRAY => 12,
                    KIND_STRUCT | KIND_UNION => count * MEMBER_LEN,
                    KIND_DATASEC | KIND_ENUM64 => count * 12,
                    KIND_ENUM => count * ENUM_LEN,
                    KIND_FUNC_PROTO => count * 8,
                    _ => 0,
                };
        }
        Some(())
    }

    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
    }

    fn place(&self, number: u32) -> Option<usize> {
        self.types.get((number as usize).checked_sub(1)?).map(|at| *at as usize)
    }

    /// A text by its offset.
    pub(super) fn text(&self, offset: u32) -> &[u8] {
        let rest = self.bytes.get(self.texts + offset as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Kind and name of a type.
    pub(super) fn named(&self, number: u32) -> Option<(u32, &[u8])> {
        let at = self.place(number)?;
        Some((kind_of(self.word(at + 4)?), self.text(self.word(at)?)))
    }

    /// The number of the first type of that kind and name.
    #[must_use]
    pub fn find(&self, kind: u32, name: &str) -> Option<u32> {
        let is_it = |at: &u32| {
            let at = *at as usize;
            let is_kind = self.word(at + 4).is_some_and(|info| kind_of(info) == kind);
            is_kind && self.word(at).is_some_and(|text| self.text(text) == name.as_bytes())
        };
        self.types.iter().position(is_it).and_then(|index| u32::try_from(index + 1).ok())
    }

    /// The type behind names and qualifiers.
    pub(super) fn resolved(&self, mut number: u32) -> Option<u32> {
        loop {
            let at = self.place(number)?;
            match kind_of(self.word(at + 4)?) {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    number = self.word(at + 8)?;
                }
                _ => return Some(number),
            }
        }
    }

    /// The fields of a structure or union.
    pub(super) fn members(&self, number: u32) -> Option<impl Iterator<Item = Member<'_>>> {
        let at = self.place(number)?;
        let info = self.word(at + 4)?;
        if !matches!(kind_of(info), KIND_STRUCT | KIND_UNION) {
            return None;
        }
        let has_bit_fields = info >> 31 != 0;
        let member = move |index: usize| {
            let at = at + TYPE_LEN + index * MEMBER_LEN;
            let place = self.word(at + 8)?;
            let (bits, width) = if has_bit_fields { (place & 0xff_ffff, place >> 24) } else { (place, 0) };
            let offset = (width == 0 && bits.is_multiple_of(8)).then_some(bits / 8);
            Some(Member { name: self.text(self.word(at)?), kind: self.word(at + 4)?, offset })
        };
        Some((0..(info & 0xffff) as usize).map_while(member))
    }

    /// Where a field is in a structure, in bytes, and its type; also where it is in a nameless part of it.
    pub(super) fn field(&self, number: u32, name: &[u8]) -> Option<(u32, u32)> {
        for member in self.members(self.resolved(number)?)? {
            if member.name == name {
                return Some((member.offset?, member.kind));
            }
            if member.name.is_empty()
                && let Some(start) = member.offset
                && let Some((offset, kind)) = self.field(member.kind, name)
            {
                return Some((start + offset, kind));
            }
        }
        None
    }

    /// The values of an enumeration.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<(u32, String)> {
        let values = || {
            let at = self.place(self.find(KIND_ENUM, name)?)?;
            let count = (self.word(at + 4)? & 0xffff) as usize;
            let value = |index: usize| {
                let at = at + TYPE_LEN + index * ENUM_LEN;
                Some((self.word(at + 4)?, String::from_utf8_lossy(self.text(self.word(at)?)).into_owned()))
            };
            Some((0..count).map_while(value).collect())
        };
        values().unwrap_or_default()
    }
}

fn kind_of(info: u32) -> u32 {
    info >> 24 & 0x1f
}

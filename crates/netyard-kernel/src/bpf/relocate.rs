//! Puts into a program what is known only where it runs: places of fields (CO-RE) and descriptors of maps.
//!
//! ```text
//! instruction: | code (1) | registers (1) | offset (2) | number (4) |
//! .BTF.ext: 4 header length (4) ... 24 relocations: offset, length; there: length of each (4), then for each section
//! | name (4) | count (4) | and of each: | place (4) | type (4) | path (4) | kind (4) |
//! ```
//!
//! Source: linux/bpf.h `struct bpf_core_relo`, Documentation/bpf/llvm_reloc.rst.

use super::Map;
use super::btf::{Btf, KIND_STRUCT, KIND_UNION};
use super::object::{Object, number};
use std::io;
use std::os::fd::AsRawFd;

const INSTRUCTION_LEN: usize = 8;
/// `BPF_CORE_FIELD_BYTE_OFFSET`
const FIELD_OFFSET: u32 = 0;
/// `BPF_LD | BPF_IMM | BPF_DW`
const LOAD_NUMBER: u8 = 0x18;
/// `BPF_PSEUDO_MAP_FD`
const IS_MAP: u8 = 1;

/// Puts in the places of all fields that the section uses.
pub(super) fn fields(object: &Object, section: &str, code: &mut [u8], kernel: &Btf) -> io::Result<()> {
    let all = relocations(object, section).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the object's relocations cannot be read")
    })?;
    for relocation in all {
        let field = Field::of(object.btf(), &relocation).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the object names a field that it has not")
        })?;
        let offset = field.offset_in(kernel).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("this kernel has no field {}", field.words()))
        })?;
        put_offset(code, relocation.at as usize, offset).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} does not fit", field.words()))
        })?;
    }
    Ok(())
}

/// Puts in the descriptors of all maps that the section uses.
pub(super) fn maps(object: &Object, section: &str, code: &mut [u8], maps: &[(&str, &Map)]) -> io::Result<()> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let uses =
        object.map_uses(section).ok_or_else(|| invalid("the object's maps cannot be read".to_owned()))?;
    for map_use in uses {
        let map = maps.iter().find(|(name, _)| *name == map_use.name);
        let (_, map) = map.ok_or_else(|| invalid(format!("there is no map {}", map_use.name)))?;
        let instruction = code.get_mut(map_use.at..map_use.at + INSTRUCTION_LEN);
        let instruction = instruction.filter(|bytes| bytes[0] == LOAD_NUMBER);
        let instruction =
            instruction.ok_or_else(|| invalid("a map is used by another instruction".to_owned()))?;
        instruction[1] = instruction[1] & 0x0f | IS_MAP << 4;
        instruction[4..8].copy_from_slice(&map.as_raw_fd().to_le_bytes());
    }
    Ok(())
}

struct Relocation {
    /// Where the instruction is, in bytes.
    at: u32,
    /// The structure, by the object's own numbers.
    root: u32,
    /// `0:2:1`: an index into an array, then of fields.
    path: String,
}

fn relocations(object: &Object, section: &str) -> Option<Vec<Relocation>> {
    let bytes = object.section(".BTF.ext")?;
    let word = |at: usize| number(bytes, at, 4);
    let header = word(4)?;
    let mut at = header + word(24)?;
    let end = at + word(28)?;
    let len = word(at)?;
    at += 4;
    let mut all = Vec::new();
    while at < end {
        let name = u32::try_from(word(at)?).ok()?;
        let is_wanted = object.btf().text(name) == section.as_bytes();
        let count = word(at + 4)?;
        at += 8;
        for _ in 0..count {
            if is_wanted {
                let part = |offset: usize| u32::try_from(word(at + offset)?).ok();
                if part(12)? != FIELD_OFFSET {
                    return None;
                }
                let path = String::from_utf8(object.btf().text(part(8)?).to_vec()).ok()?;
                all.push(Relocation { at: part(0)?, root: part(4)?, path });
            }
            at += len;
        }
    }
    Some(all)
}

/// A field by names, from a structure down.
struct Field {
    root: Vec<u8>,
    path: Vec<Vec<u8>>,
}

impl Field {
    fn of(btf: &Btf, relocation: &Relocation) -> Option<Self> {
        let root = btf.resolved(relocation.root)?;
        let (_, name) = btf.named(root)?;
        let mut at = root;
        let mut path = Vec::new();
        // The first number is about an array that begins at the pointer: always 0.
        for index in relocation.path.split(':').skip(1) {
            let member = btf.members(at)?.nth(index.parse().ok()?)?;
            if !member.name.is_empty() {
                path.push(member.name.to_vec());
            }
            at = btf.resolved(member.kind)?;
        }
        Some(Self { root: name.to_vec(), path })
    }

    fn offset_in(&self, kernel: &Btf) -> Option<u32> {
        let root = std::str::from_utf8(&self.root).ok()?;
        let mut at = kernel.find(KIND_STRUCT, root).or_else(|| kernel.find(KIND_UNION, root))?;
        let mut sum = 0;
        for name in &self.path {
            let (offset, kind) = kernel.field(at, name)?;
            sum += offset;
            at = kind;
        }
        Some(sum)
    }

    fn words(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let path: Vec<String> = self.path.iter().map(|name| text(name)).collect();
        format!("{}.{}", text(&self.root), path.join("."))
    }
}

/// The offset of a load or store; the number of anything else.
fn put_offset(code: &mut [u8], at: usize, offset: u32) -> Option<()> {
    let instruction = code.get_mut(at..at + INSTRUCTION_LEN)?;
    // The lowest three bits are the class: `BPF_LDX`, `BPF_ST`, `BPF_STX`.
    if matches!(instruction[0] & 7, 1..=3) {
        instruction[2..4].copy_from_slice(&i16::try_from(offset).ok()?.to_le_bytes());
    } else {
        instruction[4..8].copy_from_slice(&i32::try_from(offset).ok()?.to_le_bytes());
    }
    Some(())
}

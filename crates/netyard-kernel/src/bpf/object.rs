//! An object file of clang for BPF (elf(5), 64 bits, little-endian).

use super::Btf;
use std::io;

/// A relocatable object: sections by name.
#[derive(Debug)]
pub struct Object {
    bytes: Vec<u8>,
    sections: Vec<Section>,
    btf: Btf,
}

#[derive(Debug)]
struct Section {
    name: String,
    start: usize,
    len: usize,
    /// `sh_link` and `sh_info`: which section it is about.
    link: usize,
}

/// An instruction that names a map.
pub(super) struct MapUse {
    /// Where the instruction is, in bytes.
    pub(super) at: usize,
    pub(super) name: String,
}

impl Object {
    /// Reads an object.
    ///
    /// # Errors
    /// `InvalidData` for anything else.
    pub fn read(bytes: &[u8]) -> io::Result<Self> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "this is no object of BPF programs");
        if bytes.get(..6) != Some(b"\x7fELF\x02\x01") {
            return Err(invalid());
        }
        let sections = sections(bytes).ok_or_else(invalid)?;
        let btf = sections.iter().find(|section| section.name == ".BTF").ok_or_else(invalid)?;
        let btf = Btf::read(bytes[btf.start..btf.start + btf.len].to_vec())?;
        Ok(Self { bytes: bytes.to_vec(), sections, btf })
    }

    /// The bytes of a section.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        let section = self.sections.iter().find(|section| section.name == name)?;
        self.bytes.get(section.start..section.start + section.len)
    }

    /// Its own types.
    pub(super) fn btf(&self) -> &Btf {
        &self.btf
    }

    /// The instructions of a section that name maps.
    pub(super) fn map_uses(&self, section: &str) -> Option<Vec<MapUse>> {
        /// `struct elf64_rel`: where (8), kind (4), symbol (4).
        const REL_LEN: usize = 16;
        let name = format!(".rel{section}");
        let Some(relocations) = self.sections.iter().find(|other| other.name == name) else {
            return Some(Vec::new());
        };
        let symbols = self.sections.get(relocations.link)?;
        let texts = self.sections.get(symbols.link)?;
        let entries = self.section(&name)?.chunks_exact(REL_LEN);
        let map_use = |entry: &[u8]| {
            // `struct elf64_sym`: name (4) ...
            let symbol = symbols.start + number(entry, 12, 4)? * 24;
            let text = texts.start + number(&self.bytes, symbol, 4)?;
            Some(MapUse { at: number(entry, 0, 8)?, name: text_at(&self.bytes, text)? })
        };
        entries.map(map_use).collect()
    }
}

fn sections(bytes: &[u8]) -> Option<Vec<Section>> {
    // `struct elf64_hdr`: 40 place of the sections (8), 58 length of each (2), 60 count (2), 62 which has the names (2).
    let (table, len) = (number(bytes, 40, 8)?, number(bytes, 58, 2)?);
    let header = |index: usize| table + index * len;
    // `struct elf64_shdr`: 0 name (4), 24 offset (8), 32 size (8), 40 link (4).
    let names = number(bytes, header(number(bytes, 62, 2)?) + 24, 8)?;
    let section = |index: usize| {
        let at = header(index);
        let (start, len) = (number(bytes, at + 24, 8)?, number(bytes, at + 32, 8)?);
        // The first one is empty, and others may be without bytes.
        let len = if start.checked_add(len)? <= bytes.len() { len } else { return None };
        let name = text_at(bytes, names + number(bytes, at, 4)?)?;
        Some(Section { name, start, len, link: number(bytes, at + 40, 4)? })
    };
    (0..number(bytes, 60, 2)?).map(section).collect()
}

/// A number of so many bytes.
pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let mut all = [0; 8];
    all[..len].copy_from_slice(bytes.get(at..at.checked_add(len)?)?);
    usize::try_from(u64::from_le_bytes(all)).ok()
}

fn text_at(bytes: &[u8], at: usize) -> Option<String> {
    let text = bytes.get(at..)?.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

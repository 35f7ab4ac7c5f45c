//! Files of a node, packed for whoever asks for them, and written for whoever brings some.

use super::accounts::Accounts;
use super::bundle::write_entry;
use crate::bundle::{BYTES_MAX, header};
use crate::error::{Error, Result};
use netyard_kernel::inside::Inside;
use rustix::fs::{MemfdFlags, memfd_create};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Archive, Builder, EntryType};

/// Packs files of a node by their paths without the first `/`; with `is_deep` all that is in folders too.
///
/// # Errors
/// The first that cannot be read.
pub(super) fn pack(root: Inside<'_>, paths: &[PathBuf], is_deep: bool) -> Result<OwnedFd> {
    let failed = |e: &io::Error| Error::io("cannot pack the files of a node", e);
    let memory = memfd_create("netyard-files", MemfdFlags::CLOEXEC).map_err(|e| failed(&e.into()))?;
    let mut packed = Packed { root, archive: Builder::new(File::from(memory)), bytes: 0 };
    for path in paths {
        let relative: PathBuf = path.components().skip_while(|part| part.as_os_str() == "/").collect();
        packed
            .add(&relative, is_deep)
            .map_err(|e| Error::input("U043", format!("cannot copy {} of the node: {e}", path.display())))?;
    }
    let mut memory = packed.archive.into_inner().map_err(|e| failed(&e))?;
    memory.rewind().map_err(|e| failed(&e))?;
    Ok(memory.into())
}

struct Packed<'a> {
    root: Inside<'a>,
    archive: Builder<File>,
    bytes: u64,
}

impl Packed<'_> {
    fn add(&mut self, path: &Path, is_deep: bool) -> io::Result<()> {
        let metadata = self.root.metadata(path)?;
        if metadata.is_symlink() {
            let target = self.root.read_link(path)?;
            let mut header = packed_header(EntryType::Symlink, &metadata);
            return self.archive.append_link(&mut header, path, target);
        }
        if metadata.is_dir() {
            if path.file_name().is_some() {
                let mut header = packed_header(EntryType::Directory, &metadata);
                self.archive.append_data(&mut header, path, &[][..])?;
            }
            return if is_deep { self.add_folder(path) } else { Ok(()) };
        }
        // Sockets, pipes and devices are of their node.
        if !metadata.is_file() {
            return Ok(());
        }
        let mut content = Vec::new();
        self.root.open_file(path)?.take(BYTES_MAX + 1).read_to_end(&mut content)?;
        self.bytes += content.len() as u64;
        if self.bytes > BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut header = packed_header(EntryType::Regular, &metadata);
        header.set_size(content.len() as u64);
        self.archive.append_data(&mut header, path, content.as_slice())
    }

    fn add_folder(&mut self, path: &Path) -> io::Result<()> {
        let folder = self.root.open_file(path)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        names.iter().try_for_each(|name| self.add(&path.join(name), true))
    }
}

fn packed_header(kind: EntryType, metadata: &Metadata) -> tar::Header {
    let mtime = u64::try_from(metadata.mtime()).unwrap_or(0);
    header(kind, metadata.mode() & 0o7777, mtime, Some(&format!("{}:{}", metadata.uid(), metadata.gid())))
}

/// Writes what somebody brings: each into the folder `to`, or as `to`, if that is no folder and only one comes.
///
/// # Errors
/// The first that cannot be written.
pub(super) fn unpack(root: Inside<'_>, archive: OwnedFd, to: &Path, into_folder: bool) -> Result<()> {
    let failed = |e: &io::Error| Error::io("cannot read what is to be copied", e);
    let into_folder = into_folder || root.metadata(to).is_ok_and(|metadata| metadata.is_dir());
    let accounts = Accounts::inside(root);
    let mut archive = Archive::new(File::from(archive));
    for entry in archive.entries().map_err(|e| failed(&e))? {
        let mut entry = entry.map_err(|e| failed(&e))?;
        let path = entry.path().map_err(|e| failed(&e))?.into_owned();
        let mut parts = path.components();
        let first = parts.next().map(|part| part.as_os_str().to_owned()).unwrap_or_default();
        let mut place = to.strip_prefix("/").unwrap_or(to).to_owned();
        if into_folder {
            place.push(first);
        }
        if parts.as_path().file_name().is_some() {
            place.push(parts.as_path());
        }
        write_entry(root, &place, &mut entry, &accounts)?;
    }
    Ok(())
}

//! A root file system from an archive (tar, also compressed with gzip).

use crate::holder::sandbox;
use flate2::read::GzDecoder;
use netyard_kernel::inside::{Inside, Owner};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use tar::{Archive, Entry, EntryType};

/// The first bytes of what gzip has written (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Unpacks an archive into an empty folder. No path leads out of that, whatever links the archive has. Devices, pipes and
/// sockets are left out.
///
/// # Errors
/// Those of reading the archive and of writing.
pub(super) fn unpack(mut archive: &File, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let root = File::open(folder)?;
    let mut begin = [0; GZIP.len()];
    archive.rewind()?;
    let is_compressed = archive.read_exact(&mut begin).is_ok() && begin == GZIP;
    archive.rewind()?;
    let content: Box<dyn Read> =
        if is_compressed { Box::new(GzDecoder::new(archive)) } else { Box::new(archive) };
    for entry in Archive::new(content).entries()? {
        write(Inside(root.as_fd()), &mut entry?)?;
    }
    Ok(())
}

fn write<R: Read>(root: Inside<'_>, entry: &mut Entry<'_, R>) -> io::Result<()> {
    let path = entry.path()?.into_owned();
    if path.file_name().is_none() {
        return Ok(());
    }
    let (mode, owner) = (entry.header().mode()?, owner(entry));
    let target = entry.link_name()?.unwrap_or_default().into_owned();
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => root.write(&path, entry, mode, owner),
        EntryType::Directory => root.make_folder(&path, mode, owner),
        EntryType::Symlink => root.link(&path, &target),
        EntryType::Link => root.link_hard(&path, &target),
        _ => Ok(()),
    }
}

/// Its owner by number, or root where the lab has no such number.
fn owner<R: Read>(entry: &Entry<'_, R>) -> Owner {
    let is_had = |id: &u64| *id < 65536 && !sandbox::has_one_id();
    let number =
        |id: io::Result<u64>| id.ok().filter(is_had).and_then(|id| u32::try_from(id).ok()).unwrap_or(0);
    Owner { uid: number(entry.header().uid()), gid: number(entry.header().gid()) }
}

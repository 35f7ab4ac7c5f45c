//! Copies of the machine's folders, as a lab's root owns them.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// What of a tree is copied. Files that their owner keeps from strangers are not, and folders that strangers may not
/// list are made empty.
pub(super) struct Rules<'a> {
    /// Paths below the tree that are left out, with all below.
    pub(super) left_out: &'a [&'a str],
    /// Folders below the tree of which only the folders are made.
    pub(super) emptied: &'a [&'a str],
    /// The longest file that is copied, in bytes.
    pub(super) file_len_max: u64,
}

/// Copies a tree over a folder, which is made where it is missing. No symbolic link that is there is followed.
///
/// # Errors
/// Those of writing. What cannot be read is left out.
pub(super) fn tree(from: &Path, to: &Path, rules: &Rules<'_>) -> io::Result<()> {
    match fs::metadata(from) {
        Ok(of) if folder(&of, to)? => below(from, to, Path::new(""), of.dev(), rules),
        _ => Ok(()),
    }
}

fn below(from: &Path, to: &Path, path: &Path, device: u64, rules: &Rules<'_>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    let is_emptied = rules.emptied.iter().any(|emptied| path.starts_with(emptied));
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), path.join(entry.file_name()));
        let Ok(of) = entry.metadata() else { continue };
        // What is mounted below is no part of the tree. Files of an overlay may have other devices than its folders.
        let is_other = of.is_dir() && of.dev() != device;
        if is_other || rules.left_out.iter().any(|left_out| path == Path::new(left_out)) {
            continue;
        }
        let (from, to) = (from.join(&name), to.join(&name));
        if of.is_dir() {
            if folder(&of, &to)? && of.mode() & 0o005 == 0o005 {
                below(&from, &to, &path, device, rules)?;
            }
        } else if !is_emptied && of.is_symlink() {
            link(&from, &to)?;
        } else if !is_emptied && of.is_file() && of.mode() & 0o004 != 0 && of.len() <= rules.file_len_max {
            file(&from, &to)?;
        }
    }
    Ok(())
}

/// Makes a folder with the same permissions where there is nothing; whether it is a folder then.
fn folder(of: &fs::Metadata, to: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o755).create(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(!to.is_symlink() && to.is_dir()),
        made => {
            made?;
            fs::set_permissions(to, fs::Permissions::from_mode(of.mode() & 0o1777))?;
            Ok(true)
        }
    }
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(target) = fs::read_link(from) else { return Ok(()) };
    match fs::remove_file(to) {
        // One from a layer does not take the place of a folder.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Ok(()),
        _ => symlink(target, to),
    }
}

fn file(from: &Path, to: &Path) -> io::Result<()> {
    if to.is_symlink() {
        fs::remove_file(to)?;
    }
    match fs::copy(from, to) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        _ => Ok(()),
    }
}

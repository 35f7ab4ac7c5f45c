//! Package layers below full nodes: what they have besides programs is copied, with its owners, over the machine's.

use super::base::own;
use netyard_core::layer::account::{Account, merged};
use netyard_core::layer::{MANIFEST, Manifest};
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Whom files of ids belong to that the lab does not have, such as those of another user's layer.
const NOBODY: u32 = 65534;

/// Copies the `etc` and `var` of layers, the uppermost last, over those of a tree. What cannot be read, in a layer of
/// somebody else, is left out.
///
/// # Errors
/// That memory is full.
pub(super) fn copy(layers: &[&Path], tree: &Path) -> io::Result<()> {
    for layer in layers {
        for name in ["etc", "var"] {
            copy_below(&layer.join(name), &tree.join(name))?;
        }
    }
    Ok(())
}

fn copy_below(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let Ok(of) = entry.metadata() else { continue };
        if of.is_dir() {
            make_folder(&target)?;
            give(&of, &target)?;
            copy_below(&source, &target)?;
        } else {
            let _ = fs::remove_file(&target);
            copy_file(&of, &source, &target)?;
        }
    }
    Ok(())
}

/// Makes a folder where there is none; something else of that name makes way.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_ok_and(|of| !of.is_dir()) {
        fs::remove_file(path)?;
    }
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// A file that hides one of the machine's (overlayfs: "whiteout") has none in the copy.
fn copy_file(of: &Metadata, source: &Path, target: &Path) -> io::Result<()> {
    if of.is_symlink() {
        return fs::read_link(source).map_or(Ok(()), |destination| symlink(destination, target));
    }
    if !of.is_file() {
        return Ok(());
    }
    match fs::copy(source, target) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        Err(_) => Ok(()),
        Ok(_) => give(of, target),
    }
}

/// Gives a copy the owner and the permission bits of its original.
fn give(of: &Metadata, copy: &Path) -> io::Result<()> {
    let known = |id: u32| (id != NOBODY).then_some(id);
    own(copy, known(of.uid()), known(of.gid()));
    // Changing the owner takes some of the bits away.
    fs::set_permissions(copy, Permissions::from_mode(of.mode() & 0o7777))
}

/// Adds the accounts that layers bring to those of a folder `etc`.
///
/// # Errors
/// Those of writing.
pub(super) fn add_accounts(layers: &[&Path], etc: &Path) -> io::Result<()> {
    for layer in layers {
        let manifest = fs::read(layer.join(MANIFEST)).ok();
        let Some(manifest) = manifest.and_then(|text| serde_json::from_slice::<Manifest>(&text).ok()) else {
            continue;
        };
        add(&etc.join("passwd"), &manifest.users)?;
        add(&etc.join("group"), &manifest.groups)?;
    }
    Ok(())
}

fn add(file: &Path, accounts: &[Account]) -> io::Result<()> {
    if accounts.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    fs::write(file, merged(&text, accounts))
}

//! Of all that installing has written, what belongs into the layer.

use super::build::{Order, Stage};
use super::install::{OVER_MACHINE, OWN, Site};
use super::tree::{self, is_copy, is_whiteout};
use crate::error::{Error, Result};
use netyard_core::layer::content::{is_left_out, is_of_var};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a layer holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Gathered {
    /// Bytes of its files.
    pub bytes: u64,
    /// Files that strangers may not read, absolute in a node.
    pub closed: Vec<String>,
}

/// Moves what the packages have added to the layer's folder and removes the rest. For a process that sees the machine's
/// files.
pub(super) fn gather(folder: &Path, order: &Order, tell: &mut dyn FnMut(Stage)) -> Result<Gathered> {
    tell(Stage::Gathering);
    let site = Site::of(folder);
    let gathered = moved(folder, order, &site).map(|bytes| {
        let mut closed = Vec::new();
        tree::closed(folder, Path::new("/"), &mut closed);
        closed.sort();
        Gathered { bytes, closed }
    });
    gathered.map_err(|error| Error::io("cannot gather what the packages have added", &error))
}

fn moved(folder: &Path, order: &Order, site: &Site) -> io::Result<u64> {
    let mut bytes = 0;
    for top in OVER_MACHINE.into_iter().chain(OWN) {
        let written = site.written(top);
        if written.symlink_metadata().is_err() {
            continue;
        }
        let machine = Path::new("/").join(top);
        if prune(&written, &machine, order)? {
            bytes += tree::bytes(&written);
            fs::rename(&written, folder.join(top))?;
        }
    }
    tree::remove(site.folder())?;
    Ok(bytes)
}

/// Removes from a tree what was copied from the machine, and what belongs to no layer. Whether anything is left.
fn prune(written: &Path, machine: &Path, order: &Order) -> io::Result<bool> {
    let mut has_any = false;
    for entry in fs::read_dir(written)?.flatten() {
        let (own, other) = (entry.path(), machine.join(entry.file_name()));
        let name = other.to_string_lossy();
        let metadata = entry.metadata()?;
        let is_wanted = !is_left_out(&name) && !order.without.iter().any(|path| **path == *name);
        let stays = is_wanted
            && match metadata.is_dir() {
                true => prune(&own, &other, order)? || !was_there(&other, &name),
                false if is_whiteout(&metadata) => other.symlink_metadata().is_ok(),
                false => !is_copy(&metadata),
            };
        if stays {
            has_any = true;
        } else {
            tree::remove(&own)?;
        }
    }
    Ok(has_any)
}

/// Whether an empty folder was there before the packages were installed, and is none of theirs.
fn was_there(machine: &Path, name: &str) -> bool {
    match name.strip_prefix("/var/") {
        Some(path) => is_of_var(path),
        None => machine.metadata().is_ok_and(|metadata| {
            // Folders of `/etc` that are closed to strangers were not copied.
            metadata.is_dir() && (!name.starts_with("/etc/") || metadata.mode() & 0o005 == 0o005)
        }),
    }
}

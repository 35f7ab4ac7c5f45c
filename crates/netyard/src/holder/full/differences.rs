//! What a node has changed of the files that it began with.

use super::base::Base;
use crate::protocol::{Change, Difference};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Folders that are empty in every new node, and hold what runs: no part of what a node differs by.
const PASSING: [&str; 2] = ["/run", "/tmp"];

/// The files that a node had of its own from the beginning, and which they were.
#[derive(Default)]
pub(super) struct Beginning(BTreeMap<PathBuf, Version>);

/// Tells one version of a file from others: its number, and when it was last touched.
type Version = (u64, i64, i64);

/// A folder in which a node writes, over others.
struct Layer {
    /// Where the node sees it.
    place: PathBuf,
    upper: PathBuf,
    lower: Vec<PathBuf>,
}

fn layers(base: &Base, folder: &Path) -> Vec<Layer> {
    let lower = [base.tree.clone()].into_iter().chain(base.below.clone()).collect();
    let root = Layer { place: "/".into(), upper: folder.join("upper"), lower };
    let top = |(name, lower): &(String, Vec<PathBuf>)| Layer {
        place: Path::new("/").join(name),
        upper: folder.join(name).join("upper"),
        lower: lower.clone(),
    };
    [root].into_iter().chain(base.tops.iter().map(top)).collect()
}

impl Beginning {
    /// What is there now.
    ///
    /// # Errors
    /// Those of reading folders.
    pub(super) fn of(base: &Base, folder: &Path) -> io::Result<Self> {
        let mut beginning = Self::default();
        for layer in layers(base, folder) {
            visit(&layer, Path::new(""), &mut |path, metadata, _| {
                beginning.0.insert(layer.place.join(path), version(metadata));
            })?;
        }
        Ok(beginning)
    }

    /// What differs from it by now, in the order of paths.
    ///
    /// # Errors
    /// Those of reading folders.
    pub(super) fn differences(&self, base: &Base, folder: &Path) -> io::Result<Vec<Difference>> {
        let mut found = Vec::new();
        for layer in layers(base, folder) {
            visit(&layer, Path::new(""), &mut |path, metadata, is_below| {
                let place = layer.place.join(path);
                let is_passing = PASSING.iter().any(|folder| place.starts_with(folder));
                // What a folder holds is told, and not that it holds something else.
                let is_same = self
                    .0
                    .get(&place)
                    .is_some_and(|before| metadata.is_dir() || *before == version(metadata));
                let change = match (is_whiteout(metadata), is_below) {
                    (true, true) => Change::Removed,
                    (true, false) => return,
                    (false, true) => Change::Changed,
                    (false, false) => Change::Added,
                };
                let is_told_by_what_it_holds = metadata.is_dir() && is_below;
                if !(is_passing || is_same || is_told_by_what_it_holds) {
                    found.push(Difference { path: place, change });
                }
            })?;
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}

/// Visits all that is in the upper folder: path, what it is, and whether there is something of that name below.
fn visit(layer: &Layer, path: &Path, each: &mut dyn FnMut(&Path, &fs::Metadata, bool)) -> io::Result<()> {
    for entry in fs::read_dir(layer.upper.join(path))? {
        let path = path.join(entry?.file_name());
        // It may have gone meanwhile.
        let Ok(metadata) = layer.upper.join(&path).symlink_metadata() else { continue };
        let is_below = layer.lower.iter().any(|lower| lower.join(&path).symlink_metadata().is_ok());
        each(&path, &metadata, is_below);
        if metadata.is_dir() {
            visit(layer, &path, each)?;
        }
    }
    Ok(())
}

/// What stands in an upper folder for something that was removed (overlayfs: a character device 0/0).
fn is_whiteout(metadata: &fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn version(metadata: &fs::Metadata) -> Version {
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

//! Folders that a service wants before it starts (systemd.exec(5), `RuntimeDirectory=` and its kin).

use super::{Keeper, Tried, Trouble};
use netyard_core::unit::{DirectoryKind, Outcome};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};

impl Keeper {
    pub(super) fn make_folders(&self) -> Tried<()> {
        for directory in &self.unit.directories {
            let is_own = directory.kind != DirectoryKind::Configuration;
            let owner = self.credentials.as_ref().filter(|_| is_own).map(|who| (who.uid, who.gid));
            make(&directory.path, directory.mode, owner).map_err(|error| {
                Trouble::new(format!("cannot make {}: {error}", directory.path), Outcome::Resources)
            })?;
        }
        Ok(())
    }

    /// Folders below `/run` go with the service, if they may.
    pub(super) fn remove_folders(&self) {
        let is_its = |kind| kind == DirectoryKind::Runtime && !self.unit.keeps_runtime_directory;
        for directory in self.unit.directories.iter().filter(|directory| is_its(directory.kind)) {
            // What cannot be removed lies in the node's memory and ends with it.
            let _ = fs::remove_dir_all(&directory.path);
        }
    }
}

/// Makes a folder, with those above it, of that mode and owner.
fn make(path: &str, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    fs::create_dir_all(path)?;
    if let Some((uid, gid)) = owner {
        chown(path, Some(uid), Some(gid))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

//! The folders of root that its labs show with their owners.
//!
//! In a lab that root of the machine starts, root is somebody who owns nothing outside, and cannot even enter root's
//! home. What root types there shall have root's own files all the same, as an ordinary user's has the user's: the home
//! folder and the working folder are shown with their ids mapped. Folders of the system stay as strangers see them.
//!
//! Showing them costs a third of a millisecond. The holder keeps a room for programs that has them, where they are on file
//! systems that the lab has anyway: others, such as a stick that was plugged later, are not kept busy by a lab.

use crate::error::{Error, Result};
use netyard_kernel::mount;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Never shown with their owners, nor what is below them.
const OF_THE_SYSTEM: [&str; 12] =
    ["bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "run", "sbin", "sys", "usr"];

/// A folder of root's, as the machine has it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFolder {
    /// Where it is, and is to be shown.
    pub path: PathBuf,
    /// Its file system (stat(2) `st_dev`).
    pub device: u64,
    /// Its number there (stat(2) `st_ino`).
    pub inode: u64,
}

impl OwnFolder {
    /// The folder at a path; none where there is nothing that can be seen.
    fn at(path: PathBuf) -> Option<Self> {
        let of = fs::metadata(&path).ok()?;
        Some(Self { path, device: of.dev(), inode: of.ino() })
    }

    /// Whether the caller's mount namespace has this folder at this path.
    #[must_use]
    pub fn is_here(&self) -> bool {
        Self::at(self.path.clone()).as_ref() == Some(self)
    }
}

/// The home folder and the working folder, or what has to be shown so that they can be reached.
pub(crate) fn wanted(cwd: Option<&Path>) -> Vec<OwnFolder> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut folders: Vec<PathBuf> = cwd.into_iter().chain(home.as_deref()).filter_map(anchor).collect();
    folders.sort();
    folders.dedup_by(|inner, outer| inner.starts_with(outer));
    folders.into_iter().filter_map(OwnFolder::at).collect()
}

/// The folders mapped for a user namespace, and where to show them.
///
/// # Errors
/// That a folder cannot be copied. File systems that cannot show other owners are left out.
pub(crate) fn mapped(folders: &[OwnFolder], userns: BorrowedFd<'_>) -> Result<Vec<(OwnedFd, PathBuf)>> {
    let mut all = Vec::new();
    for OwnFolder { path, .. } in folders {
        match mount::id_mapped(path, userns, false) {
            Ok(tree) => all.push((tree, path.clone())),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {}
            Err(error) => return Err(Error::io(format!("cannot show {}", path.display()), &error)),
        }
    }
    Ok(all)
}

/// Trees of mounts with their places as system calls take them.
pub(crate) fn places(trees: Vec<(OwnedFd, PathBuf)>) -> Vec<(OwnedFd, CString)> {
    // A path from the kernel has no zero byte.
    let text = |path: PathBuf| CString::new(path.into_os_string().into_vec()).unwrap_or_default();
    trees.into_iter().map(|(tree, path)| (tree, text(path))).collect()
}

/// The folder to map so that `folder` can be reached: the outermost on the way that strangers may not enter, or it
/// itself. None for folders of the system.
fn anchor(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok().filter(|folder| folder.is_dir())?;
    let mut parts = folder.components().skip(1);
    let first = parts.next()?.as_os_str().to_str()?.to_owned();
    if OF_THE_SYSTEM.contains(&first.as_str()) {
        return None;
    }
    let mut way: Vec<&Path> = folder.ancestors().collect();
    way.reverse();
    let is_closed =
        |folder: &&&Path| fs::metadata(folder).is_ok_and(|of| of.permissions().mode() & 0o001 == 0);
    Some(way.iter().find(is_closed).map_or_else(|| folder.clone(), |closed| closed.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_closed_folder_is_mapped() {
        let base = std::env::temp_dir().join(format!("netyard-anchor-{}", std::process::id()));
        let (closed, inner) = (base.join("closed"), base.join("closed/inner"));
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(anchor(&inner), Some(inner.clone()));
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(anchor(&inner), Some(closed));
        assert_eq!(anchor(&base.join("missing")), None);
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn folders_of_the_system_are_left_alone() {
        assert_eq!(anchor(Path::new("/")), None);
        assert_eq!(anchor(Path::new("/etc")), None);
        assert_eq!(anchor(Path::new("/usr/share")), None);
    }
}

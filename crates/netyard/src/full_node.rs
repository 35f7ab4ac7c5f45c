//! What a caller does for full nodes, those with files and processes of their own.

use crate::protocol::{Owned, Spec};
use netyard_kernel::process::PATH_OF_SYSTEM;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Variables of the caller's that say something of the terminal or the language, not of files.
const KEPT: [&str; 7] = ["TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "TZ", "COLUMNS"];

/// The environment of what a person starts in a full node: there the person is root, with root's home.
pub(crate) fn adapt_environment(all: &mut BTreeMap<OsString, OsString>) {
    let is_kept =
        |name: &OsStr| name.to_str().is_some_and(|name| KEPT.contains(&name) || name.starts_with("LC_"));
    all.retain(|name, _| is_kept(name));
    for (name, value) in [
        ("PATH", PATH_OF_SYSTEM),
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("SHELL", "/bin/bash"),
    ] {
        all.insert(name.into(), value.into());
    }
}

/// Adds to the specification of a lab with full nodes what only the caller can see.
pub(crate) fn complete(spec: &mut Spec) {
    if spec.has_full_nodes() && spec.owned.is_empty() {
        for top in ["/etc", "/var"] {
            collect_owned(Path::new(top), &mut spec.owned);
        }
    }
}

/// What belongs to others than root, or is closed to strangers: the copy of a folder has to be told. What is below a
/// closed folder is not copied.
fn collect_owned(folder: &Path, owned: &mut Vec<Owned>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(of) = entry.metadata() else { continue };
        let (path, uid, gid) = (entry.path(), of.uid(), of.gid());
        if (uid, gid) != (0, 0) && !of.is_symlink() {
            owned.push(Owned { path: path.clone(), uid, gid, mode: of.mode() & 0o7777 });
        }
        if of.is_dir() && of.mode() & 0o005 == 0o005 {
            collect_owned(&path, owned);
        }
    }
}

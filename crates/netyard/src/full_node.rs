//! What a caller does for full nodes, those with files and processes of their own.

use crate::bundle;
use crate::error::{Error, Result};
use crate::layer;
use crate::protocol::{Enclosed, Owned, Spec};
use crate::up::is_root_of_machine;
use netyard_core::lab::{NodeRoot, RootBase};
use netyard_kernel::process::PATH_OF_SYSTEM;
use netyard_kernel::{mount, userns};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Variables of the caller's that say something of the terminal or the language, not of files.
const KEPT: [&str; 7] = ["TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "TZ", "COLUMNS"];

/// What is large and of no use without the machine's package manager or container engines.
pub(crate) const VAR_LEFT_OUT: [&str; 18] = [
    "backups",
    "cache/apt",
    "cache/debconf",
    "cache/fontconfig",
    "cache/man",
    "cache/ldconfig",
    "lib/apt",
    "lib/containerd",
    "lib/containers",
    "lib/docker",
    "lib/dpkg",
    "lib/flatpak",
    "lib/lxc",
    "lib/netyard",
    "lib/snapd",
    "lib/systemd",
    "lib/ucf",
    "snap",
];

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

/// Completes what a lab is made of by what only the caller can see, and opens what travels with it. `holder` is the
/// process id of the lab's holder, for whose ids folders are shown; none where they are not needed.
///
/// # Errors
/// What cannot be read.
pub(crate) fn enclose(spec: &mut Spec, holder: Option<u32>) -> Result<Vec<OwnedFd>> {
    let mut fds = Vec::new();
    spec.enclosed.clear();
    let user = holder.filter(|_| is_root_of_machine()).and_then(|holder| userns::of_process(holder).ok()?);
    let has_programs = spec.lab.nodes.iter().any(|node| !node.programs.is_empty());
    // Where the folder cannot be shown with its owners, programs see it as strangers do.
    if let Some(user) = user.as_ref().filter(|_| has_programs)
        && let Ok(folder) = mount::id_mapped(&spec.folder, user.as_fd(), true)
    {
        spec.enclosed.push(Enclosed::Folder);
        fds.push(folder);
    }
    if !spec.has_full_nodes() {
        return Ok(fds);
    }
    spec.layers = layer::folders(&spec.lab)?;
    if spec.owned.is_empty() {
        for top in ["/etc", "/var"] {
            collect_owned(Path::new(top), &mut spec.owned);
        }
    }
    if let Some(bundle) = bundle::of(&spec.lab, &spec.folder)? {
        spec.enclosed.push(Enclosed::Bundle);
        fds.push(bundle);
    }
    for source in archives(spec) {
        let archive = fs::File::open(&source);
        fds.push(archive.map_err(|e| Error::io(format!("cannot open {}", source.display()), &e))?.into());
        spec.enclosed.push(Enclosed::Archive { source });
    }
    for (source, is_read_only) in folders(spec) {
        if !source.is_dir() {
            return Err(Error::input("U060", format!("there is no folder {}", source.display()))
                .note("a node is made of it, or shares it"));
        }
        let Some(user) = &user else { continue };
        let tree = mount::id_mapped(&source, user.as_fd(), is_read_only);
        fds.push(tree.map_err(|e| Error::io(format!("cannot show {} to nodes", source.display()), &e))?);
        spec.enclosed.push(Enclosed::Tree { source, is_read_only });
    }
    Ok(fds)
}

/// The archives that full nodes are made of.
fn archives(spec: &Spec) -> BTreeSet<PathBuf> {
    let archive = |root: &NodeRoot| match &root.base {
        RootBase::Archive(source) => Some(spec.folder.join(source)),
        RootBase::Machine | RootBase::Folder(_) => None,
    };
    spec.lab.nodes.iter().filter_map(|node| archive(&node.root)).collect()
}

/// The folders of the machine that full nodes are made of or share, and whether they are only read.
fn folders(spec: &Spec) -> BTreeSet<(PathBuf, bool)> {
    let mut folders = BTreeSet::new();
    for root in spec.lab.nodes.iter().map(|node| &node.root) {
        if let RootBase::Folder(folder) = &root.base {
            folders.insert((spec.folder.join(folder), true));
        }
        folders.extend(root.binds.iter().map(|bind| (spec.folder.join(&bind.source), bind.is_read_only)));
    }
    folders
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
        let is_left_out = || {
            path.strip_prefix("/var")
                .is_ok_and(|path| VAR_LEFT_OUT.iter().any(|name| path == Path::new(name)))
        };
        if of.is_dir() && of.mode() & 0o005 == 0o005 && !is_left_out() {
            collect_owned(&path, owned);
        }
    }
}

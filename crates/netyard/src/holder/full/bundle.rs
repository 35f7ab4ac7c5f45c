//! The files that the lab file has for nodes: an archive (tar) that travels with the lab. The first part of each path is
//! the node's name, the rest is the place in the node.

use super::accounts::Accounts;
use crate::error::{Error, Result};
use netyard_core::name::NodeName;
use netyard_kernel::inside::{Inside, Owner};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tar::{Archive, Entry, EntryType};

/// What tells one content of a file from another.
pub(super) type Digests = BTreeMap<PathBuf, u64>;

/// All files of all nodes.
#[derive(Default)]
pub(super) struct Bundle {
    archive: Option<File>,
    nodes: BTreeMap<String, Digests>,
}

impl Bundle {
    /// Looks through an archive.
    ///
    /// # Errors
    /// That it is not one.
    pub(super) fn new(archive: Option<OwnedFd>) -> Result<Self> {
        let mut bundle = Self { archive: archive.map(File::from), nodes: BTreeMap::new() };
        let mut nodes: BTreeMap<String, Digests> = BTreeMap::new();
        bundle
            .each(|node, path, entry| {
                let digest = digest(entry)?;
                nodes.entry(node.to_owned()).or_default().insert(path.to_owned(), digest);
                Ok(())
            })
            .map_err(|e| Error::io("cannot read the files of nodes", &e))?;
        bundle.nodes = nodes;
        Ok(bundle)
    }

    /// The files of a node.
    pub(super) fn of(&self, node: &NodeName) -> Digests {
        self.nodes.get(node.as_str()).cloned().unwrap_or_default()
    }

    /// Writes those files of a node that are wanted.
    ///
    /// # Errors
    /// The first that cannot be written.
    pub(super) fn write(
        &self,
        node: &NodeName,
        root: Inside<'_>,
        mut is_wanted: impl FnMut(&Path) -> bool,
    ) -> Result<()> {
        if !self.nodes.contains_key(node.as_str()) {
            return Ok(());
        }
        let mut accounts = Accounts::inside(root);
        let mut failed = None;
        let done = self.each(|of, path, entry| {
            if of != node.as_str() || failed.is_some() || !is_wanted(path) {
                return Ok(());
            }
            if let Err(error) = write_entry(root, path, entry, &accounts) {
                failed = Some(error.note(format!("file of node `{node}`: /{}", path.display())));
            } else if path.starts_with("etc") {
                accounts = Accounts::inside(root);
            }
            Ok(())
        });
        done.map_err(|e| Error::io("cannot read the files of nodes", &e))?;
        failed.map_or(Ok(()), Err)
    }

    /// Visits every entry: its node, its path there, itself.
    fn each(
        &self,
        mut visit: impl FnMut(&str, &Path, &mut Entry<'_, &File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(mut archive) = self.archive.as_ref() else { return Ok(()) };
        archive.rewind()?;
        for entry in Archive::new(archive).entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let mut parts = path.components();
            let node = parts.next().and_then(|node| node.as_os_str().to_str()).unwrap_or_default().to_owned();
            visit(&node, parts.as_path(), &mut entry)?;
        }
        Ok(())
    }
}

fn digest(entry: &mut Entry<'_, &File>) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    let header = entry.header();
    (header.mode()?, header.uid()?, header.gid()?, header.entry_type().as_byte()).hash(&mut hasher);
    (header.username_bytes(), header.groupname_bytes()).hash(&mut hasher);
    entry.link_name_bytes().hash(&mut hasher);
    let mut buffer = [0; 16 * 1024];
    loop {
        match entry.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            length => hasher.write(&buffer[..length]),
        }
    }
}

pub(super) fn write_entry<R: Read>(
    root: Inside<'_>,
    path: &Path,
    entry: &mut Entry<'_, R>,
    accounts: &Accounts,
) -> Result<()> {
    let refused = |e: &io::Error| not_written(path, e);
    let header = entry.header();
    let mode = header.mode().map_err(|e| refused(&e))?;
    let kind = header.entry_type();
    let owner = owner(entry, accounts)?;
    let written = match kind {
        EntryType::Regular => root.write(path, entry, mode, owner),
        EntryType::Directory => root.make_folder(path, mode, owner),
        EntryType::Symlink => match entry.link_name() {
            Ok(target) => root.link(path, target.as_deref().unwrap_or(Path::new(""))),
            Err(error) => Err(error),
        },
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    written.map_err(|e| refused(&e))
}

/// Whose it is: names as the node knows them, numbers as they are.
fn owner<R: Read>(entry: &Entry<'_, R>, accounts: &Accounts) -> Result<Owner> {
    let header = entry.header();
    let name = |bytes: Option<&[u8]>| {
        bytes.filter(|name| !name.is_empty()).map(|name| String::from_utf8_lossy(name).into_owned())
    };
    let number =
        |number: io::Result<u64>| number.ok().and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    let uid = match name(header.username_bytes()) {
        Some(name) => accounts.user(&name).ok_or_else(|| nobody("user", &name, "passwd"))?,
        None => number(header.uid()),
    };
    let gid = match name(header.groupname_bytes()) {
        Some(name) => accounts.group(&name).ok_or_else(|| nobody("group", &name, "group"))?,
        None => number(header.gid()),
    };
    Ok(Owner { uid, gid })
}

fn nobody(what: &str, name: &str, file: &str) -> Error {
    Error::input("U060", format!("there is no {what} `{name}`"))
        .note(format!("the node's /etc/{file} does not have it"))
        .help("is the package installed that brings it? `layers` adds packages to a node")
}

fn not_written(path: &Path, error: &io::Error) -> Error {
    let result = Error::io(format!("cannot write /{}", path.display()), error);
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::ROFS) => {
            result.help("files go where only the node writes: not below /proc and /sys, and not into `binds`")
        }
        Some(rustix::io::Errno::INVAL) => result
            .note("its owner has an id that this lab does not have")
            .help("an ordinary user's labs have more ids with a range in /etc/subuid and /etc/subgid, and newuidmap"),
        Some(rustix::io::Errno::NOSPC) => result.help(super::about_space()),
        _ => result,
    }
}

//! Full nodes: those with files and processes of their own.
//!
//! All of a lab's lie on one file system in memory whose size is limited. What nodes have in common, the copy of the
//! machine's `/etc` among it, is made once ([`base`]); each node writes into folders of its own that lie over it.

mod base;
mod copy;
mod root;
mod tmpfiles;

use super::files;
use crate::error::{Error, Result};
use crate::namespaces::Namespaces;
use crate::protocol::{ServiceChange, Spec};
use base::Base;
use netyard_core::lab::{Node, NodeKind, NodeRoot};
use netyard_core::name::NodeName;
use netyard_core::state::Ns;
use netyard_kernel::mount;
use netyard_kernel::process::{self, LaunchError, NodeProcess, Room};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most that all full nodes of a lab write together, in bytes; half of the machine's memory where that is less.
const SIZE_MAX: u64 = 1 << 30;
/// How long the processes of a node that is made anew may take to end.
const ENDING_TIME: Duration = Duration::from_secs(5);

/// Where the file system of all full nodes is.
fn home() -> PathBuf {
    Path::new(files::ROOT).join("full")
}

/// The full nodes of a lab.
#[derive(Default)]
pub(super) struct FullNodes {
    bases: Vec<Base>,
    nodes: BTreeMap<NodeName, FullNode>,
    /// How many were made so far, in all.
    made: u64,
}

struct FullNode {
    process: NodeProcess,
    /// What it was made of.
    root: NodeRoot,
    hostname: String,
    /// Tells it from others of the same name, before and after.
    number: u64,
    folder: PathBuf,
}

impl FullNodes {
    /// Makes those that are missing or have to be made of something else, and ends those that are no longer wanted.
    ///
    /// # Errors
    /// The first that cannot be made.
    pub(super) fn change_to(
        &mut self,
        spec: &Spec,
        namespaces: &Namespaces,
        user: Option<&OwnedFd>,
    ) -> Result<()> {
        self.nodes.retain(|name, made| spec.lab.node(name.as_str()).is_some_and(|node| made.is_of(node)));
        for node in of_lab(spec) {
            if !self.nodes.contains_key(&node.name) {
                let made = self.make(spec, node, namespaces, user)?;
                self.nodes.insert(node.name.clone(), made);
            }
        }
        Ok(())
    }

    /// What [`FullNodes::change_to`] would do to nodes that are there.
    pub(super) fn changes_to(&self, spec: &Spec) -> Vec<ServiceChange> {
        let is_remade = |node: &&Node| self.nodes.get(&node.name).is_some_and(|made| !made.is_of(node));
        of_lab(spec)
            .filter(is_remade)
            .map(|node| ServiceChange::RemakeNode { node: node.name.clone() })
            .collect()
    }

    /// The namespaces of a node's programs, and the number of the node as it is now.
    pub(super) fn room(&self, node: &NodeName) -> Option<(&Room, u64)> {
        self.nodes.get(node).map(|made| (&made.process.room, made.number))
    }

    /// The number of a node as it will be in a lab that has changed to this; none for one that would be made.
    pub(super) fn number_in(&self, node: &Node) -> Option<u64> {
        self.nodes.get(&node.name).filter(|made| made.is_of(node)).map(|made| made.number)
    }

    fn make(
        &mut self,
        spec: &Spec,
        node: &Node,
        namespaces: &Namespaces,
        user: Option<&OwnedFd>,
    ) -> Result<FullNode> {
        let failed = |e: io::Error| no_files(node, &e);
        if self.bases.is_empty() {
            make_home().map_err(failed)?;
        }
        self.made += 1;
        let number = self.made;
        let folder = home().join("nodes").join(number.to_string());
        let base = self.base(spec, &node.root).map_err(failed)?;
        let plan = root::plan(base, node, &folder).map_err(failed)?;
        for (path, text) in files::texts_of_full(&spec.lab, node) {
            fs::write(folder.join("upper/etc").join(path), text).map_err(failed)?;
        }
        let net = namespaces
            .fd(&Ns::Node(node.name.clone()))
            .ok_or_else(|| Error::kernel("K010", format!("node `{}` has no namespace", node.name)))?;
        let process = plan.start(user.map(AsFd::as_fd), net).map_err(|e| not_started(node, &e))?;
        let hostname = node.hostname().to_owned();
        Ok(FullNode { process, root: node.root.clone(), hostname, number, folder })
    }

    /// What this root is laid over: made for the first node that has it.
    fn base(&mut self, spec: &Spec, root: &NodeRoot) -> io::Result<&Base> {
        if let Some(at) = self.bases.iter().position(|base| base.is_of(root)) {
            return Ok(&self.bases[at]);
        }
        let folder = home().join("bases").join(self.bases.len().to_string());
        self.bases.push(Base::make(spec, root, &folder)?);
        Ok(self.bases.last().expect("it was just put there"))
    }
}

impl FullNode {
    /// Whether it has not to be made anew for this node.
    fn is_of(&self, node: &Node) -> bool {
        let NodeRoot { base, layers, binds, files: _ } = &node.root;
        node.kind == NodeKind::Full
            && self.root.base == *base
            && self.root.layers == *layers
            && self.root.binds == *binds
            && self.hostname == node.hostname()
    }
}

impl Drop for FullNode {
    /// All processes of the node end with its first one; its files go.
    fn drop(&mut self) {
        let _ = process::kill(self.process.pidfd.as_fd());
        let is_gone = process::wait_gone(self.process.pidfd.as_fd(), ENDING_TIME);
        if is_gone.is_ok_and(|is_gone| is_gone) {
            let _ = process::reap(self.process.pidfd.as_fd());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn of_lab(spec: &Spec) -> impl Iterator<Item = &Node> {
    spec.lab.nodes.iter().filter(|node| node.kind == NodeKind::Full)
}

/// The file system of all full nodes, with the folder that becomes the root of each.
fn make_home() -> io::Result<()> {
    let home = home();
    fs::create_dir_all(&home)?;
    let half = files::memory_of_machine().map_or(SIZE_MAX, |memory| memory / 2);
    let options = format!("mode=0755,size={}", half.min(SIZE_MAX));
    mount::mount_tmpfs(&home, &CString::new(options)?)?;
    ["bases", "nodes", "root"].iter().try_for_each(|name| fs::create_dir(home.join(name)))
}

fn no_files(node: &Node, error: &io::Error) -> Error {
    let result = Error::io(format!("cannot make the files of node `{}`", node.name), error);
    if error.kind() == io::ErrorKind::StorageFull {
        let size = SIZE_MAX >> 20;
        return result.help(format!(
            "all full nodes of a lab have {size} MiB together, or half of the machine's memory"
        ));
    }
    result
}

fn not_started(node: &Node, error: &LaunchError) -> Error {
    let title = format!("cannot start the first process of node `{}`: {}", node.name, error.source);
    Error::kernel("K008", title).note(format!("while trying to {}", error.doing))
}

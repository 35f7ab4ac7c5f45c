//! Full nodes: those with files and processes of their own.
//!
//! All of a lab's lie on one file system in memory whose size is limited. What nodes have in common, the copy of the
//! machine's `/etc` among it, is made once ([`base`]); each node writes into folders of its own that lie over it.

mod accounts;
mod archive;
mod base;
mod bundle;
mod copy;
mod differences;
mod layers;
mod root;
mod tmpfiles;
mod transfer;

use super::files;
use super::given::Given;
use crate::error::{Error, Result};
use crate::namespaces::Namespaces;
use crate::protocol::{Difference, ServiceChange, Spec};
use base::Base;
use bundle::{Bundle, Digests};
use differences::Beginning;
use netyard_core::lab::{Node, NodeBind, NodeKind, NodeRoot, RootBase};
use netyard_core::name::NodeName;
use netyard_core::state::Ns;
use netyard_kernel::inside::{Inside, Owner};
use netyard_kernel::mount;
use netyard_kernel::process::{self, Ballast, LaunchError, NodeProcess, Room};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The most that all full nodes of a lab write together, in bytes; half of the machine's memory where that is less.
const SIZE_MAX: u64 = 1 << 30;
/// How long the processes of a node that is made anew may take to end.
const ENDING_TIME: Duration = Duration::from_secs(5);

/// The numbers of full nodes: another one means another node, though it may have the name of one before.
pub(super) type Numbers = BTreeMap<NodeName, u64>;

/// Where the file system of all full nodes is.
fn home() -> PathBuf {
    Path::new(files::ROOT).join("full")
}

/// What a lab's full nodes are given by whoever starts or changes it.
#[derive(Default)]
pub(super) struct Supply {
    bundle: Bundle,
    trees: Vec<Tree>,
    /// Archives of root file systems, each with its path on the machine.
    archives: Vec<(PathBuf, File)>,
}

/// A folder of the machine, as the lab's ids own it.
struct Tree {
    /// Where it is on the machine.
    source: PathBuf,
    is_read_only: bool,
    fd: OwnedFd,
    /// Where it is attached, once it is.
    place: OnceLock<PathBuf>,
}

impl Tree {
    /// Where the holder sees it.
    fn place(&self) -> io::Result<PathBuf> {
        if let Some(place) = self.place.get() {
            return Ok(place.clone());
        }
        // The number is its own for as long as it is open.
        let place = home().join("trees").join(self.fd.as_raw_fd().to_string());
        fs::create_dir_all(&place)?;
        mount::attach(self.fd.as_fd(), &place)?;
        Ok(self.place.get_or_init(|| place).clone())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Some(place) = self.place.get() {
            // Nodes that share it keep it.
            let _ = mount::unmount(place).and_then(|()| fs::remove_dir(place));
        }
    }
}

impl Supply {
    /// # Errors
    /// That the files are no archive.
    pub(super) fn new(given: Given) -> Result<Self> {
        let tree = |(source, is_read_only, fd)| Tree { source, is_read_only, fd, place: OnceLock::new() };
        let trees = given.trees.into_iter().map(tree).collect();
        let archives = given.archives.into_iter().map(|(source, fd)| (source, fd.into())).collect();
        Ok(Self { bundle: Bundle::new(given.bundle)?, trees, archives })
    }
}

impl Supply {
    /// Where the holder sees a folder of the machine: in place where it did not come with the lab.
    fn seen(&self, source: &Path, is_read_only: bool) -> io::Result<PathBuf> {
        let is_it = |tree: &&Tree| tree.source == source && tree.is_read_only == is_read_only;
        self.trees.iter().find(is_it).map_or_else(|| Ok(source.to_owned()), Tree::place)
    }

    fn archive(&self, source: &Path) -> Option<&File> {
        self.archives.iter().find(|(path, _)| *path == *source).map(|(_, archive)| archive)
    }

    /// What a root file system is made of, as it is now.
    fn making(&self, spec: &Spec, root: &NodeRoot) -> Making {
        let archive = match &root.base {
            RootBase::Archive(source) => self.archive(&spec.folder.join(source)),
            RootBase::Machine | RootBase::Folder(_) => None,
        };
        let layers = root.layers.iter().map(|name| {
            let folder = spec.layers.get(name);
            (name.clone(), folder.and_then(|folder| folder.metadata().ok()).as_ref().map(Stamp::of))
        });
        Making {
            base: root.base.clone(),
            archive: archive.and_then(|archive| archive.metadata().ok()).as_ref().map(Stamp::of),
            layers: layers.collect(),
        }
    }
}

/// What a root file system is made of: of the same name others may come later.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Making {
    base: RootBase,
    archive: Option<Stamp>,
    layers: Vec<(String, Option<Stamp>)>,
}

/// What tells a file from others of its name, before and after: where it is, how long, and when it was last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    len: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &fs::Metadata) -> Self {
        Self { inode: (file.dev(), file.ino()), len: file.len(), changed: (file.mtime(), file.mtime_nsec()) }
    }
}

/// The full nodes of a lab.
#[derive(Default)]
pub(super) struct FullNodes {
    supply: Arc<Supply>,
    bases: Vec<Base>,
    nodes: BTreeMap<NodeName, FullNode>,
    /// How many nodes were made so far, in all.
    made: u64,
    /// How many bases were made so far, in all.
    bases_made: u64,
}

struct FullNode {
    process: NodeProcess,
    /// What it was made of.
    making: Making,
    binds: Vec<NodeBind>,
    hostname: String,
    files: Digests,
    /// The files that every node has of its own, below `/etc`.
    texts: [(&'static str, String); 3],
    /// Tells it from others of the same name, before and after.
    number: u64,
    folder: PathBuf,
    /// The files that it had of its own when it was made.
    beginning: Beginning,
}

impl FullNodes {
    /// Makes what the nodes of a lab are laid over, before their networks are there.
    ///
    /// # Errors
    /// The first that cannot be made.
    pub(super) fn make_bases(&mut self, spec: &Spec, supply: Arc<Supply>) -> Result<()> {
        self.supply = supply;
        of_lab(spec).try_for_each(|node| match self.base(spec, &node.root) {
            Ok(_) => Ok(()),
            Err(error) => Err(no_files(node, &error)),
        })
    }

    /// Makes those that are missing or have to be made of something else, ends those that are no longer wanted, and
    /// writes files that have changed.
    ///
    /// # Errors
    /// The first that cannot be made.
    pub(super) fn change_to(
        &mut self,
        spec: &Spec,
        supply: Arc<Supply>,
        namespaces: &Namespaces,
        user: Option<&OwnedFd>,
    ) -> Result<()> {
        let kept = self.kept(spec, &supply);
        self.nodes.retain(|name, _| kept.contains_key(name));
        let wanted: Vec<Making> = of_lab(spec).map(|node| supply.making(spec, &node.root)).collect();
        self.bases.retain(|base| wanted.contains(&base.of));
        self.supply = supply;
        let ballast = Ballast::of_self();
        for node in of_lab(spec) {
            if let Some(made) = self.nodes.get_mut(&node.name) {
                made.refresh(spec, node, &self.supply.bundle)?;
            } else {
                let made = self.make(spec, node, namespaces, user, &ballast)?;
                self.nodes.insert(node.name.clone(), made);
            }
        }
        Ok(())
    }

    /// What [`FullNodes::change_to`] would do to nodes that are there.
    pub(super) fn changes_to(&self, spec: &Spec, supply: &Supply) -> Vec<ServiceChange> {
        let kept = self.kept(spec, supply);
        let change = |node: &Node| {
            let made = self.nodes.get(&node.name)?;
            let name = node.name.clone();
            if !kept.contains_key(&node.name) {
                return Some(ServiceChange::RemakeNode { node: name });
            }
            let wanted = supply.bundle.of(&node.name);
            let changed = wanted.iter().filter(|(path, digest)| made.files.get(*path) != Some(digest));
            let files: Vec<PathBuf> = changed.map(|(path, _)| Path::new("/").join(path)).collect();
            (!files.is_empty()).then_some(ServiceChange::WriteFiles { node: name, files })
        };
        of_lab(spec).filter_map(change).collect()
    }

    /// The nodes that [`FullNodes::change_to`] would leave as they are, but for files.
    pub(super) fn kept(&self, spec: &Spec, supply: &Supply) -> Numbers {
        let is_kept = |(name, made): &(&NodeName, &FullNode)| {
            let is_same = |node: &Node| {
                made.making == supply.making(spec, &node.root) && made.is_of(node, &supply.bundle.of(name))
            };
            spec.lab.node(name.as_str()).is_some_and(is_same)
        };
        self.nodes.iter().filter(is_kept).map(|(name, made)| (name.clone(), made.number)).collect()
    }

    /// The nodes as they are now.
    pub(super) fn numbers(&self) -> Numbers {
        self.nodes.iter().map(|(name, made)| (name.clone(), made.number)).collect()
    }

    /// What they were given.
    pub(super) fn supply(&self) -> Arc<Supply> {
        self.supply.clone()
    }

    /// The namespaces of a node's programs, and the number of the node as it is now.
    pub(super) fn room(&self, node: &NodeName) -> Option<(&Room, u64)> {
        self.nodes.get(node).map(|made| (&made.process.room, made.number))
    }

    fn node(&self, node: &NodeName) -> Result<&FullNode> {
        self.nodes.get(node).ok_or_else(|| {
            Error::input("U046", format!("node `{node}` has no files of its own"))
                .help("`kind: full` in the lab file gives it some")
        })
    }

    /// A new terminal of a node.
    pub(super) fn terminal(&self, node: &NodeName) -> Result<OwnedFd> {
        let made = Inside(self.node(node)?.process.root.as_fd()).new_terminal();
        made.map_err(|e| Error::io(format!("cannot open a terminal of node `{node}`"), &e))
    }

    /// Files of a node, as an archive.
    pub(super) fn read_files(&self, node: &NodeName, paths: &[PathBuf], is_deep: bool) -> Result<OwnedFd> {
        transfer::pack(Inside(self.node(node)?.process.root.as_fd()), paths, is_deep)
    }

    /// Writes files into a node.
    pub(super) fn write_files(
        &self,
        node: &NodeName,
        files: OwnedFd,
        to: &Path,
        into_folder: bool,
    ) -> Result<()> {
        transfer::unpack(Inside(self.node(node)?.process.root.as_fd()), files, to, into_folder)
    }

    /// What differs in a node from the files that it began with.
    pub(super) fn differences(&self, node: &NodeName) -> Result<Vec<Difference>> {
        let made = self.node(node)?;
        let Some(base) = self.bases.iter().find(|base| base.of == made.making) else { return Ok(Vec::new()) };
        let found = made.beginning.differences(base, &made.folder);
        found.map_err(|e| Error::io(format!("cannot read the files of node `{node}`"), &e))
    }

    /// A connection to a socket among a node's files.
    ///
    /// # Errors
    /// `NotFound` for a node without files of its own; those of connect(2).
    pub(super) fn connect(&self, node: &NodeName, path: &Path) -> io::Result<OwnedFd> {
        let made = self.nodes.get(node).ok_or(io::ErrorKind::NotFound)?;
        Inside(made.process.root.as_fd()).connect(path).map(OwnedFd::from)
    }

    fn make(
        &mut self,
        spec: &Spec,
        node: &Node,
        namespaces: &Namespaces,
        user: Option<&OwnedFd>,
        ballast: &Ballast,
    ) -> Result<FullNode> {
        let failed = |e: io::Error| no_files(node, &e);
        self.made += 1;
        let number = self.made;
        let folder = home().join("nodes").join(number.to_string());
        let supply = self.supply.clone();
        let base = self.base(spec, &node.root).map_err(failed)?;
        let seen = |bind: &NodeBind| supply.seen(&spec.folder.join(&bind.source), bind.is_read_only);
        let binds = node.root.binds.iter().map(seen).collect::<io::Result<Vec<_>>>().map_err(failed)?;
        let files = supply.bundle.of(&node.name);
        let plan = root::plan(base, node, &folder, &binds).map_err(failed)?;
        base.open_folders(&folder, files.keys()).map_err(failed)?;
        let texts = files::texts_of_full(&spec.lab, node);
        for (name, text) in &texts {
            fs::write(folder.join("upper/etc").join(name), text).map_err(failed)?;
        }
        let net = namespaces
            .fd(&Ns::Node(node.name.clone()))
            .ok_or_else(|| Error::kernel("K010", format!("node `{}` has no namespace", node.name)))?;
        let process = plan.start(user.map(AsFd::as_fd), net, ballast).map_err(|e| not_started(node, &e))?;
        supply.bundle.write(&node.name, Inside(process.root.as_fd()), |_| true)?;
        let beginning =
            Beginning::of(self.base(spec, &node.root).map_err(failed)?, &folder).map_err(failed)?;
        let (making, binds) = (supply.making(spec, &node.root), node.root.binds.clone());
        let hostname = node.hostname().to_owned();
        Ok(FullNode { beginning, process, making, binds, hostname, files, texts, number, folder })
    }

    /// What this root is laid over: made for the first node that has it.
    fn base(&mut self, spec: &Spec, root: &NodeRoot) -> io::Result<&Base> {
        let of = self.supply.making(spec, root);
        if let Some(at) = self.bases.iter().position(|base| base.of == of) {
            return Ok(&self.bases[at]);
        }
        if self.bases_made == 0 {
            make_home()?;
        }
        let folder = home().join("bases").join(self.bases_made.to_string());
        self.bases_made += 1;
        let below = match &root.base {
            RootBase::Folder(source) => Some(self.supply.seen(&spec.folder.join(source), true)?),
            RootBase::Archive(source) => {
                let archive = self.supply.archive(&spec.folder.join(source));
                let below = folder.join("below");
                archive::unpack(archive.ok_or(io::ErrorKind::NotFound)?, &below)?;
                Some(below)
            }
            RootBase::Machine => None,
        };
        self.bases.push(Base::make(spec, root, of, below.as_deref(), &folder)?);
        Ok(self.bases.last().expect("it was just put there"))
    }
}

impl FullNode {
    /// Whether it has not to be made anew for this node, made of the same, with these files: one that is gone would show
    /// what is below it only in a new node.
    fn is_of(&self, node: &Node, files: &Digests) -> bool {
        node.kind == NodeKind::Full
            && self.binds == node.root.binds
            && self.hostname == node.hostname()
            && self.files.keys().all(|path| files.contains_key(path))
    }

    /// Writes the files that have changed.
    fn refresh(&mut self, spec: &Spec, node: &Node, bundle: &Bundle) -> Result<()> {
        let root = Inside(self.process.root.as_fd());
        let files = bundle.of(&node.name);
        let texts = files::texts_of_full(&spec.lab, node);
        for ((name, text), (_, before)) in texts.iter().zip(&self.texts) {
            let path = Path::new("etc").join(name);
            if text != before && !files.contains_key(&path) {
                let written = root.write(&path, &mut text.as_bytes(), 0o644, Owner { uid: 0, gid: 0 });
                written.map_err(|e| no_files(node, &e))?;
            }
        }
        bundle.write(&node.name, root, |path| self.files.get(path) != files.get(path))?;
        (self.files, self.texts) = (files, texts);
        Ok(())
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
    let options = format!("mode=0755,size={}", size());
    mount::mount_tmpfs(&home, &CString::new(options)?)?;
    ["bases", "nodes", "root"].iter().try_for_each(|name| fs::create_dir(home.join(name)))
}

fn size() -> u64 {
    files::memory_of_machine().map_or(SIZE_MAX, |memory| memory / 2).min(SIZE_MAX)
}

/// What helps when there is no space left.
fn about_space() -> String {
    format!("all full nodes of a lab have {} MiB together, in memory", size() >> 20)
}

fn no_files(node: &Node, error: &io::Error) -> Error {
    let result = Error::io(format!("cannot make the files of node `{}`", node.name), error);
    if error.kind() == io::ErrorKind::StorageFull { result.help(about_space()) } else { result }
}

fn not_started(node: &Node, error: &LaunchError) -> Error {
    let title = format!("cannot start the first process of node `{}`: {}", node.name, error.source);
    Error::kernel("K008", title).note(format!("while trying to {}", error.doing))
}

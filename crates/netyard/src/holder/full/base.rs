//! What full nodes have in common: a root file system without what is each node's own.

use super::accounts::Accounts;
use super::copy::{self, Rules};
use super::{Making, layers, tmpfiles};
use crate::full_node::VAR_LEFT_OUT;
use crate::holder::sandbox;
use crate::protocol::{Owned, Spec};
use crate::sandbox::PROGRAM;
use crate::service::FULL_STAND_INS;
use netyard_core::lab::NodeRoot;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// Folders of the machine that nodes see as they are, where the machine has them.
const SHOWN: [&str; 11] =
    ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt", "srv", "nix", "gnu"];
/// Devices of the machine that nodes have.
pub(super) const DEVICES: [&str; 7] = ["null", "zero", "full", "random", "urandom", "tty", "net/tun"];
/// Files of `/etc` that say something of the machine itself, or that are made.
const ETC_LEFT_OUT: [&str; 10] = [
    "hosts",
    "resolv.conf",
    "hostname",
    "machine-id",
    "shadow",
    "gshadow",
    "shadow-",
    "gshadow-",
    "passwd-",
    "group-",
];
/// Folders of `/var` whose files are left out.
const VAR_EMPTIED: [&str; 4] = ["log", "tmp", "mail", "spool"];

/// A root file system to lay nodes over.
pub(super) struct Base {
    /// What it was made of.
    pub(super) of: Making,
    /// Everything of it.
    folder: PathBuf,
    /// The tree below all nodes' own files.
    pub(super) tree: PathBuf,
    /// A root file system below that, in place of the machine's.
    pub(super) below: Option<PathBuf>,
    /// Top folders that lie over others: the name, and the lower folders, the uppermost first.
    pub(super) tops: Vec<(String, Vec<PathBuf>)>,
    /// Top folders with mounts of the machine below, which are shown read-only.
    pub(super) read_only: Vec<String>,
}

impl Base {
    /// Makes it of layers, and of the machine's files or those of another root file system.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn make(
        spec: &Spec,
        root: &NodeRoot,
        of: Making,
        below: Option<&Path>,
        folder: &Path,
    ) -> io::Result<Self> {
        let layers: Vec<&Path> =
            root.layers.iter().filter_map(|name| spec.layers.get(name)).map(PathBuf::as_path).collect();
        let tree = folder.join("tree");
        fs::create_dir_all(&tree)?;
        make_folders(&tree)?;
        make_devices(&tree.join("dev"))?;
        if below.is_none() {
            copy_machine(&spec.owned, &tree)?;
        }
        layers::copy(&layers, &tree)?;
        link_stand_ins("etc", &tree.join("etc"))?;
        let accounts = make_accounts(&tree.join("etc"), below, &layers)?;
        for root in [below.unwrap_or(Path::new("/"))].iter().chain(&layers) {
            tmpfiles::make(&root.join("usr/lib/tmpfiles.d"), &tree, &accounts)?;
        }
        let (below_tree, folder) = (below.map(Path::to_owned), folder.to_owned());
        let mut base = Self { of, folder, tree, below: below_tree, tops: Vec::new(), read_only: Vec::new() };
        if below.is_some() {
            link_stand_ins("usr", &base.tree.join("usr"))?;
            return Ok(base);
        }
        for name in SHOWN {
            base.show(name, &layers)?;
        }
        Ok(base)
    }

    /// Makes the folders on the way to these files of a node the node's own, where they are the machine's: before the
    /// node is there, whose root could not.
    ///
    /// # Errors
    /// Those of making folders.
    pub(super) fn open_folders<'a>(
        &self,
        node: &Path,
        files: impl Iterator<Item = &'a PathBuf>,
    ) -> io::Result<()> {
        for file in files {
            for (top, lower) in &self.tops {
                if let Some(below) = file.strip_prefix(top).ok().and_then(Path::parent) {
                    open_way(lower, below, &node.join(top).join("upper"))?;
                }
            }
        }
        Ok(())
    }

    /// Shows a top folder of the machine: as the link that it is, or below each node's own.
    fn show(&mut self, name: &str, layers: &[&Path]) -> io::Result<()> {
        let host = Path::new("/").join(name);
        if let Ok(target) = fs::read_link(&host) {
            return symlink(target, self.tree.join(name));
        }
        let is_used = |path: &PathBuf| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        let of_layers = layers.iter().rev().map(|layer| layer.join(name));
        let lower: Vec<PathBuf> = of_layers.chain([host.clone()]).filter(is_used).collect();
        if lower.is_empty() {
            return make_folder(&self.tree.join(name), 0o755);
        }
        make_folder(&self.tree.join(name), 0o755)?;
        if has_mounts_below(&host) {
            self.read_only.push(name.to_owned());
            return Ok(());
        }
        let skeleton = self.folder.join("tops").join(name);
        make_skeleton(&lower, &skeleton, 2)?;
        if name == "usr" {
            make_skeleton(&[host.join("local")], &skeleton.join("local"), 4)?;
            link_stand_ins(name, &skeleton)?;
        }
        self.tops.push((name.to_owned(), [skeleton].into_iter().chain(lower).collect()));
        Ok(())
    }
}

impl Drop for Base {
    /// No node lies over it any more.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Copies the machine's `/etc`, and of its `/var` the folders and what is small.
fn copy_machine(owned: &[Owned], tree: &Path) -> io::Result<()> {
    let etc = Rules { left_out: &ETC_LEFT_OUT, emptied: &[], file_len_max: 4 << 20 };
    let var = Rules { left_out: &VAR_LEFT_OUT, emptied: &VAR_EMPTIED, file_len_max: 256 << 10 };
    copy::tree(Path::new("/etc"), &tree.join("etc"), &etc)?;
    copy::tree(Path::new("/var"), &tree.join("var"), &var)?;
    give_to_owners(owned, tree)
}

fn make_folders(tree: &Path) -> io::Result<()> {
    for (name, mode) in [
        ("dev", 0o755),
        ("dev/net", 0o755),
        ("dev/pts", 0o755),
        ("dev/shm", 0o1777),
        ("etc", 0o755),
        ("home", 0o755),
        ("media", 0o755),
        ("mnt", 0o755),
        ("proc", 0o555),
        ("root", 0o700),
        ("run", 0o755),
        ("run/lock", 0o1777),
        ("sys", 0o555),
        ("tmp", 0o1777),
        ("var", 0o755),
        ("var/tmp", 0o1777),
    ] {
        make_folder(&tree.join(name), mode)?;
    }
    make_folder(&tree.join("run").join(sandbox::SHOWN_NAME), 0o755)
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Places for the machine's devices, and the usual links.
fn make_devices(dev: &Path) -> io::Result<()> {
    for device in DEVICES.iter().filter(|device| Path::new("/dev").join(device).exists()) {
        fs::File::create(dev.join(device))?;
    }
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name))?;
    }
    Ok(())
}

/// What belongs to others than root on the machine belongs to them in the copy. Folders that the copy could not see are
/// made.
fn give_to_owners(owned: &[Owned], tree: &Path) -> io::Result<()> {
    for Owned { path, uid, gid, mode } in owned {
        let path = tree.join(path.strip_prefix("/").unwrap_or(path));
        // The parent may have been left out on purpose.
        if !path.parent().is_some_and(Path::is_dir) || path.is_symlink() || !path.exists() {
            continue;
        }
        own(&path, Some(*uid), Some(*gid));
        // Changing the owner takes some of the bits away.
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
    }
    Ok(())
}

/// Gives a file to an account. Ids that the lab does not have are left as they are: root's.
pub(super) fn own(path: &Path, uid: Option<u32>, gid: Option<u32>) {
    for (uid, gid) in [(uid, None), (None, gid)] {
        let _ = chown(path, uid, gid);
    }
}

/// The accounts as the lab can have them, and passwords that nobody has.
fn make_accounts(etc: &Path, below: Option<&Path>, layers: &[&Path]) -> io::Result<Accounts> {
    let passwd = etc.join("passwd");
    if let Some(below) = below {
        for (file, _) in sandbox::ACCOUNT_FILES {
            let _ = fs::copy(below.join("etc").join(file), etc.join(file));
        }
    }
    layers::add_accounts(layers, etc)?;
    if sandbox::has_one_id() {
        for (file, ids) in sandbox::ACCOUNT_FILES {
            let path = etc.join(file);
            if let Ok(text) = fs::read_to_string(&path) {
                fs::write(&path, sandbox::daemons_are_root(&text, ids))?;
            }
        }
    }
    let locked = |line: &str| line.split(':').next().map(|name| format!("{name}:*:1:0:99999:7:::\n"));
    let shadow: String = fs::read_to_string(&passwd).unwrap_or_default().lines().filter_map(locked).collect();
    fs::write(etc.join("shadow"), shadow)?;
    fs::set_permissions(etc.join("shadow"), fs::Permissions::from_mode(0o600))?;
    Ok(Accounts::of(etc))
}

/// Makes the folders of a path in `upper`, as far as the lower folders have them and no symbolic link is on the way.
fn open_way(lower: &[PathBuf], path: &Path, upper: &Path) -> io::Result<()> {
    let mut way = PathBuf::new();
    for part in path.components() {
        way.push(part);
        let found: Vec<fs::Metadata> =
            lower.iter().filter_map(|lower| fs::symlink_metadata(lower.join(&way)).ok()).collect();
        if found.is_empty() || !found.iter().all(fs::Metadata::is_dir) {
            return Ok(());
        }
        make_folder(&upper.join(&way), 0o755)?;
    }
    Ok(())
}

/// Whether the machine has something mounted below this folder: the kernel lets no overlay hide it.
fn has_mounts_below(folder: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // The fifth field is the place (proc(5)).
    let mut places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    places.any(|place| Path::new(place) != folder && Path::new(place).starts_with(folder))
}

/// The folders of these trees, the lab's own: a node can make files in a folder only when its root owns it.
fn make_skeleton(trees: &[PathBuf], to: &Path, depth: u32) -> io::Result<()> {
    make_folder(to, 0o755)?;
    if depth == 0 {
        return Ok(());
    }
    for tree in trees {
        let Ok(entries) = fs::read_dir(tree) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            make_skeleton(&[entry.path()], &to.join(entry.file_name()), depth - 1)?;
        }
    }
    Ok(())
}

/// Links to this program under the names that it has in full nodes, of those below one folder of the root.
fn link_stand_ins(name: &str, folder: &Path) -> io::Result<()> {
    for stand_in in FULL_STAND_INS {
        let Ok(path) = Path::new(stand_in.path).strip_prefix(Path::new("/").join(name)) else { continue };
        let link = folder.join(path);
        let is_there = link.symlink_metadata().is_ok();
        if is_there && stand_in.yields {
            continue;
        }
        if is_there {
            fs::remove_file(&link)?;
        }
        if let Some(parent) = link.parent() {
            make_folder(parent, 0o755)?;
        }
        symlink(PROGRAM, link)?;
    }
    Ok(())
}

//! What full nodes have in common: a root file system without what is each node's own.

use super::copy::{self, Rules};
use super::tmpfiles;
use crate::holder::sandbox;
use crate::protocol::{Owned, Spec};
use netyard_core::lab::{NodeRoot, RootBase};
use std::collections::BTreeMap;
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
/// What is large and of no use without the machine's package manager or container engines.
const VAR_LEFT_OUT: [&str; 18] = [
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

/// A root file system to lay nodes over.
pub(super) struct Base {
    of: (RootBase, Vec<String>),
    /// The tree below all nodes' own files.
    pub(super) tree: PathBuf,
    /// Top folders that lie over others: the name, and the lower folders, the uppermost first.
    pub(super) tops: Vec<(String, Vec<PathBuf>)>,
    /// Top folders with mounts of the machine below, which are shown read-only.
    pub(super) read_only: Vec<String>,
}

impl Base {
    /// Whether a node with this root lies over it.
    pub(super) fn is_of(&self, root: &NodeRoot) -> bool {
        self.of == (root.base.clone(), root.layers.clone())
    }

    /// Makes it of the machine's files and of layers.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn make(spec: &Spec, root: &NodeRoot, folder: &Path) -> io::Result<Self> {
        let tree = folder.join("tree");
        let layers: Vec<&Path> =
            root.layers.iter().filter_map(|name| spec.layers.get(name)).map(PathBuf::as_path).collect();
        fs::create_dir_all(&tree)?;
        make_folders(&tree)?;
        make_devices(&tree.join("dev"))?;
        let etc = Rules { left_out: &ETC_LEFT_OUT, emptied: &[], file_len_max: 4 << 20 };
        let var = Rules {
            left_out: &VAR_LEFT_OUT,
            emptied: &["log", "tmp", "mail", "spool"],
            file_len_max: 256 << 10,
        };
        let of_layer = Rules { left_out: &[], emptied: &[], file_len_max: u64::MAX };
        copy::tree(Path::new("/etc"), &tree.join("etc"), &etc)?;
        copy::tree(Path::new("/var"), &tree.join("var"), &var)?;
        for layer in &layers {
            copy::tree(&layer.join("etc"), &tree.join("etc"), &of_layer)?;
            copy::tree(&layer.join("var"), &tree.join("var"), &of_layer)?;
        }
        give_to_owners(&spec.owned, &tree)?;
        let accounts = make_accounts(&tree.join("etc"))?;
        tmpfiles::make(Path::new("/usr/lib/tmpfiles.d"), &tree, &accounts)?;
        for layer in &layers {
            tmpfiles::make(&layer.join("usr/lib/tmpfiles.d"), &tree, &accounts)?;
        }
        let mut base = Self {
            of: (root.base.clone(), root.layers.clone()),
            tree,
            tops: Vec::new(),
            read_only: Vec::new(),
        };
        for name in SHOWN {
            base.show(name, &layers, &folder.join("tops"))?;
        }
        Ok(base)
    }

    /// Shows a top folder of the machine: as the link that it is, or below each node's own.
    fn show(&mut self, name: &str, layers: &[&Path], skeletons: &Path) -> io::Result<()> {
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
        let skeleton = skeletons.join(name);
        make_skeleton(&lower, &skeleton, 2)?;
        if name == "usr" {
            make_skeleton(&[host.join("local")], &skeleton.join("local"), 4)?;
            link_services(&skeleton)?;
        }
        self.tops.push((name.to_owned(), [skeleton].into_iter().chain(lower).collect()));
        Ok(())
    }
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

/// The accounts of a base.
pub(super) struct Accounts {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl Accounts {
    /// Those of the files below an `/etc`.
    pub(super) fn of(etc: &Path) -> Self {
        let read = |file: &str| {
            let text = fs::read_to_string(etc.join(file)).unwrap_or_default();
            let of_line = |line: &str| {
                let mut fields = line.split(':');
                Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
            };
            text.lines().filter_map(of_line).collect()
        };
        Self { users: read("passwd"), groups: read("group") }
    }

    /// The id of a user, by name or number.
    pub(super) fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied().or_else(|| name.parse().ok())
    }

    /// The id of a group, by name or number.
    pub(super) fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied().or_else(|| name.parse().ok())
    }
}

/// The accounts as the lab can have them, and passwords that nobody has.
fn make_accounts(etc: &Path) -> io::Result<Accounts> {
    let passwd = etc.join("passwd");
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

/// The words for services are this program.
fn link_services(usr: &Path) -> io::Result<()> {
    for (folder, name) in [("bin", "systemctl"), ("sbin", "service")] {
        make_folder(&usr.join(folder), 0o755)?;
        symlink(Path::new(sandbox::SHOWN).join(name), usr.join(folder).join(name))?;
    }
    Ok(())
}

//! Package layers: where they are kept, how they are found and removed.
//!
//! A layer is a folder with what packages add to the machine's files (`usr`, `etc`, `var`, ...) and a [`Manifest`]. It is
//! built beside its place and renamed when it is whole, so that what has the name of a layer is one. An ordinary user's
//! files belong to subordinate ids of that user; root's to the ids that root's labs have.

mod build;
mod gather;
mod install;
mod machine;
mod tree;

pub use build::{Order, Stage, build};
pub(crate) use machine::folders;
pub use machine::{advice, check};

use crate::error::{Error, Result};
use netyard_core::labfile::nearest;
use netyard_core::layer::{LayerName, MANIFEST, Manifest, recipe, recipes};
use netyard_kernel::account;
use netyard_kernel::lock::RangeLock;
use netyard_kernel::process::enclosed;
use netyard_kernel::subid;
use netyard_kernel::userns::IdMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where root's layers are, which everybody may use.
const OF_MACHINE: &str = "/var/lib/netyard/layers";
const LOCK_FILE: &str = ".lock";
/// The end of the name of a layer that is being built.
const UNFINISHED: &str = ".part";

/// A layer that is there.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its folder, absolute, in which `usr`, `etc`, `var` and others are what it adds.
    pub folder: PathBuf,
    /// What it tells of itself.
    pub manifest: Manifest,
}

/// The folders in which layers are.
#[derive(Debug)]
pub struct Layers {
    /// The caller's own comes first.
    folders: Vec<PathBuf>,
}

impl Layers {
    /// The caller's own folder (`$XDG_DATA_HOME/netyard/layers`, else `~/.local/share/netyard/layers`), then root's
    /// (`/var/lib/netyard/layers`).
    #[must_use]
    pub fn of_user() -> Self {
        let mut folders = Vec::new();
        if !rustix::process::geteuid().is_root() {
            let path = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let home = || path("HOME").or_else(account::home);
            let data = path("XDG_DATA_HOME").or_else(|| Some(home()?.join(".local/share")));
            folders.extend(data.map(|data| data.join("netyard/layers")));
        }
        folders.push(PathBuf::from(OF_MACHINE));
        Self { folders }
    }

    /// All layers, by name; of two with one name the caller's own.
    #[must_use]
    pub fn list(&self) -> Vec<Layer> {
        let mut layers: Vec<Layer> = Vec::new();
        for folder in &self.folders {
            for name in names(folder) {
                if layers.iter().all(|layer| layer.manifest.name != name) {
                    layers.extend(read(folder, &name));
                }
            }
        }
        layers.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
        layers
    }

    /// The layer of that name.
    ///
    /// # Errors
    /// That there is none, with what makes it or the nearest that there is.
    pub fn find(&self, name: &LayerName) -> Result<Layer> {
        self.folders.iter().find_map(|folder| read(folder, name)).ok_or_else(|| self.no_such_layer(name))
    }

    /// The folders of layers, in this order.
    ///
    /// # Errors
    /// As [`Layers::find`], for a text that is no name too.
    pub fn folders_of(&self, names: &[String]) -> Result<Vec<PathBuf>> {
        names.iter().map(|name| Ok(self.find(&named(name)?)?.folder)).collect()
    }

    /// Removes a layer of the caller's own. Labs that use it lose what they have not opened.
    ///
    /// # Errors
    /// That there is none, that it is root's, or that somebody works on it.
    pub fn remove(&self, name: &LayerName) -> Result<()> {
        let own = self.own();
        if read(own, name).is_none() {
            let other = self.find(name)?;
            return Err(Error::input(
                "U041",
                format!("layer `{name}` is root's: {}", other.folder.display()),
            )
            .help(format!("`sudo netyard layer remove {name}`")));
        }
        let _lock = lock(own, name)?;
        let (folder, unfinished) = (own.join(name.as_str()), unfinished(own, name));
        // Out of the way under a name that is none: what is removed half-way is no layer.
        remove_tree(&unfinished)?;
        fs::rename(&folder, &unfinished)
            .map_err(|e| Error::io(format!("cannot remove {}", folder.display()), &e))?;
        remove_tree(&unfinished)?;
        // A folder for several (`kathara`) goes with the last of them.
        if let Some(parent) = folder.parent().filter(|parent| *parent != own) {
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }

    /// Removes what commands that were killed have left; whatever cannot be removed stays for the next.
    pub fn tidy(&self) {
        let own = self.own();
        for name in unfinished_names(own) {
            if let Ok(Ok(_lock)) = RangeLock::try_new(&own.join(LOCK_FILE), name.as_str()) {
                let _ = remove_tree(&unfinished(own, &name));
            }
        }
    }

    /// The folder that the caller's layers go to.
    fn own(&self) -> &Path {
        &self.folders[0]
    }

    fn no_such_layer(&self, name: &LayerName) -> Error {
        let error = Error::input("U040", format!("there is no layer `{name}`"));
        let layers = self.list();
        let known = layers.iter().map(|layer| layer.manifest.name.as_str());
        if recipe(name.as_str()).is_some() {
            return error.help(format!("`netyard layer build {name}` makes it"));
        }
        match nearest(name.as_str(), known.chain(recipes().iter().map(|recipe| recipe.name))) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("`netyard layer build {name} --apt PACKAGE,...` makes it")),
        }
    }
}

/// A text as the name of a layer.
///
/// # Errors
/// Why it is none.
pub fn named(text: &str) -> Result<LayerName> {
    LayerName::new(text).map_err(|error| {
        Error::input("U042", format!("`{text}` is not the name of a layer: {error}"))
            .help("small letters, digits, `.`, `_` and `-`, with at most one `/`")
    })
}

/// The layer of that name in a folder; one whose manifest cannot be read is none.
fn read(folder: &Path, name: &LayerName) -> Option<Layer> {
    let folder = folder.join(name.as_str());
    let manifest: Manifest = serde_json::from_slice(&fs::read(folder.join(MANIFEST)).ok()?).ok()?;
    (manifest.name == *name).then_some(Layer { folder, manifest })
}

fn names(folder: &Path) -> Vec<LayerName> {
    let mut names = Vec::new();
    for first in file_names(folder) {
        if folder.join(&first).join(MANIFEST).exists() {
            names.extend(LayerName::new(&first));
        } else {
            let second = file_names(&folder.join(&first)).into_iter();
            names.extend(second.filter_map(|second| LayerName::new(&format!("{first}/{second}")).ok()));
        }
    }
    names
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Where a layer is built: a name that no layer has, directly below the folder of layers.
fn unfinished(folder: &Path, name: &LayerName) -> PathBuf {
    folder.join(format!(".{}{UNFINISHED}", name.as_str().replace('/', "+")))
}

fn unfinished_names(folder: &Path) -> Vec<LayerName> {
    let name = |file: String| {
        let name = file.strip_prefix('.')?.strip_suffix(UNFINISHED)?.replace('+', "/");
        LayerName::new(&name).ok()
    };
    file_names(folder).into_iter().filter_map(name).collect()
}

fn lock(folder: &Path, name: &LayerName) -> Result<RangeLock> {
    let path = folder.join(LOCK_FILE);
    let locked = RangeLock::try_new(&path, name.as_str())
        .map_err(|e| Error::io(format!("cannot lock {}", path.display()), &e))?;
    locked.map_err(|owner| {
        let who =
            owner.map_or_else(|| "another process".to_owned(), |(pid, name)| format!("pid {pid} ({name})"));
        Error::input("U041", format!("{who} is working on layer `{name}`"))
            .help("wait until it is done, or end that process")
    })
}

/// Removes a tree with files of subordinate ids: in a user namespace whose root owns them.
fn remove_tree(path: &Path) -> Result<()> {
    let refused = |error: &io::Error| Error::io(format!("cannot remove {}", path.display()), error);
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    if rustix::process::geteuid().is_root() {
        return tree::remove(path).map_err(|e| refused(&e));
    }
    let ids = ids()?;
    let mut child = enclosed(&ids, |mut socket| {
        use std::io::Write;
        let said = tree::remove(path).map_or_else(|error| error.to_string(), |()| String::new());
        let _ = socket.write_all(said.as_bytes());
    });
    let mut said = String::new();
    match &mut child {
        Ok(child) => io::Read::read_to_string(&mut child.socket, &mut said).map_err(|e| refused(&e))?,
        Err(error) => return Err(refused(error)),
    };
    if said.is_empty() { Ok(()) } else { Err(refused(&io::Error::other(said))) }
}

/// The ids that a layer's files belong to.
fn ids() -> Result<IdMap> {
    subid::of_caller().map_err(|lack| {
        Error::input("U041", format!("layers hold files of many users, and {lack}")).help(lack.remedy())
    })
}

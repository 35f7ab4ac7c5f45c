//! Building a layer: beside its place, in namespaces of its own, from the machine's package sources.

use super::machine::Here;
use super::{Layer, Layers, gather, ids, install, lock, named, read, remove_tree, unfinished};
use crate::error::{Error, Result};
use netyard_core::layer::dpkg::is_package_name;
use netyard_core::layer::{LayerName, MANIFEST, Manifest, recipe};
use netyard_kernel::process::{Enclosed, enclosed};
use netyard_kernel::userns::IdMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is to be built.
#[derive(Debug, Clone)]
pub struct Order {
    /// The layer's name.
    pub name: LayerName,
    /// Packages, with all that they depend on and the machine does not have.
    pub packages: Vec<String>,
    /// Files of the packages that are left out, absolute.
    pub without: Vec<String>,
}

impl Order {
    /// A layer of these packages; without any, one that is known by its name.
    ///
    /// # Errors
    /// That a name is none, or that nothing is known under it.
    pub fn new(name: &str, packages: &[String]) -> Result<Self> {
        let name = named(name)?;
        if let Some(bad) = packages.iter().find(|package| !is_package_name(package)) {
            return Err(Error::input("U042", format!("`{bad}` is not the name of a package"))
                .help("names of packages, with commas between them: `--apt frr,bind9`"));
        }
        let known = recipe(name.as_str());
        let mut packages = packages.to_vec();
        match (packages.is_empty(), known) {
            (true, Some(known)) => packages = known.packages.iter().map(|&name| name.to_owned()).collect(),
            (true, None) => {
                return Err(Error::input("U040", format!("no packages are known for layer `{name}`"))
                    .help(format!("`netyard layer build {name} --apt PACKAGE,...` names them")));
            }
            (false, _) => {}
        }
        packages.dedup();
        let without = known.map_or(&[][..], |known| known.without);
        Ok(Self { name, packages, without: without.iter().map(|&path| path.to_owned()).collect() })
    }
}

/// How far the building of a layer has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A place for packages is made.
    Preparing,
    /// Lists of packages are fetched.
    Lists,
    /// Packages are fetched: percent.
    Fetching(u8),
    /// Packages are installed: percent.
    Installing(u8),
    /// What they have added is gathered.
    Gathering,
}

/// What a child of [`build`] tells, a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Told<T> {
    Stage(Stage),
    Done(T),
    Failed(Error),
}

/// Builds a layer. Nothing is written outside of its folder, and no service is started; whatever ends this process ends
/// the building, and leaves at most an unfinished folder that the next command removes.
///
/// # Errors
/// That there is one of that name, that the ids of many users cannot be had, or what apt says.
pub fn build(layers: &Layers, order: &Order, on_stage: &mut dyn FnMut(&Stage)) -> Result<Layer> {
    let ids = ids()?;
    if !Path::new("/usr/bin/apt-get").exists() || !Path::new("/var/lib/dpkg/status").exists() {
        return Err(Error::input("U041", "layers are built by apt, which this machine does not have")
            .help("`rootfs: FOLDER` gives nodes the files of another system"));
    }
    let own = layers.own();
    let refused = |what: &Path, e: &std::io::Error| Error::io(format!("cannot make {}", what.display()), e);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(own)
        .map_err(|e| refused(own, &e).help("`XDG_DATA_HOME` names another folder for layers"))?;
    let _lock = lock(own, &order.name)?;
    if let Some(layer) = read(own, &order.name) {
        return Err(Error::input("U041", format!("layer `{}` is there already", order.name))
            .note(format!("it holds {}", layer.manifest.asked.join(", ")))
            .help(format!("`netyard layer remove {}` removes it", order.name)));
    }
    let folder = unfinished(own, &order.name);
    remove_tree(&folder)?;
    make_for(&folder, &ids).map_err(|e| refused(&folder, &e))?;
    let place = own.join(order.name.as_str());
    let built = filled(&folder, order, &ids, on_stage).and_then(|manifest| {
        place_at(&folder, &place, &manifest).map_err(|e| refused(&place, &e))?;
        Ok(Layer { folder: place.clone(), manifest })
    });
    if built.is_err() {
        let _ = remove_tree(&folder);
    }
    built
}

/// Makes a folder that belongs to root of the layer's user namespace.
fn make_for(folder: &Path, ids: &IdMap) -> std::io::Result<()> {
    fs::DirBuilder::new().mode(0o755).create(folder)?;
    std::os::unix::fs::chown(folder, Some(ids.uid), Some(ids.gid))
}

/// Fills the folder with what the packages add.
fn filled(folder: &Path, order: &Order, ids: &IdMap, on_stage: &mut dyn FnMut(&Stage)) -> Result<Manifest> {
    let installed: install::Installed =
        told_by(inside(ids, |tell| install::install(folder, order, tell)), on_stage)?;
    let gathered: gather::Gathered =
        told_by(inside(ids, |tell| gather::gather(folder, order, tell)), on_stage)?;
    let here = Here::read();
    Ok(Manifest {
        name: order.name.clone(),
        asked: order.packages.clone(),
        packages: installed.packages,
        system: system(),
        release: here.release,
        architecture: here.architecture,
        closed: gathered.closed,
        built: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        users: installed.users,
        groups: installed.groups,
        bytes: gathered.bytes,
    })
}

/// The last that is done: from here on the layer exists.
fn place_at(folder: &Path, place: &Path, manifest: &Manifest) -> std::io::Result<()> {
    let own = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
    std::os::unix::fs::chown(folder, Some(own[0]), Some(own[1]))?;
    let file = folder.join(MANIFEST);
    let text = serde_json::to_string_pretty(manifest).map_err(std::io::Error::other)?;
    File::create_new(file)?.write_all((text + "\n").as_bytes())?;
    if let Some(parent) = place.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    fs::rename(folder, place)
}

/// `Debian GNU/Linux 12 (bookworm)`.
fn system() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// A child that does something in namespaces of its own and tells what came of it.
fn inside<T: Serialize>(
    ids: &IdMap,
    work: impl FnOnce(&mut dyn FnMut(Stage)) -> Result<T>,
) -> Result<Enclosed> {
    let started = enclosed(ids, |socket| {
        let done = work(&mut |stage| say(&socket, &Told::<T>::Stage(stage)));
        say(&socket, &done.map_or_else(Told::Failed, Told::Done));
    });
    started.map_err(|error| {
        Error::io("cannot make namespaces for installing packages", &error)
            .help("`netyard doctor` tells what this machine allows")
    })
}

/// A line to the parent, who ends us when it is gone.
fn say<T: Serialize>(mut socket: &File, told: &Told<T>) {
    let mut line = serde_json::to_vec(told).expect("maps with text keys");
    line.push(b'\n');
    let _ = socket.write_all(&line);
}

/// What the child comes to, which is gone then.
fn told_by<T: DeserializeOwned>(child: Result<Enclosed>, on_stage: &mut dyn FnMut(&Stage)) -> Result<T> {
    let child = child?;
    for line in BufReader::new(&child.socket).lines() {
        let line = line.map_err(|e| Error::io("cannot hear of the installation", &e))?;
        match serde_json::from_str(&line) {
            Ok(Told::Stage(stage)) => on_stage(&stage),
            Ok(Told::Done(value)) => return Ok(value),
            Ok(Told::Failed(error)) => return Err(error),
            Err(_) => break,
        }
    }
    Err(Error::kernel("U041", "the installation of packages was ended").help("is there memory enough?"))
}

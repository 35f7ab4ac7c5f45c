//! Before a lab is built: are its layers, programs and daemons' users there?

use super::{Layer, Layers, named};
use crate::error::{Error, Result};
use netyard_core::lab::{Lab, NodeKind, RootBase};
use netyard_core::layer::{Lack, Machine, Manifest, dpkg, lacking, release, remedy, user_of};
use netyard_kernel::subid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for besides the caller's own `PATH`.
const FOLDERS: [&str; 8] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/games",
    "/usr/lib/frr",
];
/// Most files of a layer that are told.
const FILES_MAX: usize = 5;
/// Most lacks that are told one by one.
const SHOWN_MAX: usize = 20;

/// Refuses a lab that names layers which are not there, or runs programs which nobody has installed: all of them at once.
///
/// # Errors
/// What is missing, who needs it, and what brings it.
pub fn check(lab: &Lab) -> Result<()> {
    let layers = layers_of(lab)?;
    let here = Here::read();
    if let Some(error) = layers.values().find_map(|layer| here.refusal(layer)) {
        return Err(error);
    }
    let lacks = lacking(lab, &Found { layers: &layers, users: users_of_machine() });
    if lacks.is_empty() { Ok(()) } else { Err(refusal(&lacks)) }
}

/// The folders of the layers that nodes name, by name.
///
/// # Errors
/// That there is none of a name.
pub(crate) fn folders(lab: &Lab) -> Result<BTreeMap<String, PathBuf>> {
    Ok(layers_of(lab)?.into_iter().map(|(name, layer)| (name, layer.folder)).collect())
}

/// What somebody should know of a lab before it is built: that its layers belong to another release of the system, that
/// files of somebody else's are missing, that daemons cannot have users of their own.
#[must_use]
pub fn advice(lab: &Lab) -> Vec<String> {
    let here = Here::read();
    // Over another root file system a layer may be of that one's release.
    let over_machine = lab.nodes.iter().filter(|node| node.root.base == RootBase::Machine);
    let names: BTreeSet<&String> = over_machine.flat_map(|node| &node.root.layers).collect();
    let layers = layers_of(lab).unwrap_or_default();
    let layers: Vec<&Layer> = names.into_iter().filter_map(|name| layers.get(name)).collect();
    let of_releases = layers.iter().filter_map(|layer| here.other_release(layer));
    let of_files = layers.iter().filter_map(|layer| lost_files(layer));
    of_releases.chain(of_files).chain(one_id(lab)).collect()
}

/// What an ordinary user without subordinate ids should know of a lab with daemons that have users of their own.
fn one_id(lab: &Lab) -> Option<String> {
    let full = lab.nodes.iter().filter(|node| node.kind == NodeKind::Full);
    let mut daemons = full.flat_map(|node| {
        let programs = node.programs.iter().filter_map(|program| program.argv.first());
        programs.filter_map(|program| user_of(program)).map(|user| (node.name.as_str(), user))
    });
    let (node, user) = daemons.next()?;
    let lack = subid::of_caller().err()?;
    let help = lack.remedy();
    Some(format!(
        "warning: {lack}: in the nodes of lab {} every user is root, `{user}` of node `{node}` among them\n  \
         = help: {help}",
        lab.name
    ))
}

/// That the caller may not read files of somebody else's layer, and which.
fn lost_files(layer: &Layer) -> Option<String> {
    let Manifest { name, closed, asked, .. } = &layer.manifest;
    // Its root is the caller, whose folder it is.
    let owner = layer.folder.metadata().ok()?.uid();
    if closed.is_empty() || owner == rustix::process::geteuid().as_raw() {
        return None;
    }
    let more = if closed.len() > FILES_MAX {
        format!(" and {} more", closed.len() - FILES_MAX)
    } else {
        String::new()
    };
    let shown = closed.iter().take(FILES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    Some(format!(
        "warning: layer `{name}` is somebody else's, and nodes do without its files that are closed to strangers: \
         {shown}{more}\n  = help: `netyard layer build {name} --apt {}` makes one of your own",
        asked.join(",")
    ))
}

/// The system of this machine, as far as programs depend on it.
pub(super) struct Here {
    pub(super) release: Option<String>,
    pub(super) architecture: Option<String>,
}

impl Here {
    pub(super) fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let status = text("/var/lib/dpkg/status");
        Self {
            release: release(&text("/etc/os-release")),
            architecture: dpkg::architecture(&status).map(str::to_owned),
        }
    }

    /// That programs of a layer cannot run here: they are for other processors.
    fn refusal(&self, layer: &Layer) -> Option<Error> {
        let Manifest { name, architecture, asked, .. } = &layer.manifest;
        let (theirs, ours) = (architecture.as_ref()?, self.architecture.as_ref()?);
        (theirs != ours).then(|| {
            Error::input(
                "U041",
                format!("layer `{name}` is for processors `{theirs}`, and this machine has `{ours}`"),
            )
            .help(format!("{}, on this machine", anew(name.as_str(), asked)))
        })
    }

    /// That a layer was built over another release, whose libraries may not be those of this one.
    fn other_release(&self, layer: &Layer) -> Option<String> {
        let Manifest { name, release, asked, .. } = &layer.manifest;
        let (theirs, ours) = (release.as_ref()?, self.release.as_ref()?);
        (theirs != ours).then(|| {
            format!(
                "warning: layer `{name}` was built on {theirs}, and this machine is {ours}: its programs may not find \
                 their libraries\n  = help: {}",
                anew(name.as_str(), asked)
            )
        })
    }
}

/// How a layer is made again.
fn anew(name: &str, asked: &[String]) -> String {
    format!("`netyard layer remove {name}`, then `netyard layer build {name} --apt {}`", asked.join(","))
}

/// The layers that nodes name, by name.
fn layers_of(lab: &Lab) -> Result<BTreeMap<String, Layer>> {
    let all = Layers::of_user();
    let mut found = BTreeMap::new();
    let mut first: Option<Error> = None;
    for node in &lab.nodes {
        for name in &node.root.layers {
            if found.contains_key(name) {
                continue;
            }
            match named(name).and_then(|name| all.find(&name)) {
                Ok(layer) => drop(found.insert(name.clone(), layer)),
                Err(error) => {
                    let note = format!("node `{}` names layer `{name}`", node.name);
                    first = Some(match first {
                        None => error.note(note),
                        Some(first) if first.notes.contains(&note) => first,
                        Some(first) => first.note(note),
                    });
                }
            }
        }
    }
    first.map_or(Ok(found), Err)
}

struct Found<'a> {
    layers: &'a BTreeMap<String, Layer>,
    users: String,
}

fn users_of_machine() -> String {
    fs::read_to_string("/etc/passwd").unwrap_or_default()
}

impl Found<'_> {
    fn of<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Layer> {
        names.iter().filter_map(|name| self.layers.get(name))
    }
}

impl Machine for Found<'_> {
    fn has_program(&self, program: &str, layers: &[String]) -> bool {
        let is_path = program.starts_with('/');
        let places = if is_path { vec![PathBuf::from(program)] } else { places(program) };
        let is_anywhere = |path: &PathBuf| {
            let layers = self.of(layers).map(|layer| layer.folder.as_path());
            ways(path, layers).any(|path| is_file(&path, is_path))
        };
        places.iter().any(is_anywhere)
    }

    fn has_user(&self, user: &str, layers: &[String]) -> bool {
        let is_user = |line: &str| line.split(':').next() == Some(user);
        self.users.lines().any(is_user)
            || self.of(layers).any(|layer| layer.manifest.users.iter().any(|account| account.name == user))
    }
}

fn places(program: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    own.chain(FOLDERS.map(PathBuf::from)).map(|folder| folder.join(program)).collect()
}

/// Where a file of a node may come from: the machine, or a layer, which has all in `/usr` where the machine has.
fn ways<'a>(path: &'a Path, layers: impl Iterator<Item = &'a Path>) -> impl Iterator<Item = PathBuf> {
    let below = path.strip_prefix("/").unwrap_or(path);
    let of_layers = layers.flat_map(move |layer| [layer.join(below), layer.join("usr").join(below)]);
    std::iter::once(path.to_owned()).chain(of_layers)
}

/// Whether a file is there. With `is_lenient` also where the caller may not look.
fn is_file(path: &Path, is_lenient: bool) -> bool {
    match path.symlink_metadata() {
        Ok(metadata) => !metadata.is_dir(),
        Err(error) => is_lenient && error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

fn refusal(lacks: &[Lack]) -> Error {
    let what = match lacks {
        [lack] => match &lack.user {
            Some(user) => {
                format!("`{}` of node `{}` runs as user `{user}`, who is not there", lack.program, lack.node)
            }
            None => format!("`{}` of node `{}` is not installed", lack.program, lack.node),
        },
        _ => "programs of the lab's nodes are not installed".to_owned(),
    };
    let mut error = Error::kernel("K008", what);
    if lacks.len() > 1 || lacks[0].package.is_some() {
        for lack in lacks.iter().take(SHOWN_MAX) {
            error = error.note(note(lack));
        }
    }
    if lacks.len() > SHOWN_MAX {
        error = error.note(format!("and {} more", lacks.len() - SHOWN_MAX));
    }
    match remedy(lacks) {
        Some(remedy) => {
            let layer = remedy
                .layer
                .map_or_else(String::new, |layer| format!("; or, with the machine left as it is, {layer}"));
            error.help(remedy.install + &layer)
        }
        None => error,
    }
}

fn note(lack: &Lack) -> String {
    let package = lack.package.map_or_else(String::new, |package| format!(" (package {package})"));
    match &lack.user {
        Some(user) => format!("node `{}`: `{}` runs as user `{user}`{package}", lack.node, lack.program),
        None => format!("node `{}`: `{}`{package}", lack.node, lack.program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lack(node: &str, program: &str, package: Option<&'static str>) -> Lack {
        Lack { node: node.into(), is_full: true, program: program.into(), user: None, package }
    }

    #[test]
    fn all_that_is_missing_is_told_with_both_remedies() {
        let error = refusal(&[lack("dns", "named", Some("bind9")), lack("r1", "zebra", Some("frr"))]);
        assert_eq!(
            error.to_string(),
            "error[K008]: programs of the lab's nodes are not installed\n  \
             = node `dns`: `named` (package bind9)\n  \
             = node `r1`: `zebra` (package frr)\n  \
             = help: `sudo apt install bind9 frr`; or, with the machine left as it is, \
             `netyard layer build bind9 --apt bind9,frr` and `layers: [bind9]` in the node"
        );
    }

    #[test]
    fn of_an_unknown_program_only_its_absence_is_known() {
        let error = refusal(&[lack("web", "my-server", None)]);
        assert_eq!(error.to_string(), "error[K008]: `my-server` of node `web` is not installed");
    }

    #[test]
    fn programs_of_the_machine_are_found() {
        let none = BTreeMap::new();
        let machine = Found { layers: &none, users: "root:x:0:0::/:/bin/sh\n".into() };
        assert!(machine.has_program("sh", &[]) && machine.has_program("/bin/sh", &[]));
        assert!(!machine.has_program("no-such-program", &[]) && !machine.has_program("/bin/no-such", &[]));
        assert!(machine.has_user("root", &[]) && !machine.has_user("roo", &[]));
    }
}

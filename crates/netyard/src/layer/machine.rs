//! Before a lab is built: are its layers, programs and daemons' users there?

use super::{Layer, Layers, named};
use crate::error::{Error, Result};
use netyard_core::lab::{Lab, NodeKind};
use netyard_core::layer::{Lack, Machine, lacking, remedy, user_of};
use netyard_kernel::subid;
use std::collections::BTreeMap;
use std::fs;
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
/// Most lacks that are told one by one.
const SHOWN_MAX: usize = 20;

/// Refuses a lab that names layers which are not there, or runs programs which nobody has installed: all of them at once.
///
/// # Errors
/// What is missing, who needs it, and what brings it.
pub fn check(lab: &Lab) -> Result<()> {
    let layers = layers_of(lab)?;
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

/// What an ordinary user without subordinate ids should know of a lab with daemons that have users of their own.
#[must_use]
pub fn advice(lab: &Lab) -> Option<String> {
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

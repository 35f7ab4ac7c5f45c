//! Labs of Kathara, from their folders.

mod check;

pub use check::check;

use crate::definition::{Lab, refused};
use crate::error::{Error, Result};
use crate::layer::Layers;
use netyard_core::diagnostic::{Code, Diagnostic, Style};
use netyard_core::feature::Kind;
use netyard_core::kathara::report::Problem;
use netyard_core::kathara::{self, DeviceNeed, Folder, Imported, What, Wishes};
use netyard_core::layer::LayerName;
use netyard_core::name::{LabName, NodeName};
use netyard_kernel::feature::{Availability, Reason, probe_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Longest text that is looked into, in bytes; longer ones are copied into devices all the same.
const TEXT_LEN_MAX: u64 = 1 << 20;
/// Folders of a device's tree whose files are looked into.
const LOOKED_INTO: [&str; 2] = ["etc/bind", "etc/frr"];

/// A lab of Kathara that can be brought up.
#[derive(Debug)]
pub struct KatharaLab {
    /// What is brought up.
    pub lab: Lab,
    /// What it was made of, and how true it is.
    pub imported: Imported,
}

/// Reads the lab in a folder. With `tries_all` what its scripts need and this machine lacks is a warning only.
///
/// # Errors
/// Every problem of its files; images, programs and parts of the kernel that are not here, each with the device and line
/// that needs it.
pub fn load(folder: &Path, wishes: &Wishes, tries_all: bool, style: Style) -> Result<KatharaLab> {
    let path = canonical(folder)?;
    let texts = read(&path)?;
    let mut imported =
        kathara::import(&texts, wishes).map_err(|problems| refused_all(&problems, folder, style))?;
    let lacks = lacks(&mut imported);
    if !lacks.is_empty() && !tries_all {
        return Err(refused_all(&lacks, folder, style));
    }
    let mut lab = Lab::from_definition(imported.lab.clone()).of_file(path.join("lab.conf")).keeping_changes();
    let warnings = imported.warnings.iter().chain(&lacks);
    lab.warnings = warnings.map(|problem| problem.diagnostic.render(&problem.source, style)).collect();
    Ok(KatharaLab { lab, imported })
}

/// The name under which the lab in a folder runs, and the file that it is known by.
///
/// # Errors
/// That there is no such folder.
pub fn identity(folder: &Path) -> Result<(LabName, PathBuf)> {
    let path = canonical(folder)?;
    let file = path.join("lab.conf");
    let conf = text_within(&path, &file).unwrap_or_default();
    Ok((kathara::lab_name(&name_of(&path), &conf), file))
}

/// The node of each device of a running lab, by the device's name.
#[must_use]
pub fn devices(lab: &netyard_core::lab::Lab) -> BTreeMap<String, NodeName> {
    let devices = lab.nodes.iter().filter(|node| is_device(node));
    devices.map(|node| (node.hostname().to_owned(), node.name.clone())).collect()
}

/// Whether a node is a device: the one behind which the world is for those that are bridged is none.
#[must_use]
pub fn is_device(node: &netyard_core::lab::Node) -> bool {
    node.labels.contains_key(kathara::IMAGE_LABEL)
}

/// Another state of the lab in a folder, which runs.
///
/// # Errors
/// That there is no such folder.
pub fn change(lab: netyard_core::lab::Lab, folder: &Path) -> Result<Lab> {
    Ok(Lab::from_definition(lab).of_file(canonical(folder)?.join("lab.conf")).keeping_changes())
}

/// The name servers that the machine asks and that are not the machine itself (resolv.conf(5)); those behind the
/// resolver of systemd where that is what it asks.
#[must_use]
pub fn name_servers() -> Vec<IpAddr> {
    let of = |path: &str| -> Vec<IpAddr> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let words = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver "));
        words
            .filter_map(|word| word.trim().parse().ok())
            .filter(|server: &IpAddr| !server.is_loopback())
            .collect()
    };
    let servers = of("/etc/resolv.conf");
    if servers.is_empty() { of("/run/systemd/resolve/resolv.conf") } else { servers }
}

fn canonical(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().map_err(|error| {
        Error::input("U007", format!("cannot read the folder {}: {error}", folder.display()))
            .help("`-d FOLDER` says where the lab is")
    })
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| "lab".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// What lies in the folder of a lab, as far as it is looked into.
///
/// # Errors
/// That it cannot be read; that `lab.conf` is not text.
fn read(path: &Path) -> Result<Folder> {
    let unreadable =
        |error: &io::Error| Error::input("U007", format!("cannot read {}: {error}", path.display()));
    let mut folder = Folder { name: name_of(path), ..Folder::default() };
    for entry in fs::read_dir(path).map_err(|e| unreadable(&e))? {
        let entry = entry.map_err(|e| unreadable(&e))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_script = name.ends_with(".startup") || name.ends_with(".shutdown");
        if entry.path().is_dir() {
            if name == "shared" && entry.path().is_symlink() {
                let title = format!("{} is a symbolic link", entry.path().display());
                return Err(Error::input("U007", title).help("`shared` must be a folder of the lab's own"));
            }
            folder.folders.insert(name);
        } else if matches!(name.as_str(), "lab.conf" | "lab.dep" | "lab.ext" | "kathara.conf")
            && entry.path().is_file()
        {
            let text = fs::read(entry.path()).map_err(|e| unreadable(&e))?;
            let text = String::from_utf8(text).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                Error::input("Y001", format!("{name} is not UTF-8 text: byte {at} begins no character"))
                    .help("save the file as UTF-8")
            })?;
            folder.texts.insert(name, text);
        } else if is_script {
            let text = text_within(path, &entry.path()).unwrap_or_default();
            folder.texts.insert(name, text);
        }
    }
    for device in &folder.folders {
        for below in LOOKED_INTO {
            let place = format!("{device}/{below}");
            for file in fs::read_dir(path.join(&place)).into_iter().flatten().flatten() {
                let text = text_within(path, &file.path());
                let name = file.file_name().into_string().ok();
                folder.texts.extend(name.zip(text).map(|(name, text)| (format!("{place}/{name}"), text)));
            }
        }
    }
    Ok(folder)
}

/// The text of a file of a lab; none for what is no text, is too long, or lies outside of the lab's folder.
fn text_within(folder: &Path, path: &Path) -> Option<String> {
    let real = path.canonicalize().ok().filter(|real| real.starts_with(folder))?;
    let of = fs::metadata(&real).ok()?;
    if !of.is_file() || of.len() > TEXT_LEN_MAX {
        return None;
    }
    fs::read(&real).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// What the lab's scripts and images need and this machine lacks. Nodes get the package layers that bring what the machine
/// does not have.
fn lacks(imported: &mut Imported) -> Vec<Problem> {
    let kinds: BTreeSet<&str> = imported.needs.iter().filter_map(feature_of).map(Kind::name).collect();
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kinds.contains(kind.name())).collect();
    let found = if kinds.is_empty() { None } else { Some(probe_of(&kinds)) };
    let layers = Layers::of_user();
    let mut lacks = Vec::new();
    for need in imported.needs.clone() {
        let diagnostic = match need.what {
            What::Feature(kind) => {
                let list = found.iter().flat_map(|found| &found.list);
                let missing =
                    list.filter(|feature| feature.kind == kind).find_map(|f| match &f.availability {
                        Availability::Missing(reason) => Some(reason),
                        Availability::Available | Availability::Untried => None,
                    });
                missing.map(|reason| without_feature(&need, kind, reason))
            }
            What::Program(what, file, package) => {
                match Path::new(file).exists() || add_layer(imported, &layers, &need, package) {
                    true => None,
                    false => Some(without_program(&need, what, package)),
                }
            }
        };
        lacks.extend(diagnostic.map(|diagnostic| Problem { source: need.source, diagnostic }));
    }
    lacks
}

fn feature_of(need: &DeviceNeed) -> Option<Kind> {
    if let What::Feature(kind) = need.what { Some(kind) } else { None }
}

/// Gives the node of a device the layer of that package, where it is built.
fn add_layer(imported: &mut Imported, layers: &Layers, need: &DeviceNeed, package: &str) -> bool {
    let Some(node) = imported.nodes.get(&need.device).cloned() else { return false };
    let Some(node) = imported.lab.nodes.iter_mut().find(|other| other.name == node) else { return false };
    let image = node
        .labels
        .get(kathara::IMAGE_LABEL)
        .map(|image| image.split(':').next().unwrap_or(image).to_owned());
    let names = image.into_iter().chain([package.to_owned()]);
    let mut built = names.filter(|name| LayerName::new(name).is_ok_and(|name| layers.find(&name).is_ok()));
    let Some(name) = built.next() else { return false };
    if !node.root.layers.contains(&name) {
        node.root.layers.push(name);
    }
    true
}

fn without_feature(need: &DeviceNeed, kind: Kind, reason: &Reason) -> Diagnostic {
    let noun = kind.noun();
    let title = match kind.module() {
        ("", _) => format!("this kernel has no {noun}"),
        (module, option) => format!("this kernel has no {noun} ({option}; module {module})"),
    };
    let problem = Diagnostic::new(Code::KernelLacksFeature, need.span).title(title);
    let problem = problem.label(format!("device `{}` needs it", need.device)).kernel(&reason.why);
    let help = "`--force` starts the lab all the same: this line will fail";
    problem.help(reason.remedy.as_ref().map_or_else(|| help.to_owned(), |remedy| format!("{remedy}; {help}")))
}

fn without_program(need: &DeviceNeed, what: &str, package: &str) -> Diagnostic {
    let problem = Diagnostic::new(Code::ProgramNotFound, need.span).title(format!("{what} is not installed"));
    let problem = problem.label(format!("device `{}` starts it", need.device));
    problem.help(format!(
        "`apt install {package}`, or `netyard layer build {package} --apt {package}`, which leaves the machine as it is; \
         `--force` starts the lab all the same"
    ))
}

/// All problems of a lab's files, rendered.
fn refused_all(problems: &[Problem], folder: &Path, style: Style) -> Error {
    let rendered = problems
        .iter()
        .map(|problem| (problem.diagnostic.code, problem.diagnostic.render(&problem.source, style)));
    refused(rendered, &folder.display().to_string())
}

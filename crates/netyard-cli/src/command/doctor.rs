//! `netyard doctor`: what this machine allows.

mod text;

use crate::args::Json;
use crate::output::theme::Theme;
use crate::output::{self, json};
use netyard::Result;
use netyard::layer::Layers;
use netyard::store::Store;
use netyard_core::name::LabName;
use netyard_kernel::feature::{
    self, Availability, BridgeNetfilter, Facts, Feature, Features, ForwardPolicy, Kind,
};
use netyard_kernel::subid;
use serde::Serialize;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What every lab needs.
const NEEDED: [Kind; 3] = [Kind::Veth, Kind::Bridge, Kind::FreshProc];

#[derive(Debug, Serialize)]
struct Report {
    /// Whether labs can run here.
    ok: bool,
    kernel: String,
    uid: u32,
    /// Why there are no namespaces, where there are none.
    namespaces: Finding,
    features: Vec<FeatureReport>,
    machine: Vec<Fact>,
    folders: Vec<Folder>,
    /// Labs that run.
    labs: Vec<LabName>,
    /// Sockets that killed labs had left, now removed.
    removed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Finding {
    state: FindingState,
    /// What the kernel answered.
    why: Option<String>,
    /// What helps.
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum FindingState {
    Available,
    Missing,
    Untried,
}

#[derive(Debug, Serialize)]
struct FeatureReport {
    name: &'static str,
    needed_for: &'static str,
    #[serde(flatten)]
    finding: Finding,
}

/// Something of the machine that decides how large labs may be or how they behave.
#[derive(Debug, Serialize)]
struct Fact {
    name: &'static str,
    value: String,
    meaning: &'static str,
}

#[derive(Debug, Serialize)]
struct Folder {
    path: PathBuf,
    state: FolderState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum FolderState {
    /// It holds labs, or can.
    Ours,
    /// It is made when a lab needs it.
    Absent,
    /// Others own it or can look into it: not used.
    NotOurs,
}

pub fn run(args: &Json) -> Result<ExitCode> {
    let store = Store::of_user();
    let before = socket_names(&store);
    let labs = store.labs()?;
    let after = socket_names(&store);
    let features = feature::probe();
    let facts = feature::facts();
    let report = Report {
        ok: features.no_namespaces.is_none() && NEEDED.iter().all(|kind| features.has(*kind)),
        kernel: facts.kernel_release.clone(),
        uid: rustix::process::geteuid().as_raw(),
        namespaces: namespaces(&features),
        features: features.list.into_iter().map(feature_report).collect(),
        machine: machine(&facts),
        folders: store.folders().iter().map(|path| folder(path)).collect(),
        labs,
        removed: before.difference(&after).cloned().collect(),
    };
    if args.json {
        json::print("doctor", &report);
    } else {
        output::print(&text::text(&report, Theme::of_output()));
    }
    Ok(ExitCode::from(if report.ok { 0 } else { 3 }))
}

fn namespaces(features: &Features) -> Finding {
    match &features.no_namespaces {
        None => Finding { state: FindingState::Available, why: None, remedy: None },
        Some(reason) => Finding {
            state: FindingState::Missing,
            why: Some(reason.why.clone()),
            remedy: reason.remedy.clone(),
        },
    }
}

fn feature_report(feature: Feature) -> FeatureReport {
    let (state, why, remedy) = match feature.availability {
        Availability::Available => (FindingState::Available, None, None),
        Availability::Missing(reason) => (FindingState::Missing, Some(reason.why), reason.remedy),
        Availability::Untried => (FindingState::Untried, None, None),
    };
    FeatureReport {
        name: feature.kind.name(),
        needed_for: feature.kind.needed_for(),
        finding: Finding { state, why, remedy },
    }
}

fn machine(facts: &Facts) -> Vec<Fact> {
    let number = |value: Option<u64>| value.map_or_else(|| "not known".to_owned(), |n| n.to_string());
    let limit = |value: Option<u64>| value.map_or_else(|| "no limit".to_owned(), |n| n.to_string());
    let fact = |name, value, meaning| Fact { name, value, meaning };
    let (soft, hard) = facts.open_files;
    let subuids: u64 = facts.subuids.iter().map(|range| u64::from(range.count)).sum();
    vec![
        fact(
            "user namespaces",
            number(facts.user_namespaces_max),
            "two for each lab (user.max_user_namespaces)",
        ),
        fact(
            "network namespaces",
            number(facts.net_namespaces_max),
            "one for each node, one for the bridges (user.max_net_namespaces)",
        ),
        fact(
            "open files",
            format!("{} of {}", limit(soft), limit(hard)),
            "the lab raises the first to the second",
        ),
        fact(
            "neighbour entries",
            number(facts.neighbours_max),
            "shared by all labs (net.ipv4.neigh.default.gc_thresh3); `arp: static` does without",
        ),
        fact("subordinate users", subuids.to_string(), "of this user in /etc/subuid"),
        fact("users in full nodes", users_of_nodes(), "daemons that are not root, and package layers"),
        fact(
            "overlayfs",
            match facts.has_overlay {
                true => "yes",
                false => "not loaded (module overlay)",
            }
            .to_owned(),
            "files of full nodes, and package layers",
        ),
        fact("package layers", layers(), "for full nodes (`netyard layer`)"),
        fact(
            "bridge netfilter",
            match facts.bridge_netfilter {
                BridgeNetfilter::Absent => "not loaded",
                BridgeNetfilter::Off => "off",
                BridgeNetfilter::On => "on",
            }
            .to_owned(),
            "off in every lab, whatever it is here",
        ),
        fact(
            "forward policy",
            match &facts.forward_policy {
                ForwardPolicy::Accepts => "accept".to_owned(),
                ForwardPolicy::Drops(chains) => format!("drop ({})", chains.join(", ")),
                ForwardPolicy::Unknown(why) => format!("not known ({why})"),
            },
            "matters to nodes of kind host only",
        ),
    ]
}

/// Whether nodes can have users other than root.
fn users_of_nodes() -> String {
    match subid::of_caller() {
        Ok(_) => "as on the machine".to_owned(),
        Err(lack) => format!("root only: {lack}; {}", lack.remedy()),
    }
}

fn layers() -> String {
    let layers = Layers::of_user().list();
    let names: Vec<&str> = layers.iter().map(|layer| layer.manifest.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn folder(path: &Path) -> Folder {
    let state = match std::fs::symlink_metadata(path) {
        Err(_) => FolderState::Absent,
        Ok(metadata) => {
            let is_ours = metadata.is_dir()
                && metadata.uid() == rustix::process::geteuid().as_raw()
                && metadata.mode() & 0o077 == 0;
            if is_ours { FolderState::Ours } else { FolderState::NotOurs }
        }
    };
    Folder { path: path.to_owned(), state }
}

/// Names of labs for which there is a socket, alive or not.
fn socket_names(store: &Store) -> BTreeSet<String> {
    let usable = store.folders().iter().filter(|path| folder(path).state == FolderState::Ours);
    let entries = usable.flat_map(|path| std::fs::read_dir(path).into_iter().flatten().flatten());
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| LabName::new(name).is_ok()).collect()
}

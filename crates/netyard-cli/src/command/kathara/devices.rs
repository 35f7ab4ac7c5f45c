//! `netyard kathara linfo` and `list`: devices that run.

use super::startup::{self, State};
use super::{must_run, node_of};
use crate::args::kathara::{Linfo, List};
use crate::output::table::{aligned, heading};
use crate::output::theme::{Cell, Label, Theme};
use crate::output::{self, json};
use netyard::kathara::{identity, is_device};
use netyard::store::Store;
use netyard::{Error, Result, RunningLab};
use netyard_core::diagnostic::Source;
use netyard_core::kathara::connect::domain_of;
use netyard_core::kathara::{IMAGE_LABEL, conf};
use netyard_core::lab::Node;
use netyard_core::name::NodeName;
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;

#[derive(Serialize)]
struct Devices {
    devices: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    lab: String,
    device: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    image: String,
    interfaces: Vec<String>,
}

#[derive(Serialize)]
struct Conf {
    metadata: BTreeMap<String, String>,
    devices: usize,
    links: usize,
}

pub fn linfo(args: &Linfo) -> Result<ExitCode> {
    if args.conf {
        return of_conf(args);
    }
    let lab = must_run(&args.place.directory)?;
    let only = args.name.as_deref().map(|name| node_of(&lab, name)).transpose()?;
    if args.json {
        json::print("kathara-linfo", &Devices { devices: rows(&lab, only.as_ref())? });
        return Ok(ExitCode::SUCCESS);
    }
    print(&lab, only.as_ref())?;
    Ok(ExitCode::SUCCESS)
}

/// What `lab.conf` says, whether the lab runs or not.
fn of_conf(args: &Linfo) -> Result<ExitCode> {
    let (_, file) = identity(&args.place.directory)?;
    let unreadable = |error| Error::input("U007", format!("cannot read {}: {error}", file.display()));
    let source = Source::new("lab.conf", std::fs::read_to_string(&file).map_err(unreadable)?);
    let (conf, _) = conf::parse(&source).map_err(|problems| {
        let mut error = Error::input("I001", format!("{} has problems", file.display()));
        error.report =
            Some(problems.iter().map(|problem| problem.render(&source, output::style()) + "\n").collect());
        error
    })?;
    let domains: std::collections::BTreeSet<&str> =
        conf.devices.iter().flat_map(|device| &device.interfaces).map(|i| i.domain.as_str()).collect();
    let metadata = conf.metadata.iter().map(|(word, at)| (word.clone(), at.value.clone())).collect();
    let found = Conf { metadata, devices: conf.devices.len(), links: domains.len() };
    if args.json {
        json::print("kathara-conf", &found);
        return Ok(ExitCode::SUCCESS);
    }
    for (word, value) in &found.metadata {
        output::print(&format!("{word}: {value}\n"));
    }
    let (devices, domains) =
        (output::count(found.devices, "device"), output::count(found.links, "collision domain"));
    output::print(&format!("{devices}, {domains}\n"));
    Ok(ExitCode::SUCCESS)
}

pub fn list(args: &List) -> Result<ExitCode> {
    let store = Store::of_user();
    let mut devices = Vec::new();
    for name in store.labs()? {
        // A lab that ends while we look is not in the list.
        let found = RunningLab::find(&name, &store).and_then(|lab| Ok((lab.description()?.file, lab)));
        let Ok((Some(file), lab)) = found else { continue };
        if file.ends_with("lab.conf") {
            devices.extend(rows(&lab, None).unwrap_or_default());
        }
    }
    devices.retain(|row| args.name.as_ref().is_none_or(|name| *name == row.device));
    match args.json {
        true => json::print("kathara-list", &Devices { devices }),
        false => drop(output::print(&table(&devices))),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the devices of a lab, or one of them.
pub fn print(lab: &RunningLab, only: Option<&NodeName>) -> Result<()> {
    output::print(&table(&rows(lab, only)?));
    Ok(())
}

fn rows(lab: &RunningLab, only: Option<&NodeName>) -> Result<Vec<Row>> {
    let definition = lab.definition()?;
    let is_meant = |node: &&Node| is_device(node) && only.is_none_or(|only| node.name == *only);
    let nodes: Vec<&Node> = definition.nodes.iter().filter(is_meant).collect();
    let names: Vec<NodeName> = nodes.iter().map(|node| node.name.clone()).collect();
    let states = startup::states(lab, &names)?;
    let row = |(node, state): (&&Node, startup::Device)| Row {
        lab: lab.name().to_string(),
        device: state.device,
        status: state.state.word(),
        failure: state.failure,
        image: node.labels.get(IMAGE_LABEL).cloned().unwrap_or_default(),
        interfaces: node.interfaces.iter().map(|i| format!("{}:{}", i.name, domain_of(node, i))).collect(),
    };
    Ok(nodes.iter().zip(states).map(row).collect())
}

fn table(rows: &[Row]) -> String {
    let mut cells = vec![heading(["LAB", "DEVICE", "STATUS", "IMAGE", "INTERFACES"])];
    for row in rows {
        let label = if row.status == State::Failed.word() { Label::Bad } else { Label::Good };
        cells.push([
            Cell::plain(&row.lab),
            Cell::new(Label::Node, &row.device),
            Cell::new(label, row.status),
            Cell::new(Label::Quiet, &row.image),
            Cell::plain(row.interfaces.join(" ")),
        ]);
    }
    aligned(&cells, Theme::of_output())
}

//! `netyard kathara lstart`: start a lab, or some of its devices.

use super::{devices, running, startup};
use crate::args::kathara::Lstart;
use crate::output::{self, Progress, json};
use netyard::kathara::{KatharaLab, change, devices as devices_of, is_device, load, name_servers};
use netyard::protocol::Changes;
use netyard::store::Store;
use netyard::{Error, Result, RunningLab};
use netyard_core::kathara::Wishes;
use netyard_core::kathara::report::{Fidelity, Remark};
use netyard_core::lab::{Lab, Node};
use netyard_core::name::NodeName;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Serialize)]
struct Started<'a> {
    lab: &'a str,
    devices: Vec<startup::Device>,
    milliseconds: u128,
    report: &'a [Remark],
}

pub fn run(args: &Lstart) -> Result<ExitCode> {
    args.unused.notes().iter().for_each(|note| output::say(&format!("note: {note}")));
    let folder = &args.place.directory;
    let mut wishes = wishes(args)?;
    let present = if args.devices.is_empty() { None } else { running(folder)? };
    let present = present.map(|lab| lab.definition()).transpose()?;
    // Devices that run already go on.
    wishes.only.extend(present.iter().flat_map(|lab| devices_of(lab).into_keys()));
    let KatharaLab { mut lab, imported } = load(folder, &wishes, args.force, output::style())?;
    lab.warnings.iter().for_each(|warning| output::say(warning.trim_end()));
    if let Some(present) = &present {
        lab = change(joined(lab.definition().clone(), present), folder)?;
    }
    if args.print {
        return printed(args, lab.definition().name.as_str(), &imported.remarks);
    }
    if wishes.makes_shared {
        let shared = folder.join("shared");
        std::fs::create_dir_all(&shared)
            .map_err(|error| Error::input("U007", format!("cannot make {}: {error}", shared.display())))?;
    }
    let told = imported.remarks.iter().filter(|remark| remark.fidelity != Fidelity::Used);
    told.for_each(|remark| output::say(&remark.to_string()));
    let begun = Instant::now();
    let mut progress = Progress::new(format!("starting lab {lab}"));
    if imported.is_ordered {
        start_in_order(lab.definition(), folder)?;
    }
    let upped = lab.up_named(&Store::of_user(), &mut |done, all| progress.at(done, all))?;
    drop(progress);
    let milliseconds = begun.elapsed().as_millis();
    let started = devices_of(lab.definition());
    let count = output::count(started.len(), "device");
    match upped.changes.as_ref().is_some_and(Changes::is_empty) {
        true => output::say(&format!("lab {lab} runs already: {count}")),
        false => output::say(&format!("lab {lab} is up: {count}, {milliseconds} ms")),
    }
    let nodes: Vec<NodeName> = started.into_values().collect();
    let limit = if args.no_wait { std::time::Duration::ZERO } else { startup::LIMIT };
    let devices = startup::wait_for(&upped.lab, &nodes, limit)?;
    if !args.no_wait {
        startup::tell(&devices);
    }
    if args.json {
        let report = imported.remarks.as_slice();
        json::print(
            "kathara-lstart",
            &Started { lab: upped.lab.name().as_str(), devices, milliseconds, report },
        );
    } else if args.list {
        devices::print(&upped.lab, None)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The lab with the devices that run as they are: `lconfig` may have connected them otherwise than `lab.conf` says.
fn joined(mut lab: Lab, present: &Lab) -> Lab {
    for node in &mut lab.nodes {
        if let Some(own) = present.node(node.name.as_str()).filter(|own| own.hostname() == node.hostname()) {
            node.clone_from(own);
        }
    }
    for network in &present.networks {
        if lab.network(network.name.as_str()).is_none() {
            lab.networks.push(network.clone());
        }
    }
    lab
}

/// Starts all devices but the last one, each when the script of the one before has begun. A lab that runs keeps what it has.
fn start_in_order(definition: &Lab, folder: &Path) -> Result<()> {
    let present = running(folder)?;
    let running = present.as_ref().map(RunningLab::definition).transpose()?;
    let runs = |node: &Node| running.as_ref().is_some_and(|lab| lab.node(node.name.as_str()).is_some());
    let result = (1..definition.nodes.len()).try_for_each(|count| {
        let (started, rest) = definition.nodes.split_at(count);
        let last = &started[count - 1];
        if runs(last) || !is_device(last) {
            return Ok(());
        }
        let mut lab = definition.clone();
        // What is no device is there from the beginning, for those that are bridged.
        let present = rest.iter().filter(|node| runs(node) || !is_device(node));
        lab.nodes = started.iter().chain(present).cloned().collect();
        let upped = change(lab, folder)?.up_named(&Store::of_user(), &mut |_, _| {})?;
        startup::wait_until_begun(&upped.lab, &last.name)
    });
    if let (Err(_), None, Some(lab)) = (&result, present, super::running(folder)?) {
        super::remove(lab.name())?;
    }
    result
}

fn wishes(args: &Lstart) -> Result<Wishes> {
    Ok(Wishes {
        overrides: overrides(&args.pass)?,
        takes_folders: args.force_lab,
        only: args.devices.iter().cloned().collect(),
        except: args.exclude.iter().cloned().collect(),
        makes_shared: args.shared,
        hides_shared: args.no_shared,
        uplink: if args.uplink { Some(name_servers()) } else { None },
    })
}

/// `NAME=VALUE`, of each.
pub fn overrides(words: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |word: &String| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    words
        .iter()
        .map(|word| {
            let wrong = || Error::input("U011", format!("`-o {word}` is not an option with its value"));
            pair(word).ok_or_else(|| wrong().help("`-o NAME=VALUE`, for example `-o ipv6=true`"))
        })
        .collect()
}

/// What would be started, and how true it would be.
fn printed(args: &Lstart, lab: &str, remarks: &[Remark]) -> Result<ExitCode> {
    if args.json {
        json::print(
            "kathara-lstart",
            &Started { lab, devices: Vec::new(), milliseconds: 0, report: remarks },
        );
    } else {
        for remark in remarks {
            output::print(&format!("{remark}\n"));
        }
        output::say(&format!("lab {lab} can be started"));
    }
    Ok(ExitCode::SUCCESS)
}

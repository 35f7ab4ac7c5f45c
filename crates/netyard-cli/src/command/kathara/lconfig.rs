//! `netyard kathara lconfig`: connect a running device to collision domains, and disconnect it.

use super::{must_run, node_of};
use crate::args::kathara::Lconfig;
use crate::output;
use netyard::kathara::change;
use netyard::store::Store;
use netyard::{Error, Result};
use netyard_core::kathara::connect;
use netyard_core::lab::Lab;
use std::path::Path;
use std::process::ExitCode;

pub fn run(args: &Lconfig) -> Result<ExitCode> {
    let folder = &args.place.directory;
    let lab = must_run(folder)?;
    let node = node_of(&lab, &args.name)?;
    let mut definition = lab.definition()?;
    let wrong =
        |reason: String| Error::input("I003", reason).help("`netyard kathara linfo` shows its interfaces");
    for domain in &args.add {
        let interface = connect::add(&mut definition, &node, domain).map_err(wrong)?;
        output::say(&format!("{}: {interface} on {domain}", args.name));
    }
    for domain in &args.rm {
        let interface = connect::remove(&mut definition, &node, domain).map_err(wrong)?;
        output::say(&format!("{}: {interface} is gone", args.name));
    }
    apply(definition, folder)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes this of the lab of a folder, which runs.
pub fn apply(mut lab: Lab, folder: &Path) -> Result<()> {
    let used = |network: &netyard_core::lab::Network| {
        lab.nodes.iter().flat_map(|node| &node.interfaces).any(|interface| interface.network == network.name)
    };
    let networks = lab.networks.iter().filter(|network| used(network)).cloned().collect();
    lab.networks = networks;
    change(lab, folder)?.up_named(&Store::of_user(), &mut |_, _| {}).map(drop)
}

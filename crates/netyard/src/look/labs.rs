//! The namespaces of running labs, as their holders name them.

use super::discover::Discovery;
use crate::connection::unexpected;
use crate::error::Result;
use crate::protocol::{Reply, Request};
use crate::running::RunningLab;
use crate::sandbox::MACHINE;
use crate::store::Store;
use netyard_core::name::LabName;
use netyard_core::road::Road;
use netyard_core::state::Ns;
use std::os::fd::OwnedFd;

/// What the holder of a lab keeps.
#[derive(Debug, Default)]
pub(super) struct LabNamespaces {
    /// The lab's name.
    pub(super) name: String,
    /// All nodes, and the fabric, each with how a command is typed there.
    pub(super) namespaces: Vec<(Ns, OwnedFd, Road)>,
    /// The words before a command for the machine of a sandbox, from which one gets to what was made there.
    pub(super) machine: Option<String>,
    /// The lab's user namespace, where it has one.
    pub(super) users: Vec<OwnedFd>,
    /// Mount namespaces of what persons have started in the lab.
    pub(super) rooms: Vec<OwnedFd>,
}

/// Asks the holder.
pub(super) fn of_lab(lab: &RunningLab) -> Result<LabNamespaces> {
    let option = option(lab.name());
    let exec = |node: &dyn std::fmt::Display| format!("netyard exec{option} {node} --");
    let road = |ns: &Ns| match ns {
        Ns::Node(node) => Road::Before(exec(node)),
        // A shell without a node is where the bridges are.
        Ns::Fabric => Road::Into(format!("netyard shell{option}")),
    };
    let machine = lab.description()?.is_sandbox.then(|| exec(&MACHINE));
    let mut all = LabNamespaces { name: lab.name().to_string(), machine, ..LabNamespaces::default() };
    loop {
        match lab.ask(&Request::Namespaces { after: all.namespaces.len() })? {
            (Reply::Namespaces(told), fds) => {
                let mut fds = fds.into_iter();
                let count = told.names.len();
                let found = told.names.into_iter().zip(fds.by_ref());
                all.namespaces.extend(found.map(|(ns, fd)| (ns.clone(), fd, road(&ns))));
                if told.has_user_namespace {
                    all.users = fds.by_ref().take(1).collect();
                }
                all.rooms = fds.collect();
                if count == 0 || all.namespaces.len() >= told.all {
                    return Ok(all);
                }
            }
            (other, _) => return Err(unexpected(&other)),
        }
    }
}

/// `-l LAB`, where commands would not mean this lab without it.
fn option(lab: &LabName) -> String {
    let is_only = Store::of_user().labs().is_ok_and(|labs| labs == [lab.clone()]);
    let chosen = std::env::var("NETYARD_LAB").ok().filter(|name| !name.is_empty());
    match chosen {
        Some(name) if name == lab.as_str() => String::new(),
        None if is_only => String::new(),
        _ => format!(" -l {lab}"),
    }
}

impl Discovery {
    /// Adds the namespaces of all of the caller's labs that run, named `LAB.NODE`.
    pub(super) fn add_all_labs(&mut self) {
        let store = Store::of_user();
        for name in store.labs().unwrap_or_default() {
            // One that ends while we look has no namespaces.
            let Ok(lab) = RunningLab::find(&name, &store) else { continue };
            let Ok(mut namespaces) = of_lab(&lab) else { continue };
            for (ns, ..) in &mut namespaces.namespaces {
                *ns = Ns::Node(netyard_core::look::label::label(&format!("{name}.{ns}")));
            }
            let _ = self.add_lab(namespaces);
        }
    }
}

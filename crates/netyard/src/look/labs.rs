//! The namespaces of running labs, as their holders name them.

use super::discover::Discovery;
use crate::connection::unexpected;
use crate::error::Result;
use crate::protocol::{Reply, Request};
use crate::running::RunningLab;
use crate::store::Store;
use netyard_core::state::Ns;
use std::os::fd::OwnedFd;

/// What the holder of a lab keeps.
#[derive(Debug, Default)]
pub(super) struct LabNamespaces {
    /// The lab's name.
    pub(super) name: String,
    /// All nodes, and the fabric.
    pub(super) namespaces: Vec<(Ns, OwnedFd)>,
    /// The lab's user namespace, where it has one.
    pub(super) users: Vec<OwnedFd>,
    /// Mount namespaces of what persons have started in the lab.
    pub(super) rooms: Vec<OwnedFd>,
}

/// Asks the holder.
pub(super) fn of_lab(lab: &RunningLab) -> Result<LabNamespaces> {
    let mut all = LabNamespaces { name: lab.name().to_string(), ..LabNamespaces::default() };
    loop {
        match lab.ask(&Request::Namespaces { after: all.namespaces.len() })? {
            (Reply::Namespaces(told), fds) => {
                let mut fds = fds.into_iter();
                let count = told.names.len();
                all.namespaces.extend(told.names.into_iter().zip(fds.by_ref()));
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

impl Discovery {
    /// Adds the namespaces of all of the caller's labs that run, named `LAB.NODE`.
    pub(super) fn add_all_labs(&mut self) {
        let store = Store::of_user();
        for name in store.labs().unwrap_or_default() {
            // One that ends while we look has no namespaces.
            let Ok(lab) = RunningLab::find(&name, &store) else { continue };
            let Ok(mut namespaces) = of_lab(&lab) else { continue };
            for (ns, _) in &mut namespaces.namespaces {
                *ns = Ns::Node(netyard_core::look::label::label(&format!("{name}.{ns}")));
            }
            let _ = self.add_lab(namespaces);
        }
    }
}

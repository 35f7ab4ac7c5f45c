//! `netyard look`: finds network namespaces, whoever made them, and reads what is in them. Nothing is changed.

mod describe;
mod discover;
mod labs;
pub(crate) mod netfilter;
mod reading;
mod select;
mod sockets;

use crate::error::{Error, Result};
use crate::running::RunningLab;
use netyard_core::look::Look;
pub use netyard_kernel::netlink::monitor::Monitor;
use netyard_kernel::process::HOLDER_ARGV0;
use std::path::Path;

pub(crate) use discover::hostname;
pub use discover::{Discovery, Found};
pub use reading::Reading;
pub(crate) use reading::{reading, refusal};

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// The caller's namespace, those that it is cabled to, and those that have a name in the caller's mounts. Inside
    /// of a lab or sandbox, all that is there.
    Here,
    /// The namespace of a process, and those that it is cabled to.
    Process(u32),
    /// The namespace of this name or path (ip-netns(8)), and those that it is cabled to.
    Named(&'a str),
    /// All namespaces of the machine, as far as the caller may see them.
    Host,
    /// A running lab: its nodes, its fabric, and what was made inside of it.
    Lab(&'a RunningLab),
}

/// Looks.
///
/// # Errors
/// That there is no such process, name or lab. What the kernel does not let the caller see is no error: it is told in
/// the result.
pub fn look(scope: Scope<'_>) -> Result<Look> {
    let (discovery, title) = discover_all(scope)?;
    let readings = reading::read(&discovery)?;
    let mut look = describe::look(&title, &discovery, readings);
    match scope {
        Scope::Here if !is_inside_lab() => select::around_here(&mut look),
        Scope::Process(_) | Scope::Named(_) => select::around(&mut look, discovery.wanted()),
        Scope::Lab(_) => {
            select::of_lab(&mut look, &discovery);
            // Other users' processes are not in it.
            look.notes.clear();
        }
        Scope::Here | Scope::Host => {}
    }
    sockets::add_processes(&mut look);
    look.explain_rules();
    Ok(look)
}

/// Finds all namespaces, and gives each a name; with a title for all of it.
pub(crate) fn discover_all(scope: Scope<'_>) -> Result<(Discovery, String)> {
    let (wanted, names) = match scope {
        Scope::Process(pid) => (Some(discover::of_process(pid)?), None),
        Scope::Named(name) => (Some(discover::of_name(name)?), None),
        Scope::Lab(lab) => (None, Some(labs::of_lab(lab)?)),
        Scope::Here | Scope::Host => (None, None),
    };
    let mut discovery = discover::machine()?;
    let title = match scope {
        Scope::Here if is_inside_lab() => {
            let lab = std::env::var("NETYARD_LAB").ok().filter(|name| !name.is_empty());
            lab.unwrap_or_else(discover::hostname)
        }
        Scope::Here | Scope::Host => discover::hostname(),
        Scope::Process(pid) => format!("process {pid}"),
        Scope::Named(name) => name.to_owned(),
        Scope::Lab(lab) => lab.name().to_string(),
    };
    if let Some(lab) = names {
        discovery.add_lab(lab)?;
    } else {
        discovery.add_all_labs();
    }
    if let Some(ns) = wanted {
        discovery.add_wanted(ns)?;
    }
    discovery.name_all();
    Ok((discovery, title))
}

/// Whether this process runs inside of a lab or sandbox: the first process that it can see is a holder.
#[must_use]
pub fn is_inside_lab() -> bool {
    let words = std::fs::read("/proc/1/cmdline").unwrap_or_default();
    words.split(|byte| *byte == 0).next() == Some(HOLDER_ARGV0.as_bytes())
}

/// Hears of changes in the namespaces that one is looking at. Of those that no cable leads to from here, and of legacy
/// rules, the kernel tells nobody: look again after a while.
///
/// # Errors
/// Those of opening netlink sockets.
pub fn monitor() -> Result<Monitor> {
    Monitor::open(netfilter::has_nf_tables(), Path::new("/run/netns"))
        .map_err(|e| Error::io("cannot listen to the kernel", &e))
}

/// That there is no namespace of that name.
pub(crate) fn no_such_namespace(name: &str) -> Error {
    Error::input("U018", format!("there is no network namespace `{name}`"))
        .help("`netyard look --host` shows all that there are")
}

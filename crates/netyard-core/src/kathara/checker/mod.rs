//! Tests written for kathara-lab-checker: what they ask of a lab, and whether an answer is right.
//!
//! A check is one command in a device, or a look at the lab's files, and a verdict on what came back. Nothing here runs
//! anything: [`Check::command`] says what to run, [`Check::verdict`] judges.

mod bridge;
mod decode;
mod judge;

use crate::diagnostic::{Diagnostic, Source};
use crate::labfile;
use std::collections::BTreeSet;

/// A file of tests.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    /// How long the lab may take until everything is as it should be, in seconds.
    pub convergence_s: u64,
    /// A `lab.conf` that says how devices are connected: its text.
    pub structure: Option<String>,
    /// The path of such a file, where its text is not given.
    pub structure_path: Option<String>,
    /// The folder with the labs that are tested.
    pub labs_path: Option<String>,
    /// What is checked, in order.
    pub checks: Vec<Check>,
}

/// One test.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its line in the file, from 1.
    pub line: u32,
    /// What it checks, as a sentence.
    pub text: String,
    /// The device that is asked.
    pub device: String,
    /// Whether it must not be so.
    pub is_negated: bool,
    /// What is checked.
    pub about: About,
}

/// What is checked.
#[derive(Debug, Clone)]
pub enum About {
    /// The device has a startup script.
    Startup,
    /// The device is there, with these collision domains by interface.
    Domains(BTreeSet<(i64, String)>),
    /// An interface has this address with its length.
    Address(String, String),
    /// IPv6 is on.
    Ipv6,
    /// A value below `/proc/sys`, by dotted key.
    Sysctl(String, String),
    /// These are ports of one bridge.
    Bridge(Vec<Port>),
    /// The VLANs of a port of a bridge, but for that which each port has (1).
    VlanTags(Port, BTreeSet<i64>),
    /// The VLAN that a port of a bridge takes untagged frames for.
    Pvid(Port, i64),
    /// A process whose name has this in it runs.
    Daemon(String),
    /// The routing table: exactly these destinations, with next hops or interfaces where some are given.
    Routes(Vec<(String, BTreeSet<String>)>),
    /// A BGP session, with its AS where one is given.
    BgpNeighbour(String, Option<u64>),
    /// A network that the daemon of this name announces.
    Network(String, String),
    /// The AS paths of a route of BGP.
    BgpRoute(String, Vec<Vec<u64>>),
    /// An OSPF neighbour with its state.
    OspfNeighbour(String, String),
    /// A route of OSPF.
    OspfRoute(String),
    /// An OSPF interface, with values by name.
    OspfInterface(String, Vec<(String, String)>),
    /// Routes that the daemon of this name takes over from others.
    Redistribution(String, String),
    /// The name server with this address says that it is responsible for a zone.
    Authority(String, String, String),
    /// The name server that the device asks.
    NameServer(String),
    /// A record of the name service: type, name, and what it may be.
    Record(String, String, Vec<String>),
    /// A request to a web server.
    Http(Http),
    /// An answer to a ping.
    Reachable(String),
    /// Any command.
    Command(Command),
    /// A check that cannot be made here, and why.
    Impossible(String),
}

/// A port of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// By its name.
    Interface(String),
    /// The VXLAN link of that number.
    Vxlan(i64),
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Interface(name) => f.write_str(name),
            Self::Vxlan(vni) => write!(f, "VXLAN {vni}"),
        }
    }
}

/// A request to a web server.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// What is asked for.
    pub url: String,
    /// How it is asked for; `GET` where empty.
    pub method: String,
    /// The status that must come.
    pub status: Option<u64>,
    /// What the body must have in it.
    pub contains: Option<String>,
    /// What the body must match.
    pub regex: Option<regex_lite::Regex>,
}

/// Any command, and what must come of it.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// For the shell.
    pub command: String,
    /// All that it prints.
    pub output: Option<String>,
    /// What its output must match.
    pub regex: Option<regex_lite::Regex>,
    /// Its exit code.
    pub exit_code: Option<i64>,
}

/// What a command came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
}

/// What can be known of a lab without asking its devices.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Devices with their collision domains by interface.
    pub devices: Vec<(String, BTreeSet<(i64, String)>)>,
    /// Devices that have a startup script.
    pub startups: BTreeSet<String>,
}

/// Whether a text is one of kathara-lab-checker's: a map with `test` and something that no lab file has.
///
/// ```
/// use netyard_core::{diagnostic::Source, kathara::checker};
/// assert!(checker::is_checks(&Source::new("a.yaml", "convergence_time: 60\ntest: {}\n")));
/// assert!(!checker::is_checks(&Source::new("a.yaml", "nodes: { a: }\n")));
/// ```
#[must_use]
pub fn is_checks(source: &Source) -> bool {
    let mut problems = Vec::new();
    let tree = labfile::tree::read(source, &mut problems);
    let Some(labfile::tree::Value::Map(entries)) = tree.map(|tree| tree.value) else { return false };
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    has("test") && !has("nodes")
}

/// Reads a file of tests, YAML or JSON.
///
/// ```
/// use netyard_core::{diagnostic::Source, kathara::checker};
/// let text = "test: { reachability: { pc1: [10.0.0.1, '!10.0.0.9'] } }";
/// let checks = checker::parse(&Source::new("test.yaml", text)).unwrap();
/// assert_eq!(checks.checks[0].text, "pc1 reaches 10.0.0.1");
/// assert_eq!(checks.checks[1].text, "not: pc1 reaches 10.0.0.9");
/// ```
///
/// # Errors
/// Every problem of the text.
pub fn parse(source: &Source) -> Result<Checks, Vec<Diagnostic>> {
    labfile::read_tree(source, |tree, problems| decode::checks(tree, source, problems))
}

/// A device and its collision domains, by the number of the interface.
pub type Wiring = (String, BTreeSet<(i64, String)>);

/// Each device of a `lab.conf` with its collision domains.
///
/// # Errors
/// Every problem of the text.
pub fn devices(source: &Source) -> Result<Vec<Wiring>, Vec<Diagnostic>> {
    let (conf, _) = super::conf::parse(source)?;
    let domains = |device: super::conf::Device| {
        let domains = device.interfaces.into_iter().map(|interface| (interface.number, interface.domain));
        (device.name, domains.collect())
    };
    Ok(conf.devices.into_iter().map(domains).collect())
}

/// Checks that the lab is built as a template says.
#[must_use]
pub fn structure(template: &[Wiring]) -> Vec<Check> {
    let check = |(device, domains): &Wiring| {
        let names: Vec<String> =
            domains.iter().map(|(number, domain)| format!("eth{number} on {domain}")).collect();
        let text = match names.is_empty() {
            true => format!("{device} is there"),
            false => format!("{device} has {}", names.join(", ")),
        };
        Check {
            line: 0,
            text,
            device: device.clone(),
            is_negated: false,
            about: About::Domains(domains.clone()),
        }
    };
    template.iter().map(check).collect()
}

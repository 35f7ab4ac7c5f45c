//! One module for each verb, and what they share: which lab is meant.

mod capture;
mod diagram;
mod doctor;
mod down;
mod exec;
mod files;
mod kathara;
mod layer;
mod learn;
mod link;
mod list;
mod logs;
mod look;
mod new;
mod ping;
mod place;
mod plan;
mod play;
mod reference;
mod show;
mod test;
mod trace;
mod up;
mod watch;
mod why;
mod wireshark;
pub mod word;

pub use wireshark::extcap;

use crate::args::{Args, Verb};
use netyard::store::Store;
use netyard::{Error, Result, RunningLab};
use netyard_core::name::LabName;
use std::process::ExitCode;

/// Does what was typed.
pub fn run(args: Args) -> Result<ExitCode> {
    let lab = args.lab.as_deref();
    match args.verb {
        Verb::Up(args) => up::run(&args),
        Verb::Down(args) => down::run(&args, lab),
        Verb::List(args) => list::run(&args),
        Verb::Plan(args) => plan::run(&args),
        Verb::Trace(args) => trace::run(&args, lab),
        Verb::Exec(args) => exec::run(&args, lab),
        Verb::Shell(args) => exec::shell(&args, lab),
        Verb::Play(args) => play::run(&args, lab),
        Verb::Learn(args) => learn::run(args, lab),
        Verb::Layer(verb) => layer::run(&verb),
        Verb::Coach => learn::coach(),
        Verb::Test(args) => test::run(&args, lab),
        Verb::Ping(args) => ping::run(&args, lab),
        Verb::Why(args) => why::run(&args, lab),
        Verb::Link(args) => link::run(&args, lab),
        Verb::Logs(args) => logs::run(&args, lab),
        Verb::Cp(args) => files::cp(&args, lab),
        Verb::Diff(args) => files::diff(&args, lab),
        Verb::Save(args) => files::save(&args, lab),
        Verb::Show(args) => show::run(&args, lab),
        Verb::Diagram(args) => diagram::run(&args, lab),
        Verb::Look(args) => look::run(&args, lab),
        Verb::Watch(args) => watch::run(&args, lab),
        Verb::Capture(args) => capture::run(&args, lab),
        Verb::Wireshark(args) => wireshark::run(&args, lab),
        Verb::Kathara(args) => kathara::run(args.verb()),
        Verb::Import(args) => kathara::import(&args),
        Verb::New(args) => new::run(&args),
        Verb::Schema { of } => reference::schema(of),
        Verb::Explain { code } => reference::explain(&code),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Completions { shell } => crate::completion::script(shell),
    }
}

/// The lab that is meant: by name, by `--lab`, by `NETYARD_LAB`, or the only one that runs.
fn chosen(name: Option<&str>, lab: Option<&str>) -> Result<LabName> {
    let environment = std::env::var("NETYARD_LAB").ok().filter(|name| !name.is_empty());
    if let Some(name) = name.or(lab).or(environment.as_deref()) {
        return LabName::new(name)
            .map_err(|error| Error::input("N001", format!("`{name}` is not the name of a lab: {error}")));
    }
    let labs = Store::of_user().labs()?;
    match labs.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::input("U003", "no lab runs").help("`netyard up FILE` makes one")),
        several => {
            let names: Vec<&str> = several.iter().map(LabName::as_str).collect();
            Err(Error::input("U003", format!("{} labs run: {}", names.len(), names.join(", ")))
                .help("say which one, with `--lab NAME`"))
        }
    }
}

/// The running lab that is meant.
fn running(name: Option<&str>, lab: Option<&str>) -> Result<RunningLab> {
    RunningLab::find(&chosen(name, lab)?, &Store::of_user())
}

/// A node name as typed.
fn node_name(text: &str) -> Result<netyard_core::name::NodeName> {
    text.parse().map_err(|error| Error::input("N002", format!("`{text}` is not the name of a node: {error}")))
}

//! `netyard kathara`: the words of Kathara for its labs, and `netyard import kathara`.

mod devices;
mod import;
mod lconfig;
mod lstart;
mod startup;

use super::{doctor, down, exec};
use crate::args::kathara::{Connect, Exec, Kathara, Lclean, Wipe};
use crate::args::{Down, Json};
use crate::output;
use netyard::kathara::{devices as devices_of, identity, is_device};
use netyard::store::Store;
use netyard::{Error, NodeCommand, Result, RunningLab};
use netyard_core::kathara::surroundings;
use netyard_core::labfile::nearest;
use netyard_core::name::{LabName, NodeName};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

pub use import::import;

pub fn run(verb: Kathara) -> Result<ExitCode> {
    match verb {
        Kathara::Lstart(args) => lstart::run(&args),
        Kathara::Lclean(args) => lclean(&args),
        Kathara::Lrestart(args) => {
            let rest = Lclean {
                place: args.place.clone(),
                exclude: args.exclude.clone(),
                devices: args.devices.clone(),
            };
            lclean(&rest)?;
            lstart::run(&args)
        }
        Kathara::Linfo(args) => devices::linfo(&args),
        Kathara::Connect(args) => connect(&args),
        Kathara::Exec(args) => exec_in(&args),
        Kathara::Lconfig(args) => lconfig::run(&args),
        Kathara::List(args) => devices::list(&args),
        Kathara::Wait(args) => startup::wait(&args),
        Kathara::Check => doctor::run(&Json { json: false }),
        Kathara::Wipe(args) => wipe(&args),
    }
}

/// The lab of a folder, where it runs.
fn running(folder: &Path) -> Result<Option<RunningLab>> {
    let (name, file) = identity(folder)?;
    let lab = match RunningLab::find(&name, &Store::of_user()) {
        Ok(lab) => lab,
        Err(error) if error.code == "U003" => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok((lab.description()?.file == Some(file)).then_some(lab))
}

/// The lab of a folder, which must run.
fn must_run(folder: &Path) -> Result<RunningLab> {
    let not_running = || {
        Error::input("U003", format!("the lab in {} does not run", folder.display()))
            .help("`netyard kathara lstart` starts it; `-d FOLDER` says which one is meant")
    };
    running(folder)?.ok_or_else(not_running)
}

/// The node of a device.
fn node_of(lab: &RunningLab, device: &str) -> Result<NodeName> {
    let devices = devices_of(&lab.definition()?);
    devices.get(device).cloned().ok_or_else(|| {
        let error = Error::input("U004", format!("lab {} has no device `{device}` that runs", lab.name()));
        match nearest(device, devices.keys().map(String::as_str)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("`netyard kathara linfo` lists its devices"),
        }
    })
}

fn lclean(args: &Lclean) -> Result<ExitCode> {
    let folder = &args.place.directory;
    let Some(lab) = running(folder)? else {
        output::say(&format!("the lab in {} does not run", folder.display()));
        return Ok(ExitCode::SUCCESS);
    };
    for device in args.devices.iter().chain(&args.exclude) {
        node_of(&lab, device)?;
    }
    let is_meant = |device: &str| {
        let is_named = args.devices.is_empty() || args.devices.iter().any(|name| name == device);
        is_named && !args.exclude.iter().any(|name| name == device)
    };
    let definition = lab.definition()?;
    let kept = devices_of(&definition).keys().filter(|device| !is_meant(device)).count();
    if kept == 0 {
        return remove(lab.name());
    }
    for node in definition.nodes.iter().filter(|node| is_device(node) && is_meant(node.hostname())) {
        for program in node.on_down.iter().filter_map(|program| program.argv.split_first()) {
            lab.known_node(node.name.clone()).command(program.0).args(program.1).status()?;
        }
    }
    let mut rest = definition;
    rest.nodes.retain(|node| !is_device(node) || !is_meant(node.hostname()));
    lconfig::apply(rest, folder)?;
    output::say(&format!("lab {} goes on with {}", lab.name(), output::count(kept, "device")));
    Ok(ExitCode::SUCCESS)
}

/// Removes a lab, as `netyard down` does.
fn remove(name: &LabName) -> Result<ExitCode> {
    down::run(&Down { name: Some(name.to_string()), all: false, wait: false, now: false }, None)
}

fn connect(args: &Connect) -> Result<ExitCode> {
    let lab = must_run(&args.place.directory)?;
    let node = node_of(&lab, &args.device)?;
    if args.logs {
        for log in ["/var/log/shared.log", "/var/log/startup.log"] {
            lab.known_node(node.clone())
                .command("sh")
                .args(["-c", &format!("! [ -e {log} ] || cat {log}")])
                .status()?;
        }
    }
    let definition = lab.definition()?;
    let own = definition.node(node.as_str()).map_or("/bin/bash", |node| surroundings(node).1);
    let shell = args.shell.clone().unwrap_or_else(|| own.into());
    exec::in_foreground(command(&lab, &node, &[shell])?)
}

/// A command in a device, with the limits that the device has.
fn command<'a>(lab: &'a RunningLab, node: &NodeName, words: &[OsString]) -> Result<NodeCommand<'a>> {
    let definition = lab.definition()?;
    let limits = definition.node(node.as_str()).map_or(&[][..], |node| surroundings(node).0);
    let mut words = limits.iter().map(OsString::from).chain(words.iter().cloned());
    let program = words.next().unwrap_or_default();
    Ok(lab.known_node(node.clone()).command(program).args(words))
}

fn exec_in(args: &Exec) -> Result<ExitCode> {
    let lab = must_run(&args.place.directory)?;
    let node = node_of(&lab, &args.device)?;
    if args.wait {
        startup::wait_for(&lab, std::slice::from_ref(&node), startup::LIMIT)?;
    }
    let mut command = match args.command.as_slice() {
        [line] if line.to_string_lossy().contains(char::is_whitespace) => {
            command(&lab, &node, &["sh".into(), "-c".into(), line.clone()])?
        }
        words => command(&lab, &node, words)?,
    };
    let null = || {
        OpenOptions::new().write(true).open("/dev/null").map_err(|e| Error::io("cannot open /dev/null", &e))
    };
    if args.no_stdout {
        command = command.stdout(null()?);
    }
    if args.no_stderr {
        command = command.stderr(null()?);
    }
    exec::in_foreground(command)
}

fn wipe(args: &Wipe) -> Result<ExitCode> {
    let store = Store::of_user();
    let mut names = Vec::new();
    for name in store.labs()? {
        let file = RunningLab::find(&name, &store).and_then(|lab| Ok(lab.description()?.file));
        if file.is_ok_and(|file| file.is_some_and(|file| file.ends_with("lab.conf"))) {
            names.push(name);
        }
    }
    if !args.force && !names.is_empty() && !is_sure(names.len())? {
        return Ok(ExitCode::FAILURE);
    }
    for name in &names {
        remove(name)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_sure(labs: usize) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::input("U011", "nobody is there to be asked")
            .help("`-f` stops the labs without a question"));
    }
    output::say(&format!("stop {}? [y/n]", output::count(labs, "lab")));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| Error::io("cannot read the answer", &e))?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

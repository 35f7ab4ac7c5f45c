//! Completions: a script for each shell that asks this program at every Tab.

use crate::args::Args;
use crate::output;
use clap::CommandFactory;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{CompleteEnv, Shells};
use netyard::store::Store;
use netyard::{Error, Result, RunningLab};
use netyard_core::lab::Lab;
use netyard_core::name::LabName;
use std::ffi::OsStr;
use std::process::ExitCode;

/// The variable by which the scripts ask; `COMPLETE`, which is usual, may belong to another program.
const VARIABLE: &str = "_NETYARD_COMPLETE";
const PROGRAM: &str = "netyard";

/// Answers a shell that asks, and ends the program then.
pub fn answer() {
    CompleteEnv::with_factory(Args::command).var(VARIABLE).bin(PROGRAM).complete();
}

/// Prints the script of a shell.
pub fn script(shell: clap_complete::Shell) -> Result<ExitCode> {
    let shells = Shells::builtins();
    let shell = shells.completer(&shell.to_string()).expect("both lists are clap's");
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, PROGRAM, PROGRAM, &program(), &mut script)
        .map_err(|error| Error::io("cannot write the script", &error))?;
    output::print(&String::from_utf8_lossy(&script));
    Ok(ExitCode::SUCCESS)
}

/// This program as the script calls it: by its name where that was enough for us, by its path otherwise.
fn program() -> String {
    let typed = std::env::args().next().unwrap_or_default();
    let path = typed.contains('/').then(std::env::current_exe).and_then(std::result::Result::ok);
    path.map_or_else(|| PROGRAM.to_owned(), |path| path.display().to_string())
}

/// Names of running labs.
pub fn labs(_typed: &OsStr) -> Vec<CompletionCandidate> {
    let labs = Store::of_user().labs().unwrap_or_default();
    labs.into_iter().map(|lab| CompletionCandidate::new(lab.as_str())).collect()
}

/// Names of running labs, and files.
pub fn targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = labs(typed);
    all.retain(|lab| lab.get_value().to_string_lossy().starts_with(&*typed.to_string_lossy()));
    all.extend(PathCompleter::file().complete(typed));
    all
}

/// Names of the lab's nodes.
pub fn nodes(_typed: &OsStr) -> Vec<CompletionCandidate> {
    let nodes = lab().map(|lab| lab.nodes).unwrap_or_default();
    let candidate = |node: &netyard_core::lab::Node| {
        let addresses: Vec<String> = node.addresses().map(|address| address.to_string()).collect();
        CompletionCandidate::new(node.name.as_str()).help(Some(addresses.join(", ").into()))
    };
    nodes.iter().map(candidate).collect()
}

/// Interfaces of the node that has been typed.
pub fn interfaces(_typed: &OsStr) -> Vec<CompletionCandidate> {
    let words = words();
    let Some(lab) = lab() else { return Vec::new() };
    let node = words.iter().find_map(|word| lab.node(word));
    let names = node.map(|node| node.interfaces.iter().map(|i| (i.name.as_str(), i.network.as_str())));
    let candidate =
        |(name, network): (&str, &str)| CompletionCandidate::new(name).help(Some(network.to_owned().into()));
    names.into_iter().flatten().map(candidate).collect()
}

/// Codes of problems.
pub fn codes(_typed: &OsStr) -> Vec<CompletionCandidate> {
    let codes = netyard_core::diagnostic::Code::ALL.iter();
    codes.map(|code| CompletionCandidate::new(code.as_str()).help(Some(code.title().into()))).collect()
}

/// The lab that the command line is about.
fn lab() -> Option<Lab> {
    let words = words();
    let named = words.iter().enumerate().find_map(|(index, word)| match word.strip_prefix("--lab=") {
        Some(name) => Some(name.to_owned()),
        None if word == "-l" || word == "--lab" => words.get(index + 1).cloned(),
        None => None,
    });
    let store = Store::of_user();
    let named = named.or_else(|| std::env::var("NETYARD_LAB").ok().filter(|name| !name.is_empty()));
    let name = match named {
        Some(name) => LabName::new(name).ok()?,
        None => match store.labs().ok()?.as_slice() {
            [only] => only.clone(),
            _ => return None,
        },
    };
    RunningLab::find(&name, &store).ok()?.definition().ok()
}

/// The words on the command line that is being typed: the script passes them after `--`.
fn words() -> Vec<String> {
    let all = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    all.skip_while(|word| word != "--").skip(2).collect()
}

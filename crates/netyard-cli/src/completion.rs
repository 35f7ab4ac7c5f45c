//! Completions: a script for each shell that asks this program at every Tab.

use crate::args::Args;
use crate::output;
use clap::CommandFactory;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{CompleteEnv, Shells};
use netyard::layer::Layers;
use netyard::store::Store;
use netyard::{Error, Result, RunningLab};
use netyard_core::diagnostic::{Code, Style};
use netyard_core::lab::{Lab, Node};
use netyard_core::layer;
use netyard_core::name::LabName;
use std::ffi::OsStr;
use std::path::Path;
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
pub fn labs(typed: &OsStr) -> Vec<CompletionCandidate> {
    let labs = Store::of_user().labs().unwrap_or_default();
    offered(typed, labs.iter().map(|lab| (lab.as_str(), String::new())))
}

/// Names of running labs, and files.
pub fn targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = labs(typed);
    all.extend(PathCompleter::file().complete(typed));
    all
}

/// Names of the lab's nodes.
pub fn nodes(typed: &OsStr) -> Vec<CompletionCandidate> {
    let nodes = lab().map(|lab| lab.nodes).unwrap_or_default();
    offered(typed, nodes.iter().map(|node| (node.name.as_str(), addresses(node))))
}

/// Names of the nodes of the lab file that has been typed.
pub fn nodes_of_file(typed: &OsStr) -> Vec<CompletionCandidate> {
    let words = words();
    let files = words.iter().filter(|word| !word.starts_with('-') && Path::new(word).is_file());
    let lab = files.filter_map(|file| netyard::Lab::from_file(Path::new(file), Style::Plain).ok()).next();
    let nodes = lab.as_ref().map(|lab| lab.definition().nodes.as_slice()).unwrap_or_default();
    offered(typed, nodes.iter().map(|node| (node.name.as_str(), addresses(node))))
}

fn addresses(node: &Node) -> String {
    node.addresses().map(|a| a.to_string()).collect::<Vec<_>>().join(", ")
}

/// Interfaces of the node that has been typed.
pub fn interfaces(typed: &OsStr) -> Vec<CompletionCandidate> {
    let node = typed_node();
    let interfaces = node.iter().flat_map(|node| &node.interfaces);
    offered(typed, interfaces.map(|interface| (interface.name.as_str(), interface.network.to_string())))
}

/// Programs of the node that has been typed.
pub fn programs(typed: &OsStr) -> Vec<CompletionCandidate> {
    let node = typed_node();
    let programs = node.iter().flat_map(|node| &node.programs);
    offered(typed, programs.map(|program| (program.name.as_str(), program.argv.join(" "))))
}

/// Codes of problems.
pub fn codes(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_ascii_uppercase();
    offered(&typed, Code::ALL.iter().map(|code| (code.as_str(), code.title().to_owned())))
}

/// Names of package layers.
pub fn layers(typed: &OsStr) -> Vec<CompletionCandidate> {
    let layers = Layers::of_user().list();
    let words = layers.iter().map(|layer| (layer.manifest.name.as_str(), layer.manifest.asked.join(" ")));
    offered(typed, words)
}

/// Layers that can be built by name.
pub fn recipes(typed: &OsStr) -> Vec<CompletionCandidate> {
    offered(typed, layer::recipes().iter().map(|recipe| (recipe.name, recipe.packages.join(" "))))
}

/// Those of the words, each with its help, that go on as typed.
fn offered<'a>(typed: &OsStr, words: impl Iterator<Item = (&'a str, String)>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let fitting = words.filter(|(word, _)| word.starts_with(&*typed));
    let candidate = |(word, help): (&str, String)| {
        CompletionCandidate::new(word).help((!help.is_empty()).then(|| help.into()))
    };
    fitting.map(candidate).collect()
}

/// The node among the words before.
fn typed_node() -> Option<Node> {
    let lab = lab()?;
    words().iter().find_map(|word| lab.node(word)).cloned()
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

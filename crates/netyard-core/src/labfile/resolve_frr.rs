//! What `frr:` stands for: configuration files of FRR, and its daemons in their order.

use super::syntax::{FrrDaemonDecl, FrrDecl};
use crate::lab::{FileContent, NodeFile, Program, ProgramOf, Ready, ReadyWhen, Restart};
use crate::name::NodeName;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The daemons of FRR that a node may name. `zebra` and `staticd` run in any case.
pub(crate) const DAEMONS: [&str; 20] = [
    "zebra", "staticd", "bgpd", "ospfd", "ospf6d", "ripd", "ripngd", "isisd", "pimd", "pim6d", "ldpd",
    "nhrpd", "eigrpd", "babeld", "sharpd", "pbrd", "bfdd", "fabricd", "vrrpd", "pathd",
];

/// Those that run in every node with FRR: routes of others and static routes go through them.
const ALWAYS: [&str; 2] = ["zebra", "staticd"];
/// Takes in the configuration of some daemons since version 9; before, there is no such program.
const MANAGER: &str = "mgmtd";
/// Loads the one configuration for all daemons.
const LOADER: &str = "frr-config";
/// Where Debian's package has the daemons.
const FOLDER: &str = "/usr/lib/frr";
const OWNER: &str = "frr:frr";
const MODE: u32 = 0o640;
/// How long a daemon may take to answer, in milliseconds.
const READY_WITHIN_MS: u32 = 30_000;

/// The daemons that run, in their order.
fn daemons(decl: &FrrDecl) -> Vec<&'static str> {
    let asked = DAEMONS.into_iter().filter(|name| decl.daemons.iter().any(|daemon| daemon.name == *name));
    ALWAYS.into_iter().chain(asked.filter(|name| !ALWAYS.contains(name))).collect()
}

/// The programs of a node with FRR: zebra first, then all others, then what loads the common configuration.
pub(crate) fn programs(node: &NodeName, decl: &FrrDecl) -> Vec<Program> {
    let names = daemons(decl);
    let of_node = |name: &str| ProgramOf { node: node.clone(), program: name.to_owned() };
    let mut programs: Vec<Program> =
        vec![daemon("zebra", Vec::new()), Program { after: vec![of_node("zebra")], ..manager() }];
    let later = names.iter().filter(|name| **name != "zebra");
    programs.extend(later.map(|name| daemon(name, vec![of_node("zebra"), of_node(MANAGER)])));
    if decl.config.is_some() {
        let argv = texts(&["vtysh", "-b"]);
        let ready = Some(Ready { when: ReadyWhen::Ended, within_ms: READY_WITHIN_MS });
        let after = programs.iter().map(|program| of_node(&program.name)).collect();
        programs.push(Program { argv, ready, after, restart: Restart::Never, ..plain(LOADER) });
    }
    programs
}

fn plain(name: &str) -> Program {
    Program {
        name: name.to_owned(),
        argv: Vec::new(),
        restart: Restart::OnFailure,
        env: BTreeMap::new(),
        ready: None,
        after: Vec::new(),
    }
}

/// A daemon reads its own file whether or not the package brings a common one, which would hide it otherwise.
fn daemon(name: &str, after: Vec<ProgramOf>) -> Program {
    let mut argv = vec![format!("{FOLDER}/{name}")];
    argv.extend(options(name));
    argv.extend(texts(&["--log", "stdout"]));
    // The socket is made when the daemon is about to read its configuration, and it answers when that is done.
    let socket = texts(&["test", "-S", &format!("/run/frr/{name}.vty")]);
    let ready = Some(Ready { when: ReadyWhen::Command(socket), within_ms: READY_WITHIN_MS });
    Program { argv, ready, after, ..plain(name) }
}

/// Where there is no such program, nothing is to be done.
fn manager() -> Program {
    let path = format!("{FOLDER}/{MANAGER}");
    let start = format!("test -x {path} || exit 0; exec {path} -A 127.0.0.1 --log stdout");
    let socket = format!("test ! -x {path} || test -S /run/frr/{MANAGER}.vty");
    let ready =
        Some(Ready { when: ReadyWhen::Command(texts(&["sh", "-c", &socket])), within_ms: READY_WITHIN_MS });
    Program { argv: texts(&["sh", "-c", &start]), ready, ..plain(MANAGER) }
}

/// As Debian's `/etc/frr/daemons` has them, and the configuration file.
fn options(name: &str) -> Vec<String> {
    let listens = if matches!(name, "ospf6d" | "ripngd" | "pim6d") { "::1" } else { "127.0.0.1" };
    let mut options = texts(&["-A", listens]);
    if name == "zebra" {
        options.extend(texts(&["-s", "90000000"]));
    }
    options.extend(["-f".to_owned(), file_of(name)]);
    options
}

fn file_of(name: &str) -> String {
    format!("/etc/frr/{name}.conf")
}

/// The files of a node with FRR.
pub(crate) fn files(decl: &FrrDecl) -> Vec<NodeFile> {
    let names = daemons(decl);
    let mut files = vec![
        file("/etc/frr/daemons", FileContent::Text(daemons_file(&names))),
        file("/etc/frr/vtysh.conf", FileContent::Text(vtysh_file(decl))),
    ];
    for name in names {
        let own = decl.daemons.iter().find(|daemon| daemon.name == name);
        files.push(file(&file_of(name), configuration(own)));
    }
    files.extend(decl.config.iter().map(|config| file("/etc/frr/frr.conf", config.clone())));
    files
}

/// An empty one keeps a daemon from looking for it elsewhere.
fn configuration(daemon: Option<&FrrDaemonDecl>) -> FileContent {
    let given = daemon.and_then(|daemon| daemon.config.clone());
    given.unwrap_or_else(|| FileContent::Text("!\n".to_owned()))
}

/// What FRR's own start script reads, for those who restart it.
fn daemons_file(names: &[&str]) -> String {
    let mut text = String::new();
    for name in names.iter().filter(|name| !ALWAYS.contains(name)) {
        let _ = writeln!(text, "{name}=yes");
    }
    text.push_str("vtysh_enable=yes\n");
    for name in names {
        let _ = writeln!(text, "{name}_options=\" {}\"", options(name).join(" "));
    }
    text
}

fn vtysh_file(decl: &FrrDecl) -> String {
    let no = if decl.config.is_some() { "" } else { "no " };
    format!("{no}service integrated-vtysh-config\n")
}

fn file(path: &str, content: FileContent) -> NodeFile {
    NodeFile { path: path.to_owned(), content, mode: Some(MODE), owner: Some(OWNER.to_owned()) }
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

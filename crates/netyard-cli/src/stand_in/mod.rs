//! The programs that netyard stands in for: in a sandbox where the machine lacks them (`netyard::sandbox::STAND_INS`), in
//! full nodes always (`netyard::service::FULL_STAND_INS`). Started under one of their names, it is that program.

mod brctl;
mod curl;
mod iptables;
mod journalctl;
mod ping;
mod service;
mod systemctl;
mod tcpdump;

use crate::output;
use netyard::sandbox::STAND_INS;
use netyard::service::{FULL_STAND_INS, keeper};
use netyard_core::stand_in::iptables::Program;
use std::path::Path;
use std::process::ExitCode;

/// Does the work of the program whose name this process was started under; none for netyard's own.
pub fn run() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let first = words.next()?;
    let own = Path::new(&first).file_name()?.to_str()?;
    let typed = || words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    if own == keeper::ARGV0 {
        return Some(keeper::run(&typed()));
    }
    let of_nodes = FULL_STAND_INS.iter().map(|program| program.applet);
    let name = STAND_INS.into_iter().chain(of_nodes).find(|name| *name == own)?;
    let typed = typed();
    let code = match name {
        "brctl" => brctl::run(&typed),
        "curl" => curl::run(&typed),
        "iptables" => iptables::run(Program::Iptables, &typed),
        "ip6tables" => iptables::run(Program::Ip6tables, &typed),
        "journalctl" => journalctl::run(&typed),
        "ping" => ping::run(&typed),
        "service" => service::run(&typed),
        "systemctl" => systemctl::run(&typed),
        "tcpdump" => tcpdump::run(&typed),
        script => service::run_script(script, &typed),
    };
    Some(ExitCode::from(code))
}

/// Says what is wrong, and gives the code back.
fn fail(program: &str, words: impl AsRef<str>, code: u8) -> u8 {
    output::say(&format!("{program}: {}", words.as_ref()));
    code
}

/// The kernel's words for an error, without its number.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

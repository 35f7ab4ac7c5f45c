//! The programs that netyard stands in for in a sandbox, where the machine lacks them: started under one of their names
//! (`netyard::sandbox::STAND_INS`), it is that program.

mod brctl;
mod curl;
mod iptables;
mod ping;
mod tcpdump;

use crate::output;
use netyard::sandbox::STAND_INS;
use std::path::Path;
use std::process::ExitCode;

/// Does the work of the program whose name this process was started under; none for netyard's own.
pub fn run() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let first = words.next()?;
    let name =
        STAND_INS.into_iter().find(|name| Path::new(&first).file_name().is_some_and(|own| own == *name))?;
    let typed: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let code = match name {
        "brctl" => brctl::run(&typed),
        "curl" => curl::run(&typed),
        "iptables" => iptables::run(&typed),
        "ping" => ping::run(&typed),
        _ => tcpdump::run(&typed),
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

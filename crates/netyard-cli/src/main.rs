//! The `netyard` program.

mod args;
mod command;
mod completion;
mod output;
mod stand_in;

use clap::Parser;
use netyard::error::ErrorKind;
use netyard::sandbox::VERBS;
use std::process::ExitCode;

/// What `netyard` alone says.
const SHORT_HELP: &str = "\
netyard: small networks of real Linux kernel parts, from one file

  netyard new star 3 > star.yaml    write a lab file
  netyard up star.yaml              build the lab
  netyard diagram                   see it
  netyard exec h1 -- ping -c1 h2    run a program in a node
  netyard down                      remove it
  netyard play                      a machine to type ip, brctl, iptables on
  netyard learn                     lessons on such a machine

`netyard --help` lists all commands, `netyard doctor` tells what works on this machine.
";

fn main() -> ExitCode {
    // Whoever started us may ignore the end of children, which we wait for.
    netyard_kernel::signal::ignore(&[netyard_kernel::signal::SIGCHLD], false);
    if let Some(code) = stand_in::run() {
        return code;
    }
    if let Some(code) = command::word::run() {
        return code;
    }
    if let Some(code) = command::extcap::run() {
        return code;
    }
    completion::answer();
    if let Some(args) = args::of_word(&VERBS) {
        return ended(command::run(args));
    }
    if std::env::args_os().len() <= 1 {
        output::print(SHORT_HELP);
        return ExitCode::SUCCESS;
    }
    ended(command::run(args::Args::parse()))
}

/// The exit code of what was done; a failure is told.
fn ended(result: netyard::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            output::report(&error);
            ExitCode::from(match error.kind {
                ErrorKind::Expectation => 1,
                ErrorKind::Input => 2,
                ErrorKind::Kernel => 3,
            })
        }
    }
}

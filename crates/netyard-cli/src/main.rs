//! The `netyard` program.

mod args;
mod command;
mod output;

use clap::Parser;
use netyard::error::ErrorKind;
use std::process::ExitCode;

fn main() -> ExitCode {
    match command::run(args::Args::parse()) {
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

//! `netyard wireshark`: a live capture in Wireshark, or running labs among its interfaces.

pub mod extcap;
mod plugin;

use super::capture::{Limits, Plan, Session, Sink};
use crate::args::Wireshark;
use netyard::capture::Settings;
use netyard::{Error, Result};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

pub fn run(args: &Wireshark, lab: Option<&str>) -> Result<ExitCode> {
    if args.install {
        return plugin::install();
    }
    if args.uninstall {
        return plugin::uninstall();
    }
    let program = program("wireshark").ok_or_else(not_installed)?;
    let plan = Plan::of(lab, args.host, &args.words)?;
    let settings = Settings { snap: args.kept.snap, ring_len: args.kept.ring };
    let mut child = start(&program)?;
    let pipe = child.stdin.take().expect("it was piped");
    let sink = Sink::to(pipe.into(), "Wireshark".to_owned());
    let done = Session::open(plan, settings, sink).and_then(|session| session.run(Limits::default()));
    // With the pipe closed Wireshark keeps what it has, until its user closes it.
    match child.wait() {
        Ok(_) => done,
        Err(error) => done.and(Err(Error::io("cannot wait for Wireshark", &error))),
    }
}

/// Wireshark, reading from a pipe and capturing at once.
fn start(program: &PathBuf) -> Result<Child> {
    // Names of nodes come with the capture.
    let mut command = Command::new(program);
    command.args(["-k", "-N", "n", "-i", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    command
        .spawn()
        .map_err(|error| Error::input("U006", format!("cannot execute {}: {error}", program.display())))
}

/// A program of the machine.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn not_installed() -> Error {
    Error::input("U032", "Wireshark is not installed: there is no program `wireshark` in PATH").help(
        "install the package `wireshark` (`apt-get install wireshark`, `dnf install wireshark`); without it, \
         `netyard capture` prints text and `netyard capture -w FILE` writes a file for another machine",
    )
}

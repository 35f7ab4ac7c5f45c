//! The labs that are measured: their files, and netyard at work on them.

use crate::stopwatch::{self, Taken};
use netyard::RunningLab;
use netyard::store::Store;
use netyard_core::name::LabName;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A lab file of our own; it goes with this value, and the lab with it.
pub struct BenchLab<'a> {
    netyard: &'a Path,
    name: String,
    file: PathBuf,
}

impl<'a> BenchLab<'a> {
    /// What `netyard new star HOSTS` prints.
    pub fn star(netyard: &'a Path, hosts: u32) -> io::Result<Self> {
        let output = Command::new(netyard).args(["new", "star", &hosts.to_string()]).output()?;
        let text = String::from_utf8(output.stdout).map_err(io::Error::other)?;
        Self::new(netyard, &text)
    }

    /// So many hosts on one switch, and nothing else.
    pub fn switch(netyard: &'a Path, hosts: u32) -> io::Result<Self> {
        let nodes = format!("h[1-{hosts}]: {{ links: [lan] }}");
        Self::new(netyard, &format!("lab: switch\nnetworks: {{ lan: 10.0.0.0/22 }}\nnodes:\n  {nodes}\n"))
    }

    /// So many nodes of a kind on one switch.
    pub fn of_kind(netyard: &'a Path, kind: &str, count: u32) -> io::Result<Self> {
        let nodes = format!("h[1-{count}]: {{ kind: {kind}, links: [lan] }}");
        Self::new(netyard, &format!("lab: nodes\nnetworks: {{ lan: 10.0.0.0/22 }}\nnodes:\n  {nodes}\n"))
    }

    /// The network of the talk, with its expectations.
    pub fn home(netyard: &'a Path) -> io::Result<Self> {
        Self::new(netyard, include_str!("../../labs/home.yaml"))
    }

    /// Takes a lab file under a name that no other lab of this user has.
    fn new(netyard: &'a Path, text: &str) -> io::Result<Self> {
        let name = format!("bench-{}", std::process::id());
        let renamed = |line: &str| {
            if line.starts_with("lab:") { format!("lab: {name}\n") } else { format!("{line}\n") }
        };
        let file = std::env::temp_dir().join(format!("netyard-{name}.yaml"));
        fs::write(&file, text.lines().map(renamed).collect::<String>())?;
        Ok(Self { netyard, name, file })
    }

    /// `netyard up FILE`.
    pub fn up(&self) -> io::Result<Taken> {
        stopwatch::run(self.command("up").arg(&self.file).arg("--quiet"))
    }

    /// `netyard up FILE --test --rm`.
    pub fn up_test_down(&self) -> io::Result<Taken> {
        stopwatch::run(self.command("up").arg(&self.file).args(["--test", "--rm"]))
    }

    /// `netyard down LAB`, which returns when its processes are gone.
    pub fn down(&self) -> io::Result<Taken> {
        stopwatch::run(self.command("down").arg(&self.name))
    }

    /// `netyard down LAB --wait`, which returns when its namespaces are gone too.
    pub fn down_wait(&self) -> io::Result<Taken> {
        stopwatch::run(self.command("down").args([&self.name, "--wait"]))
    }

    /// `netyard --lab LAB VERB`.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.netyard);
        command.args(["--lab", &self.name, verb]);
        command
    }

    /// The lab as it runs.
    pub fn running(&self) -> io::Result<RunningLab> {
        let name = LabName::new(&self.name).map_err(io::Error::other)?;
        RunningLab::find(&name, &Store::of_user()).map_err(io::Error::other)
    }
}

impl Drop for BenchLab<'_> {
    fn drop(&mut self) {
        // Where a figure could not be taken the lab may be up still; else this fails, as it should.
        let _ = self.command("down").arg(&self.name).output();
        let _ = fs::remove_file(&self.file);
    }
}

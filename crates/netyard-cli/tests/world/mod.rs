//! Namespaces made by hand, with the tools of the machine, in a namespace that plays the machine.
//!
//! Root's belongs to the first user namespace, as the real one does; an ordinary user is root of a user namespace in it.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions, and this is their helper")]

use crate::support::machine::is_root;
use crate::support::{PROGRAM, Ran, Yard, finished};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub struct World {
    unshare: Child,
    pub pid: u32,
}

impl World {
    /// A world in which nothing is.
    pub fn bare() -> Self {
        Self::with("")
    }

    /// A world in which `/dev/net/tun` is open to everybody, as udev makes it; only root of the machine can have one.
    pub fn with_tun() -> Self {
        Self::with_tun_and("")
    }

    /// The same, in which this script has been run.
    pub fn with_tun_and(script: &str) -> Self {
        Self::new(&format!(
            "if mknod /run/tun c 10 200 2>/dev/null; then chmod 666 /run/tun; mount --bind /run/tun /dev/net/tun; fi
             {script}"
        ))
    }

    /// A world in which this script has been run. Addresses that the kernel makes by itself would come later.
    pub fn new(script: &str) -> Self {
        Self::with(&format!(
            "echo 1 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6 > /proc/sys/net/ipv6/conf/default/disable_ipv6
             {script}"
        ))
    }

    fn with(script: &str) -> Self {
        let mut command = Command::new("unshare");
        if !is_root() {
            // The network namespace comes after the map: only then are files below /proc/net those of its root.
            command.args(["--user", "--map-root-user", "unshare"]);
        }
        command.args([
            "--net",
            "--mount",
            "--pid",
            "--uts",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "bash",
            "-c",
        ]);
        let text = format!(
            "set -e
             mount -t tmpfs -o mode=755 tmpfs /run
             hostname world
             {script}
             echo ready; cat; exit"
        );
        command.arg(text).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut unshare = command.spawn().unwrap();
        let mut lines = BufReader::new(unshare.stdout.take().unwrap()).lines();
        while lines.next().expect("the script ends well").unwrap() != "ready" {}
        let id = unshare.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let pid = children.split_whitespace().next().unwrap().parse().unwrap();
        Self { unshare, pid }
    }

    fn enter(&self, command: Command, words: &[&str]) -> Ran {
        finished(&mut self.entering(command, words))
    }

    /// Starts netyard there.
    pub fn start(&self, yard: &Yard, words: &[&str]) -> Child {
        let mut command = yard.command("nsenter");
        command.env_remove("NETYARD_LAB").env("COLUMNS", "200");
        let mut command = self.entering(command, &[&[PROGRAM], words].concat());
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    pub fn entering(&self, mut command: Command, words: &[&str]) -> Command {
        command.args(["--target", &self.pid.to_string(), "--net", "--mount", "--pid", "--uts"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").args(words).stdin(Stdio::null());
        command
    }

    /// What a shell there prints; its code is 0.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        let ran = self.enter(Command::new("nsenter"), &["bash", "-c", script]);
        assert_eq!(ran.code, Some(0), "{script}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    pub fn run(&self, yard: &Yard, words: &[&str]) -> Ran {
        let mut command = yard.command("nsenter");
        command.env_remove("NETYARD_LAB").env("COLUMNS", "200");
        self.enter(command, &[&[PROGRAM], words].concat())
    }

    /// A program there.
    pub fn enter_with(&self, yard: &Yard, words: &[&str]) -> Ran {
        self.enter(yard.command("nsenter"), words)
    }

    /// What netyard prints there when all is well.
    #[track_caller]
    pub fn says(&self, yard: &Yard, words: &[&str]) -> String {
        let ran = self.run(yard, words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.stderr);
        ran.stdout
    }

    #[track_caller]
    pub fn json(&self, yard: &Yard, words: &[&str]) -> Value {
        serde_json::from_str(&self.says(yard, words)).unwrap()
    }

    /// netyard there, run by root as a user who owns nothing.
    pub fn run_as_nobody(&self, words: &[&str]) -> Ran {
        let drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", PROGRAM];
        self.enter(Command::new("nsenter"), &[&drop, words].concat())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.unshare.stdin.take());
        let _ = self.unshare.wait();
    }
}

//! The built program with a folder for running labs of its own.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions, and this is their helper")]

pub mod machine;
pub mod terminal;

use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_netyard");

/// A place in which labs run for one test. Root's labs are found machine-wide, hence names that nobody else uses.
pub struct Yard {
    pub folder: PathBuf,
    /// The name of its lab.
    pub lab: String,
}

/// What came of running the program.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Yard {
    /// A yard for the test of that name.
    pub fn new(test: &str) -> Self {
        let lab = format!("{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(format!("netyard-cli-{lab}"));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        Self { folder, lab }
    }

    /// A yard in which a lab runs.
    pub fn with_lab(test: &str, text: &str) -> Self {
        let yard = Self::new(test);
        let file = yard.write("lab.yaml", &format!("lab: {}\n{text}", yard.lab));
        let ran = yard.run(&["up", "--quiet", file.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        yard
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A program that sees this yard's labs only (root: finds this yard's lab without being told).
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_RUNTIME_DIR", &self.folder)
            .env("HOME", &self.folder)
            .env("NETYARD_LAB", &self.lab)
            .env_remove("COLUMNS")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        finished(self.command(PROGRAM).args(args))
    }

    /// What the program prints when all is well.
    pub fn prints(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        ran.stdout
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.prints(args)).unwrap()
    }

    /// Runs the program with a text on standard input.
    pub fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(PROGRAM);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        ran(child.wait_with_output().unwrap())
    }

    /// A text without the name of the lab, which differs from run to run.
    pub fn without_name(&self, text: &str) -> String {
        text.replace(&self.lab, "LAB")
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        self.run(&["down", &self.lab]);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn finished(command: &mut Command) -> Ran {
    ran(command.output().unwrap())
}

fn ran(output: std::process::Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Waits until it is true.
#[track_caller]
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "in vain until {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

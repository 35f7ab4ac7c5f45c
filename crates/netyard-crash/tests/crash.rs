//! A sample of the crash matrix, and a soak, as whoever runs the tests.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output};

const TOOL: &str = env!("CARGO_BIN_EXE_netyard-crash");
/// Every n-th stop: a minute on two cores. `NETYARD_CRASH_EVERY=1` tries all.
const STRIDE: &str = "40";
/// Stops of each verb and victim in a lab with a full node, whose files alone take tens of thousands.
const POINTS: &str = "5";
/// Labs one after another; `NETYARD_SOAK_CYCLES` sets another number.
const CYCLES: &str = "200";

/// The program under test, built next to this one.
fn netyard() -> PathBuf {
    let path = PathBuf::from(TOOL).with_file_name("netyard");
    if !path.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        assert!(Command::new(cargo).args(["build", "-p", "netyard-cli"]).status().unwrap().success());
    }
    path
}

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[track_caller]
fn succeeds(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}", text(&output.stdout));
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn nothing_is_left_whoever_is_killed_at_a_sample_of_system_calls() {
    let every = setting("NETYARD_CRASH_EVERY", STRIDE);
    check_matrix("plain", &["--every", &every]);
}

#[test]
fn nothing_is_left_of_full_nodes_with_daemons_either() {
    check_matrix("daemon", &["--daemon", "--points", &setting("NETYARD_CRASH_POINTS", POINTS)]);
}

#[track_caller]
fn check_matrix(name: &str, options: &[&str]) {
    let runtime = std::env::temp_dir().join(format!("netyard-crash-{name}-{}", std::process::id()));
    std::fs::create_dir(&runtime).unwrap();
    let mut command = Command::new(TOOL);
    command.arg("matrix").arg(netyard()).args(options).env("XDG_RUNTIME_DIR", &runtime);
    // Another part of the stops in each run.
    let output = command.args(["--offset", &std::process::id().to_string()]).output().unwrap();
    std::fs::remove_dir_all(&runtime).unwrap();
    succeeds(&output);
}

#[test]
fn labs_without_end_leak_no_namespace_and_no_descriptor() {
    let cycles = setting("NETYARD_SOAK_CYCLES", CYCLES);
    succeeds(&Command::new("unshare").args(["-Ur", TOOL, "soak", &cycles]).output().unwrap());
}

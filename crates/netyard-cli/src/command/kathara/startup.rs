//! How the startup scripts of devices went.

use super::{must_run, node_of};
use crate::args::kathara::Wait;
use crate::output::{self, json};
use netyard::kathara::devices;
use netyard::protocol::ProgramState;
use netyard::{Result, RunningLab};
use netyard_core::kathara::STARTUP_NAME;
use netyard_core::name::NodeName;
use serde::Serialize;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long startup scripts may take until a command goes on without them.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked whether they have ended.
const PAUSE: Duration = Duration::from_millis(20);

/// A device and its startup script.
#[derive(Debug, Serialize)]
pub struct Device {
    /// Its name.
    pub device: String,
    /// What its script does, or has come to.
    pub state: State,
    /// The first line that failed, and its exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What a startup script does, or has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It runs.
    Running,
    /// It has ended, and every command did what it should.
    Ready,
    /// It has ended, and some command failed.
    Failed,
}

impl State {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "starting",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// The devices of these nodes, as their scripts are now.
pub fn states(lab: &RunningLab, nodes: &[NodeName]) -> Result<Vec<Device>> {
    let definition = lab.definition()?;
    let programs = lab.programs()?;
    let mut devices = Vec::new();
    for node in definition.nodes.iter().filter(|node| nodes.contains(&node.name)) {
        let program =
            programs.iter().find(|program| program.node == node.name && program.name == STARTUP_NAME);
        let (state, failure) = match program.map(|program| program.state) {
            Some(ProgramState::Exited(0)) | None => (State::Ready, None),
            Some(ProgramState::Exited(code)) => (State::Failed, Some(failure(lab, &node.name, code)?)),
            Some(_) => (State::Running, None),
        };
        devices.push(Device { device: node.hostname().to_owned(), state, failure });
    }
    Ok(devices)
}

/// What the startup program said of the first line that failed.
fn failure(lab: &RunningLab, node: &NodeName, code: i32) -> Result<String> {
    let mut text = String::new();
    lab.logs(Some(node), Some(STARTUP_NAME), false, |chunk| {
        text.push_str(&chunk.text);
        true
    })?;
    // What the holder says of its own is not the script's.
    let last = text.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with("netyard: "));
    Ok(last.map_or_else(|| format!("exit code {code}"), str::to_owned))
}

/// Waits until the scripts of these nodes have ended, or the time is over.
pub fn wait_for(lab: &RunningLab, nodes: &[NodeName], limit: Duration) -> Result<Vec<Device>> {
    let begun = Instant::now();
    loop {
        let devices = states(lab, nodes)?;
        if devices.iter().all(|device| device.state != State::Running) || begun.elapsed() >= limit {
            return Ok(devices);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits until the scripts of a node have begun, or have nothing to do: each command is in a log before it runs.
pub fn wait_until_begun(lab: &RunningLab, node: &NodeName) -> Result<()> {
    const HAS_BEGUN: &str = "[ -e /tmp/EOS ] || [ -s /var/log/shared.log ] || [ -s /var/log/startup.log ]";
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        let output = lab.known_node(node.clone()).command("/bin/sh").args(["-c", HAS_BEGUN]).output()?;
        if output.status.success() {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Says which devices failed, or are not ready yet.
pub fn tell(devices: &[Device]) {
    for device in devices {
        let name = &device.device;
        match (device.state, &device.failure) {
            (State::Failed, Some(failure)) => output::say(&format!(
                "warning: device {name}: {failure}\n  = help: `netyard kathara exec {name} cat /var/log/startup.log` shows \
                 what it printed"
            )),
            (State::Running, _) => output::say(&format!("note: the startup script of {name} still runs")),
            _ => {}
        }
    }
}

pub fn wait(args: &Wait) -> Result<ExitCode> {
    let lab = must_run(&args.place.directory)?;
    let nodes = match args.devices.is_empty() {
        true => devices(&lab.definition()?).into_values().collect(),
        false => args.devices.iter().map(|device| node_of(&lab, device)).collect::<Result<Vec<_>>>()?,
    };
    let devices = wait_for(&lab, &nodes, args.within)?;
    let are_ready = devices.iter().all(|device| device.state == State::Ready);
    if args.json {
        json::print("kathara-wait", &Waited { devices });
    } else {
        for device in &devices {
            let failure = device.failure.as_ref().map_or_else(String::new, |failure| format!(": {failure}"));
            output::print(&format!("{} {}{failure}\n", device.device, device.state.word()));
        }
    }
    Ok(ExitCode::from(u8::from(!are_ready)))
}

#[derive(Serialize)]
struct Waited {
    devices: Vec<Device>,
}

//! `netyard play`: a shell on a machine of one's own.

use super::exec;
use crate::args::Play;
use crate::output::{self, Progress};
use netyard::sandbox::{self, Joined, MACHINE};
use netyard::store::Store;
use netyard::{Error, Result};
use netyard_core::name::LabName;
use std::process::ExitCode;
use std::time::Duration;

/// The sandbox's name where none is given.
const NAME: &str = "play";
/// The exit code of a shell that was killed, as it is with its sandbox.
const KILLED: u8 = 137;
/// How long a sandbox that takes its shells along may take to end itself.
const ENDING_TIME: Duration = Duration::from_secs(1);

pub fn run(args: &Play, lab: Option<&str>) -> Result<ExitCode> {
    let text = args.keep.as_deref().or(lab).unwrap_or(NAME);
    let name = LabName::new(text)
        .map_err(|error| Error::input("N001", format!("`{text}` is not the name of a lab: {error}")))?;
    let store = Store::of_user();
    let mut progress = Progress::new(format!("building sandbox {name}"));
    let joined = sandbox::join(&name, args.keep.is_some(), &store, &mut |done, all| progress.at(done, all))?;
    drop(progress);
    let is_ours = joined.is_new && args.keep.is_none();
    let done = play(args, &joined);
    if is_ours {
        netyard::up::down(&name, &store, false)?;
    } else if done.as_ref().is_ok_and(|code| *code == ExitCode::from(KILLED))
        && joined.lab.has_ended(ENDING_TIME)
    {
        output::say(&format!("sandbox {name} has ended"));
    }
    done
}

fn play(args: &Play, joined: &Joined) -> Result<ExitCode> {
    let lab = &joined.lab;
    let node = lab.node(MACHINE)?;
    if let Some((program, rest)) = args.command.split_first() {
        return exec::in_foreground(node.command(program).args(rest));
    }
    greet(args, joined);
    let shell = exec::shell_of_user();
    let mut command = node.command(&shell);
    if exec::takes_prompt_from_environment(&shell) {
        command = command.env("PS1", format!("root@{MACHINE}:$PWD# "));
    }
    exec::in_foreground(command)
}

/// Says where one is, and how to come and go.
fn greet(args: &Play, joined: &Joined) {
    let name = joined.lab.name();
    let join =
        if name.as_str() == NAME { "netyard play".to_owned() } else { format!("netyard play --lab {name}") };
    let end = match (joined.is_new, &args.keep) {
        (true, None) => "everything is gone when this shell ends".to_owned(),
        (_, Some(_)) => format!("it stays when this shell ends; `netyard down {name}` removes it"),
        (false, None) => "it ends with the terminal that started it, unless it is kept".to_owned(),
    };
    let arrived = if joined.is_new { "" } else { "joined: " };
    output::say(&format!(
        "{arrived}you are root on `{MACHINE}`, a machine of your own: ens4, 10.138.0.3, an internet that answers 1.1.1.1"
    ));
    output::say(&format!("more terminals: `{join}`; {end}"));
}

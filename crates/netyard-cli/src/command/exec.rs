//! `netyard exec` and `netyard shell`: programs in nodes.

use super::running;
use crate::args::{Exec, Shell};
use crate::output::json;
use netyard::command::NodeCommand;
use netyard::{Error, ExitStatus, Result, RunningLab};
use netyard_kernel::signal::{self, ChildChange};
use netyard_kernel::terminal::Terminal;
use serde::Serialize;
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Serialize)]
struct Executed<'a> {
    node: &'a str,
    status: i32,
    stdout: String,
    stderr: String,
}

pub fn run(args: &Exec, lab: Option<&str>) -> Result<ExitCode> {
    let lab = running(None, lab)?;
    let (program, rest) = args.command.split_first().expect("clap asks for one word at least");
    let command = lab.node(&args.node)?.command(program).args(rest);
    if !args.json {
        return in_foreground(command);
    }
    let output = command.dies_with_caller().output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let status = output.status.shell_code();
    json::print("exec", &Executed { node: &args.node, status, stdout, stderr });
    Ok(exit_code(status))
}

pub fn shell(args: &Shell, lab: Option<&str>) -> Result<ExitCode> {
    let lab = running(None, lab)?;
    let shell = shell_of_user();
    let command = match &args.node {
        Some(node) => lab.node(node)?.command(&shell),
        None => lab.command(&shell),
    };
    in_foreground(prompting(command, &lab, args.node.as_deref(), &shell))
}

/// The shell that the user is used to.
pub fn shell_of_user() -> OsString {
    std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into())
}

/// Whether `PS1` from outside is what the shell shows.
pub fn takes_prompt_from_environment(shell: &OsString) -> bool {
    std::path::Path::new(shell).file_name().is_some_and(|name| name == "sh" || name == "dash")
}

/// Tells an interactive shell where it is, in shells that take their prompt from the environment.
fn prompting<'a>(
    command: NodeCommand<'a>,
    lab: &RunningLab,
    node: Option<&str>,
    shell: &OsString,
) -> NodeCommand<'a> {
    let place = node.map_or_else(|| lab.name().to_string(), |node| format!("{node}.{}", lab.name()));
    let command = command.env("debian_chroot", &place);
    if takes_prompt_from_environment(shell) {
        return command.env("PS1", format!("{place} # "));
    }
    command
}

/// Runs a program with our terminal: it gets what is typed, stops us when it stops, and we end as it ends.
pub fn in_foreground(command: NodeCommand<'_>) -> Result<ExitCode> {
    // What is typed reaches the whole foreground group. These two are for the program alone: we end when it does.
    let typed = [signal::SIGINT, signal::SIGQUIT];
    let terminal = Terminal::before();
    let child = command.dies_with_caller().spawn()?;
    signal::ignore(&typed, true);
    let relay = signal::relay(&[signal::SIGTERM, signal::SIGHUP], child.id());
    let status = loop {
        match signal::wait_for_change(child.id()) {
            Some(ChildChange::Ended(status)) => break status,
            Some(ChildChange::Stopped(_)) => signal::stop_self(),
            None => break ExitStatus::Code(1),
        }
    };
    drop(relay);
    if let Some(terminal) = terminal {
        terminal.take_back(matches!(status, ExitStatus::Signal(_)));
    }
    signal::ignore(&typed, false);
    Ok(exit_code(status.shell_code()))
}

/// Runs a program outside of the lab, with the lab's name in its environment.
pub fn outside(program: &OsString, args: &[OsString], lab: &RunningLab) -> Result<ExitCode> {
    let typed = [signal::SIGINT, signal::SIGQUIT];
    let child =
        std::process::Command::new(program).args(args).env("NETYARD_LAB", lab.name().as_str()).spawn();
    let mut child = child.map_err(|error| {
        Error::input("U006", format!("cannot execute `{}`: {error}", program.display()))
            .help("is it installed, and is it in PATH?")
    })?;
    signal::ignore(&typed, true);
    let status = child.wait();
    signal::ignore(&typed, false);
    let status =
        status.map_err(|error| Error::io(format!("cannot wait for `{}`", program.display()), &error))?;
    let code =
        status.code().or_else(|| std::os::unix::process::ExitStatusExt::signal(&status).map(|n| 128 + n));
    Ok(exit_code(code.unwrap_or(1)))
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

//! `netyard exec` and `netyard shell`: programs in nodes.

use super::{node_name, running};
use crate::args::{Exec, Shell};
use crate::output::json;
use netyard::command::{NodeCommand, not_executed};
use netyard::{Error, ExitStatus, Result, RunningLab};
use netyard_kernel::process;
use netyard_kernel::signal::{self, ChildChange, Relay};
use netyard_kernel::terminal::{self, NodeTerminal, Terminal};
use serde::Serialize;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
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
    let command = lab.known_node(node_name(&args.node)?).command(program).args(rest);
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
        Some(node) => lab.known_node(node_name(node)?).command(&shell),
        None => lab.command(&shell),
    };
    in_foreground(prompting(command, &lab, args.node.as_deref(), &shell))
}

/// The shell that the user is used to.
pub fn shell_of_user() -> OsString {
    std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into())
}

/// Whether the words start a shell that somebody types into: one of shells(5), by whatever path, without arguments.
fn is_shell(words: &[OsString]) -> bool {
    let [program] = words else { return false };
    let name = Path::new(program).file_name();
    let listed = std::fs::read_to_string("/etc/shells").unwrap_or_default();
    let mut listed = listed.lines().filter(|line| !line.starts_with('#')).map(Path::new);
    name.is_some() && listed.any(|shell| shell.file_name() == name)
}

/// Whether `PS1` from outside is what the shell shows.
pub fn takes_prompt_from_environment(shell: &OsString) -> bool {
    Path::new(shell).file_name().is_some_and(|name| name == "sh" || name == "dash")
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

/// Runs a program with our terminal: it gets what is typed, stops us when it stops, and we end as it ends. A
/// shell has jobs, and is made one.
pub fn in_foreground(command: NodeCommand<'_>) -> Result<ExitCode> {
    if NodeTerminal::is_wanted()
        && let Some(terminal) = command.new_terminal()?
    {
        return in_terminal_of_node(command, terminal);
    }
    // Where another has the terminal, a shell waits for it as any job in the background does.
    let terminal = Terminal::before();
    let is_job = terminal.is_some() && is_shell(command.words());
    let command = if is_job { command.as_job() } else { command };
    let relay = Relay::begin();
    let child = command.dies_with_caller().spawn()?;
    let status = accompany(child.id(), relay);
    if let Some(terminal) = terminal {
        terminal.take_back(matches!(status, ExitStatus::Signal(_)));
    }
    Ok(exit_code(status.shell_code()))
}

/// Runs a program with a terminal of its node, which ours stands for.
fn in_terminal_of_node(command: NodeCommand<'_>, terminal: OwnedFd) -> Result<ExitCode> {
    let failed = |e: io::Error| Error::io("cannot use the terminal", &e);
    let (terminal, screen) = NodeTerminal::new(terminal).map_err(failed)?;
    let screens = [screen.try_clone().map_err(failed)?, screen.try_clone().map_err(failed)?];
    let [output, errors] = screens;
    let relay = Relay::begin();
    let command = command.stdin(screen).stdout(output).stderr(errors).takes_terminal();
    let child = command.dies_with_caller().spawn()?;
    relay.to(child.id());
    terminal.converse().map_err(failed)?;
    Ok(exit_code(accompany(child.id(), relay).shell_code()))
}

/// Runs a program outside of the lab, with the lab's name in its environment.
pub fn outside(program: &OsString, args: &[OsString], lab: &RunningLab) -> Result<ExitCode> {
    let mut command = std::process::Command::new(program);
    command.args(args).env("NETYARD_LAB", lab.name().as_str());
    process::dies_with_caller(&mut command);
    let relay = Relay::begin();
    let child = command.spawn().map_err(|error| not_executed(program, &not_found(program, error)))?;
    Ok(exit_code(accompany(child.id(), relay).shell_code()))
}

/// The error of a program that cannot be started. When it is nowhere, a folder of `PATH` that may not be searched makes
/// execvp(3) say "permission denied".
fn not_found(program: &OsString, error: io::Error) -> io::Error {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_path = program.as_encoded_bytes().contains(&b'/');
    let is_somewhere = is_path || std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    if error.kind() == io::ErrorKind::PermissionDenied && !is_somewhere {
        return io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error());
    }
    error
}

/// Waits for the end of a child of ours. Meanwhile it gets the signals that are sent to us, and we stop when it stops.
pub fn accompany(child: u32, relay: Relay) -> ExitStatus {
    relay.to(child);
    let status = loop {
        match signal::wait_for_change(child) {
            Some(ChildChange::Ended(status)) => break status,
            Some(ChildChange::Stopped(_)) => {
                signal::stop_self();
                terminal::resume(child);
            }
            None => break ExitStatus::Code(1),
        }
    };
    drop(relay);
    status
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

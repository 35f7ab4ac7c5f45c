//! The programs that a lab file starts: started, reaped, started again, and what they print.

mod readiness;

use self::readiness::{Readiness, Verdict};
use super::client::LogFilter;
use super::files;
use super::full::{FullNodes, Numbers};
use super::sandbox;
use crate::error::{Error, Result};
use crate::namespaces::Namespaces;
use crate::protocol::{LogChunk, ProgramState, ProgramStatus, ReadyState, ServiceChange, Spec};
use netyard_core::lab::{Node, NodeKind, Program, ProgramOf, Ready, ReadyWhen, Restart};
use netyard_core::name::NodeName;
use netyard_core::state::Ns;
use netyard_kernel::process::{self, ExitStatus, Launch, PATH_OF_SYSTEM, Room, Session};
use netyard_kernel::signal::{ChildChange, next_child_change};
use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// How much of what each program printed is kept, in bytes: the last of it.
const LOG_LEN_MAX: usize = 256 * 1024;
/// The first pause before a program is started again; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a killed program may take to end.
const ENDING_TIME: Duration = Duration::from_secs(1);
/// How long all programs that `down` runs may take together.
const STOPPING_TIME: Duration = Duration::from_secs(10);
/// A program that ran this long had a good start: the next pause is short again.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// All programs of a lab.
#[derive(Default)]
pub(super) struct Programs {
    supervised: Vec<Supervised>,
}

struct Supervised {
    origin: Origin,
    node: NodeName,
    program: Program,
    state: State,
    started: Instant,
    pause: Duration,
    restarts: u32,
    output: Option<std::io::PipeReader>,
    log: VecDeque<u8>,
    readiness: Readiness,
    /// What it takes to start it.
    launch: Launch,
    net: Option<OwnedFd>,
    user: Option<OwnedFd>,
    /// Of a program in a full node: where it runs, and the node's number.
    room: Option<(Room, u64)>,
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Programs that say when they are ready.
    Ready,
    /// The end of those that `down` runs.
    Stopped,
}

/// Whether a program that has not been started is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Now,
    NotYet,
    Never,
}

/// Why a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    /// The lab file names it.
    LabFile,
    /// It is the uplink of its node, for as long as the lab lasts.
    Uplink,
    /// The lab file names it for the end of the lab.
    Down,
}

enum State {
    /// It has not been started: others must be ready first.
    Held,
    Running {
        pid: u32,
        pidfd: OwnedFd,
    },
    Waiting {
        until: Instant,
    },
    Exited(ExitStatus),
}

impl Programs {
    /// Ends the programs that are no longer wanted or have changed. What one holds (a port, a file, its node) is free
    /// then.
    pub(super) fn end_unwanted(&mut self, spec: &Spec, kept: &Numbers) {
        self.supervised.retain(|running| running.is_wanted(spec, kept));
    }

    /// Starts the programs that are new, after [`Programs::end_unwanted`].
    ///
    /// # Errors
    /// The first program that cannot be started; none of the new ones runs then.
    pub(super) fn change_to(
        &mut self,
        spec: &Spec,
        namespaces: &Namespaces,
        full: &FullNodes,
        user: Option<&OwnedFd>,
    ) -> Result<()> {
        let kept = full.numbers();
        let mut fresh = Vec::new();
        for (node, program) in programs_of(spec) {
            if !self.supervised.iter().any(|running| running.is(spec, &kept, node, program)) {
                let origin = Origin::LabFile;
                fresh.push(Supervised::new(origin, spec, node, program, namespaces, full, user)?);
            }
        }
        self.start_all(fresh)
    }

    /// Starts programs as soon as those that they wait for are ready.
    ///
    /// # Errors
    /// The first that cannot be started at once; none of them runs then.
    fn start_all(&mut self, mut fresh: Vec<Supervised>) -> Result<()> {
        let present = self.supervised.len();
        self.supervised.append(&mut fresh);
        match self.start_held() {
            None => Ok(()),
            Some(error) => {
                self.supervised.truncate(present);
                Err(error)
            }
        }
    }

    /// Starts the programs whose turn it is, and returns the first that cannot be started.
    fn start_held(&mut self) -> Option<Error> {
        let mut first_error = None;
        loop {
            let verdicts: HashMap<(Origin, &NodeName, &str), &Verdict> =
                self.supervised.iter().map(|s| (s.key(), s.readiness.verdict())).collect();
            let turns: Vec<Turn> = self.supervised.iter().map(|s| s.turn(&verdicts)).collect();
            if turns.iter().all(|turn| *turn == Turn::NotYet) {
                return first_error;
            }
            for (supervised, turn) in self.supervised.iter_mut().zip(turns) {
                match turn {
                    Turn::NotYet => {}
                    Turn::Never => supervised.is_orphaned(),
                    Turn::Now => {
                        if let Err(error) = supervised.start() {
                            let error = not_started(&supervised.node, &supervised.program, &error);
                            supervised.failed(error.title.clone());
                            first_error.get_or_insert(error);
                        }
                    }
                }
            }
        }
    }

    /// Starts the programs that the lab file has for its end, those of each node one after another.
    ///
    /// # Errors
    /// The first that cannot be started.
    pub(super) fn start_for_down(
        &mut self,
        spec: &Spec,
        namespaces: &Namespaces,
        full: &FullNodes,
        user: Option<&OwnedFd>,
    ) -> Result<()> {
        let is_for_down = |s: &Supervised| s.origin == Origin::Down;
        if self.supervised.iter().any(|s| is_for_down(s) && s.readiness.is_pending()) {
            return Ok(());
        }
        self.supervised.retain(|s| !is_for_down(s));
        let within_ms = u32::try_from(STOPPING_TIME.as_millis()).unwrap_or(u32::MAX);
        let mut fresh = Vec::new();
        for node in &spec.lab.nodes {
            let of_node = |name: &String| ProgramOf { node: node.name.clone(), program: name.clone() };
            let mut before: Option<&Program> = None;
            for program in &node.on_down {
                let program_then = Program {
                    ready: Some(Ready { when: ReadyWhen::Ended, within_ms }),
                    after: before.into_iter().map(|before| of_node(&before.name)).collect(),
                    ..program.clone()
                };
                let origin = Origin::Down;
                fresh.push(Supervised::new(origin, spec, node, &program_then, namespaces, full, user)?);
                before = Some(program);
            }
        }
        let until = Instant::now() + STOPPING_TIME;
        fresh.iter_mut().for_each(|s| s.readiness.end_by(until));
        self.supervised.append(&mut fresh);
        // One that cannot be started does not keep the others from it.
        let _ = self.start_held();
        Ok(())
    }

    /// Whether all programs of the lab file are ready, or those for its end have ended; none as long as that is open.
    pub(super) fn verdict(&mut self, awaited: Awaited) -> Option<Result<()>> {
        let origin = match awaited {
            Awaited::Ready => Origin::LabFile,
            Awaited::Stopped => Origin::Down,
        };
        let is_open = self.supervised.iter().any(|s| s.origin == origin && s.readiness.is_pending());
        // At the end of a lab all that can be done is done before a failure is told.
        if is_open && awaited == Awaited::Stopped {
            return None;
        }
        let failed = self.supervised.iter_mut().filter(|s| s.origin == origin).find_map(Supervised::failure);
        match failed {
            Some(error) => Some(Err(error)),
            None if is_open => None,
            None => Some(Ok(())),
        }
    }

    /// What [`Programs::end_unwanted`] and [`Programs::change_to`] would do.
    pub(super) fn changes_to(&self, spec: &Spec, kept: &Numbers) -> Vec<ServiceChange> {
        let named = |running: &Supervised, node: &Node, program: &Program| {
            running.origin == Origin::LabFile
                && running.node == node.name
                && running.program.name == program.name
        };
        let mut changes = Vec::new();
        for running in self.supervised.iter().filter(|running| !running.is_wanted(spec, kept)) {
            if !programs_of(spec).any(|(node, program)| named(running, node, program)) {
                let (node, program) = (running.node.clone(), running.program.name.clone());
                changes.push(ServiceChange::StopProgram { node, program });
            }
        }
        for (node, program) in programs_of(spec) {
            if self.supervised.iter().any(|running| running.is(spec, kept, node, program)) {
                continue;
            }
            let is_there = self.supervised.iter().any(|running| named(running, node, program));
            let (node, program) = (node.name.clone(), program.name.clone());
            changes.push(match is_there {
                true => ServiceChange::RestartProgram { node, program },
                false => ServiceChange::StartProgram { node, program },
            });
        }
        changes
    }

    /// Starts the program that connects a node to the network namespace that the holder is in now, and returns its
    /// pid fd.
    ///
    /// # Errors
    /// That it cannot be started.
    pub(super) fn start_uplink(&mut self, spec: &Spec, node: &Node, program: &Program) -> Result<OwnedFd> {
        let launch = Launch {
            argv: texts(node, program, program.argv.iter().cloned())?,
            env: texts(node, program, environment(spec, node, program))?,
            no_new_privs: true,
            session: Session::Own,
            ..Launch::default()
        };
        let mut supervised = Supervised::of(Origin::Uplink, node, program, launch);
        supervised.start().map_err(|error| not_started(&node.name, program, &error))?;
        let State::Running { pidfd, .. } = &supervised.state else {
            return Err(Error::kernel("K010", format!("`{}` does not run", program.name)));
        };
        let pidfd = pidfd.try_clone().map_err(|e| Error::io("cannot copy a descriptor", &e))?;
        self.supervised.push(supervised);
        Ok(pidfd)
    }

    /// All that a program has printed and is kept.
    pub(super) fn said(&mut self, node: &NodeName, program: &str) -> String {
        let filter = LogFilter { node: Some(node.clone()), program: Some(program.to_owned()) };
        self.logs(&filter).into_iter().map(|chunk| chunk.text).collect()
    }

    /// Takes note of programs that have ended. Other children are those that ended programs left to pid 1.
    pub(super) fn reap(&mut self) {
        while let Some((pid, change)) = next_child_change() {
            let ChildChange::Ended(status) = change else { continue };
            let is_it =
                |s: &&mut Supervised| matches!(s.state, State::Running { pid: own, .. } if own == pid);
            if let Some(supervised) = self.supervised.iter_mut().find(is_it) {
                supervised.ended(status);
            } else if let Some(asked) = self.supervised.iter_mut().find(|s| s.readiness.is_command(pid)) {
                asked.answered(status, Instant::now());
            }
        }
    }

    /// When there is something to do again.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        let due = |s: &Supervised| match s.state {
            State::Waiting { until } => Some(until),
            _ => None,
        };
        let restarts = self.supervised.iter().filter_map(due);
        restarts.chain(self.supervised.iter().filter_map(|s| s.readiness.next_look())).min()
    }

    /// Does what it is time for: starts programs again, looks which are ready, and starts those that waited for them.
    pub(super) fn go_on(&mut self, now: Instant) {
        self.restart_due(now);
        self.supervised.iter_mut().for_each(|supervised| supervised.look_whether_ready(now));
        if self.supervised.iter().any(|s| matches!(s.state, State::Held)) {
            // The program's own log says what is wrong with it.
            let _ = self.start_held();
        }
    }

    /// Starts the programs again whose pause is over.
    fn restart_due(&mut self, now: Instant) {
        for supervised in &mut self.supervised {
            if matches!(supervised.state, State::Waiting { until } if until <= now) {
                supervised.restarts += 1;
                if let Err(error) = supervised.start() {
                    supervised.say(&format!("cannot {}: {}", error.doing, error.source));
                    supervised.wait_for_start();
                }
            }
        }
    }

    /// The pipes that programs print into.
    pub(super) fn outputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.supervised.iter().filter_map(|s| s.output.as_ref()).map(AsFd::as_fd)
    }

    /// Takes in what programs have printed.
    pub(super) fn read_output(&mut self) -> Vec<LogChunk> {
        self.supervised.iter_mut().filter_map(Supervised::read_output).collect()
    }

    /// What is kept of what programs printed.
    pub(super) fn logs(&mut self, filter: &LogFilter) -> Vec<LogChunk> {
        self.read_output();
        let wanted = self.supervised.iter_mut().filter(|s| filter.admits(&s.node, &s.program.name));
        let kept = |s: &mut Supervised| {
            let text = String::from_utf8_lossy(s.log.make_contiguous()).into_owned();
            s.chunk(text)
        };
        wanted.map(kept).collect()
    }

    /// What each program does.
    pub(super) fn status(&self) -> Vec<ProgramStatus> {
        let state = |s: &Supervised| match s.state {
            State::Held => ProgramState::Held,
            State::Running { .. } => ProgramState::Running,
            State::Waiting { .. } => ProgramState::Waiting,
            State::Exited(status) => ProgramState::Exited(status.shell_code()),
        };
        let status = |s: &Supervised| ProgramStatus {
            node: s.node.clone(),
            name: s.program.name.clone(),
            argv: s.program.argv.clone(),
            state: state(s),
            ready: s.ready_state(),
            restarts: s.restarts,
        };
        self.supervised.iter().filter(|s| s.origin != Origin::Down).map(status).collect()
    }
}

impl Supervised {
    fn new(
        origin: Origin,
        spec: &Spec,
        node: &Node,
        program: &Program,
        namespaces: &Namespaces,
        full: &FullNodes,
        user: Option<&OwnedFd>,
    ) -> Result<Self> {
        let duplicated = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|e| Error::io("cannot copy a descriptor", &e))
        };
        let ns = Ns::Node(node.name.clone());
        let net =
            namespaces.fd(&ns).ok_or_else(|| Error::kernel("K010", format!("`{ns}` has no namespace")))?;
        let room = full.room(&node.name);
        let room = room.map(|(room, number)| Ok((copied_room(room)?, number))).transpose()?;
        let mounts = match room {
            Some(_) => Vec::new(),
            None => files::mounts_of_program(spec, node)
                .map_err(|e| Error::io(format!("cannot make the files of node `{}`", node.name), &e))?,
        };
        let folder = spec.shown_folder().filter(|_| room.is_none());
        let launch = Launch {
            argv: texts(node, program, program.argv.iter().cloned())?,
            env: texts(node, program, environment(spec, node, program))?,
            cwd: folder.and_then(|folder| CString::new(folder.as_os_str().as_bytes()).ok()),
            mounts,
            hostname: Some(node.hostname().to_owned()),
            no_new_privs: true,
            session: Session::Own,
            grants_setgroups: room.is_some() && sandbox::has_one_id(),
            ..Launch::default()
        };
        let net = Some(duplicated(net)?);
        let user = user.map(|fd| duplicated(fd.as_fd())).transpose()?;
        let mut supervised = Self::of(origin, node, program, launch);
        (supervised.net, supervised.user, supervised.room) = (net, user, room);
        Ok(supervised)
    }

    /// Not started yet, in the holder's own namespaces.
    fn of(origin: Origin, node: &Node, program: &Program, launch: Launch) -> Self {
        Self {
            origin,
            node: node.name.clone(),
            program: program.clone(),
            state: State::Held,
            started: Instant::now(),
            pause: PAUSE_MIN,
            restarts: 0,
            output: None,
            log: VecDeque::new(),
            readiness: Readiness::new(),
            launch,
            net: None,
            user: None,
            room: None,
        }
    }

    /// Whether it is not waited for any more although it is not ready; `up` tries it anew.
    fn has_failed(&self) -> bool {
        matches!(self.readiness.verdict(), Verdict::Failed(_) | Verdict::Orphaned)
    }

    /// Whether it is this program of the lab file, started as it would be now.
    fn is(&self, spec: &Spec, kept: &Numbers, node: &Node, program: &Program) -> bool {
        let env = || environment(spec, node, program).into_iter();
        self.origin == Origin::LabFile
            && !self.has_failed()
            && self.node == node.name
            && self.program == *program
            && self.launch.hostname.as_deref() == Some(node.hostname())
            && self.room.as_ref().map(|(_, number)| *number) == kept.get(&node.name).copied()
            && self.launch.env.iter().map(|entry| entry.as_bytes()).eq(env().map(String::into_bytes))
    }

    /// Whether it runs on in a lab that has changed to this.
    fn is_wanted(&self, spec: &Spec, kept: &Numbers) -> bool {
        self.origin != Origin::LabFile
            || programs_of(spec).any(|(node, program)| self.is(spec, kept, node, program))
    }

    fn start(&mut self) -> std::result::Result<(), process::LaunchError> {
        let (reader, writer) = std::io::pipe()?;
        rustix::io::ioctl_fionbio(&reader, true).map_err(std::io::Error::from)?;
        let null = std::fs::File::open("/dev/null")?;
        self.launch.stdio = [Some(null.into()), Some(writer.try_clone()?.into()), Some(writer.into())];
        let started = self.launch_behind_doors();
        self.launch.stdio = [None, None, None];
        let running = started?;
        self.read_output();
        self.output = Some(reader);
        self.started = Instant::now();
        self.state = State::Running { pid: running.pid, pidfd: running.pidfd };
        self.started_to_get_ready(self.started);
        Ok(())
    }

    /// What no other program of the lab shares.
    fn key(&self) -> (Origin, &NodeName, &str) {
        (self.origin, &self.node, &self.program.name)
    }

    /// Whether it is to be started now.
    fn turn(&self, verdicts: &HashMap<(Origin, &NodeName, &str), &Verdict>) -> Turn {
        if !matches!(self.state, State::Held) || !self.readiness.is_pending() {
            return Turn::NotYet;
        }
        let before = self.program.after.iter();
        let mut before = before.filter_map(|of| verdicts.get(&(self.origin, &of.node, of.program.as_str())));
        match self.origin {
            Origin::Down if before.all(|verdict| **verdict != Verdict::Pending) => Turn::Now,
            Origin::Down => Turn::NotYet,
            _ if before.clone().any(|v| matches!(v, Verdict::Failed(_) | Verdict::Orphaned)) => Turn::Never,
            _ if before.all(|verdict| **verdict == Verdict::Ready) => Turn::Now,
            _ => Turn::NotYet,
        }
    }

    /// Whether it is ready; none where it says nothing of that.
    fn ready_state(&self) -> Option<ReadyState> {
        match self.readiness.verdict() {
            Verdict::Failed(_) | Verdict::Orphaned => Some(ReadyState::Failed),
            _ if self.program.ready.is_none() => None,
            Verdict::Pending => Some(ReadyState::Pending),
            Verdict::Ready => Some(ReadyState::Ready),
        }
    }

    /// That it has failed to get ready, if it has.
    fn failure(&mut self) -> Option<Error> {
        let Verdict::Failed(why) = self.readiness.verdict() else { return None };
        let title = format!("program `{}` of node `{}` {why}", self.program.name, self.node);
        let mut error = Error::kernel("K020", title).note(format!("waited for {}", self.awaited()));
        let lines = self.last_lines();
        if !lines.is_empty() {
            error = error.note("its last lines:");
        }
        for line in lines {
            error = error.note(format!("  {line}"));
        }
        Some(error)
    }

    fn ended(&mut self, status: ExitStatus) {
        self.read_output();
        let is_failure = status != ExitStatus::Code(0);
        let again = match self.program.restart {
            Restart::Never => false,
            Restart::OnFailure => is_failure,
            Restart::Always => true,
        };
        self.ended_before_ready(status, again);
        let how = match status {
            ExitStatus::Code(code) => format!("ended with code {code}"),
            ExitStatus::Signal(signal) => format!("ended by signal {signal}"),
        };
        if again {
            if self.started.elapsed() >= GOOD_RUN {
                self.pause = PAUSE_MIN;
            }
            self.say(&format!("{how}; starts again in {} ms", self.pause.as_millis()));
            self.wait_for_start();
        } else {
            // Who waited for it has said so.
            if is_failure && !matches!(self.readiness.verdict(), Verdict::Failed(_)) {
                self.say(&how);
            }
            self.state = State::Exited(status);
        }
    }

    fn wait_for_start(&mut self) {
        self.state = State::Waiting { until: Instant::now() + self.pause };
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// A line of ours among the program's.
    fn say(&mut self, words: &str) {
        self.keep(format!("netyard: {words}\n").as_bytes());
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.log.extend(bytes);
        let excess = self.log.len().saturating_sub(LOG_LEN_MAX);
        self.log.drain(..excess);
    }

    fn read_output(&mut self) -> Option<LogChunk> {
        let output = self.output.as_mut()?;
        let mut fresh = Vec::new();
        let mut buffer = [0; 16 * 1024];
        // A bounded number of reads: a program that prints without end must not hold up the lab.
        for _ in 0..16 {
            match output.read(&mut buffer) {
                Ok(0) => {
                    self.output = None;
                    break;
                }
                Ok(length) => fresh.extend_from_slice(&buffer[..length]),
                Err(_) => break,
            }
        }
        if fresh.is_empty() {
            return None;
        }
        self.keep(&fresh);
        self.printed(&fresh);
        Some(self.chunk(String::from_utf8_lossy(&fresh).into_owned()))
    }

    fn chunk(&self, text: String) -> LogChunk {
        LogChunk { node: self.node.clone(), program: self.program.name.clone(), text }
    }
}

impl Drop for Supervised {
    /// A program that is no longer wanted ends at once, and what it has started with it.
    fn drop(&mut self) {
        if let State::Running { pid, pidfd } = &self.state {
            // It has not been reaped, so that the number of its process group is still its own.
            process::kill_group(*pid);
            if process::wait_gone(pidfd.as_fd(), ENDING_TIME).is_ok_and(|is_gone| is_gone) {
                // The first process of its node, if that has one, cannot end before.
                let _ = process::reap(pidfd.as_fd());
            }
        }
    }
}

/// The programs that a lab file names, with their nodes.
fn programs_of(spec: &Spec) -> impl Iterator<Item = (&Node, &Program)> {
    spec.lab.nodes.iter().flat_map(|node| node.programs.iter().map(move |program| (node, program)))
}

/// The words of a program for the kernel.
fn texts(node: &Node, program: &Program, words: impl IntoIterator<Item = String>) -> Result<Vec<CString>> {
    texts_of(words).map_err(|_| {
        let whose = format!("program `{}` of node `{}`", program.name, node.name);
        Error::input("U008", format!("{whose} has a zero byte in its words"))
    })
}

fn texts_of(
    words: impl IntoIterator<Item = String>,
) -> std::result::Result<Vec<CString>, std::ffi::NulError> {
    words.into_iter().map(CString::new).collect()
}

/// The environment of a lab's program: the node's, the program's, and nothing of the caller's but `PATH`, which is of
/// no use in a full node.
fn environment(spec: &Spec, node: &Node, program: &Program) -> Vec<String> {
    let path = std::env::var("PATH").ok().filter(|path| !path.is_empty() && node.kind != NodeKind::Full);
    let path = path.unwrap_or_else(|| PATH_OF_SYSTEM.into());
    let mut all = node.env.clone();
    all.extend(program.env.clone());
    for (name, value) in [
        ("PATH", path),
        ("HOME", "/root".into()),
        ("NETYARD_LAB", spec.lab.name.to_string()),
        ("NETYARD_NODE", node.name.to_string()),
    ] {
        all.entry(name.to_owned()).or_insert(value);
    }
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn copied_room(room: &Room) -> Result<Room> {
    room.try_clone().map_err(|e| Error::io("cannot copy a descriptor", &e))
}

fn not_started(node: &NodeName, program: &Program, error: &process::LaunchError) -> Error {
    let title = format!("cannot start program `{}` of node `{node}`: {}", program.name, error.source);
    let mut result = Error::kernel("K008", title).note(format!("while trying to {}", error.doing));
    if error.is_program {
        let word = program.argv.first().map_or("", String::as_str);
        result = result.help(format!("is `{word}` installed, and is it in PATH?"));
    }
    result
}

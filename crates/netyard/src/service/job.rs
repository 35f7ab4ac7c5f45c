//! Starting, stopping and reloading services, on behalf of whoever asks.

use super::find::{Found, Units};
use super::keeper::{self, RELOAD, STARTED, STOP};
use super::record::Record;
use super::{init, made_anew, processes, quagga};
use netyard_core::unit::{Activity, Condition, ConditionKind, Outcome, Unit, UnitName, UnitState};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What systemctl(1) ends with when there is no such unit.
pub(super) const NOT_FOUND: u8 = 5;
/// How many lines of output a failure shows.
const LINES: usize = 10;
/// How long a process that was not started by us gets to end after `SIGTERM`.
const NATIVE_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// How long a keeper that has stopped its service, or does not answer, may need to be gone.
const KEEPER_LIMIT: Duration = Duration::from_secs(5);
const KEEPER_PAUSE: Duration = Duration::from_millis(2);

/// What a job did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// What was asked.
    Done,
    /// Nothing: the service was so already.
    Already,
    /// Nothing: a condition of the unit is not met.
    ConditionFailed,
}

/// Why a job was not done, as systemctl(1) says it.
#[derive(Debug)]
pub enum Failure {
    /// There is no unit and no init script of that name.
    NotFound(UnitName),
    /// What is to be stopped neither runs nor exists.
    NotLoaded(UnitName),
    /// The unit is masked.
    Masked(UnitName),
    /// It is no service.
    NoService(UnitName),
    /// It does not run, so it cannot be reloaded.
    NotActive(UnitName),
    /// It does not tell how it is reloaded.
    NotReloadable(UnitName),
    /// It could not be reloaded, and why.
    NotReloaded(UnitName, String),
    /// An assertion of the unit is not met.
    Assertion(UnitName),
    /// Another unit that it requires could not be started, and why.
    Dependency(UnitName, Box<Failure>),
    /// It was not started: its state, and the last lines that it printed.
    NotStarted(UnitName, Box<UnitState>, String),
    /// A file or process could not be dealt with.
    System(UnitName, io::Error),
}

impl Failure {
    /// The exit code of systemctl(1).
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::NotFound(_) | Self::NotLoaded(_) => NOT_FOUND,
            Self::NotReloadable(_) => 3,
            _ => 1,
        }
    }

    /// Its text for a verb such as `start`.
    #[must_use]
    pub fn text(&self, verb: &str) -> String {
        let failed = |name: &UnitName| format!("Failed to {verb} {name}");
        match self {
            Self::NotFound(name) => format!("{}: Unit {name} not found.", failed(name)),
            Self::NotLoaded(name) => format!("{}: Unit {name} not loaded.", failed(name)),
            Self::Masked(name) => format!("{}: Unit {name} is masked.", failed(name)),
            Self::NoService(name) => {
                format!("{}: in nodes only services are started, and this is none.", failed(name))
            }
            Self::NotActive(name) => format!("{name} is not active, cannot {verb}."),
            Self::NotReloadable(name) => {
                format!("{}: Job type reload is not applicable for unit {name}.", failed(name))
            }
            Self::NotReloaded(name, words) => format!("Job for {name} failed.\n  {words}"),
            Self::Assertion(name) => format!("Assertion failed on job for {name}."),
            Self::Dependency(name, failure) => {
                format!("A dependency job for {name} failed.\n{}", failure.text("start"))
            }
            Self::NotStarted(name, state, log) => not_started(name, state, log),
            Self::System(name, error) => format!("{}: {error}", failed(name)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text("start"))
    }
}

impl std::error::Error for Failure {}

fn not_started(name: &UnitName, state: &UnitState, log: &str) -> String {
    let because = match state.outcome {
        Outcome::Signal(_) => "a fatal signal was delivered to the control process",
        Outcome::Timeout => "a timeout was exceeded",
        Outcome::Protocol => "the service did not take the steps required by its unit configuration",
        Outcome::StartLimitHit => "start of the service was attempted too often",
        Outcome::Resources => "of unavailable resources or another system error",
        _ => "the control process exited with error code",
    };
    let mut text = format!("Job for {name} failed because {because}.\n");
    if let Some(failure) = &state.failure {
        text += &format!("  {failure}\n");
    }
    for line in log.lines() {
        text += &format!("  {line}\n");
    }
    text + &format!("See \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details.")
}

/// Starts a service, after those that it requires and wants.
///
/// Without `waits` it returns when the keeper runs, whatever becomes of the service.
///
/// # Errors
/// [`Failure`]
pub fn start(units: &Units, name: &UnitName, waits: bool) -> Result<Job, Failure> {
    start_with(units, name, waits, &mut Vec::new())
}

fn start_with(
    units: &Units,
    name: &UnitName,
    waits: bool,
    begun: &mut Vec<UnitName>,
) -> Result<Job, Failure> {
    if !name.is_service() {
        return other_kind(units, name);
    }
    let found = units.find(name).ok_or_else(|| Failure::NotFound(name.clone()))?;
    let unit = &found.unit;
    let name = &unit.name;
    if found.is_masked {
        return Err(Failure::Masked(name.clone()));
    }
    begun.push(name.clone());
    let needed: Vec<UnitName> = unit.requires.iter().chain(&unit.wants).cloned().collect();
    for needed in in_order(units, needed) {
        if begun.contains(&needed) {
            continue;
        }
        match start_with(units, &needed, true, begun) {
            Err(failure) if unit.requires.contains(&needed) => {
                return Err(Failure::Dependency(name.clone(), Box::new(failure)));
            }
            _ => {}
        }
    }
    if !Condition::all_met(&unit.conditions, is_so) {
        return Ok(Job::ConditionFailed);
    }
    if !Condition::all_met(&unit.assertions, is_so) {
        return Err(Failure::Assertion(name.clone()));
    }
    start_one(&found, waits).map_err(|error| match error {
        Refused::System(error) => Failure::System(name.clone(), error),
        Refused::Ended(state, log) => Failure::NotStarted(name.clone(), state, log),
    })
}

/// Targets are there and mean nothing; all else that is no service does not work in a node.
fn other_kind(units: &Units, name: &UnitName) -> Result<Job, Failure> {
    match units.files().contains_key(name.as_str()) {
        false => Err(Failure::NotFound(name.clone())),
        true if name.as_str().ends_with(".target") => Ok(Job::Already),
        true => Err(Failure::NoService(name.clone())),
    }
}

/// Units in an order in which each comes after those of them that it is to come after (`After=`, `Before=`), otherwise as
/// they were.
#[must_use]
pub fn in_order(units: &Units, names: Vec<UnitName>) -> Vec<UnitName> {
    let mut left: Vec<(UnitName, Option<Unit>)> =
        names.into_iter().map(|name| (name.clone(), units.find(&name).map(|found| found.unit))).collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let waits = |(name, unit): &(UnitName, Option<Unit>)| {
            let names: Vec<&UnitName> = unit.iter().map(|unit| &unit.name).chain([name]).collect();
            let is_after = |other: &UnitName| unit.as_ref().is_some_and(|unit| unit.after.contains(other));
            left.iter().filter(|(other, _)| other != name).any(|(other, of)| {
                let is_before = of.as_ref().is_some_and(|of| of.before.iter().any(|n| names.contains(&n)));
                is_before || is_after(other) || of.as_ref().is_some_and(|of| is_after(&of.name))
            })
        };
        // Of units that are to come after each other the first begins.
        let first = left.iter().position(|unit| !waits(unit)).unwrap_or(0);
        ordered.push(left.remove(first).0);
    }
    ordered
}

/// Whether a path is what a condition asks for.
fn is_so(kind: ConditionKind, path: &str) -> bool {
    let path = Path::new(path);
    match kind {
        ConditionKind::Exists => path.exists(),
        ConditionKind::IsDirectory => path.is_dir(),
        ConditionKind::IsSymbolicLink => path.is_symlink(),
        ConditionKind::HasEntries => path.read_dir().is_ok_and(|mut entries| entries.next().is_some()),
        ConditionKind::HasContent => path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0),
        ConditionKind::IsExecutable => {
            path.metadata().is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
        }
    }
}

enum Refused {
    System(io::Error),
    Ended(Box<UnitState>, String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

fn start_one(found: &Found, waits: bool) -> Result<Job, Refused> {
    let name = &found.unit.name;
    let record = Record::of(name);
    let _lock = record.lock()?;
    settle(&record);
    let state = record.state();
    if state.activity.is_active() {
        return Ok(Job::Already);
    }
    if record.has_keeper() {
        // It waits to start its service again, and may wait for long.
        end_keeper(&record)?;
    } else {
        processes::signal_all(&record.processes(), 9)?;
    }
    if found.is_quagga {
        quagga::translate()?;
    }
    made_anew::make(name)?;
    let before = record.log_len();
    let mut keeper = keeper::command(name).spawn()?;
    let mut answer = Vec::new();
    if waits && let Some(mut output) = keeper.stdout.take() {
        output.read_to_end(&mut answer)?;
    }
    if !waits || answer == [STARTED] {
        return Ok(Job::Done);
    }
    Err(Refused::Ended(Box::new(record.state()), record.log(LINES, before)))
}

/// Waits while somebody else's start goes on that was not waited for.
fn settle(record: &Record) {
    let is_starting = |state: UnitState| state.activity == Activity::Activating && state.sub == "start";
    while is_starting(record.state()) {
        std::thread::sleep(PAUSE);
    }
}

/// Asks a keeper, and waits for its answer; for a stop that is the end of the connection.
fn ask(record: &Record, request: u8) -> io::Result<String> {
    let mut stream = UnixStream::connect(record.control())?;
    stream.write_all(&[request])?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Makes a keeper stop its service and end, and waits for that. One that is about to end by itself does not answer.
fn end_keeper(record: &Record) -> io::Result<()> {
    let answer = ask(record, STOP);
    let begun = Instant::now();
    while record.has_keeper() {
        if begun.elapsed() > KEEPER_LIMIT {
            return answer.and(Err(io::ErrorKind::TimedOut.into()));
        }
        std::thread::sleep(KEEPER_PAUSE);
    }
    Ok(())
}

/// Stops a service, with all of its processes, after those that require it or are part of it.
///
/// # Errors
/// [`Failure`]
pub fn stop(units: &Units, name: &UnitName) -> Result<Job, Failure> {
    stop_with(units, name, &mut Vec::new())
}

fn stop_with(units: &Units, name: &UnitName, begun: &mut Vec<UnitName>) -> Result<Job, Failure> {
    let found = units.find(name);
    let name = found.as_ref().map_or(name, |found| &found.unit.name);
    begun.push(name.clone());
    for other in dependents(units, name) {
        if !begun.contains(&other) {
            stop_with(units, &other, begun)?;
        }
    }
    let record = Record::of(name);
    let system = |error| Failure::System(name.clone(), error);
    if record.has_keeper() {
        return end_keeper(&record).map(|()| Job::Done).map_err(system);
    }
    let left = record.processes();
    if !left.is_empty() {
        processes::signal_all(&left, 9).map_err(system)?;
        return record.forget().map_err(system).map(|()| Job::Done);
    }
    match &found {
        Some(found) => stop_native(found).map_err(system),
        None if !name.is_service() && units.files().contains_key(name.as_str()) => Ok(Job::Already),
        None => Err(Failure::NotLoaded(name.clone())),
    }
}

/// Those that run and end with a unit: they require it (`Requires=`, `BindsTo=`), or are part of it (`PartOf=`).
fn dependents(units: &Units, name: &UnitName) -> Vec<UnitName> {
    let ends_with_it = |other: &UnitName| {
        let is_it =
            |named: &UnitName| named == name || units.find(named).is_some_and(|f| f.unit.name == *name);
        units.find(other).is_some_and(|found| {
            found.unit.requires.iter().chain(&found.unit.part_of).any(is_it) && found.unit.name != *name
        })
    };
    let all = Record::all().into_iter();
    all.filter(|other| Record::of(other).state().activity.is_active() && ends_with_it(other)).collect()
}

/// Stops a service and starts it, and with it those that end with it.
///
/// # Errors
/// [`Failure`]
pub fn restart(units: &Units, name: &UnitName, waits: bool) -> Result<Job, Failure> {
    let found = units.find(name).ok_or_else(|| Failure::NotFound(name.clone()))?;
    let others = dependents(units, &found.unit.name);
    stop(units, name)?;
    let done = start(units, name, waits)?;
    for other in in_order(units, others) {
        start(units, &other, waits)?;
    }
    Ok(done)
}

/// A service that was started without us: by its init script, or by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Native {
    /// Its PID file names this process.
    Process(u32),
    /// The init script of the same name says that it runs.
    Script(PathBuf),
}

/// Whether a service that we have not started runs nevertheless.
#[must_use]
pub fn native(found: &Found) -> Option<Native> {
    if let Some(script) = init::init_script(Path::new("/"), found.unit.name.stem()) {
        return init::quietly(&script, "status").ok()?.then_some(Native::Script(script));
    }
    let pid = keeper::pid_in(found.unit.pid_file.as_deref()?)?;
    processes::start_time(pid).map(|_| Native::Process(pid))
}

fn stop_native(found: &Found) -> io::Result<Job> {
    match native(found) {
        None => Ok(Job::Already),
        Some(Native::Script(script)) => {
            Ok(if init::quietly(&script, "stop")? { Job::Done } else { Job::Already })
        }
        Some(Native::Process(pid)) => {
            processes::signal_all(&[pid], found.unit.kill_signal)?;
            let Some(pidfd) = processes::open(pid) else { return Ok(Job::Done) };
            if !netyard_kernel::process::wait_gone(pidfd.as_fd(), NATIVE_LIMIT)? {
                processes::signal_all(&[pid], 9)?;
            }
            Ok(Job::Done)
        }
    }
}

/// Makes a service read its configuration anew.
///
/// # Errors
/// [`Failure`]
pub fn reload(units: &Units, name: &UnitName) -> Result<Job, Failure> {
    let found = units.find(name).ok_or_else(|| Failure::NotFound(name.clone()))?;
    let name = &found.unit.name;
    let record = Record::of(name);
    if !record.state().activity.is_active() {
        return Err(Failure::NotActive(name.clone()));
    }
    let begun = Instant::now();
    match ask(&record, RELOAD) {
        Ok(answer) if answer == "ok" => Ok(Job::Done),
        Ok(answer) if answer == "none" => Err(Failure::NotReloadable(name.clone())),
        Ok(answer) if answer.is_empty() => {
            let words = format!("it ended after {:.1} s", begun.elapsed().as_secs_f32());
            Err(Failure::NotReloaded(name.clone(), words))
        }
        Ok(answer) => Err(Failure::NotReloaded(name.clone(), answer)),
        Err(error) => Err(Failure::System(name.clone(), error)),
    }
}

//! The keeper of a service: starts it, adopts what it leaves behind, starts it again, stops it.
//!
//! It is a process of its own for each service, and does one thing after the other; while it waits it collects children
//! that ended, what the service prints, what it tells by sd_notify(3), and what is asked of it (`events`).

mod events;
mod folders;
mod start;
mod stop;
mod syslog;

use super::find::Units;
use super::record::{Record, now};
use super::{job, processes};
use events::{Event, Events, Request};
pub(super) use events::{RELOAD, STOP};
use netyard_core::unit::{
    Account, Accounts, Activity, Outcome, Restart, Statuses, Unit, UnitName, UnitState,
};
use netyard_kernel::process::{Credentials, adopt_orphans};
pub(super) use start::pid_in;
use std::fs;
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// What a keeper is called.
pub const ARGV0: &str = "netyard-keeper";
/// The path that services have (systemd.exec(5)).
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a keeper tells its starter when the service has started.
pub(super) const STARTED: u8 = b's';
/// What it tells when it could not.
pub(super) const FAILED: u8 = b'f';

/// A keeper for that unit, to be started: it tells on its standard output how the start went.
pub(super) fn command(name: &UnitName) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(ARGV0).arg(name.as_str()).current_dir("/").env_clear().env("PATH", PATH);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    netyard_kernel::process::detached(&mut command);
    command
}

/// Is the keeper of the unit named by the only word.
#[must_use]
pub fn run(words: &[String]) -> ExitCode {
    let found =
        words.first().and_then(|word| UnitName::new(word)).and_then(|name| Units::default().find(&name));
    let Some(found) = found else { return ExitCode::from(job::NOT_FOUND) };
    match Keeper::new(found.unit) {
        Ok(keeper) => keeper.keep(),
        Err(error) => {
            // There is no log yet, and nobody reads this but whoever looks for what is wrong with netyard itself.
            let _ = writeln!(io::stderr(), "{ARGV0}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What went wrong: a command, or a wait, and how it ended.
#[derive(Debug)]
struct Trouble {
    what: String,
    outcome: Outcome,
}

impl Trouble {
    fn new(what: impl Into<String>, outcome: Outcome) -> Self {
        Self { what: what.into(), outcome }
    }
}

type Tried<T> = Result<T, Trouble>;

/// Why a service that ran does no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// Somebody stopped it.
    Stopped,
    /// It ended.
    Ended(Outcome),
}

struct Keeper {
    unit: Unit,
    record: Record,
    state: UnitState,
    events: Events,
    account: Option<Account>,
    credentials: Option<Credentials>,
    /// Whether the starter waits for a word still.
    is_starter_waiting: bool,
    starts: Vec<Instant>,
}

impl Keeper {
    fn new(unit: Unit) -> io::Result<Self> {
        adopt_orphans()?;
        let record = Record::of(&unit.name);
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
        let accounts = Accounts { passwd: &passwd, group: &group };
        let account = unit.user.as_deref().and_then(|name| accounts.user(name));
        let credentials = credentials(&unit, account.as_ref(), &accounts);
        let own = std::process::id();
        let mut state = record.state();
        state.keeper = (own, processes::start_time(own).unwrap_or(0));
        state.invocation = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().replace('-', "");
        state.restarts = 0;
        let events = Events::new(record.clone(), unit.accepts_notification)?;
        let starts = Vec::new();
        Ok(Self { unit, record, state, events, account, credentials, is_starter_waiting: true, starts })
    }

    /// The whole life of the service, from the first start to the last end.
    fn keep(mut self) -> ExitCode {
        let leave = loop {
            let leave = self.live();
            if !self.is_to_restart(leave) {
                break leave;
            }
            self.tell(Activity::Activating, "auto-restart");
            if self.waits_for_restart() {
                break Leave::Stopped;
            }
            self.state.restarts += 1;
        };
        let has_failed = !matches!(leave, Leave::Stopped | Leave::Ended(Outcome::Success))
            || self.state.outcome != Outcome::Success;
        if has_failed {
            self.tell(Activity::Failed, "failed");
        } else {
            self.tell(Activity::Inactive, "dead");
        }
        self.answer_starter(!has_failed);
        self.events.end();
        ExitCode::SUCCESS
    }

    /// One life: start, run, end.
    fn live(&mut self) -> Leave {
        self.starts.push(Instant::now());
        self.events.look_for_syslog();
        self.state.outcome = Outcome::Success;
        self.state.failure = None;
        self.state.main_end = None;
        self.state.status_text.clear();
        self.tell(Activity::Activating, "start");
        let leave = match self.start() {
            Ok(()) => {
                // The end of a main process is an event still to come, which tells how it ended.
                let is_over = self.state.main_pid.is_none()
                    && !self.unit.remains_after_exit
                    && !self.has_something_left();
                if is_over {
                    Leave::Ended(Outcome::Success)
                } else {
                    self.tell_that_it_runs();
                    self.answer_starter(true);
                    self.supervise()
                }
            }
            Err(trouble) => {
                self.state.failure = Some(format!("{} ({})", trouble.what, trouble.outcome));
                self.fail(trouble.outcome);
                if matches!(trouble.outcome, Outcome::Canceled | Outcome::Skipped) {
                    Leave::Stopped
                } else {
                    Leave::Ended(trouble.outcome)
                }
            }
        };
        self.leave(leave);
        leave
    }

    /// The first thing that went wrong is what a service is said to have failed by.
    fn fail(&mut self, outcome: Outcome) {
        if self.state.outcome == Outcome::Success && !matches!(outcome, Outcome::Canceled | Outcome::Skipped)
        {
            self.state.outcome = outcome;
        }
    }

    fn supervise(&mut self) -> Leave {
        loop {
            match self.events.next(None) {
                Event::Ended(pid, status) => {
                    if let Some(leave) = self.after_end(pid, start::outcome(status)) {
                        return leave;
                    }
                }
                Event::Notified => {
                    self.take_notice();
                    self.write();
                }
                Event::Asked(Request::Stop) => return Leave::Stopped,
                Event::Asked(Request::Reload) => self.reload(),
                Event::Deadline => {}
            }
        }
    }

    /// What the end of a process means for a service that runs.
    fn after_end(&mut self, pid: u32, outcome: Outcome) -> Option<Leave> {
        if self.state.main_pid == Some(pid) {
            self.state.main_pid = None;
            self.state.main_end = Some(outcome);
            if self.finds_main_process() {
                self.write();
                return None;
            }
            if self.is_clean(outcome) && self.unit.remains_after_exit {
                self.tell_that_it_runs();
                return None;
            }
            let outcome = if self.is_clean(outcome) { Outcome::Success } else { outcome };
            if outcome != Outcome::Success {
                self.state.failure = Some(format!("main process {pid} ({outcome})"));
                self.fail(outcome);
            }
            return Some(Leave::Ended(outcome));
        }
        let is_over =
            self.state.main_pid.is_none() && !self.unit.remains_after_exit && !self.has_something_left();
        is_over.then_some(Leave::Ended(Outcome::Success))
    }

    /// Runs the commands of a reload, and tells whoever asked how that went.
    fn reload(&mut self) {
        if self.unit.reload.is_empty() && self.unit.reload_signal.is_none() {
            return self.events.answer_reload("none");
        }
        self.tell(Activity::Reloading, "reload");
        let deadline = self.unit.start_timeout.map(|limit| Instant::now() + limit);
        let lines = self.unit.reload.clone();
        let done = self
            .run_all(&lines, "ExecReload", deadline)
            .and_then(|()| self.unit.reload_signal.map_or(Ok(()), |signal| self.reload_by(signal, deadline)));
        // The main process may be another one now.
        if self.state.main_pid.is_none_or(|pid| processes::start_time(pid).is_none()) {
            self.state.main_pid = None;
            self.finds_main_process();
        }
        self.tell_that_it_runs();
        match done {
            Ok(()) => self.events.answer_reload("ok"),
            Err(trouble) => self.events.answer_reload(&format!("{} ({})", trouble.what, trouble.outcome)),
        }
    }

    /// Sends the main process a signal, and waits until it says that it has read its configuration anew.
    fn reload_by(&mut self, signal: i32, deadline: Option<Instant>) -> Tried<()> {
        let trouble = |outcome| Err(Trouble::new("the reload", outcome));
        self.events.notice.is_ready = false;
        // Its end is an event like any other.
        let _ = processes::signal_all(self.state.main_pid.as_slice(), signal);
        while !self.events.notice.is_ready {
            match self.events.next(deadline) {
                Event::Ended(pid, status) if self.state.main_pid == Some(pid) => {
                    self.state.main_end = Some(start::outcome(status));
                    return trouble(start::outcome(status));
                }
                Event::Notified => self.take_notice(),
                Event::Deadline => return trouble(Outcome::Timeout),
                Event::Ended(..) | Event::Asked(_) => {}
            }
        }
        Ok(())
    }

    fn is_to_restart(&mut self, leave: Leave) -> bool {
        let Leave::Ended(outcome) = leave else { return false };
        let is_wanted = match (self.unit.restart, outcome) {
            (Restart::Always, _)
            | (Restart::OnSuccess, Outcome::Success)
            | (Restart::OnAbnormal, Outcome::Signal(_) | Outcome::Timeout)
            | (Restart::OnAbort, Outcome::Signal(_)) => true,
            (Restart::OnFailure, outcome) => outcome != Outcome::Success,
            _ => false,
        };
        let is_end_among = |ends: &Statuses| self.state.main_end.is_some_and(|end| ends.has(end));
        let is_wanted = (is_wanted || is_end_among(&self.unit.restart_forced_by))
            && !is_end_among(&self.unit.restart_prevented_by);
        let interval = self.unit.start_limit_interval;
        let recent = self.starts.iter().filter(|start| start.elapsed() < interval).count();
        let is_too_often = self.unit.start_limit_burst > 0 && recent >= self.unit.start_limit_burst;
        if is_wanted && is_too_often {
            self.state.outcome = Outcome::StartLimitHit;
        }
        if is_wanted {
            // A first start that failed is told at once; that it is tried again is seen in the state.
            self.answer_starter(outcome == Outcome::Success);
        }
        is_wanted && !is_too_often
    }

    /// Whether somebody stopped the service while it waited to be started again.
    fn waits_for_restart(&mut self) -> bool {
        let deadline = Instant::now() + self.unit.restart_delay;
        loop {
            match self.events.next(Some(deadline)) {
                Event::Asked(Request::Stop) => return true,
                Event::Asked(Request::Reload) => self.events.answer_reload("it is about to be started again"),
                Event::Deadline => return false,
                Event::Ended(..) | Event::Notified => {}
            }
        }
    }

    /// Whether the end of a main process is none to worry about: by itself, or by the usual signals (systemd.service(5),
    /// `SuccessExitStatus=`).
    fn is_clean(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Success | Outcome::ExitCode(0) | Outcome::Signal(1 | 2 | 13 | 15) => true,
            outcome => self.unit.success.has(outcome),
        }
    }

    /// Whether a process of the service is there.
    fn has_something_left(&self) -> bool {
        !processes::all_of(std::process::id()).is_empty()
    }

    fn tell_that_it_runs(&mut self) {
        let sub =
            if self.state.main_pid.is_some() || self.has_something_left() { "running" } else { "exited" };
        self.tell(Activity::Active, sub);
    }

    fn tell(&mut self, activity: Activity, sub: &str) {
        if self.state.activity != activity || self.state.since == 0 {
            self.state.since = now();
        }
        self.state.activity = activity;
        sub.clone_into(&mut self.state.sub);
        self.write();
    }

    fn write(&self) {
        // A full `/run` is no reason to end a service; its state is old then.
        let _ = self.record.write(&self.state);
    }

    /// Tells the starter, who reads standard output to its end.
    fn answer_starter(&mut self, is_started: bool) {
        if std::mem::take(&mut self.is_starter_waiting) {
            let mut output = io::stdout();
            // A starter that has gone waits no longer.
            let _ = output.write_all(&[if is_started { STARTED } else { FAILED }]);
            let _ = output.flush();
            if let Ok(null) = fs::File::options().write(true).open("/dev/null") {
                let _ = rustix::stdio::dup2_stdout(null);
            }
        }
    }
}

/// As whom the service runs. Where the user namespace has one id only, accounts of daemons are root's anyway.
fn credentials(unit: &Unit, account: Option<&Account>, accounts: &Accounts<'_>) -> Option<Credentials> {
    let group = unit.group.as_deref().and_then(|name| accounts.group_id(name));
    let more = unit.groups.iter().filter_map(|name| accounts.group_id(name));
    let own = account.map_or((0, 0, vec![0]), |account| (account.uid, account.gid, account.groups.clone()));
    let (uid, gid, mut groups) = (own.0, group.unwrap_or(own.1), own.2);
    groups.extend(group);
    groups.extend(more);
    let is_own = account.is_none() && group.is_none() && unit.groups.is_empty();
    (!is_own && is_mapped("/proc/self/uid_map", uid) && is_mapped("/proc/self/gid_map", gid))
        .then_some(Credentials { uid, gid, groups })
}

/// User and group id of an account of this node, as far as they exist in its user namespace.
pub(super) fn owner_of(user: &str) -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let account = Accounts { passwd: &passwd, group: "" }.user(user)?;
    let (uid, gid) = (account.uid, account.gid);
    (is_mapped("/proc/self/uid_map", uid) && is_mapped("/proc/self/gid_map", gid)).then_some((uid, gid))
}

/// Whether an id exists in this user namespace (user_namespaces(7): first id inside, first one outside, how many).
fn is_mapped(file: &str, id: u32) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|line| {
        let numbers: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if id >= first && id - first < count)
    })
}

//! How a service is stopped.

use super::events::Event;
use super::start::outcome;
use super::{Keeper, Leave};
use crate::service::processes;
use netyard_core::unit::{Activity, KillMode, Outcome};
use std::time::{Duration, Instant};

/// The number of `SIGKILL`.
const KILL: i32 = 9;
/// The number of `SIGCONT`: a stopped process hears of nothing else.
const CONTINUE: i32 = 18;
/// How long a process that was killed may need to be gone before others are looked for.
const PAUSE: Duration = Duration::from_millis(50);

impl Keeper {
    /// Ends what is left of the service.
    pub(super) fn leave(&mut self, leave: Leave) {
        let was_running = self.state.activity.is_active();
        let is_asked = leave == Leave::Stopped || leave == Leave::Ended(Outcome::Success);
        self.tell(Activity::Deactivating, "stop");
        let deadline = self.unit.stop_timeout.map(|limit| Instant::now() + limit);
        if was_running && is_asked {
            let lines = self.unit.stop.clone();
            if let Err(trouble) = self.run_all(&lines, "ExecStop", deadline) {
                self.state.failure = Some(format!("{} ({})", trouble.what, trouble.outcome));
                self.fail(trouble.outcome);
            }
        }
        self.end_processes();
        if leave == Leave::Stopped
            && let Some(end) = self.state.main_end.filter(|end| !self.is_clean(*end))
        {
            self.fail(end);
        }
        let lines = self.unit.stop_post.clone();
        let deadline = self.unit.stop_timeout.map(|limit| Instant::now() + limit);
        // What failed before counts; the service is gone in any case.
        let _ = self.run_all(&lines, "ExecStopPost", deadline);
        if matches!(self.unit.kill_mode, KillMode::ControlGroup | KillMode::Mixed) {
            self.end_all(KILL, None);
        }
        self.remove_folders();
        self.state.main_pid = None;
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state.activity == Activity::Deactivating
    }

    fn end_processes(&mut self) {
        let signal = self.unit.kill_signal;
        let deadline = self.unit.stop_timeout.map(|limit| Instant::now() + limit);
        let is_over = match self.unit.kill_mode {
            KillMode::None => return,
            KillMode::ControlGroup => self.end_all(signal, deadline),
            KillMode::Mixed | KillMode::Process => self.end_main(signal, deadline),
        };
        if !is_over {
            self.state.failure = Some("it did not end within TimeoutStopSec= and was killed".to_owned());
            self.fail(Outcome::Timeout);
        }
        match self.unit.kill_mode {
            _ if !self.unit.sends_sigkill => {}
            KillMode::Process => drop(self.end_main(KILL, None)),
            _ => drop(self.end_all(KILL, None)),
        }
    }

    /// Sends the signal to all processes and waits until they have ended; false when the time is over first.
    fn end_all(&mut self, signal: i32, deadline: Option<Instant>) -> bool {
        let left = || processes::all_of(std::process::id());
        let mut told = Vec::new();
        loop {
            let mut fresh = left();
            if fresh.is_empty() {
                return true;
            }
            // Those that came after the signal get it too; those that have it are not told twice.
            fresh.retain(|pid| signal == KILL || !told.contains(pid));
            for signal in [signal, CONTINUE] {
                // Who may not be signalled is another user's, and cannot be here.
                let _ = processes::signal_all(&fresh, signal);
            }
            told.extend(fresh);
            if !self.waits_for_an_end(deadline) {
                return left().is_empty();
            }
        }
    }

    /// The same for the main process alone.
    fn end_main(&mut self, signal: i32, deadline: Option<Instant>) -> bool {
        let Some(pid) = self.state.main_pid else { return true };
        for signal in [signal, CONTINUE] {
            let _ = processes::signal_all(&[pid], signal);
        }
        while processes::start_time(pid).is_some() {
            if !self.waits_for_an_end(deadline) {
                return processes::start_time(pid).is_none();
            }
        }
        true
    }

    /// Waits until something has happened, at most for a moment; false when the time is over.
    fn waits_for_an_end(&mut self, deadline: Option<Instant>) -> bool {
        let pause = Instant::now() + PAUSE;
        let limit = deadline.map_or(pause, |deadline| deadline.min(pause));
        if let Event::Ended(pid, status) = self.events.next(Some(limit))
            && self.state.main_pid == Some(pid)
        {
            self.state.main_pid = None;
            self.state.main_end = Some(outcome(status));
        }
        deadline.is_none_or(|deadline| Instant::now() < deadline)
    }
}

//! When a program counts as ready, and who waits for that.

use super::{Supervised, texts_of};
use netyard_core::lab::{Ready, ReadyWhen};
use netyard_kernel::process::{self, Doors, ExitStatus};
use netyard_kernel::traveller::Traveller;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The first pause between two looks; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// What is known of a program's readiness.
pub(super) struct Readiness {
    verdict: Verdict,
    /// Since when it runs, and until when it must be ready; none before its first start.
    since: Option<Instant>,
    until: Option<Instant>,
    next_look: Instant,
    pause: Duration,
    /// The command that asks, while it runs.
    command: Option<(u32, OwnedFd)>,
    /// The end of what was printed, in which a text may have begun.
    tail: VecDeque<u8>,
}

/// Whether a program is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not yet.
    Pending,
    /// It is, or was once.
    Ready,
    /// It is not, and is not waited for any more: why.
    Failed(String),
    /// One that it waits for has failed, so that it never starts.
    Orphaned,
}

impl Readiness {
    pub(super) fn new() -> Self {
        Self {
            verdict: Verdict::Pending,
            since: None,
            until: None,
            next_look: Instant::now(),
            pause: PAUSE_MIN,
            command: None,
            tail: VecDeque::new(),
        }
    }

    pub(super) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// It must be ready by then, whenever it starts.
    pub(super) fn end_by(&mut self, until: Instant) {
        self.until = Some(until);
    }

    pub(super) fn is_pending(&self) -> bool {
        self.verdict == Verdict::Pending
    }

    /// When to look again.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let until = self.until.filter(|_| self.is_pending())?;
        Some(if self.command.is_some() { until } else { self.next_look.min(until) })
    }

    /// The process that asks whether the program is ready.
    pub(super) fn is_command(&self, pid: u32) -> bool {
        self.command.as_ref().is_some_and(|(own, _)| *own == pid)
    }

    fn end_command(&mut self) {
        if let Some((pid, pidfd)) = self.command.take() {
            // It has not been reaped, so that the number of its process group is still its own.
            process::kill_group(pid);
            let _ = process::wait_gone(pidfd.as_fd(), super::ENDING_TIME);
        }
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        self.end_command();
    }
}

impl Supervised {
    /// Takes note that the program has started.
    pub(super) fn started_to_get_ready(&mut self, now: Instant) {
        let Some(ready) = &self.program.ready else {
            self.readiness.verdict = Verdict::Ready;
            return;
        };
        self.readiness.since.get_or_insert(now);
        self.readiness.until.get_or_insert(now + Duration::from_millis(ready.within_ms.into()));
    }

    /// Takes note of what the program has printed.
    pub(super) fn printed(&mut self, fresh: &[u8]) {
        let Some(Ready { when: ReadyWhen::Log(text), .. }) = &self.program.ready else { return };
        if !self.readiness.is_pending() {
            return;
        }
        let tail = &mut self.readiness.tail;
        tail.extend(fresh);
        let is_there = tail.make_contiguous().windows(text.len()).any(|part| part == text.as_bytes());
        // Of a text that has begun, at most all but its last byte has come.
        let excess = tail.len().saturating_sub(text.len() - 1);
        tail.drain(..excess);
        if is_there {
            self.is_ready();
        }
    }

    /// Takes note that the program has ended, and is started again or not.
    pub(super) fn ended_before_ready(&mut self, status: ExitStatus, starts_again: bool) {
        if !self.readiness.is_pending() {
            return;
        }
        let is_job = self.program.ready.as_ref().is_some_and(|ready| ready.when == ReadyWhen::Ended);
        match status {
            ExitStatus::Code(0) if is_job => self.is_ready(),
            // What it has started in the background may still get ready.
            ExitStatus::Code(0) => {}
            _ if starts_again => {}
            ExitStatus::Code(code) => self.failed(format!("ended with code {code}{}", unless_job(is_job))),
            ExitStatus::Signal(signal) => {
                self.failed(format!("was ended by signal {signal}{}", unless_job(is_job)));
            }
        }
    }

    /// Takes note of what the command that asks has answered.
    pub(super) fn answered(&mut self, status: ExitStatus, now: Instant) {
        self.readiness.command = None;
        match status {
            ExitStatus::Code(0) => self.is_ready(),
            _ => self.look_later(now),
        }
    }

    /// Looks whether the program is ready, when it is time to.
    pub(super) fn look_whether_ready(&mut self, now: Instant) {
        let Some(until) = self.readiness.until.filter(|_| self.readiness.is_pending()) else { return };
        let Some(Ready { when, within_ms }) = self.program.ready.clone() else { return };
        if now >= until {
            self.readiness.end_command();
            return self.failed(match when {
                ReadyWhen::Ended => format!("did not end within {}", seconds(within_ms)),
                _ => format!("was not ready within {}", seconds(within_ms)),
            });
        }
        if now < self.readiness.next_look || self.readiness.command.is_some() {
            return;
        }
        match when {
            ReadyWhen::Port(port) => match self.net.as_ref().map(|net| listens(net.as_fd(), port)) {
                Some(Ok(true)) => self.is_ready(),
                _ => self.look_later(now),
            },
            ReadyWhen::Command(argv) => match self.start_asking(&argv) {
                Ok(command) => self.readiness.command = Some(command),
                Err(error) => {
                    self.failed(format!(
                        "cannot be asked whether it is ready: {}: {}",
                        error.doing, error.source
                    ));
                }
            },
            // These come by themselves.
            ReadyWhen::Log(_) | ReadyWhen::Ended => self.readiness.next_look = until,
        }
    }

    /// One that it waits for has failed.
    pub(super) fn is_orphaned(&mut self) {
        self.readiness.verdict = Verdict::Orphaned;
        self.say("is not started, because a program that it waits for has failed");
    }

    pub(super) fn failed(&mut self, why: String) {
        self.say(&why);
        self.readiness.verdict = Verdict::Failed(why);
    }

    fn is_ready(&mut self) {
        self.readiness.verdict = Verdict::Ready;
        if let Some(since) = self.readiness.since {
            self.say(&format!("ready after {:.2} s", since.elapsed().as_secs_f64()));
        }
    }

    fn look_later(&mut self, now: Instant) {
        self.readiness.next_look = now + self.readiness.pause;
        self.readiness.pause = (self.readiness.pause * 2).min(PAUSE_MAX);
    }

    /// Starts the command that asks, where the program itself is.
    fn start_asking(&mut self, argv: &[String]) -> Result<(u32, OwnedFd), process::LaunchError> {
        let argv =
            texts_of(argv.iter().cloned()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let null = || fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from);
        self.launch.stdio = [Some(null()?), Some(null()?), Some(null()?)];
        let own = std::mem::replace(&mut self.launch.argv, argv);
        let running = self.launch_behind_doors();
        self.launch.argv = own;
        self.launch.stdio = [None, None, None];
        running.map(|running| (running.pid, running.pidfd))
    }

    /// Starts what [`Supervised::launch`] says, in the namespaces of the program.
    pub(super) fn launch_behind_doors(&self) -> Result<process::Running, process::LaunchError> {
        let [user, net] = [&self.user, &self.net].map(|fd| fd.as_ref().map(AsFd::as_fd));
        let room = self.room.as_ref().map(|(room, _)| room);
        self.launch.start(&Doors { holder: None, user, net, room })
    }

    /// What it is waited for, in words.
    pub(super) fn awaited(&self) -> String {
        match self.program.ready.as_ref().map(|ready| &ready.when) {
            Some(ReadyWhen::Port(port)) => format!("somebody to listen on TCP port {port}"),
            Some(ReadyWhen::Command(argv)) => format!("`{}` to end with code 0", argv.join(" ")),
            Some(ReadyWhen::Log(text)) => format!("it to print `{text}`"),
            Some(ReadyWhen::Ended) | None => "it to end with code 0".to_owned(),
        }
    }

    /// The last lines that the program printed, netyard's own left out.
    pub(super) fn last_lines(&mut self) -> Vec<String> {
        const LINES: usize = 8;
        let text = String::from_utf8_lossy(self.log.make_contiguous()).into_owned();
        let own = |line: &&str| line.starts_with("netyard: ");
        let mut lines: Vec<String> =
            text.lines().rev().filter(|line| !own(line)).take(LINES).map(str::to_owned).collect();
        lines.reverse();
        lines
    }
}

fn unless_job(is_job: bool) -> &'static str {
    if is_job { "" } else { " before it was ready" }
}

fn seconds(ms: u32) -> String {
    format!("{} s", f64::from(ms) / 1000.0)
}

/// Whether somebody listens on a TCP port in a network namespace.
///
/// Source: proc_pid_net(5), `/proc/net/tcp`: the second column ends with the port in hexadecimal digits, the fourth is
/// `0A` (`TCP_LISTEN`).
fn listens(net: BorrowedFd<'_>, port: u16) -> io::Result<bool> {
    Traveller::run(|traveller| {
        traveller.enter(net)?;
        // IPv6 may be missing.
        let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
        Ok(tables.iter().any(|table| fs::read_to_string(table).is_ok_and(|text| is_listening(&text, port))))
    })?
}

fn is_listening(table: &str, port: u16) -> bool {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let local = columns.next().is_some_and(|local| local.ends_with(&suffix));
        local && columns.nth(1) == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listener_of_that_port_counts() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n   \
                     0: 0100007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n   \
                     1: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0\n";
        assert!(is_listening(table, 53));
        assert!(!is_listening(table, 8080));
        assert!(!is_listening(table, 80));
    }
}

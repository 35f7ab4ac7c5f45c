//! The crash matrix: every verb, every victim, every stop.

use crate::host::{self, Host, Process};
use crate::process::{self, Children, Pid, Program};
use crate::trace::{self, Kill, Traced, Victim};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a lab may take to vanish, or to be whole, after a kill.
const SETTLE_TIME: Duration = Duration::from_secs(20);
/// How long a command may take that nobody kills.
const COMMAND_TIME: Duration = Duration::from_secs(60);

/// A command of netyard that is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `up` of a lab that is not there.
    Up,
    /// `down`.
    Down,
    /// `exec NODE -- true`.
    Exec,
    /// `up` of a changed file.
    Change,
}

/// Which stops are tried.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Every n-th.
    pub stride: u64,
    /// The first.
    pub offset: u64,
    /// How many of each verb and victim at most: the stride is longer where it would be more.
    pub points_max: u64,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Who was killed.
    pub victim: Victim,
    /// Stops of an undisturbed run.
    pub stops: u64,
    /// Kills made.
    pub points: u64,
    /// What was left or broken, a sentence each.
    pub leaks: Vec<String>,
    /// After how many kills the next `up` and `down` worked.
    pub healed: u64,
    /// The longest that a lab took to settle.
    pub settled_max: Duration,
}

/// A lab of our own and the program under test.
#[derive(Debug)]
pub struct Matrix {
    netyard: PathBuf,
    folder: PathBuf,
    lab: String,
    marker: String,
    is_shared: bool,
    has_daemon: bool,
    children: Children,
    output: OwnedFd,
    before: Host,
}

impl Matrix {
    /// A matrix for this program, with its files in an existing folder of its own. On a machine that others use at
    /// the same time, `is_shared` keeps their network namespaces from counting as ours. With `has_daemon` a node of the
    /// lab has files of its own, and runs dnsmasq.
    ///
    /// # Errors
    /// Those of files.
    pub fn new(netyard: &Path, folder: &Path, is_shared: bool, has_daemon: bool) -> io::Result<Self> {
        let pid = std::process::id();
        let output = fs::File::options().append(true).create(true).open(folder.join("output"))?;
        let matrix = Self {
            netyard: netyard.to_owned(),
            folder: folder.to_owned(),
            lab: format!("crash-{pid}"),
            // A number of seconds that nobody else sleeps.
            marker: format!("{}", 100_000_000 + pid),
            is_shared,
            has_daemon,
            children: Children::adopting(),
            output: output.into(),
            before: Host::now(),
        };
        matrix.write_file(false)?;
        Ok(matrix)
    }

    /// Tries a verb with a victim at all stops of the sample; `told` hears of every leak.
    ///
    /// # Errors
    /// That the undisturbed command does not work.
    pub fn row(
        &mut self,
        verb: Verb,
        victim: Victim,
        sample: Sample,
        told: &mut dyn FnMut(&str),
    ) -> io::Result<Row> {
        let calm = self.undisturbed(verb)?;
        let leaks = Vec::new();
        let mut row =
            Row { victim, stops: calm.stops, points: 0, leaks, healed: 0, settled_max: Duration::ZERO };
        let first = if verb == Verb::Up && victim == Victim::Holder { calm.holder_since } else { 1 };
        let stride = sample.stride.max(calm.stops.saturating_sub(first).div_ceil(sample.points_max));
        let mut stop = first.max(1) + sample.offset % stride;
        while stop <= calm.stops {
            let outcome = self.point(verb, Kill { stop, victim }, &mut row);
            if let Err(error) = outcome {
                let output = self.last_output();
                let text = format!("{verb:?}, {victim:?} killed at stop {stop}: {error}; output: {output}");
                told(&text);
                row.leaks.push(text);
                self.clear();
            }
            stop += stride;
        }
        Ok(row)
    }

    fn undisturbed(&mut self, verb: Verb) -> io::Result<Traced> {
        self.prepare(verb)?;
        let traced = self.traced(verb, None, None)?;
        self.children.wait_gone(traced.cli, COMMAND_TIME);
        self.settle(false)?;
        self.heal()?;
        Ok(traced)
    }

    /// One kill, and all that must hold after it.
    fn point(&mut self, verb: Verb, kill: Kill, row: &mut Row) -> io::Result<()> {
        self.children.forget();
        let holder = self.prepare(verb)?;
        let traced = self.traced(verb, Some(kill), holder)?;
        row.points += u64::from(traced.is_killed);
        let begun = Instant::now();
        if !self.children.wait_gone(traced.cli, COMMAND_TIME) {
            return Err(io::Error::other("the command hangs"));
        }
        // Without its holder a lab is gone, unless the command makes it anew.
        let must_go = kill.victim == Victim::Holder && verb != Verb::Change && traced.is_killed;
        self.settle(must_go)?;
        row.settled_max = row.settled_max.max(begun.elapsed());
        self.heal()?;
        row.healed += u64::from(traced.is_killed);
        Ok(())
    }

    /// Brings the lab up, with a program that was executed in it, for verbs that need one.
    fn prepare(&mut self, verb: Verb) -> io::Result<Option<Pid>> {
        self.write_file(false)?;
        if verb == Verb::Up {
            return Ok(None);
        }
        self.expect(&["up", "-q", &self.file()])?;
        let marker = self.marker.clone();
        let sleep = self.command(&["exec", "-l", &self.lab, "pc", "--", "sleep", &marker]);
        self.children.start(&sleep, &self.output)?;
        let is_sleep = |p: &Process| p.argv.len() == 2 && p.argv[0] == "sleep" && p.argv[1] == marker;
        let until = Instant::now() + COMMAND_TIME;
        while !self.living().iter().any(is_sleep) {
            if Instant::now() > until {
                return Err(io::Error::other("the background program does not start"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if verb == Verb::Change {
            self.write_file(true)?;
        }
        let holder = self.living().into_iter().find(is_holder).map(|p| p.pid);
        holder.map(Some).ok_or_else(|| io::Error::other("the lab has no holder"))
    }

    fn traced(&mut self, verb: Verb, kill: Option<Kill>, holder: Option<Pid>) -> io::Result<Traced> {
        let file = self.file();
        let program = match verb {
            Verb::Up | Verb::Change => self.command(&["up", &file]),
            Verb::Down => self.command(&["down", &self.lab]),
            Verb::Exec => self.command(&["exec", "-l", &self.lab, "pc", "--", "/bin/true"]),
        };
        // In verbs on a running lab every child is a stranger to the holder.
        let holder = if verb == Verb::Up { None } else { holder.or(Some(0)) };
        trace::run(&program, &self.output, kill, holder, &mut self.children)
    }

    /// Waits until the lab is whole or gone; with `must_go` only gone will do.
    fn settle(&mut self, must_go: bool) -> io::Result<()> {
        let until = Instant::now() + SETTLE_TIME;
        loop {
            self.children.reap();
            let living = self.living();
            let problem = if living.is_empty() {
                let files = self.files();
                let difference = Host::now().difference(&self.before, self.is_shared);
                match (files.len() > 1, difference.is_empty()) {
                    (false, true) => return Ok(()),
                    (true, _) => format!("the files {files:?} are left"),
                    (false, false) => format!("the host has changed: {difference}"),
                }
            } else if !must_go && self.is_whole(&living) {
                return Ok(());
            } else {
                format!("left: {}", list(&living))
            };
            if Instant::now() > until {
                return Err(io::Error::other(problem));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether nothing lives but what a whole lab consists of, and a program can be executed in it.
    fn is_whole(&mut self, living: &[Process]) -> bool {
        // `init` is the first process of a full node.
        let words = [self.marker.as_str(), "1000", "sleep 1000", "init", "dnsmasq"];
        let is_known = |p: &Process| is_holder(p) || p.argv.iter().any(|word| words.contains(&word.as_str()));
        let is_one = living.iter().filter(|p| is_holder(p)).count() == 1;
        is_one && living.iter().all(is_known) && self.enter() == Some(0)
    }

    /// The next `up` and `down` work, and nothing is left then.
    fn heal(&mut self) -> io::Result<()> {
        self.write_file(false)?;
        self.expect(&["up", "-q", &self.file()])?;
        match self.enter() {
            Some(0) => {}
            status => return Err(io::Error::other(format!("exec in the healed lab gives {status:?}"))),
        }
        let lab = self.lab.clone();
        self.expect(&["down", &lab])?;
        self.settle(true)?;
        let files = self.files();
        if files.is_empty() { Ok(()) } else { Err(io::Error::other(format!("{files:?} after healing"))) }
    }

    /// Kills all that is left, so that the next point begins from nothing.
    fn clear(&mut self) {
        let until = Instant::now() + SETTLE_TIME;
        while Instant::now() < until {
            let living = self.living();
            if living.is_empty() {
                break;
            }
            living.iter().for_each(|p| process::kill(p.pid));
            std::thread::sleep(Duration::from_millis(2));
            self.children.reap();
        }
        self.files().iter().for_each(|file| drop(fs::remove_file(file)));
    }

    fn living(&self) -> Vec<Process> {
        host::descendants(std::process::id().cast_signed(), &self.marker)
    }

    /// What the lab has in the folder of running labs.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(store()).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.to_string_lossy().contains(&self.lab)).collect()
    }

    fn file(&self) -> String {
        self.folder.join("lab.yaml").to_string_lossy().into_owned()
    }

    fn write_file(&self, is_changed: bool) -> io::Result<()> {
        let (address, more) = if is_changed {
            ("10.0.0.7", "\n  tablet: { links: { lan: 10.0.0.3 } }")
        } else {
            ("10.0.0.1", "")
        };
        let lab = &self.lab;
        let server = match self.has_daemon {
            true => format!(
                "\n  server: {{ kind: full, links: {{ lan: 10.0.0.2 }}, files: {{ /etc/motd: {address} }}, \
                 run: {{ dns: [dnsmasq, -k, --conf-file=/dev/null] }} }}"
            ),
            false => String::new(),
        };
        let text = format!(
            "lab: {lab}
networks: {{ lan: 10.0.0.0/24, isp: 198.51.100.0/24 }}
nodes:
  pc: {{ links: {{ lan: {address} }}, run: sleep 1000 }}
  router: {{ links: {{ lan: 10.0.0.254, isp: 198.51.100.2 }}, masquerade: {{ from: lan, out: isp }} }}
  internet: {{ role: internet, links: {{ isp: 198.51.100.1 }} }}{server}{more}
"
        );
        fs::write(self.file(), text)
    }

    fn command(&self, words: &[&str]) -> Program {
        let netyard = self.netyard.to_string_lossy().into_owned();
        Program::new(std::iter::once(netyard.as_str()).chain(words.iter().copied()))
    }

    /// Runs a command untouched; its wait status.
    fn run(&mut self, words: &[&str]) -> Option<i32> {
        let program = self.command(words);
        let pid = self.children.start(&program, &self.output).ok()?;
        self.children.wait(pid, COMMAND_TIME)
    }

    /// Executes a program in the lab.
    fn enter(&mut self) -> Option<i32> {
        let lab = self.lab.clone();
        self.run(&["exec", "-l", &lab, "pc", "--", "/bin/true"])
    }

    fn expect(&mut self, words: &[&str]) -> io::Result<()> {
        match self.run(words) {
            Some(0) => Ok(()),
            status => Err(io::Error::other(format!("`netyard {}` gives {status:?}", words.join(" ")))),
        }
    }

    fn last_output(&self) -> String {
        let text = fs::read_to_string(self.folder.join("output")).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().filter(|l| l.starts_with("error")).take(3).collect();
        lines.join(" | ")
    }
}

impl Drop for Matrix {
    fn drop(&mut self) {
        self.clear();
    }
}

fn is_holder(process: &Process) -> bool {
    process.argv.first().is_some_and(|word| word == "netyard-holder")
}

fn list(processes: &[Process]) -> String {
    let one = |p: &Process| format!("{} ({})", p.pid, p.argv.join(" "));
    processes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The folder in which netyard keeps the sockets of this user's labs.
fn store() -> PathBuf {
    // SAFETY: geteuid(2) always succeeds.
    if unsafe { libc::geteuid() } == 0 {
        return PathBuf::from("/run/netyard");
    }
    PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default()).join("netyard")
}

//! How a service is started, by its type.

use super::events::{Event, Request};
use super::{Keeper, PATH, Tried, Trouble};
use crate::service::processes;
use netyard_core::unit::{DirectoryKind, ExecLine, Outcome, Type, environment_file};
use netyard_kernel::process::{ExitStatus, ServiceSettings, as_service};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long to wait before a PID file is looked for again: nothing tells that it has been written.
const PID_FILE_PAUSE: Duration = Duration::from_millis(20);

/// How a process ended, as an outcome.
pub(super) fn outcome(status: ExitStatus) -> Outcome {
    match status {
        ExitStatus::Code(0) => Outcome::Success,
        ExitStatus::Code(code) => Outcome::ExitCode(code),
        ExitStatus::Signal(signal) => Outcome::Signal(signal),
    }
}

impl Keeper {
    pub(super) fn start(&mut self) -> Tried<()> {
        let deadline = self.unit.start_timeout.map(|limit| Instant::now() + limit);
        self.make_folders()?;
        let condition = self.unit.start_condition.clone();
        self.run_all(&condition, "ExecCondition", deadline).map_err(|trouble| match trouble.outcome {
            // 255 is a failure (systemd.service(5), `ExecCondition=`).
            Outcome::ExitCode(1..=254) => Trouble { outcome: Outcome::Skipped, ..trouble },
            _ => trouble,
        })?;
        let (before, after) = (self.unit.start_pre.clone(), self.unit.start_post.clone());
        self.run_all(&before, "ExecStartPre", deadline)?;
        let lines = self.unit.start.clone();
        match (self.unit.kind, lines.first()) {
            (Type::Oneshot, _) => self.run_all(&lines, "ExecStart", deadline)?,
            (_, None) => return Err(Trouble::new("there is no ExecStart=", Outcome::Resources)),
            (Type::Simple, Some(line)) => self.state.main_pid = Some(self.spawn(line, "ExecStart")?),
            (Type::Notify, Some(line)) => self.start_notifying(line, deadline)?,
            (Type::Forking, Some(line)) => self.start_forking(line, deadline)?,
        }
        self.write();
        self.run_all(&after, "ExecStartPost", deadline)
    }

    fn start_notifying(&mut self, line: &ExecLine, deadline: Option<Instant>) -> Tried<()> {
        self.events.notice.is_ready = false;
        let pid = self.spawn(line, "ExecStart")?;
        self.state.main_pid = Some(pid);
        self.write();
        let what = format!("ExecStart={}", line.text());
        while !self.events.notice.is_ready {
            match self.events.next(deadline) {
                Event::Ended(ended, status) if Some(ended) == self.state.main_pid => {
                    self.state.main_pid = None;
                    self.state.main_end = Some(outcome(status));
                    let outcome = match outcome(status) {
                        Outcome::Success => Outcome::Protocol,
                        other => other,
                    };
                    return Err(Trouble::new(what, outcome));
                }
                Event::Asked(Request::Stop) => return Err(Trouble::new(what, Outcome::Canceled)),
                Event::Asked(Request::Reload) => self.events.answer_reload("it is being started"),
                Event::Deadline => {
                    return Err(Trouble::new(format!("{what}: it did not say READY=1"), Outcome::Timeout));
                }
                Event::Notified => self.take_notice(),
                Event::Ended(..) => {}
            }
        }
        self.take_notice();
        Ok(())
    }

    fn start_forking(&mut self, line: &ExecLine, deadline: Option<Instant>) -> Tried<()> {
        self.run(line, "ExecStart", deadline)?;
        while !self.finds_main_process() && self.unit.pid_file.is_some() && self.has_something_left() {
            let pause = Instant::now() + PID_FILE_PAUSE;
            if let Event::Asked(Request::Stop) = self.events.next(Some(pause)) {
                return Err(Trouble::new(format!("ExecStart={}", line.text()), Outcome::Canceled));
            }
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                let path = self.unit.pid_file.as_deref().unwrap_or_default();
                return Err(Trouble::new(format!("PID file {path} was not written"), Outcome::Timeout));
            }
        }
        let is_missing = self.unit.pid_file.is_some() && self.state.main_pid.is_none();
        if is_missing && !self.unit.remains_after_exit {
            return Err(Trouble::new(format!("ExecStart={}: nothing runs", line.text()), Outcome::Protocol));
        }
        Ok(())
    }

    /// Looks for the main process of a service that put itself into the background: by its PID file, or the only child.
    pub(super) fn finds_main_process(&mut self) -> bool {
        if self.unit.kind != Type::Forking {
            return false;
        }
        let of_service = processes::all_of(std::process::id());
        let found = match &self.unit.pid_file {
            Some(path) => pid_in(path).filter(|pid| of_service.contains(pid)),
            None if self.unit.guesses_main_pid => {
                let own = std::process::id();
                let mut children = of_service.iter().filter(|pid| processes::parent(**pid) == Some(own));
                children.next().copied().filter(|_| children.next().is_none())
            }
            None => None,
        };
        self.state.main_pid = found.or(self.state.main_pid);
        found.is_some()
    }

    /// Takes over what the service has told of itself.
    pub(super) fn take_notice(&mut self) {
        if let Some(pid) =
            self.events.notice.main_pid.take().filter(|pid| processes::start_time(*pid).is_some())
        {
            self.state.main_pid = Some(pid);
        }
        if let Some(status) = self.events.notice.status.take() {
            self.state.status_text = status;
        }
    }

    /// Runs commands one after the other, up to the first that fails.
    pub(super) fn run_all(&mut self, lines: &[ExecLine], what: &str, deadline: Option<Instant>) -> Tried<()> {
        lines.iter().try_for_each(|line| self.run(line, what, deadline))
    }

    /// Runs a command to its end.
    pub(super) fn run(&mut self, line: &ExecLine, what: &str, deadline: Option<Instant>) -> Tried<()> {
        let done = self.spawn(line, what).and_then(|pid| self.wait_for(pid, line, what, deadline));
        match done {
            Err(trouble) if line.ignores_failure && trouble.outcome != Outcome::Canceled => Ok(()),
            done => done,
        }
    }

    fn wait_for(&mut self, pid: u32, line: &ExecLine, what: &str, deadline: Option<Instant>) -> Tried<()> {
        let trouble = |outcome| Err(Trouble::new(format!("{what}={}", line.text()), outcome));
        loop {
            match self.events.next(deadline) {
                Event::Ended(ended, status) if ended == pid => {
                    return match outcome(status) {
                        Outcome::Success => Ok(()),
                        outcome => trouble(outcome),
                    };
                }
                Event::Ended(ended, status) if Some(ended) == self.state.main_pid => {
                    self.state.main_pid = None;
                    self.state.main_end = Some(outcome(status));
                }
                // A stop is waited for by the commands of the stop themselves.
                Event::Asked(Request::Stop) if !self.is_stopping() => return trouble(Outcome::Canceled),
                Event::Asked(Request::Reload) => self.events.answer_reload("it is being started or stopped"),
                Event::Deadline => {
                    // Whatever it began ends with it.
                    let _ = processes::signal_all(&[pid], 9);
                    return trouble(Outcome::Timeout);
                }
                Event::Notified => self.take_notice(),
                Event::Ended(..) | Event::Asked(Request::Stop) => {}
            }
        }
    }

    /// Starts a command.
    fn spawn(&mut self, line: &ExecLine, what: &str) -> Tried<u32> {
        let trouble =
            |words: String, outcome| Trouble::new(format!("{what}={}: {words}", line.text()), outcome);
        let env = self.environment().map_err(|words| trouble(words, Outcome::Resources))?;
        let mut words = line.expanded(&env).into_iter();
        let mut command = Command::new(&line.program);
        command.arg0(words.next().unwrap_or_default()).args(words).env_clear().envs(&env);
        let output = self.events.output().map_err(|e| trouble(e.to_string(), Outcome::Resources))?;
        let error = output.try_clone().map_err(|e| trouble(e.to_string(), Outcome::Resources))?;
        command.stdin(Stdio::null()).stdout(output).stderr(error);
        if self.unit.is_silent {
            command.stdout(Stdio::null());
        }
        command.current_dir(self.working_directory());
        let credentials = self.credentials.clone().filter(|_| !line.is_privileged);
        let (umask, open_files, capabilities) =
            (self.unit.umask, self.unit.open_files, self.unit.capabilities.0);
        as_service(&mut command, ServiceSettings { credentials, umask, open_files, capabilities });
        let child = command.spawn().map_err(|error| {
            let text = error.to_string();
            trouble(text.split(" (os error").next().unwrap_or_default().to_owned(), Outcome::ExitCode(203))
        })?;
        Ok(child.id())
    }

    fn working_directory(&self) -> String {
        let home = || self.account.as_ref().map_or("/root".to_owned(), |account| account.home.clone());
        match self.unit.working_directory.as_deref() {
            None => "/".to_owned(),
            Some("~") => home(),
            Some(path) => match path.strip_prefix('-') {
                Some(path) if !Path::new(path).is_dir() => "/".to_owned(),
                Some(path) => path.to_owned(),
                None => path.to_owned(),
            },
        }
    }

    /// What a command finds in its environment; that a file which must be there is missing.
    fn environment(&self) -> Result<BTreeMap<String, String>, String> {
        let mut env = BTreeMap::new();
        let mut put = |name: &str, value: &str| drop(env.insert(name.to_owned(), value.to_owned()));
        put("PATH", PATH);
        put("LANG", "C.UTF-8");
        put("INVOCATION_ID", &self.state.invocation);
        put("SERVICE_RESULT", self.state.outcome.word());
        if let Some(account) = &self.account {
            put("HOME", &account.home);
            put("SHELL", &account.shell);
            put("USER", &account.name);
            put("LOGNAME", &account.name);
        }
        if let Some(pid) = self.state.main_pid {
            put("MAINPID", &pid.to_string());
        }
        if self.unit.accepts_notification {
            put("NOTIFY_SOCKET", &self.record.notify().to_string_lossy());
        }
        for (kind, key, _) in DirectoryKind::ALL {
            let own = self.unit.directories.iter().filter(|directory| directory.kind == kind);
            let paths: Vec<&str> = own.map(|directory| directory.path.as_str()).collect();
            if !paths.is_empty() {
                put(&format!("{}_DIRECTORY", key.to_ascii_uppercase()), &paths.join(":"));
            }
        }
        for (name, value) in &self.unit.environment {
            put(name, value);
        }
        for file in &self.unit.environment_files {
            match fs::read(&file.path) {
                Ok(bytes) => {
                    for (name, value) in environment_file(&String::from_utf8_lossy(&bytes)) {
                        put(&name, &value);
                    }
                }
                Err(_) if file.may_be_missing => {}
                Err(error) => return Err(format!("EnvironmentFile={}: {error}", file.path)),
            }
        }
        Ok(env)
    }
}

/// The process that a PID file names.
pub(in crate::service) fn pid_in(path: &str) -> Option<u32> {
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

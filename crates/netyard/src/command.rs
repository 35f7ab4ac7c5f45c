//! Programs that a person or a test starts inside a node.

use crate::connection::unexpected;
use crate::error::{Error, Result};
use crate::full_node;
use crate::own_folders;
use crate::protocol::Request;
use crate::running::{OpenDoors, RunningLab};
use crate::sandbox;
use crate::up::is_root_of_machine;
use netyard_core::lab::NodeKind;
use netyard_core::name::NodeName;
use netyard_kernel::process::{self, Doors, ExitStatus, Launch, LaunchError, Session};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The number of `SIGKILL`.
const KILLED: i32 = 9;

/// A program to run inside a node: like [`std::process::Command`], with the node's network.
///
/// It sees the caller's own files and starts in the caller's working folder, with the node's `/etc/hosts`,
/// `/etc/resolv.conf`, `/run` and host name. It is root of the lab, and nobody special outside.
#[derive(Debug)]
pub struct NodeCommand<'a> {
    lab: &'a RunningLab,
    node: Option<NodeName>,
    argv: Vec<OsString>,
    env: BTreeMap<OsString, Option<OsString>>,
    cwd: Option<PathBuf>,
    stdio: [Option<OwnedFd>; 3],
    dies_with_caller: bool,
    session: Session,
    first_in_path: Option<PathBuf>,
}

impl<'a> NodeCommand<'a> {
    pub(crate) fn new(lab: &'a RunningLab, node: Option<NodeName>, program: &OsStr) -> Self {
        Self {
            lab,
            node,
            argv: vec![program.to_owned()],
            env: BTreeMap::new(),
            cwd: None,
            stdio: [None, None, None],
            dies_with_caller: false,
            session: Session::Callers,
            first_in_path: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.argv.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment, which is otherwise the caller's with the node's `env` on top.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    /// Takes a variable out of the environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Makes the programs in this folder found before all others.
    #[must_use]
    pub fn first_in_path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.first_in_path = Some(folder.into());
        self
    }

    /// Starts it in this folder.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.cwd = Some(folder.as_ref().to_owned());
        self
    }

    /// Its standard input.
    #[must_use]
    pub fn stdin(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdio[0] = Some(fd.into());
        self
    }

    /// Its standard output.
    #[must_use]
    pub fn stdout(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdio[1] = Some(fd.into());
        self
    }

    /// Its standard error.
    #[must_use]
    pub fn stderr(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdio[2] = Some(fd.into());
        self
    }

    /// Kills it when the calling thread ends, however that comes (prctl(2) `PR_SET_PDEATHSIG`).
    #[must_use]
    pub fn dies_with_caller(mut self) -> Self {
        self.dies_with_caller = true;
        self
    }

    /// Makes the terminal that is its standard input its own: it gets what Ctrl-C there means.
    #[must_use]
    pub fn takes_terminal(mut self) -> Self {
        self.session = Session::OwnWithTerminal;
        self
    }

    /// The program and its arguments.
    #[must_use]
    pub fn words(&self) -> &[OsString] {
        &self.argv
    }

    /// Gives it the terminal that is its standard input, as a shell does to a job in the foreground: it gets what Ctrl-C
    /// there means, the caller does not, who takes the terminal back after its end
    /// ([`Terminal`](netyard_kernel::terminal::Terminal)).
    #[must_use]
    pub fn as_job(mut self) -> Self {
        self.session = Session::Foreground;
        self
    }

    /// A new terminal of its node, where that has files of its own and does not know the caller's: the side on which a
    /// person types ([`NodeTerminal`](netyard_kernel::terminal::NodeTerminal)).
    ///
    /// # Errors
    /// That the lab has ended.
    pub fn new_terminal(&self) -> Result<Option<OwnedFd>> {
        let Some(node) = &self.node else { return Ok(None) };
        let lab = self.lab.definition()?;
        if lab.node(node.as_str()).is_none_or(|node| node.kind != NodeKind::Full) {
            return Ok(None);
        }
        let (reply, mut fds) = self.lab.ask(&Request::Terminal(node.clone()))?;
        fds.pop().map(Some).ok_or_else(|| unexpected(&reply))
    }

    /// Starts it.
    ///
    /// # Errors
    /// That the program cannot be executed, or the lab has ended.
    pub fn spawn(self) -> Result<NodeChild> {
        let cwd = self.cwd.clone().or_else(|| std::env::current_dir().ok());
        let own = if is_root_of_machine() { own_folders::wanted(cwd.as_deref()) } else { Vec::new() };
        let OpenDoors { entrance, user, net, room, folders } = self.lab.doors(self.node.as_ref(), &own)?;
        let launch = Launch {
            argv: self.argv.iter().map(|word| text(word)).collect::<Result<_>>()?,
            env: self.environment(&entrance)?,
            cwd: cwd.map(|folder| text(folder.as_os_str())).transpose()?,
            folders,
            stdio: self.stdio,
            dies_with_caller: self.dies_with_caller,
            session: self.session,
            grants_setgroups: entrance.grants_setgroups,
            ..Launch::default()
        };
        let doors = Doors {
            holder: Some(self.lab.pidfd()),
            user: user.as_ref().map(AsFd::as_fd),
            net: Some(net.as_fd()),
            room: Some(&room),
        };
        let running = launch.start(&doors).map_err(|error| not_started(&self.argv[0], &error))?;
        let copy = running.pidfd.try_clone().map_err(|e| Error::io("cannot copy a descriptor", &e))?;
        self.lab.remember(copy);
        Ok(NodeChild { pid: running.pid, pidfd: running.pidfd, status: None })
    }

    /// Runs it with the caller's standard streams and waits for its end.
    ///
    /// # Errors
    /// As [`NodeCommand::spawn`].
    pub fn status(self) -> Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Runs it without input and collects what it prints.
    ///
    /// # Errors
    /// As [`NodeCommand::spawn`].
    pub fn output(mut self) -> Result<Output> {
        let failed = |e: &std::io::Error| Error::io("cannot make a pipe", e);
        let (mut out, out_writer) = std::io::pipe().map_err(|e| failed(&e))?;
        let (mut err, err_writer) = std::io::pipe().map_err(|e| failed(&e))?;
        if self.stdio[0].is_none() {
            let null =
                std::fs::File::open("/dev/null").map_err(|e| Error::io("cannot open /dev/null", &e))?;
            self = self.stdin(null);
        }
        let mut child = self.stdout(out_writer).stderr(err_writer).spawn()?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| err.read_to_end(&mut stderr));
            let _ = out.read_to_end(&mut stdout);
        });
        Ok(Output { status: child.wait()?, stdout, stderr })
    }

    fn environment(&self, entrance: &crate::protocol::Entrance) -> Result<Vec<CString>> {
        let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        if entrance.is_full {
            full_node::adapt_environment(&mut all);
        }
        all.extend(entrance.env.iter().map(|(name, value)| (name.into(), value.into())));
        all.insert("NETYARD_LAB".into(), entrance.lab.as_str().into());
        match &self.node {
            Some(node) => drop(all.insert("NETYARD_NODE".into(), node.as_str().into())),
            None => drop(all.remove(OsStr::new("NETYARD_NODE"))),
        }
        if let Some(folder) = &entrance.stand_ins {
            sandbox::add_to_environment(&mut all, folder);
        }
        if let Some(folder) = &self.first_in_path {
            let mut path = folder.clone().into_os_string();
            path.push(":");
            path.push(all.get(OsStr::new("PATH")).cloned().unwrap_or_default());
            all.insert("PATH".into(), path);
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => drop(all.insert(name.clone(), value.clone())),
                None => drop(all.remove(name)),
            }
        }
        let entry = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            text(&name)
        };
        all.into_iter().map(entry).collect()
    }
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it printed on standard error.
    pub stderr: Vec<u8>,
}

/// A program that runs inside a node. When this is dropped it runs on, until the lab ends.
#[derive(Debug)]
pub struct NodeChild {
    pid: u32,
    pidfd: OwnedFd,
    status: Option<ExitStatus>,
}

impl NodeChild {
    /// Its process id as this process sees it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Those of waitid(2).
    pub fn wait(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let ended =
            process::reap(self.pidfd.as_fd()).map_err(|e| Error::io("cannot wait for a program", &e))?;
        // The lab has ended before, and taken its programs along.
        let status = ended.unwrap_or(ExitStatus::Signal(KILLED));
        self.status = Some(status);
        Ok(status)
    }

    /// How it ended; none while it runs.
    ///
    /// # Errors
    /// Those of waitid(2).
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.wait_for(Duration::ZERO)
    }

    /// Waits for its end, no longer than this; none when it still runs then.
    ///
    /// # Errors
    /// Those of waitid(2).
    pub fn wait_for(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let has_ended = self.status.is_some()
            || process::wait_gone(self.pidfd.as_fd(), limit)
                .map_err(|e| Error::io("cannot wait for a program", &e))?;
        if has_ended { self.wait().map(Some) } else { Ok(None) }
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// That it has ended already.
    pub fn kill(&self) -> Result<()> {
        process::kill(self.pidfd.as_fd()).map_err(|e| Error::io("cannot end a program", &e))
    }
}

fn text(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes().to_vec()).map_err(|error| {
        let shown = OsString::from_vec(error.into_vec());
        Error::input("U008", format!("{} has a zero byte in it", shown.display()))
    })
}

fn not_started(program: &OsStr, error: &LaunchError) -> Error {
    if error.is_program {
        return not_executed(program, &error.source);
    }
    Error::io(format!("cannot {}", error.doing), &error.source)
}

/// That a program cannot be executed, with what is most likely the cause.
#[must_use]
pub fn not_executed(program: &OsStr, source: &std::io::Error) -> Error {
    if program.is_empty() {
        return Error::input("U006", "cannot execute a program: its name is empty")
            .help("the first word is the program, the others are its arguments");
    }
    let word = program.display();
    let is_line = program.as_bytes().iter().any(u8::is_ascii_whitespace);
    Error::input("U006", format!("cannot execute `{word}`: {source}")).help(if is_line {
        format!("a line for the shell is several words: sh -c '{word}'")
    } else {
        "is it installed, and is it in PATH?".to_owned()
    })
}

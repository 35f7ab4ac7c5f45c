//! A lab that runs, as its users hold it.

use crate::command::NodeCommand;
use crate::connection::{Connection, gone, unexpected};
use crate::error::{Error, Result};
use crate::expect;
use crate::full_node;
use crate::holder::unknown_node;
use crate::layer;
use crate::look::Scope;
use crate::node::{Link, Node};
use crate::own_folders::{self, OwnFolder};
use crate::preflight;
use crate::probe::{NodeSockets, SocketKind};
use crate::protocol::{Changes, Description, Entrance, LogChunk, ProgramStatus, Reply, Request, Spec};
use crate::scout::Scout;
use crate::up::{DYING_TIME, OnStep};
use crate::why;
use netyard_core::feature::needs;
use netyard_core::lab::Lab;
use netyard_core::name::{IfName, LabName, NodeName};
use netyard_core::report::{self, ExpectationResult, TestReport, Writing};
use netyard_core::state::State;
use netyard_core::why::{About, Versions};
use netyard_kernel::process::{Own, Room};
use netyard_kernel::{process, userns};
use std::ffi::CString;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A lab that runs.
///
/// One that was made by [`up_private`](crate::up::up_private) ends when this is dropped; others stay.
#[derive(Debug)]
pub struct RunningLab {
    name: LabName,
    connection: Mutex<Connection>,
    /// The holder.
    pidfd: OwnedFd,
    description: Mutex<Option<Box<Description>>>,
    /// Programs that this process has started in nodes. They are its children: unless it reaps them, a lab that ends
    /// waits for them.
    programs: Mutex<Vec<OwnedFd>>,
    ends_with_us: bool,
}

impl RunningLab {
    /// A lab that somebody else has built. Whether its holder answers shows with the first question.
    pub(crate) fn found(name: &LabName, connection: Connection) -> Result<Self> {
        let (_, pidfd) = connection.holder().map_err(|e| gone(&e))?;
        Ok(Self::started(name.clone(), connection, pidfd))
    }

    /// A lab that we have just built.
    pub(crate) fn started(name: LabName, connection: Connection, pidfd: OwnedFd) -> Self {
        let (connection, description) = (Mutex::new(connection), Mutex::new(None));
        Self { name, connection, pidfd, description, programs: Mutex::default(), ends_with_us: false }
    }

    /// Makes the lab end when this value does.
    #[must_use]
    pub fn ending_with_us(mut self) -> Self {
        self.ends_with_us = true;
        self
    }

    /// The running lab of that name.
    ///
    /// # Errors
    /// That none runs.
    pub fn find(name: &LabName, store: &crate::store::Store) -> Result<Self> {
        match store.find(name)? {
            Some(connection) => Self::found(name, connection),
            None => Err(store.no_such_lab(name)),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// The process id of its holder, as this process sees it; 0 when it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        process::pid_of(self.pidfd.as_fd()).unwrap_or(0)
    }

    /// The user namespace of the holder; none in labs without one.
    pub(crate) fn user_namespace(&self) -> Result<Option<OwnedFd>> {
        userns::of_process(self.pid()).map_err(|e| gone(&e))
    }

    /// The holder.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Whether its holder has ended, or does within that time.
    #[must_use]
    pub fn has_ended(&self, within: Duration) -> bool {
        process::wait_gone(self.pidfd.as_fd(), within).unwrap_or(true)
    }

    pub(crate) fn ask(&self, request: &Request) -> Result<(Reply, Vec<OwnedFd>)> {
        self.locked().ask(request)
    }

    /// Asks, with descriptors that go along.
    pub(crate) fn ask_giving(
        &self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>)> {
        self.locked().ask_with(request, fds, &mut |_, _| {})
    }

    fn locked(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the lab is.
    ///
    /// # Errors
    /// That it has ended.
    pub fn description(&self) -> Result<Description> {
        self.with_description(Description::clone)
    }

    /// Its definition.
    ///
    /// # Errors
    /// That it has ended.
    pub fn definition(&self) -> Result<Lab> {
        self.with_description(|description| description.lab.clone())
    }

    /// Works on what the lab is, which is asked for once.
    fn with_description<R>(&self, work: impl FnOnce(&Description) -> R) -> Result<R> {
        let mut known = self.description.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(description) = known.as_ref() {
            return Ok(work(description));
        }
        match self.locked().ask_briefly(&Request::Describe)? {
            (Reply::Description(description), _) => Ok(work(known.insert(description))),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// A node of the lab.
    ///
    /// # Errors
    /// That there is no such node.
    pub fn node(&self, name: &str) -> Result<Node<'_>> {
        let node = self.with_description(|description| {
            let node = description.lab.node(name).map(|node| node.name.clone());
            node.ok_or_else(|| unknown_node(&description.lab, name))
        })?;
        Ok(Node::new(self, node?))
    }

    /// A node of the lab that is known to be there, without asking; where it is not, its first use tells.
    #[must_use]
    pub fn known_node(&self, name: NodeName) -> Node<'_> {
        Node::new(self, name)
    }

    /// The cable of an interface, to pull and to plug.
    ///
    /// # Errors
    /// That there is no such node or interface.
    pub fn link(&self, node: &str, interface: &str) -> Result<Link<'_>> {
        Link::of(self, node, interface)
    }

    /// Runs the lab's expectations and reports each.
    ///
    /// # Errors
    /// That the lab has ended.
    pub fn test(&self) -> Result<TestReport> {
        self.test_telling(|_| {})
    }

    /// As [`RunningLab::test`], and calls `on_result` for each expectation as soon as it and all before it are known.
    ///
    /// # Errors
    /// That the lab has ended.
    pub fn test_telling(&self, on_result: impl FnMut(&ExpectationResult)) -> Result<TestReport> {
        let lab = self.definition()?;
        // Kernels are asked by others than this process, who are sent while it has one thread.
        let needs_reasons = lab.expectations.iter().any(|expectation| expectation.dropped.is_some());
        let scout = if needs_reasons { Some(Scout::of(Scope::Lab(self))?) } else { None };
        let explain = |from: &NodeName, to: IpAddr, about: About| match &scout {
            Some(scout) => why::why(scout, true, from.as_str(), &to.to_string(), about, Versions::Any)
                .map(|told| told.faults)
                .map_err(|error| error.title.clone()),
            None => Err("nobody is there to ask why".to_owned()),
        };
        let options = expect::Options { explain: Some(&explain), ..expect::Options::default() };
        let results = expect::run(&lab, self, &options, &lab.expectations, on_result);
        Ok(TestReport::new(lab.name, results))
    }

    /// Runs the lab's expectations, for tests.
    ///
    /// # Panics
    /// When one fails, with the report of all.
    pub fn assert_expectations(&self) {
        match self.test() {
            Ok(report) if report.failed == 0 => {}
            Ok(report) => panic!("{}", report::text(&report, Writing::default())),
            Err(error) => panic!("{error}"),
        }
    }

    /// What the kernel holds for the lab now.
    ///
    /// # Errors
    /// What could not be read.
    pub fn state(&self) -> Result<State> {
        match self.ask(&Request::Live)? {
            (Reply::State(state), _) => Ok(*state),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// What would make `spec` of it.
    ///
    /// # Errors
    /// What could not be read.
    pub fn plan(&self, spec: Spec) -> Result<Changes> {
        self.refuse_other_file(&spec)?;
        let mut spec = spec;
        let enclosed = full_node::enclose(&mut spec, None)?;
        let fds: Vec<BorrowedFd<'_>> = enclosed.iter().map(AsFd::as_fd).collect();
        match self.locked().ask_with(&Request::Plan(Box::new(spec)), &fds, &mut |_, _| {})? {
            (Reply::Changes(changes), _) => Ok(changes),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Makes `spec` of it; returns what that took.
    ///
    /// # Errors
    /// The step that failed; all others were undone.
    pub fn apply(&mut self, spec: Spec, on_step: OnStep<'_>) -> Result<Changes> {
        let needs = needs(&spec.lab);
        preflight::check(&needs)?;
        layer::check(&spec.lab)?;
        let mut spec = spec;
        let enclosed = full_node::enclose(&mut spec, Some(process::pid_of(self.pidfd.as_fd()).unwrap_or(0)))?;
        let fds: Vec<BorrowedFd<'_>> = enclosed.iter().map(AsFd::as_fd).collect();
        let answer = self.locked().ask_with(&Request::Apply(Box::new(spec)), &fds, on_step);
        let answer = answer.map_err(|error| preflight::explained(error, &needs))?;
        *self.description.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.await_ready().map_err(|error| error.note("the lab was changed all the same"))?;
        match answer {
            (Reply::Changes(changes), _) => Ok(changes),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Pulls (`false`) or plugs (`true`) the cable of an interface.
    ///
    /// # Errors
    /// That there is no such interface.
    pub fn set_link(&self, node: &NodeName, interface: &IfName, is_up: bool) -> Result<()> {
        let request = Request::SetLink { node: node.clone(), interface: interface.clone(), is_up };
        self.ask(&request).map(drop)
    }

    /// Sockets made inside nodes, in the order asked for.
    ///
    /// # Errors
    /// Those of socket(2).
    pub(crate) fn sockets(&self, wanted: &[(NodeName, SocketKind)]) -> Result<Vec<OwnedFd>> {
        /// As many descriptors travel with one message (`SCM_MAX_FD` is 253).
        const AT_ONCE: usize = 250;
        let mut sockets = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(AT_ONCE) {
            sockets.extend(self.ask(&Request::Sockets(some.to_vec()))?.1);
        }
        Ok(sockets)
    }

    /// The programs of the lab.
    ///
    /// # Errors
    /// That the lab has ended.
    pub fn programs(&self) -> Result<Vec<ProgramStatus>> {
        match self.ask(&Request::Programs)? {
            (Reply::Programs(programs), _) => Ok(programs),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Waits until all programs that say when they are ready are so.
    ///
    /// # Errors
    /// The first that was not in time, or has ended before.
    pub fn await_ready(&self) -> Result<()> {
        // A connection of its own: others may ask the lab meanwhile.
        self.connect()?.ask(&Request::AwaitReady).map(drop)
    }

    /// What programs printed; with `follow`, `each` is called until it returns false or the lab ends.
    ///
    /// # Errors
    /// That the lab has ended.
    pub fn logs(
        &self,
        node: Option<&NodeName>,
        program: Option<&str>,
        follow: bool,
        mut each: impl FnMut(&LogChunk) -> bool,
    ) -> Result<()> {
        let request = Request::Logs { node: node.cloned(), program: program.map(str::to_owned), follow };
        // A connection of its own: others may ask the lab meanwhile, and no late answer is in the way afterwards.
        let mut connection = self.connect()?;
        let mut answer = connection.ask(&request)?;
        loop {
            match &answer.0 {
                Reply::Logs(chunks) if chunks.iter().all(&mut each) && follow => {}
                Reply::Logs(_) => return Ok(()),
                other => return Err(unexpected(other)),
            }
            answer = connection.next()?;
        }
    }

    /// One more connection to the holder.
    fn connect(&self) -> Result<Connection> {
        let (reply, mut fds) = self.ask(&Request::Connect)?;
        fds.pop().map(Connection::new).ok_or_else(|| unexpected(&reply))
    }

    /// Remembers a program that was started in a node, and forgets those that have ended and were waited for.
    pub(crate) fn remember(&self, program: OwnedFd) {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.retain(|program| process::pid_of(program.as_fd()).is_some());
        programs.push(program);
    }

    /// The doors of a node (of the lab itself for none), for a program that is to see these folders with their owners.
    /// Those that the room does not show already are the caller's to show.
    pub(crate) fn doors(&self, node: Option<&NodeName>, folders: &[OwnFolder]) -> Result<OpenDoors> {
        let ask = |trees: Option<&[(OwnedFd, PathBuf)]>| {
            let paths = trees.map(|trees| trees.iter().map(|(_, path)| path.clone()).collect());
            let fds: Vec<BorrowedFd<'_>> =
                trees.unwrap_or_default().iter().map(|(fd, _)| fd.as_fd()).collect();
            let request = Request::Enter { node: node.cloned(), folders: folders.to_vec(), trees: paths };
            self.locked().ask_with(&request, &fds, &mut |_, _| {})
        };
        let mapped = || match self.user_namespace()? {
            Some(user) => own_folders::mapped(folders, user.as_fd()),
            None => Ok(Vec::new()),
        };
        match ask(None)? {
            (Reply::WantsFolders, _) => match ask(Some(&mapped()?))? {
                (Reply::Entrance(entrance), fds) => open_doors(entrance, fds, Vec::new()),
                (other, _) => Err(unexpected(&other)),
            },
            (Reply::Entrance(entrance), fds) => {
                let lacking = if entrance.lacks_folders { mapped()? } else { Vec::new() };
                open_doors(entrance, fds, lacking)
            }
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// A program to run among the lab's namespaces, with `ip netns` knowing every node.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> NodeCommand<'_> {
        NodeCommand::new(self, None, program.as_ref())
    }

    /// That the running lab came from another file than `spec`.
    pub(crate) fn refuse_other_file(&self, spec: &Spec) -> Result<()> {
        let running = self.description()?.file;
        if running == spec.file || running.is_none() || spec.file.is_none() {
            return Ok(());
        }
        let show = |file: &Option<std::path::PathBuf>| {
            file.as_ref().map_or_else(String::new, |f| f.display().to_string())
        };
        Err(Error::input("U002", format!("another lab `{}` is up", self.name))
            .note(format!("it is from {}, this one from {}", show(&running), show(&spec.file)))
            .help(format!(
                "`netyard down {}` removes it; or give this one another name with `lab:`",
                self.name
            )))
    }

    /// Runs what the lab file has for the lab's end (`stop:`), ends the lab and waits until its processes are gone.
    ///
    /// # Errors
    /// Those of sending a signal.
    pub fn down(self) -> Result<()> {
        if self.definition().is_ok_and(|lab| lab.nodes.iter().any(|node| !node.on_down.is_empty())) {
            // The lab is to end, whatever they say.
            let _ = self.ask(&Request::Stop);
        }
        self.end().map_err(|e| Error::io(format!("cannot end lab `{}`", self.name), &e))
    }

    fn end(&self) -> io::Result<()> {
        process::kill(self.pidfd.as_fd()).or_else(|error| match error.raw_os_error() {
            Some(errno) if errno == rustix::io::Errno::SRCH.raw_os_error() => Ok(()),
            _ => Err(error),
        })?;
        for program in self.programs.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            process::reap(program.as_fd())?;
        }
        process::wait_gone(self.pidfd.as_fd(), DYING_TIME)?;
        process::reap(self.pidfd.as_fd()).map(drop)
    }
}

/// What it takes to get into a node.
#[derive(Debug)]
pub(crate) struct OpenDoors {
    pub(crate) entrance: crate::protocol::Entrance,
    pub(crate) user: Option<OwnedFd>,
    pub(crate) net: OwnedFd,
    pub(crate) room: Room,
    /// Trees of mounts that the room does not show, and where the program is to see them.
    pub(crate) folders: Vec<(OwnedFd, CString)>,
}

/// What came with the holder's answer, each by its name.
fn open_doors(entrance: Entrance, fds: Vec<OwnedFd>, folders: Vec<(OwnedFd, PathBuf)>) -> Result<OpenDoors> {
    let mut fds = fds.into_iter();
    let missing = || unexpected(&Reply::Done);
    let user = if entrance.has_user_namespace { fds.next() } else { None };
    let net = fds.next().ok_or_else(missing)?;
    let (mounts, uts) = fds.next().zip(fds.next()).ok_or_else(missing)?;
    let own = if entrance.is_full {
        let mut next = || fds.next().ok_or_else(missing);
        Some(Own { pid: next()?, ipc: next()?, cgroup: next()? })
    } else {
        None
    };
    let (room, folders) = (Room { mounts, uts, own }, own_folders::places(folders));
    Ok(OpenDoors { entrance, user, net, room, folders })
}

impl Drop for RunningLab {
    fn drop(&mut self) {
        if self.ends_with_us {
            let _ = self.end();
        }
    }
}

impl NodeSockets for RunningLab {
    fn socket(&self, node: &NodeName, kind: SocketKind) -> io::Result<OwnedFd> {
        let answer = self.ask(&Request::Sockets(vec![(node.clone(), kind)]));
        let (_, mut fds) = answer.map_err(io::Error::other)?;
        fds.pop().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

//! `up`: all or nothing.

use crate::connection::{Connection, gone, unexpected};
use crate::error::{Error, ErrorKind, Result};
use crate::full_node;
use crate::layer;
use crate::preflight;
use crate::protocol::{Changes, Reply, Request, Spec};
use crate::running::RunningLab;
use crate::store::{Claim, Store};
use netyard_core::feature::needs;
use netyard_core::lab::{Node, NodeKind};
use netyard_core::name::LabName;
use netyard_core::state::Route;
use netyard_kernel::feature;
use netyard_kernel::netns;
use netyard_kernel::process::{self, HolderOptions, HolderProcess};
use netyard_kernel::userns::{self, IdMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a holder may take to end once it was killed.
pub(crate) const DYING_TIME: Duration = Duration::from_secs(10);
/// How long a holder may take to run what the lab file has for the lab's end; it gives up itself a little earlier.
const STOPPING_TIME: Duration = Duration::from_secs(12);
/// How long the programs of a killed lab may wait to be reaped by those who started them.
const REAPING_TIME: Duration = Duration::from_secs(1);
/// How long the kernel may take to remove the namespaces of a lab that has ended.
const REMOVAL_TIME: Duration = Duration::from_secs(60);

/// Told of steps done, and of how many.
pub type OnStep<'a> = &'a mut dyn FnMut(usize, usize);

/// What `up` did.
#[derive(Debug)]
pub struct Upped {
    /// The lab, ready.
    pub lab: RunningLab,
    /// What was changed of a lab that was running already; none for a new one.
    pub changes: Option<Changes>,
}

/// Makes the lab run under its name: builds it, or changes the one that runs to what differs.
///
/// With `outlives_caller` a new lab stays; otherwise it ends with this process, however that ends.
///
/// # Errors
/// What is wrong; the lab is then as it was before.
pub fn up(spec: Spec, store: &Store, outlives_caller: bool, on_step: OnStep<'_>) -> Result<Upped> {
    let name = spec.lab.name.clone();
    let claim = store.claim(&name)?;
    if let Some(mut lab) = living(&name, store, |connection| described(&name, connection))? {
        lab.refuse_other_file(&spec)?;
        if !lab.description()?.outlives_caller {
            let title = format!("lab `{name}` is up and ends with the command that started it");
            return Err(Error::input("U002", title)
                .help("wait until that is done, or give this one another name with `lab:`"));
        }
        let changes = lab.apply(spec, on_step)?;
        return Ok(Upped { lab, changes: Some(changes) });
    }
    let lab = start(spec, Some(claim), outlives_caller, on_step)?;
    Ok(Upped { lab, changes: None })
}

/// The lab of that name, and whether it was made now: one that runs already is taken as it is.
///
/// With `outlives_caller` a new lab stays; otherwise it ends with this process.
///
/// # Errors
/// What is wrong; nothing is left then.
pub(crate) fn find_or_start(
    spec: Spec,
    store: &Store,
    outlives_caller: bool,
    on_step: OnStep<'_>,
) -> Result<(RunningLab, bool)> {
    let name = spec.lab.name.clone();
    let claim = store.claim(&name)?;
    match living(&name, store, |connection| described(&name, connection))? {
        Some(lab) => Ok((lab, false)),
        None => Ok((start(spec, Some(claim), outlives_caller, on_step)?, true)),
    }
}

/// A lab whose holder answers.
fn described(name: &LabName, connection: Connection) -> Result<RunningLab> {
    let lab = RunningLab::found(name, connection)?;
    lab.description()?;
    Ok(lab)
}

/// The lab of that name; the caller holds its lock. One that is dying still accepts connections for a moment, but
/// answers none: it is waited for.
fn living<T>(name: &LabName, store: &Store, greet: impl Fn(Connection) -> Result<T>) -> Result<Option<T>> {
    let begun = Instant::now();
    loop {
        let Some(connection) = store.find(name)? else { return Ok(None) };
        match greet(connection) {
            Err(error) if error.code == "K009" && begun.elapsed() < DYING_TIME => {
                std::thread::sleep(Duration::from_millis(2));
            }
            found => return found.map(Some),
        }
    }
}

/// Makes a lab that nobody else finds; it ends with the returned value, or with this process.
///
/// # Errors
/// What is wrong; nothing is left then.
pub fn up_private(spec: Spec, on_step: OnStep<'_>) -> Result<RunningLab> {
    start(spec, None, false, on_step)
}

fn start(
    mut spec: Spec,
    claim: Option<Claim>,
    outlives_caller: bool,
    on_step: OnStep<'_>,
) -> Result<RunningLab> {
    let host = host_node(&spec)?;
    let needs = needs(&spec.lab);
    preflight::check(&needs)?;
    layer::check(&spec.lab)?;
    let uplink = uplink_node(&spec, host)?;
    // A node that is connected to the machine, by itself or by pasta, needs a holder that begins there.
    let own_netns = host.is_none() && uplink.is_none();
    let map = if host.is_some() {
        // The machine's own namespace obeys only those who are root of the machine.
        None
    } else if is_root_of_machine() {
        // Root of the machine is not root of its labs: they get ids that own nothing.
        Some(IdMap::unprivileged())
    } else if spec.has_full_nodes() {
        Some(IdMap::own_and_subordinate())
    } else {
        Some(IdMap::own())
    };
    let listener = claim.as_ref().map(|claim| claim.socket.as_fd());
    let options = HolderOptions { listener, map, own_netns };
    let started = process::spawn_holder(&options).map_err(|error| no_user_namespace(&error))?;
    let HolderProcess { pid, pidfd, owner } = started;
    let mut connection = Connection::new(owner);
    let lab_name = spec.lab.name.clone();
    let enclosed = full_node::enclose(&mut spec, Some(pid));
    let built = enclosed.and_then(|fds| {
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        let answer = connection.ask_with(&Request::Build(Box::new(spec)), &fds, on_step)?;
        connection.ask(&Request::AwaitReady)?;
        if let Some(claim) = &claim {
            claim.publish()?;
        }
        // The lock is kept meanwhile: who finds the lab finds one that is there to stay.
        match (answer, connection.ask(&Request::Commit { outlives_caller })?) {
            ((Reply::Done, _), (Reply::Done, _)) => Ok(()),
            ((Reply::Done, _), (other, _)) | ((other, _), _) => Err(unexpected(&other)),
        }
    });
    match built {
        Ok(()) => Ok(RunningLab::started(lab_name, connection, pidfd)),
        Err(error) => {
            let _ = process::kill(pidfd.as_fd());
            let _ = process::reap(pidfd.as_fd());
            Err(preflight::explained(error, &needs))
        }
    }
}

/// Whether the caller is root, and not only of a user namespace.
pub(crate) fn is_root_of_machine() -> bool {
    rustix::process::geteuid().is_root() && IdMap::of_self().is_none()
}

/// The node that is the machine itself, if the lab has one and the caller may and wants to use it.
fn host_node(spec: &Spec) -> Result<Option<&Node>> {
    let mut hosts = spec.lab.nodes.iter().filter(|node| node.kind == NodeKind::Host);
    let Some(host) = hosts.next() else { return Ok(None) };
    if let Some(second) = hosts.next() {
        let names = format!("`{}` and `{}`", host.name, second.name);
        return Err(Error::input(
            "U013",
            format!("nodes {names} are both of kind `host`; there is one machine"),
        ));
    }
    if !is_root_of_machine() {
        return Err(Error::kernel(
            "K006",
            format!("node `{}` is this machine itself (`kind: host`)", host.name),
        )
        .help("run as root, with `--allow-host`"));
    }
    if !spec.allows_host {
        return Err(Error::input(
            "U013",
            format!("node `{}` is this machine itself (`kind: host`)", host.name),
        )
        .note("links of the lab will appear among the machine's own; they vanish with the lab")
        .note("such a lab has no user namespace: its programs run as root of this machine")
        .help("`--allow-host` allows that"));
    }
    if let Some(full) = spec.lab.nodes.iter().find(|node| node.kind == NodeKind::Full) {
        let title = format!(
            "node `{}` is this machine itself, and node `{}` has files of its own",
            host.name, full.name
        );
        return Err(Error::input("U013", title)
            .note("without a user namespace, root in such a node would be root of this machine")
            .help("use nodes of kind `net` beside one of kind `host`"));
    }
    Ok(Some(host))
}

/// A node that has an uplink, if the lab has one: a way to the machine's network that must be the only one.
fn uplink_node<'a>(spec: &'a Spec, host: Option<&Node>) -> Result<Option<&'a Node>> {
    let with_uplink = || spec.lab.nodes.iter().filter(|node| node.uplink.is_some());
    if let (Some(host), Some(node)) = (host, with_uplink().next()) {
        let title =
            format!("node `{}` is this machine itself, and node `{}` has an uplink", host.name, node.name);
        let help = format!("let `{}` route through `{}`", node.name, host.name);
        return Err(Error::input("U015", title).help(help));
    }
    if let Some(node) = with_uplink().find(|node| node.routes.iter().any(Route::is_default)) {
        return Err(Error::input("U015", format!("node `{}` has an uplink and a default route", node.name))
            .help("an uplink brings its own default route: leave out `gateway`"));
    }
    Ok(with_uplink().next())
}

/// Why the holder could not be started, with what helps.
fn no_user_namespace(error: &io::Error) -> Error {
    let mut result = Error::io("cannot make the lab's namespaces", error);
    result.kind = ErrorKind::Kernel;
    result.code = "K003".into();
    result.help = Some("`netyard doctor` tells what this machine allows".into());
    // A namespace of ours is refused for the same reason as the lab's, and that attempt tells which one.
    if let Some(reason) = feature::probe_of(&[]).no_namespaces {
        result = result.note(reason.why);
        if let Some(remedy) = reason.remedy {
            result = result.help(remedy);
        }
    }
    result
}

/// Runs what the lab file has for the lab's end (`stop:`), and waits for it. A lab that does not run, or whose holder is
/// stopped, has nothing to say.
///
/// # Errors
/// The first program that failed, or took too long. All of them had their turn.
pub fn run_stop_programs(lab: &LabName, store: &Store) -> Result<()> {
    let Some(mut connection) = store.find(lab)? else { return Ok(()) };
    match connection.holder() {
        Ok((pid, _)) if !process::is_stopped(pid) => {}
        _ => return Ok(()),
    }
    match connection.ask_within(&Request::Stop, STOPPING_TIME) {
        Ok((Reply::Done, _)) => Ok(()),
        Ok((other, _)) => Err(unexpected(&other)),
        // It ends, or hangs: the one way or the other there is nobody to run them.
        Err(error) if error.code == "K009" => Ok(()),
        Err(error) => Err(error),
    }
}

/// What [`down`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downed {
    /// No such lab runs.
    NotThere,
    /// The lab is gone, and so are its processes.
    Gone,
    /// The lab is gone, but for the remains of a program whose starter is stopped and does not reap it.
    Unreaped,
}

/// Ends the lab of that name. Its processes are gone when this returns; with `waits` its network namespaces too, which
/// the kernel takes apart a little later (not those of a lab with a node of kind `host`, which has no user namespace
/// that could tell).
///
/// # Errors
/// That it does not end.
pub fn down(lab: &LabName, store: &Store, waits: bool) -> Result<Downed> {
    let _lock = store.lock(lab)?;
    // The holder is not asked: one that hangs must end too.
    let holder = |connection: Connection| connection.holder().map_err(|e| gone(&e));
    let Some((pid, pidfd)) = living(lab, store, holder)? else { return Ok(Downed::NotThere) };
    let cannot_wait = |e: &io::Error| Error::io(format!("cannot wait for the namespaces of lab `{lab}`"), e);
    let namespaces = if waits { Some(userns::of_process(pid).map_err(|e| cannot_wait(&e))?) } else { None };
    process::kill(pidfd.as_fd())
        .map_err(|e| Error::io(format!("cannot end the holder of lab `{lab}`, pid {pid}"), &e))?;
    let downed = wait_gone(lab, store, pid, pidfd.as_fd())?;
    store.forget(lab);
    if let Some(namespaces) = namespaces {
        let is_gone = match namespaces {
            Some(own) => netns::wait_gone(own.as_fd(), REMOVAL_TIME),
            // A lab with a node of kind `host` has none of its own.
            None => netns::wait_queue(REMOVAL_TIME),
        };
        if !is_gone.map_err(|e| cannot_wait(&e))? {
            let seconds = REMOVAL_TIME.as_secs();
            return Err(Error::kernel(
                "K011",
                format!("lab `{lab}` has ended, but not all of its namespaces are gone after {seconds} s"),
            )
            .help("a process outside of the lab may hold one open: a descriptor, a mount, a socket"));
        }
    }
    Ok(downed)
}

/// Waits until a killed holder has ended.
///
/// The kernel lets pid 1 of a namespace end last, and waits for whoever has to reap the others: a stopped `exec` does
/// not. All that the lab had is given back before that, the holder's socket among it.
fn wait_gone(lab: &LabName, store: &Store, pid: u32, pidfd: BorrowedFd<'_>) -> Result<Downed> {
    let failed =
        |e: io::Error| Error::io(format!("cannot wait for the holder of lab `{lab}`, pid {pid}"), &e);
    if process::wait_gone(pidfd, REAPING_TIME).map_err(failed)? {
        return Ok(Downed::Gone);
    }
    if !store.answers(lab) {
        return Ok(Downed::Unreaped);
    }
    if process::wait_gone(pidfd, DYING_TIME).map_err(failed)? {
        return Ok(Downed::Gone);
    }
    Err(Error::kernel("K011", format!("the holder of lab `{lab}`, pid {pid}, does not end"))
        .help("one of its programs may be stuck in the kernel; see `cat /proc/PID/stack`"))
}

//! The holder: pid 1 of a lab. It *is* the lab: when it ends, the kernel takes everything away.
//!
//! It runs in the lab's outer user namespace with a private mount namespace, keeps every network namespace by
//! descriptor, starts and reaps the lab's programs, and answers requests on a socket. One thread does all of that;
//! the servers of `internet` nodes have threads of their own.

mod client;
mod files;
mod full;
mod given;
mod held;
mod host;
mod internet;
mod programs;
mod rooms;
mod sandbox;
mod uplink;

use crate::error::{Error, Result};
use crate::protocol::{Reply, Request, Spec};
use crate::wire::{self, Inbox};
use client::Client;
use given::Given;
use held::HeldLab;
pub(crate) use held::unknown_node;
use netyard_kernel::process::{HOLDER_LISTENER_FD, HOLDER_OWNER_FD};
use netyard_kernel::signal::{self, SIGCHLD, SIGHUP, SIGINT, SIGTERM, SignalFd};
use netyard_kernel::{holder, limit, mount};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

netyard_kernel::holder_entry!(main);

/// Becomes the holder; ends the process when the lab ends.
fn main() -> ! {
    // Nobody is left to tell when this fails: the owner sees the connection close.
    let code = i32::from(run().is_err());
    std::process::exit(code)
}

fn run() -> io::Result<()> {
    let (owner, listener) = holder::inherited(HOLDER_OWNER_FD, HOLDER_LISTENER_FD)?;
    // The pid 1 of a namespace ignores signals from inside that it does not ask for; those from outside are blocked
    // here, so that only SIGKILL ends a lab.
    let signals = SignalFd::new(&[SIGCHLD, SIGTERM, SIGINT, SIGHUP])?;
    limit::raise_open_files();
    limit::share_one_heap();
    // Taking the lab's ids has cleared this (prctl(2)); when the owner has died meanwhile, its end is closed.
    signal::die_with_caller();
    if is_closed(owner.as_fd())? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut inbox = Inbox::default();
    let (request, fds) = wire::receive::<Request>(&owner, &mut inbox)?;
    let Request::Build(spec) = request else { return Err(io::ErrorKind::InvalidData.into()) };
    let mut on_step = |done, all| drop(wire::send(owner.as_fd(), &Reply::Progress(done, all), &[]));
    let given = Given::new(&spec, fds);
    let prepared = prepare_mounts(&spec, given.folder.as_ref());
    match prepared.and_then(|()| HeldLab::build(*spec, given, &mut on_step)) {
        Ok(lab) => {
            if let Some(listener) = &listener {
                rustix::net::listen(listener, 64)?;
            }
            wire::send(owner.as_fd(), &Reply::Done, &[])?;
            drop(inbox);
            limit::give_back_memory();
            Holder { lab, listener, owner: Some(Client::new(owner)), clients: Vec::new() }.serve(&signals)
        }
        Err(error) => {
            wire::send(owner.as_fd(), &Reply::Failed(Box::new(error)), &[])?;
            Ok(())
        }
    }
}

/// Whether the other end of a connection is closed.
fn is_closed(connection: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(connection, PollFlags::RDHUP)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(!fds[0].revents().is_empty())
}

/// A mount namespace in which the lab's own files have a place and only the lab's processes are seen.
///
/// `folder` is the lab file's own folder, where the lab does not see it as its owner does.
fn prepare_mounts(spec: &Spec, folder: Option<&OwnedFd>) -> Result<()> {
    let refused = |what: &str, error: &io::Error| {
        Error::io(format!("cannot {what} for lab `{}`", spec.lab.name), error)
    };
    mount::make_private().map_err(|e| refused("make mounts private", &e))?;
    mount::mount_proc().map_err(|e| {
        let mut error = refused("mount /proc", &e);
        if e.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) {
            error.code = "K004".into();
            error = error
                .note("this looks like a container that hides parts of /proc")
                .help("start the container with `--security-opt systempaths=unconfined`");
        }
        error
    })?;
    // What is below /run is out of sight afterwards.
    let nameservers = files::nameservers_of_machine();
    mount::mount_tmpfs(Path::new("/run"), c"mode=0755,size=64m").map_err(|e| refused("mount /run", &e))?;
    files::make_folders(&nameservers).map_err(|e| refused("make folders in /run", &e))?;
    if spec.is_sandbox || spec.has_full_nodes() {
        sandbox::make_stand_ins().map_err(|e| refused("make the folder of programs", &e))?;
    }
    match folder {
        Some(folder) => files::keep_folder(folder.as_fd()).map_err(|e| refused("show the lab's folder", &e)),
        None => Ok(()),
    }
}

struct Holder {
    lab: HeldLab,
    listener: Option<OwnedFd>,
    /// The process that started the lab; a private lab ends with it.
    owner: Option<Client>,
    clients: Vec<Client>,
}

impl Holder {
    fn serve(mut self, signals: &SignalFd) -> io::Result<()> {
        loop {
            let ready = self.wait(signals)?;
            while let Some(signal) = signals.next() {
                if signal == SIGCHLD {
                    self.lab.programs.reap();
                }
            }
            self.lab.programs.go_on(Instant::now());
            if ready.owner && !self.answer_owner() {
                return Ok(());
            }
            self.answer_clients(&ready.clients);
            if ready.listener
                && let Some(listener) = &self.listener
                && let Ok(stream) = rustix::net::accept_with(listener, rustix::net::SocketFlags::CLOEXEC)
                && self.lab.may_ask(stream.as_fd())
            {
                self.clients.push(Client::new(stream));
            }
            // After the clients were answered: it is by their places that they are known to be ready.
            let chunks = self.lab.programs.read_output();
            self.clients.retain_mut(|client| client.follow(&chunks).is_ok());
            // What was printed may have made one ready, so that it is the turn of others.
            self.lab.programs.go_on(Instant::now());
            let programs = &mut self.lab.programs;
            self.owner.take_if(|owner| owner.tell_verdict(programs).is_err());
            self.clients.retain_mut(|client| client.tell_verdict(programs).is_ok());
        }
    }

    /// Waits until somebody wants something.
    fn wait(&self, signals: &SignalFd) -> io::Result<Ready> {
        let now = Instant::now();
        let timeout = self.lab.programs.next_turn().map(|at| timespec(at.saturating_duration_since(now)));
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        let input = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        fds.extend(self.owner.iter().map(|owner| input(owner.as_fd())));
        fds.extend(self.listener.iter().map(|listener| input(listener.as_fd())));
        let clients_at = fds.len();
        fds.extend(self.clients.iter().map(|client| {
            let output = if client.has_output() { PollFlags::OUT } else { PollFlags::empty() };
            PollFd::from_borrowed_fd(client.as_fd(), PollFlags::IN | output)
        }));
        fds.extend(self.lab.programs.outputs().map(input));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let wants = |at: usize| fds[at].revents().intersects(!PollFlags::OUT);
        Ok(Ready {
            owner: self.owner.is_some() && wants(1),
            listener: self.listener.is_some() && wants(clients_at - 1),
            clients: (0..self.clients.len()).map(|n| wants(clients_at + n)).collect(),
        })
    }

    /// Answers the process that started the lab; false when the lab ends with it.
    fn answer_owner(&mut self) -> bool {
        let Some(mut owner) = self.owner.take() else { return true };
        let mut connections = Vec::new();
        let is_open = owner.receive() && {
            let lab = &mut self.lab;
            owner.answer(|client, request, fds| match request {
                Request::Commit { outlives_caller } => {
                    if outlives_caller {
                        signal::outlive_caller();
                    }
                    lab.outlives_caller = outlives_caller;
                    client.reply(&Reply::Done, &[])
                }
                Request::Connect => client.connect(&mut connections),
                request => client.serve(lab, request, fds),
            })
        };
        self.clients.append(&mut connections);
        if is_open {
            self.owner = Some(owner);
            return true;
        }
        self.lab.outlives_caller
    }

    fn answer_clients(&mut self, is_ready: &[bool]) {
        let lab = &mut self.lab;
        let mut connections = Vec::new();
        let mut ready = is_ready.iter();
        self.clients.retain_mut(|client| {
            if !ready.next().copied().unwrap_or(false) {
                return true;
            }
            client.receive()
                && client.answer(|client, request, fds| match request {
                    Request::Connect => client.connect(&mut connections),
                    request => client.serve(lab, request, fds),
                })
        });
        self.clients.append(&mut connections);
    }
}

struct Ready {
    owner: bool,
    listener: bool,
    clients: Vec<bool>,
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().cast_signed(),
        // Rounded up to the next millisecond, so that what is due is due when we look.
        tv_nsec: i64::from(duration.subsec_nanos().div_ceil(1_000_000) * 1_000_000).min(999_999_999),
    }
}

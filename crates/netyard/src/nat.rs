//! The connections of routers and how NAT rewrites them, live: what `netyard watch nat` tells.
//!
//! The kernel tells of each connection that begins, changes or ends on a socket in the router's namespace. That socket
//! keeps the namespace alive, so whether it is still there is looked at every second, and at once when a name goes.

use crate::error::{Error, Result};
use crate::look::{self, Monitor, Scope};
use crate::scout::{Question, Scout, Told};
use netyard_core::show::Connection;
use netyard_core::state::Ns;
use netyard_core::tracking::{Change, Tracking};
use netyard_kernel::netlink::conntrack::{self, Events, Heard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How often it is looked at what the kernel tells nobody of: namespaces that come and go without a name, legacy rules, and
/// connections that began before anybody listened.
const TICK: Duration = Duration::from_secs(1);
/// One command makes several changes: they are looked at together.
const SETTLE: Duration = Duration::from_millis(30);

/// Watches the connections of all namespaces of a scope.
///
/// It is for processes with one thread: to look again, it sends children.
#[derive(Debug)]
pub struct NatWatch<'a> {
    scope: Scope<'a>,
    tracking: Tracking,
    ears: BTreeMap<u64, Events>,
    monitor: Monitor,
    /// The namespaces that were there at the last look.
    places: BTreeSet<(Ns, u64)>,
    /// When it is looked at again.
    due: Instant,
    /// Whether the kernel has told of a change since the last look.
    is_stale: bool,
    notes: BTreeSet<String>,
}

/// What has come of waiting.
#[derive(Debug)]
#[must_use]
pub enum Waited {
    /// What has happened to connections; nothing, when the time was over first.
    Changes(Vec<Change>),
    /// The lab has ended.
    LabEnded,
}

impl<'a> NatWatch<'a> {
    /// Begins to watch. What is there already comes as changes too.
    ///
    /// # Errors
    /// As [`look`](look::look).
    pub fn begin(scope: Scope<'a>) -> Result<(Self, Vec<Change>)> {
        let mut watch = Self {
            scope,
            tracking: Tracking::default(),
            ears: BTreeMap::new(),
            monitor: look::monitor()?,
            places: BTreeSet::new(),
            due: Instant::now(),
            is_stale: true,
            notes: BTreeSet::new(),
        };
        let changes = watch.look()?;
        Ok((watch, changes))
    }

    /// The connections of all namespaces that translate addresses, by name.
    #[must_use]
    pub fn view(&self) -> Vec<(Ns, Vec<(u32, Connection)>)> {
        self.tracking.view()
    }

    /// What could not be watched, and why.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str)
    }

    /// Waits until something has happened, no longer than this.
    ///
    /// # Errors
    /// Those of poll(2) and of looking again.
    pub fn wait(&mut self, limit: Duration) -> Result<Waited> {
        let end = Instant::now() + limit;
        loop {
            let next = self.due.min(end);
            let ready = self.sleep(next)?;
            if ready.has_lab_ended {
                return Ok(Waited::LabEnded);
            }
            let mut changes = self.hear(&ready.ears)?;
            if ready.is_monitor && self.hear_monitor()? && !self.is_stale {
                self.is_stale = true;
                self.due = self.due.min(Instant::now() + SETTLE);
            }
            if Instant::now() >= self.due {
                match self.look() {
                    Ok(more) => changes.extend(more),
                    // A lab that ends while it is looked at cannot be looked at.
                    Err(_) if self.has_lab_ended() => return Ok(Waited::LabEnded),
                    Err(error) => return Err(error),
                }
            }
            if !changes.is_empty() || Instant::now() >= end {
                return Ok(Waited::Changes(changes));
            }
        }
    }

    fn has_lab_ended(&self) -> bool {
        /// Who kills the holder takes its connections away first.
        const DYING: Duration = Duration::from_millis(500);
        matches!(self.scope, Scope::Lab(lab) if lab.has_ended(DYING))
    }

    /// Sleeps until somebody has told something, or that time.
    fn sleep(&self, until: Instant) -> Result<Ready> {
        let limit = until.saturating_duration_since(Instant::now());
        let lab = if let Scope::Lab(lab) = self.scope { Some(lab.pidfd()) } else { None };
        let ears = self.ears.values().map(AsFd::as_fd);
        let fds: Vec<BorrowedFd<'_>> = lab.into_iter().chain(self.monitor.fds()).chain(ears).collect();
        let mut polled: Vec<PollFd<'_>> =
            fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        match poll(&mut polled, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::io("cannot wait for events", &error.into())),
        }
        let mut told = polled.iter().map(|fd| !fd.revents().is_empty());
        let has_lab_ended = lab.is_some() && told.next() == Some(true);
        let is_monitor = told.by_ref().take(self.monitor.fds().count()).fold(false, |any, told| any | told);
        let ears = self.ears.keys().copied().zip(told).filter(|(_, told)| *told).map(|(inode, _)| inode);
        Ok(Ready { has_lab_ended, is_monitor, ears: ears.collect() })
    }

    fn hear_monitor(&mut self) -> Result<bool> {
        self.monitor.wait(Duration::ZERO).map_err(|e| Error::io("cannot listen to the kernel", &e))
    }

    /// Takes in what has been told of connections.
    fn hear(&mut self, ready: &[u64]) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for inode in ready {
            let Some(ear) = self.ears.get_mut(inode) else { continue };
            let tracking = &mut self.tracking;
            let heard = ear.read(|event| {
                changes.extend(match event.change {
                    conntrack::Change::Begun => tracking.begun(*inode, event.connection),
                    conntrack::Change::Changed => tracking.changed(*inode, event.connection),
                    conntrack::Change::Ended => tracking.ended(*inode, event.connection.id),
                });
            });
            match heard.map_err(|e| Error::io("cannot listen to the kernel", &e))? {
                Heard::All => {}
                Heard::Some => {
                    // What was lost is found in the table.
                    tracking.mistrust(*inode);
                    self.due = Instant::now();
                }
            }
        }
        Ok(changes)
    }

    /// Looks who is there, listens to those who are new, and reads the tables of which nobody tells.
    fn look(&mut self) -> Result<Vec<Change>> {
        self.due = Instant::now() + TICK;
        let mut changes = Vec::new();
        let places = |scout: &Scout| -> BTreeSet<(Ns, u64)> {
            scout.places().iter().map(|place| (place.name.clone(), place.inode)).collect()
        };
        let mut scout = Scout::of(self.scope)?;
        if self.is_stale || self.places != places(&scout) {
            // To look, children are sent, and there may be no second thread.
            drop(scout);
            let look = look::look(self.scope)?;
            self.notes.extend(look.notes.iter().cloned());
            changes.extend(self.tracking.meet(&look));
            scout = Scout::of(self.scope)?;
            self.places = places(&scout);
            self.is_stale = false;
        }
        let known: BTreeSet<u64> = self.tracking.inodes().into_iter().collect();
        self.ears.retain(|inode, _| known.contains(inode));
        let new: Vec<u64> = known.iter().copied().filter(|inode| !self.ears.contains_key(inode)).collect();
        let ask = |wanted: &[u64], question: &Question| {
            scout.ask_inodes(wanted.iter().map(|inode| (*inode, question.clone())).collect())
        };
        for (inode, answer) in new.iter().zip(ask(&new, &Question::ConnectionEvents)) {
            let opened = answer.map_err(|trouble| trouble.words).and_then(|mut answer| {
                let fd = answer.fds.pop().ok_or_else(|| "no socket came".to_owned())?;
                Events::from_fd(fd).map_err(|error| error.to_string())
            });
            match opened {
                Ok(ear) => {
                    self.ears.insert(*inode, ear);
                }
                Err(words) => {
                    self.notes.insert(format!("the kernel does not tell of connections: {words}"));
                }
            }
        }
        let doubtful = known.iter().copied().filter(|inode| self.tracking.wants_table(*inode));
        let doubtful: Vec<u64> = doubtful.collect();
        for (inode, answer) in doubtful.iter().zip(ask(&doubtful, &Question::Connections)) {
            match answer.map(|answer| answer.told) {
                Ok(Told::Connections(table)) => changes.extend(self.tracking.list(*inode, table)),
                Ok(_) => {}
                Err(trouble) => {
                    self.notes.insert(format!("the kernel does not tell of connections: {}", trouble.words));
                }
            }
        }
        Ok(changes)
    }
}

/// Who has something to tell.
struct Ready {
    has_lab_ended: bool,
    is_monitor: bool,
    ears: Vec<u64>,
}

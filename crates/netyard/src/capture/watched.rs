//! One namespace that is watched: its tap, and what its connection tracking tells.

use crate::scout::Answer;
use netyard_core::capture::{NatRule, Place, Rewrites, Sighting};
use netyard_core::conntrack::Connection;
use netyard_core::packet::Way;
use netyard_core::state::Ns;
use netyard_kernel::netlink::conntrack::{Change, Events, Heard};
use netyard_kernel::tap::Tap;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// A namespace.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) name: Ns,
    pub(super) tap: Tap,
    /// None where the kernel tells nothing of connections.
    events: Option<Events>,
    rewrites: Rewrites,
    /// Connections that have ended, and when: frames of them may still be on the way to us.
    ended: VecDeque<(Instant, Connection)>,
    /// When its rules were read, and whether a connection has been rewritten since.
    rules_read: Option<Instant>,
    has_new: bool,
}

/// Rules are not read more often.
const RULES_AGE: Duration = Duration::from_secs(1);
/// After this time all frames of a connection that has ended have been told of.
const FORGET_AFTER: Duration = Duration::from_secs(2);

/// What was heard of connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hearsay {
    /// Whether some messages were lost.
    pub(super) has_lost: bool,
}

impl Watched {
    /// `events` is the answer that brought a socket of events.
    pub(super) fn new(name: Ns, tap: Tap, events: Option<Answer>) -> Self {
        let fd = events.and_then(|answer| answer.fds.into_iter().next());
        Self {
            name,
            tap,
            events: fd.and_then(|fd| Events::from_fd(fd).ok()),
            rewrites: Rewrites::default(),
            ended: VecDeque::new(),
            rules_read: None,
            has_new: false,
        }
    }

    /// What to wait for.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.tap.as_fd()].into_iter().chain(self.events.iter().map(AsFd::as_fd))
    }

    /// Learns of connections that are older than the capture, or whose beginning was not heard.
    pub(super) fn learn_all(&mut self, connections: &[Connection]) {
        for connection in connections {
            self.has_new |= self.rewrites.learn(connection);
        }
    }

    /// Reads what is told of connections.
    pub(super) fn hear(&mut self) -> Hearsay {
        let now = Instant::now();
        let Self { events, rewrites, ended, has_new, .. } = self;
        let heard = events.as_mut().map(|events| {
            events.read(|event| match event.change {
                Change::Begun => *has_new |= rewrites.learn(&event.connection),
                Change::Changed => {}
                Change::Ended => ended.push_back((now, event.connection)),
            })
        });
        while self.ended.front().is_some_and(|(at, _)| now - *at > FORGET_AFTER) {
            if let Some((_, connection)) = self.ended.pop_front() {
                self.rewrites.forget(&connection);
            }
        }
        Hearsay { has_lost: matches!(heard, Some(Ok(Heard::Some))) }
    }

    /// Whether the node's rules should be read again, because a connection that they rewrite has begun.
    pub(super) fn wants_rules(&self) -> bool {
        self.has_new && self.rules_read.is_none_or(|at| at.elapsed() > RULES_AGE)
    }

    /// Takes the node's rules.
    pub(super) fn set_rules(&mut self, rules: Vec<NatRule>) {
        self.rewrites.set_rules(rules);
        self.rules_read = Some(Instant::now());
        self.has_new = false;
    }

    /// What the node has done to a frame that leaves it.
    pub(super) fn remarks(&self, sighting: &Sighting, place: &Place) -> Vec<String> {
        if sighting.way != Way::Out || self.rewrites.is_empty() {
            return Vec::new();
        }
        let known = || {
            let ip = sighting.frame()?.ip()?;
            Some(self.rewrites.remarks(self.name.as_str(), &place.interface, ip.protocol, ip.tuple()?))
        };
        known().unwrap_or_default()
    }
}

//! Waits until links carry packets, by the kernel's own events.
//!
//! A link that was set up is acknowledged before it passes packets: the kernel tells of the carrier a moment later
//! (net/core/link_watch.c), and a bridge port listens and learns first where spanning tree runs.

use super::address;
use super::link::{self, Link, OPERSTATE_UP, PORT_BLOCKING, PORT_FORWARDING};
use super::socket::{Protocol, Refusal, Socket};
use crate::traveller::Traveller;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// linux/rtnetlink.h
const RTNLGRP_LINK: u32 = 1;

/// The links of one namespace that shall carry packets.
#[derive(Debug)]
pub struct Awaited<'a> {
    /// The namespace.
    pub ns: BorrowedFd<'a>,
    /// An rtnetlink socket in it.
    pub socket: &'a mut Socket,
    /// ifindexes: links that are up, whose peers are up, and that are no loopback (which is always ready).
    pub links: Vec<u32>,
    /// Whether a bridge there runs a spanning tree, in which a blocked port stays blocked to cut a loop.
    pub has_spanning_tree: bool,
}

/// Waits until all links are ready. At the deadline it returns those that are not: the position in `awaited` and the
/// ifindex of each.
///
/// Most links are ready when they are first asked about: a namespace gets a socket for events only when one of its
/// links is not.
///
/// # Errors
/// The kernel's [`Refusal`], `ENODEV` when a link is gone.
pub fn wait(
    traveller: &mut Traveller,
    awaited: &mut [Awaited<'_>],
    deadline: Instant,
) -> Result<Vec<(usize, u32)>, Refusal> {
    let mut waiting = Vec::new();
    for (position, one) in awaited.iter_mut().enumerate() {
        if one.keep_unready()? {
            let events = one.events(traveller).map_err(|error| Refusal::from_io(0, &error))?;
            waiting.push((position, events));
        }
    }
    // Each was asked before its events were heard: ask again, or a change in between would be missed.
    let mut kept = Vec::new();
    for (position, events) in waiting {
        if awaited[position].keep_unready()? {
            kept.push((position, events));
        }
    }
    while !kept.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let heard = next(&kept, left).map_err(|error| Refusal::from_io(0, &error))?;
        if heard.is_empty() && left.is_zero() {
            break;
        }
        for at in heard.into_iter().rev() {
            let (position, events) = &mut kept[at];
            if !awaited[*position].hear(events)? {
                kept.swap_remove(at);
            }
        }
    }
    let unready = |(position, _): &(usize, Socket)| {
        awaited[*position].links.iter().map(|index| (*position, *index)).collect::<Vec<_>>()
    };
    Ok(kept.iter().flat_map(unready).collect())
}

/// Waits until duplicate address detection has decided about every IPv6 address of a namespace (RFC 4862 5.4); returns
/// the ifindexes of those that it has not decided about at the deadline.
///
/// # Errors
/// The kernel's [`Refusal`].
pub fn wait_for_addresses(
    traveller: &mut Traveller,
    ns: BorrowedFd<'_>,
    socket: &mut Socket,
    deadline: Instant,
) -> Result<Vec<u32>, Refusal> {
    const RTNLGRP_IPV6_IFADDR: u32 = 9;
    let from_io = |error: io::Error| Refusal::from_io(0, &error);
    let mut events = None;
    loop {
        let undecided: Vec<u32> =
            address::dump(socket)?.iter().filter(|address| address.is_tentative()).map(|a| a.index).collect();
        let left = deadline.saturating_duration_since(Instant::now());
        if undecided.is_empty() || left.is_zero() {
            return Ok(undecided);
        }
        // The first round has only made the socket: what changed before that is asked for once more.
        let Some(heard) = &mut events else {
            traveller.enter(ns).map_err(from_io)?;
            let socket = Socket::open(Protocol::Route).map_err(from_io)?;
            socket.join(RTNLGRP_IPV6_IFADDR).map_err(from_io)?;
            events = Some((0, socket));
            continue;
        };
        if !next(std::slice::from_ref(heard), left).map_err(from_io)?.is_empty() {
            match heard.1.events(|_, _| {}) {
                // Events were lost; the addresses are asked for anyway.
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => return Err(from_io(error)),
                _ => {}
            }
        }
    }
}

impl Awaited<'_> {
    /// Asks about the links and keeps those that are not ready; false when there are none.
    fn keep_unready(&mut self) -> Result<bool, Refusal> {
        /// From so many links on, one answer about all of them is cheaper than one about each.
        const DUMP_FROM: usize = 8;
        if self.links.len() < DUMP_FROM {
            let mut unready = Vec::new();
            for index in &self.links {
                if !is_ready(&link::get(self.socket, *index)?, self.has_spanning_tree) {
                    unready.push(*index);
                }
            }
            self.links = unready;
        } else {
            let links = loop {
                match link::dump(self.socket) {
                    // Links changed while the kernel told of them.
                    Err(refusal) if refusal.errno == libc::EINTR => {}
                    result => break result?,
                }
            };
            let ready: HashSet<u32> = links
                .iter()
                .filter(|link| is_ready(link, self.has_spanning_tree))
                .map(|link| link.index)
                .collect();
            self.links.retain(|index| !ready.contains(index));
        }
        Ok(!self.links.is_empty())
    }

    fn events(&self, traveller: &mut Traveller) -> io::Result<Socket> {
        traveller.enter(self.ns)?;
        let events = Socket::open(Protocol::Route)?;
        events.join(RTNLGRP_LINK)?;
        Ok(events)
    }

    /// Takes in the events that have arrived; false when all links are ready.
    ///
    /// An event only says which link to ask about: those of a bridge tell of a port in a form of their own.
    fn hear(&mut self, events: &mut Socket) -> Result<bool, Refusal> {
        let mut changed = HashSet::new();
        let heard = events.events(|kind, payload| changed.extend(link::index_of(kind, payload)));
        match heard {
            // Events were lost: only the links themselves can tell.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return self.keep_unready(),
            result => result.map_err(|error| Refusal::from_io(0, &error))?,
        }
        for index in changed.iter().filter(|index| self.links.contains(index)).copied().collect::<Vec<_>>() {
            if is_ready(&link::get(self.socket, index)?, self.has_spanning_tree) {
                self.links.retain(|unready| *unready != index);
            }
        }
        Ok(!self.links.is_empty())
    }
}

/// Whether the kernel says that a link is up and, when it is a bridge port, that it passes frames.
fn is_ready(link: &Link, has_spanning_tree: bool) -> bool {
    let is_settled = |state| state == PORT_FORWARDING || (state == PORT_BLOCKING && has_spanning_tree);
    link.operstate == OPERSTATE_UP && link.port_state.is_none_or(is_settled)
}

/// The positions of the sockets that have something to read, in order; none when the time is over.
fn next(sockets: &[(usize, Socket)], left: Duration) -> io::Result<Vec<usize>> {
    let mut fds: Vec<PollFd<'_>> =
        sockets.iter().map(|(_, socket)| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)).collect();
    let left = Timespec::try_from(left).ok();
    match poll(&mut fds, left.as_ref()) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    let is_heard = |(at, fd): (usize, &PollFd<'_>)| (!fd.revents().is_empty()).then_some(at);
    Ok(fds.iter().enumerate().filter_map(is_heard).collect())
}

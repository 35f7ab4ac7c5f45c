//! One node of the matrix: its ping sockets, what they have sent and what came of it, and its neighbour table.

use super::Cell;
use crate::probe::ping::{MARK_LEN, is_reply, request, sequence_of};
use crate::probe::rtnetlink::{self, FoundNeighbour, neighbour_state};
use crate::probe::{Miss, NodeSockets, SocketKind, open};
use ipnet::IpNet;
use netyard_core::expect::Outcome;
use netyard_core::lab::Node;
use netyard_core::name::NodeName;
use netyard_kernel::netlink::{Messages, Socket};
use netyard_kernel::socket::{self, Family};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{SendFlags, sendto, sockopt};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

pub(super) struct Host {
    name: NodeName,
    v4: Option<OwnedFd>,
    v6: Option<OwnedFd>,
    route: Socket,
    /// Neighbours from before the probe, by ifindex and address.
    known: BTreeSet<(u32, IpAddr)>,
    /// Prefixes on the host's links, and their ifindex.
    on_link: Vec<(IpNet, u32)>,
    /// The address of each receiver; none for the host itself and without an address family in common.
    addresses: Vec<Option<IpAddr>>,
    /// What was sent, by sequence number from 1 on.
    sent: Vec<Sent>,
    row: Vec<Option<Cell>>,
    failures: Vec<FailedReceiver>,
    answered: usize,
    rtt_max: Option<Duration>,
}

/// A receiver that did not answer, the outcome and the reason in words.
pub(super) type FailedReceiver = (usize, Outcome, String);

#[derive(Clone, Copy)]
struct Sent {
    to: usize,
    address: IpAddr,
    /// The wave in which it was sent.
    wave: u32,
    at: Instant,
}

/// What came for a request.
enum Event {
    Answered { sent: Sent, rtt: Duration },
    Failed { sent: Sent, miss: Miss },
}

const MARK: [u8; MARK_LEN] = *b"netyard*";
const SIZE: u16 = 56;

impl Host {
    pub(super) fn open(
        sockets: &dyn NodeSockets,
        node: &Node,
        families: &[Family],
        addresses: Vec<Option<IpAddr>>,
    ) -> Result<Self, Miss> {
        let name = &node.name;
        let mut route = Socket::from_fd(open(sockets, name, SocketKind::Route)?);
        let known = neighbours(&mut route, name)?.iter().map(|entry| (entry.ifindex, entry.to)).collect();
        let ping = |family| families.contains(&family).then(|| open_ping(sockets, name, family)).transpose();
        let (v4, v6) = (ping(Family::V4)?, ping(Family::V6)?);
        let row = vec![None; addresses.len()];
        Ok(Self {
            name: name.clone(),
            v4,
            v6,
            known,
            on_link: links(node, &route),
            route,
            addresses,
            sent: Vec::new(),
            row,
            failures: Vec::new(),
            answered: 0,
            rtt_max: None,
        })
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = &OwnedFd> {
        [&self.v4, &self.v6].into_iter().flatten()
    }

    pub(super) fn cell(&self, to: usize) -> Option<Cell> {
        self.row[to]
    }

    pub(super) fn answered(&self) -> usize {
        self.answered
    }

    /// Receivers of which the result is known.
    pub(super) fn done(&self) -> usize {
        self.answered + self.failures.len()
    }

    /// Longest time that an answer took.
    pub(super) fn rtt_max(&self) -> Option<Duration> {
        self.rtt_max
    }

    /// The results by receiver, and those that failed with the reason.
    pub(super) fn into_results(self) -> (Vec<Option<Cell>>, Vec<FailedReceiver>) {
        (self.row, self.failures)
    }

    /// Sends one request, if it is not known already what comes of it; says whether an answer may come.
    pub(super) fn ask(&mut self, to: usize, wave: u32) -> Result<bool, Miss> {
        if self.row[to].is_some() {
            return Ok(false); // Its answer came late, after an earlier wave was over.
        }
        let Some(address) = self.addresses[to] else {
            self.fail(to, Outcome::NoRoute, "no address family in common".to_owned());
            return Ok(false);
        };
        match self.send(Sent { to, address, wave, at: Instant::now() }) {
            Ok(()) => Ok(true),
            Err(miss) => self.miss(to, miss).map(|()| false),
        }
    }

    /// Takes what has come; gives the number of receivers asked in this wave that are now known.
    pub(super) fn take_events(&mut self, wave: u32) -> Result<usize, Miss> {
        let mut known = 0;
        while let Some(event) = self.next_event()? {
            let (Event::Answered { sent, .. } | Event::Failed { sent, .. }) = event;
            if self.row[sent.to].is_some() {
                continue; // The second answer of two, as there were two requests.
            }
            match event {
                Event::Answered { rtt, .. } => {
                    let rtt_us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
                    self.row[sent.to] = Some(Cell { outcome: Outcome::Ok, rtt_us });
                    self.answered += 1;
                    self.rtt_max = self.rtt_max.max(Some(rtt));
                }
                // A neighbour entry that is deleted before it is answered reports "host unreachable", so after a
                // wave errors prove nothing. The receiver is asked again.
                Event::Failed { .. } if sent.wave != wave => continue,
                Event::Failed { miss, .. } => self.miss(sent.to, miss)?,
            }
            known += usize::from(sent.wave == wave);
        }
        Ok(known)
    }

    /// Says why receivers were silent to the end: they do not answer ARP, or no answer comes.
    pub(super) fn judge_silence(
        &mut self,
        receivers: impl Iterator<Item = usize>,
        silence: Duration,
    ) -> Result<(), Miss> {
        let unanswered = neighbour_state::INCOMPLETE | neighbour_state::FAILED;
        let entries = neighbours(&mut self.route, &self.name)?;
        let is_unanswered =
            |address| entries.iter().any(|entry| entry.to == address && entry.state & unanswered != 0);
        for to in receivers {
            let Some(address) = self.addresses[to] else { continue };
            if is_unanswered(address) {
                let protocol = if address.is_ipv6() { "neighbour discovery" } else { "ARP" };
                self.fail(to, Outcome::Unreachable, format!("{address} does not answer {protocol}"));
            } else {
                self.miss(to, Miss::silence(address, silence))?;
            }
        }
        Ok(())
    }

    fn miss(&mut self, to: usize, miss: Miss) -> Result<(), Miss> {
        match miss {
            Miss::Outcome { outcome, detail } => {
                self.fail(to, outcome, detail);
                Ok(())
            }
            Miss::Impossible { .. } => Err(miss),
        }
    }

    fn fail(&mut self, to: usize, outcome: Outcome, detail: String) {
        self.row[to] = Some(Cell { outcome, rtt_us: 0 });
        self.failures.push((to, outcome, detail));
    }

    fn send(&mut self, what: Sent) -> Result<(), Miss> {
        let address = what.address;
        let family = Family::of(address);
        let fd = if family == Family::V4 { &self.v4 } else { &self.v6 };
        let fd = fd.as_ref().ok_or_else(|| Miss::impossible(format!("{} has no ping socket", self.name)))?;
        self.sent.push(what);
        // Sequence numbers are 16 bits, and each receiver is asked twice at most.
        let sequence = u16::try_from(self.sent.len())
            .map_err(|_| Miss::impossible("a matrix has at most 32767 nodes"))?;
        let bytes = request(family, sequence, &MARK, SIZE);
        let to = SocketAddr::new(address, 0);
        let send = || sendto(fd, &bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT, &to);
        // The first error may be that of an earlier request, which waited on the socket and is gone by now.
        match send().or_else(|_| send()) {
            // A full send buffer is a packet lost; it is sent again in the second round.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(errno) => Err(Miss::of_local_error(&errno.into(), address)),
        }
    }

    /// The next answer or error that has come; never waits.
    fn next_event(&self) -> Result<Option<Event>, Miss> {
        for (family, fd) in [(Family::V4, &self.v4), (Family::V6, &self.v6)] {
            let Some(fd) = fd else { continue };
            if let Some(event) = self.next_reply(family, fd) {
                return Ok(Some(event));
            }
            if let Some(event) = self.next_error(fd)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn next_reply(&self, family: Family, fd: &OwnedFd) -> Option<Event> {
        let mut buffer = [0; 512];
        loop {
            // Where an error waits, its entry in the error queue says to which request it belongs.
            let datagram = socket::receive(fd, &mut buffer).ok().flatten()?;
            let received = &buffer[..datagram.len];
            if let Some(sent) = self.sent_as(received).filter(|_| is_reply(family, received)) {
                return Some(Event::Answered { sent, rtt: sent.at.elapsed() });
            }
        }
    }

    fn next_error(&self, fd: &OwnedFd) -> Result<Option<Event>, Miss> {
        let mut buffer = [0; 512];
        loop {
            let queued = socket::receive_error(fd, &mut buffer).map_err(|e| {
                Miss::impossible(format!("cannot read the error queue in {}: {e}", self.name))
            })?;
            let Some(error) = queued else { return Ok(None) };
            // Clears the error that the kernel also left on the socket itself.
            let _ = sockopt::socket_error(fd);
            if let Some(sent) = self.sent_as(&buffer[..error.len]) {
                let miss = Miss::of_queued(&error, None, sent.address);
                return Ok(Some(Event::Failed { sent, miss }));
            }
        }
    }

    fn sent_as(&self, message: &[u8]) -> Option<Sent> {
        self.sent.get(usize::from(sequence_of(message)?).checked_sub(1)?).copied()
    }

    /// Makes empty neighbour entries for receivers on an own link that are not known yet.
    ///
    /// IPv4 only: ARP requests reach every host of the link, neighbour solicitations hardly any.
    pub(super) fn listen_for(&mut self, receivers: &[usize]) -> Result<(), Miss> {
        for some in receivers.chunks(REQUESTS_MAX) {
            let mut messages = Messages::new();
            for address in some.iter().filter_map(|to| self.addresses[*to]).filter(IpAddr::is_ipv4) {
                if let Some((_, ifindex)) = self.on_link.iter().find(|(prefix, _)| prefix.contains(&address))
                {
                    rtnetlink::add_empty_neighbour(&mut messages, *ifindex, address);
                }
            }
            self.change(&mut messages, Errno::EXIST)?;
        }
        Ok(())
    }

    /// Deletes the neighbour entries that were not there before the probe.
    pub(super) fn forget_neighbours(&mut self) -> Result<(), Miss> {
        let lasting = neighbour_state::PERMANENT | neighbour_state::NOARP;
        let is_ours = |entry: &FoundNeighbour| {
            entry.state & lasting == 0 && !self.known.contains(&(entry.ifindex, entry.to))
        };
        let found = neighbours(&mut self.route, &self.name)?;
        let ours: Vec<FoundNeighbour> = found.into_iter().filter(is_ours).collect();
        for some in ours.chunks(REQUESTS_MAX) {
            let mut messages = Messages::new();
            some.iter().for_each(|entry| rtnetlink::delete_neighbour(&mut messages, entry));
            // Somebody else may have deleted one first.
            self.change(&mut messages, Errno::NOENT)?;
        }
        Ok(())
    }

    /// Changes the neighbour table; `expected` is an error that does not matter.
    fn change(&mut self, messages: &mut Messages, expected: Errno) -> Result<(), Miss> {
        if messages.is_empty() {
            return Ok(());
        }
        // An interface may have gone meanwhile; then so have its entries.
        let ignored = [expected, Errno::NODEV, Errno::NXIO, Errno::NETDOWN].map(Errno::raw_os_error);
        match self.route.send(messages) {
            Err(refusal) if !ignored.contains(&refusal.errno) => Err(Miss::impossible(format!(
                "cannot change the neighbour table of {}: {refusal}",
                self.name
            ))),
            _ => Ok(()),
        }
    }
}

/// Requests in one batch, of which the kernel carries out all even when it refuses one.
const REQUESTS_MAX: usize = 100;

/// The prefixes on a node's links, with the ifindex of those that exist.
fn links(node: &Node, route: &Socket) -> Vec<(IpNet, u32)> {
    let interfaces = node.interfaces.iter().map(|interface| (&interface.name, &interface.addresses));
    let bridges = node.bridges.iter().map(|bridge| (&bridge.name, &bridge.addresses));
    let mut links = Vec::new();
    for (name, addresses) in interfaces.chain(bridges) {
        if let Ok(ifindex) = name_to_index(route, name.as_str()) {
            links.extend(addresses.iter().map(|prefix| (*prefix, ifindex)));
        }
    }
    links
}

fn neighbours(route: &mut Socket, name: &NodeName) -> Result<Vec<FoundNeighbour>, Miss> {
    rtnetlink::neighbours(route)
        .map_err(|refusal| Miss::impossible(format!("cannot read the neighbour table of {name}: {refusal}")))
}

fn open_ping(sockets: &dyn NodeSockets, name: &NodeName, family: Family) -> Result<OwnedFd, Miss> {
    let kind = if family == Family::V4 { SocketKind::Icmp4 } else { SocketKind::Icmp6 };
    let fd = open(sockets, name, kind)?;
    socket::queue_errors(&fd, family)
        .map_err(|e| Miss::impossible(format!("cannot prepare a ping in {name}: {e}")))?;
    Ok(fd)
}

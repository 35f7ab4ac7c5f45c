//! Watches frames in many network namespaces at once, in the order in which they passed.
//!
//! Each namespace has one tap at all its links. Nothing is opened while nobody captures, and all of it ends with the
//! [`Capture`], or with its process.

mod clock;
mod links;
mod scene;
mod watched;

pub use scene::Scene;

use crate::error::{Error, Result};
use crate::scout::{Answer, Question, Scout, Told};
use links::Links;
use netyard_core::capture::{Merge, Place, Selection, Sighting, with_tag};
use netyard_core::pcapng::LinkType;
use netyard_core::state::Ns;
use netyard_kernel::tap::{self, RETIRE_MS, Tap, TapFrame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use watched::Watched;

/// The most bytes that are kept of a frame where nothing is said: all but the end of the largest that the kernel has
/// still to cut into segments. With it, a block of a ring has 64 KiB.
pub const SNAP: u32 = 65_000;
/// The most that may be asked for.
pub const SNAP_MAX: u32 = 262_144;
/// All rings together take about so many bytes where nothing is said.
const RINGS_LEN: usize = 128 << 20;
const RING_LEN_MIN: usize = 1 << 20;
const RING_LEN_MAX: usize = 32 << 20;
/// So many frames are told before rings are read again.
const TURN: u32 = 256;
/// While frames come, rings are read this often: they are large enough.
const PACE: Duration = Duration::from_millis(5);
/// Frames that passed before the end are in the rings then.
const TAIL: Duration = Duration::from_millis(2 * RETIRE_MS as u64 + 10);

/// How frames are kept.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The most bytes of a frame, up to [`SNAP_MAX`].
    pub snap: u32,
    /// Bytes of each ring; none for a size that suits how many namespaces there are, and the links of each.
    pub ring_len: Option<usize>,
}

/// Frames that are being watched.
#[derive(Debug)]
pub struct Capture {
    scout: Scout,
    nodes: Vec<Watched>,
    links: Links,
    merge: Merge,
    /// When the rings were read last, in nanoseconds since 1970.
    read_ns: u64,
    /// Frames that were told since then.
    taken: u32,
    /// Nothing that passed later is told.
    end_ns: Option<u64>,
    notes: Vec<String>,
}

/// A frame in its order.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The frame.
    pub sighting: Sighting,
    /// Where it was seen.
    pub place: &'a Place,
    /// What NAT has done to it.
    pub remarks: Vec<String>,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames that found no room, by namespace; those without losses are left out.
    pub dropped: BTreeMap<String, u64>,
    /// Frames that the filter let pass, in all namespaces.
    pub passed: u64,
}

impl Capture {
    /// Opens taps in the selected namespaces of a scene.
    ///
    /// # Errors
    /// That none of them can be entered, or what the kernel said: no memory for the rings, a filter that is too long.
    pub fn open(scene: Scene, selection: &Selection, settings: Settings) -> Result<Self> {
        netyard_kernel::limit::raise_open_files();
        let filter = selection.filter.program(settings.snap).map_err(|words| Error::input("U031", words))?;
        let is_wanted = |ns: &Ns| selection.places.is_empty() || selection.places.contains_key(ns.as_str());
        let mut notes = Vec::new();
        let mut wanted: Vec<Ns> = Vec::new();
        for node in scene.nodes.iter().filter(|node| is_wanted(&node.name)) {
            match &node.refusal {
                None => wanted.push(node.name.clone()),
                Some(reason) => notes.push(format!("{} is not captured: {reason}", node.name)),
            }
        }
        let ring_lens: Vec<usize> = match settings.ring_len {
            Some(len) => vec![len; wanted.len()],
            None => suitable(&scene, &wanted),
        };
        let mut capture = Self {
            scout: scene.scout,
            nodes: Vec::new(),
            links: Links::default(),
            merge: Merge::default(),
            read_ns: 0,
            taken: 0,
            end_ns: None,
            notes,
        };
        // Events first: a connection that begins with the first frame is heard of.
        let events = ask_each(&capture.scout, &wanted, &Question::ConnectionEvents);
        let tap = |(ns, ring_len): (&Ns, &usize)| {
            let (ring_len, snap, filter) = (*ring_len, settings.snap, filter.clone());
            (ns.clone(), Question::Tap { ring_len, snap, filter })
        };
        let taps = capture.scout.ask_all(wanted.iter().zip(&ring_lens).map(tap).collect());
        let links = ask_each(&capture.scout, &wanted, &Question::Links);
        let mut refusal = None;
        for (((name, events), tap), links) in wanted.iter().zip(events).zip(taps).zip(links) {
            let opened = tap.and_then(|answer| open_tap(answer, name, &mut capture.notes));
            let tap = match opened {
                Ok(tap) => tap,
                Err(error) => {
                    capture.notes.push(format!("{name} is not captured: {}", error.title));
                    refusal = Some(error);
                    continue;
                }
            };
            let number = capture.nodes.len();
            let interfaces = selection.places.get(name.as_str()).cloned().flatten();
            capture.links.add_node(name.clone(), interfaces);
            if let Ok(Answer { told: Told::Links(links), .. }) = links {
                capture.links.learn(number, links);
            }
            capture.nodes.push(Watched::new(name.clone(), tap, events.ok()));
        }
        if capture.nodes.is_empty() {
            return Err(refusal.unwrap_or_else(|| {
                let error = Error::input("U018", "there is no network namespace to capture in");
                error.help("`netyard look --host` shows all that there are")
            }));
        }
        capture.learn_connections();
        Ok(capture)
    }

    /// Reads the connections that are older than the capture.
    fn learn_connections(&mut self) {
        let names: Vec<Ns> = self.nodes.iter().map(|node| node.name.clone()).collect();
        for (node, answer) in self.nodes.iter_mut().zip(ask_each(&self.scout, &names, &Question::Connections))
        {
            if let Ok(Answer { told: Told::Connections(connections), .. }) = answer {
                node.learn_all(&connections);
            }
        }
    }

    /// What could not be done, in words; told once.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// How many namespaces are watched.
    #[must_use]
    pub fn namespaces(&self) -> usize {
        self.nodes.len()
    }

    /// All places that are known, by number.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.links.places
    }

    /// Whether frames of the place of that number are wanted.
    #[must_use]
    pub fn is_selected(&self, place: usize) -> bool {
        self.links.is_selected(place)
    }

    /// Waits until there may be something to take, or one of `interrupts` happens, or the limit is over; which of the
    /// interrupts have happened.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn wait(
        &mut self,
        interrupts: &[(BorrowedFd<'_>, PollFlags)],
        limit: Option<Duration>,
    ) -> io::Result<Vec<bool>> {
        let mut fds: Vec<PollFd<'_>> =
            interrupts.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let is_busy = !self.merge.is_empty();
        if !is_busy {
            fds.extend(
                self.nodes
                    .iter()
                    .flat_map(Watched::fds)
                    .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
            );
        }
        let limit = if is_busy { Some(limit.map_or(PACE, |limit| limit.min(PACE))) } else { limit };
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(fds[..interrupts.len()].iter().map(|fd| !fd.revents().is_empty()).collect())
    }

    /// Reads all rings, and what is told of connections.
    pub fn read(&mut self) {
        // What is told more slowly than it comes is left in the rings, which count what they lose.
        let has_work = self.merge.first_ns().is_some_and(|first_ns| first_ns <= self.told_until_ns());
        if self.end_ns.is_none() && self.merge.is_full() && has_work {
            return;
        }
        let read_ns = clock::now_ns();
        for number in 0..self.nodes.len() {
            self.hear(number);
            self.read_ring(number);
        }
        self.read_ns = read_ns;
        self.taken = 0;
    }

    /// Reads what has become of the connections of a node.
    fn hear(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let heard = node.hear();
        if heard.has_lost
            && let Ok(Answer { told: Told::Connections(connections), .. }) =
                self.scout.ask(&node.name, Question::Connections)
        {
            node.learn_all(&connections);
        }
        if node.wants_rules()
            && let Ok(Answer { told: Told::NatRules(rules), .. }) =
                self.scout.ask(&node.name, Question::NatRules)
        {
            node.set_rules(rules);
        }
    }

    fn read_ring(&mut self, number: usize) {
        let Self { scout, nodes, links, merge, end_ns, .. } = self;
        let node = &mut nodes[number];
        let name = &node.name;
        node.tap.read(|frame| {
            if end_ns.is_some_and(|end_ns| frame.at_ns > end_ns) {
                return;
            }
            let ask = || match scout.ask(name, Question::Links) {
                Ok(Answer { told: Told::Links(links), .. }) => links,
                _ => Vec::new(),
            };
            let place = links.place(number, frame.index, ask);
            let about = &links.places[place];
            // The loopback's frames come twice, going out and coming in.
            let is_double = about.is_loopback && frame.way == netyard_core::packet::Way::Out;
            if !is_double && links.is_selected(place) {
                merge.push(sighting(place, &frame), about);
            }
        });
    }

    /// The next frame in order. None until what may have passed before it has been read.
    pub fn take(&mut self) -> Option<Seen<'_>> {
        // While many are told, more come.
        self.taken += 1;
        if self.taken > TURN {
            self.read();
        }
        self.next_until(self.told_until_ns())
    }

    /// All that was seen until then has been read.
    fn told_until_ns(&self) -> u64 {
        self.read_ns.saturating_sub(Merge::WINDOW_NS)
    }

    fn next_until(&mut self, until_ns: u64) -> Option<Seen<'_>> {
        let sighting = self.merge.next(until_ns)?;
        let place = &self.links.places[sighting.place];
        let node = self.links.node_of(sighting.place);
        let remarks = self.nodes[node].remarks(&sighting, place);
        Some(Seen { sighting, place, remarks })
    }

    /// Ends: nothing that passes from now on is told. What has passed is waited for, and then comes from
    /// [`Capture::rest`].
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn end(&mut self) -> io::Result<()> {
        self.end_ns = Some(clock::now_ns());
        let end = Instant::now() + TAIL;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            poll(&mut [], Timespec::try_from(left.min(PACE)).ok().as_ref())?;
            self.read();
        }
        Ok(())
    }

    /// The next frame after [`Capture::end`].
    pub fn rest(&mut self) -> Option<Seen<'_>> {
        self.next_until(u64::MAX)
    }

    /// What was counted so far.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn totals(&mut self) -> io::Result<Totals> {
        let mut totals = Totals::default();
        for node in &mut self.nodes {
            let counts = node.tap.counts()?;
            totals.passed += counts.passed;
            if counts.dropped > 0 {
                totals.dropped.insert(node.name.to_string(), counts.dropped);
            }
        }
        Ok(totals)
    }

    /// The wall clock, in nanoseconds since 1970.
    #[must_use]
    pub fn now_ns() -> u64 {
        clock::now_ns()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // One after the other they would take seconds.
        tap::close_all(self.nodes.drain(..).map(|node| node.tap).collect());
    }
}

fn ask_each(scout: &Scout, namespaces: &[Ns], question: &Question) -> Vec<Result<Answer>> {
    scout.ask_all(namespaces.iter().map(|ns| (ns.clone(), question.clone())).collect())
}

/// Rings by the number of links: the bridges of a lab see what all nodes send.
fn suitable(scene: &Scene, wanted: &[Ns]) -> Vec<usize> {
    let links = |ns: &Ns| {
        let node = scene.nodes.iter().find(|node| node.name == *ns);
        node.map_or(1, |node| node.interfaces.len().max(1))
    };
    let links: Vec<usize> = wanted.iter().map(links).collect();
    let all: usize = links.iter().sum();
    links.into_iter().map(|own| (RINGS_LEN / all * own).clamp(RING_LEN_MIN, RING_LEN_MAX)).collect()
}

fn open_tap(answer: Answer, name: &Ns, notes: &mut Vec<String>) -> Result<Tap> {
    let (Told::Tap(shape, is_smaller), Some(fd)) = (answer.told, answer.fds.into_iter().next()) else {
        return Err(Error::kernel("K001", format!("no tap came from {name}")));
    };
    if is_smaller {
        notes.push(format!(
            "the ring of {name} has {} KiB only: the kernel has no memory for more, and frames may be lost",
            shape.len() >> 10
        ));
    }
    Tap::new(fd, shape).map_err(|e| Error::io(format!("cannot map the ring of {name}"), &e))
}

/// A frame on its own, as it was on the wire.
fn sighting(place: usize, frame: &TapFrame<'_>) -> Sighting {
    const ETHERNET: u16 = 1;
    const LOOPBACK: u16 = 772;
    let has_ethernet = matches!(frame.hardware, ETHERNET | LOOPBACK);
    let (link_type, bytes, len) = match (has_ethernet, frame.vlan) {
        (true, Some(tag)) => (LinkType::Ethernet, with_tag(frame.bytes, tag), frame.len + 4),
        (true, None) => (LinkType::Ethernet, frame.bytes.to_vec(), frame.len),
        (false, _) => {
            let at = frame.network_at.min(frame.bytes.len());
            let len = frame.len.saturating_sub(u32::try_from(at).unwrap_or(0));
            (LinkType::Raw, frame.bytes[at..].to_vec(), len)
        }
    };
    Sighting {
        place,
        at_ns: frame.at_ns,
        way: frame.way,
        ethertype: frame.ethertype,
        is_checksum_missing: frame.is_checksum_missing,
        link_type,
        bytes,
        len,
    }
}

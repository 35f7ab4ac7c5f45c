//! Taps and rule traces of all namespaces, read together.

use crate::error::{Error, Result};
use crate::scout::{Question, Scout, Told};
use netyard_core::filter::Filter;
use netyard_core::packet::Frame;
use netyard_core::state::Ns;
use netyard_core::trace::packet::Packet;
use netyard_core::trace::rules::{OWN_TABLE, RuleEvent, Traced};
use netyard_core::trace::{At, Sighting, Toward};
use netyard_kernel::capture::Way;
use netyard_kernel::netlink::nft::trace::{Message, RuleTrace};
use netyard_kernel::tap::{self, Tap, TapFrame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// Bytes of the rings of all namespaces together, as far as each gets its share.
const RINGS_LEN: usize = 128 << 20;
const RING_LEN_MAX: usize = 16 << 20;
const RING_LEN_MIN: usize = 256 << 10;
/// Bytes that are kept of a frame: headers of a tunnel, of what it carries, and some payload.
const SNAP: u32 = 256;

/// What hears.
#[derive(Debug)]
pub(super) struct Ears {
    taps: Vec<(Ns, Tap)>,
    rules: Vec<(Ns, RuleTrace)>,
    filter: Filter,
    seen: u64,
}

/// A frame of a tap, before it is looked into.
pub(super) struct Heard<'a> {
    pub(super) at_ns: u64,
    pub(super) node: &'a Ns,
    pub(super) index: u32,
    pub(super) toward: Toward,
    pub(super) frame: Frame<'a>,
    pub(super) filter: &'a Filter,
    pub(super) is_vxlan: &'a dyn Fn(u16) -> bool,
}

impl Heard<'_> {
    /// Looks into it.
    pub(super) fn sighting(&self) -> Sighting {
        Sighting {
            at_ns: self.at_ns,
            at: At { node: self.node.clone(), index: self.index },
            toward: self.toward,
            packet: Packet::read(&self.frame, self.is_vxlan),
            is_wanted: self.filter.admits(&self.frame),
        }
    }
}

impl Ears {
    /// Opens a tap in each namespace, and a rule trace in those that have rules.
    pub(super) fn open(
        scout: &Scout,
        nodes: &[Ns],
        with_rules: &[(Ns, bool)],
        filter: Filter,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let ring_len = (RINGS_LEN / nodes.len().max(1)).clamp(RING_LEN_MIN, RING_LEN_MAX);
        let table = format!("{OWN_TABLE}_{}", std::process::id());
        let of_rules = with_rules.iter().map(|(node, sees_bridged)| {
            (node.clone(), Question::RuleTrace { table: table.clone(), sees_bridged: *sees_bridged })
        });
        let of_taps = nodes.iter().map(|node| (node.clone(), Question::TapAll { ring_len, snap: SNAP }));
        let mut answers = scout.ask_all(of_rules.chain(of_taps).collect()).into_iter();
        let mut ears = Self { taps: Vec::new(), rules: Vec::new(), filter, seen: 0 };
        for (node, _) in with_rules {
            let opened = answers.next().and_then(|answer| {
                answer.map(|answer| answer.fds.into_iter().next()).transpose()
            });
            match opened {
                Some(Ok(fd)) => {
                    let trace = RuleTrace::from_fd(fd).map_err(|e| Error::io("cannot hear rules", &e))?;
                    ears.rules.push((node.clone(), trace));
                }
                Some(Err(error)) => notes.push(format!("rules of {node} do not tell what they do: {error}")),
                None => {}
            }
        }
        for (node, answer) in nodes.iter().zip(answers) {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    notes.push(format!("nothing is seen in {node}: {error}"));
                    continue;
                }
            };
            if let (Told::Tapped(shape), Some(fd)) = (answer.told, answer.fds.into_iter().next()) {
                let tap = Tap::new(fd, shape).map_err(|e| Error::io("cannot read a tap", &e))?;
                ears.taps.push((node.clone(), tap));
            }
        }
        if ears.taps.is_empty() {
            return Err(Error::kernel("K001", "cannot tap a single namespace")
                .help("`netyard doctor` tells what this machine allows"));
        }
        Ok(ears)
    }

    /// How much was heard so far.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Waits until something is there, no longer than this, and reads all that is.
    pub(super) fn listen(
        &mut self,
        limit: Duration,
        is_vxlan: &dyn Fn(u16) -> bool,
        mut each: impl FnMut(&Heard<'_>),
        mut each_rule: impl FnMut(RuleEvent),
    ) -> io::Result<()> {
        let taps = self.taps.iter().map(|(_, tap)| PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN));
        let rules = self.rules.iter().map(|(_, rules)| PollFd::from_borrowed_fd(rules.as_fd(), PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = taps.chain(rules).collect();
        match poll(&mut fds, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        drop(fds);
        let (filter, seen) = (&self.filter, &mut self.seen);
        for (node, tap) in &mut self.taps {
            tap.read(|frame| {
                *seen += 1;
                if let Some(bytes) = read(&frame) {
                    each(&Heard {
                        at_ns: frame.at_ns,
                        node,
                        index: frame.index,
                        toward: toward(frame.way),
                        frame: bytes,
                        filter,
                        is_vxlan,
                    });
                }
            });
        }
        for (node, trace) in &mut self.rules {
            let heard_ns = super::now_ns();
            trace.read(|message| {
                *seen += 1;
                each_rule(event(node, message, heard_ns, is_vxlan));
            })?;
        }
        Ok(())
    }

    /// What was lost, in words.
    pub(super) fn losses(&mut self) -> Vec<String> {
        let mut losses = Vec::new();
        for (node, tap) in &mut self.taps {
            if let Ok(counts) = tap.counts()
                && counts.dropped > 0
            {
                losses.push(format!(
                    "{} of {} frames of {node} found no room in the ring: their hops are missing",
                    counts.dropped,
                    counts.passed.max(counts.dropped)
                ));
            }
        }
        let deaf = self.rules.iter().filter(|(_, trace)| trace.has_lost());
        losses.extend(deaf.map(|(node, _)| format!("some messages of {node}'s rules were lost")));
        losses
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        // Each closing waits for all processors; threads wait together.
        tap::close_all(self.taps.drain(..).map(|(_, tap)| tap).collect());
    }
}

/// The frame that a tap has kept.
fn read<'a>(frame: &TapFrame<'a>) -> Option<Frame<'a>> {
    const ETHERNET: u16 = 1;
    const LOOPBACK: u16 = 772;
    let len = frame.len as usize;
    if matches!(frame.hardware, ETHERNET | LOOPBACK) {
        return Frame::ethernet(frame.bytes, len);
    }
    let payload = frame.bytes.get(frame.network_at..)?;
    Some(Frame::cooked(frame.ethertype, payload, len.saturating_sub(frame.network_at)))
}

fn toward(way: Way) -> Toward {
    match way {
        Way::In => Toward::Here,
        Way::Broadcast | Way::Multicast => Toward::Many,
        Way::Other => Toward::Other,
        Way::Out => Toward::Away,
    }
}

fn event(node: &Ns, message: Message, heard_ns: u64, is_vxlan: &dyn Fn(u16) -> bool) -> RuleEvent {
    let version = message.network.first().map(|first| first >> 4);
    let ethertype = match version {
        Some(4) => Some(netyard_core::packet::IPV4),
        Some(6) => Some(netyard_core::packet::IPV6),
        _ => None,
    };
    let bytes = [message.network.as_slice(), message.transport.as_slice()].concat();
    let packet = ethertype.map(|ethertype| {
        let packet = Packet::read(&Frame::cooked(ethertype, &bytes, bytes.len()), is_vxlan);
        Traced { brief: packet.brief, packet }
    });
    RuleEvent {
        node: node.clone(),
        heard_ns,
        id: message.id,
        family: message.family,
        table: message.table,
        chain: message.chain,
        kind: message.kind,
        verdict: message.verdict,
        from: message.from,
        to: message.to,
        packet,
        ct: message.ct,
    }
}

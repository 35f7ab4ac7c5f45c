//! Taps and rule traces of all namespaces, read together.

use crate::error::{Error, Result};
use crate::scout::{Question, Scout, Told};
use netyard_core::filter::{Filter, Instruction};
use netyard_core::packet::{Frame, IPV4, IPV6, TCP};
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
    taps: Vec<Ear>,
    rules: Vec<(Ns, RuleTrace)>,
    filter: Filter,
    seen: u64,
}

/// A tap of a namespace.
#[derive(Debug)]
struct Ear {
    node: Ns,
    tap: Tap,
    /// Whether it was too slow for what passes, and hears of TCP connections only how they begin and end since.
    is_sifted: bool,
    /// Frames after which it is asked again whether some were lost.
    unasked: u32,
}

/// A frame of a tap, before it is looked into.
pub(super) struct Heard<'a> {
    pub(super) at_ns: u64,
    /// The number of the tap.
    pub(super) tap: usize,
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
        let of_taps = nodes
            .iter()
            .map(|node| (node.clone(), Question::Tap { ring_len, snap: SNAP, filter: Vec::new() }));
        let mut answers = scout.ask_all(of_rules.chain(of_taps).collect()).into_iter();
        let mut ears = Self { taps: Vec::new(), rules: Vec::new(), filter, seen: 0 };
        for (node, _) in with_rules {
            let opened = answers
                .next()
                .and_then(|answer| answer.map(|answer| answer.fds.into_iter().next()).transpose());
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
            if let (Told::Tap(shape, _), Some(fd)) = (answer.told, answer.fds.into_iter().next()) {
                let tap = Tap::new(fd, shape).map_err(|e| Error::io("cannot read a tap", &e))?;
                ears.taps.push(Ear { node: node.clone(), tap, is_sifted: false, unasked: 0 });
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

    /// Waits until something is there, no longer than this, and reads all that is. Returns when reading began: what is
    /// older than that by more than rings keep it to themselves has been read, of all namespaces.
    pub(super) fn listen(
        &mut self,
        limit: Duration,
        is_vxlan: &dyn Fn(u16) -> bool,
        mut each: impl FnMut(&Heard<'_>),
        mut each_rule: impl FnMut(RuleEvent),
    ) -> io::Result<u64> {
        let taps = self.taps.iter().map(|ear| PollFd::from_borrowed_fd(ear.tap.as_fd(), PollFlags::IN));
        let rules =
            self.rules.iter().map(|(_, rules)| PollFd::from_borrowed_fd(rules.as_fd(), PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = taps.chain(rules).collect();
        match poll(&mut fds, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        drop(fds);
        let begun_ns = super::now_ns();
        let (filter, seen) = (&self.filter, &mut self.seen);
        for (number, ear) in self.taps.iter_mut().enumerate() {
            let node = &ear.node;
            let unasked = &mut ear.unasked;
            ear.tap.read(|frame| {
                *seen += 1;
                *unasked += 1;
                if let Some(bytes) = read(&frame) {
                    each(&Heard {
                        at_ns: frame.at_ns,
                        tap: number,
                        node,
                        index: frame.index,
                        toward: toward(frame.way),
                        frame: bytes,
                        filter,
                        is_vxlan,
                    });
                }
            });
            ear.sift_when_busy();
        }
        for (node, trace) in &mut self.rules {
            let heard_ns = super::now_ns();
            trace.read(|message| {
                *seen += 1;
                each_rule(event(node, message, heard_ns, is_vxlan));
            })?;
        }
        Ok(begun_ns)
    }

    /// What was lost, in words.
    pub(super) fn losses(&mut self) -> Vec<String> {
        let mut losses = Vec::new();
        for ear in &mut self.taps {
            let node = &ear.node;
            if let Ok(counts) = ear.tap.counts()
                && counts.dropped > 0
            {
                let all = counts.passed.max(counts.dropped);
                losses.push(format!(
                    "{} of {all} frames of {node} found no room in the ring: hops and counts there are not complete",
                    counts.dropped
                ));
            }
            if ear.is_sifted {
                losses.push(format!(
                    "{node} was too busy to see all: of TCP connections only beginnings and ends were followed there since"
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
        tap::close_all(self.taps.drain(..).map(|ear| ear.tap).collect());
    }
}

impl Ear {
    /// Lets the kernel leave out what fills the ring, once that has overflowed.
    fn sift_when_busy(&mut self) {
        const ASK_EVERY: u32 = 2_000;
        if self.is_sifted || self.unasked < ASK_EVERY {
            return;
        }
        self.unasked = 0;
        let has_lost = self.tap.counts().is_ok_and(|counts| counts.dropped > 0);
        self.is_sifted = has_lost && self.tap.sift(&signs(SNAP)).is_ok();
    }
}

/// Lets all pass but segments of TCP that neither begin nor end a connection.
///
/// Offsets count from the network header (`SKF_NET_OFF`), whatever the link header is; the ethertype is an ancillary
/// word (linux/filter.h `SKF_AD_OFF`).
fn signs(snap: u32) -> [Instruction; 16] {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE_AT_X: u16 = 0x50;
    /// `4 * (byte & 0xf)`: the length of an IPv4 header.
    const LENGTH_TO_X: u16 = 0xb1;
    const EQUAL: u16 = 0x15;
    const ANY_BIT: u16 = 0x45;
    const GO_ON: u16 = 0x05;
    const RETURN: u16 = 0x06;
    const NETWORK: u32 = 0xfff0_0000;
    const ETHERTYPE: u32 = 0xffff_f000;
    /// Of a TCP header.
    const FLAGS: u32 = 13;
    const FIN_SYN_RST: u32 = 0x07;
    let is = |code, operand, yes, no| Instruction { code, yes, no, operand };
    [
        Instruction::new(LOAD_HALF, ETHERTYPE),
        is(EQUAL, IPV4.into(), 0, 7),
        Instruction::new(LOAD_BYTE, NETWORK + 9),
        is(EQUAL, TCP.into(), 0, 11),
        // Later fragments have no header of TCP.
        Instruction::new(LOAD_HALF, NETWORK + 6),
        is(ANY_BIT, 0x1fff, 9, 0),
        Instruction::new(LENGTH_TO_X, NETWORK),
        Instruction::new(LOAD_BYTE_AT_X, NETWORK + FLAGS),
        Instruction::new(GO_ON, 4),
        is(EQUAL, IPV6.into(), 0, 5),
        Instruction::new(LOAD_BYTE, NETWORK + 6),
        is(EQUAL, TCP.into(), 0, 3),
        Instruction::new(LOAD_BYTE, NETWORK + 40 + FLAGS),
        is(ANY_BIT, FIN_SYN_RST, 1, 0),
        Instruction::new(RETURN, 0),
        Instruction::new(RETURN, snap),
    ]
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

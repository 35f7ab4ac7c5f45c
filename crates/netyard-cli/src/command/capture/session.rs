//! A capture from its beginning to its end.

use super::{Plan, Sink};
use crate::output::{self, Reader};
use netyard::capture::{Capture, Settings, Totals};
use netyard::{Error, Result};
use netyard_core::capture::names;
use netyard_kernel::signal::SignalFd;
use rustix::event::PollFlags;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// When it ends by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// After so many packets.
    pub count: Option<u64>,
    /// After this time.
    pub time: Option<Duration>,
}

/// A capture that has begun.
pub struct Session {
    capture: Capture,
    sink: Sink,
    signals: SignalFd,
    told: u64,
}

impl Session {
    /// Opens the taps; from here on nothing is missed.
    pub fn open(plan: Plan, settings: Settings, mut sink: Sink) -> Result<Self> {
        let begun_ns = Capture::now_ns();
        let title = format!("netyard capture of {}", plan.scene.title);
        let names = names(&plan.scene.nodes);
        let mut capture = Capture::open(plan.scene, &plan.selection, settings)?;
        capture.notes().iter().for_each(|note| output::say(note));
        let filter = (plan.selection.filter_text.as_str(), settings.snap);
        sink.begin(&title, filter, begun_ns, &names, &capture)?;
        output::say(&format!(
            "capturing in {}; Ctrl-C ends it",
            output::count(capture.namespaces(), "namespace")
        ));
        Ok(Self { capture, sink, signals: plan.signals, told: 0 })
    }

    /// Captures until it is interrupted, a limit is reached, or nobody reads any more.
    pub fn run(mut self, limits: Limits) -> Result<ExitCode> {
        let reader = self.until_ended(limits)?;
        let totals = self.finish(reader, limits)?;
        summary(self.told, &totals);
        Ok(ExitCode::SUCCESS)
    }

    fn until_ended(&mut self, limits: Limits) -> Result<Reader> {
        let end = limits.time.map(|time| Instant::now() + time);
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let Self { capture, sink, signals, .. } = &mut *self;
            // A pipe that nobody reads any more says so even when nothing is written.
            let reader = sink.reader();
            let interrupts: Vec<(BorrowedFd<'_>, PollFlags)> = [(signals.as_fd(), PollFlags::IN)]
                .into_iter()
                .chain(reader.map(|fd| (fd, PollFlags::empty())))
                .collect();
            let happened =
                capture.wait(&interrupts, left).map_err(|e| Error::io("cannot wait for packets", &e))?;
            let is_interrupted = happened[0] && signals.next().is_some();
            if happened.get(1) == Some(&true) {
                return Ok(Reader::Gone);
            }
            capture.read();
            if self.tell(limits.count, false)? == Reader::Gone {
                return Ok(Reader::Gone);
            }
            let is_over = end.is_some_and(|end| Instant::now() >= end);
            if is_interrupted || is_over || limits.count.is_some_and(|count| self.told >= count) {
                return Ok(Reader::There);
            }
        }
    }

    /// Tells of the frames whose turn has come; of all that there are when it is the `rest`.
    fn tell(&mut self, count: Option<u64>, is_rest: bool) -> Result<Reader> {
        while count.is_none_or(|count| self.told < count) {
            let seen = if is_rest { self.capture.rest() } else { self.capture.take() };
            let Some(seen) = seen else { break };
            self.told += 1;
            if self.sink.packet(seen)? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        self.sink.flush()
    }

    /// What has passed before the end is told, then what was lost.
    fn finish(&mut self, reader: Reader, limits: Limits) -> Result<Totals> {
        let is_full = limits.count.is_some_and(|count| self.told >= count);
        if reader == Reader::There && !is_full {
            self.capture.end().map_err(|e| Error::io("cannot read the last packets", &e))?;
            self.tell(limits.count, true)?;
        }
        let totals = self.capture.totals().map_err(|e| Error::io("cannot count what was lost", &e))?;
        if reader == Reader::There {
            self.sink.end(self.told, &totals, self.capture.places())?;
        }
        Ok(totals)
    }
}

/// How many, and what was lost where.
fn summary(told: u64, totals: &Totals) {
    let lost: u64 = totals.dropped.values().sum();
    let packets = |count: u64| if count == 1 { "1 packet".to_owned() } else { format!("{count} packets") };
    output::say(&format!("{} captured, {lost} lost", packets(told)));
    for (node, count) in &totals.dropped {
        output::say(&format!(
            "  {} lost in {node}: its ring was full; --ring makes it larger",
            packets(*count)
        ));
    }
}

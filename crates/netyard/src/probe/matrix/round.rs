//! One thread's part of a wave: some hosts ask, and their answers are waited for.

use super::host::Host;
use crate::probe::Miss;
use crate::probe::wait::timespec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// How long is waited after the last answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    silence: Duration,
    /// Whether silence is final, and no answer is known from which to tell how long answers take.
    is_full: bool,
    is_last_round: bool,
    rtt_max: Option<Duration>,
}

/// Time for answers on links without delay, on a busy machine.
const MARGIN: Duration = Duration::from_millis(20);

impl Patience {
    pub(super) fn new(
        silence: Duration,
        is_last_round: bool,
        is_first_wave: bool,
        rtt_max: Option<Duration>,
    ) -> Self {
        Self { silence, is_full: is_last_round || is_first_wave, is_last_round, rtt_max }
    }

    /// Time to wait when the slowest answer so far took `rtt_max`.
    fn limit(&self, rtt_max: Option<Duration>) -> Duration {
        match rtt_max.max(self.rtt_max) {
            Some(rtt) if !self.is_last_round => (MARGIN + rtt * 4).min(self.silence),
            None if !self.is_full => MARGIN.min(self.silence),
            _ => self.silence,
        }
    }
}

/// Lets each host ask its receivers, and waits until all is known or nothing more comes.
pub(super) fn ask(
    mut senders: Vec<(&mut Host, Vec<usize>)>,
    wave: u32,
    patience: Patience,
) -> Result<(), Miss> {
    let mut missing = 0;
    for (host, receivers) in &mut senders {
        for to in receivers.iter() {
            missing += usize::from(host.ask(*to, wave)?);
            // Without delays the answer is there as soon as the request is sent, and its time is the most exact.
            missing -= host.take_events(wave)?;
        }
    }
    let mut last = Instant::now();
    while missing > 0 {
        let rtt_max = senders.iter().filter_map(|(host, _)| host.rtt_max()).max();
        let Some(left) = patience.limit(rtt_max).checked_sub(last.elapsed()) else { break };
        wait(&senders, left)?;
        for (host, _) in &mut senders {
            let known = host.take_events(wave)?;
            if known > 0 {
                missing -= known;
                last = Instant::now();
            }
        }
    }
    Ok(())
}

fn wait(senders: &[(&mut Host, Vec<usize>)], left: Duration) -> Result<(), Miss> {
    let sockets = senders.iter().flat_map(|(host, _)| host.sockets());
    let mut entries: Vec<PollFd<'_>> = sockets.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    match poll(&mut entries, Some(&timespec(left))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(Miss::impossible(format!("cannot wait for answers: {errno}"))),
    }
}

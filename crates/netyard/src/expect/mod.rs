//! Running expectations: each is tried until it comes true or its time is over.
//!
//! Expectations of one sender run one after the other, in the order of the file; different senders run side by side.
//! An expectation that others would disturb (a throughput), or that looks at what others have left behind (a
//! neighbour entry), waits for all before it and runs alone.

mod attempt;
mod target;

use crate::probe::NodeSockets;
use attempt::Observed;
use netyard_core::expect::{Expectation, Outcome, Probe};
use netyard_core::fault::Fault;
use netyard_core::lab::Lab;
use netyard_core::name::NodeName;
use netyard_core::report::ExpectationResult;
use netyard_core::why::About;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};
pub use target::address;

/// How expectations are run.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Silence after which an attempt ends.
    pub silence: Duration,
    /// Waits at most this long for the lab to change (a link, an address, a route), before the next attempt. Without
    /// it attempts follow each other in growing pauses.
    pub wait_for_change: Option<&'a (dyn Fn(Duration) + Sync)>,
    /// Expectations that are tried at the same time, 1 and more.
    pub parallel: usize,
    /// Says what is wrong on the way of a packet, for expectations that name the reason why it does not arrive.
    pub explain: Option<&'a Explain<'a>>,
}

/// The faults on the way from a node to an address.
pub type Explain<'a> =
    dyn Fn(&NodeName, IpAddr, About) -> std::result::Result<Vec<Fault>, String> + Sync + 'a;

impl Default for Options<'_> {
    /// One second of silence, 16 at a time: nearly all of their time is waiting.
    fn default() -> Self {
        Self { silence: Duration::from_secs(1), wait_for_change: None, parallel: 16, explain: None }
    }
}

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Runs the expectations and gives their results in the same order.
///
/// `on_result` is called for each as soon as it and all before it are known.
pub fn run(
    lab: &Lab,
    sockets: &dyn NodeSockets,
    options: &Options<'_>,
    expectations: &[Expectation],
    mut on_result: impl FnMut(&ExpectationResult),
) -> Vec<ExpectationResult> {
    let mut done: BTreeMap<usize, ExpectationResult> = BTreeMap::new();
    let mut told = 0;
    for batch in batches(expectations) {
        run_batch(lab, sockets, options, expectations, batch, |result| {
            done.insert(result.index, result);
            while let Some(result) = done.get(&told) {
                on_result(result);
                told += 1;
            }
        });
    }
    done.into_values().collect()
}

/// Which expectations run side by side: queues by sender, one batch after the other.
fn batches(expectations: &[Expectation]) -> Vec<Vec<Vec<usize>>> {
    let mut batches = Vec::new();
    let mut queues: Vec<Vec<usize>> = Vec::new();
    for (index, expectation) in expectations.iter().enumerate() {
        if runs_alone(expectation) {
            batches.extend([std::mem::take(&mut queues), vec![vec![index]]]);
            continue;
        }
        match queues.iter_mut().find(|queue| expectations[queue[0]].from == expectation.from) {
            Some(queue) => queue.push(index),
            None => queues.push(vec![index]),
        }
    }
    batches.push(queues);
    batches.retain(|queues| !queues.is_empty());
    batches
}

fn runs_alone(expectation: &Expectation) -> bool {
    match expectation.probe {
        Probe::Throughput { .. } | Probe::Neighbour { .. } => true,
        // The receiver knows these by little more than their port, see `probe::witness`.
        Probe::Tcp { .. } | Probe::Udp { .. } | Probe::Http { .. } | Probe::Dns { .. } => {
            expectation.seen_as.is_some()
        }
        Probe::Ping(_) | Probe::Route { .. } | Probe::Path { .. } => false,
        Probe::OspfNeighbour { .. } | Probe::BgpSession { .. } => false,
    }
}

fn run_batch(
    lab: &Lab,
    sockets: &dyn NodeSockets,
    options: &Options<'_>,
    expectations: &[Expectation],
    queues: Vec<Vec<usize>>,
    mut on_result: impl FnMut(ExpectationResult),
) {
    let threads = options.parallel.clamp(1, queues.len());
    let queues = Mutex::new(queues.into_iter());
    let next = || queues.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (results, incoming) = mpsc::channel();
    let work = |results: mpsc::Sender<ExpectationResult>| {
        while let Some(queue) = next() {
            for index in queue {
                // The receiving end is open until the last sender is gone.
                let _ = results.send(run_one(lab, sockets, options, index, &expectations[index]));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            let results = results.clone();
            scope.spawn(|| work(results));
        }
        drop(results);
        incoming.into_iter().for_each(&mut on_result);
    });
}

/// Tries one expectation until it comes true or its time is over.
fn run_one(
    lab: &Lab,
    sockets: &dyn NodeSockets,
    options: &Options<'_>,
    index: usize,
    expectation: &Expectation,
) -> ExpectationResult {
    let start = Instant::now();
    let within = Duration::from_millis(expectation.within_ms.into());
    let mut result = ExpectationResult::new(index, expectation);
    let mut pause = PAUSE_FIRST;
    loop {
        let observed = attempt::attempt(lab, sockets, options, expectation);
        result.attempts += 1;
        result.passed = is_as_expected(expectation, &observed);
        let was_limited = may_be_rate_limited(expectation, &observed, result.attempts);
        result.outcome = observed.outcome;
        result.mismatch = observed.mismatch.as_ref().map(|wrong| wrong.mismatch.clone());
        result.detail = observed.words(expectation.outcome);
        let left = within.saturating_sub(start.elapsed());
        if result.passed || left.is_zero() && !was_limited {
            result.duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            return result;
        }
        let wait = if was_limited { RATE_LIMIT_PAUSE } else { pause.min(left) };
        match options.wait_for_change {
            Some(wait_for_change) if !was_limited => wait_for_change(wait),
            _ => thread::sleep(wait),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether what came of a probe is what was expected. A reason that is stated has been looked for by the attempt.
fn is_as_expected(expectation: &Expectation, observed: &Observed) -> bool {
    let is_outcome = match (expectation.outcome, observed.outcome, &expectation.dropped) {
        (_, None, _) => false,
        (Outcome::Dropped, Some(outcome), dropped) => {
            let names_reason = dropped.as_ref().is_some_and(|dropped| !dropped.is_anything());
            // A refusal comes from the target, unless the reason that is stated refuses on the way.
            outcome != Outcome::Ok && (outcome != Outcome::Refused || names_reason)
        }
        (expected, Some(outcome), _) => expected == outcome,
    };
    is_outcome && observed.mismatch.is_none()
}

/// The kernel allows a router about one ICMP error a second to each host, after a short burst (`icmp_ratelimit`, and
/// for routes that do not exist `route/error_cost`, which no lab can change).
const RATE_LIMIT_PAUSE: Duration = Duration::from_millis(1_100);
const RATE_LIMIT_ATTEMPTS: u32 = 3;

/// Whether the ICMP error that was expected may have fallen to the kernel's rate limit, so that another attempt is fair.
fn may_be_rate_limited(expectation: &Expectation, observed: &Observed, attempts: u32) -> bool {
    let is_error = matches!(
        expectation.outcome,
        Outcome::Unreachable | Outcome::Refused | Outcome::TtlExceeded | Outcome::TooBig
    );
    is_error && observed.outcome == Some(Outcome::Timeout) && attempts < RATE_LIMIT_ATTEMPTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use netyard_core::expect::{Ping, Target};

    fn expectation(from: &str, probe: Probe) -> Expectation {
        let from = NodeName::new(from).unwrap();
        Expectation { line: 0, from, probe, outcome: Outcome::Ok, seen_as: None, within_ms: 0, dropped: None }
    }

    #[test]
    fn senders_run_side_by_side_and_throughput_alone() {
        let to = || Target::Name("x".into());
        let ping = |from| expectation(from, Probe::Ping(Ping::to(to())));
        let look = expectation("a", Probe::Neighbour { to: to(), mac: None, state: None });
        let list = [ping("a"), ping("b"), ping("a"), look, ping("b")];
        assert_eq!(batches(&list), [vec![vec![0, 2], vec![1]], vec![vec![3]], vec![vec![4]]]);
        assert!(batches(&[]).is_empty());
    }
}

//! `netyard ping`: from one node, or between all.

use super::{node_name, running};
use crate::args::Ping;
use crate::output::{self, json};
use netyard::expect;
use netyard::probe::ping::{Echo, Pinger};
use netyard::probe::{Patience, matrix};
use netyard::{Error, Result, RunningLab};
use netyard_core::expect::Target;
use netyard_core::lab::Lab;
use netyard_core::name::NodeName;
use netyard_kernel::signal::{self, SignalFd};
use rustix::event::{PollFd, PollFlags};
use serde::Serialize;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between echo requests, as ping(8) does it in a hurry: a lab's round trips are short.
const INTERVAL: Duration = Duration::from_millis(200);
const SILENCE: Duration = Duration::from_secs(1);

pub fn run(args: &Ping, lab: Option<&str>) -> Result<ExitCode> {
    let lab = running(None, lab)?;
    if args.all {
        return all_pairs(args, &lab);
    }
    let (Some(from), Some(to)) = (&args.from, &args.to) else {
        return Err(
            Error::input("U011", "who pings whom?").help("netyard ping FROM TO, or netyard ping --all")
        );
    };
    let definition = lab.definition()?;
    let from = lab.node(node_name(from)?.as_str())?.name().clone();
    let address = address_of(to, &from, &definition, &lab)?;
    let conversation = Conversation {
        from: from.to_string(),
        to: address.to_string(),
        is_json: args.json,
        echoes: Mutex::new(Vec::new()),
    };
    let conversation = Arc::new(conversation);
    let interrupt = SignalFd::new(&[signal::SIGINT]).map_err(|e| Error::io("cannot wait for signals", &e))?;
    let interrupted = Arc::clone(&conversation);
    // It waits as long as this process lasts.
    std::thread::spawn(move || {
        let mut entry = [PollFd::new(&interrupt, PollFlags::IN)];
        while interrupt.next().is_none() {
            let _ = rustix::event::poll(&mut entry, None);
        }
        interrupted.print_sum();
        std::process::exit(INTERRUPTED)
    });
    ping(args, &lab, &from, address, &conversation)?;
    let is_complete = conversation.print_sum();
    Ok(ExitCode::from(u8::from(!is_complete)))
}

/// The exit code of a program that ctrl-C has ended, as shells give it.
const INTERRUPTED: i32 = 130;

/// Who pings whom, and how it is told.
struct Conversation {
    from: String,
    to: String,
    is_json: bool,
    echoes: Mutex<Vec<OneEcho>>,
}

impl Conversation {
    fn echoes(&self) -> MutexGuard<'_, Vec<OneEcho>> {
        self.echoes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints what came of all so far; tells whether all were answered.
    fn print_sum(&self) -> bool {
        let echoes = &*self.echoes();
        let (sent, answered) = (echoes.len(), echoes.iter().filter(|echo| echo.error.is_none()).count());
        if self.is_json {
            json::print("ping", &OnePair { from: &self.from, to: &self.to, sent, answered, echoes });
        } else {
            let percent = (sent - answered) * 100 / sent.max(1);
            output::print(&format!("{sent} sent, {answered} answered, {percent} % lost\n"));
        }
        answered == sent
    }
}

#[derive(Serialize)]
struct OnePair<'a> {
    from: &'a str,
    to: &'a str,
    sent: usize,
    answered: usize,
    echoes: &'a [OneEcho],
}

#[derive(Serialize)]
struct OneEcho {
    seq: u32,
    from: Option<IpAddr>,
    ttl: Option<u8>,
    rtt_us: Option<u128>,
    error: Option<String>,
}

/// A node of the lab, an address, or a name that the node's own resolver knows.
fn address_of(word: &str, from: &NodeName, definition: &Lab, lab: &RunningLab) -> Result<IpAddr> {
    let target = match (word.parse(), definition.node(word)) {
        (Ok(address), _) => Target::Address(address),
        (_, Some(node)) => Target::Node(node.name.clone()),
        _ => Target::Name(word.to_owned()),
    };
    expect::address(definition, lab, from, &target, Patience::of(SILENCE)).map_err(|miss| {
        Error::input("U009", format!("`{from}` does not know `{word}`: {}", miss.detail()))
            .help("give a node of the lab, an address, or a name that the lab's internet node knows")
    })
}

fn ping(
    args: &Ping,
    lab: &RunningLab,
    from: &NodeName,
    to: IpAddr,
    conversation: &Conversation,
) -> Result<()> {
    let echo = Echo { size: args.size, df: args.df, ttl: args.ttl, ..Echo::to(to) };
    let mut pinger = Pinger::open(lab, from, echo).map_err(|miss| Error::kernel("K012", miss.detail()))?;
    for seq in 1..=args.count {
        if seq > 1 {
            std::thread::sleep(INTERVAL);
        }
        let one = match pinger.echo(Patience::of(SILENCE)) {
            Ok(reply) => OneEcho {
                seq,
                from: Some(reply.from),
                ttl: Some(reply.ttl),
                rtt_us: Some(reply.rtt.as_micros()),
                error: None,
            },
            Err(miss) => {
                OneEcho { seq, from: None, ttl: None, rtt_us: None, error: Some(miss.detail().to_owned()) }
            }
        };
        let mut echoes = conversation.echoes();
        if !args.json {
            output::print(&line(&one));
        }
        echoes.push(one);
    }
    Ok(())
}

fn line(echo: &OneEcho) -> String {
    match (echo.from, echo.ttl, echo.rtt_us, &echo.error) {
        (Some(from), Some(ttl), Some(us), None) => {
            format!("seq {}: {from} answered, ttl {ttl}, {}.{:03} ms\n", echo.seq, us / 1000, us % 1000)
        }
        (.., error) => format!("seq {}: {}\n", echo.seq, error.as_deref().unwrap_or("no answer")),
    }
}

#[derive(Serialize)]
struct AllPairs<'a> {
    lab: &'a str,
    pairs: usize,
    answered: usize,
    milliseconds: u128,
    failures: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    from: String,
    to: String,
    outcome: String,
    detail: String,
}

/// How many failures are told one by one to a person.
const FAILURES_SHOWN: usize = 20;

fn all_pairs(args: &Ping, lab: &RunningLab) -> Result<ExitCode> {
    let definition = lab.definition()?;
    let mut progress = output::Progress::new(format!("pinging in lab {}", definition.name));
    let nodes: Vec<NodeName> = definition.nodes.iter().map(|node| node.name.clone()).collect();
    let options = matrix::Options::default();
    let result = matrix::run(&definition, lab, &nodes, &options, &mut |at| {
        progress.at(at.done, at.pairs);
        ControlFlow::Continue(())
    });
    drop(progress);
    let result = result.map_err(|miss| Error::kernel("K012", miss.detail()))?;
    let failure = |failure: &matrix::Failure| Failure {
        from: result.nodes[failure.from].to_string(),
        to: result.nodes[failure.to].to_string(),
        outcome: failure.outcome.to_string(),
        detail: failure.detail.clone(),
    };
    let failures: Vec<Failure> = result.failures.iter().map(failure).collect();
    let (pairs, answered) = (result.pairs, result.answered);
    let milliseconds = result.duration.as_millis();
    let is_complete = failures.is_empty();
    if args.json {
        json::print(
            "ping-all",
            &AllPairs { lab: definition.name.as_str(), pairs, answered, milliseconds, failures },
        );
    } else {
        for failure in failures.iter().take(FAILURES_SHOWN) {
            output::print(&format!("{} does not reach {}: {}\n", failure.from, failure.to, failure.detail));
        }
        if failures.len() > FAILURES_SHOWN {
            output::print(&format!("... and {} more\n", failures.len() - FAILURES_SHOWN));
        }
        output::print(&format!("{answered} of {pairs} answered in {milliseconds} ms\n"));
    }
    Ok(ExitCode::from(u8::from(!is_complete)))
}

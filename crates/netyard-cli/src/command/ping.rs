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
use serde::Serialize;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::process::ExitCode;
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
    let echoes = echoes(args, &lab, &from, address)?;
    let answered = echoes.iter().filter(|echo| echo.error.is_none()).count();
    if args.json {
        let to = address.to_string();
        json::print("ping", &OnePair { from: from.as_str(), to: &to, sent: args.count, answered, echoes });
    } else {
        let percent = (echoes.len() - answered) * 100 / echoes.len().max(1);
        output::print(&format!("{} sent, {answered} answered, {percent} % lost\n", echoes.len()));
    }
    Ok(ExitCode::from(u8::from(answered < args.count as usize)))
}

#[derive(Serialize)]
struct OnePair<'a> {
    from: &'a str,
    to: &'a str,
    sent: u32,
    answered: usize,
    echoes: Vec<OneEcho>,
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

fn echoes(args: &Ping, lab: &RunningLab, from: &NodeName, to: IpAddr) -> Result<Vec<OneEcho>> {
    let echo = Echo { size: args.size, df: args.df, ttl: args.ttl, ..Echo::to(to) };
    let mut pinger = Pinger::open(lab, from, echo).map_err(|miss| Error::kernel("K012", miss.detail()))?;
    let mut echoes = Vec::new();
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
        if !args.json {
            output::print(&line(&one));
        }
        echoes.push(one);
    }
    Ok(echoes)
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

//! `netyard trace`: packets, followed while they pass.

mod record;
mod replay;
mod text;

use super::why::resolver;
use super::{exec, node_name, place};
use crate::args::Trace as Order;
use crate::output::theme::Theme;
use crate::output::{self, Reader};
use netyard::look::Scope;
use netyard::probe::Bound;
use netyard::trace::{Follow, Probe, Program, Trace};
use netyard::why::name::look_up;
use netyard::{Error, Result, RunningLab};
use netyard_core::filter::Filter;
use netyard_core::journey::{Journey, Verdict};
use netyard_core::name::{IfName, NodeName};
use netyard_core::state::Ns;
use netyard_core::why::About;
use netyard_kernel::signal::{self, Relay, SignalFd};
use netyard_kernel::terminal::Terminal;
use record::Record;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What comes later than this after a command has ended is not waited for.
const AFTERWARDS: Duration = Duration::from_millis(700);
/// A conversation in which nothing is seen for so long is over, while a trace goes on.
const QUIET: Duration = Duration::from_millis(1_200);
/// Payload of a ping, as ping(8) has it.
const PING_LEN: u16 = 56;
/// How often conversations that are over are looked for.
const ROUND: Duration = Duration::from_millis(100);

pub fn run(order: &Order, lab: Option<&str>) -> Result<ExitCode> {
    check(order)?;
    if let Some(file) = &order.replay {
        return replay::run(order, file);
    }
    let lab = place::lab(&order.reach, lab)?;
    let scope = place::scope(&order.reach, lab.as_ref());
    match (&order.follow, &order.node) {
        (Some(words), _) => follow(order, scope, &words.join(" ")),
        (None, Some(node)) if !order.command.is_empty() => command(order, scope, lab.as_ref(), node),
        (None, Some(node)) => probe(order, scope, lab.as_ref(), node),
        (None, None) => {
            Err(Error::input("U011", "whose packets?").help("netyard trace NODE TO, or --follow"))
        }
    }
}

/// Who sends, and by which interface, where one is named.
struct Start {
    node: NodeName,
    interface: Option<IfName>,
}

impl Start {
    fn ns(&self) -> Ns {
        Ns::Node(self.node.clone())
    }
}

/// Begins, with a node that must be there.
fn begin(order: &Order, scope: Scope<'_>, word: &str) -> Result<(Trace, Start)> {
    let (name, interface) = word.split_once(':').map_or((word, None), |(name, rest)| (name, Some(rest)));
    let node = node_name(name)?;
    let ns = Ns::Node(node.clone());
    let follow = if order.all { Follow::All } else { Follow::Node(ns.clone()) };
    let mut trace = Trace::begin(scope, follow)?;
    if order.deep {
        trace.deepen();
    }
    let Some(seen) = trace.look().seen(&ns) else {
        let names: Vec<&str> = trace.look().namespaces.iter().map(|seen| seen.name.as_str()).collect();
        return Err(Error::input("U018", format!("there is no node `{node}`"))
            .help(format!("those that there are: {}", names.join(", "))));
    };
    let interface = match interface {
        None => None,
        Some(wanted) => {
            let names: Vec<&str> = seen.interfaces.iter().map(|interface| interface.name.as_str()).collect();
            let found = names.iter().find(|name| **name == wanted).and_then(|name| IfName::new(*name).ok());
            let missing = || Error::input("U005", format!("{node} has no interface `{wanted}`"));
            Some(found.ok_or_else(|| missing().help(format!("it has {}", names.join(", "))))?)
        }
    };
    if let Some(interface) = &interface {
        trace.bind(ns, interface.clone());
    }
    Ok((trace, Start { node, interface }))
}

fn probe(order: &Order, scope: Scope<'_>, lab: Option<&RunningLab>, node: &str) -> Result<ExitCode> {
    let Some(to) = &order.to else {
        return Err(Error::input("U011", format!("what shall `{node}` do?"))
            .help(format!("netyard trace {node} TO, or netyard trace {node} -- COMMAND")));
    };
    let probe = what(order);
    // What a node reads is read by a child, which only a process with one thread can send.
    let resolver = resolver(node, to, lab)?;
    let (mut trace, start) = begin(order, scope, node)?;
    let is_place = trace.look().namespaces.iter().any(|seen| seen.name.as_str() == to);
    let versions = order.version.versions();
    let address = match resolver.filter(|_| !is_place) {
        Some(resolver) => {
            look_up(&trace.sockets(), &start.ns(), (to, &resolver), versions).map_err(|why| {
                Error::input("U009", format!("`{}` does not know `{to}`: {why}", start.node))
                    .help("give a node or an address")
            })?
        }
        None => trace.address(node, to, versions)?,
    };
    let done = AtomicBool::new(false);
    let outcome = std::thread::scope(|threads| {
        // The trace is listened to while the probe waits; both need it.
        let sockets = trace.sockets();
        let (done, start) = (&done, &start);
        let probing = threads.spawn(move || {
            let bound = Bound { sockets: &*sockets, interface: start.interface.as_ref() };
            let outcome = probe.send(&bound, &start.node, address);
            done.store(true, Ordering::SeqCst);
            outcome
        });
        while !done.load(Ordering::SeqCst) {
            trace.listen(Duration::from_millis(20))?;
        }
        let outcome = probing.join();
        Ok::<_, Error>(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let mut journeys = trace.end(AFTERWARDS)?;
    let has_left = journeys.iter().any(|journey| is_to(journey, address));
    trace.blame(&mut journeys, has_left);
    if !has_left {
        let says = outcome.err().map(|miss| miss.detail().to_owned());
        let number = u32::try_from(journeys.len()).unwrap_or(u32::MAX).saturating_add(1);
        journeys.push(trace.unsent(number, &start.ns(), address, probe.about(), says.as_deref()));
    }
    let mut record = Record::begin(order, &trace)?;
    record.tell(&journeys);
    record.end(&mut trace);
    Ok(ExitCode::from(u8::from(record.has_failures())))
}

/// Whether a conversation begins with a packet for an address, and is not about a neighbour.
fn is_to(journey: &Journey, address: IpAddr) -> bool {
    journey.legs.first().is_some_and(|leg| {
        let is_neighbours = leg.headers.protocol.is_none() || leg.title.starts_with("neighbour");
        !is_neighbours && leg.headers.endpoints.is_some_and(|ends| ends.destination == address)
    })
}

/// What the probe is.
fn what(order: &Order) -> Probe {
    match order.about {
        About::Icmp => Probe::Icmp { size: order.size.unwrap_or(PING_LEN), df: order.df, ttl: order.ttl },
        About::Tcp(port) => Probe::Tcp(port),
        About::Udp(port) => Probe::Udp(port),
    }
}

/// Refuses words that say nothing about what is done.
fn check(order: &Order) -> Result<()> {
    let names_interface = order.node.as_ref().is_some_and(|node| node.contains(':'));
    let is_ping = order.to.is_some() && order.about == About::Icmp;
    let out_of_place = [
        (order.size.is_some() && !is_ping, "--size is the length of a ping"),
        (order.df && !is_ping, "--df is about a ping"),
        (order.ttl.is_some() && !is_ping, "--ttl is that of a ping"),
        (order.limit.is_some() && order.follow.is_none(), "--for ends what --follow began"),
        (order.count.is_some() && order.follow.is_none(), "--count ends what --follow began"),
        (
            (order.version.v4 || order.version.v6) && order.to.is_none(),
            "-4 and -6 are about whom a packet is sent to",
        ),
        (names_interface && !order.command.is_empty(), "NODE:INTERFACE is where a packet of our own leaves"),
        (order.step.is_some() && order.replay.is_none(), "--step is one of --replay"),
    ];
    match out_of_place.into_iter().find(|(is_out, _)| *is_out) {
        Some((_, reason)) => Err(Error::input("U011", format!("{reason}, which this is not"))
            .help("`netyard trace --help` shows what goes together")),
        None => Ok(()),
    }
}

fn command(order: &Order, scope: Scope<'_>, lab: Option<&RunningLab>, node: &str) -> Result<ExitCode> {
    let (mut trace, start) = begin(order, scope, node)?;
    let terminal = Terminal::before();
    let relay = Relay::begin();
    let (program, rest) = order.command.split_first().expect("it was asked for with a word at least");
    let child = match lab {
        Some(lab) => {
            let command = lab.known_node(start.node).command(program).args(rest);
            command.dies_with_caller().spawn()?.id()
        }
        None => Program { words: &order.command }.start(&trace, &start.ns())?.pid,
    };
    let done = AtomicBool::new(false);
    let (status, listened) = std::thread::scope(|threads| {
        let (trace, ended) = (&mut trace, &done);
        let listening = threads.spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                trace.listen(Duration::from_millis(20))?;
            }
            Ok::<_, Error>(())
        });
        let status = exec::accompany(child, relay);
        done.store(true, Ordering::SeqCst);
        (status, listening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    if let Some(terminal) = terminal {
        terminal.take_back(matches!(status, netyard::ExitStatus::Signal(_)));
    }
    listened?;
    let mut journeys = trace.end(AFTERWARDS)?;
    trace.blame(&mut journeys, true);
    let mut record = Record::begin(order, &trace)?;
    record.tell(&journeys);
    record.end(&mut trace);
    let code = u8::try_from(status.shell_code()).unwrap_or(1);
    Ok(ExitCode::from(if code == 0 { u8::from(record.has_failures()) } else { code }))
}

fn follow(order: &Order, scope: Scope<'_>, words: &str) -> Result<ExitCode> {
    let filter =
        Filter::parse(words).map_err(|why| Error::input("U011", format!("the filter `{words}`: {why}")))?;
    let follow = if order.all && words.is_empty() { Follow::All } else { Follow::Filter(filter) };
    let mut trace = Trace::begin(scope, follow)?;
    if order.deep {
        trace.deepen();
    }
    let interrupt = SignalFd::new(&[signal::SIGINT, signal::SIGTERM])
        .map_err(|e| Error::io("cannot wait for signals", &e))?;
    let mut record = Record::begin(order, &trace)?;
    output::say("packets are followed; Ctrl-C ends it");
    let begun = Instant::now();
    let mut last = Instant::now();
    let is_enough = |record: &Record<'_>| order.count.is_some_and(|count| record.told() >= count);
    while interrupt.next().is_none()
        && order.limit.is_none_or(|limit| begun.elapsed() < limit)
        && !is_enough(&record)
    {
        trace.listen(Duration::from_millis(50))?;
        if last.elapsed() > ROUND {
            last = Instant::now();
            let mut journeys = trace.over(QUIET);
            trace.blame(&mut journeys, true);
            if record.tell(&journeys) == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    if !is_enough(&record) {
        let mut journeys = trace.end(AFTERWARDS.min(QUIET))?;
        trace.blame(&mut journeys, true);
        record.tell(&journeys);
    }
    record.end(&mut trace);
    Ok(ExitCode::from(u8::from(record.has_failures())))
}

/// Whether a packet was lost or refused.
fn is_failure(journey: &Journey) -> bool {
    matches!(journey.verdict, Verdict::Lost { .. } | Verdict::Refused { .. })
}

/// The theme of the output.
fn theme(order: &Order) -> Theme {
    if order.no_color || !std::io::stdout().is_terminal() { Theme::Plain } else { Theme::of_output() }
}

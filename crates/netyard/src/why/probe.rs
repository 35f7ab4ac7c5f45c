//! One real packet, and the counters on its way before and after.

use crate::error::{Error, Result};
use crate::probe::ping::{Echo, Pinger};
use crate::probe::{Bound, Miss, NodeSockets, Patience, SocketKind, tcp, udp};
use crate::scout::{Question, Scout, Told};
use netyard_core::fault::Way;
use netyard_core::name::NodeName;
use netyard_core::stand_in::ping as packet;
use netyard_core::state::Ns;
use netyard_core::why::probe::{Counters, changes, conclude};
use netyard_core::why::{About, Explanation};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, sendto};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long an answer may take: as long as the kernel asks for a neighbour in vain.
const PATIENCE: Duration = Patience::VERDICT;

/// Sends one packet as the explanation has it, and adds what came of it.
///
/// # Errors
/// That it cannot be sent: there is no address, or the namespace is closed.
pub fn probe(scout: &Scout, explanation: &mut Explanation) -> Result<()> {
    let (Some(Ns::Node(from)), Some(to)) = (explanation.from.node.clone(), explanation.to.address) else {
        return Err(Error::input("U009", "there is no node to send a packet from"));
    };
    let places = places(explanation);
    let before = counters(scout, &places);
    let sockets = Bound { sockets: scout, interface: explanation.from.interface.as_ref() };
    let outcome = send(&sockets, &from, explanation.from.address, to, explanation.about)
        .map_err(|detail| Error::kernel("K012", format!("cannot send a packet from {from}: {detail}")))?;
    let after = counters(scout, &places);
    let (is_answered, says) = match outcome {
        Ok(says) => (true, says),
        Err(says) => (false, says),
    };
    conclude(explanation, is_answered, says, changes(&before, &after));
    Ok(())
}

/// The namespaces on the way.
fn places(explanation: &Explanation) -> Vec<Ns> {
    let mut places: Vec<Ns> = explanation.from.node.iter().chain(&explanation.to.node).cloned().collect();
    let legs = explanation.legs.iter().filter(|leg| [Way::There, Way::Back].contains(&leg.way));
    places.extend(legs.flat_map(|leg| &leg.hops).map(|hop| hop.place.node.clone()));
    places.sort();
    places.dedup();
    places
}

fn counters(scout: &Scout, places: &[Ns]) -> BTreeMap<Ns, Counters> {
    let questions = places.iter().map(|ns| (ns.clone(), Question::Counters)).collect();
    let answers = places.iter().zip(scout.ask_all(questions));
    answers
        .filter_map(|(ns, answer)| match answer.ok()?.told {
            Told::Counters(counters) => Some((ns.clone(), *counters)),
            _ => None,
        })
        .collect()
}

/// What came of the packet in words: an answer, or the lack of one. The outer error says why nothing could be sent.
type Outcome = std::result::Result<std::result::Result<String, String>, String>;

fn send(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    source: Option<IpAddr>,
    to: IpAddr,
    about: About,
) -> Outcome {
    let patience = Patience::of(PATIENCE);
    match about {
        About::Icmp => {
            let echo = Echo { source, ..Echo::to(to) };
            match Pinger::open(sockets, from, echo).and_then(|mut pinger| pinger.echo(patience)) {
                // The namespace lets nobody have a ping socket; a raw one takes rights that the scout has.
                Err(Miss::Impossible { .. }) => raw_echo(sockets, from, to),
                Ok(reply) => Ok(Ok(format!("{} answered after {:?}", reply.from, reply.rtt))),
                Err(miss) => told(miss),
            }
        }
        About::Tcp(port) => match tcp::connect(sockets, from, SocketAddr::new(to, port), patience) {
            Ok(connection) => Ok(Ok(format!("connected after {:?}", connection.handshake))),
            Err(miss) => told(miss),
        },
        About::Udp(port) => {
            // An empty datagram: whoever does not understand it does not answer.
            match udp::ask(
                sockets,
                from,
                SocketAddr::new(to, port),
                &[],
                Patience::of(Duration::from_secs(1)),
                |_| true,
            ) {
                Ok(answer) => Ok(Ok(format!("answered after {:?}", answer.rtt))),
                Err(miss) => told(miss),
            }
        }
    }
}

fn told(miss: Miss) -> Outcome {
    match miss {
        Miss::Impossible { detail } => Err(detail),
        Miss::Outcome { detail, .. } => Ok(Err(detail)),
    }
}

/// An echo request over a raw socket.
fn raw_echo(sockets: &dyn NodeSockets, from: &NodeName, to: IpAddr) -> Outcome {
    let kind = if to.is_ipv6() { SocketKind::RawIcmp6 } else { SocketKind::RawIcmp4 };
    let socket = sockets.socket(from, kind).map_err(|error| error.to_string())?;
    let id = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
    let begun = Instant::now();
    let request = packet::request(to.is_ipv6(), id, 1, 56);
    if let Err(errno) = sendto(&socket, &request, SendFlags::NOSIGNAL, &SocketAddr::new(to, 0)) {
        return Ok(Err(std::io::Error::from(errno).to_string()));
    }
    let mut buffer = [0; 2048];
    while let Some(left) = PATIENCE.checked_sub(begun.elapsed()) {
        let limit = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let mut waiting = [PollFd::new(&socket, PollFlags::IN)];
        if poll(&mut waiting, Some(&limit)).is_ok_and(|count| count == 0) {
            break;
        }
        match netyard_kernel::socket::receive(&socket, &mut buffer) {
            Ok(Some(datagram)) if packet::answered(to.is_ipv6(), id, &buffer[..datagram.len]).is_some() => {
                return Ok(Ok(format!("{to} answered after {:?}", begun.elapsed())));
            }
            Ok(_) => {}
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Err(format!("no answer from {to} within {:.1} s", PATIENCE.as_secs_f64())))
}

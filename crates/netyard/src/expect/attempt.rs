//! One attempt at an expectation: the probe, and whether its answer is as it should be.

use super::{Options, target};
use crate::dns::{Rcode, Type};
use crate::probe::ping::{Echo, Pinger, Reply};
use crate::probe::witness::{Sign, Transport, Witness};
use crate::probe::{
    Miss, NodeSockets, Patience, dns, frr, http, neighbour, path, route, tcp, throughput, udp,
};
use netyard_core::expect::{Dropped, Expectation, Outcome, Ping, Probe, Target};
use netyard_core::frr::{Daemon, Neighbour};
use netyard_core::lab::Lab;
use netyard_core::name::NodeName;
use netyard_core::nft::Protocol;
use netyard_core::report::Mismatch;
use netyard_core::why::About;
use netyard_kernel::socket::Family;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What an attempt saw.
pub(super) struct Observed {
    /// What came of it; none when the probe could not be made.
    pub(super) outcome: Option<Outcome>,
    /// What about the answer is not as expected, where something is.
    pub(super) mismatch: Option<Box<Wrong>>,
    /// The answer, or the reason why there is none, in words.
    pub(super) detail: String,
}

impl Observed {
    /// What there is to say: where the outcome is as expected, what else is not.
    pub(super) fn words(self, expected: Outcome) -> String {
        match self.mismatch {
            None => self.detail,
            Some(wrong) if self.outcome == Some(expected) => wrong.words,
            // A rate says itself what was measured.
            Some(wrong) if wrong.words.starts_with(&self.detail) => wrong.words,
            Some(wrong) => format!("{}; {}", self.detail, wrong.words),
        }
    }
}

/// What about an answer is not as expected, and that in words.
#[derive(Clone)]
pub(super) struct Wrong {
    pub(super) mismatch: Mismatch,
    words: String,
}

impl Wrong {
    fn new(what: &str, expected: impl ToString, found: impl ToString, words: impl Into<String>) -> Box<Self> {
        let (expected, found) = (expected.to_string(), found.to_string());
        Box::new(Self { mismatch: Mismatch { what: what.to_owned(), expected, found }, words: words.into() })
    }
}

/// An answer in words, and what about it is not as expected.
struct Answer {
    detail: String,
    mismatch: Option<Box<Wrong>>,
}

impl Answer {
    fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), mismatch: None }
    }

    fn but(self, mismatch: Option<Box<Wrong>>) -> Self {
        Self { mismatch, ..self }
    }
}

pub(super) fn attempt(
    lab: &Lab,
    sockets: &dyn NodeSockets,
    options: &Options<'_>,
    expectation: &Expectation,
) -> Observed {
    let is_undecided = || lab.nodes.iter().any(|node| neighbour::is_asking(sockets, &node.name));
    // A verdict is worth its wait only where it decides, or where no other attempt follows that would bring it.
    let waits = expectation.within_ms == 0
        || matches!(expectation.outcome, Outcome::Unreachable | Outcome::Timeout | Outcome::Dropped);
    let patience = if waits {
        let verdict = Patience::VERDICT.max(options.silence);
        Patience { silence: options.silence, verdict, is_undecided: Some(&is_undecided) }
    } else {
        Patience::of(options.silence)
    };
    let one = Attempt { lab, sockets, patience, from: &expectation.from, seen_as: expectation.seen_as };
    let probed = one.probe(&expectation.probe);
    let dropped = expectation.dropped.as_ref().filter(|dropped| !dropped.is_anything());
    if let (Some(dropped), Err(failed)) = (dropped, &probed)
        && failed.miss.outcome().is_some()
    {
        return one.reason(options, &expectation.probe, dropped, failed);
    }
    match probed {
        Ok(Answer { detail, mismatch }) => Observed { outcome: Some(Outcome::Ok), mismatch, detail },
        Err(Failed { miss, mismatch }) => {
            Observed { outcome: miss.outcome(), mismatch, detail: miss.detail().to_owned() }
        }
    }
}

/// Why there is no answer, and what the receiver saw of the probe nevertheless.
struct Failed {
    miss: Miss,
    mismatch: Option<Box<Wrong>>,
}

impl From<Miss> for Failed {
    fn from(miss: Miss) -> Self {
        Self { miss, mismatch: None }
    }
}

struct Attempt<'a> {
    lab: &'a Lab,
    sockets: &'a dyn NodeSockets,
    patience: Patience<'a>,
    from: &'a NodeName,
    seen_as: Option<IpAddr>,
}

impl Attempt<'_> {
    fn probe(&self, probe: &Probe) -> Result<Answer, Failed> {
        match probe {
            Probe::Ping(ping) => self.ping(ping),
            Probe::Tcp { to, port } => self.tcp(to, *port),
            Probe::Udp { to, port, payload, answer } => self.udp(to, *port, payload, answer.as_deref()),
            Probe::Http { to, port, path, status, contains } => {
                self.http(to, *port, path, *status, contains.as_deref())
            }
            Probe::Dns { name, server, is_ipv6, address } => {
                self.dns(name, server.as_ref(), *is_ipv6, *address)
            }
            Probe::Route { to, via, dev, protocol } => {
                let to = self.address(to)?;
                let found = route::look_up(self.sockets, self.from, to)?;
                let made_by = match protocol {
                    Some(_) => route::protocol(self.sockets, self.from, to)?,
                    None => None,
                };
                let mismatch = differs("via", via.as_ref(), found.via.as_ref())
                    .or_else(|| differs("dev", dev.as_ref(), found.dev.as_ref()))
                    .or_else(|| differs("protocol", protocol.as_ref(), made_by.as_ref()));
                Ok(Answer::new(route_words(&found)).but(mismatch))
            }
            Probe::OspfNeighbour { to, state } => {
                self.neighbour_of_daemon(&[Daemon::Ospfd, Daemon::Ospf6d], to, state, None)
            }
            Probe::BgpSession { to, state, remote_as } => {
                self.neighbour_of_daemon(&[Daemon::Bgpd], to, state, *remote_as)
            }
            Probe::Neighbour { to, mac, state } => {
                let found = neighbour::look_up(self.sockets, self.from, self.address(to)?)?;
                let state_found = found.state.to_owned();
                let mismatch = differs("mac", mac.as_ref(), found.mac.as_ref())
                    .or_else(|| differs("state", state.as_ref(), Some(&state_found)));
                let mac = found.mac.map(|mac| format!(" at {mac}")).unwrap_or_default();
                Ok(Answer::new(format!("{}{mac}, {}", found.to, found.state)).but(mismatch))
            }
            Probe::Path { to, nodes } => self.path(to, nodes),
            Probe::Throughput { to, address, rate_bit_per_s, tolerance_percent } => {
                self.throughput(to, *address, *rate_bit_per_s, *tolerance_percent)
            }
        }
    }

    /// What the daemons of the node that run say of a neighbour.
    fn neighbour_of_daemon(
        &self,
        daemons: &[Daemon],
        to: &Target,
        state: &str,
        remote_as: Option<u32>,
    ) -> Result<Answer, Failed> {
        let ids: Vec<IpAddr> = match to {
            Target::Node(name) => {
                let node = self.lab.node(name.as_str()).into_iter();
                node.flat_map(|node| node.addresses()).map(|net| net.addr()).collect()
            }
            other => vec![self.address(other)?],
        };
        let asked: Vec<Result<Vec<Neighbour>, Miss>> =
            daemons.iter().map(|daemon| frr::neighbours(self.sockets, self.from, *daemon)).collect();
        if asked.iter().all(Result::is_err) {
            return Err(asked.into_iter().find_map(Result::err).map_or_else(
                || Miss::impossible("there is no daemon to ask".to_owned()).into(),
                Failed::from,
            ));
        }
        let known: Vec<Neighbour> = asked.into_iter().flatten().flatten().collect();
        let is_it = |neighbour: &&Neighbour| neighbour.ids.iter().any(|id| ids.contains(id));
        // One of several links may be up, another not.
        let mut found: Vec<&Neighbour> = known.iter().filter(is_it).collect();
        found.sort_by_key(|neighbour| neighbour.state != state);
        let Some(found) = found.first() else {
            let others: Vec<String> =
                known.iter().filter_map(|other| other.ids.first()).map(ToString::to_string).collect();
            let others = if others.is_empty() { "nobody".to_owned() } else { others.join(", ") };
            return Err(Miss::new(Outcome::Unreachable, format!("{} knows {others}", self.from)).into());
        };
        let wanted = state.to_owned();
        let mismatch = differs("state", Some(&wanted), Some(&found.state))
            .or_else(|| differs("as", remote_as.as_ref(), found.remote_as.as_ref()));
        Ok(Answer::new(found.state.clone()).but(mismatch))
    }

    /// Whether what was not answered ended for the reason that is stated.
    fn reason(&self, options: &Options<'_>, probe: &Probe, dropped: &Dropped, failed: &Failed) -> Observed {
        let outcome = failed.miss.outcome();
        let detail = failed.miss.detail().to_owned();
        let (to, about) = match probe {
            Probe::Ping(ping) => (&ping.to, About::Icmp),
            Probe::Tcp { to, port } | Probe::Http { to, port, .. } => (to, About::Tcp(*port)),
            Probe::Udp { to, port, .. } => (to, About::Udp(*port)),
            _ => return Observed { outcome, mismatch: None, detail },
        };
        let explained = match (options.explain, self.address(to)) {
            (Some(explain), Ok(address)) => explain(self.from, address, about),
            (None, _) => Err("nobody is there to ask why".to_owned()),
            (_, Err(miss)) => Err(miss.detail().to_owned()),
        };
        match explained {
            Err(why) => Observed { outcome: None, mismatch: None, detail: format!("{detail}; {why}") },
            Ok(faults) => match faults.iter().find(|fault| dropped.is_by(fault)) {
                Some(fault) => Observed { outcome, mismatch: None, detail: fault.sentence.clone() },
                None => {
                    let found: Vec<String> = faults
                        .iter()
                        .map(|fault| format!("dropped by {} at {}", fault.cause.word(), fault.at.node))
                        .collect();
                    let found = if found.is_empty() { "no reason".to_owned() } else { found.join(", ") };
                    let words = format!("{detail}; {found}");
                    Observed { outcome, mismatch: Some(Wrong::new("reason", dropped, found, words)), detail }
                }
            },
        }
    }

    fn address(&self, target: &Target) -> Result<IpAddr, Miss> {
        target::address(self.lab, self.sockets, self.from, target, self.patience)
    }

    fn ping(&self, ping: &Ping) -> Result<Answer, Failed> {
        let to = match (&ping.to, ping.source) {
            // A node is reached in the family of the source that is asked for.
            (Target::Node(name), Some(source)) => self
                .lab
                .node(name.as_str())
                .and_then(|node| node.address(Some(source.is_ipv6())))
                .ok_or_else(|| {
                    Miss::impossible(format!("{name} has no address of the family of {source}"))
                })?,
            _ => self.address(&ping.to)?,
        };
        let echo = Echo { to, source: ping.source, size: ping.size, df: ping.df, ttl: ping.ttl };
        let witnesses = self.witnesses(to, Transport::Icmp)?;
        let mut pinger = Pinger::open(self.sockets, self.from, echo)?;
        let replies: Result<Vec<Reply>, Miss> =
            (0..ping.count.max(1)).map(|_| pinger.echo(self.patience)).collect();
        let seen = self.check_seen(&witnesses, Sign::Echo(pinger.mark()));
        let replies = replies.map_err(|miss| Failed { miss, mismatch: seen.clone() })?;
        let mismatch = seen.or_else(|| replies.iter().find_map(|reply| reply_mismatch(ping, reply)));
        Ok(Answer::new(replies_words(&replies)).but(mismatch))
    }

    fn tcp(&self, to: &Target, port: u16) -> Result<Answer, Failed> {
        let to = SocketAddr::new(self.address(to)?, port);
        let (witnesses, port) = self.witnesses_of_port(to, Protocol::Tcp)?;
        let connection = tcp::connect(self.sockets, self.from, to, self.patience);
        let seen = self.check_seen(&witnesses, Sign::Syn(port));
        let connection = connection.map_err(|miss| Failed { miss, mismatch: seen.clone() })?;
        Ok(Answer::new(format!("connected in {}", milliseconds(connection.handshake))).but(seen))
    }

    fn udp(&self, to: &Target, port: u16, payload: &str, answer: Option<&str>) -> Result<Answer, Failed> {
        let to = SocketAddr::new(self.address(to)?, port);
        let (witnesses, port) = self.witnesses_of_port(to, Protocol::Udp)?;
        let payload = payload.as_bytes();
        let found = udp::ask(self.sockets, self.from, to, payload, self.patience, |_| true);
        let seen = self.check_seen(&witnesses, Sign::Datagram(port, payload));
        let found = found.map_err(|miss| Failed { miss, mismatch: seen.clone() })?;
        let text = String::from_utf8_lossy(&found.payload);
        let mismatch = answer.filter(|wanted| !text.contains(wanted)).map(|wanted| {
            let words = format!("answered {}, without {wanted:?}", excerpt(&text));
            Wrong::new("answer", format!("containing {wanted:?}"), excerpt(&text), words)
        });
        Ok(Answer::new(format!("answered {}", excerpt(&text))).but(seen.or(mismatch)))
    }

    fn http(
        &self,
        target: &Target,
        port: u16,
        path: &str,
        status: Option<u16>,
        contains: Option<&str>,
    ) -> Result<Answer, Failed> {
        let to = SocketAddr::new(self.address(target)?, port);
        let (witnesses, port) = self.witnesses_of_port(to, Protocol::Tcp)?;
        let host = match target {
            Target::Interface(..) => to.ip().to_string(),
            other => other.to_string(),
        };
        let response = http::get(self.sockets, self.from, http::Get { to, host: &host, path }, self.patience);
        let seen = self.check_seen(&witnesses, Sign::Syn(port));
        let response = response.map_err(|miss| Failed { miss, mismatch: seen.clone() })?;
        let found = response.status;
        let text = String::from_utf8_lossy(&response.body);
        let mismatch = match status {
            Some(wanted) if wanted != found => {
                Some(Wrong::new("status", wanted, found, format!("status {found}, not {wanted}")))
            }
            None if found >= 400 => {
                Some(Wrong::new("status", "below 400", found, format!("status {found}, not below 400")))
            }
            _ => contains.filter(|wanted| !text.contains(wanted)).map(|wanted| {
                let words = format!("the body {} does not contain {wanted:?}", excerpt(&text));
                Wrong::new("contains", format!("{wanted:?}"), excerpt(&text), words)
            }),
        };
        let detail =
            format!("status {found} and {} bytes in {}", text.len(), milliseconds(response.duration));
        Ok(Answer::new(detail).but(seen.or(mismatch)))
    }

    fn dns(
        &self,
        name: &str,
        server: Option<&Target>,
        is_ipv6: bool,
        address: Option<IpAddr>,
    ) -> Result<Answer, Failed> {
        let server = match server {
            Some(server) => self.address(server)?,
            None => target::resolver(self.lab, self.from)
                .ok_or_else(|| Miss::impossible("no node of role internet to ask"))?,
        };
        let (witnesses, port) = self.witnesses_of_port(SocketAddr::new(server, 53), Protocol::Udp)?;
        let kind = if is_ipv6 { Type::AAAA } else { Type::A };
        let answer = dns::query(self.sockets, self.from, server, name, kind, self.patience);
        let seen = self.check_seen(&witnesses, Sign::Datagram(port, &[]));
        let answer = answer.map_err(|miss| Failed { miss, mismatch: seen.clone() })?;
        let found: Vec<IpAddr> = answer.response.addresses().collect();
        let words: Vec<String> = found.iter().map(IpAddr::to_string).collect();
        let words = words.join(", ");
        let mismatch = match (answer.response.rcode, address) {
            (Rcode::REFUSED, _) => {
                return Err(Miss::new(Outcome::Refused, format!("{server} refuses to answer")).into());
            }
            (Rcode::OK, _) if found.is_empty() => {
                let words = "the name has no address of that family";
                Some(Wrong::new("address", any_or(address), "none", words))
            }
            (Rcode::OK, Some(wanted)) if !found.contains(&wanted) => {
                Some(Wrong::new("address", wanted, &words, format!("resolves to {words}, not {wanted}")))
            }
            (Rcode::OK, _) => None,
            (rcode, _) => {
                let words = format!("{server} answered: {rcode}");
                Some(Wrong::new("address", any_or(address), rcode, words))
            }
        };
        Ok(Answer::new(format!("resolves to {words}")).but(seen.or(mismatch)))
    }

    fn path(&self, to: &Target, nodes: &[NodeName]) -> Result<Answer, Failed> {
        const HOPS_MAX: u8 = 30;
        let to = self.address(to)?;
        let found = path::discover(self.sockets, self.from, to, HOPS_MAX, self.patience)?;
        let place = |router: &Option<IpAddr>| {
            router.map_or_else(|| "*".to_owned(), |router| target::place(self.lab, router))
        };
        let mut places: Vec<String> = found.routers.iter().map(place).collect();
        if let Some(miss) = found.end {
            if places.is_empty() {
                return Err(miss.into());
            }
            let detail = format!("after {}: {}", places.join(", "), miss.detail());
            return Err(match miss.outcome() {
                Some(outcome) => Miss::new(outcome, detail).into(),
                None => miss.into(),
            });
        }
        let receivers = target::receivers(self.lab, to);
        // Several nodes may stand for the internet, or share an address; the expected one is as right as any.
        let end = receivers.iter().find(|node| nodes.last() == Some(&node.name)).or(receivers.first());
        places.push(end.map_or_else(|| to.to_string(), |node| node.name.to_string()));
        let is_same = places.iter().map(String::as_str).eq(nodes.iter().map(|node| node.as_str()));
        let mismatch = (!is_same).then(|| {
            let wanted: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
            let found = places.join(", ");
            Wrong::new("path", wanted.join(", "), &found, format!("the path is {found}"))
        });
        Ok(Answer::new(places.join(", ")).but(mismatch))
    }

    fn throughput(
        &self,
        to: &NodeName,
        address: Option<IpAddr>,
        rate: u64,
        tolerance_percent: f64,
    ) -> Result<Answer, Failed> {
        let address = match address {
            Some(address) => address,
            None => self.address(&Target::Node(to.clone()))?,
        };
        let window = throughput::Window { rate_bit_per_s: Some(rate), ..Default::default() };
        let found = throughput::measure(self.sockets, self.from, to, address, window, self.patience)?;
        // Rates are far below 2^53.
        let percent = (found.rate_bit_per_s as f64 / rate.max(1) as f64 - 1.0) * 100.0;
        let words = format!("{:.3} Mbit/s, {percent:+.1} %", found.rate_bit_per_s as f64 / 1e6);
        let mismatch = (percent.abs() > tolerance_percent).then(|| {
            let expected = format!("{:.3} Mbit/s +-{tolerance_percent} %", rate as f64 / 1e6);
            Wrong::new("rate", &expected, &words, format!("{words}; expected {expected}"))
        });
        Ok(Answer::new(words).but(mismatch))
    }

    fn witnesses(&self, to: IpAddr, transport: Transport) -> Result<Vec<Witness>, Miss> {
        if self.seen_as.is_none() {
            return Ok(Vec::new());
        }
        let open = |node: &NodeName| Witness::open(self.sockets, node, Family::of(to), transport);
        target::receivers(self.lab, to).iter().map(|node| open(&node.name)).collect()
    }

    /// Witnesses where a connection really ends, and the port there.
    fn witnesses_of_port(&self, to: SocketAddr, protocol: Protocol) -> Result<(Vec<Witness>, u16), Miss> {
        let end = target::behind_port_forward(self.lab, to, protocol);
        let transport = if protocol == Protocol::Tcp { Transport::Tcp } else { Transport::Udp };
        Ok((self.witnesses(end.ip(), transport)?, end.port()))
    }

    /// What the receiver saw, where it is not the address that was expected.
    fn check_seen(&self, witnesses: &[Witness], sign: Sign<'_>) -> Option<Box<Wrong>> {
        let wanted = self.seen_as?;
        match witnesses.iter().find_map(|witness| witness.source(sign)) {
            Some(source) if source == wanted => None,
            Some(source) => {
                Some(Wrong::new("seen-as", wanted, source, format!("seen as {source}, not {wanted}")))
            }
            None => {
                let words = format!("nothing arrived that could be seen as {wanted}");
                Some(Wrong::new("seen-as", wanted, "nothing", words))
            }
        }
    }
}

fn reply_mismatch(ping: &Ping, reply: &Reply) -> Option<Box<Wrong>> {
    let rtt = milliseconds(reply.rtt);
    let at = |us: u32| Duration::from_micros(us.into());
    if let Some(ttl) = ping.answer_ttl.filter(|ttl| *ttl != reply.ttl) {
        let words = format!("answered with TTL {}, not {ttl}", reply.ttl);
        return Some(Wrong::new("answer-ttl", ttl, reply.ttl, words));
    }
    if let Some(hops) = ping.hops.filter(|hops| *hops != reply.hops()) {
        let noun = if reply.hops() == 1 { "router" } else { "routers" };
        let words = format!("{} {noun} away (TTL {}), not {hops}", reply.hops(), reply.ttl);
        return Some(Wrong::new("hops", hops, reply.hops(), words));
    }
    if let Some(most) = ping.rtt_us_max.map(at).filter(|most| reply.rtt > *most) {
        let most = format!("at most {}", milliseconds(most));
        return Some(Wrong::new("rtt", &most, &rtt, format!("answered in {rtt}, not in {most}")));
    }
    let least = ping.rtt_us_min.map(at).filter(|least| reply.rtt < *least)?;
    let least = format!("at least {}", milliseconds(least));
    Some(Wrong::new("rtt", &least, &rtt, format!("answered in {rtt}, not in {least}")))
}

fn replies_words(replies: &[Reply]) -> String {
    let Some(last) = replies.last() else { return String::new() };
    let times = if replies.len() == 1 { String::new() } else { format!(" {} times, last", replies.len()) };
    format!("answered{times} in {}, TTL {}", milliseconds(last.rtt), last.ttl)
}

fn route_words(found: &route::Route) -> String {
    let via = found.via.map(|via| format!("via {via} ")).unwrap_or_default();
    let dev = found.dev.as_ref().map(|dev| format!("dev {dev}")).unwrap_or_default();
    let source = found.source.map(|source| format!(" src {source}")).unwrap_or_default();
    format!("{via}{dev}{source}")
}

/// What differs between a wish and what was found, in words.
fn differs<T: PartialEq + std::fmt::Display>(
    word: &str,
    wanted: Option<&T>,
    found: Option<&T>,
) -> Option<Box<Wrong>> {
    let wanted = wanted.filter(|wanted| Some(*wanted) != found)?;
    let found = found.map_or_else(|| "none".to_owned(), T::to_string);
    Some(Wrong::new(word, wanted, &found, format!("{word} {found}, not {wanted}")))
}

/// The address that an answer should hold.
fn any_or(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "any".to_owned(), |address| address.to_string())
}

/// The beginning of a text, quoted.
fn excerpt(text: &str) -> String {
    const LEN_MAX: usize = 60;
    let start: String = text.chars().take(LEN_MAX).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    format!("{start:?}{more}")
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

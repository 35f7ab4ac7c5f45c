//! ping(8).

use super::{fail, words};
use crate::output;
use netyard::probe::SocketKind;
use netyard_core::stand_in::ping::{self, Order, Tally};
use netyard_kernel::signal::{SIGINT, SIGQUIT, SIGTERM, SignalFd};
use netyard_kernel::socket::{self, Family, Fragmentation, Origin};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, bind, connect, getsockname, send, sockopt};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const NAME: &str = "ping";

pub fn run(typed: &[String]) -> u8 {
    let order = match ping::order(typed) {
        Ok(order) => order,
        Err(failure) => return fail(NAME, failure.words, failure.code),
    };
    match Pinging::new(order).and_then(Pinging::run) {
        Ok(code) => code,
        Err(words) => fail(NAME, words, 2),
    }
}

struct Pinging {
    order: Order,
    to: IpAddr,
    fd: OwnedFd,
    id: u16,
    begun: Instant,
    tally: Tally,
    /// When each request was sent that is not answered yet.
    waiting: BTreeMap<u16, Instant>,
    /// The highest number so far, which does not wrap.
    sequence: u64,
    buffer: Vec<u8>,
}

impl Pinging {
    fn new(order: Order) -> Result<Self, String> {
        let to = resolve(&order)?;
        let family = Family::of(to);
        let kind = if to.is_ipv6() { SocketKind::RawIcmp6 } else { SocketKind::RawIcmp4 };
        let fd = kind.open().map_err(|e| format!("socket: {}", words(&e)))?;
        let prepared = socket::queue_errors(&fd, family)
            .and_then(|()| socket::tell_ttl(&fd, family))
            .and_then(|()| {
                let fragmentation = if order.df { Fragmentation::Forbidden } else { Fragmentation::Allowed };
                socket::set_fragmentation(&fd, family, fragmentation)
            })
            .and_then(|()| order.ttl.map_or(Ok(()), |ttl| socket::set_ttl(&fd, family, ttl)));
        prepared.map_err(|e| format!("setsockopt: {}", words(&e)))?;
        match order.from.as_deref().map(|from| (from, from.parse::<IpAddr>())) {
            Some((_, Ok(address))) => {
                bind(&fd, &SocketAddr::new(address, 0)).map_err(|e| format!("bind: {}", words(&e.into())))?;
            }
            Some((name, Err(_))) => {
                socket::bind_to_interface(&fd, name).map_err(|_| format!("unknown iface: {name}"))?
            }
            None => {}
        }
        connect(&fd, &SocketAddr::new(to, 0)).map_err(|e| format!("connect: {}", words(&e.into())))?;
        let buffer = vec![0; usize::from(order.size) + 256];
        let id = std::process::id().to_le_bytes();
        Ok(Self {
            to,
            fd,
            id: u16::from_le_bytes([id[0], id[1]]),
            begun: Instant::now(),
            tally: Tally::default(),
            waiting: BTreeMap::new(),
            sequence: 0,
            buffer,
            order,
        })
    }

    fn run(mut self) -> Result<u8, String> {
        let signals = SignalFd::new(&[SIGINT, SIGQUIT, SIGTERM]).map_err(|e| words(&e))?;
        let own = getsockname(&self.fd).ok().and_then(|own| SocketAddr::try_from(own).ok());
        let from = self.order.from.as_ref().zip(own).map(|(from, own)| {
            let is_address = from.parse::<IpAddr>().is_ok();
            (own.ip(), if is_address { "" } else { from.as_str() })
        });
        self.tell(&ping::heading(&self.order.target, self.to, from, self.order.size));
        self.begun = Instant::now();
        let mut last_sent = None;
        loop {
            let now = Instant::now();
            let is_over = self.order.deadline.is_some_and(|limit| now >= self.begun + limit);
            let all_sent = self.order.count.is_some_and(|count| self.tally.sent >= count);
            let (is_done, next) = match last_sent {
                None => (false, now),
                Some(sent) if all_sent => {
                    (self.waiting.is_empty() || now >= sent + self.order.wait, sent + self.order.wait)
                }
                Some(sent) => (false, sent + self.order.interval),
            };
            if is_done || is_over {
                break;
            }
            if !all_sent && now >= next {
                self.send();
                last_sent = Some(now);
                continue;
            }
            let next = self.order.deadline.map_or(next, |limit| next.min(self.begun + limit));
            if self.listen(&signals, next.saturating_duration_since(now))? {
                break;
            }
        }
        output::print(&self.tally.summary(&self.order.target, self.took(last_sent)));
        let lacks = self.order.deadline.is_some()
            && self.order.count.is_some_and(|count| self.tally.received < count);
        Ok(u8::from(self.tally.received == 0 || lacks))
    }

    /// From the first request to the last, or to its answer.
    fn took(&self, last_sent: Option<Instant>) -> Duration {
        last_sent.map_or(Duration::ZERO, |sent| sent.saturating_duration_since(self.begun))
    }

    fn send(&mut self) {
        if self.order.tells_missing && self.waiting.contains_key(&number(self.sequence)) && self.sequence > 0
        {
            self.tell(&format!("no answer yet for icmp_seq={}", self.sequence));
        }
        self.sequence += 1;
        let sequence = number(self.sequence);
        let request = ping::request(self.to.is_ipv6(), self.id, sequence, self.order.size);
        self.waiting.insert(sequence, Instant::now());
        self.tally.sent += 1;
        self.tally.pipe = self.tally.pipe.max(self.unanswered());
        // A first failure may be the error of an earlier request, which the error queue tells; it is cleared by that.
        // What a packet filter refuses is no such error, and a second one would be counted there.
        let send = || send(&self.fd, &request, SendFlags::NOSIGNAL);
        let sent = send().or_else(|error| if error == rustix::io::Errno::PERM { Err(error) } else { send() });
        if let Err(errno) = sent {
            self.waiting.remove(&sequence);
            self.tally.errors += 1;
            let error = io::Error::from(errno);
            let queued = socket::receive_error(&self.fd, &mut self.buffer).ok().flatten();
            let said = match (errno, queued) {
                (rustix::io::Errno::MSGSIZE, Some(queued)) => {
                    format!("local error: message too long, mtu={}", queued.mtu)
                }
                _ => format!("sendmsg: {}", words(&error)),
            };
            fail(NAME, said, 2);
        }
    }

    /// Requests without an answer that were not given up with an error.
    fn unanswered(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Waits for what comes; true when the user wants no more.
    fn listen(&mut self, signals: &SignalFd, limit: Duration) -> Result<bool, String> {
        let limit = limit + Duration::from_micros(1);
        let timeout =
            Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        let polled = poll(&mut fds, Some(&timeout));
        let is_ended = !fds[1].revents().is_empty() && signals.next().is_some();
        polled.map_err(|e| words(&e.into()))?;
        while let Some(error) = socket::receive_error(&self.fd, &mut self.buffer).map_err(|e| words(&e))? {
            let _ = sockopt::socket_error(&self.fd);
            self.error(&error);
        }
        loop {
            let datagram = match socket::receive(&self.fd, &mut self.buffer) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => break,
                // The error queue tells more, next time.
                Err(_) => break,
            };
            let Some((sequence, len)) =
                ping::answered(self.to.is_ipv6(), self.id, &self.buffer[..datagram.len])
            else {
                continue;
            };
            let from = datagram.from.map_or(self.to, |from| from.ip());
            self.answer(sequence, len, from, datagram.ttl.unwrap_or_default());
        }
        Ok(is_ended)
    }

    fn answer(&mut self, sequence: u16, len: usize, from: IpAddr, ttl: u8) {
        let name = self.order.target.parse::<IpAddr>().is_err().then(|| self.order.target.clone());
        let Some(sent) = self.waiting.remove(&sequence) else {
            self.tally.duplicates += 1;
            return;
        };
        let rtt = sent.elapsed();
        self.tally.answer(rtt);
        if !self.order.is_quiet {
            self.tell(&ping::answer(name.as_deref(), from, len, self.whole(sequence), ttl, rtt));
        }
    }

    fn error(&mut self, error: &socket::QueuedError) {
        let Some(sequence) = ping::sequence_of(self.id, &self.buffer[..error.len]) else { return };
        self.tally.errors += 1;
        self.waiting.remove(&sequence);
        if error.origin == Origin::Local {
            fail(
                NAME,
                format!(
                    "local error: {}, mtu={}",
                    words(&io::Error::from_raw_os_error(error.errno)).to_lowercase(),
                    error.mtu
                ),
                2,
            );
            return;
        }
        if let Some(from) = error.offender.filter(|_| !self.order.is_quiet) {
            let line = ping::error(from, self.whole(sequence), error.icmp_type, error.icmp_code, error.mtu);
            self.tell(&line);
        }
    }

    /// The number of a request, of which the packet holds the lower half.
    fn whole(&self, sequence: u16) -> u64 {
        let behind = number(self.sequence).wrapping_sub(sequence);
        self.sequence.saturating_sub(u64::from(behind))
    }

    fn tell(&self, line: &str) {
        let time = if self.order.tells_time {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("[{}.{:06}] ", now.as_secs(), now.subsec_micros())
        } else {
            String::new()
        };
        output::print(&format!("{time}{line}\n"));
    }
}

/// The lower 16 bits, which a packet holds.
fn number(sequence: u64) -> u16 {
    let bytes = sequence.to_le_bytes();
    u16::from_le_bytes([bytes[0], bytes[1]])
}

/// The first address of the target.
fn resolve(order: &Order) -> Result<IpAddr, String> {
    let target = order.target.as_str();
    let is_wanted = |address: &IpAddr| order.is_ipv6.is_none_or(|is_ipv6| address.is_ipv6() == is_ipv6);
    if let Ok(address) = target.parse::<IpAddr>() {
        let fits = is_wanted(&address);
        return if fits {
            Ok(address)
        } else {
            Err(format!("{target}: Address family for hostname not supported"))
        };
    }
    let found = (target, 0).to_socket_addrs();
    let mut found =
        found.map_err(|error| format!("{target}: {}", why_unresolved(&error)))?.map(|address| address.ip());
    found.find(is_wanted).ok_or_else(|| format!("{target}: Name or service not known"))
}

/// The resolver's own words (gai_strerror(3)).
fn why_unresolved(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(": ").map_or_else(|| text.clone(), |(_, words)| words.to_owned())
}

//! ICMP echo over ping sockets, IPv4 and IPv6, with every ICMP error that comes instead of an answer.

use super::wait::{Deadline, ready};
use super::{Miss, NodeSockets, Patience, SocketKind, family, open};
use netyard_core::expect::Outcome;
use netyard_core::name::NodeName;
use netyard_kernel::socket::{self, Family, Fragmentation};
use rustix::event::PollFlags;
use rustix::net::{SendFlags, bind, connect, getsockname, send, sockopt};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Whom to ask.
    pub to: IpAddr,
    /// Source address; the kernel's choice where none is given.
    pub source: Option<IpAddr>,
    /// Payload in bytes after the ICMP header, as ping(8) `-s`.
    pub size: u16,
    /// Do not fragment (ping(8) `-M do`).
    pub df: bool,
    /// TTL or hop limit; the kernel's default where none is given.
    pub ttl: Option<u8>,
}

impl Echo {
    /// An ordinary one of 56 bytes.
    #[must_use]
    pub fn to(to: IpAddr) -> Self {
        Self { to, source: None, size: 56, df: false, ttl: None }
    }
}

/// An answer to an echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Who answered.
    pub from: IpAddr,
    /// Sequence number of the request, from 1.
    pub sequence: u16,
    /// TTL or hop limit that the answer arrived with.
    pub ttl: u8,
    /// Time from sending to the answer.
    pub rtt: Duration,
}

impl Reply {
    /// Routers that the answer passed, where its TTL began at 64, 128 or 255, whichever is the nearest above.
    #[must_use]
    pub fn hops(&self) -> u8 {
        hops_of_ttl(self.ttl)
    }
}

fn hops_of_ttl(ttl: u8) -> u8 {
    let start = if ttl <= 64 {
        64
    } else if ttl <= 128 {
        128
    } else {
        255
    };
    start - ttl
}

/// ICMP echo header: type (1 byte), code (1), checksum (2), identifier (2), sequence (2); RFC 792, RFC 4443 4.1.
const HEADER_LEN: usize = 8;
/// Bytes at the start of the payload by which a receiver knows this pinger.
pub(super) const MARK_LEN: usize = 8;

/// A ping socket in a node, connected to one address.
#[derive(Debug)]
pub struct Pinger {
    fd: OwnedFd,
    echo: Echo,
    own: Option<IpAddr>,
    mark: [u8; MARK_LEN],
    sequence: u16,
    buffer: Vec<u8>,
}

impl Pinger {
    /// Opens the socket in the node.
    ///
    /// # Errors
    /// [`Miss::Outcome`] when the node has no route to the address, [`Miss::Impossible`] when no socket can be made
    /// or the source is not an address of the node.
    pub fn open(sockets: &dyn NodeSockets, node: &NodeName, echo: Echo) -> Result<Self, Miss> {
        let fd = open(sockets, node, SocketKind::icmp(echo.to))?;
        prepare(&fd, &echo).map_err(|e| Miss::impossible(format!("cannot prepare a ping in {node}: {e}")))?;
        if let Some(source) = echo.source {
            bind(&fd, &SocketAddr::new(source, 0))
                .map_err(|e| Miss::impossible(format!("cannot send from {source} in {node}: {e}")))?;
        }
        connect(&fd, &SocketAddr::new(echo.to, 0)).map_err(|e| Miss::of_local_error(&e.into(), echo.to))?;
        let own = getsockname(&fd).ok().and_then(|own| SocketAddr::try_from(own).ok()).map(|own| own.ip());
        let mark = RandomState::new().hash_one(echo.size).to_ne_bytes();
        let buffer = vec![0; HEADER_LEN + usize::from(echo.size) + 128];
        Ok(Self { fd, echo, own, mark, sequence: 0, buffer })
    }

    /// The bytes at the start of every payload, as far as the payload is long enough.
    #[must_use]
    pub fn mark(&self) -> &[u8] {
        &self.mark[..MARK_LEN.min(self.echo.size.into())]
    }

    /// The node's own address of these requests.
    #[must_use]
    pub fn own_address(&self) -> Option<IpAddr> {
        self.own
    }

    /// Changes the TTL or hop limit of the requests that follow.
    ///
    /// # Errors
    /// [`Miss::Impossible`] for 0.
    pub fn set_ttl(&mut self, ttl: u8) -> Result<(), Miss> {
        socket::set_ttl(&self.fd, family(self.echo.to), ttl)
            .map_err(|e| Miss::impossible(format!("cannot send with TTL {ttl}: {e}")))
    }

    /// Sends one request and waits for what comes of it.
    ///
    /// # Errors
    /// The [`Miss`] that came instead of an answer.
    pub fn echo(&mut self, patience: Patience<'_>) -> Result<Reply, Miss> {
        self.echo_or_error(patience).map_err(|error| error.miss)
    }

    /// As [`Pinger::echo`], with the sender of an ICMP error.
    pub(super) fn echo_or_error(&mut self, patience: Patience<'_>) -> Result<Reply, EchoError> {
        match self.echo_once(patience) {
            // An IPv6 router never fragments; it reports the MTU, and the sender's kernel fragments from then on.
            Err(error)
                if self.echo.to.is_ipv6()
                    && !self.echo.df
                    && error.miss.outcome() == Some(Outcome::TooBig) =>
            {
                self.echo_once(patience)
            }
            result => result,
        }
    }

    fn echo_once(&mut self, patience: Patience<'_>) -> Result<Reply, EchoError> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = request(family(self.echo.to), self.sequence, &self.mark, self.echo.size);
        let mut deadline = Deadline::start(patience);
        // A first failure may be the error of an earlier request, which has come meanwhile; telling it has cleared it.
        let send = || send(&self.fd, &request, SendFlags::NOSIGNAL);
        if let Err(errno) = send().or_else(|_| send()) {
            return Err(match self.queued_error()? {
                Queued::Current(error) => error,
                Queued::Stale | Queued::Empty => Miss::of_local_error(&errno.into(), self.echo.to).into(),
            });
        }
        loop {
            if let Some(reply) = self.take_reply(&deadline)? {
                return Ok(reply);
            }
            if let Queued::Current(error) = self.queued_error()? {
                return Err(error);
            }
            let event = ready(&self.fd, PollFlags::IN, &mut deadline)
                .map_err(|e| Miss::impossible(format!("cannot wait for an answer: {e}")))?;
            if event.is_none() {
                return Err(Miss::silence(self.echo.to, deadline.elapsed()).into());
            }
        }
    }

    fn take_reply(&mut self, deadline: &Deadline<'_>) -> Result<Option<Reply>, EchoError> {
        loop {
            let datagram = match socket::receive(&self.fd, &mut self.buffer) {
                Ok(Some(datagram)) => datagram,
                Ok(None) => return Ok(None),
                // A pending error: its entry in the error queue says more.
                Err(error) => match self.queued_error()? {
                    Queued::Current(queued) => return Err(queued),
                    Queued::Stale => continue,
                    Queued::Empty => return Err(Miss::of_answer_error(&error, self.echo.to).into()),
                },
            };
            let answer = &self.buffer[..datagram.len];
            if sequence_of(answer) == Some(self.sequence) && is_reply(family(self.echo.to), answer) {
                return Ok(Some(Reply {
                    from: datagram.from.map_or(self.echo.to, |from| from.ip()),
                    sequence: self.sequence,
                    ttl: datagram.ttl.unwrap_or_default(),
                    rtt: deadline.elapsed(),
                }));
            }
        }
    }

    /// The error that waits for the current request; those of earlier requests are dropped.
    fn queued_error(&mut self) -> Result<Queued, Miss> {
        let mut found = Queued::Empty;
        loop {
            let queued = socket::receive_error(&self.fd, &mut self.buffer)
                .map_err(|e| Miss::impossible(format!("cannot read the error queue: {e}")))?;
            let Some(error) = queued else { return Ok(found) };
            // Clears the error that the kernel also left on the socket itself.
            let _ = sockopt::socket_error(&self.fd);
            let sequence = sequence_of(&self.buffer[..error.len]);
            if sequence.is_none_or(|s| s == self.sequence) {
                let miss = Miss::of_queued(&error, self.own, self.echo.to);
                return Ok(Queued::Current(EchoError { miss, offender: error.offender }));
            }
            found = Queued::Stale;
        }
    }
}

/// What the error queue held.
enum Queued {
    /// Nothing.
    Empty,
    /// Only errors of earlier requests.
    Stale,
    /// An error of the current request.
    Current(EchoError),
}

/// Why an echo request was not answered, and who said so.
#[derive(Debug)]
pub(super) struct EchoError {
    pub(super) miss: Miss,
    pub(super) offender: Option<IpAddr>,
}

impl From<Miss> for EchoError {
    fn from(miss: Miss) -> Self {
        Self { miss, offender: None }
    }
}

/// Sends `count` requests, each after the answer to the one before.
///
/// # Errors
/// The [`Miss`] of the first request that was not answered.
pub fn ping(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    echo: Echo,
    count: u32,
    patience: Patience<'_>,
) -> Result<Vec<Reply>, Miss> {
    let mut pinger = Pinger::open(sockets, from, echo)?;
    (0..count.max(1)).map(|_| pinger.echo(patience)).collect()
}

fn prepare(fd: &OwnedFd, echo: &Echo) -> io::Result<()> {
    let family = family(echo.to);
    socket::queue_errors(fd, family)?;
    socket::tell_ttl(fd, family)?;
    let fragmentation = if echo.df { Fragmentation::Forbidden } else { Fragmentation::Allowed };
    socket::set_fragmentation(fd, family, fragmentation)?;
    if let Some(ttl) = echo.ttl {
        socket::set_ttl(fd, family, ttl)?;
    }
    Ok(())
}

/// An echo request as a ping socket takes it: the kernel fills in checksum and identifier.
pub(super) fn request(family: Family, sequence: u16, mark: &[u8; MARK_LEN], size: u16) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN + usize::from(size)];
    bytes[0] = if family == Family::V4 { 8 } else { 128 };
    bytes[6..8].copy_from_slice(&sequence.to_be_bytes());
    let payload = &mut bytes[HEADER_LEN..];
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte = mark.get(index).copied().unwrap_or(index.to_le_bytes()[0]);
    }
    bytes
}

pub(super) fn sequence_of(message: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(6..8)?.try_into().ok()?))
}

pub(super) fn is_reply(family: Family, message: &[u8]) -> bool {
    message.first() == Some(if family == Family::V4 { &0 } else { &129 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_type_sequence_and_mark() {
        let bytes = request(Family::V4, 0x0102, b"netyard!", 10);
        assert_eq!(bytes, b"\x08\0\0\0\0\0\x01\x02netyard!\x08\x09");
        assert_eq!(sequence_of(&bytes), Some(0x0102));
        assert_eq!(request(Family::V6, 1, b"netyard!", 3), b"\x80\0\0\0\0\0\0\x01net");
    }

    #[test]
    fn hops_are_counted_from_the_usual_first_ttls() {
        assert_eq!([64, 62, 128, 120, 255, 200].map(hops_of_ttl), [0, 2, 0, 8, 0, 55]);
    }
}

//! One TCP connection of a server: what has come, what is still to be sent, and until when.

use super::names::Names;
use super::{Carrier, answer_query, http};
use rustix::event::PollFlags;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Http,
    Dns,
    Echo,
}

impl Service {
    /// Time without progress after which a connection is dropped. People type at echo servers.
    fn idle_max(self) -> Duration {
        match self {
            Self::Http | Self::Dns => Duration::from_secs(10),
            Self::Echo => Duration::from_secs(300),
        }
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    service: Service,
    stream: TcpStream,
    caller: SocketAddr,
    asked: SocketAddr,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    state: State,
    deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Requests are read.
    Open,
    /// Nothing more is read as a request; the connection is shut down when all is sent.
    Ending,
    /// All is sent; waits for the caller to close, as closing with unread bytes would reset the connection and take
    /// the answer along.
    Ended,
    /// To be dropped.
    Over,
}

/// Bytes that wait to be sent before no more are read.
const OUTBOX_LEN_MAX: usize = 64 << 10;
/// Bytes of a request that is not complete.
const INBOX_LEN_MAX: usize = 66 << 10;

impl Connection {
    pub(super) fn new(service: Service, stream: TcpStream, now: Instant) -> Option<Self> {
        // The caller may be gone already.
        let (caller, asked) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
        let (inbox, outbox) = (Vec::new(), Vec::new());
        let (state, deadline) = (State::Open, now + service.idle_max());
        Some(Self { service, stream, caller, asked, inbox, outbox, state, deadline })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.state == State::Over || self.deadline <= now
    }

    pub(super) fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        if self.outbox.len() < OUTBOX_LEN_MAX && self.state != State::Ending {
            interest |= PollFlags::IN;
        }
        if !self.outbox.is_empty() {
            interest |= PollFlags::OUT;
        }
        interest
    }

    /// Reads and writes what can be without waiting.
    pub(super) fn go_on(&mut self, names: &Names, buffer: &mut [u8], now: Instant) {
        let result = self.read(names, buffer, now).and_then(|()| self.write(now));
        if result.is_err() {
            self.state = State::Over;
        }
    }

    fn read(&mut self, names: &Names, buffer: &mut [u8], now: Instant) -> io::Result<()> {
        if !self.interest().contains(PollFlags::IN) {
            return Ok(());
        }
        let len = match self.stream.read(buffer) {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match (self.state, len) {
            (State::Open, 0) => self.state = State::Ending,
            (State::Open, _) => {
                self.deadline = now + self.service.idle_max();
                self.inbox.extend_from_slice(&buffer[..len]);
                self.answer(names);
                if self.inbox.len() > INBOX_LEN_MAX {
                    self.state = State::Over;
                }
            }
            (_, 0) => self.state = State::Over,
            _ => {} // After the end a caller's bytes are thrown away, and do not prolong its time.
        }
        Ok(())
    }

    /// Moves complete requests out of the inbox, and their answers into the outbox.
    fn answer(&mut self, names: &Names) {
        match self.service {
            Service::Echo => self.outbox.append(&mut self.inbox),
            Service::Http => {
                if let Some(answer) = http::answer(&self.inbox, self.caller, self.asked, names.lab()) {
                    self.outbox.extend_from_slice(&answer);
                    self.inbox.clear();
                    self.state = State::Ending;
                }
            }
            Service::Dns => self.answer_queries(names),
        }
    }

    /// Over TCP each message is preceded by its length in 2 bytes (RFC 1035 4.2.2).
    fn answer_queries(&mut self, names: &Names) {
        while let Some((length, rest)) = self.inbox.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(message) = rest.get(..length) else { return };
            let answer = answer_query(message, self.caller.ip(), names, Carrier::Tcp);
            self.inbox.drain(..2 + length);
            match answer.map(|answer| (u16::try_from(answer.len()), answer)) {
                Some((Ok(length), answer)) => {
                    self.outbox.extend_from_slice(&length.to_be_bytes());
                    self.outbox.extend_from_slice(&answer);
                }
                _ => self.state = State::Ending,
            }
        }
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(len) => {
                    self.outbox.drain(..len);
                    self.deadline = now + self.service.idle_max();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.state == State::Ending {
            self.stream.shutdown(Shutdown::Write)?;
            self.state = State::Ended;
        }
        Ok(())
    }
}

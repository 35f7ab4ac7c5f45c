//! A UDP datagram and its answer.

use super::wait::{Deadline, ready};
use super::{Miss, NodeSockets, Patience, SocketKind, family, open};
use netyard_core::name::NodeName;
use netyard_kernel::socket;
use rustix::event::PollFlags;
use rustix::net::{SendFlags, connect, getsockname, send, sockopt};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// An answer to a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was answered.
    pub payload: Vec<u8>,
    /// Time from sending to the answer.
    pub rtt: Duration,
}

/// Sends a datagram from a node and waits for the first answer that `is_answer` takes.
///
/// # Errors
/// The [`Miss`] that came instead: port unreachable as refused, other ICMP errors, no route, silence.
pub fn ask(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    to: SocketAddr,
    payload: &[u8],
    patience: Patience<'_>,
    mut is_answer: impl FnMut(&[u8]) -> bool,
) -> Result<Answer, Miss> {
    let fd = open(sockets, from, SocketKind::udp(to.ip()))?;
    socket::queue_errors(&fd, family(to.ip()))
        .map_err(|e| Miss::impossible(format!("cannot prepare a datagram in {from}: {e}")))?;
    connect(&fd, &to).map_err(|e| Miss::of_local_error(&e.into(), to.ip()))?;
    let mut deadline = Deadline::start(patience);
    if let Err(errno) = send(&fd, payload, SendFlags::NOSIGNAL) {
        return Err(queued(&fd, to).unwrap_or_else(|| Miss::of_local_error(&errno.into(), to.ip())));
    }
    let mut buffer = vec![0; 65_535];
    loop {
        match socket::receive(&fd, &mut buffer) {
            Ok(Some(datagram)) if is_answer(&buffer[..datagram.len]) => {
                buffer.truncate(datagram.len);
                return Ok(Answer { payload: buffer, rtt: deadline.elapsed() });
            }
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(error) => {
                return Err(queued(&fd, to).unwrap_or_else(|| Miss::of_answer_error(&error, to.ip())));
            }
        }
        if let Some(miss) = queued(&fd, to) {
            return Err(miss);
        }
        let event = ready(&fd, PollFlags::IN, &mut deadline)
            .map_err(|e| Miss::impossible(format!("cannot wait for an answer: {e}")))?;
        if event.is_none() {
            return Err(Miss::silence(to.ip(), deadline.elapsed()));
        }
    }
}

fn queued(fd: &OwnedFd, to: SocketAddr) -> Option<Miss> {
    let error = socket::receive_error(fd, &mut [0; 512]).ok().flatten()?;
    let _ = sockopt::socket_error(fd);
    let own = getsockname(fd).ok().and_then(|own| SocketAddr::try_from(own).ok()).map(|own| own.ip());
    Some(Miss::of_queued(&error, own, to.ip()))
}

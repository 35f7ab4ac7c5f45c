//! One ICMP echo by a raw socket: in any namespace whose owner one is, whatever `net.ipv4.ping_group_range` says.

use super::ping::{Echo, MARK_LEN, is_reply, request, sequence_of};
use super::wait::{Deadline, ready};
use super::{Miss, NodeSockets, Patience, SocketKind, family, open};
use netyard_core::name::NodeName;
use netyard_kernel::socket::{self, Family, Fragmentation};
use rustix::event::PollFlags;
use rustix::net::{SendFlags, connect, send, sockopt};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Sends one echo request from a node, and waits for what comes of it.
///
/// # Errors
/// The [`Miss`] that came instead of an answer.
pub fn echo(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    echo: Echo,
    patience: Patience<'_>,
) -> Result<(), Miss> {
    let family = family(echo.to);
    let kind = if family == Family::V4 { SocketKind::RawIcmp4 } else { SocketKind::RawIcmp6 };
    let fd = open(sockets, from, kind)?;
    let prepared = || {
        socket::queue_errors(&fd, family)?;
        let fragmentation = if echo.df { Fragmentation::Forbidden } else { Fragmentation::Allowed };
        socket::set_fragmentation(&fd, family, fragmentation)?;
        echo.ttl.map_or(Ok(()), |ttl| socket::set_ttl(&fd, family, ttl))
    };
    prepared().map_err(|e| Miss::impossible(format!("cannot prepare a ping in {from}: {e}")))?;
    let local = |errno: rustix::io::Errno| Miss::of_local_error(&errno.into(), echo.to);
    connect(&fd, &SocketAddr::new(echo.to, 0)).map_err(local)?;
    let message = message(&echo);
    if let Err(errno) = send(&fd, &message, SendFlags::NOSIGNAL) {
        return Err(queued(&fd, &echo).unwrap_or_else(|| local(errno)));
    }
    let mut deadline = Deadline::start(patience);
    // An IPv4 header of at most 60 bytes comes first.
    let mut buffer = vec![0; 60 + message.len()];
    loop {
        match socket::receive(&fd, &mut buffer) {
            Ok(Some(datagram)) if is_answer(family, &buffer[..datagram.len], &message) => return Ok(()),
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(error) => {
                return Err(queued(&fd, &echo).unwrap_or_else(|| Miss::of_answer_error(&error, echo.to)));
            }
        }
        if let Some(miss) = queued(&fd, &echo) {
            return Err(miss);
        }
        let event = ready(&fd, PollFlags::IN, &mut deadline)
            .map_err(|e| Miss::impossible(format!("cannot wait for an answer: {e}")))?;
        if event.is_none() {
            return Err(Miss::silence(echo.to, deadline.elapsed()));
        }
    }
}

/// The message with an identifier of its own. Of ICMPv6 the kernel fills in the checksum (RFC 3542 3.1).
fn message(echo: &Echo) -> Vec<u8> {
    let [low, high, mark @ ..] = RandomState::new().hash_one(echo.size).to_ne_bytes();
    let mut whole = [0; MARK_LEN];
    whole[..mark.len()].copy_from_slice(&mark);
    let mut message = request(family(echo.to), 1, &whole, echo.size);
    message[4..6].copy_from_slice(&[low, high]);
    if echo.to.is_ipv4() {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [low, high, ..] = (!sum).to_le_bytes();
    u16::from_le_bytes([low, high])
}

fn is_answer(family: Family, bytes: &[u8], asked: &[u8]) -> bool {
    let start = match family {
        Family::V4 => bytes.first().map_or(0, |first| usize::from(first & 0x0f) * 4),
        Family::V6 => 0,
    };
    let answer = bytes.get(start..).unwrap_or_default();
    is_reply(family, answer)
        && sequence_of(answer) == sequence_of(asked)
        && answer.get(4..6) == asked.get(4..6)
}

fn queued(fd: &OwnedFd, echo: &Echo) -> Option<Miss> {
    let error = socket::receive_error(fd, &mut [0; 512]).ok().flatten()?;
    let _ = sockopt::socket_error(fd);
    Some(Miss::of_queued(&error, None, echo.to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_its_checksum_sums_up_to_nothing() {
        for size in [0, 7, 56] {
            let message = message(&Echo { size, ..Echo::to([10, 0, 0, 1].into()) });
            assert_eq!(checksum(&message), 0);
        }
    }
}

//! DNS queries: UDP first, TCP where the answer did not fit.

use super::wait::{Deadline, ready};
use super::{Miss, NodeSockets, Patience, tcp, udp};
use crate::dns::{self, Response, Type};
use netyard_core::expect::Outcome;
use netyard_core::name::NodeName;
use rustix::event::PollFlags;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// An answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the server said.
    pub response: Response,
    /// Time from the first packet to the answer.
    pub duration: Duration,
}

const PORT: u16 = 53;

/// Asks a server from a node.
///
/// An answer that says "no such name" is an answer; look at its `rcode`.
///
/// # Errors
/// The [`Miss`] that came instead; [`Miss::Impossible`] when `name` is not a DNS name.
pub fn query(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    server: IpAddr,
    name: &str,
    kind: Type,
    patience: Patience<'_>,
) -> Result<Answer, Miss> {
    let id = RandomState::new().hash_one(name) as u16;
    let query = dns::encode_query(id, name, kind).map_err(|e| Miss::impossible(format!("{name}: {e}")))?;
    let to = SocketAddr::new(server, PORT);
    let is_ours = |response: &Response| {
        response.id == id
            && response
                .question
                .as_ref()
                .is_none_or(|q| q.kind == kind && q.name.eq_ignore_ascii_case(name.trim_end_matches('.')))
    };
    let mut found = None;
    let answer = udp::ask(sockets, from, to, &query, patience, |bytes| {
        found = dns::decode_response(bytes).ok().filter(is_ours);
        found.is_some()
    })?;
    let response = found.expect("`ask` returns after an accepted answer only");
    if !response.is_truncated {
        return Ok(Answer { response, duration: answer.rtt });
    }
    let (response, duration) = query_by_tcp(sockets, from, to, &query, patience)?;
    if is_ours(&response) {
        Ok(Answer { response, duration: answer.rtt + duration })
    } else {
        Err(Miss::new(Outcome::Refused, format!("{server} answered another question over TCP")))
    }
}

/// Over TCP each message is preceded by its length in 2 bytes (RFC 1035 4.2.2).
fn query_by_tcp(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    to: SocketAddr,
    query: &[u8],
    patience: Patience<'_>,
) -> Result<(Response, Duration), Miss> {
    let connection = tcp::connect(sockets, from, to, patience)?;
    let mut stream = &connection.stream;
    let failed = |error: io::Error| Miss::of_answer_error(&error, to.ip());
    let length = u16::try_from(query.len()).expect("a query is shorter than 64 KiB");
    stream.write_all(&[&length.to_be_bytes(), query].concat()).map_err(failed)?;
    stream.set_nonblocking(true).map_err(failed)?;
    let mut deadline = Deadline::start(patience);
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => {
                return Err(Miss::new(Outcome::Refused, format!("{} closed the connection", to.ip())));
            }
            Ok(len) => bytes.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let event = ready(stream, PollFlags::IN, &mut deadline).map_err(failed)?;
                if event.is_none() {
                    return Err(Miss::silence(to.ip(), deadline.elapsed()));
                }
            }
            Err(error) => return Err(failed(error)),
        }
        let Some((length, message)) = bytes.split_first_chunk::<2>() else { continue };
        if let Some(message) = message.get(..u16::from_be_bytes(*length).into()) {
            let response = dns::decode_response(message);
            let refused = |e| Miss::new(Outcome::Refused, format!("{} did not answer in DNS: {e}", to.ip()));
            return Ok((response.map_err(refused)?, connection.handshake + deadline.elapsed()));
        }
    }
}

//! TCP throughput between two nodes, as the receiver sees it.
//!
//! The rate is that of whole frames on the link, which is what tc(8) counts: each segment of `mss` payload bytes
//! travels with 14 bytes of Ethernet header, 20 (IPv4) or 40 (IPv6) of IP header, 20 of TCP header and 12 of TCP
//! timestamps. So
//!
//! ```text
//! rate = payload rate * (mss + 14 + IP header + 20 + 12) / mss
//! ```
//!
//! With an MTU of 1500 `mss` is 1448 (IPv4) and the factor 1514 / 1448 = 1.046. Preamble, checksum and gap of a real
//! Ethernet are not counted, and neither are acknowledgements, which travel the other way.

use super::wait::{Deadline, ready};
use super::{Miss, NodeSockets, Patience, SocketKind, open, tcp};
use netyard_core::expect::Outcome;
use netyard_core::name::NodeName;
use netyard_kernel::socket::{Family, tcp_segment_len};
use rustix::event::PollFlags;
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{bind, listen};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Time after the first byte that does not count: slow start, and buckets that are still full.
    pub warm_up: Duration,
    /// Time that counts.
    pub measure: Duration,
    /// Longest time that counts on a link so slow that few segments arrive.
    pub measure_max: Duration,
    /// The rate that is expected. The receiver then takes little more at once than the link holds at that rate: what
    /// overflows the queue in front of a slow link leaves holes, which are filled later and blur the measurement.
    pub rate_bit_per_s: Option<u64>,
}

impl Default for Window {
    /// 0.3 s and then 1 s, up to 5 s.
    fn default() -> Self {
        Self {
            warm_up: Duration::from_millis(300),
            measure: Duration::from_secs(1),
            measure_max: Duration::from_secs(5),
            rate_bit_per_s: None,
        }
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// Bits per second of frames, from the Ethernet header on.
    pub rate_bit_per_s: u64,
    /// Bits per second of payload.
    pub payload_bit_per_s: u64,
    /// Time from the first to the last byte that counted.
    pub duration: Duration,
}

/// Segments below which a measurement goes on beyond its window: with fewer, one more or less is over a per cent.
const SEGMENTS_MIN: u64 = 100;
const CHUNK_LEN: usize = 64 << 10;
/// Bytes under way in the sender's own buffer: enough for 1 Gbit/s at 1 ms, too few to hide a slow link.
const SEND_BUFFER_LEN: usize = 256 << 10;

/// Sends from one node to another as fast as TCP does and measures what arrives at `address`.
///
/// A receiver listens for the time of the measurement on a free port of the receiving node.
///
/// # Errors
/// The [`Miss`] of the connection; [`Outcome::Timeout`] when hardly anything arrives.
pub fn measure(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    to: &NodeName,
    address: IpAddr,
    window: Window,
    patience: Patience<'_>,
) -> Result<Throughput, Miss> {
    let listener = receiver(sockets, to, address, window.receive_buffer_len(Duration::ZERO))?;
    let impossible = |e: io::Error| Miss::impossible(format!("cannot receive in {to}: {e}"));
    let port = listener.local_addr().map_err(impossible)?.port();
    // Whoever wonders why a firewall drops it should know which port it is.
    let at_port = |miss: Miss| match miss {
        Miss::Outcome { outcome, detail } => Miss::new(outcome, format!("{detail} (TCP port {port})")),
        impossible => impossible,
    };
    let to = SocketAddr::new(address, port);
    let connection = tcp::connect(sockets, from, to, patience).map_err(at_port)?;
    // The last packet of the handshake may be lost on the way; then there is nothing to accept yet.
    if ready(&listener, PollFlags::IN, &mut Deadline::start(patience)).map_err(impossible)?.is_none() {
        return Err(at_port(Miss::silence(address, patience.silence)));
    }
    let (incoming, _) = listener.accept().map_err(impossible)?;
    if let Some(len) = window.receive_buffer_len(connection.handshake) {
        set_socket_recv_buffer_size(&incoming, len).map_err(|e| impossible(e.into()))?;
    }
    let sending = &connection.stream;
    // Closing at once throws away what is still queued instead of sending it on after the measurement.
    set_socket_send_buffer_size(sending, SEND_BUFFER_LEN)
        .and_then(|()| set_socket_linger(sending, Some(Duration::ZERO)))
        .map_err(|e| Miss::impossible(format!("cannot prepare the sender in {from}: {e}")))?;
    let limit = window.warm_up + window.measure_max;
    incoming.set_read_timeout(Some(limit)).map_err(impossible)?;
    sending.set_write_timeout(Some(limit)).map_err(impossible)?;
    let mss = tcp_segment_len(sending).map_err(impossible)?.max(1);
    let counted = thread::scope(|scope| {
        scope.spawn(|| send_until_closed(sending));
        let counted = receive(&incoming, window, u64::from(mss));
        // Closing with unread bytes resets the connection, which ends the sender and empties the queues.
        drop(incoming);
        counted
    });
    let counted = counted.map_err(impossible)?;
    if counted.bytes == 0 || counted.duration.is_zero() {
        let detail = format!("too little arrived at {address} within {:.1} s", limit.as_secs_f64());
        return Err(Miss::new(Outcome::Timeout, detail));
    }
    Ok(throughput(counted, mss, Family::of(address)))
}

impl Window {
    /// Bytes that the receiver takes at once on a way with this round trip time.
    fn receive_buffer_len(&self, rtt: Duration) -> Option<usize> {
        /// Less than what the queue of a shaped link takes by default.
        const QUEUED: Duration = Duration::from_millis(20);
        /// A handful of segments, without which TCP does not get going.
        const LEN_MIN: usize = 8 << 10;
        let len = self.rate_bit_per_s? as f64 / 8.0 * (rtt + QUEUED).as_secs_f64();
        Some((len as usize).max(LEN_MIN))
    }
}

/// A listening socket; connections inherit the length of its receive buffer.
fn receiver(
    sockets: &dyn NodeSockets,
    to: &NodeName,
    address: IpAddr,
    buffer_len: Option<usize>,
) -> Result<TcpListener, Miss> {
    let fd = open(sockets, to, SocketKind::tcp(address))?;
    buffer_len
        .map_or(Ok(()), |len| set_socket_recv_buffer_size(&fd, len))
        .and_then(|()| bind(&fd, &SocketAddr::new(Family::of(address).unspecified(), 0)))
        .and_then(|()| listen(&fd, 1))
        .map_err(|e| Miss::impossible(format!("cannot listen in {to}: {e}")))?;
    Ok(TcpListener::from(fd))
}

fn send_until_closed(mut stream: &TcpStream) {
    let chunk = vec![0; CHUNK_LEN];
    while stream.write_all(&chunk).is_ok() {}
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Counted {
    bytes: u64,
    duration: Duration,
}

/// Counts from one arrival to another, so that the pauses between segments of a slow link do not blur the ends.
fn receive(mut stream: &TcpStream, window: Window, mss: u64) -> io::Result<Counted> {
    let mut chunk = vec![0; CHUNK_LEN];
    let mut first: Option<Instant> = None;
    let mut begin: Option<Instant> = None;
    let mut counted = Counted { bytes: 0, duration: Duration::ZERO };
    loop {
        let len = match stream.read(&mut chunk) {
            Ok(0) => return Ok(counted),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(counted),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let now = Instant::now();
        let first = *first.get_or_insert(now);
        let Some(begin) = begin else {
            if now - first >= window.warm_up {
                begin = Some(now);
            }
            continue;
        };
        counted.bytes += len as u64;
        counted.duration = now - begin;
        let is_enough = counted.bytes >= SEGMENTS_MIN * mss;
        if counted.duration >= window.measure_max || counted.duration >= window.measure && is_enough {
            return Ok(counted);
        }
    }
}

fn throughput(counted: Counted, mss: u32, family: Family) -> Throughput {
    let ip_header = if family == Family::V4 { 20.0 } else { 40.0 };
    let factor = (f64::from(mss) + 14.0 + ip_header + 20.0 + 12.0) / f64::from(mss);
    // Exact up to 2^53 bits, far above what is sent in five seconds.
    let payload = counted.bytes as f64 * 8.0 / counted.duration.as_secs_f64();
    Throughput {
        rate_bit_per_s: (payload * factor).round() as u64,
        payload_bit_per_s: payload.round() as u64,
        duration: counted.duration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_count_as_tc_counts_them() {
        let counted = Counted { bytes: 1_448_000, duration: Duration::from_secs(1) };
        let found = throughput(counted, 1448, Family::V4);
        assert_eq!((found.rate_bit_per_s, found.payload_bit_per_s), (1_514_000 * 8, 1_448_000 * 8));
        let found = throughput(Counted { bytes: 1_428_000, ..counted }, 1428, Family::V6);
        assert_eq!(found.rate_bit_per_s, 1_514_000 * 8);
    }
}

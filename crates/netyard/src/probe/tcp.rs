//! TCP connections.

use super::wait::{Deadline, ready};
use super::{Miss, NodeSockets, Patience, SocketKind, family, open};
use netyard_core::name::NodeName;
use netyard_kernel::socket;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{connect as start_connect, sockopt};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that was made, in blocking mode.
#[derive(Debug)]
pub struct Connection {
    /// The connection itself; it belongs to the node.
    pub stream: TcpStream,
    /// The node's own address and port.
    pub own: SocketAddr,
    /// Time that the handshake took.
    pub handshake: Duration,
}

/// Connects from a node.
///
/// # Errors
/// The [`Miss`] that came instead: refused, unreachable, no route, silence.
pub fn connect(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    to: SocketAddr,
    patience: Patience<'_>,
) -> Result<Connection, Miss> {
    let fd = open(sockets, from, SocketKind::tcp(to.ip()))?;
    // Without the queue an ICMP error that arrives while connect(2) holds the socket would be forgotten, and come
    // again only after the next SYN, a second later.
    socket::queue_errors(&fd, family(to.ip()))
        .map_err(|e| Miss::impossible(format!("cannot prepare a connection in {from}: {e}")))?;
    let stream = TcpStream::from(fd);
    stream
        .set_nonblocking(true)
        .map_err(|e| Miss::impossible(format!("cannot prepare a connection in {from}: {e}")))?;
    let mut deadline = Deadline::start(patience);
    match start_connect(&stream, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(Miss::of_local_error(&errno.into(), to.ip())),
    }
    let own = stream.local_addr().ok();
    wait_connected(&stream, to, own.map(|own| own.ip()), &mut deadline)?;
    let handshake = deadline.elapsed();
    let own = stream.local_addr().map_err(|e| Miss::of_answer_error(&e, to.ip()))?;
    stream.set_nonblocking(false).map_err(|e| Miss::of_answer_error(&e, to.ip()))?;
    Ok(Connection { stream, own, handshake })
}

fn wait_connected(
    stream: &TcpStream,
    to: SocketAddr,
    own: Option<IpAddr>,
    deadline: &mut Deadline<'_>,
) -> Result<(), Miss> {
    let mut buffer = [0; 512];
    loop {
        let event = ready(stream, PollFlags::OUT, deadline)
            .map_err(|e| Miss::impossible(format!("cannot wait for a connection: {e}")))?;
        let Some(event) = event else { return Err(Miss::silence(to.ip(), deadline.elapsed())) };
        if let Ok(Some(error)) = socket::receive_error(stream, &mut buffer) {
            return Err(Miss::of_queued(&error, own, to.ip()));
        }
        if let Ok(Err(errno)) = sockopt::socket_error(stream) {
            return Err(refused_or(errno, to));
        }
        if event.contains(PollFlags::OUT) && stream.peer_addr().is_ok() {
            return Ok(());
        }
    }
}

fn refused_or(errno: Errno, to: SocketAddr) -> Miss {
    match errno {
        Errno::CONNREFUSED | Errno::CONNRESET => {
            Miss::new(netyard_core::expect::Outcome::Refused, format!("{} reset port {}", to.ip(), to.port()))
        }
        _ => Miss::of_answer_error(&errno.into(), to.ip()),
    }
}

//! The servers of a node of role internet, all on one thread: HTTP on 80, DNS on 53, echo on 7.
//!
//! The node takes packets to every address for its own (AnyIP), and each answer comes from the address that was
//! asked. HTTP tells callers their address and port as they arrived, for `curl 1.1.1.1` behind address translation;
//! DNS knows the lab's nodes and gives every public-looking name an address that the node answers for ([`names`]).

mod connection;
mod http;
pub mod names;

use crate::dns;
use connection::{Connection, Service};
use names::Names;
use netyard_kernel::socket::{self, Family};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, acceptfrom_with, bind, listen, socket_with, sockopt,
};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Sockets of the node on which the servers listen.
#[derive(Debug)]
pub struct Listeners {
    tcp: Vec<(Service, OwnedFd)>,
    udp: Vec<(Service, OwnedFd)>,
}

impl Service {
    const ALL: [Self; 3] = [Self::Http, Self::Dns, Self::Echo];

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Dns => 53,
            Self::Echo => 7,
        }
    }
}

const BACKLOG: i32 = 128;

impl Listeners {
    /// Opens and binds them in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2): `EACCES` without `CAP_NET_BIND_SERVICE` there, `EADDRINUSE` when another
    /// program of the node has one of the ports.
    pub fn open(has_ipv6: bool) -> io::Result<Self> {
        let families = if has_ipv6 { &[Family::V4, Family::V6][..] } else { &[Family::V4] };
        let mut listeners = Self { tcp: Vec::new(), udp: Vec::new() };
        for family in families {
            for service in Service::ALL {
                let fd = bound(*family, SocketType::STREAM, service.port())?;
                listen(&fd, BACKLOG)?;
                listeners.tcp.push((service, fd));
                if service != Service::Http {
                    let fd = bound(*family, SocketType::DGRAM, service.port())?;
                    socket::tell_destination(&fd, *family)?;
                    listeners.udp.push((service, fd));
                }
            }
        }
        Ok(listeners)
    }
}

fn bound(family: Family, kind: SocketType, port: u16) -> io::Result<OwnedFd> {
    let domain = if family == Family::V4 { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(domain, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if family == Family::V6 {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    // Answers from AnyIP addresses also where ip rules keep table local apart from table main, in which they are.
    match socket::send_from_any(&fd, family) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
        _ => {}
    }
    bind(&fd, &SocketAddr::new(family.unspecified(), port))?;
    Ok(fd)
}

/// Connections that are open at once; the one that has been idle for longest makes room for another.
const CONNECTIONS_MAX: usize = 256;
/// Datagrams or connections taken from one socket before others have their turn.
const TURN: usize = 64;

/// Serves until `stop` is readable or its other end is closed.
///
/// # Errors
/// Those of poll(2). What goes wrong with one caller ends that caller's connection only.
pub fn serve(listeners: &Listeners, names: &Names, stop: BorrowedFd<'_>) -> io::Result<()> {
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; 65_535];
    loop {
        let ready = wait(listeners, &connections, stop)?;
        let (first, rest) = ready.split_first().expect("`stop` is always polled");
        if !first.is_empty() {
            return Ok(());
        }
        let (tcp, rest) = rest.split_at(listeners.tcp.len());
        let (udp, rest) = rest.split_at(listeners.udp.len());
        let now = Instant::now();
        for (connection, events) in connections.iter_mut().zip(rest) {
            if !events.is_empty() {
                connection.go_on(names, &mut buffer, now);
            }
        }
        connections.retain(|connection| !connection.is_over(now));
        for ((service, fd), _) in listeners.udp.iter().zip(udp).filter(|(_, events)| !events.is_empty()) {
            answer_datagrams(*service, fd, names, &mut buffer);
        }
        for ((service, fd), _) in listeners.tcp.iter().zip(tcp).filter(|(_, events)| !events.is_empty()) {
            accept(*service, fd, &mut connections, now);
        }
    }
}

/// Waits for something to do: the events of `stop`, of each listener, of each connection.
fn wait(
    listeners: &Listeners,
    connections: &[Connection],
    stop: BorrowedFd<'_>,
) -> io::Result<Vec<PollFlags>> {
    let mut entries = vec![PollFd::from_borrowed_fd(stop, PollFlags::IN)];
    let sockets = listeners.tcp.iter().chain(&listeners.udp);
    entries.extend(sockets.map(|(_, fd)| PollFd::new(fd, PollFlags::IN)));
    entries.extend(connections.iter().map(|c| PollFd::new(c.stream(), c.interest())));
    let now = Instant::now();
    let left = connections.iter().map(|c| c.deadline().saturating_duration_since(now)).min();
    let left = left.map(|left| {
        // Rounded up, so that the connection is over when the wait is.
        let left = left + Duration::from_millis(1);
        Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
    });
    loop {
        match poll(&mut entries, left.as_ref()) {
            Ok(_) => return Ok(entries.iter().map(PollFd::revents).collect()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn accept(service: Service, fd: &OwnedFd, connections: &mut Vec<Connection>, now: Instant) {
    for _ in 0..TURN {
        let Ok((stream, _)) = acceptfrom_with(fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else {
            return;
        };
        if connections.len() >= CONNECTIONS_MAX {
            let oldest = (0..connections.len()).min_by_key(|index| connections[*index].deadline());
            connections.swap_remove(oldest.expect("the list is full, so not empty"));
        }
        connections.extend(Connection::new(service, TcpStream::from(stream), now));
    }
}

fn answer_datagrams(service: Service, fd: &OwnedFd, names: &Names, buffer: &mut [u8]) {
    for _ in 0..TURN {
        // An error that waited on the socket is some earlier caller's; reading has cleared it.
        let Ok(received) = socket::receive(fd, buffer) else { continue };
        let Some(datagram) = received else { return };
        let (Some(from), Some(asked)) = (datagram.from, datagram.to) else { continue };
        let message = &buffer[..datagram.len];
        let answer = match service {
            Service::Dns => answer_query(message, from.ip(), names, Carrier::Udp),
            // Two echo servers would talk to each other for ever.
            Service::Echo if from.port() == Service::Echo.port() => None,
            Service::Echo => Some(message.to_vec()),
            Service::Http => None,
        };
        if let Some(answer) = answer {
            // What cannot be sent back is the caller's loss, as with every datagram.
            let _ = socket::send_from(fd, &answer, asked, from);
        }
    }
}

/// What a DNS message travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Udp,
    Tcp,
}

/// The answer to a DNS message, if it deserves one.
fn answer_query(message: &[u8], caller: IpAddr, names: &Names, carrier: Carrier) -> Option<Vec<u8>> {
    let Ok(query) = dns::decode_query(message) else { return dns::encode_format_error(message) };
    let len_max = match (carrier, query.edns_len) {
        (Carrier::Tcp, _) => usize::from(u16::MAX),
        (Carrier::Udp, None) => dns::PLAIN_LEN,
        (Carrier::Udp, Some(len)) => usize::from(len.min(dns::EDNS_LEN)).max(dns::PLAIN_LEN),
    };
    let answer = names.answer(&query, caller);
    dns::encode_response(&query, answer.rcode, &answer.records, &answer.authorities, len_max).ok()
}

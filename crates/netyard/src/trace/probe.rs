//! One packet, or one connection, of our own making.

use crate::probe::ping::Echo;
use crate::probe::{Miss, NodeSockets, Patience, raw_echo, tcp, udp};
use netyard_core::name::NodeName;
use netyard_core::why::About;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// An echo request.
    Icmp {
        /// Bytes of payload.
        size: u16,
        /// Whether no router may cut it.
        df: bool,
        /// TTL or hop limit; the kernel's own where none is given.
        ttl: Option<u8>,
    },
    /// A connection to this port, ended at once.
    Tcp(u16),
    /// A datagram to this port.
    Udp(u16),
}

/// How long silence lasts before it is called that. The kernel asks for a neighbour three times, a second apart.
const SILENCE: Duration = Duration::from_millis(1_200);

impl Probe {
    /// An ordinary echo request.
    pub const ECHO: Self = Self::Icmp { size: 56, df: false, ttl: None };

    /// What it is about.
    #[must_use]
    pub fn about(self) -> About {
        match self {
            Self::Icmp { .. } => About::Icmp,
            Self::Tcp(port) => About::Tcp(port),
            Self::Udp(port) => About::Udp(port),
        }
    }

    /// Sends it, and waits for what comes of it.
    ///
    /// # Errors
    /// What came instead of an answer.
    pub fn send(self, sockets: &dyn NodeSockets, from: &NodeName, to: IpAddr) -> Result<(), Miss> {
        let patience = Patience::of(SILENCE);
        match self {
            Self::Icmp { size, df, ttl } => {
                let echo = Echo { size, df, ttl, ..Echo::to(to) };
                raw_echo::echo(sockets, from, echo, patience)
            }
            Self::Tcp(port) => tcp::connect(sockets, from, SocketAddr::new(to, port), patience).map(drop),
            Self::Udp(port) => {
                udp::ask(sockets, from, SocketAddr::new(to, port), b"netyard", patience, |_| true).map(drop)
            }
        }
    }
}

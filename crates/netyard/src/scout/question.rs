//! What can be asked in a namespace, and what is told.

use super::explore::RawOutline;
use crate::look::Reading;
use crate::probe::SocketKind;
use netyard_core::capture::NatRule;
use netyard_core::conntrack::Connection;
use netyard_core::filter::Instruction;
use netyard_core::name::IfName;
use netyard_core::why::probe::Counters;
use netyard_core::why::{Inside, Learned, Listener, RouteAsk, RouteFound, Ruleset};
use netyard_kernel::tap::Shape;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;

/// A question to the kernel, in one namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Question {
    /// All that `look` tells of it.
    Read,
    /// A socket made there; it comes with the answer.
    Socket(SocketKind),
    /// A tap at all its links; its descriptor comes with the answer.
    Tap {
        /// Bytes of the ring.
        ring_len: usize,
        /// The most bytes that are kept of a frame.
        snap: u32,
        /// Sifts frames ([`netyard_core::filter::Filter::program`]).
        filter: Vec<Instruction>,
    },
    /// A socket that hears of tracked connections ([`netyard_kernel::netlink::conntrack::Events`]).
    ConnectionEvents,
    /// The connections that it tracks now.
    Connections,
    /// Its rules that translate addresses.
    NatRules,
    /// Its links.
    Links,
    /// Its links and addresses.
    Outline,
    /// The numbers that it has for the namespaces of these inodes.
    Numbers(Vec<u64>),
    /// What decides about packets in it, and at these interfaces.
    Inside(Vec<IfName>),
    /// What it would do with a packet.
    Route(RouteAsk),
    /// The sockets there that wait for others.
    Listeners,
    /// A trace of what rules do, by a table of this name ([`netyard_kernel::netlink::nft::trace`]); the descriptor comes
    /// with the answer.
    RuleTrace {
        /// The table.
        table: String,
        /// Whether rules of bridges are traced too.
        sees_bridged: bool,
    },
    /// All rules of nf_tables with their numbers.
    Rules,
    /// Ethernet addresses that bridges have learned.
    Learned,
    /// Its counters.
    Counters,
}

impl Question {
    /// Whether the kernel lets the asker wait for so long that many are better asked side by side.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        match self {
            Self::Tap { .. } | Self::RuleTrace { .. } | Self::Connections => true,
            Self::Rules | Self::Learned => false,
            Self::Read | Self::Socket(_) | Self::ConnectionEvents | Self::NatRules | Self::Links => false,
            Self::Outline
            | Self::Numbers(_)
            | Self::Inside(_)
            | Self::Route(_)
            | Self::Listeners
            | Self::Counters => false,
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// What is told.
    pub told: Told,
    /// The descriptors that came with it.
    pub fds: Vec<OwnedFd>,
}

/// What is told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    /// It was done; what was asked for is in the descriptors.
    Done,
    /// For [`Question::Read`].
    Reading(Box<Reading>),
    /// For [`Question::Tap`]: the shape of the ring, and whether it is smaller than was asked for.
    Tap(Shape, bool),
    /// For [`Question::Connections`].
    Connections(Vec<Connection>),
    /// For [`Question::NatRules`].
    NatRules(Vec<NatRule>),
    /// For [`Question::Links`].
    Links(Vec<LinkSeen>),
    /// For [`Question::Outline`].
    Outline(Box<RawOutline>),
    /// For [`Question::Numbers`]; none for a namespace that has none.
    Numbers(Vec<Option<i32>>),
    /// For [`Question::Inside`].
    Inside(Box<Inside>),
    /// For [`Question::Route`]; the error number of a refusal.
    Route(std::result::Result<RouteFound, i32>),
    /// For [`Question::Listeners`].
    Listeners(Vec<Listener>),
    /// For [`Question::Rules`].
    Rules(Vec<Ruleset>),
    /// For [`Question::Learned`].
    Learned(Vec<Learned>),
    /// For [`Question::Counters`].
    Counters(Box<Counters>),
}

/// A link, as far as frames of it are concerned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkSeen {
    /// ifindex
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The kernel's word for its kind; empty for hardware and the loopback.
    pub kind: String,
    /// ifindex of the bridge that it is a port of.
    pub master: Option<u32>,
    /// Whether its frames have Ethernet headers.
    pub has_ethernet: bool,
    /// Whether it is the loopback.
    pub is_loopback: bool,
}

/// Why a question was not answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Trouble {
    pub(crate) errno: Option<i32>,
    pub(crate) words: String,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self { errno: error.raw_os_error(), words: error.to_string() }
    }
}

/// For each question what is told and the number of descriptors that belong to it.
pub(crate) type Replies = Vec<Result<(Told, usize), Trouble>>;

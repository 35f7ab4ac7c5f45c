//! What can be asked in a namespace, and what is told.

use crate::look::Reading;
use crate::probe::SocketKind;
use netyard_core::conntrack::Connection;
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
    /// The connections that the kernel tracks.
    Connections,
    /// A socket that hears of connections; it comes with the answer.
    ConnectionEvents,
}

impl Question {
    /// Whether the kernel lets the asker wait for so long that many are better asked side by side.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        match self {
            Self::Read | Self::Socket(_) | Self::Connections | Self::ConnectionEvents => false,
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
    /// For [`Question::Connections`].
    Connections(Vec<Connection>),
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

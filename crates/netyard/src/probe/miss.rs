//! Why a probe was not answered as wished: ICMP errors and error numbers as outcomes and words.

use netyard_core::expect::Outcome;
use netyard_kernel::socket::{Origin, QueuedError};
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Why a probe has no answer to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// The network did otherwise.
    Outcome {
        /// What came of it; never [`Outcome::Ok`].
        outcome: Outcome,
        /// The reason in words, for example `10.138.0.1 answered: network unreachable`.
        detail: String,
    },
    /// The probe could not be made.
    Impossible {
        /// The reason in words.
        detail: String,
    },
}

impl Miss {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self::Outcome { outcome, detail: detail.into() }
    }

    pub(crate) fn impossible(detail: impl Into<String>) -> Self {
        Self::Impossible { detail: detail.into() }
    }

    /// No answer, and no error either.
    pub(crate) fn silence(to: IpAddr, waited: Duration) -> Self {
        Self::new(Outcome::Timeout, format!("no answer from {to} within {:.1} s", waited.as_secs_f64()))
    }

    /// What came of it; `None` when the probe could not be made.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Outcome { outcome, .. } => Some(*outcome),
            Self::Impossible { .. } => None,
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Outcome { detail, .. } | Self::Impossible { detail } => detail,
        }
    }

    /// From an error number that sending or connecting to `to` gave at once: the node's own kernel refused.
    pub(crate) fn of_local_error(error: &io::Error, to: IpAddr) -> Self {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        match errno {
            Errno::NETUNREACH => Self::new(Outcome::NoRoute, format!("no route to {to}")),
            Errno::ADDRNOTAVAIL => {
                Self::new(Outcome::NoRoute, format!("no own address from which {to} could be reached"))
            }
            Errno::NETDOWN => Self::new(Outcome::NoRoute, format!("the interface towards {to} is down")),
            Errno::HOSTUNREACH => {
                Self::new(Outcome::Unreachable, format!("{to} is unreachable by the sender's own routes"))
            }
            Errno::ACCESS => {
                Self::new(Outcome::Unreachable, format!("{to} is prohibited by the sender's own routes"))
            }
            Errno::MSGSIZE => {
                Self::new(Outcome::TooBig, "the packet is larger than the MTU of the sender's interface")
            }
            Errno::PERM => Self::new(Outcome::Timeout, "the sender's own packet filter dropped it"),
            Errno::INVAL => {
                Self::new(Outcome::Timeout, format!("a blackhole route of the sender drops packets to {to}"))
            }
            Errno::NOBUFS => Self::new(Outcome::Timeout, "the queue of the sender's interface was full"),
            _ => Self::of_answer_error(error, to),
        }
    }

    /// From an error number that came later, without an ICMP message beside it.
    pub(crate) fn of_answer_error(error: &io::Error, to: IpAddr) -> Self {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        match errno {
            Errno::CONNREFUSED | Errno::CONNRESET | Errno::PIPE => {
                Self::new(Outcome::Refused, format!("{to} reset the connection"))
            }
            Errno::TIMEDOUT => Self::new(Outcome::Timeout, format!("no answer from {to}")),
            Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NOPROTOOPT | Errno::ACCESS => {
                Self::new(Outcome::Unreachable, format!("{to} was reported unreachable: {error}"))
            }
            Errno::MSGSIZE => {
                Self::new(Outcome::TooBig, format!("the packet is too large for the way to {to}"))
            }
            _ => Self::impossible(format!("the probe to {to} failed: {error}")),
        }
    }

    /// From the error queue of a socket whose own address is `own`.
    pub(crate) fn of_queued(error: &QueuedError, own: Option<IpAddr>, to: IpAddr) -> Self {
        let mtu = error.mtu;
        let is_v6 = match error.origin {
            Origin::Icmp => false,
            Origin::Icmp6 => true,
            Origin::Local if error.errno == Errno::MSGSIZE.raw_os_error() && mtu > 0 => {
                return Self::new(
                    Outcome::TooBig,
                    format!("the packet is larger than the sender's MTU of {mtu}"),
                );
            }
            Origin::Local | Origin::Other(_) => {
                return Self::of_local_error(&io::Error::from_raw_os_error(error.errno), to);
            }
        };
        let (outcome, words) = icmp_meaning(is_v6, error.icmp_type, error.icmp_code, mtu);
        let is_own = error.offender.is_some() && error.offender == own;
        if is_own && outcome == Outcome::Unreachable {
            let protocol = if is_v6 { "neighbour discovery" } else { "ARP" };
            return Self::new(outcome, format!("nobody answered {protocol} for the next hop towards {to}"));
        }
        match error.offender {
            Some(offender) => Self::new(outcome, format!("{offender} answered: {words}")),
            None => Self::new(outcome, words),
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome { outcome, detail } => write!(f, "{outcome}: {detail}"),
            Self::Impossible { detail } => f.write_str(detail),
        }
    }
}

impl std::error::Error for Miss {}

/// What an ICMP error means (RFC 792, RFC 1812 5.2.7.1, RFC 4443).
fn icmp_meaning(is_v6: bool, kind: u8, code: u8, mtu: u32) -> (Outcome, String) {
    let (outcome, words) = match (is_v6, kind, code) {
        (false, 3, 0) => (Outcome::Unreachable, "network unreachable"),
        (false, 3, 1) => (Outcome::Unreachable, "host unreachable"),
        (false, 3, 2) => (Outcome::Unreachable, "protocol unreachable"),
        (false, 3, 3) | (true, 1, 4) => (Outcome::Refused, "port unreachable"),
        (false, 3, 4) => return (Outcome::TooBig, format!("fragmentation needed, MTU {mtu}")),
        (false, 3, 5) => (Outcome::Unreachable, "source route failed"),
        (false, 3, 6) => (Outcome::Unreachable, "network unknown"),
        (false, 3, 7) => (Outcome::Unreachable, "host unknown"),
        (false, 3, 9) => (Outcome::Unreachable, "network administratively prohibited"),
        (false, 3, 10) => (Outcome::Unreachable, "host administratively prohibited"),
        (false, 3, 13) | (true, 1, 1) => (Outcome::Unreachable, "communication administratively prohibited"),
        (true, 1, 0) => (Outcome::Unreachable, "no route to destination"),
        (true, 1, 2) => (Outcome::Unreachable, "beyond scope of source address"),
        (true, 1, 3) => (Outcome::Unreachable, "address unreachable"),
        (true, 1, 5) => (Outcome::Unreachable, "source address failed policy"),
        (true, 1, 6) => (Outcome::Unreachable, "reject route to destination"),
        (true, 2, _) => return (Outcome::TooBig, format!("packet too big, MTU {mtu}")),
        (false, 11, 0) => (Outcome::TtlExceeded, "TTL exceeded"),
        (true, 3, 0) => (Outcome::TtlExceeded, "hop limit exceeded"),
        (false, 11, _) | (true, 3, _) => (Outcome::Timeout, "fragments were missing"),
        _ => return (Outcome::Unreachable, format!("ICMP type {kind} code {code}")),
    };
    (outcome, words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(origin: Origin, icmp_type: u8, icmp_code: u8, offender: &str) -> QueuedError {
        let offender = offender.parse().ok();
        QueuedError { errno: 0, origin, icmp_type, icmp_code, mtu: 1280, offender, to: None, len: 0 }
    }

    fn check(error: &QueuedError, own: &str, expected: &str) {
        let to = "10.0.0.9".parse().unwrap();
        assert_eq!(Miss::of_queued(error, own.parse().ok(), to).to_string(), expected);
    }

    #[test]
    fn icmp_errors_read_as_outcomes_and_words() {
        let icmp = |kind, code| queued(Origin::Icmp, kind, code, "10.0.0.254");
        check(&icmp(3, 0), "10.0.0.1", "unreachable: 10.0.0.254 answered: network unreachable");
        check(&icmp(3, 3), "10.0.0.1", "refused: 10.0.0.254 answered: port unreachable");
        check(&icmp(3, 4), "10.0.0.1", "too-big: 10.0.0.254 answered: fragmentation needed, MTU 1280");
        check(&icmp(11, 0), "10.0.0.1", "ttl-exceeded: 10.0.0.254 answered: TTL exceeded");
        check(
            &icmp(3, 1),
            "10.0.0.254",
            "unreachable: nobody answered ARP for the next hop towards 10.0.0.9",
        );
        let icmp6 = queued(Origin::Icmp6, 2, 0, "fd00::1");
        check(&icmp6, "fd00::2", "too-big: fd00::1 answered: packet too big, MTU 1280");
    }

    #[test]
    fn error_numbers_read_as_outcomes() {
        let to = "10.0.0.9".parse().unwrap();
        let outcome = |errno: Errno| Miss::of_local_error(&errno.into(), to).outcome();
        assert_eq!(outcome(Errno::NETUNREACH), Some(Outcome::NoRoute));
        assert_eq!(outcome(Errno::HOSTUNREACH), Some(Outcome::Unreachable));
        assert_eq!(outcome(Errno::MSGSIZE), Some(Outcome::TooBig));
        assert_eq!(outcome(Errno::CONNREFUSED), Some(Outcome::Refused));
        assert_eq!(outcome(Errno::NOMEM), None);
        let later = Miss::of_answer_error(&Errno::NETUNREACH.into(), to).outcome();
        assert_eq!(later, Some(Outcome::Unreachable));
    }
}

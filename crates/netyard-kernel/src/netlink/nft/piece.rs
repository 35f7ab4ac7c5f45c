//! The parts of a rule that is being read, and how they become a rule.

use super::words::{self, Described};
use netyard_core::nft::{Action, Match, Protocol, Rule};

/// One part of a rule.
pub(super) enum Piece {
    /// The packet is of this version of IP, and the words that say so.
    IpVersion(u8, String),
    /// The packet is of this transport protocol.
    Protocol(u8),
    Match(Match),
    /// A condition without a `Match` of its own, and what it implies.
    Words(Described),
    Counter,
    Action(Action),
}

/// Joins the pieces to a rule.
pub(super) fn finish(pieces: Vec<Piece>) -> Rule {
    let last_action = pieces.iter().rposition(|piece| matches!(piece, Piece::Action(_)));
    let is_last = |index: usize| {
        last_action == Some(index) && pieces[index + 1..].iter().all(|p| matches!(p, Piece::Counter))
    };
    // A counter counts what passes the matches when it stands behind all of them.
    let counter = pieces.iter().rposition(|piece| matches!(piece, Piece::Counter));
    let counter = counter.filter(|at| {
        pieces[*at + 1..]
            .iter()
            .enumerate()
            .all(|(i, p)| matches!(p, Piece::Action(_)) && is_last(at + 1 + i))
    });
    let mut matches = Vec::new();
    let mut action = Action::Continue;
    for (index, piece) in pieces.iter().enumerate() {
        let later = &pieces[index + 1..];
        match piece {
            Piece::IpVersion(version, _) if later.iter().any(|p| p.ip_version() == Some(*version)) => {}
            Piece::IpVersion(_, words) => matches.push(Match::Other(words.clone())),
            Piece::Protocol(number) if later.iter().any(|p| p.protocol() == Some(*number)) => {}
            Piece::Protocol(number) => matches.push(match Protocol::from_number(*number) {
                Some(protocol) => Match::Protocol(protocol),
                None => Match::Other(format!("meta l4proto {}", words::protocol(*number))),
            }),
            Piece::Match(found) => matches.push(found.clone()),
            Piece::Words(described) => matches.push(Match::Other(described.name.clone())),
            Piece::Counter if Some(index) == counter => {}
            Piece::Counter => matches.push(Match::Other("counter".to_owned())),
            Piece::Action(found) if is_last(index) => action = found.clone(),
            Piece::Action(found) => matches.push(Match::Other(found.to_string())),
        }
    }
    Rule { matches, counts: counter.is_some(), action }
}

impl Piece {
    /// The version of IP that this piece implies.
    fn ip_version(&self) -> Option<u8> {
        match self {
            Self::Match(found) => found.ip_version(),
            Self::Words(described) => described.ip_version,
            _ => None,
        }
    }

    /// The transport protocol that this piece implies.
    fn protocol(&self) -> Option<u8> {
        match self {
            Self::Match(found) => found.included_protocol().map(Protocol::number),
            Self::Words(described) => described.protocol,
            Self::Action(Action::Other(words)) if words == "reject with tcp reset" => Some(6),
            _ => None,
        }
    }
}

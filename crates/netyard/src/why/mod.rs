//! `netyard why`: asks kernels why one node reaches another or does not.

mod asked;
pub mod name;
mod probe;

pub use asked::Asked;
pub use probe::probe;

use crate::error::{Error, Result};
use crate::scout::Scout;
use netyard_core::why::{About, Explanation, Kernel, Party, PartyError, Question, Versions, explain, find};

/// Explains why `from` reaches `to` or does not. Both are a node, `node:interface`, or an address.
///
/// # Errors
/// That nobody is meant.
pub fn why(
    scout: &Scout,
    is_lab: bool,
    from: &str,
    to: &str,
    about: About,
    versions: Versions,
) -> Result<Explanation> {
    let mut kernel = Asked::new(scout, is_lab)?;
    let (from, to) = find(&mut kernel, from, to, versions).map_err(|error| refused(&kernel, error))?;
    Ok(explain(&mut kernel, &Question { from, to, about }))
}

/// Who is meant by two words, as [`why()`] takes them.
///
/// # Errors
/// That nobody is meant.
pub fn parties(
    scout: &Scout,
    is_lab: bool,
    from: &str,
    to: &str,
    versions: Versions,
) -> Result<(Party, Party)> {
    let mut kernel = Asked::new(scout, is_lab)?;
    find(&mut kernel, from, to, versions).map_err(|error| refused(&kernel, error))
}

fn refused(kernel: &Asked<'_>, error: PartyError) -> Error {
    let title = error.to_string();
    match error {
        PartyError::NoSuchNode(_, names) => {
            let names = if names.is_empty() {
                kernel.places().iter().map(ToString::to_string).collect()
            } else {
                names
            };
            Error::input("U009", title).help(format!("there are {}", list(&names)))
        }
        PartyError::NoSuchInterface(_, _, names) => {
            Error::input("U005", title).help(format!("it has {}", list(&names)))
        }
        PartyError::InterfaceNameTooLong(_) => Error::input("N014", title),
        PartyError::NobodyHas(_) | PartyError::NoAddress(_) => {
            Error::input("U009", title).help("`netyard look` shows who has which address")
        }
        PartyError::NoHost(..) => Error::input("U009", title).help("ask for the address of one host"),
        PartyError::OtherVersion(_) => Error::input("U009", title)
            .help("a conversation has one version of IP: give both ends of the same, or name a node"),
        PartyError::Closed(ns) => {
            let why = kernel.refusal(&ns).unwrap_or_default();
            Error::input("U018", format!("{title}: {why}"))
        }
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// A party in words: `pc (10.0.0.1)`.
#[must_use]
pub fn party_words(party: &Party) -> String {
    let node = party.node.as_ref().map(|node| match &party.interface {
        Some(interface) => format!("{node}:{interface}"),
        None => node.to_string(),
    });
    match (node, party.address) {
        (Some(node), Some(address)) => format!("{node} ({address})"),
        (Some(node), None) => node,
        (None, Some(address)) => address.to_string(),
        (None, None) => "nobody".to_owned(),
    }
}

//! All ids of a system in a user namespace: why there are none, and what helps (subuid(5), newuidmap(1)).

use crate::feature::own_subordinates;
use crate::userns::{IdMap, Subordinate};
use std::fmt;

/// Ids that a system needs besides root: accounts of packages are below 1000, `nobody` is 65534.
const NEEDED: u32 = 65534;

/// Why there are no ids for a whole system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoIds {
    /// The caller has no or too few subordinate ids.
    NoRange {
        /// The file that would give them: `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// The line that gives them.
        line: String,
    },
    /// One of the programs that map them is not installed.
    NoProgram,
    /// The caller is in a user namespace that does not have them.
    NotHere,
}

impl NoIds {
    /// What helps.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoRange { file, line } => {
                format!("`echo {line} | sudo tee -a {file}`, with numbers that nobody has there")
            }
            Self::NoProgram => "install the package that has them: `sudo apt install uidmap`".to_owned(),
            Self::NotHere => {
                "start netyard outside of the container or user namespace that it is in".to_owned()
            }
        }
    }
}

impl fmt::Display for NoIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRange { file, .. } => write!(f, "{file} gives this user less than {NEEDED} ids"),
            Self::NoProgram => f.write_str("newuidmap and newgidmap are not installed"),
            Self::NotHere => {
                f.write_str("the user namespace of this process does not have this user's subordinate ids")
            }
        }
    }
}

/// The ids that the caller may map for a whole system, as its labs with full nodes have them: for root of the machine
/// ids that own nothing; for an ordinary user itself as root, and its subordinate ids.
///
/// # Errors
/// What is missing.
pub fn of_caller() -> Result<IdMap, NoIds> {
    let uid = rustix::process::geteuid();
    if uid.is_root() && IdMap::of_self().is_none() {
        return Ok(IdMap::unprivileged());
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        if own_subordinates(file).first().is_none_or(|range| range.count < NEEDED) {
            let name = crate::account::name().unwrap_or_else(|| uid.as_raw().to_string());
            return Err(NoIds::NoRange { file, line: format!("{name}:100000:65536") });
        }
    }
    let map = IdMap::own_and_subordinate();
    match Subordinate::of_caller() {
        _ if !map.is_single() => Ok(map),
        Some(ids) if !ids.are_here() => Err(NoIds::NotHere),
        _ => Err(NoIds::NoProgram),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_what_helps() {
        let none = NoIds::NoRange { file: "/etc/subuid", line: "ann:100000:65536".into() };
        assert_eq!(none.to_string(), "/etc/subuid gives this user less than 65534 ids");
        assert!(none.remedy().contains("ann:100000:65536 | sudo tee -a /etc/subuid"));
    }
}

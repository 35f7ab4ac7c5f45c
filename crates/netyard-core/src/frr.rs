//! What the daemons of FRR say of themselves, in JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// A daemon that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Daemon {
    /// OSPF for IPv4.
    Ospfd,
    /// OSPF for IPv6.
    Ospf6d,
    /// BGP.
    Bgpd,
}

impl Daemon {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ospfd => "ospfd",
            Self::Ospf6d => "ospf6d",
            Self::Bgpd => "bgpd",
        }
    }

    /// The socket at which it takes commands, as vtysh(1) uses it.
    #[must_use]
    pub fn socket(self) -> &'static str {
        match self {
            Self::Ospfd => "/run/frr/ospfd.vty",
            Self::Ospf6d => "/run/frr/ospf6d.vty",
            Self::Bgpd => "/run/frr/bgpd.vty",
        }
    }

    /// The command that lists its neighbours.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Ospfd => "show ip ospf neighbor json",
            Self::Ospf6d => "show ipv6 ospf6 neighbor json",
            Self::Bgpd => "show bgp summary json",
        }
    }
}

/// Somebody with whom a daemon exchanges routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// By what it is known: its address, and its router id where that is told.
    pub ids: Vec<IpAddr>,
    /// Its state, in small letters, without its role: `full`, `established`.
    pub state: String,
    /// Its autonomous system, of BGP.
    pub remote_as: Option<u32>,
}

/// The neighbours that a daemon has told of.
///
/// ```
/// use netyard_core::frr::{Daemon, neighbours};
/// let told = r#"{"neighbors":{"2.2.2.2":[{"nbrState":"Full/DR","address":"10.0.0.2"}]}}"#;
/// let found = neighbours(Daemon::Ospfd, told).unwrap();
/// assert_eq!((found[0].state.as_str(), found[0].ids.len()), ("full", 2));
/// ```
///
/// # Errors
/// That the answer is no JSON: the first line of it.
pub fn neighbours(daemon: Daemon, answer: &str) -> Result<Vec<Neighbour>, String> {
    let told: Value =
        serde_json::from_str(answer).map_err(|_| answer.lines().next().unwrap_or_default().to_owned())?;
    let found = match daemon {
        Daemon::Ospfd => ospf(&told["neighbors"]),
        Daemon::Ospf6d => told["neighbors"].as_array().into_iter().flatten().map(ospf6).collect(),
        Daemon::Bgpd => bgp(&told),
    };
    Ok(found)
}

/// `{ROUTER-ID: [{nbrState, address or ifaceAddress}]}`.
fn ospf(told: &Value) -> Vec<Neighbour> {
    let mut found = Vec::new();
    for (id, entries) in told.as_object().into_iter().flatten() {
        for entry in entries.as_array().into_iter().flatten() {
            let address = first_text(entry, &["ifaceAddress", "address"]);
            let ids = [Some(id.as_str()), address].into_iter().flatten().filter_map(|id| id.parse().ok());
            let state = state(first_text(entry, &["nbrState", "state"]));
            found.push(Neighbour { ids: ids.collect(), state, remote_as: None });
        }
    }
    found
}

/// `{neighborId, state}`.
fn ospf6(entry: &Value) -> Neighbour {
    let ids = first_text(entry, &["neighborId"]).and_then(|id| id.parse().ok());
    Neighbour { ids: ids.into_iter().collect(), state: state(first_text(entry, &["state"])), remote_as: None }
}

/// `{ipv4Unicast: {peers: {ADDRESS: {state, remoteAs}}}, ...}`. A session that carries several families is told once.
fn bgp(told: &Value) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = Vec::new();
    for family in told.as_object().into_iter().flatten().map(|(_, family)| family) {
        for (name, peer) in family["peers"].as_object().into_iter().flatten() {
            let ids: Vec<IpAddr> = name.parse().into_iter().collect();
            if found.iter().any(|other| other.ids == ids) {
                continue;
            }
            let remote_as = peer["remoteAs"].as_u64().and_then(|number| u32::try_from(number).ok());
            found.push(Neighbour { ids, state: state(first_text(peer, &["state"])), remote_as });
        }
    }
    found
}

fn first_text<'v>(entry: &'v Value, keys: &[&str]) -> Option<&'v str> {
    keys.iter().find_map(|key| entry[key].as_str())
}

/// `Full/DR` is `full`.
fn state(told: Option<&str>) -> String {
    told.unwrap_or("unknown").split('/').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unwrap_used)]
    fn what_daemons_of_different_versions_say_is_understood() {
        let check = |daemon, answer: &str, expected: &[(&[&str], &str, Option<u32>)]| {
            let found = neighbours(daemon, answer).unwrap();
            let expected: Vec<Neighbour> = expected
                .iter()
                .map(|(ids, state, remote_as)| Neighbour {
                    ids: ids.iter().map(|id| id.parse().unwrap()).collect(),
                    state: (*state).to_owned(),
                    remote_as: *remote_as,
                })
                .collect();
            assert_eq!(found, expected);
        };
        check(
            Daemon::Ospfd,
            r#"{"neighbors":{"10.0.0.2":[{"nbrState":"2-Way\/DROther","ifaceAddress":"10.1.0.2"}]}}"#,
            &[(&["10.0.0.2", "10.1.0.2"], "2-way", None)],
        );
        check(
            Daemon::Ospfd,
            r#"{"neighbors":{"10.0.0.2":[{"state":"Full/DR","address":"10.1.0.2"}]}}"#,
            &[(&["10.0.0.2", "10.1.0.2"], "full", None)],
        );
        check(
            Daemon::Ospf6d,
            r#"{"neighbors":[{"neighborId":"2.2.2.2","state":"Full"}]}"#,
            &[(&["2.2.2.2"], "full", None)],
        );
        let peers = r#"{"ipv4Unicast":{"as":65001,"peers":{"10.0.0.2":{"remoteAs":65002,"state":"Established"}}},
            "ipv6Unicast":{"peers":{"10.0.0.2":{"remoteAs":65002,"state":"Established"}}}}"#;
        check(Daemon::Bgpd, peers, &[(&["10.0.0.2"], "established", Some(65002))]);
        check(Daemon::Bgpd, "{}", &[]);
        assert_eq!(
            neighbours(Daemon::Bgpd, "% BGP instance not found\n"),
            Err("% BGP instance not found".to_owned())
        );
    }
}

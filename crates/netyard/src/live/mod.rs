//! Reads what the kernel holds into a [`State`].

mod peers;
mod raw;

pub(crate) use peers::below;
pub(crate) use raw::Raw;

use crate::namespaces::Namespaces;
use netyard_core::state::{Ns, State};
use netyard_kernel::netlink::{Protocol, Refusal, Socket, route};
use netyard_kernel::traveller::Traveller;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

/// A namespace that could not be read.
#[derive(Debug)]
pub struct LiveError {
    /// Which one; none when no thread could be started.
    pub ns: Option<Ns>,
    /// The kernel's error.
    pub error: io::Error,
    /// The kernel's own words.
    pub message: Option<String>,
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ns {
            Some(ns) => write!(f, "cannot read the state of {ns}: {}", self.error)?,
            None => write!(f, "cannot read the state: {}", self.error)?,
        }
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LiveError {}

impl From<Refusal> for LiveError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.message.clone();
        Self { ns: None, error: refusal.into(), message }
    }
}

impl From<io::Error> for LiveError {
    fn from(error: io::Error) -> Self {
        Self { ns: None, error, message: None }
    }
}

/// Reads all namespaces, with the values of `sysctls` where the kernel has such a key.
///
/// Left out is what the kernel adds by itself (see [`netyard_core::state::Namespace`]), routes of other programs than `ip` (routing
/// daemons), and links whose names no lab can have (`all`, `default`, with `%`). Checksum filling is told of veth
/// alone: what a bridge shows follows from its ports. The ifindexes in `namespaces` are brought up to date.
///
/// # Errors
/// The first namespace that the kernel would not tell about.
pub fn read(namespaces: &mut Namespaces, sysctls: &BTreeMap<Ns, Vec<String>>) -> Result<State, LiveError> {
    let raw = Traveller::run(|traveller| {
        let mut raw = BTreeMap::new();
        for (ns, open) in &mut namespaces.open {
            let keys = sysctls.get(ns).map(Vec::as_slice).unwrap_or_default();
            let with_ns = |error: LiveError| LiveError { ns: Some(ns.clone()), ..error };
            traveller.enter(open.fd.as_fd()).map_err(LiveError::from).map_err(with_ns)?;
            let netfilter = Socket::open(Protocol::Netfilter).map_err(LiveError::from).map_err(with_ns)?;
            let sysctls = read_sysctls(traveller, keys).map_err(LiveError::from).map_err(with_ns)?;
            let socket = open.route(traveller).map_err(LiveError::from).map_err(with_ns)?;
            raw.insert(ns.clone(), Raw::read(socket, netfilter, sysctls).map_err(with_ns)?);
        }
        Ok::<_, LiveError>(raw)
    })??;
    for (ns, raw) in &raw {
        namespaces.learn(ns, raw.names.iter().map(|(index, name)| (name.clone(), *index)).collect());
    }
    let mut ends = peers::peers(namespaces, &raw)?;
    ends.extend(peers::parents(namespaces, &raw)?);
    let is_ours =
        |route: &route::Route| [route::PROTOCOL_BOOT, route::PROTOCOL_STATIC].contains(&route.protocol);
    let namespaces = raw
        .into_iter()
        .map(|(ns, raw)| {
            let namespace = raw.namespace(|index| ends.get(&(ns.clone(), index)).cloned(), is_ours);
            (ns, namespace)
        })
        .collect();
    Ok(State { namespaces })
}

/// The values of those keys that the kernel has, in the namespace that the thread is in.
pub(crate) fn read_sysctls(
    traveller: &mut Traveller,
    keys: &[String],
) -> io::Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    if keys.is_empty() {
        return Ok(values);
    }
    let tree = traveller.sysctls()?;
    for key in keys {
        match tree.read(key) {
            Ok(value) => {
                values.insert(key.clone(), value);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(values)
}

/// Asks again when the objects changed while the kernel was telling of them.
pub(crate) fn again<T>(mut dump: impl FnMut() -> Result<T, Refusal>) -> Result<T, Refusal> {
    const TRIES: usize = 10;
    for _ in 1..TRIES {
        match dump() {
            Err(refusal) if refusal.errno == Errno::INTR.raw_os_error() => {}
            result => return result,
        }
    }
    dump()
}

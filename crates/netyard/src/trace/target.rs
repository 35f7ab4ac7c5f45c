//! Whom a word means.

use netyard_core::look::{Look, Seen};
use netyard_core::state::Ns;
use std::net::IpAddr;

/// The address of a namespace as another one would send to it: one on a network that both are on, else the first that
/// others may know.
#[must_use]
pub fn address(look: &Look, from: &Ns, to: &Ns) -> Option<IpAddr> {
    let prefixes = |seen: &Seen| {
        let all: Vec<ipnet::IpNet> = seen.interfaces.iter().flat_map(|i| i.addresses.clone()).collect();
        all.into_iter().filter(|prefix| netyard_core::why::is_global(prefix.addr())).collect::<Vec<_>>()
    };
    let (from, to) = (prefixes(look.seen(from)?), prefixes(look.seen(to)?));
    let shared = to
        .iter()
        .find(|there| from.iter().any(|here| here.contains(&there.addr()) && here.addr() != there.addr()));
    let v4_first = || to.iter().find(|prefix| prefix.addr().is_ipv4()).or(to.first());
    shared.or_else(v4_first).map(|prefix| prefix.addr())
}

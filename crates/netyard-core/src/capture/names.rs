//! Names of addresses.

use crate::look::Look;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Every address of every namespace with the namespace's name. Those of the loopback, and those that several
/// namespaces have, name nobody.
#[must_use]
pub fn names(look: &Look) -> Vec<(IpAddr, String)> {
    let mut named: BTreeMap<IpAddr, Option<&str>> = BTreeMap::new();
    for seen in &look.namespaces {
        for prefix in seen.interfaces.iter().flat_map(|interface| &interface.addresses) {
            let address = prefix.addr();
            if address.is_loopback() {
                continue;
            }
            let name = named.entry(address).or_insert(Some(seen.name.as_str()));
            if *name != Some(seen.name.as_str()) {
                *name = None;
            }
        }
    }
    named.into_iter().filter_map(|(address, name)| Some((address, name?.to_owned()))).collect()
}

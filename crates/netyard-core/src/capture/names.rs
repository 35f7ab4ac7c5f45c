//! Names of addresses.

use super::Node;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Every address of every namespace with the namespace's name. Those of the loopback, and those that several
/// namespaces have, name nobody.
#[must_use]
pub fn names(nodes: &[Node]) -> Vec<(IpAddr, String)> {
    let mut named: BTreeMap<IpAddr, Option<&str>> = BTreeMap::new();
    for node in nodes {
        let addresses = node.interfaces.iter().flat_map(|(_, addresses)| addresses);
        for address in addresses.filter(|address| !address.is_loopback()) {
            let name = named.entry(*address).or_insert(Some(node.name.as_str()));
            if *name != Some(node.name.as_str()) {
                *name = None;
            }
        }
    }
    named.into_iter().filter_map(|(address, name)| Some((address, name?.to_owned()))).collect()
}

//! Whose address it is, among all namespaces looked at.

use crate::look::Look;
use crate::name::NodeName;
use crate::state::{Ns, RouteTarget};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Who answers to which address.
#[derive(Debug, Default)]
pub(super) struct Owners {
    addresses: BTreeMap<IpAddr, NodeName>,
    /// Whole prefixes that are delivered locally (AnyIP): an internet's.
    prefixes: Vec<(IpNet, NodeName)>,
}

impl Owners {
    /// An address that several namespaces have names nobody.
    pub(super) fn of(look: &Look) -> Self {
        let mut owners: BTreeMap<IpAddr, BTreeSet<&NodeName>> = BTreeMap::new();
        let mut prefixes = Vec::new();
        for seen in &look.namespaces {
            let Ns::Node(name) = &seen.name else { continue };
            let own = seen.interfaces.iter().flat_map(|interface| &interface.addresses);
            for address in own.map(IpNet::addr).filter(|address| !address.is_loopback()) {
                owners.entry(address).or_default().insert(name);
            }
            let local = seen.state.routes.iter().filter(|r| matches!(r.target, RouteTarget::Local(_)));
            prefixes.extend(local.map(|route| (route.to, name.clone())));
        }
        let only = |(address, names): (IpAddr, BTreeSet<&NodeName>)| {
            let mut names = names.into_iter();
            names.next().filter(|_| names.next().is_none()).map(|name| (address, name.clone()))
        };
        Self { addresses: owners.into_iter().filter_map(only).collect(), prefixes }
    }

    pub(super) fn of_address(&self, address: IpAddr) -> Option<NodeName> {
        let of_prefix = || {
            let mut fitting = self.prefixes.iter().filter(|(prefix, _)| prefix.contains(&address));
            let (_, first) = fitting.next()?;
            fitting.all(|(_, other)| other == first).then(|| first.clone())
        };
        self.addresses.get(&address).cloned().or_else(of_prefix)
    }
}

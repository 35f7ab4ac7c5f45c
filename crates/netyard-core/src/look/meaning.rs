//! Whose addresses and networks rules are about, among all namespaces looked at.

use super::Look;
use crate::name::IfName;
use crate::show::meaning::{Names, Reader};
use crate::state::Ns;
use ipnet::IpNet;
use std::net::IpAddr;

/// Every address with the namespace and the interface that have it.
pub(super) struct Places(Vec<(Ns, String, IpNet)>);

/// The same, as one namespace sees it.
pub(super) struct From<'a> {
    places: &'a Places,
    ns: &'a Ns,
}

impl Places {
    pub(super) fn of(look: &Look) -> Self {
        let of_seen = |seen: &super::Seen| {
            let of_interface = |interface: &super::Interface| {
                let place = |address: &IpNet| (seen.name.clone(), interface.name.clone(), *address);
                interface.addresses.iter().map(place).collect::<Vec<_>>()
            };
            seen.interfaces.iter().flat_map(of_interface).collect::<Vec<_>>()
        };
        Self(look.namespaces.iter().flat_map(of_seen).collect())
    }

    pub(super) fn reader<'a>(&'a self, ns: &'a Ns) -> Reader<From<'a>> {
        Reader(From { places: self, ns })
    }
}

impl Names for From<'_> {
    fn owner_of(&self, address: IpAddr) -> Option<String> {
        let mut owners = self.places.0.iter().filter(|(.., own)| own.addr() == address).map(|(ns, ..)| ns);
        let first = owners.next()?;
        // The same address in several namespaces names nobody.
        (owners.all(|other| other == first) && first != self.ns).then(|| first.to_string())
    }

    fn network_of(&self, _: IpNet) -> Option<String> {
        None
    }

    fn address_of(&self, interface: &IfName, is_ipv4: bool) -> Option<IpAddr> {
        let here = self.places.0.iter().filter(|(ns, name, _)| ns == self.ns && name == interface.as_str());
        here.map(|(.., address)| address.addr()).find(|address| address.is_ipv4() == is_ipv4)
    }
}

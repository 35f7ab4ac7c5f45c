//! The routes by which an internet node answers for every address of the world.
//!
//! They are in table `main`, so that a route to a network that the node is on is more specific and wins; in table
//! `local`, which is asked first, the node would take its neighbours' addresses for its own. The kernel answers
//! from the address that was asked.

use crate::lab::{Lab, Node};
use crate::state::{NextHop, Route, RouteTarget};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Prefixes that nobody on the internet routes: RFC 1918, RFC 6598 (shared address space), RFC 4193 (unique local).
fn private_prefixes() -> impl Iterator<Item = IpNet> {
    let ipv4 = [([10, 0, 0, 0], 8), ([100, 64, 0, 0], 10), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16)];
    let ipv4 = ipv4.map(|(octets, len)| IpNet::new_assert(Ipv4Addr::from(octets).into(), len));
    let ipv6 = IpNet::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0).into(), 7);
    ipv4.into_iter().chain([ipv6])
}

/// All prefixes that a lab uses, in network form.
pub(super) fn prefixes(lab: &Lab) -> Vec<IpNet> {
    let on_interfaces = lab.nodes.iter().flat_map(Node::addresses);
    let named = lab.networks.iter().flat_map(|network| network.prefixes.iter().copied());
    let all: BTreeSet<IpNet> = named.chain(on_interfaces).map(|prefix| prefix.trunc()).collect();
    all.into_iter().collect()
}

/// The routes of an internet node beyond those that the lab file gives it.
///
/// Whatever the node is on, or has a route of its own to, stays as it is. With an uplink it does not answer for the
/// world but passes packets on, private destinations excepted. With a default route of its own it is like any other
/// host of the lab: a server behind a router.
pub(super) fn routes(node: &Node, prefixes_of_lab: &[IpNet], uses_ipv6: bool) -> Vec<Route> {
    let own =
        || node.routes.iter().filter(|route| route.table == Route::TABLE_MAIN).map(|route| route.to.trunc());
    let has_default = |is_ipv6: bool| own().any(|to| to.prefix_len() == 0 && to.addr().is_ipv6() == is_ipv6);
    let mut reached: Vec<IpNet> = node.addresses().map(|address| address.trunc()).collect();
    reached.extend(own().filter(|to| to.prefix_len() > 0));
    let is_reached = |prefix: &IpNet| reached.iter().any(|own| own.contains(prefix));
    let private: Vec<IpNet> = private_prefixes().filter(|prefix| !is_reached(prefix)).collect();
    let foreign = prefixes_of_lab
        .iter()
        .filter(|prefix| !is_reached(prefix) && !private.iter().any(|wide| wide.contains(*prefix)))
        .copied();
    let unreachable =
        private.iter().copied().chain(foreign).map(|to| with_target(to, RouteTarget::Unreachable));
    let lo = super::loopback_name();
    let world = [
        IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 0),
        IpNet::new_assert(Ipv6Addr::UNSPECIFIED.into(), 0),
    ];
    let local = world.into_iter().map(|to| with_target(to, RouteTarget::Local(lo.clone())));
    let all = unreachable.chain(local.filter(|_| node.uplink.is_none()));
    let is_wanted = |is_ipv6: bool| (uses_ipv6 || !is_ipv6) && !has_default(is_ipv6);
    all.filter(|route| is_wanted(route.to.addr().is_ipv6())).collect()
}

fn with_target(to: IpNet, target: RouteTarget) -> Route {
    let hop = NextHop { via: None, dev: super::loopback_name(), weight: 1, onlink: false };
    Route { target, ..Route::unicast(to, hop) }
}

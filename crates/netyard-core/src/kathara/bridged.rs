//! `bridged`: devices with a way out of the lab.
//!
//! Kathara connects them to the bridge of Docker, behind which is the world. Here it is a network of the lab, with
//! the prefix that Docker takes, and behind it the lab's own internet, or by `pasta` the machine's.

use super::import::Cables;
use crate::lab::{Interface, NetworkKind, Node, Role, Uplink};
use crate::look::label::Labels;
use crate::name::{LabName, NodeName};
use crate::state::Route;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

/// The prefix of Docker's bridge.
const PREFIX: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 17, 0, 0), 16);
/// The address of the node behind which the world is; it answers for names too.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);

/// The last number in the address of the first device of a lab.
pub(super) const HOST_FIRST: u32 = 2;

/// Gives each of these nodes one more interface, with the address of that number and a default route, and adds the
/// node behind which the world is.
pub(super) fn connect(
    lab: &LabName,
    cables: &mut Cables,
    labels: &mut Labels,
    nodes: &mut Vec<Node>,
    which: &[(usize, u32)],
    uplink: Option<Uplink>,
) {
    if which.is_empty() {
        return;
    }
    let kind = NetworkKind::Bridge { stp: None, snoops_multicast: false };
    let network = cables.add("bridged", kind, vec![IpNet::V4(PREFIX)]);
    for (at, host) in which {
        let number = i64::try_from(nodes[*at].interfaces.len()).unwrap_or(i64::MAX);
        let mut interface = cables.interface(lab, &nodes[*at].name, number, network.clone(), None);
        interface.addresses.push(address(*host));
        let world = IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 0);
        nodes[*at].routes.push(Route::via(world, GATEWAY.into(), interface.name.clone()));
        nodes[*at].interfaces.push(interface);
    }
    let name = labels.give("internet");
    let mut interface = cables.interface(lab, &name, 0, network, None);
    interface.addresses.push(address(1));
    nodes.push(gateway(name, interface, uplink));
}

/// An address on the network of the bridge.
fn address(host: u32) -> IpNet {
    let address = Ipv4Addr::from(u32::from(PREFIX.addr()) + host);
    IpNet::new_assert(IpAddr::V4(address), PREFIX.prefix_len())
}

/// The node behind which the world is: it answers for the world itself, or passes on what is for it.
fn gateway(name: NodeName, interface: Interface, uplink: Option<Uplink>) -> Node {
    Node {
        role: if uplink.is_some() { Role::Router } else { Role::Internet },
        interfaces: vec![interface],
        forwards_ipv4: true,
        uplink,
        ..Node::named(name)
    }
}

//! The bridges of a lab's networks: their names, and how a network of more than 1000 ports is spread over several.

use super::{link, veth};
use crate::lab::{Lab, Network};
use crate::mac::Mac;
use crate::name::{IfName, NetworkName};
use crate::state::{Bridge, Link, LinkKind, Ns};
use std::collections::BTreeMap;

/// Interfaces per bridge. The kernel takes 1023 ports (net/bridge/br_private.h `BR_MAX_PORTS`, then EXFULL); the
/// rest is for the links between the bridges of one network.
pub const PORTS_PER_BRIDGE: usize = 1000;

/// Further bridges that one bridge of a network connects: 1000 interfaces, 20 of these and one towards the first
/// bridge stay below 1023.
const BRANCHES_PER_BRIDGE: usize = 20;

/// The name of a network's bridge in the fabric: the network's own, shortened where the kernel would not take it.
///
/// ```
/// use netyard_core::{desired::fabric_bridge_name, name::NetworkName};
/// let bridge = |network| fabric_bridge_name(&NetworkName::new(network).unwrap()).to_string();
/// assert_eq!(bridge("lan"), "lan");
/// assert_eq!(bridge("upstairs-office-2").len(), 15);
/// ```
#[must_use]
pub fn fabric_bridge_name(network: &NetworkName) -> IfName {
    IfName::shortened(network.as_str())
}

/// The name of another link of that network in the fabric: the network's, `~` and the suffix, shortened like that.
///
/// Neither network nor node names have a `~`, so that nothing else is called so.
fn fabric_link_name(network: &NetworkName, suffix: &str) -> IfName {
    IfName::shortened(&format!("{network}~{suffix}"))
}

/// The bridge that holds the port of a network's nth interface.
pub(super) fn bridge_of_port(network: &Network, index: usize) -> IfName {
    bridge_name(network, index / PORTS_PER_BRIDGE)
}

fn bridge_name(network: &Network, number: usize) -> IfName {
    match number {
        0 => fabric_bridge_name(&network.name),
        number => fabric_link_name(&network.name, &number.to_string()),
    }
}

/// Adds as many bridges as the ports of a network take, each but the first connected towards the first by a veth
/// pair (`lan~1a` at the bridge nearer to it, `lan~1b` at bridge `lan~1`).
pub(super) fn add_bridges(
    links: &mut BTreeMap<IfName, Link>,
    lab: &Lab,
    network: &Network,
    bridge: &Bridge,
    ports: usize,
) {
    let mac = |name: &IfName| Some(Mac::of_interface(lab.name.as_str(), Ns::FABRIC, name.as_str()));
    for number in 0..ports.div_ceil(PORTS_PER_BRIDGE).max(1) {
        let name = bridge_name(network, number);
        let bridge = Link { mac: mac(&name), mtu: network.mtu, ..link(LinkKind::Bridge(bridge.clone())) };
        links.insert(name.clone(), bridge);
        if number == 0 {
            continue;
        }
        let near = fabric_link_name(&network.name, &format!("{number}a"));
        let far = fabric_link_name(&network.name, &format!("{number}b"));
        let towards_first = bridge_name(network, (number - 1) / BRANCHES_PER_BRIDGE);
        for (own, other, master) in [(&near, &far, towards_first), (&far, &near, name)] {
            let end =
                Link { mac: mac(own), mtu: network.mtu, master: Some(master), ..veth(Ns::Fabric, other) };
            links.insert(own.clone(), end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Arp, NetworkKind, Profile};

    #[test]
    fn no_bridge_of_a_huge_network_has_more_ports_than_the_kernel_takes() {
        const PORTS: usize = 45_000;
        let network = Network {
            name: NetworkName::new("a-network-with-a-long-name").unwrap(),
            kind: NetworkKind::Hub,
            prefixes: vec![],
            mtu: 1500,
        };
        let lab = Lab {
            name: "huge".parse().unwrap(),
            networks: vec![],
            nodes: vec![],
            expectations: vec![],
            profile: Profile::Realistic,
            arp: Arp::Dynamic,
            dad: false,
        };
        let mut links = BTreeMap::new();
        let hub = Bridge { stp: None, learns: false, snoops_multicast: false };
        add_bridges(&mut links, &lab, &network, &hub, PORTS);
        assert_eq!(links.len(), 45 + 2 * 44, "45 bridges, 44 pairs between them, and no name twice");
        let mut ports: BTreeMap<IfName, usize> = BTreeMap::new();
        for master in links.values().filter_map(|link| link.master.clone()) {
            *ports.entry(master).or_default() += 1;
        }
        (0..PORTS).for_each(|index| *ports.entry(bridge_of_port(&network, index)).or_default() += 1);
        assert_eq!(ports.len(), 45);
        assert!(ports.values().all(|count| *count <= 1023), "{ports:?}");
    }
}

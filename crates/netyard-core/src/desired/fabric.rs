//! The bridges of a lab's networks: their names, and how a network of more than 1000 ports is spread over several.

use super::{link, veth};
use crate::lab::{Lab, Network};
use crate::mac::{Mac, fnv1a};
use crate::name::{IFNAME_LEN_MAX, IfName, NetworkName};
use crate::state::{Bridge, Link, LinkKind, Ns};
use std::collections::BTreeMap;

/// Interfaces per bridge. The kernel takes 1023 ports (net/bridge/br_private.h `BR_MAX_PORTS`, then EXFULL); the
/// rest is for the links between the bridges of one network.
pub const PORTS_PER_BRIDGE: usize = 1000;

/// Further bridges that one bridge of a network connects: 1000 interfaces, 20 of these and one towards the first
/// bridge stay below 1023.
const BRANCHES_PER_BRIDGE: usize = 20;

/// The name of a network's bridge in the fabric: the network's own where the kernel takes it as it is; otherwise
/// its first eight bytes, `~` and six characters of a hash. No network name has a `~`, so the two never clash.
///
/// ```
/// use netyard_core::{desired::fabric_bridge_name, name::NetworkName};
/// let bridge = |network| fabric_bridge_name(&NetworkName::new(network).unwrap()).to_string();
/// assert_eq!(bridge("lan"), "lan");
/// assert_eq!(bridge("upstairs-office-2").len(), 15);
/// assert!(bridge("upstairs-office-2").starts_with("upstairs~"));
/// ```
#[must_use]
pub fn fabric_bridge_name(network: &NetworkName) -> IfName {
    match IfName::new(network) {
        // `lo` is taken in every namespace.
        Ok(name) if name != "lo" => name,
        _ => shortened(network, ""),
    }
}

/// The name of another link of that network in the fabric: the network's, `~` and the suffix.
fn fabric_link_name(network: &NetworkName, suffix: &str) -> IfName {
    let whole = format!("{network}~{suffix}");
    IfName::new(whole).unwrap_or_else(|_| shortened(network, &format!("~{suffix}")))
}

fn shortened(network: &NetworkName, suffix: &str) -> IfName {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = fnv1a(0xcbf2_9ce4_8422_2325, network.as_str().as_bytes());
    let hash: String = (0..6).map(|n| char::from(ALPHABET[(hash >> (34 + 5 * n)) as usize % 32])).collect();
    let room = IFNAME_LEN_MAX.saturating_sub(1 + hash.len() + suffix.len());
    // Network names are ASCII, so that any cut is between characters.
    let head = &network.as_str()[..room.min(network.as_str().len())];
    IfName::new(format!("{head}~{hash}{suffix}")).expect("at most 15 bytes without blank, slash or colon")
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

//! Interfaces of devices that come and go while a lab runs.

use super::conf::domain_and_mac;
use crate::lab::{Interface, Lab, Network, NetworkKind};
use crate::look::label::label;
use crate::mac::Mac;
use crate::name::{IfName, NetworkName, NodeName};
use crate::shaping::Shaping;

/// Connects a node to a collision domain (`CD` or `CD/MAC`), by an interface with the next free number. A collision
/// domain is known by its name as a network.
///
/// # Errors
/// Why that cannot be, in words.
pub fn add(lab: &mut Lab, node: &NodeName, domain: &str) -> Result<IfName, String> {
    let (domain, mac) = domain_and_mac(domain).map_err(|(reason, _)| format!("`{domain}`: {reason}"))?;
    let network = network_of(&domain);
    let name = lab.name.clone();
    let Some(own) = lab.node(node.as_str()) else { return Err(format!("the lab has no node `{node}`")) };
    if own.interfaces.iter().any(|interface| interface.network == network) {
        return Err(format!("`{}` is on `{domain}` already", own.hostname()));
    }
    let interface = (0_u32..)
        .map(|number| IfName::shortened(&format!("eth{number}")))
        .find(|name| !own.has_link(name.as_str()))
        .ok_or("no number of an interface is left")?;
    let taken = |port: &IfName| {
        lab.nodes.iter().flat_map(|node| &node.interfaces).any(|other| other.port == *port)
            || lab.networks.iter().any(|network| network.bridge_name() == *port)
    };
    let ports = (0_u32..).map(|salt| IfName::shortened(&format!("{node}-{interface}-{salt}")));
    let port = ports.into_iter().find(|port| !taken(port)).ok_or("no name of a port is left")?;
    let mtu = lab.network(network.as_str()).map_or(1500, |network| network.mtu);
    let mac = mac.unwrap_or_else(|| Mac::of_interface(name.as_str(), node.as_str(), interface.as_str()));
    if lab.network(network.as_str()).is_none() {
        lab.networks.push(Network {
            name: network.clone(),
            kind: NetworkKind::Hub,
            prefixes: Vec::new(),
            mtu,
        });
    }
    let (up, down) = (Shaping::default(), Shaping::default());
    let new = Interface { name: interface.clone(), network, port, mac, mtu, addresses: Vec::new(), up, down };
    let own = lab.nodes.iter_mut().find(|other| other.name == *node).ok_or("the node is gone")?;
    own.interfaces.push(new);
    Ok(interface)
}

/// Disconnects a node from a collision domain; returns the interface that is gone.
///
/// # Errors
/// That it is not connected, in words.
pub fn remove(lab: &mut Lab, node: &NodeName, domain: &str) -> Result<IfName, String> {
    let network = network_of(domain);
    let own = lab.nodes.iter_mut().find(|other| other.name == *node).ok_or("the node is gone")?;
    let at = own.interfaces.iter().position(|interface| interface.network == network);
    let at = at.ok_or_else(|| format!("`{}` is not on `{domain}`", own.hostname()))?;
    Ok(own.interfaces.remove(at).name)
}

/// The network of a collision domain.
fn network_of(domain: &str) -> NetworkName {
    NetworkName::new(label(domain).as_str()).expect("the label of a node is one of a network")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_connected_and_disconnected() {
        let mut folder = super::super::Folder { name: "lab".into(), ..Default::default() };
        folder.texts.insert("lab.conf".into(), "a[0]=A\nb[0]=A\n".into());
        let mut lab = super::super::import(&folder, &super::super::Wishes::default()).unwrap().lab;
        let before = lab.clone();
        let node = lab.nodes[0].name.clone();
        assert_eq!(add(&mut lab, &node, "B/02:00:00:00:00:07").unwrap(), "eth1");
        assert_eq!(lab.nodes[0].interfaces[1].mac.to_string(), "02:00:00:00:00:07");
        assert_eq!(lab.networks[1].name, "b");
        assert_eq!(add(&mut lab, &node, "A").unwrap_err(), "`a` is on `A` already");
        assert!(add(&mut lab, &node, "x-y").unwrap_err().contains("not the name"));
        assert_eq!(remove(&mut lab, &node, "B").unwrap(), "eth1");
        assert_eq!(remove(&mut lab, &node, "B").unwrap_err(), "`a` is not on `B`");
        assert_eq!(lab.nodes, before.nodes);
    }
}

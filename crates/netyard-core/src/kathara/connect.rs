//! Interfaces of devices that come and go while a lab runs.

use super::conf::domain_and_mac;
use crate::lab::{Interface, Lab, Network, NetworkKind, Node};
use crate::look::label::Labels;
use crate::mac::Mac;
use crate::name::{IfName, NetworkName, NodeName};
use crate::shaping::Shaping;

/// Connects a node to a collision domain (`CD` or `CD/MAC`), by an interface with the next free number.
///
/// # Errors
/// Why that cannot be, in words.
pub fn add(lab: &mut Lab, node: &NodeName, domain: &str) -> Result<IfName, String> {
    let (domain, mac) = domain_and_mac(domain).map_err(|(reason, _)| format!("`{domain}`: {reason}"))?;
    let name = lab.name.clone();
    let Some(own) = lab.node(node.as_str()) else { return Err(format!("the lab has no node `{node}`")) };
    if own.interfaces.iter().any(|interface| domain_of(own, interface) == domain) {
        return Err(format!("`{}` is on `{domain}` already", own.hostname()));
    }
    let network = network_of(lab, &domain).unwrap_or_else(|| unused_network(lab, &domain));
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
    own.labels.insert(interface.to_string(), domain);
    Ok(interface)
}

/// Disconnects a node from a collision domain; returns the interface that is gone.
///
/// # Errors
/// That it is not connected, in words.
pub fn remove(lab: &mut Lab, node: &NodeName, domain: &str) -> Result<IfName, String> {
    let own = lab.nodes.iter_mut().find(|other| other.name == *node).ok_or("the node is gone")?;
    let at = own.interfaces.iter().position(|interface| domain_of(own, interface) == domain);
    let at = at.ok_or_else(|| format!("`{}` is not on `{domain}`", own.hostname()))?;
    let name = own.interfaces.remove(at).name;
    own.labels.remove(name.as_str());
    Ok(name)
}

/// The collision domain of an interface as it is written: networks have names of their own.
#[must_use]
pub fn domain_of<'a>(node: &'a Node, interface: &'a Interface) -> &'a str {
    node.labels.get(interface.name.as_str()).map_or(interface.network.as_str(), String::as_str)
}

/// The network of a collision domain that somebody is on.
fn network_of(lab: &Lab, domain: &str) -> Option<NetworkName> {
    let all = lab.nodes.iter().flat_map(|node| node.interfaces.iter().map(move |own| (node, own)));
    let mut of_domain = all.filter(|(node, interface)| domain_of(node, interface) == domain);
    of_domain.next().map(|(_, interface)| interface.network.clone())
}

/// A name for the network of a new collision domain.
fn unused_network(lab: &Lab, domain: &str) -> NetworkName {
    let mut labels = Labels::default();
    for network in &lab.networks {
        labels.give(network.name.as_str());
    }
    NetworkName::new(labels.give(domain).as_str()).expect("the label of a node is one of a network")
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
        assert_eq!(add(&mut lab, &node, "a").unwrap(), "eth1", "another one than `A`");
        assert_ne!(lab.nodes[0].interfaces[0].network, lab.nodes[0].interfaces[1].network);
        assert_eq!(domain_of(&lab.nodes[0], &lab.nodes[0].interfaces[1]), "a");
        assert_eq!(remove(&mut lab, &node, "A").unwrap(), "eth0");
    }
}

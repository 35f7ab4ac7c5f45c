//! Which link a frame was seen at: by namespace and number.

use crate::scout::LinkSeen;
use netyard_core::capture::Place;
use netyard_core::pcapng::LinkType;
use netyard_core::state::Ns;
use std::collections::HashMap;

/// All links that are known.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub(super) places: Vec<Place>,
    by_index: HashMap<(usize, u32), usize>,
    nodes: Vec<Node>,
    /// The number of the node of each place.
    node_of: Vec<usize>,
}

#[derive(Debug)]
struct Node {
    name: Ns,
    /// Its interfaces that are wanted; none for all.
    wanted: Option<Vec<String>>,
}

impl Links {
    /// The next node; its number is how many there were.
    pub(super) fn add_node(&mut self, name: Ns, wanted: Option<Vec<String>>) {
        self.nodes.push(Node { name, wanted });
    }

    /// Takes in the links of a node. One that is known already keeps its place.
    pub(super) fn learn(&mut self, node: usize, links: Vec<LinkSeen>) {
        let names: HashMap<u32, String> = links.iter().map(|link| (link.index, link.name.clone())).collect();
        let is_master = |index: u32| links.iter().any(|link| link.master == Some(index));
        for link in &links {
            if self.by_index.contains_key(&(node, link.index)) {
                continue;
            }
            let kind = match link.kind.as_str() {
                "" if link.is_loopback => "loopback",
                "" => "hardware",
                kind => kind,
            };
            let master = link.master.and_then(|master| names.get(&master));
            let description = match master {
                Some(master) => format!("{kind}, port of {master}"),
                None => kind.to_owned(),
            };
            self.add(
                node,
                Place {
                    node: self.nodes[node].name.clone(),
                    interface: link.name.clone(),
                    index: link.index,
                    description,
                    depth: u8::from(is_master(link.index)),
                    is_loopback: link.is_loopback,
                    link_type: if link.has_ethernet { LinkType::Ethernet } else { LinkType::Raw },
                },
            );
        }
    }

    fn add(&mut self, node: usize, place: Place) {
        self.by_index.insert((node, place.index), self.places.len());
        self.places.push(place);
        self.node_of.push(node);
    }

    /// The place of a link; `ask` tells the links of the node where it is not known yet.
    pub(super) fn place(&mut self, node: usize, index: u32, ask: impl FnOnce() -> Vec<LinkSeen>) -> usize {
        if let Some(place) = self.by_index.get(&(node, index)) {
            return *place;
        }
        self.learn(node, ask());
        if let Some(place) = self.by_index.get(&(node, index)) {
            return *place;
        }
        // It is gone already.
        let name = self.nodes[node].name.clone();
        self.add(
            node,
            Place {
                node: name,
                interface: format!("if{index}"),
                index,
                description: "gone".to_owned(),
                depth: 0,
                is_loopback: false,
                link_type: LinkType::Ethernet,
            },
        );
        self.places.len() - 1
    }

    /// Whether frames of a place are wanted.
    pub(super) fn is_selected(&self, place: usize) -> bool {
        let wanted = &self.nodes[self.node_of[place]].wanted;
        wanted.as_ref().is_none_or(|wanted| wanted.contains(&self.places[place].interface))
    }

    /// The number of the node that a place is in.
    pub(super) fn node_of(&self, place: usize) -> usize {
        self.node_of[place]
    }
}

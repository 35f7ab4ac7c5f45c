//! When a lab is ready: every link that shall carry packets does.

use crate::live::LiveError;
use crate::namespaces::{Namespaces, Open};
use netyard_core::name::IfName;
use netyard_core::state::{Link, LinkKind, Namespace, Ns, State};
use netyard_kernel::netlink::link::LOOPBACK;
use netyard_kernel::netlink::ready::{Awaited, wait};
use netyard_kernel::traveller::Traveller;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Instant;

impl Namespaces {
    /// Waits until every link of `state` carries packets, and every bridge port forwards. Returns those that do not
    /// at the deadline; none is good.
    ///
    /// Not awaited are links that are down or whose peer is, bridges without a port that is awaited, the loopback, and
    /// kinds that netyard does not make.
    ///
    /// # Errors
    /// The kernel's error, `ENODEV` when a link is gone meanwhile.
    pub fn wait_until_ready(
        &mut self,
        state: &State,
        deadline: Instant,
    ) -> Result<Vec<(Ns, IfName)>, LiveError> {
        let unready = Traveller::run(|traveller| {
            let mut places = Vec::new();
            let mut awaited = Vec::new();
            for (ns, open) in &mut self.open {
                let Some(namespace) = state.namespaces.get(ns) else { continue };
                let links = indexes(state, namespace, &open.links);
                if links.is_empty() {
                    continue;
                }
                open.route(traveller)?;
                let Open { fd, route: Some(socket), .. } = open else { continue };
                let has_spanning_tree = namespace.links.values().any(runs_spanning_tree);
                awaited.push(Awaited { ns: (*fd).as_fd(), socket, links, has_spanning_tree });
                places.push(ns.clone());
            }
            let unready = wait(traveller, &mut awaited, deadline)?;
            Ok::<_, LiveError>(
                unready.into_iter().map(|(at, index)| (places[at].clone(), index)).collect::<Vec<_>>(),
            )
        })??;
        Ok(unready.into_iter().filter_map(|(ns, index)| self.named(ns, index)).collect())
    }

    fn named(&self, ns: Ns, index: u32) -> Option<(Ns, IfName)> {
        let (name, _) = self.open.get(&ns)?.links.iter().find(|(_, known)| **known == index)?;
        Some((ns, name.clone()))
    }
}

fn indexes(state: &State, namespace: &Namespace, known: &HashMap<IfName, u32>) -> Vec<u32> {
    let is_awaited = |(name, link): &(&IfName, &Link)| match &link.kind {
        LinkKind::Veth { .. } => carries(state, link),
        LinkKind::Bridge(_) => {
            let is_port = |port: &&Link| port.master.as_ref() == Some(name);
            link.is_up && namespace.links.values().filter(is_port).any(|port| carries(state, port))
        }
        _ => false,
    };
    let awaited = namespace.links.iter().filter(is_awaited);
    awaited.filter_map(|(name, _)| known.get(name)).copied().filter(|index| *index != LOOPBACK).collect()
}

/// Whether a link is up, and its peer if it has one.
fn carries(state: &State, link: &Link) -> bool {
    let peer_is_up = match &link.kind {
        LinkKind::Veth { peer_ns, peer } => {
            let peer = state.namespaces.get(peer_ns).and_then(|namespace| namespace.links.get(peer));
            peer.is_none_or(|peer| peer.is_up)
        }
        _ => true,
    };
    link.is_up && peer_is_up
}

fn runs_spanning_tree(link: &Link) -> bool {
    matches!(&link.kind, LinkKind::Bridge(bridge) if bridge.stp.is_some())
}

//! Which link a link is cabled to, and which it stands on.

use super::{LiveError, Raw};
use crate::namespaces::Namespaces;
use netyard_core::name::IfName;
use netyard_core::state::Ns;
use netyard_kernel::netlink::link;
use netyard_kernel::netlink::link::Settings;
use std::collections::{BTreeMap, HashMap};

type End = (Ns, u32);

/// The other end of each veth whose two ends are in the lab.
///
/// The kernel names the ifindex of the peer, and its namespace by a number that only the link's own namespace knows:
/// links that name each other's ifindex are candidates, and the number decides.
pub(super) fn peers(
    namespaces: &mut Namespaces,
    raw: &BTreeMap<Ns, Raw>,
) -> Result<HashMap<End, (Ns, IfName)>, LiveError> {
    let mut by_indexes: HashMap<(u32, u32), Vec<(&Ns, &link::Link)>> = HashMap::new();
    for (ns, raw) in raw {
        for link in raw.links.iter().filter(|link| link.kind == "veth") {
            by_indexes.entry((link.index, link.peer.unwrap_or_default())).or_default().push((ns, link));
        }
    }
    let mut peers: HashMap<End, (Ns, IfName)> = HashMap::new();
    for ((index, peer), ends) in &by_indexes {
        for (ns, link) in ends {
            if peers.contains_key(&((*ns).clone(), *index)) {
                continue;
            }
            for (other_ns, other) in by_indexes.get(&(*peer, *index)).into_iter().flatten() {
                let names = (raw[*ns].names.get(index), raw[*other_ns].names.get(peer));
                let (Some(name), Some(other_name)) = names else { continue };
                if !is_at(namespaces, ns, link.peer_nsid, other_ns)? || other.index != *peer {
                    continue;
                }
                peers.insert(((*ns).clone(), *index), ((*other_ns).clone(), other_name.clone()));
                peers.insert(((*other_ns).clone(), *peer), ((*ns).clone(), name.clone()));
                break;
            }
        }
    }
    Ok(peers)
}

/// Whether the number that `ns` has for a namespace (none: itself) means `other`.
fn is_at(namespaces: &mut Namespaces, ns: &Ns, nsid: Option<i32>, other: &Ns) -> Result<bool, LiveError> {
    let Some(nsid) = nsid else { return Ok(ns == other) };
    // Taken out for the call: the descriptor of the other namespace is in the same map.
    let Some(mut socket) = namespaces.open.get_mut(ns).and_then(|open| open.route.take()) else {
        return Ok(false);
    };
    let answer = namespaces.fd(other).map(|fd| link::nsid(&mut socket, fd));
    if let Some(open) = namespaces.open.get_mut(ns) {
        open.route = Some(socket);
    }
    Ok(answer.transpose()? == Some(Some(nsid)))
}

/// The link below each link that stands on another one, where that is in the lab.
pub(super) fn parents(
    namespaces: &mut Namespaces,
    raw: &BTreeMap<Ns, Raw>,
) -> Result<HashMap<End, (Ns, IfName)>, LiveError> {
    let mut parents = HashMap::new();
    for (ns, own) in raw {
        for link in own.links.iter().filter(|link| link.kind != "veth") {
            let Some(index) = below(link) else { continue };
            let mut candidates = raw.iter().filter_map(|(other, raw)| Some((other, raw.names.get(&index)?)));
            // A link in the same namespace needs no question.
            let found = match link.peer_nsid {
                None => own.names.get(&index).map(|name| (ns, name)),
                Some(_) => loop {
                    match candidates.next() {
                        Some((other, _)) if !is_at(namespaces, ns, link.peer_nsid, other)? => {}
                        found => break found,
                    }
                },
            };
            if let Some((other, name)) = found {
                parents.insert((ns.clone(), link.index), (other.clone(), name.clone()));
            }
        }
    }
    Ok(parents)
}

/// The ifindex of the link below, in its own namespace.
pub(crate) fn below(link: &link::Link) -> Option<u32> {
    match link.settings {
        Settings::Vxlan { link, .. } => link,
        _ => link.peer.filter(|index| *index != 0),
    }
}

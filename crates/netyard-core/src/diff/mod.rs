//! The steps from one state to another.
//!
//! What the kernel takes away by itself has no step of its own, and is put back where it is wanted:
//! - a link that is deleted takes its peer, addresses, routes, neighbours, sysctls and qdisc with it, and its ports
//!   have no master any more;
//! - a link that is set down loses its routes, its neighbours and its IPv6 addresses;
//! - the last IPv4 address of a link takes the link's IPv4 routes and neighbours with it;
//! - a change of the Ethernet address takes the link's neighbours; the link is set down for it, so that its IPv6
//!   link-local address follows;
//! - turning IPv4 or IPv6 forwarding (or IPv6 itself) on or off for a namespace sets it for each interface.
//!
//! Routes with several next hops, and routes with a preferred source that goes, are deleted by a step before: what
//! remains of them differs between IPv4 and IPv6.

mod added;
mod kept;
mod removed;

pub use kept::with_changes_kept;

use crate::desired;
use crate::name::IfName;
use crate::state::{Link, LinkKind, Namespace, Ns, State};
use crate::step::Step;
use std::collections::BTreeMap;

/// The steps that turn the live state into the desired one, in an order that the kernel accepts.
///
/// Nothing that is as desired is touched. Removals come first, then namespaces, the fabric's bridges and all veth
/// pairs; then each namespace is configured, its steps next to each other. Links of another kind than loopback,
/// bridge and veth, and routes and neighbours on them, are left alone unless they are desired.
///
/// Of sysctls, the live state must hold what the kernel has for every key of the desired one; a key that it does not
/// hold is taken as missing in the kernel, see [`desired::sysctl_may_be_absent`].
///
/// A node of kind `host` has its namespace already: give the live state an (empty) entry for it; and if it is to
/// go, its links are deleted and the step [`Step::DeleteNamespace`] for it only gives it up.
#[must_use]
pub fn diff(live: &State, desired: &State) -> Vec<Step> {
    let born = Namespace {
        links: BTreeMap::from([(desired::loopback_name(), desired::loopback(false))]),
        ..Namespace::default()
    };
    let changes: Vec<Change<'_>> = desired
        .namespaces
        .iter()
        .map(|(ns, wanted)| Change::new(ns, live, desired, live.namespaces.get(ns), wanted, &born))
        .collect();
    let gone = live.namespaces.keys().filter(|ns| !desired.namespaces.contains_key(*ns));

    let mut steps = Vec::new();
    for change in changes.iter().filter(|change| !change.is_new) {
        removed::contents(change, &mut steps);
    }
    for change in changes.iter().filter(|change| !change.is_new) {
        removed::links(change, live, desired, &mut steps);
    }
    steps.extend(gone.map(|ns| Step::DeleteNamespace { ns: ns.clone() }));
    for change in &changes {
        added::namespace(change, &mut steps);
    }
    for change in changes.iter().filter(|change| *change.ns == Ns::Fabric) {
        added::bridges(change, &mut steps);
    }
    for change in &changes {
        added::veths(change, desired, &mut steps);
    }
    let stacked = added::stacked(&changes);
    let has_stacked = !stacked.is_empty();
    if has_stacked {
        // They may stand on bridges, of other nodes too.
        for change in changes.iter().filter(|change| *change.ns != Ns::Fabric) {
            added::bridges(change, &mut steps);
        }
        steps.extend(stacked);
    }
    for change in &changes {
        added::contents(change, has_stacked, &mut steps);
    }
    steps
}

/// As [`diff`], for a lab that had another desired state before: links that stand on others go when only that one had
/// them, where `diff` alone cannot tell them from those that somebody made by hand.
#[must_use]
pub fn diff_from(previous: &State, live: &State, desired: &State) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut left = live.clone();
    for (ns, namespace) in &previous.namespaces {
        let (Some(there), Some(wanted)) = (left.namespaces.get_mut(ns), desired.namespaces.get(ns)) else {
            continue;
        };
        for (name, _) in namespace.links.iter().filter(|(_, link)| is_stacked(link)) {
            let is_as_wanted =
                |link: &Link| wanted.links.get(name).is_some_and(|wanted| wanted.kind == link.kind);
            if there.links.get(name).is_none_or(|link| !is_stacked(link) || is_as_wanted(link)) {
                continue;
            }
            steps.push(Step::DeleteLink { ns: ns.clone(), name: name.clone() });
            there.links.remove(name);
            there.routes.retain(|route| !route.uses(name));
            there.neighbours.retain(|neighbour| neighbour.dev != *name);
        }
    }
    steps.extend(diff(&left, desired));
    steps
}

/// One desired namespace against its live self.
struct Change<'a> {
    ns: &'a Ns,
    live: &'a Namespace,
    desired: &'a Namespace,
    /// The namespace is to be made; `live` is what it has at birth.
    is_new: bool,
    /// Links that stay, as they are and as they should be.
    kept: BTreeMap<&'a IfName, (&'a Link, &'a Link)>,
}

impl<'a> Change<'a> {
    fn new(
        ns: &'a Ns,
        live_state: &State,
        desired_state: &State,
        live: Option<&'a Namespace>,
        desired: &'a Namespace,
        born: &'a Namespace,
    ) -> Self {
        let is_new = live.is_none();
        let live = live.unwrap_or(born);
        let both = desired.links.iter().filter_map(|(name, to)| Some((name, (live.links.get(name)?, to))));
        let kept = both
            .filter(|(name, (from, to))| is_same_link(live_state, desired_state, ns, name, (from, to)))
            .collect();
        Self { ns, live, desired, is_new, kept }
    }

    /// Whether a live link goes.
    fn is_lost(&self, name: &IfName) -> bool {
        !self.kept.contains_key(name) && self.live.links.get(name).is_some_and(is_ours)
    }

    /// Whether a live link is one that plans neither make nor remove, and nobody asks for.
    fn is_foreign(&self, name: &IfName) -> bool {
        !self.desired.links.contains_key(name) && self.live.links.get(name).is_some_and(|link| !is_ours(link))
    }

    /// Whether a link stays but is set down: for good, or for a moment to get another Ethernet address. Its link-local
    /// address is made of that, anew whenever it comes up (net/ipv6/addrconf.c).
    fn goes_down(&self, name: &IfName) -> bool {
        self.kept.get(name).is_some_and(|(from, to)| from.is_up && (!to.is_up || changes_mac(from, to)))
    }

    /// Whether a link stays but loses what is bound to its Ethernet address or to its being up.
    fn loses_neighbours(&self, name: &IfName) -> bool {
        self.goes_down(name) || self.kept.get(name).is_some_and(|(from, to)| changes_mac(from, to))
    }
}

/// Whether plans make and remove links of this kind.
fn is_ours(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Bridge(_))
}

/// Whether plans make links of this kind, where they are desired, but leave alone those that nobody asks for.
fn is_stacked(link: &Link) -> bool {
    use LinkKind::{Macvlan, Tun, Vlan, Vxlan};
    matches!(link.kind, Macvlan { .. } | Vlan { .. } | Vxlan(_) | Tun(_))
}

fn changes_mac(from: &Link, to: &Link) -> bool {
    to.mac.is_some() && to.mac != from.mac
}

/// Whether the live link can be made into the desired one: the same kind, and for a veth the same pair.
fn is_same_link(live: &State, desired: &State, ns: &Ns, name: &IfName, (from, to): (&Link, &Link)) -> bool {
    match (&from.kind, &to.kind) {
        (LinkKind::Loopback, LinkKind::Loopback) | (LinkKind::Bridge(_), LinkKind::Bridge(_)) => true,
        (LinkKind::Veth { peer_ns, peer }, LinkKind::Veth { .. }) => {
            from.kind == to.kind
                && [live, desired].iter().all(|state| is_veth_to(state, (peer_ns, peer), (ns, name)))
        }
        (LinkKind::Veth { .. }, _) => false,
        (from, to) => from == to,
    }
}

/// Whether a state has a veth whose peer is the other.
fn is_veth_to(state: &State, (ns, name): (&Ns, &IfName), other: (&Ns, &IfName)) -> bool {
    let link = state.namespaces.get(ns).and_then(|namespace| namespace.links.get(name));
    link.is_some_and(
        |link| matches!(&link.kind, LinkKind::Veth { peer_ns, peer } if (peer_ns, peer) == other),
    )
}

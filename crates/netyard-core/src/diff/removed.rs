//! The first half of a plan: what has to go.

use super::{Change, is_ours, is_veth_to};
use crate::name::IfName;
use crate::state::{LinkKind, Neighbour, Route, RouteTarget, State};
use crate::step::Step;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Removes tables, rules, routes, neighbours and addresses, and sets links down; links themselves stay yet.
pub(super) fn contents(change: &Change<'_>, steps: &mut Vec<Step>) {
    let ns = change.ns;
    let wanted: BTreeSet<_> = change.desired.tables.iter().map(|table| (table.family, &table.name)).collect();
    for table in change.live.tables.iter().filter(|table| !wanted.contains(&(table.family, &table.name))) {
        steps.push(Step::DeleteTable { ns: ns.clone(), family: table.family, name: table.name.clone() });
    }
    for rule in change.live.rules.difference(&change.desired.rules) {
        steps.push(Step::DeleteRule { ns: ns.clone(), rule: rule.clone() });
    }
    let losses = Losses::of(change);
    for route in losses.routes_to_delete() {
        steps.push(Step::DeleteRoute { ns: ns.clone(), route: route.clone() });
    }
    for neighbour in &change.live.neighbours {
        let dev = &neighbour.dev;
        let goes_by_itself = change.is_lost(dev) || losses.takes(neighbour) || change.is_foreign(dev);
        if !goes_by_itself && !change.desired.neighbours.contains(neighbour) {
            steps.push(Step::DeleteNeighbour { ns: ns.clone(), neighbour: neighbour.clone() });
        }
    }
    for (name, (from, to)) in &change.kept {
        for address in from.addresses.difference(&to.addresses) {
            if address.addr().is_ipv4() || !change.goes_down(name) {
                steps.push(Step::DeleteAddress { ns: ns.clone(), dev: (*name).clone(), address: *address });
            }
        }
        if change.goes_down(name) {
            steps.push(Step::SetLinkUp { ns: ns.clone(), name: (*name).clone(), is_up: false });
        }
    }
}

/// Deletes links; of a veth pair one end, by preference that of the first namespace.
pub(super) fn links(change: &Change<'_>, live: &State, desired: &State, steps: &mut Vec<Step>) {
    for (name, link) in change.live.links.iter().filter(|(name, link)| is_ours(link) && change.is_lost(name))
    {
        if let LinkKind::Veth { peer_ns, peer } = &link.kind {
            let own = (change.ns, name);
            let other = (peer_ns, peer);
            let goes_with_other =
                other < own && desired.namespaces.contains_key(peer_ns) && is_veth_to(live, other, own);
            if goes_with_other {
                continue;
            }
        }
        steps.push(Step::DeleteLink { ns: change.ns.clone(), name: name.clone() });
    }
}

/// What the removals of one namespace do to its routes and neighbours.
pub(super) struct Losses<'a> {
    change: &'a Change<'a>,
    /// Links that stay but lose their last IPv4 address.
    without_ipv4: BTreeSet<&'a IfName>,
    /// Addresses that go.
    addresses: BTreeSet<IpAddr>,
}

/// What becomes of a live route without a step of its own.
enum Fate {
    Stays,
    /// The kernel removes it.
    Vanishes,
    /// The kernel removes or changes part of it.
    Breaks,
}

impl<'a> Losses<'a> {
    pub(super) fn of(change: &'a Change<'a>) -> Self {
        let mut losses = Self { change, without_ipv4: BTreeSet::new(), addresses: BTreeSet::new() };
        for (name, link) in &change.live.links {
            match change.kept.get(name) {
                Some((from, to)) => {
                    let gone = from.addresses.iter().filter(|address| {
                        !to.addresses.contains(*address)
                            || (address.addr().is_ipv6() && change.goes_down(name))
                    });
                    losses.addresses.extend(gone.map(ipnet::IpNet::addr));
                    let mut ipv4 =
                        from.addresses.iter().filter(|address| address.addr().is_ipv4()).peekable();
                    if ipv4.peek().is_some() && !ipv4.any(|address| to.addresses.contains(address)) {
                        losses.without_ipv4.insert(name);
                    }
                }
                None if change.is_lost(name) => {
                    losses.addresses.extend(link.addresses.iter().map(ipnet::IpNet::addr));
                }
                None => {}
            }
        }
        losses
    }

    fn routes_to_delete(&self) -> impl Iterator<Item = &'a Route> + '_ {
        let live = self.change.live.routes.iter().filter(|route| !self.is_foreign(route));
        live.filter(|route| match self.fate(route) {
            Fate::Stays => !self.change.desired.routes.contains(*route),
            Fate::Vanishes => false,
            Fate::Breaks => true,
        })
    }

    /// The desired routes that are not there after the removals.
    pub(super) fn routes_to_add(&self) -> impl Iterator<Item = &'a Route> + '_ {
        let stays = |route: &Route| {
            self.change.live.routes.contains(route) && matches!(self.fate(route), Fate::Stays)
        };
        self.change.desired.routes.iter().filter(move |route| !stays(route))
    }

    /// Whether a neighbour of a link that stays goes by itself. With a link's last IPv4 address the kernel forgets all
    /// that ARP knows there, permanent entries as well (net/ipv4/fib_frontend.c, `fib_disable_ip`).
    pub(super) fn takes(&self, neighbour: &Neighbour) -> bool {
        let Neighbour { dev, to, .. } = neighbour;
        self.change.loses_neighbours(dev) || to.is_ipv4() && self.without_ipv4.contains(dev)
    }

    fn is_foreign(&self, route: &Route) -> bool {
        let mut devs = devs(route).peekable();
        devs.peek().is_some() && devs.all(|dev| self.change.is_foreign(dev))
    }

    fn fate(&self, route: &Route) -> Fate {
        let change = self.change;
        let vanishes_with = |dev: &IfName| {
            let loses_ipv4 = route.to.addr().is_ipv4() && self.without_ipv4.contains(dev);
            loses_ipv4 || change.is_lost(dev) || change.goes_down(dev)
        };
        let has_one_hop = devs(route).count() == 1;
        if devs(route).any(vanishes_with) {
            return if has_one_hop { Fate::Vanishes } else { Fate::Breaks };
        }
        if route.src.is_some_and(|src| self.addresses.contains(&src)) { Fate::Breaks } else { Fate::Stays }
    }
}

/// The interfaces that a route names.
fn devs(route: &Route) -> impl Iterator<Item = &IfName> {
    let (hops, local) = match &route.target {
        RouteTarget::Unicast(hops) => (hops.as_slice(), None),
        RouteTarget::Local(dev) => (&[][..], Some(dev)),
        RouteTarget::Unreachable | RouteTarget::Blackhole | RouteTarget::Prohibit => (&[][..], None),
    };
    hops.iter().map(|hop| &hop.dev).chain(local)
}

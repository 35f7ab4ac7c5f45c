//! Routes, gateways and neighbours: those written, and the default routes that follow from who forwards where.

use super::decode_route::KINDS_WITHOUT_HOP;
use super::read::Problems;
use super::resolve::Draft;
use super::resolve_view::{View, exits, is_global};
use super::suggest::nearest;
use super::syntax::{
    At, Destination, GatewayDecl, HopDecl, NeighbourDecl, NodeDecl, RouteDecl, RouteKind, Via,
};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{NodeKind, Role};
use crate::name::IfName;
use crate::state::{Neighbour, NextHop, Route, RouteTarget};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::HashMap;
use std::rc::Rc;

/// Gives every node its routes and neighbours.
pub(crate) fn add_routes(draft: &mut Draft, problems: &mut Problems) {
    let exits = exits(draft);
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        let errors_before = problems.errors();
        let mut routes: Vec<(Route, Span)> = Vec::new();
        let view = View { draft, exits: &exits, at, on_link: on_link(draft, at, &decl) };
        for route in decl.routes.iter().flatten() {
            view.route(route, &mut routes, problems);
        }
        match &decl.gateway {
            Some(gateway) => view.gateway(gateway, &mut routes, problems),
            None if decl.routes.as_ref().is_none_or(Vec::is_empty) => {
                routes.extend(view.implied().map(|route| (route, view.owner().span)));
            }
            None => {}
        }
        let rules = view.rules(decl.rules.iter().flatten(), problems);
        let neighbours =
            decl.neighbours.iter().flatten().filter_map(|n| view.neighbour(n, problems)).collect();
        refuse_duplicates(&routes, problems);
        let owner = &mut draft.nodes[at];
        owner.node.routes = routes.into_iter().map(|(route, _)| route).collect();
        owner.node.rules = rules;
        owner.node.neighbours = neighbours;
        owner.is_partial |= problems.errors() > errors_before;
    }
}

/// Prefixes that routes without gateway put on a link of the node: gateways may be there.
fn on_link(draft: &Draft, at: usize, decl: &NodeDecl) -> Vec<(IpNet, IfName)> {
    let mut found = Vec::new();
    for route in decl.routes.iter().flatten() {
        let (Destination::Prefix(to), [hop]) = (&route.to.value, &route.hops[..]) else { continue };
        if let (None, Some(dev)) = (&hop.via, &hop.dev) {
            // What cannot be found is reported where the route itself is written.
            let errors = &mut Problems::default();
            found.extend(draft.find_devs(at, dev, errors).into_iter().map(|dev| (*to, dev)));
        }
    }
    found
}

/// The default route's destination of a family.
fn everywhere(is_ipv6: bool) -> IpNet {
    if is_ipv6 { IpNet::V6(Ipv6Net::default()) } else { IpNet::V4(Ipv4Net::default()) }
}

impl View<'_> {
    fn gateway(&self, decl: &At<GatewayDecl>, routes: &mut Vec<(Route, Span)>, problems: &mut Problems) {
        let GatewayDecl::Via(gateways) = &decl.value else { return };
        for gateway in gateways {
            match &gateway.value {
                Via::Address(address) => {
                    let Some(hop) = self.hop_to_address(*address, gateway.span, problems) else { continue };
                    routes.push((Route::unicast(everywhere(address.is_ipv6()), hop), gateway.span));
                }
                Via::Node(name) => {
                    let Some(other) = self.other(name, gateway.span, problems) else { continue };
                    let hops = [false, true].map(|is_ipv6| (is_ipv6, self.hop_to_node(other, is_ipv6)));
                    if hops.iter().all(|(_, hop)| hop.is_none()) {
                        problems.extend(self.no_common_network(other, gateway.span));
                    }
                    for (is_ipv6, hop) in hops {
                        let Some((via, dev)) = hop else { continue };
                        routes.push((Route::via(everywhere(is_ipv6), via, dev), gateway.span));
                    }
                }
            }
        }
    }

    /// The default routes of a node that says nothing about routes.
    ///
    /// On one network, the way out is the node of role `internet` there if it is the only one, else the only node
    /// that forwards. A node that forwards itself has a way out only by the one `internet` node next to it.
    fn implied(&self) -> impl Iterator<Item = Route> + '_ {
        let node = &self.owner().node;
        let is_asked = node.role != Role::Internet && node.kind != NodeKind::Host && node.uplink.is_none();
        let families = if is_asked { &[false, true][..] } else { &[] };
        families.iter().filter_map(|is_ipv6| {
            let other = self.way_out(*is_ipv6)?;
            let (via, dev) = self.hop_to_node(other, *is_ipv6)?;
            Some(Route::via(everywhere(*is_ipv6), via, dev))
        })
    }

    fn route(&self, decl: &RouteDecl, routes: &mut Vec<(Route, Span)>, problems: &mut Problems) {
        let Some(destinations) = self.destinations(decl, problems) else { return };
        if decl.kind == RouteKind::Unicast && decl.hops.is_empty() {
            let problem =
                Diagnostic::new(Code::RouteWithoutNextHop, decl.to.span).label("neither `via` nor `dev`");
            problems.push(problem.help("for example `via: 10.0.1.254`, or `kind: unreachable`"));
            return;
        }
        if let Some(src) = decl.src.filter(|src| !self.has(src.value) && !self.owner().is_partial) {
            let label = format!("`{}` does not have it", self.owner().node.name);
            problems.push(Diagnostic::new(Code::SourceNotOwn, src.span).label(label));
        }
        let mut written = 0;
        let errors_before = problems.errors();
        for to in &destinations {
            let is_ipv6 = to.addr().is_ipv6();
            let hops: Vec<NextHop> = decl
                .hops
                .iter()
                .filter_map(|hop| self.hop(hop, is_ipv6, destinations.len() > 1, problems))
                .collect();
            let target = match decl.kind {
                RouteKind::Unreachable => RouteTarget::Unreachable,
                RouteKind::Blackhole => RouteTarget::Blackhole,
                RouteKind::Prohibit => RouteTarget::Prohibit,
                RouteKind::Unicast if hops.len() < decl.hops.len() => continue,
                RouteKind::Unicast => RouteTarget::Unicast(hops),
            };
            let src = decl.src.map(|src| src.value).filter(|src| src.is_ipv6() == is_ipv6);
            let metric = decl.metric.unwrap_or_else(|| Route::metric_default(*to));
            routes.push((Route { to: *to, target, src, metric, table: decl.table }, decl.to.span));
            written += 1;
        }
        if written == 0 && problems.errors() == errors_before && !self.owner().is_partial {
            problems.extend(self.why_nothing(decl));
        }
    }

    /// Why no destination of a route has a next hop of its family.
    fn why_nothing(&self, decl: &RouteDecl) -> Option<Diagnostic> {
        let via = decl.hops.iter().find_map(|hop| hop.via.as_ref())?;
        match &via.value {
            Via::Node(name) => self.no_common_network(*self.draft.node_index.get(name)?, via.span),
            Via::Address(address) => {
                let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
                let label = format!("an {family} gateway, but the destination has no {family} prefix");
                Some(Diagnostic::new(Code::FamiliesMixed, via.span).label(label))
            }
        }
    }

    /// The prefixes that a route leads to: of one family where it is written, else of those that can be meant.
    fn destinations(&self, decl: &RouteDecl, problems: &mut Problems) -> Option<Vec<IpNet>> {
        match &decl.to.value {
            Destination::Prefix(net) => Some(vec![*net]),
            Destination::Default => Some(self.default_families(decl).into_iter().map(everywhere).collect()),
            Destination::Named(name) => self.prefixes_of(name, decl.to.span, problems),
        }
    }

    /// The prefixes of a network, or the first address of each family of a node.
    pub(super) fn prefixes_of(&self, name: &str, span: Span, problems: &mut Problems) -> Option<Vec<IpNet>> {
        let draft = self.draft;
        if let Some(at) = draft.network_index.get(name) {
            let network = &draft.networks[*at];
            if network.network.prefixes.is_empty() && !network.is_partial {
                let problem = Diagnostic::new(Code::BadDestination, span);
                problems.push(problem.label(format!("`{name}` has no prefix")));
            }
            return Some(network.network.prefixes.clone()).filter(|prefixes| !prefixes.is_empty());
        }
        if let Some(at) = draft.node_index.get(name) {
            let node = &draft.nodes[*at].node;
            let first = [node.address(Some(false)), node.address(Some(true))];
            return Some(first.into_iter().flatten().map(IpNet::from).collect());
        }
        if !draft.may_be_network(name) && !draft.may_be_node(name) {
            let known = draft.networks.iter().map(|n| n.network.name.as_str()).chain(["default"]);
            problems.unknown(Code::BadDestination, name, span, known);
        }
        None
    }

    /// The families of `to: default`: that of the gateway, or those of the interface.
    fn default_families(&self, decl: &RouteDecl) -> Vec<bool> {
        let Some(hop) = decl.hops.first() else { return vec![false] };
        match hop.via.as_ref().map(|via| &via.value) {
            Some(Via::Address(address)) => vec![address.is_ipv6()],
            Some(Via::Node(_)) => vec![false, true],
            None => {
                let dev = hop.dev.as_ref().map(|dev| dev.value.as_str());
                let endpoint = self.owner().endpoints.iter().find(|e| Some(e.dev.as_str()) == dev);
                let has_ipv6 = endpoint.is_some_and(|e| {
                    !e.addresses.is_empty() && e.addresses.iter().all(|a| a.addr().is_ipv6())
                });
                vec![has_ipv6]
            }
        }
    }

    fn hop(
        &self,
        decl: &HopDecl,
        is_ipv6: bool,
        is_one_of_many: bool,
        problems: &mut Problems,
    ) -> Option<NextHop> {
        let dev = match &decl.dev {
            Some(word) => Some(self.draft.find_devs(self.at, word, problems).into_iter().next()?),
            None => None,
        };
        let (weight, onlink) = (decl.weight, decl.onlink);
        let Some(via) = &decl.via else {
            return dev.map(|dev| NextHop { via: None, dev, weight, onlink });
        };
        match &via.value {
            Via::Address(address) if address.is_ipv6() != is_ipv6 => {
                if !is_one_of_many {
                    let label = if is_ipv6 {
                        "an IPv4 gateway for an IPv6 prefix"
                    } else {
                        "an IPv6 gateway for an IPv4 prefix"
                    };
                    problems.push(Diagnostic::new(Code::FamiliesMixed, via.span).label(label));
                }
                None
            }
            Via::Address(address) => {
                let is_link_local = is_ipv6 && !is_global(*address);
                if let Some(dev) = dev.clone().filter(|_| onlink || is_link_local) {
                    return Some(NextHop { via: Some(*address), dev, weight, onlink });
                }
                let hop = self.hop_to_address(*address, via.span, problems)?;
                Some(NextHop { weight, onlink, dev: dev.unwrap_or(hop.dev), ..hop })
            }
            Via::Node(name) => {
                if let Some(problem) = self.misspelt_kind(name, via.span) {
                    problems.push(problem);
                    return None;
                }
                let other = self.other(name, via.span, problems)?;
                let (address, own_dev) = match self.hop_to_node(other, is_ipv6) {
                    Some(hop) => hop,
                    None if is_one_of_many => return None,
                    None => {
                        problems.extend(self.no_common_network(other, via.span));
                        return None;
                    }
                };
                Some(NextHop { via: Some(address), dev: dev.unwrap_or(own_dev), weight, onlink })
            }
        }
    }

    /// A word that is no node, but nearly a kind of route.
    fn misspelt_kind(&self, name: &str, span: Span) -> Option<Diagnostic> {
        if self.draft.node_index.contains_key(name) || self.draft.may_be_node(name) {
            return None;
        }
        let nodes = self.draft.nodes.iter().map(|node| node.node.name.as_str());
        let near = nearest(name, nodes.chain(KINDS_WITHOUT_HOP))?;
        let is_kind = KINDS_WITHOUT_HOP.contains(&near);
        let problem = Diagnostic::new(Code::UnknownMember, span).label(format!("`{name}` is not defined"));
        is_kind.then(|| problem.help(format!("did you mean `{near}`?")))
    }

    fn neighbour(&self, decl: &NeighbourDecl, problems: &mut Problems) -> Option<Neighbour> {
        let span = decl.to.span;
        let dev = match &decl.dev {
            Some(word) => Some(self.draft.find_devs(self.at, word, problems).into_iter().next()?),
            None => None,
        };
        let (to, own_dev) = match &decl.to.value {
            Via::Address(address) => (*address, self.dev_for(*address)),
            Via::Node(name) => {
                let other = self.other(name, span, problems)?;
                let hop = self.hop_to_node(other, false).or_else(|| self.hop_to_node(other, true));
                let Some((address, dev)) = hop else {
                    problems.extend(self.no_common_network(other, span));
                    return None;
                };
                (address, Some(dev))
            }
        };
        let Some(dev) = dev.or(own_dev) else {
            problems.extend(self.unreachable(Code::NeighbourUnreachable, to, span));
            return None;
        };
        let owner = self.draft.owners.get(&to).and_then(|owners| owners.first());
        let known = owner.map(|(node, endpoint)| self.draft.nodes[*node].endpoints[*endpoint].mac);
        let Some(mac) = decl.mac.or(known) else {
            let problem =
                Diagnostic::new(Code::MissingKey, span).label("no node has it: its `mac` must be given");
            problems.push(problem.help(format!("for example `{to}: 02:00:00:00:00:01`")));
            return None;
        };
        Some(Neighbour { dev, to, mac })
    }
}

fn refuse_duplicates(routes: &[(Route, Span)], problems: &mut Problems) {
    let mut seen: HashMap<(IpNet, u32, u32), Span> = HashMap::new();
    for (route, span) in routes {
        if let Some(first) = seen.insert((route.to, route.table, route.metric), *span) {
            let label = format!("{} with metric {} again", route.to, route.metric);
            let problem = Diagnostic::new(Code::DuplicateRoute, *span).label(label);
            let help = "give one another `metric`, or join their next hops under `hops`";
            problems.push(problem.related(first, "first here").help(help));
        }
    }
}

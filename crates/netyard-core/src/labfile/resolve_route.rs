//! Routes, gateways and neighbours: those written, and the default routes that follow from who forwards where.

use super::read::Problems;
use super::resolve::{Draft, NodeDraft};
use super::syntax::{
    At, Destination, GatewayDecl, HopDecl, NeighbourDecl, NodeDecl, RouteDecl, RouteKind, Via,
};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{NodeKind, Role};
use crate::name::IfName;
use crate::state::{Neighbour, NextHop, Route, RouteTarget};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

/// Gives every node its routes and neighbours.
pub(crate) fn add_routes(draft: &mut Draft, problems: &mut Problems) {
    let exits = exits(draft);
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        let errors_before = problems.errors();
        let mut routes: Vec<(Route, Span)> = Vec::new();
        let writer = Writer { draft, exits: &exits, at, on_link: on_link(draft, at, &decl) };
        for route in decl.routes.iter().flatten() {
            writer.route(route, &mut routes, problems);
        }
        match &decl.gateway {
            Some(gateway) => writer.gateway(gateway, &mut routes, problems),
            None if decl.routes.as_ref().is_none_or(Vec::is_empty) => {
                routes.extend(writer.implied().map(|route| (route, writer.owner().span)));
            }
            None => {}
        }
        let neighbours =
            decl.neighbours.iter().flatten().filter_map(|n| writer.neighbour(n, problems)).collect();
        refuse_duplicates(&routes, problems);
        let owner = &mut draft.nodes[at];
        owner.node.routes = routes.into_iter().map(|(route, _)| route).collect();
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

/// The nodes of a segment that may be a way out of it.
#[derive(Default, Clone)]
struct Exits {
    internet: Vec<usize>,
    forwarders: Vec<usize>,
}

/// For each segment the ways out by IPv4 and by IPv6.
fn exits(draft: &Draft) -> Vec<[Exits; 2]> {
    let mut exits: Vec<[Exits; 2]> = vec![Default::default(); draft.segments.len()];
    for (segment, exits) in draft.segments.iter().zip(&mut exits) {
        for (at, endpoint) in segment {
            let other = &draft.nodes[*at];
            for is_ipv6 in [false, true] {
                let addresses = &other.endpoints[*endpoint].addresses;
                if !addresses.iter().any(|net| net.addr().is_ipv6() == is_ipv6) {
                    continue;
                }
                let exits = &mut exits[usize::from(is_ipv6)];
                let forwards = if is_ipv6 { other.node.forwards_ipv6 } else { other.node.forwards_ipv4 };
                if other.node.role == Role::Internet {
                    exits.internet.push(*at);
                } else if forwards {
                    exits.forwarders.push(*at);
                }
            }
        }
    }
    exits
}

/// Writes the routes of one node.
struct Writer<'a> {
    draft: &'a Draft,
    exits: &'a [[Exits; 2]],
    at: usize,
    on_link: Vec<(IpNet, IfName)>,
}

impl Writer<'_> {
    fn owner(&self) -> &NodeDraft {
        &self.draft.nodes[self.at]
    }

    /// The link on which an address is.
    fn dev_for(&self, address: IpAddr) -> Option<IfName> {
        let owner = self.owner();
        let endpoint = owner.endpoints.iter().find(|endpoint| endpoint.reaches(address));
        let by_route =
            || self.on_link.iter().find(|(net, _)| net.contains(&address)).map(|(_, dev)| dev.clone());
        let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let only = || match &owner.endpoints[..] {
            [only] if is_link_local => Some(only.dev.clone()),
            _ => None,
        };
        endpoint.map(|endpoint| endpoint.dev.clone()).or_else(by_route).or_else(only)
    }

    /// An address of another node that is on a link of this one, of one family.
    fn hop_to_node(&self, other: usize, is_ipv6: bool) -> Option<(IpAddr, IfName)> {
        let other = &self.draft.nodes[other];
        for endpoint in &self.owner().endpoints {
            let same_segment = other.endpoints.iter().filter(|theirs| theirs.segment == endpoint.segment);
            let addresses = same_segment.flat_map(|theirs| &theirs.addresses).map(IpNet::addr);
            let mut usable = addresses.filter(|a| a.is_ipv6() == is_ipv6 && endpoint.reaches(*a));
            if let Some(address) = usable.next() {
                return Some((address, endpoint.dev.clone()));
            }
        }
        None
    }

    fn has(&self, address: IpAddr) -> bool {
        self.owner().endpoints.iter().flat_map(|e| &e.addresses).any(|net| net.addr() == address)
    }

    fn prefixes(&self) -> String {
        let nets =
            self.owner().endpoints.iter().flat_map(|e| &e.addresses).map(|net| net.trunc().to_string());
        let nets: BTreeSet<String> = nets.collect();
        nets.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The problem of a gateway that is on no link.
    fn unreachable(&self, code: Code, address: IpAddr, span: Span) -> Option<Diagnostic> {
        if self.owner().is_partial {
            return None;
        }
        let name = &self.owner().node.name;
        let prefixes = self.prefixes();
        let label = if prefixes.is_empty() {
            format!("`{name}` has no address")
        } else {
            format!("`{name}` is on {prefixes}; {address} is not")
        };
        let help = "a gateway must be on a network of the node, or `onlink: true` with `dev`";
        Some(Diagnostic::new(code, span).label(label).help(help))
    }

    fn no_common_network(&self, other: usize, span: Span) -> Option<Diagnostic> {
        let other = &self.draft.nodes[other];
        if self.owner().is_partial || other.is_partial {
            return None;
        }
        let label = format!(
            "`{}` and `{}` have no network with addresses in common",
            self.owner().node.name,
            other.node.name
        );
        Some(
            Diagnostic::new(Code::NoCommonNetwork, span)
                .label(label)
                .help("name an address on one of its networks"),
        )
    }

    /// Warns when nobody in sight has a gateway's address.
    fn check_somebody_has(&self, address: IpAddr, span: Span, problems: &mut Problems) {
        if self.draft.owners.contains_key(&address) || address.is_ipv6() && !is_global(address) {
            return;
        }
        let here = self.owner().endpoints.iter().filter(|e| e.reaches(address)).filter_map(|e| e.segment);
        let others: Vec<usize> =
            here.flat_map(|segment| self.draft.segments[segment].iter().map(|(node, _)| *node)).collect();
        let may_have = |at: &usize| {
            let other = &self.draft.nodes[*at];
            let node = &other.node;
            other.is_partial
                || node.role == Role::Internet
                || node.kind == NodeKind::Host
                || node.uplink.is_some()
                || !node.programs.is_empty()
        };
        if others.is_empty() || others.iter().any(may_have) {
            return;
        }
        let forwards = |at: &&usize| {
            let node = &self.draft.nodes[**at].node;
            **at != self.at && if address.is_ipv6() { node.forwards_ipv6 } else { node.forwards_ipv4 }
        };
        let problem = Diagnostic::new(Code::NobodyHasGateway, span).label(format!("no node has {address}"));
        let router = others.iter().find(forwards).and_then(|at| {
            let (own, _) = self.hop_to_node(*at, address.is_ipv6())?;
            Some(format!("did you mean {own}, which `{}` has?", self.draft.nodes[*at].node.name))
        });
        problems.push(match router {
            Some(help) => problem.help(help),
            None => problem,
        });
    }

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

    /// Another node by name; the node itself is refused.
    fn other(&self, name: &str, span: Span, problems: &mut Problems) -> Option<usize> {
        let other = self.draft.find_node(name, span, problems)?;
        if other == self.at {
            let label = format!("this is `{name}` itself");
            problems.push(Diagnostic::new(Code::GatewayIsSelf, span).label(label));
            return None;
        }
        Some(other)
    }

    fn hop_to_address(&self, address: IpAddr, span: Span, problems: &mut Problems) -> Option<NextHop> {
        if self.has(address) {
            let label = format!("{address} is an address of `{}`", self.owner().node.name);
            problems.push(Diagnostic::new(Code::GatewayIsSelf, span).label(label));
            return None;
        }
        let Some(dev) = self.dev_for(address) else {
            problems.extend(self.unreachable(Code::GatewayUnreachable, address, span));
            return None;
        };
        self.check_somebody_has(address, span, problems);
        Some(NextHop { via: Some(address), dev, weight: 1, onlink: false })
    }

    /// The default routes of a node that says nothing about routes.
    ///
    /// On one network, the way out is the node of role `internet` there if it is the only one, else the only node
    /// that forwards. A node that forwards itself has a way out only by the one `internet` node next to it.
    fn implied(&self) -> impl Iterator<Item = Route> + '_ {
        let node = &self.owner().node;
        let is_asked = node.role != Role::Internet && node.kind == NodeKind::Net && node.uplink.is_none();
        let families = if is_asked { &[false, true][..] } else { &[] };
        families.iter().filter_map(|is_ipv6| {
            let other = self.way_out(*is_ipv6)?;
            let (via, dev) = self.hop_to_node(other, *is_ipv6)?;
            Some(Route::via(everywhere(*is_ipv6), via, dev))
        })
    }

    fn way_out(&self, is_ipv6: bool) -> Option<usize> {
        let owner = self.owner();
        let has_family = |nets: &[IpNet]| nets.iter().any(|net| net.addr().is_ipv6() == is_ipv6);
        let segments: BTreeSet<usize> =
            owner.endpoints.iter().filter(|e| has_family(&e.addresses)).filter_map(|e| e.segment).collect();
        let exits = segments.iter().map(|segment| &self.exits[*segment][usize::from(is_ipv6)]);
        let internet = self.only_other(exits.clone().flat_map(|exits| &exits.internet));
        if owner.node.forwards_ipv4 || owner.node.forwards_ipv6 {
            return internet;
        }
        if owner_segments(owner) != 1 {
            return None;
        }
        internet.or_else(|| self.only_other(exits.flat_map(|exits| &exits.forwarders)))
    }

    /// The only node of some that is not this one.
    fn only_other<'n>(&self, nodes: impl Iterator<Item = &'n usize>) -> Option<usize> {
        let mut others = nodes.copied().filter(|node| *node != self.at);
        let first = others.next()?;
        others.all(|node| node == first).then_some(first)
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
        let draft = self.draft;
        match &decl.to.value {
            Destination::Prefix(net) => Some(vec![*net]),
            Destination::Default => Some(self.default_families(decl).into_iter().map(everywhere).collect()),
            Destination::Named(name) => {
                if let Some(at) = draft.network_index.get(name) {
                    let network = &draft.networks[*at];
                    if network.network.prefixes.is_empty() && !network.is_partial {
                        let problem = Diagnostic::new(Code::BadDestination, decl.to.span);
                        problems.push(problem.label(format!("`{name}` has no prefix")));
                    }
                    return Some(network.network.prefixes.clone()).filter(|prefixes| !prefixes.is_empty());
                }
                if let Some(at) = draft.node_index.get(name) {
                    let node = &draft.nodes[*at].node;
                    let first = [node.address(Some(false)), node.address(Some(true))];
                    return Some(first.into_iter().flatten().map(IpNet::from).collect());
                }
                if !draft.refused_networks.contains(name) && !draft.refused_nodes.contains(name) {
                    let known = draft.networks.iter().map(|n| n.network.name.as_str()).chain(["default"]);
                    problems.push(super::expand::unknown(Code::BadDestination, name, decl.to.span, known));
                }
                None
            }
        }
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

/// On how many segments a node has addresses.
fn owner_segments(owner: &NodeDraft) -> usize {
    let with_addresses = owner.endpoints.iter().filter(|endpoint| !endpoint.addresses.is_empty());
    with_addresses.filter_map(|endpoint| endpoint.segment).collect::<BTreeSet<_>>().len()
}

fn is_global(address: IpAddr) -> bool {
    !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
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

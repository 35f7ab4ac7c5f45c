//! Routes, gateways, forwarding and neighbours of a node: tree to what is written.

use super::read::{Fields, Problems, as_switch, one_or_many};
use super::syntax::{
    At, Destination, ForwardDecl, GatewayDecl, HopDecl, NeighbourDecl, RouteDecl, RouteKind, Via, Word,
};
use super::tree::{Tree, Value};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::state::Route;
use ipnet::IpNet;
use std::net::IpAddr;

/// Routes: a list of maps, or a map from destination to gateway.
pub(crate) fn list(tree: &Tree, problems: &mut Problems) -> Vec<RouteDecl> {
    let mut routes = Vec::new();
    match &tree.value {
        Value::Null => {}
        Value::List(items) => {
            for item in items {
                match &item.value {
                    Value::Map(entries) if entries.iter().any(|e| e.key == "to") => {
                        routes.extend(long(item, problems));
                    }
                    Value::Map(_) if is_short(item) => short(item, &mut routes, problems),
                    _ => routes.extend(long(item, problems)),
                }
            }
        }
        _ => short(tree, &mut routes, problems),
    }
    routes
}

/// Whether the keys of a map are destinations.
fn is_short(tree: &Tree) -> bool {
    let Value::Map(entries) = &tree.value else { return false };
    entries.iter().any(|e| e.key == "default" || e.key.contains('/') || e.key.parse::<IpAddr>().is_ok())
}

fn short(tree: &Tree, routes: &mut Vec<RouteDecl>, problems: &mut Problems) {
    for entry in problems.entries(tree, "a list of routes, or a map such as `10.0.2.0/24: 10.0.1.254`") {
        let Some(to) = destination(&entry.key, entry.key_span, problems) else { continue };
        let mut route = plain(to);
        match &entry.value.value {
            Value::Map(_) => {
                let Some(mut fields) = problems.fields(&entry.value, "a map") else { continue };
                rest(&mut route, &mut fields, problems);
                fields.finish(problems);
            }
            _ => {
                let Some(text) = problems.text(&entry.value, "the gateway") else { continue };
                match kind_of(text) {
                    Some(kind) => route.kind = kind,
                    None => route.hops.push(hop_via(via(text, entry.value.span))),
                }
            }
        }
        routes.push(route);
    }
}

fn plain(to: At<Destination>) -> RouteDecl {
    let kind = RouteKind::Unicast;
    RouteDecl { to, hops: Vec::new(), kind, src: None, metric: None, table: Route::TABLE_MAIN }
}

fn hop_via(via: At<Via>) -> HopDecl {
    HopDecl { via: Some(via), dev: None, weight: 1, onlink: false }
}

fn long(tree: &Tree, problems: &mut Problems) -> Option<RouteDecl> {
    let mut fields = problems.fields(tree, "a route such as `{ to: 10.0.2.0/24, via: 10.0.1.254 }`")?;
    let to = match fields.get("to") {
        Some(tree) => {
            problems.text(tree, "a destination").and_then(|text| destination(text, tree.span, problems))
        }
        None => {
            let help = "a route begins with its destination, for example `to: default`";
            fields.missing("to", tree.span, help);
            None
        }
    };
    let mut route = plain(to.clone().unwrap_or(At::new(Destination::Default, tree.span)));
    rest(&mut route, &mut fields, problems);
    fields.finish(problems);
    to.map(|_| route)
}

/// Every key of a route but `to`.
fn rest(route: &mut RouteDecl, fields: &mut Fields<'_>, problems: &mut Problems) {
    let kinds = [
        ("unicast", RouteKind::Unicast),
        ("unreachable", RouteKind::Unreachable),
        ("blackhole", RouteKind::Blackhole),
        ("prohibit", RouteKind::Prohibit),
    ];
    let kind_entry = fields.entry("kind");
    route.kind = kind_entry.and_then(|e| problems.choice(&e.value, &kinds)).unwrap_or(RouteKind::Unicast);
    let via_entry = fields.entry("via").or_else(|| fields.entry("dev"));
    let hops_entry = fields.entry("hops");
    let hop = hop(fields, problems);
    route.src = fields.get("src").and_then(|t| problems.address(t).map(|a| At::new(a, t.span)));
    route.metric = fields.get("metric").and_then(|t| problems.number(t, 0, u64::from(u32::MAX)));
    route.table = fields.get("table").and_then(|t| table(t, problems)).unwrap_or(Route::TABLE_MAIN);
    if let (Some(first), Some(second)) = (via_entry, hops_entry) {
        problems.exclude(first, second);
    }
    match hops_entry {
        Some(entry) => {
            for item in one_or_many(&entry.value) {
                route.hops.extend(hop_of(item, problems));
            }
        }
        None => route.hops.extend(hop),
    }
    if let (Some(kind), Some(given)) =
        (kind_entry.filter(|_| route.kind != RouteKind::Unicast), via_entry.or(hops_entry))
    {
        let label = "such a route has no next hop";
        let problem = Diagnostic::new(Code::KeysExclude, given.key_span).label(label);
        problems.push(problem.related(kind.key_span, "because of this"));
        route.hops.clear();
    }
}

/// The keys of one next hop; none when neither `via` nor `dev` is given.
fn hop(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<HopDecl> {
    let via_tree = fields.get("via");
    let via = via_tree.and_then(|t| problems.text(t, "an address or a node").map(|text| via(text, t.span)));
    let dev_tree = fields.get("dev");
    let dev = dev_tree.and_then(|t| problems.word(t, "an interface or a network"));
    let weight = fields.get("weight").and_then(|t| problems.number(t, 1, 256)).unwrap_or(1);
    let onlink = fields.get("onlink").and_then(|t| problems.switch(t)).unwrap_or(false);
    via_tree.or(dev_tree)?;
    Some(HopDecl { via, dev, weight, onlink })
}

fn hop_of(tree: &Tree, problems: &mut Problems) -> Option<HopDecl> {
    if let Value::Scalar { text, .. } = &tree.value {
        return Some(hop_via(via(text, tree.span)));
    }
    let mut fields = problems.fields(tree, "a next hop such as `{ via: 10.0.1.254, weight: 2 }`")?;
    let hop = hop(&mut fields, problems);
    if hop.is_none() {
        let problem = Diagnostic::new(Code::RouteWithoutNextHop, tree.span);
        problems.push(problem.label("neither `via` nor `dev`"));
    }
    fields.finish(problems);
    hop
}

/// A routing table, by its number or its name in ip-route(8).
pub(crate) fn table(tree: &Tree, problems: &mut Problems) -> Option<u32> {
    match &tree.value {
        Value::Scalar { text, .. } if text == "main" => Some(Route::TABLE_MAIN),
        Value::Scalar { text, .. } if text == "default" => Some(253),
        // 255 is `local`, which the kernel fills itself.
        _ => problems.number(tree, 1, u64::from(u32::MAX)),
    }
}

/// The routes that lead to no next hop, in the words of ip-route(8).
pub(crate) const KINDS_WITHOUT_HOP: [&str; 3] = ["unreachable", "blackhole", "prohibit"];

fn kind_of(text: &str) -> Option<RouteKind> {
    match text {
        "unreachable" => Some(RouteKind::Unreachable),
        "blackhole" => Some(RouteKind::Blackhole),
        "prohibit" => Some(RouteKind::Prohibit),
        _ => None,
    }
}

/// An address where the text is one, else the name of a node.
pub(crate) fn via(text: &str, span: Span) -> At<Via> {
    let via = text.parse().map(Via::Address).unwrap_or_else(|_| Via::Node(text.to_owned()));
    At::new(via, span)
}

/// What a route leads to, or a rule is about.
pub(crate) fn destination(text: &str, span: Span, problems: &mut Problems) -> Option<At<Destination>> {
    let is_ip = text.contains('/') || text.parse::<IpAddr>().is_ok();
    let destination = match text {
        "default" => Destination::Default,
        _ if is_ip => {
            let net: IpNet = problems.prefix_or_address(text, span)?;
            Destination::Prefix(problems.without_host_bits(net, span)?)
        }
        _ => Destination::Named(text.to_owned()),
    };
    Some(At::new(destination, span))
}

/// `none`, an address, a node, or a list of these (one per family).
pub(crate) fn gateway(tree: &Tree, problems: &mut Problems) -> Option<At<GatewayDecl>> {
    let mut gateways = Vec::new();
    for item in one_or_many(tree) {
        let Some(text) = problems.text(item, "an address, a node or `none`") else { continue };
        match text {
            "auto" => return None,
            _ if text == "none" || as_switch(text) == Some(false) => {
                return Some(At::new(GatewayDecl::Nothing, tree.span));
            }
            _ => gateways.push(via(text, item.span)),
        }
    }
    Some(At::new(GatewayDecl::Via(gateways), tree.span))
}

pub(crate) fn forward(tree: &Tree, problems: &mut Problems) -> Option<At<ForwardDecl>> {
    let choices = [
        ("true", ForwardDecl { ipv4: true, ipv6: None }),
        ("false", ForwardDecl { ipv4: false, ipv6: Some(false) }),
        ("ipv4", ForwardDecl { ipv4: true, ipv6: Some(false) }),
        ("ipv6", ForwardDecl { ipv4: false, ipv6: Some(true) }),
    ];
    if let Value::Scalar { text, .. } = &tree.value
        && let Some(is_on) = as_switch(text)
    {
        let forward = if is_on { choices[0].1 } else { choices[1].1 };
        return Some(At::new(forward, tree.span));
    }
    let mut all: Option<ForwardDecl> = None;
    for item in one_or_many(tree) {
        let one = problems.choice(item, &choices)?;
        let sum = all.unwrap_or(ForwardDecl { ipv4: false, ipv6: Some(false) });
        let ipv6 = if sum.ipv6 == Some(true) { sum.ipv6 } else { one.ipv6 };
        all = Some(ForwardDecl { ipv4: sum.ipv4 || one.ipv4, ipv6 });
    }
    all.map(|forward| At::new(forward, tree.span))
}

/// Neighbours: a map from address or node to Ethernet address, or a list of `{ to, mac, dev }`.
pub(crate) fn neighbours(tree: &Tree, problems: &mut Problems) -> Vec<NeighbourDecl> {
    let mut neighbours = Vec::new();
    if let Value::List(items) = &tree.value {
        for item in items {
            neighbours.extend(neighbour(item, problems));
        }
        return neighbours;
    }
    for entry in problems.entries(tree, "a map such as `10.0.0.2: 02:00:00:00:00:02`") {
        let to = via(&entry.key, entry.key_span);
        let mac = match entry.value.value {
            Value::Null => None,
            _ => match problems.mac(&entry.value) {
                Some(mac) => Some(mac),
                None => continue,
            },
        };
        neighbours.push(NeighbourDecl { to, mac, dev: None });
    }
    neighbours
}

fn neighbour(tree: &Tree, problems: &mut Problems) -> Option<NeighbourDecl> {
    if let Value::Scalar { text, .. } = &tree.value {
        return Some(NeighbourDecl { to: via(text, tree.span), mac: None, dev: None });
    }
    let mut fields =
        problems.fields(tree, "a neighbour such as `{ to: 10.0.0.2, mac: 02:00:00:00:00:02 }`")?;
    let to: Option<Word> = match fields.get("to") {
        Some(tree) => problems.word(tree, "an address or a node"),
        None => {
            fields.missing("to", tree.span, "for example `to: 10.0.0.2`");
            None
        }
    };
    let mac_tree = fields.get("mac");
    let mac = mac_tree.and_then(|tree| problems.mac(tree));
    let dev = fields.get("dev").and_then(|tree| problems.word(tree, "an interface or a network"));
    fields.finish(problems);
    if mac_tree.is_some() && mac.is_none() {
        return None;
    }
    to.map(|to| NeighbourDecl { to: via(&to.value, to.span), mac, dev })
}

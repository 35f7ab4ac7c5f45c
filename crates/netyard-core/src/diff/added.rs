//! The second half of a plan: what has to come.

use super::removed::Losses;
use super::{Change, changes_mac};
use crate::desired::sysctls::{interface_of_sysctl, sysctl_may_be_absent};
use crate::mac::Mac;
use crate::name::IfName;
use crate::shaping::Shaping;
use crate::state::{Bridge, Link, LinkKind, Ns, Route, RouteTarget, State};
use crate::step::{Step, VethEnd};
use std::collections::{BTreeMap, BTreeSet};

/// Makes the namespace with the values that hold for all of it; in one that exists, writes those that differ.
///
/// This is before any link is made, so that links are born with them.
pub(super) fn namespace(change: &Change<'_>, steps: &mut Vec<Step>) {
    let ns = change.ns.clone();
    let of_namespace = change.desired.sysctls.iter().filter(|(key, _)| interface_of_sysctl(key).is_none());
    if change.is_new {
        let sysctls = of_namespace.map(|(key, value)| (key.clone(), value.clone())).collect();
        steps.push(Step::AddNamespace { ns, sysctls });
    } else {
        let (defaults, others): (Vec<_>, Vec<_>) = of_namespace
            .filter(|(key, value)| sysctl_differs(change, key, value))
            .partition(|(key, _)| is_default_of_interfaces(key));
        // What interfaces begin with comes first: turning IPv6 on makes addresses by it.
        for (key, value) in defaults {
            let set = |key: String| Step::SetSysctl { ns: ns.clone(), key, value: value.clone() };
            steps.push(set(key.clone()));
            let own = change.kept.keys().map(|name| sysctl_of_default(key, name));
            steps.extend(own.filter(|own| !change.desired.sysctls.contains_key(own)).map(set));
        }
        for (key, value) in others {
            steps.push(Step::SetSysctl { ns: ns.clone(), key: key.clone(), value: value.clone() });
        }
    }
}

/// Whether it is the value that new interfaces begin with. Those that are there keep theirs.
fn is_default_of_interfaces(key: &str) -> bool {
    key.contains(".conf.default.") || key.contains(".neigh.default.")
}

/// The key of an interface's own value, from that of the default.
fn sysctl_of_default(key: &str, interface: &IfName) -> String {
    key.replacen(".default.", &format!(".{}.", interface.as_str().replace('.', "/")), 1)
}

/// Makes the bridges that are not there yet, up where they should be.
pub(super) fn bridges(change: &Change<'_>, steps: &mut Vec<Step>) {
    for (name, link) in &change.desired.links {
        if let (LinkKind::Bridge(bridge), false) = (&link.kind, change.kept.contains_key(name)) {
            steps.push(add_bridge(change.ns, name, link, bridge));
            if *change.ns == Ns::Fabric && link.is_up {
                steps.push(Step::SetLinkUp { ns: change.ns.clone(), name: name.clone(), is_up: true });
            }
        }
    }
}

fn add_bridge(ns: &Ns, name: &IfName, link: &Link, bridge: &Bridge) -> Step {
    Step::AddBridge {
        ns: ns.clone(),
        name: name.clone(),
        mac: mac(ns, name, link),
        mtu: link.mtu,
        bridge: bridge.clone(),
    }
}

/// The Ethernet address of a link to be made; a state without one gets one of its own, the same each time.
fn mac(ns: &Ns, name: &IfName, link: &Link) -> Mac {
    link.mac.unwrap_or_else(|| Mac::of_interface("", ns.as_str(), name.as_str()))
}

/// Makes the veth pairs whose near end is in this namespace.
pub(super) fn veths(change: &Change<'_>, desired: &State, steps: &mut Vec<Step>) {
    for (name, link) in change.desired.links.iter().filter(|(name, _)| !change.kept.contains_key(*name)) {
        let LinkKind::Veth { peer_ns, peer } = &link.kind else { continue };
        // The fabric is the first of all namespaces, so that its end is the near one.
        if (change.ns, name) > (peer_ns, peer) {
            continue;
        }
        let other = desired.namespaces.get(peer_ns).and_then(|namespace| namespace.links.get(peer));
        if let Some(other) = other {
            let near = veth_end(change.ns, name, link);
            let far = VethEnd { master: None, is_up: false, ..veth_end(peer_ns, peer, other) };
            steps.push(Step::AddVeth { near, far });
        }
    }
}

/// An end of a new pair. In the fabric it has its bridge, and is up, from birth.
fn veth_end(ns: &Ns, name: &IfName, link: &Link) -> VethEnd {
    let is_port = *ns == Ns::Fabric;
    VethEnd {
        ns: ns.clone(),
        name: name.clone(),
        mac: mac(ns, name, link),
        mtu: link.mtu,
        master: link.master.clone().filter(|_| is_port),
        is_up: link.is_up && is_port,
    }
}

/// The links to be made that stand on others or on nothing, each after the one that it stands on.
pub(super) fn stacked(changes: &[Change<'_>]) -> Vec<Step> {
    let mut ahead: Vec<(&Ns, &IfName, &Link)> = Vec::new();
    for change in changes {
        let missing = change.desired.links.iter().filter(|(name, _)| !change.kept.contains_key(*name));
        let made = missing.filter(|(_, link)| super::is_stacked(link));
        ahead.extend(made.map(|(name, link)| (change.ns, name, link)));
    }
    let mut steps = Vec::new();
    while !ahead.is_empty() {
        let waits = |link: &Link| {
            let parent = link.kind.parent();
            parent.is_some_and(|p| ahead.iter().any(|(ns, name, _)| **ns == p.ns && **name == p.name))
        };
        let (later, now): (Vec<_>, Vec<_>) = ahead.iter().partition(|(_, _, link)| waits(link));
        // Links that stand on each other in a circle cannot be; the kernel says so.
        let (later, now) = if now.is_empty() { (now, later) } else { (later, now) };
        steps.extend(now.into_iter().map(|(ns, name, link)| Step::AddLink {
            ns: ns.clone(),
            name: name.clone(),
            mac: link.mac,
            mtu: link.mtu,
            kind: link.kind.clone(),
        }));
        ahead = later;
    }
    steps
}

/// Brings everything in a namespace to where it should be. `has_bridges` when its bridges were made before.
pub(super) fn contents(change: &Change<'_>, has_bridges: bool, steps: &mut Vec<Step>) {
    let ns = change.ns;
    // The filter is there before the first packet can be.
    for table in change.desired.tables.difference(&change.live.tables) {
        steps.push(Step::ReplaceTable { ns: ns.clone(), table: table.clone() });
    }
    if *ns != Ns::Fabric && !has_bridges {
        bridges(change, steps);
    }
    let sysctls = sysctls_by_interface(change);
    for (name, link) in in_order(change) {
        configure(change, name, link, sysctls.get(name).map_or(&[], Vec::as_slice), steps);
    }
    let losses = Losses::of(change);
    let mut routes: Vec<&Route> = losses.routes_to_add().collect();
    routes.sort_by_key(|route| needs_another(route));
    for route in routes {
        steps.push(Step::AddRoute { ns: ns.clone(), route: route.clone() });
    }
    // A table is filled before packets are sent to it.
    for rule in change.desired.rules.difference(&change.live.rules) {
        steps.push(Step::AddRule { ns: ns.clone(), rule: rule.clone() });
    }
    for neighbour in &change.desired.neighbours {
        let dev = &neighbour.dev;
        let is_lost = !change.kept.contains_key(dev) || losses.takes(neighbour);
        if is_lost || !change.live.neighbours.contains(neighbour) {
            steps.push(Step::AddNeighbour { ns: ns.clone(), neighbour: neighbour.clone() });
        }
    }
}

/// The loopback link, then those that may be ports, then bridges: the kernel fits a bridge's MTU to its ports
/// (net/bridge/br_if.c, br_mtu_auto_adjust), and the one that is asked for must be the last word.
fn in_order<'a>(change: &Change<'a>) -> Vec<(&'a IfName, &'a Link)> {
    let mut links: Vec<_> = change.desired.links.iter().collect();
    let stands_on_bridge = |link: &Link| {
        let below = link.kind.parent().and_then(|parent| change.desired.links.get(&parent.name));
        below.is_some_and(|below| matches!(below.kind, LinkKind::Bridge(_)))
    };
    links.sort_by_key(|(_, link)| match link.kind {
        LinkKind::Loopback => 0,
        LinkKind::Bridge(_) => 3,
        _ if stands_on_bridge(link) => 4,
        _ if link.kind.parent().is_some() => 2,
        _ => 1,
    });
    links
}

/// Addresses are added while the link is down, so that its first packets have them already.
fn configure(
    change: &Change<'_>,
    name: &IfName,
    to: &Link,
    sysctls: &[(&String, &String)],
    steps: &mut Vec<Step>,
) {
    let ns = || change.ns.clone();
    let from = present(change, name, to);
    if changes_mac(&from, to)
        && let Some(mac) = to.mac
    {
        steps.push(Step::SetMac { ns: ns(), name: name.clone(), mac });
    }
    if from.mtu != to.mtu || loses_all_ports(change, name) {
        steps.push(Step::SetMtu { ns: ns(), name: name.clone(), mtu: to.mtu });
    }
    if let (LinkKind::Bridge(is), LinkKind::Bridge(bridge)) = (&from.kind, &to.kind)
        && is != bridge
    {
        steps.push(Step::SetBridge { ns: ns(), name: name.clone(), bridge: bridge.clone() });
    }
    if from.master != to.master {
        steps.push(Step::SetMaster { ns: ns(), name: name.clone(), master: to.master.clone() });
    }
    // Only at a veth does a plan decide it: a bridge takes it over from its ports.
    if matches!(to.kind, LinkKind::Veth { .. }) && from.fills_checksums != to.fills_checksums {
        steps.push(Step::SetChecksums { ns: ns(), name: name.clone(), fills: to.fills_checksums });
    }
    if !from.egress.is_like(&to.egress) {
        steps.push(Step::SetShaping { ns: ns(), dev: name.clone(), egress: to.egress });
    }
    for (key, value) in sysctls {
        steps.push(Step::SetSysctl { ns: ns(), key: (*key).clone(), value: (*value).clone() });
    }
    for address in to.addresses.difference(&from.addresses) {
        let dad = address.addr().is_ipv6() && change.desired.detects_duplicates();
        steps.push(Step::AddAddress { ns: ns(), dev: name.clone(), address: *address, dad });
    }
    if to.is_up && !from.is_up {
        steps.push(Step::SetLinkUp { ns: ns(), name: name.clone(), is_up: true });
    }
}

/// Whether a bridge that stays is left without ports: the kernel gives it 1500 then (br_mtu_auto_adjust).
fn loses_all_ports(change: &Change<'_>, bridge: &IfName) -> bool {
    let has_ports =
        |links: &BTreeMap<IfName, Link>| links.values().any(|link| link.master.as_ref() == Some(bridge));
    let is_bridge = |(from, to): &(&Link, &Link)| matches!(from.kind, LinkKind::Bridge(_)) && to.mtu != 1500;
    change.kept.get(bridge).is_some_and(is_bridge)
        && has_ports(&change.live.links)
        && !has_ports(&change.desired.links)
}

/// The link as it is after the removals and the making of links.
fn present(change: &Change<'_>, name: &IfName, to: &Link) -> Link {
    match change.kept.get(name) {
        Some((from, _)) => after_removals(change, name, from),
        None => at_birth(change.ns, name, to),
    }
}

fn after_removals(change: &Change<'_>, name: &IfName, from: &Link) -> Link {
    let mut link = from.clone();
    link.master = link.master.filter(|master| !change.is_lost(master));
    if change.goes_down(name) {
        link.is_up = false;
        link.addresses.retain(|address| address.addr().is_ipv4());
    }
    link
}

/// What [`bridges`] and [`veths`] make: in the fabric, bridges and near ends are up and near ends have their bridge.
fn at_birth(ns: &Ns, name: &IfName, to: &Link) -> Link {
    let is_far = matches!(&to.kind, LinkKind::Veth { peer_ns, peer } if (peer_ns, peer) < (ns, name));
    let is_complete = *ns == Ns::Fabric && !is_far;
    // tun(4) has no place for more than name and mode.
    let is_tun = matches!(to.kind, LinkKind::Tun(_));
    Link {
        mtu: if is_tun { 1500 } else { to.mtu },
        mac: to.mac.filter(|_| !is_tun),
        is_up: to.is_up && is_complete,
        master: to.master.clone().filter(|_| is_complete),
        addresses: BTreeSet::new(),
        egress: Shaping::default(),
        fills_checksums: false,
        ..to.clone()
    }
}

/// Routes through a gateway are accepted only when another route leads to it.
fn needs_another(route: &Route) -> bool {
    match &route.target {
        RouteTarget::Unicast(hops) => hops.iter().any(|hop| hop.via.is_some() && !hop.onlink),
        _ => false,
    }
}

/// The values of single interfaces that have to be written, by interface.
fn sysctls_by_interface<'a>(change: &Change<'a>) -> BTreeMap<IfName, Vec<(&'a String, &'a String)>> {
    let mut by_interface: BTreeMap<IfName, Vec<(&String, &String)>> = BTreeMap::new();
    for (key, value) in &change.desired.sysctls {
        let Some(name) = interface_of_sysctl(key) else { continue };
        let is_kept = change.kept.contains_key(&name) && !change.is_new;
        if !is_kept || sysctl_differs(change, key, value) || is_overwritten(change, key) {
            by_interface.entry(name).or_default().push((key, value));
        }
    }
    by_interface
}

/// Whether another write of this plan sets this key too.
fn is_overwritten(change: &Change<'_>, key: &str) -> bool {
    let by = match key.rsplit_once('.') {
        Some((head, "forwarding")) if head.starts_with("net.ipv4.") => "net.ipv4.ip_forward",
        Some((head, "forwarding")) if head.starts_with("net.ipv6.") => "net.ipv6.conf.all.forwarding",
        Some((head, "disable_ipv6")) if head.starts_with("net.ipv6.") => "net.ipv6.conf.all.disable_ipv6",
        _ => return false,
    };
    change.desired.sysctls.get(by).is_some_and(|value| sysctl_differs(change, by, value))
}

/// Whether a live value is another than the desired one.
fn sysctl_differs(change: &Change<'_>, key: &str, value: &str) -> bool {
    match change.live.sysctls.get(key) {
        Some(live) => !is_same_value(key, live, value),
        None => !sysctl_may_be_absent(key, value),
    }
}

/// Whether the kernel has what was written: it separates several numbers by tabs, and rounds times in milliseconds up
/// to its clock's next tick, of which there are 100 to 1000 a second (`CONFIG_HZ`).
fn is_same_value(key: &str, live: &str, written: &str) -> bool {
    const TICK_MS_MAX: u64 = 10;
    if key.ends_with("_ms")
        && let (Ok(live), Ok(written)) = (live.parse::<u64>(), written.parse::<u64>())
    {
        return (written..written + TICK_MS_MAX).contains(&live);
    }
    live.split_whitespace().eq(written.split_whitespace())
}

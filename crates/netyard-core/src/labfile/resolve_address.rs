//! Addresses: those given are checked, the others are given out from the networks' prefixes in the order of the file.

use super::read::Problems;
use super::resolve::{Draft, NodeDraft};
use super::syntax::{AddressDecl, At, BridgeDecl};
use crate::diagnostic::{Code, Diagnostic, Span};
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

/// Who has an address on a segment.
type Taken = HashMap<(usize, IpAddr), (usize, Span)>;

/// Gives every interface and bridge its addresses.
pub(crate) fn assign(draft: &mut Draft, problems: &mut Problems) {
    let mut taken = Taken::new();
    for at in 0..draft.nodes.len() {
        let errors_before = problems.errors();
        let decl = Rc::clone(&draft.nodes[at].decl);
        for link in 0..draft.nodes[at].links.len() {
            let written =
                &decl.links.as_deref().unwrap_or_default()[draft.nodes[at].links[link].decl].addresses;
            let addresses = given(draft, at, link, written, &mut taken, problems);
            draft.nodes[at].node.interfaces[link].addresses = addresses;
        }
        for (bridge, written) in decl.bridges.iter().flatten().enumerate() {
            let addresses = of_bridge(draft, at, bridge, written, &mut taken, problems);
            if let Some(bridge) = draft.nodes[at].node.bridges.get_mut(bridge) {
                bridge.addresses = addresses;
            }
        }
        draft.nodes[at].is_partial |= problems.errors() > errors_before;
    }
    give_out(draft, &mut taken, problems);
}

/// The addresses of an interface that the file names.
fn given(
    draft: &Draft,
    at: usize,
    link: usize,
    written: &[At<AddressDecl>],
    taken: &mut Taken,
    problems: &mut Problems,
) -> Vec<IpNet> {
    let owner = &draft.nodes[at];
    let network = &draft.networks[owner.links[link].network];
    let place = Place {
        node: at,
        segment: network.segment,
        prefixes: &network.network.prefixes,
        prefix_spans: &network.prefix_spans,
        network: network.network.name.as_str(),
        is_partial: network.is_partial,
    };
    let nets: Vec<IpNet> =
        written.iter().filter_map(|address| place.check(draft, address, taken, problems)).collect();
    if owner.links[link].is_bridge_port && !nets.is_empty() {
        let span = written.first().map_or(owner.links[link].span, |address| address.span);
        let problem = Diagnostic::new(Code::PortHasAddress, span).label("the bridge takes its frames away");
        problems.push(problem.help("give the address to the bridge: `bridges: { br0: { address: ... } }`"));
    }
    nets
}

/// The addresses of a bridge; one without length takes that of a prefix of the networks on its ports.
fn of_bridge(
    draft: &Draft,
    at: usize,
    bridge: usize,
    decl: &BridgeDecl,
    taken: &mut Taken,
    problems: &mut Problems,
) -> Vec<IpNet> {
    let owner = &draft.nodes[at];
    let Some(bridge) = owner.node.bridges.get(bridge) else { return Vec::new() };
    let on_bridge = |name: &str| bridge.ports.iter().any(|port| *port == *name);
    let interfaces = owner.node.interfaces.iter().zip(&owner.links);
    let ports = interfaces.filter(|(interface, _)| on_bridge(interface.name.as_str()));
    let networks: Vec<usize> = ports.map(|(_, link)| link.network).collect();
    let prefixes =
        networks.iter().flat_map(|n| draft.networks[*n].network.prefixes.clone()).collect::<Vec<_>>();
    let spans = networks.iter().flat_map(|n| draft.networks[*n].prefix_spans.clone()).collect::<Vec<_>>();
    let place = Place {
        node: at,
        // A bridge without ports is a segment of its own.
        segment: networks.first().map_or(draft.networks.len() + at, |n| draft.networks[*n].segment),
        prefixes: &prefixes,
        prefix_spans: &spans,
        network: networks.first().map_or("", |n| draft.networks[*n].network.name.as_str()),
        is_partial: networks.iter().any(|n| draft.networks[*n].is_partial) || owner.is_partial,
    };
    decl.addresses.iter().filter_map(|address| place.check(draft, address, taken, problems)).collect()
}

/// Where an address is to be.
struct Place<'a> {
    node: usize,
    segment: usize,
    prefixes: &'a [IpNet],
    prefix_spans: &'a [Span],
    network: &'a str,
    is_partial: bool,
}

impl Place<'_> {
    /// The address with its length, if the place can have it.
    fn check(
        &self,
        draft: &Draft,
        written: &At<AddressDecl>,
        taken: &mut Taken,
        problems: &mut Problems,
    ) -> Option<IpNet> {
        let AddressDecl::Given { address, prefix_len } = written.value else { return None };
        let net = match prefix_len {
            Some(len) => {
                let net = IpNet::new(address, len).ok()?;
                self.warn_elsewhere(net, written.span, problems);
                net
            }
            None => self.with_length(address, written.span, problems)?,
        };
        if stands_for_network(net) {
            let what = if net.addr() == net.network() {
                "the network itself"
            } else {
                "every node of it (broadcast)"
            };
            let problem = Diagnostic::new(Code::NetworkAddress, written.span);
            problems.push(problem.label(format!("in {} this stands for {what}", net.trunc())));
            return None;
        }
        match taken.insert((self.segment, address), (self.node, written.span)) {
            None => Some(net),
            Some((first, span)) => {
                problems.push(twice(
                    &draft.nodes[self.node],
                    &draft.nodes[first],
                    written.span,
                    span,
                    address,
                ));
                None
            }
        }
    }

    fn with_length(&self, address: IpAddr, span: Span, problems: &mut Problems) -> Option<IpNet> {
        let same_family = |net: &&IpNet| net.addr().is_ipv4() == address.is_ipv4();
        if let Some(net) = self.prefixes.iter().find(|net| net.contains(&address)) {
            return IpNet::new(address, net.prefix_len()).ok();
        }
        if self.is_partial {
            return None;
        }
        match self.prefixes.iter().position(|net| same_family(&net)) {
            Some(at) => {
                let label = format!("`{}` is {}", self.network, self.prefixes[at]);
                let problem = Diagnostic::new(Code::AddressOutsidePrefix, span).label(label);
                let problem = problem.related(self.prefix_spans[at], "its prefix");
                problems.push(problem.help(format!(
                    "written with a length, `{address}/{}`, it is taken as it is",
                    self.prefixes[at].prefix_len()
                )));
            }
            None => {
                let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
                let len = if address.is_ipv4() { 24 } else { 64 };
                let label = if self.network.is_empty() {
                    "no port of the bridge says one".to_owned()
                } else {
                    format!("`{}` has no {family} prefix that would say one", self.network)
                };
                let problem = Diagnostic::new(Code::AddressWithoutLength, span).label(label);
                problems.push(problem.help(format!("write `{address}/{len}`, or give the network a prefix")));
            }
        }
        None
    }

    fn warn_elsewhere(&self, net: IpNet, span: Span, problems: &mut Problems) {
        let of_family = self.prefixes.iter().position(|p| p.addr().is_ipv4() == net.addr().is_ipv4());
        let Some(at) = of_family else { return };
        // One address alone, as for anycast or a router's name, belongs to no network anyway.
        let is_single = net.prefix_len() == net.max_prefix_len();
        let is_link_local = matches!(net.addr(), IpAddr::V6(v6) if v6.is_unicast_link_local());
        if !is_single && !is_link_local && !self.prefixes.iter().any(|prefix| prefix.contains(&net.addr())) {
            let label = format!("`{}` is {}", self.network, self.prefixes[at]);
            let problem = Diagnostic::new(Code::AddressElsewhere, span).label(label);
            problems.push(problem.related(self.prefix_spans[at], "its prefix"));
        }
    }
}

fn twice(owner: &NodeDraft, first: &NodeDraft, span: Span, first_span: Span, address: IpAddr) -> Diagnostic {
    let (name, other) = (&owner.node.name, &first.node.name);
    if span == first_span {
        let label = format!("`{other}` and `{name}` would both have {address}");
        let help = "leave it out: each node then gets an address of the prefix";
        return Diagnostic::new(Code::AddressForMany, span).label(label).help(help);
    }
    let label = if name == other {
        format!("`{name}` has {address} already")
    } else {
        format!("`{other}` has {address}")
    };
    Diagnostic::new(Code::DuplicateAddress, span).label(label).related(first_span, "first here")
}

/// Whether an IPv4 address is the first or last of its prefix (RFC 1122, 3.2.1.3; /31: RFC 3021).
fn stands_for_network(net: IpNet) -> bool {
    let IpNet::V4(net) = net else { return false };
    net.prefix_len() < 31 && (net.addr() == net.network() || net.addr() == net.broadcast())
}

/// Gives out the addresses that the file leaves open.
fn give_out(draft: &mut Draft, taken: &mut Taken, problems: &mut Problems) {
    let mut next: HashMap<(usize, IpNet), u128> = HashMap::new();
    let mut exhausted: HashSet<(usize, IpNet)> = HashSet::new();
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        for link in 0..draft.nodes[at].links.len() {
            let place = draft.nodes[at].links[link];
            let written = &decl.links.as_deref().unwrap_or_default()[place.decl].addresses;
            let Some(auto) = written.iter().find(|address| address.value == AddressDecl::Auto) else {
                continue;
            };
            if place.is_bridge_port {
                continue;
            }
            let network = &draft.networks[place.network];
            let (segment, is_partial) = (network.segment, network.is_partial);
            draft.nodes[at].is_partial |= is_partial;
            for prefix in network.network.prefixes.clone() {
                let own = &draft.nodes[at].node.interfaces[link].addresses;
                // `[10.0.0.7, auto]` asks only for the families that are not given.
                if own.iter().any(|net| net.addr().is_ipv4() == prefix.addr().is_ipv4()) {
                    continue;
                }
                let key = (segment, prefix);
                let cursor = next.entry(key).or_insert_with(|| first_offset(prefix));
                match next_free(prefix, cursor, |address| taken.contains_key(&(segment, address))) {
                    Some(net) => {
                        taken.insert((segment, net.addr()), (at, auto.span));
                        draft.nodes[at].node.interfaces[link].addresses.push(net);
                    }
                    None => {
                        draft.nodes[at].is_partial = true;
                        if exhausted.insert(key) {
                            let name = &draft.nodes[at].node.name;
                            let label = format!("{prefix} has none for `{name}`");
                            let problem = Diagnostic::new(Code::PrefixExhausted, auto.span).label(label);
                            problems.push(problem.help("give the network a shorter prefix"));
                        }
                    }
                }
            }
        }
    }
}

/// The first number of a prefix that an interface may have: not the network's own, where there is one.
fn first_offset(prefix: IpNet) -> u128 {
    u128::from(prefix.max_prefix_len() - prefix.prefix_len() > 1)
}

/// The next address of a prefix that is not taken.
fn next_free(prefix: IpNet, cursor: &mut u128, is_taken: impl Fn(IpAddr) -> bool) -> Option<IpNet> {
    let bits = prefix.max_prefix_len() - prefix.prefix_len();
    let count = if bits == 128 { u128::MAX } else { 1 << bits };
    // The last one of an IPv4 prefix is its broadcast address.
    let end = if prefix.addr().is_ipv4() && bits > 1 { count - 1 } else { count };
    while *cursor < end {
        let address = nth(prefix, *cursor);
        *cursor += 1;
        if !is_taken(address) {
            return IpNet::new(address, prefix.prefix_len()).ok();
        }
    }
    None
}

fn nth(prefix: IpNet, offset: u128) -> IpAddr {
    match prefix.network() {
        // An offset of an IPv4 prefix is below 2^32.
        #[allow(clippy::cast_possible_truncation)]
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(u32::from(v4).wrapping_add(offset as u32))),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6).wrapping_add(offset))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prefix: &str, expected: &[&str]) {
        let prefix: IpNet = prefix.parse().unwrap();
        let mut cursor = first_offset(prefix);
        let free = std::iter::from_fn(|| next_free(prefix, &mut cursor, |_| false));
        let free: Vec<String> = free.take(4).map(|net| net.addr().to_string()).collect();
        assert_eq!(free, expected);
    }

    #[test]
    fn addresses_come_in_order_and_end_before_the_broadcast() {
        check("10.0.0.0/24", &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
        check("10.0.0.0/30", &["10.0.0.1", "10.0.0.2"]);
        check("10.0.0.0/31", &["10.0.0.0", "10.0.0.1"]);
        check("10.0.0.7/32", &["10.0.0.7"]);
        check("fd00::/64", &["fd00::1", "fd00::2", "fd00::3", "fd00::4"]);
        check("fd00::/127", &["fd00::", "fd00::1"]);
        check("::/0", &["::1", "::2", "::3", "::4"]);
    }
}

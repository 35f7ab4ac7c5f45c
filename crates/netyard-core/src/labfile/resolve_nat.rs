//! Translations: outgoing interfaces found, sources and targets looked up, ports laid out one by one.

use super::read::Problems;
use super::resolve::{Draft, Endpoint, NodeDraft};
use super::resolve_forward::sources;
use super::syntax::{At, MasqueradeDecl, NatDecl, PortForwardDecl, Via, Word};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::Nat;
use crate::name::IfName;
use crate::nft::{Ports, Protocol};
use crate::state::RouteTarget;
use ipnet::{IpNet, Ipv4Net};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Gives every node its translations.
pub(crate) fn add_translations(draft: &mut Draft, problems: &mut Problems) {
    let mut count = 0;
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        if decl.masquerade.is_none() && decl.nat.is_none() {
            continue;
        }
        let errors_before = problems.errors();
        let writer = Writer { draft, at };
        let mut nats = Vec::new();
        let mut ports = Taken::default();
        for masquerade in decl.masquerade.iter().flatten() {
            nats.extend(writer.masquerade(masquerade, problems));
        }
        for nat in decl.nat.iter().flatten() {
            match nat {
                NatDecl::Masquerade(list) => {
                    list.iter().for_each(|masquerade| nats.extend(writer.masquerade(masquerade, problems)));
                }
                NatDecl::Snat { span, from, out, to } => {
                    nats.extend(writer.snat(*span, from, out, *to, problems));
                }
                NatDecl::PortForward(forward) => {
                    nats.extend(writer.port_forward(forward, &mut ports, problems));
                }
            }
        }
        writer.warn_without_forwarding(&nats, problems);
        writer.warn_of_ipv6(&nats, problems);
        count += nats.len();
        if count > RULES_MAX {
            return problems.push(too_many_rules(draft.nodes[at].span));
        }
        draft.nodes[at].node.nat = nats;
        draft.nodes[at].is_partial |= problems.errors() > errors_before;
    }
}

/// Most translations of a lab, and most entries of packet filters.
pub(crate) const RULES_MAX: usize = 200_000;

pub(crate) fn too_many_rules(span: Span) -> Diagnostic {
    Diagnostic::new(Code::TooManyRules, span).label(format!("more than {RULES_MAX} with those of this node"))
}

struct Writer<'a> {
    draft: &'a Draft,
    at: usize,
}

impl Writer<'_> {
    fn owner(&self) -> &NodeDraft {
        &self.draft.nodes[self.at]
    }

    fn masquerade(&self, decl: &MasqueradeDecl, problems: &mut Problems) -> Vec<Nat> {
        let from = self.sources(&decl.from, problems);
        // What is wrong with `out` is said beside what is wrong with `from`; only guessing needs `from`.
        let has_outs = from.is_some() || !decl.out.is_empty();
        let known = from.as_deref().unwrap_or_default();
        let outs = if has_outs { self.outs(&decl.out, known, decl.span, problems) } else { Vec::new() };
        let Some(from) = from else { return Vec::new() };
        let translate = |out: IfName| {
            let has_ipv6 =
                self.endpoint(&out).is_some_and(|e| e.addresses.iter().any(|a| a.addr().is_ipv6()));
            // Without a source all IPv4 is meant; IPv6 is translated only where a source asks for it.
            let ipv4_only = from.is_empty() && has_ipv6;
            let from = if ipv4_only { vec![IpNet::V4(Ipv4Net::default())] } else { from.clone() };
            Nat::Masquerade { from, out }
        };
        outs.into_iter().map(translate).collect()
    }

    fn snat(
        &self,
        span: Span,
        from: &[Word],
        out: &[Word],
        to: At<IpAddr>,
        problems: &mut Problems,
    ) -> Vec<Nat> {
        let sources = self.sources(from, problems);
        if sources.is_none() && !out.is_empty() {
            self.outs(out, &[], span, problems);
        }
        let Some(mut sources) = sources else { return Vec::new() };
        let had_sources = !sources.is_empty();
        sources.retain(|net| net.addr().is_ipv6() == to.value.is_ipv6());
        if had_sources && sources.is_empty() {
            let label = "the new source is of another family than `from`";
            problems.push(Diagnostic::new(Code::FamiliesMixed, to.span).label(label));
            return Vec::new();
        }
        let outs = self.outs(out, &sources, span, problems);
        outs.into_iter().map(|out| Nat::Snat { from: sources.clone(), out, to: to.value }).collect()
    }

    fn sources(&self, words: &[Word], problems: &mut Problems) -> Option<Vec<IpNet>> {
        let mut all = Vec::new();
        let mut is_complete = true;
        for word in words {
            match sources(self.draft, &word.value) {
                Some(nets) => {
                    for net in nets {
                        match problems.without_host_bits(net, word.span) {
                            Some(net) => all.push(net),
                            None => is_complete = false,
                        }
                    }
                    if all.is_empty() && is_complete {
                        // A network without prefixes has no sources; an empty list would mean every source.
                        is_complete = false;
                        problems.extend(self.no_addresses(word));
                    }
                }
                None => {
                    is_complete = false;
                    refuse_source(self.draft, word, problems);
                }
            }
        }
        is_complete.then_some(all)
    }

    fn no_addresses(&self, word: &Word) -> Option<Diagnostic> {
        let network = self.draft.network_index.get(&word.value).map(|at| &self.draft.networks[*at]);
        let node = self.draft.node_index.get(&word.value).map(|at| &self.draft.nodes[*at]);
        if network.is_some_and(|n| n.is_partial) || node.is_some_and(|n| n.is_partial) {
            return None;
        }
        let label = format!("`{}` has no addresses", word.value);
        Some(Diagnostic::new(Code::BadSource, word.span).label(label))
    }

    /// The outgoing interfaces: those named, else that of the default route, else the only one that `from` is not on.
    fn outs(&self, words: &[Word], from: &[IpNet], span: Span, problems: &mut Problems) -> Vec<IfName> {
        if !words.is_empty() {
            return words.iter().flat_map(|word| self.draft.find_devs(self.at, word, problems)).collect();
        }
        if let Some(dev) = self.default_dev() {
            return vec![dev];
        }
        let is_inside = |endpoint: &&Endpoint| {
            from.iter().any(|net| endpoint.reaches(net.addr()) || covers(net, endpoint))
        };
        let outside: Vec<&Endpoint> = self.owner().endpoints.iter().filter(|e| !is_inside(e)).collect();
        if let [only] = outside[..] {
            return vec![only.dev.clone()];
        }
        if !self.owner().is_partial {
            let name = &self.owner().node.name;
            let label = format!("`{name}` has no default route that would say which");
            let example = self.owner().node.interfaces.last().map_or("isp", |i| i.network.as_str());
            let problem = Diagnostic::new(Code::MasqueradeWithoutOut, span).label(label);
            problems.push(problem.help(format!("name it, for example `out: {example}`")));
        }
        Vec::new()
    }

    fn default_dev(&self) -> Option<IfName> {
        let default = self.owner().node.routes.iter().find(|route| route.is_default())?;
        match &default.target {
            RouteTarget::Unicast(hops) => hops.first().map(|hop| hop.dev.clone()),
            _ => None,
        }
    }

    fn endpoint(&self, dev: &IfName) -> Option<&Endpoint> {
        self.owner().endpoints.iter().find(|endpoint| endpoint.dev == *dev)
    }

    fn port_forward(&self, decl: &PortForwardDecl, seen: &mut Taken, problems: &mut Problems) -> Vec<Nat> {
        let incoming = self.incoming(decl, problems);
        let target = self.target(decl, incoming.as_ref(), problems);
        let (Some(incoming), Some(target)) = (incoming, target) else { return Vec::new() };
        let own = self.endpoint(&incoming).map(|e| e.addresses.as_slice()).unwrap_or_default();
        let addresses: Vec<IpAddr> =
            own.iter().map(IpNet::addr).filter(|address| address.is_ipv6() == target.is_ipv6()).collect();
        if addresses.is_empty() {
            if !self.owner().is_partial {
                let family = if target.is_ipv6() { "IPv6" } else { "IPv4" };
                let label = format!("`{incoming}` of `{}` has no {family} address", self.owner().node.name);
                let span = decl.incoming.as_ref().map_or(decl.span, |word| word.span);
                problems.push(Diagnostic::new(Code::NoPublicAddress, span).label(label));
            }
            return Vec::new();
        }
        let hairpin = if decl.hairpin { self.networks_of(target) } else { Vec::new() };
        let mut nats = Vec::new();
        for (ports, to_port, span) in ports(decl, problems) {
            for protocol in &decl.protocols {
                let taken = addresses.iter().find_map(|a| seen.take((*protocol, *a), ports, span));
                if let Some((port, first)) = taken {
                    let label = format!("{protocol} port {port} of `{incoming}` again");
                    let problem = Diagnostic::new(Code::PortForwardedTwice, span).label(label);
                    problems.push(if first == span { problem } else { problem.related(first, "first here") });
                    continue;
                }
                nats.push(Nat::PortForward {
                    protocol: *protocol,
                    incoming: incoming.clone(),
                    addresses: addresses.clone(),
                    ports,
                    to: SocketAddr::new(target, to_port),
                    hairpin: hairpin.clone(),
                });
            }
        }
        nats
    }

    fn incoming(&self, decl: &PortForwardDecl, problems: &mut Problems) -> Option<IfName> {
        match &decl.incoming {
            Some(word) => self.draft.find_devs(self.at, word, problems).into_iter().next(),
            None => self.default_dev().or_else(|| {
                if !self.owner().is_partial {
                    let label = "on which interface do the connections come in?";
                    let problem = Diagnostic::new(Code::MasqueradeWithoutOut, decl.span).label(label);
                    problems.push(problem.help("name its network, for example `in: isp`"));
                }
                None
            }),
        }
    }

    /// The address that connections are passed on to: of a node, one that this node has a link to.
    fn target(
        &self,
        decl: &PortForwardDecl,
        incoming: Option<&IfName>,
        problems: &mut Problems,
    ) -> Option<IpAddr> {
        let name = match &decl.to.value {
            Via::Address(address) => return Some(*address),
            Via::Node(name) => name,
        };
        let at = self.draft.find_node(name, decl.to.span, problems)?;
        let other = &self.draft.nodes[at];
        if at == self.at {
            let label = format!("this is `{name}` itself");
            problems.push(Diagnostic::new(Code::BadForwardTarget, decl.to.span).label(label));
            return None;
        }
        let public = incoming.and_then(|dev| self.endpoint(dev)).map(|e| e.addresses.as_slice());
        let public = public.unwrap_or_default();
        let has_ipv4 = public.iter().any(|net| net.addr().is_ipv4());
        let addresses: Vec<IpAddr> = other.node.addresses().map(|net| net.addr()).collect();
        let near =
            |address: &&IpAddr| self.owner().endpoints.iter().any(|endpoint| endpoint.reaches(**address));
        let of_family = |address: &&IpAddr| address.is_ipv4() == has_ipv4;
        let best =
            addresses.iter().find(|a| near(a) && of_family(a)).or_else(|| addresses.iter().find(of_family));
        let best = best.or(addresses.first()).copied();
        if best.is_none() && !other.is_partial {
            let label = format!("`{name}` has no address");
            problems.push(Diagnostic::new(Code::BadForwardTarget, decl.to.span).label(label));
        }
        best
    }

    /// The prefixes of the network that an address is on.
    fn networks_of(&self, address: IpAddr) -> Vec<IpNet> {
        let all = self.draft.owners.get(&address).into_iter().flatten();
        let of_owner =
            all.flat_map(|(node, endpoint)| &self.draft.nodes[*node].endpoints[*endpoint].addresses);
        let own = self.owner().endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
        let found = of_owner.chain(own).find(|net| net.contains(&address)).map(IpNet::trunc);
        // Whatever its network is, the target itself is on it.
        vec![found.unwrap_or(IpNet::from(address))]
    }

    /// In a lab with both families a translation of IPv4 leaves the IPv6 of those behind it without a way out.
    fn warn_of_ipv6(&self, nats: &[Nat], problems: &mut Problems) {
        let NodeDraft { node, decl, .. } = self.owner();
        let masquerades = nats.iter().any(|nat| matches!(nat, Nat::Masquerade { .. }));
        if !masquerades || decl.forward.is_some() || !node.forwards_ipv4 || node.forwards_ipv6 {
            return;
        }
        let has_ipv6 = |endpoint: &&Endpoint| endpoint.addresses.iter().any(|a| a.addr().is_ipv6());
        if self.owner().endpoints.iter().filter(has_ipv6).count() > 1 {
            let written = decl.masquerade.iter().flatten().map(|masquerade| masquerade.span).next();
            let label = format!("`{}` forwards no IPv6: those behind it get no IPv6 route", node.name);
            let problem = Diagnostic::new(Code::Ipv6NotForwarded, written.unwrap_or(self.owner().span));
            let help = "write `forward: on` for both families, or `forward: ipv4` if this is meant";
            problems.push(problem.label(label).help(help));
        }
    }

    fn warn_without_forwarding(&self, nats: &[Nat], problems: &mut Problems) {
        let node = &self.owner().node;
        let Some(forward) = self.owner().decl.forward else { return };
        if !nats.is_empty() && !node.forwards_ipv4 && !node.forwards_ipv6 {
            let label = format!("`{}` forwards nothing that it could translate", node.name);
            let problem = Diagnostic::new(Code::TranslationWithoutForwarding, forward.span).label(label);
            problems.push(problem.help("leave `forward` out: a translation implies it"));
        }
    }
}

/// Whether an endpoint has an address inside a prefix.
fn covers(net: &IpNet, endpoint: &Endpoint) -> bool {
    endpoint.addresses.iter().any(|own| net.contains(&own.addr()))
}

/// The ports that a node forwards already.
#[derive(Default)]
struct Taken(HashMap<(Protocol, IpAddr), BTreeMap<u16, (u16, Span)>>);

impl Taken {
    /// Takes ports; if one of them is taken already, it and the place where that was said.
    fn take(&mut self, of: (Protocol, IpAddr), ports: Ports, span: Span) -> Option<(u16, Span)> {
        let ranges = self.0.entry(of).or_default();
        // Ranges do not overlap each other, so only the last that begins before the end can overlap this one.
        if let Some((first, (last, place))) = ranges.range(..=ports.last).next_back()
            && *last >= ports.first
        {
            return Some(((*first).max(ports.first), *place));
        }
        ranges.insert(ports.first, (ports.last, span));
        None
    }
}

/// Most ports that one entry may shift to other numbers: each is a rule.
const SHIFTED_PORTS_MAX: u32 = 1024;

/// Public ports, the first target port of each, and their place.
fn ports(decl: &PortForwardDecl, problems: &mut Problems) -> Vec<(Ports, u16, Span)> {
    let count: u32 = decl.ports.iter().map(|ports| ports.value.count()).sum();
    let mut refuse = |label: String| {
        problems.push(Diagnostic::new(Code::BadPort, decl.to.span).label(label));
        Vec::new()
    };
    let Some(to) = decl.to_ports else {
        return decl.ports.iter().map(|ports| (ports.value, ports.value.first, ports.span)).collect();
    };
    if to.count() > 1 && to.count() != count {
        return refuse(format!("{} ports for {count} public ones", to.count()));
    }
    let mut all = Vec::new();
    let mut target = u32::from(to.first);
    let mut shifted = 0;
    for ports in &decl.ports {
        let Some(first) = u16::try_from(target).ok().filter(|_| target + ports.value.count() <= 1 << 16)
        else {
            return refuse(format!("{count} ports from {} on end above 65535", to.first));
        };
        if first != ports.value.first && ports.value.count() > 1 {
            shifted += ports.value.count();
        }
        all.push((ports.value, first, ports.span));
        target += ports.value.count();
    }
    if shifted > SHIFTED_PORTS_MAX {
        let label = format!("{shifted} ports become others; at most {SHIFTED_PORTS_MAX} can, each is a rule");
        return refuse(label);
    }
    all
}

/// Reports a source that is neither network nor node nor prefix.
pub(crate) fn refuse_source(draft: &Draft, word: &Word, problems: &mut Problems) {
    if draft.may_be_network(&word.value) || draft.may_be_node(&word.value) {
        return;
    }
    if word.value.contains(['/', ':']) {
        return problems.push(super::read::bad_prefix(&word.value, word.span));
    }
    let networks = draft.networks.iter().map(|network| network.network.name.as_str());
    let nodes = draft.nodes.iter().map(|node| node.node.name.as_str());
    problems.unknown(Code::BadSource, &word.value, word.span, networks.chain(nodes));
}

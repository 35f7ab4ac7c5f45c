//! Expectations: groups on either side become one sender and one target each, names become addresses and interfaces.

use super::expand::names;
use super::read::Problems;
use super::resolve::Draft;
use super::syntax::{At, ExpectDecl, FileDecl, PingDecl, ProbeDecl, TargetDecl, Via, Word};
use crate::diagnostic::{Code, Diagnostic, Source, Span, line_ends};
use crate::expect::{Dropped, Expectation, Outcome, Ping, Probe, RouteProtocol, Target};
use crate::lab::Role;
use crate::name::IfName;
use std::net::IpAddr;

/// Most expectations of a lab, groups expanded.
const EXPECTATIONS_MAX: usize = 200_000;

/// Expands every entry of `expect:`.
pub(crate) fn expand(
    draft: &Draft,
    file: &FileDecl,
    source: &Source,
    problems: &mut Problems,
) -> Vec<Expectation> {
    let mut lines = Lines { source, at: 0, line: 1 };
    let mut all = Vec::new();
    for decl in &file.expect {
        let writer = Writer { draft, decl, line: lines.of(decl.span.start) };
        let Some(senders) = writer.senders(problems) else { continue };
        let count = all.len();
        let Some(dropped) = writer.dropped(problems) else { continue };
        for (probe, seen_as, senders) in writer.probes(&senders, problems) {
            if all.len() + senders.len() > EXPECTATIONS_MAX {
                let label = format!("more than {EXPECTATIONS_MAX} expectations with these");
                problems.push(Diagnostic::new(Code::TooManyExpectations, decl.span).label(label));
                return all;
            }
            for from in senders {
                let outcome = decl.outcome;
                let (line, within_ms) = (writer.line, decl.within_ms);
                let from = draft.nodes[from].node.name.clone();
                all.push(Expectation {
                    line,
                    from,
                    probe: probe.clone(),
                    outcome,
                    seen_as,
                    within_ms,
                    dropped: dropped.clone(),
                });
            }
        }
        if all.len() == count && problems.errors() == 0 {
            let problem =
                Diagnostic::new(Code::EmptyGroup, decl.span).title("an expectation is about nobody");
            problems.push(problem.label("this would test nothing: nobody sends to itself"));
        }
    }
    all
}

/// Line numbers of places that come in order.
struct Lines<'a> {
    source: &'a Source,
    at: usize,
    line: u32,
}

impl Lines<'_> {
    fn of(&mut self, offset: usize) -> u32 {
        // An alias repeats an earlier place.
        if offset < self.at {
            (self.at, self.line) = (0, 1);
        }
        let passed = line_ends(&self.source.text, self.at..offset);
        self.line += u32::try_from(passed).unwrap_or(0);
        self.at = offset;
        self.line
    }
}

struct Writer<'a> {
    draft: &'a Draft,
    decl: &'a ExpectDecl,
    line: u32,
}

/// A probe with the nodes that send it, and the address under which they should be seen.
type Sent = (Probe, Option<IpAddr>, Vec<usize>);

impl Writer<'_> {
    /// The reason that is stated; the outer none after a problem.
    fn dropped(&self, problems: &mut Problems) -> Option<Option<Dropped>> {
        let Some(decl) = &self.decl.dropped else { return Some(None) };
        let at = match &decl.at {
            None => None,
            Some(word) => match self.draft.node_index.get(&word.value) {
                Some(node) => Some(self.draft.nodes[*node].node.name.clone()),
                None => {
                    self.unknown(&word.value, word.span, problems);
                    return None;
                }
            },
        };
        Some(Some(Dropped { by: decl.by, at }))
    }

    fn senders(&self, problems: &mut Problems) -> Option<Vec<usize>> {
        let mut senders = Vec::new();
        let mut is_complete = true;
        for word in &self.decl.from {
            match self.nodes(word, problems) {
                Some(nodes) => senders.extend(nodes),
                None => is_complete = false,
            }
        }
        is_complete.then_some(senders)
    }

    /// The nodes that a word names: `all`, a group, a range or a node; unknown ones are reported.
    fn nodes(&self, word: &Word, problems: &mut Problems) -> Option<Vec<usize>> {
        if let Some(members) = self.group(&word.value) {
            if members.is_empty() {
                problems.push(Diagnostic::new(Code::EmptyGroup, word.span).label("this would test nothing"));
            }
            return Some(members);
        }
        if self.draft.groups.refused.contains(&word.value) {
            return None;
        }
        let names = names(word, problems);
        let mut found = Vec::new();
        for name in &names {
            match self.draft.node_index.get(name) {
                Some(node) => found.push(*node),
                None if self.draft.may_be_node(name) => {}
                None => {
                    self.unknown(name, word.span, problems);
                    return None;
                }
            }
        }
        (!names.is_empty() && found.len() == names.len()).then_some(found)
    }

    fn group(&self, name: &str) -> Option<Vec<usize>> {
        if name == "all" {
            return Some((0..self.draft.nodes.len()).collect());
        }
        self.draft.groups.members.get(name).filter(|_| !self.draft.groups.refused.contains(name)).cloned()
    }

    fn unknown(&self, name: &str, span: Span, problems: &mut Problems) {
        let nodes = self.draft.nodes.iter().map(|draft| draft.node.name.as_str());
        let groups = self.draft.groups.members.keys().map(String::as_str);
        problems.unknown(Code::UnknownMember, name, span, nodes.chain(groups));
    }

    fn probes(&self, senders: &[usize], problems: &mut Problems) -> Vec<Sent> {
        match &self.decl.probe {
            ProbeDecl::Ping { to, ping } => {
                if let Some(source) = &ping.source {
                    self.check_source(source, to, senders, problems);
                }
                self.each(to, senders, problems, |to, _| Some(Probe::Ping(ping_of(ping, to))))
            }
            ProbeDecl::Tcp { to } => {
                self.each(to, senders, problems, |to, port| Some(Probe::Tcp { to, port: port? }))
            }
            ProbeDecl::Udp { to, payload, answer } => self.each(to, senders, problems, |to, port| {
                Some(Probe::Udp { to, port: port?, payload: payload.clone(), answer: answer.clone() })
            }),
            ProbeDecl::Http { to, path, status, contains } => self.each(to, senders, problems, |to, port| {
                let (path, contains) = (path.clone(), contains.clone());
                Some(Probe::Http { to, port: port?, path, status: *status, contains })
            }),
            ProbeDecl::Neighbour { to, mac, state } => self.each(to, senders, problems, |to, _| {
                Some(Probe::Neighbour { to, mac: *mac, state: state.clone() })
            }),
            ProbeDecl::OspfNeighbour { to, state } => self
                .each(to, senders, problems, |to, _| Some(Probe::OspfNeighbour { to, state: state.clone() })),
            ProbeDecl::BgpSession { to, state, remote_as } => self.each(to, senders, problems, |to, _| {
                Some(Probe::BgpSession { to, state: state.clone(), remote_as: *remote_as })
            }),
            ProbeDecl::Route { to, via, dev, protocol } => {
                let how = RouteDecl { via: via.as_ref(), dev: dev.as_ref(), protocol: *protocol };
                self.routes(to, &how, senders, problems)
            }
            ProbeDecl::Dns { name, server, is_ipv6, address } => {
                self.dns(name, server.as_ref(), *is_ipv6, address.as_ref(), senders, problems)
            }
            ProbeDecl::Path { to, nodes } => self.path(to.as_ref(), nodes, senders, problems),
            ProbeDecl::Throughput { to, rate_bit_per_s, tolerance_percent } => {
                self.throughput(to, *rate_bit_per_s, *tolerance_percent, senders, problems)
            }
        }
    }

    /// The source of a ping is an address of each sender, of a family in which the target can be reached.
    fn check_source(
        &self,
        source: &At<IpAddr>,
        to: &[TargetDecl],
        senders: &[usize],
        problems: &mut Problems,
    ) {
        for sender in senders.iter().map(|sender| &self.draft.nodes[*sender]) {
            let has_it = sender.node.addresses().any(|own| own.addr() == source.value);
            // A node that stands for the internet has every address.
            if !has_it && !sender.is_partial && sender.node.role != Role::Internet {
                let label = format!("`{}` does not have it", sender.node.name);
                return problems.push(Diagnostic::new(Code::SourceNotOwn, source.span).label(label));
            }
        }
        let is_ipv6 = source.value.is_ipv6();
        for host in to.iter().map(|target| &target.host) {
            let lacks_family = match host.value.parse::<IpAddr>() {
                Ok(address) => address.is_ipv6() != is_ipv6,
                Err(_) => self.draft.node_index.get(&host.value).is_some_and(|at| {
                    let target = &self.draft.nodes[*at];
                    !target.is_partial && target.node.address(Some(is_ipv6)).is_none()
                }),
            };
            if lacks_family {
                let family = |is_ipv6: bool| if is_ipv6 { "IPv6" } else { "IPv4" };
                let label = match host.value.parse::<IpAddr>() {
                    Ok(_) => format!("{} cannot be reached from {}", family(!is_ipv6), family(is_ipv6)),
                    Err(_) => format!("`{}` has no {} address", host.value, family(is_ipv6)),
                };
                let problem = Diagnostic::new(Code::FamiliesMixed, host.span).label(label);
                return problems.push(problem.related(source.span, "the source"));
            }
        }
    }

    /// One probe per target; from a group to a group nobody sends to itself.
    fn each(
        &self,
        to: &[TargetDecl],
        senders: &[usize],
        problems: &mut Problems,
        probe: impl Fn(Target, Option<u16>) -> Option<Probe>,
    ) -> Vec<Sent> {
        let mut all = Vec::new();
        let mut count = 0;
        for target in to {
            let found = self.targets(target, problems);
            let is_many = found.len() > 1 || senders.len() > 1;
            for (found, owner) in found {
                let senders: Vec<usize> =
                    senders.iter().copied().filter(|sender| !is_many || Some(*sender) != owner).collect();
                let seen_as = self.decl.seen_as.as_ref().and_then(|via| self.seen_as(via, owner, problems));
                count += senders.len();
                if let Some(probe) = probe(found, target.port) {
                    all.push((probe, seen_as, senders));
                }
                if count > EXPECTATIONS_MAX {
                    return all;
                }
            }
        }
        all
    }

    /// Whom a target names, with the node whose it is.
    fn targets(&self, target: &TargetDecl, problems: &mut Problems) -> Vec<(Target, Option<usize>)> {
        let (text, span) = (&target.host.value, target.host.span);
        if let Ok(address) = text.parse::<IpAddr>() {
            let owner = self.draft.owners.get(&address).and_then(|owners| owners.first());
            return vec![(Target::Address(address), owner.map(|(node, _)| *node))];
        }
        if let Some((node, interface)) = text.split_once(':') {
            return self.interface(node, interface, span, problems).into_iter().collect();
        }
        let is_host_name =
            text.contains('.') && !text.contains('[') && !self.draft.node_index.contains_key(text);
        if is_host_name {
            let is_bad = text.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()));
            if is_bad {
                problems.push(super::read::bad_address(text, span));
                return Vec::new();
            }
            return vec![(Target::Name(text.clone()), None)];
        }
        let nodes = self.nodes(&target.host, problems).unwrap_or_default();
        for node in &nodes {
            let draft = &self.draft.nodes[*node];
            if draft.endpoints.iter().all(|endpoint| endpoint.addresses.is_empty()) && !draft.is_partial {
                let label = format!("`{}` has none", draft.node.name);
                problems.push(Diagnostic::new(Code::NoAddressToUse, span).label(label));
                return Vec::new();
            }
        }
        let named = |node: usize| (Target::Node(self.draft.nodes[node].node.name.clone()), Some(node));
        nodes.into_iter().map(named).collect()
    }

    fn interface(
        &self,
        node: &str,
        interface: &str,
        span: Span,
        problems: &mut Problems,
    ) -> Option<(Target, Option<usize>)> {
        let at = self.draft.find_node(node, span, problems)?;
        let word = Word::new(interface.to_owned(), span);
        let dev = self.draft.find_devs(at, &word, problems).into_iter().next()?;
        let owner = &self.draft.nodes[at];
        if owner.endpoints.iter().any(|e| e.dev == dev && e.addresses.is_empty()) && !owner.is_partial {
            let label = format!("`{dev}` of `{node}` has none");
            problems.push(Diagnostic::new(Code::NoAddressToUse, span).label(label));
            return None;
        }
        Some((Target::Interface(owner.node.name.clone(), dev), Some(at)))
    }

    /// The address under which senders should be seen: of a node that which the receiver's network knows.
    fn seen_as(&self, via: &At<Via>, receiver: Option<usize>, problems: &mut Problems) -> Option<IpAddr> {
        let name = match &via.value {
            Via::Address(address) => return Some(*address),
            Via::Node(name) => name,
        };
        let at = self.draft.find_node(name, via.span, problems)?;
        let is_internet = |node: &usize| self.draft.nodes[*node].node.role == Role::Internet;
        let receiver = receiver.or_else(|| (0..self.draft.nodes.len()).find(is_internet));
        let near = receiver.and_then(|receiver| self.address_near(at, receiver));
        let address = near.or_else(|| self.draft.nodes[at].node.address(None));
        if address.is_none() && !self.draft.nodes[at].is_partial {
            let label = format!("`{name}` has no address");
            problems.push(Diagnostic::new(Code::NoAddressToUse, via.span).label(label));
        }
        address
    }

    /// An address of one node that is on a network of another.
    fn address_near(&self, of: usize, to: usize) -> Option<IpAddr> {
        let mut addresses =
            self.draft.nodes[of].endpoints.iter().flat_map(|e| &e.addresses).map(|net| net.addr());
        addresses.find(|address| self.draft.nodes[to].endpoints.iter().any(|e| e.reaches(*address)))
    }

    fn routes(
        &self,
        to: &[TargetDecl],
        how: &RouteDecl<'_>,
        senders: &[usize],
        problems: &mut Problems,
    ) -> Vec<Sent> {
        let mut all = Vec::new();
        for sender in senders {
            let via_of_sender = match how.via {
                None => None,
                Some(via) => match self.via(via, *sender, problems) {
                    Some(address) => Some(address),
                    None => continue,
                },
            };
            let dev_of_sender: Option<IfName> = match how.dev {
                None => None,
                Some(word) => match self.draft.find_devs(*sender, word, problems).into_iter().next() {
                    Some(dev) => Some(dev),
                    None => continue,
                },
            };
            all.extend(self.each(to, &[*sender], problems, |to, _| {
                Some(Probe::Route {
                    to,
                    via: via_of_sender,
                    dev: dev_of_sender.clone(),
                    protocol: how.protocol,
                })
            }));
            if all.len() > EXPECTATIONS_MAX {
                return all;
            }
        }
        all
    }

    fn via(&self, via: &At<Via>, sender: usize, problems: &mut Problems) -> Option<IpAddr> {
        let name = match &via.value {
            Via::Address(address) => return Some(*address),
            Via::Node(name) => name,
        };
        let at = self.draft.find_node(name, via.span, problems)?;
        let address = self.address_near(at, sender);
        let (owner, other) = (&self.draft.nodes[sender], &self.draft.nodes[at]);
        if address.is_none() && !owner.is_partial && !other.is_partial {
            let label = format!("`{name}` has no address on a network of `{}`", owner.node.name);
            problems.push(Diagnostic::new(Code::NoCommonNetwork, via.span).label(label));
        }
        address
    }

    fn dns(
        &self,
        name: &str,
        server: Option<&TargetDecl>,
        is_ipv6: bool,
        address: Option<&At<Via>>,
        senders: &[usize],
        problems: &mut Problems,
    ) -> Vec<Sent> {
        let server = match server {
            None => None,
            Some(server) => match self.targets(server, problems).into_iter().next() {
                Some((server, _)) => Some(server),
                None => return Vec::new(),
            },
        };
        let address = match address.map(|via| (&via.value, via.span)) {
            None => None,
            Some((Via::Address(address), _)) => Some(*address),
            Some((Via::Node(node), span)) => match self.draft.find_node(node, span, problems) {
                Some(at) => self.draft.nodes[at].node.address(Some(is_ipv6)),
                None => return Vec::new(),
            },
        };
        let has_internet = || self.draft.nodes.iter().any(|node| node.node.role == Role::Internet);
        if server.is_none() && self.decl.outcome == Outcome::Ok && !has_internet() {
            let problem = Diagnostic::new(Code::NobodyAnswersDns, self.decl.span);
            let problem = problem.label("no `server`, and no node of role `internet` that would answer");
            problems.push(problem.help("say whom to ask, for example `server: ns`"));
        }
        let probe = Probe::Dns { name: name.to_owned(), server, is_ipv6, address };
        vec![(probe, None, senders.to_vec())]
    }

    fn path(
        &self,
        to: Option<&TargetDecl>,
        words: &[Word],
        senders: &[usize],
        problems: &mut Problems,
    ) -> Vec<Sent> {
        let mut nodes = Vec::new();
        for word in words {
            match self.nodes(word, problems) {
                Some(found) => nodes.extend(found),
                None => return Vec::new(),
            }
        }
        let Some(last) = nodes.last().copied() else { return Vec::new() };
        let name = |at: &usize| self.draft.nodes[*at].node.name.clone();
        let to = match to {
            None => Target::Node(name(&last)),
            Some(decl) => match self.targets(decl, problems).into_iter().next() {
                Some((to, Some(owner))) if owner != last && !self.is_address_of(&to, last) => {
                    let span = words.last().map_or(decl.host.span, |word| word.span);
                    let label = format!("the path ends at `{}`", name(&last));
                    let problem = Diagnostic::new(Code::PathEndsElsewhere, span).label(label);
                    let text = format!("this is `{}`", name(&owner));
                    problems.push(problem.related(decl.host.span, text).help("name the destination last"));
                    return Vec::new();
                }
                Some((to, _)) => to,
                None => return Vec::new(),
            },
        };
        let probe = Probe::Path { to, nodes: nodes.iter().map(name).collect() };
        vec![(probe, None, senders.to_vec())]
    }

    /// Whether a target is an address that several nodes have (anycast), this one among them.
    fn is_address_of(&self, to: &Target, node: usize) -> bool {
        let Target::Address(address) = to else { return false };
        self.draft.owners.get(address).into_iter().flatten().any(|(owner, _)| *owner == node)
    }

    fn throughput(
        &self,
        to: &[TargetDecl],
        rate_bit_per_s: u64,
        tolerance_percent: f64,
        senders: &[usize],
        problems: &mut Problems,
    ) -> Vec<Sent> {
        let mut all = Vec::new();
        for decl in to {
            for (target, owner) in self.targets(decl, problems) {
                let Some(owner) = owner else {
                    let label = "throughput is measured between two nodes of the lab";
                    problems.push(Diagnostic::new(Code::UnknownMember, decl.host.span).label(label));
                    continue;
                };
                let node = &self.draft.nodes[owner].node;
                let address = match target {
                    Target::Address(address) => Some(address),
                    Target::Interface(_, dev) => {
                        let endpoint = self.draft.nodes[owner].endpoints.iter().find(|e| e.dev == dev);
                        endpoint.and_then(|e| e.addresses.first()).map(|net| net.addr())
                    }
                    _ => None,
                };
                let to = node.name.clone();
                let probe = Probe::Throughput { to, address, rate_bit_per_s, tolerance_percent };
                let senders = senders.iter().copied().filter(|sender| *sender != owner).collect();
                all.push((probe, None, senders));
            }
        }
        all
    }
}

/// What a look-up must find.
struct RouteDecl<'a> {
    via: Option<&'a At<Via>>,
    dev: Option<&'a Word>,
    protocol: Option<RouteProtocol>,
}

fn ping_of(decl: &PingDecl, to: Target) -> Ping {
    let plain = Ping::to(to);
    Ping {
        count: decl.count.unwrap_or(plain.count),
        size: decl.size.unwrap_or(plain.size),
        df: decl.df,
        ttl: decl.ttl,
        answer_ttl: decl.answer_ttl,
        hops: decl.hops,
        rtt_us_max: decl.rtt_us_max,
        rtt_us_min: decl.rtt_us_min,
        source: decl.source.map(|source| source.value),
        ..plain
    }
}

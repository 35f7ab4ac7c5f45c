//! What one node sees from its links: where an address is, which address of another node is in reach, who is a way
//! out.

use super::read::Problems;
use super::resolve::{Draft, NodeDraft};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{NodeKind, Role};
use crate::name::IfName;
use crate::state::NextHop;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The nodes of a segment that may be a way out of it.
#[derive(Default, Clone)]
pub(crate) struct Exits {
    pub internet: Vec<usize>,
    pub forwarders: Vec<usize>,
}

/// For each segment the ways out by IPv4 and by IPv6.
pub(crate) fn exits(draft: &Draft) -> Vec<[Exits; 2]> {
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

/// One node and what it sees.
pub(crate) struct View<'a> {
    pub draft: &'a Draft,
    pub exits: &'a [[Exits; 2]],
    pub at: usize,
    pub on_link: Vec<(IpNet, IfName)>,
}

impl View<'_> {
    pub(crate) fn owner(&self) -> &NodeDraft {
        &self.draft.nodes[self.at]
    }

    /// The link on which an address is.
    pub(crate) fn dev_for(&self, address: IpAddr) -> Option<IfName> {
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
    pub(crate) fn hop_to_node(&self, other: usize, is_ipv6: bool) -> Option<(IpAddr, IfName)> {
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

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.owner().endpoints.iter().flat_map(|e| &e.addresses).any(|net| net.addr() == address)
    }

    pub(crate) fn prefixes(&self) -> String {
        let nets =
            self.owner().endpoints.iter().flat_map(|e| &e.addresses).map(|net| net.trunc().to_string());
        let nets: BTreeSet<String> = nets.collect();
        nets.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The problem of a gateway that is on no link.
    pub(crate) fn unreachable(&self, code: Code, address: IpAddr, span: Span) -> Option<Diagnostic> {
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
        let exits = self.owner().endpoints.iter().filter_map(|endpoint| endpoint.segment);
        let near = exits.flat_map(|segment| &self.exits[segment][usize::from(address.is_ipv6())].forwarders);
        let near = self
            .only_other(near)
            .and_then(|other| Some((other, self.hop_to_node(other, address.is_ipv6())?.0)));
        let help = match near {
            Some((other, near)) => {
                format!("did you mean {near}, which `{}` has?", self.draft.nodes[other].node.name)
            }
            None => "it is an address on one of the node's own networks".to_owned(),
        };
        Some(Diagnostic::new(code, span).label(label).help(help))
    }

    pub(crate) fn no_common_network(&self, other: usize, span: Span) -> Option<Diagnostic> {
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
    pub(crate) fn check_somebody_has(&self, address: IpAddr, span: Span, problems: &mut Problems) {
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

    /// Another node by name; the node itself is refused.
    pub(crate) fn other(&self, name: &str, span: Span, problems: &mut Problems) -> Option<usize> {
        let other = self.draft.find_node(name, span, problems)?;
        if other == self.at {
            let label = format!("this is `{name}` itself");
            problems.push(Diagnostic::new(Code::GatewayIsSelf, span).label(label));
            return None;
        }
        Some(other)
    }

    pub(crate) fn hop_to_address(
        &self,
        address: IpAddr,
        span: Span,
        problems: &mut Problems,
    ) -> Option<NextHop> {
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

    pub(crate) fn way_out(&self, is_ipv6: bool) -> Option<usize> {
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
    pub(crate) fn only_other<'n>(&self, nodes: impl Iterator<Item = &'n usize>) -> Option<usize> {
        let mut others = nodes.copied().filter(|node| *node != self.at);
        let first = others.next()?;
        others.all(|node| node == first).then_some(first)
    }
}

/// On how many segments a node has addresses.
pub(crate) fn owner_segments(owner: &NodeDraft) -> usize {
    let with_addresses = owner.endpoints.iter().filter(|endpoint| !endpoint.addresses.is_empty());
    with_addresses.filter_map(|endpoint| endpoint.segment).collect::<BTreeSet<_>>().len()
}

pub(crate) fn is_global(address: IpAddr) -> bool {
    !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

//! Whether a check holds.

use super::check::{Check, Fact, LinkFact, Translation};
use super::sight::{Flow, Link, Seen, Sight};
use crate::nft::{Action, BaseChain, ChainKind, Hook, Match, Policy, Rule, Table};
use std::net::{IpAddr, SocketAddr};

impl Check {
    /// Whether it holds now; `start` is what was seen when the step began. A probe is not judged here: none.
    #[must_use]
    pub fn holds(&self, now: &Sight, start: &Sight) -> Option<bool> {
        let is_true = match &self.fact {
            Fact::Probe(_) => return None,
            fact => fact.is_true(now, start),
        };
        Some(is_true != self.is_negated)
    }
}

impl Check {
    /// The tracked connections that it is about, as `conntrack -L` prints them.
    #[must_use]
    pub fn flows(&self, now: &Sight) -> Vec<String> {
        let Fact::Flows { namespace, .. } = &self.fact else { return Vec::new() };
        let flows = now.seen(namespace).map(|seen| seen.flows.as_slice()).unwrap_or_default();
        flows.iter().filter(|flow| self.fact.is_about(flow)).map(|flow| flow.line.clone()).collect()
    }
}

impl Fact {
    fn is_true(&self, now: &Sight, start: &Sight) -> bool {
        match self {
            Self::Namespace(name) => now.seen(name).is_some(),
            Self::Link(fact) => {
                now.link(&fact.place.namespace, &fact.place.link).is_some_and(|link| fact.describes(link))
            }
            Self::Address { address, namespace, link } => now.seen(namespace).is_some_and(|seen| {
                let is_meant = |own: &&Link| link.as_ref().is_none_or(|name| *name == own.name);
                seen.links.iter().filter(is_meant).any(|link| link.addresses.contains(address))
            }),
            Self::Route { namespace, to, via, dev } => now.seen(namespace).is_some_and(|seen| {
                seen.routes.iter().any(|route| {
                    route.to == *to
                        && (via.is_none() || route.via == *via)
                        && (dev.is_none() || route.dev == *dev)
                })
            }),
            Self::Sysctl { namespace, key, value } => {
                now.seen(namespace).and_then(|seen| seen.sysctls.get(key)) == Some(value)
            }
            Self::Nat { namespace, translation } => {
                now.seen(namespace).is_some_and(|seen| translation.is_done_by(&seen.tables))
            }
            Self::Policy { namespace, hook, policy } => {
                now.seen(namespace).is_some_and(|seen| effective_policy(seen, *hook) == *policy)
            }
            Self::Neighbour { namespace, address, mac_of } => {
                let wanted = mac_of.as_ref().map(|place| now.link(&place.namespace, &place.link));
                let wanted = wanted.map(|link| link.and_then(|link| link.mac));
                now.seen(namespace).is_some_and(|seen| {
                    seen.neighbours.iter().any(|entry| {
                        entry.address == *address
                            && !entry.has_failed
                            && entry.mac.is_some()
                            && wanted.is_none_or(|mac| mac == entry.mac)
                    })
                })
            }
            Self::Learned { link, port } => {
                let mac = now.link(&link.namespace, &link.link).and_then(|link| link.mac);
                let behind = now.seen(&port.namespace).map(|seen| &seen.learned);
                mac.zip(behind).is_some_and(|(mac, behind)| {
                    behind.iter().any(|(name, learned)| *name == port.link && *learned == mac)
                })
            }
            Self::Listening { namespace, is_tcp, port } => now.seen(namespace).is_some_and(|seen| {
                seen.listening.iter().any(|l| l.is_tcp == *is_tcp && l.address.port() == *port)
            }),
            Self::Counter { namespace, name, grows } => {
                // A namespace that was made again counts from 0.
                let (now, before) = (now.counter(namespace, name), start.counter(namespace, name));
                now.checked_sub(before).unwrap_or(now) >= *grows
            }
            Self::Flows { namespace, count, from, .. } => now.seen(namespace).is_some_and(|seen| {
                let found: Vec<&Flow> = seen.flows.iter().filter(|flow| self.is_about(flow)).collect();
                found.len() >= *count && from.iter().all(|from| found.iter().any(|f| f.source == *from))
            }),
            Self::Probe(_) => false,
        }
    }

    fn is_about(&self, flow: &Flow) -> bool {
        let Self::Flows { from, to, port, seen_as, is_replied, .. } = self else { return false };
        (from.is_empty() || from.contains(&flow.source))
            && to.is_none_or(|to| flow.destination == to)
            && port.is_none_or(|port| flow.ports.1 == port)
            && seen_as.is_none_or(|seen_as| flow.seen_as.0 == seen_as)
            && is_replied.is_none_or(|is_replied| flow.is_replied == is_replied)
    }
}

impl LinkFact {
    fn describes(&self, link: &Link) -> bool {
        self.kind.as_ref().is_none_or(|kind| *kind == link.kind)
            && self.has_master(link)
            && self.has_peer(link)
            && self.is_up.is_none_or(|is_up| is_up == link.is_up)
            && self.mtu.is_none_or(|mtu| mtu == link.mtu)
            && self.has_stp.is_none_or(|has_stp| has_stp == link.has_stp)
    }

    pub(super) fn has_master(&self, link: &Link) -> bool {
        self.master.as_ref().is_none_or(|master| master == link.master.as_deref().unwrap_or_default())
    }

    pub(super) fn has_peer(&self, link: &Link) -> bool {
        self.peer.as_ref().is_none_or(|wanted| {
            link.peer
                .as_ref()
                .is_some_and(|peer| peer.namespace == wanted.namespace && peer.link == wanted.link)
        })
    }
}

/// `drop` when a filter chain at the hook ends so.
fn effective_policy(seen: &Seen, hook: Hook) -> Policy {
    let chains = seen.tables.iter().flat_map(|table| &table.chains).filter_map(|chain| chain.base.as_ref());
    let drops =
        |base: &BaseChain| base.kind == ChainKind::Filter && base.hook == hook && base.policy == Policy::Drop;
    if chains.into_iter().any(drops) { Policy::Drop } else { Policy::Accept }
}

impl Translation {
    fn is_done_by(&self, tables: &[Table]) -> bool {
        let hook = match self {
            Self::Masquerade { .. } => Hook::Postrouting,
            Self::Dnat { .. } => Hook::Prerouting,
        };
        let chains = tables.iter().flat_map(|table| &table.chains);
        let mut rules = chains
            .filter(|chain| chain.base.as_ref().is_some_and(|b| b.kind == ChainKind::Nat && b.hook == hook))
            .flat_map(|chain| &chain.rules);
        rules.any(|rule| self.is_done(rule))
    }

    fn is_done(&self, rule: &Rule) -> bool {
        match self {
            Self::Masquerade { from, out } => {
                matches!(rule.action, Action::Masquerade | Action::Snat(_))
                    && rule.matches.iter().all(|m| match m {
                        Match::Source(prefix) => prefix.contains(&from.trunc()),
                        Match::InterfaceOut(name) => {
                            out.as_ref().is_none_or(|out| out.as_str() == name.as_str())
                        }
                        Match::InterfaceOutNot(name) => {
                            out.as_ref().is_none_or(|out| out.as_str() != name.as_str())
                        }
                        Match::Destination(_) => true,
                        _ => false,
                    })
            }
            Self::Dnat { port, to } => {
                let goes_there = |target: &SocketAddr| {
                    let target_port = if target.port() == 0 { *port } else { target.port() };
                    (target.ip(), target_port) == (to.ip(), to.port())
                };
                matches!(&rule.action, Action::Dnat(target) if goes_there(target))
                    && rule.matches.iter().any(|m| match m {
                        Match::DestinationPort(_, ports) => (ports.first..=ports.last).contains(port),
                        _ => false,
                    })
            }
        }
    }
}

/// The address that a namespace has first, for whoever must be named by one.
impl Seen {
    /// Its first address of that family that is no loopback's.
    #[must_use]
    pub fn first_address(&self, is_ipv6: bool) -> Option<IpAddr> {
        let all = self.links.iter().flat_map(|link| &link.addresses).map(ipnet::IpNet::addr);
        all.into_iter().find(|address| address.is_ipv6() == is_ipv6 && !address.is_loopback())
    }
}

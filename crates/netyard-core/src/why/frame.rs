//! What happens to a frame on its way, as hops; and the rules that bridges and links have for it.

use super::ethernet::{Arrival, Step, Trouble, What};
use super::packet::Packet;
use super::path::At;
use super::rules::{self, Meeting, Outcome};
use super::walk::Walk;
use crate::fault::Place;
use crate::journey::{Event, Forwarding, Hop};
use crate::name::IfName;
use crate::nft::{Family, Hook};
use crate::state::Ns;
use std::net::IpAddr;

impl Walk<'_> {
    /// Takes down the way of a frame, with all that would stop it.
    pub(super) fn follow(&mut self, arrival: &Arrival, packet: &Packet, tells: bool) {
        let mut last_in = None;
        for step in &arrival.steps {
            match &step.what {
                What::Sent => {
                    if tells {
                        let place = self.place(&step.ns, step.link);
                        self.hop(place, Event::Sent, packet);
                    }
                    self.link_rules(step, Hook::Egress, packet);
                }
                What::Received => {
                    if tells {
                        let place = self.place(&step.ns, step.link);
                        self.hop(place, Event::Received, packet);
                    }
                    self.link_rules(step, Hook::Ingress, packet);
                    last_in = Some(step.link);
                }
                What::Bridged { from, to, how } => {
                    if tells {
                        self.bridged(step, *from, *to, *how, packet);
                    }
                    self.bridge_rules(step, *from, *to, packet);
                }
                What::Tunnelled { remote, end } => {
                    let before = self.hops.len();
                    self.tunnelled(step, *remote, end, packet);
                    if !tells {
                        let told = self.hops.split_off(before);
                        let is_fault = |hop: &Hop| matches!(hop.event, Event::Dropped(_));
                        self.hops.extend(told.into_iter().filter(is_fault));
                    }
                }
                What::Stopped(trouble) => self.blame_trouble(step, *trouble, last_in, packet),
            }
        }
    }

    fn bridged(
        &mut self,
        step: &Step,
        from: Option<u32>,
        to: Option<u32>,
        decision: Forwarding,
        packet: &Packet,
    ) {
        let outline = self.outline(&step.ns);
        let name = |index: u32| outline.link(index).map(|link| link.name.clone());
        let Some(bridge) = name(step.link) else { return };
        let to = to.and_then(name).into_iter().collect::<Vec<IfName>>();
        let event = Event::Bridged { bridge, from: from.and_then(name), to, decision };
        self.hop(Place::node(step.ns.clone()), event, packet);
    }

    /// The rules at one link.
    fn link_rules(&mut self, step: &Step, hook: Hook, packet: &Packet) {
        let families: &[Family] = &[Family::Netdev, Family::Inet];
        self.rules_at(&step.ns, families, hook, (Some(step.link), Some(step.link)), packet);
    }

    /// The rules of a bridge, and those of IP where bridged frames pass them.
    fn bridge_rules(&mut self, step: &Step, from: Option<u32>, to: Option<u32>, packet: &Packet) {
        let families: &[Family] = &[Family::Bridge];
        if from.is_some() {
            self.rules_at(&step.ns, families, Hook::Prerouting, (from, None), packet);
        }
        let middle = match (from, to) {
            (Some(_), Some(_)) => Hook::Forward,
            (Some(_), None) => Hook::Input,
            (None, _) => Hook::Output,
        };
        self.rules_at(&step.ns, families, middle, (from, to), packet);
        if to.is_some() {
            self.rules_at(&step.ns, families, Hook::Postrouting, (None, to), packet);
        }
        if from.is_some() && to.is_some() && packet.is_ip() {
            self.bridge_filter(step, packet);
        }
    }

    fn rules_at(
        &mut self,
        ns: &Ns,
        families: &[Family],
        hook: Hook,
        (iif, oif): (Option<u32>, Option<u32>),
        packet: &Packet,
    ) {
        let inside = self.inside(ns);
        let is_any = |family: &Family| {
            let of_family = inside.rulesets.iter().filter(|r| r.family == *family);
            of_family.flat_map(|r| &r.chains).any(|c| c.base.as_ref().is_some_and(|base| base.hook == hook))
        };
        if !families.iter().any(is_any) {
            return;
        }
        let outline = self.outline(ns);
        let name = |index: Option<u32>| Some((index?, outline.link(index?)?.name.as_str()));
        let (iif_link, oif_link) = (name(iif), name(oif));
        let device = iif_link.or(oif_link).map(|(_, name)| name);
        let at = At { ns, hook, iif, oif };
        for (ruleset, chain) in rules::chains_at(&inside.rulesets, families, hook, device) {
            let meeting = Meeting { packet, iif: iif_link, oif: oif_link, is_local: false };
            match rules::judge(ruleset, chain, &meeting).outcome {
                Outcome::Passes | Outcome::Accepted(_) => {}
                Outcome::Dropped(spot) => self.blame_rule(at, spot, ruleset, packet, false),
                Outcome::Rejected(spot) => self.blame_rule(at, spot, ruleset, packet, true),
                Outcome::PolicyDrops(chain) => self.blame_policy(at, chain, ruleset, packet),
                Outcome::Unknown(spot) | Outcome::Translated(_, spot) => {
                    self.blame_unknown_rule(at, spot, ruleset, packet);
                }
            }
        }
    }

    /// Frames of a bridge pass the rules of IP where `br_netfilter` is asked to show them.
    fn bridge_filter(&mut self, step: &Step, packet: &Packet) {
        if !self.calls_iptables(&step.ns, step.link, packet.destination) {
            return;
        }
        let inside = self.inside(&step.ns);
        let key = call_key(packet.destination);
        let outline = self.outline(&step.ns);
        let Some(bridge) = outline.link(step.link) else { return };
        let name = Some((bridge.index, bridge.name.as_str()));
        let families = rules::families_of(packet);
        let hooks =
            [(Hook::Prerouting, name, None), (Hook::Forward, name, name), (Hook::Postrouting, None, name)];
        for (hook, iif, oif) in hooks {
            for (ruleset, chain) in rules::chains_at(&inside.rulesets, families, hook, None) {
                if rules::is_nat(chain) && packet.ct != super::packet::Ct::New {
                    continue;
                }
                let meeting = Meeting { packet, iif, oif, is_local: false };
                let (told, stops) = match rules::judge(ruleset, chain, &meeting).outcome {
                    Outcome::Passes | Outcome::Accepted(_) => continue,
                    Outcome::Dropped(spot) | Outcome::Rejected(spot) => {
                        (Some(spot.told(ruleset)), Some(true))
                    }
                    Outcome::PolicyDrops(_) => (None, Some(true)),
                    Outcome::Translated(_, spot) => (Some(spot.told(ruleset)), Some(false)),
                    Outcome::Unknown(spot) => (Some(spot.told(ruleset)), None),
                };
                self.blame_bridge_filter(step, key, ruleset, chain, told, stops, packet);
            }
        }
    }

    /// Whether a bridge shows its frames to iptables, and there is something that they could meet.
    pub(super) fn calls_iptables(&mut self, ns: &Ns, bridge: u32, like: IpAddr) -> bool {
        let inside = self.inside(ns);
        // Without the key the kernel has no br_netfilter, and the bridge's own setting means nothing.
        let Some(value) = inside.sysctls.get(call_key(like)) else { return false };
        let of_bridge =
            self.link(ns, bridge).and_then(|link| link.bridge()).is_some_and(|b| b.calls_iptables);
        (value != "0" || of_bridge) && !inside.rulesets.is_empty()
    }

    /// The trouble that keeps a link from sending.
    pub(super) fn is_down(trouble: Trouble) -> bool {
        matches!(trouble, Trouble::Down | Trouble::NoCarrier | Trouble::BridgeDown)
    }
}

/// The sysctl that shows bridged frames to iptables.
fn call_key(like: IpAddr) -> &'static str {
    if like.is_ipv4() { "net.bridge.bridge-nf-call-iptables" } else { "net.bridge.bridge-nf-call-ip6tables" }
}

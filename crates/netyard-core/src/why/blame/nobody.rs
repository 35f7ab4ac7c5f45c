//! Faults between a node and its next hop: nobody answers, the wrong one does, or several do.

use super::version;
use crate::fault::{Cause, Confidence, Effect, Place};
use crate::mac::Mac;
use crate::state::Ns;
use crate::why::ethernet::{Arrival, Spread, Step, Trouble, TunnelEnd, What};
use crate::why::packet::Packet;
use crate::why::sight::{Link, LinkKind, Neighbour};
use crate::why::walk::Walk;
use std::net::IpAddr;

impl Walk<'_> {
    /// Nobody answers for the next hop.
    pub(in crate::why) fn blame_nobody(
        &mut self,
        ns: &Ns,
        link: &Link,
        next: IpAddr,
        is_gateway: bool,
        entry: Option<Neighbour>,
        packet: &Packet,
    ) {
        let spread = self.reached(ns, link.index);
        let owners = self.owners(ns, next);
        let show = format!("ip {}neighbour show {next}", version(next));
        let says = entry.map_or_else(
            || "no entry".to_owned(),
            |entry| format!("{next} dev {} {}", link.name, entry.word().to_uppercase()),
        );
        if self.blame_overlap(ns, link, next, &owners, packet) {
            return;
        }
        // Who has the address may be behind a tunnel that ends nowhere.
        if (!owners.is_empty() || spread.arrivals.is_empty()) && self.blame_dead_tunnel(&spread, packet) {
            return;
        }
        for owner in &owners {
            if let Some(arrival) = spread.arrivals.iter().find(|arrival| arrival.ns == owner.0) {
                return self.blame_no_answer(ns, link, next, (arrival, &show, &says), packet);
            }
        }
        // The cable of one of them may end beside the bridge.
        if self.blame_beside_bridge(ns, (&spread, &owners), (&show, &says), packet) {
            return;
        }
        if self.blame_cut(&spread, packet) {
            return;
        }
        let place = Place::interface(ns.clone(), link.name.clone());
        if owners.is_empty() {
            let (cause, sentence) = if is_gateway {
                (
                    Cause::NoSuchGateway,
                    format!("{ns} sends by the gateway {next}, and nobody has that address"),
                )
            } else {
                (
                    Cause::NoSuchAddress,
                    format!("nobody has the address {next}: {ns} asks for it on {} in vain", link.name),
                )
            };
            let mut fault = self.fault(cause, Place::node(ns.clone()), sentence).shown(ns, show, says);
            if is_gateway && let Some(gateway) = self.gateway_for(ns, packet) {
                let to = super::default_of(packet.destination);
                fault = fault
                    .mended(
                        ns,
                        format!("sends by {gateway}, which passes packets on"),
                        format!("ip {}route replace {to} via {gateway}", version(next)),
                    )
                    .in_lab(format!("{ns}: {{ gateway: {gateway} }}"));
            }
            self.blame(fault, packet);
            return;
        }
        let owner = owners.first().map(|(owner, _)| owner.to_string()).unwrap_or_default();
        let outline = self.outline(ns);
        let prefixes: Vec<String> = outline
            .addresses_of(link.index)
            .filter(|a| a.prefix.contains(&next))
            .map(|a| a.prefix.to_string())
            .collect();
        let sentence = if prefixes.is_empty() {
            format!(
                "{ns} sends to {next} by {}, and {owner}, which has it, is not on that network",
                link.name
            )
        } else {
            format!(
                "by the prefix of {ns}:{}, {}, the address {next} is on its network; {owner}, which has it, is elsewhere",
                link.name,
                prefixes.join(", ")
            )
        };
        let fault = self
            .fault(Cause::WrongPrefix, place, sentence)
            .shown(ns, format!("ip address show {}", link.name), prefixes.join(", "))
            .shown(ns, show, says);
        self.blame(fault, packet);
    }

    /// The links of others that have an address.
    fn owners(&mut self, ns: &Ns, address: IpAddr) -> Vec<(Ns, u32)> {
        let mut owners = Vec::new();
        for place in self.near.clone().into_iter().filter(|place| place != ns) {
            let Some(outline) = self.kernel.outline(&place) else { continue };
            let own = outline.addresses.iter().find(|own| own.prefix.addr() == address);
            owners.extend(own.map(|own| (place.clone(), own.index)));
        }
        owners
    }

    /// The one who has the address hears the question and does not answer.
    fn blame_no_answer(
        &mut self,
        ns: &Ns,
        link: &Link,
        next: IpAddr,
        (arrival, show, says): (&Arrival, &str, &str),
        packet: &Packet,
    ) {
        let outline = self.outline(ns);
        let own = outline.addresses_of(link.index).find(|a| a.prefix.addr().is_ipv4() == next.is_ipv4());
        let asker = own.map_or(packet.source, |own| own.prefix.addr());
        let asked = Packet { source: asker, destination: next, ..*packet };
        let refusal = crate::why::path::ask(&asked);
        let refusal =
            crate::why::sight::RouteAsk { iif: Some(arrival.link), protocol: 0, ports: None, ..refusal };
        if let Err(errno) = self.kernel.route(&arrival.ns, &refusal)
            && next.is_ipv4()
        {
            return self.blame_source(&arrival.ns, arrival.link, &asked, errno);
        }
        let (value, key) = self.larger_value(&arrival.ns, arrival.link, "arp_ignore");
        let place = self.place(&arrival.ns, arrival.link);
        let sentence = format!("{} has {next} and does not answer for it on {place}", arrival.ns);
        let mut fault = self.fault(Cause::NeighbourFailed, place, sentence).shown(ns, show, says);
        if next.is_ipv4() {
            fault = fault.shown(&arrival.ns, format!("sysctl {key}"), format!("{key} = {value}"));
            if value != 0 {
                fault = fault.mended(
                    &arrival.ns,
                    "answers for all of its addresses",
                    format!("sysctl -w {key}=0"),
                );
            }
        }
        self.blame(fault, packet);
    }

    /// A cable ends at a node that has a bridge, and is no port of it.
    fn blame_beside_bridge(
        &mut self,
        ns: &Ns,
        (spread, owners): (&Spread, &[(Ns, u32)]),
        (show, says): (&str, &str),
        packet: &Packet,
    ) -> bool {
        let ends = |spread: &Spread| -> Vec<(Ns, u32)> {
            let arrivals = spread.arrivals.iter().map(|a| (a.ns.clone(), a.link));
            arrivals.chain(spread.passed.iter().cloned()).collect()
        };
        let mut candidates = ends(spread);
        let near: Vec<(Ns, u32)> = candidates.clone();
        for (owner, index) in owners {
            let spread = self.reached(&owner.clone(), *index);
            candidates.extend(ends(&spread));
        }
        for (place, index) in candidates {
            let outline = self.outline(&place);
            let Some(link) = outline.link(index) else { continue };
            let is_loose = link.kind == LinkKind::Veth
                && link.master.is_none()
                && !outline.addresses_of(index).any(|a| crate::why::is_global(a.prefix.addr()));
            let bridges: Vec<Link> =
                outline.links.iter().filter(|link| link.bridge().is_some()).cloned().collect();
            if !is_loose || bridges.is_empty() {
                continue;
            }
            let is_near = near.contains(&(place.clone(), index));
            let bridge = self.bridge_towards(&place, &bridges, ns, owners, is_near);
            let at = Place::interface(place.clone(), link.name.clone());
            let sentence = format!("the cable ends at {at}, which is no port of the bridge {}", bridge.name);
            let fault = self
                .fault(Cause::NotABridgePort, at, sentence)
                .shown(&place, format!("ip -d link show {}", link.name), "UP, without master")
                .shown(ns, show, says)
                .mended(
                    &place,
                    "makes it a port",
                    format!("ip link set {} master {}", link.name, bridge.name),
                );
            self.blame(fault, packet);
            return true;
        }
        false
    }

    /// The bridge of a namespace that leads to where frames should go.
    fn bridge_towards(
        &mut self,
        place: &Ns,
        bridges: &[Link],
        ns: &Ns,
        owners: &[(Ns, u32)],
        is_near: bool,
    ) -> Link {
        for bridge in bridges {
            let spread = self.reached(place, bridge.index);
            let reaches = |wanted: &Ns| spread.arrivals.iter().any(|arrival| arrival.ns == *wanted);
            let has_it = owners.iter().any(|(owner, index)| (owner, *index) == (place, bridge.index));
            let leads =
                if is_near { has_it || owners.iter().any(|(owner, _)| reaches(owner)) } else { reaches(ns) };
            if leads {
                return bridge.clone();
            }
        }
        bridges[0].clone()
    }

    /// A tunnel sends its frames where nobody takes them.
    fn blame_dead_tunnel(&mut self, spread: &Spread, packet: &Packet) -> bool {
        let last = spread.lost_sight.iter().filter_map(|steps| steps.last());
        for step in last {
            match &step.what {
                What::Tunnelled { remote, end: end @ TunnelEnd::Missing } => {
                    self.tunnelled(step, *remote, end, packet);
                    return true;
                }
                What::Stopped(Trouble::NoRemote) => {
                    self.blame_no_remote(step, packet);
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Frames leave what can be seen, or a cable leads nowhere.
    fn blame_cut(&mut self, spread: &Spread, packet: &Packet) -> bool {
        for steps in &spread.lost_sight {
            for step in steps {
                if let What::Stopped(
                    trouble @ (Trouble::NoPeer | Trouble::OutOfSight | Trouble::NotUnderstood),
                ) = step.what
                {
                    self.blame_trouble(step, trouble, None, packet);
                    return true;
                }
            }
            let is_closed = |step: &&Step| matches!(step.what, What::Sent);
            if let Some(step) = steps.last().filter(is_closed) {
                let place = self.place(&step.ns, step.link);
                let sentence = format!("frames leave by {place} for a namespace that cannot be entered");
                let fault = self
                    .fault(Cause::NotUnderstood, place, sentence)
                    .with_confidence(Confidence::Unknown)
                    .shown(&step.ns, "ip -d link show", "its other end is in a namespace that is closed");
                self.blame(fault, packet);
                return true;
            }
        }
        false
    }

    /// Two interfaces have the same prefix, and the route takes the wrong one.
    fn blame_overlap(
        &mut self,
        ns: &Ns,
        link: &Link,
        next: IpAddr,
        owners: &[(Ns, u32)],
        packet: &Packet,
    ) -> bool {
        let outline = self.outline(ns);
        let others: Vec<(Link, String, String)> = outline
            .addresses
            .iter()
            .filter(|a| a.index != link.index && a.prefix.contains(&next))
            .filter_map(|a| {
                let other = outline.link(a.index).filter(|other| !other.is_loopback())?.clone();
                let own = outline.addresses_of(link.index).find(|own| own.prefix.contains(&next))?;
                Some((other, a.prefix.trunc().to_string(), own.prefix.trunc().to_string()))
            })
            .collect();
        for (other, other_prefix, prefix) in others {
            let spread = self.reached(ns, other.index);
            if !owners.iter().any(|(owner, _)| spread.arrivals.iter().any(|arrival| arrival.ns == *owner)) {
                continue;
            }
            let place = Place::interface(ns.clone(), link.name.clone());
            let sentence = format!(
                "{ns} has the prefix {prefix} on {} and {other_prefix} on {}: packets to {next} leave by {}, where it is not",
                link.name, other.name, link.name
            );
            let fault = self
                .fault(Cause::OverlappingPrefixes, place, sentence)
                .shown(
                    ns,
                    format!("ip route show {prefix}"),
                    format!("{prefix} dev {}; {other_prefix} dev {}", link.name, other.name),
                )
                .shown(ns, format!("ip route get {next}"), format!("{next} dev {}", link.name))
                .mended(
                    ns,
                    format!("leads it by {}", other.name),
                    format!("ip route add {next} dev {}", other.name),
                );
            self.blame(fault, packet);
            return true;
        }
        false
    }

    /// A neighbour entry names somebody else.
    #[allow(clippy::too_many_arguments, reason = "they are one finding")]
    pub(in crate::why) fn blame_neighbour(
        &mut self,
        ns: &Ns,
        link: &Link,
        next: IpAddr,
        (mac, entry): (Mac, Neighbour),
        (owner, stranger): (&Arrival, Option<&Arrival>),
        packet: &Packet,
    ) {
        let right = self.link(&owner.ns, owner.link).and_then(|link| link.mac);
        let whose = match stranger {
            Some(stranger) => format!("that is {}'s", stranger.ns),
            None => "which nobody there has".to_owned(),
        };
        let right_words = right.map(|mac| format!("; {} has {mac}", owner.ns)).unwrap_or_default();
        let sentence = format!(
            "{ns} has a wrong Ethernet address for {next}: {mac}, {whose}{right_words} ({} entry)",
            entry.word()
        );
        let place = Place::interface(ns.clone(), link.name.clone());
        let version = version(next);
        let fix = match right.filter(|_| entry.is_permanent()) {
            Some(right) => {
                format!("ip {version}neighbour replace {next} lladdr {right} dev {} nud permanent", link.name)
            }
            None => format!("ip {version}neighbour delete {next} dev {}", link.name),
        };
        let fault = self
            .fault(Cause::WrongNeighbour, place, sentence)
            .shown(
                ns,
                format!("ip {version}neighbour show {next}"),
                format!("{next} lladdr {mac} {}", entry.word().to_uppercase()),
            )
            .shown(&owner.ns, "ip link show", right.map(|mac| mac.to_string()).unwrap_or_default())
            .mended(ns, "corrects it", fix)
            .in_lab(format!(
                "{ns}: {{ neighbours: {{ {next}: {} }} }}",
                right.map(|mac| mac.to_string()).unwrap_or_default()
            ));
        self.blame(fault, packet);
    }

    /// Several nodes of one network answer for one address. `is_lost` when the one that is believed is the wrong one.
    #[allow(clippy::too_many_arguments, reason = "they are one finding")]
    pub(in crate::why) fn blame_duplicate(
        &mut self,
        ns: &Ns,
        link: &Link,
        address: IpAddr,
        owners: &[(Ns, u32, Option<Mac>)],
        is_lost: bool,
        packet: &Packet,
    ) {
        // The one that is meant is the first; another one is to be changed.
        let odd = owners.last().unwrap_or(&owners[0]).clone();
        let names: Vec<String> = owners.iter().map(|(owner, ..)| owner.to_string()).collect();
        let sentence = format!(
            "{} have the address {address} on one network: {ns} reaches the one that answers first",
            names.join(" and ")
        );
        let place = self.place(&odd.0, odd.1);
        let mut fault = self
            .fault(Cause::DuplicateAddress, place, sentence)
            .with_effect(if is_lost { Effect::Stops } else { Effect::Sometimes })
            .shown(
                ns,
                format!("ip {}neighbour show {address}", version(address)),
                format!("one entry on {}", link.name),
            );
        for (owner, index, mac) in owners {
            let name = self.link(owner, *index).map(|link| link.name.to_string()).unwrap_or_default();
            let mac = mac.map(|mac| mac.to_string()).unwrap_or_default();
            fault = fault.shown(
                owner,
                format!("ip address show {name}"),
                format!("inet {address}, link/ether {mac}"),
            );
        }
        let outline = self.outline(&odd.0);
        let own = outline.addresses.iter().find(|own| own.prefix.addr() == address).copied();
        if let Some(own) = own
            && let Some(name) = outline.link(own.index).map(|link| link.name.clone())
        {
            fault = fault.mended(
                &odd.0,
                "takes it away from one of them",
                format!("ip address delete {} dev {name}", own.prefix),
            );
        }
        self.blame(fault, packet);
    }
}

//! Faults of routing: no route, no way back, not forwarding, source checks.

use super::{default_of, version};
use crate::fault::{Cause, Confidence, Effect, Fault, Place};
use crate::nft::{Action, Hook, Match, Rule};
use crate::state::Ns;
use crate::why::packet::Packet;
use crate::why::party::{is_private, is_public};
use crate::why::rules;
use crate::why::sight::{Address, Link, RouteAsk, errno};
use crate::why::walk::{Exit, Walk};
use ipnet::IpNet;
use std::net::IpAddr;

/// The kernel's words for a refusal.
fn words(errno: i32) -> &'static str {
    match errno {
        errno::EACCES => "RTNETLINK answers: Permission denied",
        errno::EINVAL => "RTNETLINK answers: Invalid argument",
        errno::EXDEV => "RTNETLINK answers: Invalid cross-device link",
        errno::ENETUNREACH => "RTNETLINK answers: Network is unreachable",
        errno::EHOSTUNREACH => "RTNETLINK answers: No route to host",
        _ => "RTNETLINK answers: refused",
    }
}

impl Walk<'_> {
    /// The command that asks what the walk has asked.
    fn route_command(&mut self, ns: &Ns, packet: &Packet, iif: Option<u32>) -> String {
        let to = packet.destination;
        let iif = iif.and_then(|iif| self.link(ns, iif)).map(|link| link.name);
        match iif {
            Some(iif) => format!("ip {}route get {to} from {} iif {iif}", version(to), packet.source),
            None => format!("ip {}route get {to}", version(to)),
        }
    }

    pub(in crate::why) fn blame_no_address(&mut self, ns: &Ns, packet: &Packet) {
        let fault = self.fault(
            Cause::NoAddress,
            Place::node(ns.clone()),
            format!("{ns} has no address to send from"),
        );
        let fault = fault.shown(ns, "ip address show", "no address of that version");
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_loop(&mut self, ns: &Ns, packet: &Packet) {
        let sentence = format!(
            "the packet to {} goes round in a loop until its TTL is used up: it comes to {ns} again",
            packet.destination
        );
        let command = self.route_command(ns, packet, None);
        let says = self.route_says(ns, packet.destination);
        let mut fault = self.fault(Cause::TtlExceeded, Place::node(ns.clone()), sentence);
        if packet.ttl <= 1 {
            fault.sentence = format!("the TTL of the packet to {} is used up at {ns}", packet.destination);
        }
        let fault = fault.shown(ns, command, says);
        self.blame(fault, packet);
    }

    /// `via 10.0.0.254 dev eth0`, as far as the kernel tells.
    fn route_says(&mut self, ns: &Ns, to: IpAddr) -> String {
        let asked = RouteAsk::to(to);
        match self.kernel.route(ns, &asked) {
            Ok(found) => {
                let dev = self.link(ns, found.index).map(|link| link.name.to_string()).unwrap_or_default();
                let via = found.via.map(|via| format!("via {via} ")).unwrap_or_default();
                format!("{to} {via}dev {dev}")
            }
            Err(errno) => words(errno).to_owned(),
        }
    }

    /// A node has no route for a packet of its own.
    pub(in crate::why) fn blame_no_way_out(&mut self, ns: &Ns, packet: &Packet, errno: i32) {
        let command = self.route_command(ns, packet, None);
        if !self.way.is_there() && self.blame_not_translated(ns, packet, &command, errno) {
            return;
        }
        if self.blame_policy_rule(ns, None, packet, errno)
            || self.blame_route_type(ns, packet, &command, errno)
        {
            return;
        }
        if self.blame_down_link(ns, packet, &command, errno)
            || self.blame_wrong_prefix(ns, packet, &command, errno)
        {
            return;
        }
        let (cause, sentence) = if self.way.is_there() {
            (Cause::NoRoute, format!("{ns} has no route to {}", packet.destination))
        } else {
            let to = self.named(packet.destination);
            (Cause::NoReturnRoute, format!("{ns} has no route back to {to}: the answer cannot leave"))
        };
        let fault = self.fault(cause, Place::node(ns.clone()), sentence).shown(ns, command, words(errno));
        let fault = self.with_default_route(fault, ns, packet);
        self.blame(fault, packet);
    }

    /// A router has no route for a packet that it is to pass on.
    pub(in crate::why) fn blame_no_way_through(&mut self, ns: &Ns, iif: u32, packet: &Packet, errno: i32) {
        let command = self.route_command(ns, packet, Some(iif));
        if !self.way.is_there() && self.blame_not_translated(ns, packet, &command, errno) {
            return;
        }
        if self.blame_policy_rule(ns, Some(iif), packet, errno)
            || self.blame_route_type(ns, packet, &command, errno)
            || self.blame_down_link(ns, packet, &command, errno)
        {
            return;
        }
        let (cause, sentence) = if self.way.is_there() {
            (Cause::NoRouteOnTheWay, format!("{ns}, on the way, has no route to {}", packet.destination))
        } else {
            let to = self.named(packet.destination);
            (Cause::NoReturnRoute, format!("{ns}, on the way back, has no route to {to}"))
        };
        let fault = self.fault(cause, Place::node(ns.clone()), sentence).shown(ns, command, words(errno));
        let fault = self.with_default_route(fault, ns, packet);
        self.blame(fault, packet);
    }

    /// Proposes a gateway where there is one.
    fn with_default_route(&mut self, fault: Fault, ns: &Ns, packet: &Packet) -> Fault {
        let Some(gateway) = self.gateway_for(ns, packet) else { return fault };
        let to = packet.destination;
        // A node that has a default route already lacks a more special one.
        let destination = if self.has_default_route(ns, to) {
            self.prefix_of(to).map_or_else(|| to.to_string(), |prefix| prefix.to_string())
        } else {
            default_of(to).to_owned()
        };
        let command = format!("ip {}route add {destination} via {gateway}", version(to));
        let line = if destination == default_of(to) {
            format!("{ns}: {{ gateway: {gateway} }}")
        } else {
            format!("{ns}: {{ routes: {{ {destination}: {gateway} }} }}")
        };
        fault.mended(ns, format!("sends it to {gateway}, which passes packets on"), command).in_lab(line)
    }

    fn has_default_route(&mut self, ns: &Ns, like: IpAddr) -> bool {
        let inside = self.inside(ns);
        inside
            .routes
            .iter()
            .any(|r| r.table == 254 && r.to.prefix_len() == 0 && r.to.addr().is_ipv4() == like.is_ipv4())
    }

    /// The prefix that an address has where it is.
    fn prefix_of(&mut self, address: IpAddr) -> Option<IpNet> {
        let owner = self.owner_of(address)?;
        let outline = self.outline(&owner);
        outline.addresses.iter().find(|own| own.prefix.addr() == address).map(|own| own.prefix.trunc())
    }

    /// Routes that refuse: blackhole, unreachable, prohibit.
    fn blame_route_type(&mut self, ns: &Ns, packet: &Packet, command: &str, errno: i32) -> bool {
        let (cause, word) = match errno {
            errno::EINVAL => (Cause::Blackhole, "blackhole"),
            errno::EHOSTUNREACH => (Cause::UnreachableRoute, "unreachable"),
            errno::EACCES => (Cause::Prohibit, "prohibit"),
            _ => return false,
        };
        let inside = self.inside(ns);
        let kind = match errno {
            errno::EINVAL => 6,
            errno::EHOSTUNREACH => 7,
            _ => 8,
        };
        let mut matching: Vec<_> =
            inside.routes.iter().filter(|r| r.kind == kind && r.to.contains(&packet.destination)).collect();
        matching.sort_by_key(|route| route.to.prefix_len());
        let route = matching.last().map(|route| (route.to, route.table));
        let which =
            route.map_or_else(|| "a rule or route".to_owned(), |(to, _)| format!("the route {word} {to}"));
        let does = if cause == Cause::Blackhole { "drops in silence" } else { "refuses" };
        let mut fault = self
            .fault(
                cause,
                Place::node(ns.clone()),
                format!("{which} of {ns} {does} packets to {}", packet.destination),
            )
            .shown(ns, command, words(errno));
        if let Some((to, table)) = route {
            let table = if table == 254 { String::new() } else { format!(" table {table}") };
            let words = format!("{word} {to}{table}");
            let version = version(packet.destination);
            fault = fault.shown(ns, format!("ip {version}route show type {word}"), words.clone()).mended(
                ns,
                "removes the route",
                format!("ip {version}route delete {words}"),
            );
        }
        self.blame(fault, packet);
        true
    }

    /// Routes vanish with an interface that goes down.
    fn blame_down_link(&mut self, ns: &Ns, packet: &Packet, command: &str, errno: i32) -> bool {
        let to = packet.destination;
        let outline = self.outline(ns);
        let is_fitting = |address: &&Address| address.prefix.addr().is_ipv4() == to.is_ipv4();
        let with_address = |link: &&Link| {
            outline.global_addresses().filter(is_fitting).any(|address| address.index == link.index)
        };
        let links: Vec<&Link> = outline.links.iter().filter(|link| !link.is_loopback()).collect();
        let addressed: Vec<&Link> = links.iter().copied().filter(with_address).collect();
        if addressed.is_empty() {
            return self.blame_unconfigured(ns, packet, command, errno);
        }
        let is_on = |link: &Link| outline.addresses_of(link.index).any(|a| a.prefix.contains(&to));
        let down: Vec<&Link> = addressed.iter().copied().filter(|link| !link.is_up()).collect();
        let others_are_up = addressed.len() > down.len();
        // An interface that is down is to blame when the target is on its network, or when the way out was there: a
        // node that has another one for this would have a route by it.
        let near = down.iter().find(|link| is_on(link)).or_else(|| {
            let passes_on = !self.way.is_there() || others_are_up && addressed.len() > 1;
            down.first().filter(|_| !others_are_up || passes_on)
        });
        let Some(link) = near.copied() else { return false };
        let reaches = is_on(link);
        let mut fix = format!("ip link set {} up", link.name);
        if !reaches && let Some(gateway) = self.gateway_for(ns, packet) {
            fix = format!("{fix} && ip {}route add {} via {gateway}", version(to), default_of(to));
        }
        let fault = self
            .fault(
                Cause::InterfaceDown,
                Place::interface(ns.clone(), link.name.clone()),
                format!("{ns}:{} is down, and its routes are gone with it: no route to {to}", link.name),
            )
            .shown(ns, format!("ip link show {}", link.name), "state DOWN, without the flag UP")
            .shown(ns, command, words(errno))
            .mended(ns, "sets it up", fix);
        self.blame(fault, packet);
        true
    }

    /// No interface has an address.
    fn blame_unconfigured(&mut self, ns: &Ns, packet: &Packet, command: &str, errno: i32) -> bool {
        let to = packet.destination;
        let outline = self.outline(ns);
        let Some(link) = outline.links.iter().find(|link| !link.is_loopback()).cloned() else {
            let fault = self
                .fault(
                    Cause::NoAddress,
                    Place::node(ns.clone()),
                    format!("{ns} has no interface but the loopback"),
                )
                .shown(ns, "ip link show", "lo only")
                .shown(ns, command, words(errno));
            self.blame(fault, packet);
            return true;
        };
        let version_word = if to.is_ipv6() { "IPv6" } else { "IPv4" };
        let also_down = if link.is_up() { "" } else { ", and it is down" };
        let mut fault = self
            .fault(
                Cause::NoAddress,
                Place::interface(ns.clone(), link.name.clone()),
                format!("{ns}:{} has no {version_word} address{also_down}: an interface loses its addresses when it moves to another namespace", link.name),
            )
            .shown(ns, format!("ip address show {}", link.name), format!("no {version_word} address"))
            .shown(ns, command, words(errno));
        let inside = self.inside(ns);
        let off = ["all", &link.name.as_str().replace('.', "/")]
            .map(|conf| format!("net.ipv6.conf.{conf}.disable_ipv6"))
            .into_iter()
            .find(|key| to.is_ipv6() && inside.sysctls.get(key).is_some_and(|value| value != "0"));
        if let Some(key) = off {
            fault.sentence = format!("IPv6 is switched off at {ns}:{}", link.name);
            fault = fault.shown(ns, format!("sysctl {key}"), "1").mended(
                ns,
                "switches it on",
                format!("sysctl -w {key}=0"),
            );
        } else if let Some(free) = self.free_address(ns, &link, to) {
            let mut fix = format!("ip address add {free} dev {0} && ip link set {0} up", link.name);
            if !free.contains(&to)
                && let Some(gateway) = self.router_near(ns, &link, free)
            {
                fix = format!("{fix} && ip {}route add {} via {gateway}", version(to), default_of(to));
            }
            fault = fault.mended(ns, "gives it an address that is free there", fix);
        }
        self.blame(fault, packet);
        true
    }

    /// An address that nobody on the network of a link has, in the prefix that the others there have.
    fn free_address(&mut self, ns: &Ns, link: &Link, like: IpAddr) -> Option<IpNet> {
        let spread = self.reached(ns, link.index);
        let mut prefix: Option<IpNet> = None;
        let mut taken = Vec::new();
        for arrival in spread.arrivals {
            let outline = self.outline(&arrival.ns);
            for own in
                outline.addresses_of(arrival.link).filter(|a| a.prefix.addr().is_ipv4() == like.is_ipv4())
            {
                taken.push(own.prefix.addr());
                let is_host = own.prefix.prefix_len() == own.prefix.max_prefix_len();
                if super::super::is_global(own.prefix.addr()) && !is_host {
                    prefix.get_or_insert(own.prefix.trunc());
                }
            }
        }
        let prefix = prefix?;
        // An address that a neighbour's entry or an answer still expects would be the best; it is not known here.
        let free = prefix.hosts().take(100_000).find(|host| !taken.contains(host))?;
        IpNet::new(free, prefix.prefix_len()).ok()
    }

    /// A node on the network of a link that passes packets on.
    fn router_near(&mut self, ns: &Ns, link: &Link, own: IpNet) -> Option<IpAddr> {
        let spread = self.reached(ns, link.index);
        for arrival in spread.arrivals {
            let outline = self.outline(&arrival.ns);
            let near = outline.addresses_of(arrival.link).map(|a| a.prefix.addr()).find(|a| own.contains(a));
            if let Some(near) = near
                && outline.links.iter().filter(|link| !link.is_loopback()).count() > 1
                && self.forwards_ipv4(&arrival.ns, arrival.link)
            {
                return Some(near);
            }
        }
        None
    }

    /// The target, or the gateway, is on the same network, and the prefix does not say so.
    fn blame_wrong_prefix(&mut self, ns: &Ns, packet: &Packet, command: &str, errno: i32) -> bool {
        let to = packet.destination;
        let outline = self.outline(ns);
        let own: Vec<Address> = outline
            .global_addresses()
            .filter(|a| {
                a.prefix.addr().is_ipv4() == to.is_ipv4()
                    && !outline.link(a.index).is_some_and(Link::is_loopback)
            })
            .copied()
            .collect();
        for address in own {
            let spread = self.reached(ns, address.index);
            for arrival in spread.arrivals.iter().filter(|arrival| arrival.ns != *ns) {
                let there = self.outline(&arrival.ns);
                let mates: Vec<IpNet> = there.addresses_of(arrival.link).map(|a| a.prefix).collect();
                let sees_us = |mate: &IpNet| {
                    mate.contains(&address.prefix.addr()) && !address.prefix.contains(&mate.addr())
                };
                let is_target = |mate: &IpNet| mate.addr() == to && !address.prefix.contains(&to);
                let Some(mate) = mates.iter().find(|mate| sees_us(mate) || is_target(mate)).copied() else {
                    continue;
                };
                let new = if mate.contains(&address.prefix.addr()) {
                    IpNet::new(address.prefix.addr(), mate.prefix_len()).ok()
                } else {
                    let link = outline.link(address.index).cloned();
                    link.and_then(|link| self.free_in(ns, &link, mate))
                };
                let Some(link) = outline.link(address.index).cloned() else { continue };
                let sentence = format!(
                    "the prefix of {ns}:{} is {}, but {} on the same network is {mate}: {ns} does not know that it is near",
                    link.name, address.prefix, arrival.ns
                );
                let mut fault = self
                    .fault(Cause::WrongPrefix, Place::interface(ns.clone(), link.name.clone()), sentence)
                    .shown(ns, format!("ip address show {}", link.name), format!("inet {}", address.prefix))
                    .shown(&arrival.ns, "ip address show", format!("inet {mate}"))
                    .shown(ns, command, words(errno));
                if let Some(new) = new {
                    let mut fix = format!(
                        "ip address add {new} dev {0} && ip address delete {1} dev {0}",
                        link.name, address.prefix
                    );
                    if !new.contains(&to)
                        && let Some(gateway) = self.router_near(ns, &link, new)
                    {
                        fix =
                            format!("{fix} && ip {}route add {} via {gateway}", version(to), default_of(to));
                    }
                    fault = fault
                        .mended(ns, "gives the address the prefix length of the network", fix)
                        .in_lab(format!("{ns}: {{ links: {{ NETWORK: {new} }} }}"));
                }
                self.blame(fault, packet);
                return true;
            }
        }
        false
    }

    fn free_in(&mut self, ns: &Ns, link: &Link, mate: IpNet) -> Option<IpNet> {
        self.free_address(ns, link, mate.addr()).filter(|free| mate.contains(&free.addr()))
    }

    pub(in crate::why) fn blame_not_forwarding(
        &mut self,
        ns: &Ns,
        iif: u32,
        packet: &Packet,
        errno: Option<i32>,
    ) {
        let name = self.link(ns, iif).map(|link| link.name.as_str().replace('.', "/")).unwrap_or_default();
        let inside = self.inside(ns);
        let is_off = |key: &str| inside.sysctls.get(key).is_some_and(|value| value == "0");
        let key = if packet.destination.is_ipv6() {
            "net.ipv6.conf.all.forwarding".to_owned()
        } else if is_off("net.ipv4.ip_forward") {
            "net.ipv4.ip_forward".to_owned()
        } else {
            format!("net.ipv4.conf.{name}.forwarding")
        };
        let to = self.named(packet.destination);
        let mut fault = self
            .fault(
                Cause::NotForwarding,
                Place::node(ns.clone()),
                format!("{ns} does not forward: {key} is 0, and packets to {to} end there in silence"),
            )
            .shown(ns, format!("sysctl {key}"), format!("{key} = 0"));
        if let Some(errno) = errno {
            let command = self.route_command(ns, packet, Some(iif));
            fault = fault.shown(ns, command, words(errno));
        }
        let fault = fault
            .mended(ns, "makes it forward", format!("sysctl -w {key}=1"))
            .in_lab(format!("{ns}: {{ forward: true }}"));
        self.blame(fault, packet);
    }

    /// The kernel does not believe the source address.
    pub(in crate::why) fn blame_source(&mut self, ns: &Ns, iif: u32, packet: &Packet, errno: i32) {
        let place = self.place(ns, iif);
        let outline = self.outline(ns);
        let command = self.route_command(ns, packet, Some(iif));
        if self.blame_policy_rule(ns, Some(iif), packet, errno) {
            return;
        }
        if outline.has(packet.source) {
            let sentence = format!(
                "{ns} has the address {} itself, and takes nothing from it: two nodes have one address",
                packet.source
            );
            let fault = self
                .fault(Cause::DuplicateAddress, place, sentence)
                .shown(ns, command, words(errno))
                .shown(ns, "ip address show", packet.source.to_string());
            self.blame(fault, packet);
            return;
        }
        let (value, key) = self.larger_value(ns, iif, "rp_filter");
        if value == 0 {
            let sentence = format!("{ns} does not take packets from {}: no valid source", packet.source);
            let fault = self.fault(Cause::NotUnderstood, place, sentence).with_confidence(Confidence::Likely);
            let fault = fault.shown(ns, command, words(errno));
            self.blame(fault, packet);
            return;
        }
        let back = RouteAsk::to(packet.source);
        let reverse = self.kernel.route(ns, &back);
        let strict = if value == 1 { "strict" } else { "loose" };
        let leads = match &reverse {
            Ok(found) => {
                let name = self.link(ns, found.index).map(|link| link.name.to_string()).unwrap_or_default();
                format!("the way back to it leaves by {name}")
            }
            Err(_) => "there is no way back to it".to_owned(),
        };
        let says = self.route_says(ns, packet.source);
        let sentence = format!(
            "{ns} drops packets from {} that come in by {}: {strict} reverse path filter, and {leads}",
            packet.source,
            place.interface.as_ref().map(ToString::to_string).unwrap_or_default()
        );
        let mut fault = self
            .fault(Cause::ReversePathFilter, place, sentence)
            .shown(ns, format!("sysctl {key}"), format!("{key} = {value}"))
            .shown(ns, format!("ip route get {}", packet.source), says)
            .shown(ns, command, words(errno));
        fault = if reverse.is_ok() && value == 1 {
            fault
                .mended(ns, "takes any way back for good", format!("sysctl -w {key}=2"))
                .in_lab(format!("{ns}: {{ sysctls: {{ {key}: 2 }} }}"))
        } else {
            let name =
                self.link(ns, iif).map(|link| link.name.as_str().replace('.', "/")).unwrap_or_default();
            let command = format!("sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{name}.rp_filter=0");
            fault
                .mended(ns, "switches the filter off", command)
                .in_lab(format!("{ns}: {{ sysctls: {{ net.ipv4.conf.all.rp_filter: 0 }} }}"))
        };
        self.blame(fault, packet);
    }

    /// The answer has no way back because the source left as a private one.
    fn blame_not_translated(&mut self, ns: &Ns, packet: &Packet, command: &str, errno: i32) -> bool {
        let private = packet.destination;
        if !is_private(private) || !matches!(errno, errno::ENETUNREACH | errno::EHOSTUNREACH) {
            return false;
        }
        let exits: Vec<Exit> =
            self.exits.iter().filter(|exit| exit.source == private && exit.iif.is_some()).cloned().collect();
        let translator = exits.iter().find(|exit| self.translates_sources(exit)).cloned();
        let Some(exit) = translator.or_else(|| exits.last().cloned().filter(|_| is_public(packet.source)))
        else {
            return false;
        };
        let sentence = |out: &str| {
            format!(
                "{} passes on {private} untranslated by {out}: a private address, to which {ns} has no way back",
                exit.ns
            )
        };
        let fault =
            self.untranslated(&exit, private, &sentence, |fault| fault.shown(ns, command, words(errno)));
        self.blame(fault, packet);
        true
    }

    /// The fault that a private source leaves a router as it is, with what proves and mends it there.
    fn untranslated(
        &mut self,
        exit: &Exit,
        private: IpAddr,
        sentence: &dyn Fn(&str) -> String,
        first: impl FnOnce(Fault) -> Fault,
    ) -> Fault {
        let place = self.place(&exit.ns, exit.oif);
        let out = place.interface.as_ref().map(ToString::to_string).unwrap_or_default();
        let lan = exit.iif.and_then(|iif| {
            let outline = self.outline(&exit.ns);
            outline.addresses_of(iif).map(|a| a.prefix.trunc()).find(|prefix| prefix.contains(&private))
        });
        let mut fault = first(self.fault(Cause::NotTranslated, place, sentence(&out)));
        let chain = self.nat_chain(&exit.ns);
        let (list, says) = self.nat_evidence(&exit.ns);
        fault = fault.shown(&exit.ns, list, says);
        let condition = match lan {
            Some(lan) if private.is_ipv4() => format!("ip saddr {lan} "),
            Some(lan) => format!("ip6 saddr {lan} "),
            None => String::new(),
        };
        let fix = match chain {
            Some((true, ..)) => {
                let from = lan.map(|lan| format!("-s {lan} ")).unwrap_or_default();
                format!("iptables-legacy -t nat -A POSTROUTING {from}-o {out} -j MASQUERADE")
            }
            Some((false, table, chain)) => {
                format!("nft add rule {table} {chain} oifname \"{out}\" {condition}masquerade")
            }
            None => {
                let family = if private.is_ipv4() { "ip" } else { "ip6" };
                format!(
                    "nft 'add table {family} nat; add chain {family} nat postrouting {{ type nat hook postrouting priority 100; }}; add rule {family} nat postrouting oifname \"{out}\" {condition}masquerade'"
                )
            }
        };
        // A lab file names networks there, which the kernel does not know.
        fault.mended(&exit.ns, "gives packets that leave there its own address", fix)
    }

    /// A packet leaves what can be seen for a public address with a private source that is not the router's own:
    /// nobody out there has a way back to it.
    pub(in crate::why) fn check_private(&mut self, ns: &Ns, (iif, oif): (u32, u32), packet: &Packet) {
        let is_own = self.outline(ns).has(packet.source);
        if !self.way.is_there() || is_own || !is_private(packet.source) || !is_public(packet.destination) {
            return;
        }
        let exit = Exit { ns: ns.clone(), iif: Some(iif), oif, source: packet.source };
        let private = packet.source;
        let sentence = |out: &str| {
            format!(
                "{ns} passes on {private} untranslated by {out}: a private address, to which nobody outside has a way back"
            )
        };
        let fault = self.untranslated(&exit, private, &sentence, |fault| fault);
        self.blame(fault.with_confidence(Confidence::Likely), packet);
    }

    /// Whether there are rules that rewrite sources where a packet left.
    fn translates_sources(&mut self, exit: &Exit) -> bool {
        let inside = self.inside(&exit.ns);
        let out = self.link(&exit.ns, exit.oif).map(|link| link.name);
        let rules = inside
            .rulesets
            .iter()
            .flat_map(|r| &r.chains)
            .filter(|c| rules::is_nat(c))
            .flat_map(|c| &c.rules);
        let is_elsewhere = |rule: &Rule| {
            rule.matches.iter().any(|m| matches!(m, Match::InterfaceOut(name) if Some(name) != out.as_ref()))
        };
        let mut translating = rules.map(|placed| &placed.rule).filter(|rule| !is_elsewhere(rule));
        translating.any(|rule| matches!(rule.action, Action::Masquerade | Action::Snat(_)))
    }

    /// The base chain in which sources are rewritten: whether it is a legacy one, its table and its name.
    fn nat_chain(&mut self, ns: &Ns) -> Option<(bool, String, String)> {
        let inside = self.inside(ns);
        let mut found = inside.rulesets.iter().flat_map(|r| r.chains.iter().map(move |c| (r, c)));
        found
            .find(|(_, chain)| {
                rules::is_nat(chain) && chain.base.as_ref().is_some_and(|base| base.hook == Hook::Postrouting)
            })
            .map(|(r, chain)| (r.is_legacy, format!("{} {}", r.family, r.name), chain.name.clone()))
    }

    /// What there is that translates, and what it has met.
    fn nat_evidence(&mut self, ns: &Ns) -> (String, String) {
        let inside = self.inside(ns);
        let Some((is_legacy, table, name)) = self.nat_chain(ns) else {
            return ("nft list ruleset".to_owned(), "no chain that translates sources".to_owned());
        };
        let chain = inside
            .rulesets
            .iter()
            .filter(|r| r.is_legacy == is_legacy)
            .flat_map(|r| &r.chains)
            .find(|c| c.name == name && rules::is_nat(c));
        let rules: Vec<String> = chain
            .map(|c| {
                c.rules
                    .iter()
                    .map(|placed| told_with_count(&placed.rule.to_string(), placed.packets))
                    .collect()
            })
            .unwrap_or_default();
        let says = if rules.is_empty() { "no rule".to_owned() } else { rules.join("; ") };
        if is_legacy {
            ("iptables-legacy -t nat -S POSTROUTING".to_owned(), says)
        } else {
            (format!("nft list chain {table} {name}"), says)
        }
    }

    /// A rule masquerades, and there is no address to do it with.
    pub(in crate::why) fn blame_no_masquerade_address(
        &mut self,
        at: crate::why::path::At<'_>,
        rule: &crate::journey::RuleAt,
        packet: &Packet,
    ) {
        let place = match at.oif {
            Some(oif) => self.place(at.ns, oif),
            None => Place::node(at.ns.clone()),
        };
        let sentence = format!("{} cannot masquerade: {place} has no address", at.ns);
        let fault = self
            .fault(Cause::NoAddress, place, sentence)
            .shown(at.ns, "ip address show", "no address")
            .shown(at.ns, "nft list ruleset", rule.text.clone());
        self.blame(fault.with_effect(Effect::Stops), packet);
    }
}

/// A rule with the number of packets that it has met.
pub(super) fn told_with_count(rule: &str, packets: Option<u64>) -> String {
    match packets {
        Some(1) => format!("{rule} (1 packet)"),
        Some(packets) => format!("{rule} ({packets} packets)"),
        None => rule.to_owned(),
    }
}

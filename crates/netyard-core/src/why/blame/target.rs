//! Faults at the ends: sockets, echo, answers that are not what was asked for.

use crate::fault::{Cause, Effect, Place};
use crate::nft::{Hook, Protocol};
use crate::state::Ns;
use crate::why::packet::{Content, Packet};
use crate::why::rules::{self, Meeting, Outcome, Translation};
use crate::why::walk::Walk;
use std::net::{IpAddr, SocketAddr};

impl Walk<'_> {
    /// A namespace has lost its name, or never had one, and a process keeps it.
    pub(in crate::why) fn blame_unnamed(&mut self, ns: &Ns, comm: &str, pid: u32) {
        let outline = self.outline(ns);
        let addresses: Vec<String> =
            outline.global_addresses().map(|a| a.prefix.addr().to_string()).collect();
        let has = if addresses.is_empty() {
            String::new()
        } else {
            format!(", which has {},", addresses.join(" and "))
        };
        let sentence =
            format!("the namespace {ns}{has} has no name: the process {comm} ({pid}) keeps it alive");
        let fault = self
            .fault(Cause::NamespaceUnnamed, Place::node(ns.clone()), sentence)
            .with_effect(Effect::Remark)
            .shown(ns, format!("lsns -t net -p {pid}"), format!("no file names it; {comm} ({pid}) is in it"))
            .mended(ns, "gives it a name; to be typed outside of it", format!("ip netns attach {ns} {pid}"));
        self.faults.push(fault);
    }

    /// Whether programs of ordinary users may ping: the range of group ids that may, which a fresh namespace has empty.
    pub(in crate::why) fn check_ping(&mut self, ns: &Ns) {
        const KEY: &str = "net.ipv4.ping_group_range";
        let inside = self.inside(ns);
        let Some(range) = inside.sysctls.get(KEY) else { return };
        let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u32>().ok());
        // A group that the reader's user namespace does not know is shown as this one (`overflowgid`).
        const UNKNOWN: u32 = 65_534;
        let is_empty = ends
            .next()
            .zip(ends.next())
            .is_some_and(|(first, last)| first > last || first == UNKNOWN && last == UNKNOWN);
        if !is_empty || self.about != crate::why::About::Icmp {
            return;
        }
        let sentence = format!(
            "in {ns} only root may ping: {KEY} is \"{range}\", which no group id is in, as in every fresh namespace"
        );
        let fault = self
            .fault(Cause::PingNotPermitted, Place::node(ns.clone()), sentence)
            .with_effect(Effect::StopsUsers)
            .shown(ns, format!("sysctl {KEY}"), format!("{KEY} = {range}"))
            .mended(ns, "lets the users ping whose group is 0", format!("sysctl -w {KEY}=\"0 0\""));
        self.faults.push(fault);
    }

    /// Whether the node answers echo requests.
    pub(in crate::why) fn check_echo(&mut self, ns: &Ns, packet: &Packet) {
        let Content::Icmp(8 | 128) = packet.content else { return };
        let key = if packet.destination.is_ipv4() {
            "net.ipv4.icmp_echo_ignore_all"
        } else {
            "net.ipv6.icmp.echo_ignore_all"
        };
        let inside = self.inside(ns);
        if inside.sysctls.get(key).is_none_or(|value| value == "0") {
            return;
        }
        let fault = self
            .fault(
                Cause::EchoIgnored,
                Place::node(ns.clone()),
                format!("{ns} does not answer echo requests: {key} is 1"),
            )
            .shown(ns, format!("sysctl {key}"), format!("{key} = 1"))
            .mended(ns, "makes it answer", format!("sysctl -w {key}=0"));
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_no_listener(&mut self, ns: &Ns, packet: &Packet, port: u16) {
        if self.blame_local_not_translated(ns, packet, port) {
            return;
        }
        let protocol = packet.protocol().unwrap_or(Protocol::Tcp);
        let answer = if protocol == Protocol::Tcp { "refused" } else { "answered with port unreachable" };
        let sentence =
            format!("nothing listens at {protocol} port {port} of {ns}: the {} is {answer}", packet.title());
        let flag = if protocol == Protocol::Tcp { 't' } else { 'u' };
        let fault = self.fault(Cause::NotListening, Place::node(ns.clone()), sentence).shown(
            ns,
            format!("ss -{flag}ln sport = :{port}"),
            "no socket",
        );
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_other_listener(&mut self, ns: &Ns, packet: &Packet, others: &[SocketAddr]) {
        let protocol = packet.protocol().unwrap_or(Protocol::Tcp);
        let port = others.first().map_or(0, SocketAddr::port);
        let at: Vec<String> = others.iter().map(ToString::to_string).collect();
        let sentence = format!(
            "{ns} listens at {} only: not at {}, to which the packet is sent",
            at.join(" and "),
            SocketAddr::new(packet.destination, port)
        );
        let flag = if protocol == Protocol::Tcp { 't' } else { 'u' };
        let fault = self.fault(Cause::ListensElsewhere, Place::node(ns.clone()), sentence).shown(
            ns,
            format!("ss -{flag}ln sport = :{port}"),
            at.join(", "),
        );
        self.blame(fault, packet);
    }

    /// A port that is forwarded for others, but not for the node's own packets.
    fn blame_local_not_translated(&mut self, ns: &Ns, packet: &Packet, port: u16) -> bool {
        if self.from.as_ref() != Some(ns) || !self.way.is_there() {
            return false;
        }
        let inside = self.inside(ns);
        let families = rules::families_of(packet);
        // As if it came from outside: by the interface that has the address.
        let outline = self.outline(ns);
        let own = outline.addresses.iter().find(|own| own.prefix.addr() == packet.destination);
        let iif = own.and_then(|own| outline.link(own.index));
        let links: Vec<(u32, &str)> =
            iif.into_iter().chain(&outline.links).map(|link| (link.index, link.name.as_str())).collect();
        for (ruleset, chain) in rules::chains_at(&inside.rulesets, families, Hook::Prerouting, None) {
            let translated = links.iter().find_map(|iif| {
                let meeting = Meeting { packet, iif: Some(*iif), oif: None, is_local: true };
                match rules::judge(ruleset, chain, &meeting).outcome {
                    Outcome::Translated(Translation::Destination(to), spot) => Some((to, spot)),
                    _ => None,
                }
            });
            let Some((to, spot)) = translated else { continue };
            let rule = spot.told(ruleset);
            let sentence = format!(
                "port {port} of {ns} is forwarded to {to} for packets from outside only (prerouting): {ns}'s own packets do not pass that chain"
            );
            let to_words = if to.port() == 0 { to.ip().to_string() } else { to.to_string() };
            let (ip, protocol) =
                (if to.is_ipv4() { "ip" } else { "ip6" }, packet.protocol().unwrap_or(Protocol::Tcp));
            let fix = if ruleset.is_legacy {
                format!(
                    "iptables-legacy -t nat -A OUTPUT -d {} -p {protocol} --dport {port} -j DNAT --to-destination {to_words}",
                    packet.destination
                )
            } else {
                format!(
                    "nft 'add chain {0} {1} nat_output {{ type nat hook output priority -100; }}; add rule {0} {1} nat_output {ip} daddr {2} {protocol} dport {port} dnat {ip} to {to_words}'",
                    ruleset.family, ruleset.name, packet.destination
                )
            };
            let list = if rule.is_legacy {
                format!("iptables-legacy -t nat -S {}", rule.chain)
            } else {
                format!("nft list chain {} {} {}", rule.family, rule.table, rule.chain)
            };
            let fault = self
                .fault(Cause::LocalNotTranslated, Place::node(ns.clone()), sentence)
                .shown(ns, list, rule.text)
                .shown(ns, format!("ss -ln sport = :{port}"), "no socket")
                .mended(ns, "forwards its own packets too", fix);
            self.blame(fault, packet);
            return true;
        }
        false
    }

    /// A packet for another node was delivered to its own sender: both have the address.
    pub(in crate::why) fn is_elsewhere(&mut self, place: &Ns, to: IpAddr) -> bool {
        let (Some(target), Some(from)) = (self.target.clone(), self.from.clone()) else { return false };
        let is_translated = !self.flows.is_empty();
        if *place != from || target == from || is_translated {
            return false;
        }
        let sentence =
            format!("{from} has the address {to} of {target} itself: its packets to it never leave");
        let fault = self
            .fault(Cause::DuplicateAddress, Place::node(from.clone()), sentence)
            .with_effect(Effect::Sometimes)
            .shown(&from, format!("ip route get {to}"), format!("local {to} dev lo"))
            .shown(&target, "ip address show", to.to_string());
        let outline = self.outline(&from);
        let own = outline.addresses.iter().find(|own| own.prefix.addr() == to).copied();
        let name = own.and_then(|own| outline.link(own.index)).map(|link| link.name.clone());
        let fault = match (own, name) {
            (Some(own), Some(name)) => fault.mended(
                &from,
                "takes it away from it",
                format!("ip address delete {} dev {name}", own.prefix),
            ),
            _ => fault,
        };
        let packet = Packet { destination: to, ..Packet::first(to, to, self.about) };
        self.blame(fault, &packet);
        true
    }

    /// Whether the answer that came home is the one that was waited for.
    pub(in crate::why) fn is_expected(&mut self, from: &Ns, home: &Ns, sent: &Packet, got: &Packet, by: &Ns) {
        let expected = sent.answer();
        let is_same = (expected.source, expected.destination, expected.ports())
            == (got.source, got.destination, got.ports());
        if home == from && is_same {
            return;
        }
        if home == from
            && let Some(flow) = self
                .flows
                .iter()
                .find(|flow| flow.translated.destination != flow.original.destination)
                .cloned()
        {
            let sentence = format!(
                "{by} answers {from} directly, from {} and not from {}: the answer does not pass {}, which would put the address right, and {from} takes it for a stranger's",
                got.source, expected.source, flow.ns
            );
            let lan = self.shared_prefix(from, got.source);
            let condition = lan.map(|lan| {
                let ip = if got.source.is_ipv4() { "ip" } else { "ip6" };
                format!("{ip} saddr {lan} {ip} daddr {} ", got.source)
            });
            let chain = {
                let inside = self.inside(&flow.ns);
                let mut chains = inside.rulesets.iter().flat_map(|r| r.chains.iter().map(move |c| (r, c)));
                chains
                    .find(|(_, c)| {
                        rules::is_nat(c) && c.base.as_ref().is_some_and(|b| b.hook == Hook::Postrouting)
                    })
                    .map(|(r, c)| (r.is_legacy, format!("{} {}", r.family, r.name), c.name.clone()))
            };
            let fix = match (chain, lan) {
                (Some((true, ..)), Some(lan)) => {
                    format!("iptables-legacy -t nat -A POSTROUTING -s {lan} -d {} -j MASQUERADE", got.source)
                }
                (Some((false, table, chain)), _) => {
                    format!("nft add rule {table} {chain} {}masquerade", condition.unwrap_or_default())
                }
                _ => {
                    let family = if got.source.is_ipv4() { "ip" } else { "ip6" };
                    format!(
                        "nft 'add table {family} nat; add chain {family} nat postrouting {{ type nat hook postrouting priority 100; }}; add rule {family} nat postrouting {}masquerade'",
                        condition.unwrap_or_default()
                    )
                }
            };
            let fault = self
                .fault(Cause::HairpinNotTranslated, Place::node(flow.ns.clone()), sentence)
                .shown(
                    &flow.ns,
                    "conntrack -L",
                    format!(
                        "src={} dst={} ... src={} dst={} [UNREPLIED]",
                        flow.original.source,
                        flow.original.destination,
                        flow.translated.destination,
                        flow.translated.source
                    ),
                )
                .shown(
                    by,
                    format!("ip route get {}", sent.source),
                    format!("{} on its own network", sent.source),
                )
                .mended(&flow.ns, "makes such answers come back this way", fix);
            self.blame(fault, got);
            return;
        }
        let sentence = if home == from {
            format!("the answer comes from {} where {} was asked", got.source, expected.source)
        } else {
            format!(
                "the answer to {} ends at {home}, which has that address too or does not know whose it is",
                sent.source
            )
        };
        let fault = self
            .fault(
                if home == from { Cause::NotTranslated } else { Cause::DuplicateAddress },
                Place::node(home.clone()),
                sentence,
            )
            .shown(home, format!("ip route get {}", got.destination), format!("local {}", got.destination));
        self.blame(fault, got);
    }

    /// The prefix of a node's link in which an address is.
    fn shared_prefix(&mut self, ns: &Ns, address: IpAddr) -> Option<ipnet::IpNet> {
        let outline = self.outline(ns);
        outline
            .addresses
            .iter()
            .map(|own| own.prefix)
            .find(|prefix| prefix.contains(&address))
            .map(|p| p.trunc())
    }
}

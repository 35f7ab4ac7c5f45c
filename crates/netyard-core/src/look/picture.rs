//! The picture of what was looked at.

use super::{Interface, Look, Seen};
use crate::diagram::{Block, Note, NoteKind, Picture, Port, Role};
use crate::nft::{Action, ChainKind, Match, Rule};
use crate::show::LinkState;
use crate::state::Ns;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Rules and routes that are shown one by one; more are counted.
const SHOWN: usize = 3;
/// The MTU of Ethernet, which goes without saying.
const MTU_USUAL: u32 = 1500;

/// A place where a wire may end: namespace and interface.
type Place = (Ns, String);

impl Picture {
    /// The picture of namespaces as they are: a box for each, one more for each bridge, a wire for each cable.
    ///
    /// A bridge that stands alone in its namespace is its namespace's box. What is not cabled to anything is left out
    /// of the ports, but for addresses.
    #[must_use]
    pub fn of_look(look: &Look) -> Self {
        let mut picture = Self::new(&look.title);
        let mut ports: BTreeMap<Place, (usize, usize)> = BTreeMap::new();
        for seen in &look.namespaces {
            picture.add_namespace(seen, &mut ports);
        }
        let mut wired: BTreeSet<(Place, Place)> = BTreeSet::new();
        for seen in &look.namespaces {
            for interface in &seen.interfaces {
                let own = (seen.name.clone(), interface.name.clone());
                let ends = [&interface.peer, &interface.parent];
                for end in ends.into_iter().flatten() {
                    let (Some(ns), Some(name)) = (&end.namespace, &end.interface) else { continue };
                    picture.wire(&ports, &mut wired, own.clone(), (ns.clone(), name.clone()));
                }
            }
        }
        picture
    }

    fn add_namespace(&mut self, seen: &Seen, ports: &mut BTreeMap<Place, (usize, usize)>) {
        let mut block = Block::node(seen.name.as_str(), role(seen));
        block.caption = seen.is_here.then(|| "(here)".to_owned());
        block.notes = notes(seen);
        let is_bridge = |interface: &&Interface| interface.bridge.is_some();
        let bridges: Vec<&Interface> = seen.interfaces.iter().filter(is_bridge).collect();
        let is_port_of_bridge = |interface: &Interface| {
            bridges.iter().any(|bridge| interface.master.as_deref() == Some(bridge.name.as_str()))
        };
        let index = self.blocks.len();
        for interface in &seen.interfaces {
            let is_shown =
                interface.kind != "loopback" || interface.addresses.iter().any(|a| !a.addr().is_loopback());
            if is_port_of_bridge(interface) || (!is_shown && interface.bridge.is_none()) {
                continue;
            }
            // A bridge is a box of its own; its own interface in the namespace is shown where it has addresses.
            if interface.bridge.is_some() && addresses(interface).next().is_none() {
                continue;
            }
            ports.insert((seen.name.clone(), interface.name.clone()), (index, block.ports.len()));
            block.ports.push(port(interface));
        }
        let is_bare = block.ports.is_empty() && block.notes.is_empty() && bridges.len() == 1 && !seen.is_here;
        // The fabric of a lab is nothing but its bridges.
        let is_fabric = seen.name == Ns::Fabric && block.ports.is_empty();
        if !is_bare && !is_fabric {
            self.add(block);
        }
        for bridge in bridges {
            self.add_bridge(seen, bridge, ports, is_bare);
        }
    }

    fn add_bridge(
        &mut self,
        seen: &Seen,
        bridge: &Interface,
        ports: &mut BTreeMap<Place, (usize, usize)>,
        is_bare: bool,
    ) {
        let name = if seen.name == Ns::Fabric {
            bridge.name.clone()
        } else if is_bare {
            seen.name.to_string()
        } else {
            format!("{}:{}", seen.name, bridge.name)
        };
        let mut block = Block::network(&name, Role::Bridge);
        block
            .notes
            .extend(bridge.bridge.iter().filter(|b| b.stp).map(|_| setting("spanning tree".to_owned())));
        block.notes.extend(
            bridge.bridge.iter().filter(|b| b.filters_vlans).map(|_| setting("vlan filtering".to_owned())),
        );
        if bridge.state == LinkState::Down {
            block.notes.push(setting("down".to_owned()));
        }
        let index = self.blocks.len();
        for interface in seen.interfaces.iter().filter(|i| i.master.as_deref() == Some(bridge.name.as_str()))
        {
            ports.insert((seen.name.clone(), interface.name.clone()), (index, block.ports.len()));
            block.ports.push(port(interface));
        }
        // The bridge's own interface, as one more port of the box.
        if addresses(bridge).next().is_some() {
            ports.insert(bridge_place(&seen.name, &bridge.name), (index, block.ports.len()));
            block.ports.push(Port::new(&bridge.name));
        }
        self.add(block);
        let own = (seen.name.clone(), bridge.name.clone());
        if let (Some(one), Some(other)) =
            (ports.get(&own), ports.get(&bridge_place(&seen.name, &bridge.name)))
        {
            self.connect(*one, *other);
        }
    }

    fn wire(
        &mut self,
        ports: &BTreeMap<Place, (usize, usize)>,
        wired: &mut BTreeSet<(Place, Place)>,
        one: Place,
        other: Place,
    ) {
        let (Some(from), Some(to)) = (ports.get(&one), ports.get(&other)) else { return };
        let key = if one < other { (one, other) } else { (other, one) };
        if from != to && wired.insert(key) {
            self.connect(*from, *to);
        }
    }
}

/// The bridge's own port in its box; no interface has a blank in its name.
fn bridge_place(ns: &Ns, bridge: &str) -> Place {
    (ns.clone(), format!("{bridge} itself"))
}

fn role(seen: &Seen) -> Role {
    if seen.forwards() { Role::Router } else { Role::Host }
}

fn port(interface: &Interface) -> Port {
    let mut port = Port::new(&interface.name);
    port.is_down = interface.state != LinkState::Up;
    port.notes = addresses(interface).map(|a| Note::new(NoteKind::Address, a.to_string())).collect();
    if !matches!(interface.kind.as_str(), "veth" | "bridge" | "loopback" | "physical") {
        let settings: Vec<String> =
            interface.settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
        port.notes.push(setting(format!("{} {}", interface.kind, settings.join(" ")).trim_end().to_owned()));
    }
    if interface.mtu != MTU_USUAL && interface.kind != "loopback" {
        port.notes.push(setting(format!("mtu {}", interface.mtu)));
    }
    match (&interface.peer, &interface.parent) {
        (Some(end), _) | (None, Some(end)) if end.namespace.is_none() => {
            port.notes.push(Note::new(NoteKind::Remark, "⇢ out of sight"));
        }
        _ => {}
    }
    port
}

/// Addresses that somebody gave; every interface has one for its link, which says nothing.
fn addresses(interface: &Interface) -> impl Iterator<Item = &IpNet> {
    let says_nothing = |address: &IpNet| match address.addr() {
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    };
    interface.addresses.iter().filter(move |address| !says_nothing(address))
}

fn setting(text: String) -> Note {
    Note::new(NoteKind::Setting, text)
}

fn notes(seen: &Seen) -> Vec<Note> {
    let mut notes = Vec::new();
    if let Some(why) = &seen.unread {
        notes.push(Note::new(NoteKind::Remark, format!("✗ {why}")));
    }
    let nat: Vec<String> = translations(seen).map(|rule| format!("⇄ {}", nat_words(rule))).collect();
    let firewall: Vec<String> = seen.firewall.iter().map(|rule| format!("⛨ {}", words(rule))).collect();
    notes.extend(few(nat, "rules that translate").into_iter().map(|text| Note::new(NoteKind::Nat, text)));
    notes.extend(few(firewall, "filter rules").into_iter().map(|text| Note::new(NoteKind::Firewall, text)));
    let routes = seen.routes.iter().filter(|route| route.protocol != "kernel");
    let routes = few(routes.map(|route| route.words.clone()).collect(), "routes");
    notes.extend(routes.into_iter().map(|text| Note::new(NoteKind::Route, text)));
    notes.extend(seen.container.iter().map(|name| Note::new(NoteKind::Remark, name.clone())));
    let is_named = !seen.files.is_empty() || seen.container.is_some() || seen.lab.is_some() || seen.is_here;
    if let (false, Some(holder)) = (is_named, seen.holders.first()) {
        notes.push(Note::new(NoteKind::Remark, holder.to_string()));
    }
    notes
}

/// The rules that translate, those of legacy iptables included.
fn translations(seen: &Seen) -> impl Iterator<Item = &Rule> {
    let chains = seen.state.tables.iter().chain(&seen.legacy).flat_map(|table| &table.chains);
    let is_nat =
        |chain: &&crate::nft::Chain| chain.base.as_ref().is_some_and(|base| base.kind == ChainKind::Nat);
    chains.filter(is_nat).flat_map(|chain| &chain.rules)
}

/// `NAPT 10.0.0.0/24 → eth1`, `tcp dport 80 → 10.0.0.2:80`; other rules as nft says them.
fn nat_words(rule: &Rule) -> String {
    let source = rule.matches.iter().find_map(|m| match m {
        Match::Source(prefix) => Some(prefix.to_string()),
        _ => None,
    });
    let out = rule.matches.iter().find_map(|m| match m {
        Match::InterfaceOut(name) => Some(format!(" → {name}")),
        Match::InterfaceOutNot(name) => Some(format!(" → not {name}")),
        _ => None,
    });
    let (from, out) = (source.unwrap_or_else(|| "any".to_owned()), out.unwrap_or_default());
    match &rule.action {
        Action::Masquerade => format!("NAPT {from}{out}"),
        Action::Snat(to) => format!("SNAT {from} → {to}"),
        Action::Dnat(to) => {
            let matches: Vec<String> = rule.matches.iter().map(ToString::to_string).collect();
            let to = if to.port() == 0 { to.ip().to_string() } else { to.to_string() };
            format!("{} → {to}", matches.join(" "))
        }
        _ => rule.to_string(),
    }
}

fn words(rule: &crate::show::RuleView) -> String {
    rule.meaning.clone().unwrap_or_else(|| rule.rule.clone())
}

/// The words, or how many there are.
fn few(words: Vec<String>, what: &str) -> Vec<String> {
    if words.len() > SHOWN { vec![format!("{} {what}", words.len())] } else { words }
}

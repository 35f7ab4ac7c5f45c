//! The picture of a sight, with what has changed since another one marked.

use super::MACHINE;
use super::sight::{Link, Seen, Sight};
use crate::diagram::{Block, Note, NoteKind, Picture, Port, Role};
use crate::nft::{Action, ChainKind, Hook, Policy};
use std::collections::BTreeMap;

/// What stands before everything that is new.
const NEW: &str = "✚";
/// Where the rest of the world is.
const INTERNET: &str = "internet";
/// The MTU of Ethernet, which goes without saying.
const MTU_USUAL: u32 = 1500;

type Ports = BTreeMap<(String, String), (usize, usize)>;

impl Picture {
    /// A box for each namespace, one more for each bridge, a wire for each cable. What is not in `before` is marked.
    #[must_use]
    pub fn of_sight(sight: &Sight, before: Option<&Sight>) -> Self {
        let mut picture = Self::new(MACHINE);
        let mut ports = Ports::new();
        let mut names: Vec<&String> = sight.namespaces.keys().collect();
        names.sort_by_key(|name| (*name == INTERNET, *name == MACHINE, (*name).clone()));
        for name in names {
            let old = before.map(|before| before.seen(name));
            picture.add_seen(name, &sight.namespaces[name], old, &mut ports);
        }
        picture.add_wires(sight, &ports);
        picture
    }

    fn add_seen(&mut self, name: &str, seen: &Seen, old: Option<Option<&Seen>>, ports: &mut Ports) {
        let role = match name {
            INTERNET => Role::Internet,
            _ if seen.forwards() => Role::Router,
            _ => Role::Host,
        };
        let mut block = Block::node(name, role);
        block.caption = matches!(old, Some(None)).then(|| NEW.to_owned());
        let old = old.map(Option::unwrap_or_default_seen);
        let index = self.blocks.len();
        for link in seen.links.iter().filter(|link| link.master.is_none() && is_shown(link)) {
            ports.insert((name.to_owned(), link.name.clone()), (index, block.ports.len()));
            block.ports.push(port(link, old.as_ref()));
        }
        let had = old.as_ref().map(notes);
        for mut note in notes(seen) {
            if had.as_ref().is_some_and(|had| !had.contains(&note)) {
                note.text = format!("{NEW} {}", note.text);
            }
            if name != INTERNET {
                block.notes.push(note);
            }
        }
        self.add(block);
        for bridge in seen.links.iter().filter(|link| link.kind == "bridge") {
            let index = self.blocks.len();
            let mut block = Block::network(&bridge.name, Role::Bridge);
            let is_new = old.as_ref().is_some_and(|old| old.link(&bridge.name).is_none());
            block.caption = is_new.then(|| NEW.to_owned());
            if !bridge.is_up {
                block.notes.push(Note::new(NoteKind::Setting, "down"));
            }
            if bridge.has_stp {
                block.notes.push(Note::new(NoteKind::Setting, "spanning tree"));
            }
            for link in seen.links.iter().filter(|link| link.master.as_deref() == Some(&bridge.name)) {
                ports.insert((name.to_owned(), link.name.clone()), (index, block.ports.len()));
                block.ports.push(port(link, old.as_ref()));
            }
            self.add(block);
        }
    }

    fn add_wires(&mut self, sight: &Sight, ports: &Ports) {
        for (name, seen) in &sight.namespaces {
            for link in &seen.links {
                let own = (name.clone(), link.name.clone());
                let Some(peer) = &link.peer else { continue };
                let other = (peer.namespace.clone(), peer.link.clone());
                // Each wire once.
                if own < other
                    && let (Some(from), Some(to)) = (ports.get(&own), ports.get(&other))
                {
                    self.connect(*from, *to);
                }
            }
        }
    }
}

trait OrDefault {
    fn unwrap_or_default_seen(self) -> Seen;
}

impl OrDefault for Option<&Seen> {
    fn unwrap_or_default_seen(self) -> Seen {
        self.cloned().unwrap_or_default()
    }
}

/// A bridge is a box of its own; it is shown in its namespace too when it has an address.
fn is_shown(link: &Link) -> bool {
    !link.is_loopback && (link.kind != "bridge" || !link.addresses.is_empty())
}

fn port(link: &Link, old: Option<&Seen>) -> Port {
    let mut port = Port::new(&link.name);
    port.is_down = !link.has_carrier;
    let before = old.map(|old| old.link(&link.name));
    let is_new_address = |address: &ipnet::IpNet| {
        before.is_some_and(|link| link.is_none_or(|link| !link.addresses.contains(address)))
    };
    for address in &link.addresses {
        let mark = if is_new_address(address) { format!("{NEW} ") } else { String::new() };
        port.notes.push(Note::new(NoteKind::Address, format!("{mark}{address}")));
    }
    if !link.is_up {
        port.notes.push(Note::new(NoteKind::Setting, "DOWN"));
    }
    if link.mtu != MTU_USUAL {
        port.notes.push(Note::new(NoteKind::Setting, format!("mtu {}", link.mtu)));
    }
    match before {
        Some(None) => port.notes.push(Note::new(NoteKind::Setting, format!("{NEW} {}", link.kind))),
        Some(Some(before)) if !before.is_up && link.is_up => {
            port.notes.push(Note::new(NoteKind::Setting, format!("{NEW} UP")));
        }
        Some(Some(before)) if before.master != link.master && link.master.is_some() => {
            port.notes.push(Note::new(NoteKind::Setting, format!("{NEW} port")));
        }
        _ => {}
    }
    port
}

fn notes(seen: &Seen) -> Vec<Note> {
    let mut notes = Vec::new();
    let routes = seen.routes.iter().filter(|route| !route.is_kernels && route.to.prefix_len() < 64);
    for route in routes {
        let to = if route.to.prefix_len() == 0 { "default".to_owned() } else { route.to.to_string() };
        let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
        let dev = if route.via.is_none() { route.dev.as_ref() } else { None };
        let dev = dev.map(|dev| format!(" dev {dev}")).unwrap_or_default();
        notes.push(Note::new(NoteKind::Route, format!("{to}{via}{dev}")));
    }
    if seen.forwards() {
        notes.push(Note::new(NoteKind::Setting, "ip_forward = 1"));
    }
    for (chain, base) in seen
        .tables
        .iter()
        .flat_map(|table| &table.chains)
        .filter_map(|chain| chain.base.as_ref().map(|base| (chain, base)))
    {
        for rule in chain.rules.iter().filter(|_| base.kind == ChainKind::Nat) {
            let is_translation =
                matches!(rule.action, Action::Masquerade | Action::Snat(_) | Action::Dnat(_));
            if is_translation {
                notes.push(Note::new(NoteKind::Nat, format!("⇄ {rule}")));
            }
        }
        if base.policy == Policy::Drop {
            let hook = match base.hook {
                Hook::Input => "input",
                Hook::Forward => "forward",
                _ => "output",
            };
            notes.push(Note::new(NoteKind::Firewall, format!("{hook}: drop")));
        }
    }
    notes
}

/// What is different now, a line for each thing: `+` what has come, `-` what has gone.
#[must_use]
pub fn changes(before: &Sight, now: &Sight) -> Vec<String> {
    let (old, new) = (facts(before), facts(now));
    let gone = old.iter().filter(|fact| !new.contains(fact)).map(|fact| format!("- {fact}"));
    let come = new.iter().filter(|fact| !old.contains(fact)).map(|fact| format!("+ {fact}"));
    gone.chain(come).collect()
}

fn facts(sight: &Sight) -> Vec<String> {
    let mut facts = Vec::new();
    for (name, seen) in sight.namespaces.iter().filter(|(name, _)| *name != INTERNET) {
        if name != MACHINE {
            facts.push(format!("namespace {name}"));
        }
        for link in &seen.links {
            let state = if link.is_up { "UP" } else { "DOWN" };
            let master = link.master.as_ref().map(|master| format!(" master {master}")).unwrap_or_default();
            let peer =
                link.peer.as_ref().map(|p| format!(" -> {}:{}", p.namespace, p.link)).unwrap_or_default();
            facts.push(format!("{name}:{} {state}{master}{peer}", link.name));
            facts.extend(link.addresses.iter().map(|a| format!("{name}:{} {a}", link.name)));
        }
        facts.extend(notes(seen).into_iter().map(|note| format!("{name}: {}", note.text)));
    }
    facts
}

//! What of the namespaces looked at can be made again, and what cannot.

use super::{Look, Seen};
use crate::desired::sysctls::interface_of_sysctl;
use crate::name::IfName;
use crate::nft::{Action, Chain, Match, Rule, Table};
use crate::state::{Link, LinkKind, Namespace, Ns, PolicyRule, Route, RouteTarget, State};
use std::collections::BTreeMap;

/// A state that can be made, and what is missing in it.
#[derive(Debug, Clone, Default)]
pub struct Again {
    /// What can be made.
    pub state: State,
    /// Legacy tables with the rules that can be made.
    pub legacy: BTreeMap<Ns, Vec<Table>>,
    /// What cannot be made, with its namespace.
    pub remarks: Vec<(Ns, String)>,
}

impl Again {
    /// Takes what can be made out of a look.
    #[must_use]
    pub fn of(look: &Look) -> Self {
        let mut again = Self::default();
        for seen in &look.namespaces {
            match &seen.unread {
                Some(why) => again.remark(seen, format!("nothing of it is known: {why}")),
                None => again.add(look, seen),
            }
        }
        again
    }

    fn remark(&mut self, seen: &Seen, text: String) {
        self.remarks.push((seen.name.clone(), text));
    }

    fn add(&mut self, look: &Look, seen: &Seen) {
        let known = look.state();
        let mut namespace = seen.state.clone();
        let odd = seen.interfaces.iter().filter(|i| IfName::new(&i.name).is_err());
        odd.for_each(|i| self.remark(seen, format!("interface `{}` has a name that cannot be used", i.name)));
        let (kept, left): (BTreeMap<IfName, Link>, BTreeMap<IfName, Link>) =
            namespace.links.into_iter().partition(|(name, link)| why_not(seen, &known, name, link).is_none());
        for (name, link) in &left {
            if let Some(why) = why_not(seen, &known, name, link) {
                self.remark(seen, format!("interface `{name}`: {why}"));
            }
        }
        namespace.links = kept;
        self.keep_sound_parts(seen, &mut namespace);
        for note in &seen.notes {
            self.remark(seen, note.clone());
        }
        for (name, link) in &namespace.links {
            if let LinkKind::Tun(tun) = link.kind
                && !tun.persists
            {
                self.remark(seen, format!("interface `{name}` will have no program at its other end"));
            }
            if seen.interface(name).and_then(|i| i.bridge.as_ref()).is_some_and(|bridge| bridge.filters_vlans)
            {
                self.remark(seen, format!("bridge `{name}` looks at VLAN tags, which is left out"));
            }
        }
        namespace.tables = namespace.tables.iter().map(|t| self.understood(seen, "", t)).collect();
        let legacy: Vec<Table> = seen.legacy.iter().map(|t| self.understood(seen, "legacy ", t)).collect();
        let (rules, odd): (Vec<PolicyRule>, Vec<PolicyRule>) =
            seen.policy.iter().cloned().partition(PolicyRule::is_sayable);
        odd.iter().for_each(|rule| self.remark(seen, format!("routing rule `{rule}` has more conditions")));
        namespace.rules = rules.into_iter().collect();
        namespace.sysctls = worth_writing(&namespace.sysctls, &namespace.links);
        self.state.namespaces.insert(seen.name.clone(), namespace);
        self.legacy.insert(seen.name.clone(), legacy);
    }

    /// Leaves out what hangs on a link that is left out.
    fn keep_sound_parts(&mut self, seen: &Seen, namespace: &mut Namespace) {
        let links = &mut namespace.links;
        let names: Vec<IfName> = links.keys().cloned().collect();
        for (name, link) in links.iter_mut() {
            if let Some(master) = link.master.take_if(|master| !names.contains(master)) {
                self.remark(seen, format!("interface `{name}` is a port of `{master}`, which is left out"));
            }
        }
        let devs = |route: &Route| match &route.target {
            RouteTarget::Unicast(hops) => hops.iter().map(|hop| hop.dev.clone()).collect(),
            RouteTarget::Local(dev) => vec![dev.clone()],
            _ => Vec::new(),
        };
        let is_sound = |route: &Route| devs(route).iter().all(|dev| names.contains(dev));
        for route in namespace.routes.iter().filter(|route| !is_sound(route)) {
            self.remark(
                seen,
                format!("route `{}` leads over what is left out", crate::command::route_words(route)),
            );
        }
        namespace.routes.retain(is_sound);
        namespace.neighbours.retain(|entry| names.contains(&entry.dev));
    }

    /// The table with those rules that are understood.
    fn understood(&mut self, seen: &Seen, backend: &str, table: &Table) -> Table {
        let place = |chain: &Chain| format!("{backend}{} {} {}", table.family, table.name, chain.name);
        for chain in &table.chains {
            for rule in chain.rules.iter().filter(|rule| !is_makeable(backend, rule)) {
                self.remark(seen, format!("rule of {} is not understood: {rule}", place(chain)));
            }
        }
        let rules = |chain: &Chain| chain.rules.iter().filter(|r| is_makeable(backend, r)).cloned().collect();
        let chains = table.chains.iter().map(|chain| Chain { rules: rules(chain), ..chain.clone() });
        Table { chains: chains.collect(), ..table.clone() }
    }
}

fn is_makeable(backend: &str, rule: &Rule) -> bool {
    match backend {
        "" => rule.is_understood() || is_nft(rule),
        _ => super::legacy::arguments(rule).is_some(),
    }
}

/// Whether nft(8) takes back the words of the parts that have no form of their own: those of sets without a name and of
/// common statements are its own.
fn is_nft(rule: &Rule) -> bool {
    const STARTS: [&str; 22] = [
        "tcp ",
        "udp ",
        "th ",
        "ip saddr ",
        "ip daddr ",
        "ip6 saddr ",
        "ip6 daddr ",
        "iifname ",
        "oifname ",
        "meta l4proto ",
        "meta nfproto ",
        "meta mark ",
        "ct mark ",
        "ct state ",
        "limit rate ",
        "log",
        "counter",
        "return",
        "reject with ",
        "redirect",
        "masquerade",
        "icmp type ",
    ];
    let is_own = |words: &str| {
        let is_odd = words.contains(['@', '?', ';', '\n']) || words.starts_with("tcp option");
        !is_odd && STARTS.iter().any(|start| words.starts_with(start))
    };
    let is_own_match = |m: &Match| !matches!(m, Match::Other(words) if !is_own(words));
    rule.matches.iter().all(is_own_match) && !matches!(&rule.action, Action::Other(words) if !is_own(words))
}

/// Why a link cannot be made; none when it can.
fn why_not(seen: &Seen, known: &State, name: &IfName, link: &Link) -> Option<String> {
    let is_known =
        |ns: &Ns, name: &IfName| known.namespaces.get(ns).is_some_and(|n| n.links.contains_key(name));
    match &link.kind {
        LinkKind::Veth { peer_ns, peer } if !is_known(peer_ns, peer) => {
            Some(format!("its other end, {peer_ns}:{peer}, is not among what is looked at"))
        }
        LinkKind::Other(kind) if kind == "veth" => {
            Some("its other end is in a namespace that cannot be seen".to_owned())
        }
        LinkKind::Other(kind) if kind.is_empty() => Some("it is a piece of hardware".to_owned()),
        LinkKind::Other(kind) => Some(format!("links of kind `{kind}` cannot be made")),
        kind => match kind.parent() {
            Some(parent) if !is_known(&parent.ns, &parent.name) => {
                Some(format!("the link that it stands on, {parent}, is not among what is looked at"))
            }
            _ => seen
                .interface(name)
                .filter(|i| i.parent.as_ref().is_some_and(|p| p.namespace.is_none()))
                .map(|_| "the link that it stands on is in a namespace that cannot be seen".to_owned()),
        },
    }
}

/// The values that a new namespace would not have by itself: IPv4's it takes from the machine, so that they are always
/// written; those of an interface where they are not those of its namespace.
fn worth_writing(all: &BTreeMap<String, String>, links: &BTreeMap<IfName, Link>) -> BTreeMap<String, String> {
    let value = |key: &str| all.get(key).map_or("0", String::as_str);
    let is_worth = |key: &str, own: &str| match interface_of_sysctl(key) {
        Some(name) => {
            let leaf = key.rsplit('.').next().unwrap_or_default();
            let of_namespace = match (key.starts_with("net.ipv4."), leaf) {
                (true, "forwarding") => value("net.ipv4.ip_forward"),
                (true, _) => value("net.ipv4.conf.default.rp_filter"),
                (false, "forwarding") => value("net.ipv6.conf.all.forwarding"),
                (false, _) => value("net.ipv6.conf.default.disable_ipv6"),
            };
            links.contains_key(&name) && own != of_namespace
        }
        None if key.starts_with("net.ipv4.") => true,
        // The kernel's own value for a new namespace.
        None if key.starts_with("net.bridge.") => own != "1",
        None => own != "0",
    };
    all.iter().filter(|(key, own)| is_worth(key, own)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

//! What is different from one look to the next.

use super::{Look, Seen};
use std::collections::BTreeSet;

/// What has come and what has gone, one fact each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Facts that hold now and did not before.
    pub come: Vec<String>,
    /// Facts that held before.
    pub gone: Vec<String>,
}

impl Changes {
    /// The difference of two looks. Which process holds what, and for how long a neighbour was known, is none.
    #[must_use]
    pub fn between(before: &Look, now: &Look) -> Self {
        let (before, now) = (facts(before), facts(now));
        Self {
            come: now.difference(&before).cloned().collect(),
            gone: before.difference(&now).cloned().collect(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.come.is_empty() && self.gone.is_empty()
    }

    /// One line for each, what has gone first: `- pc: ...`, `+ pc: ...`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let gone = self.gone.iter().map(|fact| format!("- {fact}"));
        gone.chain(self.come.iter().map(|fact| format!("+ {fact}"))).collect()
    }
}

fn facts(look: &Look) -> BTreeSet<String> {
    look.namespaces.iter().flat_map(of_namespace).collect()
}

fn of_namespace(seen: &Seen) -> Vec<String> {
    let name = &seen.name;
    let mut facts = vec![format!("{name}: namespace")];
    facts.extend(seen.unread.iter().map(|why| format!("{name}: {why}")));
    for interface in &seen.interfaces {
        let link = &interface.name;
        facts.push(format!("{name}: {link} ({})", interface.kind));
        facts.push(format!("{name}: {link} is {}", interface.state));
        facts.push(format!("{name}: {link} has an mtu of {}", interface.mtu));
        facts.extend(interface.mac.map(|mac| format!("{name}: {link} is {mac}")));
        facts.extend(interface.addresses.iter().map(|address| format!("{name}: {link} has {address}")));
        facts.extend(interface.master.iter().map(|master| format!("{name}: {link} is a port of {master}")));
        facts.extend(interface.peer.iter().map(|peer| format!("{name}: {link} leads to {peer}")));
    }
    facts.extend(seen.routes.iter().map(|route| format!("{name}: route {}", route.words)));
    facts.extend(seen.rules.iter().map(|rule| format!("{name}: rule {rule}")));
    let rules = seen.nat.iter().chain(&seen.firewall);
    facts.extend(rules.map(|rule| format!("{name}: {}: {}", rule.chain, rule.rule)));
    let neighbours = seen.neighbours.iter().filter_map(|entry| Some((entry.address, entry.mac?)));
    facts.extend(neighbours.map(|(address, mac)| format!("{name}: neighbour {address} is {mac}")));
    facts.extend(
        seen.sysctls
            .iter()
            .filter(|(key, _)| !key.contains(".conf."))
            .map(|(k, v)| format!("{name}: {k} = {v}")),
    );
    facts.extend(seen.sockets.iter().map(|s| format!("{name}: {} {} listens", s.protocol, s.address)));
    facts
}

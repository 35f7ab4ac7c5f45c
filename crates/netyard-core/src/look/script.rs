//! The commands that make namespaces again.

use super::again::Again;
use super::{Look, legacy};
use crate::desired::{loopback, loopback_name};
use crate::diff::diff;
use crate::name::NodeName;
use crate::state::{Namespace, Ns, State};
use crate::step::Step;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A bash script, and what it leaves out.
#[derive(Debug, Clone)]
pub struct Script {
    /// The script; what it leaves out is told in comments.
    pub text: String,
    /// The same, for people.
    pub remarks: Vec<String>,
}

/// Stands for the caller's own namespace while the commands are made; nothing is called so by accident.
const HERE: &str = "0-0-here-0-0";

/// The commands that make the namespaces again, in an empty sandbox. The caller's own becomes that of the sandbox.
///
/// # Panics
/// Never: the name that stands for the caller's own namespace is a name.
#[must_use]
pub fn script(look: &Look) -> Script {
    let again = Again::of(look);
    let here = look.namespaces.iter().find(|seen| seen.is_here).map(|seen| seen.name.clone());
    let stand_in = Ns::Node(NodeName::new(HERE).expect("a lower-case label"));
    let of = |ns: &Ns| if Some(ns) == here.as_ref() { stand_in.clone() } else { ns.clone() };
    let desired = renamed(&again.state, &of);
    // It is there already, as every namespace is born; nobody knows which values it has.
    let live = desired.namespaces.get(&stand_in).map(|wanted| Namespace {
        links: BTreeMap::from([(loopback_name(), loopback(false))]),
        sysctls: wanted.sysctls.keys().map(|key| (key.clone(), "unknown".to_owned())).collect(),
        ..Namespace::default()
    });
    let live = live.into_iter().map(|live| (stand_in.clone(), live)).collect();
    let steps = diff(&State { namespaces: live }, &desired);

    let mut text = format!("#!/usr/bin/env bash\n# {}: as netyard saw it\n{HEAD}", clean(&look.title));
    let remarks: Vec<String> = again.remarks.iter().map(|(ns, text)| format!("{ns}: {text}")).collect();
    if !remarks.is_empty() {
        text.push_str("\n# Left out:\n");
        for remark in &remarks {
            let _ = writeln!(text, "#   {}", clean(remark));
        }
    }
    let mut last: Option<Ns> = None;
    for step in &steps {
        let is_about_one = !matches!(step, Step::AddNamespace { .. });
        let shown = if *step.ns() == stand_in { here.as_ref().unwrap_or(&stand_in) } else { step.ns() };
        if is_about_one && last.as_ref() != Some(shown) {
            let _ = writeln!(text, "\n# {shown}");
            last = Some(shown.clone());
        }
        for command in step.commands() {
            text.push_str(&at_home(&command));
            text.push_str(if matches!(step, Step::SetChecksums { .. }) { " >/dev/null\n" } else { "\n" });
        }
    }
    for (ns, tables) in again.legacy.iter().filter(|(_, tables)| !tables.is_empty()) {
        let _ = writeln!(text, "\n# {ns}: legacy iptables");
        for command in tables.iter().flat_map(|table| legacy::commands(table, &of(ns))) {
            let _ = writeln!(text, "{}", at_home(&command));
        }
    }
    Script { text, remarks }
}

/// What a person types who is in the namespace already.
fn at_home(command: &str) -> String {
    command
        .replace(&format!("ip netns exec {HERE} "), "")
        .replace(&format!("ip -n {HERE} "), "ip ")
        .replace(&format!(" netns {HERE}"), " netns $$")
}

/// The state with other names for namespaces.
fn renamed(state: &State, of: &impl Fn(&Ns) -> Ns) -> State {
    use crate::state::LinkKind::{Macvlan, Veth, Vlan, Vxlan};
    let mut namespaces = BTreeMap::new();
    for (ns, namespace) in &state.namespaces {
        let mut namespace = namespace.clone();
        for link in namespace.links.values_mut() {
            match &mut link.kind {
                Veth { peer_ns, .. } => *peer_ns = of(peer_ns),
                Macvlan { parent, .. } | Vlan { parent, .. } => parent.ns = of(&parent.ns),
                Vxlan(vxlan) => vxlan.parent.iter_mut().for_each(|parent| parent.ns = of(&parent.ns)),
                _ => {}
            }
        }
        namespaces.insert(of(ns), namespace);
    }
    State { namespaces }
}

/// Prose without line ends, which would end a comment.
fn clean(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

const HEAD: &str = "#
# Needs bash, iproute2 (ip), sysctl, and where there are rules nft or iptables-legacy. Network namespaces are made by name,
# so run it where no such names exist: as root in a machine of its own, or as anybody in a sandbox that ends with its shell:
#
#   unshare -Ur unshare -nmp --fork --mount-proc bash -c 'mount -t tmpfs none /run && bash THIS-SCRIPT && exec bash'
set -eu
";

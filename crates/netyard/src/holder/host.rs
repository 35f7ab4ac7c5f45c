//! The node of kind `host`: the namespace in which netyard was started.
//!
//! The lab adds its own links, with their addresses, routes and per-interface sysctls, and one nf_tables table that
//! its holder owns. The kernel takes all of it back when the holder ends: a veth goes with its peer, the table with
//! its owner. Nothing that was there before is ever changed, so there is nothing to put back.

use super::held::unread;
use crate::error::{Error, Result};
use crate::live;
use crate::namespaces::Namespaces;
use netyard_core::desired;
use netyard_core::lab::{Lab, NodeKind};
use netyard_core::nft::Family;
use netyard_core::state::{Namespace, Ns, State};
use netyard_kernel::netns;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long the kernel may take to remove the links of a lab that has ended, and how often they are looked for.
const REMOVAL_TIME: Duration = Duration::from_secs(1);
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);
/// The name of the lab's table (as in the desired state).
const TABLE: &str = "netyard";

fn host_of(lab: &Lab) -> Option<Ns> {
    lab.nodes.iter().find(|node| node.kind == NodeKind::Host).map(|node| Ns::Node(node.name.clone()))
}

/// Whether the machine itself is part of the lab.
pub(super) fn is_part_of(lab: &Lab) -> bool {
    host_of(lab).is_some()
}

/// Takes in the machine's namespace, if the lab has a node for it, and returns the state to begin from: a namespace
/// in which nothing is the lab's yet.
///
/// # Errors
/// That the machine has links or prefixes which the lab wants to make.
pub(super) fn adopt(lab: &Lab, desired: &State, namespaces: &mut Namespaces) -> Result<State> {
    let Some(ns) = host_of(lab) else { return Ok(State::default()) };
    let left = netns::leave().map_err(|e| Error::io("cannot leave the machine's network namespace", &e))?;
    namespaces.adopt(ns.clone(), left);
    let deadline = Instant::now() + REMOVAL_TIME;
    loop {
        // Also learns the machine's ifindexes, so that the lab's are others.
        let found = live::read(namespaces, &BTreeMap::new()).map_err(|error| unread(&error))?;
        let (Some(found), Some(desired)) = (found.namespaces.get(&ns), desired.namespaces.get(&ns)) else {
            break;
        };
        match refuse_what_is_in_the_way(found, desired) {
            // The links of a lab that has just ended go a moment later than it.
            Err(_) if Instant::now() < deadline => std::thread::sleep(REMOVAL_PAUSE),
            checked => break checked?,
        }
    }
    Ok(State { namespaces: BTreeMap::from([(ns, Namespace::default())]) })
}

fn refuse_what_is_in_the_way(found: &Namespace, desired: &Namespace) -> Result<()> {
    if let Some(name) = desired.links.keys().find(|name| found.links.contains_key(*name)) {
        return Err(Error::input("U014", format!("the machine has an interface `{name}` already")).help(
            format!(
                "give the lab's another name: `links: {{ NETWORK: {{ name: lab-{} }} }}`",
                desired.links.len()
            ),
        ));
    }
    for address in desired.links.values().flat_map(|link| &link.addresses) {
        let overlaps = |own: &&ipnet::IpNet| own.contains(&address.trunc()) || address.contains(&own.trunc());
        for (name, link) in &found.links {
            if let Some(own) = link.addresses.iter().find(overlaps) {
                return Err(Error::input(
                    "U014",
                    format!("prefix {} overlaps {own} of the machine's `{name}`", address.trunc()),
                )
                .help("give the lab's network another prefix, for example one of 198.18.0.0/15"));
            }
        }
    }
    Ok(())
}

/// That a running lab gains or loses its node of kind `host`: it would need another holder.
pub(super) fn refuse_change(running: &Lab, wanted: &Lab) -> Result<()> {
    if host_of(running) == host_of(wanted) {
        return Ok(());
    }
    Err(Error::input("U013", "a running lab cannot gain or lose its node of kind `host`")
        .help("`netyard down` and `netyard up` make it anew"))
}

/// Leaves of the machine's namespace what is the lab's, now or in the state that is wanted.
pub(super) fn keep_own(lab: &Lab, wanted: &State, live: &mut State) {
    let Some(ns) = host_of(lab) else { return };
    let present = desired::state(lab);
    let own: BTreeSet<_> = [&present, wanted]
        .into_iter()
        .filter_map(|state| state.namespaces.get(&ns))
        .flat_map(|namespace| namespace.links.keys().cloned())
        .collect();
    if let Some(host) = live.namespaces.get_mut(&ns) {
        host.links.retain(|name, _| own.contains(name));
        host.routes.retain(|route| own.iter().any(|name| route.uses(name)));
        host.rules.clear();
        host.neighbours.retain(|neighbour| own.contains(&neighbour.dev));
        host.tables.retain(|table| table.name == TABLE && table.family == Family::Inet);
    }
}

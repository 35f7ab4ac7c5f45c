//! What programs in nodes have changed, kept when the lab changes.

use crate::name::IfName;
use crate::state::{Namespace, Ns, State};
use std::collections::BTreeSet;

/// The desired state with what is otherwise in the nodes than the previous one asked for: only what differs between
/// the two is changed. For labs whose nodes are set up by their own programs (`ip address add` in a startup script).
///
/// A link that is asked for as before stays as it is, and so do links, routes, rules, neighbours and tables that nobody asked
/// for. The fabric is no node: it is as desired.
#[must_use]
pub fn with_changes_kept(previous: &State, live: &State, desired: &State) -> State {
    let mut kept = desired.clone();
    for (ns, wanted) in kept.namespaces.iter_mut().filter(|(ns, _)| **ns != Ns::Fabric) {
        if let (Some(previous), Some(live)) = (previous.namespaces.get(ns), live.namespaces.get(ns)) {
            *wanted = namespace(previous, live, wanted);
        }
    }
    kept
}

fn namespace(previous: &Namespace, live: &Namespace, desired: &Namespace) -> Namespace {
    let mut links = desired.links.clone();
    for (name, link) in &live.links {
        if previous.links.get(name) == desired.links.get(name) {
            links.insert(name.clone(), link.clone());
        }
    }
    let gone: Vec<&IfName> = live.links.keys().filter(|name| !links.contains_key(*name)).collect();
    let mut routes = merged(&previous.routes, &live.routes, &desired.routes);
    routes.retain(|route| !gone.iter().any(|name| route.uses(name)));
    let mut neighbours = merged(&previous.neighbours, &live.neighbours, &desired.neighbours);
    neighbours.retain(|neighbour| !gone.contains(&&neighbour.dev));
    let mut sysctls = desired.sysctls.clone();
    for (key, value) in &mut sysctls {
        if let Some(live) = live.sysctls.get(key).filter(|_| previous.sysctls.get(key) == Some(&*value)) {
            value.clone_from(live);
        }
    }
    Namespace {
        links,
        routes,
        neighbours,
        sysctls,
        tables: merged(&previous.tables, &live.tables, &desired.tables),
        rules: merged(&previous.rules, &live.rules, &desired.rules),
    }
}

/// What is there, without what is asked for no longer, with what is asked for only now.
fn merged<T: Ord + Clone>(previous: &BTreeSet<T>, live: &BTreeSet<T>, desired: &BTreeSet<T>) -> BTreeSet<T> {
    let is_dropped = |item: &&T| previous.contains(*item) && !desired.contains(*item);
    live.iter().filter(|item| !is_dropped(item)).chain(desired.difference(previous)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired;
    use crate::diagnostic::Source;
    use crate::diff::diff;
    use crate::step::Step;

    const LAB: &str = "networks: { a: { kind: hub }, b: { kind: hub } }\nnodes:\n  pc: { links: [{ network: a, address: none }], \
                       sysctls: { net.ipv4.icmp_ratelimit: 7 }, gateway: none }\n";

    fn state(text: &str) -> State {
        desired::state(&crate::labfile::parse(&Source::new("lab.yaml", text)).unwrap().lab)
    }

    fn of_pc(state: &mut State) -> &mut Namespace {
        state.namespaces.get_mut(&Ns::Node("pc".parse().unwrap())).unwrap()
    }

    /// The lab after its pc has set up itself.
    fn lived_in() -> State {
        let mut live = state(LAB);
        let pc = of_pc(&mut live);
        let eth0 = pc.links.get_mut(&"eth0".parse::<IfName>().unwrap()).unwrap();
        eth0.addresses.insert("10.0.0.1/24".parse().unwrap());
        let to = "10.9.0.0/16".parse().unwrap();
        pc.routes.insert(crate::state::Route::via(to, "10.0.0.2".parse().unwrap(), "eth0".parse().unwrap()));
        pc.sysctls.insert("net.ipv4.icmp_ratelimit".to_owned(), "8".to_owned());
        live
    }

    #[test]
    fn nothing_is_changed_that_is_asked_for_as_before() {
        let (previous, live) = (state(LAB), lived_in());
        assert!(!diff(&live, &previous).is_empty());
        assert_eq!(with_changes_kept(&previous, &live, &previous), live);
        let more =
            state(&format!("{LAB}  pc2: {{ links: [{{ network: a, address: none }}], gateway: none }}\n"));
        let mut kept = with_changes_kept(&previous, &live, &more);
        assert_eq!(of_pc(&mut kept), of_pc(&mut lived_in()));
        assert!(kept.namespaces.contains_key(&Ns::Node("pc2".parse().unwrap())));
        let pc = Ns::Node("pc".parse().unwrap());
        let touches = |step: &Step| matches!(step, Step::AddAddress { ns, .. } | Step::DeleteAddress { ns, .. } if *ns == pc);
        assert!(!diff(&live, &kept).iter().any(touches));
    }

    #[test]
    fn what_is_asked_for_otherwise_is_changed() {
        let (previous, live) = (state(LAB), lived_in());
        let other =
            LAB.replace("network: a,", "network: b, name: eth9,").replace("ratelimit: 7", "ratelimit: 9");
        let mut kept = with_changes_kept(&previous, &live, &state(&other));
        let pc = of_pc(&mut kept);
        let names: Vec<String> = pc.links.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["eth9", "lo"]);
        assert!(pc.routes.is_empty(), "its interface is gone");
        assert_eq!(pc.sysctls["net.ipv4.icmp_ratelimit"], "9");
    }
}

//! The rtnetlink requests of a step, with names looked up.

use crate::apply::Failure;
use crate::namespaces::Namespaces;
use netyard_core::name::IfName;
use netyard_core::state::{Ns, Route, RouteTarget};
use netyard_core::step::{Step, VethEnd};
use netyard_kernel::netlink::{Messages, address, link, neighbour, qdisc, route, rule};
use rustix::io::Errno;

/// Whether [`append`] knows the step; all others go by a system call of their own.
pub(crate) fn goes_by_rtnetlink(step: &Step) -> bool {
    match step {
        Step::AddNamespace { .. }
        | Step::DeleteNamespace { .. }
        | Step::AddLink { .. }
        | Step::SetChecksums { .. }
        | Step::SetSysctl { .. }
        | Step::ReplaceTable { .. }
        | Step::DeleteTable { .. } => false,
        Step::AddBridge { .. }
        | Step::AddVeth { .. }
        | Step::DeleteLink { .. }
        | Step::SetLinkUp { .. }
        | Step::SetMtu { .. }
        | Step::SetMac { .. }
        | Step::SetMaster { .. }
        | Step::SetBridge { .. }
        | Step::AddAddress { .. }
        | Step::DeleteAddress { .. }
        | Step::AddRoute { .. }
        | Step::DeleteRoute { .. }
        | Step::AddRule { .. }
        | Step::DeleteRule { .. }
        | Step::AddNeighbour { .. }
        | Step::DeleteNeighbour { .. }
        | Step::SetShaping { .. } => true,
    }
}

/// Appends the requests of a step that goes by rtnetlink; of any other, none. Nothing is appended on failure.
pub(crate) fn append(
    messages: &mut Messages,
    namespaces: &mut Namespaces,
    step: &Step,
) -> Result<(), Failure> {
    match step {
        Step::AddBridge { ns, name, mac, mtu, bridge } => {
            let index = namespaces.give_index(ns, name).ok_or_else(|| no_namespace(ns))?;
            link::add_bridge(messages, name.as_str(), index, *mac, *mtu, bridge);
        }
        Step::AddVeth { near, far } => add_veth(messages, namespaces, near, far)?,
        Step::DeleteLink { ns, name } => link::delete(messages, index(namespaces, ns, name)?),
        Step::SetLinkUp { ns, name, is_up } => {
            link::set_up(messages, index(namespaces, ns, name)?, *is_up);
        }
        Step::SetMtu { ns, name, mtu } => link::set_mtu(messages, index(namespaces, ns, name)?, *mtu),
        Step::SetMac { ns, name, mac } => link::set_mac(messages, index(namespaces, ns, name)?, *mac),
        Step::SetMaster { ns, name, master } => {
            let master = master.as_ref().map(|master| index(namespaces, ns, master)).transpose()?;
            link::set_master(messages, index(namespaces, ns, name)?, master);
        }
        Step::SetBridge { ns, name, bridge } => {
            link::set_bridge(messages, index(namespaces, ns, name)?, bridge);
        }
        Step::AddAddress { ns, dev, address, dad } => {
            address::add(messages, index(namespaces, ns, dev)?, *address, *dad);
        }
        Step::DeleteAddress { ns, dev, address } => {
            address::delete(messages, index(namespaces, ns, dev)?, *address);
        }
        Step::AddRoute { ns, route } => route::add(messages, route, &devices(namespaces, ns, route)?),
        Step::DeleteRoute { ns, route } => {
            route::delete(messages, route, &devices(namespaces, ns, route)?);
        }
        Step::AddRule { rule, .. } => rule::add(messages, rule),
        Step::DeleteRule { rule, .. } => rule::delete(messages, rule),
        Step::AddNeighbour { ns, neighbour } => {
            let index = index(namespaces, ns, &neighbour.dev)?;
            neighbour::add(messages, index, neighbour.to, neighbour.mac);
        }
        Step::DeleteNeighbour { ns, neighbour } => {
            neighbour::delete(messages, index(namespaces, ns, &neighbour.dev)?, neighbour.to);
        }
        Step::SetShaping { ns, dev, egress } => {
            let index = index(namespaces, ns, dev)?;
            if egress.is_none() {
                qdisc::delete(messages, index);
            } else {
                qdisc::replace(messages, index, egress);
            }
        }
        Step::AddNamespace { .. }
        | Step::DeleteNamespace { .. }
        | Step::AddLink { .. }
        | Step::SetChecksums { .. }
        | Step::SetSysctl { .. }
        | Step::ReplaceTable { .. }
        | Step::DeleteTable { .. } => {}
    }
    Ok(())
}

fn add_veth(
    messages: &mut Messages,
    namespaces: &mut Namespaces,
    near: &VethEnd,
    far: &VethEnd,
) -> Result<(), Failure> {
    let master = near.master.as_ref().map(|master| index(namespaces, &near.ns, master)).transpose()?;
    let near_index = namespaces.give_index(&near.ns, &near.name).ok_or_else(|| no_namespace(&near.ns))?;
    let far_index = namespaces.give_index(&far.ns, &far.name).ok_or_else(|| no_namespace(&far.ns))?;
    let far_ns = namespaces.fd(&far.ns).ok_or_else(|| no_namespace(&far.ns))?;
    link::add_veth(messages, end(near, near_index), master, near.is_up, end(far, far_index), far_ns);
    Ok(())
}

fn end(end: &VethEnd, index: u32) -> link::VethEnd<'_> {
    link::VethEnd { name: end.name.as_str(), index, mac: end.mac, mtu: end.mtu }
}

/// The ifindexes that a route names, in order.
fn devices(namespaces: &Namespaces, ns: &Ns, route: &Route) -> Result<Vec<u32>, Failure> {
    match &route.target {
        RouteTarget::Unicast(hops) => hops.iter().map(|hop| index(namespaces, ns, &hop.dev)).collect(),
        RouteTarget::Local(dev) => Ok(vec![index(namespaces, ns, dev)?]),
        RouteTarget::Unreachable | RouteTarget::Blackhole | RouteTarget::Prohibit => Ok(Vec::new()),
    }
}

pub(crate) fn index(namespaces: &Namespaces, ns: &Ns, link: &IfName) -> Result<u32, Failure> {
    namespaces.index(ns, link).ok_or_else(|| Failure::new(Errno::NODEV, format!("{ns} has no link {link}")))
}

pub(crate) fn no_namespace(ns: &Ns) -> Failure {
    Failure::new(Errno::NOENT, format!("there is no namespace {ns}"))
}

//! A small model of the kernel: what each step does, and what the kernel then does by itself.
//!
//! It is stricter than it must be: a step that the kernel would refuse panics with the reason.

use ipnet::IpNet;
use netyard_core::desired;
use netyard_core::desired::sysctls::interface_of_sysctl;
use netyard_core::name::IfName;
use netyard_core::shaping::Shaping;
use netyard_core::state::{Link, LinkKind, Namespace, Ns, Route, RouteTarget, State};
use netyard_core::step::{Step, VethEnd};
use std::collections::{BTreeMap, BTreeSet};

/// Values of a new namespace that a plan turns off where they are there: br_netfilter is loaded.
const AT_BIRTH: [(&str, &str); 5] = [
    ("net.bridge.bridge-nf-call-arptables", "1"),
    ("net.bridge.bridge-nf-call-ip6tables", "1"),
    ("net.bridge.bridge-nf-call-iptables", "1"),
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv6.conf.default.disable_ipv6", "0"),
];

/// A machine.
#[derive(Default, Clone)]
pub struct Kernel {
    pub state: State,
    /// Bridges whose MTU was set, and is no longer fitted to their ports.
    pinned: BTreeSet<(Ns, IfName)>,
    /// Bridges that have ports.
    with_ports: BTreeSet<(Ns, IfName)>,
}

impl Kernel {
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::AddNamespace { ns, sysctls } => {
                let links = BTreeMap::from([(desired::loopback_name(), desired::loopback(false))]);
                let old =
                    self.state.namespaces.insert(ns.clone(), Namespace { links, ..Namespace::default() });
                assert!(old.is_none(), "EEXIST {step:?}");
                for (key, value) in AT_BIRTH {
                    self.write(ns, key, value);
                }
                sysctls.iter().for_each(|(key, value)| self.write(ns, key, value));
            }
            Step::DeleteNamespace { ns } => {
                let names: Vec<IfName> = self.ns(ns).links.keys().cloned().collect();
                names.iter().for_each(|name| self.delete_link(ns, name));
                self.state.namespaces.remove(ns);
            }
            Step::AddLink { .. } => panic!("no random lab has such a link: {step:?}"),
            Step::AddBridge { ns, name, mac, mtu, bridge } => {
                let kind = LinkKind::Bridge(bridge.clone());
                let link = Link { mac: Some(*mac), mtu: *mtu, ..down(kind) };
                assert!(self.ns(ns).links.insert(name.clone(), link).is_none(), "EEXIST {step:?}");
            }
            Step::AddVeth { near, far } => {
                assert!(!far.is_up && far.master.is_none(), "ENOTCONN {step:?}");
                self.add_end(near, far);
                self.add_end(far, near);
            }
            Step::DeleteLink { ns, name } => {
                assert!(is_deletable(self.link(ns, name)), "EOPNOTSUPP {step:?}");
                self.delete_link(ns, name);
            }
            Step::SetLinkUp { ns, name, is_up } => {
                self.link(ns, name).is_up = *is_up;
                if !is_up {
                    self.link(ns, name).addresses.retain(|address| address.addr().is_ipv4());
                    self.forget(ns, name);
                }
            }
            Step::SetMtu { ns, name, mtu } => {
                if self.link(ns, name).mtu != *mtu {
                    self.link(ns, name).mtu = *mtu;
                    self.pinned.insert((ns.clone(), name.clone()));
                }
            }
            Step::SetMac { ns, name, mac } => {
                self.link(ns, name).mac = Some(*mac);
                self.ns(ns).neighbours.retain(|neighbour| neighbour.dev != *name);
            }
            Step::SetMaster { ns, name, master } => {
                if let Some(master) = master {
                    assert!(matches!(self.link(ns, master).kind, LinkKind::Bridge(_)), "{step:?}");
                }
                self.link(ns, name).master = master.clone();
            }
            Step::SetBridge { ns, name, bridge } => match &mut self.link(ns, name).kind {
                LinkKind::Bridge(settings) => *settings = bridge.clone(),
                kind => panic!("{kind:?} is no bridge: {step:?}"),
            },
            Step::SetChecksums { ns, name, fills } => self.link(ns, name).fills_checksums = *fills,
            Step::AddAddress { ns, dev, address, .. } => {
                let may_have =
                    address.addr().is_ipv4() || self.value(ns, "net.ipv6.conf.all.disable_ipv6") != "1";
                assert!(may_have, "EACCES {step:?}");
                assert!(self.link(ns, dev).addresses.insert(*address), "EEXIST {step:?}");
            }
            Step::DeleteAddress { ns, dev, address } => {
                assert!(self.link(ns, dev).addresses.remove(address), "EADDRNOTAVAIL {step:?}");
                self.forget_source(ns, *address);
                let has_ipv4 = self.link(ns, dev).addresses.iter().any(|left| left.addr().is_ipv4());
                if address.addr().is_ipv4() && !has_ipv4 {
                    self.drop_routes(ns, dev, |route| route.to.addr().is_ipv4());
                    self.ns(ns).neighbours.retain(|entry| entry.dev != *dev || entry.to.is_ipv6());
                }
            }
            Step::AddRoute { ns, route } => self.add_route(ns, route),
            Step::DeleteRoute { ns, route } => {
                assert!(self.ns(ns).routes.remove(route), "ESRCH {step:?}");
            }
            Step::AddRule { ns, rule } => {
                assert!(self.ns(ns).rules.insert(rule.clone()), "EEXIST {step:?}");
            }
            Step::DeleteRule { ns, rule } => {
                assert!(self.ns(ns).rules.remove(rule), "ENOENT {step:?}");
            }
            Step::AddNeighbour { ns, neighbour } => {
                assert!(self.link(ns, &neighbour.dev).is_up, "ENETDOWN {step:?}");
                self.ns(ns).neighbours.retain(|old| (&old.dev, old.to) != (&neighbour.dev, neighbour.to));
                self.ns(ns).neighbours.insert(neighbour.clone());
            }
            Step::DeleteNeighbour { ns, neighbour } => {
                assert!(self.ns(ns).neighbours.remove(neighbour), "ENOENT {step:?}");
            }
            Step::SetSysctl { ns, key, value } => {
                if let Some(name) = interface_of_sysctl(key) {
                    self.link(ns, &name);
                }
                self.write(ns, key, value);
            }
            Step::SetShaping { ns, dev, egress } => self.link(ns, dev).egress = *egress,
            Step::ReplaceTable { ns, table } => {
                self.ns(ns).tables.retain(|old| (old.family, &old.name) != (table.family, &table.name));
                self.ns(ns).tables.insert(table.clone());
            }
            Step::DeleteTable { ns, family, name } => {
                let before = self.ns(ns).tables.len();
                self.ns(ns).tables.retain(|old| (old.family, &old.name) != (*family, name));
                assert_eq!(self.ns(ns).tables.len() + 1, before, "ENOENT {step:?}");
            }
        }
        if changes_ports(step) {
            self.fit_bridges();
        }
    }

    fn ns(&mut self, ns: &Ns) -> &mut Namespace {
        self.state.namespaces.get_mut(ns).unwrap_or_else(|| panic!("no namespace {ns}"))
    }

    fn link(&mut self, ns: &Ns, name: &IfName) -> &mut Link {
        self.ns(ns).links.get_mut(name).unwrap_or_else(|| panic!("ENODEV {name} in {ns}"))
    }

    fn value(&mut self, ns: &Ns, key: &str) -> String {
        self.ns(ns).sysctls.get(key).cloned().unwrap_or_default()
    }

    fn add_end(&mut self, own: &VethEnd, other: &VethEnd) {
        if let Some(master) = &own.master {
            assert!(matches!(self.link(&own.ns, master).kind, LinkKind::Bridge(_)), "{own:?}");
        }
        let kind = LinkKind::Veth { peer_ns: other.ns.clone(), peer: other.name.clone() };
        let link = Link {
            mac: Some(own.mac),
            mtu: own.mtu,
            master: own.master.clone(),
            is_up: own.is_up,
            ..down(kind)
        };
        assert!(self.ns(&own.ns).links.insert(own.name.clone(), link).is_none(), "EEXIST {own:?}");
    }

    /// Removes a link, its peer, and what is bound to them.
    fn delete_link(&mut self, ns: &Ns, name: &IfName) {
        let Some(link) = self.ns(ns).links.remove(name) else { return };
        self.pinned.remove(&(ns.clone(), name.clone()));
        self.forget(ns, name);
        link.addresses.iter().for_each(|address| self.forget_source(ns, *address));
        let namespace = self.ns(ns);
        namespace.sysctls.retain(|key, _| interface_of_sysctl(key).is_none_or(|dev| dev != *name));
        for port in namespace.links.values_mut().filter(|port| port.master.as_ref() == Some(name)) {
            port.master = None;
        }
        if let LinkKind::Veth { peer_ns, peer } = link.kind {
            self.delete_link(&peer_ns, &peer);
        }
    }

    /// Routes and neighbours of a link that is down or gone.
    fn forget(&mut self, ns: &Ns, name: &IfName) {
        self.drop_routes(ns, name, |_| true);
        self.ns(ns).neighbours.retain(|neighbour| neighbour.dev != *name);
    }

    /// IPv4 drops a route with one of its hops, IPv6 the hop.
    fn drop_routes(&mut self, ns: &Ns, dev: &IfName, concerns: impl Fn(&Route) -> bool) {
        let routes = std::mem::take(&mut self.ns(ns).routes);
        let left = routes.into_iter().filter_map(|mut route| {
            let (is_concerned, is_ipv4) = (concerns(&route), route.to.addr().is_ipv4());
            match &mut route.target {
                RouteTarget::Unicast(hops) if is_concerned => {
                    let before = hops.len();
                    hops.retain(|hop| hop.dev != *dev);
                    let is_gone = hops.is_empty() || (is_ipv4 && hops.len() < before);
                    (!is_gone).then_some(route)
                }
                RouteTarget::Local(name) if name == dev => None,
                _ => Some(route),
            }
        });
        let left = left.collect();
        self.ns(ns).routes = left;
    }

    /// Without its source address an IPv4 route goes; an IPv6 route goes on without.
    fn forget_source(&mut self, ns: &Ns, address: IpNet) {
        let has_it = |link: &Link| link.addresses.iter().any(|left| left.addr() == address.addr());
        if self.ns(ns).links.values().any(has_it) {
            return;
        }
        let (lost, mut left): (BTreeSet<Route>, BTreeSet<Route>) =
            std::mem::take(&mut self.ns(ns).routes).into_iter().partition(|r| r.src == Some(address.addr()));
        left.extend(lost.into_iter().filter(|r| r.to.addr().is_ipv6()).map(|r| Route { src: None, ..r }));
        self.ns(ns).routes = left;
    }

    fn add_route(&mut self, ns: &Ns, route: &Route) {
        let namespace = self.ns(ns);
        let key = |route: &Route| (route.to, route.metric, route.table);
        assert!(!namespace.routes.iter().any(|old| key(old) == key(route)), "EEXIST {route:?} in {ns}");
        if let RouteTarget::Unicast(hops) = &route.target {
            for hop in hops {
                let link = namespace.links.get(&hop.dev).unwrap_or_else(|| panic!("ENODEV {route:?}"));
                assert!(link.is_up, "ENETDOWN {route:?}");
                let Some(via) = hop.via.filter(|_| !hop.onlink) else { continue };
                let leads_there = |direct: &Route| {
                    let to_dev = |hops: &[netyard_core::state::NextHop]| {
                        hops.iter().any(|direct| direct.via.is_none() && direct.dev == hop.dev)
                    };
                    direct.to.contains(&via)
                        && matches!(&direct.target, RouteTarget::Unicast(hops) if to_dev(hops))
                };
                let is_connected = link.addresses.iter().any(|address| address.contains(&via));
                assert!(
                    is_connected || namespace.routes.iter().any(leads_there),
                    "invalid gateway {route:?} in {ns}"
                );
            }
        }
        let has = |src| namespace.links.values().any(|l| l.addresses.iter().any(|a| a.addr() == src));
        assert!(route.src.is_none_or(has), "invalid source {route:?} in {ns}");
        namespace.routes.insert(route.clone());
    }

    fn write(&mut self, ns: &Ns, key: &str, value: &str) {
        let differs = self.value(ns, key) != value;
        let sysctls = &mut self.ns(ns).sysctls;
        sysctls.insert(key.to_owned(), value.to_owned());
        let (family, leaf) = match key {
            "net.ipv4.ip_forward" => ("net.ipv4.conf.", ".forwarding"),
            "net.ipv6.conf.all.forwarding" => ("net.ipv6.conf.", ".forwarding"),
            "net.ipv6.conf.all.disable_ipv6" => ("net.ipv6.conf.", ".disable_ipv6"),
            _ => return,
        };
        if differs {
            for (key, old) in sysctls.iter_mut().filter(|(k, _)| k.starts_with(family) && k.ends_with(leaf)) {
                if interface_of_sysctl(key).is_some() {
                    value.clone_into(old);
                }
            }
        }
        if differs && key == "net.ipv4.ip_forward" {
            let accepts = if value == "0" { "1" } else { "0" };
            sysctls.insert("net.ipv4.conf.all.accept_redirects".to_owned(), accepts.to_owned());
        }
        if key.ends_with("disable_ipv6") && value == "1" {
            let has_ipv6 = |link: &Link| link.addresses.iter().any(|address| address.addr().is_ipv6());
            assert!(!self.ns(ns).links.values().any(has_ipv6), "IPv6 addresses left in {ns}");
        }
    }

    /// A bridge has the lowest MTU of its ports, and 1500 when the last one left, unless it was set.
    fn fit_bridges(&mut self) {
        let mut with_ports = BTreeSet::new();
        for (ns, namespace) in &mut self.state.namespaces {
            let mut lowest: BTreeMap<IfName, u32> = BTreeMap::new();
            for link in namespace.links.values() {
                if let Some(master) = &link.master {
                    let mtu = lowest.entry(master.clone()).or_insert(link.mtu);
                    *mtu = link.mtu.min(*mtu);
                }
            }
            for (name, link) in &mut namespace.links {
                let key = (ns.clone(), name.clone());
                let lost_ports = self.with_ports.contains(&key) && !lowest.contains_key(name);
                let fitted = lowest.get(name).copied().or(lost_ports.then_some(1500));
                if let Some(mtu) = fitted.filter(|_| !self.pinned.contains(&key)) {
                    link.mtu = mtu;
                }
            }
            with_ports.extend(lowest.into_keys().map(|name| (ns.clone(), name)));
        }
        self.with_ports = with_ports;
    }
}

fn changes_ports(step: &Step) -> bool {
    matches!(
        step,
        Step::DeleteNamespace { .. }
            | Step::AddVeth { .. }
            | Step::DeleteLink { .. }
            | Step::SetMaster { .. }
            | Step::SetMtu { .. }
    )
}

fn is_deletable(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Bridge(_))
}

fn down(kind: LinkKind) -> Link {
    Link {
        kind,
        mac: None,
        mtu: 1500,
        is_up: false,
        master: None,
        addresses: BTreeSet::new(),
        egress: Shaping::default(),
        fills_checksums: false,
    }
}

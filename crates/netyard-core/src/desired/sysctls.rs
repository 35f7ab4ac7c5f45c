//! Which values below `/proc/sys` a lab depends on.
//!
//! New namespaces inherit IPv4's `conf.all` and `conf.default` from the host, so each one that decides about
//! packets of a lab is written (Documentation/networking/ip-sysctl.rst of Linux). Keys are sorted, and are written
//! in that order; `net.ipv4.ip_forward` comes after `net.ipv4.conf`, some of which it changes.

use super::bridge_with_port;
use crate::lab::{Lab, Node, NodeKind, Role};
use crate::name::IfName;
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap};

/// The group ids that may open ICMP sockets without a capability: from 0 to the highest gid that the lab's user
/// namespace maps, more is EINVAL. A lab maps gid 0 alone.
pub const PING_GROUP_RANGE: &str = "0 0";

/// Whether a key may be missing in the running kernel because what it would turn off is not there: `br_netfilter`
/// not loaded, or no IPv6.
///
/// A missing key is skipped by whoever writes it, and is no difference between two states.
#[must_use]
pub fn sysctl_may_be_absent(key: &str, value: &str) -> bool {
    let is_off = key.starts_with("net.bridge.") && value == "0";
    is_off || (key.starts_with("net.ipv6.conf.") && key.ends_with(".disable_ipv6") && value == "1")
}

/// The key of one interface's value, for example `net.ipv4.conf.eth0.forwarding`; dots of the name become `/`, as
/// for sysctl(8).
#[must_use]
pub fn sysctl_of_interface(family: &str, interface: &IfName, leaf: &str) -> String {
    format!("net.{family}.conf.{}.{leaf}", interface.as_str().replace('.', "/"))
}

/// The interface whose value a key names; none for a value of the whole namespace.
///
/// ```
/// use netyard_core::desired::sysctls::interface_of_sysctl;
/// assert_eq!(interface_of_sysctl("net.ipv4.conf.eth0/100.rp_filter").unwrap(), "eth0.100");
/// assert_eq!(interface_of_sysctl("net.ipv4.conf.all.rp_filter"), None);
/// assert_eq!(interface_of_sysctl("net.ipv4.ip_forward"), None);
/// ```
#[must_use]
pub fn interface_of_sysctl(key: &str) -> Option<IfName> {
    let (_, name, _) = split_interface(key)?;
    // `all` and `default` are not interface names.
    IfName::new(name.replace('/', ".")).ok()
}

/// `net.ipv4.conf.` or the like, the interface's name, and the rest with its dot.
fn split_interface(key: &str) -> Option<(&str, &str, &str)> {
    let below_net = key.strip_prefix("net.")?;
    let (family, rest) = below_net.split_once('.')?;
    let (group, rest) = rest.split_once('.')?;
    let dot = rest.rfind('.')?;
    let head = "net.".len() + family.len() + 1 + group.len() + 1;
    matches!(group, "conf" | "neigh").then(|| (&key[..head], &rest[..dot], &rest[dot..]))
}

/// A key of the lab file in the spelling of states: with its `net.`, dots of an interface name as `/`, and the two
/// names of one value (`conf.all.forwarding`) as one.
fn canonical(key: &str) -> String {
    let key = if key.starts_with("net.") { key.to_owned() } else { format!("net.{key}") };
    if key == "net.ipv4.conf.all.forwarding" {
        return "net.ipv4.ip_forward".to_owned();
    }
    match split_interface(&key) {
        Some((head, name, leaf)) => format!("{head}{}{leaf}", name.replace('.', "/")),
        None => key,
    }
}

/// The values of the fabric: nothing but bridging happens there.
pub(super) fn of_fabric() -> BTreeMap<String, String> {
    let mut sysctls = Sysctls::default();
    sysctls.set_ipv6_off();
    sysctls.set_bridges_unfiltered();
    sysctls.0
}

/// The values of a node, those of its file last.
pub(super) fn of_node(lab: &Lab, node: &Node, uses_ipv6: bool) -> BTreeMap<String, String> {
    let written = node.sysctls.iter().map(|(key, value)| (canonical(key), value.clone()));
    if node.kind == NodeKind::Host {
        let mut sysctls = of_host_interfaces(node, uses_ipv6);
        sysctls.0.extend(
            written.filter(|(key, _)| interface_of_sysctl(key).is_some_and(|name| owns(node, &name))),
        );
        return sysctls.0;
    }
    let mut sysctls = Sysctls::default();
    // An internet node has every address of the world: it would answer ARP for all of them, and ask with them.
    let is_exact = node.role == Role::Internet || has_two_interfaces_in_one_prefix(node);
    sysctls.set_ipv4(forwards_ipv4(node), is_exact);
    if uses_ipv6 {
        sysctls.set_ipv6(forwards_ipv6(node), lab.dad);
    } else {
        sysctls.set_ipv6_off();
    }
    if !node.bridges.is_empty() {
        sysctls.set_bridges_unfiltered();
    }
    sysctls.0.extend(written);
    sysctls.follow_forwarding(&node.sysctls);
    sysctls.0
}

/// An internet node on several networks connects them, and says "unreachable" where it silently drops otherwise.
fn forwards_ipv4(node: &Node) -> bool {
    node.forwards_ipv4 || node.role == Role::Internet
}

fn forwards_ipv6(node: &Node) -> bool {
    node.forwards_ipv6 || node.role == Role::Internet
}

/// In the host's own namespace only what concerns the lab's interfaces is written.
fn of_host_interfaces(node: &Node, uses_ipv6: bool) -> Sysctls {
    let mut sysctls = Sysctls::default();
    let names = node.interfaces.iter().map(|i| &i.name).chain(node.bridges.iter().map(|b| &b.name));
    for name in names {
        sysctls.set(&sysctl_of_interface("ipv4", name, "forwarding"), flag(node.forwards_ipv4));
        if uses_ipv6 {
            sysctls.set(&sysctl_of_interface("ipv6", name, "disable_ipv6"), "0");
            sysctls.set(&sysctl_of_interface("ipv6", name, "forwarding"), flag(node.forwards_ipv6));
        } else {
            sysctls.set(&sysctl_of_interface("ipv6", name, "disable_ipv6"), "1");
        }
    }
    sysctls
}

fn owns(node: &Node, name: &IfName) -> bool {
    node.interface(name.as_str()).is_some() || node.bridges.iter().any(|bridge| bridge.name == *name)
}

/// Whether ARP for one address would be answered by several interfaces ("ARP flux").
fn has_two_interfaces_in_one_prefix(node: &Node) -> bool {
    let on_interfaces = node.interfaces.iter().flat_map(|interface| {
        let dev = bridge_with_port(node, &interface.name).map_or(&interface.name, |bridge| &bridge.name);
        interface.addresses.iter().map(move |address| (address, dev))
    });
    let on_bridges = node
        .bridges
        .iter()
        .flat_map(|bridge| bridge.addresses.iter().map(move |address| (address, &bridge.name)));
    let mut devs: HashMap<IpNet, &IfName> = HashMap::new();
    let mut ipv4 = on_interfaces.chain(on_bridges).filter(|(address, _)| address.addr().is_ipv4());
    ipv4.any(|(address, dev)| devs.insert(address.trunc(), dev).is_some_and(|other| other != dev))
}

fn flag(is_on: bool) -> &'static str {
    if is_on { "1" } else { "0" }
}

#[derive(Default)]
struct Sysctls(BTreeMap<String, String>);

impl Sysctls {
    fn set(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_owned(), value.to_owned());
    }

    /// With `is_exact`, ARP is answered only for addresses of the interface asked at, and asks with them.
    fn set_ipv4(&mut self, forwards: bool, is_exact: bool) {
        self.set("net.ipv4.conf.all.arp_announce", if is_exact { "2" } else { "0" });
        self.set("net.ipv4.conf.all.arp_ignore", flag(is_exact));
        // Deleting the first address of a prefix keeps the others, so that a plan may delete just one.
        self.set("net.ipv4.conf.all.promote_secondaries", "1");
        for conf in ["all", "default"] {
            self.set(&format!("net.ipv4.conf.{conf}.rp_filter"), "0");
        }
        self.set("net.ipv4.conf.all.send_redirects", "1");
        // No kind of ICMP message is rate-limited, neither per destination nor for the whole machine, so that
        // every probe is answered. (`icmp_ratelimit` 0 lifts only the first, and the machine's is not in namespaces
        // before Linux 6.12.)
        self.set("net.ipv4.icmp_ratemask", "0");
        self.set("net.ipv4.ip_forward", flag(forwards));
        self.set("net.ipv4.ping_group_range", PING_GROUP_RANGE);
    }

    fn set_ipv6(&mut self, forwards: bool, dad: bool) {
        for conf in ["all", "default"] {
            self.set(&format!("net.ipv6.conf.{conf}.accept_dad"), flag(dad));
            self.set(&format!("net.ipv6.conf.{conf}.disable_ipv6"), "0");
        }
        self.set("net.ipv6.conf.default.accept_ra", "0");
        self.set("net.ipv6.conf.all.forwarding", flag(forwards));
        self.set("net.ipv6.icmp.ratelimit", "0");
    }

    fn set_ipv6_off(&mut self) {
        for conf in ["all", "default"] {
            self.set(&format!("net.ipv6.conf.{conf}.disable_ipv6"), "1");
        }
    }

    /// Bridged frames do not pass the packet filter of the namespace, though `br_netfilter` may be loaded.
    fn set_bridges_unfiltered(&mut self) {
        for tables in ["arptables", "ip6tables", "iptables"] {
            self.set(&format!("net.bridge.bridge-nf-call-{tables}"), "0");
        }
    }

    /// The kernel accepts ICMP redirects on hosts and not on routers: writing `ip_forward` sets it (net/ipv4/devinet.c,
    /// `inet_forward_change`), so the value asked for must follow.
    fn follow_forwarding(&mut self, written: &BTreeMap<String, String>) {
        const ACCEPTS: &str = "net.ipv4.conf.all.accept_redirects";
        if !written.keys().any(|key| canonical(key) == ACCEPTS) {
            let forwards = self.0.get("net.ipv4.ip_forward").is_some_and(|value| value != "0");
            self.set(ACCEPTS, flag(!forwards));
        }
    }
}

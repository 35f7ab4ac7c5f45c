//! Commands that make what is seen.

use super::MACHINE;
use super::sight::{Link, Seen, Sight};
use std::fmt::Write;

/// What a sandbox has from the start.
const GIVEN: [&str; 2] = ["lo", "ens4"];

/// Shell commands that make of a fresh sandbox what is seen: `ip`, `sysctl`, `nft`.
#[must_use]
pub fn script(sight: &Sight) -> String {
    let mut out = String::new();
    let mine = || sight.namespaces.iter().filter(|(name, _)| *name != "internet");
    for (name, _) in mine().filter(|(name, _)| *name != MACHINE) {
        let _ = writeln!(out, "ip netns add {name}");
    }
    for (name, seen) in mine() {
        seen.links.iter().for_each(|link| make(&mut out, name, link));
    }
    for (name, seen) in mine() {
        configure(&mut out, name, seen);
    }
    for (name, seen) in mine() {
        rules(&mut out, name, seen);
    }
    out
}

/// `ip`, or `ip -n NAME`.
fn ip(namespace: &str) -> String {
    if namespace == MACHINE { "ip".to_owned() } else { format!("ip -n {namespace}") }
}

fn make(out: &mut String, namespace: &str, link: &Link) {
    let (ip, name) = (ip(namespace), &link.name);
    match (link.kind.as_str(), &link.peer) {
        _ if GIVEN.contains(&name.as_str()) => {}
        ("veth", Some(peer)) if (namespace, name.as_str()) < (&peer.namespace, &peer.link) => {
            let there = if peer.namespace == namespace {
                String::new()
            } else {
                format!(" netns {}", peer.namespace)
            };
            if peer.namespace == MACHINE {
                let _ =
                    writeln!(out, "ip link add {} type veth peer name {name} netns {namespace}", peer.link);
            } else {
                let _ = writeln!(out, "{ip} link add {name} type veth peer name {}{there}", peer.link);
            }
        }
        ("bridge", _) => {
            let stp = if link.has_stp { " stp_state 1" } else { "" };
            let _ = writeln!(out, "{ip} link add {name} type bridge{stp}");
        }
        ("dummy", _) => {
            let _ = writeln!(out, "{ip} link add {name} type dummy");
        }
        _ => {}
    }
}

fn configure(out: &mut String, namespace: &str, seen: &Seen) {
    let ip = ip(namespace);
    for link in &seen.links {
        let name = &link.name;
        if let Some(master) = &link.master {
            let _ = writeln!(out, "{ip} link set {name} master {master}");
        }
        if link.mtu != 1500 && !GIVEN.contains(&name.as_str()) {
            let _ = writeln!(out, "{ip} link set {name} mtu {}", link.mtu);
        }
        for address in &link.addresses {
            let nodad = if address.addr().is_ipv6() { " nodad" } else { "" };
            let _ = writeln!(out, "{ip} address replace {address} dev {name}{nodad}");
        }
        let state = if link.is_up { "up" } else { "down" };
        let _ = writeln!(out, "{ip} link set {name} {state}");
    }
    for route in seen.routes.iter().filter(|route| !route.is_kernels) {
        let six = if route.to.addr().is_ipv6() { " -6" } else { "" };
        let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
        let dev = route.dev.as_ref().map(|dev| format!(" dev {dev}")).unwrap_or_default();
        let _ = writeln!(out, "{ip}{six} route replace {}{via}{dev}", route.to);
    }
    for entry in seen.neighbours.iter().filter(|entry| entry.is_permanent) {
        let dev =
            seen.links.iter().find(|link| link.addresses.iter().any(|own| own.contains(&entry.address)));
        if let (Some(mac), Some(dev)) = (entry.mac, dev) {
            let _ = writeln!(
                out,
                "{ip} neighbour replace {} lladdr {mac} dev {} nud permanent",
                entry.address, dev.name
            );
        }
    }
}

fn rules(out: &mut String, namespace: &str, seen: &Seen) {
    let inside = if namespace == MACHINE { String::new() } else { format!("ip netns exec {namespace} ") };
    for (key, value) in &seen.sysctls {
        let _ = writeln!(out, "{inside}sysctl -qw {key}='{value}'");
    }
    for table in &seen.tables {
        let _ = write!(out, "{inside}nft -f - <<'END'\n{table}\nEND\n");
    }
}

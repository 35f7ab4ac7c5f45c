//! Hosts on one network behind a router that masquerades.

use super::sheet::{Sheet, numbered};

/// Hosts on one bridge: with the router fewer than the 1023 ports that a bridge takes (linux/if_bridge.h), and few
/// enough for a /22.
const HOSTS_PER_LAN: usize = 1000;
/// Hosts that a /24 has room for beside its router.
const HOSTS_PER_24: usize = 253;
/// Hosts that the expectations name at most.
const SENDERS_MAX: usize = 100;
/// The router's address on the internet's side, which masqueraded packets have.
const PUBLIC: &str = "10.138.0.3";

/// One network of hosts.
struct Lan {
    name: String,
    prefix: String,
    gateway: String,
    hosts: String,
}

pub(super) fn sheet(size: usize) -> Sheet {
    let lans = lans(size);
    let names: Vec<&str> = lans.iter().map(|lan| lan.name.as_str()).collect();
    let hosts = if size == 1 { "1 host".to_owned() } else { format!("{size} hosts") };
    let behind =
        if let [_] = &*lans { "one network" } else { "networks of at most 1000 (a bridge has 1023 ports)" };
    let about = vec![format!("A star: {hosts} on {behind} behind a router that masquerades.")];
    let mut sheet = Sheet::new(about, 1);
    for lan in &lans {
        sheet.network(&lan.name, &lan.prefix);
        sheet.node(&lan.hosts, &format!("links: [{}]", lan.name));
    }
    sheet.network("isp", "10.138.0.0/24");
    let links: Vec<String> = lans.iter().map(|lan| format!("{}: {}", lan.name, lan.gateway)).collect();
    let from = if let [name] = &*names { (*name).to_owned() } else { format!("[{}]", names.join(", ")) };
    sheet.block(&[
        "router:".to_owned(),
        format!("  links: {{ {}, isp: {PUBLIC} }}", links.join(", ")),
        format!("  masquerade: {{ from: {from}, out: isp }}"),
    ]);
    sheet.node("internet", "role: internet, links: { isp: 10.138.0.1 }");
    expect(&mut sheet, size);
    sheet
}

fn lans(size: usize) -> Vec<Lan> {
    if size <= HOSTS_PER_LAN {
        let (prefix, gateway) = match size {
            0..=HOSTS_PER_24 => ("10.0.0.0/24", "10.0.0.254"),
            _ => ("10.0.0.0/22", "10.0.3.254"),
        };
        let (prefix, gateway) = (prefix.to_owned(), gateway.to_owned());
        return vec![Lan { name: "lan".to_owned(), prefix, gateway, hosts: hosts(1, size) }];
    }
    let lan = |index: usize| Lan {
        name: format!("lan{}", index + 1),
        prefix: format!("10.0.{}.0/22", 4 * index),
        gateway: format!("10.0.{}.254", 4 * index + 3),
        hosts: hosts(index * HOSTS_PER_LAN + 1, size.min((index + 1) * HOSTS_PER_LAN)),
    };
    (0..size.div_ceil(HOSTS_PER_LAN)).map(lan).collect()
}

/// The key of hosts in `nodes:`, which needs no quotes.
fn hosts(first: usize, last: usize) -> String {
    numbered('h', first, last).replace('"', "")
}

fn expect(sheet: &mut Sheet, size: usize) {
    if size > 1 {
        sheet.expect_hops("h1", "h2", 0);
    }
    if size > 2 {
        sheet.expect_hops(&format!("h{size}"), "h1", usize::from(size > HOSTS_PER_LAN));
    }
    let senders = senders(size);
    sheet.expect(&format!("from: {senders}, ping: router, hops: 0"));
    sheet.expect(&format!("from: {senders}, ping: 1.1.1.1, hops: 1, seen-as: {PUBLIC}"));
    sheet.expect_path("h1", &["router".to_owned(), "internet".to_owned()]);
    sheet.expect("from: internet, ping: h1, outcome: unreachable");
}

/// All hosts, or so many that are spread over all.
fn senders(size: usize) -> String {
    if size <= SENDERS_MAX {
        return numbered('h', 1, size);
    }
    let spread = (0..SENDERS_MAX / 10).map(|n| 1 + n * (size - 1) / (SENDERS_MAX / 10 - 1));
    format!("\"h[{}]\"", spread.map(|host| host.to_string()).collect::<Vec<_>>().join(","))
}

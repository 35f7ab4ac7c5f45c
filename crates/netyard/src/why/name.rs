//! Names in the place of addresses: whom a node asks for them, and whether it can.

use super::{Asked, why};
use crate::dns::{Rcode, Type};
use crate::error::Result;
use crate::probe::{Patience, dns};
use crate::running::RunningLab;
use crate::scout::Scout;
use netyard_core::fault::{Cause, Confidence, Effect, Evidence, Fault, Fix, Place, Way};
use netyard_core::name::NodeName;
use netyard_core::state::Ns;
use netyard_core::why::{About, Explanation, Kernel, Verdict, Versions};
use netyard_kernel::visit;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;

/// What a program in a node reads to know whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// The file (resolv.conf(5)).
    pub file: String,
    /// Its name servers.
    pub servers: Vec<IpAddr>,
}

/// Whether a word can only be a name of the DNS: no address, no `NODE:INTERFACE`.
#[must_use]
pub fn is_name(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    word.contains('.') && word.chars().all(is_letter) && word.parse::<IpAddr>().is_err()
}

/// The resolver that programs see in a node of a running lab. Call it while the process has one thread.
///
/// # Errors
/// That the lab has ended.
pub fn resolver_of_lab(lab: &RunningLab, node: &NodeName) -> Result<Resolver> {
    let doors = lab.doors(Some(node), &[])?;
    let ways: Vec<_> = doors.user.iter().map(AsFd::as_fd).chain([doors.room.mounts.as_fd()]).collect();
    let read =
        || visit::Findings { bytes: std::fs::read("/etc/resolv.conf").unwrap_or_default(), fds: Vec::new() };
    let found = visit::inside(&ways, read)
        .map_err(|error| crate::error::Error::io(format!("cannot read what {node} reads"), &error))?;
    Ok(Resolver {
        file: "/etc/resolv.conf".to_owned(),
        servers: servers(&String::from_utf8_lossy(&found.bytes)),
    })
}

/// The resolver of a namespace with a name: `/etc/netns/NAME/resolv.conf`, which `ip netns exec` shows to programs;
/// else the caller's own.
#[must_use]
pub fn resolver_of_name(name: &str) -> Resolver {
    let own = format!("/etc/netns/{name}/resolv.conf");
    let file = if Path::new(&own).exists() { own } else { "/etc/resolv.conf".to_owned() };
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    Resolver { file, servers: servers(&text) }
}

fn servers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| line.trim().strip_prefix("nameserver")?.trim().parse().ok();
    text.lines().filter_map(server).collect()
}

/// Explains how a node reaches whoever has a name: first whether it can ask for the name, then, with a real query, the
/// way to the address.
///
/// # Errors
/// As [`why`].
pub fn why_name(
    scout: &Scout,
    is_lab: bool,
    from: &str,
    (name, resolver): (&str, &Resolver),
    about: About,
    versions: Versions,
) -> Result<Explanation> {
    let mut tried: Option<Explanation> = None;
    for server in &resolver.servers {
        let server_versions = if server.is_ipv4() { Versions::V4 } else { Versions::V6 };
        let asked = why(scout, is_lab, from, &server.to_string(), About::Udp(53), server_versions)?;
        if asked.verdict == Verdict::Unreachable {
            tried.get_or_insert(asked);
            continue;
        }
        match query(scout, &who(&asked), *server, name, versions) {
            Ok(Some(address)) => {
                let mut explained = why(scout, is_lab, from, &address.to_string(), about, versions)?;
                explained.name = Some(name.to_owned());
                return Ok(explained);
            }
            Ok(None) => {
                let fault = no_such_name(&asked, *server, name);
                return Ok(named(asked, name, fault));
            }
            Err(detail) => {
                let fault = silent(&asked, *server, name, &detail);
                tried.get_or_insert(named(asked, name, fault));
            }
        }
    }
    let explained = match tried {
        Some(explained) => explained,
        None => nobody_to_ask(scout, is_lab, from)?,
    };
    if explained.faults.first().is_some_and(|fault| fault.cause == Cause::NoNameServer) {
        return Ok(explained);
    }
    let fault = no_server(scout, is_lab, &explained, resolver, name);
    Ok(named(explained, name, fault))
}

/// The same with a fault before all others.
fn named(mut explained: Explanation, name: &str, fault: Fault) -> Explanation {
    explained.faults.insert(0, fault);
    explained.verdict = Verdict::Unreachable;
    explained.name = Some(name.to_owned());
    explained
}

/// An explanation of nothing, for a node that has nobody to ask.
fn nobody_to_ask(scout: &Scout, is_lab: bool, from: &str) -> Result<Explanation> {
    // The node's own address stands for whom it cannot ask.
    why(scout, is_lab, from, from, About::Icmp, Versions::Any)
}

/// The address of a name, as the first server that answers a node has it.
///
/// # Errors
/// Why there is none, in words.
pub fn look_up(
    scout: &Scout,
    from: &Ns,
    (name, resolver): (&str, &Resolver),
    versions: Versions,
) -> std::result::Result<IpAddr, String> {
    let mut silent = format!("no nameserver in {}", resolver.file);
    for server in &resolver.servers {
        match query(scout, from, *server, name, versions) {
            Ok(found) => {
                return found.ok_or_else(|| format!("the name server {server} knows no address of it"));
            }
            Err(detail) => silent = detail,
        }
    }
    Err(silent)
}

/// Asks the server. None when it knows no such name.
fn query(
    scout: &Scout,
    from: &Ns,
    server: IpAddr,
    name: &str,
    versions: Versions,
) -> std::result::Result<Option<IpAddr>, String> {
    let Ns::Node(from) = from else { return Err("there is nobody to ask from".to_owned()) };
    let kinds: &[Type] = match versions {
        Versions::V4 => &[Type::A],
        Versions::V6 => &[Type::AAAA],
        Versions::Any => &[Type::A, Type::AAAA],
    };
    for kind in kinds {
        let answer = dns::query(scout, from, server, name, *kind, Patience::default());
        let answer = answer.map_err(|miss| miss.detail().to_owned())?;
        if let Some(address) = answer.response.addresses().next() {
            return Ok(Some(address));
        }
        if answer.response.rcode != Rcode::OK {
            break;
        }
    }
    Ok(None)
}

fn fault(asked: &Explanation, sentence: String, evidence: Evidence) -> Fault {
    let node = asked.from.node.clone().unwrap_or(Ns::Fabric);
    Fault {
        cause: Cause::NoNameServer,
        at: Place::node(node),
        way: Way::There,
        sentence,
        effect: Effect::Stops,
        confidence: Confidence::Certain,
        evidence: vec![evidence],
        fixes: Vec::new(),
    }
}

fn who(asked: &Explanation) -> Ns {
    asked.from.node.clone().unwrap_or(Ns::Fabric)
}

fn no_such_name(asked: &Explanation, server: IpAddr, name: &str) -> Fault {
    let (node, command) = (who(asked), format!("host {name} {server}"));
    let sentence = format!("the name server {server} of {node} knows no address of {name}");
    let mut fault = fault(asked, sentence, Evidence { command, node, says: "no address".to_owned() });
    fault.cause = Cause::NoSuchAddress;
    fault
}

fn silent(asked: &Explanation, server: IpAddr, name: &str, detail: &str) -> Fault {
    let (node, command) = (who(asked), format!("host {name} {server}"));
    let sentence =
        format!("the name server {server} of {node} does not answer when it is asked for {name}: {detail}");
    fault(asked, sentence, Evidence { command, node, says: detail.to_owned() })
}

/// Nobody can be asked.
fn no_server(scout: &Scout, is_lab: bool, asked: &Explanation, resolver: &Resolver, name: &str) -> Fault {
    let node = who(asked);
    let list: Vec<String> = resolver.servers.iter().map(ToString::to_string).collect();
    let command = format!("cat {}", resolver.file);
    let (sentence, says) = if list.is_empty() {
        (format!("{node} has no name server to ask for {name}"), "no nameserver".to_owned())
    } else {
        let because = asked.faults.first().map(|fault| fault.sentence.clone()).unwrap_or_default();
        let local = resolver.servers.iter().all(IpAddr::is_loopback);
        let own = if local { ", an address of the namespace's own" } else { "" };
        (
            format!("{node} cannot ask its name server {}{own} for {name}: {because}", list.join(", ")),
            list.iter().map(|server| format!("nameserver {server}")).collect::<Vec<_>>().join("; "),
        )
    };
    let mut fault = fault(asked, sentence, Evidence { command, node: node.clone(), says });
    if let Some(server) = server_elsewhere(scout, is_lab, &node) {
        fault.fixes.push(Fix {
            does: "names a server that it can reach; `ip netns exec` shows the file to programs".to_owned(),
            node: node.clone(),
            command: format!(
                "mkdir -p /etc/netns/{node} && echo nameserver {server} > /etc/netns/{node}/resolv.conf"
            ),
            lab_line: None,
        });
    }
    fault
}

/// A name server that a node can reach: whoever listens at UDP port 53.
fn server_elsewhere(scout: &Scout, is_lab: bool, node: &Ns) -> Option<IpAddr> {
    let mut kernel = Asked::new(scout, is_lab).ok()?;
    for place in kernel.places() {
        let listens = kernel.listeners(&place).iter().any(|l| !l.is_tcp && l.address.port() == 53);
        let Some(outline) = kernel.outline(&place).filter(|_| listens && place != *node) else { continue };
        let reached = outline.global_addresses().map(|a| a.prefix.addr()).find(|address| {
            let asked =
                why(scout, is_lab, node.as_str(), &address.to_string(), About::Udp(53), Versions::Any);
            asked.is_ok_and(|asked| asked.verdict == Verdict::Reachable)
        });
        if reached.is_some() {
            return reached;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_a_dot_that_are_no_addresses_are_names() {
        for name in ["www.example.com", "a.b"] {
            assert!(is_name(name), "{name}");
        }
        for other in ["pc", "10.0.0.1", "pc:eth0.1", "::1", "2001:db8::1"] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn servers_are_those_of_resolv_conf() {
        let text = "search lan\nnameserver 127.0.0.53\n  nameserver ::1\n#nameserver 9.9.9.9\n";
        let found: Vec<String> = servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.53", "::1"]);
    }
}

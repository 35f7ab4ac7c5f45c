//! Who is meant: a node, `node:interface`, or an address.

use super::kernel::Kernel;
use super::sight::{Address, Outline, RouteAsk, RouteFound};
use super::{Party, is_global};
use crate::name::IfName;
use crate::state::Ns;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// Which versions of IP are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// The one that both have; IPv4 where they have both.
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Versions {
    /// Whether an address is of a version that is wanted.
    #[must_use]
    pub fn takes(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Why nobody is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartyError {
    /// No namespace has that name; names that there are.
    NoSuchNode(String, Vec<String>),
    /// The node has no such interface; those that it has.
    NoSuchInterface(Ns, String, Vec<String>),
    /// An interface name of more than 15 bytes, which the kernel does not take.
    InterfaceNameTooLong(String),
    /// No node has the address that was given for the one who asks.
    NobodyHas(IpAddr),
    /// The node has no address of the wanted kind.
    NoAddress(Ns),
    /// The node cannot be looked into.
    Closed(Ns),
    /// An address that stands for no host: what it stands for.
    NoHost(IpAddr, &'static str),
    /// The address is not of the wanted version of IP.
    OtherVersion(IpAddr),
}

impl fmt::Display for PartyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchNode(name, _) => write!(f, "there is no node or namespace `{name}`"),
            Self::NoSuchInterface(ns, name, _) => write!(f, "{ns} has no interface `{name}`"),
            Self::InterfaceNameTooLong(name) => write!(
                f,
                "`{name}` is no name of an interface: {} bytes; the kernel allows 15 (IFNAMSIZ)",
                name.len()
            ),
            Self::NobodyHas(address) => write!(f, "no node has the address {address}"),
            Self::NoAddress(ns) => write!(f, "{ns} has no address to be asked at"),
            Self::Closed(ns) => write!(f, "cannot look into {ns}"),
            Self::NoHost(address, what) => write!(f, "{address} is {what}, not the address of a host"),
            Self::OtherVersion(address) => {
                let (is, other) = if address.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
                write!(f, "{address} is an address of {is}, and {other} is asked for")
            }
        }
    }
}

impl std::error::Error for PartyError {}

/// Finds both ends. `to` may also be an address that nobody who can be seen has.
///
/// # Errors
/// [`PartyError`]: nobody is meant, or it has nothing to be asked at.
pub fn find(
    kernel: &mut dyn Kernel,
    from: &str,
    to: &str,
    versions: Versions,
) -> Result<(Party, Party), PartyError> {
    let mut asker = named(kernel, from)?;
    if let Some(address) = asker.address
        && asker.node.is_none()
    {
        return Err(PartyError::NobodyHas(address));
    }
    let near = asker.node.clone().map(|ns| connected(kernel, &ns));
    let mut asked = named(kernel, to)?;
    if let (Some(address), Some(near)) = (asked.address, &near)
        && asked.node.as_ref().is_some_and(|owner| !near.contains(owner))
    {
        // Who has the address somewhere else is not who is asked.
        asked.node =
            near.iter().find(|ns| kernel.outline(ns).is_some_and(|outline| outline.has(address))).cloned();
    }
    let Some(from_ns) = asker.node.clone() else {
        return Err(PartyError::NoSuchNode(from.to_owned(), Vec::new()));
    };
    if let Some(address) = asked.address {
        let is_other = asker.address.is_some_and(|own| own.is_ipv4() != address.is_ipv4());
        if is_other || !versions.takes(address) {
            return Err(PartyError::OtherVersion(address));
        }
        if let Some(what) = no_host(kernel, &from_ns, address) {
            return Err(PartyError::NoHost(address, what));
        }
    }
    if asked.address.is_none() {
        let ns = asked.node.clone().ok_or_else(|| PartyError::NoSuchNode(to.to_owned(), Vec::new()))?;
        asked.address = Some(target_address(kernel, (&from_ns, &asker), (&ns, &asked), versions)?);
    }
    if asker.address.is_none() && asker.interface.is_some() {
        let outline = kernel.outline(&from_ns).ok_or(PartyError::Closed(from_ns.clone()))?;
        let is_v4 = asked.address.is_some_and(|address| address.is_ipv4());
        let on = addresses(&outline, asker.interface.as_ref());
        asker.address = on.into_iter().map(|a| a.prefix.addr()).find(|a| a.is_ipv4() == is_v4);
    }
    Ok((asker, asked))
}

/// What an address stands for that is none of a host, as a node sees it.
fn no_host(kernel: &mut dyn Kernel, from: &Ns, address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        return Some("the address of nobody");
    }
    if address.is_multicast() {
        return Some("a multicast group");
    }
    let IpAddr::V4(v4) = address else { return None };
    let outline = kernel.outline(from)?;
    let is_networks = outline.addresses.iter().any(|own| match own.prefix {
        // Of two addresses alone, both are hosts' (RFC 3021).
        IpNet::V4(prefix) => prefix.prefix_len() < 31 && prefix.broadcast() == v4,
        IpNet::V6(_) => false,
    });
    (v4.is_broadcast() || is_networks).then_some("a broadcast address")
}

/// The namespaces that cables, tunnels and the like lead to from one, itself included.
pub(super) fn connected(kernel: &mut dyn Kernel, from: &Ns) -> BTreeSet<Ns> {
    let mut next_to: BTreeMap<Ns, Vec<Ns>> = BTreeMap::new();
    for ns in kernel.places() {
        let Some(outline) = kernel.outline(&ns) else { continue };
        for other in outline.links.iter().filter_map(|link| link.end.as_ref()?.ns.clone()) {
            next_to.entry(other.clone()).or_default().push(ns.clone());
            next_to.entry(ns.clone()).or_default().push(other);
        }
    }
    let mut found = BTreeSet::new();
    let mut ahead = vec![from.clone()];
    while let Some(ns) = ahead.pop() {
        if found.insert(ns.clone()) {
            ahead.extend(next_to.get(&ns).into_iter().flatten().cloned());
        }
    }
    found
}

/// The node, interface and address that a word names.
fn named(kernel: &mut dyn Kernel, word: &str) -> Result<Party, PartyError> {
    if let Ok(address) = word.parse::<IpAddr>() {
        let mut owners = kernel.places();
        owners.retain(|ns| kernel.outline(ns).is_some_and(|outline| outline.has(address)));
        return Ok(Party { node: owners.into_iter().next(), interface: None, address: Some(address) });
    }
    let (name, interface) = match word.split_once(':') {
        Some((name, interface)) => (name, Some(interface)),
        None => (word, None),
    };
    let places = kernel.places();
    let Some(ns) = places.iter().find(|ns| ns.as_str() == name).cloned() else {
        let names = places.iter().map(ToString::to_string).collect();
        return Err(PartyError::NoSuchNode(name.to_owned(), names));
    };
    let Some(outline) = kernel.outline(&ns) else { return Err(PartyError::Closed(ns)) };
    let interface = match interface {
        None => None,
        Some(text) if text.len() > 15 => return Err(PartyError::InterfaceNameTooLong(text.to_owned())),
        Some(text) => match outline.link_named(text) {
            Some(link) => Some(link.name.clone()),
            None => {
                let names = outline.links.iter().map(|link| link.name.to_string()).collect();
                return Err(PartyError::NoSuchInterface(ns, text.to_owned(), names));
            }
        },
    };
    Ok(Party { node: Some(ns), interface, address: None })
}

/// The addresses of an interface, or of the whole node.
fn addresses(outline: &Outline, interface: Option<&IfName>) -> Vec<Address> {
    let index = interface.and_then(|name| outline.link_named(name.as_str())).map(|link| link.index);
    let is_on = |address: &&Address| index.is_none_or(|index| address.index == index);
    outline.global_addresses().filter(is_on).copied().collect()
}

/// The address by which one node would ask another: of a version that both have, on a network of its own rather than
/// behind a gateway, and one that there is a route to rather than none.
fn target_address(
    kernel: &mut dyn Kernel,
    (from, asker): (&Ns, &Party),
    (to, asked): (&Ns, &Party),
    versions: Versions,
) -> Result<IpAddr, PartyError> {
    let own = kernel.outline(from).ok_or_else(|| PartyError::Closed(from.clone()))?;
    let there = kernel.outline(to).ok_or_else(|| PartyError::Closed(to.clone()))?;
    let is_wanted = |address: IpAddr| {
        versions.takes(address) && asker.address.is_none_or(|own| own.is_ipv4() == address.is_ipv4())
    };
    let mut candidates: Vec<IpAddr> = addresses(&there, asked.interface.as_ref())
        .iter()
        .map(|a| a.prefix.addr())
        .filter(|a| is_wanted(*a))
        .collect();
    if from == to && candidates.is_empty() {
        candidates = there.addresses.iter().map(|a| a.prefix.addr()).filter(|a| is_wanted(*a)).collect();
    }
    let by = asker.interface.as_ref().and_then(|name| own.link_named(name.as_str())).map(|link| link.index);
    let has_version = |is_v4: bool| own.global_addresses().any(|a| a.prefix.addr().is_ipv4() == is_v4);
    let mut ranked: Vec<(u8, usize, IpAddr)> = Vec::new();
    for (order, address) in candidates.into_iter().enumerate() {
        let is_known = has_version(address.is_ipv4());
        let ask = RouteAsk { oif: by, ..RouteAsk::to(address) };
        let rank = match kernel.route(from, &ask) {
            _ if !is_known => 6,
            Ok(found) if found.kind == RouteFound::LOCAL && from != to => 3,
            Ok(found) if found.via.is_none() => 0,
            Ok(_) => 1,
            Err(_) => 4,
        };
        // IPv4 first where both would do.
        ranked.push((rank + u8::from(address.is_ipv6() && rank < 2) * 2, order, address));
    }
    ranked.sort();
    ranked.first().map(|(.., address)| *address).ok_or_else(|| PartyError::NoAddress(to.clone()))
}

/// Whether an address means something outside of its own network: neither private nor shared (RFC 1918, RFC 6598,
/// RFC 4193).
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || a == 100 && (64..128).contains(&b)
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xfe00 == 0xfc00,
    }
}

/// Whether an address may be one of the internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    is_global(address) && !is_private(address) && !address.is_multicast() && !address.is_unspecified()
}

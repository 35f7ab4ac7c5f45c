//! What the internet node's DNS server knows. Answers depend on the lab and the question only, so that they are the
//! same in every run.
//!
//! - a node's name, alone or followed by the lab's: the node's addresses, and back (PTR);
//! - `whoami.netyard`: the caller's own address as it arrived, as A, AAAA or TXT;
//! - a few well-known names: `one.one.one.one`, `dns.google`, `dns.quad9.net`;
//! - any other name with a dot in it: an address of 198.18.0.0/15 and of 2001:2::/48, computed from the name. Both
//!   are set aside for measurements (RFC 2544, RFC 5180): no real host has them, and the internet node answers for
//!   them. A lab that uses them itself gets addresses of the next range that it does not use;
//! - names without a dot, below the lab's name or below a name set aside for private use do not exist.
//!
//! Only address families that the lab uses are given out.

use crate::dns::{self, CLASS_IN, Data, Query, Rcode, Type};
use ipnet::IpNet;
use netyard_core::lab::Lab;
use netyard_core::name::LabName;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The names of a lab and of its make-believe internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    lab: LabName,
    addresses: BTreeMap<String, Vec<IpAddr>>,
    nodes: BTreeMap<IpAddr, String>,
    public_v4: Option<IpNet>,
    public_v6: Option<IpNet>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it went.
    pub rcode: Rcode,
    /// Names and data.
    pub records: Vec<(String, Data)>,
    /// Who says that there is nothing.
    pub authorities: Vec<(String, Data)>,
}

/// The name whose answer is the caller's address.
pub const WHOAMI: &str = "whoami.netyard";

/// Names that people ping: the addresses that they have in the real internet.
const WELL_KNOWN: [(&str, &[&str]); 3] = [
    ("one.one.one.one", &["1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001"]),
    ("dns.google", &["8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"]),
    ("dns.quad9.net", &["9.9.9.9", "149.112.112.112", "2620:fe::fe"]),
];

/// Ranges for public-looking names, in order of preference (RFC 2544, RFC 5737, RFC 5180, RFC 9637).
const PUBLIC: [&str; 6] =
    ["198.18.0.0/15", "203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "2001:2::/48", "3fff::/20"];

/// Domains that do not exist in the public internet (RFC 6761, RFC 6762, RFC 8375, and customs of private networks).
const PRIVATE: [&str; 10] =
    ["local", "lan", "home", "internal", "intranet", "corp", "private", "invalid", "onion", "arpa"];

impl Names {
    /// The names of a lab.
    #[must_use]
    pub fn of(lab: &Lab) -> Self {
        let mut names = Self {
            lab: lab.name.clone(),
            addresses: BTreeMap::new(),
            nodes: BTreeMap::new(),
            public_v4: None,
            public_v6: None,
        };
        for node in &lab.nodes {
            let own: Vec<IpAddr> = node.addresses().map(|prefix| prefix.addr()).collect();
            let full = format!("{}.{}", node.name, lab.name);
            for address in &own {
                names.nodes.entry(*address).or_insert_with(|| full.clone());
            }
            for name in [node.name.as_str(), node.hostname(), &full] {
                names.addresses.entry(name.to_ascii_lowercase()).or_insert_with(|| own.clone());
            }
        }
        let used: Vec<IpNet> = lab
            .networks
            .iter()
            .flat_map(|network| network.prefixes.iter().copied())
            .chain(lab.nodes.iter().flat_map(|node| node.addresses()))
            .collect();
        names.public_v4 = public_range(&used, false);
        names.public_v6 = if lab.uses_ipv6() { public_range(&used, true) } else { None };
        names
    }

    pub(super) fn lab(&self) -> &LabName {
        &self.lab
    }

    /// The answer to a query from a caller.
    #[must_use]
    pub fn answer(&self, query: &Query, caller: IpAddr) -> Answer {
        let question = &query.question;
        if query.opcode != 0 {
            return Answer { rcode: Rcode::NOT_IMPLEMENTED, records: Vec::new(), authorities: Vec::new() };
        }
        if question.class != CLASS_IN {
            return Answer { rcode: Rcode::REFUSED, records: Vec::new(), authorities: Vec::new() };
        }
        let name = question.name.to_ascii_lowercase();
        let Some(data) = self.data(&name, caller) else { return self.nothing(Rcode::NO_NAME) };
        let wanted: Vec<_> = data
            .into_iter()
            .filter(|data| is_wanted(data, question.kind))
            .map(|data| (question.name.clone(), data))
            .collect();
        if wanted.is_empty() {
            return self.nothing(Rcode::OK);
        }
        Answer { rcode: Rcode::OK, records: wanted, authorities: Vec::new() }
    }

    /// The address of a public-looking name.
    #[must_use]
    pub fn public_address(&self, name: &str, is_ipv6: bool) -> Option<IpAddr> {
        let hash = fnv1a(name.to_ascii_lowercase().as_bytes());
        let range = if is_ipv6 { self.public_v6? } else { self.public_v4? };
        Some(match range {
            // The first and last address of a /24 look like a network's own, so host parts are 1 to 254.
            IpNet::V4(range) => {
                let host_bits = 32 - u32::from(range.prefix_len());
                let [.., last] = hash.to_be_bytes();
                let third = (hash >> 8) as u32 & ((1_u64 << host_bits) - 1) as u32 & !255;
                Ipv4Addr::from_bits(range.network().to_bits() | third | u32::from(last % 254 + 1)).into()
            }
            IpNet::V6(range) => Ipv6Addr::from_bits(range.network().to_bits() | u128::from(hash | 1)).into(),
        })
    }

    /// All that is known about a name; `None` when it does not exist.
    fn data(&self, name: &str, caller: IpAddr) -> Option<Vec<Data>> {
        let addresses = |list: Vec<IpAddr>| list.into_iter().map(Data::Address).collect::<Vec<_>>();
        if name == WHOAMI {
            return Some(vec![Data::Address(caller), Data::Text(caller.to_string())]);
        }
        if let Some(own) = self.addresses.get(name) {
            return Some(addresses(own.clone()));
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return Some(addresses(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]));
        }
        if let Some(address) = dns::address_of_reverse_name(name) {
            let known = self.nodes.get(&address).cloned().or_else(|| well_known_name(address))?;
            return Some(vec![Data::Name(Type::PTR, known)]);
        }
        if let Some((_, known)) = WELL_KNOWN.iter().find(|(known, _)| *known == name) {
            let known = known.iter().filter_map(|text| text.parse().ok());
            return Some(addresses(known.filter(|address| self.gives_out(*address)).collect()));
        }
        if !self.looks_public(name) {
            return None;
        }
        let both = [self.public_address(name, false), self.public_address(name, true)];
        Some(addresses(both.into_iter().flatten().collect()))
    }

    fn gives_out(&self, address: IpAddr) -> bool {
        if address.is_ipv6() { self.public_v6.is_some() } else { self.public_v4.is_some() }
    }

    fn looks_public(&self, name: &str) -> bool {
        let Some((_, top)) = name.rsplit_once('.') else { return false };
        let is_below = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        let is_number = !top.is_empty() && top.bytes().all(|byte| byte.is_ascii_digit());
        !is_number && !is_below(self.lab.as_str()) && !is_below("netyard") && !PRIVATE.contains(&top)
    }

    fn nothing(&self, rcode: Rcode) -> Answer {
        let server = format!("internet.{}", self.lab);
        Answer { rcode, records: Vec::new(), authorities: vec![(String::new(), Data::Authority(server))] }
    }
}

fn is_wanted(data: &Data, kind: Type) -> bool {
    match data {
        _ if kind == Type::ANY => true,
        Data::Address(IpAddr::V4(_)) => kind == Type::A,
        Data::Address(IpAddr::V6(_)) => kind == Type::AAAA,
        Data::Name(own, _) | Data::Other(own) => kind == *own,
        Data::Text(_) => kind == Type::TXT,
        Data::Authority(_) => kind == Type::SOA,
    }
}

/// The first range of a family that the lab does not use; none when it does not use the family at all.
fn public_range(used: &[IpNet], is_ipv6: bool) -> Option<IpNet> {
    let own: Vec<&IpNet> = used.iter().filter(|prefix| prefix.addr().is_ipv6() == is_ipv6).collect();
    if own.is_empty() {
        return None;
    }
    let ranges = PUBLIC.iter().filter_map(|text| text.parse::<IpNet>().ok());
    let overlaps = |range: &IpNet, prefix: &IpNet| range.contains(prefix) || prefix.contains(range);
    ranges
        .filter(|range| range.addr().is_ipv6() == is_ipv6)
        .find(|range| !own.iter().any(|prefix| overlaps(range, &prefix.trunc())))
}

fn well_known_name(address: IpAddr) -> Option<String> {
    let text = address.to_string();
    let found = WELL_KNOWN.iter().find(|(_, addresses)| addresses.contains(&text.as_str()));
    found.map(|(name, _)| (*name).to_owned())
}

/// FNV-1a with 64 bits: the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[path = "names/tests.rs"]
mod tests;

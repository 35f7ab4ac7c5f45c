//! What was asked for: places, then a filter.

use super::Node;
use crate::filter::Filter;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Namespaces by name, and for each its interfaces; none for all of them.
    pub places: BTreeMap<String, Option<Vec<String>>>,
    /// Which frames.
    pub filter: Filter,
    /// The filter as it was typed.
    pub filter_text: String,
}

/// Words that begin an expression.
const WORDS: [&str; 21] = [
    "host",
    "net",
    "port",
    "portrange",
    "src",
    "dst",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "arp",
    "ip",
    "ip6",
    "ether",
    "broadcast",
    "multicast",
    "not",
    "!",
    "(",
    "and",
    "or",
];

/// Reads `[NODE[:IF]...] [FILTER...]`. Names of namespaces stand for their addresses in the filter.
///
/// # Errors
/// What is not understood, in words.
pub fn select(words: &[String], nodes: &[Node]) -> Result<Selection, String> {
    let known = |name: &str| nodes.iter().find(|node| node.name.as_str() == name);
    let is_place = |word: &&String| {
        let node = word.split_once(':').map_or(word.as_str(), |(node, _)| node);
        // `[fd00::1]` is an address, and `host` begins a filter even where a node has that name.
        !WORDS.contains(&word.as_str()) && (known(node).is_some() || looks_like_a_place(word))
    };
    let count = words.iter().take_while(is_place).count();
    let mut places: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for word in &words[..count] {
        let (node, interface) = word.split_once(':').map_or((word.as_str(), None), |(n, i)| (n, Some(i)));
        let Some(seen) = known(node) else {
            let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            return Err(format!("there is no node `{node}`; there are {}", shown(&names)));
        };
        match interface {
            None => {
                places.insert(node.to_owned(), None);
            }
            Some(interface) => {
                if !seen.interfaces.iter().any(|(name, _)| name == interface) {
                    let names: Vec<&str> = seen.interfaces.iter().map(|(name, _)| name.as_str()).collect();
                    return Err(format!(
                        "node `{node}` has no interface `{interface}`; it has {}",
                        shown(&names)
                    ));
                }
                let all = places.entry(node.to_owned()).or_insert_with(|| Some(Vec::new()));
                if let Some(all) = all {
                    all.push(interface.to_owned());
                }
            }
        }
    }
    let filter_text = words[count..].join(" ");
    let addresses = |name: &str| -> Vec<IpAddr> {
        let all = known(name).into_iter().flat_map(|node| &node.interfaces).flat_map(|(_, all)| all);
        all.copied().filter(|address| !address.is_loopback()).collect()
    };
    let filter = Filter::parse_with(&filter_text, addresses)?;
    Ok(Selection { places, filter, filter_text })
}

/// Whether a word at the beginning can only be meant as a node: a name, which no filter begins with.
fn looks_like_a_place(word: &str) -> bool {
    let is_address = word.parse::<IpAddr>().is_ok() || word.parse::<ipnet::IpNet>().is_ok();
    !is_address && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
}

/// Some of many names.
fn shown(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names[..names.len().min(SHOWN)].join(", ") + &more
}

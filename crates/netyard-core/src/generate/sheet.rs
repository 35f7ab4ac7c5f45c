//! The text of a lab file while it is written.

use super::Shape;

/// The parts of a lab file.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    about: Vec<String>,
    routers_on_way: usize,
    networks: Vec<String>,
    nodes: Vec<String>,
    expect: Vec<String>,
}

/// Routers that a packet with the kernel's usual TTL of 64 passes with some to spare.
const ROUTERS_USUAL: usize = 60;
/// The largest TTL.
const TTL_MAX: usize = 255;
/// Nodes of a path that an expectation names: a search by rising TTL takes one probe for each.
pub(super) const PATH_LEN_MAX: usize = 31;

/// An interface of a node in `links:`.
pub(super) struct Link {
    pub network: String,
    pub address: String,
}

/// A route in `routes:`.
pub(super) struct Route {
    pub to: String,
    pub via: String,
}

impl Sheet {
    /// A file with these comment lines at its top. The longest way in routers decides about the TTL that nodes send
    /// with.
    pub fn new(about: Vec<String>, routers_on_way: usize) -> Self {
        Self { about, routers_on_way, ..Self::default() }
    }

    pub fn network(&mut self, name: &str, prefix: &str) {
        self.networks.push(format!("{name}: {prefix}"));
    }

    pub fn cable(&mut self, name: &str, prefix: &str) {
        self.networks.push(format!("{name}: {{ prefix: {prefix}, kind: cable }}"));
    }

    /// A node, or several, in one line.
    pub fn node(&mut self, name: &str, fields: &str) {
        self.nodes.push(format!("{name}: {{ {fields} }}"));
    }

    pub fn router(&mut self, name: &str, links: &[Link], routes: &[Route]) {
        let links: Vec<String> =
            links.iter().map(|link| format!("{}: {}", link.network, link.address)).collect();
        self.nodes.push(format!("{name}:"));
        self.nodes.push(format!("  links: {{ {} }}", links.join(", ")));
        self.nodes.push("  forward: true".to_owned());
        if !routes.is_empty() {
            self.nodes.push("  routes:".to_owned());
            self.nodes.extend(routes.iter().map(|r| format!("    - {{ to: {}, via: {} }}", r.to, r.via)));
        }
    }

    /// A node of several lines.
    pub fn block(&mut self, lines: &[String]) {
        self.nodes.extend_from_slice(lines);
    }

    pub fn expect(&mut self, fields: &str) {
        self.expect.push(format!("- {{ {fields} }}"));
    }

    /// That a ping's answer passes this many routers.
    pub fn expect_hops(&mut self, from: &str, to: &str, routers: usize) {
        if self.is_long() {
            // From an answer's TTL alone nobody can tell 255 - 191 from 64 - 0.
            let ttl = TTL_MAX - routers;
            self.expect(&format!("from: {from}, ping: {to}, answer-ttl: {ttl}"));
        } else {
            self.expect(&format!("from: {from}, ping: {to}, hops: {routers}"));
        }
    }

    /// That packets take this path, the destination last; nothing where it is too long to be searched.
    pub fn expect_path(&mut self, from: &str, path: &[String]) {
        if path.len() <= PATH_LEN_MAX {
            self.expect(&format!("from: {from}, path: [{}]", path.join(", ")));
        }
    }

    fn is_long(&self) -> bool {
        self.routers_on_way > ROUTERS_USUAL
    }

    /// The whole file.
    pub fn text(&self, shape: Shape, size: usize) -> String {
        let mut lines: Vec<String> = self.about.iter().map(|line| format!("# {line}")).collect();
        lines.push(format!("# Made by `netyard new {shape} {size}`. Save it as {shape}.yaml, then try"));
        lines.push(format!("# `netyard diagram {shape}.yaml` and `netyard test {shape}.yaml`."));
        lines.push(format!("lab: {shape}"));
        if self.is_long() {
            lines.push(String::new());
            lines.push("# More routers than the usual TTL of 64 allows.".to_owned());
            lines.push(format!("defaults: {{ sysctls: {{ net.ipv4.ip_default_ttl: {TTL_MAX} }} }}"));
        }
        for (key, entries) in [("networks", &self.networks), ("nodes", &self.nodes), ("expect", &self.expect)]
        {
            lines.push(String::new());
            lines.push(format!("{key}:"));
            lines.extend(entries.iter().map(|entry| format!("  {entry}")));
        }
        lines.join("\n") + "\n"
    }
}

impl Link {
    pub fn new(network: &str, address: String) -> Self {
        Self { network: network.to_owned(), address }
    }
}

/// The names `PREFIX first` to `PREFIX last` as one word, which stands in quotes inside of `{ }`.
pub(super) fn numbered(prefix: char, first: usize, last: usize) -> String {
    if first == last { format!("{prefix}{first}") } else { format!("\"{prefix}[{first}-{last}]\"") }
}

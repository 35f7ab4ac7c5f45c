//! A lab of Kathara as a lab file.

use crate::lab::{FileContent, Lab, Node, NodeFile, NodeKind, Program, Role};
use crate::state::RouteTarget;
use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

/// The lab file of an imported lab; it belongs into the lab's folder, whose files it names.
#[must_use]
pub fn yaml(lab: &Lab) -> String {
    let mut file = File { text: String::new(), anchored: BTreeSet::new() };
    file.line(0, format_args!("lab: {}", quoted(&lab.name)));
    file.line(0, "networks:");
    for network in &lab.networks {
        let name = quoted(&network.name);
        match network.prefixes.first() {
            Some(prefix) => file.line(1, format_args!("{name}: {}", quoted(prefix))),
            None => file.line(1, format_args!("{name}: {{ kind: hub }}")),
        }
    }
    file.line(0, "nodes:");
    lab.nodes.iter().for_each(|node| file.node(node));
    file.text
}

struct File {
    text: String,
    /// Paths whose text stands there already, to be pointed at.
    anchored: BTreeSet<String>,
}

impl File {
    fn line(&mut self, depth: usize, words: impl Display) {
        let _ = writeln!(self.text, "{:1$}{words}", "", depth * 2);
    }

    fn node(&mut self, node: &Node) {
        self.line(1, format_args!("{}:", quoted(&node.name)));
        self.line(2, if node.kind == NodeKind::Full { "kind: full" } else { "kind: net" });
        self.line(
            2,
            match node.role {
                Role::Internet => "role: internet",
                Role::Router => "role: router",
                Role::Host | Role::Bridge => "role: host",
            },
        );
        if node.uplink.is_some() {
            self.line(2, "uplink: pasta");
        }
        // Host names of Kathara may hold what the lab file does not take for one.
        let is_plain = |name: &&String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if let Some(name) = node.hostname.as_ref().filter(is_plain) {
            self.line(2, format_args!("hostname: {}", quoted(name)));
        }
        if !node.interfaces.is_empty() {
            self.line(2, "links:");
        }
        for interface in &node.interfaces {
            let (network, name, mac) =
                (quoted(&interface.network), quoted(&interface.name), quoted(interface.mac));
            let address = interface.addresses.first().map_or_else(|| "none".to_owned(), quoted);
            self.line(
                3,
                format_args!("- {{ network: {network}, name: {name}, address: {address}, mac: {mac} }}"),
            );
        }
        let gateway = node.routes.iter().find_map(|route| match &route.target {
            RouteTarget::Unicast(hops) => hops.first().and_then(|hop| hop.via),
            _ => None,
        });
        match gateway {
            Some(gateway) => self.line(2, format_args!("gateway: {}", quoted(gateway))),
            None => self.line(2, "gateway: none"),
        }
        self.line(2, format_args!("forward: [ipv4{}]", if node.forwards_ipv6 { ", ipv6" } else { "" }));
        self.map("sysctls", &node.sysctls);
        self.map("env", &node.env);
        self.map("labels", &node.labels);
        self.files(&node.root.files);
        if !node.root.binds.is_empty() {
            self.line(2, "binds:");
        }
        for bind in &node.root.binds {
            let (source, path) = (quoted(&bind.source), quoted(&bind.path));
            self.line(
                3,
                format_args!("- {{ source: {source}, path: {path}, read-only: {} }}", bind.is_read_only),
            );
        }
        self.programs("run", &node.programs);
        self.programs("stop", &node.on_down);
    }

    fn map(&mut self, key: &str, map: &std::collections::BTreeMap<String, String>) {
        if !map.is_empty() {
            self.line(2, format_args!("{key}:"));
        }
        for (name, value) in map {
            self.line(3, format_args!("{}: {}", quoted(name), quoted(value)));
        }
    }

    fn files(&mut self, files: &[NodeFile]) {
        if !files.is_empty() {
            self.line(2, "files:");
        }
        for file in files {
            let path = quoted(&file.path);
            let mode = file.mode.map(|mode| format!("mode: {}", quoted(format_args!("{mode:04o}"))));
            let owner = file.owner.as_ref().map(|owner| format!("owner: {}", quoted(owner)));
            match &file.content {
                FileContent::From { path: from, .. } => {
                    let from = Some(format!("from: {}", quoted(from)));
                    let words: Vec<String> = [from, mode, owner].into_iter().flatten().collect();
                    // A list: later ones lie over earlier ones, and one path may come twice.
                    self.line(3, format_args!("- {path}: {{ {} }}", words.join(", ")));
                }
                FileContent::Text(text) => {
                    self.line(3, format_args!("- {path}:"));
                    [mode, owner].into_iter().flatten().for_each(|words| self.line(5, words));
                    self.content(&file.path, text);
                }
            }
        }
    }

    /// The text of a file; the same long one of other nodes is pointed at.
    fn content(&mut self, path: &str, text: &str) {
        if path != super::STARTUP_PATH {
            self.line(5, format_args!("text: {}", quoted(text)));
        } else if self.anchored.insert(path.to_owned()) {
            self.line(5, "text: &startup |");
            text.lines().for_each(|line| match line {
                "" => self.line(0, ""),
                line => self.line(6, line),
            });
        } else {
            self.line(5, "text: *startup");
        }
    }

    fn programs(&mut self, key: &str, programs: &[Program]) {
        if !programs.is_empty() {
            self.line(2, format_args!("{key}:"));
        }
        for program in programs {
            let words: Vec<String> = program.argv.iter().map(quoted).collect();
            self.line(
                3,
                format_args!("- {{ name: {}, command: [{}] }}", quoted(&program.name), words.join(", ")),
            );
        }
    }
}

/// A text as YAML and JSON write it.
fn quoted(text: impl Display) -> String {
    serde_json::Value::from(text.to_string()).to_string()
}

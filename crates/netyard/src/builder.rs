//! Labs put together in Rust. What is built is a lab file, so that every default and check is the same.

use crate::definition::Lab;
use crate::error::Result;
use serde_json::{Map, Value, json};

/// Puts a lab together.
///
/// ```no_run
/// use netyard::Lab;
/// let lab = Lab::builder("nat")
///     .network("lan", "192.168.1.0/24")
///     .network("wan", "203.0.113.0/24")
///     .node("client", |node| node.link_at("lan", "192.168.1.10"))
///     .node("router", |node| node.link("lan").link("wan").masquerade("lan", "wan"))
///     .node("server", |node| node.link_at("wan", "203.0.113.9").gateway("none"))
///     .build()?;
/// # Ok::<(), netyard::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct LabBuilder {
    file: Map<String, Value>,
}

/// Puts a node together.
#[derive(Debug, Clone, Default)]
pub struct NodeBuilder {
    node: Map<String, Value>,
}

impl Lab {
    /// Begins a lab of that name.
    #[must_use]
    pub fn builder(name: &str) -> LabBuilder {
        let file = Map::from_iter([
            ("lab".to_owned(), Value::from(name)),
            ("networks".to_owned(), json!({})),
            ("nodes".to_owned(), json!({})),
        ]);
        LabBuilder { file }
    }
}

impl LabBuilder {
    /// Adds a network with one prefix, carried by a bridge.
    #[must_use]
    pub fn network(self, name: &str, prefix: &str) -> Self {
        self.network_with(name, json!(prefix))
    }

    /// Adds a cable between two nodes.
    #[must_use]
    pub fn cable(self, name: &str, prefix: &str) -> Self {
        self.network_with(name, json!({ "kind": "cable", "prefix": prefix }))
    }

    /// Adds a network in any form that a lab file has: `json!({"prefixes": [...], "delay": "10ms"})`.
    #[must_use]
    pub fn network_with(mut self, name: &str, network: Value) -> Self {
        insert(&mut self.file, "networks", name, network);
        self
    }

    /// Adds a node; `h[1-3]` adds three.
    #[must_use]
    pub fn node(mut self, name: &str, build: impl FnOnce(NodeBuilder) -> NodeBuilder) -> Self {
        let node = build(NodeBuilder::default()).node;
        insert(&mut self.file, "nodes", name, Value::Object(node));
        self
    }

    /// Adds an expectation as in a lab file: `json!({"from": "client", "ping": "server"})`.
    #[must_use]
    pub fn expect(mut self, expectation: Value) -> Self {
        push(&mut self.file, "expect", expectation);
        self
    }

    /// Sets any other key of a lab file.
    #[must_use]
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.file.insert(key.to_owned(), value);
        self
    }

    /// The lab.
    ///
    /// # Errors
    /// Every problem of the description; places are those of [`LabBuilder::yaml`].
    pub fn build(&self) -> Result<Lab> {
        Lab::from_yaml(&self.yaml())
    }

    /// The lab file. It is JSON, which YAML includes.
    #[must_use]
    pub fn yaml(&self) -> String {
        let file = Value::Object(self.file.clone());
        serde_json::to_string_pretty(&file).expect("a JSON value with text keys can be written") + "\n"
    }
}

impl NodeBuilder {
    /// Connects it to a network; addresses are given out.
    #[must_use]
    pub fn link(self, network: &str) -> Self {
        self.link_with(network, Value::Null)
    }

    /// Connects it to a network with this address.
    #[must_use]
    pub fn link_at(self, network: &str, address: &str) -> Self {
        self.link_with(network, json!(address))
    }

    /// Connects it in any form that a lab file has: `json!({"address": "10.0.0.1", "name": "wan0", "rate": "10mbit"})`.
    #[must_use]
    pub fn link_with(mut self, network: &str, link: Value) -> Self {
        insert(&mut self.node, "links", network, link);
        self
    }

    /// Makes it a router.
    #[must_use]
    pub fn forward(self) -> Self {
        self.set("forward", json!(true))
    }

    /// Hides the network `from` behind its address on the network `out`; implies forwarding.
    #[must_use]
    pub fn masquerade(self, from: &str, out: &str) -> Self {
        self.set("masquerade", json!({ "from": from, "out": out }))
    }

    /// Sets its default gateway: an address, a node, or `none`.
    #[must_use]
    pub fn gateway(self, gateway: &str) -> Self {
        self.set("gateway", json!(gateway))
    }

    /// Adds a route.
    #[must_use]
    pub fn route(mut self, to: &str, via: &str) -> Self {
        push(&mut self.node, "routes", json!({ "to": to, "via": via }));
        self
    }

    /// Lets it answer for every address that the lab does not use.
    #[must_use]
    pub fn internet(self) -> Self {
        self.set("role", json!("internet"))
    }

    /// Runs a shell command as long as the lab is up.
    #[must_use]
    pub fn run(mut self, command: &str) -> Self {
        push(&mut self.node, "run", json!(command));
        self
    }

    /// Sets any other key that a node has in a lab file.
    #[must_use]
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.node.insert(key.to_owned(), value);
        self
    }
}

fn insert(map: &mut Map<String, Value>, key: &str, name: &str, value: Value) {
    if let Value::Object(inner) = map.entry(key.to_owned()).or_insert_with(|| json!({})) {
        inner.insert(name.to_owned(), value);
    }
}

fn push(map: &mut Map<String, Value>, key: &str, value: Value) {
    if let Value::Array(list) = map.entry(key.to_owned()).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

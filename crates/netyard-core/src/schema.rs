//! The JSON Schema of lab files (draft 2020-12), for editors. Written by hand, tested against the decoder.
//!
//! It describes the forms; what only the whole lab can show (names, addresses, routes) is left to the reader.

mod expect;
mod node;

use serde_json::{Map, Value, json};

/// The schema as a JSON value.
///
/// ```
/// let schema = netyard_core::schema::json_schema();
/// assert_eq!(schema["properties"]["nodes"]["type"][0], "object");
/// ```
#[must_use]
pub fn json_schema() -> Value {
    let top = json!({
        "lab": refers("name", "Name of the lab; that of the file where none is given."),
        "description": refers("text", "What the lab is for."),
        "profile": words("How close to hardware links are: `realistic` fills checksums and keeps packets within the MTU, `fast` leaves the offloads on.", &["realistic", "fast"]),
        "arp": words("How nodes learn Ethernet addresses: by asking, or from permanent entries.", &["dynamic", "static"]),
        "dad": refers("switch", "Duplicate address detection: IPv6 addresses can be used after about 2 s."),
        "networks": map_of("network", "Layer-2 segments by name; a name may hold ranges such as `lan[1-3]`."),
        "defaults": refers("defaults", "What every node and network has unless it says otherwise."),
        "groups": map_of("group", "Groups of nodes by name, for expectations and for keys that members share."),
        "nodes": map_of("node", "Nodes by name; `h[1-100]` makes a hundred."),
        "expect": { "type": ["array", "null"], "items": { "$ref": "#/$defs/expectation" }, "description": "What `netyard test` checks." },
    });
    let mut defs = values();
    defs.extend(networks());
    defs.extend(node::definitions());
    defs.extend(expect::definitions());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netyard lab",
        "description": "A small network of real Linux kernel parts.",
        "type": "object",
        "properties": top,
        "additionalProperties": false,
        "$defs": defs,
    })
}

/// A reference with a description of its own.
fn refers(definition: &str, description: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}"), "description": description })
}

/// One of some words.
fn words(description: &str, words: &[&str]) -> Value {
    json!({ "enum": words, "description": description })
}

/// A map whose keys are free.
fn map_of(definition: &str, description: &str) -> Value {
    let values = json!({ "$ref": format!("#/$defs/{definition}") });
    json!({ "type": ["object", "null"], "additionalProperties": values, "description": description })
}

/// A map of known keys.
fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// One item or a list of them.
fn one_or_many(definition: &str) -> Value {
    let item = json!({ "$ref": format!("#/$defs/{definition}") });
    json!({ "anyOf": [item, { "type": "array", "items": item }] })
}

/// The entries of a JSON object.
fn entries(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

/// Two objects' entries in one.
fn with(first: Value, second: Value) -> Value {
    let mut all = entries(first);
    all.extend(entries(second));
    Value::Object(all)
}

fn number(min: u32, max: u32, description: &str) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max, "description": description })
}

/// Single values. Scalars may look like numbers to YAML where a text is meant: `env: { VERSION: 1.10 }`.
fn values() -> Map<String, Value> {
    entries(json!({
        "text": { "type": ["string", "number", "boolean"] },
        "textOrNull": { "type": ["string", "number", "boolean", "null"] },
        "name": { "type": ["string", "integer"], "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$" },
        "switch": { "enum": [true, false, "true", "false", "yes", "no", "on", "off", "Yes", "No", "On", "Off"] },
        "word": { "type": ["string", "integer"], "minLength": 1 },
        "words": one_or_many("word"),
        "ifname": { "type": ["string", "integer"], "minLength": 1, "maxLength": 15, "pattern": "^[^-/:%\\s][^/:%\\s]*$" },
        "mtu": number(68, 65_535, "Largest packet in bytes."),
        "mac": { "type": "string", "pattern": "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$" },
        "prefix": { "type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]+$", "examples": ["10.0.0.0/24", "fd00::/64"] },
        "address": { "type": "string", "pattern": "^(auto|none|[0-9A-Fa-f.:]+(/[0-9]+)?)$", "examples": ["10.0.0.1", "10.0.0.1/24", "auto"] },
        "addresses": { "anyOf": [
            { "type": "null", "description": "One address of each prefix of the network." },
            { "$ref": "#/$defs/address" },
            { "type": "array", "items": { "$ref": "#/$defs/address" } },
        ] },
        "rate": { "type": ["string", "integer"], "pattern": "^[0-9.]+ ?[A-Za-z/]*$", "examples": ["10mbit", "1gbit", "500kbit"] },
        "time": { "type": ["string", "integer"], "pattern": "^([0-9.]+ ?(us|usecs?|µs|ms|msecs?|s|secs?|min)|0)$", "examples": ["10ms", "200us", "1s"] },
        "size": { "type": ["string", "integer"], "pattern": "^[0-9.]+ ?[A-Za-z]*$", "examples": ["1540", "32kb"] },
        "share": { "type": ["string", "number"], "pattern": "^[0-9.]+ ?%?$", "examples": ["1%", "0.5%"] },
    }))
}

/// What a link can do to packets.
fn shaping() -> Value {
    json!({
        "rate": refers("rate", "Most bits per second, as in tc(8): `10mbit`."),
        "burst": refers("size", "Bytes that may leave at once at full speed."),
        "latency": refers("time", "Longest time that a packet waits for the rate."),
        "delay": refers("time", "Constant delay."),
        "jitter": refers("time", "Random variation of the delay."),
        "loss": refers("share", "Share of packets lost."),
        "duplicate": refers("share", "Share of packets sent twice."),
        "reorder": refers("share", "Share of packets that overtake delayed ones."),
        "corrupt": refers("share", "Share of packets with one flipped bit."),
    })
}

fn networks() -> Map<String, Value> {
    let own = json!({
        "prefix": refers("prefixes", "The prefix from which nodes get addresses; one per family."),
        "prefixes": refers("prefixes", "The same as `prefix`."),
        "kind": words("`bridge` learns addresses, `hub` sends every frame everywhere, `cable` joins two interfaces.", &["bridge", "hub", "cable"]),
        "mtu": refers("mtu", "Largest packet in bytes; 1500 where none is given."),
        "stp": refers("stp", "Spanning tree; off where not given."),
        "multicast-snooping": refers("switch", "IGMP and MLD snooping; off where not given."),
    });
    entries(json!({
        "prefixes": { "anyOf": [
            { "type": "null" },
            { "$ref": "#/$defs/prefix" },
            { "type": "array", "items": { "$ref": "#/$defs/prefix" }, "maxItems": 2 },
        ] },
        "stp": { "anyOf": [
            { "$ref": "#/$defs/switch" },
            { "enum": ["classroom", "standard"] },
            object(json!({
                "forward-delay": { "type": ["string", "integer"], "description": "Seconds in each of listening and learning, 2 to 30." },
                "hello": { "type": ["string", "integer"], "description": "Seconds between hello frames, 1 to 10." },
                "max-age": { "type": ["string", "integer"], "description": "Seconds after which information ages out, 6 to 40." },
                "priority": number(0, 65_535, "Bridge priority; the lowest becomes root."),
            }), &[]),
        ] },
        "network": { "anyOf": [
            { "$ref": "#/$defs/prefixes" },
            object(with(own, shaping()), &[]),
        ] },
    }))
}

//! The JSON Schema of lesson files (draft 2020-12), for editors.

use super::decode_check::KINDS;
use serde_json::{Map, Value, json};

/// The schema as a JSON value.
///
/// ```
/// let schema = netyard_core::lesson::schema();
/// assert_eq!(schema["required"][0], "lesson");
/// ```
#[must_use]
pub fn schema() -> Value {
    let text = |description: &str| json!({ "$ref": "#/$defs/text", "description": description });
    let script = |description: &str| json!({ "type": ["string", "null"], "description": description });
    let checks = |description: &str| {
        json!({
            "description": description,
            "anyOf": [
                { "type": "array", "items": { "$ref": "#/$defs/check" } },
                { "$ref": "#/$defs/check" },
            ],
        })
    };
    let step = json!({
        "id": { "$ref": "#/$defs/name", "description": "Name of the step, unique in the lesson." },
        "title": text("A few words."),
        "slides": { "type": ["string", "integer"], "description": "Slides that it is about." },
        "text": text("A few sentences: what this is about, and what to do."),
        "picture": { "$ref": "#/$defs/switch", "description": "Show the picture before, drawn from live state." },
        "predict": { "$ref": "#/$defs/predict" },
        "start": script("Commands that run when the step begins: they inject a fault, for example."),
        "do": script("Commands as a person would type them; shown. Those of `solve` and `try` where it is left out."),
        "check": checks("What must be true in the end."),
        "reveal": text("What has happened, and why."),
        "modern": script("The same with the commands of today."),
        "differs": text("What differs on other kernels or programs."),
        "hints": { "type": "array", "items": { "$ref": "#/$defs/text" }, "description": "Three hints." },
        "solve": script("Commands that make the checks true."),
        "try": script("Commands after these that change nothing that lasts, such as a ping."),
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netyard lesson",
        "description": "A lesson for `netyard learn`.",
        "type": "object",
        "required": ["lesson", "title", "steps"],
        "additionalProperties": false,
        "properties": {
            "lesson": { "$ref": "#/$defs/name", "description": "What it is called by." },
            "title": text("Its title."),
            "about": text("What one learns, in a sentence or two."),
            "minutes": { "type": "integer", "minimum": 1, "maximum": 600, "description": "How long it takes about." },
            "order": { "enum": ["given", "shuffled"], "description": "Whether each learner gets another order." },
            "setup": script("Commands that make the network in which it begins."),
            "steps": {
                "type": "array", "minItems": 1, "maxItems": 200,
                "items": {
                    "type": "object", "properties": step, "required": ["id", "title", "text"],
                    "additionalProperties": false,
                },
            },
        },
        "$defs": definitions(&text("Its words."), &checks("What is true when this is right.")),
    })
}

fn definitions(text: &Value, checks: &Value) -> Value {
    json!({
        "name": { "type": "string", "pattern": "^[a-z0-9-]{1,40}$" },
        "switch": { "enum": [true, false, "yes", "no", "on", "off"] },
        "text": {
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object", "required": ["en"], "additionalProperties": false,
                    "properties": { "en": { "type": "string" }, "ja": { "type": "string" } },
                },
            ],
        },
        "predict": {
            "type": "object",
            "description": "What is to be foretold; judged by what the kernel then does.",
            "required": ["question", "choices"],
            "additionalProperties": false,
            "properties": {
                "question": text,
                "about": { "enum": ["start", "end"], "description": "The state that it is about." },
                "observe": { "$ref": "#/$defs/check" },
                "choices": {
                    "type": "array", "minItems": 2, "maxItems": 9,
                    "items": {
                        "type": "object", "required": ["text"], "additionalProperties": false,
                        "properties": { "text": text, "is": {}, "if": checks },
                    },
                },
            },
        },
        "check": check(),
    })
}

/// One form for each kind of check.
fn check() -> Value {
    let forms: Vec<Value> = KINDS
        .iter()
        .map(|kind| {
            let mut properties = Map::new();
            properties.insert((*kind).to_owned(), json!({}));
            properties.insert("not".to_owned(), json!({ "$ref": "#/$defs/switch" }));
            properties.insert("say".to_owned(), json!({ "$ref": "#/$defs/text" }));
            for key in keys(kind) {
                properties.insert((*key).to_owned(), json!({}));
            }
            json!({
                "type": "object", "required": [kind], "properties": properties, "additionalProperties": false,
            })
        })
        .collect();
    json!({ "anyOf": forms })
}

/// The keys beside the one that says what a check is about.
fn keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "namespace" => &[],
        "link" => &["kind", "master", "peer", "up", "mtu", "stp"],
        "address" => &["in", "on"],
        "route" => &["in", "via", "dev"],
        "sysctl" | "policy" => &["in", "is"],
        "masquerade" => &["in", "out"],
        "dnat" => &["in", "to"],
        "neighbour" => &["in", "mac-of"],
        "learned" => &["on"],
        "listens" => &["in", "protocol"],
        "counter" => &["in", "grows"],
        "flows" => &["in", "from", "to", "port", "seen-as", "replied"],
        "ping" => &["from", "outcome", "seen-as", "within", "size", "df", "hops"],
        "http" => &["from", "outcome", "seen-as", "within", "contains"],
        "dns" => &["from", "outcome", "seen-as", "within", "server"],
        _ => &["from", "outcome", "seen-as", "within"],
    }
}

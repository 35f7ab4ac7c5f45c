//! The JSON Schema says of forms what the decoder says.

// The crate reads no file, clock or environment and never unwraps; its tests do.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used
)]

use netyard_core::diagnostic::Code;
use netyard_core::labfile::{Source, parse};
use netyard_core::schema::json_schema;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

mod forms;
mod talk;

/// A YAML text as editors see it: scalars typed by the core schema of YAML 1.2.
fn as_json(text: &str) -> Value {
    let mut events = Parser::new_from_str(text).map(|event| event.unwrap().0);
    let start = |event: &Event<'_>| matches!(event, Event::StreamStart | Event::DocumentStart(_));
    let first = events.by_ref().find(|event| !start(event)).unwrap();
    value(first, &mut events, &mut BTreeMap::new())
}

/// The value that begins with this event; `anchors` are the values that aliases repeat.
fn value<'a>(
    event: Event<'a>,
    events: &mut impl Iterator<Item = Event<'a>>,
    anchors: &mut BTreeMap<usize, Value>,
) -> Value {
    let (anchor, value) = match event {
        Event::Alias(anchor) => return anchors[&anchor].clone(),
        Event::Scalar(text, style, anchor, _) => (anchor, scalar(&text, style)),
        Event::SequenceStart(anchor, _) => (anchor, sequence(events, anchors)),
        Event::MappingStart(anchor, _) => (anchor, mapping(events, anchors)),
        other => panic!("{other:?}"),
    };
    anchors.insert(anchor, value.clone());
    value
}

fn sequence<'a>(events: &mut impl Iterator<Item = Event<'a>>, anchors: &mut BTreeMap<usize, Value>) -> Value {
    let mut items = Vec::new();
    loop {
        match events.next().unwrap() {
            Event::SequenceEnd => return Value::Array(items),
            event => items.push(value(event, events, anchors)),
        }
    }
}

fn mapping<'a>(events: &mut impl Iterator<Item = Event<'a>>, anchors: &mut BTreeMap<usize, Value>) -> Value {
    let mut entries = Map::new();
    loop {
        match events.next().unwrap() {
            Event::MappingEnd => return Value::Object(entries),
            Event::Scalar(key, ..) => {
                let event = events.next().unwrap();
                entries.insert(key.into_owned(), value(event, events, anchors));
            }
            other => panic!("{other:?}"),
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return json!(text);
    }
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => json!(true),
        "false" => json!(false),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => json!(number),
            (_, Ok(number)) if text.starts_with(|c: char| c.is_ascii_digit()) => json!(number),
            _ => json!(text),
        },
    }
}

/// Whether a value fits a schema; the part of JSON Schema that ours uses, patterns aside.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    let reference =
        schema["$ref"].as_str().map(|path| &root["$defs"][path.strip_prefix("#/$defs/").unwrap()]);
    if let Some(target) = reference {
        assert!(!target.is_null(), "{schema}");
        if !fits(value, target, root) {
            return false;
        }
    }
    let type_fits = match &schema["type"] {
        Value::Null => true,
        Value::Array(types) => types.iter().any(|kind| has_type(value, kind)),
        kind => has_type(value, kind),
    };
    let enum_fits = schema["enum"].as_array().is_none_or(|words| words.contains(value));
    let const_fits = schema.get("const").is_none_or(|constant| constant == value);
    let any_fits = schema["anyOf"].as_array().is_none_or(|all| all.iter().any(|one| fits(value, one, root)));
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let length_fits = length.is_none_or(|length| {
        schema["maxLength"].as_u64().is_none_or(|max| length <= max)
            && schema["minLength"].as_u64().is_none_or(|min| length >= min)
    });
    let number_fits = value.as_f64().is_none_or(|number| {
        schema["minimum"].as_f64().is_none_or(|min| number >= min)
            && schema["maximum"].as_f64().is_none_or(|max| number <= max)
    });
    type_fits
        && enum_fits
        && const_fits
        && any_fits
        && length_fits
        && number_fits
        && items_fit(value, schema, root)
        && entries_fit(value, schema, root)
}

fn has_type(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    }
}

fn items_fit(value: &Value, schema: &Value, root: &Value) -> bool {
    let Some(items) = value.as_array() else { return true };
    schema["maxItems"].as_u64().is_none_or(|max| items.len() as u64 <= max)
        && schema["minItems"].as_u64().is_none_or(|min| items.len() as u64 >= min)
        && (schema["items"].is_null() || items.iter().all(|item| fits(item, &schema["items"], root)))
}

fn entries_fit(value: &Value, schema: &Value, root: &Value) -> bool {
    let Some(entries) = value.as_object() else { return true };
    let required = schema["required"]
        .as_array()
        .is_none_or(|keys| keys.iter().all(|key| entries.contains_key(key.as_str().unwrap())));
    required
        && entries.iter().all(|(key, value)| {
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Null, Value::Null) => true,
                (Value::Null, Value::Bool(is_free)) => *is_free,
                (Value::Null, others) => fits(value, others, root),
                (own, _) => fits(value, own, root),
            }
        })
}

#[test]
fn what_the_decoder_takes_fits_the_schema() {
    let schema = json_schema();
    // Editors expand merge keys before they look at a schema; this reader does not.
    for text in forms::ALL.iter().chain([&talk::TALK]).filter(|text| !text.contains('&')) {
        assert!(parse(&Source::new("t.yaml", *text)).is_ok(), "{text}");
        let value = as_json(text);
        // Name the part that does not fit.
        for (key, part) in value.as_object().unwrap() {
            let own = &schema["properties"][key];
            for (name, one) in part.as_object().into_iter().flatten() {
                assert!(fits(&json!({ name: one }), own, &schema), "{key}.{name}: {one}");
            }
            for one in part.as_array().into_iter().flatten() {
                assert!(fits(&json!([one]), own, &schema), "{key}: {one}");
            }
        }
        assert!(fits(&value, &schema, &schema), "{text}");
    }
}

#[test]
fn the_gallery_fits_the_schema() {
    let schema = json_schema();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let labs: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    assert!(labs.len() > 1, "there are labs");
    for path in labs {
        let value = as_json(&std::fs::read_to_string(&path).unwrap());
        assert!(fits(&value, &schema, &schema), "{}", path.display());
    }
}

#[test]
fn lessons_that_ship_fit_their_schema() {
    let schema = netyard_core::lesson::schema();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lessons");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path().join("lesson.yaml");
        let value = as_json(&std::fs::read_to_string(&path).unwrap());
        assert!(fits(&value, &schema, &schema), "{}", path.display());
    }
    let wrong =
        "lesson: a\ntitle: A\nsteps: [{ id: a, title: A, text: A, check: [{ link: a, colour: red }] }]\n";
    assert!(!fits(&as_json(wrong), &schema, &schema));
}

#[test]
fn wrong_forms_do_not_fit_the_schema() {
    let schema = json_schema();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    for name in [
        "y007-unknown-keys",
        "y007-underscore",
        "y008-wrong-types",
        "y015-unknown-words",
        "y016-numbers",
        "e001-not-one-probe",
        "e003-key-of-another-probe",
        "f006-allow",
    ] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        assert!(!fits(&as_json(&text), &schema, &schema), "{name}");
    }
}

/// The keys that the decoder knows at a place: it lists them for a key like no other.
fn known_to_decoder(text: &str) -> BTreeSet<String> {
    let problems = parse(&Source::new("t.yaml", text)).unwrap_err();
    let unknown = problems
        .iter()
        .find(|problem| problem.code == Code::UnknownKey)
        .unwrap_or_else(|| panic!("{text}: {problems:?}"));
    let help = unknown.help.as_deref().unwrap();
    help.strip_prefix("known here: ").unwrap().split(", ").map(str::to_owned).collect()
}

fn keys_of(schema: &Value) -> BTreeSet<String> {
    let own = schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
    let parts = schema["anyOf"].as_array().into_iter().flatten().flat_map(keys_of);
    own.chain(parts).collect()
}

#[test]
fn schema_and_decoder_know_the_same_keys() {
    let schema = json_schema();
    let defs = &schema["$defs"];
    let check = |text: &str, schema: &Value| assert_eq!(known_to_decoder(text), keys_of(schema), "{text}");
    check("xyzzyq: 1", &schema);
    check("networks: { a: { xyzzyq: 1 } }", &defs["network"]);
    check("networks: { a: { stp: { xyzzyq: 1 } } }", &defs["stp"]);
    check("defaults: { xyzzyq: 1 }", &defs["defaults"]);
    check("groups: { a: { xyzzyq: 1 } }", &defs["group"]);
    check("nodes: { a: { xyzzyq: 1 } }", &defs["node"]);
    check("nodes: { a: { links: { b: { xyzzyq: 1 } } } }", &defs["link"]);
    check("nodes: { a: { links: { b: { up: { xyzzyq: 1 } } } } }", &defs["direction"]);
    check("nodes: { a: { bridge: { xyzzyq: 1 } } }", &defs["bridge"]);
    check("nodes: { a: { routes: [{ to: default, hops: [{ via: 10.0.0.1, xyzzyq: 1 }] }] } }", &defs["hop"]);
    check(
        "nodes: { a: { routes: [{ to: default, xyzzyq: 1 }] } }",
        &defs["routes"]["anyOf"][1]["items"]["anyOf"][0],
    );
    check("nodes: { a: { neighbours: [{ to: b, xyzzyq: 1 }] } }", &defs["neighbours"]["anyOf"][1]["items"]);
    check("nodes: { a: { masquerade: { xyzzyq: 1 } } }", &defs["masquerade"]);
    check("nodes: { a: { nat: [{ port-forward: { port: 1, to: b, xyzzyq: 1 } }] } }", &defs["portForward"]);
    check("nodes: { a: { firewall: { xyzzyq: 1 } } }", &defs["firewall"]);
    check("nodes: { a: { firewall: { input: { xyzzyq: 1 } } } }", &defs["chain"]);
    check(
        "nodes: { a: { firewall: { input: { allow: [{ xyzzyq: 1 }] } } } }",
        &defs["chain"]["anyOf"][1]["properties"]["allow"]["anyOf"][0],
    );
    check("nodes: { a: { run: { command: x, xyzzyq: 1 } } }", &defs["program"]);
    let probes = defs["expectation"]["anyOf"].as_array().unwrap();
    let probe_keys: BTreeSet<String> = probes
        .iter()
        .flat_map(|probe| probe["required"].as_array().unwrap())
        .map(|key| key.as_str().unwrap().to_owned())
        .collect();
    for probe in probes {
        let name = probe["required"][1].as_str().unwrap();
        let text = format!("expect: [{{ from: a, {name}: b, xyzzyq: 1 }}]");
        let mut known = known_to_decoder(&text);
        known.retain(|key| !probe_keys.contains(key) || key == name || keys_of(probe).contains(key));
        assert_eq!(known, keys_of(probe), "{text}");
    }
}

//! The JSON twin of every view: one object with a versioned `schema`.

use serde::Serialize;
use serde_json::{Map, Value};

/// Prints an object with `"schema": "netyard/NAME/1"` first.
pub fn print(schema: &str, body: &impl Serialize) {
    super::print(&format!("{}\n", text(schema, body)));
}

/// The object as indented text.
pub fn text(schema: &str, body: &impl Serialize) -> String {
    let mut object = Map::from_iter([("schema".to_owned(), Value::from(format!("netyard/{schema}/1")))]);
    match serde_json::to_value(body) {
        Ok(Value::Object(fields)) => object.extend(fields),
        Ok(other) => drop(object.insert("value".to_owned(), other)),
        Err(error) => drop(object.insert("error".to_owned(), Value::from(error.to_string()))),
    }
    serde_json::to_string_pretty(&Value::Object(object)).unwrap_or_default()
}

//! The JSON twin of every view: one object with a versioned `schema`.

use serde::Serialize;

#[derive(Serialize)]
struct Versioned<'a, T> {
    schema: String,
    #[serde(flatten)]
    body: &'a T,
}

/// Prints an object with `"schema": "netyard/NAME/1"` first.
pub fn print(schema: &str, body: &impl Serialize) {
    super::print(&format!("{}\n", text(schema, body)));
}

/// Prints an object as one line, for streams (JSON Lines).
pub fn print_line(schema: &str, body: &impl Serialize) -> super::Reader {
    let versioned = Versioned { schema: format!("netyard/{schema}/1"), body };
    let line = serde_json::to_string(&versioned).expect("views are maps with text keys");
    super::print(&(line + "\n"))
}

/// The object as indented text. Of `body` it must be sure that it is a map with text keys.
pub fn text(schema: &str, body: &impl Serialize) -> String {
    let versioned = Versioned { schema: format!("netyard/{schema}/1"), body };
    serde_json::to_string_pretty(&versioned).expect("views are maps with text keys")
}

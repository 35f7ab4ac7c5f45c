//! Pictures in the language of Graphviz.

use super::layout;
use super::model::{Block, End, Picture, Role, Wire};
use std::fmt::Write;

/// The picture as an undirected graph for `dot`, everything shown, nothing collapsed: Graphviz lays out thousands of
/// boxes.
///
/// Boxes are called `n0`, `n1` ...; their labels are HTML-like, with a cell per port, and escaped as XML.
#[must_use]
pub fn dot(picture: &Picture) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "graph \"{}\" {{", quoted(&picture.title));
    out.push_str("    rankdir=LR;\n    ranksep=0.8;\n");
    out.push_str(
        "    node [shape=plain, fontname=\"Noto Sans CJK JP, Helvetica, sans-serif\", fontsize=11];\n",
    );
    out.push_str(
        "    edge [fontname=\"Noto Sans CJK JP, Helvetica, sans-serif\", fontsize=9, color=\"#57606a\"];\n",
    );
    for (index, block) in picture.blocks.iter().enumerate() {
        let _ = writeln!(out, "    n{index} [label=<{}>];", table(block));
    }
    for wire in &layout::directed(picture) {
        let _ = writeln!(out, "    {};", edge(picture, wire));
    }
    out.push_str("}\n");
    out
}

fn table(block: &Block) -> String {
    let (border, colour) = match block.role {
        Role::Host => (1, "#0969da"),
        Role::Router => (1, "#bc4c00"),
        Role::Bridge => (3, "#1a7f37"),
        Role::Hub => (3, "#9a6700"),
        Role::Internet => (1, "#8250df"),
    };
    let mut out = format!(
        "<table border=\"{border}\" cellborder=\"0\" cellspacing=\"0\" cellpadding=\"3\" color=\"{colour}\" \
         style=\"rounded\"><tr><td align=\"left\"><b>{}</b> <font color=\"{colour}\">{}</font></td></tr>",
        escaped(&block.title()),
        block.role.word()
    );
    for (index, port) in block.ports.iter().enumerate() {
        let down = if port.is_down { " ✗" } else { "" };
        let notes: String = port.notes.iter().map(|note| format!(" {}", escaped(&note.text))).collect();
        let _ = write!(
            out,
            "<tr><td align=\"left\" port=\"p{index}\">{}{down}{notes}</td></tr>",
            escaped(&port.name)
        );
    }
    for note in &block.notes {
        let _ = write!(out, "<tr><td align=\"left\">{}</td></tr>", escaped(&note.text));
    }
    out.push_str("</table>");
    out
}

fn edge(picture: &Picture, wire: &Wire) -> String {
    let end = |end: End| format!("n{}:p{}", end.block, end.port);
    let mut attributes: Vec<String> =
        wire.name.iter().map(|name| format!("label=\"{}\"", quoted(name))).collect();
    if picture.is_down(wire) {
        attributes.push("style=dashed, color=\"#cf222e\"".to_owned());
    }
    let attributes =
        if attributes.is_empty() { String::new() } else { format!(" [{}]", attributes.join(", ")) };
    let [one, other] = wire.ends.map(end);
    format!("{one} -- {other}{attributes}")
}

/// Text inside double quotes: quotes and backslashes get a backslash (Graphviz, "The DOT Language", ID).
fn quoted(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Text inside an HTML-like label.
fn escaped(text: &str) -> String {
    super::svg::escaped(text)
}

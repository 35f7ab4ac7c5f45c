//! Pictures as Mermaid flowcharts, for Markdown.

use super::collapse;
use super::layout;
use super::model::{Block, End, Picture, Role, What, Wire};
use std::fmt::Write;

/// The picture as a Mermaid `flowchart LR`. Identical leaves of a large picture are shown as one, as in [`super::unicode`].
///
/// Boxes are called `n0`, `n1` ... so that no name can be taken for a word of the language; names are escaped in
/// the quoted labels (Mermaid "Entity codes to escape characters").
#[must_use]
pub fn mermaid(picture: &Picture) -> String {
    let picture = &*collapse::readable(picture);
    let mut out = String::from("flowchart LR\n");
    for (index, block) in picture.blocks.iter().enumerate() {
        let (open, close) = brackets(block);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "    n{index}{open}\"{}\"{close}", label(block));
    }
    for wire in &layout::directed(picture) {
        let [one, other] = wire.ends;
        let line = if picture.is_down(wire) { "-.-" } else { "---" };
        let words = wire_label(picture, wire);
        let words = if words.is_empty() { words } else { format!("|\"{words}\"|") };
        let _ = writeln!(out, "    n{} {line}{words} n{}", one.block, other.block);
    }
    for role in [Role::Host, Role::Router, Role::Bridge, Role::Hub, Role::Internet] {
        classes(&mut out, picture, role);
    }
    out
}

fn brackets(block: &Block) -> (&'static str, &'static str) {
    match (block.what, block.role) {
        (_, Role::Internet) => ("([", "])"),
        (_, Role::Bridge | Role::Hub) => ("[[", "]]"),
        (What::Node, Role::Router) => ("{{", "}}"),
        _ => ("(", ")"),
    }
}

fn label(block: &Block) -> String {
    let first = format!("<b>{}</b> {}", escaped(&block.title()), block.role.word());
    let notes = block.notes.iter().map(|note| escaped(&note.text));
    std::iter::once(first).chain(notes).collect::<Vec<_>>().join("<br/>")
}

fn wire_label(picture: &Picture, wire: &Wire) -> String {
    let is_node = |end: &End| picture.blocks[end.block].what == What::Node;
    let port = |end: &End| {
        let port = picture.port(*end);
        let down = if port.is_down { " ✗" } else { "" };
        let notes = port.notes.iter().map(|note| escaped(&note.text));
        std::iter::once(format!("{}{down}", escaped(&port.name)))
            .chain(notes)
            .collect::<Vec<_>>()
            .join("<br/>")
    };
    let ports: Vec<String> = wire.ends.iter().filter(|end| is_node(end)).map(port).collect();
    let name = wire.name.iter().map(|name| escaped(name));
    name.chain(ports).collect::<Vec<_>>().join("<br/>")
}

fn classes(out: &mut String, picture: &Picture, role: Role) {
    let members = picture.blocks.iter().enumerate().filter(|(_, block)| block.role == role);
    let members: Vec<String> = members.map(|(index, _)| format!("n{index}")).collect();
    if members.is_empty() {
        return;
    }
    let stroke = match role {
        Role::Host => "#0969da",
        Role::Router => "#bc4c00",
        Role::Bridge => "#1a7f37",
        Role::Hub => "#9a6700",
        Role::Internet => "#8250df",
    };
    let word = role.word();
    let _ = writeln!(out, "    classDef {word} stroke:{stroke},stroke-width:2px");
    let _ = writeln!(out, "    class {} {word}", members.join(","));
}

/// Text inside a quoted label: characters with a meaning to Mermaid, Markdown or HTML as entity codes.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            '"' | '#' | '&' | '<' | '>' | ';' | '`' | '*' | '_' | '|' | '\\' | '[' | ']' | '{' | '}' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

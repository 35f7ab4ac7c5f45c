//! Pictures of a network: boxes with ports, wires between ports, drawn as text, SVG, Mermaid or Graphviz.
//!
//! A [`Picture`] is plain data and knows neither labs nor kernels: [`Picture::of_lab`] makes one from a lab, live facts
//! such as links that are down are laid over it with [`Picture::mark_down`], and each renderer is a function of it.
//!
//! ```
//! use netyard_core::diagram::{Block, Picture, Port, Role, Style, unicode};
//!
//! let mut picture = Picture::new("cable");
//! let a = picture.add(Block::node("a", Role::Host).port(Port::new("eth0")));
//! let b = picture.add(Block::node("b", Role::Host).port(Port::new("eth0")));
//! picture.connect((a, 0), (b, 0));
//! assert_eq!(
//!     unicode(&picture, 80, Style::Plain),
//!     "\
//! ╭─ a ── host ─╮         ╭─ b ── host ─╮
//! │        eth0 ●─────────● eth0        │
//! ╰─────────────╯         ╰─────────────╯
//! "
//! );
//! ```

mod canvas;
mod collapse;
mod dot;
mod face;
mod glyphs;
mod layout;
mod list;
mod mermaid;
mod model;
mod of_lab;
mod svg;
mod text;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod snapshots;

pub use dot::dot;
pub use mermaid::mermaid;
pub use model::{Block, End, Note, NoteKind, Picture, Port, Role, What, Wire};
pub use svg::svg;
pub use text::{Charset, Line, Paint, Segment, Style, ascii, drawing, unicode};

//! Pictures as SVG: one file that shows well in light and dark pages and reads well without eyes.

use super::collapse;
use super::face::{Detail, Ink};
use super::glyphs::UNICODE;
use super::layout::{self, Arrangement, Dot, Layout, Plate, Route, Setting};
use super::model::{End, Picture, Role, What};
use super::text::Paint;
use std::fmt::Write;

/// Size of a cell of the grid in pixels: a character of the font below, and a line.
const CELL: (f64, f64) = (8.0, 20.0);
/// Blank border of the picture in pixels.
const MARGIN: f64 = 16.0;
/// Radius of the corners of wires in pixels.
const CORNER: f64 = 6.0;
/// Height of the lower border line of a box in its last row, in pixels.
const FOOT: f64 = 8.0;
/// Height of the upper border line of a box above its first row, in pixels.
const HEAD: f64 = 4.0;
/// Columns of the grid that an ordinary screen shows.
const WIDTH_USUAL: usize = 220;

const STYLE: &str = include_str!("svg.css");

/// The picture as an SVG document, everything told. Identical leaves of a large picture are shown as one, as in
/// [`super::unicode`].
///
/// Self-contained: no scripts, no fonts, no links. Colours follow `prefers-color-scheme`; text is text, with fonts
/// that have Japanese to fall back on; `<title>` and `<desc>` say what there is.
#[must_use]
pub fn svg(picture: &Picture) -> String {
    let picture = &*collapse::readable(picture);
    let layout = laid(picture);
    let (width, height) = (point(layout.width, 0).0 + MARGIN, point(0, layout.height).1 + MARGIN);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"netyard\" role=\"img\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\">"
    );
    let _ = writeln!(out, "<title>{}</title>", escaped(&picture.title));
    let _ = writeln!(out, "<desc>{}</desc>", escaped(&description(picture)));
    let _ = writeln!(out, "<style>\n{STYLE}</style>");
    let _ = writeln!(out, "<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>");
    for route in &layout.routes {
        wire(&mut out, picture, route);
    }
    for plate in &layout.plates {
        block(&mut out, picture, plate);
    }
    out.push_str("</svg>\n");
    out
}

/// The layout that fits a screen, else the one from left to right.
fn laid(picture: &Picture) -> Layout {
    let attempts = [
        (Arrangement::Columns, WIDTH_USUAL),
        (Arrangement::Spine, WIDTH_USUAL),
        (Arrangement::Stack, WIDTH_USUAL),
        (Arrangement::Columns, usize::MAX),
    ];
    let lay = |(arrangement, width_max)| {
        let setting = Setting { detail: Detail::Full, glyphs: &UNICODE, wire_width: 9, width_max };
        layout::lay(picture, &layout::order(picture, arrangement), &setting)
    };
    attempts.into_iter().find_map(lay).unwrap_or_default()
}

/// What there is and what is connected, in sentences.
fn description(picture: &Picture) -> String {
    let count = |what| picture.blocks.iter().filter(|b| b.what == what).map(|b| b.members.len().max(1)).sum();
    let mut out = format!(
        "{}.",
        [plural(count(What::Node), "node"), plural(count(What::Network), "network")].join(", ")
    );
    let name = |end: &End| format!("{} {}", picture.blocks[end.block].title(), picture.port(*end).name);
    for (index, block) in picture.blocks.iter().enumerate().filter(|(_, block)| block.what == What::Network) {
        let ends = picture.sound_wires().flat_map(|(_, wire)| match &wire.ends {
            [here, there] if here.block == index => Some(name(there)),
            [there, here] if here.block == index => Some(name(there)),
            _ => None,
        });
        let ends: Vec<String> = ends.collect();
        let _ = write!(out, " {} {} connects {}.", block.role.word(), block.title(), ends.join(", "));
    }
    for (_, wire) in picture.sound_wires() {
        if wire.ends.iter().all(|end| picture.blocks[end.block].what == What::Node) {
            let _ = write!(out, " A cable connects {} and {}.", name(&wire.ends[0]), name(&wire.ends[1]));
        }
    }
    out
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Upper left corner of a cell in pixels.
#[allow(clippy::cast_precision_loss)] // Pictures are far smaller than 2^52 cells.
fn point(x: usize, y: usize) -> (f64, f64) {
    (MARGIN + x as f64 * CELL.0, MARGIN + y as f64 * CELL.1)
}

fn centre(x: usize, y: usize) -> (f64, f64) {
    let (left, top) = point(x, y);
    (left + CELL.0 / 2.0, top + CELL.1 / 2.0)
}

/// A wire on a wider line in the colour of the ground: where two cross, the later one passes over the earlier one.
fn wire(out: &mut String, picture: &Picture, route: &Route) {
    let wire = &picture.wires[route.wire];
    let class = if picture.is_down(wire) { "wire down" } else { "wire" };
    let path = path(&route.points.iter().map(|(x, y)| centre(*x, *y)).collect::<Vec<_>>());
    let name = wire.name.iter().map(|name| format!("<title>{}</title>", escaped(name))).collect::<String>();
    let _ = writeln!(out, "<path class=\"halo\" d=\"{path}\"/>");
    let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\">{name}</path>");
}

/// A line through the points with round corners.
fn path(points: &[(f64, f64)]) -> String {
    let mut out = String::new();
    let Some((first, rest)) = points.split_first() else { return out };
    let _ = write!(out, "M{} {}", first.0, first.1);
    for three in points.windows(3) {
        let (before, corner, after) = (three[0], three[1], three[2]);
        let (start, end) = (toward(corner, before), toward(corner, after));
        let _ = write!(out, "L{} {}Q{} {} {} {}", start.0, start.1, corner.0, corner.1, end.0, end.1);
    }
    if let Some(last) = rest.last() {
        let _ = write!(out, "L{} {}", last.0, last.1);
    }
    out
}

/// The point at the beginning of a round corner, half way where there is little room.
fn toward(from: (f64, f64), to: (f64, f64)) -> (f64, f64) {
    let step = |from: f64, to: f64| from + (to - from).signum() * CORNER.min((to - from).abs() / 2.0);
    let move_if = |from: f64, to: f64| if from == to { from } else { step(from, to) };
    (move_if(from.0, to.0), move_if(from.1, to.1))
}

fn block(out: &mut String, picture: &Picture, plate: &Plate) {
    let block = &picture.blocks[plate.block];
    let role = block.role;
    let (left, top) = (centre(plate.x, plate.y).0, point(plate.x, plate.y).1 - HEAD);
    let right = centre(plate.x + plate.face.width - 1, plate.y).0;
    let bottom = point(plate.x, plate.y + plate.face.height() - 1).1 + FOOT;
    let _ = writeln!(out, "<g class=\"{}\">", class(role));
    let radius = if role == Role::Internet { 14 } else { 6 };
    rectangle(out, "box", [left, top, right, bottom], radius);
    if role.is_double() {
        rectangle(out, "inner", [left + 3.0, top + 3.0, right - 3.0, bottom - 3.0], radius - 2);
    }
    let (inside_left, inside_right) = (left + 1.5 * CELL.0, right - 1.5 * CELL.0);
    text(out, "title", inside_left, plate.y, &plate.face.title, "start");
    text(out, "word", inside_right, plate.y, plate.face.word, "end");
    for (row, line) in plate.face.lines().iter().enumerate() {
        for (ink, x, anchor) in [(&line.left, inside_left, "start"), (&line.right, inside_right, "end")] {
            if let Some(Ink { text: words, paint }) = ink {
                text(out, paint_class(*paint), x, plate.y + 1 + row, words, anchor);
            }
        }
    }
    for dot in &plate.dots {
        self::dot(out, *dot, block.ports[dot.port].is_down);
    }
    out.push_str("</g>\n");
}

fn rectangle(out: &mut String, class: &str, [left, top, right, bottom]: [f64; 4], radius: u32) {
    let (width, height) = (right - left, bottom - top);
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>"
    );
}

fn text(out: &mut String, class: &str, x: f64, row: usize, words: &str, anchor: &str) {
    // The base line stands at about 7/10 of a line.
    let y = point(0, row).1 + CELL.1 * 0.7;
    let words = escaped(words);
    let _ =
        writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn dot(out: &mut String, dot: Dot, is_down: bool) {
    let (x, y) = centre(dot.x, dot.y);
    let class = match (is_down, dot.is_wired) {
        (true, _) => "dot down",
        (false, true) => "dot",
        (false, false) => "dot free",
    };
    let _ = writeln!(out, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"4.5\"/>");
    if is_down {
        let (a, b, c, d) = (x - 6.0, y - 6.0, x + 6.0, y + 6.0);
        let _ = writeln!(out, "<path class=\"cross\" d=\"M{a} {b}L{c} {d}M{a} {d}L{c} {b}\"/>");
    }
}

fn class(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Router => "router",
        Role::Bridge => "bridge",
        Role::Hub => "hub",
        Role::Internet => "internet",
    }
}

fn paint_class(paint: Paint) -> &'static str {
    match paint {
        Paint::Address => "address",
        Paint::Route => "route",
        Paint::Nat => "nat",
        Paint::Firewall => "firewall",
        Paint::Remark => "remark",
        Paint::Down => "gone",
        Paint::Plain | Paint::Node(_) | Paint::Title(_) | Paint::Port | Paint::Wire => "port",
    }
}

/// Text of an XML document.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML 1.0 has no way to write most control characters (section 2.2).
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

//! Pictures as text: which arrangement fits the terminal, and the characters with their labels.

use super::canvas;
use super::collapse;
use super::face::Detail;
use super::glyphs::{self, Glyphs};
use super::layout::{self, Arrangement, Setting};
use super::list;
use super::model::{NoteKind, Picture, Role};

/// Which characters a drawing is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Charset {
    /// Box-drawing characters. They take one column each; terminals that draw characters of ambiguous width
    /// (Unicode annex 11) in two columns need [`Charset::Ascii`].
    #[default]
    Unicode,
    /// `+ - | o`; words that came from the user stay as they are.
    Ascii,
}

/// What a piece of text shows; the caller turns it into a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Paint {
    /// Blanks and words without a meaning of their own.
    Plain,
    /// The border of a box, and the word for its role.
    Node(Role),
    /// The name of a box.
    Title(Role),
    /// The name of a port.
    Port,
    /// A wire and the dots at its ends.
    Wire,
    /// An address or a prefix.
    Address,
    /// A route.
    Route,
    /// Address translation.
    Nat,
    /// Packet filter.
    Firewall,
    /// Settings, shaping, programs, labels.
    Remark,
    /// A link that is down, and its wire.
    Down,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The text.
    pub text: String,
    /// What it shows.
    pub paint: Paint,
}

/// A line of a drawing; neighbouring segments differ in paint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Its pieces from left to right.
    pub segments: Vec<Segment>,
}

/// How a drawing becomes one text.
#[derive(Clone, Copy)]
pub enum Style<'a> {
    /// The characters only.
    Plain,
    /// Each segment as the function writes it, for example between escape sequences.
    Painted(&'a dyn Fn(Paint, &str) -> String),
}

impl std::fmt::Debug for Style<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Plain) { "Plain" } else { "Painted" })
    }
}

/// The picture in box-drawing characters, no line wider than `width` columns (20 and more).
///
/// Tried in this order: columns from left to right, hosts on the left of all other boxes below each other, all boxes
/// below each other, each with everything and without routes and remarks; then columns without addresses too, and all
/// boxes below each other so, or with their names only; then a list per network. So a wider picture never lacks the
/// addresses that a narrower one has. Identical leaves of a picture of more than 30 boxes are shown as one.
#[must_use]
pub fn unicode(picture: &Picture, width: usize, style: Style<'_>) -> String {
    written(&drawing(picture, width, Charset::Unicode), style)
}

/// The picture in ASCII characters; otherwise as [`unicode`].
#[must_use]
pub fn ascii(picture: &Picture, width: usize, style: Style<'_>) -> String {
    written(&drawing(picture, width, Charset::Ascii), style)
}

/// The lines of a picture with what each piece shows.
#[must_use]
pub fn drawing(picture: &Picture, width: usize, charset: Charset) -> Vec<Line> {
    let glyphs = match charset {
        Charset::Unicode => &glyphs::UNICODE,
        Charset::Ascii => &glyphs::ASCII,
    };
    let picture = &collapse::readable(picture);
    boxes(picture, width, glyphs).unwrap_or_else(|| list::list(picture, width, glyphs))
}

/// Columns of a straight wire, the roomiest first.
const WIRE_WIDTHS: [usize; 3] = [9, 5, 3];

fn boxes(picture: &Picture, width_max: usize, glyphs: &Glyphs) -> Option<Vec<Line>> {
    // Boxes below each other with what they do say more than boxes side by side with their names only.
    const ATTEMPTS: [(Arrangement, &[Detail]); 5] = [
        (Arrangement::Columns, &[Detail::Full, Detail::NoRoutes]),
        (Arrangement::Spine, &[Detail::Full, Detail::NoRoutes]),
        (Arrangement::Stack, &[Detail::Full, Detail::NoRoutes]),
        (Arrangement::Columns, &[Detail::NoAddresses]),
        (Arrangement::Stack, &[Detail::NoAddresses, Detail::Names]),
    ];
    for (arrangement, details) in ATTEMPTS {
        let order = layout::order(picture, arrangement);
        for (detail, wire_width) in
            details.iter().flat_map(|detail| WIRE_WIDTHS.map(|width| (*detail, width)))
        {
            let setting = Setting { detail, glyphs, wire_width, width_max };
            if let Some(layout) = layout::lay(picture, &order, &setting) {
                return Some(canvas::draw(picture, &layout, glyphs));
            }
        }
    }
    None
}

fn written(lines: &[Line], style: Style<'_>) -> String {
    let mut out = String::new();
    for line in lines {
        for segment in &line.segments {
            match style {
                Style::Plain => out.push_str(&segment.text),
                Style::Painted(paint) => out.push_str(&paint(segment.paint, &segment.text)),
            }
        }
        out.push('\n');
    }
    out
}

impl Paint {
    /// What a note of this kind shows.
    pub(super) fn of(kind: NoteKind) -> Self {
        match kind {
            NoteKind::Address => Self::Address,
            NoteKind::Route => Self::Route,
            NoteKind::Nat => Self::Nat,
            NoteKind::Firewall => Self::Firewall,
            NoteKind::Setting | NoteKind::Shaping | NoteKind::Remark => Self::Remark,
        }
    }
}

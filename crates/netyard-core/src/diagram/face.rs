//! The inside of a box: which line shows what, and how large that makes the box.

use super::glyphs::{Glyphs, width};
use super::model::{Block, Note, NoteKind};
use super::text::Paint;

/// How much a box tells. Each level tells less than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    /// Everything.
    Full,
    /// No routes and no remarks.
    NoRoutes,
    /// No addresses either.
    NoAddresses,
    /// Names of boxes and ports only.
    Names,
}

impl Detail {
    /// All levels, the fullest first.
    #[cfg(test)]
    pub const ALL: [Self; 4] = [Self::Full, Self::NoRoutes, Self::NoAddresses, Self::Names];

    /// Whether notes of this kind are told.
    pub fn tells(self, kind: NoteKind) -> bool {
        let last = match kind {
            NoteKind::Route | NoteKind::Remark => Self::Full,
            NoteKind::Address | NoteKind::Shaping | NoteKind::Setting => Self::NoRoutes,
            NoteKind::Nat | NoteKind::Firewall => Self::NoAddresses,
        };
        self <= last
    }
}

/// A piece of text and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ink {
    pub text: String,
    pub paint: Paint,
}

/// One line between the borders of a box.
#[derive(Debug, Clone, Default)]
pub(super) struct FaceLine {
    /// Text at the left border.
    pub left: Option<Ink>,
    /// Text at the right border.
    pub right: Option<Ink>,
}

/// A port and the lines it takes.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    inks: Vec<Ink>,
}

/// The inside of a box.
#[derive(Debug, Clone)]
pub(super) struct Face {
    pub title: String,
    pub word: &'static str,
    /// Ports at the left border from top to bottom.
    pub left: Vec<Stack>,
    /// Ports at the right border from top to bottom.
    pub right: Vec<Stack>,
    /// Line of each left port.
    pub left_rows: Vec<usize>,
    /// Line of each right port.
    pub right_rows: Vec<usize>,
    notes: Vec<Ink>,
    /// Columns with both borders.
    pub width: usize,
}

/// Columns between the texts of the two sides.
const GAP: usize = 2;
/// Ports at the left side of a box from which on they may move apart.
const SPREAD_FROM: usize = 4;

impl Face {
    /// The face of a block whose ports are at these sides, each port right below the one before.
    pub fn new(block: &Block, left: &[usize], right: &[usize], detail: Detail, glyphs: &Glyphs) -> Self {
        let stacks = |ports: &[usize]| -> Vec<Stack> {
            ports.iter().map(|port| stack(block, *port, detail, glyphs)).collect()
        };
        let (left, right) = (stacks(left), stacks(right));
        let notes = inks(&block.notes, detail, glyphs).collect();
        let title = glyphs.text(&block.title());
        let mut face = Self {
            left_rows: rows(&left),
            right_rows: rows(&right),
            word: block.role.word(),
            width: 0,
            title,
            left,
            right,
            notes,
        };
        face.width = face.natural_width();
        face
    }

    /// Lines between top and bottom border.
    pub fn lines_len(&self) -> usize {
        self.notes_row() + self.notes.len()
    }

    /// Rows with both borders.
    pub fn height(&self) -> usize {
        self.lines_len() + 2
    }

    /// Lines that the left port `index` takes.
    pub fn left_height(&self, index: usize) -> usize {
        self.left[index].inks.len()
    }

    /// What each line between the borders shows.
    pub fn lines(&self) -> Vec<FaceLine> {
        let mut lines = vec![FaceLine::default(); self.lines_len()];
        for (stack, row) in self.left.iter().zip(&self.left_rows) {
            for (ink, line) in stack.inks.iter().zip(&mut lines[*row..]) {
                line.left = Some(ink.clone());
            }
        }
        for (stack, row) in self.right.iter().zip(&self.right_rows) {
            for (ink, line) in stack.inks.iter().zip(&mut lines[*row..]) {
                line.right = Some(ink.clone());
            }
        }
        let first = self.notes_row();
        for (ink, line) in self.notes.iter().zip(&mut lines[first..]) {
            line.left = Some(ink.clone());
        }
        lines
    }

    /// The line of the first note, below all ports.
    fn notes_row(&self) -> usize {
        let below = |stacks: &[Stack], rows: &[usize]| {
            stacks.last().zip(rows.last()).map_or(0, |(stack, row)| row + stack.inks.len())
        };
        below(&self.left, &self.left_rows).max(below(&self.right, &self.right_rows))
    }

    /// Whether the left ports may move apart, each to the height of its peer: many wires side by side would need as
    /// many tracks.
    pub fn spreads(&self) -> bool {
        self.left.len() >= SPREAD_FROM
    }

    fn natural_width(&self) -> usize {
        let notes = self.notes.iter().map(|ink| width(&ink.text)).max().unwrap_or(0);
        // `╭─ title ── word ─╮` and `│ text │`.
        (width(&self.title) + self.word.len() + 10).max(self.ports_width().max(notes) + 4)
    }

    /// Columns of the widest line with ports; where the sides may move against each other, of the widest texts.
    fn ports_width(&self) -> usize {
        let beside = |left: usize, right: usize| left + right + if left > 0 && right > 0 { GAP } else { 0 };
        let widths = |stacks: &[Stack]| -> Vec<usize> {
            stacks.iter().flat_map(|stack| &stack.inks).map(|ink| width(&ink.text)).collect()
        };
        let (left, right) = (widths(&self.left), widths(&self.right));
        if self.spreads() {
            let widest = |widths: &[usize]| widths.iter().copied().max().unwrap_or(0);
            return beside(widest(&left), widest(&right));
        }
        let at = |widths: &[usize], row: usize| widths.get(row).copied().unwrap_or(0);
        (0..left.len().max(right.len())).map(|row| beside(at(&left, row), at(&right, row))).max().unwrap_or(0)
    }
}

fn stack(block: &Block, index: usize, detail: Detail, glyphs: &Glyphs) -> Stack {
    let port = &block.ports[index];
    let paint = if port.is_down { Paint::Down } else { Paint::Port };
    let name = Ink { text: glyphs.text(&port.name), paint };
    Stack { inks: std::iter::once(name).chain(inks(&port.notes, detail, glyphs)).collect() }
}

fn inks<'a>(notes: &'a [Note], detail: Detail, glyphs: &'a Glyphs) -> impl Iterator<Item = Ink> + 'a {
    let told = notes.iter().filter(move |note| detail.tells(note.kind));
    told.map(|note| Ink { text: glyphs.text(&note.text), paint: Paint::of(note.kind) })
}

fn rows(stacks: &[Stack]) -> Vec<usize> {
    let starts = stacks.iter().scan(0, |row, stack| {
        let start = *row;
        *row += stack.inks.len();
        Some(start)
    });
    starts.collect()
}

//! A picture as a list, for terminals too narrow for boxes: each network with its members, then what nodes do.

use super::face::Ink;
use super::glyphs::{Glyphs, width};
use super::model::{Block, End, NoteKind, Picture, What};
use super::text::{Line, Paint, Segment};
use std::collections::BTreeSet;

/// The list, no line wider than `width_max`.
pub(super) fn list(picture: &Picture, width_max: usize, glyphs: &Glyphs) -> Vec<Line> {
    let mut sheet = Sheet { width_max, glyphs, lines: Vec::new() };
    for index in (0..picture.blocks.len()).filter(|index| picture.blocks[*index].what == What::Network) {
        sheet.heading(&picture.blocks[index]);
        sheet.table(&members(picture, index));
    }
    let cables = cables(picture);
    if !cables.is_empty() {
        sheet.record(0, &[ink("cables", Paint::Plain)]);
        sheet.table(&cables);
    }
    let wired: BTreeSet<End> = picture.sound_wires().flat_map(|(_, wire)| wire.ends).collect();
    for (index, block) in picture.blocks.iter().enumerate().filter(|(_, block)| block.what == What::Node) {
        let is_free = |port: &usize| !wired.contains(&End { block: index, port: *port });
        let free: Vec<usize> = (0..block.ports.len()).filter(is_free).collect();
        if !block.notes.is_empty() || !free.is_empty() || block.ports.is_empty() {
            sheet.heading(block);
            sheet.table(&free.into_iter().map(|port| port_row(block, port)).collect::<Vec<_>>());
        }
    }
    sheet.lines
}

/// One row per wire of a network: node, interface, addresses and what else is known.
fn members(picture: &Picture, network: usize) -> Vec<Vec<Ink>> {
    let wires = picture.sound_wires().filter_map(|(_, wire)| match wire.ends {
        [here, there] if here.block == network => Some(there),
        [there, here] if here.block == network => Some(there),
        _ => None,
    });
    wires.map(|end| end_row(picture, end)).collect()
}

/// Two rows per wire between nodes.
fn cables(picture: &Picture) -> Vec<Vec<Ink>> {
    let is_node = |end: &End| picture.blocks[end.block].what == What::Node;
    let cables = picture.sound_wires().filter(|(_, wire)| wire.ends.iter().all(is_node));
    let rows = cables.flat_map(|(_, wire)| {
        let [one, other] = wire.ends.map(|end| end_row(picture, end));
        let other = std::iter::once(ink("→", Paint::Wire)).chain(other);
        let one = std::iter::once(ink(" ", Paint::Wire)).chain(one);
        [one.collect::<Vec<_>>(), other.collect()]
    });
    rows.collect()
}

fn end_row(picture: &Picture, end: End) -> Vec<Ink> {
    let block = &picture.blocks[end.block];
    let mut row = vec![ink(&block.title(), Paint::Title(block.role))];
    row.extend(port_row(block, end.port));
    row
}

fn port_row(block: &Block, port: usize) -> Vec<Ink> {
    let port = &block.ports[port];
    let paint = if port.is_down { Paint::Down } else { Paint::Port };
    let mut row = vec![ink(&port.name, paint)];
    if port.is_down {
        row.push(ink("down", Paint::Down));
    }
    row.extend(port.notes.iter().map(|note| ink(&note.text, Paint::of(note.kind))));
    row
}

fn ink(text: &str, paint: Paint) -> Ink {
    Ink { text: text.to_owned(), paint }
}

/// Lines that are being written.
struct Sheet<'a> {
    width_max: usize,
    glyphs: &'a Glyphs,
    lines: Vec<Line>,
}

impl Sheet<'_> {
    /// Name and role of a block, and its notes below.
    fn heading(&mut self, block: &Block) {
        let mut words = vec![
            ink(&block.title(), Paint::Title(block.role)),
            ink(block.role.word(), Paint::Node(block.role)),
        ];
        let (beside, below): (Vec<_>, Vec<_>) = block.notes.iter().partition(|n| n.kind == NoteKind::Address);
        words.extend(beside.iter().map(|note| ink(&note.text, Paint::of(note.kind))));
        self.record(0, &words);
        for note in below {
            self.record(2, &[ink(&note.text, Paint::of(note.kind))]);
        }
    }

    /// Rows with their first two columns aligned.
    fn table(&mut self, rows: &[Vec<Ink>]) {
        let aligned = rows.iter().map(Vec::len).max().unwrap_or(0).min(3);
        let glyphs = self.glyphs;
        let widest = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| width(&glyphs.text(&cell.text))).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..aligned).map(widest).collect();
        for row in rows {
            let mut row = row.clone();
            let len = row.len();
            for (cell, width_of_column) in row[..len - 1].iter_mut().zip(&widths) {
                cell.text = glyphs.text(&cell.text);
                let blanks = width_of_column - width(&cell.text);
                cell.text.push_str(&" ".repeat(blanks));
            }
            self.record(2, &row);
        }
    }

    /// Texts with two blanks between them; what does not fit goes to the next line, further in, in its single words
    /// where it is wider than that, and a word that is wider still is cut.
    fn record(&mut self, indent: usize, texts: &[Ink]) {
        let mut line = Line::default();
        let mut used = 0;
        let words: Vec<(usize, Ink)> = texts.iter().flat_map(|text| self.broken(indent, text)).collect();
        for (blanks, word) in words {
            let mut gap = if used == 0 { indent } else { blanks };
            if used > 0 && used + gap + width(word.text.trim_end()) > self.width_max {
                self.lines.push(trimmed(std::mem::take(&mut line)));
                used = 0;
                gap = indent + 2;
            }
            gap = gap.min(self.width_max / 2);
            let text = self.cut(word.text, self.width_max - used - gap);
            line.segments.push(Segment { text: " ".repeat(gap), paint: Paint::Plain });
            used += gap + width(&text);
            line.segments.push(Segment { text, paint: word.paint });
        }
        self.lines.push(trimmed(line));
    }

    /// The text, or its words where it is wider than a line, each with the blanks before it.
    fn broken(&self, indent: usize, ink: &Ink) -> Vec<(usize, Ink)> {
        let text = self.glyphs.text(&ink.text);
        if indent + 2 + width(text.trim_end()) <= self.width_max {
            return vec![(2, Ink { text, paint: ink.paint })];
        }
        let words = text.split_whitespace().map(|word| Ink { text: word.to_owned(), paint: ink.paint });
        words.enumerate().map(|(index, word)| (if index == 0 { 2 } else { 1 }, word)).collect()
    }

    /// The text in at most `room` columns: without the blanks at its end, then cut.
    fn cut(&self, text: String, room: usize) -> String {
        if width(&text) <= room { text } else { self.glyphs.fit(text.trim_end(), room) }
    }
}

/// The line without blanks at its end and without empty segments.
fn trimmed(mut line: Line) -> Line {
    while let Some(last) = line.segments.last_mut() {
        last.text.truncate(last.text.trim_end().len());
        if !last.text.is_empty() {
            break;
        }
        line.segments.pop();
    }
    line.segments.retain(|segment| !segment.text.is_empty());
    line
}

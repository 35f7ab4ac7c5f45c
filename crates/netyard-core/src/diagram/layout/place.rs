//! The height at which each box stands: each as high as it can with its first wire straight.

use super::channel::Side;
use super::seat::{Sides, Slot};
use crate::diagram::face::{Detail, Face};
use crate::diagram::glyphs::Glyphs;
use crate::diagram::model::Picture;

/// Rows between boxes of a column.
const GAP: usize = 1;

/// Boxes with their heights, by block; nothing yet about columns' places.
#[derive(Debug)]
pub(super) struct Tower {
    pub faces: Vec<Face>,
    pub tops: Vec<usize>,
    /// Index of the slot at each end of each wire, in the list of its side.
    seats: Vec<[(usize, Side); 2]>,
}

impl Tower {
    /// Faces of all blocks at height 0.
    pub fn new(picture: &Picture, sides: &[Sides], detail: Detail, glyphs: &Glyphs) -> Self {
        let ports = |slots: &[Slot]| -> Vec<usize> { slots.iter().map(|slot| slot.port).collect() };
        let faces = picture.blocks.iter().zip(sides);
        let faces =
            faces.map(|(block, s)| Face::new(block, &ports(&s.left), &ports(&s.right), detail, glyphs));
        let mut seats = vec![[(0, Side::Left); 2]; picture.wires.len()];
        for sides in sides {
            for (slots, side) in [(&sides.left, Side::Left), (&sides.right, Side::Right)] {
                for (index, link) in slots.iter().enumerate().filter_map(|(i, slot)| Some((i, slot.link?))) {
                    seats[link.wire][link.end] = (index, side);
                }
            }
        }
        Self { faces: faces.collect(), tops: vec![0; picture.blocks.len()], seats }
    }

    /// Row of a wire's end in the picture.
    pub fn row(&self, block: usize, wire: usize, end: usize) -> usize {
        let (index, side) = self.seats[wire][end];
        let face = &self.faces[block];
        let rows = if side == Side::Left { &face.left_rows } else { &face.right_rows };
        self.tops[block] + 1 + rows[index]
    }

    /// Side of its box at which a wire's end is.
    pub fn side(&self, wire: usize, end: usize) -> Side {
        self.seats[wire][end].1
    }

    /// Decides all heights of one connected part.
    pub fn place(&mut self, columns: &[Vec<usize>], sides: &[Sides]) {
        self.settle(columns, sides);
        self.sink(columns, sides);
        self.settle(columns, sides);
    }

    /// From left to right: each box goes down until its first wire to the left is straight.
    fn settle(&mut self, columns: &[Vec<usize>], sides: &[Sides]) {
        for column in columns {
            let mut free = 0;
            for &block in column {
                let wanted = match sides[block].left.iter().enumerate().find_map(|s| self.peer_row(s)) {
                    Some((index, row)) => row.saturating_sub(1 + self.faces[block].left_rows[index]),
                    None => self.tops[block],
                };
                self.tops[block] = wanted.max(free);
                if self.faces[block].spreads() {
                    self.spread(block, &sides[block].left);
                }
                free = self.tops[block] + self.faces[block].height() + GAP;
            }
        }
    }

    /// From right to left: each box goes down, where there is room, until its first wire to the right is straight.
    fn sink(&mut self, columns: &[Vec<usize>], sides: &[Sides]) {
        for column in columns.iter().rev() {
            let mut floor = usize::MAX;
            for &block in column.iter().rev() {
                let top = self.tops[block];
                if let Some((index, row)) =
                    sides[block].right.iter().enumerate().find_map(|s| self.peer_row(s))
                {
                    let wanted = row.saturating_sub(1 + self.faces[block].right_rows[index]);
                    let lowest = floor.saturating_sub(self.faces[block].height());
                    self.tops[block] = wanted.min(lowest).max(top);
                }
                floor = self.tops[block].saturating_sub(GAP);
            }
        }
    }

    /// Moves the left ports of a box apart, each down to the row of its peer.
    fn spread(&mut self, block: usize, slots: &[Slot]) {
        let mut lowest = 0;
        for (index, slot) in slots.iter().enumerate() {
            let peer = self.peer_row((index, slot)).map(|(_, row)| row.saturating_sub(self.tops[block] + 1));
            let row = peer.map_or(lowest, |peer| peer.max(lowest));
            self.faces[block].left_rows[index] = row;
            lowest = row + self.faces[block].left_height(index);
        }
    }

    /// Index of a slot with a wire to the next column, and the row of the port at its other end.
    fn peer_row(&self, (index, slot): (usize, &Slot)) -> Option<(usize, usize)> {
        let link = slot.link.filter(|link| link.is_straight)?;
        Some((index, self.row(link.peer, link.wire, 1 - link.end)))
    }
}

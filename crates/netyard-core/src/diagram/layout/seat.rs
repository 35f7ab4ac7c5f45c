//! At which border of its box each port sits, and in which order.

use super::channel::Side;
use crate::diagram::model::Picture;
use std::cmp::Reverse;

/// The ports of a block by side, from top to bottom.
#[derive(Debug, Clone, Default)]
pub(super) struct Sides {
    pub left: Vec<Slot>,
    pub right: Vec<Slot>,
}

/// A port at a border.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// Index of the port in its block.
    pub port: usize,
    /// The wire that ends there.
    pub link: Option<Link>,
}

/// A wire as seen from one of its ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub wire: usize,
    /// Which of the wire's ends is here.
    pub end: usize,
    /// The block at the other end.
    pub peer: usize,
    /// Whether the other end is in the next column (else in the same one).
    pub is_straight: bool,
}

/// Column and place in it, by block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub column: usize,
    pub row: usize,
    /// Whether loops within the column turn left of it: the last of several columns.
    pub loops_left: bool,
}

/// Seats every port of every block.
pub(super) fn seat(picture: &Picture, places: &[Place]) -> Vec<Sides> {
    let mut sides = vec![Sides::default(); picture.blocks.len()];
    let mut is_wired: Vec<Vec<bool>> = picture.blocks.iter().map(|b| vec![false; b.ports.len()]).collect();
    for (wire, ends) in picture.sound_wires().map(|(wire, w)| (wire, w.ends)) {
        for end in [0, 1] {
            let (here, there) = (ends[end], ends[1 - end]);
            is_wired[here.block][here.port] = true;
            let (own, other) = (places[here.block], places[there.block]);
            let is_straight = own.column != other.column;
            let link = Link { wire, end, peer: there.block, is_straight };
            let slot = Slot { port: here.port, link: Some(link) };
            match side(own, other) {
                Side::Left => sides[here.block].left.push(slot),
                Side::Right => sides[here.block].right.push(slot),
            }
        }
    }
    for (block, sides) in sides.iter_mut().enumerate() {
        sides.left.sort_by_key(|slot| height(slot, block, places));
        sides.right.sort_by_key(|slot| height(slot, block, places));
        let free = (0..is_wired[block].len()).filter(|port| !is_wired[block][*port]);
        sides.right.extend(free.map(|port| Slot { port, link: None }));
    }
    sides
}

fn side(own: Place, other: Place) -> Side {
    let is_left = if own.column == other.column { own.loops_left } else { other.column < own.column };
    if is_left { Side::Left } else { Side::Right }
}

/// Where a port wants to sit: loops to boxes above first, then wires to the next column, then loops to boxes below;
/// among loops the one to the farther box lies outside of the one to the nearer box.
fn height(slot: &Slot, block: usize, places: &[Place]) -> (u8, Reverse<usize>, usize, usize) {
    let Some(link) = slot.link else { return (3, Reverse(0), 0, slot.port) };
    let (own, peer) = (places[block].row, places[link.peer].row);
    match (link.is_straight, peer < own) {
        (true, _) => (1, Reverse(0), peer, link.wire),
        (false, true) => (0, Reverse(peer), 0, link.wire),
        (false, false) => (2, Reverse(peer), 0, link.wire),
    }
}

//! Places of boxes and wires on a grid of characters.

mod channel;
mod order;
mod place;
mod rank;
mod seat;

use super::face::{Detail, Face};
use super::glyphs::Glyphs;
use super::model::{Picture, Wire};
use channel::{Channel, Pin, Side};
use place::Tower;
use seat::{Place, Sides};

/// A picture on a grid: x to the right in columns, y down in rows, both from 0.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub width: usize,
    pub height: usize,
    pub plates: Vec<Plate>,
    pub routes: Vec<Route>,
}

/// A box on the grid.
#[derive(Debug)]
pub(super) struct Plate {
    /// Index in the picture.
    pub block: usize,
    pub x: usize,
    pub y: usize,
    pub face: Face,
    pub dots: Vec<Dot>,
}

/// A port on a border.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dot {
    /// Index in the block.
    pub port: usize,
    pub x: usize,
    pub y: usize,
    pub is_wired: bool,
}

/// A wire on the grid: corners from dot to dot, each in the row or column of the one before.
#[derive(Debug)]
pub(super) struct Route {
    /// Index in the picture.
    pub wire: usize,
    pub points: Vec<(usize, usize)>,
}

/// How boxes are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// In columns from hosts on the left to the internet on the right.
    Columns,
    /// Hosts with one wire on the left, all else below each other on the right.
    Spine,
    /// All below each other, wires on the right.
    Stack,
}

/// What a layout is made for.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub detail: Detail,
    pub glyphs: &'a Glyphs,
    /// Columns of a straight wire between two boxes: 3 and more.
    pub wire_width: usize,
    pub width_max: usize,
}

/// Columns and rows between disconnected parts.
const GAP: (usize, usize) = (3, 1);
/// Columns between a box and the nearest track, and from one track to the next.
const TRACK: usize = 2;

/// The order of boxes, which is the same for all levels of detail.
#[derive(Debug)]
pub(super) struct Order {
    parts: Vec<Vec<Vec<usize>>>,
    sides: Vec<Sides>,
}

/// Finds the order of boxes.
pub(super) fn order(picture: &Picture, arrangement: Arrangement) -> Order {
    let neighbours = rank::neighbours(picture);
    let columns = |component: Vec<usize>| match arrangement {
        Arrangement::Stack => vec![rank::column(picture, &neighbours, &component)],
        Arrangement::Spine => rank::spine(picture, &neighbours, &component),
        Arrangement::Columns => {
            let mut columns = rank::columns(picture, &neighbours, &component);
            order::untangle(&mut columns, &neighbours);
            columns
        }
    };
    let parts: Vec<_> = rank::components(&neighbours).into_iter().map(columns).collect();
    let sides = seat::seat(picture, &places(picture, &parts, arrangement));
    Order { parts, sides }
}

/// The sound wires with their ends from left to right, for languages that bring a layout of their own.
pub(super) fn directed(picture: &Picture) -> Vec<Wire> {
    let neighbours = rank::neighbours(picture);
    let mut column = vec![0; picture.blocks.len()];
    for component in rank::components(&neighbours) {
        for (index, blocks) in rank::columns(picture, &neighbours, &component).iter().enumerate() {
            for block in blocks {
                column[*block] = index;
            }
        }
    }
    let wires = picture.sound_wires().map(|(_, wire)| {
        let mut wire = wire.clone();
        wire.ends.sort_by_key(|end| column[end.block]);
        wire
    });
    wires.collect()
}

fn places(picture: &Picture, parts: &[Vec<Vec<usize>>], arrangement: Arrangement) -> Vec<Place> {
    let mut places = vec![Place::default(); picture.blocks.len()];
    for part in parts {
        for (column, blocks) in part.iter().enumerate() {
            let is_last = column > 0 && column + 1 == part.len();
            let loops_left = is_last && arrangement == Arrangement::Columns;
            for (row, block) in blocks.iter().enumerate() {
                places[*block] = Place { column, row, loops_left };
            }
        }
    }
    places
}

/// Places everything; none where it does not fit the width.
pub(super) fn lay(picture: &Picture, order: &Order, setting: &Setting<'_>) -> Option<Layout> {
    let mut tower = Tower::new(picture, &order.sides, setting.detail, setting.glyphs);
    let mut shelf = Shelf::default();
    for columns in &order.parts {
        tower.place(columns, &order.sides);
        let part = part(columns, &order.sides, &tower, setting)?;
        shelf.put(part, setting.width_max);
    }
    Some(shelf.layout)
}

/// One connected part with its own origin.
fn part(columns: &[Vec<usize>], sides: &[Sides], tower: &Tower, setting: &Setting<'_>) -> Option<Layout> {
    let widths: Vec<usize> =
        columns.iter().map(|c| c.iter().map(|b| tower.faces[*b].width).max().unwrap_or(0)).collect();
    let tracks_max = setting.width_max.checked_sub(widths.iter().sum())? / TRACK + 1;
    let mut layout = Layout::default();
    let mut x = 0;
    for (index, column) in columns.iter().enumerate() {
        let wires = channel_wires(columns, index, sides);
        let pins: Vec<(Pin, Pin)> = wires.iter().map(|ends| pins(ends, tower)).collect();
        let channel = channel::route(&pins, tracks_max)?;
        let is_last = index + 1 == columns.len();
        let end = x + widths[index];
        let channel_width = channel_width(&channel, is_last, setting.wire_width);
        layout.plates.extend(column.iter().map(|block| plate(*block, x, end, tower, sides)));
        layout.routes.extend(routes(&wires, &channel, end, channel_width, is_last));
        x = end + channel_width;
    }
    layout.width = x;
    let rows = layout.routes.iter().flat_map(|route| &route.points).map(|(_, y)| y + 1);
    let bottoms = layout.plates.iter().map(|plate| plate.y + plate.face.height());
    layout.height = rows.chain(bottoms).max().unwrap_or(0);
    (layout.width <= setting.width_max).then_some(layout)
}

/// A wire and the blocks at its ends.
type WireEnds = (usize, [usize; 2]);

/// The wires in the channel right of a column, each once.
fn channel_wires(columns: &[Vec<usize>], index: usize, sides: &[Sides]) -> Vec<WireEnds> {
    let of = |block: usize, is_right: bool| {
        let slots = if is_right { &sides[block].right } else { &sides[block].left };
        slots.iter().filter_map(|slot| slot.link).map(move |link| (block, link))
    };
    let left = columns[index].iter().flat_map(|block| of(*block, true));
    let right = columns.get(index + 1).into_iter().flatten().flat_map(|block| of(*block, false));
    // Loops on the right side have both ends there; wires from left to right are taken at their left end.
    let right = right.filter(|(_, link)| !link.is_straight);
    let once =
        left.filter(|(_, link)| link.is_straight || link.end == 0).chain(right.filter(|(_, l)| l.end == 0));
    let ends = once.map(|(block, link)| {
        (link.wire, if link.end == 0 { [block, link.peer] } else { [link.peer, block] })
    });
    ends.collect()
}

fn pins(&(wire, blocks): &WireEnds, tower: &Tower) -> (Pin, Pin) {
    let pin = |end: usize| {
        // The left border of a channel is the right side of a box.
        let side = if tower.side(wire, end) == Side::Right { Side::Left } else { Side::Right };
        Pin { side, row: tower.row(blocks[end], wire, end) }
    };
    (pin(0), pin(1))
}

fn channel_width(channel: &Channel, is_last: bool, wire_width: usize) -> usize {
    match (channel.tracks, is_last) {
        (0, true) => 0,
        (tracks, true) => TRACK * tracks + 1,
        (tracks, false) => wire_width.max(TRACK * tracks + 3),
    }
}

fn plate(block: usize, x: usize, end: usize, tower: &Tower, sides: &[Sides]) -> Plate {
    let mut face = tower.faces[block].clone();
    face.width = end - x;
    let y = tower.tops[block];
    let side = |slots: &[seat::Slot], rows: &[usize], x: usize| -> Vec<Dot> {
        let dot = |(slot, row): (&seat::Slot, &usize)| Dot {
            port: slot.port,
            x,
            y: y + 1 + row,
            is_wired: slot.link.is_some(),
        };
        slots.iter().zip(rows).map(dot).collect()
    };
    let mut dots = side(&sides[block].left, &face.left_rows, x);
    dots.extend(side(&sides[block].right, &face.right_rows, end - 1));
    Plate { block, x, y, face, dots }
}

/// The wires of a channel whose first column is `start`, from dot to dot.
fn routes(wires: &[WireEnds], channel: &Channel, start: usize, width: usize, is_last: bool) -> Vec<Route> {
    let used = (TRACK * channel.tracks).saturating_sub(1);
    let first = start + if is_last { TRACK } else { width.saturating_sub(used) / 2 };
    let border = |pin: Pin| if pin.side == Side::Left { start - 1 } else { start + width };
    let route = |(&(wire, _), way): (&WireEnds, &channel::Way)| {
        let mut points = vec![(border(way.from), way.from.row)];
        for &(track, top, bottom) in &way.runs {
            let x = first + TRACK * track;
            points.extend([(x, top), (x, bottom)]);
        }
        points.push((border(way.to), way.to.row));
        Route { wire, points }
    };
    wires.iter().zip(&channel.ways).map(route).collect()
}

/// Puts parts next to each other in rows as wide as allowed.
#[derive(Debug, Default)]
struct Shelf {
    layout: Layout,
    x: usize,
    y: usize,
}

impl Shelf {
    fn put(&mut self, part: Layout, width_max: usize) {
        if self.x > 0 && self.x + part.width > width_max {
            self.x = 0;
            self.y = self.layout.height + GAP.1;
        }
        let (dx, dy) = (self.x, self.y);
        self.layout.plates.extend(part.plates.into_iter().map(|plate| moved(plate, dx, dy)));
        self.layout.routes.extend(part.routes.into_iter().map(|route| Route {
            points: route.points.iter().map(|(x, y)| (x + dx, y + dy)).collect(),
            ..route
        }));
        self.layout.width = self.layout.width.max(dx + part.width);
        self.layout.height = self.layout.height.max(dy + part.height);
        self.x += part.width + GAP.0;
    }
}

fn moved(plate: Plate, dx: usize, dy: usize) -> Plate {
    let dots = plate.dots.iter().map(|dot| Dot { x: dot.x + dx, y: dot.y + dy, ..*dot }).collect();
    Plate { x: plate.x + dx, y: plate.y + dy, dots, ..plate }
}

//! A grid of characters on which a layout is drawn.

use super::face::{FaceLine, Ink};
use super::glyphs::{Glyphs, char_width, width};
use super::layout::{Dot, Layout, Plate, Route};
use super::model::{Picture, Role};
use super::text::{Line, Paint, Segment};
use std::collections::BTreeMap;

/// The grid.
#[derive(Debug)]
pub(super) struct Canvas<'a> {
    glyphs: &'a Glyphs,
    cells: Vec<Vec<Cell>>,
    /// Combining marks by (row, column) of the character that they belong to.
    marks: BTreeMap<(usize, usize), String>,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Zero for the second half of a wide character.
    glyph: char,
    paint: Paint,
}

const BLANK: Cell = Cell { glyph: ' ', paint: Paint::Plain };
const SECOND_HALF: char = '\0';

/// Draws a layout.
pub(super) fn draw(picture: &Picture, layout: &Layout, glyphs: &Glyphs) -> Vec<Line> {
    let cells = vec![vec![BLANK; layout.width]; layout.height];
    let mut canvas = Canvas { glyphs, cells, marks: BTreeMap::new() };
    for plate in &layout.plates {
        canvas.plate(picture, plate);
    }
    canvas.routes(picture, &layout.routes);
    for plate in &layout.plates {
        for dot in &plate.dots {
            canvas.dot(picture, plate, *dot);
        }
    }
    canvas.lines()
}

impl Canvas<'_> {
    fn put(&mut self, x: usize, y: usize, glyph: char, paint: Paint) {
        self.cells[y][x] = Cell { glyph, paint };
    }

    fn text(&mut self, mut x: usize, y: usize, ink: &Ink) {
        for c in ink.text.chars() {
            match char_width(c) {
                0 => self.marks.entry((y, x.saturating_sub(1))).or_default().push(c),
                1 => {
                    self.put(x, y, c, ink.paint);
                    x += 1;
                }
                _ => {
                    self.put(x, y, c, ink.paint);
                    self.put(x + 1, y, SECOND_HALF, ink.paint);
                    x += 2;
                }
            }
        }
    }

    fn plate(&mut self, picture: &Picture, plate: &Plate) {
        let role = picture.blocks[plate.block].role;
        let [top_left, top_right, bottom_left, bottom_right, horizontal, vertical] =
            if role.is_double() { self.glyphs.double } else { self.glyphs.single };
        let paint = Paint::Node(role);
        let (left, right) = (plate.x, plate.x + plate.face.width - 1);
        let (top, bottom) = (plate.y, plate.y + plate.face.height() - 1);
        for x in left + 1..right {
            self.put(x, top, horizontal, paint);
            self.put(x, bottom, horizontal, paint);
        }
        for y in top + 1..bottom {
            self.put(left, y, vertical, paint);
            self.put(right, y, vertical, paint);
        }
        self.put(left, top, top_left, paint);
        self.put(right, top, top_right, paint);
        self.put(left, bottom, bottom_left, paint);
        self.put(right, bottom, bottom_right, paint);
        self.title(plate, role);
        for (row, line) in plate.face.lines().iter().enumerate() {
            self.line(line, left + 2, right - 1, top + 1 + row);
        }
    }

    /// `─ title ── word ─`
    fn title(&mut self, plate: &Plate, role: Role) {
        let title = Ink { text: format!(" {} ", plate.face.title), paint: Paint::Title(role) };
        let word = Ink { text: format!(" {} ", plate.face.word), paint: Paint::Node(role) };
        self.text(plate.x + 2, plate.y, &title);
        self.text(plate.x + plate.face.width - 2 - word.text.len(), plate.y, &word);
    }

    fn line(&mut self, line: &FaceLine, left: usize, right: usize, y: usize) {
        if let Some(ink) = &line.left {
            self.text(left, y, ink);
        }
        if let Some(ink) = &line.right {
            self.text(right - width(&ink.text), y, ink);
        }
    }

    fn dot(&mut self, picture: &Picture, plate: &Plate, dot: Dot) {
        let is_down = picture.blocks[plate.block].ports[dot.port].is_down;
        let (glyph, paint) = match (is_down, dot.is_wired) {
            (true, _) => (self.glyphs.dot_down, Paint::Down),
            (false, true) => (self.glyphs.dot, Paint::Wire),
            (false, false) => (self.glyphs.dot_free, Paint::Node(picture.blocks[plate.block].role)),
        };
        self.put(dot.x, dot.y, glyph, paint);
    }

    /// Draws all wires. Where two cross, the vertical one is drawn whole and passes over the horizontal one: `─│─`
    /// cannot be taken for a joint, as `┼` can.
    fn routes(&mut self, picture: &Picture, routes: &[Route]) {
        for is_vertical in [false, true] {
            for route in routes {
                self.runs(route, is_vertical, picture.is_down(&picture.wires[route.wire]));
            }
        }
        for route in routes {
            self.corners(route, picture.is_down(&picture.wires[route.wire]));
        }
    }

    fn runs(&mut self, route: &Route, is_vertical: bool, is_down: bool) {
        let [.., horizontal, vertical] = self.glyphs.wire;
        let [horizontal, vertical] = if is_down { self.glyphs.wire_down } else { [horizontal, vertical] };
        let paint = wire_paint(is_down);
        for pair in route.points.windows(2) {
            let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
            if is_vertical && x1 == x2 {
                for y in y1.min(y2)..=y1.max(y2) {
                    self.put(x1, y, vertical, paint);
                }
            } else if !is_vertical && y1 == y2 {
                for x in x1.min(x2)..=x1.max(x2) {
                    self.put(x, y1, horizontal, paint);
                }
            }
        }
    }

    fn corners(&mut self, route: &Route, is_down: bool) {
        for three in route.points.windows(3) {
            let (before, (x, y), after) = (three[0], three[1], three[2]);
            let goes_right = before.0 > x || after.0 > x;
            let goes_down = before.1 > y || after.1 > y;
            let [right_down, left_down, right_up, left_up, ..] = self.glyphs.wire;
            let glyph = match (goes_right, goes_down) {
                (true, true) => right_down,
                (false, true) => left_down,
                (true, false) => right_up,
                (false, false) => left_up,
            };
            self.put(x, y, glyph, wire_paint(is_down));
        }
    }

    /// The lines without trailing blanks, neighbours of one paint joined.
    fn lines(&self) -> Vec<Line> {
        self.cells.iter().enumerate().map(|(y, cells)| self.joined(y, cells)).collect()
    }

    fn joined(&self, y: usize, cells: &[Cell]) -> Line {
        let end = cells.iter().rposition(|cell| cell.glyph != ' ').map_or(0, |last| last + 1);
        let mut line = Line::default();
        for (x, cell) in cells[..end].iter().enumerate() {
            if cell.glyph == SECOND_HALF {
                continue;
            }
            let starts_new = line.segments.last().is_none_or(|segment: &Segment| segment.paint != cell.paint);
            if starts_new {
                line.segments.push(Segment { text: String::new(), paint: cell.paint });
            }
            if let Some(segment) = line.segments.last_mut() {
                segment.text.push(cell.glyph);
                // The marks of a wide character stand at its second half.
                let at = x + char_width(cell.glyph).saturating_sub(1);
                segment.text.push_str(self.marks.get(&(y, at)).map_or("", String::as_str));
            }
        }
        line
    }
}

fn wire_paint(is_down: bool) -> Paint {
    if is_down { Paint::Down } else { Paint::Wire }
}

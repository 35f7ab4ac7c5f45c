//! Properties of all pictures, tried on random graphs. A failing case prints its seed and the smallest picture.

use super::collapse;
use super::face::Detail;
use super::glyphs::{UNICODE, char_width};
use super::layout::{self, Arrangement, Layout, Setting};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use unicode_width::UnicodeWidthStr;

const ROLES: [Role; 5] = [Role::Host, Role::Router, Role::Bridge, Role::Hub, Role::Internet];
const CAPTIONS: [&str; 6] = ["", "パソコン", "か\u{3099}ぞう", "👩\u{200d}👧 家", "❤\u{fe0f}\u{0}\n", "ﾌﾟﾘﾝﾀ"];
const NOTES: [NoteKind; 4] = [NoteKind::Address, NoteKind::Route, NoteKind::Nat, NoteKind::Remark];
const ARRANGEMENTS: [Arrangement; 3] = [Arrangement::Columns, Arrangement::Spine, Arrangement::Stack];

/// Blocks of random role and notes, wires between random blocks: loops, parallel wires and lone parts included.
fn pictures(blocks_max: usize) -> impl Strategy<Value = Picture> {
    let block = (0..ROLES.len(), 0..CAPTIONS.len(), vec((0..NOTES.len(), 0..40usize), 0..3), 0..3usize);
    let ends = vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..12u8), 0..blocks_max * 2);
    (vec(block, 0..blocks_max), ends).prop_map(|(blocks, wires)| {
        let mut picture = Picture::new("random");
        for (index, (role, caption, notes, free)) in blocks.iter().enumerate() {
            let mut block = if role % 2 == 0 && *caption == 0 {
                Block::network(&format!("net{index}"), ROLES[*role])
            } else {
                Block::node(&format!("n{index}"), ROLES[*role])
            };
            block.caption = Some(CAPTIONS[*caption].to_owned()).filter(|words| !words.is_empty());
            block
                .notes
                .extend(notes.iter().map(|(kind, len)| Note::new(NOTES[*kind], "note ".repeat(len / 5))));
            block.ports.extend((0..*free).map(|port| Port::new(&format!("free{port}"))));
            picture.add(block);
        }
        if !picture.blocks.is_empty() {
            for (one, other, facts) in wires {
                wire(&mut picture, [one.index(blocks.len()), other.index(blocks.len())], facts);
            }
        }
        picture
    })
}

fn wire(picture: &mut Picture, blocks: [usize; 2], facts: u8) {
    let ends = blocks.map(|block| {
        let ports = &mut picture.blocks[block].ports;
        let mut port = Port::new(&format!("eth{}", ports.len()));
        port.is_down = facts == 0;
        let addresses =
            (0..facts % 3).map(|n| Note::new(NoteKind::Address, format!("10.{n}.0.{}/24", ports.len())));
        port.notes = addresses.collect();
        ports.push(port);
        (block, ports.len() - 1)
    });
    picture.connect(ends[0], ends[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_line_is_wider_than_asked_and_every_name_is_there(picture in pictures(12), width in 20..200usize) {
        check_text(&picture, width);
    }

    #[test]
    fn large_pictures_too(picture in pictures(60), width in 20..300usize) {
        check_text(&picture, width);
    }

    #[test]
    fn wires_meet_at_right_angles_only_and_lead_to_their_peers(picture in pictures(14), spare in 0..3usize) {
        for arrangement in ARRANGEMENTS {
            for detail in Detail::ALL {
                check_layout(&picture, arrangement, detail, 3 + 2 * spare);
            }
        }
    }

    #[test]
    fn dense_pictures_too(picture in pictures(40)) {
        for arrangement in ARRANGEMENTS {
            check_layout(&picture, arrangement, Detail::NoAddresses, 3);
        }
    }

    #[test]
    fn documents_are_well_formed(picture in pictures(30)) {
        check_xml(&svg(&picture));
        prop_assert!(mermaid(&picture).starts_with("flowchart LR\n"));
        let text = dot(&picture);
        let balance = |c| text.matches(c).count();
        prop_assert_eq!([balance('{'), balance('}')], [1, 1]);
    }
}

fn check_text(picture: &Picture, width: usize) {
    for text in [unicode(picture, width, Style::Plain), ascii(picture, width, Style::Plain)] {
        for line in text.lines() {
            let sum: usize = line.chars().map(char_width).sum();
            assert!(sum.max(line.width()) <= width, "{sum} columns instead of {width}: {line}");
            assert_eq!(line.trim_end(), line);
        }
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
        for block in &collapse::readable(picture).blocks {
            assert!(
                !block.members.is_empty() || words.contains(&*block.name),
                "{} is missing:\n{text}",
                block.name
            );
        }
    }
    let covered: usize = collapse::readable(picture).blocks.iter().map(|b| b.members.len().max(1)).sum();
    assert_eq!(covered, picture.blocks.len());
}

fn check_layout(picture: &Picture, arrangement: Arrangement, detail: Detail, wire_width: usize) {
    let order = layout::order(picture, arrangement);
    let setting = Setting { detail, glyphs: &UNICODE, wire_width, width_max: 1_000_000 };
    let layout = layout::lay(picture, &order, &setting).unwrap();
    assert_eq!(layout.plates.len(), picture.blocks.len());
    assert_eq!(layout.routes.len(), picture.wires.len());
    check_cells(&layout);
    check_ends(picture, &layout);
    check_walks(picture, &layout);
}

/// No cell has two boxes, a box and a wire, or two wires in one direction; no corner lies on another wire.
fn check_cells(layout: &Layout) {
    let mut boxes = BTreeSet::new();
    for plate in &layout.plates {
        for y in plate.y..plate.y + plate.face.height() {
            for x in plate.x..plate.x + plate.face.width {
                assert!(boxes.insert((x, y)), "two boxes at {x},{y}");
                assert!(x < layout.width && y < layout.height);
            }
        }
    }
    let mut runs: BTreeMap<(usize, usize, bool), usize> = BTreeMap::new();
    for route in &layout.routes {
        for pair in route.points.windows(2) {
            let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
            assert!(x1 == x2 || y1 == y2, "wires are orthogonal");
            let is_vertical = x1 == x2;
            for (x, y) in
                (x1.min(x2)..=x1.max(x2)).flat_map(|x| (y1.min(y2)..=y1.max(y2)).map(move |y| (x, y)))
            {
                let other = runs.insert((x, y, is_vertical), route.wire);
                assert!(other.is_none_or(|other| other == route.wire), "two wires at {x},{y}");
                let is_end = [route.points.first(), route.points.last()].contains(&Some(&(x, y)));
                assert!(is_end || !boxes.contains(&(x, y)), "a wire in a box at {x},{y}");
            }
        }
    }
    for route in &layout.routes {
        for (x, y) in &route.points[1..route.points.len() - 1] {
            let crossing = [true, false].map(|v| runs.get(&(*x, *y, v)).copied());
            assert_eq!(crossing, [Some(route.wire); 2], "a corner on another wire at {x},{y}");
        }
    }
}

fn check_ends(picture: &Picture, layout: &Layout) {
    let mut dots = BTreeMap::new();
    for plate in &layout.plates {
        for dot in &plate.dots {
            assert!(dots.insert((dot.x, dot.y), End { block: plate.block, port: dot.port }).is_none());
        }
    }
    for route in &layout.routes {
        let ends = [route.points[0], route.points[route.points.len() - 1]].map(|point| dots[&point]);
        assert_eq!(ends, picture.wires[route.wire].ends);
    }
}

/// Follows the drawn characters from each dot as a reader does.
fn check_walks(picture: &Picture, layout: &Layout) {
    let lines = canvas::draw(picture, layout, &UNICODE);
    let grid: Vec<Vec<char>> = lines.iter().map(cells).collect();
    let dots: BTreeMap<(usize, usize), End> = layout
        .plates
        .iter()
        .flat_map(|plate| {
            plate.dots.iter().map(|dot| ((dot.x, dot.y), End { block: plate.block, port: dot.port }))
        })
        .collect();
    let walls: BTreeSet<(usize, usize)> = layout.plates.iter().map(|plate| (plate.x, plate.y)).collect();
    for route in &layout.routes {
        let [one, other] = picture.wires[route.wire].ends;
        let (start, second) = (route.points[0], route.points[1]);
        let direction = if second.0 > start.0 { (1, 0) } else { (-1, 0) };
        assert!(!walls.contains(&start));
        assert_eq!(dots[&start], one);
        assert_eq!(dots[&walk(&grid, start, direction)], other, "\n{}", text_of(&lines));
    }
}

fn walk(grid: &[Vec<char>], start: (usize, usize), mut direction: (isize, isize)) -> (usize, usize) {
    let mut at = start;
    loop {
        at = (at.0.checked_add_signed(direction.0).unwrap(), at.1.checked_add_signed(direction.1).unwrap());
        direction = match (grid[at.1][at.0], direction) {
            ('●' | '✗', _) => return at,
            ('─' | '╌' | '│' | '┆', (_, 0)) => direction,
            ('│' | '┆', (0, _)) => direction,
            ('┌', (-1, 0)) | ('┐', (1, 0)) => (0, 1),
            ('└', (-1, 0)) | ('┘', (1, 0)) => (0, -1),
            ('┌', (0, -1)) | ('└', (0, 1)) => (1, 0),
            ('┐', (0, -1)) | ('┘', (0, 1)) => (-1, 0),
            (other, _) => panic!("{other:?} at {at:?} leads nowhere"),
        };
    }
}

fn cells(line: &Line) -> Vec<char> {
    let chars = line.segments.iter().flat_map(|segment| segment.text.chars());
    chars.flat_map(|c| std::iter::once(c).chain(['\0']).take(char_width(c))).collect()
}

fn text_of(lines: &[Line]) -> String {
    lines.iter().map(|line| line.segments.iter().map(|s| &*s.text).collect::<String>() + "\n").collect()
}

/// Every element is closed in the order of opening, and no bare `&` or `<` is left.
fn check_xml(text: &str) {
    let mut open = Vec::new();
    for piece in text.split('<').skip(1) {
        let (tag, rest) = piece.split_once('>').unwrap();
        let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap();
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), Some(name)),
            (false, true) => {}
            (false, false) => open.push(name),
        }
        for entity in rest.split('&').skip(1) {
            let word = entity.split(';').next().unwrap();
            assert!(["amp", "lt", "gt", "quot", "#39"].contains(&word), "{word}");
        }
    }
    assert!(open.is_empty());
}

//! Wires in the channel between two columns of boxes: which track each vertical run takes.
//!
//! A wire goes horizontally from its port to a track, vertically along it, and horizontally to the other port. Rows
//! of ports on one side of a channel are all different, so two horizontal runs can only meet where a port of the left
//! side and one of the right side share a row: then the wire from the left must take its track further left. These
//! demands form chains or circles; a circle is broken by leading one wire over a free row of its own. Vertical runs
//! on one track share no row. So every meeting of two wires is a perpendicular crossing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

/// The side of a channel where a wire ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// At a box left of the channel.
    Left,
    /// At a box right of the channel.
    Right,
}

/// Where a wire enters a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin {
    pub side: Side,
    pub row: usize,
}

/// The way of one wire: pins at its ends and vertical runs between them.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub from: Pin,
    pub to: Pin,
    /// (track, row at its start, row at its end) of each vertical run, from `from` to `to`; none for a straight wire.
    pub runs: Vec<(usize, usize, usize)>,
}

/// All wires of a channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// Ways in the order of the pins given.
    pub ways: Vec<Way>,
    /// Number of tracks.
    pub tracks: usize,
}

/// A vertical run that looks for a track.
#[derive(Debug, Clone)]
struct Run {
    wire: usize,
    rows: (usize, usize),
    /// Rows in which it reaches the left side, and the right side.
    reaches: (Vec<usize>, Vec<usize>),
}

/// Finds a track for every vertical run; none where more than `tracks_max` are needed.
///
/// The two pins of a wire differ, and no two pins of one side share a row.
pub(super) fn route(pins: &[(Pin, Pin)], tracks_max: usize) -> Option<Channel> {
    let mut runs = runs(pins);
    break_circles(&mut runs, pins);
    let tracks = assign(&runs, tracks_max)?;
    let mut ways: Vec<Way> =
        pins.iter().map(|(from, to)| Way { from: *from, to: *to, runs: Vec::new() }).collect();
    for (run, track) in runs.iter().zip(&tracks) {
        // The second half of a broken run comes after the first one, as the wire does.
        ways[run.wire].runs.push((*track, run.rows.0, run.rows.1));
    }
    Some(Channel { ways, tracks: tracks.iter().max().map_or(0, |track| track + 1) })
}

fn runs(pins: &[(Pin, Pin)]) -> Vec<Run> {
    let bent = pins.iter().enumerate().filter(|(_, (from, to))| from.row != to.row);
    let run = |(wire, (from, to)): (usize, &(Pin, Pin))| {
        let rows = |side| [from, to].into_iter().filter(|pin| pin.side == side).map(|pin| pin.row).collect();
        Run { wire, rows: (from.row, to.row), reaches: (rows(Side::Left), rows(Side::Right)) }
    };
    bent.map(run).collect()
}

/// Breaks each circle of demands at one run. Only runs from left to right can be in one, and each demands at most one
/// thing and is demanded by at most one, so following the demands finds every circle.
fn break_circles(runs: &mut Vec<Run>, pins: &[(Pin, Pin)]) {
    let mut used: BTreeSet<usize> = pins.iter().flat_map(|(a, b)| [a.row, b.row]).collect();
    let by_right: HashMap<usize, usize> = by_right_row(runs);
    let successor = |run: &Run| match (&*run.reaches.0, &*run.reaches.1) {
        ([row], [_]) => by_right.get(row).copied(),
        _ => None,
    };
    let next: Vec<Option<usize>> = runs.iter().map(successor).collect();
    let mut visited = vec![0; runs.len()];
    for first in 0..next.len() {
        let mut at = first;
        while visited[at] == 0 {
            visited[at] = first + 1;
            let Some(following) = next[at] else { break };
            at = following;
            if visited[at] == first + 1 {
                split(runs, at, &mut used);
                break;
            }
        }
    }
}

fn by_right_row(runs: &[Run]) -> HashMap<usize, usize> {
    runs.iter()
        .enumerate()
        .flat_map(|(index, run)| run.reaches.1.iter().map(move |row| (*row, index)))
        .collect()
}

/// Splits a run from left to right into two that meet in a row that nothing else uses.
fn split(runs: &mut Vec<Run>, index: usize, used: &mut BTreeSet<usize>) {
    let Run { wire, rows: (start, end), reaches } = runs[index].clone();
    let middle = usize::midpoint(start, end);
    let free =
        (0..).flat_map(|d| [Some(middle + d), middle.checked_sub(d)]).flatten().find(|r| !used.contains(r));
    let row = free.unwrap_or(middle);
    used.insert(row);
    // The wire comes from the side where `start` is.
    let halves = [(start, row), (row, end)].map(|rows| {
        let keep = |side: &[usize]| side.iter().copied().filter(|r| *r == rows.0 || *r == rows.1).collect();
        Run { wire, rows, reaches: (keep(&reaches.0), keep(&reaches.1)) }
    });
    let [first, second] = halves;
    runs[index] = first;
    runs.push(second);
}

/// Gives each run the first track right of all that must be left of it and free in its rows.
fn assign(runs: &[Run], tracks_max: usize) -> Option<Vec<usize>> {
    let by_right = by_right_row(runs);
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); runs.len()];
    let mut demands = vec![0; runs.len()];
    for (index, run) in runs.iter().enumerate() {
        for other in run.reaches.0.iter().filter_map(|row| by_right.get(row)).filter(|other| **other != index)
        {
            followers[index].push(*other);
            demands[*other] += 1;
        }
    }
    let ready = (0..runs.len()).filter(|index| demands[*index] == 0);
    let mut queue: BinaryHeap<_> = ready.map(|index| Reverse((preference(&runs[index]), index))).collect();
    let mut tracks = vec![0; runs.len()];
    let mut lowest = vec![0; runs.len()];
    let mut taken: Vec<BTreeMap<usize, usize>> = Vec::new();
    while let Some(Reverse((_, index))) = queue.pop() {
        let track = (lowest[index]..).find(|track| is_free(taken.get(*track), runs[index].rows))?;
        if track >= tracks_max {
            return None;
        }
        taken.resize_with(taken.len().max(track + 1), BTreeMap::new);
        let (low, high) = sorted(runs[index].rows);
        taken[track].insert(low, high);
        tracks[index] = track;
        for &follower in &followers[index] {
            lowest[follower] = lowest[follower].max(track + 1);
            demands[follower] -= 1;
            if demands[follower] == 0 {
                queue.push(Reverse((preference(&runs[follower]), follower)));
            }
        }
    }
    Some(tracks)
}

/// Whether a track has no run in these rows.
fn is_free(track: Option<&BTreeMap<usize, usize>>, rows: (usize, usize)) -> bool {
    let (low, high) = sorted(rows);
    let Some(track) = track else { return true };
    track.range(..=high).next_back().is_none_or(|(_, other_high)| *other_high < low)
}

fn sorted((a, b): (usize, usize)) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// Order in which runs choose tracks from the left; keeps runs of one kind from crossing each other: short loops
/// inside of long ones, wires that rise to the right from top to bottom, wires that fall from bottom to top.
fn preference(run: &Run) -> (u8, usize) {
    let (low, high) = sorted(run.rows);
    match (&*run.reaches.0, &*run.reaches.1) {
        ([_, _], _) => (0, high - low),
        (_, [_, _]) => (3, usize::MAX - (high - low)),
        ([left], _) if *left == low => (2, usize::MAX - low),
        (_, [right]) if *right == high => (2, usize::MAX - low),
        _ => (1, low),
    }
}

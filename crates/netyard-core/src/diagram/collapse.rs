//! Large pictures made readable: identical leaves become one box.

use super::model::{Block, End, Note, NoteKind, Picture, Port, Role, What, Wire};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Boxes that a picture may have before leaves are collapsed.
const BLOCKS_READABLE: usize = 30;
/// Leaves that are worth a box of their own kind.
const GROUP_MIN: usize = 3;

/// The picture itself, or one with collapsed leaves where it has too many boxes: first those that differ in the
/// number at the end of their names only, then, where that does not help, those of different names too.
pub(super) fn readable(picture: &Picture) -> Cow<'_, Picture> {
    if picture.blocks.len() <= BLOCKS_READABLE {
        return Cow::Borrowed(picture);
    }
    let collapsed = collapsed(picture, Names::OfOneStem);
    if collapsed.blocks.len() <= BLOCKS_READABLE {
        return Cow::Owned(collapsed);
    }
    Cow::Owned(self::collapsed(&collapsed, Names::Any))
}

/// Which names may share a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Those that are equal up to a number at their end.
    OfOneStem,
    /// All.
    Any,
}

/// What identical leaves have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind<'a> {
    stem: Option<&'a str>,
    caption: Option<&'a str>,
    notes: Vec<&'a str>,
    /// Name, peer, notes, up or down, of each port.
    ports: Vec<(&'a str, usize, Vec<&'a str>, bool)>,
}

/// The ends of the wires at each port, seen from there.
type Peers = BTreeMap<End, Vec<End>>;

fn collapsed(picture: &Picture, names: Names) -> Picture {
    let peers = peers(picture);
    let mut kinds: BTreeMap<Kind<'_>, Vec<usize>> = BTreeMap::new();
    for (index, block) in picture.blocks.iter().enumerate() {
        if let Some(kind) = kind(index, block, &peers, names) {
            kinds.entry(kind).or_default().push(index);
        }
    }
    let mut covered = BTreeSet::new();
    let mut groups = Vec::new();
    for (kind, group) in kinds.into_iter().filter(|(_, group)| group.len() >= GROUP_MIN) {
        // Two groups that are wired to each other stay: a wire cannot stand for all pairs.
        if kind.ports.iter().all(|port| !covered.contains(&port.1)) {
            covered.extend(group.iter().copied());
            groups.push(group);
        }
    }
    merged(picture, &groups, &peers)
}

fn peers(picture: &Picture) -> Peers {
    let mut peers = Peers::new();
    for (_, wire) in picture.sound_wires() {
        let [one, other] = wire.ends;
        peers.entry(one).or_default().push(other);
        peers.entry(other).or_default().push(one);
    }
    peers
}

/// What a block is like, if it may be collapsed: a host, each of whose ports has one wire.
fn kind<'a>(index: usize, block: &'a Block, peers: &Peers, names: Names) -> Option<Kind<'a>> {
    if block.what != What::Node || block.role != Role::Host || !block.members.is_empty() {
        return None;
    }
    let port =
        |(port, facts): (usize, &'a Port)| match peers.get(&End { block: index, port }).map(Vec::as_slice) {
            Some([peer]) if peer.block != index => {
                Some((facts.name.as_str(), peer.block, lasting(&facts.notes), facts.is_down))
            }
            _ => None,
        };
    let ports = block.ports.iter().enumerate().map(port).collect::<Option<Vec<_>>>()?;
    let stem = (names == Names::OfOneStem).then(|| block.name.trim_end_matches(|c: char| c.is_ascii_digit()));
    Some(Kind { stem, caption: block.caption.as_deref(), notes: lasting(&block.notes), ports })
}

/// Notes that must be the same in all; addresses become a range.
fn lasting(notes: &[Note]) -> Vec<&str> {
    notes.iter().filter(|note| note.kind != NoteKind::Address).map(|note| note.text.as_str()).collect()
}

/// The picture with each group as one block at the place of its first, and the ports of their peers joined likewise.
fn merged(picture: &Picture, groups: &[Vec<usize>], peers: &Peers) -> Picture {
    let mut blocks: Vec<Option<Block>> = picture.blocks.iter().cloned().map(Some).collect();
    let mut dropped_ports: BTreeSet<End> = BTreeSet::new();
    for group in groups {
        let first = group[0];
        for port in 0..picture.blocks[first].ports.len() {
            let ends: Vec<End> = group
                .iter()
                .filter_map(|block| peers.get(&End { block: *block, port })?.first().copied())
                .collect();
            let facts: Vec<&Port> = ends.iter().map(|end| picture.port(*end)).collect();
            if let Some(block) = &mut blocks[ends[0].block] {
                block.ports[ends[0].port] = joined_port(&facts);
            }
            dropped_ports.extend(&ends[1..]);
        }
        blocks[first] = Some(joined_block(group.iter().map(|block| &picture.blocks[*block]).collect()));
        for other in &group[1..] {
            blocks[*other] = None;
        }
    }
    renumbered(picture, blocks, &dropped_ports)
}

/// The picture of the blocks and ports that are left.
fn renumbered(picture: &Picture, blocks: Vec<Option<Block>>, dropped_ports: &BTreeSet<End>) -> Picture {
    let mut result = Picture::new(&picture.title);
    let mut ends: BTreeMap<End, End> = BTreeMap::new();
    for (old, block) in blocks.into_iter().enumerate() {
        let Some(mut block) = block else { continue };
        let ports = std::mem::take(&mut block.ports);
        for (port, facts) in ports.into_iter().enumerate() {
            let end = End { block: old, port };
            if !dropped_ports.contains(&end) {
                ends.insert(end, End { block: result.blocks.len(), port: block.ports.len() });
                block.ports.push(facts);
            }
        }
        result.blocks.push(block);
    }
    for (_, wire) in picture.sound_wires() {
        if let [Some(one), Some(other)] = wire.ends.map(|end| ends.get(&end)) {
            result.wires.push(Wire { ends: [*one, *other], name: wire.name.clone() });
        }
    }
    result
}

fn joined_block(group: Vec<&Block>) -> Block {
    let (first, last) = (group[0], group[group.len() - 1]);
    let ports = 0..first.ports.len();
    Block {
        name: range(&first.name, &last.name),
        ports: ports
            .map(|port| joined_port(&group.iter().map(|b| &b.ports[port]).collect::<Vec<_>>()))
            .collect(),
        notes: joined_notes(&group.iter().map(|block| &*block.notes).collect::<Vec<_>>()),
        members: group.iter().map(|block| block.name.clone()).collect(),
        ..first.clone()
    }
}

fn joined_port(ports: &[&Port]) -> Port {
    let (first, last) = (ports[0], ports[ports.len() - 1]);
    Port {
        name: range(&first.name, &last.name),
        notes: joined_notes(&ports.iter().map(|port| &*port.notes).collect::<Vec<_>>()),
        is_down: ports.iter().any(|port| port.is_down),
    }
}

/// The notes of the first, addresses as the range to those of the last.
fn joined_notes(all: &[&[Note]]) -> Vec<Note> {
    let (first, last) = (all[0], all[all.len() - 1]);
    let joined = first.iter().enumerate().map(|(index, note)| match last.get(index) {
        Some(other) if note.kind == NoteKind::Address => Note::new(note.kind, range(&note.text, &other.text)),
        _ => note.clone(),
    });
    joined.collect()
}

/// `10.0.0.1/24` and `10.0.0.9/24` become `10.0.0.1…10.0.0.9/24`.
fn range(first: &str, last: &str) -> String {
    if first == last {
        return first.to_owned();
    }
    match (first.split_once('/'), last.split_once('/')) {
        (Some((start, length)), Some((end, other))) if length == other => format!("{start}…{end}/{length}"),
        _ => format!("{first}…{last}"),
    }
}

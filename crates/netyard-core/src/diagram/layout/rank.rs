//! Which column each box stands in.
//!
//! Ranks are distances from the right-most boxes, so no wire spans more than one column: it leads to the next column
//! or stays in its own. That is why a wire never has to pass a box.

use crate::diagram::model::{Picture, Role, What};
use std::collections::VecDeque;

/// Blocks that a wire connects, by block; without repetition, in rising order.
pub(super) fn neighbours(picture: &Picture) -> Vec<Vec<usize>> {
    let mut neighbours = vec![Vec::new(); picture.blocks.len()];
    for (_, wire) in picture.sound_wires() {
        let [a, b] = wire.ends.map(|end| end.block);
        if a != b {
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
    }
    for list in &mut neighbours {
        list.sort_unstable();
        list.dedup();
    }
    neighbours
}

/// The connected parts, each in the order in which a walk from its first block meets them.
pub(super) fn components(neighbours: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut seen = vec![false; neighbours.len()];
    let mut components = Vec::new();
    for first in 0..neighbours.len() {
        if seen[first] {
            continue;
        }
        seen[first] = true;
        let mut component = vec![first];
        let mut next = 0;
        while let Some(&block) = component.get(next) {
            next += 1;
            for &other in &neighbours[block] {
                if !std::mem::replace(&mut seen[other], true) {
                    component.push(other);
                }
            }
        }
        component.sort_unstable();
        components.push(component);
    }
    components
}

/// The blocks of a connected part by column, from left to right, each column in the order of a walk from the
/// right-most blocks, which is free of crossings where the part is a tree.
pub(super) fn columns(picture: &Picture, neighbours: &[Vec<usize>], component: &[usize]) -> Vec<Vec<usize>> {
    let right_most = right_most(picture, neighbours, component);
    let distance = distances(neighbours, &right_most);
    let deepest = component.iter().filter_map(|block| distance[*block]).max().unwrap_or(0);
    let mut columns = vec![Vec::new(); deepest + 1];
    for block in walk(neighbours, &distance, &right_most) {
        if let Some(distance) = distance[block] {
            columns[deepest - distance].push(block);
        }
    }
    columns
}

/// Distance of each block from the nearest of `sources`; none where there is no way.
fn distances(neighbours: &[Vec<usize>], sources: &[usize]) -> Vec<Option<usize>> {
    let mut distance = vec![None; neighbours.len()];
    let mut queue: VecDeque<usize> = sources.iter().copied().collect();
    for source in sources {
        distance[*source] = Some(0);
    }
    while let Some(block) = queue.pop_front() {
        let next = distance[block].map(|d| d + 1);
        for &other in &neighbours[block] {
            if distance[other].is_none() {
                distance[other] = next;
                queue.push_back(other);
            }
        }
    }
    distance
}

/// All blocks in preorder of the walk that goes away from the sources.
fn walk(neighbours: &[Vec<usize>], distance: &[Option<usize>], sources: &[usize]) -> Vec<usize> {
    let mut seen = vec![false; neighbours.len()];
    let mut order = Vec::new();
    let mut stack: Vec<usize> = sources.iter().rev().copied().collect();
    while let Some(block) = stack.pop() {
        if std::mem::replace(&mut seen[block], true) {
            continue;
        }
        order.push(block);
        stack.extend(neighbours[block].iter().rev().filter(|other| distance[**other] > distance[block]));
    }
    order
}

/// The blocks of a connected part in one column: each below what leads to it from the left, so that neighbours are
/// close.
pub(super) fn column(picture: &Picture, neighbours: &[Vec<usize>], component: &[usize]) -> Vec<usize> {
    let right_most = right_most(picture, neighbours, component);
    let distance = distances(neighbours, &right_most);
    let mut seen = vec![false; neighbours.len()];
    let mut order = Vec::with_capacity(component.len());
    // (block, whether what is left of it was visited)
    let mut stack: Vec<(usize, bool)> = right_most.iter().rev().map(|block| (*block, false)).collect();
    while let Some((block, is_done)) = stack.pop() {
        if is_done {
            order.push(block);
        } else if !std::mem::replace(&mut seen[block], true) {
            stack.push((block, true));
            let left = neighbours[block].iter().rev().filter(|other| distance[**other] > distance[block]);
            stack.extend(left.map(|other| (*other, false)));
        }
    }
    order
}

/// The hosts with one neighbour in a column of their own, left of one with all other blocks; both in the order of
/// [`column`].
pub(super) fn spine(picture: &Picture, neighbours: &[Vec<usize>], component: &[usize]) -> Vec<Vec<usize>> {
    let is_leaf = |block: &usize| {
        let is_host = |block: usize| picture.blocks[block].role == Role::Host;
        is_host(*block) && neighbours[*block].len() == 1 && !is_host(neighbours[*block][0])
    };
    let (leaves, others): (Vec<_>, Vec<_>) =
        column(picture, neighbours, component).into_iter().partition(is_leaf);
    if leaves.is_empty() { vec![others] } else { vec![leaves, others] }
}

/// The blocks of the right-most column: the internet where there is one, else the end or the middle of the part.
fn right_most(picture: &Picture, neighbours: &[Vec<usize>], component: &[usize]) -> Vec<usize> {
    let of_role = |role: Role| -> Vec<usize> {
        component.iter().copied().filter(|block| picture.blocks[*block].role == role).collect()
    };
    let internet = of_role(Role::Internet);
    if !internet.is_empty() {
        return internet;
    }
    let spine: Vec<usize> = component.iter().copied().filter(|block| neighbours[*block].len() > 1).collect();
    match (component, &*spine) {
        ([], _) => Vec::new(),
        (_, []) => vec![end_of_cable(picture, component)],
        (_, [centre]) => end_of_star(picture, neighbours, *centre),
        _ => end_of_chain(neighbours, &spine).unwrap_or_else(|| middle(picture, neighbours, component)),
    }
}

/// Of at most two blocks the one that is not a host, else the later one.
fn end_of_cable(picture: &Picture, component: &[usize]) -> usize {
    let other = component.iter().copied().find(|block| picture.blocks[*block].role != Role::Host);
    other.or(component.last().copied()).unwrap_or(0)
}

/// Around one block: routers stand right of it, else it stands right of its hosts; a node between two hosts stays
/// between them.
fn end_of_star(picture: &Picture, neighbours: &[Vec<usize>], centre: usize) -> Vec<usize> {
    let leaves = &neighbours[centre];
    let is_host = |block: &&usize| picture.blocks[**block].role == Role::Host;
    let others: Vec<usize> = leaves.iter().filter(|block| !is_host(block)).copied().collect();
    if !others.is_empty() && others.len() < leaves.len() {
        return others;
    }
    if leaves.len() == 2 && picture.blocks[centre].what == What::Node {
        return vec![leaves[1]];
    }
    vec![centre]
}

/// Where the blocks with several neighbours form a line: what hangs at its later end.
fn end_of_chain(neighbours: &[Vec<usize>], spine: &[usize]) -> Option<Vec<usize>> {
    let in_spine = |block: &&usize| neighbours[**block].len() > 1;
    let degree = |block: usize| neighbours[block].iter().filter(in_spine).count();
    let ends: Vec<usize> = spine.iter().copied().filter(|block| degree(*block) == 1).collect();
    let is_line = ends.len() == 2 && spine.iter().all(|block| degree(*block) <= 2);
    if !is_line {
        return None;
    }
    let leaves = |end: usize| -> Vec<usize> {
        let leaves: Vec<usize> = neighbours[end].iter().filter(|b| !in_spine(b)).copied().collect();
        if leaves.is_empty() { vec![end] } else { leaves }
    };
    ends.into_iter().map(leaves).max_by_key(|leaves| leaves.iter().min().copied())
}

/// The middle of the longest way found by two sweeps; never a host with a neighbour that is none.
fn middle(picture: &Picture, neighbours: &[Vec<usize>], component: &[usize]) -> Vec<usize> {
    let farthest = |from: usize| {
        let distance = distances(neighbours, &[from]);
        let block =
            component.iter().copied().max_by_key(|block| (distance[*block], std::cmp::Reverse(*block)));
        (block.unwrap_or(from), distance)
    };
    let (one_end, _) = farthest(component[0]);
    let (other_end, from_one) = farthest(one_end);
    let from_other = distances(neighbours, &[other_end]);
    let length = from_one[other_end].unwrap_or(0);
    let is_middle = |block: &usize| {
        let (one, other) = (from_one[*block].unwrap_or(0), from_other[*block].unwrap_or(0));
        one + other == length && one.abs_diff(other) <= 1
    };
    let middles = component.iter().copied().filter(is_middle);
    let best = middles.min_by_key(|block| (picture.blocks[*block].role == Role::Host, *block));
    vec![best.unwrap_or(component[0])]
}

//! A binary tree of routers with a host at each leaf.

use super::sheet::{Link, Route, Sheet, numbered};

/// Router 1 is the root, the children of router `k` are `2k` and `2k + 1`.
///
/// A router at depth `d` owns a prefix of length `8 + d`: the first half of it is its first child's, the second half
/// its second child's. The cable to its parent and its host are in its prefix too, so each router has one route per
/// child and a default route.
pub(super) fn sheet(size: usize) -> Sheet {
    let leaves = size / 2 + 1..=size;
    let routers = if size == 1 { "1 router".to_owned() } else { format!("{size} routers") };
    let about = vec![
        format!("A binary tree: {routers}, r1 at the root, a host at each leaf."),
        "Each router owns half of its parent's prefix; its routes are one per child and the default route."
            .to_owned(),
    ];
    let mut sheet = Sheet::new(about, 2 * depth(size) + 1);
    for k in 2..=size {
        sheet.cable(&cable(k), &format!("10.{}.{}.0/24", second(k), depth(k)));
    }
    for k in leaves.clone() {
        sheet.cable(&format!("r{k}-h{k}"), &format!("10.{}.{LEAF}.0/24", second(k)));
    }
    for k in 1..=size {
        router(&mut sheet, k, size);
    }
    for k in leaves {
        sheet.node(&format!("h{k}"), &format!("links: {{ r{k}-h{k}: {} }}", host(k)));
    }
    expect(&mut sheet, size);
    sheet
}

/// Third byte of the networks of hosts; those of cables have the depth there.
const LEAF: usize = 100;

fn depth(k: usize) -> usize {
    k.ilog2() as usize
}

/// Second byte of the prefix that a router owns: its way from the root, 0 for a first and 1 for a second child, from
/// the highest bit on.
fn second(k: usize) -> usize {
    let depth = depth(k);
    (k - (1 << depth)) << (8 - depth)
}

/// The cable from a router to its parent.
fn cable(k: usize) -> String {
    format!("r{}-r{k}", k / 2)
}

fn host(k: usize) -> String {
    format!("10.{}.{LEAF}.1", second(k))
}

fn router(sheet: &mut Sheet, k: usize, size: usize) {
    let (second_byte, depth_of_k) = (second(k), depth(k));
    let mut links = Vec::new();
    let mut routes = Vec::new();
    if k > 1 {
        links.push(Link::new(&cable(k), format!("10.{second_byte}.{depth_of_k}.2")));
        routes.push(Route { to: "default".to_owned(), via: format!("10.{second_byte}.{depth_of_k}.1") });
    }
    for child in [2 * k, 2 * k + 1].into_iter().filter(|child| *child <= size) {
        let (second, depth) = (second(child), depth(child));
        links.push(Link::new(&cable(child), format!("10.{second}.{depth}.1")));
        routes.push(Route {
            to: format!("10.{second}.0.0/{}", 8 + depth),
            via: format!("10.{second}.{depth}.2"),
        });
    }
    if 2 * k > size {
        links.push(Link::new(&format!("r{k}-h{k}"), format!("10.{second_byte}.{LEAF}.254")));
    }
    sheet.router(&format!("r{k}"), &links, &routes);
}

/// Routers from one leaf to another: up to the first common ancestor, then down.
fn way(from: usize, to: usize) -> Vec<usize> {
    let (mut up, mut down) = (vec![from], vec![to]);
    let (mut a, mut b) = (from, to);
    while a != b {
        if a > b {
            a /= 2;
            up.push(a);
        } else {
            b /= 2;
            down.push(b);
        }
    }
    down.pop();
    up.extend(down.iter().rev());
    up
}

fn expect(sheet: &mut Sheet, size: usize) {
    let (first, last) = (size / 2 + 1, size);
    sheet.expect(&format!("from: h{first}, ping: {}", numbered('r', 1, size)));
    if first == last {
        return;
    }
    for (from, to) in [(first, last), (last, first), (first, first + 1)] {
        let way = way(from, to);
        sheet.expect_hops(&format!("h{from}"), &format!("h{to}"), way.len());
        let path = way.iter().map(|k| format!("r{k}")).chain([format!("h{to}")]);
        sheet.expect_path(&format!("h{from}"), &path.collect::<Vec<_>>());
    }
    let others = numbered('h', first + 1, last);
    sheet.expect(&format!("from: h{first}, ping: {others}"));
    sheet.expect(&format!("from: {others}, ping: h{first}"));
}

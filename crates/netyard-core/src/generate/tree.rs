//! A binary tree of routers with a host at each leaf.

use super::sheet::{Link, Route, Sheet, numbered};
use std::net::Ipv4Addr;

/// Router 1 is the root, the children of router `k` are `2k` and `2k + 1`.
///
/// The root owns 10.0.0.0/8, and each router a quarter of its parent's prefix. The first quarter of its own holds the
/// cable to its parent, the second its host, the third and fourth are its children's: so one route per child and a
/// default route lead everywhere. At the greatest depth, 7, a quarter is a /24.
pub(super) fn sheet(size: usize) -> Sheet {
    let leaves = size / 2 + 1..=size;
    let routers = if size == 1 { "1 router".to_owned() } else { format!("{size} routers, r1 at the root") };
    let about = vec![
        format!("A binary tree: {routers}, a host at each leaf."),
        "Each router owns a quarter of its parent's prefix, so it has one route per child and a default route.".to_owned(),
    ];
    let mut sheet = Sheet::new(about, 2 * depth(size) as usize + 1);
    for k in 2..=size {
        sheet.cable(&cable(k), &format!("{}/24", cable_address(k, 0)));
    }
    for k in leaves.clone() {
        sheet.cable(&format!("r{k}-h{k}"), &format!("{}/24", host_address(k, 0)));
    }
    for k in 1..=size {
        router(&mut sheet, k, size);
    }
    for k in leaves {
        sheet.node(&format!("h{k}"), &format!("links: {{ r{k}-h{k}: {} }}", host_address(k, 1)));
    }
    expect(&mut sheet, size);
    sheet
}

fn depth(k: usize) -> u32 {
    k.ilog2()
}

/// Length of the prefix that a router owns.
fn length(k: usize) -> u32 {
    8 + 2 * depth(k)
}

/// First address of the prefix that a router owns.
fn base(k: usize) -> u32 {
    if k == 1 {
        return u32::from(Ipv4Addr::new(10, 0, 0, 0));
    }
    let quarter = if k.is_multiple_of(2) { 2 } else { 3 };
    base(k / 2) + (quarter << (32 - length(k)))
}

/// Address `n` of the cable to the parent.
fn cable_address(k: usize, n: u32) -> Ipv4Addr {
    Ipv4Addr::from(base(k) + n)
}

/// Address `n` of the network of the host.
fn host_address(k: usize, n: u32) -> Ipv4Addr {
    Ipv4Addr::from(base(k) + (1 << (30 - length(k))) + n)
}

/// The cable from a router to its parent.
fn cable(k: usize) -> String {
    format!("r{}-r{k}", k / 2)
}

/// On a cable the parent is .1 and the child .2; beside its host a router is .254.
fn router(sheet: &mut Sheet, k: usize, size: usize) {
    let mut links = Vec::new();
    let mut routes = Vec::new();
    if k > 1 {
        links.push(Link::new(&cable(k), cable_address(k, 2).to_string()));
        routes.push(Route { to: "default".to_owned(), via: cable_address(k, 1).to_string() });
    }
    for child in [2 * k, 2 * k + 1].into_iter().filter(|child| *child <= size) {
        links.push(Link::new(&cable(child), cable_address(child, 1).to_string()));
        let to = format!("{}/{}", Ipv4Addr::from(base(child)), length(child));
        routes.push(Route { to, via: cable_address(child, 2).to_string() });
    }
    if 2 * k > size {
        links.push(Link::new(&format!("r{k}-h{k}"), host_address(k, 254).to_string()));
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

//! Routers in a ring, each with a host.

use super::cidr::prefixes;
use super::sheet::{Link, Route, Sheet, numbered};

/// Host `k` is on 10.0.k.0/24 (.1, its router .254); the cable from router `k` to the next is 10.1.k.0/24 (.1 and .2).
pub(super) fn sheet(size: usize) -> Sheet {
    let about = vec![
        format!("A ring: {size} routers, each with a host."),
        "Static routes lead the shorter way round, those to neighbouring networks as one; to the host on the"
            .to_owned(),
        "other side of a ring of even size they lead by rising numbers.".to_owned(),
    ];
    let mut sheet = Sheet::new(about, size / 2 + 1);
    for k in 1..=size {
        sheet.cable(&format!("h{k}-r{k}"), &format!("10.0.{k}.0/24"));
    }
    for k in 1..=size {
        sheet.cable(&cable(k, size), &format!("10.1.{k}.0/24"));
    }
    for k in 1..=size {
        sheet.node(&format!("h{k}"), &format!("links: {{ h{k}-r{k}: 10.0.{k}.1 }}"));
    }
    for k in 1..=size {
        router(&mut sheet, k, size);
    }
    expect(&mut sheet, size);
    sheet
}

fn next(k: usize, size: usize) -> usize {
    k % size + 1
}

fn previous(k: usize, size: usize) -> usize {
    (k + size - 2) % size + 1
}

/// The cable from a router to the next.
fn cable(k: usize, size: usize) -> String {
    format!("r{k}-r{}", next(k, size))
}

fn router(sheet: &mut Sheet, k: usize, size: usize) {
    let before = previous(k, size);
    let links = [
        Link::new(&format!("h{k}-r{k}"), format!("10.0.{k}.254")),
        Link::new(&cable(before, size), format!("10.1.{before}.2")),
        Link::new(&cable(k, size), format!("10.1.{k}.1")),
    ];
    let ahead = size / 2;
    let forward =
        arc(next(k, size), ahead, size).into_iter().map(|to| Route { to, via: format!("10.1.{k}.2") });
    let first_back = (k + ahead) % size + 1;
    let back = arc(first_back, size - 1 - ahead, size);
    let back = back.into_iter().map(|to| Route { to, via: format!("10.1.{before}.1") });
    sheet.router(&format!("r{k}"), &links, &forward.chain(back).collect::<Vec<_>>());
}

/// The prefixes of `len` hosts from `first` on, round the ring.
fn arc(first: usize, len: usize, size: usize) -> Vec<String> {
    if len == 0 {
        return Vec::new();
    }
    let last = first + len - 1;
    if last <= size {
        return prefixes(0, first, last);
    }
    [prefixes(0, first, size), prefixes(0, 1, last - size)].concat()
}

fn expect(sheet: &mut Sheet, size: usize) {
    let path = |routers: &[usize]| -> Vec<String> {
        let last = routers.last().map(|k| format!("h{k}"));
        routers.iter().map(|k| format!("r{k}")).chain(last).collect()
    };
    sheet.expect_path("h1", &path(&[1, 2]));
    sheet.expect_path("h1", &path(&[1, size]));
    let farthest = size / 2 + 1;
    sheet.expect_hops("h1", &format!("h{farthest}"), farthest);
    sheet.expect_path("h1", &path(&(1..=farthest).collect::<Vec<_>>()));
    let others = numbered('h', 2, size);
    sheet.expect(&format!("from: h1, ping: {others}"));
    sheet.expect(&format!("from: {others}, ping: h1"));
    sheet.expect(&format!("from: h1, ping: {}", numbered('r', 1, size)));
}

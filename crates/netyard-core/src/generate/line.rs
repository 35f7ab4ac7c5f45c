//! Routers in a line with a host at each end.

use super::cidr::prefixes;
use super::sheet::{Link, Route, Sheet, numbered};

/// Network `k` is 10.0.k.0/24, from 0 at the left host to the number of routers at the right host; on each the left
/// neighbour is .1 and the right one .2.
pub(super) fn sheet(size: usize) -> Sheet {
    let routers = if size == 1 { "1 router".to_owned() } else { format!("{size} routers in a row") };
    let about = vec![
        format!("A line: {routers} with a host at each end."),
        "On each cable the left neighbour is .1 and the right one .2; static routes lead both ways, those to"
            .to_owned(),
        "neighbouring networks as one.".to_owned(),
    ];
    let mut sheet = Sheet::new(about, size);
    for k in 0..=size {
        sheet.cable(&cable(k, size), &format!("10.0.{k}.0/24"));
    }
    sheet.node("h1", &format!("links: {{ {}: 10.0.0.1 }}", cable(0, size)));
    for k in 1..=size {
        router(&mut sheet, k, size);
    }
    sheet.node("h2", &format!("links: {{ {}: 10.0.{size}.2 }}", cable(size, size)));
    expect(&mut sheet, size);
    sheet
}

/// The cable right of router `k`; 0 is the left host.
fn cable(k: usize, size: usize) -> String {
    let left = if k == 0 { "h1".to_owned() } else { format!("r{k}") };
    let right = if k == size { "h2".to_owned() } else { format!("r{}", k + 1) };
    format!("{left}-{right}")
}

fn router(sheet: &mut Sheet, k: usize, size: usize) {
    let (left, right) = (k - 1, k);
    let links = [
        Link::new(&cable(left, size), format!("10.0.{left}.2")),
        Link::new(&cable(right, size), format!("10.0.{right}.1")),
    ];
    // The networks left of this router's left cable, and right of its right cable.
    let to_left = if left == 0 { Vec::new() } else { prefixes(0, 0, left - 1) };
    let to_right = prefixes(0, right + 1, size);
    let route = |to: String, via: String| Route { to, via };
    let to_left = to_left.into_iter().map(|to| route(to, format!("10.0.{left}.1")));
    let to_right = to_right.into_iter().map(|to| route(to, format!("10.0.{right}.2")));
    sheet.router(&format!("r{k}"), &links, &to_left.chain(to_right).collect::<Vec<_>>());
}

fn expect(sheet: &mut Sheet, size: usize) {
    let routers = |order: &mut dyn Iterator<Item = usize>| order.map(|k| format!("r{k}")).collect::<Vec<_>>();
    sheet.expect_hops("h1", "h2", size);
    sheet.expect_hops("h2", "h1", size);
    sheet.expect_path("h1", &[routers(&mut (1..=size)), vec!["h2".to_owned()]].concat());
    sheet.expect_path("h2", &[routers(&mut (1..=size).rev()), vec!["h1".to_owned()]].concat());
    sheet.expect(&format!("from: h1, ping: h2, ttl: {}", size + 1));
    sheet.expect(&format!("from: h1, ping: h2, ttl: {size}, outcome: ttl-exceeded"));
    sheet.expect(&format!("from: [h1, h2], ping: {}", numbered('r', 1, size)));
}

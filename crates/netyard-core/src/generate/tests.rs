//! The files are read back line by line and packets sent through their routes on paper, so that each expectation is
//! checked.

use super::*;
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// What a file says, as far as packets care.
#[derive(Default)]
struct Paper {
    prefixes: BTreeMap<String, Ipv4Net>,
    nodes: BTreeMap<String, PaperNode>,
    owners: BTreeMap<Ipv4Addr, String>,
}

#[derive(Default)]
struct PaperNode {
    addresses: Vec<Ipv4Net>,
    routes: Vec<(Ipv4Net, Ipv4Addr)>,
}

impl Paper {
    /// Reads a file of single nodes, which line, ring and tree are.
    fn read(text: &str) -> Self {
        let mut paper = Self::default();
        let mut node = String::new();
        for line in text.lines().take_while(|line| *line != "expect:") {
            if let Some((name, prefix)) = line.split_once(": { prefix: ") {
                let prefix = prefix.split(',').next().unwrap().parse().unwrap();
                assert!(paper.prefixes.values().all(|other: &Ipv4Net| !overlap(other, &prefix)), "{line}");
                paper.prefixes.insert(name.trim().to_owned(), prefix);
            } else if let Some((to, via)) =
                line.trim().strip_prefix("- { to: ").and_then(|l| l.split_once(", via: "))
            {
                let to = if to == "default" { "0.0.0.0/0" } else { to }.parse().unwrap();
                let via = via.trim_end_matches(" }").parse().unwrap();
                paper.nodes.get_mut(&node).unwrap().routes.push((to, via));
            } else {
                if let Some((name, _)) =
                    line.split_once(':').filter(|_| line.starts_with("  ") && line.as_bytes()[2] != b' ')
                {
                    node = name.trim().to_owned();
                    paper.nodes.entry(node.clone()).or_default();
                }
                if let Some((_, links)) = line.split_once("links: { ") {
                    paper.links(&node, links.split('}').next().unwrap());
                }
            }
        }
        paper.gateways();
        paper
    }

    fn links(&mut self, node: &str, links: &str) {
        for (network, address) in links.split(',').filter_map(|link| link.trim().split_once(": ")) {
            let prefix = self.prefixes[network];
            let address: Ipv4Addr = address.trim().parse().unwrap();
            assert!(prefix.contains(&address), "{address} is not in {prefix}");
            assert!(self.owners.insert(address, node.to_owned()).is_none(), "{address} is taken");
            let net = Ipv4Net::new(address, prefix.prefix_len()).unwrap();
            self.nodes.get_mut(node).unwrap().addresses.push(net);
        }
    }

    /// Nodes without routes get the other node of their network as gateway.
    fn gateways(&mut self) {
        let owners = self.owners.clone();
        for node in self.nodes.values_mut().filter(|n| n.routes.is_empty() && n.addresses.len() == 1) {
            let own = node.addresses[0];
            let gateway = owners.keys().find(|other| own.contains(*other) && **other != own.addr()).unwrap();
            node.routes.push(("0.0.0.0/0".parse().unwrap(), *gateway));
        }
    }

    /// The nodes that a packet reaches, the destination last.
    fn way(&self, from: &str, to: &str) -> Vec<String> {
        let target = self.nodes[to].addresses[0].addr();
        let mut way = vec![from.to_owned()];
        while way[way.len() - 1] != to {
            let at = &self.nodes[&way[way.len() - 1]];
            let connected = at.addresses.iter().map(|net| (net.trunc(), target));
            let fitting = connected.chain(at.routes.iter().copied()).filter(|(net, _)| net.contains(&target));
            let (_, hop) = fitting.max_by_key(|(net, _)| net.prefix_len()).expect("a route");
            way.push(self.owners[&hop].clone());
            assert!(way.len() < 300, "a loop from {from} to {to}: {:?}", &way[..10]);
        }
        way.remove(0);
        way
    }

    /// Checks an entry of `expect:`.
    fn check(&self, line: &str) {
        let field = |key: &str| line.split_once(&format!("{key}: ")).map(|(_, rest)| rest);
        let end = |text: &str| text.split([',', ' ']).next().unwrap().to_owned();
        for from in names(field("from").unwrap()) {
            if let Some(path) = field("path") {
                let path = names(path);
                assert_eq!(self.way(&from, path.last().unwrap()), path, "{line}");
                continue;
            }
            for to in names(field("ping").unwrap()).into_iter().filter(|to| *to != from) {
                let routers = self.way(&from, &to).len() - 1;
                self.way(&to, &from);
                let is = |key: &str| field(key).map(|text| end(text).parse::<usize>().unwrap());
                assert!(is("hops").is_none_or(|hops| hops == routers), "{line}");
                assert!(is("answer-ttl").is_none_or(|ttl| ttl + routers == 255), "{line}");
                let arrives = !line.contains("ttl-exceeded");
                assert!(is(" ttl").is_none_or(|ttl| (ttl > routers) == arrives), "{line}");
            }
        }
    }
}

fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(other) || other.contains(one)
}

/// `h1`, `[h1, h2]` or `"h[1-3]"` at the beginning of a text.
fn names(text: &str) -> Vec<String> {
    if let Some((prefix, range)) = text.strip_prefix('"').and_then(|t| t.split_once('"')?.0.split_once('[')) {
        let (first, last) = range.trim_end_matches(']').split_once('-').unwrap();
        return (first.parse::<usize>().unwrap()..=last.parse().unwrap())
            .map(|n| format!("{prefix}{n}"))
            .collect();
    }
    match text.strip_prefix('[') {
        Some(list) => list.split(']').next().unwrap().split(", ").map(str::to_owned).collect(),
        None => vec![text.split([',', ' ']).next().unwrap().to_owned()],
    }
}

/// Sizes at which something begins or ends: prefixes of other lengths, other depths, a longer TTL.
fn sizes(shape: Shape) -> impl Iterator<Item = usize> {
    let large = [59, 60, 61, 64, 65, 100, 127, 128, 129, 130, 199, 200, 253, 254, 255];
    (1..34).chain(large).filter(move |size| shape.sizes().contains(size))
}

fn check_all(shape: Shape) {
    for size in sizes(shape) {
        let text = generate(shape, size).unwrap();
        let paper = Paper::read(&text);
        let routers = paper.nodes.keys().filter(|name| name.starts_with('r')).count();
        assert_eq!(routers, size);
        for line in text.lines().skip_while(|line| *line != "expect:").skip(1) {
            paper.check(line);
        }
    }
}

#[test]
fn a_line_is_as_it_says() {
    check_all(Shape::Line);
}

#[test]
fn a_ring_is_as_it_says() {
    check_all(Shape::Ring);
}

#[test]
fn a_tree_is_as_it_says() {
    check_all(Shape::Tree);
}

#[test]
fn a_star_has_room_for_all_its_hosts() {
    for size in [1, 2, 253, 254, 1000, 1001, 2000, 4999, 5000] {
        let text = generate(Shape::Star, size).unwrap();
        let mut hosts = 0;
        for line in text.lines().filter(|line| line.starts_with("  h")) {
            let name = line.split(':').next().unwrap().trim();
            let here = names(&format!("\"{name}\"")).len();
            let network = line.split(['[', ']']).rev().nth(1).unwrap();
            let prefix = text.lines().find_map(|line| line.strip_prefix(&format!("  {network}: "))).unwrap();
            let prefix: Ipv4Net = prefix.parse().unwrap();
            assert!(here < prefix.hosts().count() && here < 1023, "{line}");
            hosts += here;
        }
        assert_eq!(hosts, size);
    }
}

#[test]
fn a_small_star_reads_well() {
    assert_eq!(
        generate(Shape::Star, 3).unwrap(),
        "\
# A star: 3 hosts on one network behind a router that masquerades.
# Made by `netyard new star 3`. Save it as star.yaml, then try
# `netyard diagram star.yaml` and `netyard test star.yaml`.
lab: star

networks:
  lan: 10.0.0.0/24
  isp: 10.138.0.0/24

nodes:
  h[1-3]: { links: [lan] }
  router:
    links: { lan: 10.0.0.254, isp: 10.138.0.3 }
    masquerade: { from: lan, out: isp }
  internet: { role: internet, links: { isp: 10.138.0.1 } }

expect:
  - { from: h1, ping: h2, hops: 0 }
  - { from: h3, ping: h1, hops: 0 }
  - { from: \"h[1-3]\", ping: router, hops: 0 }
  - { from: \"h[1-3]\", ping: 1.1.1.1, hops: 1, seen-as: 10.138.0.3 }
  - { from: h1, path: [router, internet] }
  - { from: internet, ping: h1, outcome: unreachable }
"
    );
}

#[test]
fn a_small_line_reads_well() {
    assert_eq!(
        generate(Shape::Line, 1).unwrap(),
        "\
# A line: 1 router with a host at each end.
# On each cable the left neighbour is .1 and the right one .2; static routes lead both ways, those to
# neighbouring networks as one.
# Made by `netyard new line 1`. Save it as line.yaml, then try
# `netyard diagram line.yaml` and `netyard test line.yaml`.
lab: line

networks:
  h1-r1: { prefix: 10.0.0.0/24, kind: cable }
  r1-h2: { prefix: 10.0.1.0/24, kind: cable }

nodes:
  h1: { links: { h1-r1: 10.0.0.1 } }
  r1:
    links: { h1-r1: 10.0.0.2, r1-h2: 10.0.1.1 }
    forward: true
  h2: { links: { r1-h2: 10.0.1.2 } }

expect:
  - { from: h1, ping: h2, hops: 1 }
  - { from: h2, ping: h1, hops: 1 }
  - { from: h1, path: [r1, h2] }
  - { from: h2, path: [r1, h1] }
  - { from: h1, ping: h2, ttl: 2 }
  - { from: h1, ping: h2, ttl: 1, outcome: ttl-exceeded }
  - { from: [h1, h2], ping: r1 }
"
    );
}

#[test]
fn sizes_out_of_range_are_refused_with_the_range() {
    let refused = |shape, size| generate(shape, size).unwrap_err().to_string();
    assert_eq!(refused(Shape::Star, 5001), "a star of 5001 hosts is not made; 1 to 5000 are");
    assert_eq!(refused(Shape::Ring, 2), "a ring of 2 routers is not made; 3 to 255 are");
    assert!(Shape::ALL.iter().all(|shape| generate(*shape, 0).is_err()));
    assert_eq!(
        "sun".parse::<Shape>().unwrap_err().to_string(),
        "no shape is called `sun`; there are star, line, ring, tree"
    );
}

#[test]
fn shapes_have_names_of_their_own() {
    let names: BTreeSet<&str> = Shape::ALL.iter().map(|shape| shape.as_str()).collect();
    assert_eq!(names.len(), Shape::ALL.len());
    assert!(Shape::ALL.iter().all(|shape| shape.as_str().parse() == Ok(*shape)));
}

//! Order, remarks, selection and the file, on made-up frames.

use super::*;
use crate::conntrack::{Connection, Detail, Status, Tuple};
use crate::journey::RuleAt;
use crate::name::IfName;
use crate::nft::{Action, Family, Hook, Match, Protocol, Rule};
use crate::pcapng::{Block, blocks};
use std::collections::BTreeMap;
use std::net::IpAddr;

fn place(node: &str, interface: &str, depth: u8) -> Place {
    Place {
        node: node.parse().unwrap(),
        interface: interface.to_owned(),
        index: 2,
        description: "veth".to_owned(),
        depth,
        is_loopback: false,
        link_type: LinkType::Ethernet,
    }
}

fn sighting(place: usize, at_ns: u64, way: Way) -> Sighting {
    Sighting {
        place,
        at_ns,
        way,
        ethertype: 0x0800,
        is_checksum_missing: false,
        link_type: LinkType::Ethernet,
        bytes: vec![0; 60],
        len: 60,
    }
}

#[test]
fn equal_times_follow_the_way_of_a_frame() {
    let places = [place("pc", "eth0", 0), place("gw", "port", 0), place("gw", "br0", 1)];
    let mut merge = Merge::default();
    // As they are read: by ring, not by time.
    for (at, way, number) in [
        (5, Way::In, 2),
        (5, Way::In, 1),
        (5, Way::Out, 0),
        (4, Way::In, 0),
        (9, Way::Out, 1),
        (9, Way::Out, 2),
    ] {
        merge.push(sighting(number, at, way), &places[number]);
    }
    let mut order = Vec::new();
    while let Some(next) = merge.next(8) {
        order.push((next.at_ns, next.place));
    }
    assert_eq!(order, [(4, 0), (5, 0), (5, 1), (5, 2)], "the port before the bridge, the sender before both");
    assert!(!merge.is_empty());
    assert_eq!(merge.next(9).unwrap().place, 2, "out by the bridge first");
    assert_eq!(merge.next(9).unwrap().place, 1);
    assert!(merge.is_empty());
}

fn tuple(source: &str, destination: &str, ports: (u16, u16)) -> Tuple {
    let detail = Detail::Ports { source: ports.0, destination: ports.1 };
    Tuple { source: source.parse().unwrap(), destination: destination.parse().unwrap(), detail }
}

fn connection(id: u32, original: Tuple, reply: Tuple) -> Connection {
    Connection {
        id,
        protocol: 6,
        original,
        reply,
        status: Status(0),
        timeout_s: None,
        tcp_state: None,
        mark: 0,
        zone: 0,
    }
}

fn rule(chain: &str, hook: Hook, handle: u64, matches: Vec<Match>, action: Action) -> NatRule {
    let rule = Rule { matches, counts: false, action };
    let at = RuleAt {
        is_legacy: false,
        family: Family::Inet,
        table: "nat".to_owned(),
        chain: chain.to_owned(),
        hook: Some(hook),
        handle: Some(handle),
        text: rule.to_string(),
    };
    NatRule { at, rule }
}

#[test]
fn masquerade_is_told_both_ways_with_its_rule() {
    let mut rewrites = Rewrites::default();
    let out = |name: &str| Match::InterfaceOut(IfName::new(name).unwrap());
    rewrites.set_rules(vec![
        rule("post", Hook::Postrouting, 2, vec![out("eth2")], Action::Masquerade),
        rule("post", Hook::Postrouting, 3, vec![out("eth1")], Action::Masquerade),
    ]);
    let original = tuple("10.0.0.1", "1.1.1.1", (1000, 80));
    let reply = tuple("1.1.1.1", "10.138.0.3", (80, 40000));
    assert!(rewrites.learn(&connection(7, original, reply)));
    let there = rewrites.remarks("router", "eth1", 6, tuple("10.138.0.3", "1.1.1.1", (40000, 80)));
    assert_eq!(
        there,
        ["masqueraded by node router: 10.0.0.1:1000 → 10.138.0.3:40000 (nft inet nat/post handle 3)"]
    );
    let back = rewrites.remarks("router", "eth0", 6, tuple("1.1.1.1", "10.0.0.1", (80, 1000)));
    assert_eq!(back, ["translated back by node router: 10.138.0.3:40000 → 10.0.0.1:1000"]);
    assert!(rewrites.remarks("router", "eth1", 6, original).is_empty(), "not yet rewritten");
    assert!(rewrites.remarks("router", "eth1", 17, tuple("10.138.0.3", "1.1.1.1", (40000, 80))).is_empty());
    // What has taken the tuple over since is not forgotten with it.
    rewrites.learn(&connection(8, original, reply));
    rewrites.forget(&connection(7, original, reply));
    assert!(!rewrites.is_empty());
    rewrites.forget(&connection(8, original, reply));
    assert!(rewrites.is_empty());
}

#[test]
fn a_hairpin_is_rewritten_at_both_ends() {
    let mut rewrites = Rewrites::default();
    let port = Match::DestinationPort(Protocol::Tcp, 8080.into());
    let target = "10.0.0.2:80".parse().unwrap();
    rewrites.set_rules(vec![
        rule("pre", Hook::Prerouting, 4, vec![port], Action::Dnat(target)),
        rule("post", Hook::Postrouting, 5, vec![], Action::Snat("10.0.0.254".parse().unwrap())),
    ]);
    let original = tuple("10.0.0.1", "203.0.113.1", (1000, 8080));
    let reply = tuple("10.0.0.2", "10.0.0.254", (80, 1000));
    rewrites.learn(&connection(1, original, reply));
    let there = rewrites.remarks("gw", "eth0", 6, tuple("10.0.0.254", "10.0.0.2", (1000, 80)));
    assert_eq!(
        there,
        [
            "source translated by node gw: 10.0.0.1:1000 → 10.0.0.254:1000 (nft inet nat/post handle 5)",
            "destination translated by node gw: 203.0.113.1:8080 → 10.0.0.2:80 (nft inet nat/pre handle 4)",
        ]
    );
}

#[test]
fn a_rule_is_not_named_where_two_may_have_done_it() {
    let mut rewrites = Rewrites::default();
    let unknown = || vec![Match::Other("meta hour 9".to_owned())];
    rewrites.set_rules(vec![
        rule("post", Hook::Postrouting, 2, unknown(), Action::Masquerade),
        rule("post", Hook::Postrouting, 3, vec![], Action::Masquerade),
    ]);
    let original = tuple("10.0.0.1", "1.1.1.1", (1000, 80));
    rewrites.learn(&connection(7, original, tuple("1.1.1.1", "10.138.0.3", (80, 1000))));
    let there = rewrites.remarks("router", "eth1", 6, tuple("10.138.0.3", "1.1.1.1", (1000, 80)));
    assert_eq!(there, ["source translated by node router: 10.0.0.1:1000 → 10.138.0.3:1000"]);
}

fn nodes() -> Vec<Node> {
    let node = |name: &str, address: &str| Node {
        name: name.parse().unwrap(),
        interfaces: vec![
            ("lo".to_owned(), vec!["127.0.0.1".parse().unwrap()]),
            ("eth0".to_owned(), vec![address.parse().unwrap()]),
        ],
        refusal: None,
    };
    vec![node("pc", "10.0.0.1"), node("host", "10.0.0.2"), node("twin", "10.0.0.2")]
}

#[test]
fn nodes_come_first_and_the_rest_is_a_filter() {
    let select = |text: &str| {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        select(&words, &nodes())
    };
    let all = select("").unwrap();
    assert!(all.places.is_empty() && all.filter == crate::filter::Filter::All);
    let some = select("pc twin:eth0 tcp port 80").unwrap();
    assert_eq!(
        some.places.into_iter().collect::<Vec<_>>(),
        [("pc".to_owned(), None), ("twin".to_owned(), Some(vec!["eth0".to_owned()]))]
    );
    assert_eq!(some.filter_text, "tcp port 80");
    let named = select("host pc").unwrap();
    assert_eq!(named.filter, crate::filter::Filter::parse("host 10.0.0.1").unwrap());
    assert!(select("10.0.0.1").unwrap().places.is_empty(), "an address is a filter");
    for (text, words) in [
        ("pcc icmp", "there is no node `pcc`; there are pc, host, twin"),
        ("pc:eth9", "node `pc` has no interface `eth9`; it has lo, eth0"),
        ("host nobody", "unknown host 'nobody': give its address"),
        ("pc and", "can't parse filter expression: syntax error"),
    ] {
        assert_eq!(select(text).unwrap_err(), words, "{text}");
    }
}

#[test]
fn only_addresses_of_one_name_are_named() {
    assert_eq!(names(&nodes()), [("10.0.0.1".parse::<IpAddr>().unwrap(), "pc".to_owned())]);
}

#[test]
fn an_interface_that_comes_later_is_told_before_its_first_packet() {
    let places = [place("pc", "eth0", 0), place("pc", "eth1", 0)];
    let (mut file, mut bytes) = File::begin("t", ("icmp", 100), 1, &[], &[(0, &places[0])]);
    bytes.extend(file.packet(&sighting(0, 10, Way::In), &places[0], &[]));
    bytes.extend(file.packet(&sighting(1, 11, Way::Out), &places[1], &["a remark".to_owned()]));
    bytes.extend(file.packet(
        &Sighting { link_type: LinkType::Raw, ..sighting(1, 12, Way::In) },
        &places[1],
        &[],
    ));
    let dropped = BTreeMap::from([("pc".to_owned(), 5)]);
    bytes.extend(file.end(&places, End { at_ns: 20, dropped: &dropped }));
    let told: Vec<String> = blocks(&bytes)
        .unwrap()
        .into_iter()
        .map(|block| match block {
            Block::Interface { name, link_type, .. } => format!("{name} {link_type}"),
            Block::Packet { interface, at_ns, flags, .. } => format!("packet {interface} {at_ns} {flags}"),
            Block::Statistics { interface, delivered, dropped } => {
                format!("end {interface} {delivered} {dropped:?}")
            }
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told[1..],
        [
            "pc:eth0 1",
            "packet 0 10 5",
            "pc:eth1 1",
            "packet 1 11 2",
            "pc:eth1 101",
            "packet 2 12 5",
            "end 0 1 Some(5)",
            "end 1 1 None",
            "end 2 1 None",
        ]
    );
}

#[test]
fn a_tag_stands_behind_the_addresses() {
    let frame: Vec<u8> = (0..20).collect();
    let tagged = with_tag(&frame, (0x2005, 0x8100));
    assert_eq!(tagged[..12], frame[..12]);
    assert_eq!(tagged[12..16], [0x81, 0, 0x20, 5]);
    assert_eq!(tagged[16..], frame[12..]);
}

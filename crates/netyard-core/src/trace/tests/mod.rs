//! Journeys of synthetic sightings: each kind with its complete list of hops.

mod net;

use super::Toward;
use super::rules::{KnownChain, RuleVerdict, Ruleset};
use super::topology::Kind;
use crate::nft::{BaseChain, ChainKind, Family, Hook, Policy};
use crate::packet::{ICMP, TCP, TcpFlags, UDP};
use net::{Ip, Net, VXLAN, arp, echo, echo6, frame6, tcp, udp};

#[track_caller]
fn check(told: &[String], wanted: &str) {
    let wanted: Vec<&str> = wanted.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let told: Vec<&str> = told.iter().map(|line| line.trim()).collect();
    assert_eq!(told, wanted, "\n{}\n", told.join("\n"));
}

/// pc - router - server.
fn routed() -> (Net, [super::At; 4]) {
    let mut net = Net::default();
    let (pc, lan) = net.cable("pc:eth0", &["10.0.0.1"], "router:eth0", &["10.0.0.254"]);
    let (wan, server) = net.cable("router:eth1", &["192.0.2.7"], "server:eth0", &["192.0.2.9"]);
    (net, [pc, lan, wan, server])
}

#[test]
fn masquerade_is_joined_by_what_nobody_rewrites() {
    let (mut net, [pc, lan, wan, server]) = routed();
    net.track(
        &lan.node,
        5,
        ICMP,
        [("10.0.0.1", 77), ("192.0.2.9", 0)],
        [("192.0.2.9", 77), ("192.0.2.7", 0)],
    );
    let there = echo("10.0.0.1", "192.0.2.9", false, 100, 56);
    net.cross(&pc, &lan, &there.frame(&pc, &lan));
    net.cross(&wan, &server, &there.hop().with("192.0.2.7", "192.0.2.9").frame(&wan, &server));
    let back = echo("192.0.2.9", "192.0.2.7", true, 200, 56);
    net.cross(&server, &wan, &back.frame(&server, &wan));
    net.cross(&lan, &pc, &back.hop().with("192.0.2.9", "10.0.0.1").frame(&lan, &pc));
    check(
        &net.told(),
        "ICMP echo 10.0.0.1 > 192.0.2.9
         There: ICMP echo request seq 1
           pc route dev eth0
           pc:eth0 sent
           router:eth0 received
           router route dev eth1
           router:eth1 ttl 64 > 63
           router Snat 10.0.0.1 > 192.0.2.9 becomes 192.0.2.7 > 192.0.2.9 ct 5
           router:eth1 sent
           server:eth0 received
           server:eth0 delivered to 192.0.2.9
         Back: ICMP echo reply seq 1
           server route dev eth0
           server:eth0 sent
           router:eth1 received
           router Undo 192.0.2.9 > 192.0.2.7 becomes 192.0.2.9 > 10.0.0.1 ct 5
           router route dev eth0
           router:eth0 ttl 64 > 63
           router:eth0 sent
           pc:eth0 received
           pc:eth0 delivered to 10.0.0.1
         arrived",
    );
}

#[test]
fn a_hairpin_crosses_the_same_cable_twice_with_other_addresses() {
    let mut net = Net::default();
    let bridge = net.link("fabric:lan", Kind::Bridge, &[]);
    let (pc, p1) = net.cable("pc:eth0", &["10.0.0.1"], "fabric:p1", &[]);
    let (web, p2) = net.cable("web:eth0", &["10.0.0.2"], "fabric:p2", &[]);
    let (router, p3) = net.cable("router:eth0", &["10.0.0.254", "192.0.2.7"], "fabric:p3", &[]);
    net.enslave(&bridge, &[&p1, &p2, &p3]);
    net.track(
        &router.node,
        9,
        TCP,
        [("10.0.0.1", 40_000), ("192.0.2.7", 8080)],
        [("10.0.0.2", 80), ("10.0.0.254", 40_000)],
    );
    let syn = tcp(("10.0.0.1", 40_000), ("192.0.2.7", 8080), 1, TcpFlags::SYN, 1000, 0, 0);
    let bytes = syn.frame(&pc, &router);
    net.cross(&pc, &p1, &bytes);
    net.cross(&p3, &router, &bytes);
    let rewritten =
        Ip { ttl: 63, ..tcp(("10.0.0.254", 40_000), ("10.0.0.2", 80), 1, TcpFlags::SYN, 1000, 0, 0) };
    let bytes = rewritten.frame(&router, &web);
    net.cross(&router, &p3, &bytes);
    net.cross(&p2, &web, &bytes);
    check(
        &net.told(),
        "TCP 10.0.0.1:40000 > 192.0.2.7:8080
         There: TCP SYN
           pc route dev eth0
           pc:eth0 sent
           fabric:lan bridge p1 > p3 Hit
           router:eth0 received
           router Dnat 10.0.0.1:40000 > 192.0.2.7:8080 becomes 10.0.0.1:40000 > 10.0.0.2:80 ct 9
           router route dev eth0
           router:eth0 ttl 64 > 63
           router Snat 10.0.0.1:40000 > 10.0.0.2:80 becomes 10.0.0.254:40000 > 10.0.0.2:80 ct 9
           router:eth0 sent
           fabric:lan bridge p3 > p2 Hit
           web:eth0 received
           web:eth0 delivered to 10.0.0.2
         lost There at web:eth0:",
    );
}

#[test]
fn a_flood_is_one_way_with_many_ports_and_its_copies_are_not_told() {
    let mut net = Net::default();
    let bridge = net.link("fabric:lan", Kind::Bridge, &[]);
    let (a, p1) = net.cable("a:eth0", &["10.0.0.1"], "fabric:p1", &[]);
    let (b, p2) = net.cable("b:eth0", &["10.0.0.2"], "fabric:p2", &[]);
    let (c, p3) = net.cable("c:eth0", &["10.0.0.3"], "fabric:p3", &[]);
    net.enslave(&bridge, &[&p1, &p2, &p3]);
    let question = arp(1, (&a, "10.0.0.1"), (None, "10.0.0.3"));
    net.see(&a, Toward::Away, &question);
    net.see(&p1, Toward::Many, &question);
    for (port, host) in [(&p2, &b), (&p3, &c)] {
        net.see(port, Toward::Away, &question);
        net.see(host, Toward::Many, &question);
    }
    let answer = arp(2, (&c, "10.0.0.3"), (Some(&a), "10.0.0.1"));
    net.cross(&c, &p3, &answer);
    net.cross(&p1, &a, &answer);
    check(
        &net.told(),
        "ARP who has 10.0.0.3?
         There: ARP who has 10.0.0.3?
           a:eth0 sent
           fabric:lan bridge p1 > p2 p3 Flood
           c:eth0 received
           c:eth0 delivered to 10.0.0.3
         Back: ARP 10.0.0.3 is at 02:00:00:00:00:06
           c:eth0 sent
           fabric:lan bridge p3 > p1 Hit
           a:eth0 received
           a:eth0 delivered to 10.0.0.1
         arrived",
    );
}

#[test]
fn a_router_cuts_a_datagram_and_the_receiver_puts_it_together() {
    let (mut net, [pc, lan, wan, server]) = routed();
    let whole = echo("10.0.0.1", "192.0.2.9", false, 300, 1400);
    net.cross(&pc, &lan, &whole.frame(&pc, &lan));
    let first = Ip { fragment: 0x2000, body: whole.body[..800].to_vec(), ..whole.hop() };
    let second = Ip { fragment: 100, body: whole.body[800..].to_vec(), ..whole.hop() };
    for piece in [&first, &second] {
        net.see(&wan, Toward::Away, &piece.frame(&wan, &server));
    }
    for piece in [&first, &second] {
        net.see(&server, Toward::Here, &piece.frame(&wan, &server));
    }
    check(
        &net.told(),
        "ICMP echo 10.0.0.1 > 192.0.2.9
         There: ICMP echo request seq 1
           pc route dev eth0
           pc:eth0 sent
           router:eth0 received
           router route dev eth1
           router:eth1 ttl 64 > 63
           router:eth1 cut into 2 fragments
           router:eth1 sent
           server:eth0 received
           server:eth0 put together from 2
           server:eth0 delivered to 192.0.2.9
         lost There at server:eth0:",
    );
}

#[test]
fn a_packet_in_a_packet_is_followed_through_the_tunnel() {
    let mut net = Net::default();
    let (a, p1) = net.cable("a:eth0", &["10.9.0.1"], "left:p1", &[]);
    let (b, p2) = net.cable("b:eth0", &["10.9.0.2"], "right:p2", &[]);
    let (u1, u2) = net.cable("left:u", &["192.0.2.1"], "right:u", &["192.0.2.2"]);
    let vxlan = || Kind::Tunnel { word: "vxlan".to_owned(), id: Some(42) };
    let (v1, v2) = (net.link("left:vx", vxlan(), &[]), net.link("right:vx", vxlan(), &[]));
    let (b1, b2) = (net.link("left:br", Kind::Bridge, &[]), net.link("right:br", Kind::Bridge, &[]));
    net.enslave(&b1, &[&p1, &v1]);
    net.enslave(&b2, &[&p2, &v2]);
    let inner = echo("10.9.0.1", "10.9.0.2", false, 400, 56).frame(&a, &b);
    net.cross(&a, &p1, &inner);
    net.see(&v1, Toward::Away, &inner);
    let carried = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &inner].concat();
    let outer = udp(("192.0.2.1", 50_000), ("192.0.2.2", VXLAN), 0, &carried).frame(&u1, &u2);
    net.cross(&u1, &u2, &outer);
    net.see(&v2, Toward::Other, &inner);
    net.see(&p2, Toward::Away, &inner);
    net.see(&b, Toward::Here, &inner);
    check(
        &net.told(),
        "ICMP echo 10.9.0.1 > 10.9.0.2
         There: ICMP echo request seq 1
           a route dev eth0
           a:eth0 sent
           left:br bridge p1 > vx Hit (likely)
           left:vx into vxlan
           left:u sent
           right:u received
           right:vx out of vxlan
           right:br bridge vx > p2 Hit (likely)
           b:eth0 received
           b:eth0 delivered to 10.9.0.2
         lost There at b:eth0:",
    );
}

#[test]
fn a_large_segment_is_cut_on_the_way() {
    let (mut net, [pc, lan, wan, server]) = routed();
    let large = tcp(("10.0.0.1", 40_000), ("192.0.2.9", 80), 10, TcpFlags::ACK, 5000, 1, 3000);
    net.cross(&pc, &lan, &large.frame(&pc, &lan));
    let pieces: Vec<Vec<u8>> = [(10, 5000), (11, 6000), (12, 7000)]
        .into_iter()
        .map(|(id, seq)| {
            let piece = tcp(("10.0.0.1", 40_000), ("192.0.2.9", 80), id, TcpFlags::ACK, seq, 1, 1000);
            piece.hop().frame(&wan, &server)
        })
        .collect();
    for piece in &pieces {
        net.see(&wan, Toward::Away, piece);
    }
    for piece in &pieces {
        net.see(&server, Toward::Here, piece);
    }
    check(
        &net.told(),
        "TCP 10.0.0.1:40000 > 192.0.2.9:80
         There: TCP data 3000 B
           pc route dev eth0
           pc:eth0 sent
           router:eth0 received
           router route dev eth1
           router:eth1 ttl 64 > 63
           router:eth1 cut into 3 segments
           router:eth1 sent
           server:eth0 received
           server:eth0 delivered to 192.0.2.9
         arrived",
    );
}

#[test]
fn a_repeated_segment_is_another_packet_and_the_first_stays_lost() {
    let (mut net, [pc, lan, wan, server]) = routed();
    let syn = |id| tcp(("10.0.0.1", 40_000), ("192.0.2.9", 80), id, TcpFlags::SYN, 1000, 0, 0);
    net.cross(&pc, &lan, &syn(1).frame(&pc, &lan));
    net.cross(&pc, &lan, &syn(2).frame(&pc, &lan));
    net.cross(&wan, &server, &syn(2).hop().frame(&wan, &server));
    let answer =
        tcp(("192.0.2.9", 80), ("10.0.0.1", 40_000), 0, TcpFlags::SYN | TcpFlags::ACK, 9000, 1001, 0);
    net.cross(&server, &wan, &answer.frame(&server, &wan));
    net.cross(&lan, &pc, &answer.hop().frame(&lan, &pc));
    check(
        &net.told(),
        "TCP 10.0.0.1:40000 > 192.0.2.9:80
         There: TCP SYN
           pc route dev eth0
           pc:eth0 sent
           router:eth0 received
         There: TCP SYN
           pc route dev eth0
           pc:eth0 sent
           router:eth0 received
           router route dev eth1
           router:eth1 ttl 64 > 63
           router:eth1 sent
           server:eth0 received
           server:eth0 delivered to 192.0.2.9
         Back: TCP SYN, ACK
           server route dev eth0
           server:eth0 sent
           router:eth1 received
           router route dev eth0
           router:eth0 ttl 64 > 63
           router:eth0 sent
           pc:eth0 received
           pc:eth0 delivered to 10.0.0.1
         arrived",
    );
}

#[test]
fn a_packet_that_leaves_twice_is_a_copy() {
    let mut net = Net::default();
    let (a, b) = net.cable("a:eth0", &["10.0.0.1"], "b:eth0", &["10.0.0.2"]);
    let bytes = udp(("10.0.0.1", 5000), ("10.0.0.2", 6000), 8, b"twice").frame(&a, &b);
    net.see(&a, Toward::Away, &bytes);
    net.see(&a, Toward::Away, &bytes);
    net.see(&b, Toward::Here, &bytes);
    net.see(&b, Toward::Here, &bytes);
    check(
        &net.told(),
        "UDP 10.0.0.1:5000 > 10.0.0.2:6000
         There: UDP 5 B
           a route dev eth0
           a:eth0 sent
           b:eth0 received
           b:eth0 delivered to 10.0.0.2
         There: UDP 5 B (copy)
           a route dev eth0
           a:eth0 sent
           b:eth0 received
           b:eth0 delivered to 10.0.0.2
         arrived",
    );
}

#[test]
fn of_equal_datagrams_the_order_tells_and_that_is_said_to_be_likely_only() {
    let (mut net, [pc, lan, wan, server]) = routed();
    // Without an identification, from two ports that are translated: nothing in the packets tells which is which.
    let datagram = |port| udp(("10.0.0.1", port), ("192.0.2.9", 53), 0, b"same");
    let translated = |port| udp(("192.0.2.7", port), ("192.0.2.9", 53), 0, b"same").hop();
    for port in [1000, 1001] {
        net.cross(&pc, &lan, &datagram(port).frame(&pc, &lan));
    }
    for port in [2000, 2001] {
        net.cross(&wan, &server, &translated(port).frame(&wan, &server));
    }
    let told = net.told();
    let left: Vec<&str> =
        told.iter().filter(|line| line.contains("router:eth1 sent")).map(|line| line.trim()).collect();
    assert_eq!(left, ["router:eth1 sent (likely)", "router:eth1 sent (likely)"], "{told:#?}");
}

#[test]
fn the_table_of_connections_tells_equal_datagrams_apart() {
    let (mut net, [pc, lan, wan, server]) = routed();
    for (port, outside, id) in [(1000, 2001, 1), (1001, 2000, 2)] {
        net.track(
            &lan.node,
            id,
            UDP,
            [("10.0.0.1", port), ("192.0.2.9", 53)],
            [("192.0.2.9", 53), ("192.0.2.7", outside)],
        );
    }
    for port in [1000, 1001] {
        let datagram = udp(("10.0.0.1", port), ("192.0.2.9", 53), 0, b"same");
        net.cross(&pc, &lan, &datagram.frame(&pc, &lan));
    }
    for port in [2000, 2001] {
        let datagram = udp(("192.0.2.7", port), ("192.0.2.9", 53), 0, b"same").hop();
        net.cross(&wan, &server, &datagram.frame(&wan, &server));
    }
    let told = net.told();
    let translated: Vec<&str> =
        told.iter().filter(|line| line.contains("Snat")).map(|line| line.trim()).collect();
    assert_eq!(
        translated,
        [
            "router Snat 10.0.0.1:1000 > 192.0.2.9:53 becomes 192.0.2.7:2001 > 192.0.2.9:53 ct 1",
            "router Snat 10.0.0.1:1001 > 192.0.2.9:53 becomes 192.0.2.7:2000 > 192.0.2.9:53 ct 2",
        ]
    );
    assert!(told.iter().any(|line| line.trim() == "router:eth1 sent"), "{told:#?}");
}

#[test]
fn a_rule_that_drops_ends_the_journey() {
    let (mut net, [pc, lan, ..]) = routed();
    let router = lan.node.clone();
    let chain = KnownChain {
        base: Some(BaseChain {
            kind: ChainKind::Filter,
            hook: Hook::Forward,
            priority: 0,
            policy: Policy::Accept,
        }),
        ..KnownChain::default()
    };
    let ruleset = Ruleset::from([((Family::Inet, "own".to_owned(), "fw".to_owned()), chain)]);
    net.known.rulesets.insert(router.clone(), ruleset);
    let bytes = echo("10.0.0.1", "192.0.2.9", false, 500, 56).frame(&pc, &lan);
    net.cross(&pc, &lan, &bytes);
    net.rule(
        &router,
        ("netyard_trace_1", "prerouting"),
        Some(1),
        RuleVerdict::Continue,
        Some(lan.index),
        Some(&bytes),
    );
    net.rule(&router, ("netyard_trace_1", "prerouting"), None, RuleVerdict::Accept, None, None);
    net.rule(&router, ("own", "fw"), Some(4), RuleVerdict::Drop, Some(lan.index), Some(&bytes));
    check(
        &net.told(),
        "ICMP echo 10.0.0.1 > 192.0.2.9
         There: ICMP echo request seq 1
           pc route dev eth0
           pc:eth0 sent
           router:eth0 received
           router rule fw: drop
           router dropped: rule
         lost There at router: rule",
    );
}

#[test]
fn an_error_is_about_the_packet_that_it_quotes() {
    let (mut net, [pc, lan, ..]) = routed();
    let doomed = Ip { ttl: 1, ..echo("10.0.0.1", "192.0.2.9", false, 600, 56) };
    net.cross(&pc, &lan, &doomed.frame(&pc, &lan));
    let body = [&[11, 0, 0, 0, 0, 0, 0, 0][..], &doomed.bytes()].concat();
    let error = Ip { from: "10.0.0.254", to: "10.0.0.1", ttl: 64, id: 1, protocol: ICMP, fragment: 0, body };
    net.cross(&lan, &pc, &error.frame(&lan, &pc));
    check(
        &net.told(),
        "ICMP echo 10.0.0.1 > 192.0.2.9
         There: ICMP echo request seq 1
           pc route dev eth0
           pc:eth0 sent
           router:eth0 received
         Back: ICMP TTL exceeded
           router route dev eth0
           router:eth0 sent
           pc:eth0 received
           pc:eth0 delivered to 10.0.0.1
         lost There at router:eth0: ttl-exceeded",
    );
}

#[test]
fn ipv6_has_no_identification_and_is_followed_all_the_same() {
    let mut net = Net::default();
    let (a, r1) = net.cable("a:eth0", &["2001:db8:a::1"], "router:eth0", &["2001:db8:a::fe"]);
    let (r2, b) = net.cable("router:eth1", &["2001:db8:b::fe"], "b:eth0", &["2001:db8:b::1"]);
    let packet = |ttl| echo6("2001:db8:a::1", "2001:db8:b::1", ttl, false);
    net.cross(&a, &r1, &frame6(&a, &r1, &packet(64)));
    net.cross(&r2, &b, &frame6(&r2, &b, &packet(63)));
    let packet = |ttl| echo6("2001:db8:b::1", "2001:db8:a::1", ttl, true);
    net.cross(&b, &r2, &frame6(&b, &r2, &packet(64)));
    net.cross(&r1, &a, &frame6(&r1, &a, &packet(63)));
    check(
        &net.told(),
        "ICMPv6 echo 2001:db8:a::1 > 2001:db8:b::1
         There: ICMPv6 echo request seq 1
           a route dev eth0
           a:eth0 sent
           router:eth0 received
           router route dev eth1
           router:eth1 ttl 64 > 63
           router:eth1 sent
           b:eth0 received
           b:eth0 delivered to 2001:db8:b::1
         Back: ICMPv6 echo reply seq 1
           b route dev eth0
           b:eth0 sent
           router:eth1 received
           router route dev eth0
           router:eth0 ttl 64 > 63
           router:eth0 sent
           a:eth0 received
           a:eth0 delivered to 2001:db8:a::1
         arrived",
    );
}

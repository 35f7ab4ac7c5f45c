//! `netyard trace` on real kernels: each kind of journey with its complete list of hops.
#![allow(clippy::unwrap_used)]

mod follow;
mod support;
mod world;

use follow::{journeys, told};
use support::Yard;
use world::World;

/// The network of the talk.
const HOME: &str = "
networks: { lan: 10.0.0.0/24, isp: 10.138.0.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  printer: { links: { lan: 10.0.0.2 } }
  router: { links: { lan: 10.0.0.254, isp: 10.138.0.3 }, masquerade: { from: lan, out: isp } }
  internet: { role: internet, links: { isp: 10.138.0.1 } }
";

#[track_caller]
fn check(told: &[String], wanted: &str) {
    let wanted: Vec<&str> = wanted.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(told, wanted, "\n{}\n", told.join("\n"));
}

#[test]
fn a_ping_through_masquerade_and_the_questions_for_neighbours() {
    let yard = Yard::with_lab("trace-masquerade", HOME);
    let all = journeys(&yard, &["trace", "pc", "1.1.1.1", "--json"], 0);
    check(
        &told(&all, "ARP who has 10.0.0.254?"),
        "there ARP who has 10.0.0.254?
           pc:eth0 sent
           fabric:lan bridge pc > printer router-eth0 (flood)
           router:eth0 received
           router:eth0 delivered to 10.0.0.254
         back ARP 10.0.0.254 is at MAC
           router:eth0 sent
           fabric:lan bridge router-eth0 > pc (hit)
           pc:eth0 received
           pc:eth0 delivered to 10.0.0.1
         arrived, as 10.0.0.1",
    );
    check(
        &told(&all, "ICMP echo 10.0.0.1 > 1.1.1.1"),
        "there ICMP echo request seq 1
           pc route 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.1
           pc:eth0 neighbour 10.0.0.254 (asked)
           pc:eth0 sent
           fabric:lan bridge pc > router-eth0 (hit)
           router:eth0 received
           router route 0.0.0.0/0 via 10.138.0.1 dev eth1
           router:eth1 ttl 64 > 63
           router masquerade 10.0.0.1 > 10.138.0.3 (ct) by oifname \"eth1\" ip saddr 10.0.0.0/24 masquerade
           router:eth1 neighbour 10.138.0.1 (asked)
           router:eth1 sent
           fabric:isp bridge router-eth1 > internet (hit)
           internet:eth0 received
           internet:eth0 delivered to 1.1.1.1
         back ICMP echo reply seq 1
           internet route 10.138.0.0/24 dev eth0 src 10.138.0.1
           internet:eth0 neighbour 10.138.0.3
           internet:eth0 sent
           fabric:isp bridge internet > router-eth1 (hit)
           router:eth1 received
           router undo 10.138.0.3 > 10.0.0.1 (ct)
           router route 10.0.0.0/24 dev eth0
           router:eth0 ttl 64 > 63
           router:eth0 neighbour 10.0.0.1
           router:eth0 sent
           fabric:lan bridge router-eth0 > pc (hit)
           pc:eth0 received
           pc:eth0 delivered to 10.0.0.1
         arrived, as 10.138.0.3",
    );
    check(
        &told(&all, "ARP who has 10.138.0.1?"),
        "there ARP who has 10.138.0.1?
           router:eth1 sent
           fabric:isp bridge router-eth1 > internet (flood)
           internet:eth0 received
           internet:eth0 delivered to 10.138.0.1
         back ARP 10.138.0.1 is at MAC
           internet:eth0 sent
           fabric:isp bridge internet > router-eth1 (hit)
           router:eth1 received
           router:eth1 delivered to 10.138.0.3
         arrived, as 10.138.0.3",
    );
    assert_eq!(all.len(), 3, "nothing else is told");
    let text = yard.prints(&["trace", "pc", "1.1.1.1"]);
    assert!(text.contains("⇄ masquerade 10.0.0.1 → 10.138.0.3"), "{text}");
    assert!(text.contains("⇄ back 10.138.0.3 → 10.0.0.1"), "{text}");
    assert!(text.contains("✓ answered after"), "{text}");
    assert!(!text.contains("(likely)"), "{text}");
    let ascii = yard.prints(&["trace", "pc", "1.1.1.1", "--ascii"]);
    assert!(ascii.is_ascii(), "{ascii}");
}

#[test]
fn a_large_ping_is_cut_and_put_together() {
    let yard = Yard::with_lab("trace-fragments", HOME);
    let all = journeys(&yard, &["trace", "pc", "10.138.0.1", "--size", "4000", "--json"], 0);
    let told = told(&all, "ICMP echo 10.0.0.1 > 10.138.0.1");
    check(
        &told[..15],
        "there ICMP echo request seq 1
           pc route 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.1
           pc:eth0 neighbour 10.0.0.254 (asked)
           pc:eth0 cut into 3 fragments
           pc:eth0 sent
           fabric:lan bridge pc > router-eth0 (hit)
           router:eth0 received
           router route 10.138.0.0/24 dev eth1
           router:eth1 ttl 64 > 63
           router masquerade 10.0.0.1 > 10.138.0.3 (ct) by oifname \"eth1\" ip saddr 10.0.0.0/24 masquerade
           router:eth1 neighbour 10.138.0.1 (asked)
           router:eth1 sent
           fabric:isp bridge router-eth1 > internet (hit)
           internet:eth0 received
           internet:eth0 put together from 3 fragments",
    );
    check(
        &told[15..],
        "internet:eth0 delivered to 10.138.0.1
         back ICMP echo reply seq 1
           internet route 10.138.0.0/24 dev eth0 src 10.138.0.1
           internet:eth0 neighbour 10.138.0.3
           internet:eth0 cut into 3 fragments
           internet:eth0 sent
           fabric:isp bridge internet > router-eth1 (hit)
           router:eth1 received
           router undo 10.138.0.3 > 10.0.0.1 (ct)
           router route 10.0.0.0/24 dev eth0
           router:eth0 ttl 64 > 63
           router:eth0 neighbour 10.0.0.1
           router:eth0 sent
           fabric:lan bridge router-eth0 > pc (hit)
           pc:eth0 received
           pc:eth0 put together from 3 fragments
           pc:eth0 delivered to 10.0.0.1
         arrived, as 10.138.0.3",
    );
}

/// A server behind a forwarded port.
const FORWARD: &str = "
networks: { lan: 10.0.0.0/24, isp: 203.0.113.0/24 }
nodes:
  internet: { role: internet, links: { isp: 203.0.113.1 } }
  router:
    links: { lan: 10.0.0.254, isp: 203.0.113.7 }
    gateway: internet
    masquerade: { from: lan, out: isp }
    nat: [port-forward: { port: 8080, in: isp, to: \"web:80\", hairpin: true }]
  web: { role: internet, links: { lan: 10.0.0.80 }, gateway: router }
  pc: { links: { lan: 10.0.0.1 }, gateway: router }
";

#[test]
fn a_forwarded_port_from_outside_from_inside_and_from_the_router() {
    let yard = Yard::with_lab("trace-forward", FORWARD);
    let outside = journeys(&yard, &["trace", "internet", "203.0.113.7", "tcp:8080", "--json"], 0);
    check(
        &told(&outside, "TCP 203.0.113.1:P > 203.0.113.7:8080")[..24],
        "there TCP SYN
           internet route 203.0.113.0/24 dev eth0 src 203.0.113.1
           internet:eth0 neighbour 203.0.113.7 (asked)
           internet:eth0 sent
           fabric:isp bridge internet > router-eth1 (hit)
           router:eth1 received
           router dnat 203.0.113.7:8080 > 10.0.0.80:80 (ct) by ip daddr 203.0.113.7 tcp dport 8080 dnat ip to 10.0.0.80:80
           router route 10.0.0.0/24 dev eth0
           router:eth0 ttl 64 > 63
           router:eth0 neighbour 10.0.0.80 (asked)
           router:eth0 sent
           fabric:lan bridge router-eth0 > web (hit)
           web:eth0 received
           web:eth0 delivered to 10.0.0.80 at 0.0.0.0:80
         back TCP SYN, ACK
           web route 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.80
           web:eth0 neighbour 10.0.0.254
           web:eth0 sent
           fabric:lan bridge web > router-eth0 (hit)
           router:eth0 received
           router route 203.0.113.0/24 dev eth1
           router:eth1 ttl 64 > 63
           router undo 10.0.0.80:80 > 203.0.113.7:8080 (ct)
           router:eth1 neighbour 203.0.113.1",
    );
    let inside = journeys(&yard, &["trace", "pc", "203.0.113.7", "tcp:8080", "--json"], 0);
    check(
        &told(&inside, "TCP 10.0.0.1:P > 203.0.113.7:8080")[..29],
        "there TCP SYN
           pc route 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.1
           pc:eth0 neighbour 10.0.0.254 (asked)
           pc:eth0 sent
           fabric:lan bridge pc > router-eth0 (hit)
           router:eth0 received
           router dnat 203.0.113.7:8080 > 10.0.0.80:80 (ct) by ip daddr 203.0.113.7 tcp dport 8080 dnat ip to 10.0.0.80:80
           router route 10.0.0.0/24 dev eth0
           router:eth0 ttl 64 > 63
           router masquerade 10.0.0.1:P > 10.0.0.254:P (ct) by ip saddr 10.0.0.0/24 ip daddr 10.0.0.80 tcp dport 80 ct status dnat masquerade
           router:eth0 neighbour 10.0.0.80
           router:eth0 sent
           fabric:lan bridge router-eth0 > web (hit)
           web:eth0 received
           web:eth0 delivered to 10.0.0.80 at 0.0.0.0:80
         back TCP SYN, ACK
           web route 10.0.0.0/24 dev eth0 src 10.0.0.80
           web:eth0 neighbour 10.0.0.254
           web:eth0 sent
           fabric:lan bridge web > router-eth0 (hit)
           router:eth0 received
           router undo 10.0.0.254:P > 10.0.0.1:P (ct)
           router route 10.0.0.0/24 dev eth0
           router:eth0 ttl 64 > 63
           router undo 10.0.0.80:80 > 203.0.113.7:8080 (ct)
           router:eth0 neighbour 10.0.0.1
           router:eth0 sent
           fabric:lan bridge router-eth0 > pc (hit)
           pc:eth0 received",
    );
    let own = journeys(&yard, &["trace", "router", "203.0.113.7", "tcp:8080", "--json"], 0);
    check(
        &told(&own, "TCP 203.0.113.7:P > 203.0.113.7:8080")[..17],
        "there TCP SYN
           router dnat 203.0.113.7:8080 > 10.0.0.80:80 (ct) by ip daddr 203.0.113.7 tcp dport 8080 dnat ip to 10.0.0.80:80
           router route 10.0.0.0/24 dev eth0 src 10.0.0.254
           router:eth0 neighbour 10.0.0.80
           router:eth0 sent
           fabric:lan bridge router-eth0 > web (hit)
           web:eth0 received
           web:eth0 delivered to 10.0.0.80 at 0.0.0.0:80
         back TCP SYN, ACK
           web route 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.80
           web:eth0 neighbour 10.0.0.254
           web:eth0 sent
           fabric:lan bridge web > router-eth0 (hit)
           router:eth0 received
           router undo 10.0.0.80:80 > 203.0.113.7:8080 (ct)
           router:eth0 delivered to 203.0.113.7
         there TCP ACK",
    );
}

#[test]
fn two_translations_one_after_the_other() {
    let yard = Yard::with_lab(
        "trace-double",
        "
networks: { home: 192.168.0.0/24, carrier: 100.64.0.0/24, world: 203.0.113.0/24 }
nodes:
  pc: { links: { home: 192.168.0.10 } }
  router: { links: { home: 192.168.0.1, carrier: 100.64.0.11 }, masquerade: { from: home, out: carrier }, gateway: cgn }
  cgn: { links: { carrier: 100.64.0.1, world: 203.0.113.100 }, masquerade: { from: carrier, out: world } }
  internet: { role: internet, links: { world: 203.0.113.1 } }
",
    );
    let all = journeys(&yard, &["trace", "pc", "1.1.1.1", "--json"], 0);
    let told = told(&all, "ICMP echo 192.168.0.10 > 1.1.1.1");
    let translations: Vec<&String> =
        told.iter().filter(|line| line.contains("masquerade") || line.contains("undo")).collect();
    assert_eq!(
        translations,
        [
            "router masquerade 192.168.0.10 > 100.64.0.11 (ct) by oifname \"eth1\" ip saddr 192.168.0.0/24 masquerade",
            "cgn masquerade 100.64.0.11 > 203.0.113.100 (ct) by oifname \"eth1\" ip saddr 100.64.0.0/24 masquerade",
            "cgn undo 203.0.113.100 > 100.64.0.11 (ct)",
            "router undo 100.64.0.11 > 192.168.0.10 (ct)",
        ]
    );
    let passed: Vec<&String> =
        told.iter().filter(|line| line.contains(" sent") || line.contains(" received")).collect();
    assert_eq!(
        passed,
        [
            "pc:eth0 sent",
            "router:eth0 received",
            "router:eth1 sent",
            "cgn:eth0 received",
            "cgn:eth1 sent",
            "internet:eth0 received",
            "internet:eth0 sent",
            "cgn:eth1 received",
            "cgn:eth0 sent",
            "router:eth1 received",
            "router:eth0 sent",
            "pc:eth0 received",
        ]
    );
    assert_eq!(told.last().unwrap(), "arrived, as 203.0.113.100");
}

#[test]
fn ipv6_and_its_neighbours() {
    let yard = Yard::with_lab(
        "trace-six",
        "
networks: { a: \"2001:db8:a::/64\", b: \"2001:db8:b::/64\" }
nodes:
  left: { links: { a: \"2001:db8:a::1\" }, gateway: router }
  router: { links: { a: \"2001:db8:a::fe\", b: \"2001:db8:b::fe\" }, forward: true }
  right: { links: { b: \"2001:db8:b::1\" }, gateway: router }
",
    );
    let all = journeys(&yard, &["trace", "left", "right", "--json"], 0);
    check(
        &told(&all, "neighbour discovery: who has 2001:db8:a::fe?"),
        "there neighbour discovery: who has 2001:db8:a::fe?
           left:eth0 sent
           fabric:a bridge left > router-eth0 (flood)
           router:eth0 received
           router:eth0 delivered to 2001:db8:a::fe
         back neighbour discovery: 2001:db8:a::fe is at MAC
           router route 2001:db8:a::/64 dev eth0 src 2001:db8:a::fe
           router:eth0 neighbour 2001:db8:a::1
           router:eth0 sent
           fabric:a bridge router-eth0 > left (hit)
           left:eth0 received
           left:eth0 delivered to 2001:db8:a::1
         arrived, as 2001:db8:a::1",
    );
    check(
        &told(&all, "ICMPv6 echo 2001:db8:a::1 > 2001:db8:b::1"),
        "there ICMPv6 echo request seq 1
           left route ::/0 via 2001:db8:a::fe dev eth0 src 2001:db8:a::1
           left:eth0 neighbour 2001:db8:a::fe (asked)
           left:eth0 sent
           fabric:a bridge left > router-eth0 (hit)
           router:eth0 received
           router route 2001:db8:b::/64 dev eth1
           router:eth1 ttl 64 > 63
           router:eth1 neighbour 2001:db8:b::1 (asked)
           router:eth1 sent
           fabric:b bridge router-eth1 > right (hit)
           right:eth0 received
           right:eth0 delivered to 2001:db8:b::1
         back ICMPv6 echo reply seq 1
           right route ::/0 via 2001:db8:b::fe dev eth0 src 2001:db8:b::1
           right:eth0 neighbour 2001:db8:b::fe (asked)
           right:eth0 sent
           fabric:b bridge right > router-eth1 (hit)
           router:eth1 received
           router route 2001:db8:a::/64 dev eth0
           router:eth0 ttl 64 > 63
           router:eth0 neighbour 2001:db8:a::1
           router:eth0 sent
           fabric:a bridge router-eth0 > left (hit)
           left:eth0 received
           left:eth0 delivered to 2001:db8:a::1
         arrived, as 2001:db8:a::1",
    );
}

/// Two bridges of namespaces that no lab has made, joined by a network over UDP.
const OVERLAY: &str = r"
    for s in 1 2; do
        ip netns add sw$s; ip netns add pc$s
        ip link add eth0 netns pc$s type veth peer name p$s netns sw$s
        ip -n sw$s link add br0 type bridge
        ip -n pc$s address add 10.9.0.$s/24 dev eth0
        for n in sw$s pc$s; do ip -n $n link set lo up; done
    done
    ip link add u0 netns sw1 type veth peer name u0 netns sw2
    for s in 1 2; do
        ip -n sw$s address add 192.0.2.$s/24 dev u0
        ip -n sw$s link set u0 up
        ip -n sw$s link add vx type vxlan id 42 local 192.0.2.$s remote 192.0.2.$((3 - s)) dstport 4789
        for l in p$s vx; do ip -n sw$s link set $l master br0; ip -n sw$s link set $l up; done
        ip -n sw$s link set br0 up
        ip -n pc$s link set eth0 up
    done
";

#[test]
fn a_network_over_udp_made_by_hand() {
    let (yard, world) = (Yard::new("trace-overlay"), World::new(OVERLAY));
    // Bridges and the network below learn addresses first.
    world.says(&yard, &["trace", "pc1", "pc2"]);
    let text = world.says(&yard, &["trace", "pc1", "pc2", "--json"]);
    let all = follow::read(&text);
    check(
        &told(&all, "ICMP echo 10.9.0.1 > 10.9.0.2"),
        "there ICMP echo request seq 1
           pc1 route 10.9.0.0/24 dev eth0 src 10.9.0.1
           pc1:eth0 neighbour 10.9.0.2
           pc1:eth0 sent
           sw1:br0 bridge p1 > vx (hit)
           sw1:vx into vxlan 42
           sw1:u0 neighbour 192.0.2.2
           sw1:u0 sent
           sw2:u0 received
           sw2:vx out of vxlan 42
           sw2:br0 bridge vx > p2 (hit)
           pc2:eth0 received
           pc2:eth0 delivered to 10.9.0.2
         back ICMP echo reply seq 1
           pc2 route 10.9.0.0/24 dev eth0 src 10.9.0.2
           pc2:eth0 neighbour 10.9.0.1
           pc2:eth0 sent
           sw2:br0 bridge p2 > vx (hit)
           sw2:vx into vxlan 42
           sw2:u0 neighbour 192.0.2.1
           sw2:u0 sent
           sw1:u0 received
           sw1:vx out of vxlan 42
           sw1:br0 bridge vx > p1 (hit)
           pc1:eth0 received
           pc1:eth0 delivered to 10.9.0.1
         arrived, as 10.9.0.1",
    );
    // A program in a namespace of no lab.
    let ran = world.run(&yard, &["trace", "pc1", "--", "ping", "-c1", "10.9.0.2"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("1 received"), "{}", ran.stdout);
    assert!(ran.stdout.contains("put into vxlan 42"), "{}", ran.stdout);
}

#[test]
fn a_hub_sends_to_all_ports() {
    let yard = Yard::with_lab(
        "trace-hub",
        "
networks: { lan: { prefix: 10.0.0.0/24, kind: hub } }
nodes:
  a: { links: { lan: 10.0.0.1 } }
  b: { links: { lan: 10.0.0.2 } }
  c: { links: { lan: 10.0.0.3 } }
",
    );
    let all = journeys(&yard, &["trace", "a", "b", "--json"], 0);
    check(
        &told(&all, "ICMP echo 10.0.0.1 > 10.0.0.2"),
        "there ICMP echo request seq 1
           a route 10.0.0.0/24 dev eth0 src 10.0.0.1
           a:eth0 neighbour 10.0.0.2 (asked)
           a:eth0 sent
           fabric:lan bridge a > b c (flood)
           b:eth0 received
           b:eth0 delivered to 10.0.0.2
         back ICMP echo reply seq 1
           b route 10.0.0.0/24 dev eth0 src 10.0.0.2
           b:eth0 neighbour 10.0.0.1
           b:eth0 sent
           fabric:lan bridge b > a c (flood)
           a:eth0 received
           a:eth0 delivered to 10.0.0.1
         arrived, as 10.0.0.1",
    );
}

#[test]
fn what_ends_on_the_way_is_told_with_its_cause() {
    let yard = Yard::with_lab("trace-ends", HOME);
    let ttl = journeys(&yard, &["trace", "pc", "1.1.1.1", "--ttl", "1", "--json"], 1);
    check(
        &told(&ttl, "ICMP echo 10.0.0.1 > 1.1.1.1"),
        "there ICMP echo request seq 1
           pc route 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.1
           pc:eth0 neighbour 10.0.0.254 (asked)
           pc:eth0 sent
           fabric:lan bridge pc > router-eth0 (hit)
           router:eth0 received
         back ICMP TTL exceeded
           router route 10.0.0.0/24 dev eth0 src 10.0.0.254
           router:eth0 neighbour 10.0.0.1
           router:eth0 sent
           fabric:lan bridge router-eth0 > pc (hit)
           pc:eth0 received
           pc:eth0 delivered to 10.0.0.1
         lost there at router:eth0: ttl-exceeded at router",
    );
    let closed = journeys(&yard, &["trace", "pc", "router", "tcp:81", "--json"], 1);
    check(
        &told(&closed, "TCP 10.0.0.1:P > 10.0.0.254:81"),
        "there TCP SYN
           pc route 10.0.0.0/24 dev eth0 src 10.0.0.1
           pc:eth0 neighbour 10.0.0.254
           pc:eth0 sent
           fabric:lan bridge pc > router-eth0 (hit)
           router:eth0 received
           router:eth0 delivered to 10.0.0.254
         back TCP RST, ACK
           router route 10.0.0.0/24 dev eth0 src 10.0.0.254
           router:eth0 neighbour 10.0.0.1
           router:eth0 sent
           fabric:lan bridge router-eth0 > pc (hit)
           pc:eth0 received
           pc:eth0 delivered to 10.0.0.1
         refused by router: TCP RST",
    );
    let udp = journeys(&yard, &["trace", "pc", "router", "udp:81", "--json"], 1);
    check(
        &told(&udp, "UDP 10.0.0.1:P > 10.0.0.254:81"),
        "there UDP 7 B
           pc route 10.0.0.0/24 dev eth0 src 10.0.0.1
           pc:eth0 neighbour 10.0.0.254
           pc:eth0 sent
           fabric:lan bridge pc > router-eth0 (hit)
           router:eth0 received
           router:eth0 delivered to 10.0.0.254
         back ICMP port unreachable
           router route 10.0.0.0/24 dev eth0 src 10.0.0.254
           router:eth0 neighbour 10.0.0.1
           router:eth0 sent
           fabric:lan bridge router-eth0 > pc (hit)
           pc:eth0 received
           pc:eth0 delivered to 10.0.0.1
         refused by router: ICMP port unreachable",
    );
    let nowhere = journeys(&yard, &["trace", "internet", "10.0.0.1", "--json"], 1);
    assert_eq!(follow::verdict(&nowhere[0]), "lost there at internet: unreachable-route at internet");
    let nobody = yard.run(&["trace", "pc", "10.0.0.77"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stdout.contains("nobody answers for 10.0.0.77: pc has asked"), "{}", nobody.stdout);
}

#[test]
fn a_rule_that_drops_is_named_with_its_remedy() {
    let yard = Yard::with_lab("trace-drop", HOME);
    let nft = |words: &[&str]| yard.prints(&[&["exec", "router", "--", "nft"], words].concat());
    nft(&["add", "table", "inet", "own"]);
    nft(&["add", "chain", "inet", "own", "fw", "{ type filter hook forward priority 0; }"]);
    nft(&["add", "rule", "inet", "own", "fw", "tcp", "dport", "25", "drop"]);
    let all = journeys(&yard, &["trace", "pc", "1.1.1.1", "tcp:25", "--json"], 1);
    let first = told(&all, "TCP 10.0.0.1:P > 1.1.1.1:25");
    check(
        &first[..8],
        "there TCP SYN
           pc route 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.1
           pc:eth0 neighbour 10.0.0.254 (asked)
           pc:eth0 sent
           fabric:lan bridge pc > router-eth0 (hit)
           router:eth0 received
           router rule inet own fw: tcp dport 25 drop (drop)
           router dropped: rule",
    );
    assert_eq!(first.last().unwrap(), "lost there at router: rule at router");
    let text = yard.run(&["trace", "pc", "1.1.1.1", "tcp:25"]);
    assert_eq!(text.code, Some(1));
    let remedy = format!("netyard exec router -- nft delete rule inet own fw handle {}", 2);
    assert!(text.stdout.contains(&remedy), "{}", text.stdout);
    // And at the sender itself, where no link sees the packet.
    let nft = |words: &[&str]| yard.prints(&[&["exec", "pc", "--", "nft"], words].concat());
    nft(&["add", "table", "inet", "own"]);
    nft(&["add", "chain", "inet", "own", "out", "{ type filter hook output priority 0; policy drop; }"]);
    let all = journeys(&yard, &["trace", "pc", "printer", "--json"], 1);
    check(
        &told(&all, "ICMP echo 10.0.0.1 > 10.0.0.2"),
        "there ICMP echo request seq 1
           pc rule inet own out: policy drop (drop)
           pc dropped: policy
         lost there at pc: policy at pc",
    );
}

#[test]
fn large_segments_stay_whole_where_links_carry_them() {
    let yard = Yard::with_lab(
        "trace-gso",
        "
profile: fast
networks: { lan: 10.0.0.0/24, isp: 10.138.0.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  router: { links: { lan: 10.0.0.254, isp: 10.138.0.3 }, masquerade: { from: lan, out: isp } }
  internet: { role: internet, links: { isp: 10.138.0.1 } }
",
    );
    let script = "
import socket
listener = socket.create_server(('10.138.0.1', 7000))
print('listens', flush=True)
connection = listener.accept()[0]
while connection.recv(1 << 20): pass
";
    let mut server = follow::server(&yard, &["exec", "internet", "--", "python3", "-c", script]);
    let client = "
import socket
connection = socket.create_connection(('10.138.0.1', 7000))
connection.sendall(bytes(1 << 20))
connection.shutdown(socket.SHUT_WR)
connection.recv(1)
";
    let all = journeys(&yard, &["trace", "pc", "--json", "--", "python3", "-c", client], 0);
    assert!(server.wait().unwrap().success());
    let journey = follow::find(&all, "TCP 10.0.0.1:P > 10.138.0.1:7000");
    let large = follow::legs(journey).into_iter().find(|leg| leg["headers"]["len"].as_u64().unwrap() > 1514);
    let hops = follow::hops(large.expect("a segment above the MTU"));
    check(
        &hops,
        "pc route 0.0.0.0/0 via 10.0.0.254 dev eth0 src 10.0.0.1
         pc:eth0 neighbour 10.0.0.254 (asked)
         pc:eth0 sent
         fabric:lan bridge pc > router-eth0 (hit)
         router:eth0 received
         router route 10.138.0.0/24 dev eth1
         router:eth1 ttl 64 > 63
         router masquerade 10.0.0.1:P > 10.138.0.3:P (ct)
         router:eth1 neighbour 10.138.0.1 (asked)
         router:eth1 sent
         fabric:isp bridge router-eth1 > internet (hit)
         internet:eth0 received
         internet:eth0 delivered to 10.138.0.1 at 10.138.0.1:7000",
    );
}

#[test]
fn a_gigabyte_through_masquerade_loses_no_beginning_and_no_end() {
    // 256 MiB tell as much as a whole gigabyte, and take a quarter of the time where the program is not optimised.
    let mebibytes: u32 = if cfg!(debug_assertions) { 256 } else { 1024 };
    let yard = Yard::with_lab("trace-bulk", HOME);
    let server = "
import socket
listener = socket.create_server(('10.138.0.1', 7000))
print('listens', flush=True)
for _ in range(2):
    connection = listener.accept()[0]
    while connection.recv(1 << 20): pass
    connection.close()
";
    let mut server = follow::server(&yard, &["exec", "internet", "--", "python3", "-c", server]);
    let client = format!(
        "
import socket, time
connection = socket.create_connection(('10.138.0.1', 7000))
begun = time.monotonic()
for _ in range({mebibytes}): connection.sendall(bytes(1 << 20))
connection.shutdown(socket.SHUT_WR)
connection.recv(1)
print(f'SECONDS {{time.monotonic() - begun}}')
"
    );
    let seconds = |text: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix("SECONDS ")).unwrap();
        line.parse().unwrap()
    };
    let alone = seconds(&yard.prints(&["exec", "pc", "--", "python3", "-c", &client]));
    let ran = yard.run(&["trace", "pc", "--json", "--", "python3", "-c", &client]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(server.wait().unwrap().success());
    let traced = seconds(&ran.stdout);
    println!(
        "{mebibytes} MiB: {alone:.2} s alone, {traced:.2} s traced, {:.2} times as long",
        traced / alone
    );
    let all = follow::read(&ran.stdout);
    let journey = follow::find(&all, "TCP 10.0.0.1:P > 10.138.0.1:7000");
    let titles: Vec<&str> = follow::legs(journey).iter().map(|leg| leg["title"].as_str().unwrap()).collect();
    for wanted in ["TCP SYN", "TCP SYN, ACK", "TCP ACK"] {
        let leg = follow::legs(journey)
            .into_iter()
            .find(|leg| leg["title"] == *wanted)
            .unwrap_or_else(|| panic!("{titles:?}"));
        let hops = follow::hops(leg);
        let passed = hops.iter().filter(|hop| hop.contains(" sent") || hop.contains(" received")).count();
        assert_eq!(passed, 4, "{wanted}: {hops:?}");
    }
    assert!(titles.iter().any(|title| title.starts_with("TCP FIN")), "{titles:?}");
    let more = journey["more"].as_array().unwrap();
    let sent = more.iter().find(|more| more["place"]["node"] == "pc" && more["is_out"] == true).unwrap();
    let wanted = u64::from(mebibytes) << 20;
    // What the rings could not hold is told.
    let end = follow::end(&ran.stdout);
    let has_losses =
        end["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("ring"));
    assert!(has_losses || sent["bytes"].as_u64().unwrap() > wanted, "{sent} {end}");
    assert!(traced / alone < 5.0, "{alone} s alone, {traced} s traced");
}

#[test]
fn nothing_is_left_and_nothing_is_seen_of_tracing() {
    let yard = Yard::with_lab("trace-kill", HOME);
    let file = yard.folder.join("lab.yaml");
    let tables = || yard.prints(&["exec", "router", "--", "nft", "list", "tables"]);
    let before = (tables(), yard.prints(&["show", "--json"]));
    let mut child = follow::started(&yard, &["trace", "--follow", "icmp"]);
    assert!(tables().contains("netyard_trace_"), "{}", tables());
    let plan = yard.run(&["plan", file.to_str().unwrap()]);
    assert_eq!(plan.code, Some(0));
    assert!(plan.stdout.is_empty(), "a plan does not see what tracing adds: {}", plan.stdout);
    assert_eq!(yard.prints(&["show", "--json"]), before.1);
    let look = yard.json(&["look", &yard.lab, "--json"]);
    assert!(!look.to_string().contains("netyard_trace"));
    child.kill().unwrap();
    child.wait().unwrap();
    support::until("the tables of tracing are gone", || tables() == before.0);
}

#[test]
fn a_filter_follows_packets_of_all_nodes_until_there_are_enough() {
    let yard = Yard::with_lab("trace-follow", HOME);
    let child = follow::started(
        &yard,
        &["trace", "--follow", "icmp", "and", "host", "10.0.0.2", "-c", "2", "--json"],
    );
    yard.prints(&["ping", "pc", "1.1.1.1", "-c", "1"]);
    yard.prints(&["ping", "pc", "printer", "-c", "2"]);
    let output = follow::end_of(child);
    let all = follow::read(&output);
    let titles: Vec<&str> = all.iter().map(|journey| journey["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["ICMP echo 10.0.0.1 > 10.0.0.2", "ICMP echo 10.0.0.1 > 10.0.0.2"]);
    let ran = yard.run(&["trace", "--follow", "icmp", "and", "and"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let ended = yard.run(&["trace", "--follow", "tcp", "--for", "200ms"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
}

#[test]
fn a_saved_trace_is_replayed_step_by_step() {
    let yard = Yard::with_lab("trace-replay", HOME);
    let file = yard.folder.join("ping.trace");
    let path = file.to_str().unwrap();
    let text = yard.prints(&["trace", "pc", "printer", "--save", path]);
    let replayed = yard.prints(&["trace", "--replay", path]);
    assert!(replayed.contains("step 1/"), "{replayed}");
    assert!(replayed.ends_with(&text), "{replayed}");
    assert!(replayed.contains("▶ lan ◀"), "{replayed}");
    let step = yard.prints(&["trace", "--replay", path, "--step", "1", "--ascii"]);
    assert!(step.contains("> pc <"), "{step}");
    assert!(yard.run(&["trace", "--replay", path, "--step", "999"]).code == Some(2));
    let broken = yard.write("broken.trace", "{\"event\":\"end\"}\n");
    assert_eq!(yard.run(&["trace", "--replay", broken.to_str().unwrap()]).code, Some(2));
}

#[test]
fn the_status_is_that_of_the_command_or_tells_of_losses() {
    let yard = Yard::with_lab("trace-status", HOME);
    assert_eq!(yard.run(&["trace", "pc", "--", "sh", "-c", "exit 7"]).code, Some(7));
    assert_eq!(yard.run(&["trace", "pc", "--", "true"]).code, Some(0));
    let lost = yard.run(&["trace", "pc", "--", "sh", "-c", "ping -c1 -W1 -t1 1.1.1.1; true"]);
    assert_eq!(lost.code, Some(1), "{}", lost.stdout);
    assert_eq!(yard.run(&["trace", "nobody", "1.1.1.1"]).code, Some(2));
    assert_eq!(yard.run(&["trace", "pc", "1.1.1.1", "sctp:1"]).code, Some(2));
    assert_eq!(yard.run(&["trace", "pc"]).code, Some(2));
}

#[test]
fn expectations_name_the_reason_why_nothing_arrives() {
    let yard = Yard::new("trace-expect");
    let lab = |by: &str| {
        format!(
            "
networks: {{ left: 10.0.1.0/24, right: 10.0.2.0/24 }}
nodes:
  pc: {{ links: {{ left: 10.0.1.1 }}, gateway: router }}
  server: {{ links: {{ right: 10.0.2.1 }}, gateway: router }}
  router:
    links: {{ left: 10.0.1.254, right: 10.0.2.254 }}
    forward: true
    firewall: {{ forward: {{ allow: [{{ icmp: true }}] }} }}
expect:
  - {{ from: pc, ping: server }}
  - {{ from: pc, tcp: \"server:80\", outcome: dropped }}
  - {{ from: pc, tcp: \"server:80\", {by} }}
"
        )
    };
    let run = |by: &str| {
        let file = yard.write("lab.yaml", &format!("lab: {}{}", yard.lab, lab(by)));
        yard.run(&["test", file.to_str().unwrap()])
    };
    let right = run("dropped-by: policy, dropped-at: router");
    assert_eq!(right.code, Some(0), "{}{}", right.stdout, right.stderr);
    assert!(right.stdout.contains("dropped by policy at router"), "{}", right.stdout);
    let wrong = run("dropped-by: rule");
    assert_eq!(wrong.code, Some(1), "{}{}", wrong.stdout, wrong.stderr);
    assert!(wrong.stdout.contains("dropped by policy at router"), "{}", wrong.stdout);
    let elsewhere = run("dropped-by: policy, dropped-at: server");
    assert_eq!(elsewhere.code, Some(1), "{}", elsewhere.stdout);
    // What arrives is not dropped.
    let file = yard.write(
        "lab.yaml",
        &format!(
            "lab: {}{}  - {{ from: pc, ping: router, dropped-by: policy }}\n",
            yard.lab,
            lab("outcome: dropped")
        ),
    );
    let arrives = yard.run(&["test", file.to_str().unwrap()]);
    assert_eq!(arrives.code, Some(1), "{}", arrives.stdout);
}

#[test]
fn a_node_that_asks_itself_is_answered() {
    let yard = Yard::with_lab("trace-self", HOME);
    let all = journeys(&yard, &["trace", "pc", "pc", "--json"], 0);
    let told = told(&all, "ICMP echo 10.0.0.1 > 10.0.0.1");
    let ways: Vec<&str> = told.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ways.iter().filter(|word| **word == "there").count(), 1, "{told:#?}");
    assert_eq!(ways.iter().filter(|word| **word == "back").count(), 1, "{told:#?}");
    assert_eq!(told.last().map(String::as_str), Some("arrived, as 10.0.0.1"), "{told:#?}");
}

#[test]
fn words_that_go_with_nothing_are_refused() {
    let yard = Yard::with_lab("trace-words", HOME);
    for words in [
        &["trace", "pc", "printer", "tcp:80", "--size", "100"][..],
        &["trace", "pc", "printer", "tcp:80", "--df"],
        &["trace", "pc", "printer", "--for", "3s"],
        &["trace", "pc", "printer", "--step", "3"],
        &["trace", "pc", "printer", "--ttl", "0"],
        &["trace", "pc", "printer", "tcp:0"],
    ] {
        let ran = yard.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("error"), "{words:?}: {}", ran.stderr);
    }
}

/// The internet of a sandbox cannot be looked into from inside.
#[test]
fn an_answer_from_out_of_sight_is_the_answer() {
    let yard = Yard::new("trace-out");
    let script = "
        ip netns add pc
        ip link add v0 type veth peer name eth0 netns pc
        ip address add 10.0.0.254/24 dev v0; ip link set v0 up
        ip -n pc address add 10.0.0.1/24 dev eth0; ip -n pc link set eth0 up
        ip -n pc route add default via 10.0.0.254
        sysctl -qw net.ipv4.ip_forward=1
        nft 'add table ip nat; add chain ip nat p { type nat hook postrouting priority 100; }
             add rule ip nat p oifname \"ens4\" masquerade'
        trace pc 1.1.1.1 || exit 1
        trace pc 1.1.1.1 || exit 1
        trace vm 1.1.1.1
    ";
    let mut command = yard.command(support::PROGRAM);
    command.args(["--lab", &yard.lab, "play", "--", "bash", "-c", script]);
    let ran = support::finished(&mut command);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout.matches("ICMP echo reply seq 1").count(), 3, "{}", ran.stdout);
    let answered = ran.stdout.lines().filter(|line| line.starts_with("✓ answered after"));
    assert_eq!(answered.count(), 3, "{}", ran.stdout);
    assert!(!ran.stdout.contains("? still under way"), "{}", ran.stdout);
}

#[test]
fn a_sandbox_is_traced_from_inside() {
    let yard = Yard::new("trace-play");
    let script = "
        ip netns add pc
        ip link add v0 type veth peer name eth0 netns pc
        ip address add 10.0.0.254/24 dev v0; ip link set v0 up
        ip -n pc address add 10.0.0.1/24 dev eth0; ip -n pc link set eth0 up
        \"$NETYARD\" trace pc vm
        ip netns exec pc \"$NETYARD\" look > /dev/null
    ";
    let mut command = yard.command(support::PROGRAM);
    command.args(["--lab", &yard.lab, "play", "--", "bash", "-c", script]).env("NETYARD", support::PROGRAM);
    let ran = support::finished(&mut command);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("✓ answered after"), "{}", ran.stdout);
    assert!(ran.stdout.contains("◂ v0"), "{}", ran.stdout);
}

//! Every lab of the gallery holds what it states, and stops holding it when what makes it that lab is changed.
//!
//! A lab is tested as its user would, by `netyard test FILE`, on a private copy: any number may run side by side.
#![allow(clippy::unwrap_used)]

mod gallery;

use gallery::{Case, folder, lab_names, report_of};
use netyard::{Lab, RunningLab};
use netyard_core::diagnostic::Style;

/// A change of a lab's text that takes away what an expectation is about.
struct Mutation {
    /// What is changed, for messages.
    name: &'static str,
    /// Text of the lab, there at least once; every place is changed.
    from: &'static str,
    to: &'static str,
    /// Words of an expectation that must fail then.
    fails: &'static str,
}

/// A test per lab that it holds, and one per lab that none of its mutations does.
macro_rules! labs {
    ($($lab:ident: [$(($name:literal, $from:literal => $to:literal, fails $fails:literal)),+ $(,)?],)+) => {
        $(mod $lab {
            #[test]
            fn holds() {
                super::holds(stringify!($lab));
            }

            #[test]
            fn notices_what_is_changed() {
                super::notices(stringify!($lab), &[$(
                    super::Mutation { name: $name, from: $from, to: $to, fails: $fails }
                ),+]);
            }
        })+

        /// The labs with tests, by the names of their modules.
        const TESTED: &[&str] = &[$(stringify!($lab)),+];
    };
}

labs! {
    anycast: [
        ("east asks in the west", "192.0.2.53/32: 10.1.1.1, 10.2.0.0/16" => "192.0.2.53/32: 10.3.0.2, 10.2.0.0/16",
            fails "alice reaches 192.0.2.53"),
        ("the west asks in the east", "192.0.2.53/32: 10.2.1.1" => "192.0.2.53/32: r-east",
            fails "bob reaches 192.0.2.53"),
    ],
    bandwidth: [
        ("half the rate down", "down: { rate: 10mbit }" => "down: { rate: 5mbit }", fails "isp sends 10 Mbit/s"),
        ("no limit up", "up: { rate: 2mbit }, " => "", fails "home sends 2 Mbit/s"),
    ],
    bridge: [
        ("an answer that has passed a router", "  b: {" => "  b: { sysctls: { net.ipv4.ip_default_ttl: 63 },",
            fails "a pings b"),
        ("another Ethernet address", "address: 10.0.0.2, mac: 02:00:00:00:00:0b" => "address: 10.0.0.2",
            fails "a has neighbour b"),
        ("somebody has the free address", "{ lan: 10.0.0.1 }" => "{ lan: [10.0.0.1, 10.0.0.99] }",
            fails "c cannot ping 10.0.0.99"),
    ],
    cable: [
        ("a shorter frame", "kind: cable }" => "kind: cable, mtu: 1499 }", fails "left pings right with 1472"),
        ("a longer frame", "kind: cable }" => "kind: cable, mtu: 1501 }", fails "left cannot ping right with 1473"),
        ("another initial TTL", "  right: { " => "  right: { sysctls: { net.ipv4.ip_default_ttl: 63 }, ",
            fails "left pings right, answered with TTL 64"),
        ("a default route", "    links: { wire: 10.0.0.1 }" => "    links: { wire: 10.0.0.1 }\n    gateway: right",
            fails "left cannot ping 10.0.1.1"),
    ],
    cgn: [
        ("a carrier that does not translate",
            "masquerade: { from: carrier, out: world }" => "forward: true",
            fails "pc1 pings 1.1.1.1"),
        ("a home that does not translate", "masquerade: { from: home1, out: carrier }" => "forward: true",
            fails "pc1 pings cgn"),
    ],
    cloud_address: [
        ("no default route", "to: default, via" => "to: 9.0.0.0/8, via", fails "vm pings 1.1.1.1"),
        ("a shorter packet", "mtu: 1460" => "mtu: 1459", fails "vm pings 1.1.1.1 with 1432"),
        ("a longer packet", "mtu: 1460" => "mtu: 1461", fails "vm cannot ping 1.1.1.1 with 1433"),
    ],
    dmz: [
        ("an open firewall", "      forward:\n        allow:" => "      forward:\n        policy: drop\n        allow:\n          - all",
            fails "web cannot connect to pc port 22"),
        ("ssh open to the world", "tcp: 80 }" => "tcp: [22, 80] }", fails "internet cannot connect to web port 22"),
        ("the LAN shut in", "          - { from: lan }\n" => "", fails "pc gets http://203.0.113.1/"),
        ("the firewall answers all", "input: { allow: [{ from: lan, icmp: true }] }" => "input: accept",
            fails "mail cannot ping fw"),
        ("no translation", "masquerade: { from: lan, out: isp }" => "forward: true", fails "seen as 198.51.100.2"),
    ],
    dual_stack: [
        ("IPv6 not forwarded", "forward: true" => "forward: ipv4", fails "2606:4700:4700::1111"),
        ("no way back by IPv6", "    routes: [{ to: \"2001:db8:1::/64\", via: router }]\n" => "",
            fails "internet pings 2001:db8:1::1"),
        ("IPv6 translated as well", "from: 10.0.0.0/24, out" => "from: [10.0.0.0/24, \"2001:db8:1::/64\"], out",
            fails "seen as 2001:db8:1::1"),
        ("another AAAA", "2001:db8:1::2\"] } }" => "2001:db8:1::3\"] } }", fails "2001:db8:1::2"),
    ],
    ecmp: [
        // One of 2^32 seeds of the kernel's hash sends all servers by the other way.
        ("one way is broken", "down: { links: { n-down: 10.2.0.2, servers: 10.0.9.254 }, forward: true" =>
            "down: { links: { n-down: 10.2.0.2, servers: 10.0.9.254 }, forward: false", fails "pc pings s"),
        ("a longer way", "{ via: up, weight: 1 }" => "{ via: 10.1.0.3, weight: 1 }", fails "pc pings s"),
    ],
    home: [
        ("no translation", "masquerade: { from: lan, out: isp }     # NAPT; implies forwarding" => "forward: true",
            fails "seen as 10.138.0.3"),
        ("a way in", "links: { isp: 10.138.0.1 } }" => "links: { isp: 10.138.0.1 }, routes: { lan: router } }",
            fails "internet cannot ping pc"),
    ],
    hub: [
        ("one cable unplugged", "c: { links: { lan: 10.0.0.3 } }" => "c: { links: { lan: 10.0.1.3/24 } }",
            fails "a pings c"),
        ("a firewall", "c: { links: { lan: 10.0.0.3 } }" => "c: { links: { lan: 10.0.0.3 }, firewall: { input: { allow: [ping] } } }",
            fails "a cannot connect to c port 80"),
    ],
    ipv6_only: [
        ("a wider link", "mtu: 1400" => "mtu: 1401", fails "pc cannot ping server with 1353"),
        ("a narrower link", "mtu: 1400" => "mtu: 1399", fails "pc pings server with 1352"),
        ("a missing way back", "routes: { clients: r1 }" => "gateway: none", fails "pc pings server"),
        ("IPv4 after all", "{ clients: \"2001:db8:1::1\" }" => "{ clients: [\"2001:db8:1::1\", 1.0.0.1/8] }",
            fails "pc cannot ping 1.1.1.1"),
    ],
    longest_prefix: [
        ("no host route", "      - { to: 10.9.1.7, via: r4 }\n" => "", fails "pc reaches shop"),
        ("no /24", "      - { to: 10.9.1.0/24, via: r3 }\n" => "", fails "pc reaches bank"),
        ("metrics swapped", "metric: 200" => "metric: 50", fails "pc routes 10.8.1.1"),
        ("unreachable, not swallowed", "kind: blackhole" => "kind: unreachable", fails "pc cannot ping 10.9.2.1"),
    ],
    mtu: [
        ("a wider link", "mtu: 1400" => "mtu: 1500", fails "pc cannot ping server with 1373"),
        ("a narrower link", "mtu: 1400" => "mtu: 1399", fails "pc pings server with 1372"),
    ],
    mtu_black_hole: [
        ("the message arrives", "net.ipv4.conf.all.rp_filter: 1" => "net.ipv4.conf.all.rp_filter: 0",
            fails "pc cannot ping server with 1373"),
        ("no careful host", "{ address: 10.0.1.2, mtu: 1400 }" => "{ address: 10.0.1.2 }",
            fails "careful cannot ping server"),
    ],
    napt: [
        ("no translation", "masquerade: { from: lan, out: isp }" => "forward: true", fails "alice pings 1.1.1.1"),
        ("bob is left out", "from: lan, out" => "from: alice, out", fails "bob pings 1.1.1.1"),
        ("translation inside as well", "masquerade: { from: lan, out: isp }" =>
            "masquerade: { from: lan, out: isp }\n    nat: [{ snat: { from: lan, out: isp, to: 203.0.113.1 } }]\n    gateway: none",
            fails "alice pings 1.1.1.1"),
    ],
    no_forwarding: [
        ("it forwards", "forward: false" => "forward: true", fails "pc cannot ping server"),
    ],
    policy_routing: [
        ("guests as all others", "      - { from: guests, table: 2 }\n" => "", fails "guest pings 1.1.1.1"),
        ("guests are let in", "kind: prohibit" => "table: main", fails "guest cannot ping pc"),
        ("everybody by the second provider", "- { to: default, via: 198.51.100.254 }" =>
            "- { to: default, via: 203.0.113.254 }", fails "router routes 1.1.1.1"),
    ],
    port_forward: [
        ("no hairpin", "hairpin: true" => "hairpin: false", fails "pc gets http://203.0.113.7:8080/"),
        ("another port", "port: 8080" => "port: 8081", fails "internet gets http://203.0.113.7:8080/"),
        ("a port too many", "hairpin: true }" =>
            "hairpin: true }\n      - port-forward: { port: 80, in: isp, to: \"web:80\" }", fails "port 80"),
    ],
    programs: [
        ("the program writes something else", "VALUE: 1" => "VALUE: 0", fails "pc pings server"),
    ],
    router: [
        ("no forwarding", "forward: true" => "forward: false", fails "pc pings server"),
        ("no gateway", "server: { links: { right: 10.0.2.1 } }" => "server: { links: { right: 10.0.2.1 }, gateway: none }",
            fails "server pings pc"),
        ("translation", "forward: true" => "masquerade: { from: left, out: right }", fails "seen as 10.0.1.1"),
    ],
    rp_filter: [
        ("all loose", "rp_filter: 1" => "rp_filter: 2", fails "client cannot ping strict"),
        ("all strict", "rp_filter: 2" => "rp_filter: 1", fails "client pings loose"),
        ("a symmetric path", "via: 10.0.2.254" => "via: 10.0.1.254", fails "routes client"),
    ],
    spanning_tree: [
        // Two cables of the ring are cut, so that no loop can arise.
        ("b3 is cut off", "b3: { links: [c31, c23, p3], bridge: { stp: classroom } }" =>
            "b3: { links: [c31, c23, p3], bridge: { stp: classroom, ports: [p3] } }", fails "h1 pings h3"),
    ],
    star_1000: [
        ("no translation", "masquerade: { from: lan, out: isp }" => "forward: true", fails "seen as 203.0.113.7"),
    ],
    static_arp: [
        ("ARP after all", "arp: static\n" => "", fails "pc has neighbour printer"),
        ("the right address", "02:00:00:00:00:ee }" => "02:00:00:00:00:02 }", fails "clumsy cannot ping printer"),
    ],
    static_routes: [
        ("the route that was missing", "routes: { office: r1 }" => "routes: { office: r1, guests: r1 }",
            fails "guest cannot ping server"),
        ("none back to the office", "routes: { office: r1 }" => "gateway: none", fails "pc pings server"),
    ],
    ttl: [
        ("no loop", ", 10.66.0.0/16: r3 }" => " }", fails "pc cannot ping 10.66.0.1"),
        ("a router that hides one hop", "r3: { links" => "r3: { sysctls: { net.ipv4.ip_default_ttl: 65 }, links",
            fails "pc pings r3"),
        ("a way for the unknown", "n5: r5, " => "n5: r5, 10.77.0.0/16: r5, ", fails "pc cannot ping 10.77.0.1"),
    ],
}

#[test]
fn no_lab_is_without_a_test() {
    let mut names: Vec<String> = lab_names("").iter().map(|name| name.replace('-', "_")).collect();
    names.sort();
    assert_eq!(names, TESTED);
}

#[test]
fn every_lab_says_what_there_is_to_see() {
    for (place, name) in
        lab_names("").iter().map(|n| ("", n)).chain(lab_names("netem").iter().map(|n| ("netem", n)))
    {
        let text = &Case::from_gallery(place, name).text;
        let comment = text.lines().take_while(|line| line.starts_with('#')).count();
        assert!((3..=8).contains(&comment), "{name}: {comment} lines at the top");
        assert!(text.contains("\ndescription: "), "{name} has no description");
        assert!(text.contains(&format!("\nlab: {name}\n")), "{name}: the lab has another name than its file");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{name} has lines over 120 columns");
    }
}

#[track_caller]
fn holds(module: &str) {
    let case = Case::from_gallery("", &module.replace('_', "-"));
    let output = case.test();
    let report = report_of(&output);
    assert_eq!(output.status.code(), Some(0), "{:#?}", report.failures);
    assert!(report.passed > 0 && report.failures.is_empty());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no warnings");
}

#[track_caller]
fn notices(module: &str, mutations: &[Mutation]) {
    let original = Case::from_gallery("", &module.replace('_', "-"));
    let notices = |Mutation { name, from, to, fails }: &Mutation| {
        assert!(original.text.contains(from), "{module}, {name}: the lab has no {from:?}");
        let output = Case::new(module, original.text.replace(from, to)).test();
        let report = report_of(&output);
        assert_eq!(output.status.code(), Some(1), "{module}, {name}: {report:?}");
        let found = report.failures.iter().any(|failure| failure.contains(fails));
        assert!(found, "{module}, {name}: {fails:?} should fail, and failed have {:#?}", report.failures);
    };
    // Mostly it is waited for answers that do not come.
    std::thread::scope(|scope| {
        for mutation in mutations {
            scope.spawn(|| notices(mutation));
        }
    });
}

/// What pings cannot tell: on a hub a third host receives what two others say to each other, on a bridge it does not.
#[test]
fn a_third_host_hears_unicast_on_a_hub_only() {
    const PINGS: u64 = 50;
    let heard = |name: &str| {
        let path = folder("").join(format!("{name}.yaml"));
        let lab = Lab::from_file(&path, Style::Plain).unwrap().up().unwrap();
        let ping = |from: &str, to: &str, count: u64| {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            let ping = netyard_core::expect::Ping {
                count: u32::try_from(count).unwrap(),
                ..netyard_core::expect::Ping::to(netyard_core::expect::Target::Node(to))
            };
            let expectation = netyard_core::expect::Expectation {
                line: 0,
                from,
                probe: netyard_core::expect::Probe::Ping(ping),
                outcome: netyard_core::expect::Outcome::Ok,
                seen_as: None,
                within_ms: 0,
                dropped: None,
            };
            let options = netyard::expect::Options::default();
            let definition = lab.definition().unwrap();
            let results = netyard::expect::run(&definition, &lab, &options, &[expectation], |_| ());
            assert!(results[0].passed, "{results:?}");
        };
        // ARP is broadcast, and the first frames are flooded until the bridge has learned.
        ping("a", "b", 1);
        let before = packets_received(&lab, "c");
        ping("a", "b", PINGS);
        packets_received(&lab, "c") - before
    };
    assert!(heard("hub") >= 2 * PINGS, "question and answer of each ping");
    assert!(heard("bridge") < PINGS / 2, "only what is meant for all");
}

/// Packets that a node has received on `eth0`, the third column of `/proc/net/dev`.
fn packets_received(lab: &RunningLab, node: &str) -> u64 {
    let output = lab.node(node).unwrap().command("cat").args(["/proc/net/dev"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with("eth0:")).unwrap();
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}

//! Lab files that are understood: what each form means.

// A wrong expectation may panic.
#![allow(clippy::unwrap_used)]

use netyard_core::diagnostic::Style;
use netyard_core::expect::{Outcome, Probe, Target};
use netyard_core::lab::{Lab, Nat, NetworkKind, Node, Restart, Role};
use netyard_core::labfile::{Parsed, Source, parse};
use netyard_core::nft::{Policy, Ports, Protocol};
use netyard_core::shaping::Share;
use netyard_core::state::{Route, RouteTarget, Stp};
use std::fmt::Write as _;

mod forms;
mod talk;
use talk::TALK;

fn parsed(text: &str) -> Parsed {
    let source = Source::new("t.yaml", text);
    parse(&source).unwrap_or_else(|problems| {
        let report: String = problems.iter().map(|p| p.render(&source, Style::Plain)).collect();
        panic!("{report}");
    })
}

fn lab(text: &str) -> Lab {
    let parsed = parsed(text);
    assert_eq!(parsed.warnings, [], "{text}");
    parsed.lab
}

fn node<'a>(lab: &'a Lab, name: &str) -> &'a Node {
    lab.node(name).unwrap()
}

/// Interfaces with their addresses, in the words of `ip -br address`.
fn addresses(node: &Node) -> String {
    let mut out = String::new();
    for interface in &node.interfaces {
        write!(out, "{}@{}", interface.name, interface.network).unwrap();
        interface.addresses.iter().for_each(|address| write!(out, " {address}").unwrap());
        out.push('\n');
    }
    out
}

/// Routes in the words of `ip route`.
fn routes(node: &Node) -> Vec<String> {
    node.routes.iter().map(route).collect()
}

fn route(route: &Route) -> String {
    let mut out = route.to.to_string();
    match &route.target {
        RouteTarget::Unicast(hops) => {
            for hop in hops {
                if let Some(via) = hop.via {
                    write!(out, " via {via}").unwrap();
                }
                write!(out, " dev {}", hop.dev).unwrap();
                if hop.weight > 1 {
                    write!(out, " weight {}", hop.weight).unwrap();
                }
                if hop.onlink {
                    out.push_str(" onlink");
                }
            }
        }
        other => write!(out, " {other:?}").unwrap(),
    }
    if let Some(src) = route.src {
        write!(out, " src {src}").unwrap();
    }
    if route.metric != Route::metric_default(route.to) {
        write!(out, " metric {}", route.metric).unwrap();
    }
    if route.table != Route::TABLE_MAIN {
        write!(out, " table {}", route.table).unwrap();
    }
    out
}

#[test]
fn the_network_of_the_talk() {
    let lab = lab(TALK);
    assert_eq!(lab.name, "home");
    assert_eq!(addresses(node(&lab, "pc")), "eth0@lan 10.0.0.1/24\n");
    assert_eq!(addresses(node(&lab, "router")), "eth0@lan 10.0.0.254/24\neth1@isp 10.138.0.3/24\n");
    assert_eq!(routes(node(&lab, "pc")), ["0.0.0.0/0 via 10.0.0.254 dev eth0"]);
    assert_eq!(routes(node(&lab, "printer")), ["0.0.0.0/0 via 10.0.0.254 dev eth0"]);
    assert_eq!(routes(node(&lab, "router")), ["0.0.0.0/0 via 10.138.0.1 dev eth1"]);
    assert_eq!(routes(node(&lab, "internet")), [""; 0]);
    let router = node(&lab, "router");
    assert!(router.forwards_ipv4 && !router.forwards_ipv6);
    assert_eq!(router.role, Role::Router);
    let from = vec!["10.0.0.0/24".parse().unwrap()];
    assert_eq!(router.nat, [Nat::Masquerade { from, out: router.interfaces[1].name.clone() }]);
    assert_eq!(
        router.interfaces.iter().map(|i| i.port.as_str()).collect::<Vec<_>>(),
        ["router-eth0", "router-eth1"]
    );
    assert_eq!(node(&lab, "pc").interfaces[0].port, "pc");
    let internet = node(&lab, "internet");
    assert!(internet.role == Role::Internet && !internet.forwards_ipv4);
    assert!(!lab.uses_ipv6());

    let [printer, outside, back] = &lab.expectations[..] else { panic!("three expectations") };
    assert!(
        matches!(&printer.probe, Probe::Ping(ping) if ping.to == Target::Node(node(&lab, "printer").name.clone()))
    );
    assert_eq!(outside.seen_as, Some("10.138.0.3".parse().unwrap()));
    assert_eq!(back.outcome, Outcome::Unreachable);
    assert_eq!([printer.line, outside.line, back.line], [13, 14, 15]);
}

#[test]
fn links_in_every_form() {
    let lab = lab(forms::LINKS_IN_EVERY_FORM);
    assert_eq!(addresses(node(&lab, "a")), "eth0@lan 10.0.0.1/24 fd00::1/64\n");
    assert_eq!(addresses(node(&lab, "b")), "eth0@lan 10.0.0.2/24 fd00::2/64\neth1@wan 192.0.2.1/30\n");
    assert_eq!(addresses(node(&lab, "c")), "eth0@lan 10.0.0.9/24\neth1@raw\n");
    assert_eq!(addresses(node(&lab, "d")), "eth0@lan 10.0.0.7/24 fd00::7/64\neth1@raw 172.16.0.1/16\n");
    assert_eq!(addresses(node(&lab, "e")), "veth1-pc@lan 10.0.0.8/24 fd00::3/64\n");
    assert_eq!(
        addresses(node(&lab, "f")),
        "up0@lan 10.0.0.3/24 fd00::4/64\nup1@lan\neth2@wan 192.0.2.2/30\n"
    );
    assert_eq!(addresses(node(&lab, "g")), "eth0@lan 10.0.0.4/24 fd00::5/64\n");
    let e = &node(&lab, "e").interfaces[0];
    assert_eq!((e.port.as_str(), e.mac.to_string().as_str(), e.mtu), ("veth1-br", "02:00:00:00:00:aa", 1400));
}

#[test]
fn port_names_are_unique_in_the_fabric_and_fit() {
    let lab = lab(forms::PORT_NAMES_ARE_UNIQUE_IN_THE_FABRIC_AND_FIT);
    let mut names: Vec<String> = lab.networks.iter().map(|n| n.bridge_name().into()).collect();
    names.pop();
    for node in &lab.nodes {
        names.extend(
            node.interfaces.iter().filter(|i| i.network != "wire").map(|i| i.port.as_str().to_owned()),
        );
    }
    let unique: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    assert!(names.iter().all(|name| name.len() <= 15 && name != "lo"), "{names:?}");
    assert_eq!(node(&lab, "pc").interfaces[0].port, "pc-eth0");
    assert_eq!(node(&lab, "lo").interfaces[0].port, "lo-eth0");
    assert_eq!(node(&lab, "x").interfaces[0].port, "x");
}

#[test]
fn networks_in_every_form() {
    let lab = lab(forms::NETWORKS_IN_EVERY_FORM);
    let NetworkKind::Bridge { stp, snoops_multicast } = lab.networks[0].kind else { panic!("a bridge") };
    assert_eq!((stp, snoops_multicast, lab.networks[0].mtu), (Some(Stp::CLASSROOM), true, 1500));
    assert_eq!((&lab.networks[1].kind, lab.networks[1].mtu), (&NetworkKind::Hub, 9000));
    let NetworkKind::Bridge { stp: Some(stp), .. } = lab.networks[3].kind else { panic!("with stp") };
    assert_eq!(stp, Stp { priority: 4096, ..Stp::STANDARD });
    let x = &node(&lab, "x").interfaces;
    let a = x[0].up;
    assert_eq!(
        (a.rate_bit_per_s, a.burst_bytes, a.latency_us, a.delay_us),
        (Some(10_000_000), Some(32_768), Some(50_000), 1000)
    );
    assert_eq!(x[0].up, x[0].down);
    assert_eq!((x[1].up.loss, x[1].down.loss), (Share::from_percent(3.0), Share::from_percent(2.0)));
    assert_eq!((x[1].up.jitter_us, x[1].up.reorder), (2000, Share::from_percent(25.0)));
    assert_eq!((x[2].up.rate_bit_per_s, x[2].down.is_none()), (Some(1_000_000), true));
    let y = &node(&lab, "y").interfaces[0];
    assert_eq!((y.up.rate_bit_per_s, y.up.delay_us, y.mtu), (Some(2_000_000_000), 1000, 1400));
}

#[test]
fn on_a_cable_what_one_end_receives_the_other_sends() {
    let lab = lab(forms::ON_A_CABLE_WHAT_ONE_END_RECEIVES_THE_OTHER_SENDS);
    assert_eq!(node(&lab, "a").interfaces[0].up.rate_bit_per_s, Some(1_000_000));
    assert_eq!(node(&lab, "b").interfaces[0].up.delay_us, 5000);
    assert!(lab.nodes.iter().all(|node| node.interfaces[0].down.is_none()));
}

#[test]
fn ranges_groups_and_defaults_merge() {
    let lab = lab(forms::RANGES_GROUPS_AND_DEFAULTS_MERGE);
    assert_eq!(
        lab.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(),
        ["h08", "h09", "h10", "h11", "web", "late"]
    );
    assert_eq!(addresses(node(&lab, "h09")), "eth0@lan 10.0.0.2/16\n");
    assert_eq!(addresses(node(&lab, "h11")), "");
    assert_eq!(addresses(node(&lab, "late")), "eth0@dmz 10.9.0.6/24\neth1@lan 10.0.0.4/16\n");
    let env = |name: &str, key: &str| node(&lab, name).env.get(key).cloned().unwrap_or_default();
    assert_eq!([env("h08", "LANG"), env("h08", "TZ"), env("h08", "ROLE")], ["ja_JP.UTF-8", "UTC", "client"]);
    assert_eq!([env("web", "LANG"), env("h11", "LANG")], ["en", "C"]);
    assert_eq!(node(&lab, "web").labels.keys().collect::<Vec<_>>(), ["all", "floor"]);
    let senders = |line: u32| {
        let of_line = lab.expectations.iter().filter(move |e| e.line == line);
        of_line.map(|e| e.from.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(senders(12), ["h08", "h09", "h10", "late"]);
    assert_eq!(senders(13), ["h08", "h09"]);
    assert_eq!(senders(14), ["h08", "h09", "h10", "late"]);
}

#[test]
fn gateways_follow_from_who_forwards() {
    let text = |router: &str, extra: &str| {
        format!(
            "
networks: {{ lan: [10.0.0.0/24, fd00::/64], isp: [10.138.0.0/24, fd01::/64] }}
nodes:
  pc: {{ links: [lan] {extra} }}
  router: {{ links: {{ lan: [10.0.0.254, fd00::fe], isp: [10.138.0.3, fd01::3] }} {router} }}
  other: {{ links: [isp] }}
  internet: {{ role: internet, links: {{ isp: [10.138.0.1, fd01::1] }} }}
"
        )
    };
    let plain = lab(&text("", ""));
    assert_eq!(routes(node(&plain, "pc")), [""; 0]);
    assert_eq!(routes(node(&plain, "router")), [""; 0]);
    assert_eq!(
        routes(node(&plain, "other")),
        ["0.0.0.0/0 via 10.138.0.1 dev eth0", "::/0 via fd01::1 dev eth0"]
    );
    let both = lab(&text(", role: router", ""));
    assert_eq!(
        routes(node(&both, "pc")),
        ["0.0.0.0/0 via 10.0.0.254 dev eth0", "::/0 via fd00::fe dev eth0"]
    );
    assert_eq!(
        routes(node(&both, "router")),
        ["0.0.0.0/0 via 10.138.0.1 dev eth1", "::/0 via fd01::1 dev eth1"]
    );
    let one = lab(&text(", forward: ipv4", ""));
    assert_eq!(routes(node(&one, "pc")), ["0.0.0.0/0 via 10.0.0.254 dev eth0"]);
    assert!(!node(&one, "router").forwards_ipv6);
    let none = lab(&text(", forward: true", ", gateway: none"));
    assert_eq!(routes(node(&none, "pc")), [""; 0]);
    let own = lab(&text("", ", gateway: router"));
    assert_eq!(routes(node(&own, "pc")), ["0.0.0.0/0 via 10.0.0.254 dev eth0", "::/0 via fd00::fe dev eth0"]);
    let sysctl = lab(&text(", sysctls: { net.ipv4.ip_forward: 1 }", ""));
    assert_eq!(routes(node(&sysctl, "pc")), ["0.0.0.0/0 via 10.0.0.254 dev eth0"]);
}

#[test]
fn routes_in_every_form() {
    let lab = lab(forms::ROUTES_IN_EVERY_FORM);
    assert_eq!(
        routes(node(&lab, "x")),
        [
            "10.0.4.0/24 via 10.0.1.254 dev eth0",
            "10.0.3.0/24 via 10.0.1.254 dev eth0",
            "fd03::/64 via fd01::fe dev eth0",
            "0.0.0.0/0 via 10.0.2.254 dev eth1 src 10.0.2.1 metric 50",
            "10.0.5.0/24 via 10.0.1.254 dev eth0 weight 3 via 10.0.2.254 dev eth1",
            "10.0.6.0/24 Blackhole",
            "10.0.7.0/24 Unreachable",
            "10.0.8.1/32 via 10.9.9.9 dev eth0 onlink table 100",
            "10.9.8.8/32 dev eth1",
            "10.0.9.0/24 via 10.9.8.8 dev eth1",
            "::/0 via fd01::fe dev eth0",
        ]
    );
    assert_eq!(
        routes(node(&lab, "r2")),
        ["10.0.1.0/24 via 10.0.2.1 dev eth0", "0.0.0.0/0 via 10.0.2.1 dev eth0"]
    );
}

#[test]
fn translations_in_every_form() {
    let lab = lab(forms::TRANSLATIONS_IN_EVERY_FORM);
    let nat = |name: &str| format!("{:?}", node(&lab, name).nat);
    let families = |name: &str| (node(&lab, name).forwards_ipv4, node(&lab, name).forwards_ipv6);
    assert_eq!(nat("a"), r#"[Masquerade { from: [0.0.0.0/0], out: IfName("eth1") }]"#);
    assert_eq!(nat("b"), nat("a"));
    assert_eq!(families("a"), (true, false));
    assert_eq!(nat("c"), r#"[Masquerade { from: [fd00::/64], out: IfName("eth1") }]"#);
    assert_eq!(families("c"), (false, true));
    let d = &node(&lab, "d").nat;
    assert_eq!(d.len(), 2 + 1 + 4);
    assert_eq!(
        format!("{:?}", d[0]),
        r#"Masquerade { from: [10.0.0.0/24, 10.5.0.0/16], out: IfName("eth1") }"#
    );
    assert_eq!(
        format!("{:?}", d[1]),
        r#"Snat { from: [10.0.0.80/32], out: IfName("eth1"), to: 10.138.0.200 }"#
    );
    let Nat::PortForward { protocol, incoming, addresses, ports, to, hairpin } = &d[2] else {
        panic!("a port")
    };
    assert_eq!((*protocol, incoming.as_str(), *ports), (Protocol::Tcp, "eth1", Ports::from(8080)));
    assert_eq!(format!("{addresses:?} {to} {hairpin:?}"), "[10.138.0.200] 10.0.0.80:80 [10.0.0.0/24]");
    let last: Vec<String> = d[3..]
        .iter()
        .map(|nat| match nat {
            Nat::PortForward { protocol, ports, to, hairpin, .. } => {
                format!("{protocol} {ports} {to} {}", hairpin.len())
            }
            _ => String::new(),
        })
        .collect();
    assert_eq!(last[0], "tcp 5000-5001 10.0.0.77:5000 0");
    assert_eq!(last[3], "udp 53 10.0.0.77:53 0");
}

#[test]
fn firewalls_in_every_form() {
    let lab = lab(forms::FIREWALLS_IN_EVERY_FORM);
    let fw = node(&lab, "fw").firewall.as_ref().unwrap();
    let input = fw.input.as_ref().unwrap();
    assert_eq!(input.policy, Policy::Drop);
    assert_eq!((input.allow.len(), input.allow[0].protocol), (2, Some(Protocol::Icmp)));
    assert_eq!(input.allow[0].icmp_type, Some(8), "`ping` is echo requests");
    assert_eq!(
        format!("{:?} {:?}", input.allow[1].incoming, input.allow[1].ports),
        r#"Some(IfName("eth0")) [Ports { first: 22, last: 22 }]"#
    );
    let forward = &fw.forward.as_ref().unwrap().allow;
    assert_eq!(forward.len(), 4);
    assert_eq!(forward[0].incoming.as_ref().unwrap(), &"eth0");
    let ends = |n: usize| {
        let name = |name: &Option<netyard_core::name::IfName>| {
            name.as_ref().map(|n| n.as_str().to_owned()).unwrap_or_default()
        };
        format!(
            "{} {} {:?} {:?}",
            name(&forward[n].incoming),
            name(&forward[n].out),
            forward[n].from,
            forward[n].to
        )
    };
    assert_eq!(ends(1), "eth2 eth1 None None");
    assert_eq!(forward[1].ports.len(), 3);
    assert_eq!(ends(2), "  Some(10.9.0.0/16) Some(10.1.0.80/32)");
    assert_eq!((forward[2].protocol, forward[2].ports.len()), (Some(Protocol::Udp), 0));
    assert_eq!(ends(3), "eth2 eth1 None None");
    let web = node(&lab, "web").firewall.as_ref().unwrap();
    assert!(
        web.input.as_ref().unwrap().policy == Policy::Drop && web.forward.as_ref().unwrap().allow.is_empty()
    );
}

#[test]
fn a_ring_of_bridges_is_one_segment() {
    let lab = lab(forms::A_RING_OF_BRIDGES_IS_ONE_SEGMENT);
    let b1 = node(&lab, "b1");
    assert_eq!(b1.bridges[0].ports.iter().map(|p| p.as_str()).collect::<Vec<_>>(), ["eth0", "eth1", "eth2"]);
    assert_eq!(b1.bridges[0].stp, Some(Stp { priority: 4096, ..Stp::CLASSROOM }));
    assert!(b1.interfaces.iter().all(|interface| interface.addresses.is_empty()));
    assert_eq!((b1.role, node(&lab, "b2").bridges[0].ports.len()), (Role::Bridge, 2));
    assert_eq!(node(&lab, "b3").bridges[0].addresses, ["10.0.0.100/24".parse().unwrap()]);
    assert_eq!(addresses(node(&lab, "a")), "eth0@p1 10.0.0.1/24\n");
    assert_eq!(addresses(node(&lab, "z")), "eth0@p3 10.0.0.2/24\n");
    assert_eq!(routes(node(&lab, "a")), ["0.0.0.0/0 via 10.0.0.254 dev eth0"]);
    assert_eq!(routes(node(&lab, "z")), ["0.0.0.0/0 via 10.0.0.100 dev eth0"]);
}

#[test]
fn programs_neighbours_and_the_rest() {
    let lab = lab(forms::PROGRAMS_NEIGHBOURS_AND_THE_REST);
    let a = node(&lab, "a");
    assert_eq!((a.hostname(), node(&lab, "b").hostname()), ("a.example", "b"));
    assert_eq!(a.sysctls["net.ipv4.tcp_ecn"], "010");
    assert_eq!(a.sysctls["net.ipv4.conf.all.rp_filter"], "2");
    assert_eq!([a.env["V"].as_str(), &a.env["ON"], &a.env["EMPTY"]], ["1.10", "off", ""]);
    let names = |node: &Node| node.programs.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(a), ["python3", "nc", "web", "nc-2"]);
    assert_eq!(a.programs[0].argv, ["sh", "-c", "python3 -m http.server 80"]);
    assert_eq!(a.programs[1].argv, ["nc", "-l", "7"]);
    assert_eq!(
        (a.programs[2].restart, node(&lab, "b").programs[0].restart),
        (Restart::Always, Restart::OnFailure)
    );
    assert_eq!(names(node(&lab, "b")), ["dns", "web"]);
    assert_eq!(names(node(&lab, "c")), ["sleep"]);
    assert_eq!(a.neighbours[1].mac, node(&lab, "c").interfaces[0].mac);
    assert_eq!(node(&lab, "c").neighbours[0].to.to_string(), "10.0.0.1");
    assert!(lab.dad && a.uplink.is_some());
}

#[test]
fn expectations_in_every_form() {
    let lab = lab(forms::EXPECTATIONS_IN_EVERY_FORM);
    let of_line = |line: u32| lab.expectations.iter().filter(|e| e.line == line).collect::<Vec<_>>();
    let first = 9;
    let Probe::Ping(ping) = &of_line(first)[0].probe else { panic!("a ping") };
    assert_eq!(
        (ping.count, ping.size, ping.df, ping.ttl, ping.answer_ttl, ping.hops),
        (3, 1472, true, Some(4), Some(64), Some(0))
    );
    assert_eq!((ping.rtt_us_min, ping.rtt_us_max), (Some(1000), Some(20_000)));
    assert_eq!(of_line(first + 1).len(), 2);
    assert_eq!(
        (of_line(first + 1)[0].seen_as, of_line(first + 1)[0].within_ms),
        (Some("10.138.0.3".parse().unwrap()), 5000)
    );
    assert!(matches!(of_line(first + 2)[0].probe, Probe::Tcp { port: 80, .. }));
    assert_eq!(of_line(first + 3).len(), 2);
    assert!(
        matches!(&of_line(first + 4)[0].probe, Probe::Udp { port: 53, payload, answer: Some(_), .. } if payload == "hi")
    );
    assert!(
        matches!(&of_line(first + 5)[0].probe, Probe::Http { port: 80, path, status: Some(200), .. } if path == "/ip")
    );
    assert!(
        matches!(&of_line(first + 6)[0].probe, Probe::Http { path, to: Target::Node(_), .. } if path == "/ip")
    );
    assert!(matches!(&of_line(first + 7)[0].probe, Probe::Dns { is_ipv6: true, server: Some(_), .. }));
    assert!(matches!(&of_line(first + 8)[0].probe, Probe::Dns { address: Some(_), .. }));
    let Probe::Route { via, dev, .. } = &of_line(first + 9)[0].probe else { panic!("a route") };
    assert_eq!((via.unwrap().to_string(), dev.as_ref().unwrap().as_str()), ("10.0.0.254".to_owned(), "eth0"));
    assert!(
        matches!(&of_line(first + 11)[0].probe, Probe::Path { to: Target::Node(n), nodes } if *n == "internet" && nodes.len() == 2)
    );
    assert!(matches!(&of_line(first + 12)[0].probe, Probe::Path { to: Target::Address(_), .. }));
    let Probe::Throughput { rate_bit_per_s, tolerance_percent, .. } = of_line(first + 13)[0].probe else {
        panic!()
    };
    assert_eq!((rate_bit_per_s, tolerance_percent), (10_000_000, 5.0));
    assert_eq!(of_line(first + 14).len(), 3);
    assert!(
        matches!(&of_line(first + 15)[0].probe, Probe::Ping(ping) if ping.to == Target::Name("www.example.com".into()))
    );
}

#[test]
fn prefixes_may_repeat_behind_translation() {
    lab(forms::PREFIXES_MAY_REPEAT_BEHIND_TRANSLATION);
}

#[test]
fn aliases_share_parts() {
    let lab = lab(forms::ALIASES_SHARE_PARTS);
    assert_eq!(node(&lab, "b").programs, node(&lab, "a").programs);
    assert_eq!(node(&lab, "b").hostname(), "other");
    assert_eq!(addresses(node(&lab, "c")), "eth0@lan 10.0.0.3/24\n");
}

#[test]
fn warnings_come_with_the_lab() {
    let parsed = parsed(forms::WARNINGS_COME_WITH_THE_LAB);
    let codes: Vec<&str> = parsed.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!(codes, ["L012", "A014", "L006", "R009", "F010"]);
}

#[test]
fn thousands_of_nodes_are_no_burden() {
    let text = "
networks: { 'n[1-5]': 10.0.0.0/16 }
nodes:
  'a[1-1000]': { links: [n1] }
  'b[1-1000]': { links: [n2] }
  'c[1-1000]': { links: [n3] }
  'd[1-1000]': { links: [n4] }
  'e[1-1000]': { links: [n5] }
";
    let lab = lab(text);
    assert_eq!(lab.nodes.len(), 5000);
    assert_eq!(addresses(node(&lab, "e1000")), "eth0@n5 10.0.3.232/16\n");
}

#[test]
fn own_links_and_tables_in_every_form() {
    let lab = lab(forms::OWN_LINKS_AND_TABLES_IN_EVERY_FORM);
    let a = node(&lab, "a");
    let own = |link: &netyard_core::lab::OwnLink| {
        let mac = link.mac.is_some();
        format!("{} {} {} {mac} {:?}", link.name, link.kind.word(), link.mtu, link.addresses)
    };
    assert_eq!(
        a.own_links.iter().map(own).collect::<Vec<_>>(),
        [
            "mv macvlan 1500 true [10.0.0.3/24]",
            "v5 vlan 1400 true []",
            "vx vxlan 1450 true []",
            "many vxlan 1450 true [10.8.0.1/24, 10.8.1.1/24]",
            "tap0 tap 1500 true []",
        ]
    );
    assert_eq!(format!("{:?}", a.loopback), "[10.9.9.9/32, fd09::9/128]");
    let ports: Vec<&str> = a.bridges[0].ports.iter().map(|port| port.as_str()).collect();
    assert_eq!(ports, ["x", "tap0", "vx"]);
    let state = netyard_core::desired::state(&lab);
    let here = &state.namespaces[&"a".parse().unwrap()];
    assert!(!here.links["lo"].is_up && !here.links["y"].is_up && here.links["x"].is_up);
    assert_eq!(here.tables.len(), 3);
    let far = &state.namespaces[&"b".parse().unwrap()].links["far"];
    assert_eq!(far.kind.parent().unwrap().to_string(), "a:eth0");
    let steps = netyard_core::diff::diff(&netyard_core::state::State::default(), &state);
    let commands: Vec<String> = steps.iter().flat_map(netyard_core::step::Step::commands).collect();
    for words in [
        "ip -n a link add link eth0 name far netns b",
        "type vxlan id 42 dstport 8472 remote 10.0.0.2 local 10.0.0.1 nolearning",
        "type vxlan id 43 dstport 4789 group 239.1.1.1 dev eth0",
        "ip -n a tuntap add dev tap0 mode tap",
        "type vlan id 5",
        "type macvlan mode private",
    ] {
        assert!(commands.iter().any(|command| command.contains(words)), "{words}: {commands:#?}");
    }
}

#[test]
fn frr_in_every_form() {
    use netyard_core::lab::{FileContent, NodeKind, Program};
    let lab = lab(forms::FRR_IN_EVERY_FORM);
    assert!(lab.nodes.iter().all(|node| node.kind == NodeKind::Full && node.forwards_ipv4));
    let programs = |name: &str| -> Vec<String> {
        let programs = &lab.node(name).unwrap().programs;
        let after = |p: &Program| p.after.iter().map(|of| of.program.clone()).collect::<Vec<_>>().join(" ");
        programs.iter().map(|p| format!("{} after {}", p.name, after(p))).collect()
    };
    assert_eq!(
        programs("both"),
        [
            "zebra after ",
            "mgmtd after zebra",
            "staticd after zebra mgmtd",
            "bgpd after zebra mgmtd",
            "ospfd after zebra mgmtd",
            "frr-config after zebra mgmtd staticd bgpd ospfd",
        ]
    );
    assert_eq!(programs("each").last().unwrap(), "last after ospfd");
    assert!(!programs("each").iter().any(|program| program.starts_with("frr-config")));
    let files = |name: &str| &lab.node(name).unwrap().root.files;
    let of = |name: &str, path: &str| {
        files(name).iter().rev().find(|file| file.path == path).map(|file| &file.content)
    };
    let from = FileContent::From { path: "ospfd.conf".to_owned(), fixes_text: false };
    assert_eq!(of("each", "/etc/frr/ospfd.conf"), Some(&from));
    assert_eq!(of("each", "/etc/frr/frr.conf"), None);
    assert!(
        matches!(of("both", "/etc/frr/frr.conf"), Some(FileContent::Text(text)) if text.starts_with("router ospf"))
    );
    let Some(FileContent::Text(daemons)) = of("both", "/etc/frr/daemons") else { panic!() };
    assert!(
        daemons.contains("ospfd=yes\n")
            && daemons.contains("ospfd_options=\" -A 127.0.0.1 -f /etc/frr/ospfd.conf\"")
    );
    assert_eq!(of("named", "/etc/frr/isisd.conf"), Some(&FileContent::Text("router isis x".to_owned())));
    assert!(
        files("one").iter().all(|file| file.owner.as_deref() == Some("frr:frr") && file.mode == Some(0o640))
    );
}

#[test]
fn full_nodes_in_every_form() {
    use netyard_core::lab::{FileContent, NodeKind, ReadyWhen, RootBase};
    let lab = lab(forms::FULL_NODES_IN_EVERY_FORM);
    assert!(lab.nodes.iter().all(|node| node.kind == NodeKind::Full));
    let dns = lab.node("dns").unwrap();
    let files: Vec<(&str, Option<u32>)> =
        dns.root.files.iter().map(|file| (file.path.as_str(), file.mode)).collect();
    let own = [("/etc/motd", None), ("/etc/bind/named.conf", Some(0o640)), ("/etc/bind/zones", None)];
    assert_eq!(files, [&[("/etc/issue", None)][..], &own].concat());
    assert_eq!(dns.root.files[1].content, FileContent::Text("of the node".to_owned()));
    let zones = FileContent::From { path: "zones".to_owned(), fixes_text: false };
    assert_eq!(dns.root.files[3].content, zones);
    assert_eq!(dns.root.layers, ["kathara/base", "bind"]);
    let ready: Vec<_> = dns.programs.iter().map(|p| p.ready.as_ref().map(|ready| ready.within_ms)).collect();
    assert_eq!(ready, [Some(5000), Some(30_000), Some(30_000), Some(30_000), Some(200)]);
    assert_eq!(dns.programs[1].ready.as_ref().unwrap().when, ReadyWhen::Ended);
    let awaited = |node: &str, at: usize| -> Vec<String> {
        lab.node(node).unwrap().programs[at].after.iter().map(ToString::to_string).collect()
    };
    assert_eq!(awaited("dns", 2), ["dns/named", "dns/check"]);
    assert_eq!(awaited("later", 0), ["web/server", "dns/named", "c1/job", "c2/job"]);
    let stops: Vec<&str> = dns.on_down.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(stops, ["rndc", "last"]);
    let web = lab.node("web").unwrap();
    let binds: Vec<_> = web.root.binds.iter().map(|b| (&*b.source, &*b.path, b.is_read_only)).collect();
    assert_eq!(binds, [("data", "/srv/data", true), ("/opt", "/opt", false), ("data", "/srv/more", false)]);
    assert_eq!(web.root.files.iter().filter(|file| file.path == "/").count(), 1);
    assert_eq!(lab.node("old").unwrap().root.base, RootBase::Archive("images/old.tar.gz".to_owned()));
    assert_eq!(lab.node("other").unwrap().root.base, RootBase::Folder("/srv/roots/debian".to_owned()));
}

#[test]
fn rules_are_asked_in_their_order() {
    let lab = lab("
        networks: { lan: [10.0.1.0/24, fd01::/64], isp: 10.0.2.0/24 }
        nodes:
          r:
            links: { lan: { address: [10.0.1.1, fd01::1], name: br0 }, isp: 10.0.2.1 }
            rules:
              - { from: lan, to: 10.9.0.0/16, table: 7 }
              - { from: lan, table: 100 }
              - { priority: 5000, not: true, fwmark: 0x1/0xff, iif: lan, oif: eth1, kind: blackhole }
              - { from: \"::/0\", table: default }
              - { iif: lo, to: pc, kind: prohibit }
              - { from: all, fwmark: 16, kind: unreachable }
          pc: { links: { isp: 10.0.2.2 } }
    ");
    let rules: Vec<String> = node(&lab, "r")
        .rules
        .iter()
        .map(|rule| format!("{}{rule}", if rule.is_ipv6 { "-6 " } else { "" }))
        .collect();
    assert_eq!(
        rules,
        [
            "priority 1000 from 10.0.1.0/24 to 10.9.0.0/16 table 7",
            "priority 1001 from 10.0.1.0/24 table 100",
            "-6 priority 1001 from fd01::/64 table 100",
            "priority 5000 not from all fwmark 0x1/0xff iif br0 oif eth1 blackhole",
            "-6 priority 5000 not from all fwmark 0x1/0xff iif br0 oif eth1 blackhole",
            "-6 priority 5001 from all table 253",
            "priority 5002 from all to 10.0.2.2/32 iif lo prohibit",
            "priority 5003 from all fwmark 0x10 unreachable",
            "-6 priority 5003 from all fwmark 0x10 unreachable",
        ]
    );
}

//! Lab files that are understood: what each form means.

use netyard_core::diagnostic::Style;
use netyard_core::expect::{Outcome, Probe, Target};
use netyard_core::lab::{Lab, Nat, NetworkKind, Node, Restart, Role};
use netyard_core::labfile::{Parsed, Source, parse};
use netyard_core::nft::{Policy, Protocol};
use netyard_core::shaping::Share;
use netyard_core::state::{Route, RouteTarget, Stp};
use std::fmt::Write as _;

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

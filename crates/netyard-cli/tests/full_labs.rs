//! Labs with routers and services of packages: they hold, and what makes them so is noticed when it is taken away.
//!
//! They need the packages `frr`, `dnsmasq` and `busybox`, which `check` installs.
#![allow(clippy::unwrap_used)]

mod gallery;
mod support;

use gallery::{Case, lab_names, report_of};
use std::path::Path;
use std::time::{Duration, Instant};
use support::Yard;

/// Each lab, what it needs, and a change after which it does not hold: from, to, and who says so.
const LABS: [(&str, &[&str], [&str; 3]); 3] = [
    (
        "ebgp-providers",
        &["/usr/lib/frr/bgpd"],
        ["  network 203.0.113.0/24\n", "  network 203.0.114.0/24\n", "one routes pc"],
    ),
    (
        "home-router",
        &["/usr/sbin/dnsmasq", "/bin/busybox"],
        [
            "host-record=web.home,192.168.1.10",
            "host-record=web.home,192.168.1.11",
            "laptop resolves web.home",
        ],
    ),
    (
        "ospf-triangle",
        &["/usr/lib/frr/ospfd"],
        ["network 10.0.0.0/8 area 0", "network 10.0.0.0/16 area 0", "r1 routes b"],
    ),
];

/// Whether the machine has these programs; says so where it lacks one.
fn has(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !Path::new(program).exists());
    if let Some(missing) = missing {
        println!("skipped: {missing} is not installed");
    }
    missing.is_none()
}

#[test]
fn every_lab_is_here() {
    assert_eq!(lab_names("full"), LABS.map(|(name, ..)| name));
}

#[test]
fn labs_hold() {
    std::thread::scope(|scope| {
        for (name, programs, _) in LABS {
            scope.spawn(move || {
                if has(programs) {
                    let output = Case::from_gallery("full", name).test();
                    assert_eq!(report_of(&output).failures, [""; 0], "{name}");
                    assert_eq!(output.status.code(), Some(0), "{name}");
                }
            });
        }
    });
}

#[test]
fn labs_notice_what_is_changed() {
    std::thread::scope(|scope| {
        for (name, programs, [from, to, fails]) in LABS {
            scope.spawn(move || {
                if !has(programs) {
                    return;
                }
                let text = Case::from_gallery("full", name).text.clone();
                assert!(text.contains(from), "{name}: the lab has no {from:?}");
                // What never comes is not worth a long wait.
                let text = text
                    .replace(from, to)
                    .replace("within: 20s", "within: 4s")
                    .replace("within: 30s", "within: 4s");
                let report = report_of(&Case::new(name, text).test());
                let found = report.failures.iter().any(|failure| failure.contains(fails));
                assert!(found, "{name}: {fails:?} should fail, and failed have {:#?}", report.failures);
            });
        }
    });
}

#[test]
fn ospf_finds_the_way_round_a_pulled_cable_and_back() {
    if !has(&["/usr/lib/frr/ospfd"]) {
        return;
    }
    let text = Case::from_gallery("full", "ospf-triangle").text.clone();
    let yard = Yard::with_lab("ospf", &text.replace("lab: ospf-triangle\n", ""));
    let test = yard.run(&["test", &yard.lab]);
    assert_eq!(test.code, Some(0), "{}{}", test.stdout, test.stderr);
    let goes_by = |gateway: &str| {
        let route = yard.run(&["exec", "r1", "--", "ip", "route", "get", "10.3.0.1"]);
        route.stdout.contains(&format!("via {gateway} "))
    };
    let converges = |gateway: &str| {
        let begun = Instant::now();
        while !(goes_by(gateway) && yard.run(&["ping", "a", "b", "--count", "1"]).code == Some(0)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "no way by {gateway}");
            std::thread::sleep(Duration::from_millis(20));
        }
        begun.elapsed()
    };
    converges("10.0.13.3");
    yard.prints(&["link", "r1", "eth1", "down"]);
    println!("pulled: the way round after {:?}", converges("10.0.12.2"));
    yard.prints(&["link", "r1", "eth1", "up"]);
    println!("plugged: the short way after {:?}", converges("10.0.13.3"));
}

#[test]
fn an_expectation_of_a_daemon_that_does_not_run_says_so() {
    let yard = Yard::with_lab(
        "no-daemon",
        "networks: { lan: 10.0.0.0/24 }
nodes: { a: { links: [lan], kind: full }, b: { links: [lan] } }
expect:
  - { from: a, bgp-session: b }
  - { from: b, ospf-neighbour: a }
",
    );
    let ran = yard.run(&["test", &yard.lab]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for words in ["bgpd does not run in node `a`", "ospfd does not run in node `b`"] {
        assert!(ran.stdout.contains(words), "{words} in {}", ran.stdout);
    }
}

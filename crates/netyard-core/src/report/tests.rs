//! Every rendering of the same four results, and a sentence per kind of probe.

use super::*;
use crate::expect::{Ping, Probe, Target};
use crate::name::NodeName;

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn target(name: &str) -> Target {
    name.parse().map_or_else(|_| Target::Node(node(name)), Target::Address)
}

fn expectation(probe: Probe) -> Expectation {
    Expectation {
        line: 3,
        from: node("pc"),
        probe,
        outcome: Outcome::Ok,
        seen_as: None,
        within_ms: 0,
        dropped: None,
    }
}

fn ping(to: &str) -> Expectation {
    expectation(Probe::Ping(Ping::to(target(to))))
}

fn report() -> TestReport {
    let result = |index: usize, expectation: &Expectation| ExpectationResult {
        duration_ms: 1,
        attempts: 1,
        ..ExpectationResult::new(index, expectation)
    };
    let web = expectation(Probe::Http {
        to: target("printer"),
        port: 631,
        path: "/?a&b#<c>".into(),
        status: None,
        contains: None,
    });
    let results = vec![
        ExpectationResult {
            passed: true,
            outcome: Some(Outcome::Ok),
            detail: "answered in 0.05 ms, TTL 64".into(),
            ..result(0, &ping("printer"))
        },
        ExpectationResult {
            outcome: Some(Outcome::Timeout),
            detail: "no answer from 1.1.1.1 within 1.0 s".into(),
            duration_ms: 5003,
            attempts: 5,
            ..result(
                1,
                &Expectation { within_ms: 5000, seen_as: "10.138.0.3".parse().ok(), ..ping("1.1.1.1") },
            )
        },
        ExpectationResult {
            outcome: Some(Outcome::Ok),
            mismatch: Some(Mismatch {
                what: "status".into(),
                expected: "below 400".into(),
                found: "500".into(),
            }),
            detail: "status 500, not below 400".into(),
            ..result(2, &web)
        },
        ExpectationResult {
            detail: "cannot open a Tcp4 socket in pc: too many open files".into(),
            ..result(3, &Expectation { outcome: Outcome::Refused, line: 0, ..ping("printer") })
        },
    ];
    TestReport::new(LabName::new("home").unwrap(), results)
}

#[test]
fn text_has_a_line_each_and_the_reason_of_failures() {
    assert_eq!(
        text(&report(), Writing::default()),
        "\
✓ pc pings printer                                       1 ms
✗ pc pings 1.1.1.1, seen as 10.138.0.3, within 5 s    5003 ms, 5 attempts
  timeout: no answer from 1.1.1.1 within 1.0 s (line 3)
✗ pc gets http://printer:631/?a&b#<c>                    1 ms
  status 500, not below 400 (line 3)
✗ pc cannot ping printer: refused                        1 ms
  cannot open a Tcp4 socket in pc: too many open files
home: 4 expectations, 1 passed, 3 failed
"
    );
    let one = TestReport::new(LabName::new("home").unwrap(), report().expectations[..1].to_vec());
    assert_eq!(
        text(&one, Writing { marks: Marks::Ascii, ..Writing::default() }),
        "ok   pc pings printer       1 ms\nhome: 1 expectation, all passed\n"
    );
}

#[test]
fn only_failures_and_their_colours_on_request() {
    let paint = |piece: Piece, text: &str| match piece {
        Piece::Duration => String::new(),
        _ => format!("<{text}>"),
    };
    let writing = Writing { failures_only: true, paint: &paint, ..Writing::default() };
    let shown = text(&report(), writing);
    let first = "<✗> pc pings 1.1.1.1, seen as 10.138.0.3, within 5 s  \n  <timeout: no answer";
    assert!(shown.starts_with(first), "{shown}");
    assert!(!shown.contains("✓") && !shown.contains("expectations"), "{shown}");
}

#[test]
fn tap_escapes_directives() {
    assert_eq!(
        tap(&report()),
        r#"TAP version 14
1..4
ok 1 - pc pings printer
not ok 2 - pc pings 1.1.1.1, seen as 10.138.0.3, within 5 s
  ---
  wrong: timeout
  expected: "ok"
  found: "timeout"
  message: "no answer from 1.1.1.1 within 1.0 s"
  line: 3
  duration_ms: 5003
  ...
not ok 3 - pc gets http://printer:631/?a&b\#<c>
  ---
  wrong: status
  expected: "below 400"
  found: "500"
  message: "status 500, not below 400"
  line: 3
  duration_ms: 1
  ...
not ok 4 - pc cannot ping printer: refused
  ---
  wrong: impossible
  expected: "refused"
  found: "none"
  message: "cannot open a Tcp4 socket in pc: too many open files"
  line: 0
  duration_ms: 1
  ...
"#
    );
}

#[test]
fn junit_escapes_markup() {
    assert_eq!(
        junit(&report()),
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="netyard" tests="4" failures="3" time="5.006">
  <testsuite name="home" tests="4" failures="3" time="5.006">
    <testcase classname="home" name="pc pings printer" time="0.001"/>
    <testcase classname="home" name="pc pings 1.1.1.1, seen as 10.138.0.3, within 5 s" time="5.003">
      <failure type="timeout" message="timeout: no answer from 1.1.1.1 within 1.0 s">line 3: timeout: no answer from 1.1.1.1 within 1.0 s</failure>
    </testcase>
    <testcase classname="home" name="pc gets http://printer:631/?a&amp;b#&lt;c&gt;" time="0.001">
      <failure type="status" message="status 500, not below 400">line 3: status 500, not below 400</failure>
    </testcase>
    <testcase classname="home" name="pc cannot ping printer: refused" time="0.001">
      <failure type="impossible" message="cannot open a Tcp4 socket in pc: too many open files">cannot open a Tcp4 socket in pc: too many open files</failure>
    </testcase>
  </testsuite>
</testsuites>
"#
    );
}

#[test]
fn json_has_a_schema_and_reads_back() {
    let text = report().json();
    let start =
        "{\n  \"schema\": \"netyard/test/1\",\n  \"lab\": \"home\",\n  \"passed\": 1,\n  \"failed\": 3,\n";
    assert!(text.starts_with(start), "{text}");
    let first = r#"{
      "index": 0,
      "line": 3,
      "text": "pc pings printer",
      "passed": true,
      "expected": "ok",
      "outcome": "ok",
      "detail": "answered in 0.05 ms, TTL 64",
      "duration_ms": 1,
      "attempts": 1
    }"#;
    assert!(text.contains(first), "{text}");
    assert_eq!(serde_json::from_str::<TestReport>(&text).unwrap(), report());
}

#[test]
fn every_probe_has_its_sentences() {
    let check = |probe: Probe, positive: &str, negative: &str| {
        let mut expectation = expectation(probe);
        assert_eq!(expectation.to_string(), positive);
        expectation.outcome = Outcome::Unreachable;
        assert_eq!(expectation.to_string(), negative);
    };
    let full = Ping {
        count: 3,
        size: 1400,
        df: true,
        ttl: Some(2),
        answer_ttl: Some(63),
        hops: Some(1),
        rtt_us_max: Some(20_500),
        rtt_us_min: Some(10_000),
        source: "10.0.0.1".parse().ok(),
        ..Ping::to(target("1.1.1.1"))
    };
    check(
        Probe::Ping(full),
        "pc pings 1.1.1.1 3 times from 10.0.0.1 with 1400 bytes unfragmented, TTL 2, answered with TTL 63, \
         1 router away, in at least 10 ms, in at most 20.5 ms",
        "pc cannot ping 1.1.1.1 3 times from 10.0.0.1 with 1400 bytes unfragmented, TTL 2, answered with TTL 63, \
         1 router away, in at least 10 ms, in at most 20.5 ms: unreachable",
    );
    check(
        Probe::Tcp { to: target("server"), port: 22 },
        "pc connects to server port 22",
        "pc cannot connect to server port 22: unreachable",
    );
    check(
        Probe::Udp { to: target("server"), port: 7, payload: "hi".into(), answer: Some("hi".into()) },
        "pc gets a UDP answer with \"hi\" from server port 7",
        "pc gets no UDP answer from server port 7: unreachable",
    );
    check(
        Probe::Http {
            to: target("fd00::1"),
            port: 8080,
            path: "x".into(),
            status: Some(404),
            contains: Some("no".into()),
        },
        "pc gets http://[fd00::1]:8080/x, status 404, containing \"no\"",
        "pc cannot get http://[fd00::1]:8080/x: unreachable",
    );
    check(
        Probe::Dns {
            name: "one.one".into(),
            server: Some(target("internet")),
            is_ipv6: true,
            address: "fd00::1".parse().ok(),
        },
        "pc resolves one.one (AAAA) by internet to fd00::1",
        "pc cannot resolve one.one (AAAA) by internet: unreachable",
    );
    check(
        Probe::Route {
            to: target("1.1.1.1"),
            via: "10.0.0.254".parse().ok(),
            dev: "eth0".parse().ok(),
            protocol: None,
        },
        "pc routes 1.1.1.1 via 10.0.0.254 dev eth0",
        "pc cannot route 1.1.1.1: unreachable",
    );
    check(
        Probe::Neighbour {
            to: target("printer"),
            mac: "02:00:00:00:00:01".parse().ok(),
            state: Some("reachable".into()),
        },
        "pc has neighbour printer at 02:00:00:00:00:01, reachable",
        "pc has no neighbour printer: unreachable",
    );
    check(
        Probe::Path { to: target("1.1.1.1"), nodes: vec![node("router"), node("internet")] },
        "pc reaches 1.1.1.1 by router, internet",
        "pc does not reach 1.1.1.1: unreachable",
    );
    check(
        Probe::Throughput {
            to: node("server"),
            address: None,
            rate_bit_per_s: 1_500_000,
            tolerance_percent: 5.0,
        },
        "pc sends 1.5 Mbit/s +-5 % to server",
        "pc cannot send to server: unreachable",
    );
}

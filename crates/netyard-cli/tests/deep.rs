//! `netyard trace --deep`: what the kernel says of packets that it drops, joined to their ways.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::machine::is_root;
use support::{Ran, Yard};

/// A way over one router, of which each case breaks something.
const NETWORK: &str = "
networks: { lan: 10.0.0.0/24, far: 10.1.0.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  router: { links: { lan: 10.0.0.254, far: 10.1.0.254 }, forward: on ROUTER }
  server: { links: { far: 10.1.0.1 } SERVER }
";

/// Something that a packet ends by.
struct Case {
    router: &'static str,
    server: &'static str,
    /// What is traced from pc.
    traced: &'static [&'static str],
    node: &'static str,
    /// What the kernel says.
    words: &'static str,
    /// The cause that is told in the end; none where the answer is a refusal.
    cause: Option<&'static str>,
}

const CASES: [Case; 6] = [
    Case {
        router: "",
        server: "",
        traced: &["9.9.9.9"],
        node: "router",
        words: "it has no route for it (IP_INNOROUTES at ip_error",
        cause: Some("no-route-on-the-way"),
    },
    Case {
        router: ", sysctls: { net.ipv4.ip_forward: 0 }",
        server: "",
        traced: &["10.1.0.1"],
        node: "router",
        words: "(IP_INADDRERRORS at ip_error",
        cause: Some("not-forwarding"),
    },
    Case {
        router: ", tables: { ip t: { c: { type: filter, hook: forward, priority: 0, rules: [drop] } } }",
        server: "",
        traced: &["10.1.0.1"],
        node: "router",
        words: "reason: NETFILTER_DROP",
        cause: Some("rule"),
    },
    Case {
        // An answer to pc would leave by another link.
        router: ", sysctls: { net.ipv4.conf.all.rp_filter: 0 }",
        server: ", sysctls: { net.ipv4.conf.all.rp_filter: 1 }, routes: { 10.0.0.0/24: blackhole }",
        traced: &["10.1.0.1"],
        node: "server",
        words: "(IP_RPFILTER at ip_rcv_finish",
        cause: Some("reverse-path-filter"),
    },
    Case {
        router: "",
        server: "",
        traced: &["--ttl", "1", "10.1.0.1"],
        node: "router",
        words: "(IP_INHDR at ip_forward",
        cause: Some("ttl-exceeded"),
    },
    Case {
        router: "",
        server: "",
        traced: &["10.1.0.1", "udp:9"],
        node: "server",
        words: "nothing listens at its port (NO_SOCKET at __udp4_lib_rcv",
        cause: None,
    },
];

fn traced(number: usize, case: &Case) -> Ran {
    let text = NETWORK.replace("ROUTER", case.router).replace("SERVER", case.server);
    let yard = Yard::with_lab(&format!("deep-{number}"), &text);
    // Neighbours are known before, so that the one packet is the only one.
    yard.run(&["ping", "pc", "10.0.0.254", "--count", "1"]);
    yard.run(&[&["trace", "--deep", "--json", "pc"], case.traced].concat())
}

fn journeys(ran: &Ran) -> Vec<Value> {
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == "journey").collect()
}

/// The hops of all packets that the kernel has told of.
fn told_by_kernel(journeys: &[Value]) -> Vec<Value> {
    let legs = journeys.iter().flat_map(|journey| journey["legs"].as_array().unwrap());
    let hops = legs.flat_map(|leg| leg["hops"].as_array().unwrap());
    hops.filter(|hop| hop["source"] == "drop-reason").cloned().collect()
}

#[test]
fn root_sees_the_kernels_reason_where_the_packet_ended_and_others_see_why_not() {
    for (number, case) in CASES.iter().enumerate() {
        let ran = traced(number, case);
        let told = journeys(&ran);
        assert_eq!(ran.code, Some(1), "{}: {}{}", case.words, ran.stdout, ran.stderr);
        let hops = told_by_kernel(&told);
        if !is_root() {
            assert!(hops.is_empty(), "{hops:?}");
            assert!(ran.stderr.contains("CAP_BPF"), "{}", ran.stderr);
            continue;
        }
        assert!(!ran.stderr.contains("CAP_BPF"), "{}", ran.stderr);
        assert!(ran.stdout.contains(case.words), "{}: {}", case.words, ran.stdout);
        // A rule that has told of itself is the end already; the kernel's word is one more piece of evidence.
        let is_rule = case.cause == Some("rule");
        assert_eq!(hops.len(), usize::from(!is_rule), "{}: {hops:#?}", case.words);
        for hop in &hops {
            assert_eq!((&hop["place"]["node"], &hop["confidence"]), (&case.node.into(), &"certain".into()));
        }
        let verdicts: Vec<&Value> = told.iter().map(|journey| &journey["verdict"]).collect();
        match case.cause {
            Some(cause) => {
                let faults =
                    verdicts.iter().filter_map(|verdict| verdict["lost"]["faults"].as_array()).flatten();
                let is_it = |fault: &&Value| fault["cause"] == cause && fault["at"]["node"] == case.node;
                let evidence = faults.filter(is_it).map(|fault| fault["evidence"].to_string());
                assert!(evidence.into_iter().any(|says| says.contains("reason: ")), "{cause}: {verdicts:#?}");
            }
            None => {
                let refused = verdicts.iter().any(|verdict| verdict["refused"]["by"]["node"] == case.node);
                assert!(refused, "{verdicts:#?}");
            }
        }
    }
}

#[test]
fn nobody_is_blamed_for_what_the_kernel_drops_all_the_time() {
    let yard = Yard::with_lab("deep-good", &NETWORK.replace("ROUTER", "").replace("SERVER", ""));
    let ran = yard.run(&["trace", "--deep", "--json", "pc", "10.1.0.1"]);
    let told = journeys(&ran);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(told_by_kernel(&told), Vec::<Value>::new());
    assert!(told.iter().all(|journey| journey["verdict"]["arrived"].is_object()), "{told:#?}");
}

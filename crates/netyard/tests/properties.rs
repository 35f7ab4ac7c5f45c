//! What holds for all labs on the real kernel: plans of what is up are empty, every way to a lab leads to the same
//! state, unchanged links lose nothing, and a failure at any change leaves no trace.
//!
//! The random labs are those of netyard-core's tests of plans, without what would take long (spanning trees), what not
//! every kernel has (netem), and without loops of bridges, whose storms would stop this machine.
#![allow(clippy::unwrap_used)]
// A test may panic.

// Shared with netyard-core: a generator needs the types of that crate only, but has to be compiled where it is used.
#[allow(dead_code)]
#[path = "../../netyard-core/tests/plan/labs.rs"]
mod labs;
#[path = "../../netyard-core/tests/plan/random.rs"]
mod random;

use netyard::probe::ping::{Echo, Pinger};
use netyard::probe::{NodeSockets, Patience, SocketKind};
use netyard::{ErrorKind, Lab, RunningLab};
use netyard_core::lab::{Lab as Definition, NetworkKind};
use netyard_core::shaping::{Shaping, Share};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A random lab as it can be built anywhere, at once and without harm.
fn buildable() -> impl Strategy<Value = Definition> {
    let harmless = random::labs().prop_filter("a loop of bridges", |lab| !has_loop(lab));
    harmless.prop_map(|mut lab| {
        lab.dad = false;
        for network in &mut lab.networks {
            if let NetworkKind::Bridge { stp, .. } = &mut network.kind {
                *stp = None;
            }
        }
        let interfaces = lab.nodes.iter_mut().flat_map(|node| &mut node.interfaces);
        for shaping in interfaces.flat_map(|interface| [&mut interface.up, &mut interface.down]) {
            *shaping = Shaping { delay_us: 0, loss: Share::default(), ..*shaping };
        }
        lab
    })
}

/// Whether bridges of nodes lead from a network back to it.
fn has_loop(lab: &Definition) -> bool {
    fn root(joined: &BTreeMap<String, String>, name: &str) -> String {
        joined.get(name).map_or_else(|| name.to_owned(), |next| root(joined, next))
    }
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for node in &lab.nodes {
        for bridge in &node.bridges {
            let ports = node.interfaces.iter().filter(|interface| bridge.ports.contains(&interface.name));
            for port in ports {
                let network = root(&joined, port.network.as_str());
                let own = root(&joined, &format!("{} {}", node.name, bridge.name));
                if network == own {
                    return true;
                }
                joined.insert(network, own);
            }
        }
    }
    false
}

fn up(lab: &Definition) -> RunningLab {
    Lab::from_definition(lab.clone()).up().unwrap_or_else(|error| panic!("{error:?}"))
}

fn spec(lab: &Definition, fail_at: Option<usize>) -> netyard::protocol::Spec {
    let mut lab = Lab::from_definition(lab.clone());
    lab.fail_at = fail_at;
    lab.spec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_lab_that_is_up_needs_nothing_and_changes_into_any_other(first in buildable(), second in buildable()) {
        let mut lab = up(&first);
        prop_assert_eq!(lab.plan(spec(&first, None)).unwrap().steps, []);
        let before = lab.state().unwrap();
        lab.apply(spec(&second, None), &mut |_, _| {}).unwrap();
        prop_assert_eq!(lab.plan(spec(&second, None)).unwrap().steps, []);
        prop_assert_eq!(lab.state().unwrap(), up(&second).state().unwrap());
        lab.apply(spec(&first, None), &mut |_, _| {}).unwrap();
        prop_assert_eq!(lab.state().unwrap(), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_that_fails_anywhere_is_undone(first in buildable(), second in buildable(), offset in 0..10_usize) {
        check_undone(&first, &second, (offset..).step_by(10));
    }
}

const HOME: &str = include_str!("../../../labs/home.yaml");

fn definition(text: &str) -> Definition {
    Lab::from_yaml(text).unwrap().definition().clone()
}

/// Another lab with the same pc and printer: everything else is changed, taken away or new.
fn changed_home() -> Definition {
    let text = HOME.replace("internet: { role", "world: { role").replace("from: internet", "from: world");
    let text = text.replace(
        "masquerade: { from: lan, out: isp }",
        "nat: [{ port-forward: { port: 80, in: isp, to: pc } }]",
    );
    let text = text.replace(
        "nodes:\n",
        "nodes:\n  guest: { links: { lan: 10.0.0.77, more: { rate: 1mbit } }, firewall: { input: drop } }\n",
    );
    let text =
        text.replace("networks:\n", "networks:\n  more: { prefix: 10.7.0.0/24, kind: hub, mtu: 1400 }\n");
    definition(&text.split_once("\nexpect:").unwrap().0.replace("isp: 10.138.0.3", "isp: 10.138.0.4"))
}

#[test]
fn a_change_of_the_home_lab_that_fails_anywhere_is_undone() {
    check_undone(&definition(HOME), &changed_home(), 0..);
}

/// Lets changes from one lab to another fail in turn, until none is left.
fn check_undone(first: &Definition, second: &Definition, fail_at: impl Iterator<Item = usize>) {
    let mut lab = up(first);
    let before = lab.state().unwrap();
    for fail_at in fail_at {
        let Err(error) = lab.apply(spec(second, Some(fail_at)), &mut |_, _| {}) else { break };
        check_words(&error, fail_at);
        assert!(error.notes.iter().any(|note| note.contains("changes were undone")), "{fail_at}: {error:?}");
        assert_eq!(lab.state().unwrap(), before, "after failure {fail_at}");
        assert_eq!(lab.plan(spec(first, None)).unwrap().steps, [], "after failure {fail_at}");
    }
    assert_eq!(lab.state().unwrap(), up(second).state().unwrap());
}

/// Step, object and the kernel's words.
#[track_caller]
fn check_words(error: &netyard::Error, fail_at: usize) {
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Kernel, "K001"), "{fail_at}: {error:?}");
    assert!(error.title.starts_with("step ") && error.title.contains(" failed in `"), "{fail_at}: {error:?}");
    let [step, kernel, ..] = &error.notes[..] else { panic!("{fail_at}: {error:?}") };
    assert!(step.starts_with("step: ip ") || step.starts_with("step: tc "), "{fail_at}: {step}");
    assert_eq!(kernel, "kernel: \"a failure that was asked for\"", "{fail_at}");
}

#[test]
fn up_that_fails_anywhere_says_where_and_leaves_nothing() {
    let home = Lab::from_yaml(HOME).unwrap();
    let mut fail_at = 0;
    let lab = loop {
        let mut failing = home.clone();
        failing.fail_at = Some(fail_at);
        match failing.up() {
            Ok(lab) => break lab,
            Err(error) => check_words(&error, fail_at),
        }
        fail_at += 1;
    };
    assert!(fail_at > 30, "the lab has as many changes: {fail_at}");
    // The lab is its holder: where the process is gone, the kernel has taken back everything. Only that of the last try runs.
    let holders = children().into_iter().filter(|name| name.contains("netyard-holder")).count();
    drop(lab);
    assert!(holders <= 1 + other_tests(), "{holders} holders after {fail_at} failures");
}

/// Labs that the other tests of this program may have at the moment.
fn other_tests() -> usize {
    2 * 4
}

/// Command lines of this process's children.
fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let is_own = |path: &std::path::PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        // After the name in parentheses: state, then the parent.
        stat.rsplit(')').next().is_some_and(|rest| rest.split_whitespace().nth(1) == Some(&own))
    };
    processes
        .filter(is_own)
        .map(|path| std::fs::read_to_string(path.join("cmdline")).unwrap_or_default())
        .collect()
}

/// Pings go on while everything around is changed, and none is lost.
#[test]
fn unchanged_links_lose_no_packet_while_others_change() {
    let first = definition(HOME);
    let changed = changed_home();
    let mut lab = up(&first);
    let (pc, printer) = ("pc".parse().unwrap(), first.node("printer").unwrap().address(None).unwrap());
    // ARP once before, so that no packet waits for it.
    let patience = Patience::of(Duration::from_secs(2));
    let mut pinger = Pinger::open(&lab as &dyn NodeSockets, &pc, Echo::to(printer)).unwrap();
    pinger.echo(patience).unwrap();
    assert!(lab.socket(&pc, SocketKind::Route).is_ok());
    let is_over = AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                let reply = pinger
                    .echo(patience)
                    .unwrap_or_else(|miss| panic!("after {answered} pings: {}", miss.detail()));
                assert_eq!(reply.ttl, 64);
                answered += 1;
            }
            answered
        });
        for _ in 0..5 {
            lab.apply(spec(&changed, None), &mut |_, _| {}).unwrap();
            lab.apply(spec(&first, None), &mut |_, _| {}).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        flood.join().unwrap()
    });
    assert!(answered > 100, "{answered} pings");
}

//! How long a star takes, from nothing to ready and read back.

mod lab;

use lab::{live, star, steps_of};
use netyard::fault::Faults;
use netyard::namespaces::Namespaces;
use netyard_core::state::Ns;
use netyard_core::step::Step;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// 1000 hosts, or as many as `STAR` says. The time is printed and not judged: machines differ, and are shared.
#[test]
fn a_star_of_a_thousand_is_built_and_read_back() {
    netyard_kernel::limit::raise_open_files();
    let count: u16 = std::env::var("STAR").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let mut state = star(count);
    for namespace in state.namespaces.values_mut() {
        for key in ["all", "default"] {
            namespace.sysctls.insert(format!("net.ipv6.conf.{key}.disable_ipv6"), "1".into());
        }
    }
    let steps = steps_of(&state);
    let mut namespaces = Namespaces::new(None);
    let begin = Instant::now();
    // When the last step of each kind was done.
    let mut done = BTreeMap::new();
    let on_step = |index: usize| {
        done.insert(kind_of(&steps[index]), begin.elapsed());
    };
    if let Err(error) = namespaces.apply(&steps, &mut Faults::none(), on_step) {
        panic!("{error}");
    }
    let applied = begin.elapsed();
    let deadline = Instant::now() + Duration::from_secs(30);
    assert_eq!(namespaces.wait_until_ready(&state, deadline).unwrap(), []);
    let ready = begin.elapsed();
    let was_read = live(&mut namespaces, &state);
    let read = begin.elapsed();
    assert_eq!(was_read, state);
    drop(namespaces);
    let closed = begin.elapsed();
    println!("done after: {done:?}");
    println!(
        "{count} nodes: applied in {applied:?} ({:.3} ms each), ready {:?} later, read in {:?}, closed in {:?}",
        applied.as_secs_f64() * 1000.0 / f64::from(count),
        ready - applied,
        read - ready,
        closed - read,
    );
}

fn kind_of(step: &Step) -> &'static str {
    match step {
        Step::AddNamespace { .. } => "1 namespaces",
        step if *step.ns() == Ns::Fabric => "2 bridge and veth pairs",
        _ => "3 nodes",
    }
}

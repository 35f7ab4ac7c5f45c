//! How long a star takes, from nothing to ready and read back.

mod lab;

use lab::{live, star, steps_of};
use netyard::fault::Faults;
use netyard::namespaces::Namespaces;
use std::time::{Duration, Instant};

#[test]
fn a_star_of_a_thousand_is_built_and_read_back() {
    netyard_kernel::limit::raise_open_files();
    let count: u16 = std::env::var("STAR").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let mut state = star(count);
    for namespace in state.namespaces.values_mut() {
        let n: usize = std::env::var("KEYS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
        for (key, value) in [
            ("tcp_syncookies", "1"),
            ("ip_default_ttl", "64"),
            ("conf.all.rp_filter", "0"),
            ("conf.default.rp_filter", "0"),
            ("conf.all.arp_ignore", "0"),
            ("conf.default.arp_ignore", "0"),
            ("ip_forward", "0"),
            ("conf.all.forwarding", "0"),
            ("tcp_fin_timeout", "60"),
            ("tcp_retries2", "15"),
        ]
        .into_iter()
        .take(n.saturating_sub(2))
        {
            namespace.sysctls.insert(format!("net.ipv4.{key}"), value.into());
        }
        for key in ["all", "default"].into_iter().take(n) {
            namespace.sysctls.insert(format!("net.ipv6.conf.{key}.disable_ipv6"), "1".into());
        }
    }
    let steps = steps_of(&state);
    let mut namespaces = Namespaces::new(None);
    let begin = Instant::now();
    let mut marks = Vec::new();
    let mut last = "";
    let result = namespaces.apply(&steps, &mut Faults::none(), |index| {
        let kind = match &steps[index] {
            netyard_core::step::Step::AddNamespace { .. } => "namespaces",
            netyard_core::step::Step::AddVeth { .. } => "veths",
            step if *step.ns() == netyard_core::state::Ns::Fabric => "bridge",
            _ => "nodes",
        };
        if kind != last {
            marks.push((kind, begin.elapsed()));
            last = kind;
        }
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let applied = begin.elapsed();
    let unready = namespaces.wait_until_ready(&state, Instant::now() + Duration::from_secs(30)).unwrap();
    assert_eq!(unready, []);
    let ready = begin.elapsed();
    let was_read = live(&mut namespaces, &state);
    let read = begin.elapsed();
    assert_eq!(was_read, state);
    let per_node = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(count);
    println!("first of each: {marks:?}");
    println!(
        "{count} nodes: applied {applied:?} ({:.3} ms each), ready after {:?}, read in {:?}",
        per_node(applied),
        ready - applied,
        read - ready
    );
    let begin = Instant::now();
    drop(namespaces);
    println!("closed in {:?}", begin.elapsed());
}

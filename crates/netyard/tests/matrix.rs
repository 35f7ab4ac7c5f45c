//! Everybody pings everybody, beyond what the machine's neighbour table holds.

// A test may panic.
#![allow(clippy::unwrap_used)]

mod support;

use netyard::probe::matrix::{self, Matrix, Options, Progress};
use netyard_core::expect::Outcome;
use netyard_core::lab::{Lab, Role};
use netyard_core::name::NodeName;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use support::{Net, as_root, lab, name};

/// Hosts h0, h1 ... on one bridge, 10.0.0.1 and on.
fn star(count: usize) -> (Net, Lab) {
    let names: Vec<String> = (0..count).map(|n| format!("h{n}")).collect();
    let net = Net::new(names.iter().map(String::as_str).chain(["bridge"]));
    let mut links = String::from("link add br0 type bridge\nlink set br0 up\n");
    for (n, name) in names.iter().enumerate() {
        let _ =
            writeln!(links, "link add p{n} master br0 up type veth peer name eth0 netns {}", net.pid(name));
    }
    net.sh(
        "bridge",
        &format!("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6\nip -batch - <<'END'\n{links}END"),
    );
    let address = |n: usize| format!("10.0.{}.{}/16", (n + 1) / 250, (n + 1) % 250 + 1);
    for (n, name) in names.iter().enumerate() {
        net.sh(name, &format!("ip address add {} dev eth0; ip link set eth0 up", address(n)));
    }
    // A bridge port forwards a moment after its carrier is there.
    net.sh("bridge", "while bridge link show | grep -qv 'state forwarding'; do sleep 0.01; done");
    let addresses: Vec<String> = (0..count).map(address).collect();
    let links: Vec<[&str; 1]> = addresses.iter().map(|a| [a.as_str()]).collect();
    let links: Vec<[&[&str]; 1]> = links.iter().map(|a| [&a[..]]).collect();
    let nodes: Vec<_> = names.iter().zip(&links).map(|(n, l)| (n.as_str(), Role::Host, &l[..])).collect();
    (net, lab(&nodes))
}

fn nodes(lab: &Lab) -> Vec<NodeName> {
    lab.nodes.iter().map(|node| node.name.clone()).collect()
}

fn run(net: &Net, lab: &Lab) -> Matrix {
    run_with(net, lab, &Options::default(), &mut |_| ControlFlow::Continue(()))
}

fn run_with(
    net: &Net,
    lab: &Lab,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Matrix {
    let matrix = matrix::run(lab, net, &nodes(lab), options, progress).unwrap();
    println!("{} nodes: {} of {} in {:?}", lab.nodes.len(), matrix.answered, matrix.pairs, matrix.duration);
    matrix
}

#[test]
fn few_hosts_ping_each_other_in_one_wave() {
    as_root("few_hosts_ping_each_other_in_one_wave", || {
        let (net, lab) = star(5);
        let mut told = Vec::new();
        let matrix = run_with(&net, &lab, &Options::default(), &mut |progress| {
            told.push(progress);
            ControlFlow::Continue(())
        });
        assert_eq!(told, [Progress { pairs: 20, done: 20, answered: 20 }]);
        assert_eq!((matrix.answered, matrix.pairs, &matrix.failures[..]), (20, 20, &[][..]));
        assert_eq!(matrix.cell(0, 0), None);
        let cell = matrix.cell(0, 4).unwrap();
        assert!(cell.outcome == Outcome::Ok && cell.rtt_us > 0 && cell.rtt_us < 1_000_000, "{cell:?}");
    });
}

#[test]
fn everybody_answers_though_the_table_is_small() {
    as_root("everybody_answers_though_the_table_is_small", || {
        let (net, lab) = star(100);
        net.sh("h3", "ip neighbour add 10.0.99.77 lladdr 02:00:00:00:00:77 dev eth0 nud stale");
        let matrix = run(&net, &lab);
        assert_eq!((matrix.answered, matrix.pairs), (9_900, 9_900));
        // What the probe made is gone, what was there before is not.
        net.sh("h3", "ip neighbour show 10.0.99.77 | grep -q 02:00:00:00:00:77");
        net.sh("h50", "test -z \"$(ip neighbour show)\"");
        // How fast it is, the benches tell; here only that it does not wait for silence again and again.
        let limit = 30_000;
        assert!(matrix.duration < Duration::from_millis(limit), "{:?}", matrix.duration);
    });
}

#[test]
fn three_hundred_hosts_answer() {
    as_root("three_hundred_hosts_answer", || {
        let (net, lab) = star(300);
        let matrix = run(&net, &lab);
        assert_eq!((matrix.answered, matrix.pairs), (89_700, 89_700), "{:?}", matrix.failures.first());
    });
}

#[test]
fn a_dead_host_is_told_without_holding_up_the_others() {
    as_root("a_dead_host_is_told_without_holding_up_the_others", || {
        let (net, lab) = star(40);
        net.sh("bridge", "ip link set p7 down");
        let start = Instant::now();
        let matrix = run(&net, &lab);
        assert_eq!((matrix.answered, matrix.failures.len()), (39 * 38, 78));
        for failure in &matrix.failures {
            assert!(failure.from == 7 || failure.to == 7);
            // A link without carrier takes its route along only when told to; both verdicts are right.
            let expected: &[Outcome] = if failure.from == 7 {
                &[Outcome::NoRoute, Outcome::Unreachable, Outcome::Timeout]
            } else {
                &[Outcome::Unreachable]
            };
            assert!(expected.contains(&failure.outcome), "{failure:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    });
}

#[test]
fn routed_pairs_and_pairs_without_a_route_are_told_apart() {
    as_root("routed_pairs_and_pairs_without_a_route_are_told_apart", || {
        let net = Net::new(["a", "b", "lost", "router"]);
        net.cable(("a", "eth0", &["10.0.0.1/24"]), ("router", "eth0", &["10.0.0.254/24"]));
        net.cable(("b", "eth0", &["10.1.0.1/24"]), ("router", "eth1", &["10.1.0.254/24"]));
        net.cable(("lost", "eth0", &["10.2.0.1/24"]), ("router", "eth2", &["10.2.0.254/24"]));
        net.sh("router", "echo 1 > /proc/sys/net/ipv4/ip_forward");
        net.sh("a", "ip route add default via 10.0.0.254");
        net.sh("b", "ip route add default via 10.1.0.254");
        let lab = lab(&[
            ("a", Role::Host, &[&["10.0.0.1/24"]]),
            ("b", Role::Host, &[&["10.1.0.1/24"]]),
            ("lost", Role::Host, &[&["10.2.0.1/24"]]),
            ("router", Role::Router, &[&["10.0.0.254/24"], &["10.1.0.254/24"], &["10.2.0.254/24"]]),
        ]);
        let hosts = ["a", "b", "lost"].map(name);
        // So few entries are allowed that there are several waves.
        let options = Options { neighbours_max: 2, silence: Duration::from_millis(1500) };
        let matrix = matrix::run(&lab, &net, &hosts, &options, &mut |_| ControlFlow::Continue(())).unwrap();
        let outcomes: Vec<_> = matrix.failures.iter().map(|f| (f.from, f.to, f.outcome)).collect();
        let (timeout, no_route) = (Outcome::Timeout, Outcome::NoRoute);
        assert_eq!(outcomes, [(0, 2, timeout), (1, 2, timeout), (2, 0, no_route), (2, 1, no_route)]);
        assert_eq!(matrix.answered, 2);
        net.sh("router", "test -z \"$(ip neighbour show)\"");
    });
}

#[test]
fn the_probe_can_be_ended() {
    as_root("the_probe_can_be_ended", || {
        let (net, lab) = star(5);
        let options = Options { neighbours_max: 2, ..Options::default() };
        let matrix = run_with(&net, &lab, &options, &mut |_| ControlFlow::Break(()));
        assert!(matrix.answered > 0 && matrix.answered < 20);
        assert_eq!(matrix.cell(3, 4), None);
    });
}

//! A lab that is said to be ready carries packets.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions alone")]

mod lab;

use lab::{apply, built, home, if_name, lab, node, star, within};
use netyard_core::state::{Bridge, LinkKind, Ns, State, Stp};
use netyard_core::step::Step;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Sends one frame at once to each host and expects it there.
fn frames_arrive(state: &State, from: &str, to: &[(&str, &str)]) {
    let mut namespaces = built(state);
    assert_eq!(namespaces.wait_until_ready(state, soon()).unwrap(), []);
    for (name, address) in to {
        let receiver = within(&namespaces, name, || UdpSocket::bind((*address, 9)).unwrap());
        receiver.set_read_timeout(Some(Duration::from_millis(900))).unwrap();
        within(&namespaces, from, || {
            UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"!", (*address, 9)).unwrap();
        });
        // A first frame that is lost is an ARP request, and the kernel repeats it after one second.
        let mut buffer = [0; 8];
        assert!(receiver.recv(&mut buffer).is_ok(), "the first frame to {name} is lost");
    }
}

#[test]
fn the_first_frame_arrives_when_the_lab_is_ready() {
    for _ in 0..10 {
        frames_arrive(&home(), "pc", &[("printer", "10.0.0.2"), ("router", "10.0.0.254")]);
    }
    let hosts: Vec<(String, String)> = (2..=100).map(|n| (format!("h{n}"), format!("10.1.0.{n}"))).collect();
    let hosts: Vec<(&str, &str)> = hosts.iter().map(|(h, a)| (h.as_str(), a.as_str())).collect();
    frames_arrive(&star(100), "h1", &hosts);
}

#[test]
fn a_spanning_tree_is_waited_for() {
    let mut state = home();
    let fabric = state.namespaces.get_mut(&Ns::Fabric).unwrap();
    let stp = Some(Stp::CLASSROOM);
    fabric.links.get_mut("lan").unwrap().kind =
        LinkKind::Bridge(Bridge { stp, learns: true, snoops_multicast: false });
    let begin = Instant::now();
    frames_arrive(&state, "pc", &[("printer", "10.0.0.2")]);
    let waited = begin.elapsed();
    assert!(waited > Duration::from_secs(3) && waited < Duration::from_secs(10), "{waited:?}");
}

#[test]
fn what_is_not_ready_at_the_deadline_is_named() {
    let state = home();
    let mut namespaces = built(&state);
    let pull = Step::SetLinkUp { ns: Ns::Fabric, name: if_name("pc-0"), is_up: false };
    apply(&mut namespaces, &[pull]);
    let deadline = Instant::now() + Duration::from_millis(50);
    let mut unready = namespaces.wait_until_ready(&state, deadline).unwrap();
    unready.sort();
    assert_eq!(unready, [(Ns::Fabric, if_name("pc-0")), (node("pc"), if_name("eth0"))]);
}

#[test]
fn links_that_are_down_are_not_waited_for() {
    let mut state = lab(&[("a", "eth0", "lan", &["10.0.0.1/24"], None)]);
    state.namespaces.get_mut(&node("a")).unwrap().links.get_mut("eth0").unwrap().is_up = false;
    let mut namespaces = built(&state);
    assert_eq!(namespaces.wait_until_ready(&state, Instant::now()).unwrap(), []);
}

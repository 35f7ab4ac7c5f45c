//! Steps against the real kernel: what was asked for is what is read back.
//!
//! Every test works in namespaces of its own, which go with it. They need the right to make some: root, or a user
//! namespace.

mod lab;
mod support;

use lab::{apply, built, home, host_links, if_name, lab, live, net, node, steps_of};
use netyard::fault::Faults;
use netyard::namespaces::Namespaces;
use netyard_core::mac::Mac;
use netyard_core::shaping::{Shaping, Share};
use netyard_core::state::{
    Bridge, Link, LinkKind, Namespace, Neighbour, NextHop, Ns, Route, RouteTarget, State, Stp,
};
use netyard_core::step::Step;
use support::as_root;

/// Builds a state, compares what is read back, and sees that the host's own namespace is as before.
#[track_caller]
fn check(wanted: &State) {
    let before = host_links();
    let mut namespaces = built(wanted);
    assert_eq!(live(&mut namespaces, wanted), *wanted);
    assert_eq!(host_links(), before);
}

fn namespace<'a>(state: &'a mut State, name: &str) -> &'a mut Namespace {
    state.namespaces.get_mut(&node(name)).expect("the lab has the node")
}

fn eth0<'a>(state: &'a mut State, name: &str) -> &'a mut Link {
    namespace(state, name).links.get_mut("eth0").expect("the node has eth0")
}

fn pair() -> State {
    lab(&[
        ("a", "eth0", "lan", &["10.0.0.1/24", "fd00::1/64"], None),
        ("b", "eth0", "lan", &["10.0.0.2/24", "fd00::2/64"], None),
    ])
}

#[test]
fn the_home_lab_reads_back_as_it_was_asked_for() {
    check(&home());
}

#[test]
fn links_keep_their_properties() {
    let mut state = pair();
    let a = eth0(&mut state, "a");
    (a.mtu, a.is_up, a.fills_checksums) = (9000, false, false);
    a.addresses.retain(|address| address.addr().is_ipv4());
    a.mac = Some("02:00:00:00:00:aa".parse().unwrap());
    let b = eth0(&mut state, "b");
    b.addresses.extend([net("10.0.0.3/24"), net("192.0.2.1/32"), net("fe80::1/64"), net("10.0.0.4/8")]);
    let lo = namespace(&mut state, "b").links.get_mut("lo").unwrap();
    lo.addresses.extend([net("10.255.0.1/32"), net("127.0.0.2/8"), net("fd00:1::1/128")]);
    let fabric = state.namespaces.get_mut(&Ns::Fabric).unwrap();
    fabric.links.get_mut("a-0").unwrap().mtu = 9000;
    fabric.links.get_mut("b-0").unwrap().is_up = false;
    // A bridge takes the least of its ports' sizes when one joins.
    check(&state);
}

#[test]
fn bridges_keep_their_settings() {
    let settings = [
        Bridge { stp: Some(Stp::CLASSROOM), learns: true, snoops_multicast: true },
        Bridge { stp: Some(Stp::STANDARD), learns: false, snoops_multicast: false },
        Bridge { stp: None, learns: false, snoops_multicast: true },
    ];
    for bridge in &settings {
        let mut state = pair();
        let fabric = state.namespaces.get_mut(&Ns::Fabric).unwrap();
        fabric.links.get_mut("lan").unwrap().kind = LinkKind::Bridge(bridge.clone());
        check(&state);
    }
    let mut state = pair();
    let mut namespaces = built(&state);
    for bridge in settings {
        let fabric = state.namespaces.get_mut(&Ns::Fabric).unwrap();
        fabric.links.get_mut("lan").unwrap().kind = LinkKind::Bridge(bridge.clone());
        apply(&mut namespaces, &[Step::SetBridge { ns: Ns::Fabric, name: if_name("lan"), bridge }]);
        assert_eq!(live(&mut namespaces, &state), state);
    }
}

#[test]
fn routes_of_every_kind_read_back() {
    let mut state = pair();
    let dev = || if_name("eth0");
    let hop = |via: &str| NextHop { via: Some(via.parse().unwrap()), dev: dev(), weight: 1, onlink: false };
    let route = |to: &str, target| Route {
        target,
        metric: Route::metric_default(net(to)),
        ..Route::unicast(net(to), hop("10.0.0.2"))
    };
    let one = |to: &str, via: &str| Route::via(net(to), via.parse().unwrap(), dev());
    let several = |a: &str, b: &str| RouteTarget::Unicast(vec![hop(a), NextHop { weight: 20, ..hop(b) }]);
    let direct = NextHop { via: None, ..hop("10.0.0.2") };
    let onlink = NextHop { onlink: true, ..hop("192.0.2.9") };
    let onlink6 = NextHop { onlink: true, ..hop("2001:db8::9") };
    namespace(&mut state, "a").routes.extend([
        one("0.0.0.0/0", "10.0.0.2"),
        one("::/0", "fd00::2"),
        Route { metric: 100, ..one("0.0.0.0/0", "10.0.0.2") },
        Route { metric: 100, ..one("2001:db8:1::/48", "fd00::2") },
        Route { table: 100, ..one("10.9.0.0/16", "10.0.0.2") },
        Route { table: 100_000, ..one("10.9.0.0/16", "10.0.0.2") },
        Route { table: 100_000, ..one("2001:db8:2::/48", "fd00::2") },
        Route { src: Some("10.0.0.1".parse().unwrap()), ..one("10.10.0.0/16", "10.0.0.2") },
        Route { src: Some("fd00::1".parse().unwrap()), ..one("2001:db8:3::/48", "fd00::2") },
        Route::unicast(net("10.11.0.0/16"), direct.clone()),
        Route::unicast(net("2001:db8:4::/48"), direct),
        Route::unicast(net("10.12.0.0/16"), onlink),
        Route::unicast(net("2001:db8:5::/48"), onlink6),
        route("10.13.0.0/16", several("10.0.0.2", "10.0.0.3")),
        route("2001:db8:6::/48", several("fd00::2", "fd00::3")),
        route("10.14.0.0/16", RouteTarget::Unicast(vec![hop("fd00::2")])),
        route("10.15.0.0/16", RouteTarget::Unreachable),
        route("10.16.0.0/16", RouteTarget::Blackhole),
        route("10.17.0.0/16", RouteTarget::Prohibit),
        route("2001:db8:7::/48", RouteTarget::Unreachable),
        route("2001:db8:8::/48", RouteTarget::Blackhole),
        route("2001:db8:9::/48", RouteTarget::Prohibit),
        route("198.51.0.0/16", RouteTarget::Local(if_name("lo"))),
        route("::/1", RouteTarget::Local(if_name("lo"))),
    ]);
    check(&state);

    let mut namespaces = built(&state);
    let routes = std::mem::take(&mut namespace(&mut state, "a").routes);
    for route in routes {
        apply(&mut namespaces, &[Step::DeleteRoute { ns: node("a"), route }]);
    }
    assert_eq!(live(&mut namespaces, &state), state);
}

#[test]
fn the_internet_answers_for_every_address() {
    let mut state = home();
    let local = |to: &str| Route {
        target: RouteTarget::Local(if_name("lo")),
        metric: Route::metric_default(net(to)),
        ..Route::via(net(to), "10.138.0.3".parse().unwrap(), if_name("eth0"))
    };
    let unreachable = |to: &str| Route { target: RouteTarget::Unreachable, ..local(to) };
    namespace(&mut state, "internet").routes.extend([
        local("0.0.0.0/0"),
        local("::/0"),
        unreachable("10.0.0.0/8"),
        unreachable("fc00::/7"),
    ]);
    check(&state);
}

#[test]
fn a_rate_reads_back_as_it_was_asked_for() {
    let mut state = pair();
    let mut namespaces = built(&state);
    let rates = [8_000, 64_000, 1_000_000, 1_544_000, 10_000_000, 100_000_000, 1_000_000_000];
    for rate in rates.into_iter().chain([10_000_000_000, 40_000_000_000, 100_000_000_000]) {
        for (burst_bytes, latency_us) in
            [(32 * 1024, 50_000), (3_036, 50_000), (100_000, 20_000), (18_036, 200_000), (200_000, 1_000)]
        {
            let egress = Shaping {
                rate_bit_per_s: Some(rate),
                burst_bytes: Some(burst_bytes),
                latency_us: Some(latency_us),
                ..Shaping::default()
            };
            apply(&mut namespaces, &[Step::SetShaping { ns: node("a"), dev: if_name("eth0"), egress }]);
            eth0(&mut state, "a").egress = egress;
            let live = live(&mut namespaces, &state);
            let read = live.namespaces[&node("a")].links["eth0"].egress;
            // The kernel keeps a burst as a time in ticks of 64 ns: exact for every size up to 125 Mbit/s, and too
            // coarse for 1 % of it when it is a matter of microseconds.
            let burst_us = u64::from(burst_bytes) * 8_000_000 / rate;
            assert!(read == egress || rate > 125_000_000, "{read:?} {egress:?}");
            assert!(read.is_like(&egress) || burst_us < 10, "{read:?} {egress:?}");
        }
    }
}

#[test]
fn tc_shows_a_rate_as_if_it_had_made_it() {
    // A program that this process executes has its capabilities only as root.
    as_root("tc_shows_a_rate_as_if_it_had_made_it", || {
        let (rate_bit_per_s, latency_us) = (Some(10_000_000), Some(50_000));
        let egress = Shaping { rate_bit_per_s, burst_bytes: Some(5000), latency_us, ..Shaping::default() };
        let mut namespaces = built(&pair());
        apply(&mut namespaces, &[Step::SetShaping { ns: node("a"), dev: if_name("eth0"), egress }]);
        let tc = |words: &str| {
            let mut tc = std::process::Command::new("tc");
            let output = lab::within(&namespaces, "a", || tc.args(words.split(' ')).output().unwrap());
            assert!(output.status.success(), "{output:?}");
            // Without the handle, which the kernel gives out.
            let shown = String::from_utf8(output.stdout).unwrap();
            shown.split_once("root").map(|(_, rest)| rest.to_owned()).unwrap_or_default()
        };
        let ours = tc("qdisc show dev eth0");
        tc("qdisc delete dev eth0 root");
        tc("qdisc add dev eth0 root tbf rate 10mbit burst 5000 latency 50ms");
        assert_eq!(ours, tc("qdisc show dev eth0"));
        assert!(ours.contains("rate 10Mbit burst 5000b lat 50ms"), "{ours}");
    });
}

#[test]
fn shaping_is_replaced_and_removed() {
    let mut state = pair();
    let mut namespaces = built(&state);
    let shaped = |rate| Shaping { rate_bit_per_s: Some(rate), ..Shaping::default() }.with_defaults(1500);
    for egress in [shaped(1_000_000), shaped(2_000_000), Shaping::default()] {
        eth0(&mut state, "a").egress = egress;
        apply(&mut namespaces, &[Step::SetShaping { ns: node("a"), dev: if_name("eth0"), egress }]);
        assert_eq!(live(&mut namespaces, &state), state);
    }
}

#[test]
fn netem_works_or_is_said_to_be_missing() {
    let mut state = pair();
    let mut namespaces = built(&state);
    let egress = Shaping {
        rate_bit_per_s: Some(1_000_000),
        delay_us: 20_001,
        jitter_us: 5_000,
        loss: Share::from_percent(1.0),
        duplicate: Share::from_percent(2.0),
        reorder: Share::from_percent(25.0),
        corrupt: Share::from_percent(0.1),
        ..Shaping::default()
    };
    let step = Step::SetShaping { ns: node("a"), dev: if_name("eth0"), egress };
    match namespaces.apply(&[step], &mut Faults::none(), |_| ()) {
        Ok(()) => {
            eth0(&mut state, "a").egress = egress;
            assert_eq!(live(&mut namespaces, &state), state);
        }
        Err(error) => {
            println!("this kernel has no netem: only its refusal is tested");
            assert!(error.is_missing_qdisc(), "{error}");
        }
    }
}

#[test]
fn permanent_neighbours_read_back() {
    let mut state = pair();
    let neighbour =
        |to: &str| Neighbour { dev: if_name("eth0"), to: to.parse().unwrap(), mac: Mac([2, 0, 0, 0, 0, 7]) };
    namespace(&mut state, "a").neighbours.extend([neighbour("10.0.0.2"), neighbour("fd00::2")]);
    check(&state);
    let mut namespaces = built(&state);
    for neighbour in std::mem::take(&mut namespace(&mut state, "a").neighbours) {
        apply(&mut namespaces, &[Step::DeleteNeighbour { ns: node("a"), neighbour }]);
    }
    assert_eq!(live(&mut namespaces, &state), state);
}

#[test]
fn a_running_lab_changes_step_by_step() {
    let mut state = home();
    let mut namespaces = built(&state);
    let (ns, name) = (node("pc"), if_name("eth0"));
    let new_mac = Mac([2, 0, 0, 0, 0, 9]);
    apply(
        &mut namespaces,
        &[
            Step::SetMac { ns: ns.clone(), name: name.clone(), mac: new_mac },
            Step::SetMtu { ns: ns.clone(), name: name.clone(), mtu: 1400 },
            Step::DeleteAddress { ns: ns.clone(), dev: name.clone(), address: net("10.0.0.1/24") },
            Step::AddAddress { ns: ns.clone(), dev: name.clone(), address: net("10.0.0.9/24"), dad: false },
            Step::SetSysctl { ns: ns.clone(), key: "net.ipv4.ip_default_ttl".into(), value: "99".into() },
            Step::SetMaster { ns: Ns::Fabric, name: if_name("pc-0"), master: None },
            Step::SetLinkUp { ns: Ns::Fabric, name: if_name("pc-0"), is_up: false },
            Step::DeleteNamespace { ns: node("printer") },
            Step::SetChecksums { ns: ns.clone(), name, fills: false },
        ],
    );
    let pc = namespace(&mut state, "pc");
    pc.sysctls.insert("net.ipv4.ip_default_ttl".into(), "99".into());
    // The default route went with the address that reached its gateway.
    pc.routes.clear();
    let link = eth0(&mut state, "pc");
    (link.mac, link.mtu, link.fills_checksums) = (Some(new_mac), 1400, false);
    link.addresses = [net("10.0.0.9/24")].into();
    let fabric = state.namespaces.get_mut(&Ns::Fabric).unwrap();
    let port = fabric.links.get_mut("pc-0").unwrap();
    (port.master, port.is_up) = (None, false);
    fabric.links.remove("printer-0");
    state.namespaces.remove(&node("printer"));
    assert_eq!(live(&mut namespaces, &state), state);
}

#[test]
fn the_kernels_refusal_names_the_step_and_says_why() {
    let mut namespaces = built(&home());
    let gateway = "192.0.2.1".parse().unwrap();
    let route = Route::via(net("10.9.0.0/16"), gateway, if_name("eth0"));
    let good = Step::SetLinkUp { ns: node("pc"), name: if_name("eth0"), is_up: true };
    let bad = Step::AddRoute { ns: node("pc"), route };
    let error = namespaces.apply(&[good, bad.clone()], &mut Faults::none(), |_| ()).unwrap_err();
    assert_eq!((error.index, &*error.step), (1, &bad));
    assert_eq!(error.message.as_deref(), Some("Nexthop has invalid gateway"));

    let absent = Step::SetLinkUp { ns: node("pc"), name: if_name("eth7"), is_up: true };
    let error = namespaces.apply(&[absent], &mut Faults::none(), |_| ()).unwrap_err();
    assert_eq!(error.message.as_deref(), Some("pc has no link eth7"));

    let sysctl = Step::SetSysctl { ns: node("pc"), key: "net.ipv4.no_such".into(), value: "1".into() };
    let error = namespaces.apply(std::slice::from_ref(&sysctl), &mut Faults::none(), |_| ()).unwrap_err();
    assert_eq!(*error.step, sysctl);
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[test]
fn every_change_can_fail_and_names_its_step() {
    let steps = steps_of(&home());
    let mut faults = Faults::none();
    Namespaces::new(None).apply(&steps, &mut faults, |_| ()).unwrap();
    let changes = faults.count;
    assert!(changes >= steps.len());
    for k in 0..changes {
        let mut namespaces = Namespaces::new(None);
        let mut done = Vec::new();
        let error = namespaces.apply(&steps, &mut Faults::at(k), |index| done.push(index)).unwrap_err();
        assert_eq!(error.message.as_deref(), Some("a failure that was asked for"), "{k}: {error}");
        assert_eq!(*error.step, steps[error.index]);
        assert_eq!(done, (0..error.index).collect::<Vec<_>>(), "{k}");
        // What was done can be read, and nothing of what came after is there.
        let live = live(&mut namespaces, &State::default());
        let made = steps[..error.index].iter().filter(|s| matches!(s, Step::AddNamespace { .. })).count();
        assert_eq!(live.namespaces.len(), made, "{k}");
    }
}

#[test]
fn a_veth_whose_peer_is_outside_the_lab_is_of_another_kind() {
    let mut namespaces = built(&pair());
    apply(&mut namespaces, &[]);
    let outside = namespaces.fd(&node("b")).unwrap().try_clone_to_owned().unwrap();
    let mut part = Namespaces::new(None);
    part.insert(node("b"), outside, None);
    let live = live(&mut part, &State::default());
    assert_eq!(live.namespaces[&node("b")].links["eth0"].kind, LinkKind::Other("veth".into()));
}

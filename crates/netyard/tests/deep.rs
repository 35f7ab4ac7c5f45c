//! What the kernel says of packets that it drops, to root; and what everybody else is told.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions, and these are their helpers"
)]

use netyard::deep::{self, Deep, DropReasons, Passed, Told, Wanted};
use netyard::look::{Scope, look};
use netyard::{Lab, RunningLab};
use netyard_core::fault::Cause;
use netyard_core::packet::Frame;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A way over one router, of which each case breaks something.
const NETWORK: &str = "
networks: { lan: 10.0.0.0/24, far: 10.1.0.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 }, interfaces: { lo: 172.16.0.1/32 } }
  router: { links: { lan: 10.0.0.254, far: 10.1.0.254 }, forward: on ROUTER }
  server: { links: { far: 10.1.0.1 } }
";

/// Something that a packet ends by.
struct Case {
    /// What the router has besides.
    router: &'static str,
    /// What pc does.
    does: &'static str,
    reason: &'static str,
    function: &'static str,
    node: &'static str,
    cause: Cause,
}

const CASES: [Case; 6] = [
    Case {
        router: "",
        does: "ping -c 1 -W 1 9.9.9.9",
        reason: "IP_INNOROUTES",
        function: "ip_error",
        node: "router",
        cause: Cause::NoRouteOnTheWay,
    },
    Case {
        router: ", sysctls: { net.ipv4.ip_forward: 0 }",
        does: "ping -c 1 -W 1 10.1.0.1",
        reason: "IP_INADDRERRORS",
        function: "ip_error",
        node: "router",
        cause: Cause::NotForwarding,
    },
    Case {
        router: ", tables: { ip t: { c: { type: filter, hook: forward, priority: 0, rules: [drop] } } }",
        does: "ping -c 1 -W 1 10.1.0.1",
        reason: "NETFILTER_DROP",
        function: "",
        node: "router",
        cause: Cause::Rule,
    },
    Case {
        router: ", sysctls: { net.ipv4.conf.all.rp_filter: 1 }",
        // The router does not answer for itself to that address either.
        does: "ping -c 1 10.1.0.1; ping -c 1 -W 1 -I 172.16.0.1 10.1.0.1",
        reason: "IP_RPFILTER",
        function: "ip_rcv_finish",
        node: "router",
        cause: Cause::ReversePathFilter,
    },
    Case {
        router: "",
        does: "ping -c 1 -W 1 -t 1 10.1.0.1",
        reason: "IP_INHDR",
        function: "ip_forward",
        node: "router",
        cause: Cause::TtlExceeded,
    },
    Case {
        router: "",
        does: "echo x > /dev/udp/10.1.0.1/9",
        reason: "NO_SOCKET",
        function: "__udp4_lib_rcv",
        node: "server",
        cause: Cause::NotListening,
    },
];

fn inodes(lab: &RunningLab) -> BTreeMap<String, u64> {
    let seen = look(Scope::Lab(lab)).unwrap().namespaces;
    seen.iter().map(|seen| (seen.name.to_string(), seen.inode)).collect()
}

fn lab(router: &str) -> RunningLab {
    Lab::from_yaml(&NETWORK.replace("ROUTER", router)).unwrap().up().unwrap()
}

/// What is told until something is that is wanted.
fn until(reasons: &mut DropReasons, is_it: impl Fn(&Told) -> bool) -> Told {
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    let mut all = Vec::new();
    loop {
        let told = reasons.read();
        if let Some(found) = told.iter().find(|told| is_it(told)) {
            return found.clone();
        }
        all.extend(told.into_iter().map(|told| match told {
            Told::Dropped(d) => format!("{} at {:?} in {}", d.reason, d.function, d.inode),
            Told::Passed(p) => format!("{p:?}"),
        }));
        let mut fds = [PollFd::new(reasons, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "never told, but {all:#?}");
    }
}

/// Nanoseconds since 1970.
fn now_ns() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}

/// The addresses in a packet, from its network header on.
fn ends(bytes: &[u8], ethertype: u16) -> Option<(IpAddr, IpAddr)> {
    Frame::cooked(ethertype, bytes, bytes.len()).ip().map(|ip| (ip.from, ip.to))
}

fn tells(wanted: &Wanted) -> Box<DropReasons> {
    match deep::open(wanted) {
        Deep::Tells(reasons) => reasons,
        Deep::Absent(why) => panic!("root is not told: {why}"),
    }
}

#[test]
fn root_is_told_the_reason_and_the_node_and_others_why_not() {
    if !rustix::process::geteuid().is_root() {
        return an_ordinary_user_is_told_why_not();
    }
    for case in CASES {
        let lab = lab(case.router);
        let inodes = inodes(&lab);
        let wanted = Wanted { namespaces: inodes.values().copied().collect(), ..Wanted::default() };
        let mut reasons = tells(&wanted);
        let before = now_ns();
        // Whether it is answered is not asked: it is not.
        lab.node("pc").unwrap().command("bash").args(["-c", case.does]).output().unwrap();
        let told = until(&mut reasons, |told| matches!(told, Told::Dropped(d) if d.reason == case.reason));
        let Told::Dropped(dropped) = told else { unreachable!() };
        assert_eq!(dropped.inode, inodes[case.node], "{}: {dropped:?}", case.reason);
        let function = dropped.function.clone().unwrap_or_default();
        assert!(function.starts_with(case.function), "{}: {dropped:?}", case.reason);
        assert_eq!(dropped.cause(), Some(case.cause), "{dropped:?}");
        assert!(!dropped.is_benign(), "{dropped:?}");
        let (source, _) = ends(&dropped.bytes, dropped.ethertype).unwrap_or_else(|| panic!("{dropped:?}"));
        assert!(source.to_string().ends_with("0.1"), "{source} in {dropped:?}");
        let age = dropped.at_ns.saturating_sub(before);
        assert!(dropped.at_ns >= before && age < 20_000_000_000, "{age} ns after it was begun");
        assert_eq!(reasons.lost(), 0);
    }
}

fn an_ordinary_user_is_told_why_not() {
    let lab = lab("");
    let wanted = Wanted { namespaces: inodes(&lab).into_values().collect(), ..Wanted::default() };
    let Deep::Absent(words) = deep::open(&wanted) else { panic!("an ordinary user is told") };
    assert!(words.contains("CAP_BPF") && words.contains("root"), "{words}");
}

#[test]
fn root_sees_one_packet_come_in_and_leave_as_the_same_and_no_other_flow() {
    if !rustix::process::geteuid().is_root() {
        return an_ordinary_user_is_told_why_not();
    }
    let lab = lab("");
    let router = inodes(&lab)["router"];
    let wanted =
        Wanted { namespaces: vec![router], addresses: vec!["10.1.0.1".parse().unwrap()], with_passing: true };
    let mut reasons = tells(&wanted);
    let pc = lab.node("pc").unwrap();
    for command in ["ping -c 1 10.0.0.254", "ping -c 1 -p 7777 10.1.0.1"] {
        assert!(pc.command("bash").args(["-c", command]).output().unwrap().status.success(), "{command}");
    }
    let target: IpAddr = "10.1.0.1".parse().unwrap();
    let is_request =
        |passed: &Passed| ends(&passed.bytes, passed.ethertype).is_some_and(|(_, to)| to == target);
    let came = until(&mut reasons, |told| matches!(told, Told::Passed(p) if !p.is_out && is_request(p)));
    let Told::Passed(came) = came else { unreachable!() };
    assert_eq!(came.inode, router);
    // Another one: of the first, both may have come with one reading.
    assert!(pc.command("ping").args(["-c", "1", "10.1.0.1"]).output().unwrap().status.success());
    let mut seen = Vec::new();
    let is_pair = |one: &Passed, other: &Passed| {
        !one.is_out
            && other.is_out
            && one.skb == other.skb
            && one.ifindex != other.ifindex
            && is_request(other)
    };
    until_all(&mut reasons, &mut seen, |seen| {
        seen.iter().any(|one| seen.iter().any(|other| is_request(one) && is_pair(one, other)))
    });
    let strangers = seen.iter().filter_map(|passed| ends(&passed.bytes, passed.ethertype));
    let strangers: Vec<_> = strangers.filter(|(from, to)| *from != target && *to != target).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

/// Gathers what passes until that is enough.
fn until_all(reasons: &mut DropReasons, seen: &mut Vec<Passed>, is_enough: impl Fn(&[Passed]) -> bool) {
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    loop {
        seen.extend(reasons.read().into_iter().filter_map(|told| match told {
            Told::Passed(passed) => Some(passed),
            Told::Dropped(_) => None,
        }));
        if is_enough(seen) {
            return;
        }
        let mut fds = [PollFd::new(reasons, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "never enough: {seen:#?}");
    }
}

//! Feature detection against the kernel, as root and as an ordinary user.

use netyard_kernel::feature::{self, Availability, Features, Kind, Stage, in_throwaway_namespace};
use std::process::Command;

/// Links and mounts that this process sees, and its namespaces: what a probe must not change.
fn surroundings() -> Vec<String> {
    let links = std::fs::read_to_string("/proc/self/net/dev").expect("/proc is there");
    let names = links.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is there");
    let namespaces = ["user", "net", "mnt", "pid_for_children"].map(|kind| {
        std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("/proc is there").display().to_string()
    });
    names.chain(mounts.lines().map(str::to_owned)).chain(namespaces).collect()
}

fn why(features: &Features, kind: Kind) -> String {
    format!("{:?} {:?}", features.no_namespaces, features.list.iter().find(|f| f.kind == kind))
}

#[test]
fn what_every_lab_needs_is_found_and_nothing_is_changed() {
    let before = surroundings();
    let features = feature::probe();
    assert_eq!(surroundings(), before);
    assert_eq!(features.list.iter().map(|f| f.kind).collect::<Vec<_>>(), Kind::ALL);
    for kind in
        [Kind::Veth, Kind::Bridge, Kind::Stp, Kind::Ipv6, Kind::Masquerade, Kind::Fib, Kind::Conntrack]
    {
        assert!(features.has(kind), "{}", why(&features, kind));
    }
    for feature in &features.list {
        assert!(!feature.kind.name().is_empty() && !feature.kind.needed_for().is_empty());
        match &feature.availability {
            Availability::Available => {}
            Availability::Missing(reason) => assert!(!reason.why.is_empty() && reason.remedy.is_some()),
            Availability::Untried => panic!("{feature:?}"),
        }
    }
}

/// ip(8) and tc(8) come to the same result as we do.
#[test]
fn iproute2_agrees() {
    let features = feature::probe();
    let link = |kind: &str, options: &str| format!("ip link add nytest {options} type {kind}");
    for (kind, command) in [
        (Kind::Veth, link("veth", "")),
        (Kind::Bridge, link("bridge", "")),
        (Kind::BridgeVlanFiltering, link("bridge vlan_filtering 1", "")),
        (Kind::Stp, link("bridge stp_state 1", "")),
        (Kind::Vlan, link("vlan id 2", "link nybase")),
        (Kind::Macvlan, link("macvlan mode bridge", "link nybase")),
        (Kind::Vxlan, link("vxlan id 1 dstport 4789", "")),
        (Kind::Dummy, link("dummy", "")),
        (Kind::Vrf, link("vrf table 10", "")),
        (Kind::Wireguard, link("wireguard", "")),
        (Kind::Tbf, "tc qdisc add dev nybase root tbf rate 1mbit burst 10kb latency 50ms".to_owned()),
        (Kind::Netem, "tc qdisc add dev nybase root netem delay 1ms".to_owned()),
    ] {
        if kind == Kind::Dummy && !std::path::Path::new("/sys/module/dummy").exists() {
            // To try would load a module that adds a link to the host.
            assert!(!features.has(kind), "{}", why(&features, kind));
            continue;
        }
        let script = format!("PATH=$PATH:/usr/sbin:/sbin; ip link add nybase type veth && {command}");
        let output = Command::new("unshare").args(["-Urn", "sh", "-c", &script]).output();
        let output = output.expect("the program `unshare` (package util-linux) starts");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!words.contains("not found"), "this test needs `ip` and `tc` (package iproute2): {words}");
        assert_eq!(
            output.status.success(),
            features.has(kind),
            "{command}: {words}; {}",
            why(&features, kind)
        );
    }
}

#[test]
fn the_throwaway_namespace_is_another_one_and_its_answer_comes_back() {
    let read = |kind: &str| std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("/proc is there");
    let ours = [read("net"), read("user")].map(|link| link.display().to_string()).join(" ");
    let theirs = in_throwaway_namespace(|| {
        [read("net"), read("user")].map(|link| link.display().to_string()).join(" ").into_bytes()
    });
    let theirs = String::from_utf8(theirs.expect("namespaces are to be had")).expect("it is text");
    assert!(ours.split(' ').zip(theirs.split(' ')).all(|(a, b)| a != b), "{ours}; {theirs}");
    let large = in_throwaway_namespace(|| vec![7; 1 << 20]);
    assert_eq!(large.map(|bytes| bytes.len()), Ok(1 << 20), "more than a pipe holds");
}

#[test]
fn a_child_that_dies_is_told_apart_from_one_that_was_refused() {
    let refused = in_throwaway_namespace(|| {
        // SAFETY: kill(2) takes no pointers; the process ends itself.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        Vec::new()
    });
    assert_eq!(refused.expect_err("it has no answer").stage, Stage::Child);
}

/// In a user namespace that allows none below it, the limit is named. The test starts itself again in one.
#[test]
fn a_limit_of_zero_user_namespaces_is_named() {
    const INSIDE: &str = "NETYARD_TEST_NO_USER_NAMESPACES";
    if std::env::var_os(INSIDE).is_some() {
        let features = feature::probe();
        let reason = features.no_namespaces.expect("the limit is 0");
        assert!(
            reason.why.starts_with("cannot make a user namespace: No space left on device"),
            "{}",
            reason.why
        );
        assert!(reason.remedy.is_some_and(|r| r.contains("user.max_user_namespaces")));
        assert!(features.list.iter().all(|f| f.availability == Availability::Untried));
        return;
    }
    let program = std::env::current_exe().expect("/proc/self/exe is readable");
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" --exact \"$1\" --nocapture";
    let output = Command::new("unshare")
        .args(["-Ur", "sh", "-c", script])
        .arg(program)
        .arg("a_limit_of_zero_user_namespaces_is_named")
        .env(INSIDE, "1")
        .output()
        .expect("the program `unshare` (package util-linux) starts");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn facts_are_those_of_this_machine() {
    let facts = feature::facts();
    let output = Command::new("uname").arg("-r").output().expect("the program `uname` starts");
    assert_eq!(facts.kernel_release, String::from_utf8_lossy(&output.stdout).trim());
    assert!(facts.user_namespaces_max.is_some_and(|max| max > 0));
    assert!(facts.open_files.0.is_none_or(|now| now > 0));
    // SAFETY: geteuid(2) takes nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let is_unknown = matches!(facts.forward_policy, feature::ForwardPolicy::Unknown(_));
    assert!(is_root || is_unknown, "an ordinary user may not read the host's rules: {facts:?}");
}

//! Nodes of kind `host`, on a machine that the test makes up.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use support::Yard;
use support::machine::{Machine, is_root};

const LAB: &str = "
networks: { lan: 198.18.0.0/24, dmz: 198.18.1.0/24 }
nodes:
  me:
    kind: host
    links: { lan: { address: 198.18.0.254, name: ny0 }, dmz: { address: 198.18.1.254, name: ny1 } }
    routes: { 198.19.0.0/16: srv }
    masquerade: { from: lan, out: dmz }
  pc: { links: { lan: 198.18.0.1 }, gateway: me }
  srv: { links: { dmz: 198.18.1.1 }, gateway: none }
expect:
  - { from: pc, ping: me }
  - { from: pc, ping: srv, seen-as: 198.18.1.254 }
  - { from: me, tcp: srv:22, outcome: refused }
";

/// What an ordinary user is told, who is nobody on the machine.
const NEEDS_ROOT: &str = "error[K006]: node `me` is this machine itself (`kind: host`)\n  = help: run as root, with `--allow-host`\n";

struct Host {
    yard: Yard,
    machine: Machine,
}

impl Host {
    fn new(test: &str) -> Self {
        Self { yard: Yard::new(test), machine: Machine::new() }
    }

    /// `up --allow-host` of a changed lab; what it says, with its code.
    fn up(&self, from: &str, to: &str) -> (Option<i32>, String) {
        let file = self.yard.write("lab.yaml", &format!("lab: {}\n{}", self.yard.lab, LAB.replace(from, to)));
        let ran = self.machine.run(&self.yard, &["up", "--quiet", "--allow-host", file.to_str().unwrap()]);
        (ran.code, ran.stderr)
    }

    fn shell(&self, script: &str) -> String {
        self.machine.shell(&self.yard, script)
    }

    /// Everything that a lab could change on the machine, without counters.
    fn state(&self) -> BTreeSet<String> {
        let text = self.shell(
            "ip -o link | cut -d: -f2-; ip -o address | cut -d: -f2-; ip route show table all; ip -6 route; ip rule
             ip neighbour show nud permanent; nft -s list ruleset
             cd /proc/sys/net && grep -rs . ipv4 ipv6 bridge core | grep -v -e /neigh/ -e netdev_rss_key -e /route/",
        );
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    }

    /// The lines that the machine has lost and gained.
    fn changes_since(&self, before: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
        let now = self.state();
        (before.difference(&now).cloned().collect(), now.difference(before).cloned().collect())
    }

    fn is_as(&self, before: &BTreeSet<String>) {
        assert_eq!(self.changes_since(before), (vec![], vec![]));
    }
}

#[test]
fn what_the_lab_adds_to_the_machine_vanishes_with_its_holder() {
    let host = Host::new("host");
    if !is_root() {
        assert_eq!(host.up("", ""), (Some(3), NEEDS_ROOT.into()));
        return;
    }
    host.shell("nft 'add table inet foreign; add chain inet foreign c; add rule inet foreign c accept'");
    let before = host.state();
    assert_eq!(host.up("", ""), (Some(0), String::new()));

    let (lost, added) = host.changes_since(&before);
    assert_eq!(lost, [""; 0], "what was there is as it was");
    let is_labs = |line: &&String| line.contains("ny0") || line.contains("ny1");
    let others: Vec<&String> = added.iter().filter(|line| !is_labs(line)).collect();
    assert_eq!(
        others,
        [
            "chain postrouting {",
            "flags owner",
            "table inet netyard { # progname exe",
            "type nat hook postrouting priority srcnat; policy accept;",
        ]
    );
    for words in ["198.19.0.0/16 via 198.18.1.1 dev ny1", "oifname \"ny1\" ip saddr 198.18.0.0/24 masquerade"]
    {
        assert!(added.iter().any(|line| line.contains(words)), "{words} in {added:#?}");
    }
    assert!(
        !added.iter().any(|line| line.contains("ip_forward")),
        "forwarding is that of the lab's interfaces"
    );

    let tested = host.machine.prints(&host.yard, &["test"]);
    assert!(tested.contains("3 passed") || tested.contains("3 expectations"), "{tested}");
    let file = host.yard.folder.join("lab.yaml");
    let plan = host.machine.run(&host.yard, &["plan", file.to_str().unwrap()]);
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), ""));
    assert!(plan.stderr.contains("nothing to do"), "{}", plan.stderr);

    host.machine.kill_holder(&host.yard);
    // The kernel takes the lab's namespaces, and the veths with them, apart a moment later.
    host.shell(
        "for _ in $(seq 1000); do ip link show ny0 || ip link show ny1 || exit 0; sleep 0.01; done; exit 1",
    );
    host.is_as(&before);
}

#[test]
fn a_lab_that_would_be_in_the_machines_way_is_refused() {
    let host = Host::new("host-clash");
    if !is_root() {
        assert_eq!(host.up("name: ny0", "name: wan"), (Some(3), NEEDS_ROOT.into()));
        return;
    }
    let before = host.state();
    let refused = |from, to, words: &str| {
        let (code, said) = host.up(from, to);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.starts_with(words), "{said}");
        host.is_as(&before);
    };
    refused("name: ny0", "name: wan", "error[U014]: the machine has an interface `wan` already\n");
    refused(
        "198.18.1.",
        "192.0.2.",
        "error[U014]: prefix 192.0.2.0/24 overlaps 192.0.2.2/24 of the machine's `wan`\n",
    );
    refused(
        "pc: {",
        "pc: { uplink: pasta,",
        "error[U015]: node `me` is this machine itself, and node `pc` has",
    );
    refused(
        "pc: {",
        "you: { kind: host }\n  pc: {",
        "error[U013]: nodes `me` and `you` are both of kind `host`",
    );
}

#[test]
fn the_machine_takes_part_only_when_that_is_allowed() {
    let host = Host::new("host-asks");
    let file = host.yard.write("lab.yaml", &format!("lab: {}\n{LAB}", host.yard.lab));
    let before = host.state();
    for verb in ["up", "test"] {
        let ran = host.machine.run(&host.yard, &[verb, file.to_str().unwrap()]);
        if is_root() {
            assert_eq!(ran.code, Some(2), "{}", ran.stderr);
            assert!(
                ran.stderr.starts_with("error[U013]: node `me` is this machine itself"),
                "{}",
                ran.stderr
            );
            assert!(ran.stderr.contains("help: `--allow-host` allows that"), "{}", ran.stderr);
        } else {
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), NEEDS_ROOT));
        }
    }
    host.is_as(&before);
}

#[test]
fn a_machine_that_lets_nobody_ping_says_what_does() {
    let host = Host::new("host-ping");
    if !is_root() {
        // Where only one group is mapped, the range cannot leave it out.
        assert_eq!(host.up("", ""), (Some(3), NEEDS_ROOT.into()));
        return;
    }
    host.shell("echo '1 0' > /proc/sys/net/ipv4/ping_group_range");
    assert_eq!(host.up("", ""), (Some(0), String::new()));
    let ping = || host.machine.run(&host.yard, &["ping", "me", "srv", "--count", "1"]);
    let ran = ping();
    assert_ne!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("sysctl -w net.ipv4.ping_group_range=\"0 0\""),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    host.shell("echo '0 0' > /proc/sys/net/ipv4/ping_group_range");
    assert_eq!(ping().code, Some(0), "{}", ping().stderr);
}

#[test]
fn down_waits_until_all_is_gone_if_asked() {
    let host = Host::new("host-wait");
    if !is_root() {
        assert_eq!(host.up("", ""), (Some(3), NEEDS_ROOT.into()));
        return;
    }
    let before = host.state();
    for _ in 0..5 {
        assert_eq!(host.up("", ""), (Some(0), String::new()));
        let ran = host.machine.run(&host.yard, &["down", "--wait"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        host.is_as(&before);
    }
}

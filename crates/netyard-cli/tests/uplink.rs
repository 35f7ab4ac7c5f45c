//! `uplink: pasta`, on a machine that the test makes up.
//!
//! Where `/dev/net/tun` is closed to an ordinary user, what is tested is that netyard says so.
#![allow(clippy::unwrap_used)]

mod support;

use support::machine::Machine;
use support::{Ran, Yard};

const LAB: &str = "
networks: { lan: 10.0.0.0/24 }
nodes:
  gw: { links: { lan: 10.0.0.254 }, forward: true, uplink: pasta }
  pc: { links: { lan: 10.0.0.1 }, gateway: gw }
";

/// A machine with the lab on it, or what `up` said.
fn up(test: &str) -> (Yard, Machine, Ran) {
    let yard = Yard::new(test);
    let file = yard.write("lab.yaml", &format!("lab: {}\n{LAB}", yard.lab));
    let machine = Machine::new();
    let ran = machine.run(&yard, &["up", "--quiet", file.to_str().unwrap()]);
    (yard, machine, ran)
}

/// What a node reads from a TCP server; nothing where it does not get there within a second.
fn reads(yard: &Yard, machine: &Machine, node: &str, address: &str, port: u16) -> String {
    let script = format!("exec 3<>/dev/tcp/{address}/{port} && cat <&3");
    machine.run(yard, &["exec", node, "--", "timeout", "1", "bash", "-c", &script]).stdout
}

/// Whether the tap can be made here; if not, that netyard has said so.
fn is_up(yard: &Yard, machine: &Machine, ran: &Ran) -> bool {
    let opens = "if (: <>/dev/net/tun) 2>/dev/null; then echo yes; else echo no; fi";
    if machine.shell(yard, opens) == "yes\n" {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        return true;
    }
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    for words in ["error[K014]: cannot connect node `gw`", "/dev/net/tun", "help: `modprobe tun`"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    let listed = machine.run(yard, &["list"]);
    assert!(listed.stderr.starts_with("no lab runs"), "{}{}", listed.stdout, listed.stderr);
    false
}

#[test]
fn a_node_reaches_the_real_network_and_not_the_machine() {
    let (yard, machine, ran) = up("uplink");
    if !is_up(&yard, &machine, &ran) {
        return;
    }
    assert_eq!(reads(&yard, &machine, "gw", "203.0.113.1", 8000), "world");
    assert_eq!(reads(&yard, &machine, "pc", "203.0.113.1", 8000), "world", "through the router");

    let on_machine = "exec 3<>/dev/tcp/127.0.0.1/8001 && cat <&3";
    assert_eq!(machine.shell(&yard, on_machine), "loopback", "the server is there");
    for address in ["127.0.0.1", "192.0.2.1", "192.0.2.2"] {
        assert_eq!(reads(&yard, &machine, "gw", address, 8001), "", "{address}");
    }
    let namespaces = "readlink /proc/[0-9]*/ns/net";
    let machines = machine.shell(&yard, "readlink /proc/self/ns/net");
    let seen = machine.run(&yard, &["exec", "gw", "--", "bash", "-c", namespaces]).stdout;
    assert!(seen.starts_with("net:") && !seen.contains(machines.trim()), "pasta is closed: {seen}");
    let holders = machine.shell(&yard, "readlink /proc/$(pgrep -f ^netyard-holder)/ns/net");
    assert_ne!(holders, machines, "the holder has left");
}

#[test]
fn an_uplink_is_seen_and_is_no_difference() {
    let (yard, machine, ran) = up("uplink-seen");
    if !is_up(&yard, &machine, &ran) {
        return;
    }
    let file = yard.folder.join("lab.yaml");
    let plan = machine.run(&yard, &["plan", file.to_str().unwrap()]);
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), ""));
    assert!(plan.stderr.contains("nothing to do"), "{}", plan.stderr);
    let show = machine.prints(&yard, &["show"]);
    for words in ["uplink0    up     192.0.2.2/24", "default via 192.0.2.1 dev uplink0", "gw  pasta  running"]
    {
        assert!(show.contains(words), "{words} in\n{show}");
    }
    assert!(machine.prints(&yard, &["logs", "gw", "pasta"]).contains("192.0.2.2"));
    let resolver = |node| machine.prints(&yard, &["exec", node, "--", "cat", "/etc/resolv.conf"]);
    assert!(resolver("gw").contains("nameserver 192.0.2.53") && !resolver("gw").contains("127.0.0.53"));
    assert!(!resolver("pc").contains("nameserver"));

    let text = LAB.replace(", uplink: pasta", "");
    yard.write("lab.yaml", &format!("lab: {}\n{text}", yard.lab));
    let ran = machine.run(&yard, &["up", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.starts_with("error[U015]: a running lab cannot gain or lose an uplink"),
        "{}",
        ran.stderr
    );
    yard.write("lab.yaml", &format!("lab: {}\n{}", yard.lab, LAB.replace("10.0.0.1 ", "10.0.0.7 ")));
    machine.prints(&yard, &["up", "--quiet", file.to_str().unwrap()]);
    assert_eq!(reads(&yard, &machine, "pc", "203.0.113.1", 8000), "world", "it outlives a change of the lab");
}

#[test]
fn pasta_ends_with_the_lab() {
    let (yard, machine, ran) = up("uplink-kill");
    if !is_up(&yard, &machine, &ran) {
        return;
    }
    let runs = "pgrep -cf '^pasta --foreground' || true";
    assert_eq!(machine.shell(&yard, runs), "1\n");
    machine.kill_holder(&yard);
    assert_eq!(machine.shell(&yard, runs), "0\n");
}

#[test]
fn what_an_uplink_needs_is_told_before_anything_is_built() {
    let yard = Yard::new("uplink-no");
    let machine = Machine::new();
    let file = yard.write("lab.yaml", &format!("lab: {}\n{LAB}", yard.lab));
    let mut command = machine.command(&yard, "env");
    command.args(["PATH=/nowhere", support::PROGRAM, "up", file.to_str().unwrap()]);
    let ran = support::finished(&mut command);
    assert_eq!(ran.code, Some(3));
    assert_eq!(
        ran.stderr,
        "error[K008]: `pasta` is not installed\n  = the uplink of node `gw` needs it\n  = help: `apt install passt`\n"
    );
    yard.write("lab.yaml", &LAB.replace("gw: {", "gw: { gateway: 10.0.0.9,"));
    let ran = machine.run(&yard, &["up", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("error[U015]: node `gw` has an uplink and a default route"),
        "{}",
        ran.stderr
    );
}

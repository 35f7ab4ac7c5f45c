//! What is told to mend something, typed as it is told; and by which interface a packet is sent.

use crate::net::Net;
use crate::support::{PROGRAM, Yard, finished};
use std::path::Path;

/// The commands of the lines `mend`, and of those below them, but lines for the lab file.
fn told(text: &str) -> Vec<String> {
    let mends = text.lines().skip_while(|line| !line.starts_with("  mend  "));
    let commands = mends.filter_map(|line| line.get(8..)?.rsplit_once("  # "));
    let commands = commands.filter(|(_, does)| *does != "in the lab file");
    commands.map(|(command, _)| command.trim().to_owned()).collect()
}

/// Where several labs run, commands name theirs.
#[test]
fn a_told_command_runs_where_it_is_meant_to() {
    let yard = Yard::with_lab(
        "why-told",
        crate::net::HOME
            .split_once("networks:")
            .map(|(_, rest)| format!("networks:{rest}"))
            .unwrap()
            .as_str(),
    );
    let second = format!("{}-2", yard.lab);
    let file = yard.write("second.yaml", &format!("lab: {second}\nnodes: {{ pc: {{}} }}\n"));
    yard.prints(&["up", "--quiet", file.to_str().unwrap()]);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", Path::new(PROGRAM).parent().unwrap().display());
    let shell = |words: &str| {
        let mut command = yard.command("sh");
        finished(command.args(["-c", words]).env("PATH", &path).env_remove("NETYARD_LAB"))
    };
    let lab = &yard.lab;
    for wrong in [
        "netyard exec pc -l LAB -- ip route delete default",
        "netyard exec router -l LAB -- sysctl -qw net.ipv4.ip_forward=0",
        "echo 'ip link set pc down' | netyard shell -l LAB",
        "netyard exec router -l LAB -- nft 'add table ip f; add chain ip f forward { type filter hook forward priority 0; policy drop; }'",
    ] {
        let ran = shell(&wrong.replace("LAB", lab));
        assert_eq!(ran.code, Some(0), "{wrong}: {}", ran.stderr);
        let why = format!("netyard why -l {lab} pc 1.1.1.1");
        let said = shell(&why);
        assert_eq!(said.code, Some(1), "{wrong}: {}", said.stdout);
        let commands = told(&said.stdout);
        assert!(
            commands.iter().all(|command| command.contains(&format!("-l {lab} ")) || command.ends_with(lab)),
            "{}",
            said.stdout
        );
        let ran = shell(&commands[0]);
        assert_eq!(ran.code, Some(0), "{}: {}", commands[0], ran.stderr);
        let said = shell(&why);
        assert_eq!(said.code, Some(0), "{wrong}: {}: {}", commands[0], said.stdout);
    }
    yard.prints(&["down", &second]);
}

/// By hand it is `ip netns exec`, and nothing for the namespace that one is in.
#[test]
fn by_hand_commands_enter_namespaces_by_their_names() {
    let net = Net::by_hand("why-told-hand");
    net.does("world", "sysctl -qw net.ipv4.ip_forward=0");
    net.does("pc", "ip route delete default");
    let text = net.run(&["why", "pc", "1.1.1.1"]).stdout;
    let first = "ip netns exec pc ip route add default via 10.0.0.254";
    assert_eq!(told(&text)[0], first, "{text}");
    net.does("world", first);
    let text = net.run(&["why", "pc", "1.1.1.1"]).stdout;
    assert_eq!(told(&text)[0], "sysctl -w net.ipv4.ip_forward=1", "{text}");
}

const TWO_CABLES: &str = "
networks: { one: [10.0.1.0/24, 'fd00:1::/64'], two: [10.0.2.0/24, 'fd00:2::/64'] }
nodes:
  a: { links: [one, two], routes: { 10.9.9.9: 10.0.1.2 } }
  b: { links: [one, two], interfaces: { lo: 10.9.9.9/32 } }
";

/// Both verbs send by the interface that is named, and in the version of IP that is wanted.
#[test]
fn a_packet_leaves_by_the_interface_that_is_named() {
    let net = Net::of("why-by-interface", TWO_CABLES);
    net.does("a", "ip route add 10.9.9.9 via 10.0.2.2 metric 100");
    for (from, leaves) in [("a", "eth0"), ("a:eth0", "eth0"), ("a:eth1", "eth1")] {
        for verb in ["why", "trace"] {
            let ran = net.run(&[verb, from, "10.9.9.9"]);
            assert_eq!(ran.code, Some(0), "{verb} {from}: {}{}", ran.stdout, ran.stderr);
            let other = if leaves == "eth0" { "eth1" } else { "eth0" };
            let has = |name: &str| ran.stdout.contains(&format!("dev {name}"));
            assert!(has(leaves) && !has(other), "{verb} {from}: {}", ran.stdout);
        }
    }
    for (words, address) in [
        (&["a", "b", "-6"][..], "fd00:1::2"),
        (&["a", "b", "-4"], "10.0.1.2"),
        (&["a:eth1", "b", "-6"], "fd00:2::2"),
        (&["a:eth1", "b:eth1"], "10.0.2.2"),
    ] {
        for verb in ["why", "trace"] {
            let ran = net.run(&[&[verb][..], words].concat());
            assert_eq!(ran.code, Some(0), "{verb} {words:?}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stdout.contains(address), "{verb} {words:?}: {}", ran.stdout);
        }
    }
    for (words, reason) in [
        (&["a:eth7", "b"][..], "a has no interface `eth7`"),
        (&["a", "10.9.9.9", "-6"], "10.9.9.9 is an address of IPv4, and IPv6 is asked for"),
    ] {
        for verb in ["why", "trace"] {
            let ran = net.run(&[&[verb][..], words].concat());
            assert_eq!(ran.code, Some(2), "{verb} {words:?}: {}", ran.stdout);
            assert!(ran.stderr.contains(reason), "{verb} {words:?}: {}", ran.stderr);
        }
    }
}

const ROUND: &str = "
networks: { one: 10.0.1.0/24, two: 10.0.2.0/24 }
nodes:
  a: { links: { one: 10.0.1.1 }, gateway: none }
  g: { links: { one: 10.0.1.2, two: 10.0.2.1 }, forward: true, gateway: 10.0.2.2 }
  h: { links: { two: 10.0.2.2 }, forward: true, gateway: 10.0.2.1 }
";

/// A gateway mends nothing where packets come back to it.
#[test]
fn a_gateway_that_leads_in_a_circle_is_not_offered() {
    let net = Net::of("why-round", ROUND);
    let fixes = |net: &Net| {
        let said = net.why(&["a", "192.0.2.9"]);
        assert_eq!(said.stopping(), ["no-route a"], "{}", said.sentences());
        said.faults()[0]["fixes"].as_array().unwrap().clone()
    };
    assert!(fixes(&net).is_empty());
    net.does("h", "ip address add 192.0.2.9/32 dev lo");
    assert_eq!(fixes(&net)[0]["command"], "ip route add default via 10.0.1.2");
}

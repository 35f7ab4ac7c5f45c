//! Every command of the talk, typed in its order into the sandbox: the slides' results, with the machine's own programs
//! and with netyard's alone.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use support::Yard;
use support::terminal::Terminal;

#[test]
fn the_talk_works_with_real_programs() {
    play("talk", "last");
}

#[test]
fn the_talk_works_with_stand_ins() {
    play("talk-bare", "first");
}

/// Slides 9 to 40.
fn play(test: &str, stand_ins: &str) {
    let yard = Yard::new(test);
    let mut vm = Terminal::new(&yard, &[], stand_ins);
    for program in ["ping", "brctl", "curl", "iptables", "tcpdump"] {
        let is_stand_in = vm.says(&format!("command -v {program}")).starts_with("/run/netyard-programs/");
        assert_eq!(is_stand_in, stand_ins == "first", "{program}");
    }
    look_at_the_machine(&mut vm);
    make_one_namespace(&mut vm);
    make_the_lan(&mut vm);
    give_addresses(&mut vm);
    join_the_machine(&mut vm);
    reach_the_internet(&mut vm);
    watch(&yard, &mut vm, stand_ins);
    vm.leave();
    assert!(!yard.prints(&["list"]).contains(&yard.lab));
}

fn look_at_the_machine(vm: &mut Terminal) {
    assert_eq!(vm.says("hostname"), "vm\n");
    let shown = vm.says("ip address show");
    assert!(shown.contains("ens4@"), "{shown}");
    assert!(shown.contains("<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1460"), "{shown}");
    assert!(shown.contains("link/ether 42:01:0a:8a:00:03 brd ff:ff:ff:ff:ff:ff"), "{shown}");
    assert!(shown.contains("inet 10.138.0.3/32 scope global ens4"), "{shown}");
    assert_eq!(
        lines(&vm.says("ip route")),
        ["default via 10.138.0.1 dev ens4", "10.138.0.1 dev ens4 scope link"]
    );
    pings(vm, "ping -c 3 1.1.1.1", "1.1.1.1", 64);
}

fn make_one_namespace(vm: &mut Terminal) {
    assert_eq!(vm.says("ip netns show"), "");
    assert_eq!(vm.says("ip netns add test_ns"), "");
    assert_eq!(vm.says("ip netns show"), "test_ns\n");
    let shown = vm.says("ip netns exec test_ns ip address show");
    assert!(shown.starts_with("1: lo: <LOOPBACK> mtu 65536 qdisc noop state DOWN"), "{shown}");
    // Kernels before 5.3 or so said "Error: ipv4: FIB table does not exist. Dump terminated".
    let shown = vm.says("ip netns exec test_ns ip route show");
    assert!(shown.is_empty() || shown.contains("FIB table does not exist"), "{shown}");
    assert_eq!(vm.says("ip netns exec test_ns ping 1.1.1.1"), "ping: connect: Network is unreachable\n");
    assert_eq!(vm.says("ip netns delete test_ns"), "");
}

fn make_the_lan(vm: &mut Terminal) {
    silently(vm, "ip netns add pc");
    silently(vm, "ip netns add printer");
    let shown = vm.says("ip netns show");
    let names: BTreeSet<&str> = shown.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["pc", "printer"]));
    silently(vm, "ip link add name veth1-pc type veth peer name veth1-br");
    silently(vm, "ip link set veth1-pc netns pc");
    let shown = vm.says("ip netns exec pc ip link show");
    assert!(shown.contains("veth1-pc@if"), "{shown}");
    assert!(shown.contains("<BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN"), "{shown}");
    silently(vm, "ip link add name veth2-printer type veth peer name veth2-br");
    silently(vm, "ip link add name veth3-df type veth peer name veth3-br");
    silently(vm, "ip link set veth2-printer netns printer");
    silently(vm, "brctl addbr bridge0");
    assert_eq!(bridge(&vm.says("brctl show")), Vec::<String>::new());
    silently(vm, "brctl addif bridge0 veth1-br");
    silently(vm, "brctl addif bridge0 veth2-br");
    assert_eq!(bridge(&vm.says("brctl show bridge0")), ["veth1-br", "veth2-br"]);
}

fn give_addresses(vm: &mut Terminal) {
    silently(vm, "ip netns exec pc ip address add 10.0.0.1/24 dev veth1-pc");
    silently(vm, "ip netns exec printer ip address add 10.0.0.2/24 dev veth2-printer");
    for link in ["bridge0", "veth1-br", "veth2-br"] {
        silently(vm, &format!("ip link set {link} up"));
    }
    silently(vm, "ip netns exec pc ip link set veth1-pc up");
    silently(vm, "ip netns exec printer ip link set veth2-printer up");
    pings(vm, "ip netns exec pc ping -c 3 10.0.0.2", "10.0.0.2", 64);
}

fn join_the_machine(vm: &mut Terminal) {
    silently(vm, "brctl addif bridge0 veth3-br");
    assert_eq!(bridge(&vm.says("brctl show bridge0")), ["veth1-br", "veth2-br", "veth3-br"]);
    silently(vm, "ip address add 10.0.0.254/24 dev veth3-df");
    silently(vm, "ip link set veth3-br up");
    silently(vm, "ip link set veth3-df up");
    pings(vm, "ip netns exec pc ping -c 3 10.0.0.254", "10.0.0.254", 64);
}

fn reach_the_internet(vm: &mut Terminal) {
    assert_eq!(vm.says("ip netns exec pc ping 1.1.1.1"), "ping: connect: Network is unreachable\n");
    let lan = "10.0.0.0/24 dev veth1-pc proto kernel scope link src 10.0.0.1";
    assert_eq!(lines(&vm.says("ip netns exec pc ip route show")), [lan]);
    silently(vm, "ip netns exec pc ip route add default via 10.0.0.254");
    let routes = vm.says("ip netns exec pc ip route show");
    assert_eq!(lines(&routes), ["default via 10.0.0.254 dev veth1-pc", lan]);

    vm.begins("ip netns exec pc ping 1.1.1.1");
    vm.shows("PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    vm.interrupt();
    let shown = vm.ends();
    assert!(
        shown.contains(
            "\n--- 1.1.1.1 ping statistics ---\n2 packets transmitted, 0 received, 100% packet loss, time "
        ),
        "{shown}"
    );
    assert!(!shown.contains("64 bytes from"), "{shown}");

    silently(vm, "echo 1 > /proc/sys/net/ipv4/ip_forward");
    silently(vm, "iptables --table nat --flush");
    vm.begins("iptables --table nat --append POSTROUTING \\");
    vm.shows("> ");
    silently(vm, "    --source 10.0.0.0/24 --jump MASQUERADE");
    pings(vm, "ip netns exec pc ping -c 3 1.1.1.1", "1.1.1.1", 63);
}

/// The appendix: one address outside, three connections, told apart by port.
fn watch(yard: &Yard, vm: &mut Terminal, stand_ins: &str) {
    // No slide shows it, and without it the printer cannot answer.
    silently(vm, "ip netns exec printer ip route add default via 10.0.0.254");
    let mut other = Terminal::new(yard, &[], stand_ins);
    other.begins("tcpdump -nn -i ens4 src or dst 1.1.1.1");
    other.shows("listening on ens4, ");
    for command in
        ["curl -I 1.1.1.1", "ip netns exec pc curl -I 1.1.1.1", "ip netns exec printer curl -I 1.1.1.1"]
    {
        let shown = vm.says(command);
        assert!(shown.contains("HTTP/1.1 200 OK\n"), "{shown}");
    }
    let is_first = |line: &&str| line.contains("Flags [S], ");
    let firsts = |shown: &str| -> Vec<(String, String)> {
        let addresses = |line: &str| {
            let (_, rest) = line.split_once(" IP ").unwrap();
            let (from, to) = rest.split_once(": ").unwrap().0.split_once(" > ").unwrap();
            (from.to_owned(), to.to_owned())
        };
        shown.lines().filter(is_first).map(addresses).collect()
    };
    other.shows_as("three first segments", |screen| screen.matches("Flags [S], ").count() == 3);
    other.interrupt();
    let shown = other.ends();
    let firsts = firsts(&shown);
    let ports: BTreeSet<&str> =
        firsts.iter().map(|(from, _)| from.strip_prefix("10.138.0.3.").unwrap()).collect();
    assert_eq!(ports.len(), 3, "{shown}");
    assert!(firsts.iter().all(|(_, to)| to == "1.1.1.1.80"), "{shown}");
    for port in ports {
        let answer = format!("IP 1.1.1.1.80 > 10.138.0.3.{port}: Flags [S.], ");
        assert!(shown.contains(&answer), "{answer} in {shown}");
    }
    assert!(shown.contains(" packets captured\n"), "{shown}");
    assert!(!other.leave().contains("has ended"));
}

#[track_caller]
fn silently(vm: &mut Terminal, command: &str) {
    assert_eq!(vm.says(command), "", "{command}");
}

/// Three answers, as ping tells them.
#[track_caller]
fn pings(vm: &mut Terminal, command: &str, to: &str, ttl: u8) {
    let shown = vm.says(command);
    let all = lines(&shown);
    assert_eq!(all[0], format!("PING {to} ({to}) 56(84) bytes of data."), "{shown}");
    for (at, line) in all[1..4].iter().enumerate() {
        let start = format!("64 bytes from {to}: icmp_seq={} ttl={ttl} time=", at + 1);
        assert!(line.starts_with(&start) && line.ends_with(" ms"), "{shown}");
    }
    assert_eq!(all[5], format!("--- {to} ping statistics ---"), "{shown}");
    assert!(all[6].starts_with("3 packets transmitted, 3 received, 0% packet loss, time 20"), "{shown}");
    assert!(all[7].starts_with("rtt min/avg/max/mdev = 0."), "{shown}");
}

/// The ports of the only bridge that `brctl show` shows.
#[track_caller]
fn bridge(shown: &str) -> Vec<String> {
    let mut rows = shown.lines();
    assert_eq!(rows.next(), Some("bridge name\tbridge id\t\tSTP enabled\tinterfaces"), "{shown}");
    let first: Vec<&str> = rows.next().unwrap().split('\t').filter(|word| !word.is_empty()).collect();
    assert_eq!(first[0], "bridge0", "{shown}");
    assert!(first[1].starts_with("8000.") && first[1].len() == 17, "{shown}");
    assert_eq!(first[2], "no", "{shown}");
    let rest = rows.map(|row| row.trim_start_matches('\t').to_owned());
    first[3..].iter().map(|port| (*port).to_owned()).chain(rest).filter(|port| !port.is_empty()).collect()
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

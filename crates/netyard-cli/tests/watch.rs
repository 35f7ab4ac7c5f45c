//! `netyard watch nat`: connections and how NAT rewrites them, as it happens.
#![allow(clippy::unwrap_used)]

mod support;
mod world;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use support::{PROGRAM, Yard, until};
use world::World;

const HOME: &str = "
networks:
  lan: 10.0.0.0/24
  isp: 10.138.0.0/24
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  server: { links: { lan: 10.0.0.2 } }
  router:
    links: { lan: 10.0.0.254, isp: 10.138.0.3 }
    nat:
      - masquerade: { from: lan, out: isp }
      - port-forward: { port: 8080, in: isp, to: \"server:80\" }
  internet: { role: internet, links: { isp: 10.138.0.1 } }
";

/// The longest that a line may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A watcher whose lines are read; it ends with the value.
struct Watcher {
    child: Child,
    lines: Receiver<String>,
}

impl Watcher {
    fn new(mut child: Child) -> Self {
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    fn of(yard: &Yard, words: &[&str]) -> Self {
        Self::new(yard.command(PROGRAM).args(words).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// The next line that begins so and has these words.
    #[track_caller]
    fn tells(&mut self, start: &str, words: &str) -> String {
        let mut told = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with(start) && line.contains(words) => return line,
                Ok(line) => told.push(line),
                Err(_) => panic!("never told: {start} ... {words}, but {told:#?}"),
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_of_a_connection_is_a_line_with_names_before_and_after() {
    let yard = Yard::with_lab("watch-lab", HOME);
    yard.prints(&["ping", "pc", "1.1.1.1", "--count", "1"]);
    let mut watcher = Watcher::of(&yard, &["watch", "nat", &yard.lab]);
    let present = watcher.tells("= router  icmp", "snat");
    assert!(present.contains("pc 10.0.0.1 → internet 1.1.1.1, id "), "{present}");
    assert!(present.contains("answer internet 1.1.1.1 → router 10.138.0.3, id "), "{present}");
    yard.prints(&["exec", "pc", "--", "curl", "--silent", "--head", "1.1.1.1"]);
    let new = watcher.tells("+ router  tcp", "syn-sent");
    let port = new.split_once("pc 10.0.0.1:").unwrap().1.split_once(' ').unwrap().0;
    let rewritten = format!("answer internet 1.1.1.1:80 → router 10.138.0.3:{port}  snat");
    assert!(new.contains(&rewritten), "{rewritten} in {new}");
    watcher.tells("~ router  tcp", "established");
    watcher.tells("~ router  tcp", "time-wait");
    // The other way in: the destination becomes the server.
    yard.run(&["exec", "internet", "--", "curl", "--silent", "--max-time", "5", "10.138.0.3:8080"]);
    let new = watcher.tells("+ router  tcp", "dnat");
    assert!(new.contains("→ router 10.138.0.3:8080  answer server 10.0.0.2:80 → internet "), "{new}");
    yard.prints(&["down", &yard.lab]);
    assert_eq!(watcher.child.wait().unwrap().code(), Some(0), "it ends with its lab");
}

#[test]
fn json_is_an_object_on_each_line() {
    let yard = Yard::with_lab("watch-json", HOME);
    yard.prints(&["ping", "pc", "1.1.1.1", "--count", "1"]);
    let mut watcher = Watcher::of(&yard, &["watch", "nat", "--json"]);
    let mut next = |event: &str| {
        let line = watcher.tells("{", &format!("\"event\":\"{event}\""));
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let present = next("present");
    assert_eq!((&present["schema"], &present["node"]), (&json!("netyard/watch-nat/1"), &json!("router")));
    let connection = &present["connection"];
    assert_eq!(
        connection["original"]["source"],
        json!({ "address": "10.0.0.1", "port": null, "node": "pc" })
    );
    let rewritten = json!({ "address": "10.138.0.3", "port": null, "node": "router" });
    assert_eq!(connection["reply"]["destination"], rewritten);
    assert_eq!((&connection["snat"], &connection["dnat"]), (&json!(true), &json!(false)));
    yard.prints(&["exec", "pc", "--", "curl", "--silent", "--head", "1.1.1.1"]);
    let new = next("new");
    assert_eq!(
        (&new["connection"]["state"], &new["connection"]["answered"]),
        (&json!("syn-sent"), &json!(false))
    );
    let changed = next("changed");
    assert_eq!((&changed["id"], &changed["connection"]["answered"]), (&new["id"], &json!(true)));
}

#[test]
fn inside_of_a_lab_its_own_connections_are_watched() {
    let yard = Yard::with_lab("watch-inside", HOME);
    yard.prints(&["ping", "pc", "1.1.1.1", "--count", "1"]);
    // A shell in which `ip netns` has all nodes; the shell is the watcher itself.
    let shell = yard.write("shell", &format!("#!/bin/sh\nexec {PROGRAM} watch nat\n"));
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = yard.command(PROGRAM);
    command.arg("shell").env("SHELL", &shell).stdout(Stdio::piped());
    let mut watcher = Watcher::new(command.spawn().unwrap());
    watcher.tells("= router  icmp", "answer internet 1.1.1.1 → router 10.138.0.3");
    yard.prints(&["exec", "pc", "--", "curl", "--silent", "--head", "1.1.1.1"]);
    watcher.tells("+ router  tcp", "pc 10.0.0.1:");
}

/// The talk's network by hand, without any rule yet.
const BY_HAND: &str = r"
    for name in pc router isp; do ip netns add $name; ip -n $name link set lo up; done
    ip link add eth0 netns pc type veth peer name lan netns router
    ip link add wan netns router type veth peer name eth0 netns isp
    ip -n pc address add 10.0.0.1/24 dev eth0
    ip -n router address add 10.0.0.254/24 dev lan
    ip -n router address add 10.138.0.3/24 dev wan
    ip -n isp address add 10.138.0.1/24 dev eth0
    for link in pc:eth0 router:lan router:wan isp:eth0; do ip -n ${link%:*} link set ${link#*:} up; done
    ip -n pc route add default via 10.0.0.254
    nsenter --net=/run/netns/router sysctl -q net.ipv4.ip_forward=1
    ip link add v type veth peer name eth1 netns router
";
const MASQUERADE: &str = "nsenter --net=/run/netns/router nft '
    add table ip t; add chain ip t post { type nat hook postrouting priority srcnat; }
    add rule ip t post oifname wan masquerade'";
const PING: &str = "nsenter --net=/run/netns/pc ping -c 1 -W 5 10.138.0.1";

#[test]
fn a_network_made_by_hand_is_watched_from_before_its_first_rule_on() {
    let yard = Yard::new("watch-hand");
    let world = World::new(BY_HAND);
    let mut watcher = Watcher::new(world.start(&yard, &["watch", "nat"]));
    // It listens in a namespace when it has met it; that it has is told by the first packet that is translated.
    world.shell(MASQUERADE);
    let begun = std::time::Instant::now();
    let told = std::thread::scope(|scope| {
        let pinger = scope.spawn(|| {
            // A rule is seen only by connections that begin after it.
            while !yard.folder.join("told").exists() {
                world.shell(PING);
                assert!(begun.elapsed().as_secs() < 30, "in vain until it is told");
            }
        });
        let told = watcher.tells("+ router  icmp", "snat");
        std::fs::write(yard.folder.join("told"), "").unwrap();
        pinger.join().unwrap();
        told
    });
    assert!(told.contains("pc 10.0.0.1 → isp 10.138.0.1, id "), "{told}");
    assert!(told.contains("answer isp 10.138.0.1 → router 10.138.0.3, id "), "{told}");
    // Whoever deletes it is not kept from that: the cable goes with the namespace.
    world.shell("ip netns delete router");
    until("the namespace is gone", || !world.shell("ip -o link").contains("v@"));
}

#[test]
fn on_a_terminal_the_tables_are_shown_again_with_what_has_changed() {
    for (variable, value, painted) in [("TERM", "xterm", true), ("NO_COLOR", "1", false)] {
        let yard = Yard::with_lab(&format!("watch-tty-{painted}"), HOME);
        yard.prints(&["ping", "pc", "1.1.1.1", "--count", "1"]);
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs: OwnedFd = File::options().read(true).write(true).open(&path).unwrap().into();
        let mut command = yard.command(PROGRAM);
        command.args(["watch", "nat"]).env("TERM", "xterm").env(variable, value).stdout(theirs);
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut screen = String::new();
        let mut reader = File::from(ours);
        let mut shows = |words: &str| {
            let mut bytes = [0; 4096];
            let limit = Timespec::try_from(PATIENCE).unwrap();
            while !screen.contains(words) {
                let mut fds = [PollFd::new(&reader, PollFlags::IN)];
                assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "never shown: {words} in {screen}");
                let count = reader.read(&mut bytes).unwrap();
                screen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            std::mem::take(&mut screen)
        };
        let first = shows("router 10.138.0.3");
        assert!(first.contains("router: 1 connection") && !first.contains("CHANGED"), "{first}");
        yard.prints(&["exec", "pc", "--", "curl", "--silent", "--head", "1.1.1.1"]);
        let mark = if painted { "\x1b[32m+ router  tcp" } else { "\n+ router  tcp" };
        let again = shows(mark);
        assert!(again.contains("CHANGED") && again.contains("router: 2 connections"), "{again}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

//! Networks for tests: namespaces of child processes, wired with iproute2. They are gone when the children are.

// Not every test program uses all of it, and a test may panic.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

mod lab;

pub use lab::lab;

use netyard::probe::{NodeSockets, SocketKind};
use netyard_core::name::NodeName;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread;

/// Runs a test as root, or as root of a user namespace of its own: then the test binary starts itself again there.
///
/// `name` is the test's path as libtest writes it.
pub fn as_root(name: &str, test: impl FnOnce()) {
    if rustix::process::geteuid().is_root() {
        return test();
    }
    let own = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--"])
        .arg(own)
        .args(["--exact", name, "--nocapture"])
        .output()
        .expect("unshare(1) runs");
    // Only of a failure, or the result of one test would be counted twice.
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("test result", "result");
    let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{name} failed in its user namespace:\n{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "there is no test of the name {name}");
}

/// Some namespaces and the processes that hold them.
pub struct Net {
    nodes: BTreeMap<NodeName, Held>,
}

struct Held {
    ns: File,
    process: Child,
}

impl Net {
    /// Makes an empty namespace per name, loopback up, IPv6 without duplicate address detection.
    /// ICMP errors are not limited to one a second, which the tests would run into.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let net = Self::bare(names);
        for name in net.nodes.keys() {
            net.sh(
                name.as_str(),
                "ip link set lo up
                 echo '0 0' > /proc/sys/net/ipv4/ping_group_range
                 echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
                 echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
                 echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad
                 echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad",
            );
        }
        net
    }

    /// Makes a namespace per name as the kernel does: all down, and nobody may open ping sockets.
    pub fn bare<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let held = names.into_iter().map(|name| (NodeName::new(name).unwrap(), Held::new()));
        Self { nodes: held.collect() }
    }

    /// Runs a shell script in a node.
    pub fn sh(&self, node: &str, script: &str) {
        let held = &self.nodes[node];
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", held.process.id()))
            .args(["--", "sh", "-e"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("nsenter(1) runs");
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "in {node}: {script}");
    }

    /// Process id of the holder of a node's namespace, for `ip link ... netns PID`.
    pub fn pid(&self, node: &str) -> u32 {
        self.nodes[node].process.id()
    }

    /// Lays a cable between two nodes; `left` and `right` are node, interface and addresses.
    pub fn cable(&self, left: (&str, &str, &[&str]), right: (&str, &str, &[&str])) {
        let (a, b) = (self.pid(left.0), self.pid(right.0));
        let (left_if, right_if) = (left.1, right.1);
        self.sh(left.0, &format!("ip link add {left_if} netns {a} type veth peer name {right_if} netns {b}"));
        for (node, interface, addresses) in [left, right] {
            let add = |address: &&str| format!("ip address add {address} dev {interface} nodad\n");
            let script: String = addresses.iter().map(add).collect();
            self.sh(node, &format!("ip link set {interface} up\n{script}"));
        }
    }

    /// Runs a closure on a thread inside a node's namespace.
    pub fn inside<T: Send>(&self, node: &str, run: impl FnOnce() -> T + Send) -> T {
        let ns = self.nodes[node].ns.as_fd();
        let enter = || move_into_link_name_space(ns, Some(LinkNameSpaceType::Network)).expect("setns(2)");
        thread::scope(|scope| {
            scope
                .spawn(move || {
                    enter();
                    run()
                })
                .join()
                .expect("the closure does not panic")
        })
    }
}

impl NodeSockets for Net {
    fn socket(&self, node: &NodeName, kind: SocketKind) -> io::Result<OwnedFd> {
        if !self.nodes.contains_key(node) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.inside(node.as_str(), || kind.open())
    }
}

impl Held {
    fn new() -> Self {
        // cat ends when its standard input does, which is when this process does.
        let mut process = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) runs");
        let mut ready = [0; 6];
        process.stdout.as_mut().unwrap().read_exact(&mut ready).expect("the namespace is made");
        let ns = File::open(format!("/proc/{}/ns/net", process.id())).unwrap();
        Self { ns, process }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A node's name.
pub fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

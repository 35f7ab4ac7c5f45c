//! A network namespace that plays the machine on which netyard runs, with a network of its own around it.
//!
//! It has pid and mount namespaces as well, so that nothing in it sees or outlives anything else. Root's is owned by
//! the first user namespace, as the real one is; an ordinary user is root of a user namespace in it.

use super::{PROGRAM, Ran, Yard, finished};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The machine is 192.0.2.2 and asks 192.0.2.53 for names. Its gateway 192.0.2.1 is `world`, a namespace that is
/// also 203.0.113.1. Servers answer with their name: `world` on port 8000 there, `loopback` on port 8001 of the
/// machine's 127.0.0.1.
const SETUP: &str = r#"
    set -e
    mount -t tmpfs -o mode=755 tmpfs /run
    printf 'nameserver 127.0.0.53\nnameserver 192.0.2.53\n' > /run/nameservers
    resolver=$(readlink -m /etc/resolv.conf)
    case $resolver in
        /run/*) mkdir -p "${resolver%/*}"; cp /run/nameservers "$resolver" ;;
        *) mount --bind /run/nameservers "$resolver" ;;
    esac
    # As udev makes it. Only root of the real machine may.
    if mknod /run/tun c 10 200 2>/dev/null; then
        chmod 666 /run/tun
        mount --bind /run/tun /dev/net/tun || true
    fi
    # Addresses that the kernel makes by itself come later than everything else.
    echo 1 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6 > /proc/sys/net/ipv6/conf/default/disable_ipv6
    ip netns add world
    ip link set lo up
    ip link add wan type veth peer name eth0 netns world
    ip address add 192.0.2.2/24 dev wan
    ip link set wan up
    ip -n world address add 192.0.2.1/24 dev eth0
    ip -n world address add 203.0.113.1/32 dev lo
    ip -n world link set lo up
    ip -n world link set eth0 up
    ip route add default via 192.0.2.1
    server='
import os, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
os.write(1, b"listens\n")
while True:
    connection = listener.accept()[0]
    connection.sendall(sys.argv[3].encode())
    connection.close()
'
    nsenter --net=/run/netns/world python3 -c "$server" 203.0.113.1 8000 world &
    python3 -c "$server" 127.0.0.1 8001 loopback &
    # Until the test ends, which holds the other end. The shell itself stays, to reap what holders leave.
    cat
    exit
"#;

/// The namespaces, and the process whose end ends them.
pub struct Machine {
    unshare: Child,
    pid: String,
}

impl Machine {
    /// A machine whose servers listen.
    pub fn new() -> Self {
        let mut command = Command::new("unshare");
        if !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]);
        command.args(["bash", "-c", SETUP]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut unshare = command.spawn().unwrap();
        let mut lines = BufReader::new(unshare.stdout.take().unwrap()).lines();
        // Both servers say so.
        for _ in 0..2 {
            assert_eq!(lines.next().unwrap().unwrap(), "listens");
        }
        let id = unshare.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        Self { unshare, pid: children.trim().to_owned() }
    }

    /// A program on the machine.
    pub fn command(&self, yard: &Yard, program: &str) -> Command {
        let mut command = yard.command("nsenter");
        command.args(["--target", &self.pid, "--net", "--mount", "--pid"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--", program]);
        command
    }

    /// Runs netyard on the machine.
    pub fn run(&self, yard: &Yard, args: &[&str]) -> Ran {
        finished(self.command(yard, PROGRAM).args(args))
    }

    /// What netyard prints there when all is well.
    pub fn prints(&self, yard: &Yard, args: &[&str]) -> String {
        let ran = self.run(yard, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// What a shell on the machine prints; its code is 0.
    pub fn shell(&self, yard: &Yard, script: &str) -> String {
        let ran = finished(self.command(yard, "bash").args(["-c", script]));
        assert_eq!(ran.code, Some(0), "{script}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Kills the holder of the yard's lab, and waits for its end.
    pub fn kill_holder(&self, yard: &Yard) {
        self.shell(
            yard,
            "pid=$(pgrep -f ^netyard-holder) && kill -9 $pid && timeout 10 tail --pid=$pid -f /dev/null",
        );
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.unshare.stdin.take());
        let _ = self.unshare.wait();
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

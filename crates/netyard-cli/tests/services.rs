//! Services of full nodes: systemctl, service and init scripts, without systemd.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use support::{Yard, until};

/// A lab with one full node.
struct Node(Yard);

impl Node {
    fn new(test: &str) -> Self {
        let lab =
            "networks: { lan: 10.99.0.0/24 }\nnodes: { n: { kind: full, links: { lan: 10.99.0.1 } } }\n";
        Self(Yard::with_lab(&format!("services-{test}"), lab))
    }

    /// What a script prints, in the node.
    #[track_caller]
    fn says(&self, script: &str) -> String {
        let ran = self.0.run(&["exec", "n", "--", "bash", "-c", &format!("exec 2>&1\n{script}")]);
        assert_eq!(ran.stderr, "", "{script}");
        ran.stdout
    }

    fn unit(&self, name: &str, text: &str) {
        let path = format!("/etc/systemd/system/{name}.service");
        let said = self.says(&format!("mkdir -p /etc/systemd/system; cat > {path} <<'END'\n{text}\nEND\n"));
        assert_eq!(said, "");
    }

    /// How many processes there are besides pid 1 and whoever asks.
    fn processes(&self) -> usize {
        let script = "for p in /proc/[0-9]*; do [ ${p#/proc/} != 1 -a ${p#/proc/} != $$ ] && echo x; done";
        self.says(script).lines().count()
    }

    fn has_one_id(&self) -> bool {
        let map = self.says("cat /proc/self/uid_map");
        map.lines().count() == 1 && map.split_whitespace().nth(2) == Some("1")
    }
}

/// Whether the machine has that program; otherwise it is told that the test cannot run.
fn has(program: &str) -> bool {
    let has_it = Path::new(program).exists();
    if !has_it {
        println!("skipped: {program} not found");
    }
    has_it
}

#[test]
fn unknown_units_end_with_the_codes_of_systemd() {
    let node = Node::new("unknown");
    let script = "for verb in start stop restart reload status is-active is-enabled; do
        systemctl $verb none; echo $verb $?
    done; service none start; echo service $?; systemctl fly none; echo fly $?";
    assert_eq!(
        node.says(script),
        "Failed to start none.service: Unit none.service not found.\nstart 5\n\
         Failed to stop none.service: Unit none.service not loaded.\nstop 5\n\
         Failed to restart none.service: Unit none.service not found.\nrestart 5\n\
         Failed to reload none.service: Unit none.service not found.\nreload 5\n\
         Unit none.service could not be found.\nstatus 4\ninactive\nis-active 3\n\
         Failed to get unit file state for none: No such file or directory\nis-enabled 1\n\
         none: unrecognized service\nservice 1\nUnknown command verb fly.\nfly 1\n"
    );
}

#[test]
fn a_oneshot_does_its_work_and_remains() {
    let node = Node::new("oneshot");
    node.unit(
        "once",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironment=\"WORD=two words\"\n\
         ExecStartPre=-/bin/false\nExecStart=/bin/sh -c 'echo $$WORD ; echo %n'\nExecStart=/bin/echo $WORD\n\
         ExecStop=/bin/echo bye\n[Install]\nWantedBy=multi-user.target",
    );
    let script = "systemctl start once; echo $?; systemctl is-active once; systemctl show once -p SubState
        systemctl is-enabled once; systemctl -q enable once; systemctl is-enabled once
        systemctl stop once; systemctl is-active once; echo $?; journalctl -u once";
    assert_eq!(
        node.says(script),
        "0\nactive\nSubState=exited\ndisabled\nenabled\ninactive\n3\nonce: two words\nonce: once.service\n\
         once: two words\nonce: bye\n"
    );
    assert_eq!(node.processes(), 0);
}

/// That a command has ended may become known at any moment of the keeper's turn.
#[test]
fn the_end_of_no_command_is_missed() {
    let node = Node::new("ends");
    let commands = "ExecStart=/bin/true\n".repeat(500);
    node.unit("many", &format!("[Service]\nType=oneshot\nTimeoutStartSec=20\n{commands}"));
    assert_eq!(node.says("for i in 1 2 3 4; do systemctl start many; echo $?; done"), "0\n0\n0\n0\n");
}

#[test]
fn whatever_a_service_leaves_behind_is_found_when_it_is_stopped() {
    let node = Node::new("forking");
    let daemon = "setsid sh -c 'sleep 1001 & setsid sleep 1002 & echo $$ > /run/d.pid; exec sleep 1003' >/dev/null 2>&1 &";
    node.says(&format!("cat > /usr/bin/d <<'END'\n#!/bin/sh\n{daemon}\nEND\nchmod +x /usr/bin/d"));
    node.unit("d", "[Service]\nType=forking\nPIDFile=/run/d.pid\nExecStart=/usr/bin/d");
    assert_eq!(
        node.says(
            "systemctl start d; echo $?; systemctl is-active d
            test $(systemctl show d -p MainPID --value) = $(cat /run/d.pid) && echo main
            systemctl status d | grep -c sleep"
        ),
        "0\nactive\nmain\n4\n"
    );
    assert_eq!(node.says("systemctl stop d; echo $?; systemctl is-active d"), "0\ninactive\n");
    assert_eq!(node.processes(), 0);
}

#[test]
fn a_service_tells_when_it_is_ready() {
    if !has("/usr/bin/python3") {
        return;
    }
    let node = Node::new("notify");
    let program = "import os, socket, time\ntime.sleep(0.2)\nopen('/run/ready', 'w')\n\
                   s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                   s.sendto(b'READY=1\\nSTATUS=fine', os.environ['NOTIFY_SOCKET'])\ntime.sleep(1000)";
    node.says(&format!("cat > /usr/bin/r.py <<'END'\n{program}\nEND"));
    node.unit("r", "[Service]\nType=notify\nExecStart=/usr/bin/python3 /usr/bin/r.py\nRuntimeDirectory=r\nRuntimeDirectoryMode=0711");
    let script = "systemctl start r; echo $?; ls /run/ready; systemctl status r | grep -o 'Status: .*'
        stat -c %a /run/r; systemctl stop r; ls -d /run/r";
    let gone = "ls: cannot access '/run/r': No such file or directory\n";
    assert_eq!(node.says(script), format!("0\n/run/ready\nStatus: \"fine\"\n711\n{gone}"));
    node.unit("never", "[Service]\nType=notify\nTimeoutStartSec=200ms\nExecStart=/bin/sleep 1000");
    let said = node.says("systemctl start never; echo $?");
    assert!(said.contains("a timeout was exceeded") && said.ends_with("\n1\n"), "{said}");
    assert_eq!(node.processes(), 0);
}

#[test]
fn a_failure_tells_the_command_its_code_and_its_last_words() {
    let node = Node::new("failure");
    node.unit("bad", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no such thing >&2; exit 7'");
    node.unit("needs", "[Unit]\nRequires=bad.service\n[Service]\nExecStart=/bin/sleep 1000");
    node.unit("gone", "[Service]\nExecStart=/bin/not-there\n");
    assert_eq!(
        node.says(
            "systemctl start bad 2>&1 | head -3; systemctl is-active bad; systemctl is-failed bad; echo $?"
        ),
        "Job for bad.service failed because the control process exited with error code.\n\
         \x20 ExecStart=/bin/sh -c echo no such thing >&2; exit 7 (code=exited, status=7)\n\
         \x20 no such thing\nfailed\nfailed\n0\n"
    );
    let needs = node.says("systemctl start needs; echo $?");
    assert!(
        needs.starts_with("A dependency job for needs.service failed.") && needs.ends_with("\n1\n"),
        "{needs}"
    );
    let gone = node.says("systemctl start gone");
    assert!(
        gone.contains("/bin/not-there: No such file or directory (code=exited, status=203/EXEC)"),
        "{gone}"
    );
    assert_eq!(
        node.says("systemctl is-system-running; systemctl reset-failed; systemctl is-active bad"),
        "degraded\ninactive\n"
    );
    assert_eq!(node.processes(), 0);
}

#[test]
fn a_log_is_followed_for_as_long_as_somebody_reads() {
    let node = Node::new("follow");
    let loop_ = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.05; done";
    node.unit("talks", &format!("[Service]\nExecStart=/bin/sh -c '{loop_}'"));
    let said =
        node.says("systemctl start talks; journalctl -fn 1000 -u talks | sed 5q; systemctl stop talks");
    assert_eq!(said, "talks: line 1\ntalks: line 2\ntalks: line 3\ntalks: line 4\ntalks: line 5\n");
    assert!(node.says("journalctl -ru talks | tail -1").contains("talks: line 1\n"));
    assert_eq!(node.processes(), 0);
}

#[test]
fn one_that_does_not_want_to_end_is_killed() {
    let node = Node::new("stubborn");
    node.unit(
        "s",
        "[Service]\nTimeoutStopSec=300ms\nExecStart=/bin/sh -c 'trap \"\" TERM; echo on; while :; do sleep 0.1; done'",
    );
    node.says("systemctl start s; while ! journalctl -u s | grep -q on; do sleep 0.01; done");
    assert_eq!(node.says("systemctl stop s; echo $?; systemctl show s -p Result --value"), "0\ntimeout\n");
    assert_eq!(node.processes(), 0);
}

#[test]
fn a_condition_that_says_no_is_no_failure_and_an_assertion_is_one() {
    let node = Node::new("conditions");
    node.unit("no", "[Service]\nExecCondition=/bin/false\nExecStart=/bin/sleep 1000\nRestart=always");
    node.unit("broken", "[Service]\nExecCondition=/bin/sh -c 'exit 255'\nExecStart=/bin/sleep 1000");
    node.unit(
        "either",
        "[Unit]\nConditionPathIsDirectory=|/none\nConditionFileNotEmpty=|/etc/passwd\n[Service]\nExecStart=/bin/sleep 1000",
    );
    node.unit("sure", "[Unit]\nAssertPathExists=/none\n[Service]\nExecStart=/bin/sleep 1000");
    assert_eq!(
        node.says("systemctl start no; echo $?; systemctl is-active no; systemctl start either; echo $?; systemctl is-active either"),
        "0\ninactive\n0\nactive\n"
    );
    assert_eq!(node.says("systemctl start sure; echo $?"), "Assertion failed on job for sure.service.\n1\n");
    let broken = node.says("systemctl start broken; echo $?");
    assert!(broken.contains("ExecCondition=") && broken.ends_with("\n1\n"), "{broken}");
    assert_eq!(node.says("systemctl stop either; systemctl is-failed no broken"), "inactive\nfailed\n");
    assert_eq!(node.processes(), 0);
}

#[test]
fn an_end_that_prevents_it_is_not_followed_by_another_start() {
    let node = Node::new("prevented");
    node.unit(
        "p",
        "[Service]\nExecStart=/bin/sh -c 'echo x >> /run/starts; exit 255'\nRestart=always\nRestartSec=10ms\n\
         RestartPreventExitStatus=255",
    );
    node.says("systemctl start p");
    until("it has failed", || node.says("systemctl is-active p") == "failed\n");
    assert_eq!(node.says("wc -l < /run/starts; systemctl show p -p NRestarts"), "1\nNRestarts=0\n");
}

#[test]
fn services_start_in_their_order_and_stop_with_those_that_they_need() {
    let node = Node::new("order");
    let tells = |name: &str| {
        format!("[Service]\nExecStartPre=/bin/sh -c 'echo {name} >> /run/order'\nExecStart=/bin/sleep 1000")
    };
    node.unit("first", &format!("[Unit]\nBefore=second.service\n{}", tells("first")));
    node.unit("second", &tells("second"));
    node.unit(
        "third",
        &format!("[Unit]\nAfter=second.service\nRequires=second.service first.service\n{}", tells("third")),
    );
    node.unit("part", &format!("[Unit]\nPartOf=second.service\n{}", tells("part")));
    assert_eq!(
        node.says("systemctl start part third; cat /run/order; rm /run/order"),
        "part\nfirst\nsecond\nthird\n"
    );
    assert_eq!(
        node.says("systemctl stop second; systemctl is-active first second third part"),
        "active\ninactive\ninactive\ninactive\n"
    );
    node.says("systemctl start second part; rm /run/order");
    assert_eq!(node.says("systemctl restart second; cat /run/order"), "second\npart\n");
    assert_eq!(node.says("systemctl stop part second first; systemctl is-active second"), "inactive\n");
    assert_eq!(node.processes(), 0);
}

#[test]
fn a_service_of_somebody_else_keeps_the_rights_that_it_is_given() {
    let node = Node::new("rights");
    if node.has_one_id() {
        println!("skipped: this node has one user id");
        return;
    }
    node.unit(
        "r",
        "[Service]\nType=oneshot\nUser=nobody\nAmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_RAW\n\
         ExecStart=/bin/sh -c 'id -un; grep CapEff /proc/self/status'",
    );
    assert_eq!(node.says("systemctl start r; journalctl -u r"), "r: nobody\nr: CapEff:\t0000000000002400\n");
}

#[test]
fn a_service_tells_that_it_has_read_its_configuration_anew() {
    if !has("/usr/bin/python3") {
        return;
    }
    let node = Node::new("notify-reload");
    let program = "import os, signal, socket\n\
                   s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                   def tell(text): s.sendto(text, os.environ['NOTIFY_SOCKET'])\n\
                   def reload(*_): tell(b'RELOADING=1'); open('/run/reloaded', 'w'); tell(b'READY=1')\n\
                   signal.signal(signal.SIGHUP, reload)\ntell(b'READY=1')\nwhile True: signal.pause()";
    node.says(&format!("cat > /usr/bin/r.py <<'END'\n{program}\nEND"));
    node.unit("r", "[Service]\nType=notify-reload\nExecStart=/usr/bin/python3 /usr/bin/r.py");
    let script = "systemctl start r; ls /run/reloaded; systemctl reload r; echo $?; ls /run/reloaded; systemctl stop r";
    let none = "ls: cannot access '/run/reloaded': No such file or directory\n";
    assert_eq!(node.says(script), format!("{none}0\n/run/reloaded\n"));
    assert_eq!(node.processes(), 0);
}

#[test]
fn a_service_comes_back_and_a_killed_keeper_leaves_nothing_that_lasts() {
    let node = Node::new("again");
    node.unit("a", "[Service]\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=50ms");
    node.says("systemctl start a; kill -9 $(systemctl show a -p MainPID --value)");
    until("it has come back", || {
        node.says("systemctl show a -p NRestarts,ActiveState") == "NRestarts=1\nActiveState=active\n"
    });
    let keeper = "ps -eo pid=,args= | sed -n 's/^ *\\([0-9]*\\) netyard-keeper .*/\\1/p'";
    assert_eq!(
        node.says(&format!(
            "k=$({keeper}); kill -9 $k; while [ -d /proc/$k ]; do sleep 0.01; done
            systemctl is-active a; pgrep -xc sleep"
        )),
        "failed\n1\n"
    );
    // Three at once: one starts it, and ends what was left behind; the others wait and find it started.
    let script = "for n in 1 2 3; do systemctl start a & done; wait; pgrep -xc sleep; systemctl is-active a; systemctl stop a";
    assert_eq!(node.says(script), "1\nactive\n");
    assert_eq!(node.processes(), 0);
}

#[test]
fn init_scripts_are_services_too() {
    let node = Node::new("script");
    let script = "#!/bin/sh\n# Short-Description: old\ncase $1 in\nstart) setsid sleep 1000 >/dev/null 2>&1 & echo started;;\n\
                  stop) echo stopped;;\nstatus) echo fine; pgrep -x sleep >/dev/null;;\n*) exit 3;;\nesac";
    node.says(&format!("cat > /etc/init.d/old <<'END'\n{script}\nEND\nchmod +x /etc/init.d/old"));
    assert_eq!(node.says("service old status; echo $?; service old fly; echo $?"), "fine\n1\n3\n");
    assert_eq!(
        node.says("systemctl start old; systemctl is-active old; journalctl -u old; systemctl stop old; systemctl is-active old"),
        "active\nold: started\ninactive\n"
    );
    assert_eq!(node.processes(), 0);
}

#[test]
fn what_was_started_without_systemctl_is_seen_and_stopped() {
    let node = Node::new("native");
    let script = "#!/bin/sh\ncase $1 in\nstart) setsid sleep 1000 >/dev/null 2>&1 & echo $! > /run/n.pid;;\n\
                  stop) kill $(cat /run/n.pid);;\nstatus) test -d /proc/$(cat /run/n.pid);;\nesac";
    node.says(&format!("cat > /etc/init.d/n <<'END'\n{script}\nEND\nchmod +x /etc/init.d/n"));
    node.unit("n", "[Service]\nExecStart=/bin/sleep 1001");
    let script =
        "/etc/init.d/n start; systemctl is-active n; systemctl restart n; pgrep -a sleep | cut -d ' ' -f 2-
        systemctl stop n; systemctl is-active n";
    assert_eq!(node.says(script), "active\n/bin/sleep 1001\ninactive\n");
    assert_eq!(node.processes(), 0);
}

#[test]
fn a_web_server_starts_reloads_and_stops() {
    if !has("/usr/sbin/apache2") {
        return;
    }
    let node = Node::new("apache");
    if node.has_one_id() {
        let said = node.says("systemctl start apache2; echo $?");
        assert!(said.contains("help: this node has one user id only") && said.ends_with("\n1\n"), "{said}");
        return;
    }
    let script = "systemctl start apache2; echo $?; systemctl reload apache2; echo $?; systemctl restart apache2
        (echo 'GET / HTTP/1.0'; echo) > /dev/tcp/127.0.0.1/80 && echo open; service apache2 stop; echo $?; systemctl is-active apache2";
    assert_eq!(node.says(script), "0\n0\nopen\n0\ninactive\n");
    assert_eq!(node.processes(), 0);
}

#[test]
fn a_name_server_starts_under_each_of_its_names_and_says_what_is_wrong() {
    if !has("/usr/sbin/named") {
        return;
    }
    let node = Node::new("named");
    let script =
        "systemctl start bind9; echo $?; systemctl reload named; echo $?; /etc/init.d/bind restart; echo $?
        systemctl is-active bind named; service bind stop; systemctl is-active named";
    assert_eq!(node.says(script), "0\n0\n0\nactive\nactive\ninactive\n");
    let said = node.says("echo 'options { nonsense; };' > /etc/bind/named.conf; systemctl start named; echo $?; systemctl stop named");
    assert!(said.contains("/etc/bind/named.conf:1: unknown option 'nonsense'"), "{said}");
    assert_eq!(node.processes(), 0);
}

#[test]
fn routing_daemons_start_and_configurations_of_quagga_are_theirs() {
    if !has("/usr/lib/frr/frrinit.sh") {
        return;
    }
    let node = Node::new("frr");
    let script = "test -e /etc/frr/daemons && sed -i s/^ospfd=no/ospfd=yes/ /etc/frr/daemons; systemctl start frr; echo $?
        pgrep -xc zebra; systemctl restart frr; echo $?; pgrep -xc watchfrr; systemctl stop frr; pgrep -c zebra";
    assert_eq!(node.says(script), "0\n1\n0\n1\n0\n");
    let script = "mkdir /etc/quagga; printf 'zebra=yes\\nripd=yes\\n' > /etc/quagga/daemons
        printf 'router rip\\n network eth0\\n' > /etc/quagga/ripd.conf; /etc/init.d/zebra start; echo $?
        pgrep -xc ripd; systemctl is-active quagga; vtysh -c 'show running-config' | grep -c '^router rip'; service quagga stop; pgrep -xc ripd";
    assert_eq!(node.says(script), "0\n1\nactive\n1\n0\n");
    assert_eq!(node.processes(), 0);
}

#[test]
fn smaller_daemons_start_reload_and_stop() {
    let node = Node::new("small");
    if has("/usr/sbin/dnsmasq") {
        let script = "systemctl start dnsmasq; echo $?; systemctl reload dnsmasq; echo $?; pgrep -xc dnsmasq; systemctl stop dnsmasq";
        assert_eq!(node.says(script), "0\n0\n1\n");
    }
    if has("/usr/sbin/radvd") {
        let script = "rm -f /etc/radvd.conf; systemctl start radvd; echo $?; systemctl is-active radvd
            echo 'interface eth0 { AdvSendAdvert on; prefix fd00:1::/64 {}; };' > /etc/radvd.conf
            systemctl start radvd; echo $?; systemctl reload radvd; echo $?; systemctl stop radvd; systemctl is-active radvd";
        // Without its file a condition of the unit is not met, which is no failure.
        assert_eq!(node.says(script), "0\ninactive\n0\n0\ninactive\n");
    }
    assert_eq!(node.processes(), 0);
}

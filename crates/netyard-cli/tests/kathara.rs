//! Labs of Kathara as they are: public ones reach what they showed, and all words of `netyard kathara`.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Ran, Yard, finished, until};

/// A folder with a lab, and a yard in which it runs under the folder's name.
struct KatharaLab {
    yard: Yard,
    folder: PathBuf,
}

impl KatharaLab {
    /// A lab of these files; a path that ends with `/` is a folder.
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let yard = Yard::new(&format!("kathara-{test}"));
        let folder = yard.folder.join(&yard.lab);
        fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            let path = folder.join(name);
            match name.strip_suffix('/') {
                Some(_) => fs::create_dir_all(path).unwrap(),
                None => {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, text).unwrap();
                }
            }
        }
        Self { yard, folder }
    }

    /// A copy of a public lab.
    fn public(name: &str, of: &Path) -> Self {
        let yard = Yard::new(&format!("kathara-{name}"));
        let folder = yard.folder.join(&yard.lab);
        let copied = finished(Command::new("cp").arg("-r").arg(of).arg(&folder));
        assert_eq!(copied.code, Some(0), "{}", copied.stderr);
        Self { yard, folder }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let (verb, rest) = args.split_first().unwrap();
        let folder = self.folder.to_str().unwrap();
        let args: Vec<&str> =
            ["kathara", verb, "-d", folder].into_iter().chain(rest.iter().copied()).collect();
        self.yard.run(&args)
    }

    #[track_caller]
    fn start(&self) -> Ran {
        let ran = self.run(&["lstart"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran
    }

    /// What a script prints in a device.
    fn says(&self, device: &str, script: &str) -> String {
        self.run(&["exec", device, "bash", "-c", script]).stdout
    }
}

/// The folder of public labs, where it is there.
fn public_labs() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = own.ancestors().map(|folder| folder.join("shared/kathara-labs")).find(|labs| labs.exists());
    if found.is_none() {
        println!("skipped: ../shared/kathara-labs not found");
    }
    found
}

/// Whether a program is there; otherwise it is told that the test cannot run.
fn has(program: &str) -> bool {
    let has_it = Path::new(program).exists();
    if !has_it {
        println!("skipped: {program} not found");
    }
    has_it
}

/// Starts a public lab as it is, and waits until every device shows what it is expected to.
fn check(name: &str, program: &str) {
    let Some(labs) = public_labs().filter(|_| has(program)) else { return };
    let expected: Value = serde_json::from_slice(&fs::read(labs.join("expect.json")).unwrap()).unwrap();
    let expected = &expected[name];
    let lab = KatharaLab::public(name, &labs.join(name));
    lab.start();
    let waited = lab.run(&["wait", "--startup"]);
    assert_eq!(waited.code, Some(0), "{}", waited.stdout);
    for device in expected["manual_daemon_start"].as_array().unwrap() {
        let ran = lab.run(&["exec", device.as_str().unwrap(), "systemctl", "start", "frr"]);
        assert_eq!(ran.code, Some(0), "{device}: {}", ran.stderr);
    }
    let nodes = expected["nodes"].as_object().unwrap();
    let all: Vec<&str> = nodes.values().flat_map(|node| addresses(node)).collect();
    for (device, wanted) in nodes {
        let mut seen = Value::Null;
        let begun = std::time::Instant::now();
        // Routing protocols take up to a minute: a connection may have to be tried again.
        while seen != *wanted && begun.elapsed().as_secs() < 120 {
            seen = sight(&lab, device, wanted, &all);
        }
        assert_eq!(seen, *wanted, "{name}: {device}");
    }
    assert_eq!(lab.run(&["lclean"]).code, Some(0));
    let difference = finished(Command::new("diff").arg("-r").arg(labs.join(name)).arg(&lab.folder));
    assert_eq!(difference.stdout, "", "the lab's folder is as it was");
}

/// The addresses of a node, without interface and length.
fn addresses(node: &Value) -> Vec<&str> {
    let texts = node["addr"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
    texts.map(|text| text.split([' ', '/']).nth(1).unwrap()).collect()
}

/// What a device shows, in the form of `expect.json`.
fn sight(lab: &KatharaLab, device: &str, wanted: &Value, all: &[&str]) -> Value {
    let pings: String =
        all.iter().map(|to| format!("(ping -c 1 -W 1 {to} >/dev/null 2>&1 || echo ping {to}) & ")).collect();
    let script = format!(
        "ip -o -4 addr show scope global; echo --; ip -o -6 addr show scope global; echo --; ip -4 route; echo --; \
         vtysh -c 'show bgp summary' 2>/dev/null; {pings} wait"
    );
    let text = lab.says(device, &script);
    let parts: Vec<&str> = text.split("--\n").collect();
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let own = |part: &str| -> BTreeSet<String> {
        let words = part.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.filter(|words| words.len() > 3).map(|words| format!("{} {}", words[1], words[3])).collect()
    };
    let routes: BTreeSet<String> = part(2).lines().map(route).collect();
    let unreachable: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("ping ")).collect();
    let mut seen =
        json!({ "addr": own(part(0)), "addr6": own(part(1)), "routes": routes, "unreachable": unreachable });
    if !wanted["bgp"].is_null() {
        seen["bgp"] = text.lines().filter_map(bgp_row).collect();
    }
    seen
}

/// `PREFIX PROTOCOL` of a line of `ip route`; a route by hand has the protocol `boot`, which is not shown.
fn route(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let protocol = words.iter().position(|word| *word == "proto").and_then(|at| words.get(at + 1));
    format!("{} {}", words[0], protocol.unwrap_or(&"static"))
}

/// A row of `show bgp summary`.
fn bgp_row(line: &str) -> Option<Value> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [peer, "4", number, _, _, _, _, _, _, state, ..] = words.as_slice() else { return None };
    let number: u32 = number.parse().ok()?;
    let established = *state == "(Policy)" || state.parse::<u32>().is_ok();
    Some(json!({ "as": number, "established": established, "peer": peer, "pfxrcd": state }))
}

#[test]
fn static_routing() {
    check("static-routing", "/bin/sh");
}

#[test]
fn rip() {
    check("rip", "/usr/lib/frr/ripd");
}

#[test]
fn bgp_simple_peering() {
    check("bgp-simple-peering", "/usr/lib/frr/bgpd");
}

#[test]
fn bgp_simple_peering_of_quagga() {
    check("bgp-simple-peering-quagga", "/usr/lib/frr/bgpd");
}

#[test]
fn load_balancer() {
    if !has("/usr/sbin/apache2") || !has("/usr/sbin/iptables-legacy") {
        return;
    }
    check("load-balancer-ws-rnd", "/usr/sbin/apache2");
}

#[test]
fn dns() {
    check("dns", "/usr/sbin/named");
}

#[test]
fn names_are_found_in_the_lab_about_dns() {
    let Some(labs) = public_labs().filter(|_| has("/usr/sbin/named")) else { return };
    let lab = KatharaLab::public("dns-names", &labs.join("dns"));
    let told = lab.start().stderr;
    assert!(told.contains("named.conf.options:6: option `dnssec-enable`: left out"), "{told}");
    until("the name is found", || {
        lab.says("pc1", "ping -c 1 -W 2 pc2.startup.net").contains(" 0% packet loss")
    });
}

#[test]
fn a_startup_script_that_fails_is_told_with_its_line() {
    let files = [
        ("lab.conf", "good[0]=A\nbad[0]=A\nodd[0]=A\nodd[exec]=\"echo $0 is done\"\nopen[0]=A\n"),
        ("open.startup", "if true; then\necho\n"),
        (
            "good.startup",
            "#!/usr/bin/python3\r\nip address add 10.0.0.1/24 dev eth0\r\nif false; then :; fi\r\n",
        ),
        ("bad.startup", "ip address add 10.0.0.2/24 dev eth0\n\nip link set eth7 up\nfalse\necho end"),
        ("shared.startup", "echo shared"),
    ];
    let lab = KatharaLab::new("failing", &files);
    let told = lab.start().stderr;
    assert!(told.contains("device bad: bad.startup:3: ip link set eth7 up (exit code 1)"), "{told}");
    let waited = lab.run(&["wait", "--startup", "--json"]);
    assert_eq!(waited.code, Some(1));
    let json: Value = serde_json::from_str(&waited.stdout).unwrap();
    let states: Vec<&str> =
        json["devices"].as_array().unwrap().iter().map(|d| d["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["ready", "failed", "ready", "failed"]);
    assert!(told.contains("device open: /hostlab/open.startup: line 3: syntax error"), "{told}");
    assert_eq!(lab.run(&["wait", "good"]).code, Some(0));
    let log = lab.says("bad", "cat /var/log/startup.log");
    assert!(log.starts_with("+ ip address add 10.0.0.2/24 dev eth0\n+ ip link set eth7 up\n"), "{log}");
    assert!(log.ends_with("+ echo end\nend\n"), "{log}");
    assert_eq!(
        lab.says("odd", "cat /var/log/startup.log"),
        "++ echo $0 is done\n/hostlab/startup.sh is done\n"
    );
    assert_eq!(lab.says("good", "cat /var/log/shared.log; ls /tmp"), "+ echo shared\nshared\nEOS\n");
}

#[test]
fn devices_have_their_files_values_and_names() {
    let conf = "r_1[0]=A/02:00:00:00:00:09\nr_1[1]=b\nr_1[sysctl]=\"net.ipv4.conf.eth1.rp_filter=2\"\nr_1[env]=\"WHO=me\"\n\
                fabric[0]=A\nfabric[ipv6]=\"true\"\n";
    let files = [
        ("lab.conf", conf),
        ("r_1/etc/motd", "\u{feff}hello\r\n"),
        ("r_1/etc/deep/er/file", "x"),
        ("r_1/etc/.DS_Store", "x"),
        ("r_1.shutdown", "echo bye > /shared/bye\n"),
        ("shared/", ""),
    ];
    let lab = KatharaLab::new("files", &files);
    lab.start();
    let script = "cat /etc/motd /etc/deep/er/file; ls -A /etc | grep DS_Store; hostname; cat /proc/sys/net/ipv4/conf/eth1/rp_filter \
                  /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv4/icmp_ratelimit /proc/sys/net/ipv4/ip_forward; \
                  cat /sys/class/net/eth0/address /etc/resolv.conf; head -1 /etc/hosts";
    let wanted = "hello\nxr_1\n2\n1\n0\n1\n02:00:00:00:00:09\n127.0.0.1 localhost\n";
    assert_eq!(lab.says("r_1", script), wanted);
    assert_eq!(
        lab.says("fabric", "hostname; cat /proc/sys/net/ipv6/conf/{eth0,all}/{disable_ipv6,forwarding}"),
        "fabric\n0\n1\n0\n1\n"
    );
    lab.says("fabric", "echo hi > /shared/hi");
    assert_eq!(lab.says("r_1", "cat /shared/hi"), "hi\n");
    assert_eq!(lab.run(&["lclean"]).code, Some(0));
    assert_eq!(fs::read_to_string(lab.folder.join("shared/bye")).unwrap(), "bye\n");
}

#[test]
fn devices_come_and_go_while_others_run() {
    let lab = KatharaLab::new(
        "coming",
        &[
            ("lab.conf", "a[0]=A\nb[0]=A\nc[0]=A\n"),
            (
                "a.startup",
                "date +%N > /tmp/begun\nip address add 10.0.0.1/24 dev eth0\nip route add 10.9.0.0/16 via 10.0.0.2\n\
                 ip link add br0 type bridge\nsysctl -qw net.ipv4.ip_forward=0\n",
            ),
        ],
    );
    assert_eq!(lab.run(&["lstart", "a"]).code, Some(0));
    let begun = lab.says("a", "cat /tmp/begun");
    let own = || {
        lab.says("a", "ip -br address show dev eth0; ip route; ls /sys/class/net; sysctl net.ipv4.ip_forward")
    };
    let before = own();
    assert!(before.contains("10.9.0.0/16 via 10.0.0.2"), "{before}");
    assert_eq!(lab.run(&["lstart", "b"]).code, Some(0));
    let devices = |lab: &KatharaLab| {
        let json: Value = serde_json::from_str(&lab.run(&["linfo", "--json"]).stdout).unwrap();
        json["devices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["device"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(devices(&lab), ["a", "b"]);
    assert_eq!(own(), before, "what its script did stays");
    assert_eq!(lab.run(&["lconfig", "-n", "a", "--add", "B/02:00:00:00:00:07"]).code, Some(0));
    assert_eq!(lab.run(&["lstart", "c"]).code, Some(0));
    assert_eq!(lab.says("a", "cat /sys/class/net/eth1/address"), "02:00:00:00:00:07\n");
    assert_eq!(lab.run(&["lconfig", "-n", "a", "--rm", "A"]).code, Some(0));
    assert_eq!(lab.says("a", "ls /sys/class/net"), "br0\neth1\nlo\n");
    assert_eq!(lab.run(&["lclean", "b", "c"]).code, Some(0));
    assert_eq!(devices(&lab), ["a"]);
    assert_eq!(lab.says("a", "cat /tmp/begun"), begun, "it was not started again");
    assert_eq!(lab.run(&["exec", "a", "exit 7"]).code, Some(7));
    assert_eq!(lab.run(&["exec", "z", "true"]).code, Some(2));
}

#[test]
fn what_cannot_work_here_is_refused_before_anything_is_built() {
    let refused = |test: &str, files: &[(&str, &str)], words: &[&str]| {
        let lab = KatharaLab::new(test, files);
        let ran = lab.run(&["lstart"]);
        assert_eq!(ran.code, Some(2), "{test}: {}", ran.stderr);
        words.iter().for_each(|word| assert!(ran.stderr.contains(word), "{word} in\n{}", ran.stderr));
        assert!(lab.run(&["linfo"]).stderr.contains("does not run"));
    };
    refused(
        "p4",
        &[("lab.conf", "s1[0]=A\ns1[image]=kathara/p4\n")],
        &["lab.conf:2:1", "`s1` needs", "simple_switch"],
    );
    refused("pox", &[("lab.conf", "c[0]=A\nc[image]=\"kathara/pox\"\n")], &["lab.conf:2:1", "POX"]);
    refused("ext", &[("lab.conf", "a[0]=A\n"), ("lab.ext", "A eth0\n")], &["lab.ext:1:1", "`A` is to be on"]);
    refused(
        "wrong",
        &[("lab.conf", "PC1[0]=A\npc2[0] = A\n")],
        &["lab.conf:1:1", "lab.conf:2:1", "2 problems"],
    );
    refused("empty", &[("x", "")], &["no lab.conf"]);
}

#[test]
fn what_the_kernel_lacks_is_told_with_the_line_that_needs_it() {
    for (test, line, word) in [
        ("netem", "tc qdisc add dev eth0 root netem delay 10ms", "netem"),
        ("vlans", "ip link add br0 type bridge vlan_filtering 1", "VLAN filtering"),
        ("bond", "ip link add bond0 type bond", "bonds"),
        ("ipip", "ip link add t0 type ipip remote 10.0.0.1", "IP-in-IP"),
        ("sit", "ip tunnel add t0 mode sit remote 10.0.0.1", "IPv6-in-IPv4"),
    ] {
        let script = format!("ip link set eth0 up\n{line}\n");
        let lab = KatharaLab::new(test, &[("lab.conf", "r1[0]=A\n"), ("r1.startup", &script)]);
        let ran = lab.run(&["lstart"]);
        if ran.code == Some(0) {
            let waited = lab.run(&["wait"]);
            assert_eq!(waited.code, Some(0), "this kernel has it: {}", waited.stdout);
            continue;
        }
        for word in ["error[K002]", word, "r1.startup:2:1", "device `r1` needs it", "--force"] {
            assert!(ran.stderr.contains(word), "{word} in\n{}", ran.stderr);
        }
        assert_eq!(lab.run(&["lstart", "--force"]).code, Some(0));
        let waited = lab.run(&["wait"]);
        assert!(waited.stdout.contains("r1 failed: r1.startup:2: "), "{}", waited.stdout);
    }
}

#[test]
fn the_printed_lab_file_builds_the_same() {
    let files = [
        ("lab.conf", "a[0]=A\nb[0]=A\nb[exec]=\"echo x\"\n"),
        ("a.startup", "ip address add 10.0.0.1/24 dev eth0\n"),
        ("b.startup", "ip address add 10.0.0.2/24 dev eth0\ncp /etc/own /tmp/own\n"),
        ("b/etc/own", "mine\n"),
    ];
    let lab = KatharaLab::new("import", &files);
    let yaml = lab.yard.prints(&["import", "kathara", lab.folder.to_str().unwrap()]);
    let file = lab.folder.join("lab.yaml");
    fs::write(&file, yaml).unwrap();
    lab.yard.prints(&["up", "--quiet", file.to_str().unwrap()]);
    let says = |script: &str| lab.yard.run(&["exec", "b", "--", "sh", "-c", script]).stdout;
    until("it has started", || says("ls /tmp") == "EOS\nown\n");
    assert_eq!(says("cat /tmp/own; tail -1 /var/log/startup.log"), "mine\nx\n");
    until("packets pass", || says("ping -c 1 -W 1 10.0.0.1").contains(" 0% packet loss"));
    let report = lab.yard.json(&["import", "kathara", lab.folder.to_str().unwrap(), "--json"]);
    assert!(
        report["report"].as_array().unwrap().iter().any(|remark| remark["what"] == "b[exec]"),
        "{report}"
    );
}

const CHECKS: &str = "
convergence_time: 20
lab_inline: |
  a[0]=\"A\"
  b[0]=\"A\"
test:
  requiring_startup: [a, b]
  ip_mapping: { a: { 0: 10.0.0.1/24 }, b: { eth0: 10.0.0.2/24 } }
  sysctls: { a: [net.ipv4.ip_forward=1] }
  daemons: { b: [sleep, '!bgpd'] }
  kernel_routes: { a: [[0.0.0.0/0, [10.0.0.2]]], b: [] }
  reachability: { a: [10.0.0.2, '!10.0.0.9'] }
  custom_commands:
    a: [{ command: 'cat /etc/hostname; exit 3', exit_code: 3 }, { command: 'seq 3', regex_match: '^1\\n2' }]
";

#[test]
fn tests_for_kathara_lab_checker_run_as_they_are() {
    let files = [
        ("lab.conf", "a[0]=\"A\"\nb[0]=\"A\"\n"),
        ("a.startup", "sleep 1\nip address add 10.0.0.1/24 dev eth0\nip route add default via 10.0.0.2\n"),
        ("b.startup", "ip address add 10.0.0.2/24 dev eth0\nsleep 1000 &\n"),
        ("good.yaml", CHECKS),
        (
            "bad.json",
            r#"{"convergence_time": 1, "lab_inline": "a[0]=B\n", "test": {"ip_mapping": {"b": {"0": "10.0.0.3/24"}}}}"#,
        ),
        ("odd.yaml", "test: { reach: {} }"),
    ];
    let lab = KatharaLab::new("checks", &files);
    let test = |file: &str, rest: &[&str]| {
        let path = lab.folder.join(file);
        let args: Vec<&str> =
            ["test", path.to_str().unwrap()].into_iter().chain(rest.iter().copied()).collect();
        lab.yard.run(&args)
    };
    // A copy that ends with the test; its startup scripts take longer than it takes to begin asking.
    let begun = std::time::Instant::now();
    let ran = test("good.yaml", &["--json"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(begun.elapsed().as_secs() < 15, "it does not wait for the convergence time");
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&json["passed"], &json["schema"]), (&json!(15), &json!("netyard/test/1")));
    lab.start();
    let ran = test("bad.json", &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("it has eth0 on A"), "{}", ran.stdout);
    assert!(ran.stdout.contains("eth0 has 10.0.0.2/24"), "{}", ran.stdout);
    assert_eq!(lab.run(&["linfo"]).code, Some(0), "a lab that runs goes on");
    let tap = test("bad.json", &["--format", "tap"]);
    assert!(tap.stdout.contains("not ok"), "{}", tap.stdout);
    let ran = test("odd.yaml", &[]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("error[I013]") && ran.stderr.contains("no check is called `reach`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn links_in_a_lab_lead_nowhere_outside_of_it() {
    let lab = KatharaLab::new("links", &[("lab.conf", "a[0]=A\n"), ("a/etc/own", "mine\n")]);
    std::os::unix::fs::symlink("/etc/passwd", lab.folder.join("a/etc/stolen")).unwrap();
    let ran = lab.run(&["lstart"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("stolen"), "{}", ran.stderr);
    fs::remove_file(lab.folder.join("a/etc/stolen")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", lab.folder.join("a.startup")).unwrap();
    let ran = lab.run(&["lstart"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("a.startup"), "{}", ran.stderr);
}

/// The interfaces of each device, as `linfo` shows them.
fn interfaces(lab: &KatharaLab) -> Value {
    let json: Value = serde_json::from_str(&lab.run(&["linfo", "--json"]).stdout).unwrap();
    json["devices"].as_array().unwrap().iter().map(|device| device["interfaces"].clone()).collect()
}

#[test]
fn bridged_devices_reach_an_internet_that_answers() {
    let files = [
        ("lab.conf", "r[0]=A\nr[bridged]=true\nr[port]=\"8080:80\"\npc[0]=A\n"),
        ("r.startup", "ip address add 10.0.0.1/24 dev eth0\n"),
    ];
    let lab = KatharaLab::new("bridged", &files);
    let told = lab.start().stderr;
    assert!(told.contains("approximated: lab.conf:2: r[bridged]: one more interface"), "{told}");
    assert!(told.contains("ignored: lab.conf:3: r[port]"), "{told}");
    assert!(told.contains("is up: 2 devices"), "{told}");
    assert_eq!(interfaces(&lab), json!([["eth0:A", "eth1:bridged"], ["eth0:A"]]));
    assert_eq!(lab.says("r", "ip route show default"), "default via 172.17.0.1 dev eth1 \n");
    let reaches = |answer: String| answer.contains(" 0% packet loss");
    until("the world answers", || reaches(lab.says("r", "ping -c 1 -W 1 8.8.8.8")));
    until("its names are known", || reaches(lab.says("r", "ping -c 1 -W 1 www.example.com")));
    assert_eq!(lab.says("pc", "ip route show default; cat /etc/resolv.conf"), "");
    assert_eq!(lab.run(&["wait"]).stdout, "r ready\npc ready\n");
    assert_eq!(lab.run(&["exec", "internet", "true"]).code, Some(2), "the world is no device");
    assert_eq!(lab.run(&["lclean", "r"]).code, Some(0));
    assert_eq!(interfaces(&lab), json!([["eth0:A"]]));
    assert_eq!(lab.run(&["lstart", "r"]).code, Some(0));
    until("the world answers again", || reaches(lab.says("r", "ping -c 1 -W 1 8.8.8.8")));
    assert_eq!(lab.run(&["lclean", "r", "pc"]).code, Some(0));
    assert!(lab.run(&["linfo"]).stderr.contains("does not run"));

    let yaml = lab.yard.prints(&["import", "kathara", lab.folder.to_str().unwrap()]);
    let file = lab.folder.join("lab.yaml");
    fs::write(&file, yaml).unwrap();
    lab.yard.prints(&["up", "--quiet", file.to_str().unwrap()]);
    let ping = ["exec", "r", "--", "ping", "-c", "1", "-W", "1", "www.example.com"];
    until("the world answers the lab file's", || reaches(lab.yard.run(&ping).stdout));
}

#[test]
fn limits_hold_for_scripts_and_commands() {
    let files = [
        ("lab.conf", "a[0]=A\na[ulimit]=\"nofile=200:300\"\na[ulimit]=\"core=0\"\nb[0]=A\n"),
        ("a.startup", "ulimit -Sn > /tmp/soft\n"),
    ];
    let lab = KatharaLab::new("limits", &files);
    lab.start();
    assert_eq!(lab.says("a", "cat /tmp/soft; ulimit -Sn; ulimit -Hn; ulimit -Hc"), "200\n200\n300\n0\n");
    assert_ne!(lab.says("b", "ulimit -Sn"), "200\n");
    assert_eq!(lab.run(&["exec", "a", "exit 7"]).code, Some(7));
}

#[test]
fn collision_domains_may_differ_in_case_only() {
    let files = [
        ("lab.conf", "a[0]=A\nb[0]=a\n"),
        ("a.startup", "ip address add 10.0.0.1/24 dev eth0\n"),
        ("b.startup", "ip address add 10.0.0.2/24 dev eth0\n"),
    ];
    let lab = KatharaLab::new("case", &files);
    lab.start();
    assert!(!lab.says("b", "ping -c 1 -W 1 10.0.0.1").contains(" 0% packet loss"));
    assert_eq!(lab.run(&["lconfig", "-n", "b", "--add", "A"]).code, Some(0));
    assert_eq!(interfaces(&lab), json!([["eth0:A"], ["eth0:a", "eth1:A"]]));
    lab.says("b", "ip address flush dev eth0; ip address add 10.0.0.2/24 dev eth1");
    until("b is on A", || lab.says("b", "ping -c 1 -W 1 10.0.0.1").contains(" 0% packet loss"));
    assert_eq!(lab.run(&["lconfig", "-n", "b", "--rm", "a"]).code, Some(0));
    assert_eq!(interfaces(&lab), json!([["eth0:A"], ["eth1:A"]]));
}

#[test]
fn folders_are_devices_where_there_is_no_lab_conf() {
    let lab = KatharaLab::new("folder", &[("pc1/etc/own", "mine\n")]);
    assert_eq!(lab.run(&["lstart"]).code, Some(2));
    assert_eq!(lab.run(&["lstart", "-F", "-S"]).code, Some(0));
    assert_eq!(lab.says("pc1", "cat /etc/own"), "mine\n");
}

#[test]
fn bridges_inside_of_devices_are_checked() {
    let script = "ip link add br0 type bridge\nfor i in 0 1; do ip link set eth$i up master br0; done\n";
    let files = [
        ("lab.conf", "s[0]=A\ns[1]=B\ns[2]=C\n"),
        ("s.startup", script),
        ("good.yaml", "test: { bridges: { s: [{ interfaces: { eth0: {}, eth1: {} } }] } }\n"),
        (
            "bad.yaml",
            "convergence_time: 0\ntest: { bridges: { s: [{ interfaces: { eth0: {}, eth2: { pvid: 7 } } }] } }\n",
        ),
    ];
    let lab = KatharaLab::new("inside", &files);
    lab.start();
    let test = |file: &str| lab.yard.run(&["test", lab.folder.join(file).to_str().unwrap()]);
    let good = test("good.yaml");
    assert_eq!(good.code, Some(0), "{}{}", good.stdout, good.stderr);
    let bad = test("bad.yaml");
    assert_eq!(bad.code, Some(1), "{}{}", bad.stdout, bad.stderr);
    assert!(bad.stdout.contains("eth2 is in no bridge"), "{}", bad.stdout);
    assert!(bad.stdout.contains("no VLANs are set on eth2"), "{}", bad.stdout);
}

#[test]
fn zebra_of_old_labs_is_run_by_frr() {
    if !has("/usr/lib/frr/ripd") {
        return;
    }
    let rip = "router rip\n redistribute connected\n network 10.0.0.0/24\n";
    let files = [
        ("lab.conf", "r1[0]=A\nr1[1]=B\nr2[0]=A\n"),
        (
            "r1.startup",
            "ip a add 10.0.0.1/24 dev eth0\nip a add 10.1.0.1/24 dev eth1\n/etc/init.d/zebra start\n",
        ),
        ("r2.startup", "ip a add 10.0.0.2/24 dev eth0\n/etc/init.d/zebra start\n"),
        ("r1/etc/zebra/daemons", "zebra=yes\nripd=yes\n"),
        ("r1/etc/zebra/ripd.conf", rip),
        ("r2/etc/zebra/daemons", "zebra=yes\nripd=yes\n"),
        ("r2/etc/zebra/ripd.conf", rip),
    ];
    let lab = KatharaLab::new("zebra", &files);
    lab.start();
    until("the route is learnt", || lab.says("r2", "ip route").contains("10.1.0.0/24"));
}

#[test]
fn devices_of_lab_dep_start_one_after_another() {
    let script = "date +%s%N > /shared/$(hostname)\n";
    let files = [
        ("lab.conf", "a[0]=A\nb[0]=A\nc[0]=A\nd[0]=A\n"),
        ("lab.dep", "a: b c\nb: c\n"),
        ("a.startup", script),
        ("b.startup", script),
        ("c.startup", script),
        ("shared/", ""),
    ];
    let lab = KatharaLab::new("ordered", &files);
    let told = lab.start().stderr;
    assert!(told.contains("lab.dep: c, b, a: `lstart` starts devices one after another"), "{told}");
    let time = |device: &str| fs::read_to_string(lab.folder.join("shared").join(device)).unwrap();
    assert!(time("c") < time("b") && time("b") < time("a"), "{}{}{}", time("c"), time("b"), time("a"));
    let before = time("a");
    assert_eq!(lab.run(&["lclean", "b"]).code, Some(0));
    let earlier = time("b");
    assert_eq!(lab.run(&["lstart"]).code, Some(0));
    assert!(time("b") > earlier);
    assert_eq!(time("a"), before, "it was not started again");
}

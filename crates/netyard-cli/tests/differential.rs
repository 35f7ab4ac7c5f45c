//! The script of a lab builds what `netyard up` builds: the same tools see no difference.
//!
//! `netyard plan --script FILE` is run by bash in an empty sandbox, with the iproute2, nft, ethtool and sysctl of the
//! machine; the lab is built by the library. The same script of questions (`dump.sh`) is then run in both worlds, and its
//! answers are compared after leaving out what is the kernel's own choice: numbers of links, timers, counters.
#![allow(clippy::unwrap_used)]

mod gallery;

use gallery::{Case, NETYARD, lab_names};
use netyard::Lab;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;

/// Where system tools are; nowhere else, so that a script which calls netyard fails.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Tool and the Debian package that has it.
const TOOLS: [(&str, &str); 9] = [
    ("bash", "bash"),
    ("ip", "iproute2"),
    ("bridge", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("ethtool", "ethtool"),
    ("sysctl", "procps"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];

#[test]
fn the_script_of_every_lab_builds_what_up_builds() {
    require_tools();
    let gallery = lab_names("").into_iter().map(|name| Case::from_gallery("", &name));
    let netem = lab_names("netem").into_iter().map(|name| Case::from_gallery("netem", &name));
    let cases = Mutex::new(gallery.chain(netem).map(small).collect::<Vec<_>>().into_iter());
    let reports = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = cases.lock().unwrap().next();
            let Some(case) = next else { return };
            reports.lock().unwrap().push(compare(&case));
        }
    };
    std::thread::scope(|scope| {
        // Most of the time is waiting for links.
        let workers = [(); 4].map(|()| scope.spawn(work));
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    let reports: String = reports.into_inner().unwrap().concat();
    assert!(reports.is_empty(), "\n{reports}- the script has it, + netyard has it");
}

/// Forms of the lab file that no lab of the gallery has.
#[test]
fn the_script_builds_what_up_builds_in_rare_forms() {
    require_tools();
    let case = Case::new("rare", RARE.to_owned());
    let report = compare(&case);
    assert!(report.is_empty(), "\n{report}- the script has it, + netyard has it");
}

const RARE: &str = "\
lab: rare
profile: fast
networks:
  lan: { prefix: [10.0.0.0/24, 'fd00::/64'], multicast-snooping: yes, mtu: 1400 }
  wide: { prefix: 10.1.0.0/24, mtu: 9000, rate: 100mbit, burst: 64kb }
  wire: { prefix: 10.2.0.0/30, kind: cable }
  a-network-with-a-long-name: { prefix: 10.3.0.0/24, stp: { priority: 4096 } }
nodes:
  r:
    links: { lan: [10.0.0.254, 'fd00::fe'], wide: { address: 10.1.0.254, name: up }, wire: { name: 'br', mtu: 1300 } }
    forward: true
    nat:
      - snat: { from: lan, out: wide, to: 10.1.0.254 }
      - port-forward: { ports: 5000-5003, protocol: both, in: wide, to: '10.0.0.1:6000' }
    firewall:
      input: { allow: [ping, { from: lan, tcp: [22, 8000-8010] }, { in: wide, udp: any }] }
      forward: { allow: [{ from: lan, to: wide }, { protocol: [tcp, icmp], from: 10.9.0.0/16 }] }
    sysctls: { net.ipv4.conf.up.rp_filter: 2, net.ipv4.ip_default_ttl: 77 }
  a:
    links: { lan: [10.0.0.1, 'fd00::1', 172.16.0.1/16], a-network-with-a-long-name: { mac: '02:00:00:00:00:aa' } }
    routes:
      - { to: default, via: 10.0.0.254, metric: 50, src: 10.0.0.1 }
      - { to: default, via: 'fd00::fe' }
      - { to: 10.9.0.0/16, hops: [{ via: 10.0.0.254, weight: 3 }, { via: 10.0.0.253, weight: 1 }] }
      - { to: 'fd09::/64', hops: [{ via: 'fd00::fe' }, { via: 'fd00::fd' }] }
      - { to: 10.10.0.0/16, kind: blackhole }
      - { to: 'fd0a::/64', kind: unreachable }
      - { to: 10.11.0.0/16, kind: prohibit, table: 100 }
      - { to: 192.0.2.1, dev: eth0 }
      - { to: 10.12.0.0/16, via: 192.0.2.1 }
      - { to: 10.13.0.0/16, via: 203.0.113.1, dev: eth0, onlink: true }
    neighbours: { 10.0.0.9: '02:00:00:00:00:09', 'fd00::9': '02:00:00:00:00:09' }
  b: { links: { wide: 10.1.0.2, wire: { address: 10.2.0.2, up: { rate: 1mbit } } } }
  sw: { links: { lan: ~, a-network-with-a-long-name: ~ }, bridges: { br0: { ports: [lan], address: 10.0.0.7 } } }
  internet: { role: internet, links: { wide: 10.1.0.1 } }
";

/// A comparison that overlooked everything would be content too.
#[test]
fn what_a_script_does_otherwise_is_seen() {
    require_tools();
    let case = Case::from_gallery("", "home");
    let up = Dump::of(&by_netyard(&case).unwrap());
    let changes = [
        ("ip -n pc route add default via 10.0.0.254 dev eth0", "true", "pc ipv4-routes: + {\"dev\":\"eth0\""),
        ("dev eth0 up", "dev eth0 up mtu 1400", "pc links: - eth0 mtu 1400"),
        ("ethtool -K eth0 tx off", "true", "pc offloads: + eth0 tx-checksumming: off"),
        (" masquerade", " counter masquerade", "router nftables: - "),
        (
            "net.ipv4.ip_forward=1",
            "net.ipv4.ip_forward=0",
            "router sysctls: + /proc/sys/net/ipv4/ip_forward:1",
        ),
        ("peer name eth0", "peer name eth0 numrxqueues 1", ""),
    ];
    for (from, to, sign) in changes {
        let script = by_script(&case, |script| {
            assert!(script.contains(from), "the script has no {from:?}:\n{script}");
            script.replace(from, to)
        });
        assert!(script.status.success(), "{to}: {}", text(&script.stderr));
        let found = Dump::of(&script).differences(&up);
        let is_seen =
            if sign.is_empty() { found.is_empty() } else { found.iter().any(|l| l.starts_with(sign)) };
        assert!(is_seen, "{from} -> {to}: {found:#?}");
    }
}

#[test]
fn one_port_of_the_ring_is_blocked() {
    require_tools();
    let dump = Dump::of(&by_netyard(&Case::from_gallery("", "spanning-tree")).unwrap());
    let in_state = |state: &str| {
        let ports =
            dump.0.iter().filter(|((_, part), _)| part == "bridge-ports").flat_map(|(_, lines)| lines);
        ports.filter(|line| line.contains(&format!("\"state\":\"{state}\""))).count()
    };
    assert_eq!((in_state("blocking"), in_state("forwarding")), (1, 8));
}

fn require_tools() {
    let is_there =
        |tool: &&(&str, &str)| PATH.split(':').any(|folder| Path::new(folder).join(tool.0).exists());
    let missing: Vec<String> = TOOLS
        .iter()
        .filter(|tool| !is_there(tool))
        .map(|(tool, package)| format!("`{tool}` (package {package})"))
        .collect();
    assert!(missing.is_empty(), "this test needs {}", missing.join(", "));
}

/// A lab of a thousand hosts with thirty: a thousand times `ip` takes long.
fn small(case: Case) -> Case {
    if !case.text.contains("h[1-1000]") {
        return case;
    }
    let (definition, _) = case.text.split_once("\nexpect:").unwrap();
    Case::new("star-30", definition.replace("h[1-1000]", "h[1-30]"))
}

/// The differences between both worlds, as text; none is good.
fn compare(case: &Case) -> String {
    let name = case.path.file_name().unwrap().to_string_lossy().into_owned();
    let script = by_script(case, |script| script);
    match (by_netyard(case), script.status.success()) {
        (Ok(up), true) => {
            let (up, script) = (Dump::of(&up), Dump::of(&script));
            script.differences(&up).iter().map(|line| format!("{name}: {line}\n")).collect()
        }
        // Both kernels refuse what they lack.
        (Err(code), false) if code == "K002" && text(&script.stderr).contains("qdisc kind is unknown") => {
            String::new()
        }
        (up, _) => format!(
            "{name}: netyard: {:?}, script: {} {}\n",
            up.map(|_| "builds it"),
            script.status,
            text(&script.stderr)
        ),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn dump_script() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dump.sh").to_str().unwrap().to_owned()
}

/// The dump of the lab as the script builds it.
fn by_script(case: &Case, edit: impl FnOnce(String) -> String) -> Output {
    let plan = Command::new(NETYARD).args(["plan", "--script"]).arg(&case.path).output().unwrap();
    assert!(plan.status.success(), "{}", text(&plan.stderr));
    let script = Case::new("script", edit(text(&plan.stdout)));
    Command::new("unshare")
        .args(["-Urnmp", "--fork", "--kill-child", "--mount-proc", "bash", "-c"])
        .arg("mount -t tmpfs none /run && bash \"$0\" && bash \"$1\"")
        .arg(&script.path)
        .arg(dump_script())
        .env_clear()
        .env("PATH", PATH)
        .output()
        .unwrap()
}

/// The dump of the lab as netyard builds it, or the code of its error.
fn by_netyard(case: &Case) -> Result<Output, String> {
    // Programs may change what the lab file says; the script starts none.
    let mut definition =
        Lab::from_file(&case.path, netyard_core::diagnostic::Style::Plain).unwrap().definition().clone();
    definition.nodes.iter_mut().for_each(|node| node.programs.clear());
    let lab = Lab::from_definition(definition).up().map_err(|error| error.code.clone())?;
    let output = lab.command("bash").args([dump_script()]).env("PATH", PATH).output().unwrap();
    assert_eq!(output.status, netyard::ExitStatus::Code(0), "{}", text(&output.stderr));
    Ok(Output {
        status: std::os::unix::process::ExitStatusExt::from_raw(0),
        stdout: output.stdout,
        stderr: output.stderr,
    })
}

/// What there is, as lines by namespace and part.
struct Dump(BTreeMap<(String, String), Vec<String>>);

impl Dump {
    fn of(output: &Output) -> Self {
        let errors = text(&output.stderr);
        assert!(errors.is_empty(), "the tools complain: {errors}{}", text(&output.stdout));
        let stdout = text(&output.stdout);
        let mut parts: BTreeMap<(String, String), String> = BTreeMap::new();
        for block in stdout.split("### ").skip(1) {
            let (head, body) = block.split_once('\n').unwrap();
            let (ns, part) = head.split_once(' ').unwrap();
            parts.insert((ns.to_owned(), part.to_owned()), body.to_owned());
        }
        let names = Names::of(&parts);
        let lines = |((ns, part), body): (&(String, String), &String)| {
            let mut lines = match part.as_str() {
                "namespaces" => Vec::new(),
                "nftables" => body.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
                "offloads" => body.lines().map(str::to_owned).collect(),
                "sysctls" => body.lines().filter(|line| !is_free_sysctl(line)).map(str::to_owned).collect(),
                _ => objects(body).into_iter().flat_map(|object| names.lines(ns, part, object)).collect(),
            };
            if part != "nftables" {
                lines.sort();
            }
            ((ns.clone(), part.clone()), lines)
        };
        Self(parts.iter().map(lines).collect())
    }

    /// Lines that only one of both has.
    fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let keys: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        for key in keys {
            let none = Vec::new();
            let (mine, theirs) = (self.0.get(key).unwrap_or(&none), other.0.get(key).unwrap_or(&none));
            let mut count: BTreeMap<&String, i32> = BTreeMap::new();
            mine.iter().for_each(|line| *count.entry(line).or_default() -= 1);
            theirs.iter().for_each(|line| *count.entry(line).or_default() += 1);
            let (ns, part) = key;
            let lines = count.iter().filter(|(_, count)| **count != 0);
            found.extend(lines.map(|(line, count)| {
                let sign = if *count < 0 { '-' } else { '+' };
                format!("{ns} {part}: {sign} {line}")
            }));
            if found.is_empty() && mine != theirs {
                found.push(format!("{ns} {part}: another order"));
            }
        }
        found
    }
}

/// Values that are nobody's choice: of the machine as a whole, counted, or random.
fn is_free_sysctl(line: &str) -> bool {
    const FREE: [&str; 4] = [
        "/proc/sys/net/netfilter/nf_conntrack_count:",
        "/proc/sys/net/ipv4/tcp_fastopen_key:",
        "/proc/sys/net/ipv4/fib_multipath_hash_seed:",
        // Nobody's group in this user namespace: what the kernel has where nothing was written.
        "/proc/sys/net/ipv4/ping_group_range:65534",
    ];
    FREE.iter().any(|start| line.starts_with(start))
}

fn objects(json: &str) -> Vec<Map<String, Value>> {
    let json = json.trim();
    let values: Vec<Value> = if json.is_empty() { Vec::new() } else { serde_json::from_str(json).unwrap() };
    // `ip` prints an empty object for what its filter leaves out.
    values
        .into_iter()
        .filter_map(|value| value.as_object().cloned())
        .filter(|object| !object.is_empty())
        .collect()
}

/// Names for the kernel's numbers of namespaces and links.
struct Names {
    /// Namespace by the namespace that looks, and the number there.
    namespaces: BTreeMap<(String, i64), String>,
    /// Link by its namespace and number.
    links: BTreeMap<(String, i64), String>,
}

impl Names {
    fn of(parts: &BTreeMap<(String, String), String>) -> Self {
        let mut names = Self { namespaces: BTreeMap::new(), links: BTreeMap::new() };
        for ((ns, part), body) in parts {
            let (number, name, into) = match part.as_str() {
                "namespaces" => ("nsid", "name", &mut names.namespaces),
                "links" => ("ifindex", "ifname", &mut names.links),
                _ => continue,
            };
            for object in objects(body) {
                if let (Some(number), Some(name)) = (object[number].as_i64(), object.get(name)) {
                    into.insert((ns.clone(), number), name.as_str().unwrap().to_owned());
                }
            }
        }
        names
    }

    /// The lines of one object: of a link one for each property, of others one.
    fn lines(&self, ns: &str, part: &str, mut object: Map<String, Value>) -> Vec<String> {
        if part == "links" {
            self.name_peer(ns, &mut object);
        }
        clean(&mut object);
        if part != "links" {
            return vec![Value::Object(object).to_string()];
        }
        let name = object["ifname"].as_str().unwrap().to_owned();
        let mut lines = Vec::new();
        flatten(&name, &Value::Object(object), &mut lines);
        lines
    }

    /// The other end of a veth, which `ip` knows by numbers.
    fn name_peer(&self, ns: &str, link: &mut Map<String, Value>) {
        let number = |key: &str| link.get(key).and_then(Value::as_i64);
        let peer_ns = match number("link_netnsid") {
            Some(id) => self.namespaces.get(&(ns.to_owned(), id)).cloned().unwrap_or_default(),
            None => ns.to_owned(),
        };
        if let Some(index) = number("link_index") {
            let peer = self.links.get(&(peer_ns.clone(), index)).cloned().unwrap_or_default();
            link.insert("peer".into(), Value::from(format!("{peer} in {peer_ns}")));
        }
    }
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| flatten(&format!("{path} {key}"), value, lines));
        }
        Value::Array(values) => values.iter().for_each(|value| lines.push(format!("{path} {value}"))),
        other => lines.push(format!("{path} {other}")),
    }
}

/// Leaves out what the kernel chooses or counts.
fn clean(object: &mut Map<String, Value>) {
    const FREE: [&str; 19] = [
        "ifindex",
        // Numbers of links, or names that `bridge` makes of them without asking in which namespace.
        "link",
        "link_index",
        "link_netnsid",
        // One queue for each direction is made faster than one for each processor, and does the same.
        "num_tx_queues",
        "num_rx_queues",
        "handle",
        "refcnt",
        "hello_timer",
        "tcn_timer",
        "topology_change_timer",
        "topology_change",
        "topology_change_detected",
        "gc_timer",
        "hold_timer",
        "message_age_timer",
        "forward_delay_timer",
        "topology_change_ack",
        "config_pending",
    ];
    // A bridge with a spanning tree forgets sooner while the topology changes (net/bridge/br_stp.c,
    // `__br_set_topology_change`); whether it remembers at all is the lab's.
    let runs_spanning_tree = object.get("stp_state").is_some_and(|state| *state != 0);
    let remembers = object.get("ageing_time").is_some_and(|time| *time != 0);
    if runs_spanning_tree && remembers {
        object.remove("ageing_time");
    }
    object.retain(|key, _| !FREE.contains(&key.as_str()));
    for value in object.values_mut() {
        match value {
            Value::Object(inner) => clean(inner),
            Value::Array(values) => values.iter_mut().filter_map(Value::as_object_mut).for_each(clean),
            _ => {}
        }
    }
}

//! Packets of a whole lab: as a file that tshark reads, as lines of text and JSON, live, and by a plugin of Wireshark.

#![allow(clippy::unwrap_used)]

mod story;
mod support;
mod world;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use story::{Story, end_of, pids_of, signal, text, until};
use support::Yard;
use world::World;

const HOME: &str = "
networks: { lan: 10.0.0.0/24, isp: 10.138.0.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  printer: { links: { lan: 10.0.0.2 } }
  router: { links: { lan: 10.0.0.254, isp: 10.138.0.3 }, masquerade: { from: lan, out: isp } }
  internet: { role: internet, links: { isp: 10.138.0.1 } }
";

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A capture that has begun, and what it says.
struct Watcher {
    child: Child,
    said: Receiver<String>,
}

impl Watcher {
    /// Starts it, and waits until nothing is missed any more.
    fn start(story: &Story, words: &[&str]) -> Self {
        Self::of(story.start(words))
    }

    fn of(mut child: Child) -> Self {
        let (sender, said) = channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let watcher = Self { child, said };
        watcher.until("capturing in ");
        watcher
    }

    /// The line that begins so.
    #[track_caller]
    fn until(&self, beginning: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) if line.trim_start().starts_with(beginning) => return line,
                Ok(line) => before.push(line),
                Err(error) => panic!("never said `{beginning}` ({error}): {before:?}"),
            }
        }
    }

    /// Interrupts it; what it printed.
    #[track_caller]
    fn end(self) -> String {
        signal("INT", self.child.id());
        self.ended().0
    }

    /// Waits for its end; what it printed, and what it said last.
    #[track_caller]
    fn ended(self) -> (String, Vec<String>) {
        let output = end_of(self.child);
        let said: Vec<String> = self.said.iter().collect();
        assert_eq!(output.status.code(), Some(0), "{said:?}");
        (text(&output.stdout), said)
    }
}

/// Fields of every packet of a file, as tshark says them.
fn fields(file: &Path, fields: &[&str], filter: &str) -> Vec<Vec<String>> {
    let mut command = tshark();
    command.arg("-r").arg(file).args(["-N", "n", "-Y", filter, "-T", "fields", "-E", "separator=|"]);
    fields.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

/// tshark, which also tells root what it thinks of that.
fn tshark() -> Command {
    let found = Command::new("tshark").arg("--version").output();
    assert!(found.is_ok(), "this test needs the program `tshark` (package tshark), which is not installed");
    Command::new("tshark")
}

#[test]
fn a_file_of_the_home_lab_opens_in_tshark() {
    let story = Story::new(HOME);
    story.up();
    let file = story.folder.join("lab/home.pcapng");
    let watcher = Watcher::start(&story, &["capture", "-w", "home.pcapng"]);
    story.says(&["exec", "pc", "--", "ping", "-c2", "-i0.2", "1.1.1.1"]);
    let page = story.says(&["exec", "pc", "--", "curl", "-sI", "http://1.1.1.1/"]);
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    watcher.end();
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);

    // The way of an echo request and of its answer, by interface, with direction and with the names of addresses.
    let echoes = fields(
        &file,
        &[
            "frame.interface_name",
            "frame.packet_flags_direction",
            "ip.src_host",
            "icmp.type",
            "frame.comment",
        ],
        "icmp.seq == 1",
    );
    let way: Vec<(&str, &str, &str, &str)> =
        echoes.iter().map(|one| (&*one[0], &*one[1], &*one[2], &*one[3])).collect();
    let (seen_in, out) = ("0x00000001", "0x00000002");
    assert_eq!(
        way,
        [
            ("pc:eth0", out, "pc", "8"),
            ("fabric:pc", seen_in, "pc", "8"),
            ("fabric:router-eth0", out, "pc", "8"),
            ("router:eth0", seen_in, "pc", "8"),
            ("router:eth1", out, "router", "8"),
            ("fabric:router-eth1", seen_in, "router", "8"),
            ("fabric:internet", out, "router", "8"),
            ("internet:eth0", seen_in, "router", "8"),
            ("internet:eth0", out, "1.1.1.1", "0"),
            ("fabric:internet", seen_in, "1.1.1.1", "0"),
            ("fabric:router-eth1", out, "1.1.1.1", "0"),
            ("router:eth1", seen_in, "1.1.1.1", "0"),
            ("router:eth0", out, "1.1.1.1", "0"),
            ("fabric:router-eth0", seen_in, "1.1.1.1", "0"),
            ("fabric:pc", out, "1.1.1.1", "0"),
            ("pc:eth0", seen_in, "1.1.1.1", "0"),
        ]
    );
    let remarks: Vec<&str> = echoes.iter().map(|one| &*one[4]).filter(|remark| !remark.is_empty()).collect();
    let handle = handle_of_masquerade(&story);
    assert!(remarks[0].starts_with("masqueraded by node router: 10.0.0.1:"), "{remarks:?}");
    assert!(remarks[0].ends_with(&format!("(nft inet netyard/postrouting handle {handle})")), "{remarks:?}");
    assert!(remarks[0].contains(" → 10.138.0.3:"), "{remarks:?}");
    assert_eq!(remarks[1..], ["translated back by node router: 10.138.0.3 → 10.0.0.1"]);

    // Every packet of the connection that leaves the router for the internet is told to be rewritten.
    let sent = fields(
        &file,
        &["frame.comment"],
        "tcp && frame.interface_name == \"router:eth1\" && tcp.dstport == 80",
    );
    assert!(sent.len() >= 4, "{sent:?}");
    assert!(sent.iter().all(|one| one[0].starts_with("masqueraded by node router: 10.0.0.1:")), "{sent:?}");

    let times: Vec<u64> = fields(&file, &["frame.time_epoch"], "")
        .iter()
        .map(|one| one[0].replace('.', "").parse().unwrap())
        .collect();
    assert!(times.len() > 60 && times.is_sorted(), "{} packets", times.len());
    let said = Command::new("tshark").args(["-q", "-z", "hosts", "-r"]).arg(&file).output().unwrap();
    let hosts: BTreeSet<String> = text(&said.stdout)
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for known in
        ["10.0.0.1 pc", "10.0.0.2 printer", "10.0.0.254 router", "10.138.0.3 router", "10.138.0.1 internet"]
    {
        assert!(hosts.contains(known), "{known}: {hosts:?}");
    }
}

/// The handle of the only rule of the router that masquerades, as nft(8) says it.
fn handle_of_masquerade(story: &Story) -> String {
    let ruleset = story.says(&["exec", "router", "--", "/usr/sbin/nft", "-a", "list", "ruleset"]);
    let line =
        ruleset.lines().find(|line| line.contains("masquerade #")).unwrap_or_else(|| panic!("{ruleset}"));
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_file_is_not_replaced_by_accident() {
    let story = Story::new(HOME);
    story.up();
    let file = story.folder.join("lab/x.pcapng");
    std::fs::write(&file, "mine").unwrap();
    let refused = |words: &[&str]| {
        let output = story.netyard(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains("error[U030]: cannot write"), "{said}");
    };
    refused(&["capture", "-w", "x.pcapng"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    // A link is not followed, even where files may be replaced.
    std::os::unix::fs::symlink(&file, story.folder.join("lab/link.pcapng")).unwrap();
    refused(&["capture", "-w", "link.pcapng", "--force"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    story.says(&["capture", "-w", "x.pcapng", "--force", "--for", "10ms"]);
    assert_eq!(std::fs::read(&file).unwrap()[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
}

#[test]
fn lines_of_text_and_their_end() {
    let story = Story::new(HOME);
    story.up();
    let watcher = Watcher::start(&story, &["capture", "pc", "router:eth1", "icmp", "-c", "4"]);
    story.says(&["exec", "pc", "--", "ping", "-c1", "1.1.1.1"]);
    let (lines, said) = watcher.ended();
    let shown: Vec<String> = lines
        .lines()
        // The time, and the identifier of the echo, differ from run to run.
        .map(|line| {
            let line =
                line.split_once(' ').filter(|(time, _)| time.contains(':')).map_or(line, |(_, rest)| rest);
            match line.split_once("id ") {
                Some((head, rest)) => format!("{head}id N{}", &rest[rest.find(',').unwrap()..]),
                None => line.trim().split_once(": 10").map_or(line, |(head, _)| head).to_owned(),
            }
        })
        .collect();
    assert_eq!(
        shown,
        [
            "pc:eth0     Out IP 10.0.0.1 > 1.1.1.1: ICMP echo request, id N, seq 1, length 64",
            "router:eth1 Out IP 10.138.0.3 > 1.1.1.1: ICMP echo request, id N, seq 1, length 64",
            "⇄ masqueraded by node router",
            "router:eth1 In  IP 1.1.1.1 > 10.138.0.3: ICMP echo reply, id N, seq 1, length 64",
            "pc:eth0     In  IP 1.1.1.1 > 10.0.0.1: ICMP echo reply, id N, seq 1, length 64",
        ]
    );
    assert_eq!(said, ["4 packets captured, 0 lost"]);
}

#[test]
fn lines_of_json_have_a_schema() {
    let story = Story::new(HOME);
    story.up();
    let watcher = Watcher::start(&story, &["capture", "--json", "host printer and udp port 9"]);
    story.says(&["exec", "pc", "--", "bash", "-c", "echo hello > /dev/udp/10.0.0.2/9"]);
    story.says(&["exec", "pc", "--", "bash", "-c", "echo hello > /dev/udp/10.0.0.254/9"]);
    let printed = watcher.end();
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["schema"] == "netyard/capture/1"), "{printed}");
    let places: Vec<String> = lines[..lines.len() - 1]
        .iter()
        .map(|line| {
            format!(
                "{}:{} {}",
                line["node"].as_str().unwrap(),
                line["interface"].as_str().unwrap(),
                line["way"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(places, ["pc:eth0 out", "fabric:pc other", "fabric:printer out", "printer:eth0 in"]);
    let first = &lines[0];
    assert_eq!(first["event"], "packet");
    assert_eq!(first["headers"]["endpoints"]["destination"], "10.0.0.2");
    assert_eq!(first["headers"]["endpoints"]["destination_port"], 9);
    assert_eq!((&first["headers"]["protocol"], &first["length"]), (&Value::from(17), &Value::from(48)));
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["event"], &last["packets"], &last["dropped"]),
        (&"end".into(), &4.into(), &serde_json::json!({}))
    );
}

#[test]
fn what_is_not_understood_is_said() {
    let story = Story::new(HOME);
    story.up();
    for (words, said) in [
        (&["capture", "rooter"][..], "error[U031]: there is no node `rooter`; there are "),
        (&["capture", "pc:eth7"], "error[U031]: node `pc` has no interface `eth7`; it has lo, eth0"),
        (&["capture", "pc", "port"], "error[U031]: can't parse filter expression: syntax error"),
        (&["capture", "--for", "1y"], "`y` is no unit of time"),
        (&["capture", "--snap", "1"], "1 is not in 64..=262144"),
    ] {
        let output = story.netyard(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(text(&output.stderr).contains(said), "{words:?}: {}", text(&output.stderr));
    }
}

#[test]
fn tshark_reads_live_and_a_reader_that_leaves_ends_it() {
    let story = Story::new(HOME);
    story.up();
    let mut watcher = Watcher::start(&story, &["capture", "-w", "-", "icmp"]);
    let mut reader = tshark()
        .args(["-l", "-c", "1", "-N", "n", "-i", "-", "-T", "fields"])
        .args(["-e", "frame.interface_name", "-e", "ip.src_host"])
        .stdin(watcher.child.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(reader.stdout.take().unwrap()).lines();
    story.says(&["exec", "pc", "--", "ping", "-c1", "1.1.1.1"]);
    // It is told while the capture goes on.
    assert_eq!(lines.next().unwrap().unwrap(), "pc:eth0\tpc");
    // It wanted no more, and has gone.
    assert!(lines.next().is_none());
    reader.wait().unwrap();
    let (_, said) = watcher.ended();
    assert!(said[0].ends_with(" captured, 0 lost"), "{said:?}");
}

#[test]
fn networks_made_by_hand_are_captured() {
    let yard = Yard::new("capture-hand");
    let world = World::new(
        "ip netns add pc; ip link add v type veth peer name eth0 netns pc
         ip address add 10.0.0.254/24 dev v; ip link set v up; ip link set lo up
         ip -n pc address add 10.0.0.1/24 dev eth0; ip -n pc link set eth0 up; ip -n pc route add default via 10.0.0.254
         ip address add 198.51.100.1/32 dev lo
         iptables-legacy -t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.0.0.254:5353",
    );
    let mut command = yard.command("nsenter");
    command.env_remove("NETYARD_LAB").stderr(Stdio::piped()).stdout(Stdio::piped());
    let words = [support::PROGRAM, "capture", "udp", "-c", "2"];
    let watcher = Watcher::of(world.entering(command, &words).spawn().unwrap());
    // The answer of the resolver that stands in for another one.
    world.shell(
        "python3 - <<'E'
import socket, subprocess
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('10.0.0.254', 5353))
subprocess.run(['ip', 'netns', 'exec', 'pc', 'bash', '-c', 'echo query > /dev/udp/198.51.100.1/53'], check=True)
data, peer = server.recvfrom(100)
server.sendto(b'answer', peer)
E",
    );
    let (lines, _) = watcher.ended();
    let shown: Vec<String> = lines
        .lines()
        .map(|line| line.split_whitespace().skip(1).take(4).collect::<Vec<_>>().join(" "))
        .collect();
    assert!(shown[0].starts_with("pc:eth0 Out IP 10.0.0.1."), "{lines}");
    assert!(shown[1].starts_with("world:v In IP 10.0.0.1."), "{lines}");
    // The answer is told as what it is.
    let yard = Yard::new("capture-hand-back");
    let mut command = yard.command("nsenter");
    command.env_remove("NETYARD_LAB").stderr(Stdio::piped()).stdout(Stdio::piped());
    let words = [support::PROGRAM, "capture", "world:v", "udp", "and", "dst", "host", "pc", "-c", "1"];
    let watcher = Watcher::of(world.entering(command, &words).spawn().unwrap());
    world.shell(
        "python3 - <<'E'
import socket, subprocess
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('10.0.0.254', 5353))
subprocess.run(['ip', 'netns', 'exec', 'pc', 'bash', '-c', 'echo query > /dev/udp/198.51.100.1/53'], check=True)
data, peer = server.recvfrom(100)
server.sendto(b'answer', peer)
E",
    );
    let (lines, _) = watcher.ended();
    assert!(lines.contains("IP 198.51.100.1.53 > 10.0.0.1."), "{lines}");
    assert!(
        lines.contains("    ⇄ translated back by node world: 10.0.0.254:5353 → 198.51.100.1:53"),
        "{lines}"
    );
}

#[test]
fn nothing_is_open_before_and_nothing_is_left_after_a_kill() {
    let story = Story::new(HOME);
    story.up();
    // proc(5): a line for each packet socket of the namespace, after the heading.
    let sockets =
        |node: &str| story.says(&["exec", node, "--", "cat", "/proc/net/packet"]).lines().count() - 1;
    let all = || ["pc", "printer", "router", "internet"].map(sockets);
    assert_eq!(all(), [0; 4]);
    let word = format!("icmp and not host 10.9.9.{}", std::process::id() % 250);
    let watcher = Watcher::start(&story, &["capture", &word]);
    assert_eq!(all(), [1; 4]);
    let own = watcher.child.id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    let scouts: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    signal("KILL", own);
    until("the taps are closed", || all() == [0; 4]);
    let is_gone = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"))
    };
    until("the scouts are gone", || scouts.iter().all(is_gone));
    assert!(pids_of(&word).is_empty());
    let mut child = watcher.child;
    child.wait().unwrap();
}

/// Twenty nodes of a hundred send 500 datagrams a second each, for two seconds.
#[test]
fn a_hundred_nodes_lose_nothing_or_say_what() {
    const SENDERS: u32 = 20;
    const EACH: u64 = 1000;
    let nodes: Vec<String> = (1..=100).map(|n| format!("h{n}: {{ links: {{ lan: 10.0.1.{n} }} }}")).collect();
    let story = Story::new(&format!("networks: {{ lan: 10.0.0.0/16 }}\nnodes:\n  {}\n", nodes.join("\n  ")));
    story.up();
    let file = story.folder.join("lab/many.pcapng");
    let watcher = Watcher::start(&story, &["capture", "-w", "many.pcapng", "udp", "dst", "port", "9999"]);
    // Batches of five, a hundred times a second, whatever the clock of the machine does between.
    let program = format!(
        "import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begun = time.monotonic()
for n in range({EACH}):
    if n % 5 == 0:
        time.sleep(max(0, begun + n / 500 - time.monotonic()))
    s.sendto(n.to_bytes(4, 'big') + bytes(60), (sys.argv[1], 9999))"
    );
    let begun = std::time::Instant::now();
    let senders: Vec<Child> = (1..=SENDERS)
        .map(|n| {
            let (from, to) = (format!("h{n}"), format!("10.0.1.{}", 100 - n));
            story.start(&["exec", &from, "--", "python3", "-c", &program, &to])
        })
        .collect();
    for sender in senders {
        let output = end_of(sender);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let took = begun.elapsed();
    signal("INT", watcher.child.id());
    let (_, said) = watcher.ended();
    let lost: BTreeMap<String, u64> = said[1..]
        .iter()
        .filter_map(|line| {
            let (count, rest) = line.trim().split_once(" packet")?;
            let node = rest.split_once("lost in ")?.1.split(':').next()?;
            Some((node.to_owned(), count.parse().ok()?))
        })
        .collect();
    let bytes = std::fs::read(&file).unwrap();
    let blocks = netyard_core::pcapng::blocks(&bytes).unwrap();
    let mut names: Vec<String> = Vec::new();
    let (mut seen, mut last) = (BTreeMap::<String, u64>::new(), 0);
    for block in blocks {
        match block {
            netyard_core::pcapng::Block::Interface { name, .. } => names.push(name),
            netyard_core::pcapng::Block::Packet { interface, at_ns, .. } => {
                assert!(at_ns >= last, "the order");
                last = at_ns;
                let node = names[interface as usize].split(':').next().unwrap().to_owned();
                *seen.entry(node).or_default() += 1;
            }
            _ => {}
        }
    }
    println!("{} packets in {took:?}, lost: {lost:?}", seen.values().sum::<u64>());
    for n in 1..=SENDERS {
        for node in [format!("h{n}"), format!("h{}", 100 - n)] {
            let counted = seen.get(&node).copied().unwrap_or(0) + lost.get(&node).copied().unwrap_or(0);
            assert_eq!(counted, EACH, "{node}: {said:?}");
        }
    }
    // In by the sender's port and out by the receiver's; the first ones to everywhere, before the bridge knows the way.
    let fabric = seen["fabric"] + lost.get("fabric").copied().unwrap_or(0);
    assert!(fabric >= 2 * EACH * u64::from(SENDERS), "{fabric}: {said:?}");
}

/// A folder for programs that are found first.
fn with_program(story: &Story, name: &str, script: &str) -> String {
    let folder = story.folder.join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", folder.display())
}

#[test]
fn wireshark_is_started_with_a_live_capture() {
    let story = Story::new(HOME);
    story.up();
    let output = story.netyard(&["wireshark"]).env("PATH", story.folder.join("nowhere")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("error[U032]: Wireshark is not installed") && said.contains("package `wireshark`"),
        "{said}"
    );

    // What Wireshark would read; it is closed by its user after two packets.
    let got = story.folder.join("got");
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {0}.words\nexec tshark -l -c 2 -N n -i - -T fields -e frame.interface_name > {0}\n",
        got.display()
    );
    let path = with_program(&story, "wireshark", &script);
    let mut command = story.netyard(&["wireshark", "pc", "icmp"]);
    command.env("PATH", path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let watcher = Watcher::of(command.spawn().unwrap());
    story.says(&["exec", "pc", "--", "ping", "-c1", "10.0.0.2"]);
    watcher.ended();
    assert_eq!(std::fs::read_to_string(&got).unwrap(), "pc:eth0\npc:eth0\n");
    assert_eq!(std::fs::read_to_string(got.with_extension("words")).unwrap(), "-k -N n -i -\n");
}

#[test]
fn running_labs_are_interfaces_of_wireshark() {
    let story = Story::new(HOME);
    story.up();
    let installed = story.says(&["wireshark", "--install"]);
    let link = installed.split(" -> ").next().unwrap();
    assert!(Path::new(link).starts_with(story.folder.join("home")), "{installed}");
    let interface = format!("netyard-{}", story.lab);
    let environment = |command: &mut Command| {
        command.env("XDG_RUNTIME_DIR", story.folder.join("run")).env("HOME", story.folder.join("home"));
        command.env_remove("XDG_CONFIG_HOME").env("NETYARD_LAB", &story.lab);
    };
    let mut list = tshark();
    environment(list.arg("-D"));
    let listed = text(&list.output().unwrap().stdout);
    assert!(listed.contains(&interface), "{listed}");

    let mut command = tshark();
    command.args(["-l", "-N", "n", "-i", &interface, "-f", "icmp", "-c", "3"]);
    environment(command.args(["-T", "fields", "-e", "frame.interface_name", "-e", "ip.src_host"]));
    let mut reader = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // tshark does not say when it is ready: it is asked again and again for packets until it has some.
    until("the plugin has captured", || {
        story.says(&["exec", "pc", "--", "ping", "-c1", "1.1.1.1"]);
        reader.try_wait().unwrap().is_some()
    });
    let mut printed = String::new();
    reader.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let places: Vec<&str> = printed.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(places.len(), 3, "{printed}");
    let known = ["pc:eth0", "router:eth0", "router:eth1", "internet:eth0"];
    assert!(places.iter().all(|place| known.contains(place) || place.starts_with("fabric:")), "{printed}");
    assert!(
        printed.contains("\tpc\n") || printed.contains("\trouter\n") || printed.contains("\t1.1.1.1\n"),
        "{printed}"
    );

    assert!(story.says(&["wireshark", "--uninstall"]).starts_with("removed "));
    assert!(std::fs::symlink_metadata(link).is_err());
    let answer = |words: &[&str]| {
        std::os::unix::fs::symlink(support::PROGRAM, story.folder.join("netyard-extcap")).ok();
        let mut command = Command::new(story.folder.join("netyard-extcap"));
        environment(&mut command);
        text(&command.args(words).output().unwrap().stdout)
    };
    let wrong = answer(&["--extcap-interface", &interface, "--extcap-capture-filter", "host nobody"]);
    assert_eq!(wrong, "unknown host 'nobody': give its address\n");
    assert_eq!(answer(&["--extcap-interface", &interface, "--extcap-capture-filter=icmp"]), "");
    assert!(answer(&["--extcap-interface", &interface, "--extcap-config"]).contains("{call=--nodes}"));
}

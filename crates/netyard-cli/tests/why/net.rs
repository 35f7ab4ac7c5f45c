//! The network of the talk, twice: as a running lab, and made by hand with the machine's own tools.

#![allow(dead_code, reason = "each test program uses its own part")]

use crate::support::{Ran, Yard, until};
use crate::world::World;
use serde_json::Value;

/// The lab of the talk.
pub const HOME: &str = include_str!("../../../../labs/home.yaml");

/// The same by hand: the machine is the router, and `isp` has 1.1.1.1.
const BY_HAND: &str = "
    ip link set lo up
    ip netns add pc; ip netns add printer; ip netns add isp
    ip link add bridge0 type bridge
    ip link add veth1-br type veth peer name veth1-pc netns pc
    ip link add veth2-br type veth peer name veth2-printer netns printer
    ip link add ens4 type veth peer name eth0 netns isp
    ip link set veth1-br master bridge0 up
    ip link set veth2-br master bridge0 up
    ip address add 10.0.0.254/24 dev bridge0
    ip address add 10.138.0.3/24 dev ens4
    ip link set bridge0 up; ip link set ens4 up
    ip route add default via 10.138.0.1
    for n in pc printer isp; do ip -n $n link set lo up; done
    ip -n pc address add 10.0.0.1/24 dev veth1-pc; ip -n pc link set veth1-pc up
    ip -n printer address add 10.0.0.2/24 dev veth2-printer; ip -n printer link set veth2-printer up
    ip -n isp address add 10.138.0.1/24 dev eth0; ip -n isp link set eth0 up
    ip -n isp address add 1.1.1.1/32 dev lo
    ip -n pc route add default via 10.0.0.254; ip -n printer route add default via 10.0.0.254
    for value in ip_forward=1 conf.all.rp_filter=0 conf.default.rp_filter=0; do
        echo ${value#*=} > /proc/sys/net/ipv4/$(echo ${value%=*} | tr . /)
    done
    nft 'add table ip nat; add chain ip nat postrouting { type nat hook postrouting priority 100; }
         add rule ip nat postrouting oifname \"ens4\" ip saddr 10.0.0.0/24 masquerade'";

/// A network to ask in.
pub enum Net {
    Lab(Yard),
    ByHand(Yard, World),
}

/// What `netyard why --json` said.
pub struct Said {
    pub code: Option<i32>,
    pub told: Value,
}

impl Net {
    pub fn lab(test: &str) -> Self {
        Self::of(test, HOME)
    }

    /// The lab of a text.
    pub fn of(test: &str, text: &str) -> Self {
        let text: String =
            text.lines().filter(|line| !line.starts_with("lab:")).map(|l| format!("{l}\n")).collect();
        Self::Lab(Yard::with_lab(test, &text))
    }

    pub fn by_hand(test: &str) -> Self {
        Self::ByHand(Yard::new(test), World::new(BY_HAND))
    }

    /// Runs a script in a node; the machine itself is `world`, the bridges of a lab are in `fabric`.
    pub fn shell(&self, node: &str, script: &str) -> Ran {
        match self {
            Self::Lab(yard) if node == "fabric" => yard.run_with(&["shell"], &format!("set -e\n{script}\n")),
            Self::Lab(yard) => yard.run(&["exec", node, "--", "sh", "-c", script]),
            Self::ByHand(yard, world) if node == "world" => world.enter_with(yard, &["bash", "-c", script]),
            Self::ByHand(yard, world) => {
                world.enter_with(yard, &["ip", "netns", "exec", node, "bash", "-c", script])
            }
        }
    }

    /// The same, which must succeed.
    #[track_caller]
    pub fn does(&self, node: &str, script: &str) {
        let ran = self.shell(node, script);
        assert_eq!(ran.code, Some(0), "{node}: {script}: {}{}", ran.stdout, ran.stderr);
    }

    pub fn run(&self, words: &[&str]) -> Ran {
        match self {
            Self::Lab(yard) => yard.run(words),
            Self::ByHand(yard, world) => world.run(yard, words),
        }
    }

    /// Asks why.
    #[track_caller]
    pub fn why(&self, words: &[&str]) -> Said {
        Said::of(&self.run(&[&["why", "--json"], words].concat()))
    }

    /// Sends a packet, and tells of the conversations that were lost or refused.
    #[track_caller]
    pub fn trace(&self, words: &[&str]) -> Vec<Failure> {
        let ran = self.run(&[&["trace", "--json"], words].concat());
        let events = ran.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let failures: Vec<Failure> = events.filter_map(|event| Failure::of(&event)).collect();
        assert_eq!(ran.code, Some(1), "{words:?}: nothing was lost: {}{}", ran.stdout, ran.stderr);
        failures
    }

    /// Whether a real packet and its answer pass: `from to` or `from to tcp:PORT`.
    pub fn passes(&self, words: &[&str], said: &Said) -> bool {
        let (from, to) = (words[0].split(':').next().unwrap(), said.told["to"]["address"].as_str().unwrap());
        let script = match words.get(2).and_then(|about| about.strip_prefix("tcp:")) {
            Some(port) => format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{to}/{port}'"),
            None => format!("ping -c 1 -W 1 {to}"),
        };
        self.shell(from, &script).code == Some(0)
    }
}

/// A conversation that `netyard trace --json` calls lost or refused.
pub struct Failure {
    pub title: String,
    /// Where it was seen last, or who has refused.
    pub last: String,
    /// Causes with their places.
    pub causes: Vec<String>,
    /// Whether a packet was seen at all.
    pub is_seen: bool,
    /// Places that were seen to have it, one after the other.
    pub passed: Vec<String>,
}

impl Failure {
    fn of(event: &Value) -> Option<Self> {
        let (verdict, last) = match &event["verdict"] {
            told if told["lost"].is_object() => (&told["lost"], &told["lost"]["last"]),
            told if told["refused"].is_object() => (&told["refused"], &told["refused"]["by"]),
            _ => return None,
        };
        let legs = event["legs"].as_array().unwrap();
        let hops = legs.iter().flat_map(|leg| leg["hops"].as_array().unwrap());
        let mut passed: Vec<String> = hops.map(|hop| place(&hop["place"])).collect();
        passed.dedup();
        Some(Self {
            title: event["title"].as_str().unwrap().to_owned(),
            last: place(last),
            causes: verdict["faults"].as_array().into_iter().flatten().map(cause).collect(),
            is_seen: !legs.is_empty(),
            passed,
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} last at {} after {:?}: {:?}", self.title, self.last, self.passed, self.causes)
    }
}

impl Said {
    #[track_caller]
    pub fn of(ran: &Ran) -> Self {
        let told =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
        Self { code: ran.code, told }
    }

    pub fn faults(&self) -> &[Value] {
        self.told["faults"].as_array().unwrap()
    }

    /// Causes with their places: `no-route pc`, `interface-down pc:eth0`.
    pub fn causes(&self) -> Vec<String> {
        self.faults().iter().map(cause).collect()
    }

    /// Those that stop packets.
    pub fn stopping(&self) -> Vec<String> {
        self.faults().iter().filter(|fault| fault["effect"] == "stops").map(cause).collect()
    }

    /// The faults as sentences, for tests that fail.
    pub fn sentences(&self) -> String {
        self.faults().iter().map(|f| format!("\n{}: {}", cause(f), f["sentence"].as_str().unwrap())).collect()
    }

    pub fn is_reachable(&self) -> bool {
        self.told["verdict"] == "reachable"
    }
}

pub fn cause(fault: &Value) -> String {
    format!("{} {}", fault["cause"].as_str().unwrap(), place(&fault["at"]))
}

/// `pc`, `pc:eth0`.
fn place(place: &Value) -> String {
    let node = place["node"].as_str().unwrap();
    place["interface"].as_str().map_or_else(|| node.to_owned(), |interface| format!("{node}:{interface}"))
}

/// Does what is told to mend, one after the other, until packets pass.
#[track_caller]
pub fn mend(net: &Net, words: &[&str]) {
    for _ in 0..6 {
        let said = net.why(words);
        let stops = said.faults().iter().find(|fault| fault["effect"] == "stops");
        let Some(fault) = stops else {
            assert!(said.is_reachable(), "{}", said.sentences());
            until(&format!("packets pass: {words:?}"), || net.passes(words, &said));
            return;
        };
        let fix = &fault["fixes"][0];
        assert!(fix.is_object(), "nothing is told to mend {fault}");
        net.does(fix["node"].as_str().unwrap(), fix["command"].as_str().unwrap());
    }
    panic!("still not mended: {}", net.why(words).sentences());
}

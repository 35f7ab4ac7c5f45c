//! Exams: a network to build from a blank, and a fault to find in it, different for each student.

use super::{Check, Fact, Lesson, ProbeFact, Step, Text, Translation};
use crate::expect::{Outcome, Ping, Probe, Target};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// Names of machines in homes and offices.
const NAMES: [&str; 12] = [
    "pc", "laptop", "printer", "tv", "camera", "phone", "console", "scanner", "nas", "desk", "lamp", "clock",
];

/// Faults that do not depend on the names that the student has chosen. `A` stands for the first machine.
const FAULTS: [&str; 6] = [
    "sysctl -qw net.ipv4.ip_forward=0",
    "ip -n A route del default",
    "iptables -P FORWARD DROP",
    "iptables -t nat -F; nft flush ruleset",
    "ip -n A address flush scope global",
    "ip -n A link show up | sed -n 's/^[0-9]*: \\([^@:]*\\).*/\\1/p' | grep -v '^lo$' | xargs -r -n1 ip -n A link set down dev",
];

/// What a student hands in, and what it was worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExamResult {
    /// `netyard/exam/1`
    pub schema: String,
    /// Who.
    pub student: String,
    /// Commands that build the student's network in a fresh sandbox.
    pub script: String,
    /// What was asked for, and whether it holds in the network that these commands build.
    pub points: Vec<Point>,
    /// Whether the fault was found and mended.
    pub is_mended: bool,
}

/// One thing that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// What.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
}

impl ExamResult {
    /// The word in `schema`.
    pub const SCHEMA: &str = "netyard/exam/1";

    /// How many points there are, of how many: one for each thing asked for, and one for the fault.
    #[must_use]
    pub fn score(&self) -> (usize, usize) {
        let held = self.points.iter().filter(|point| point.holds).count();
        (held + usize::from(self.is_mended), self.points.len() + 1)
    }
}

/// Numbers from a text: FNV-1a, then splitmix64.
struct Dice(u64);

impl Dice {
    fn of(words: &[&str]) -> Self {
        let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// A number below `count`.
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % count as u64).unwrap_or(0)
    }
}

/// The exam of a student, as a lesson of two steps: build, then mend.
///
/// ```
/// use netyard_core::lesson::exam::exam;
/// let (one, other) = (exam("aki", "spring"), exam("ben", "spring"));
/// assert_eq!(one, exam("aki", "spring"));
/// assert_ne!(one.steps[0].text, other.steps[0].text);
/// ```
#[must_use]
pub fn exam(student: &str, seed: &str) -> Lesson {
    let mut dice = Dice::of(&[student, seed]);
    let first = dice.below(NAMES.len());
    let second = (first + 1 + dice.below(NAMES.len() - 1)) % NAMES.len();
    let (a, b) = (NAMES[first], NAMES[second]);
    let octet = |dice: &mut Dice, count| u8::try_from(dice.below(count)).unwrap_or(0);
    let lan = (10, octet(&mut dice, 100), octet(&mut dice, 250));
    let host = |number: u8| IpAddr::from(Ipv4Addr::new(lan.0, lan.1, lan.2, number));
    let (one, two) = (host(1 + octet(&mut dice, 100)), host(110 + octet(&mut dice, 100)));
    let prefix = IpNet::new(host(0), 24).unwrap_or_default();
    let fault = FAULTS[dice.below(FAULTS.len())].replace(" A ", &format!(" {a} "));
    let checks = checks(a, b, one, two, host(254), prefix);
    let text = Text::new(
        format!(
            "Build a network in this sandbox, by whatever commands. Two namespaces, {a} with {one}/24 and {b} with \
             {two}/24, are on one switch with vm, which is their router and has {}/24 there. {a} and {b} reach each \
             other, and both reach 1.1.1.1, where they are seen as 10.138.0.3. `check` says what is missing.",
            host(254)
        ),
        format!(
            "このサンドボックスに、好きなコマンドでネットワークを作ってください。namespace は {a}（{one}/24）と {b}（{two}/24）の 2 つで、\
             vm と同じスイッチにつなぎます。vm がルーターで、そちら側のアドレスは {}/24 です。{a} と {b} は互いに通信でき、どちらからも \
             1.1.1.1 に届きます。1.1.1.1 からは 10.138.0.3 に見えること。足りないものは `check` でわかります。",
            host(254)
        ),
    );
    let build = Step {
        reveal: Text::new("Built. `next` brings a fault.", "完成です。`next` に進むと故障が起きます。"),
        ..step("build", Text::new("Build it", "作る"), text, checks.clone())
    };
    let mend = Step {
        start: fault,
        reveal: Text::new("Mended. `exit` hands the exam in.", "直りました。`exit` で提出します。"),
        ..step(
            "mend",
            Text::new("Mend it", "直す"),
            Text::new(
                "Something broke in the network that you have built. Find it and mend it.",
                "作ったネットワークに故障が起きました。原因を見つけて直してください。",
            ),
            checks,
        )
    };
    Lesson {
        name: "exam".to_owned(),
        title: Text::new(format!("Exam of {student}"), format!("試験: {student}")),
        about: Text::new(
            "Everything is judged by what the kernel does.",
            "採点するのはカーネルの実際の動きです。",
        ),
        minutes: 45,
        is_shuffled: false,
        setup: String::new(),
        steps: vec![build, mend],
    }
}

fn step(id: &str, title: Text, text: Text, checks: Vec<Check>) -> Step {
    Step {
        id: id.to_owned(),
        title,
        slides: None,
        text,
        has_picture: false,
        predict: None,
        start: String::new(),
        commands: String::new(),
        checks,
        reveal: Text::default(),
        modern: String::new(),
        differs: None,
        hints: Vec::new(),
        solve: String::new(),
        attempt: String::new(),
    }
}

fn checks(a: &str, b: &str, one: IpAddr, two: IpAddr, router: IpAddr, lan: IpNet) -> Vec<Check> {
    let plain = |fact| Check { fact, is_negated: false, say: None };
    let address = |namespace: &str, address: IpAddr| {
        let address = IpNet::new(address, 24).unwrap_or_default();
        plain(Fact::Address { address, namespace: namespace.to_owned(), link: None })
    };
    let ping = |from: &str, to: IpAddr, hops: Option<u8>, seen_as: Option<IpAddr>| {
        let ping = Ping { hops, ..Ping::to(Target::Address(to)) };
        plain(Fact::Probe(ProbeFact {
            from: from.to_owned(),
            probe: Probe::Ping(ping),
            outcome: Outcome::Ok,
            seen_as,
            within_ms: 0,
        }))
    };
    let world = IpAddr::from([1, 1, 1, 1]);
    let outside = Some(IpAddr::from([10, 138, 0, 3]));
    vec![
        plain(Fact::Namespace(a.to_owned())),
        plain(Fact::Namespace(b.to_owned())),
        address(a, one),
        address(b, two),
        address("vm", router),
        plain(Fact::Sysctl {
            namespace: "vm".to_owned(),
            key: "net.ipv4.ip_forward".to_owned(),
            value: "1".to_owned(),
        }),
        plain(Fact::Nat {
            namespace: "vm".to_owned(),
            translation: Translation::Masquerade { from: lan, out: Some("ens4".to_owned()) },
        }),
        ping(a, two, Some(0), None),
        ping(b, router, Some(0), None),
        ping(a, world, Some(1), outside),
        ping(b, world, Some(1), outside),
    ]
}

impl Check {
    /// What it asks for, in a few words, for results.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.fact {
            Fact::Namespace(name) => format!("namespace {name}"),
            Fact::Address { address, namespace, .. } => format!("{namespace} has {address}"),
            Fact::Sysctl { key, value, .. } => format!("{key} is {value}"),
            Fact::Nat { .. } => "vm masquerades the LAN".to_owned(),
            Fact::Probe(probe) => {
                let seen = probe.seen_as.map(|seen| format!(", seen as {seen}")).unwrap_or_default();
                format!("{}{seen}", probe.words().en)
            }
            _ => "another state".to_owned(),
        }
    }
}

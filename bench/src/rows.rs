//! The rows of the table, by groups.

use crate::figures::{median, ratio};
use crate::lab::BenchLab;
use crate::sandbox::Sandbox;
use crate::scripts::{self, Cabling};
use crate::stopwatch::{self, Taken};
use crate::table::{Row, Target};
use netyard::RunningLab;
use netyard::probe::{NodeSockets, SocketKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, sendto};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What all groups need.
pub struct Bench {
    /// The program that is measured.
    pub netyard: PathBuf,
    /// Whether rough figures will do.
    pub is_quick: bool,
}

impl Bench {
    /// How often a figure is taken.
    pub fn rounds(&self, thorough: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { thorough }
    }
}

type Group = fn(&Bench) -> io::Result<Vec<Row>>;

/// All groups in the order of the table.
pub const GROUPS: &[(&str, Group)] = &[
    ("up", up),
    ("big", big),
    ("answers", answers),
    ("memory", memory),
    ("down", down),
    ("exec", exec),
    ("test", test),
    ("ping", ping),
    ("capture", crate::capture::rows),
    ("kathara", crate::kathara::rows),
    ("full", crate::full::rows),
];

/// Runs of one builder at one size.
#[derive(Default)]
struct Runs {
    wall_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
}

impl Runs {
    fn add(&mut self, taken: Taken) {
        self.wall_ms.push(taken.wall_ms);
        self.cpu_ms.push(taken.cpu_ms);
    }

    fn wall(&self) -> f64 {
        median(self.wall_ms.iter().copied())
    }

    fn cpu(&self) -> f64 {
        median(self.cpu_ms.iter().copied())
    }
}

/// Netyard and the floor in turns at one size.
fn race(bench: &Bench, sandbox: &mut Sandbox, hosts: u32, rounds: usize) -> io::Result<(Runs, Runs)> {
    let lab = BenchLab::star(&bench.netyard, hosts)?;
    let floor = std::env::current_exe()?;
    let floor = floor.to_str().unwrap_or_default();
    let (mut ours, mut floors) = (Runs::default(), Runs::default());
    for _ in 0..rounds {
        let taken = lab.up()?;
        let pid = lab.running()?.pid().to_string();
        let cpu_of_holder: f64 = stopwatch::cpu_ms(&pid)?.iter().sum();
        ours.add(Taken { cpu_ms: taken.cpu_ms + cpu_of_holder, ..taken });
        lab.down_wait()?;
        floors.add(sandbox.build(&[floor, "floor", &hosts.to_string()])?);
    }
    Ok((ours, floors))
}

fn up(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut sandbox = Sandbox::open()?;
    let (ours_100, floor_100) = race(bench, &mut sandbox, 100, bench.rounds(15, 5))?;
    let (ours_300, floor_300) = race(bench, &mut sandbox, 300, bench.rounds(7, 2))?;
    let (ours_1000, floor_1000) = race(bench, &mut sandbox, 1000, bench.rounds(7, 2))?;
    let (batch, in_place) = (scripts::batch(100, Cabling::Moved)?, scripts::batch(100, Cabling::InPlace)?);
    let typed = scripts::one_by_one(100)?;
    let (mut batches, mut in_places, mut typeds) = (Runs::default(), Runs::default(), Runs::default());
    for _ in 0..bench.rounds(5, 2) {
        batches.add(sandbox.build(&batch.program())?);
        in_places.add(sandbox.build(&in_place.program())?);
    }
    for _ in 0..bench.rounds(2, 1) {
        typeds.add(sandbox.build(&typed.program())?);
    }
    let against_floor = |hosts: u32, ours: &Runs, floor: &Runs| Row {
        name: format!("up, star of {hosts}: time / floor"),
        figure: ratio(&ours.wall_ms, &floor.wall_ms),
        target: Target::AtMost(1.6),
        unit: "x",
        detail: format!("{:.0} ms / {:.0} ms", ours.wall(), floor.wall()),
    };
    let times_as_fast = |name: &str, other: &Runs, target: Target| Row {
        name: format!("up, star of 100: {name} / time"),
        figure: other.wall() / ours_100.wall(),
        target,
        unit: "x",
        detail: format!("{:.0} ms / {:.0} ms", other.wall(), ours_100.wall()),
    };
    let growth = ours_1000.wall() / ours_300.wall();
    let floor_growth = floor_1000.wall() / floor_300.wall();
    Ok(vec![
        against_floor(100, &ours_100, &floor_100),
        against_floor(300, &ours_300, &floor_300),
        against_floor(1000, &ours_1000, &floor_1000),
        times_as_fast("ip -batch", &batches, Target::AtLeast(6.0)),
        times_as_fast("ip -batch, no link moved", &in_places, Target::None),
        times_as_fast("one ip per command", &typeds, Target::AtLeast(25.0)),
        Row {
            name: "up, star of 1000: CPU / floor".to_owned(),
            figure: ratio(&ours_1000.cpu_ms, &floor_1000.cpu_ms),
            target: Target::AtMost(1.4),
            unit: "x",
            detail: format!("{:.0} ms / {:.0} ms", ours_1000.cpu(), floor_1000.cpu()),
        },
        Row {
            name: "up: growth from 300 to 1000 / floor's".to_owned(),
            figure: growth / floor_growth,
            target: Target::AtMost(1.2),
            unit: "x",
            detail: format!("{growth:.2} / {floor_growth:.2}"),
        },
    ])
}

fn big(bench: &Bench) -> io::Result<Vec<Row>> {
    if bench.is_quick {
        return Ok(Vec::new());
    }
    let lab = BenchLab::star(&bench.netyard, 5000)?;
    let taken = lab.up()?;
    let running = lab.running()?;
    let hosts = running.definition().map_err(io::Error::other)?.nodes.len() - 2;
    let sockets = [one_echo(&running, "h5000", Ipv4Addr::new(10, 0, 19, 254))?];
    let answered = answered(&sockets)?;
    // A socket keeps the namespace that it was made in.
    drop((sockets, running));
    let gone = lab.down_wait()?;
    Ok(vec![Row {
        name: "up, star of 5000: hosts up, the last answered".to_owned(),
        figure: if answered == 1 { hosts as f64 } else { 0.0 },
        target: Target::AtLeast(5000.0),
        unit: "",
        detail: format!("up {:.1} s, down and gone {:.1} s", taken.wall_ms / 1000.0, gone.wall_ms / 1000.0),
    }])
}

/// Stars in which the one packet that each host sends right after `up` is answered.
fn answers(bench: &Bench) -> io::Result<Vec<Row>> {
    const HOSTS: u32 = 100;
    let stars = bench.rounds(100, 10);
    let lab = BenchLab::star(&bench.netyard, HOSTS)?;
    let mut good = 0;
    let mut lost = 0;
    for _ in 0..stars {
        lab.up()?;
        let running = lab.running()?;
        let echo = |number: u32| one_echo(&running, &format!("h{number}"), Ipv4Addr::new(10, 0, 0, 254));
        let sockets: Vec<OwnedFd> = (1..=HOSTS).map(echo).collect::<io::Result<_>>()?;
        let missing = HOSTS as usize - answered(&sockets)?;
        good += usize::from(missing == 0);
        lost += missing;
        drop(sockets);
        lab.down()?;
    }
    Ok(vec![Row {
        name: format!("up, {stars} stars of {HOSTS}: every first packet answered"),
        figure: good as f64,
        target: Target::AtLeast(stars as f64),
        unit: "stars",
        detail: format!("{lost} of {} lost", stars * HOSTS as usize),
    }])
}

/// Sends one ICMP echo request (RFC 792) from a node; the kernel fills in identifier and checksum.
fn one_echo(lab: &RunningLab, node: &str, to: Ipv4Addr) -> io::Result<OwnedFd> {
    const ECHO_REQUEST: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 1];
    let node = node.parse().map_err(io::Error::other)?;
    let socket = lab.socket(&node, SocketKind::Icmp4)?;
    sendto(&socket, &ECHO_REQUEST, SendFlags::empty(), &SocketAddr::new(to.into(), 0))?;
    Ok(socket)
}

/// How many of the sockets get an answer, each within a second.
fn answered(sockets: &[OwnedFd]) -> io::Result<usize> {
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    let mut count = 0;
    for socket in sockets {
        let mut fds = [PollFd::new(socket, PollFlags::IN)];
        if poll(&mut fds, Some(&second))? == 1 {
            let mut answer = [0; 64];
            let (length, _) = recv(socket, &mut answer, RecvFlags::empty())?;
            // Echo reply is type 0.
            count += usize::from(length >= 8 && answer[0] == 0);
        }
    }
    Ok(count)
}

fn memory(bench: &Bench) -> io::Result<Vec<Row>> {
    let lab = BenchLab::star(&bench.netyard, 1000)?;
    lab.up()?;
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", lab.running()?.pid()))?;
    let megabytes = |key: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_end_matches("kB").trim().parse::<f64>().unwrap_or(f64::INFINITY) / 1024.0
    };
    let (rss, pss) = (megabytes("Rss:"), megabytes("Pss:"));
    lab.down_wait()?;
    Ok(vec![Row {
        name: "star of 1000: memory of the holder (RSS)".to_owned(),
        figure: rss,
        target: Target::AtMost(12.0),
        unit: "MiB",
        detail: format!("PSS {pss:.1} MiB"),
    }])
}

fn down(bench: &Bench) -> io::Result<Vec<Row>> {
    let lab = BenchLab::star(&bench.netyard, 300)?;
    let (mut returns, mut gone) = (Runs::default(), Runs::default());
    for _ in 0..bench.rounds(7, 2) {
        lab.up()?;
        returns.add(lab.down()?);
        // What is left of it would be waited for with the next one.
        lab.up()?;
        gone.add(lab.down_wait()?);
    }
    let row = |name: &str, runs: &Runs, most: f64| Row {
        name: format!("star of 300: {name}"),
        figure: runs.wall(),
        target: Target::AtMost(most),
        unit: "ms",
        detail: format!("worst {:.0} ms", runs.wall_ms.iter().copied().fold(0.0, f64::max)),
    };
    Ok(vec![
        row("down returns", &returns, 50.0),
        row("down --wait: every namespace given back", &gone, 300.0),
    ])
}

fn exec(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut sandbox = Sandbox::open()?;
    sandbox.run(&["ip", "netns", "add", "pc"])?;
    let lab = BenchLab::home(&bench.netyard)?;
    lab.up()?;
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    for _ in 0..bench.rounds(60, 20) {
        ours.add(stopwatch::run(lab.command("exec").args(["pc", "--", "true"]))?);
        theirs.add(sandbox.run(&["ip", "netns", "exec", "pc", "true"])?);
    }
    Ok(vec![Row {
        name: "exec pc true: time / ip netns exec pc true".to_owned(),
        figure: ratio(&ours.wall_ms, &theirs.wall_ms),
        target: Target::AtMost(1.5),
        unit: "x",
        detail: format!("{:.2} ms / {:.2} ms", ours.wall(), theirs.wall()),
    }])
}

fn test(bench: &Bench) -> io::Result<Vec<Row>> {
    let lab = BenchLab::home(&bench.netyard)?;
    let mut runs = Runs::default();
    for _ in 0..bench.rounds(20, 5) {
        runs.add(lab.up_test_down()?);
    }
    Ok(vec![Row {
        name: "home.yaml: up, test and down".to_owned(),
        figure: runs.wall(),
        target: Target::AtMost(150.0),
        unit: "ms",
        detail: String::new(),
    }])
}

fn ping(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (hosts, seconds_max) in [(100, Some(0.5)), (300, None)] {
        let lab = BenchLab::switch(&bench.netyard, hosts)?;
        lab.up()?;
        let output = lab.command("ping").args(["--all", "--json"]).output()?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let number = |key: &str| report[key].as_f64().unwrap_or_default();
        let seconds = number("milliseconds") / 1000.0;
        lab.down_wait()?;
        rows.push(Row {
            name: format!("ping --all, {hosts} hosts: pairs answered"),
            figure: number("answered"),
            target: Target::AtLeast(f64::from(hosts * (hosts - 1))),
            unit: "",
            detail: format!("in {seconds:.2} s"),
        });
        if let Some(most) = seconds_max {
            rows.push(Row {
                name: format!("ping --all, {hosts} hosts: time"),
                figure: seconds,
                target: Target::AtMost(most),
                unit: "s",
                detail: String::new(),
            });
        }
    }
    Ok(rows)
}

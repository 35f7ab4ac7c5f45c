//! What a capture costs those who send, and how soon it is there and gone.

use crate::figures::{median, ratio};
use crate::lab::BenchLab;
use crate::rows::Bench;
use crate::table::{Row, Target};
use netyard::probe::{NodeSockets, SocketKind};
use netyard_core::name::NodeName;
use rustix::net::{SendFlags, bind, sendto};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::Instant;

/// Datagrams in one measurement.
const DATAGRAMS: u32 = 100_000;
const PAYLOAD: [u8; 64] = [0; 64];
/// Nobody in the lab has it.
const NO_MATCH: [&str; 1] = ["host 203.0.113.77 and udp port 9"];

/// The rows of the group.
pub fn rows(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut rows = cost(bench)?;
    rows.extend(scale(bench)?);
    Ok(rows)
}

/// Sender's time for a datagram over a bridge, with and without a capture, in turns.
fn cost(bench: &Bench) -> io::Result<Vec<Row>> {
    let lab = BenchLab::home(&bench.netyard)?;
    lab.up()?;
    let running = lab.running()?;
    let socket = |node: &str| {
        let node: NodeName = node.parse().map_err(io::Error::other)?;
        running.socket(&node, SocketKind::Udp4)
    };
    let (from, to) = (socket("pc")?, socket("printer")?);
    let target: SocketAddr = "10.0.0.2:9".parse().map_err(io::Error::other)?;
    bind(&to, &target)?;
    send(&from, target)?;
    let (mut none, mut sifted, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(15, 5) {
        none.push(send(&from, target)?);
        sifted.push(during(&lab, &NO_MATCH, || send(&from, target))?);
        all.push(during(&lab, &["--snap", "128"], || send(&from, target))?);
    }
    let row = |name: &str, with: &[f64], target| Row {
        name: format!("sender's CPU time, {name} / no capture"),
        figure: ratio(with, &none),
        target,
        unit: "x",
        detail: format!(
            "{:.0} ns / {:.0} ns a datagram",
            median(with.iter().copied()),
            median(none.iter().copied())
        ),
    };
    let row_of_all = row("all captured", &all, Target::None);
    Ok(vec![row("filter that does not match", &sifted, Target::AtMost(1.4)), row_of_all])
}

/// Nanoseconds of this thread for each datagram. What the kernel does for it on the way is done by this thread, too.
fn send(from: &OwnedFd, to: SocketAddr) -> io::Result<f64> {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let begun = now();
    for _ in 0..DATAGRAMS {
        sendto(from, &PAYLOAD, SendFlags::empty(), &to)?;
    }
    Ok((now() - begun) / f64::from(DATAGRAMS))
}

/// Measures while a capture is open.
fn during(lab: &BenchLab<'_>, words: &[&str], measure: impl FnOnce() -> io::Result<f64>) -> io::Result<f64> {
    let mut capture = start(lab, words)?;
    let measured = measure();
    end(&mut capture)?;
    measured
}

/// Starts a capture that writes to nowhere, and waits until it has begun.
fn start(lab: &BenchLab<'_>, words: &[&str]) -> io::Result<Child> {
    let mut command = lab.command("capture");
    command.args(["-w", "/dev/null", "--force"]).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let said = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut lines = BufReader::new(said).lines();
    for line in lines.by_ref() {
        if line?.starts_with("capturing in ") {
            // Whatever else it says is read to its end.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(child);
        }
    }
    Err(io::Error::other("the capture has not begun"))
}

fn end(capture: &mut Child) -> io::Result<()> {
    let pid = i32::try_from(capture.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    kill_process(pid, Signal::INT)?;
    let status = capture.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the capture ended with {status}"))) }
}

/// From typing the command until nothing is missed, and from Ctrl-C until all is closed.
fn scale(bench: &Bench) -> io::Result<Vec<Row>> {
    let lab = BenchLab::star(&bench.netyard, 300)?;
    lab.up()?;
    let (mut opened, mut closed, mut killed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(7, 2) {
        let begun = Instant::now();
        let mut capture = start(&lab, &["--snap", "256", "--ring", "256K", NO_MATCH[0]])?;
        opened.push(begun.elapsed().as_secs_f64() * 1000.0);
        let begun = Instant::now();
        end(&mut capture)?;
        closed.push(begun.elapsed().as_secs_f64() * 1000.0);
        let mut capture = start(&lab, &["--snap", "256", "--ring", "256K", NO_MATCH[0]])?;
        let begun = Instant::now();
        capture.kill()?;
        capture.wait()?;
        killed.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    lab.down_wait()?;
    let row = |name: &str, times: Vec<f64>| Row {
        name: format!("star of 300: a capture {name}"),
        figure: median(times),
        target: Target::None,
        unit: "ms",
        detail: String::new(),
    };
    Ok(vec![
        row("begins (look, scouts, taps)", opened),
        row("ends by Ctrl-C", closed),
        row("is gone after kill -9", killed),
    ])
}

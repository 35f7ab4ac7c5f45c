//! A throw-away user namespace in which the other builders run, as the same user as netyard.
//!
//! This program once more, as root of new user, pid, mount and network namespaces. It is told a program on each line
//! and answers what that took. The cost of the user namespace is nobody's: netyard alone pays for its own.

use crate::stopwatch::{self, Taken};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A sandbox that runs; it ends with this value.
pub struct Sandbox {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Serialize, Deserialize)]
struct Request {
    program: Vec<String>,
    /// Whether to wait until the kernel has taken apart all that the program left.
    settles: bool,
}

impl Sandbox {
    pub fn open() -> io::Result<Self> {
        let mut child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc"])
            .arg("--kill-child")
            .arg(std::env::current_exe()?)
            .arg("sandbox")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let answers = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        Ok(Self { child, requests, answers })
    }

    /// Runs a program whose namespaces end with it, and returns when the kernel has taken them apart.
    pub fn build(&mut self, program: &[&str]) -> io::Result<Taken> {
        self.ask(program, true)
    }

    /// Runs a program.
    pub fn run(&mut self, program: &[&str]) -> io::Result<Taken> {
        self.ask(program, false)
    }

    fn ask(&mut self, program: &[&str], settles: bool) -> io::Result<Taken> {
        let request = Request { program: program.iter().map(|word| (*word).to_owned()).collect(), settles };
        writeln!(self.requests, "{}", serde_json::to_string(&request)?)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let answer: Result<Taken, String> = serde_json::from_str(&answer)?;
        answer.map_err(io::Error::other)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Inside: runs what it is told, until nobody tells it.
pub fn main() -> io::Result<bool> {
    // `ip netns` keeps its names here.
    stopwatch::run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]))?;
    for line in io::stdin().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let answer = carry_out(&request).map_err(|error| error.to_string());
        println!("{}", serde_json::to_string(&answer)?);
    }
    Ok(true)
}

fn carry_out(request: &Request) -> io::Result<Taken> {
    let taken = match request.program.split_first() {
        Some((program, rest)) => stopwatch::run(Command::new(program).args(rest))?,
        None => Taken::default(),
    };
    if request.settles {
        settle()?;
    }
    Ok(taken)
}

/// Waits until no network namespace of the sandbox is left but its own: with room for one more, another can be made
/// only then.
fn settle() -> io::Result<()> {
    const LIMIT: &str = "/proc/sys/user/max_net_namespaces";
    let before = fs::read_to_string(LIMIT)?;
    fs::write(LIMIT, "2")?;
    let begun = Instant::now();
    let is_room = || {
        Ok::<_, io::Error>(
            Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status()?.success(),
        )
    };
    while !is_room()? {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(io::Error::other("the kernel keeps the namespaces of a run for more than 60 s"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::write(LIMIT, before)
}

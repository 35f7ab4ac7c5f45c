//! Runs a program and measures it whole: from before it is started until it has been reaped.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a run took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Taken {
    pub wall_ms: f64,
    /// User and system time of the process and those of its children that it waited for.
    pub cpu_ms: f64,
}

/// Runs a program that should succeed; it prints to nowhere but for errors.
pub fn run(command: &mut Command) -> io::Result<Taken> {
    let cpu_before = cpu_of_children_ms()?;
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    let wall_ms = begun.elapsed().as_secs_f64() * 1000.0;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{command:?} failed: {}: {words}", output.status)));
    }
    Ok(Taken { wall_ms, cpu_ms: cpu_of_children_ms()? - cpu_before })
}

/// User and system time of this process's reaped children, in steps of 10 ms.
fn cpu_of_children_ms() -> io::Result<f64> {
    let [.., of_children] = cpu_ms("self")?;
    Ok(of_children)
}

/// User and system time of a process, and of its reaped children (proc_pid_stat(5), fields 14 to 17).
pub fn cpu_ms(pid: &str) -> io::Result<[f64; 2]> {
    /// `sysconf(_SC_CLK_TCK)`, which is 100 on all Linux.
    const MS_PER_TICK: f64 = 10.0;
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, field 2, is in brackets and may hold anything.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |number: usize| {
        let word = after_name.split_whitespace().nth(number - 3).unwrap_or_default();
        word.parse::<f64>().unwrap_or_default() * MS_PER_TICK
    };
    Ok([field(14) + field(15), field(16) + field(17)])
}

//! Soak: many labs after one another in one process, under a limit that a leak runs into.

use netyard::Lab;
use std::fs;
use std::time::{Duration, Instant};

const LAB: &str = "
networks: { lan: 10.0.0.0/24 }
nodes:
  a: { links: { lan: 10.0.0.1 } }
  b: { links: { lan: 10.0.0.2 } }
";
/// Network namespaces that may exist at once. A lab has 4 of them, and the kernel takes them apart a little later.
const NETNS_MAX: &str = "64";
/// How long the kernel may take to give back a namespace of a lab that has ended.
const GIVE_BACK_TIME: Duration = Duration::from_secs(5);

/// Figures of a soak.
#[derive(Debug)]
pub struct Soaked {
    /// Labs made and ended.
    pub cycles: u32,
    /// How often the limit was reached because the kernel had yet to take apart what had ended.
    pub waits: u32,
    /// Time for all.
    pub took: Duration,
    /// Our descriptors before and after.
    pub fds: [usize; 2],
    /// Our resident memory after the first tenth and after all, in KiB.
    pub resident_kib: [u64; 2],
}

/// Makes and ends labs, in a user namespace of our own whose network namespaces are limited.
///
/// # Errors
/// What failed, and in which cycle.
pub fn run(cycles: u32) -> Result<Soaked, String> {
    let limit = "/proc/sys/user/max_net_namespaces";
    let before = fs::read_to_string(limit).map_err(|e| e.to_string())?;
    fs::write(limit, NETNS_MAX).map_err(|e| format!("cannot limit {limit} ({}): {e}", before.trim()))?;
    let lab = Lab::from_yaml(LAB).map_err(|e| e.to_string())?;
    let begun = Instant::now();
    let mut waits = 0;
    lab.up().and_then(netyard::RunningLab::down).map_err(|e| format!("the first cycle: {e}"))?;
    let fds_before = descriptors();
    let mut resident_before = resident_kib();
    for cycle in 1..cycles {
        let started = Instant::now();
        let running = loop {
            match lab.up() {
                Ok(running) => break running,
                Err(error) if started.elapsed() > GIVE_BACK_TIME => {
                    return Err(format!("cycle {cycle}: {error}"));
                }
                Err(_) => {
                    waits += 1;
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        };
        running.down().map_err(|e| format!("cycle {cycle}: {e}"))?;
        if cycle == cycles / 10 {
            resident_before = resident_kib();
        }
    }
    let fds = [fds_before, descriptors()];
    Ok(Soaked { cycles, waits, took: begun.elapsed(), fds, resident_kib: [resident_before, resident_kib()] })
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

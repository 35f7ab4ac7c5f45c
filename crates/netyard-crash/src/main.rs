//! `netyard-crash matrix`: SIGKILL at every system call. `netyard-crash soak`: labs without end.

mod host;
mod matrix;
mod process;
mod soak;
mod trace;

use matrix::{Matrix, Row, Sample, Verb};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use trace::Victim;

const USAGE: &str = "usage: netyard-crash matrix NETYARD [--full | --every N | --points N] [--offset N]
                            [--verb up|down|exec|change] [--daemon] [--alone]
       unshare -Ur netyard-crash soak [CYCLES]

  --full     kill at every stop (the default)
  --every N  at every N-th stop, beginning with --offset
  --points N at so many stops of each verb and victim, spread evenly
  --daemon   a lab with a full node in which a daemon (dnsmasq) runs
  --alone    nobody else makes network namespaces on this machine: a new one is a leak";
const VERBS: [(&str, Verb); 4] =
    [("up", Verb::Up), ("down", Verb::Down), ("exec", Verb::Exec), ("change", Verb::Change)];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["matrix", netyard, ref options @ ..] => crash(Path::new(netyard), options),
        ["soak", ref cycles @ ..] => soak(cycles),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn soak(words: &[&str]) -> Result<ExitCode, String> {
    let cycles = words.first().map_or(Ok(2000), |word| word.parse()).map_err(|_| USAGE.to_owned())?;
    let soaked = soak::run(cycles)?;
    let soak::Soaked { cycles, waits, took, fds, resident_kib } = &soaked;
    println!(
        "{cycles} cycles, {took:?} in all, {waits} waits; descriptors {fds:?}, resident KiB {resident_kib:?}"
    );
    Ok(if soaked.fds[0] == soaked.fds[1] { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn crash(netyard: &Path, options: &[&str]) -> Result<ExitCode, String> {
    let mut sample = Sample { stride: 1, offset: 0, points_max: u64::MAX };
    let mut verbs = VERBS.to_vec();
    let (mut is_shared, mut has_daemon) = (true, false);
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|n| n.parse::<u64>().ok()).ok_or_else(|| USAGE.to_owned());
        match *word {
            "--full" => sample.stride = 1,
            "--every" => sample.stride = number()?.max(1),
            "--points" => sample.points_max = number()?.max(1),
            "--daemon" => has_daemon = true,
            "--offset" => sample.offset = number()?,
            "--alone" => is_shared = false,
            "--verb" => {
                let wanted = *words.next().ok_or_else(|| USAGE.to_owned())?;
                verbs.retain(|(name, _)| *name == wanted);
            }
            _ => return Err(USAGE.to_owned()),
        }
    }
    let folder = Folder::new()?;
    let netyard = netyard.canonicalize().map_err(|e| format!("{}: {e}", netyard.display()))?;
    let mut matrix = Matrix::new(&netyard, &folder.0, is_shared, has_daemon).map_err(|e| e.to_string())?;
    println!("every {} stops, beginning with {}", sample.stride, sample.offset % sample.stride + 1);
    println!(
        "{:7} {:7} {:>6} {:>6} {:>6} {:>6} {:>9} {:>6}",
        "verb", "victim", "stops", "points", "leaks", "healed", "settle ms", "s"
    );
    let (mut points, mut leaks) = (0, 0);
    for (name, verb) in verbs {
        for victim in [Victim::Cli, Victim::Holder, Victim::Caller] {
            let begun = Instant::now();
            let row = matrix.row(verb, victim, sample, &mut |leak| println!("LEAK {leak}"));
            let row = row.map_err(|e| format!("{name}: {e}"))?;
            print(name, &row, begun);
            points += row.points;
            leaks += row.leaks.len();
        }
    }
    println!("{points} points, {leaks} leaks");
    Ok(if leaks == 0 && points > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(name: &str, row: &Row, begun: Instant) {
    let victim = format!("{:?}", row.victim).to_lowercase();
    let (settled, took) = (row.settled_max.as_millis(), begun.elapsed().as_secs());
    let (stops, points, leaks, healed) = (row.stops, row.points, row.leaks.len(), row.healed);
    println!("{name:7} {victim:7} {stops:6} {points:6} {leaks:6} {healed:6} {settled:9} {took:6}");
}

/// A folder of our own, removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("netyard-crash-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

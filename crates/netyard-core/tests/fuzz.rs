//! Lab files changed at random never make the reader panic.
//!
//! `SEED=123 cargo test -p netyard-core --test fuzz` repeats a run; `ROUNDS=100000` makes it longer.

// The crate reads no file, clock or environment and never unwraps; its tests do.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used
)]

use netyard_core::labfile::fuzz;
use std::panic::catch_unwind;
use std::time::{SystemTime, UNIX_EPOCH};

mod forms;
mod talk;

/// xorshift64* (Vigna 2016): enough for choosing places.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    ",",
    "-",
    "\n",
    "\n  ",
    "\t",
    "*a",
    "&a ",
    "<<: ",
    "~",
    "''",
    "\"",
    "!!x ",
    "#",
    "all",
    "auto",
    "none",
    "lan",
    "10.0.0.1",
    "10.0.0.0/0",
    "0.0.0.0/32",
    "255.255.255.255",
    "::/0",
    "fd00::1/128",
    "[1-99]",
    "[3-1]",
    "[0-9999]",
    "99999999999999999999",
    "-1",
    "0",
    "1e9",
    "é",
    "日本",
    "\u{0}",
    "\u{feff}",
    "\r\n",
    "eth0",
    "br0",
    "lo",
    "default",
    "true",
    "---",
    "links: [lan]",
    "kind: cable",
    "bridge: true",
    "role: internet",
];

fn corpus() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    let wrong = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    let all = wrong.chain(forms::ALL.iter().chain([&talk::TALK]).map(|text| (*text).to_owned()));
    all.filter(|text| text.len() < 4000).collect()
}

fn changed(random: &mut Random, corpus: &[String]) -> Vec<u8> {
    let mut text = corpus[random.below(corpus.len())].clone().into_bytes();
    for _ in 0..=random.below(6) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(30)).min(text.len());
        match random.below(5) {
            0 => drop(text.drain(at..end)),
            1 => drop(text.splice(at..at, random.pick(PIECES).bytes())),
            2 => drop(text.splice(at..end, random.pick(PIECES).bytes())),
            3 => {
                let piece = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                drop(text.splice(to..to, piece));
            }
            _ => {
                let other = corpus[random.below(corpus.len())].as_bytes();
                let from = random.below(other.len());
                let to = (from + random.below(60)).min(other.len());
                drop(text.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    text
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn changed_files_never_panic() {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_micros() as u64);
    let seed = number_from_environment("SEED").unwrap_or_else(clock) | 1;
    let rounds = number_from_environment("ROUNDS").unwrap_or(3000);
    println!("SEED={seed}");
    let corpus = corpus();
    let mut random = Random(seed);
    for round in 0..rounds {
        let text = changed(&mut random, &corpus);
        let result = catch_unwind(|| fuzz(&text));
        assert!(result.is_ok(), "SEED={seed} round {round}:\n{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn any_bytes_never_panic() {
    const SIGNS: &[u8] = b"{}[]:,-#&*!|>'\"%@` \n\tab01./~?\xff\xc3";
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2000 {
        let len = random.below(80);
        let bytes: Vec<u8> = (0..len).map(|_| SIGNS[random.below(SIGNS.len())]).collect();
        fuzz(&bytes);
    }
}

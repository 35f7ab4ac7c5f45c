//! What a careless lab would change of the host, and whether it is as it was.

#![allow(clippy::unwrap_used, reason = "clippy.toml allows it in test functions, and this is their helper")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Values that change by themselves.
const RESTLESS: [&str; 2] = ["nf_conntrack_count", "inode-nr"];

/// Compares; other tests on the machine may touch it for a moment.
#[track_caller]
pub fn is_as(before: &BTreeMap<String, String>, when: &str) {
    let begun = Instant::now();
    loop {
        let now = host();
        let names = before.keys().chain(now.keys());
        let differing: Vec<_> = names.filter(|name| before.get(*name) != now.get(*name)).collect();
        if differing.is_empty() {
            return;
        }
        let shown: Vec<_> = differing.iter().map(|name| (name, before.get(*name), now.get(*name))).collect();
        assert!(begun.elapsed() < Duration::from_secs(3), "{when}: {shown:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Everything of the host that a careless lab would touch.
pub fn host() -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for words in [
        "ip -o link",
        "ip -o address",
        "ip route show table all",
        "ip -6 route show table all",
        "ip rule",
        "ip -6 rule",
        "ip netns",
        "nft list ruleset",
    ] {
        let (program, rest) = words.split_once(' ').unwrap();
        let output = Command::new(program).args(rest.split(' ')).output();
        let output = output.unwrap_or_else(|error| panic!("{words}: {error}"));
        facts.insert(words.to_owned(), without_lifetimes(&String::from_utf8_lossy(&output.stdout)));
    }
    facts.insert("mounts".to_owned(), fs::read_to_string("/proc/self/mountinfo").unwrap());
    sysctls(Path::new("/proc/sys/net"), &mut facts);
    listing(Path::new("/etc"), &mut facts);
    facts
}

/// Seconds that run down.
fn without_lifetimes(text: &str) -> String {
    let words = text.split(' ').filter(|word| !word.ends_with("sec") && !word.ends_with("sec\n"));
    words.collect::<Vec<_>>().join(" ")
}

fn sysctls(folder: &Path, facts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sysctls(&path, facts);
        } else if !RESTLESS.iter().any(|name| path.ends_with(name)) {
            let value = fs::read_to_string(&path).unwrap_or_default();
            facts.insert(path.display().to_string(), value);
        }
    }
}

fn listing(folder: &Path, facts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
        let fact = (metadata.mode(), metadata.uid(), metadata.size(), metadata.mtime(), metadata.ctime());
        facts.insert(path.display().to_string(), format!("{fact:?}"));
        if metadata.is_dir() {
            listing(&path, facts);
        }
    }
}

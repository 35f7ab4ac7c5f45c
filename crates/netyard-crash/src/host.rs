//! What a lab could leave on the host, read from `/proc`.

use crate::process::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// Its parent's id.
    pub parent: Pid,
    /// Its words.
    pub argv: Vec<String>,
}

/// All processes that are alive: zombies are dead.
#[must_use]
pub fn processes() -> Vec<Process> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // proc_pid_stat(5): the name in brackets may hold anything; state and parent follow.
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut words = rest.split(' ');
        let (state, parent) = (words.next().unwrap_or("Z"), words.next().and_then(|p| p.parse().ok()));
        if matches!(state, "Z" | "X") {
            continue;
        }
        let argv = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let argv = argv.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let argv = argv.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        all.push(Process { pid, parent: parent.unwrap_or(0), argv });
    }
    all
}

/// The living processes below `root`, or with `marker` among their words wherever they are.
#[must_use]
pub fn descendants(root: Pid, marker: &str) -> Vec<Process> {
    let all = processes();
    let parents: BTreeMap<Pid, Pid> = all.iter().map(|p| (p.pid, p.parent)).collect();
    let is_below = |process: &Process| {
        let mut at = process.parent;
        while at > 1 && at != root {
            at = parents.get(&at).copied().unwrap_or(0);
        }
        at == root
    };
    let is_ours = |p: &Process| p.pid != root && (is_below(p) || p.argv.iter().any(|word| word == marker));
    all.iter().filter(|process| is_ours(process)).cloned().collect()
}

/// What must be the same before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    netns: BTreeSet<String>,
    links: Vec<String>,
    mounts: String,
}

impl Host {
    /// What is there now.
    #[must_use]
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let links = read("/proc/self/net/dev");
        let links =
            links.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect();
        Self { netns: network_namespaces(), links, mounts: read("/proc/self/mountinfo") }
    }

    /// How `self` differs from what was there before; empty when it does not. With `is_shared`, namespaces that
    /// appeared are not counted: others have labs too, and ours are told by their processes.
    #[must_use]
    pub fn difference(&self, before: &Self, is_shared: bool) -> String {
        let mut all = Vec::new();
        let fresh: Vec<_> = self.netns.difference(&before.netns).collect();
        if !is_shared && !fresh.is_empty() {
            all.push(format!("network namespaces {fresh:?}"));
        }
        if self.links != before.links {
            all.push(format!("links {:?} and before {:?}", self.links, before.links));
        }
        if self.mounts != before.mounts {
            all.push("mounts".to_owned());
        }
        all.join(", ")
    }
}

/// The inodes of all network namespaces that processes are in, as far as we may look.
fn network_namespaces() -> BTreeSet<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path().join("ns/net")).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect()
}

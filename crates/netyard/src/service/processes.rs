//! Processes as `/proc` shows them (proc(5)).

use super::keeper::ARGV0;
use netyard_core::unit::{Process, UnitName};
use netyard_kernel::process::send_signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// What `/proc/PID/stat` tells.
struct Stat {
    parent: u32,
    is_zombie: bool,
    start_time: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

/// When a process started, in ticks after the machine did; none when it is no more.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    stat(pid).filter(|stat| !stat.is_zombie).map(|stat| stat.start_time)
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All processes below a keeper, but for those of other keepers: a service may have started another one.
#[must_use]
pub fn all_of(keeper: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut zombies = Vec::new();
    for pid in all() {
        let Some(stat) = stat(pid) else { continue };
        children.entry(stat.parent).or_default().push(pid);
        if stat.is_zombie {
            zombies.push(pid);
        }
    }
    let mut found = Vec::new();
    let mut parents = vec![keeper];
    while let Some(parent) = parents.pop() {
        let own = children.get(&parent).into_iter().flatten().copied().filter(|pid| !is_keeper(*pid));
        for pid in own {
            found.push(pid);
            parents.push(pid);
        }
    }
    found.retain(|pid| !zombies.contains(pid));
    found.sort_unstable();
    found
}

fn is_keeper(pid: u32) -> bool {
    kept_by(pid).is_some()
}

/// The unit whose keeper a process is.
fn kept_by(pid: u32) -> Option<UnitName> {
    let words = words(pid)?;
    let mut words = words.split(|byte| *byte == 0);
    words.next().filter(|word| *word == ARGV0.as_bytes())?;
    UnitName::new(std::str::from_utf8(words.next()?).ok()?)
}

/// The unit that a process belongs to: that of the keeper above it.
pub(super) fn service_of(pid: u32) -> Option<UnitName> {
    let ancestors = std::iter::successors(Some(pid), |pid| parent(*pid).filter(|parent| *parent > 1));
    ancestors.into_iter().find_map(kept_by)
}

fn words(pid: u32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/cmdline")).ok()
}

/// The parent of a process.
pub(super) fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.parent)
}

/// Processes that a keeper has left behind: they have its invocation in their environment.
pub(super) fn of_invocation(invocation: &str) -> Vec<u32> {
    let wanted = format!("INVOCATION_ID={invocation}");
    let has_it = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    all().filter(|pid| *pid != std::process::id()).filter(has_it).collect()
}

/// A process with its words, as `ps` shows them.
pub(super) fn described(pid: u32) -> Process {
    let words = words(pid).unwrap_or_default();
    let text = String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned();
    let command = if text.is_empty() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("[{}]", name.trim_end())
    } else {
        text
    };
    Process { pid, command }
}

/// Refers to a process; none when it has ended.
pub(super) fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(pid.cast_signed())?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Sends a signal to processes; those that have ended meanwhile are passed over.
///
/// # Errors
/// `EINVAL` for a number that is no signal; `EPERM` for processes of others.
pub fn signal_all(pids: &[u32], signal: i32) -> io::Result<()> {
    for pid in pids {
        let started = start_time(*pid);
        let Some(pidfd) = open(*pid) else { continue };
        // The number may have become another process's before the descriptor was open.
        if started.is_some() && start_time(*pid) == started {
            match send_signal(pidfd.as_fd(), signal) {
                Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

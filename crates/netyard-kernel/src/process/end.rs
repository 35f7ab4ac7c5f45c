//! How processes end, and who waits for that.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// Ends the process at once. Same as `kill -9`.
///
/// # Errors
/// `ESRCH` when it has been reaped.
pub fn kill(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL)?)
}

/// Makes a program be killed when the calling thread ends (prctl(2) `PR_SET_PDEATHSIG`).
pub fn dies_with_caller(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    let caller = std::process::id().cast_signed();
    // SAFETY: between fork and exec two system calls without pointers are made.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // The caller may have died before that call.
            if libc::getppid() == caller { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
        });
    }
}

/// Ends a process and all of its process group. Same as `kill -9 -- -PID`.
///
/// The process must be the group's leader and must not have been reaped.
pub fn kill_group(leader: u32) {
    // SAFETY: kill(2) takes no pointers. A number that is none is refused.
    unsafe { libc::kill(-leader.cast_signed(), libc::SIGKILL) };
}

/// Ends every process whose network namespace is this one, as far as the caller's `/proc` shows them.
///
/// # Errors
/// Those of reading `/proc`.
pub fn kill_all_in(net: BorrowedFd<'_>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let wanted = rustix::fs::fstat(net)?.st_ino;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(pid) = rustix::process::Pid::from_raw(pid) else { continue };
        let is_in = || fs::metadata(entry.path().join("ns/net")).is_ok_and(|net| net.ino() == wanted);
        if is_in()
            && let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            // The number may have become another process's before the descriptor was open.
            && is_in()
        {
            let _ = kill(pidfd.as_fd());
        }
    }
    Ok(())
}

/// Whether a process is stopped, by a signal or a tracer (proc_pid_stat(5)).
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it may hold anything, but ends with the last parenthesis.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('T' | 't'))
}

/// Waits until the process has ended, ours or not; `false` when `limit` is over first.
///
/// # Errors
/// Those of poll(2).
pub fn wait_gone(pidfd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
    let ready = rustix::io::retry_on_intr(|| {
        poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], Some(&timeout))
    })?;
    Ok(ready > 0)
}

/// Waits for the end of a child of ours and returns its wait status (waitpid(2)); `None` when it is not our child.
///
/// # Errors
/// Those of waitid(2).
pub fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    match rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED)) {
        Ok(Some(status)) => Ok(Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, Some(signal)) => ExitStatus::Signal(signal),
            (None, None) => ExitStatus::Code(0),
        })),
        Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl ExitStatus {
    /// Whether it ended by itself with code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// The code that a shell shows: 128 and the number for a signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// The process id behind a pid fd, as this process sees it; none when it has ended (proc(5), `fdinfo`).
#[must_use]
pub fn pid_of(pidfd: BorrowedFd<'_>) -> Option<u32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

//! Runs a program under ptrace(2), with all that it starts, and kills one of them at a given system call.
//!
//! The tracer is a process of its own that ends right after the kill: the kernel then lets go of every tracee,
//! whatever state it is in, and none stays stopped.

use crate::process::{self, Children, Pid, Program};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long one traced command may take.
const TRACE_TIME: Duration = Duration::from_secs(60);
/// How long the tracer waits for the victim's death before it lets go of the others.
const DEATH_TIME: Duration = Duration::from_millis(50);

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The command.
    Cli,
    /// The lab's pid 1.
    Holder,
    /// Whichever process makes the call.
    Caller,
}

/// When to kill, and whom.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    /// The stop, counted over all traced processes from the command's execve(2) on; entry and exit of a system
    /// call are a stop each.
    pub stop: u64,
    /// Who.
    pub victim: Victim,
}

/// What a traced run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traced {
    /// The command's process.
    pub cli: Pid,
    /// Stops seen.
    pub stops: u64,
    /// The stop at which the holder came to be, in runs that start one.
    pub holder_since: u64,
    /// Whether somebody was killed.
    pub is_killed: bool,
}

/// Runs the program traced, and kills as told. It may still run when this returns, untraced.
///
/// # Errors
/// Those of fork(2) and pipes; `TimedOut` when the program hangs.
pub fn run(
    program: &Program,
    output: &OwnedFd,
    kill: Option<Kill>,
    holder: Option<Pid>,
    children: &mut Children,
) -> io::Result<Traced> {
    let (mut reports, mut report) = io::pipe()?;
    let Some(tracer) = process::fork()? else {
        drop(reports);
        let traced = Tracer::start(program, output, kill, holder).and_then(Tracer::follow);
        let Ok(traced) = traced else { process::exit(1) };
        let Traced { cli, stops, holder_since, is_killed } = traced;
        let _ = report.write_all(format!("{cli} {stops} {holder_since} {}", u8::from(is_killed)).as_bytes());
        process::exit(0)
    };
    drop(report);
    let mut text = String::new();
    reports.read_to_string(&mut text)?;
    let status = children.wait(tracer, TRACE_TIME);
    let words: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match (status, &words[..]) {
        (Some(0), &[cli, stops, holder_since, killed]) => Ok(Traced {
            cli: Pid::try_from(cli).map_err(io::Error::other)?,
            stops,
            holder_since,
            is_killed: killed == 1,
        }),
        _ => Err(io::Error::new(io::ErrorKind::TimedOut, format!("the tracer ended with status {status:?}"))),
    }
}

struct Tracer {
    kill: Option<Kill>,
    holder: Option<Pid>,
    traced: Traced,
    is_counting: bool,
}

impl Tracer {
    /// Forks the command, attaches to it, and lets it execute.
    fn start(
        program: &Program,
        output: &OwnedFd,
        kill: Option<Kill>,
        holder: Option<Pid>,
    ) -> io::Result<Self> {
        let (mut gate, opener) = io::pipe()?;
        let Some(cli) = process::fork()? else {
            drop(opener);
            let _ = gate.read(&mut [0]);
            program.execute(output)
        };
        // SAFETY: prctl(2), alarm(2) and ptrace(2) `PTRACE_SEIZE` take integers here. The alarm ends a tracer whose
        // tracees hang; the kernel lets go of them then.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::alarm(u32::try_from(TRACE_TIME.as_secs()).unwrap_or(60));
            let options = libc::PTRACE_O_TRACESYSGOOD
                | libc::PTRACE_O_TRACEFORK
                | libc::PTRACE_O_TRACEVFORK
                | libc::PTRACE_O_TRACECLONE
                | libc::PTRACE_O_TRACEEXEC;
            if libc::ptrace(libc::PTRACE_SEIZE, cli, 0usize, options as usize) < 0
                || libc::ptrace(libc::PTRACE_INTERRUPT, cli, 0usize, 0usize) < 0
            {
                return Err(io::Error::last_os_error());
            }
        }
        drop(opener);
        Ok(Self { kill, holder, traced: Traced { cli, ..Traced::default() }, is_counting: false })
    }

    /// Follows all tracees until the kill, or until the command has ended.
    fn follow(mut self) -> io::Result<Traced> {
        loop {
            let mut status = 0;
            // SAFETY: the pointer names `status`.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
            if pid < 0 {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            if !libc::WIFSTOPPED(status) {
                if pid == self.traced.cli {
                    return Ok(self.traced);
                }
                continue;
            }
            let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
            let (request, passed_on) = match (event, signal) {
                (0, signal) if signal == libc::SIGTRAP | 0x80 => {
                    if self.is_due() {
                        self.traced.is_killed = self.strike(pid);
                        if self.traced.is_killed {
                            return Ok(self.traced);
                        }
                    }
                    (libc::PTRACE_SYSCALL, 0)
                }
                (0, signal) => (libc::PTRACE_SYSCALL, signal),
                (libc::PTRACE_EVENT_STOP, libc::SIGTRAP) => (libc::PTRACE_SYSCALL, 0),
                // A group stop: it stays stopped until somebody continues it.
                (libc::PTRACE_EVENT_STOP, _) => (libc::PTRACE_LISTEN, 0),
                (libc::PTRACE_EVENT_EXEC, _) => {
                    self.is_counting = true;
                    (libc::PTRACE_SYSCALL, 0)
                }
                _ => {
                    self.note_child(pid);
                    (libc::PTRACE_SYSCALL, 0)
                }
            };
            // SAFETY: integers only. A tracee that was killed meanwhile gives ESRCH, and its end comes from waitpid.
            unsafe { libc::ptrace(request, pid, 0usize, passed_on as usize) };
        }
    }

    fn is_due(&mut self) -> bool {
        self.traced.stops += u64::from(self.is_counting);
        // Where the victim has yet to be born, the next stop is tried.
        self.kill.is_some_and(|kill| self.traced.stops >= kill.stop)
    }

    /// The first process that the command makes is the holder, when none was there before.
    fn note_child(&mut self, parent: Pid) {
        let mut child: libc::c_ulong = 0;
        // SAFETY: the kernel writes one unsigned long to `child`.
        unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, parent, 0usize, &raw mut child) };
        if parent == self.traced.cli && self.holder.is_none() {
            self.holder = Pid::try_from(child).ok();
            self.traced.holder_since = self.traced.stops;
        }
    }

    /// Kills the victim and waits a moment until it is dead, all others stopped where they are or running.
    fn strike(&self, caller: Pid) -> bool {
        let victim = match self.kill.map(|kill| kill.victim) {
            Some(Victim::Cli) => Some(self.traced.cli),
            Some(Victim::Holder) => self.holder,
            Some(Victim::Caller) => Some(caller),
            None => None,
        };
        let Some(victim) = victim else { return false };
        process::kill(victim);
        let until = Instant::now() + DEATH_TIME;
        while Instant::now() < until {
            let mut status = 0;
            // SAFETY: the pointer names `status`. Only the victim is waited for: it is a tracee of ours, or no child.
            let pid = unsafe { libc::waitpid(victim, &raw mut status, libc::WNOHANG | libc::__WALL) };
            if pid < 0 || (pid == victim && !libc::WIFSTOPPED(status)) {
                break;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        true
    }
}

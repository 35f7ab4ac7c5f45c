//! Signals as something to poll for (signalfd(2)), and children to reap.

use crate::process::ExitStatus;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Signals that arrive as readable bytes instead of interrupting.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks the signals for the calling thread, and those it starts from now on, and takes them from here.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        // SAFETY: the set lives on this frame and is initialised by sigemptyset before use.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(OwnedFd::from_raw_fd(fd))) }
        }
    }

    /// The next signal that has arrived.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        // struct signalfd_siginfo has 128 bytes and begins with the 32-bit signal number.
        let mut info = [0; 128];
        let got = rustix::io::read(&self.0, &mut info).ok()?;
        (got == info.len()).then(|| i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The number of `SIGCHLD`.
pub const SIGCHLD: i32 = libc::SIGCHLD;
/// The number of `SIGINT`.
pub const SIGINT: i32 = libc::SIGINT;
/// The number of `SIGQUIT`.
pub const SIGQUIT: i32 = libc::SIGQUIT;
/// The number of `SIGTERM`.
pub const SIGTERM: i32 = libc::SIGTERM;
/// The number of `SIGHUP`.
pub const SIGHUP: i32 = libc::SIGHUP;
/// The number of `SIGTTOU`.
pub const SIGTTOU: i32 = libc::SIGTTOU;
/// The number of `SIGWINCH`.
pub const SIGWINCH: i32 = libc::SIGWINCH;

/// What became of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildChange {
    /// It has ended and is reaped.
    Ended(ExitStatus),
    /// It was stopped by this signal.
    Stopped(i32),
}

/// The next change of any child, without waiting.
#[must_use]
pub fn next_child_change() -> Option<(u32, ChildChange)> {
    change(-1, libc::WNOHANG)
}

/// Waits for a child to end or stop.
#[must_use]
pub fn wait_for_change(pid: u32) -> Option<ChildChange> {
    change(i32::try_from(pid).ok()?, 0).map(|(_, change)| change)
}

fn change(pid: i32, flags: i32) -> Option<(u32, ChildChange)> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer names `status`. `__WALL`: a program started across a go-between sends no signal.
        let pid = unsafe { libc::waitpid(pid, &raw mut status, flags | libc::WUNTRACED | libc::__WALL) };
        if pid < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        let pid = u32::try_from(pid).ok().filter(|pid| *pid > 0)?;
        let change = if libc::WIFSTOPPED(status) {
            ChildChange::Stopped(libc::WSTOPSIG(status))
        } else if libc::WIFSIGNALED(status) {
            ChildChange::Ended(ExitStatus::Signal(libc::WTERMSIG(status)))
        } else {
            ChildChange::Ended(ExitStatus::Code(libc::WEXITSTATUS(status)))
        };
        return Some((pid, change));
    }
}

/// Ignores the signals, or gives them their default action back. Same as the shell's `trap '' SIGNAL`.
pub fn ignore(signals: &[i32], is_ignored: bool) {
    for signal in signals {
        // SAFETY: SIG_IGN and SIG_DFL are valid actions.
        unsafe { libc::signal(*signal, if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL }) };
    }
}

/// Stops the calling process as its child was stopped, until somebody continues it.
pub fn stop_self() {
    // SAFETY: raise(3) takes no pointers.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Keeps the process alive when the thread that started it ends (prctl(2) `PR_SET_PDEATHSIG` off).
pub fn outlive_caller() {
    // SAFETY: prctl(2) with integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
}

/// Ends the process when the thread that started it ends.
pub fn die_with_caller() {
    // SAFETY: prctl(2) with integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Signals that a command passes on to the program that it runs.
pub const RELAYED: [i32; 8] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCONT,
];

/// Passes signals that reach this process on to a child while it lasts.
///
/// Those that a terminal makes of what is typed reach the child by themselves, as a member of the foreground process
/// group; they are ignored here.
#[derive(Debug)]
pub struct Relay(());

/// The child; 0 while there is none.
static RELAY_TO: AtomicI32 = AtomicI32::new(0);
/// Signals that came before the child, a bit each.
static PENDING: AtomicU64 = AtomicU64::new(0);

impl Relay {
    /// Holds [`RELAYED`] back from now on, for a child that is about to be started.
    #[must_use]
    pub fn begin() -> Self {
        extern "C" fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
            // SAFETY: the kernel hands over a valid `info` (SA_SIGINFO). SI_KERNEL: of the terminal (sigaction(2)).
            let is_typed = unsafe { (*info).si_code } == libc::SI_KERNEL;
            if is_typed && signal != libc::SIGHUP {
                return;
            }
            match RELAY_TO.load(Ordering::SeqCst) {
                0 => {
                    PENDING.fetch_or(1 << signal, Ordering::SeqCst);
                }
                // SAFETY: kill(2) is async-signal-safe; the process is our child.
                pid => unsafe {
                    libc::kill(pid, signal);
                },
            }
        }
        for signal in RELAYED {
            // SAFETY: an all-zero `sigaction` is valid; the handler makes one async-signal-safe call.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = pass_on as *const () as libc::sighandler_t;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            }
        }
        Self(())
    }

    /// Passes them on to this child. The relay ends as soon as that has been reaped.
    pub fn to(&self, pid: u32) {
        RELAY_TO.store(pid.cast_signed(), Ordering::SeqCst);
        let pending = PENDING.swap(0, Ordering::SeqCst);
        for signal in RELAYED.into_iter().filter(|signal| pending & (1 << signal) != 0) {
            // SAFETY: kill(2) takes no pointers.
            unsafe { libc::kill(pid.cast_signed(), signal) };
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        RELAY_TO.store(0, Ordering::SeqCst);
        ignore(&RELAYED, false);
    }
}

//! Children without the standard library's bookkeeping: whatever is orphaned below us becomes ours to reap.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// A process id.
pub type Pid = libc::pid_t;

/// Starts programs and reaps everything that ends below this process.
#[derive(Debug, Default)]
pub struct Children {
    ended: HashMap<Pid, i32>,
}

/// A program with its environment, ready for execve(2).
#[derive(Debug)]
pub struct Program {
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// The words of a command, in this process's environment.
    #[must_use]
    pub fn new<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Self {
        let text = |bytes: &[u8]| CString::new(bytes).expect("no zero bytes in words and environment");
        let argv = words.into_iter().map(|word| text(word.as_ref().as_bytes())).collect();
        let entry = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            text(&[name.as_bytes(), b"=", value.as_bytes()].concat())
        };
        Self { argv, env: std::env::vars_os().map(entry).collect() }
    }

    /// Executes the program in the calling process, its input `/dev/null` and its output to `output`.
    pub fn execute(&self, output: &OwnedFd) -> ! {
        let pointers = |texts: &[CString]| {
            texts.iter().map(|t| t.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
        };
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        // SAFETY: the pointers name zero-terminated arrays of zero-terminated texts; descriptors are integers.
        unsafe {
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
            libc::dup2(null, 0);
            libc::dup2(output.as_raw_fd(), 1);
            libc::dup2(output.as_raw_fd(), 2);
            libc::execve(argv[0], argv.as_ptr(), env.as_ptr());
            libc::_exit(127)
        }
    }
}

/// fork(2) for a process with one thread: the child may do anything. None in the child.
///
/// # Errors
/// Those of fork(2).
pub fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this program never has a second thread, so no lock is held by one that the child lacks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid)),
    }
}

/// Ends a process.
pub fn kill(pid: Pid) {
    // SAFETY: kill(2) takes integers; the process is a descendant that nobody but us reaps.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Ends the calling process without anything else.
pub fn exit(code: i32) -> ! {
    // SAFETY: takes an integer.
    unsafe { libc::_exit(code) }
}

impl Children {
    /// Makes this process the parent of all orphans below it (prctl(2) `PR_SET_CHILD_SUBREAPER`).
    #[must_use]
    pub fn adopting() -> Self {
        // SAFETY: prctl(2) with integers.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
        Self::default()
    }

    /// Starts a program.
    ///
    /// # Errors
    /// Those of fork(2).
    pub fn start(&mut self, program: &Program, output: &OwnedFd) -> io::Result<Pid> {
        match fork()? {
            Some(pid) => {
                self.ended.remove(&pid);
                Ok(pid)
            }
            None => program.execute(output),
        }
    }

    /// Reaps all that have ended.
    pub fn reap(&mut self) {
        let mut status = 0;
        loop {
            // SAFETY: the pointer names `status`.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
            if pid <= 0 {
                return;
            }
            self.ended.insert(pid, status);
        }
    }

    /// Waits for the end of a child, own or adopted, and takes its wait status; none when time is over.
    pub fn wait(&mut self, pid: Pid, time: Duration) -> Option<i32> {
        let until = Instant::now() + time;
        loop {
            self.reap();
            if let Some(status) = self.ended.remove(&pid) {
                return Some(status);
            }
            if Instant::now() > until {
                return None;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Waits until a process is gone, whoever reaped it (the tracer does that with its own victims).
    pub fn wait_gone(&mut self, pid: Pid, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            self.reap();
            if self.ended.remove(&pid).is_some() || !std::path::Path::new(&format!("/proc/{pid}")).exists() {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Forgets how processes ended whose numbers may come again.
    pub fn forget(&mut self) {
        self.ended.clear();
    }
}

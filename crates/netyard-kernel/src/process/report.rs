//! How a child tells why its program did not start: through a pipe that executing closes.

use std::io::{self, Read};
use std::os::fd::RawFd;

/// Both ends of the pipe that a child reports by, as it inherits them.
pub(super) struct ReportPipe {
    pub(super) reader: RawFd,
    pub(super) writer: RawFd,
}

/// What a child tells before it executes its program: the stage that failed and the errno.
#[repr(C)]
pub(super) struct Report {
    pub(super) stage: i32,
    pub(super) errno: i32,
    pub(super) pid: u32,
}

const STAGES: [&str; 8] = [
    "enter the lab's namespaces",
    "start a process in the lab",
    "arrange the mounts",
    "enter the lab's inner user namespace",
    "enter the node's network namespace",
    "set the host name",
    "execute the program",
    "arrange the standard streams",
];
pub(super) const STAGE_EXECUTE: i32 = 6;

/// Why a program did not start.
#[derive(Debug)]
pub struct LaunchError {
    /// What was being done, as a verb phrase.
    pub doing: &'static str,
    /// What the kernel said.
    pub source: io::Error,
    /// Whether the namespaces were fine and the program itself could not be executed.
    pub is_program: bool,
}

impl From<io::Error> for LaunchError {
    fn from(source: io::Error) -> Self {
        Self { doing: "start a program", source, is_program: false }
    }
}

/// # Safety
/// For a freshly forked child: ends it.
pub(super) unsafe fn fail(report: RawFd, stage: i32) -> ! {
    // SAFETY: reads this thread's errno, writes to an open pipe, ends the child.
    unsafe {
        let errno = *libc::__errno_location();
        tell(report, &Report { stage, errno, pid: 0 });
        libc::_exit(127)
    }
}

/// # Safety
/// `fd` is an open pipe.
pub(super) unsafe fn tell(fd: RawFd, report: &Report) {
    // SAFETY: the pointer and length name `report`, which has no padding: three 32-bit fields.
    unsafe { libc::write(fd, std::ptr::from_ref(report).cast(), size_of::<Report>()) };
}

/// Reads until the pipe closes, which executing does. The pid is that of the go-between's sibling, if there is one.
pub(super) fn read_reports(reports: &mut io::PipeReader) -> Result<Option<u32>, LaunchError> {
    let mut bytes = Vec::new();
    reports.read_to_end(&mut bytes)?;
    let mut pid = None;
    let mut failure = None;
    // The sibling may have failed before the go-between had told of it.
    for report in bytes.chunks_exact(size_of::<Report>()) {
        let word = |at: usize| [report[at], report[at + 1], report[at + 2], report[at + 3]];
        match i32::from_ne_bytes(word(0)) {
            -1 => pid = Some(u32::from_ne_bytes(word(8))),
            stage => failure = Some((stage, i32::from_ne_bytes(word(4)))),
        }
    }
    if let Some((stage, errno)) = failure {
        if let Some(pid) = pid {
            // The sibling is our child too: unreaped it would keep the lab's pid namespace.
            // SAFETY: waits for our own child without asking for its status.
            unsafe { libc::waitpid(pid.cast_signed(), std::ptr::null_mut(), libc::__WALL) };
        }
        let doing = usize::try_from(stage).ok().and_then(|s| STAGES.get(s)).unwrap_or(&STAGES[1]);
        let source = io::Error::from_raw_os_error(errno);
        return Err(LaunchError { doing, source, is_program: stage == STAGE_EXECUTE });
    }
    Ok(pid)
}

//! The first process of a node that has files and processes of its own.

use super::fork::{clone3, reset_signals};
use super::launch::Mount;
use super::report::{LaunchError, fail, read_reports};
use super::room::{Own, Room};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// What a node's first process arranges.
#[derive(Debug)]
pub struct NodePlan {
    /// Mounts that make up the node's root file system, at and below [`NodePlan::root`].
    pub mounts: Vec<Mount>,
    /// The folder that becomes `/`; a mount of its own when all mounts are made.
    pub root: CString,
    /// The host name.
    pub hostname: String,
}

/// Parts of the caller's memory that a node's first process gives up: what it shares with the caller would be copied
/// for it as soon as the caller writes there.
#[derive(Debug, Default)]
pub struct Ballast {
    ranges: Vec<(usize, usize)>,
    /// Where the words are that the caller was executed with: the child is not the caller, and tells so.
    words: Option<(usize, usize)>,
}

impl Ballast {
    /// The heap and all other memory without a file behind it, but for the calling thread's stack and its own memory: there
    /// the kernel notes where the thread runs (rseq(2)), and ends a process in which it cannot.
    #[must_use]
    pub fn of_self() -> Self {
        let on_stack = 0u8;
        let stack = (&raw const on_stack).addr();
        // SAFETY: it tells an address. `errno` lies in the thread's own memory, beside what the C library has registered.
        let own = unsafe { libc::__errno_location() }.addr();
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let is_given_up =
            |range: &(usize, usize)| ![stack, own].iter().any(|at| (range.0..range.1).contains(at));
        let ranges = maps.lines().filter_map(range_without_file).filter(is_given_up).collect();
        Self { ranges, words: words_of_self() }
    }
}

/// The addresses of the caller's arguments (proc(5), fields `arg_start` and `arg_end` of `/proc/PID/stat`).
fn words_of_self() -> Option<(usize, usize)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The third field follows the name, which may have blanks in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(48 - 3);
    let words = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    (words.0 > 0 && words.0 < words.1).then_some(words)
}

/// The range of a line of `/proc/PID/maps`, when it is private, writable, and of no file (proc(5)).
fn range_without_file(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let is_writable = words.next()?.starts_with("rw-p");
    let is_of_file = words.nth(2)? != "0" || words.next().is_some_and(|name| name != "[heap]");
    let range = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
    (is_writable && !is_of_file).then_some(range)
}

/// Pid 1 of a node. Its end is the end of all processes of the node (pid_namespaces(7)).
#[derive(Debug)]
pub struct NodeProcess {
    /// Its process id as the caller sees it.
    pub pid: u32,
    /// Refers to it.
    pub pidfd: OwnedFd,
    /// Its namespaces, for programs to come.
    pub room: Room,
    /// Its root folder: paths are looked up from there with `RESOLVE_IN_ROOT` (openat2(2)).
    pub root: OwnedFd,
}

impl NodePlan {
    /// Forks pid 1 of a node: it arranges the mounts with the caller's privileges, leaves everything else behind
    /// (pivot_root(2)), and locks what it has made by entering the user namespace of programs and making its mount
    /// namespace once more from there. From then on it waits; its children are reaped by the kernel.
    ///
    /// It executes nothing: what it needs of memory is the caller's, shared. All its descriptors are closed, and no other
    /// process of the node can look into it. For the holder.
    ///
    /// # Errors
    /// [`LaunchError`] with the stage that failed; nothing runs then.
    pub fn start(
        &self,
        user: Option<BorrowedFd<'_>>,
        net: BorrowedFd<'_>,
        ballast: &Ballast,
    ) -> Result<NodeProcess, LaunchError> {
        let (mut reports, report) = io::pipe()?;
        let (reader, writer) = (reports.as_raw_fd(), report.as_raw_fd());
        let mut pidfd: RawFd = -1;
        // SAFETY: without CLONE_VM the child has a copy of this memory; it makes system calls only.
        let pid = unsafe { clone3(libc::CLONE_NEWPID, &raw mut pidfd) }?;
        if pid == 0 {
            // SAFETY: as above.
            unsafe {
                libc::close(reader);
                self.arrange(user, net, ballast, writer);
                rest(ballast)
            }
        }
        // SAFETY: clone3 has put a fresh descriptor there.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        drop(report);
        let started = read_reports(&mut reports).and_then(|_| {
            let open = |name: &str| fs::File::open(format!("/proc/{pid}/ns/{name}")).map(OwnedFd::from);
            let own = Own { pid: open("pid")?, ipc: open("ipc")?, cgroup: open("cgroup")? };
            let room = Room { mounts: open("mnt")?, uts: open("uts")?, own: Some(own) };
            Ok((room, fs::File::open(format!("/proc/{pid}/root"))?.into()))
        });
        match started {
            Ok((room, root)) => Ok(NodeProcess { pid, pidfd, room, root }),
            Err(error) => {
                let _ = super::kill(pidfd.as_fd());
                let _ = super::reap(pidfd.as_fd());
                Err(error)
            }
        }
    }

    /// # Safety
    /// For a freshly forked child: system calls only, no allocation.
    unsafe fn arrange(
        &self,
        user: Option<BorrowedFd<'_>>,
        net: BorrowedFd<'_>,
        ballast: &Ballast,
        report: RawFd,
    ) {
        // SAFETY: system calls on memory that was there before the fork.
        unsafe {
            libc::setsid();
            // First the network: `/sys` shows the links of whoever mounts it.
            if libc::setns(net.as_raw_fd(), libc::CLONE_NEWNET) < 0 {
                fail(report, 4);
            }
            if libc::unshare(libc::CLONE_NEWNS) < 0
                || crate::mount::arrange(&self.mounts).is_err()
                || leave_all_but(&self.root) < 0
            {
                fail(report, 2);
            }
            if let Some(user) = user
                && libc::setns(user.as_raw_fd(), libc::CLONE_NEWUSER) < 0
            {
                fail(report, 3);
            }
            let own = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWCGROUP;
            if libc::unshare(own) < 0 {
                fail(report, 3);
            }
            if libc::sethostname(self.hostname.as_ptr().cast(), self.hostname.len()) < 0 {
                fail(report, 5);
            }
            // After the last change of credentials, which may set it again.
            libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
            libc::prctl(libc::PR_SET_NAME, c"init".as_ptr());
            if let Some((from, to)) = ballast.words {
                let name = b"init";
                let words: *mut u8 = std::ptr::with_exposed_provenance_mut(from);
                libc::memset(words.cast(), 0, to - from);
                libc::memcpy(words.cast(), name.as_ptr().cast(), name.len().min(to - from - 1));
            }
            reset_signals();
            // Ended children are gone at once.
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            // The report among them: that tells that all is arranged.
            libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        }
    }
}

/// Gives up memory, and waits until it is killed.
///
/// # Safety
/// For a process that nothing is ever to be done in any more: system calls only, without the C library, whose own
/// memory is given up too.
unsafe fn rest(ballast: &Ballast) -> ! {
    // The list is in what is given up: a page at a time is copied to the stack.
    let mut some = [(0, 0); RANGES_MAX];
    let count = ballast.ranges.len().min(RANGES_MAX);
    some[..count].copy_from_slice(&ballast.ranges[..count]);
    for (from, to) in &some[..count] {
        // SAFETY: as the caller says.
        unsafe { raw_syscall(libc::SYS_munmap, *from, to - from) };
    }
    loop {
        // SAFETY: without descriptors and time ppoll(2) waits for signals, of which none has a handler.
        unsafe { raw_syscall(libc::SYS_ppoll, 0, 0) };
    }
}

/// The most ranges that are given up.
const RANGES_MAX: usize = 128;

/// A system call with two arguments, the others being zero; its result is not looked at.
///
/// # Safety
/// Of the call.
unsafe fn raw_syscall(number: libc::c_long, first: usize, second: usize) {
    // SAFETY: as the caller says; the kernel changes no more registers than these.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => _,
            in("rdi") first,
            in("rsi") second,
            in("rdx") 0usize,
            in("r10") 0usize,
            in("r8") 0usize,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") first => _,
            in("x1") second,
            in("x2") 0usize,
            in("x3") 0usize,
            in("x4") 0usize,
            options(nostack),
        );
    }
    // Elsewhere the C library keeps its memory.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    unsafe {
        if number != libc::SYS_munmap {
            libc::syscall(number, first, second, 0, 0, 0);
        }
    }
}

/// Makes a mount the root of the mount namespace, and takes all others out of it. -1 and the errno on failure.
///
/// # Safety
/// System calls only, no allocation.
unsafe fn leave_all_but(root: &CString) -> libc::c_long {
    let here = c".".as_ptr();
    // SAFETY: zero-terminated texts. The old root comes to lie on the new one, where `.` names it (pivot_root(2)).
    unsafe {
        if libc::chdir(root.as_ptr()) < 0 || libc::syscall(libc::SYS_pivot_root, here, here) < 0 {
            return -1;
        }
        if libc::umount2(here, libc::MNT_DETACH) < 0 {
            return -1;
        }
        libc::chdir(c"/".as_ptr()).into()
    }
}

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
    /// It executes nothing, so that its memory is the caller's, shared. All its descriptors are closed, and no other
    /// process of the node can look into it. For the holder.
    ///
    /// # Errors
    /// [`LaunchError`] with the stage that failed; nothing runs then.
    pub fn start(
        &self,
        user: Option<BorrowedFd<'_>>,
        net: BorrowedFd<'_>,
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
                self.arrange(user, net, writer);
                rest()
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
    unsafe fn arrange(&self, user: Option<BorrowedFd<'_>>, net: BorrowedFd<'_>, report: RawFd) {
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
            reset_signals();
            // Ended children are gone at once.
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            // The report among them: that tells that all is arranged.
            libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        }
    }
}

/// Waits until it is killed.
fn rest() -> ! {
    loop {
        // SAFETY: pause(2) takes nothing.
        unsafe { libc::pause() };
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

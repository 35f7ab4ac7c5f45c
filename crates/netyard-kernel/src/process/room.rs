//! Mounts and a host name that are arranged once, for any number of programs.

use super::report::{LaunchError, fail, read_reports};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A mount namespace and a uts namespace, arranged and locked, for any number of programs.
///
/// Making and taking apart a mount namespace costs milliseconds; entering one costs microseconds.
#[derive(Debug)]
pub struct Room {
    /// The mount namespace; it belongs to the user namespace of the programs.
    pub mounts: OwnedFd,
    /// The uts namespace.
    pub uts: OwnedFd,
    /// What a node with processes of its own has besides.
    pub own: Option<Own>,
}

/// More namespaces of a room, for a node with processes of its own ([`super::NodePlan`]).
#[derive(Debug)]
pub struct Own {
    /// The pid namespace.
    pub pid: OwnedFd,
    /// The ipc namespace.
    pub ipc: OwnedFd,
    /// The cgroup namespace.
    pub cgroup: OwnedFd,
}

impl Own {
    /// The same namespaces once more.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { pid: self.pid.try_clone()?, ipc: self.ipc.try_clone()?, cgroup: self.cgroup.try_clone()? })
    }
}

impl Room {
    /// The same namespaces once more.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn try_clone(&self) -> io::Result<Self> {
        let own = self.own.as_ref().map(Own::try_clone).transpose()?;
        Ok(Self { mounts: self.mounts.try_clone()?, uts: self.uts.try_clone()?, own })
    }

    /// A room that shows these trees of mounts ([`crate::mount::id_mapped`]) at these folders besides. What is mounted
    /// below a shared folder of one is seen in the other too. `user` is the user namespace of the programs. For the
    /// holder.
    ///
    /// # Errors
    /// [`LaunchError`] with the stage that failed.
    pub fn furnished(
        &self,
        user: Option<BorrowedFd<'_>>,
        folders: &[(OwnedFd, CString)],
    ) -> Result<Self, LaunchError> {
        // SAFETY: system calls only, on memory that was there before the fork.
        unsafe {
            Self::arranged_by(&|report| {
                enter_room(self, user, report);
                show_folders(folders, report);
            })
        }
    }

    /// The namespaces of a child that has arranged them.
    ///
    /// # Safety
    /// `arrange` runs in a freshly forked child: system calls only, no allocation. It reports failures to the
    /// descriptor that it gets.
    pub(super) unsafe fn arranged_by(arrange: &dyn Fn(RawFd)) -> Result<Self, LaunchError> {
        let (mut reports, report) = io::pipe()?;
        let (wait, go) = io::pipe()?;
        let (report_fd, wait_fd, go_fd) = (report.as_raw_fd(), wait.as_raw_fd(), go.as_raw_fd());
        // SAFETY: the child makes system calls only and ends with `_exit`.
        let child = unsafe { libc::fork() };
        if child < 0 {
            return Err(io::Error::last_os_error().into());
        }
        if child == 0 {
            // SAFETY: as above. It waits until its namespaces are taken, or its maker is gone.
            unsafe {
                libc::close(go_fd);
                arrange(report_fd);
                libc::close(report_fd);
                let mut byte = 0u8;
                libc::read(wait_fd, (&raw mut byte).cast(), 1);
                libc::_exit(0)
            }
        }
        drop((report, wait));
        let arranged = read_reports(&mut reports).and_then(|_| {
            let open = |name: &str| fs::File::open(format!("/proc/{child}/ns/{name}")).map(OwnedFd::from);
            Ok(Self { mounts: open("mnt")?, uts: open("uts")?, own: None })
        });
        drop(go);
        // SAFETY: waits for our own child without asking for its status.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        arranged
    }
}

/// Enters a room.
///
/// # Safety
/// For a freshly forked child: system calls only.
pub(super) unsafe fn enter_room(room: &Room, user: Option<BorrowedFd<'_>>, report: RawFd) {
    // SAFETY: system calls with open descriptors.
    unsafe {
        if libc::setns(room.uts.as_raw_fd(), libc::CLONE_NEWUTS) < 0 {
            fail(report, 5);
        }
        if let Some(own) = &room.own
            && (libc::setns(own.ipc.as_raw_fd(), libc::CLONE_NEWIPC) < 0
                || libc::setns(own.cgroup.as_raw_fd(), libc::CLONE_NEWCGROUP) < 0)
        {
            fail(report, 0);
        }
        if let Some(user) = user
            && libc::setns(user.as_raw_fd(), libc::CLONE_NEWUSER) < 0
        {
            fail(report, 3);
        }
        if libc::setns(room.mounts.as_raw_fd(), libc::CLONE_NEWNS) < 0 {
            fail(report, 2);
        }
    }
}

/// Shows trees of mounts in a mount namespace of the caller's own.
///
/// # Safety
/// For a freshly forked child: system calls only.
pub(super) unsafe fn show_folders(folders: &[(OwnedFd, CString)], report: RawFd) {
    // SAFETY: open descriptors and zero-terminated texts.
    unsafe {
        if !folders.is_empty() && libc::unshare(libc::CLONE_NEWNS) < 0 {
            fail(report, 2);
        }
        for (tree, target) in folders {
            if crate::mount::move_tree(tree.as_raw_fd(), target) < 0 {
                fail(report, 2);
            }
        }
    }
}

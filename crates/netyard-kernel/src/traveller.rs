//! One thread that goes from network namespace to network namespace.
//!
//! A thread for each namespace would cost 30 to 60 us; going on costs about 1 us (setns(2)).

use crate::sysctl::Tree;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

/// The thread; what it opens in a namespace belongs to that namespace.
#[derive(Debug)]
pub struct Traveller {
    at: Option<RawFd>,
    sysctls: Option<Tree>,
    /// Namespaces that `sysctls` was used in.
    seen: usize,
    /// It stands for the thread that it was made on.
    stays: PhantomData<*const ()>,
}

impl Traveller {
    /// Runs `f` on a fresh thread that may travel. The caller's own thread stays where it is.
    ///
    /// # Errors
    /// Those of starting a thread.
    ///
    /// # Panics
    /// When `f` does.
    pub fn run<R: Send>(f: impl FnOnce(&mut Traveller) -> R + Send) -> io::Result<R> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, || {
                f(&mut Traveller { at: None, sysctls: None, seen: 0, stays: PhantomData })
            })?;
            match thread.join() {
                Ok(result) => Ok(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Sees the files of a mount namespace from now on, with `cwd` as working folder where that is there.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN` in the user namespace that owns it.
    ///
    /// Same as `nsenter --mount=FILE --wd=CWD`.
    pub fn enter_mounts(&mut self, mounts: BorrowedFd<'_>, cwd: &Path) -> io::Result<()> {
        // SAFETY: unshare(2) takes no pointers; the thread alone gets a root and a working folder of its own.
        if unsafe { libc::unshare(libc::CLONE_FS) } < 0 {
            return Err(io::Error::last_os_error());
        }
        rustix::thread::move_into_link_name_space(mounts, Some(rustix::thread::LinkNameSpaceType::Mount))?;
        let _ = rustix::process::chdir(cwd);
        Ok(())
    }

    /// Goes into a network namespace, and stays there until the next call.
    ///
    /// Call [`Traveller::forget`] when the descriptor was closed: another one may get its number.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN` in the user namespace that owns it.
    ///
    /// Same as `nsenter --net=FILE`.
    pub fn enter(&mut self, ns: BorrowedFd<'_>) -> io::Result<()> {
        if self.at == Some(ns.as_raw_fd()) {
            return Ok(());
        }
        self.at = None;
        rustix::thread::move_into_link_name_space(
            ns.as_fd(),
            Some(rustix::thread::LinkNameSpaceType::Network),
        )?;
        self.at = Some(ns.as_raw_fd());
        self.seen += 1;
        Ok(())
    }

    /// The sysctls of the namespace that the thread is in.
    ///
    /// # Errors
    /// Those of opening `/proc/sys`.
    pub fn sysctls(&mut self) -> io::Result<&Tree> {
        if self.seen > Tree::NAMESPACES_MAX {
            self.sysctls = None;
            self.seen = 0;
        }
        match &mut self.sysctls {
            Some(tree) => Ok(tree),
            none => Ok(none.insert(Tree::open()?)),
        }
    }

    /// Forgets where the thread is, so that the next call enters whatever it is.
    pub fn forget(&mut self) {
        self.at = None;
    }
}

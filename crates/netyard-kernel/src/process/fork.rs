//! What forked children do before they execute a program: system calls, and nothing that allocates.

use std::io;
use std::os::fd::RawFd;

/// fork(2) with namespaces and a pid fd. Returns 0 in the child.
///
/// # Safety
/// The child may make only async-signal-safe calls until it executes a program or ends.
pub(super) unsafe fn clone3(flags: i32, pidfd: *mut RawFd) -> io::Result<u32> {
    // SAFETY: an all-zero `clone_args` is valid; the kernel writes one descriptor to `pidfd`.
    let done = unsafe {
        let mut args: libc::clone_args = std::mem::zeroed();
        args.flags = u64::from(flags.unsigned_abs());
        if !pidfd.is_null() {
            args.flags |= u64::from(libc::CLONE_PIDFD.unsigned_abs());
            args.pidfd = pidfd as u64;
        }
        if flags & libc::CLONE_PARENT == 0 {
            args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
        }
        libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>())
    };
    u32::try_from(done).map_err(|_| io::Error::last_os_error())
}

/// Takes user and group 0 of the calling process's user namespace. Where it has them already, or has no others,
/// nothing changes.
///
/// # Safety
/// For single-threaded processes (a forked child): the change is that of the calling thread only.
pub(crate) unsafe fn become_root_of_namespace() {
    // SAFETY: no pointers but the null list of no groups.
    unsafe {
        libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>());
        libc::syscall(libc::SYS_setresgid, 0, 0, 0);
        libc::syscall(libc::SYS_setresuid, 0, 0, 0);
    }
}

/// Default actions and an empty mask: Rust ignores SIGPIPE, and callers may block what they like.
///
/// # Safety
/// For a freshly forked child.
pub(super) unsafe fn reset_signals() {
    // SAFETY: valid signal numbers and a set on this frame.
    unsafe {
        let changed =
            [libc::SIGPIPE, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP, libc::SIGTTOU];
        for signal in changed.into_iter().chain([libc::SIGCHLD]) {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

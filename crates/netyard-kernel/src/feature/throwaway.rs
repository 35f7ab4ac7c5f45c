//! A namespace to try things in, of a child process that ends when they have been tried.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

/// Why there is no namespace to try things in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// What was refused.
    pub stage: Stage,
    /// The error number (errno(3)); 0 for [`Stage::Child`].
    pub errno: i32,
}

/// The steps to a namespace of one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// fork(2)
    Fork,
    /// unshare(2) with `CLONE_NEWUSER`
    UserNamespace,
    /// Writing `/proc/self/uid_map` and `gid_map`.
    IdMap,
    /// unshare(2) with `CLONE_NEWNET`
    NetworkNamespace,
    /// The child ended before it had an answer.
    Child,
}

impl Stage {
    const ALL: [Self; 5] =
        [Self::Fork, Self::UserNamespace, Self::IdMap, Self::NetworkNamespace, Self::Child];
}

const ANSWERED: u8 = 0;
const REFUSED: u8 = 1;

/// Runs `work` in a child process that is root in a new user namespace and alone in a new network namespace, and
/// returns the bytes that it returns.
///
/// The caller's own namespaces are untouched, and all that `work` made is gone with the child. It works for an ordinary
/// user and for root alike. Same as `unshare -Urn`.
///
/// The child is a fork without exec: `work` may make system calls and allocate, but must not take a lock that another
/// thread of this process may hold at that moment (standard output, a mutex of the program). glibc and musl keep their
/// own allocator usable in such a child. A panic of `work` ends the child and counts as no answer.
///
/// # Errors
/// [`Refused`] tells which step the kernel refused.
pub fn in_throwaway_namespace(work: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, Refused> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| Refused { stage: Stage::Fork, errno: errno.raw_os_error() })?;
    // SAFETY: fork(2) takes no pointers. The child is a copy of this thread alone; it runs `child` only, which ends
    // in _exit(2), so that no destructor and no exit handler of the parent runs twice.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(last_refusal(Stage::Fork));
    }
    if pid == 0 {
        drop(reader);
        child(writer, work);
    }
    drop(writer);
    let mut answer = Vec::new();
    let read = File::from(reader).read_to_end(&mut answer);
    wait(pid);
    let lost = Refused { stage: Stage::Child, errno: 0 };
    match (read, answer.split_first()) {
        (Ok(_), Some((&ANSWERED, payload))) => Ok(payload.to_vec()),
        (Ok(_), Some((&REFUSED, &[stage, a, b, c, d]))) => {
            let stage = Stage::ALL.get(usize::from(stage)).copied().unwrap_or(Stage::Child);
            Err(Refused { stage, errno: i32::from_ne_bytes([a, b, c, d]) })
        }
        _ => Err(lost),
    }
}

/// The child's whole life.
fn child(writer: OwnedFd, work: impl FnOnce() -> Vec<u8>) -> ! {
    // SAFETY: prctl(2) with PR_SET_PDEATHSIG takes an integer. The child must not outlive an interrupted parent.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let mut answer = vec![ANSWERED];
    match enter() {
        Ok(()) => match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            Ok(payload) => answer.extend(payload),
            Err(_) => exit(1),
        },
        Err(Refused { stage, errno }) => {
            answer = vec![REFUSED, stage as u8];
            answer.extend(errno.to_ne_bytes());
        }
    }
    let written = File::from(writer).write_all(&answer);
    exit(i32::from(written.is_err()))
}

fn enter() -> Result<(), Refused> {
    // SAFETY: geteuid(2) and getegid(2) take nothing and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    unshare(libc::CLONE_NEWUSER, Stage::UserNamespace)?;
    // Without this a user without privilege may not map groups (user_namespaces(7)); old kernels do not have it.
    let _ = std::fs::write("/proc/self/setgroups", "deny");
    for (file, id) in [("/proc/self/uid_map", uid), ("/proc/self/gid_map", gid)] {
        std::fs::write(file, format!("0 {id} 1"))
            .map_err(|e| Refused { stage: Stage::IdMap, errno: e.raw_os_error().unwrap_or(libc::EIO) })?;
    }
    unshare(libc::CLONE_NEWNET, Stage::NetworkNamespace)
}

fn unshare(flags: i32, stage: Stage) -> Result<(), Refused> {
    // SAFETY: unshare(2) takes no pointers; it changes the calling process, which is our own child, alone.
    if unsafe { libc::unshare(flags) } == 0 { Ok(()) } else { Err(last_refusal(stage)) }
}

/// Tries, in a process below this one, whether a fresh proc can be mounted in a new pid namespace.
///
/// To be called inside [`in_throwaway_namespace`]: it changes the namespaces that the caller's children get.
///
/// # Errors
/// The error number of the refused call.
pub(super) fn try_fresh_proc() -> Result<(), i32> {
    const NEW: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
    unshare(NEW, Stage::Child).map_err(|refused| refused.errno)?;
    // SAFETY: as in `in_throwaway_namespace`; the child makes two system calls and leaves by _exit(2).
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(last_refusal(Stage::Fork).errno);
    }
    if pid == 0 {
        exit(mount_proc().err().unwrap_or(0));
    }
    match wait(pid) {
        Some(status) if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 => Ok(()),
        Some(status) if libc::WIFEXITED(status) => Err(libc::WEXITSTATUS(status)),
        _ => Err(libc::EIO),
    }
}

fn mount_proc() -> Result<(), i32> {
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let fresh = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    for (source, target, kind, flags) in
        [(c"none", c"/", c"none", private), (c"proc", c"/proc", c"proc", fresh)]
    {
        // SAFETY: the three texts end in a zero and outlive the call, and the data pointer may be null. The mount
        // namespace is our own; the first call makes it private, so that the second is seen by no one else.
        let done =
            unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) };
        if done != 0 {
            return Err(last_refusal(Stage::Child).errno);
        }
    }
    Ok(())
}

/// Waits for a child of ours and returns its status; none when someone else has waited for it.
fn wait(pid: i32) -> Option<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer names one i32 that outlives the call; `pid` is a child that we have started.
        let done = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if done == pid {
            return Some(status);
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return None;
        }
    }
}

fn exit(status: i32) -> ! {
    // SAFETY: _exit(2) takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

fn last_refusal(stage: Stage) -> Refused {
    Refused { stage, errno: std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) }
}

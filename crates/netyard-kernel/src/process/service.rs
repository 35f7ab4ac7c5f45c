//! Programs of services: as whom they run, and that their descendants can be found.

use super::fork::reset_signals;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The user and the groups of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
}

/// What a program of a service is given besides its words and environment.
#[derive(Debug, Clone, Default)]
pub struct ServiceSettings {
    /// Who it is; none to stay who one is.
    pub credentials: Option<Credentials>,
    /// Its file mode creation mask (umask(2)).
    pub umask: u32,
    /// The capabilities that it keeps although it is somebody else: the bit of each is its number (capabilities(7),
    /// "Ambient capability set"). Those that the caller does not have are left out.
    pub capabilities: u64,
    /// How many descriptors it may have open, soft and hard (setrlimit(2)); the hard limit is only lowered where it
    /// may not be raised.
    pub open_files: Option<(u64, u64)>,
}

/// Starts a program in a session of its own, with default signals, as [`ServiceSettings`] say.
///
/// Where the user namespace has given up setgroups(2), groups stay as they are.
pub fn as_service(command: &mut Command, settings: ServiceSettings) {
    let begin = move || {
        // SAFETY: in a forked child, system calls on memory that was prepared before the fork.
        unsafe {
            reset_signals();
            libc::setsid();
            libc::umask(settings.umask);
            if let Some((soft, hard)) = settings.open_files {
                limit_open_files(soft, hard);
            }
            let Some(Credentials { uid, gid, groups }) = &settings.credentials else { return Ok(()) };
            if libc::setgroups(groups.len(), groups.as_ptr()) < 0 {
                let error = io::Error::last_os_error();
                if error.raw_os_error() != Some(libc::EPERM) {
                    return Err(error);
                }
            }
            let keeps_any = settings.capabilities != 0;
            if keeps_any && libc::prctl(libc::PR_SET_KEEPCAPS, 1_usize, 0_usize, 0_usize, 0_usize) < 0 {
                return Err(io::Error::last_os_error());
            }
            if libc::setresgid(*gid, *gid, *gid) < 0 || libc::setresuid(*uid, *uid, *uid) < 0 {
                return Err(io::Error::last_os_error());
            }
            if keeps_any {
                keep_capabilities(settings.capabilities)?;
            }
        }
        Ok(())
    };
    // SAFETY: as above; the closure allocates nothing.
    unsafe { command.pre_exec(begin) };
}

/// `struct __user_cap_header_struct` (linux/capability.h).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`: 32 capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two [`CapabilityData`], the lower numbers first.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Keeps these capabilities, of those that are permitted, over the execution of a program (`PR_CAP_AMBIENT_RAISE`,
/// PR_CAP_AMBIENT(2const)), and gives up all others.
///
/// # Safety
/// System calls on this frame only.
unsafe fn keep_capabilities(wanted: u64) -> io::Result<()> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: the pointers name a header and two sets on this frame, which the version says.
    unsafe {
        if libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
        for (part, shift) in data.iter_mut().zip([0, 32]) {
            let kept = part.permitted & ((wanted >> shift) & u64::from(u32::MAX)) as u32;
            *part = CapabilityData { effective: kept, permitted: kept, inheritable: kept };
        }
        if libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
        for number in 0..64 {
            let is_kept = data[number / 32].permitted & (1 << (number % 32)) != 0;
            let raise = libc::PR_CAP_AMBIENT_RAISE as usize;
            if is_kept && libc::prctl(libc::PR_CAP_AMBIENT, raise, number, 0_usize, 0_usize) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// # Safety
/// System calls on this frame only.
unsafe fn limit_open_files(soft: u64, hard: u64) {
    // SAFETY: the pointers name limits on this frame.
    unsafe {
        let mut now: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut now);
        let wanted = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) < 0 {
            let rlim_max = hard.min(now.rlim_max);
            let lower = libc::rlimit { rlim_cur: soft.min(rlim_max), rlim_max };
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const lower);
        }
    }
}

/// Starts a program that outlives its caller: in a session of its own, without any descriptor of the caller's but the
/// standard ones that the command is given. Same as `setsid -f`, with all descriptors closed.
pub fn detached(command: &mut Command) {
    let begin = || {
        // SAFETY: in a forked child, system calls without pointers. Descriptors are not closed before the program is
        // executed, so that whoever owns them here, like the standard library's report of failures, keeps them.
        unsafe {
            reset_signals();
            libc::setsid();
            libc::umask(0o022);
            if libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: as above; the closure allocates nothing.
    unsafe { command.pre_exec(begin) };
}

/// Makes processes whose parents have ended, below the calling process, its children from now on (prctl(2),
/// `PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// None on Linux 3.4 and later.
pub fn adopt_orphans() -> io::Result<()> {
    let own = rustix::process::getpid();
    Ok(rustix::process::set_child_subreaper(Some(own))?)
}

/// Sends a signal to the process behind a pid fd. Same as `kill -SIGNAL PID`.
///
/// # Errors
/// `ESRCH` when it has ended; `EINVAL` for a number that is no signal.
pub fn send_signal(pidfd: std::os::fd::BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a descriptor that is open, a number that the kernel checks, and no further facts.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_its_own_session_mask_and_limit() {
        let mut command = Command::new("sh");
        command.args(["-c", "umask; ulimit -Sn; test $(ps -o sid= -p $$) -eq $$ && echo own"]);
        let settings =
            ServiceSettings { umask: 0o027, open_files: Some((99, 100)), ..ServiceSettings::default() };
        as_service(&mut command, settings);
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert_eq!(output, "0027\n99\nown\n");
    }

    #[test]
    fn a_detached_program_has_no_descriptors_of_its_caller() {
        let mut command = Command::new("sh");
        command.args(["-c", "ls /proc/self/fd | wc -l"]);
        let kept = std::fs::File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty()).unwrap();
        detached(&mut command);
        // Three standard ones, and the folder that is read.
        assert_eq!(String::from_utf8(command.output().unwrap().stdout).unwrap().trim(), "4");
    }
}

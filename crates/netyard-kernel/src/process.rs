//! Processes: the holder of a lab, and programs inside a lab's namespaces.

use crate::userns::IdMap;
use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// The name (`argv[0]`) under which the holder runs.
pub const HOLDER_ARGV0: &str = "netyard-holder";
/// The holder's end of the socket pair to the process that started it.
pub const HOLDER_OWNER_FD: RawFd = 3;
/// The bound socket on which the holder listens, when its second argument is `listen`.
pub const HOLDER_LISTENER_FD: RawFd = 4;

/// A process that was started, and the socket that it was given.
#[derive(Debug)]
pub struct HolderProcess {
    /// Its process id.
    pub pid: u32,
    /// Refers to it for as long as we keep this, whatever becomes of its process id.
    pub pidfd: OwnedFd,
    /// Our end of a stream socket whose other end is the holder's [`HOLDER_OWNER_FD`].
    pub owner: OwnedFd,
}

/// What [`spawn_holder`] does besides starting it.
#[derive(Debug)]
pub struct HolderOptions<'a> {
    /// A socket, bound and not yet listening, that becomes [`HOLDER_LISTENER_FD`].
    pub listener: Option<BorrowedFd<'a>>,
    /// Ids in its user namespace; none to stay in the caller's (labs that need the host's own namespaces).
    pub map: Option<IdMap>,
    /// Whether it gets a network namespace of its own; otherwise it begins in the caller's.
    pub own_netns: bool,
}

/// Starts this program once more, as pid 1 of new user, pid, mount, net, ipc, uts and cgroup namespaces.
///
/// The new process is killed when the calling thread ends, until it says otherwise by prctl(2). Its standard streams
/// are `/dev/null`, its other descriptors are closed.
/// Same as `unshare -Urpmniu --fork`.
///
/// # Errors
/// Those of clone3(2): `EPERM` or `ENOSPC` where user namespaces are not to be had; and of [`IdMap::write`].
pub fn spawn_holder(options: &HolderOptions<'_>) -> io::Result<HolderProcess> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let null = fs::File::options().read(true).write(true).open("/dev/null")?;
    let mode = if options.listener.is_some() { c"listen" } else { c"private" };
    let argv0 = CString::new(HOLDER_ARGV0).expect("a constant without zero bytes");
    let argv = [argv0.as_ptr(), mode.as_ptr(), std::ptr::null()];
    let path = CString::new(std::env::var_os("PATH").map_or_else(Vec::new, |p| {
        let mut entry = b"PATH=".to_vec();
        entry.extend_from_slice(p.as_bytes());
        entry
    }))?;
    let env = [path.as_ptr(), std::ptr::null()];

    let mut flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC;
    flags |= libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    if options.map.is_some() {
        flags |= libc::CLONE_NEWUSER;
    }
    if options.own_netns {
        flags |= libc::CLONE_NEWNET;
    }
    let fds = [Some(null.as_raw_fd()), Some(theirs.as_raw_fd()), options.listener.map(|fd| fd.as_raw_fd())];
    let mut pidfd: RawFd = -1;
    // SAFETY: without CLONE_VM the child has a copy of this memory; it makes system calls only, until execve.
    let pid = unsafe { clone3(flags, &raw mut pidfd) }?;
    if pid == 0 {
        // SAFETY: the pointers name zero-terminated arrays of zero-terminated texts prepared above.
        unsafe { become_holder(ours.as_raw_fd(), fds, &argv, &env) }
    }
    // SAFETY: clone3 has put a fresh descriptor there.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    drop(theirs);
    let started = HolderProcess { pid, pidfd, owner: ours };
    let ready = options.map.as_ref().map_or(Ok(()), |map| map.write(pid));
    match ready.and_then(|()| Ok(rustix::io::write(&started.owner, b"g")?)) {
        Ok(_) => Ok(started),
        Err(error) => {
            let _ = kill(started.pidfd.as_fd());
            let _ = reap(started.pidfd.as_fd());
            Err(error)
        }
    }
}

/// fork(2) with namespaces and a pid fd. Returns 0 in the child.
///
/// # Safety
/// The child may make only async-signal-safe calls until it executes a program or ends.
unsafe fn clone3(flags: i32, pidfd: *mut RawFd) -> io::Result<u32> {
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

/// The child of [`spawn_holder`]: waits for its id map, arranges its descriptors, and executes this program again.
///
/// # Safety
/// `argv` and `env` are zero-terminated arrays of zero-terminated texts.
unsafe fn become_holder(
    starter: RawFd,
    fds: [Option<RawFd>; 3],
    argv: &[*const libc::c_char],
    env: &[*const libc::c_char],
) -> ! {
    // SAFETY: system calls on memory that outlives them. The descriptors are first moved above the fixed numbers
    // so that none is overwritten before it is used.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // The starter may have died before that call. Then nobody has its end of the pair, and the read below ends.
        libc::close(starter);
        libc::setsid();
        let mut byte = 0u8;
        let high = fds.map(|fd| fd.map_or(-1, |fd| libc::fcntl(fd, libc::F_DUPFD, 10)));
        let [null, owner, listener] = high;
        if libc::read(owner, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(1);
        }
        become_root_of_namespace();
        for target in 0..3 {
            libc::dup2(null, target);
        }
        libc::dup2(owner, HOLDER_OWNER_FD);
        let last = if listener >= 0 { libc::dup2(listener, HOLDER_LISTENER_FD) } else { HOLDER_OWNER_FD };
        libc::syscall(libc::SYS_close_range, last + 1, u32::MAX, 0);
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::execve(c"/proc/self/exe".as_ptr(), argv.as_ptr(), env.as_ptr());
        libc::_exit(1)
    }
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

/// Ends the process at once. Same as `kill -9`.
///
/// # Errors
/// `ESRCH` when it has been reaped.
pub fn kill(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL)?)
}

/// Waits until the process has ended, ours or not; `false` when `limit` is over first.
///
/// # Errors
/// Those of poll(2).
pub fn wait_gone(pidfd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
    let ready = rustix::io::retry_on_intr(|| {
        poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], Some(&timeout))
    })?;
    Ok(ready > 0)
}

/// Waits for the end of a child of ours and returns its wait status (waitpid(2)); `None` when it is not our child.
///
/// # Errors
/// Those of waitid(2).
pub fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    match rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED)) {
        Ok(Some(status)) => Ok(Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, Some(signal)) => ExitStatus::Signal(signal),
            (None, None) => ExitStatus::Code(0),
        })),
        Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl ExitStatus {
    /// The code that a shell shows: 128 and the number for a signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// One change to the mounts of a program before it starts, in the order given.
#[derive(Debug, Clone)]
pub enum Mount {
    /// Shows `source` at `target`. Same as `mount --bind`.
    Bind {
        /// Existing file or folder.
        source: CString,
        /// Existing file or folder of the same sort.
        target: CString,
    },
    /// An empty file system in memory. Same as `mount -t tmpfs -o OPTIONS`.
    Tmpfs {
        /// Existing folder.
        target: CString,
        /// Options such as `size=64m,mode=0755`.
        options: CString,
    },
    /// Everything below is read-only. Same as `mount -o remount,ro`, recursively (mount_setattr(2)).
    ReadOnly {
        /// Existing folder.
        target: CString,
    },
    /// Shows the links of the program's own network namespace below `/sys/class/net`. Same as
    /// `mount -t sysfs sysfs /sys`. Where that is refused, `/sys` stays as it is.
    Sysfs,
    /// Keeps a copy of the mounts at `source` aside, and shows it at `target` once all else is done. For a folder
    /// inside one that gets covered.
    Keep {
        /// Existing folder.
        source: CString,
        /// The same or another folder; made where it is missing.
        target: CString,
        /// Whether the copy is read-only.
        is_read_only: bool,
    },
}

/// A program to start inside a lab.
#[derive(Debug, Default)]
pub struct Launch {
    /// Program (searched in `PATH` of `env`) and arguments.
    pub argv: Vec<CString>,
    /// `NAME=VALUE`, all of it.
    pub env: Vec<CString>,
    /// Working folder; `/` where it is not to be reached.
    pub cwd: Option<CString>,
    /// Mounts of its own mount namespace.
    pub mounts: Vec<Mount>,
    /// Host name of its own uts namespace.
    pub hostname: Option<String>,
    /// Standard input, output and error; the caller's own where none is given.
    pub stdio: [Option<OwnedFd>; 3],
    /// Whether it is killed when the calling thread ends.
    pub dies_with_caller: bool,
    /// Whether it can gain no privileges by executing (prctl(2) `PR_SET_NO_NEW_PRIVS`).
    pub no_new_privs: bool,
    /// Whether it gets a session of its own, without a terminal.
    pub new_session: bool,
    /// Whether setgroups(2) succeeds for it and changes nothing, for programs that must give up root in a user
    /// namespace that has given up setgroups(2).
    pub grants_setgroups: bool,
}

/// The namespaces of a lab that a program is started in.
#[derive(Debug)]
pub struct Doors<'a> {
    /// The lab's holder, for callers outside of the lab: its user, pid, mount, ipc and cgroup namespaces are
    /// entered. None for the holder itself.
    pub holder: Option<BorrowedFd<'a>>,
    /// The user namespace of the lab's programs; none in labs without user namespaces.
    pub user: Option<BorrowedFd<'a>>,
    /// The network namespace.
    pub net: Option<BorrowedFd<'a>>,
    /// Mounts and host name that are arranged already; those of the [`Launch`] are not looked at then.
    pub room: Option<&'a Room>,
}

/// A mount namespace and a uts namespace, arranged and locked, for any number of programs.
///
/// Making and taking apart a mount namespace costs milliseconds; entering one costs microseconds.
#[derive(Debug)]
pub struct Room {
    /// The mount namespace; it belongs to the user namespace of the programs.
    pub mounts: OwnedFd,
    /// The uts namespace.
    pub uts: OwnedFd,
}

impl Room {
    /// The same namespaces once more.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { mounts: self.mounts.try_clone()?, uts: self.uts.try_clone()? })
    }
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    /// Its process id as the caller sees it.
    pub pid: u32,
    /// Refers to it.
    pub pidfd: OwnedFd,
}

/// Both ends of the pipe that a child reports by, as it inherits them.
struct ReportPipe {
    reader: RawFd,
    writer: RawFd,
}

/// What a child tells before it executes its program: the stage that failed and the errno.
#[repr(C)]
struct Report {
    stage: i32,
    errno: i32,
    pid: u32,
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
const STAGE_EXECUTE: i32 = 6;

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

impl Launch {
    /// Starts the program behind the doors.
    ///
    /// It is a child of the caller even when it lives in another pid namespace. Mounts are arranged with the
    /// privileges of the holder and locked before the program runs: in its own user namespace it can undo none.
    ///
    /// # Errors
    /// [`LaunchError`] with the stage that failed; nothing runs then.
    pub fn start(&self, doors: &Doors<'_>) -> Result<Running, LaunchError> {
        let prepared = Prepared::new(self);
        let (mut reports, report) = io::pipe()?;
        let pipe = ReportPipe { reader: reports.as_raw_fd(), writer: report.as_raw_fd() };
        let holder = doors.holder.map(|fd| fd.as_raw_fd());
        // SAFETY: the child makes system calls only, on memory prepared above, until it executes or ends.
        let child = unsafe { libc::fork() };
        if child < 0 {
            return Err(io::Error::last_os_error().into());
        }
        if child == 0 {
            // SAFETY: as above.
            unsafe { self.child(&prepared, doors, holder, &pipe) }
        }
        drop(report);
        let outcome = read_reports(&mut reports);
        let pid = outcome.as_ref().map_or(child.unsigned_abs(), |pid| pid.unwrap_or(child.unsigned_abs()));
        if holder.is_some() || outcome.is_err() {
            // The go-between, or a child that failed: it has ended, or is about to.
            // SAFETY: waits for our own child without asking for its status.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        }
        outcome?;
        let raw =
            i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or(io::ErrorKind::NotFound);
        let raw = raw.map_err(|kind| LaunchError::from(io::Error::from(kind)))?;
        let pidfd = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty());
        Ok(Running { pid, pidfd: pidfd.map_err(|e| LaunchError::from(io::Error::from(e)))? })
    }

    /// The child: with a holder to enter it is a go-between that starts the program as its own sibling.
    ///
    /// # Safety
    /// Runs in a freshly forked child: system calls only, no allocation.
    unsafe fn child(
        &self,
        prepared: &Prepared,
        doors: &Doors<'_>,
        holder: Option<RawFd>,
        pipe: &ReportPipe,
    ) -> ! {
        let report = pipe.writer;
        // SAFETY: system calls on memory prepared before the fork.
        unsafe {
            // From now on writing tells whether the caller still lives.
            libc::close(pipe.reader);
            if let Some(holder) = holder {
                let all = libc::CLONE_NEWUSER
                    | libc::CLONE_NEWNS
                    | libc::CLONE_NEWPID
                    | libc::CLONE_NEWIPC
                    | libc::CLONE_NEWCGROUP;
                // The holder's mount namespace is entered also where a room follows: without it the kernel refuses
                // an ordinary user the rest (EPERM on Linux 6.18).
                let all = if doors.user.is_some() { all } else { all & !libc::CLONE_NEWUSER };
                if libc::setns(holder, all) < 0 {
                    fail(report, 0);
                }
                if doors.user.is_some() {
                    become_root_of_namespace();
                }
                match clone3(libc::CLONE_PARENT, std::ptr::null_mut()) {
                    Err(_) => fail(report, 1),
                    Ok(0) => {}
                    Ok(pid) => {
                        tell(report, &Report { stage: -1, errno: 0, pid });
                        libc::_exit(0);
                    }
                }
            }
            self.become_program(prepared, doors, report)
        }
    }

    /// Arranges mounts and host name, and locks them: the mount namespace that is made from inside the inner user
    /// namespace has the mounts of a more privileged one.
    ///
    /// # Safety
    /// As [`Launch::child`].
    unsafe fn arrange(&self, doors: &Doors<'_>, report: RawFd) {
        // SAFETY: system calls on memory prepared before the fork.
        unsafe {
            if libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS) < 0 {
                fail(report, 2);
            }
            if let Err(()) = crate::mount::arrange(&self.mounts) {
                fail(report, 2);
            }
            if let Some(name) = &self.hostname
                && libc::sethostname(name.as_ptr().cast(), name.len()) < 0
            {
                fail(report, 5);
            }
            if let Some(user) = doors.user
                && (libc::setns(user.as_raw_fd(), libc::CLONE_NEWUSER) < 0
                    || libc::unshare(libc::CLONE_NEWNS) < 0)
            {
                fail(report, 3);
            }
        }
    }

    /// Arranges mounts and host name once, for programs to come. For the holder.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn room(&self, doors: &Doors<'_>) -> Result<Room, LaunchError> {
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
                if let Some(net) = doors.net
                    && libc::setns(net.as_raw_fd(), libc::CLONE_NEWNET) < 0
                {
                    fail(report_fd, 4);
                }
                self.arrange(doors, report_fd);
                libc::close(report_fd);
                let mut byte = 0u8;
                libc::read(wait_fd, (&raw mut byte).cast(), 1);
                libc::_exit(0)
            }
        }
        drop((report, wait));
        let arranged = read_reports(&mut reports).and_then(|_| {
            let open = |name: &str| fs::File::open(format!("/proc/{child}/ns/{name}")).map(OwnedFd::from);
            Ok(Room { mounts: open("mnt")?, uts: open("uts")? })
        });
        drop(go);
        // SAFETY: waits for our own child without asking for its status.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        arranged
    }

    /// # Safety
    /// As [`Launch::child`].
    unsafe fn become_program(&self, prepared: &Prepared, doors: &Doors<'_>, report: RawFd) -> ! {
        // SAFETY: system calls on memory prepared before the fork.
        unsafe {
            if self.new_session {
                libc::setsid();
            }
            if let Some(net) = doors.net
                && libc::setns(net.as_raw_fd(), libc::CLONE_NEWNET) < 0
            {
                fail(report, 4);
            }
            match doors.room {
                Some(room) => enter_room(room, doors.user, report),
                None => self.arrange(doors, report),
            }
            for (target, stream) in self.stdio.iter().enumerate() {
                let Some(stream) = stream else { continue };
                if libc::dup2(stream.as_raw_fd(), target as RawFd) < 0 {
                    fail(report, 7);
                }
            }
            let cwd = self.cwd.as_deref().unwrap_or(c"/");
            if libc::chdir(cwd.as_ptr()) < 0 {
                libc::chdir(c"/".as_ptr());
            }
            reset_signals();
            if self.no_new_privs {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            }
            if self.dies_with_caller {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // The caller may have died before that call; it is in another pid namespace, so that getppid(2)
                // does not tell. The report has no reader then.
                let mut reader = libc::pollfd { fd: report, events: 0, revents: 0 };
                if libc::poll(&raw mut reader, 1, 0) > 0 {
                    libc::_exit(127);
                }
            }
            if self.grants_setgroups {
                // A kernel without filters refuses: then some daemons do not start, and all else works.
                crate::seccomp::grant_setgroups();
            }
            // As execvp(3): a folder of PATH that may not be searched does not end the search, and is what is told
            // when nothing is found.
            let mut is_denied = false;
            for program in &prepared.programs {
                libc::execve(program.as_ptr(), prepared.argv.as_ptr(), prepared.env.as_ptr());
                match *libc::__errno_location() {
                    libc::ENOENT | libc::ENOTDIR => {}
                    libc::EACCES => is_denied = true,
                    _ => break,
                }
            }
            if is_denied && *libc::__errno_location() == libc::ENOENT {
                *libc::__errno_location() = libc::EACCES;
            }
            fail(report, STAGE_EXECUTE)
        }
    }
}

/// Enters what [`Launch::room`] has arranged.
///
/// # Safety
/// For a freshly forked child: system calls only.
unsafe fn enter_room(room: &Room, user: Option<BorrowedFd<'_>>, report: RawFd) {
    // SAFETY: system calls with open descriptors.
    unsafe {
        if libc::setns(room.uts.as_raw_fd(), libc::CLONE_NEWUTS) < 0 {
            fail(report, 5);
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

/// The pointers that execve(2) takes, and every path where the program may be.
struct Prepared {
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    programs: Vec<CString>,
}

impl Prepared {
    fn new(launch: &Launch) -> Self {
        let pointers = |texts: &[CString]| {
            texts.iter().map(|t| t.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
        };
        let path = launch.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
        let path = path.unwrap_or(b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let program = launch.argv.first().map_or(&b""[..], |p| p.as_bytes());
        let programs = if program.contains(&b'/') {
            vec![CString::new(program).unwrap_or_default()]
        } else {
            let at = |folder: &[u8]| {
                CString::new(
                    Path::new(OsStr::from_bytes(folder))
                        .join(OsStr::from_bytes(program))
                        .into_os_string()
                        .as_bytes(),
                )
            };
            path.split(|b| *b == b':').filter_map(|folder| at(folder).ok()).collect()
        };
        Self { argv: pointers(&launch.argv), env: pointers(&launch.env), programs }
    }
}

/// Default actions and an empty mask: Rust ignores SIGPIPE, and callers may block what they like.
///
/// # Safety
/// For a freshly forked child.
unsafe fn reset_signals() {
    // SAFETY: valid signal numbers and a set on this frame.
    unsafe {
        for signal in
            [libc::SIGPIPE, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP, libc::SIGCHLD]
        {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// # Safety
/// For a freshly forked child: ends it.
unsafe fn fail(report: RawFd, stage: i32) -> ! {
    // SAFETY: reads this thread's errno, writes to an open pipe, ends the child.
    unsafe {
        let errno = *libc::__errno_location();
        tell(report, &Report { stage, errno, pid: 0 });
        libc::_exit(127)
    }
}

/// # Safety
/// `fd` is an open pipe.
unsafe fn tell(fd: RawFd, report: &Report) {
    // SAFETY: the pointer and length name `report`, which has no padding: three 32-bit fields.
    unsafe { libc::write(fd, std::ptr::from_ref(report).cast(), size_of::<Report>()) };
}

/// Reads until the pipe closes, which executing does. The pid is that of the go-between's sibling, if there is one.
fn read_reports(reports: &mut io::PipeReader) -> Result<Option<u32>, LaunchError> {
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

/// The process id behind a pid fd, as this process sees it; none when it has ended (proc(5), `fdinfo`).
#[must_use]
pub fn pid_of(pidfd: BorrowedFd<'_>) -> Option<u32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

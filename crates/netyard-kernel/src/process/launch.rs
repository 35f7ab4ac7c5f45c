//! Starting programs inside a lab's namespaces.

use super::fork::{become_root_of_namespace, clone3, reset_signals};
use super::report::{LaunchError, Report, ReportPipe, STAGE_EXECUTE, fail, read_reports, tell};
use super::room::{Room, enter_room, show_folders};
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where programs are searched when nothing is said.
pub const PATH_OF_SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
    /// Shows the links of the program's own network namespace below `class/net` of this folder. Same as
    /// `mount -t sysfs sysfs TARGET`. Where that is refused, the folder stays as it is.
    Sysfs {
        /// Existing folder.
        target: CString,
    },
    /// Shows the processes of the program's own pid namespace. Same as `mount -t proc proc TARGET`.
    Proc {
        /// Existing folder.
        target: CString,
    },
    /// Terminals of its own. Same as `mount -t devpts -o newinstance,OPTIONS`.
    Terminals {
        /// Existing folder.
        target: CString,
        /// Options such as `ptmxmode=0666`.
        options: CString,
    },
    /// A folder, made where it is missing. Same as `mkdir -p PATH`.
    Folder {
        /// Where it is to be.
        path: CString,
    },
    /// Folders laid one over the other. Same as `mount -t overlay -o OPTIONS overlay TARGET`.
    Overlay {
        /// Existing folder.
        target: CString,
        /// `lowerdir=...,upperdir=...,workdir=...` ([`crate::mount::overlay`]).
        options: CString,
    },
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
    /// Trees of mounts ([`crate::mount::id_mapped`]) that it alone sees at these folders.
    pub folders: Vec<(OwnedFd, CString)>,
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
    /// Its session and process group.
    pub session: Session,
    /// Whether setgroups(2) succeeds for it and changes nothing, for programs that must give up root in a user
    /// namespace that has given up setgroups(2).
    pub grants_setgroups: bool,
}

/// To which session and process group a program belongs (credentials(7)), and so who gets what Ctrl-C means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Session {
    /// Those of the caller.
    #[default]
    Callers,
    /// A process group of its own in the caller's session, which has the terminal that is its standard input, as a shell
    /// gives it to a job. A shell wants to have such a group: it cannot give the terminal back to one that has no number
    /// in its pid namespace.
    Foreground,
    /// A session of its own without a terminal. Same as `setsid`.
    Own,
    /// A session of its own with the terminal that is its standard input. Same as `setsid --ctty`.
    OwnWithTerminal,
}

impl Session {
    /// # Safety
    /// System calls with integers only, for a freshly forked child; signals are reset afterwards.
    unsafe fn begin(self) -> Result<(), ()> {
        // SAFETY: system calls with integers.
        unsafe {
            match self {
                Self::Callers => {}
                Self::Foreground => {
                    // Whoever is in the background is stopped for taking the terminal, unless he ignores that.
                    libc::signal(libc::SIGTTOU, libc::SIG_IGN);
                    // Without a terminal it is a group as any other.
                    if libc::setpgid(0, 0) == 0 {
                        libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid());
                    }
                }
                Self::Own => drop(libc::setsid()),
                Self::OwnWithTerminal => {
                    if libc::setsid() < 0 || libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) < 0 {
                        return Err(());
                    }
                }
            }
        }
        Ok(())
    }
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

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    /// Its process id as the caller sees it.
    pub pid: u32,
    /// Refers to it.
    pub pidfd: OwnedFd,
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
        let goes_between = holder.is_some() || doors.room.is_some_and(|room| room.own.is_some());
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
        if goes_between || outcome.is_err() {
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

    /// The child: with a holder or a pid namespace to enter it is a go-between that starts the program as its own
    /// sibling.
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
            }
            let own = doors.room.and_then(|room| room.own.as_ref());
            if let Some(own) = own
                && libc::setns(own.pid.as_raw_fd(), libc::CLONE_NEWPID) < 0
            {
                fail(report, 0);
            }
            if holder.is_some() || own.is_some() {
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
        // SAFETY: system calls only, on memory that was there before the fork.
        unsafe {
            Room::arranged_by(&|report| {
                if let Some(net) = doors.net
                    && libc::setns(net.as_raw_fd(), libc::CLONE_NEWNET) < 0
                {
                    fail(report, 4);
                }
                self.arrange(doors, report);
                // What is mounted there (`ip netns add`) is seen by all programs of the room, also by those that
                // have folders of their own.
                let (run, none) = (c"/run".as_ptr(), std::ptr::null());
                libc::mount(none, run, none, libc::MS_REC | libc::MS_SHARED, none.cast());
            })
        }
    }

    /// # Safety
    /// As [`Launch::child`].
    unsafe fn become_program(&self, prepared: &Prepared, doors: &Doors<'_>, report: RawFd) -> ! {
        // SAFETY: system calls on memory prepared before the fork.
        unsafe {
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
            if self.session.begin().is_err() {
                fail(report, 7);
            }
            show_folders(&self.folders, report);
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
            // A folder of PATH that may not be searched does not end the search, as in execvp(3). Unlike there it is
            // not told as "permission denied" when nothing is found: only a program that is there is denied.
            let mut errno = libc::ENOENT;
            for program in &prepared.programs {
                libc::execve(program.as_ptr(), prepared.argv.as_ptr(), prepared.env.as_ptr());
                let is_only = prepared.programs.len() == 1;
                match *libc::__errno_location() {
                    other if is_only => errno = other,
                    libc::ENOENT | libc::ENOTDIR => {}
                    libc::EACCES if libc::access(program.as_ptr(), libc::F_OK) < 0 => {}
                    libc::EACCES => errno = libc::EACCES,
                    other => {
                        errno = other;
                        break;
                    }
                }
            }
            *libc::__errno_location() = errno;
            fail(report, STAGE_EXECUTE)
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
        let path = path.unwrap_or(PATH_OF_SYSTEM.as_bytes());
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

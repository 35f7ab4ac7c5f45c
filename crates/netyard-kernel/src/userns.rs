//! User namespaces: who is who inside (user_namespaces(7)).

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// How user and group ids inside a user namespace stand for those outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    /// First user id outside that stands for 0 inside.
    pub uid: u32,
    /// First group id outside that stands for 0 inside.
    pub gid: u32,
    /// How many consecutive ids are mapped; 1 needs no privilege.
    pub count: u32,
}

impl IdMap {
    /// Only the caller's own user and group, as 0 inside. Needs no privilege.
    #[must_use]
    pub fn own() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { uid, gid, count: 1 }
    }

    /// The map of the caller's own user namespace; none in the first one, which maps all ids.
    #[must_use]
    pub fn of_self() -> Option<Self> {
        let uid = fs::read_to_string("/proc/self/uid_map").ok()?;
        let gid = fs::read_to_string("/proc/self/gid_map").ok()?;
        let words = |text: &str| text.split_whitespace().filter_map(|w| w.parse().ok()).collect::<Vec<u32>>();
        match (words(&uid).as_slice(), words(&gid).as_slice()) {
            ([.., count], _) if *count == u32::MAX => None,
            ([0, uid, count, ..], [0, gid, ..]) => Some(Self { uid: *uid, gid: *gid, count: *count }),
            _ => None,
        }
    }

    /// 65536 ids that own nothing: those that `/etc/subuid` and `/etc/subgid` give to root, or else a range above
    /// what accounts use. For labs that root of the machine starts.
    #[must_use]
    pub fn unprivileged() -> Self {
        const FREE: u32 = 0x7000_0000;
        const COUNT: u32 = 65536;
        let first = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let of_root = |line: &str| {
                let mut parts = line.split(':');
                let owner = parts.next()?;
                let (first, count): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                (matches!(owner, "root" | "0") && count >= COUNT).then_some(first)
            };
            text.lines().find_map(of_root).unwrap_or(FREE)
        };
        Self { uid: first("/etc/subuid"), gid: first("/etc/subgid"), count: COUNT }
    }

    /// The same ids once more, for a user namespace inside one that has this map.
    #[must_use]
    pub fn nested(&self) -> Self {
        Self { uid: 0, gid: 0, count: self.count }
    }

    /// Writes the map for a process that has just entered its own user namespace.
    ///
    /// # Errors
    /// Those of open(2) and write(2) of `/proc/PID/uid_map`: `EPERM` where the caller may not map these ids.
    pub fn write(&self, pid: u32) -> io::Result<()> {
        let to = |file: &str, text: &str| fs::write(format!("/proc/{pid}/{file}"), text);
        if self.count == 1 {
            // Without privilege a group map is accepted only when the namespace gives up setgroups(2).
            match to("setgroups", "deny") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        to("uid_map", &format!("0 {} {}", self.uid, self.count))?;
        to("gid_map", &format!("0 {} {}", self.gid, self.count))
    }
}

/// The user namespace of a process; none when it is the caller's own.
///
/// # Errors
/// Those of open(2) and stat(2): `ENOENT` when the process has ended, `EACCES` when it is somebody else's.
pub fn of_process(pid: u32) -> io::Result<Option<OwnedFd>> {
    use std::os::unix::fs::MetadataExt;
    let theirs = fs::File::open(format!("/proc/{pid}/ns/user"))?;
    let is_ours = fs::metadata("/proc/self/ns/user")?.ino() == theirs.metadata()?.ino();
    Ok((!is_ours).then(|| theirs.into()))
}

/// What the kernel said to [`enter_own`]: 0 for yes or not asked, else an errno.
static OWN_REFUSED: AtomicI32 = AtomicI32::new(0);

/// Moves this process into a user namespace of its own, with its own user and group as they are. It has all
/// capabilities there, and over the network namespaces of labs that it starts from then on.
///
/// Does nothing for root. To be called while the process has one thread; a refusal is remembered for
/// [`own_refusal`]. Same as `unshare --user --map-current-user`.
pub fn enter_own() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let map = format!("{0} {0} 1", rustix::process::geteuid().as_raw());
    let groups = format!("{0} {0} 1", rustix::process::getegid().as_raw());
    // SAFETY: unshare(2) takes no pointers.
    let entered = match unsafe { libc::unshare(libc::CLONE_NEWUSER) } {
        0 => fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| fs::write("/proc/self/uid_map", map))
            .and_then(|()| fs::write("/proc/self/gid_map", groups)),
        _ => Err(io::Error::last_os_error()),
    };
    if let Err(error) = entered {
        OWN_REFUSED.store(error.raw_os_error().unwrap_or(libc::EIO), Ordering::Relaxed);
    }
}

/// Why [`enter_own`] did not move this process; none when it did, or was not called.
#[must_use]
pub fn own_refusal() -> Option<io::Error> {
    match OWN_REFUSED.load(Ordering::Relaxed) {
        0 => None,
        errno => Some(io::Error::from_raw_os_error(errno)),
    }
}

/// Makes a user namespace inside the caller's own and returns the descriptor that keeps it.
///
/// The caller keeps all capabilities in it, as its parent; what is in it has none outside.
///
/// # Errors
/// Those of fork(2), unshare(2) (`ENOSPC`: `/proc/sys/user/max_user_namespaces` is reached) and [`IdMap::write`].
pub fn create(map: &IdMap) -> io::Result<OwnedFd> {
    let (mut told, tell) = io::pipe()?;
    let (wait, mut go) = io::pipe()?;
    // SAFETY: the child makes system calls only and ends with `_exit`.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => anchor(&tell, &wait, &go),
        pid => {
            drop((tell, wait));
            let mut answer = [0; 4];
            let made = told.read_exact(&mut answer).and_then(|()| match i32::from_ne_bytes(answer) {
                0 => {
                    map.write(pid.unsigned_abs())?;
                    Ok(OwnedFd::from(fs::File::open(format!("/proc/{pid}/ns/user"))?))
                }
                errno => Err(io::Error::from_raw_os_error(errno)),
            });
            let _ = go.write_all(&[0]);
            // SAFETY: waits for our own child; no status is asked for.
            while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
            made
        }
    }
}

/// The child of [`create`]: holds the namespace until it is told to end, or its maker is gone.
fn anchor(tell: &io::PipeWriter, wait: &io::PipeReader, go: &io::PipeWriter) -> ! {
    use std::os::fd::AsRawFd;
    // SAFETY: system calls on descriptors that are open here and on memory of this frame.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::close(go.as_raw_fd());
        let made = libc::unshare(libc::CLONE_NEWUSER);
        let errno = if made < 0 { *libc::__errno_location() } else { 0 };
        libc::write(tell.as_raw_fd(), (&raw const errno).cast(), size_of::<i32>());
        let mut byte = 0u8;
        libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1);
        libc::_exit(0)
    }
}

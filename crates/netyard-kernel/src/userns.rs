//! User namespaces: who is who inside (user_namespaces(7)).

use crate::feature::own_subordinates;
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
    /// More ids, which stand for those from `count` on.
    pub more: Option<Subordinate>,
}

/// Ids that the machine's root lets an ordinary user have in user namespaces (subuid(5), subgid(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subordinate {
    /// First user id outside.
    pub uid: u32,
    /// First group id outside.
    pub gid: u32,
    /// How many there are of each.
    pub count: u32,
}

impl Subordinate {
    /// Those of the caller; none where it has none, its own user namespace lacks them, or there is no newuidmap(1) that
    /// maps them.
    #[must_use]
    pub fn own() -> Option<Self> {
        let has_helpers = HELPERS.iter().all(|helper| helper_path(helper).is_some());
        Self::of_caller().filter(|own| has_helpers && own.are_here())
    }

    /// Those that the files give the caller.
    #[must_use]
    pub fn of_caller() -> Option<Self> {
        let of = |file: &str| own_subordinates(file).into_iter().find(|range| range.count > 0);
        let (uids, gids) = (of("/etc/subuid")?, of("/etc/subgid")?);
        Some(Self { uid: uids.first, gid: gids.first, count: uids.count.min(gids.count) })
    }

    /// Whether the caller's own user namespace has these ids: one inside of another may have few.
    #[must_use]
    pub fn are_here(&self) -> bool {
        let has = |file: &str, first: u32| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines().any(|line| is_in_line(line, first, self.count))
        };
        has("/proc/self/uid_map", self.uid) && has("/proc/self/gid_map", self.gid)
    }
}

/// Whether a line of `/proc/PID/uid_map` maps all of these ids (user_namespaces(7)): first inside, first outside, count.
fn is_in_line(line: &str, first: u32, count: u32) -> bool {
    let mut words = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
    let (Some(inside), Some(_), Some(all)) = (words.next(), words.next(), words.next()) else { return false };
    let first = u64::from(first);
    inside <= first && first + u64::from(count) <= inside + all
}

/// The programs that map ids for others: set-user-ID root, or with the capability for it.
const HELPERS: [&str; 2] = ["newuidmap", "newgidmap"];

fn helper_path(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into(), "/bin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

impl IdMap {
    /// Only the caller's own user and group, as 0 inside. Needs no privilege.
    #[must_use]
    pub fn own() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { uid, gid, count: 1, more: None }
    }

    /// The caller's own user and group as 0 inside, and its subordinate ids from 1 on, where it has some.
    #[must_use]
    pub fn own_and_subordinate() -> Self {
        Self { more: Subordinate::own(), ..Self::own() }
    }

    /// Whether only one user and one group are mapped.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.count == 1 && self.more.is_none()
    }

    /// The map of the caller's own user namespace; none in the first one, which maps all ids.
    #[must_use]
    pub fn of_self() -> Option<Self> {
        let uid_text = fs::read_to_string("/proc/self/uid_map").ok()?;
        let gid_text = fs::read_to_string("/proc/self/gid_map").ok()?;
        let words = |text: &str| text.split_whitespace().filter_map(|w| w.parse().ok()).collect::<Vec<u32>>();
        match (words(&uid_text).as_slice(), words(&gid_text).as_slice()) {
            ([.., count], _) if *count == u32::MAX => None,
            ([0, uid, count, uids @ ..], [0, gid, _, gids @ ..]) => {
                let more = match (uids, gids) {
                    ([_, uid, count, ..], [_, gid, ..]) => {
                        Some(Subordinate { uid: *uid, gid: *gid, count: *count })
                    }
                    _ => None,
                };
                Some(Self { uid: *uid, gid: *gid, count: *count, more })
            }
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
        Self { uid: first("/etc/subuid"), gid: first("/etc/subgid"), count: COUNT, more: None }
    }

    /// The same ids once more, for a user namespace inside one that has this map.
    #[must_use]
    pub fn nested(&self) -> Self {
        // In the same pieces: the kernel wants each to be within one of the outer map.
        let more = self.more.map(|more| Subordinate { uid: self.count, gid: self.count, count: more.count });
        Self { uid: 0, gid: 0, count: self.count, more }
    }

    /// Writes the map for a process that has just entered its own user namespace.
    ///
    /// # Errors
    /// Those of open(2) and write(2) of `/proc/PID/uid_map`: `EPERM` where the caller may not map these ids. With
    /// subordinate ids, which only newuidmap(1) can map, what that says.
    pub fn write(&self, pid: u32) -> io::Result<()> {
        if let Some(more) = self.more {
            let map = |first, next| [0, first, self.count, self.count, next, more.count];
            write_two_ranges("uid_map", pid, map(self.uid, more.uid))?;
            return write_two_ranges("gid_map", pid, map(self.gid, more.gid));
        }
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

/// Writes a map, or has it written where the caller may not.
fn write_two_ranges(file: &str, pid: u32, map: [u32; 6]) -> io::Result<()> {
    let [a, b, c, d, e, f] = map;
    let written = fs::write(format!("/proc/{pid}/{file}"), format!("{a} {b} {c}\n{d} {e} {f}\n"));
    match written {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            map_by_helper(if file == "uid_map" { HELPERS[0] } else { HELPERS[1] }, pid, map)
        }
        written => written,
    }
}

/// Starts one of the [`HELPERS`] and waits for it.
fn map_by_helper(name: &str, pid: u32, map: [u32; 6]) -> io::Result<()> {
    let path = helper_path(name).ok_or(io::ErrorKind::NotFound)?;
    let words = [pid].into_iter().chain(map).map(|number| number.to_string());
    let mut helper = std::process::Command::new(path);
    helper.args(words).stdin(std::process::Stdio::null());
    crate::process::dies_with_caller(&mut helper);
    let output = helper.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
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

/// Whether the caller may enter every namespace that its own user namespace, or one below, owns (`CAP_SYS_ADMIN` there,
/// capabilities(7)).
#[must_use]
pub fn may_enter_namespaces() -> bool {
    use rustix::thread::{CapabilitySet, capabilities};
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Whether a user namespace is another one or was made inside it, at any depth (ioctl_ns(2), `NS_GET_PARENT`).
///
/// # Errors
/// Those of fstat(2).
pub fn is_within(namespace: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    use std::os::fd::{AsRawFd, FromRawFd};
    let id = |fd: &OwnedFd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let wanted = id(other)?;
    let mut at = namespace.try_clone()?;
    loop {
        if id(&at)? == wanted {
            return Ok(true);
        }
        // linux/nsfs.h: _IO(0xb7, 2).
        const NS_GET_PARENT: libc::Ioctl = 0xb702;
        // SAFETY: an open descriptor; the answer is a fresh one, or -1 above the caller's own namespace.
        at = unsafe {
            let parent = libc::ioctl(at.as_raw_fd(), NS_GET_PARENT);
            if parent < 0 {
                return Ok(false);
            }
            OwnedFd::from_raw_fd(parent)
        };
    }
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

/// Two user namespaces, the second inside the first, both inside the caller's own.
///
/// A process of the first has all capabilities over what belongs to the second. One of the second has none over the
/// first: the kernel keeps it from their memory, their files (`/proc/PID/root`) and their descriptors, though both have
/// the same user id (ptrace(2), "Ptrace access mode checking"). The caller stands to the first as that to the second.
#[derive(Debug)]
pub struct Nested {
    /// The first.
    pub outer: OwnedFd,
    /// The one inside it.
    pub inner: OwnedFd,
}

/// Makes two nested user namespaces with the same ids. For processes with a single thread.
///
/// # Errors
/// Those of fork(2), unshare(2) (`ENOSPC`: `/proc/sys/user/max_user_namespaces` is reached) and [`IdMap::write`].
pub fn create_nested(map: &IdMap) -> io::Result<Nested> {
    Anchor::held(
        |outer| {
            map.write(outer.pid)?;
            let namespace = outer.namespace()?;
            outer.go()?;
            // The anchor makes the other one: only who is in its parent may write its map (user_namespaces(7)).
            let inner = outer.answer()?;
            Ok(Nested { outer: namespace, inner: namespace_of(inner)? })
        },
        |told| {
            let made = Anchor::held(
                |inner| {
                    map.write(inner.pid)?;
                    told.tell(inner.pid)?;
                    told.wait_to_end();
                    Ok(())
                },
                |_| {},
            );
            if let Err(error) = made {
                let _ = told.fail(&error);
            }
        },
    )
}

fn namespace_of(pid: u32) -> io::Result<OwnedFd> {
    Ok(fs::File::open(format!("/proc/{pid}/ns/user"))?.into())
}

/// A child in a user namespace of its own, which holds that until it is told to end, or its maker is gone.
struct Anchor {
    pid: u32,
    told: io::PipeReader,
    go: io::PipeWriter,
}

/// The anchor's own end: what it tells its maker, and waits for.
struct Told {
    tell: io::PipeWriter,
    wait: io::PipeReader,
}

impl Anchor {
    /// Runs `work` while the anchor lives. The anchor itself runs `inside`, once it is told to go.
    fn held<R>(work: impl FnOnce(&mut Self) -> io::Result<R>, inside: impl FnOnce(&Told)) -> io::Result<R> {
        let (told, tell) = io::pipe()?;
        let (wait, go) = io::pipe()?;
        // SAFETY: the process has one thread, so that the child can do what it could; it ends with `_exit`.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop((told, go));
                Told { tell, wait }.serve(inside)
            }
            pid => {
                drop((tell, wait));
                let mut anchor = Self { pid: pid.unsigned_abs(), told, go };
                let done = anchor.answer().and_then(|_| work(&mut anchor));
                drop(anchor);
                // SAFETY: waits for our own child; no status is asked for.
                while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
                    && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
                {}
                done
            }
        }
    }

    fn namespace(&self) -> io::Result<OwnedFd> {
        namespace_of(self.pid)
    }

    fn go(&mut self) -> io::Result<()> {
        self.go.write_all(&[0])
    }

    /// A number that the anchor tells, or why there is none.
    fn answer(&mut self) -> io::Result<u32> {
        let mut answer = [0; 8];
        self.told.read_exact(&mut answer)?;
        let [errno, number] = [&answer[..4], &answer[4..]].map(|word| word.try_into().unwrap_or_default());
        match i32::from_ne_bytes(errno) {
            0 => Ok(u32::from_ne_bytes(number)),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Told {
    /// The anchor's life.
    fn serve(self, inside: impl FnOnce(&Self)) -> ! {
        // SAFETY: prctl(2) and unshare(2) take no pointers.
        let made = unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::unshare(libc::CLONE_NEWUSER)
        };
        let said = if made < 0 { self.fail(&io::Error::last_os_error()) } else { self.tell(0) };
        if said.is_ok() && made == 0 && (&self.wait).read_exact(&mut [0]).is_ok() {
            inside(&self);
        }
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(0) }
    }

    fn tell(&self, number: u32) -> io::Result<()> {
        let mut answer = [0; 8];
        answer[4..].copy_from_slice(&number.to_ne_bytes());
        (&self.tell).write_all(&answer)
    }

    fn fail(&self, error: &io::Error) -> io::Result<()> {
        let mut answer = [0; 8];
        answer[..4].copy_from_slice(&error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes());
        (&self.tell).write_all(&answer)
    }

    fn wait_to_end(&self) {
        let _ = (&self.wait).read(&mut [0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_ids_when_one_of_its_lines_has_all_of_them() {
        let all = "         0          0 4294967295";
        assert!(is_in_line(all, 100_000, 65536));
        // That of an ordinary user's own namespace, and of a container with 65536 ids.
        assert!(!is_in_line("      1000       1000          1", 100_000, 65536));
        assert!(!is_in_line("0 231072 65536", 100_000, 65536));
        assert!(is_in_line("100000 331072 65536", 100_000, 65536));
        assert!(!is_in_line("", 0, 1));
    }
}

//! Locks on one byte of a file (fcntl(2), open file description locks).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A lock that ends with this value, or with the process.
///
/// The byte is chosen by a hash of a name, so that one file serves any number of names and none leaves a file of its
/// own. It belongs to the open file: threads exclude each other too, and children do not inherit it (the file is
/// opened close-on-exec).
#[derive(Debug)]
pub struct RangeLock {
    _file: File,
}

/// Who holds a lock: process id and name, where they can be seen.
pub type LockOwner = Option<(u32, String)>;

impl RangeLock {
    /// Takes the lock, or tells who has it.
    ///
    /// # Errors
    /// Those of open(2) and fcntl(2).
    pub fn try_new(path: &Path, name: &str) -> io::Result<Result<Self, LockOwner>> {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let at = offset(name);
        // SAFETY: an all-zero `flock` is valid; the pointer names it.
        let done = unsafe {
            let mut range: libc::flock = std::mem::zeroed();
            range.l_type = libc::F_WRLCK as libc::c_short;
            range.l_whence = libc::SEEK_SET as libc::c_short;
            range.l_start = at;
            range.l_len = 1;
            libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range)
        };
        if done == 0 {
            return Ok(Ok(Self { _file: file }));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(Err(owner(file.metadata()?.ino(), at))),
            _ => Err(error),
        }
    }
}

/// FNV-1a, kept to positive file offsets.
fn offset(name: &str) -> i64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 2).cast_signed()
}

/// Finds the process whose open file has the lock: its `/proc/PID/fdinfo` lists it (proc(5)).
fn owner(inode: u64, at: i64) -> LockOwner {
    let mark = format!(":{inode} {at} {at}");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        for open in std::fs::read_dir(process.path().join("fdinfo")).into_iter().flatten().flatten() {
            let lines = std::fs::read_to_string(open.path()).unwrap_or_default();
            if lines.lines().any(|line| line.starts_with("lock:") && line.ends_with(&mark)) {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some((pid, name.trim_end().to_owned()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_locked_once_and_tells_its_owner() {
        let path = std::env::temp_dir().join(format!("netyard-lock-{}", std::process::id()));
        let held = RangeLock::try_new(&path, "home").unwrap().unwrap();
        let owner = RangeLock::try_new(&path, "home").unwrap().unwrap_err();
        assert_eq!(owner.unwrap().0, std::process::id());
        assert!(RangeLock::try_new(&path, "other").unwrap().is_ok());
        drop(held);
        assert!(RangeLock::try_new(&path, "home").unwrap().is_ok());
        std::fs::remove_file(path).unwrap();
    }
}

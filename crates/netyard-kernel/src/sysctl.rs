//! Kernel parameters below `/proc/sys/net`, of the network namespace that the calling thread is in (sysctl(8)).

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A view of `/proc/sys` of one's own.
///
/// The kernel keeps one cached name `net/ipv4` for every network namespace whose sysctls were looked at, all in one
/// list, and walks that list at each look-up: with a thousand namespaces 74 us for a value, and every other program
/// that reads a sysctl pays too. A proc file system of one's own has a list of its own, so that a new one for every
/// few namespaces keeps it at 10 us.
#[derive(Debug)]
pub struct Tree {
    /// `/proc/sys`.
    directory: OwnedFd,
}

impl Tree {
    /// After so many namespaces a new view is cheaper than the list that the old one has by then.
    pub const NAMESPACES_MAX: usize = 32;

    /// Mounts a proc file system that is nowhere in the file tree. Where that is not allowed, it is the one at `/proc`.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open() -> io::Result<Self> {
        let own = || {
            let context = fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(context.as_fd())?;
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
            let proc = fsmount(
                context.as_fd(),
                FsMountFlags::FSMOUNT_CLOEXEC,
                attributes | MountAttrFlags::MOUNT_ATTR_NOEXEC,
            )?;
            openat(&proc, c"sys", Self::FLAGS, Mode::empty())
        };
        let directory = own().or_else(|_| openat(CWD, c"/proc/sys", Self::FLAGS, Mode::empty()))?;
        Ok(Self { directory })
    }

    const FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

    /// Writes a value of the namespace that the calling thread is in. The key is dotted; `/` stands for a dot within
    /// a name, as in `net.ipv4.conf.eth0/1.rp_filter`.
    ///
    /// # Errors
    /// `EINVAL` for a key that is not below `net` or a value that the kernel does not take, `ENOENT` for a key that
    /// it does not have.
    ///
    /// Same as `sysctl -w KEY=VALUE`.
    pub fn write(&self, key: &str, value: &str) -> io::Result<()> {
        let file = openat(&self.directory, path(key)?, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        File::from(file).write_all(value.as_bytes())
    }

    /// Reads a value of the namespace that the calling thread is in; several numbers have one space between them.
    ///
    /// # Errors
    /// As [`Tree::write`].
    ///
    /// Same as `sysctl -n KEY`.
    pub fn read(&self, key: &str) -> io::Result<String> {
        let file = openat(&self.directory, path(key)?, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text)?;
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The file of a dotted key, below `/proc/sys`: `net/ipv4/ip_forward`.
///
/// # Errors
/// `EINVAL` for a key that is not below `net`.
pub fn path(key: &str) -> io::Result<String> {
    let parts: Vec<String> = key.split('.').map(|part| part.replace('/', ".")).collect();
    let is_odd = |part: &String| matches!(part.as_str(), "" | "." | "..") || part.contains('\0');
    if parts.len() < 2 || parts[0] != "net" || parts.iter().any(is_odd) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_a_path_below_net() {
        assert_eq!(path("net.ipv4.ip_forward").unwrap(), "net/ipv4/ip_forward");
        let vlan = path("net.ipv4.conf.eth0/1.rp_filter").unwrap();
        assert_eq!(vlan, "net/ipv4/conf/eth0.1/rp_filter");
        for key in ["", "net", "kernel.core_pattern", "net.//.//.kernel.core_pattern", "net..x", "net./.x"] {
            assert!(path(key).is_err(), "{key}");
        }
    }
}

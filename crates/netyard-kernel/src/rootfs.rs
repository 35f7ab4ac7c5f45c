//! The root file system of a process that is alone in its mount namespace, as root of its user namespace.

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

/// Shows folders over each other, the first on top, with what is written in an upper one. `work` is an empty folder on
/// the file system of `upper`.
///
/// Same as `mount -t overlay -o lowerdir=LOWER:LOWER,upperdir=UPPER,workdir=WORK,userxattr overlay TARGET`.
///
/// # Errors
/// Those of mount(2): `EINVAL` where `upper` is on a file system that cannot be one, or something is mounted below
/// a lower one and the user namespace may not see behind it.
pub fn overlay(lowers: &[&Path], upper: &Path, work: &Path, target: &Path) -> io::Result<()> {
    let lowers =
        lowers.iter().enumerate().map(|(at, lower)| (if at == 0 { "lowerdir=" } else { ":" }, *lower));
    let mut options = Vec::new();
    for (key, path) in lowers.chain([(",upperdir=", upper), (",workdir=", work)]) {
        options.extend_from_slice(key.as_bytes());
        // Signs that mean something in this list (ovl_parse_param, fs/overlayfs).
        for byte in path.as_os_str().as_bytes() {
            if b",:\\".contains(byte) {
                options.push(b'\\');
            }
            options.push(*byte);
        }
    }
    options.extend_from_slice(b",userxattr");
    let options = CString::new(options)?;
    Ok(mount("overlay", target, "overlay", MountFlags::NODEV, Some(options.as_c_str()))?)
}

/// Fills a `dev` with the devices that every program may use (pts(4), null(4)), those of the machine.
///
/// # Errors
/// Those of mount(2) and mkdir(2).
pub fn devices(dev: &Path) -> io::Result<()> {
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let target = dev.join(name);
        fs::File::create_new(&target)?;
        mount_bind(Path::new("/dev").join(name), &target)?;
    }
    for name in ["pts", "shm"] {
        fs::DirBuilder::new().mode(0o755).create(dev.join(name))?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("devpts", dev.join("pts"), "devpts", flags, Some(c"newinstance,ptmxmode=0666,mode=620"))?;
    mount("tmpfs", dev.join("shm"), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=1777"))?;
    symlink("pts/ptmx", dev.join("ptmx"))?;
    symlink("/proc/self/fd", dev.join("fd"))?;
    for (number, name) in ["stdin", "stdout", "stderr"].into_iter().enumerate() {
        symlink(format!("/proc/self/fd/{number}"), dev.join(name))?;
    }
    Ok(())
}

/// Mounts the processes of the caller's pid namespace, with settings of the kernel to be read only.
///
/// # Errors
/// `EPERM` in containers that hide parts of `/proc`.
pub fn processes(proc: &Path) -> io::Result<()> {
    mount("proc", proc, "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    let settings = proc.join("sys");
    mount_bind_recursive(&settings, &settings)?;
    let flags =
        MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::BIND;
    Ok(mount_remount(&settings, flags, "")?)
}

/// Makes a folder, on which something is mounted, the root of the caller's mount namespace, and takes all else out of it
/// (pivot_root(2)).
///
/// # Errors
/// Those of pivot_root(2) and umount2(2).
pub fn enter(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    // Both on one place: the new root comes to lie below the old one, which is then taken away.
    rustix::process::pivot_root(".", ".")?;
    mount_change(".", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    unmount(".", UnmountFlags::DETACH)?;
    std::env::set_current_dir("/")
}

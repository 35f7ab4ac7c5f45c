//! Mounts of a lab's own mount namespace (mount(2), mount_setattr(2)).

use crate::process::Mount;
use std::ffi::CStr;
use std::io;
use std::path::Path;

/// Makes all mounts of the caller's mount namespace private, so that no change leaves it.
/// Same as `mount --make-rprivate /`.
///
/// # Errors
/// Those of mount(2).
pub fn make_private() -> io::Result<()> {
    use rustix::mount::{MountPropagationFlags, mount_change};
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// Mounts the processes of the caller's pid namespace. Same as `mount -t proc proc /proc`.
///
/// # Errors
/// `EPERM` in containers that hide parts of `/proc`.
pub fn mount_proc() -> io::Result<()> {
    use rustix::mount::{MountFlags, mount};
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("proc", "/proc", "proc", flags, None)?)
}

/// Mounts an empty file system in memory. Same as `mount -t tmpfs -o OPTIONS tmpfs TARGET`.
///
/// # Errors
/// Those of mount(2).
pub fn mount_tmpfs(target: &Path, options: &CStr) -> io::Result<()> {
    use rustix::mount::{MountFlags, mount};
    Ok(mount("tmpfs", target, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(options))?)
}

/// Shows a file or folder at a second place. Same as `mount --bind SOURCE TARGET`.
///
/// # Errors
/// Those of mount(2).
pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(rustix::mount::mount_bind(source, target)?)
}

/// The most folders that one program keeps ([`Mount::Keep`]).
const KEPT_MAX: usize = 8;

/// Carries out the mounts, in order, in a freshly forked child. The errno is left for the caller to read.
///
/// # Safety
/// System calls only, no allocation: may run between fork and exec of a process with threads.
pub(crate) unsafe fn arrange(mounts: &[Mount]) -> Result<(), ()> {
    let mut kept = [(-1, c""); KEPT_MAX];
    let mut kept_len = 0;
    for mount in mounts {
        // SAFETY: system calls whose pointers name zero-terminated texts that outlive them.
        let done = unsafe {
            match mount {
                Mount::Bind { source, target } => libc::mount(
                    source.as_ptr(),
                    target.as_ptr(),
                    std::ptr::null(),
                    libc::MS_BIND | libc::MS_REC,
                    std::ptr::null(),
                ),
                Mount::Tmpfs { target, options } => libc::mount(
                    c"tmpfs".as_ptr(),
                    target.as_ptr(),
                    c"tmpfs".as_ptr(),
                    libc::MS_NOSUID | libc::MS_NODEV,
                    options.as_ptr().cast(),
                ),
                Mount::ReadOnly { target } => set_read_only(libc::AT_FDCWD, target, 0),
                Mount::Sysfs => {
                    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
                    let (kind, target) = (c"sysfs".as_ptr(), c"/sys".as_ptr());
                    libc::mount(kind, target, kind, flags, std::ptr::null());
                    0
                }
                Mount::Keep { source, target, is_read_only } => {
                    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_RECURSIVE as u32;
                    let tree =
                        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags) as i32;
                    if tree >= 0 && kept_len < KEPT_MAX {
                        kept[kept_len] = (tree, target.as_c_str());
                        kept_len += 1;
                    }
                    if tree >= 0 && *is_read_only {
                        set_read_only(tree, c"", libc::AT_EMPTY_PATH)
                    } else {
                        tree
                    }
                }
            }
        };
        if done < 0 {
            return Err(());
        }
    }
    for (tree, target) in &kept[..kept_len] {
        // SAFETY: as above; an empty source path means the descriptor itself.
        let done = unsafe {
            make_folders(target);
            const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
            libc::syscall(
                libc::SYS_move_mount,
                *tree,
                c"".as_ptr(),
                libc::AT_FDCWD,
                target.as_ptr(),
                MOVE_MOUNT_F_EMPTY_PATH,
            )
        };
        if done < 0 {
            return Err(());
        }
    }
    Ok(())
}

/// Makes a tree of mounts read-only (mount_setattr(2)).
///
/// # Safety
/// `folder` is an open descriptor or `AT_FDCWD`.
unsafe fn set_read_only(folder: i32, path: &CStr, flags: i32) -> i32 {
    const MOUNT_ATTR_RDONLY: u64 = 1;
    // struct mount_attr (linux/mount.h): attr_set, attr_clr, propagation, userns_fd.
    let attributes = [MOUNT_ATTR_RDONLY, 0, 0, 0];
    // SAFETY: the pointers name a zero-terminated text and a structure that outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            folder,
            path.as_ptr(),
            flags | libc::AT_RECURSIVE,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    if done < 0 { -1 } else { 0 }
}

/// `mkdir -p`, on the stack; failures show when the folder is used.
///
/// # Safety
/// System calls only, no allocation.
unsafe fn make_folders(path: &CStr) {
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    let bytes = path.to_bytes();
    if bytes.len() >= buffer.len() {
        return;
    }
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'/' && at > 0 {
            // SAFETY: `buffer` is zero-terminated: what lies behind `at` is still zero.
            unsafe { libc::mkdir(buffer.as_ptr().cast(), 0o755) };
        }
        buffer[at] = *byte;
    }
    // SAFETY: as above.
    unsafe { libc::mkdir(buffer.as_ptr().cast(), 0o755) };
}

//! Mounts of a lab's own mount namespace (mount(2), mount_setattr(2)).

use crate::process::Mount;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
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

/// Takes a file system out of sight; who has files of it open keeps them. Same as `umount --lazy TARGET`.
///
/// # Errors
/// Those of umount2(2).
pub fn unmount(target: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH)?)
}

/// Shows a file or folder at a second place. Same as `mount --bind SOURCE TARGET`.
///
/// # Errors
/// Those of mount(2).
pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(rustix::mount::mount_bind(source, target)?)
}

/// A copy of a folder, with all that is mounted below it, in which the ids of a user namespace own what the same ids
/// own outside: its root owns what root owns. It is not attached anywhere yet ([`attach`]).
///
/// Same as `mount --bind -o X-mount.idmap=/proc/PID/ns/user FOLDER TARGET`.
///
/// # Errors
/// Those of open_tree(2) and mount_setattr(2): `EPERM` for anybody but root of the machine, `EINVAL` for file systems
/// that cannot show other owners than their own.
pub fn id_mapped(folder: &Path, userns: BorrowedFd<'_>, is_read_only: bool) -> io::Result<OwnedFd> {
    copy_with_ids(folder, userns, is_read_only, libc::AT_RECURSIVE).or_else(|error| match error.kind() {
        // Something below is mounted that cannot be mapped: the folder alone then.
        io::ErrorKind::InvalidInput => copy_with_ids(folder, userns, is_read_only, 0),
        _ => Err(error),
    })
}

fn copy_with_ids(
    folder: &Path,
    userns: BorrowedFd<'_>,
    is_read_only: bool,
    recursive: i32,
) -> io::Result<OwnedFd> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | recursive.cast_unsigned();
    // SAFETY: the pointer names a zero-terminated text; the result is a fresh descriptor or -1.
    let tree = unsafe {
        let fd = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) as RawFd;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let mut set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if is_read_only {
        set |= MOUNT_ATTR_RDONLY;
    }
    // SAFETY: both descriptors are open.
    let done = unsafe {
        set_attributes(tree.as_raw_fd(), c"", libc::AT_EMPTY_PATH | recursive, set, userns.as_raw_fd())
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(tree) }
}

/// Attaches a tree of mounts that is not attached yet ([`id_mapped`]) at an existing folder (move_mount(2)).
///
/// # Errors
/// Those of move_mount(2).
pub fn attach(tree: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: an open descriptor and a zero-terminated text.
    if unsafe { move_tree(tree.as_raw_fd(), &target) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// move_mount(2) of a tree that is open as `tree`.
///
/// # Safety
/// `tree` is an open descriptor. System calls only, no allocation.
pub(crate) unsafe fn move_tree(tree: RawFd, target: &CStr) -> libc::c_long {
    const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
    // SAFETY: the pointers name zero-terminated texts; an empty source path means the descriptor itself.
    unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    }
}

// linux/mount.h
const MOUNT_ATTR_RDONLY: u64 = 0x1;
const MOUNT_ATTR_NOSUID: u64 = 0x2;
const MOUNT_ATTR_NODEV: u64 = 0x4;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

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
                Mount::Tmpfs { target, options } => {
                    mount_new(c"tmpfs", target, libc::MS_NODEV, Some(options))
                }
                Mount::ReadOnly { target } => set_read_only(libc::AT_FDCWD, target, 0),
                Mount::Sysfs { target } => {
                    mount_new(c"sysfs", target, libc::MS_NODEV | libc::MS_NOEXEC, None);
                    0
                }
                Mount::Proc { target } => mount_new(c"proc", target, libc::MS_NODEV | libc::MS_NOEXEC, None),
                Mount::Terminals { target, options } => {
                    mount_new(c"devpts", target, libc::MS_NOEXEC, Some(options))
                }
                Mount::Folder { path } => {
                    make_folders(path);
                    0
                }
                Mount::Overlay { target, options } => {
                    mount_new(c"overlay", target, libc::MS_NODEV, Some(options))
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
        // SAFETY: as above.
        let done = unsafe {
            make_folders(target);
            move_tree(*tree, target)
        };
        if done < 0 {
            return Err(());
        }
    }
    Ok(())
}

/// Mounts a file system of this kind, without set-user-ID programs.
///
/// # Safety
/// System calls only, no allocation.
unsafe fn mount_new(kind: &CStr, target: &CStr, flags: libc::c_ulong, options: Option<&CString>) -> i32 {
    let options = options.map_or(std::ptr::null(), |options| options.as_ptr());
    // SAFETY: the pointers name zero-terminated texts that outlive the call.
    unsafe {
        libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags | libc::MS_NOSUID, options.cast())
    }
}

/// The options of an overlay ([`Mount::Overlay`]): the uppermost of the lower folders first; `work` is an empty folder on
/// the file system of `upper`. Marks of what is deleted are kept in attributes that an ordinary user may write
/// (`userxattr`).
#[must_use]
pub fn overlay(lower: &[&Path], upper: &Path, work: &Path) -> CString {
    let mut text = b"userxattr,lowerdir=".to_vec();
    for (at, folder) in lower.iter().enumerate() {
        if at > 0 {
            text.push(b':');
        }
        text.extend(escaped(folder, b"\\:,"));
    }
    text.extend_from_slice(b",upperdir=");
    text.extend(escaped(upper, b"\\,"));
    text.extend_from_slice(b",workdir=");
    text.extend(escaped(work, b"\\,"));
    // A path from the kernel has no zero byte.
    CString::new(text).unwrap_or_default()
}

/// A path with a backslash before the bytes that mean something among options.
fn escaped(path: &Path, special: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if special.contains(byte) {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text
}

/// Makes a tree of mounts read-only.
///
/// # Safety
/// `folder` is an open descriptor or `AT_FDCWD`.
unsafe fn set_read_only(folder: RawFd, path: &CStr, flags: i32) -> i32 {
    // SAFETY: as the caller says.
    unsafe { set_attributes(folder, path, flags | libc::AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0) }
}

/// mount_setattr(2): adds attributes, with a user namespace for `MOUNT_ATTR_IDMAP`.
///
/// # Safety
/// `folder` is an open descriptor or `AT_FDCWD`.
unsafe fn set_attributes(folder: RawFd, path: &CStr, flags: i32, set: u64, userns: RawFd) -> i32 {
    // struct mount_attr (linux/mount.h): attr_set, attr_clr, propagation, userns_fd.
    let attributes = [set, 0, 0, u64::from(userns.cast_unsigned())];
    // SAFETY: the pointers name a zero-terminated text and a structure that outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            folder,
            path.as_ptr(),
            flags,
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

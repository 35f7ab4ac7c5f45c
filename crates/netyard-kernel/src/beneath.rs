//! Files below a folder, and nothing outside of it.

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Opens a file or folder at a path below `folder` for reading. Symbolic links on the way are followed as long as they
/// stay below; the last part of the path is followed only with `follows_last`.
///
/// Never waits for the other end of a pipe.
///
/// # Errors
/// `EXDEV` when the way leads out, also by a symbolic link that is absolute; `ELOOP` when the last part is a symbolic
/// link that is not to be followed; else those of open(2).
///
/// Source: openat2(2) `RESOLVE_BENEATH`.
pub fn open(folder: BorrowedFd<'_>, path: &Path, follows_last: bool) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = if follows_last { flags } else { flags | OFlags::NOFOLLOW };
    open_as(folder, path, flags)
}

/// What is at a path below `folder`: see [`open`]. The file itself is not opened.
///
/// # Errors
/// As [`open`].
pub fn file_type(folder: BorrowedFd<'_>, path: &Path, follows_last: bool) -> io::Result<FileType> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let flags = if follows_last { flags } else { flags | OFlags::NOFOLLOW };
    let file = open_as(folder, path, flags)?;
    Ok(FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode))
}

/// Where a symbolic link at a path below `folder` leads, as it is written.
///
/// # Errors
/// As [`open`], and `EINVAL` when it is no symbolic link.
pub fn read_link(folder: BorrowedFd<'_>, path: &Path) -> io::Result<std::ffi::CString> {
    let link = open_as(folder, path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW)?;
    Ok(rustix::fs::readlinkat(link.as_fd(), c"", Vec::new())?)
}

fn open_as(folder: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        // EAGAIN: something was renamed meanwhile, so that the kernel cannot tell whether the way stays below.
        match openat2(folder, path, flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::AGAIN) => {}
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    #[test]
    #[allow(clippy::unwrap_used)]
    fn nothing_outside_is_opened() {
        let outer = std::env::temp_dir().join(format!("netyard-beneath-{}", std::process::id()));
        let inner = outer.join("in");
        fs::create_dir_all(inner.join("sub")).unwrap();
        fs::write(outer.join("secret"), "x").unwrap();
        fs::write(inner.join("own"), "x").unwrap();
        symlink("../secret", inner.join("up")).unwrap();
        symlink("/etc/hostname", inner.join("absolute")).unwrap();
        symlink("../own", inner.join("sub/near")).unwrap();
        symlink("..", inner.join("parent")).unwrap();
        let folder = File::open(&inner).unwrap();
        let opened = |path: &str, follows| open(folder.as_fd(), Path::new(path), follows);
        assert!(opened("own", false).is_ok());
        assert!(opened("sub/near", true).is_ok());
        for path in ["up", "absolute", "../secret", "/etc/hostname", "parent/secret", "sub/../../secret"] {
            let error = opened(path, true).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::XDEV.raw_os_error()), "{path}: {error}");
        }
        assert_eq!(
            opened("up", false).unwrap_err().raw_os_error(),
            Some(rustix::io::Errno::LOOP.raw_os_error())
        );
        assert_eq!(file_type(folder.as_fd(), Path::new("up"), false).unwrap(), FileType::Symlink);
        assert_eq!(read_link(folder.as_fd(), Path::new("sub/near")).unwrap().as_c_str(), c"../own");
        fs::remove_dir_all(outer).unwrap();
    }
}

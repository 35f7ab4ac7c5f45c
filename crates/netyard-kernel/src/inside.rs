//! Files of a node, written from outside through its root folder.

use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, fstatfs, linkat, mkdirat, openat, openat2, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, fchown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Permissions and owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The root folder of a node. No path leads out of it: symbolic links and `..` are followed as the node's own programs
/// would follow them (openat2(2) `RESOLVE_IN_ROOT`), and only what is the node's own is written: neither `/proc` and
/// `/sys` nor folders that it shares with the machine.
#[derive(Debug, Clone, Copy)]
pub struct Inside<'a>(pub BorrowedFd<'a>);

impl Inside<'_> {
    /// What is in a file.
    ///
    /// # Errors
    /// Those of openat2(2) and read(2).
    pub fn read(self, path: &Path) -> io::Result<String> {
        let fd = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let mut text = String::new();
        File::from(fd).read_to_string(&mut text)?;
        Ok(text)
    }

    /// What is at a path; a symbolic link itself where it is one.
    ///
    /// # Errors
    /// Those of openat2(2).
    pub fn metadata(self, path: &Path) -> io::Result<Metadata> {
        File::from(self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?).metadata()
    }

    /// Opens a file or folder of the node for reading; nothing of `/proc` and `/sys`, which would tell of the reader.
    ///
    /// # Errors
    /// `ELOOP` for a symbolic link; `EACCES` for what is the kernel's; those of openat2(2).
    pub fn open_file(self, path: &Path) -> io::Result<File> {
        // linux/magic.h
        const PROC: i64 = 0x9fa0;
        const SYSFS: i64 = 0x6265_6572;
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW)?;
        #[allow(clippy::useless_conversion)]
        match i64::from(fstatfs(&file)?.f_type) {
            PROC | SYSFS => Err(Errno::ACCESS.into()),
            _ => Ok(file.into()),
        }
    }

    /// Where a symbolic link leads, as it is written.
    ///
    /// # Errors
    /// `EINVAL` when it is none; those of openat2(2).
    pub fn read_link(self, path: &Path) -> io::Result<PathBuf> {
        let link = self.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        let target = rustix::fs::readlinkat(&link, c"", Vec::new())?;
        Ok(OsStr::from_bytes(target.as_bytes()).into())
    }

    /// A connection to the socket at a path (unix(7)).
    ///
    /// # Errors
    /// `ENOENT` where there is none; `ECONNREFUSED` where nobody listens; those of connect(2).
    pub fn connect(self, path: &Path) -> io::Result<UnixStream> {
        let socket = self.open(path, OFlags::PATH)?;
        // By its descriptor: the way to it has been gone, and is not gone a second time from elsewhere.
        UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd()))
    }

    /// A new terminal of the node: the side on which a person types (pts(4)).
    ///
    /// # Errors
    /// `ENOENT` without a devpts at `/dev/pts`; `ENOSPC` when all terminals are in use.
    pub fn new_terminal(self) -> io::Result<OwnedFd> {
        self.open(Path::new("dev/pts/ptmx"), OFlags::RDWR | OFlags::NOCTTY)
    }

    /// Makes a folder, and those that it is in, where there is none. One that is there stays as it is.
    ///
    /// # Errors
    /// `ENOTDIR` where there is something else; `EROFS` where nothing is to be written; those of mkdirat(2).
    pub fn make_folder(self, path: &Path, mode: u32, owner: Owner) -> io::Result<()> {
        match self.open(path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            there => return there.map(drop),
        }
        let (parent, name) = self.parent(path)?;
        mkdirat(&parent, name, Mode::from_raw_mode(0o700))?;
        let made =
            openat(&parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        finish(&File::from(made), mode, owner)
    }

    /// Writes a file, in place of what is there.
    ///
    /// # Errors
    /// `EISDIR` where there is a folder; `EROFS` where nothing is to be written; those of open(2) and write(2).
    pub fn write(self, path: &Path, content: &mut dyn Read, mode: u32, owner: Owner) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&parent, name, flags, Mode::from_raw_mode(0o600))?);
        io::copy(content, &mut file)?;
        finish(&file, mode, owner)
    }

    /// Makes a symbolic link, in place of what is there.
    ///
    /// # Errors
    /// As [`Inside::write`].
    pub fn link(self, path: &Path, target: &Path) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        Ok(symlinkat(target, &parent, name)?)
    }

    /// Gives a file a second name, in place of what is there.
    ///
    /// # Errors
    /// As [`Inside::write`].
    pub fn link_hard(self, path: &Path, target: &Path) -> io::Result<()> {
        let (of_target, target) = self.parent(target)?;
        let (parent, name) = self.place(path)?;
        Ok(linkat(&of_target, target, &parent, name, AtFlags::empty())?)
    }

    /// The folder of a path that is to be written, and the last part, which is free then.
    fn place(self, path: &Path) -> io::Result<(OwnedFd, &OsStr)> {
        let (parent, name) = self.parent(path)?;
        match unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok((parent, name)),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder that a path is in, made where it is missing, and the last part of the path.
    fn parent(self, path: &Path) -> io::Result<(OwnedFd, &OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        if folder.file_name().is_some() {
            self.make_folder(folder, 0o755, Owner { uid: 0, gid: 0 })?;
        }
        let opened = self.open(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        if !is_own(opened.as_fd())? {
            return Err(Errno::ROFS.into());
        }
        Ok((opened, name))
    }

    fn open(self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match openat2(self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // Something was renamed meanwhile.
                Err(Errno::AGAIN) => {}
                result => return Ok(result?),
            }
        }
    }
}

/// Whether a folder is on a file system that only a node writes to.
fn is_own(folder: BorrowedFd<'_>) -> io::Result<bool> {
    // linux/magic.h
    const OVERLAY: i64 = 0x794c_7630;
    const TMPFS: i64 = 0x0102_1994;
    #[allow(clippy::useless_conversion)]
    let kind = i64::from(fstatfs(folder)?.f_type);
    Ok(kind == OVERLAY || kind == TMPFS)
}

fn finish(file: &File, mode: u32, owner: Owner) -> io::Result<()> {
    fchown(file, Some(owner.uid), Some(owner.gid))?;
    // After the owner, whose change takes bits away.
    file.set_permissions(std::fs::Permissions::from_mode(mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    #[allow(clippy::unwrap_used)]
    fn no_path_leads_out() {
        // On tmpfs, as nodes are.
        let outer = Path::new("/dev/shm").join(format!("netyard-inside-{}", std::process::id()));
        let root = outer.join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        symlink("../..", root.join("up")).unwrap();
        symlink(&outer, root.join("out")).unwrap();
        symlink("/etc", root.join("config")).unwrap();
        let of = fs::metadata(&root).unwrap();
        let owner = Owner { uid: of.uid(), gid: of.gid() };
        let folder = File::open(&root).unwrap();
        let inside = Inside(folder.as_fd());
        let write = |path: &str| inside.write(Path::new(path), &mut &b"x"[..], 0o640, owner);
        for path in ["config/a", "../b", "up/c", "etc/../../d"] {
            write(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        for path in ["etc/a", "b", "c", "d"] {
            assert_eq!(fs::read_to_string(root.join(path)).unwrap(), "x", "{path}");
        }
        // The link names a folder that the node does not have: nothing is made outside.
        let _ = write("out/e");
        assert_eq!(fs::read_dir(&outer).unwrap().count(), 1);
        fs::remove_dir_all(&outer).unwrap();
    }
}

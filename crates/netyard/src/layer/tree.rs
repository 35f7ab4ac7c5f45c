//! Trees of files: copied as far as anybody may read them, measured, removed.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Makes the folders of one tree in another, empty; without what is mounted below `from`.
///
/// # Errors
/// Those of mkdir(2). A folder that cannot be read is taken for empty.
pub(super) fn copy_folders(from: &Path, to: &Path) -> io::Result<()> {
    let device = from.metadata()?.dev();
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.dev() == device {
            let target = to.join(entry.file_name());
            make_folder(&target, metadata.mode())?;
            copy_folders(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// When copies have last been changed, in seconds since 1970: a time that nothing else has.
const COPIED: i64 = 12_345_678;

/// Copies what anybody may read of a tree; owners are the caller's. [`is_copy`] tells copies from all else.
///
/// # Errors
/// Those of writing.
pub(super) fn copy_readable(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let Ok(metadata) = entry.metadata() else { continue };
        let kind = metadata.file_type();
        if kind.is_symlink() {
            if let Ok(destination) = fs::read_link(&source) {
                symlink(destination, &target)?;
                mark(&target)?;
            }
        } else if kind.is_dir() && metadata.mode() & 0o005 == 0o005 {
            make_folder(&target, metadata.mode())?;
            copy_readable(&source, &target)?;
        } else if kind.is_file()
            && metadata.mode() & 0o004 != 0
            && let Ok(bytes) = fs::read(&source)
        {
            write_copy(&metadata, &bytes, &target)?;
        }
    }
    Ok(())
}

/// Puts a copy of a file, which is the caller's, in its place. What is no file stays.
///
/// # Errors
/// Those of reading and writing.
pub(super) fn replace_by_copy(path: &Path) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if !metadata.is_file() {
        return Ok(());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".netyard-copy");
    let copy = path.with_file_name(name);
    write_copy(&metadata, &fs::read(path)?, &copy)?;
    fs::rename(copy, path)
}

fn write_copy(of: &fs::Metadata, bytes: &[u8], target: &Path) -> io::Result<()> {
    fs::write(target, bytes)?;
    fs::set_permissions(target, fs::Permissions::from_mode(of.mode() & 0o7777))?;
    mark(target)
}

/// Finds the files of a tree that strangers may not read, by their paths below `at`: each that is closed itself, and the
/// topmost folder that is.
pub(super) fn closed(tree: &Path, at: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(tree).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let at = at.join(entry.file_name());
        match (metadata.is_dir(), metadata.is_file()) {
            (true, _) if metadata.mode() & 0o005 == 0o005 => closed(&entry.path(), &at, found),
            (true, _) if !is_empty(&entry.path()) => found.push(at.to_string_lossy().into_owned()),
            (_, true) if metadata.mode() & 0o004 == 0 => found.push(at.to_string_lossy().into_owned()),
            _ => {}
        }
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Makes a folder with these permission bits, whatever the umask; one that is there stays.
///
/// # Errors
/// Those of mkdir(2) and chmod(2).
pub(super) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
}

fn mark(path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: COPIED, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Whether a file is a copy that nobody has changed.
pub(super) fn is_copy(metadata: &fs::Metadata) -> bool {
    metadata.mtime() == COPIED
}

/// Bytes of all files.
pub(super) fn bytes(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    if !metadata.is_dir() {
        return if metadata.is_file() { metadata.len() } else { 0 };
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| bytes(&entry.path())).sum()
}

/// Whether a file hides one of the same name below (overlayfs: "whiteout").
pub(super) fn is_whiteout(metadata: &fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// Removes a file or tree, folders without permission too.
///
/// # Errors
/// Those of unlink(2) and rmdir(2).
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return fs::remove_file(path);
    }
    match fs::remove_dir(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        Err(error) => return Err(error),
    }
    // overlayfs leaves a folder that nobody may enter in its work folder.
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_may_not_read_is_not_copied() {
        let folder = std::env::temp_dir().join(format!("netyard-tree-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to"));
        for (path, mode) in [(&folder, 0o755), (&from, 0o755), (&to, 0o755), (&from.join("closed"), 0o750)] {
            make_folder(path, mode).unwrap();
        }
        for (name, mode) in [("open", 0o644), ("secret", 0o640), ("closed/x", 0o644)] {
            fs::write(from.join(name), name).unwrap();
            fs::set_permissions(from.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("open", from.join("link")).unwrap();
        let mut closed = Vec::new();
        super::closed(&from, Path::new("/"), &mut closed);
        closed.sort();
        assert_eq!(closed, ["/closed", "/secret"]);
        copy_readable(&from, &to).unwrap();
        let mut names: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["link", "open"]);
        assert_eq!(fs::read_to_string(to.join("open")).unwrap(), "open");
        let is_copy = |path: &Path| super::is_copy(&path.symlink_metadata().unwrap());
        assert!(is_copy(&to.join("open")) && is_copy(&to.join("link")) && !is_copy(&from.join("open")));
        fs::hard_link(from.join("open"), from.join("other")).unwrap();
        replace_by_copy(&from.join("other")).unwrap();
        let inode = |name: &str| from.join(name).metadata().unwrap().ino();
        assert!(is_copy(&from.join("other")) && inode("other") != inode("open"));
        assert_eq!(fs::read_to_string(from.join("other")).unwrap(), "open");
        fs::write(to.join("open"), "changed").unwrap();
        assert!(!is_copy(&to.join("open")));
        fs::set_permissions(from.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        remove(&folder).unwrap();
    }
}

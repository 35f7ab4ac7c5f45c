//! Files of full nodes, copied in and out.

use crate::bundle;
use crate::connection::unexpected;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::protocol::{Change, Difference, Reply, Request};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tar::{Archive, Entry, EntryType};

impl Node<'_> {
    /// Copies files and folders of the caller's into the node, as cp(1) does. They belong to root there.
    ///
    /// # Errors
    /// What cannot be read or written; that the node has no files of its own.
    pub fn copy_in(&self, sources: &[PathBuf], to: &str) -> Result<()> {
        let archive = bundle::of_sources(self.name(), sources)?;
        let into_folder = sources.len() > 1 || to.ends_with('/');
        let request = Request::WriteFiles { node: self.name().clone(), to: to.into(), into_folder };
        self.lab().ask_giving(&request, &[archive.as_fd()]).map(drop)
    }

    /// Copies files and folders of the node to the caller, as cp(1) does. They belong to the caller then.
    ///
    /// # Errors
    /// What cannot be read or written; that the node has no files of its own.
    pub fn copy_out(&self, paths: &[PathBuf], to: &Path) -> Result<()> {
        let is_folder = to.is_dir();
        if paths.len() > 1 && !is_folder {
            return Err(Error::input("U011", format!("{} is no folder", to.display()))
                .help("several files are copied into a folder that is there"));
        }
        for path in paths {
            let archive = self.read(vec![path.clone()], true)?;
            let from = path.strip_prefix("/").unwrap_or(path);
            let place = match path.file_name().filter(|_| is_folder) {
                Some(name) => to.join(name),
                None => to.to_owned(),
            };
            unpack(archive, |path| path.strip_prefix(from).ok().map(|rest| joined(&place, rest)))?;
        }
        Ok(())
    }

    /// What differs from the files that the node began with; what is below `/run` and `/tmp` is not told.
    ///
    /// # Errors
    /// That the node has no files of its own.
    pub fn differences(&self) -> Result<Vec<Difference>> {
        match self.lab().ask(&Request::Differences(self.name().clone()))? {
            (Reply::Differences(differences), _) => Ok(differences),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Writes the files that were added or changed into a folder that is made for them, or an archive (`.tar`): a tree
    /// that `files: FOLDER` lays over another node. Returns how many there are.
    ///
    /// # Errors
    /// What cannot be written; that something is there already.
    pub fn save(&self, to: &Path) -> Result<usize> {
        let kept = self.differences()?.into_iter().filter(|difference| difference.change != Change::Removed);
        let paths: Vec<PathBuf> = kept.map(|difference| difference.path).collect();
        let count = paths.len();
        let archive = self.read(paths, false)?;
        let failed = |e: &io::Error| not_written(to, e);
        if to.extension().is_some_and(|extension| extension == "tar") {
            let mut file = File::create_new(to).map_err(|e| failed(&e))?;
            io::copy(&mut File::from(archive), &mut file).map_err(|e| failed(&e))?;
        } else {
            fs::create_dir(to).map_err(|e| failed(&e))?;
            unpack(archive, |path| Some(to.join(path)))?;
        }
        Ok(count)
    }

    fn read(&self, paths: Vec<PathBuf>, is_deep: bool) -> Result<OwnedFd> {
        let (reply, mut fds) =
            self.lab().ask(&Request::ReadFiles { node: self.name().clone(), paths, is_deep })?;
        fds.pop().ok_or_else(|| unexpected(&reply))
    }
}

fn joined(place: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { place.to_owned() } else { place.join(rest) }
}

/// Writes what is in an archive to where `place` says.
fn unpack(archive: OwnedFd, place: impl Fn(&Path) -> Option<PathBuf>) -> Result<()> {
    let failed = |e: &io::Error| Error::io("cannot read the files of a node", e);
    let mut archive = Archive::new(File::from(archive));
    for entry in archive.entries().map_err(|e| failed(&e))? {
        let mut entry = entry.map_err(|e| failed(&e))?;
        let path = entry.path().map_err(|e| failed(&e))?.into_owned();
        if let Some(place) = place(&path) {
            write(&mut entry, &place).map_err(|e| not_written(&place, &e))?;
        }
    }
    Ok(())
}

fn write(entry: &mut Entry<'_, File>, place: &Path) -> io::Result<()> {
    let mode = entry.header().mode()? & 0o777;
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    match entry.header().entry_type() {
        EntryType::Directory => fs::create_dir_all(place),
        EntryType::Symlink => {
            remove(place)?;
            symlink(entry.link_name()?.unwrap_or_default(), place)
        }
        _ => {
            // Not through a link that is there.
            remove(place)?;
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)?;
            io::copy(&mut entry.by_ref(), &mut file)?;
            file.set_permissions(fs::Permissions::from_mode(mode))
        }
    }
}

fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn not_written(place: &Path, error: &io::Error) -> Error {
    Error::input("U023", format!("cannot write {}: {error}", place.display()))
}

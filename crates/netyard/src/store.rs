//! Where running labs are found: one socket each, in a folder that is ours alone.
//!
//! The socket `LAB` *is* the state: whoever can connect to it speaks to a living holder, and knows its process from
//! the kernel (`SO_PEERCRED`). A socket that refuses is what a killed lab left, and goes with the next command. The
//! lab's definition is in the holder's memory. One lock file serves all labs: each has one byte of it.

use crate::connection::Connection;
use crate::error::{Error, Result};
use netyard_core::labfile::nearest;
use netyard_core::name::LabName;
use netyard_kernel::lock::RangeLock;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOCK_FILE: &str = ".lock";
/// How long a command waits for another one that works on the same lab.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The folders in which this user's labs may be.
#[derive(Debug)]
pub struct Store {
    folders: Vec<PathBuf>,
}

/// A socket that is bound under a temporary name until [`Claim::publish`].
#[derive(Debug)]
pub struct Claim {
    /// The bound socket; the holder listens on it.
    pub socket: OwnedFd,
    folder: PathBuf,
    temporary: PathBuf,
    lab: LabName,
    _lock: RangeLock,
}

impl Store {
    /// The folders that fit the caller's environment: the first in which one can write takes new labs.
    ///
    /// `$XDG_RUNTIME_DIR/netyard`, `/run/user/UID/netyard`, `$HOME/.cache/netyard`; for root `/run/netyard`.
    #[must_use]
    pub fn of_user() -> Self {
        let uid = rustix::process::geteuid();
        let mut folders = Vec::new();
        if uid.is_root() {
            folders.push(PathBuf::from("/run/netyard"));
        } else {
            if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
                folders.push(Path::new(&runtime).join("netyard"));
            }
            folders.push(PathBuf::from(format!("/run/user/{}/netyard", uid.as_raw())));
        }
        if let Some(home) = std::env::var_os("HOME").filter(|dir| !dir.is_empty()) {
            folders.push(Path::new(&home).join(".cache/netyard"));
        }
        folders.dedup();
        Self { folders }
    }

    /// Makes the lab's name ours: waits for others who work on it, and binds a socket for its holder.
    ///
    /// # Errors
    /// That another command works on the lab; that no folder can be written.
    pub fn claim(&self, lab: &LabName) -> Result<Claim> {
        let folder = self.writable()?;
        let lock = lock(&folder, lab)?;
        let temporary = folder.join(format!(".{lab}.new"));
        let _ = std::fs::remove_file(&temporary);
        let socket =
            bind(&temporary).map_err(|e| Error::io(format!("cannot bind {}", temporary.display()), &e))?;
        Ok(Claim { socket, folder, temporary, lab: lab.clone(), _lock: lock })
    }

    /// Locks a lab's name while it is changed or removed.
    ///
    /// # Errors
    /// That another command works on the lab.
    pub fn lock(&self, lab: &LabName) -> Result<RangeLock> {
        lock(&self.writable()?, lab)
    }

    /// Connects to the lab's holder; none when no such lab runs. Removes what a killed lab left.
    ///
    /// # Errors
    /// Those of connect(2) other than "refused".
    pub fn find(&self, lab: &LabName) -> Result<Option<Connection>> {
        for folder in self.folders.iter().filter(|folder| is_ours(folder)) {
            let path = folder.join(lab.as_str());
            match connect(&path) {
                Ok(stream) => return Ok(Some(Connection::new(stream))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => remove_stale(folder, lab),
                Err(error) => return Err(Error::io(format!("cannot connect to {}", path.display()), &error)),
            }
        }
        Ok(None)
    }

    /// Whether a holder listens at the lab's socket. The caller holds the lab's lock.
    #[must_use]
    pub fn answers(&self, lab: &LabName) -> bool {
        let folders = self.folders.iter().filter(|folder| is_ours(folder));
        folders.map(|folder| connect(&folder.join(lab.as_str()))).any(|answer| answer.is_ok())
    }

    /// Names of all labs that run, in order. Removes what killed labs left.
    ///
    /// # Errors
    /// As [`Store::find`].
    pub fn labs(&self) -> Result<Vec<LabName>> {
        let mut names = Vec::new();
        for folder in self.folders.iter().filter(|folder| is_ours(folder)) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if let Some(lab) = name.to_str().and_then(|name| LabName::new(name).ok()) {
                    if self.find(&lab)?.is_some() {
                        names.push(lab);
                    }
                } else {
                    remove_abandoned(folder, &name.to_string_lossy());
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// That no lab of this name runs, with the nearest name that does.
    #[must_use]
    pub fn no_such_lab(&self, name: &LabName) -> Error {
        let error = Error::input("U003", format!("no lab `{name}` runs"));
        let labs = self.labs().unwrap_or_default();
        match nearest(name.as_str(), labs.iter().map(LabName::as_str)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None if labs.is_empty() => error.help("`netyard up FILE` makes one"),
            None => error.help("`netyard list` shows those that do"),
        }
    }

    /// The folders in which labs are looked for, the one that new labs go to first.
    #[must_use]
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Removes the lab's socket; the caller holds the lab's lock.
    pub fn forget(&self, lab: &LabName) {
        for folder in self.folders.iter().filter(|folder| is_ours(folder)) {
            let _ = std::fs::remove_file(folder.join(lab.as_str()));
        }
    }

    /// The first folder that is ours or can be made.
    fn writable(&self) -> Result<PathBuf> {
        let mut refusals = Vec::new();
        for folder in &self.folders {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            match made {
                Ok(()) if is_ours(folder) => return Ok(folder.clone()),
                Ok(()) => refusals.push(format!("{}: not ours alone (owner or mode)", folder.display())),
                Err(error) => refusals.push(format!("{}: {error}", folder.display())),
            }
        }
        let error = Error::input("U012", "there is no folder for the sockets of running labs")
            .help("set XDG_RUNTIME_DIR or HOME to a folder of your own");
        Err(refusals.into_iter().fold(error, Error::note))
    }
}

impl Claim {
    /// Gives the socket the lab's name: from now on others find the lab.
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn publish(&self) -> Result<()> {
        let path = self.folder.join(self.lab.as_str());
        std::fs::rename(&self.temporary, &path)
            .map_err(|e| Error::io(format!("cannot make {}", path.display()), &e))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // After `publish` there is no file of this name.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// Whether the folder belongs to the caller and nobody else can write or look into it.
fn is_ours(folder: &Path) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(folder) else { return false };
    metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0
}

/// The socket of a lab that was killed. Removed only when nobody works on that lab and nobody has built it again since
/// it was found stale: a lab whose socket is gone cannot be found.
fn remove_stale(folder: &Path, lab: &LabName) {
    if let Ok(Ok(_lock)) = RangeLock::try_new(&folder.join(LOCK_FILE), lab.as_str()) {
        let path = folder.join(lab.as_str());
        if connect(&path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A temporary socket whose `up` was killed: removed when nobody works on that lab.
fn remove_abandoned(folder: &Path, name: &str) {
    let lab = name.strip_prefix('.').and_then(|n| n.strip_suffix(".new")).and_then(|n| LabName::new(n).ok());
    if let Some(lab) = lab
        && let Ok(Ok(_lock)) = RangeLock::try_new(&folder.join(LOCK_FILE), lab.as_str())
    {
        let _ = std::fs::remove_file(folder.join(name));
    }
}

fn lock(folder: &Path, lab: &LabName) -> Result<RangeLock> {
    let path = folder.join(LOCK_FILE);
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let locked = RangeLock::try_new(&path, lab.as_str())
            .map_err(|e| Error::io(format!("cannot lock {}", path.display()), &e))?;
        let owner = match locked {
            Ok(lock) => return Ok(lock),
            Err(owner) => owner,
        };
        if start.elapsed() > LOCK_WAIT {
            let who = owner
                .map_or_else(|| "another process".to_owned(), |(pid, name)| format!("pid {pid} ({name})"));
            return Err(Error::input("U001", format!("{who} is working on lab `{lab}`"))
                .help("wait until it is done, or end that process"));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Runs `f` with a path to the file that fits into a socket address, however long its folder's path is.
fn with_short_path<R>(path: &Path, f: impl FnOnce(&SocketAddrUnix) -> io::Result<R>) -> io::Result<R> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    f(&SocketAddrUnix::new(&short)?)
}

fn bind(path: &Path) -> io::Result<OwnedFd> {
    let socket = stream_socket()?;
    with_short_path(path, |address| Ok(rustix::net::bind(&socket, address)?))?;
    Ok(socket)
}

fn connect(path: &Path) -> io::Result<OwnedFd> {
    let socket = stream_socket()?;
    with_short_path(path, |address| Ok(rustix::net::connect(&socket, address)?))?;
    Ok(socket)
}

fn stream_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

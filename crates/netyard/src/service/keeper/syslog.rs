//! `/dev/log`, to which daemons tell what they do not print (syslog(3)).
//!
//! A node has one, and no process but keepers to listen: the first that finds it free takes it, and puts what comes into
//! the log of the service whose process has sent it.

use super::super::processes::service_of;
use super::super::record::Record;
use netyard_core::unit::syslog_text;
use netyard_kernel::peer::{receive_with_sender, tell_senders};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

const PATH: &str = "/dev/log";
/// The longest message that is read, in bytes.
const LENGTH_MAX: usize = 8 * 1024;

pub(super) struct Syslog(UnixDatagram);

impl Syslog {
    /// Takes `/dev/log` where nobody has it.
    pub(super) fn take() -> Option<Self> {
        let probe = UnixDatagram::unbound().ok()?;
        match probe.connect(PATH) {
            // Of a keeper that was killed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(PATH).ok()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return None,
        }
        let socket = UnixDatagram::bind(PATH).ok()?;
        socket.set_nonblocking(true).ok()?;
        tell_senders(socket.as_fd()).ok()?;
        fs::set_permissions(PATH, fs::Permissions::from_mode(0o666)).ok()?;
        Some(Self(socket))
    }

    /// Puts what has come into the logs of services; what none of them has sent is dropped.
    pub(super) fn receive(&self) {
        let mut bytes = [0; LENGTH_MAX];
        while let Ok((length, sender)) = receive_with_sender(self.0.as_fd(), &mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]);
            if let Some(name) = sender.and_then(service_of) {
                // A full `/run` is no reason to stop reading, at which daemons would hang.
                let _ = Record::of(&name).add_to_log(syslog_text(&text).as_bytes());
            }
        }
    }
}

impl AsFd for Syslog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        let _ = fs::remove_file(PATH);
    }
}

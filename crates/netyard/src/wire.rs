//! Messages between a holder and those who speak to it: a length, JSON, and descriptors beside them.
//!
//! ```text
//! 0             4
//! | length (LE) | JSON of that many bytes |      descriptors travel with the first byte (SCM_RIGHTS)
//! ```

use netyard_kernel::fds;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest message in bytes: 10,000 nodes take about 10 MB.
const MESSAGE_LEN_MAX: usize = 64 << 20;

/// Sends one message.
///
/// # Errors
/// Those of sendmsg(2).
pub fn send(to: BorrowedFd<'_>, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = encode(message)?;
    let mut sent = fds::send(to, &bytes, fds)?;
    while sent < bytes.len() {
        sent += fds::send(to, &bytes[sent..], &[])?;
    }
    Ok(())
}

/// A message as it travels.
///
/// # Errors
/// `InvalidInput` when it is longer than 4 GiB.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).map_err(|_| io::ErrorKind::InvalidInput)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Bytes and descriptors that have arrived and are not yet a whole message.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Inbox {
    /// Receives what is there; `false` when the other side has closed.
    ///
    /// # Errors
    /// Those of recvmsg(2).
    pub fn fill(&mut self, from: BorrowedFd<'_>) -> io::Result<bool> {
        let start = self.bytes.len();
        let wanted = self.missing().clamp(4096, 1 << 20);
        self.bytes.resize(start + wanted, 0);
        let got = fds::receive(from, &mut self.bytes[start..]);
        let (length, fds) = got.unwrap_or_else(|_| (0, Vec::new()));
        self.bytes.truncate(start + length);
        self.fds.extend(fds);
        Ok(length > 0)
    }

    /// Takes the next whole message, with all descriptors received so far.
    ///
    /// # Errors
    /// `InvalidData` when it is too long, `InvalidInput` when it is not what was expected; the next one may be.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let Some(length) = self.length() else { return Ok(None) };
        if length > MESSAGE_LEN_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.bytes.len() < 4 + length {
            return Ok(None);
        }
        let message = serde_json::from_slice(&self.bytes[4..4 + length]);
        self.bytes.drain(..4 + length);
        self.bytes.shrink_to(4096);
        let fds = std::mem::take(&mut self.fds);
        let message = message.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Some((message, fds)))
    }

    fn length(&self) -> Option<usize> {
        let bytes: [u8; 4] = self.bytes.get(..4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) as usize)
    }

    fn missing(&self) -> usize {
        self.length().map_or(0, |length| (4 + length.min(MESSAGE_LEN_MAX)).saturating_sub(self.bytes.len()))
    }
}

/// Waits for one message.
///
/// # Errors
/// `UnexpectedEof` when the other side closes first; else those of recvmsg(2).
pub fn receive<T: DeserializeOwned>(from: &impl AsFd, inbox: &mut Inbox) -> io::Result<(T, Vec<OwnedFd>)> {
    loop {
        if let Some(message) = inbox.take()? {
            return Ok(message);
        }
        if !inbox.fill(from.as_fd())? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_with_its_descriptors() {
        let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let long = "x".repeat(300_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                send(a.as_fd(), &long, &[file.as_fd()]).unwrap();
                send(a.as_fd(), &"second", &[]).unwrap();
            });
            let mut inbox = Inbox::default();
            let (text, fds) = receive::<String>(&b, &mut inbox).unwrap();
            assert_eq!((text == long, fds.len()), (true, 1));
            let (text, fds) = receive::<String>(&b, &mut inbox).unwrap();
            assert_eq!((text.as_str(), fds.len()), ("second", 0));
        });
        drop(a);
        assert!(receive::<String>(&b, &mut Inbox::default()).is_err());
    }
}

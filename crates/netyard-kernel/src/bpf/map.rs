//! What a program and the process that has loaded it share.

use super::syscall;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Kinds of maps (linux/bpf.h `enum bpf_map_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Values by any key.
    Hash = 1,
    /// Values by number, all of them there.
    Array = 2,
    /// Records from the program, in order; [`super::Ring`] reads them.
    RingBuffer = 27,
}

/// A map.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    key_len: usize,
    value_len: usize,
}

impl Map {
    /// Makes one with so many entries at most; of a ring buffer, bytes: a power of two, and whole pages.
    ///
    /// # Errors
    /// `EPERM` without CAP_BPF.
    pub fn new(kind: Kind, key_len: usize, value_len: usize, entries_max: u32) -> io::Result<Self> {
        let fd = syscall::create_map(kind as u32, key_len, value_len, entries_max)?;
        Ok(Self { fd, key_len, value_len })
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// `InvalidInput` for other lengths than the map's; `E2BIG` when it is full.
    pub fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if key.len() != self.key_len || value.len() != self.value_len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        syscall::update(self.as_raw_fd(), key, value)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `ENOENT` where there is none; `InvalidInput` for another length than the map's.
    pub fn get(&self, key: &[u8]) -> io::Result<Vec<u8>> {
        if key.len() != self.key_len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut value = vec![0; self.value_len];
        syscall::look_up(self.as_raw_fd(), key, &mut value)?;
        Ok(value)
    }
}

impl AsRawFd for Map {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

//! Reads the records of a program from its ring buffer.
//!
//! ```text
//! page 0: how far was read (8)   page 1: how far was written (8)   then the data, mapped twice in a row
//! record: | bit 31 still being written, bit 30 thrown away, else length (4) | 4 (4) | bytes, up to a multiple of 8
//! ```
//!
//! Source: Documentation/bpf/ringbuf.rst.

use super::Map;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const HEADER_LEN: usize = 8;
const IS_BUSY: u32 = 1 << 31;
const IS_DISCARDED: u32 = 1 << 30;

/// The reader of a ring buffer.
#[derive(Debug)]
pub struct Ring {
    map: Map,
    /// Of the page that says how far was read.
    consumer: NonNull<u8>,
    /// Of the page that says how far was written, and of the data twice.
    producer: NonNull<u8>,
    page: usize,
    len: usize,
}

// SAFETY: the memory is shared with the kernel only, and `Ring` is its only owner in this process.
unsafe impl Send for Ring {}

impl Ring {
    /// Reads a map of [`super::Kind::RingBuffer`] that was made with `len` bytes.
    ///
    /// # Errors
    /// Those of mmap(2): `EINVAL` for another length.
    pub fn new(map: Map, len: usize) -> io::Result<Self> {
        let page = page_len();
        let fd = map.as_raw_fd();
        let consumer = mapped(fd, page, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        let producer = mapped(fd, page + 2 * len, libc::PROT_READ, page).inspect_err(|_| {
            // SAFETY: the mapping was made above, and nobody else knows of it.
            unsafe { libc::munmap(consumer.as_ptr().cast(), page) };
        })?;
        Ok(Self { map, consumer, producer, page, len })
    }

    /// Calls `each` with every record that is there. Never waits.
    pub fn read(&mut self, mut each: impl FnMut(&[u8])) {
        // SAFETY: both words are at the beginning of a page of the mappings, and the kernel uses them as atomic words.
        let (read, written) = unsafe {
            (
                AtomicU64::from_ptr(self.consumer.cast().as_ptr()),
                AtomicU64::from_ptr(self.producer.cast().as_ptr()),
            )
        };
        let mut at = read.load(Ordering::Relaxed);
        while at < written.load(Ordering::Acquire) {
            let place = self.page + (at as usize & (self.len - 1));
            // SAFETY: the data is mapped twice in a row, so that a record that begins in the first half is whole.
            let header = unsafe { AtomicU32::from_ptr(self.producer.add(place).cast().as_ptr()) };
            let header = header.load(Ordering::Acquire);
            if header & IS_BUSY != 0 {
                return;
            }
            let len = (header & !IS_DISCARDED) as usize;
            if header & IS_DISCARDED == 0 && len <= self.len {
                // SAFETY: as above; the kernel does not write there until it is told that this was read.
                each(unsafe {
                    std::slice::from_raw_parts(self.producer.add(place + HEADER_LEN).as_ptr(), len)
                });
            }
            at += (HEADER_LEN + len).next_multiple_of(8) as u64;
            read.store(at, Ordering::Release);
        }
    }
}

fn page_len() -> usize {
    // SAFETY: asks for a constant of the system.
    let len = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(len).unwrap_or(4096)
}

fn mapped(fd: i32, len: usize, access: i32, offset: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a fresh mapping at an address that the kernel chooses; the result is checked.
    let memory =
        unsafe { libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, fd, offset as libc::off_t) };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(memory.cast()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: both mappings are ours, of these lengths, and nothing borrows from them any more.
        unsafe {
            libc::munmap(self.consumer.as_ptr().cast(), self.page);
            libc::munmap(self.producer.as_ptr().cast(), self.page + 2 * self.len);
        }
    }
}

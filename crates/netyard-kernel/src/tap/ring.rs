//! Reads the ring of a tap.
//!
//! ```text
//! struct tpacket_block_desc: 0 version (4) | 4 (4) | 8 status (4) | 12 frames (4) | 16 offset of the first (4) ...
//! ```

use super::{Shape, TapFrame};
use netyard_core::filter::Instruction;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

const STATUS_AT: usize = 8;
const COUNT_AT: usize = 12;
const FIRST_AT: usize = 16;
/// The block belongs to the reader.
const TP_STATUS_USER: u32 = 1;
const TP_STATUS_KERNEL: u32 = 0;

/// The reader of a tap. Only one at a time may read a ring.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    memory: NonNull<u8>,
    shape: Shape,
    /// The block that the kernel gives away next.
    next: u32,
    counts: Counts,
}

// SAFETY: the memory is shared with the kernel only, and `Tap` is its only owner in this process.
unsafe impl Send for Tap {}

/// Frames of a tap since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that the filter let pass.
    pub passed: u64,
    /// Of these, those that found no room in the ring.
    pub dropped: u64,
}

impl Tap {
    /// Reads a tap that was opened, by this process or another, with a ring of this shape.
    ///
    /// # Errors
    /// Those of mmap(2): `EINVAL` for another shape.
    pub fn new(fd: OwnedFd, shape: Shape) -> io::Result<Self> {
        // SAFETY: a fresh mapping of the ring at an address that the kernel chooses; the result is checked.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                shape.len(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { fd, memory, shape, next: 0, counts: Counts::default() })
    }

    /// Calls `each` with every frame that is there, in the order of the ring. Never waits.
    pub fn read(&mut self, mut each: impl FnMut(TapFrame<'_>)) {
        for _ in 0..self.shape.blocks {
            let start = self.next as usize * self.shape.block_len as usize;
            // SAFETY: `start` is the beginning of a block inside of the mapping; the kernel, too, changes the status
            // as one aligned word only.
            let status = unsafe { AtomicU32::from_ptr(self.memory.add(start + STATUS_AT).cast().as_ptr()) };
            if status.load(Ordering::Acquire) & TP_STATUS_USER == 0 {
                return;
            }
            // SAFETY: the block is inside of the mapping, and the kernel does not write to it until it gets it back.
            let block = unsafe {
                std::slice::from_raw_parts(self.memory.add(start).as_ptr(), self.shape.block_len as usize)
            };
            read_block(block, &mut each);
            status.store(TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.shape.blocks;
        }
    }

    /// Sifts frames in the kernel from now on.
    ///
    /// # Errors
    /// `EINVAL` for a filter that the kernel does not understand.
    pub fn sift(&self, filter: &[Instruction]) -> io::Result<()> {
        super::open::attach(&self.fd, filter)
    }

    /// Frames that passed and that were lost since the tap was opened (`PACKET_STATISTICS`).
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn counts(&mut self) -> io::Result<Counts> {
        const PACKET_STATISTICS: i32 = 6;
        // `struct tpacket_stats_v3`: passed, dropped, times that the ring was full; since the last question.
        let mut words = [0u32; 3];
        let mut len = size_of_val(&words) as libc::socklen_t;
        // SAFETY: the pointers name three words and their length, both live during the call.
        let done = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_STATISTICS,
                words.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        self.counts.passed += u64::from(words[0]);
        self.counts.dropped += u64::from(words[1]);
        Ok(self.counts)
    }
}

fn read_block(block: &[u8], each: &mut impl FnMut(TapFrame<'_>)) {
    let word = |at: usize| u32::from_ne_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    let mut at = word(FIRST_AT) as usize;
    for _ in 0..word(COUNT_AT) {
        let Some((frame, next)) = block.get(at..).and_then(TapFrame::read) else { return };
        each(frame);
        if next == 0 {
            return;
        }
        at += next;
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and nothing borrows from it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.shape.len()) };
    }
}

//! Opens taps.

use super::{RETIRE_MS, Shape};
use netyard_core::filter::Instruction;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// linux/if_ether.h: every protocol.
const ETH_P_ALL: u16 = 0x0003;

/// What a tap keeps.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Bytes of the ring.
    pub ring_len: usize,
    /// The most bytes that are kept of a frame.
    pub snap: u32,
    /// Sifts frames in the kernel; its answer is how many bytes are kept, so it knows `snap`. Empty for all frames.
    pub filter: &'a [Instruction],
}

/// A tap that is open: its descriptor, to be read through [`super::Tap`].
#[derive(Debug)]
pub struct OpenTap {
    /// The packet socket.
    pub fd: OwnedFd,
    /// The shape of its ring.
    pub shape: Shape,
    /// Whether the ring is smaller than was asked for: the kernel had no memory for more.
    pub is_smaller: bool,
}

/// Opens a tap in the calling thread's network namespace.
///
/// The filter is there before the first frame. Frames of all links come, also of those that are made later. Opening
/// and closing each wait until all processors have let go of old state (some milliseconds, during which other threads
/// may open theirs).
///
/// # Errors
/// `EPERM` without CAP_NET_RAW over the namespace, `ENOMEM` where there is no room for even the smallest ring,
/// `EINVAL` for a filter that the kernel does not understand.
///
/// Same as `tcpdump -i any`, with link headers.
pub fn open(settings: Settings<'_>) -> io::Result<OpenTap> {
    // Nothing is received before the protocol is given with the address.
    // SAFETY: socket(2) takes no pointers; the result is checked.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` is a fresh descriptor that nothing else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    attach(&fd, settings.filter)?;
    const PACKET_VERSION: i32 = 10;
    const TPACKET_V3: i32 = 2;
    set(&fd, libc::SOL_PACKET, PACKET_VERSION, &TPACKET_V3)?;
    let (shape, is_smaller) = make_ring(&fd, Shape::new(settings.ring_len, settings.snap))?;
    // SAFETY: all zeroes is an address; the pointer and length name one that lives during the call.
    let bound = unsafe {
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ETH_P_ALL.to_be();
        libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
    };
    if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(OpenTap { fd, shape, is_smaller }) }
}

/// Gives the socket its filter (`SO_ATTACH_FILTER`, socket(7)).
pub(super) fn attach(fd: &OwnedFd, filter: &[Instruction]) -> io::Result<()> {
    if filter.is_empty() {
        return Ok(());
    }
    let mut instructions: Vec<libc::sock_filter> = filter
        .iter()
        .map(|one| libc::sock_filter { code: one.code, jt: one.yes, jf: one.no, k: one.operand })
        .collect();
    let len = u16::try_from(instructions.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // The kernel copies the instructions; they live until the end of this function.
    let program = libc::sock_fprog { len, filter: instructions.as_mut_ptr() };
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Makes the largest ring that the kernel has room for, down to four blocks.
fn make_ring(fd: &OwnedFd, wanted: Shape) -> io::Result<(Shape, bool)> {
    const PACKET_RX_RING: i32 = 5;
    const BLOCKS_MIN: u32 = 4;
    /// `struct tpacket_req3`: bytes of a block, blocks, bytes of a frame, frames, milliseconds, private bytes, flags.
    type Request = [u32; 7];
    /// The kernel wants a size of frames, and ignores it.
    const FRAME_LEN: u32 = 2048;
    let mut shape = wanted;
    loop {
        let frames = shape.block_len / FRAME_LEN * shape.blocks;
        let request: Request = [shape.block_len, shape.blocks, FRAME_LEN, frames, RETIRE_MS, 0, 0];
        match set(fd, libc::SOL_PACKET, PACKET_RX_RING, &request) {
            Ok(()) => return Ok((shape, shape != wanted)),
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && shape.blocks > BLOCKS_MIN => {
                shape.blocks = (shape.blocks / 2).max(BLOCKS_MIN);
            }
            Err(error) => return Err(error),
        }
    }
}

fn set<T>(fd: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: the pointer and length name `value`, which lives during the call; the kernel copies it.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

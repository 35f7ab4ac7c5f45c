//! Frames as they pass the links of a network namespace (packet(7)), and the wall clock's reading of when.

pub use netyard_core::packet::Way;

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// linux/if_ether.h: every protocol.
const ETH_P_ALL: u16 = 0x0003;

/// A socket that receives a copy of every frame.
#[derive(Debug)]
pub struct Capture {
    fd: OwnedFd,
}

/// A frame that was captured.
#[derive(Debug, Clone, Copy)]
pub struct Captured {
    /// Bytes in the buffer.
    pub kept: usize,
    /// Bytes on the wire.
    pub len: usize,
    /// When it passed: seconds since 1970.
    pub seconds: u64,
    /// And microseconds.
    pub micros: u32,
    /// The ifindex of the link.
    pub index: u32,
    /// What it carries (IEEE 802 numbers).
    pub ethertype: u16,
    /// Which way it went.
    pub way: Way,
}

impl Capture {
    /// Listens at one link, with Ethernet headers; or, with `None`, at all links, without headers.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW over the network namespace, `ENODEV` where there is no such link.
    pub fn open(index: Option<u32>) -> io::Result<Self> {
        let kind = if index.is_some() { libc::SOCK_RAW } else { libc::SOCK_DGRAM };
        // Nothing is received before the protocol is given with the address.
        // SAFETY: socket(2) takes no pointers; the result is checked.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is a fresh descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let (one, buffer): (i32, i32) = (1, 4 << 20);
        for (option, value) in [(libc::SO_TIMESTAMPNS, one), (libc::SO_RCVBUF, buffer)] {
            // SAFETY: the pointer and length name one int that lives during the call.
            unsafe {
                libc::setsockopt(
                    fd.as_raw_fd(),
                    libc::SOL_SOCKET,
                    option,
                    (&raw const value).cast(),
                    size_of::<i32>() as libc::socklen_t,
                );
            }
        }
        // SAFETY: all zeroes is an address; the pointer and length name one that lives during the call.
        let bound = unsafe {
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = ETH_P_ALL.to_be();
            address.sll_ifindex = index.unwrap_or(0).cast_signed();
            libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
        };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { fd }) }
    }

    /// Takes one frame; none when none is there. Never waits.
    ///
    /// # Errors
    /// Those of recvmsg(2): `ENETDOWN` when the link goes down.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Captured>> {
        // Room for one `struct cmsghdr` with a `struct timespec`, aligned as the first is.
        let mut control = [0u64; 8];
        // SAFETY: all zeroes is a valid address and a valid header.
        let (mut address, mut header): (libc::sockaddr_ll, libc::msghdr) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        header.msg_name = (&raw mut address).cast();
        header.msg_namelen = size_of_val(&address) as libc::socklen_t;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: every pointer in `header` names a local or `buffer`, of the length beside it, for the whole call.
        let got = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut header, flags) };
        let Ok(len) = usize::try_from(got) else {
            let error = io::Error::last_os_error();
            let is_none = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            return if is_none { Ok(None) } else { Err(error) };
        };
        let (seconds, micros) = stamp(&control);
        Ok(Some(Captured {
            kept: len.min(buffer.len()),
            len,
            seconds,
            micros,
            index: address.sll_ifindex.cast_unsigned(),
            ethertype: u16::from_be(address.sll_protocol),
            way: match address.sll_pkttype {
                0 => Way::In,
                1 => Way::Broadcast,
                2 => Way::Multicast,
                4 => Way::Out,
                _ => Way::Other,
            },
        }))
    }

    /// Frames that came and frames that were lost for want of room since this was asked last (`PACKET_STATISTICS`).
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn counts(&self) -> io::Result<(u32, u32)> {
        const PACKET_STATISTICS: i32 = 6;
        let mut counts = [0u32; 2];
        let mut len = size_of_val(&counts) as libc::socklen_t;
        // SAFETY: the pointers name two words and their length, both live during the call.
        let done = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_STATISTICS,
                counts.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok((counts[0], counts[1])) }
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Seconds and microseconds of the control message `SCM_TIMESTAMPNS`: header of 16 bytes, then seconds and nanoseconds.
/// On machines of 32 bits the header is shorter, and the time is that of the last reading of the clock.
fn stamp(control: &[u64; 8]) -> (u64, u32) {
    const HEADER_WORDS: usize = 2;
    let is_there = cfg!(target_pointer_width = "64") && control[0] != 0;
    if !is_there {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        return (now.as_secs(), now.subsec_micros());
    }
    let nanoseconds = u32::try_from(control[HEADER_WORDS + 1]).unwrap_or(0);
    (control[HEADER_WORDS], nanoseconds / 1000)
}

/// Hours, minutes and seconds of the day where the user is (localtime(3)).
#[must_use]
pub fn time_of_day(seconds: u64) -> (u32, u32, u32) {
    let time = i64::try_from(seconds).unwrap_or(0) as libc::time_t;
    // SAFETY: all zeroes is a valid `struct tm`; both pointers name locals.
    let broken = unsafe {
        let mut broken: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const time, &raw mut broken);
        broken
    };
    (broken.tm_hour.unsigned_abs(), broken.tm_min.unsigned_abs(), broken.tm_sec.unsigned_abs())
}

/// The ifindex of a link by its name (if_nametoindex(3)).
///
/// # Errors
/// `ENODEV` where there is none.
pub fn index_of(name: &str) -> io::Result<u32> {
    let name = CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    // SAFETY: the pointer names a zero-terminated text.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

//! Links whose other end is a program (Documentation/networking/tuntap.rst of Linux).

use std::io;
use std::os::fd::AsRawFd;

/// linux/if_tun.h
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETPERSIST: libc::c_ulong = 0x4004_54cb;
const IFF_TUN: i16 = 1;
const IFF_TAP: i16 = 2;
const IFF_NO_PI: i16 = 0x1000;

/// Makes a tun or tap link in the namespace that the calling thread is in; it stays when no program has it open.
///
/// # Errors
/// `EACCES` where `/dev/net/tun` is closed to the caller, `ENOENT` where it is missing, `EPERM` without
/// `CAP_NET_ADMIN`, `EBUSY` when the name is taken.
///
/// Same as `ip tuntap add dev NAME mode tun` or `tap`.
pub fn add(name: &str, is_tap: bool) -> io::Result<()> {
    let device = std::fs::File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all zeroes is a request; the name is copied with its closing zero left.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = IFF_NO_PI | if is_tap { IFF_TAP } else { IFF_TUN };
    // SAFETY: the pointer names a request that outlives the call.
    if unsafe { libc::ioctl(device.as_raw_fd(), TUNSETIFF, &raw const request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the argument is a number.
    match unsafe { libc::ioctl(device.as_raw_fd(), TUNSETPERSIST, 1 as libc::c_ulong) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

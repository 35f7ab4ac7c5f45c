//! The one ethtool setting of a lab: whether transmit checksums are filled (ethtool(8), linux/ethtool.h).
//!
//! By ioctl, which any socket of the namespace takes, the rtnetlink one too: no second socket and no family to look
//! up. Setting takes about 10 us for a link, reading 1 us.

use super::socket::Socket;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GTXCSUM: u32 = 0x16;
const ETHTOOL_STXCSUM: u32 = 0x17;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Turns transmit checksum offload of a link off (`fills`: the kernel fills checksums before the peer sees a packet)
/// or on. Off takes segmentation offload with it, so that packets also have their size on the wire.
///
/// # Errors
/// `ENODEV` when there is no such link, `EOPNOTSUPP` for a link without that setting.
///
/// Same as `ethtool -K NAME tx off` or `on`.
pub fn set_fills_checksums(socket: &Socket, name: &str, fills: bool) -> io::Result<()> {
    ioctl(socket, name, &mut Value { command: ETHTOOL_STXCSUM, data: u32::from(!fills) })
}

/// Whether transmit checksum offload of a link is off.
///
/// # Errors
/// `ENODEV` when there is no such link, `EOPNOTSUPP` for a link without that setting.
///
/// Same as `ethtool -k NAME`, the line `tx-checksumming`.
pub fn fills_checksums(socket: &Socket, name: &str) -> io::Result<bool> {
    let mut value = Value { command: ETHTOOL_GTXCSUM, data: 0 };
    ioctl(socket, name, &mut value)?;
    Ok(value.data == 0)
}

fn ioctl(socket: &Socket, name: &str, value: &mut Value) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data for which all zeroes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let room = request.ifr_name.len() - 1;
    if name.len() > room {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = (&raw mut *value).cast();
    // SAFETY: `request` names a closed text and `value`, which the two commands read or write as one
    // `struct ethtool_value`; both outlive the call.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

//! Addresses of links (ip-address(8), linux/if_addr.h).

use super::message::{Attributes, Messages};
use super::socket::{Refusal, Socket};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const NLM_F_CREATE_EXCL: u16 = 0x400 | 0x200;
const HEADER_LEN: usize = 8;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const IFA_F_NODAD: u8 = 2;
const SCOPE_HOST: u8 = 254;

/// Adds an address. An IPv6 one can be used at once only without duplicate address detection (`dad`), which takes 1
/// to 2 s.
///
/// # Errors
/// `EEXIST` when the link has it, `ENODEV` when there is no such link, `EACCES` for IPv6 where it is switched off.
///
/// Same as `ip address add ADDRESS dev NAME` (IPv6 without detection: `nodad`).
pub fn add(messages: &mut Messages, index: u32, address: IpNet, dad: bool) {
    let flags = if address.addr().is_ipv6() && !dad { IFA_F_NODAD } else { 0 };
    let scope = if address.addr().is_loopback() { SCOPE_HOST } else { 0 };
    put(messages, RTM_NEWADDR, NLM_F_CREATE_EXCL, &header(index, address, flags, scope), address.addr());
}

/// Removes an address.
///
/// # Errors
/// `EADDRNOTAVAIL` when the link does not have it.
///
/// Same as `ip address delete ADDRESS dev NAME`.
pub fn delete(messages: &mut Messages, index: u32, address: IpNet) {
    put(messages, RTM_DELADDR, 0, &header(index, address, 0, 0), address.addr());
}

fn put(messages: &mut Messages, kind: u16, flags: u16, header: &[u8], address: IpAddr) {
    let mut message = messages.begin(kind, flags, header);
    let mut octets = [0; 16];
    let octets = octets_of(address, &mut octets);
    message.put(IFA_LOCAL, octets);
    message.put(IFA_ADDRESS, octets);
}

/// `struct ifaddrmsg`: family (1 byte), prefix length (1), flags (1), scope (1), ifindex (4).
fn header(index: u32, address: IpNet, flags: u8, scope: u8) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = index.to_ne_bytes();
    [family(address.addr()), address.prefix_len(), flags, scope, a, b, c, d]
}

/// The address family of an address (`AF_INET` or `AF_INET6`).
pub(super) fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    u8::try_from(family).expect("address families are below 256")
}

/// The bytes of an address, as they go over the wire.
pub(super) fn octets_of(address: IpAddr, room: &mut [u8; 16]) -> &[u8] {
    match address {
        IpAddr::V4(v4) => {
            room[..4].copy_from_slice(&v4.octets());
            &room[..4]
        }
        IpAddr::V6(v6) => {
            *room = v6.octets();
            room
        }
    }
}

/// The address in 4 or 16 bytes.
pub(super) fn address_of(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?)),
        _ => None,
    }
}

/// An address as the kernel tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// ifindex of its link.
    pub index: u32,
    /// Address and prefix length.
    pub address: IpNet,
    /// The address at the other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// `IFA_F_*` (linux/if_addr.h).
    pub flags: u32,
    /// Who made it, `IFAPROT_*` (linux/if_addr.h); 0 is nobody in particular.
    pub protocol: u8,
}

impl Address {
    /// Whether the kernel made it by itself: on the loopback, from a router's advertisement, or as link-local one
    /// (`IFAPROT_KERNEL_LO`, `_RA`, `_LL`).
    #[must_use]
    pub fn is_kernels_own(&self) -> bool {
        (1..=3).contains(&self.protocol)
    }
}

/// All addresses of the namespace of the socket.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `ip address show`.
pub fn dump(socket: &mut Socket) -> Result<Vec<Address>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETADDR, 0, &[0; HEADER_LEN]);
    let mut addresses = Vec::new();
    socket.dump(&mut messages, |kind, payload| addresses.extend(decode(kind, payload)))?;
    Ok(addresses)
}

fn decode(kind: u16, payload: &[u8]) -> Option<Address> {
    if kind != RTM_NEWADDR {
        return None;
    }
    let attributes = Attributes(payload.get(HEADER_LEN..)?);
    // With a peer address, IFA_ADDRESS is the peer's and IFA_LOCAL ours.
    let local = attributes.get(IFA_LOCAL).or_else(|| attributes.get(IFA_ADDRESS))?;
    let address = address_of(local)?;
    Some(Address {
        index: u32::from_ne_bytes(payload.get(4..8)?.try_into().ok()?),
        address: IpNet::new(address, payload[1]).ok()?,
        peer: attributes.get(IFA_ADDRESS).and_then(address_of).filter(|peer| *peer != address),
        flags: attributes.u32(IFA_FLAGS).unwrap_or_else(|| u32::from(payload[2])),
        protocol: attributes.u8(IFA_PROTO).unwrap_or_default(),
    })
}

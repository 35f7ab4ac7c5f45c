//! What probes ask of rtnetlink: a route, the neighbour table, and to make or delete an entry in it.

use netyard_core::mac::Mac;
use netyard_kernel::netlink::{Attributes, Messages, Refusal, Socket};
use std::net::IpAddr;

// linux/rtnetlink.h, linux/neighbour.h, linux/netlink.h.
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
const RTM_GETROUTE: u16 = 26;
const RTM_F_FIB_MATCH: u32 = 0x2000;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTA_VIA: u16 = 18;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Bytes of `struct rtmsg` and of `struct ndmsg`.
const FAMILY_HEADER_LEN: usize = 12;

/// Type of a route (linux/rtnetlink.h `RTN_*`).
pub(super) mod route_type {
    pub(in super::super) const BLACKHOLE: u8 = 6;
    pub(in super::super) const UNREACHABLE: u8 = 7;
    pub(in super::super) const PROHIBIT: u8 = 8;
}

/// State of a neighbour entry (linux/neighbour.h `NUD_*`).
pub(super) mod neighbour_state {
    pub(in super::super) const INCOMPLETE: u16 = 0x01;
    pub(in super::super) const FAILED: u16 = 0x20;
    pub(in super::super) const NOARP: u16 = 0x40;
    pub(in super::super) const PERMANENT: u16 = 0x80;
}

/// What the kernel would do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundRoute {
    pub(super) kind: u8,
    pub(super) ifindex: Option<u32>,
    pub(super) via: Option<IpAddr>,
    pub(super) source: Option<IpAddr>,
    /// Who made it, `RTPROT_*`; 0 where the kernel does not tell.
    pub(super) protocol: u8,
}

/// Whether a look-up tells what the kernel would do, or which entry of the table it would do it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Result,
    Entry,
}

/// Looks a destination up (`ip route get`).
///
/// `struct rtmsg`: family, destination length, source length, TOS, table, protocol, scope, type, flags (4 bytes).
pub(super) fn route_to(socket: &mut Socket, to: IpAddr, told: Told) -> Result<FoundRoute, Refusal> {
    let (family, octets) = family_and_octets(to);
    let mut header = [0; FAMILY_HEADER_LEN];
    header[0] = family;
    header[1] = u8::try_from(octets.len() * 8).expect("an address has at most 128 bits");
    if told == Told::Entry {
        header[8..].copy_from_slice(&RTM_F_FIB_MATCH.to_ne_bytes());
    }
    let mut messages = Messages::new();
    messages.begin(RTM_GETROUTE, 0, &header).put(RTA_DST, &octets);
    let (_, answer) = socket.request(&mut messages)?;
    let attributes = Attributes(answer.get(FAMILY_HEADER_LEN..).unwrap_or_default());
    // RTA_VIA: family (2 bytes), address; the gateway of another family (RFC 5549).
    let other_family = attributes.get(RTA_VIA).and_then(|via| address(via.get(2..)?));
    Ok(FoundRoute {
        kind: answer.get(7).copied().unwrap_or_default(),
        ifindex: attributes.u32(RTA_OIF),
        via: attributes.get(RTA_GATEWAY).and_then(address).or(other_family),
        source: attributes.get(RTA_PREFSRC).and_then(address),
        protocol: answer.get(5).copied().unwrap_or_default(),
    })
}

/// An entry of a neighbour table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundNeighbour {
    pub(super) ifindex: u32,
    pub(super) state: u16,
    pub(super) to: IpAddr,
    pub(super) mac: Option<Mac>,
}

/// The neighbour entries of a namespace, IPv4 and IPv6 (`ip neighbour show nud all`).
///
/// `struct ndmsg`: family (4 bytes with padding), ifindex (4), state (2), flags, type.
pub(super) fn neighbours(socket: &mut Socket) -> Result<Vec<FoundNeighbour>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETNEIGH, 0, &[0; FAMILY_HEADER_LEN]);
    let mut found = Vec::new();
    socket.dump(&mut messages, |kind, payload| {
        let Some((header, attributes)) = payload.split_first_chunk::<FAMILY_HEADER_LEN>() else { return };
        if kind != RTM_NEWNEIGH {
            return;
        }
        let attributes = Attributes(attributes);
        let Some(to) = attributes.get(NDA_DST).and_then(address) else { return };
        let [_, _, _, _, i, j, k, l, s, t, _, _] = *header;
        found.push(FoundNeighbour {
            ifindex: u32::from_ne_bytes([i, j, k, l]),
            state: u16::from_ne_bytes([s, t]),
            to,
            mac: attributes.get(NDA_LLADDR).and_then(|bytes| bytes.try_into().ok()).map(Mac),
        });
    })?;
    Ok(found)
}

/// Appends a neighbour entry without an Ethernet address, unless there is one already (`ip neighbour add ... nud none`).
pub(super) fn add_empty_neighbour(messages: &mut Messages, ifindex: u32, to: IpAddr) {
    let (family, octets) = family_and_octets(to);
    let mut header = [0; FAMILY_HEADER_LEN];
    header[0] = family;
    header[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    messages.begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, &header).put(NDA_DST, &octets);
}

/// Appends the deletion of a neighbour entry (`ip neighbour del`).
pub(super) fn delete_neighbour(messages: &mut Messages, entry: &FoundNeighbour) {
    let (family, octets) = family_and_octets(entry.to);
    let mut header = [0; FAMILY_HEADER_LEN];
    header[0] = family;
    header[4..8].copy_from_slice(&entry.ifindex.to_ne_bytes());
    messages.begin(RTM_DELNEIGH, 0, &header).put(NDA_DST, &octets);
}

fn family_and_octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

//! Neighbour entries: which link-layer address an address has (ip-neighbour(8), linux/neighbour.h).

use super::address::{address_of, family, octets_of};
use super::message::{Attributes, Messages};
use super::socket::{Refusal, Socket};
use netyard_core::mac::Mac;
use netyard_core::why::{Learned, NeighbourTable};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
const NLM_F_CREATE_REPLACE: u16 = 0x400 | 0x100;
const HEADER_LEN: usize = 12;

const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
/// `NUD_PERMANENT`: an entry that somebody made and that never ages.
pub const STATE_PERMANENT: u16 = 0x80;

/// Makes a permanent entry, or changes the one for that address.
///
/// # Errors
/// `ENODEV` when there is no such link, `EINVAL` while it is down.
///
/// Same as `ip neighbour replace ADDRESS lladdr MAC dev NAME nud permanent`.
pub fn add(messages: &mut Messages, index: u32, to: IpAddr, mac: Mac) {
    let mut message = messages.begin(RTM_NEWNEIGH, NLM_F_CREATE_REPLACE, &header(index, to, STATE_PERMANENT));
    message.put(NDA_DST, octets_of(to, &mut [0; 16]));
    message.put(NDA_LLADDR, &mac.0);
}

/// Removes an entry.
///
/// # Errors
/// `ENOENT` when there is none for that address.
///
/// Same as `ip neighbour delete ADDRESS dev NAME`.
pub fn delete(messages: &mut Messages, index: u32, to: IpAddr) {
    messages.begin(RTM_DELNEIGH, 0, &header(index, to, 0)).put(NDA_DST, octets_of(to, &mut [0; 16]));
}

/// `struct ndmsg`: family (1 byte), padding (3), ifindex (4), state (2), flags (1), type (1).
fn header(index: u32, to: IpAddr, state: u16) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[0] = family(to);
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..10].copy_from_slice(&state.to_ne_bytes());
    header
}

/// A neighbour entry as the kernel tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// ifindex.
    pub index: u32,
    /// Network-layer address.
    pub to: IpAddr,
    /// Ethernet address, where it is known.
    pub mac: Option<Mac>,
    /// `NUD_*` (linux/neighbour.h).
    pub state: u16,
}

/// All entries of the namespace of the socket, ARP and NDP.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `ip neighbour show nud all`.
pub fn dump(socket: &mut Socket) -> Result<Vec<Neighbour>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETNEIGH, 0, &[0; HEADER_LEN]);
    let mut neighbours = Vec::new();
    socket.dump(&mut messages, |kind, payload| neighbours.extend(decode(kind, payload)))?;
    Ok(neighbours)
}

/// How many Ethernet addresses each bridge of the namespace of the socket has learned, by the bridge's ifindex.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as counting `bridge fdb show dynamic`.
pub fn learned(socket: &mut Socket) -> Result<HashMap<u32, usize>, Refusal> {
    const NDA_MASTER: u16 = 9;
    const FIXED: u16 = STATE_PERMANENT | 0x40;
    let mut messages = Messages::new();
    let mut header = [0; HEADER_LEN];
    header[0] = u8::try_from(libc::AF_BRIDGE).expect("address families are below 256");
    messages.begin(RTM_GETNEIGH, 0, &header);
    let mut counts = HashMap::new();
    socket.dump(&mut messages, |kind, payload| {
        let Some(attributes) = payload.get(HEADER_LEN..).map(Attributes) else { return };
        let state = u16::from_ne_bytes([payload[8], payload[9]]);
        if let (RTM_NEWNEIGH, Some(bridge)) = (kind, attributes.u32(NDA_MASTER))
            && state & FIXED == 0
        {
            *counts.entry(bridge).or_default() += 1;
        }
    })?;
    Ok(counts)
}

/// What the bridges and the vxlan links of the namespace of the socket know about Ethernet addresses.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `bridge fdb show`.
pub fn forwarding(socket: &mut Socket) -> Result<Vec<Learned>, Refusal> {
    let mut messages = Messages::new();
    let mut header = [0; HEADER_LEN];
    header[0] = u8::try_from(libc::AF_BRIDGE).expect("address families are below 256");
    messages.begin(RTM_GETNEIGH, 0, &header);
    let mut entries = Vec::new();
    socket.dump(&mut messages, |kind, payload| entries.extend(decode_learned(kind, payload)))?;
    Ok(entries)
}

fn decode_learned(kind: u16, payload: &[u8]) -> Option<Learned> {
    const NDA_MASTER: u16 = 9;
    if kind != RTM_NEWNEIGH {
        return None;
    }
    let attributes = Attributes(payload.get(HEADER_LEN..)?);
    let state = u16::from_ne_bytes([payload[8], payload[9]]);
    let bridge = attributes.u32(NDA_MASTER);
    let remote = attributes.get(NDA_DST).and_then(address_of);
    Some(Learned {
        port: u32::from_ne_bytes(payload[4..8].try_into().ok()?),
        bridge: bridge.filter(|_| remote.is_none()),
        mac: attributes.get(NDA_LLADDR).and_then(|bytes| bytes.try_into().ok()).map(Mac)?,
        is_own: state & STATE_PERMANENT != 0 && remote.is_none(),
        remote,
    })
}

/// How full the machine's tables of neighbours are: entries of all namespaces, and the most that it takes
/// (`gc_thresh3`).
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `ip ntable show`. Source: linux/neighbour.h `NDTA_*`, `struct ndt_config`.
pub fn tables(socket: &mut Socket) -> Result<Vec<NeighbourTable>, Refusal> {
    const RTM_GETNEIGHTBL: u16 = 66;
    const NDTA_THRESH3: u16 = 4;
    const NDTA_CONFIG: u16 = 5;
    let mut messages = Messages::new();
    messages.begin(RTM_GETNEIGHTBL, 0, &[0; 4]);
    let mut tables = Vec::new();
    socket.dump(&mut messages, |_, payload| {
        let Some(attributes) = payload.get(4..).map(Attributes) else { return };
        // struct ndt_config: key length (2 bytes), entry size (2), entries (4), ...
        let entries =
            attributes.get(NDTA_CONFIG).and_then(|c| c.get(4..8)?.try_into().ok()).map(u32::from_ne_bytes);
        // Those of single interfaces have no limit of their own.
        if let (Some(entries), Some(max)) = (entries, attributes.u32(NDTA_THRESH3)) {
            let is_ipv6 = i32::from(payload[0]) == libc::AF_INET6;
            tables.push(NeighbourTable { is_ipv6, entries, max });
        }
    })?;
    Ok(tables)
}

fn decode(kind: u16, payload: &[u8]) -> Option<Neighbour> {
    if kind != RTM_NEWNEIGH {
        return None;
    }
    let attributes = Attributes(payload.get(HEADER_LEN..)?);
    Some(Neighbour {
        index: u32::from_ne_bytes(payload[4..8].try_into().ok()?),
        to: address_of(attributes.get(NDA_DST)?)?,
        mac: attributes.get(NDA_LLADDR).and_then(|bytes| bytes.try_into().ok()).map(Mac),
        state: u16::from_ne_bytes([payload[8], payload[9]]),
    })
}

//! Bridges as brctl(8) and bridge(8) tell of them: made with the kernel's own choices, listed with their ids, their ports
//! and the addresses that they have learned.

use super::message::{Attributes, Messages};
use super::socket::{Refusal, Socket};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_GETNEIGH: u16 = 30;
const NLM_F_CREATE_EXCL: u16 = 0x400 | 0x200;
/// Bytes of `struct ifinfomsg`: family, padding, type (2), index (4), flags (4), change (4).
const LINK_HEADER_LEN: usize = 16;
/// Bytes of `struct ndmsg`: family, padding (3), index (4), state (2), flags, type.
const NEIGHBOUR_HEADER_LEN: usize = 12;
const AF_BRIDGE: u8 = 7;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_BRIDGE_ID: u16 = 11;
const IFLA_BRPORT_NO: u16 = 18;
const NDA_LLADDR: u16 = 2;
const NDA_CACHEINFO: u16 = 3;
const NDA_MASTER: u16 = 9;
/// linux/neighbour.h: the address is a port's own.
const NUD_PERMANENT: u16 = 0x80;

/// A link, seen as a bridge or as a port of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// ifindex.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Whether it is up (`IFF_UP`).
    pub is_up: bool,
    /// The bridge, or other master, that it is a port of.
    pub master: Option<u32>,
    /// Its number there.
    pub port: Option<u16>,
    /// What it is as a bridge.
    pub bridge: Option<Bridge>,
}

/// A bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    /// Priority (2 bytes) and Ethernet address (6 bytes), IEEE 802.1D.
    pub id: [u8; 8],
    /// Whether it takes part in a spanning tree.
    pub has_stp: bool,
}

/// An entry of a bridge's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// The ifindex of the port.
    pub port: u32,
    /// The ifindex of the bridge.
    pub bridge: Option<u32>,
    /// The Ethernet address.
    pub mac: [u8; 6],
    /// Whether it is a port's own.
    pub is_local: bool,
    /// Hundredths of a second since it was last seen (`ndm_updated`, in `USER_HZ`).
    pub age: u32,
}

/// Makes a bridge, down, with an ifindex and an address of the kernel's choice: the lowest of its ports'.
///
/// # Errors
/// `EEXIST` when the name is taken.
///
/// Same as `brctl addbr NAME`, `ip link add NAME type bridge`.
pub fn add(messages: &mut Messages, name: &str) {
    let mut message = messages.begin(RTM_NEWLINK, NLM_F_CREATE_EXCL, &[0; LINK_HEADER_LEN]);
    message.put_str(IFLA_IFNAME, name);
    message.nest(IFLA_LINKINFO).put_str(IFLA_INFO_KIND, "bridge");
}

/// Lets a bridge take part in a spanning tree, or not. Same as `brctl stp NAME on`.
pub fn set_stp(messages: &mut Messages, index: u32, has_stp: bool) {
    let mut header = [0; LINK_HEADER_LEN];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut message = messages.begin(RTM_NEWLINK, 0, &header);
    let mut kind = message.nest(IFLA_LINKINFO);
    kind.put_str(IFLA_INFO_KIND, "bridge");
    kind.nest(IFLA_INFO_DATA).put_u32(IFLA_BR_STP_STATE, u32::from(has_stp));
}

/// All links of the socket's network namespace. Same as `brctl show`.
///
/// # Errors
/// The kernel's [`Refusal`].
pub fn links(socket: &mut Socket) -> Result<Vec<Link>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETLINK, 0, &[0; LINK_HEADER_LEN]);
    let mut links = Vec::new();
    socket.dump(&mut messages, |_, payload| links.extend(link(payload)))?;
    Ok(links)
}

fn link(payload: &[u8]) -> Option<Link> {
    let word = |at: usize| Some(u32::from_ne_bytes(payload.get(at..at + 4)?.try_into().ok()?));
    let attributes = Attributes(payload.get(LINK_HEADER_LEN..)?);
    let kind = attributes.nested(IFLA_LINKINFO);
    let info = kind.nested(IFLA_INFO_DATA);
    let bridge = (kind.str(IFLA_INFO_KIND) == Some("bridge")).then(|| {
        let id = info.get(IFLA_BR_BRIDGE_ID).and_then(|id| id.get(..8)?.try_into().ok());
        Bridge { id: id.unwrap_or_default(), has_stp: info.u32(IFLA_BR_STP_STATE).unwrap_or(0) != 0 }
    });
    Some(Link {
        index: word(4)?,
        name: attributes.str(IFLA_IFNAME)?.to_owned(),
        is_up: word(8)? & 1 != 0,
        master: attributes.u32(IFLA_MASTER),
        port: kind.nested(IFLA_INFO_SLAVE_DATA).u16(IFLA_BRPORT_NO),
        bridge,
    })
}

/// The tables of all bridges of the socket's network namespace. Same as `brctl showmacs`, `bridge fdb show`.
///
/// # Errors
/// The kernel's [`Refusal`].
pub fn learned(socket: &mut Socket) -> Result<Vec<Learned>, Refusal> {
    let mut messages = Messages::new();
    let mut header = [0; NEIGHBOUR_HEADER_LEN];
    header[0] = AF_BRIDGE;
    messages.begin(RTM_GETNEIGH, 0, &header);
    let mut all = Vec::new();
    socket.dump(&mut messages, |_, payload| all.extend(entry(payload)))?;
    Ok(all)
}

fn entry(payload: &[u8]) -> Option<Learned> {
    let attributes = Attributes(payload.get(NEIGHBOUR_HEADER_LEN..)?);
    let state = u16::from_ne_bytes(payload.get(8..10)?.try_into().ok()?);
    // struct nda_cacheinfo: confirmed, used, updated, reference count.
    let updated = attributes.get(NDA_CACHEINFO).and_then(|info| info.get(8..12)?.try_into().ok());
    Some(Learned {
        port: u32::from_ne_bytes(payload.get(4..8)?.try_into().ok()?),
        bridge: attributes.u32(NDA_MASTER),
        mac: attributes.get(NDA_LLADDR)?.try_into().ok()?,
        is_local: state & NUD_PERMANENT != 0,
        age: updated.map_or(0, u32::from_ne_bytes),
    })
}

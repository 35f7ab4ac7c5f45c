//! What only one kind of link has (linux/if_link.h).

use super::{
    IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINKINFO, IFLA_MTU,
    IFLA_NET_NS_FD, NLM_F_CREATE_EXCL, RTM_NEWLINK, header,
};
use crate::netlink::address::{address_of, octets_of};
use crate::netlink::{Attributes, Messages};
use netyard_core::mac::Mac;
use netyard_core::state::{LinkKind, MacvlanMode, Tun};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_GROUP: u16 = 2;
const IFLA_VXLAN_LINK: u16 = 3;
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_VXLAN_GROUP6: u16 = 16;
const IFLA_VXLAN_LOCAL6: u16 = 17;
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_TUN_PERSIST: u16 = 6;
const IFLA_IPTUN_LOCAL: u16 = 2;
const IFLA_IPTUN_REMOTE: u16 = 3;
const IFF_TAP: u8 = 2;

/// What only one kind of link has. The link below is in `Link::peer` but where it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settings {
    /// Nothing that is read.
    Nothing,
    /// macvlan or macvtap.
    Macvlan(MacvlanMode),
    /// The tag.
    Vlan(u16),
    /// vxlan.
    Vxlan {
        /// Network identifier.
        id: u32,
        /// The other end or the multicast group.
        remote: Option<IpAddr>,
        /// Source address.
        local: Option<IpAddr>,
        /// UDP port.
        port: u16,
        /// Whether addresses are learned.
        learns: bool,
        /// ifindex of the link that packets leave by.
        link: Option<u32>,
    },
    /// tun or tap.
    Tun(Tun),
    /// ipip, sit.
    Tunnel {
        /// Source address.
        local: Option<IpAddr>,
        /// The other end.
        remote: Option<IpAddr>,
    },
}

pub(super) fn decode(kind: &str, data: Attributes<'_>) -> Settings {
    let address = |kind| data.get(kind).and_then(address_of).filter(|address| !address.is_unspecified());
    let known = match kind {
        "macvlan" | "macvtap" => {
            data.u32(IFLA_MACVLAN_MODE).and_then(MacvlanMode::of_number).map(Settings::Macvlan)
        }
        "vlan" => data.u16(IFLA_VLAN_ID).map(Settings::Vlan),
        "vxlan" => data.u32(IFLA_VXLAN_ID).map(|id| Settings::Vxlan {
            id,
            remote: address(IFLA_VXLAN_GROUP).or_else(|| address(IFLA_VXLAN_GROUP6)),
            local: address(IFLA_VXLAN_LOCAL).or_else(|| address(IFLA_VXLAN_LOCAL6)),
            port: data.u16(IFLA_VXLAN_PORT).map_or(0, u16::from_be),
            learns: data.u8(IFLA_VXLAN_LEARNING) != Some(0),
            link: data.u32(IFLA_VXLAN_LINK).filter(|index| *index != 0),
        }),
        "tun" => data.u8(IFLA_TUN_TYPE).map(|kind| {
            let persists = data.u8(IFLA_TUN_PERSIST).is_some_and(|on| on != 0);
            Settings::Tun(Tun { is_tap: kind == IFF_TAP, persists })
        }),
        "ipip" | "sit" => {
            Some(Settings::Tunnel { local: address(IFLA_IPTUN_LOCAL), remote: address(IFLA_IPTUN_REMOTE) })
        }
        _ => None,
    };
    known.unwrap_or(Settings::Nothing)
}

/// A link to be made, down.
#[derive(Debug, Clone, Copy)]
pub struct NewLink<'a> {
    /// Name, free in its namespace.
    pub name: &'a str,
    /// ifindex, free in its namespace.
    pub index: u32,
    /// Ethernet address; the kernel chooses one where none is given.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// What it is.
    pub kind: &'a LinkKind,
    /// ifindex of the link that it stands on, in the namespace of the socket.
    pub parent: Option<u32>,
    /// Its namespace, where that is not the socket's.
    pub ns: Option<BorrowedFd<'a>>,
}

/// Makes a macvlan, vlan or vxlan link; of another kind nothing.
///
/// # Errors
/// `EEXIST` when the name is taken, `EBUSY` when the ifindex or the parent is, `EINVAL` for an MTU above the parent's,
/// `EOPNOTSUPP` for a kind that the kernel lacks.
///
/// Source: ip-link(8). Same as `ip link add link PARENT name NAME netns NS type KIND ...`.
pub fn add_link(messages: &mut Messages, link: NewLink<'_>) {
    let mut message = messages.begin(RTM_NEWLINK, NLM_F_CREATE_EXCL, &header(link.index, false, 0));
    message.put_str(IFLA_IFNAME, link.name);
    if let Some(mac) = link.mac {
        message.put(IFLA_ADDRESS, &mac.0);
    }
    message.put_u32(IFLA_MTU, link.mtu);
    if let (Some(parent), false) = (link.parent, matches!(link.kind, LinkKind::Vxlan(_))) {
        message.put_u32(IFLA_LINK, parent);
    }
    if let Some(ns) = link.ns {
        message.put_u32(IFLA_NET_NS_FD, ns.as_raw_fd().cast_unsigned());
    }
    let mut kind = message.nest(IFLA_LINKINFO);
    kind.put_str(IFLA_INFO_KIND, link.kind.word());
    let mut data = kind.nest(IFLA_INFO_DATA);
    match link.kind {
        LinkKind::Macvlan { mode, .. } => data.put_u32(IFLA_MACVLAN_MODE, mode.number()),
        LinkKind::Vlan { id, .. } => data.put_u16(IFLA_VLAN_ID, *id),
        LinkKind::Vxlan(vxlan) => {
            data.put_u32(IFLA_VXLAN_ID, vxlan.id);
            data.put_u16(IFLA_VXLAN_PORT, vxlan.port.to_be());
            data.put_u8(IFLA_VXLAN_LEARNING, u8::from(vxlan.learns));
            if let Some(parent) = link.parent {
                data.put_u32(IFLA_VXLAN_LINK, parent);
            }
            let mut room = [0; 16];
            if let Some(remote) = vxlan.remote {
                let attribute = if remote.is_ipv4() { IFLA_VXLAN_GROUP } else { IFLA_VXLAN_GROUP6 };
                data.put(attribute, octets_of(remote, &mut room));
            }
            if let Some(local) = vxlan.local {
                let attribute = if local.is_ipv4() { IFLA_VXLAN_LOCAL } else { IFLA_VXLAN_LOCAL6 };
                data.put(attribute, octets_of(local, &mut room));
            }
        }
        _ => {}
    }
}

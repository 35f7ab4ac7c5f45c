//! What only one kind of link has (linux/if_link.h).

use crate::netlink::Attributes;
use crate::netlink::address::address_of;
use netyard_core::state::{MacvlanMode, Tun};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

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

//! What a link is: the kinds of ip-link(8) with what only that kind has.

use super::Ns;
use crate::name::IfName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// The loopback link.
    Loopback,
    /// One end of a veth pair (veth(4)).
    Veth {
        /// Namespace of the other end.
        peer_ns: Ns,
        /// Name of the other end.
        peer: IfName,
    },
    /// A bridge.
    Bridge(Bridge),
    /// A second Ethernet address on the wire of another link.
    Macvlan {
        /// The link whose wire it uses.
        parent: Parent,
        /// What passes between links of one parent.
        mode: MacvlanMode,
    },
    /// The frames of another link that carry this tag (IEEE 802.1Q).
    Vlan {
        /// The link that carries the tagged frames.
        parent: Parent,
        /// The tag, 1 to 4094.
        id: u16,
    },
    /// A network over UDP (RFC 7348).
    Vxlan(Vxlan),
    /// A link whose other end is a program.
    Tun(Tun),
    /// Any other kind, by the kernel's word (`gre`, `wireguard`): never made or removed by a plan.
    Other(String),
}

/// The link that another one stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its namespace.
    pub ns: Ns,
    /// Its name.
    pub name: IfName,
}

/// The settings of a bridge that netyard decides (ip-link(8), "bridge").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Spanning tree, when on.
    pub stp: Option<Stp>,
    /// Whether MAC addresses are learned; a hub does not (`ageing_time 0`).
    pub learns: bool,
    /// Whether the bridge snoops IGMP and MLD.
    pub snoops_multicast: bool,
}

/// Spanning tree timers and priority (IEEE 802.1D).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stp {
    /// Seconds in each of listening and learning, 2 to 30.
    pub forward_delay_s: u8,
    /// Seconds between hello frames, 1 to 10.
    pub hello_s: u8,
    /// Seconds after which information ages out, 6 to 40.
    pub max_age_s: u8,
    /// Bridge priority; the lowest becomes root. 0 to 65535.
    pub priority: u16,
}

impl Stp {
    /// Short timers for a classroom: a port forwards after 2 x 2 s where the standard's takes 2 x 15 s.
    pub const CLASSROOM: Self = Self { forward_delay_s: 2, hello_s: 1, max_age_s: 6, priority: 0x8000 };
    /// The standard's own timers.
    pub const STANDARD: Self = Self { forward_delay_s: 15, hello_s: 2, max_age_s: 20, priority: 0x8000 };
}

/// What passes between macvlan links of one parent (linux/if_link.h `MACVLAN_MODE_*`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacvlanMode {
    /// Nothing.
    Private,
    /// What the switch outside sends back; the kernel's own default.
    #[default]
    Vepa,
    /// Everything.
    Bridge,
    /// There is one only, and it has the parent's address.
    Passthru,
}

impl MacvlanMode {
    /// All modes with their words in ip(8) and numbers in the kernel.
    pub const ALL: [(Self, &'static str, u32); 4] = [
        (Self::Private, "private", 1),
        (Self::Vepa, "vepa", 2),
        (Self::Bridge, "bridge", 4),
        (Self::Passthru, "passthru", 8),
    ];

    /// The word of ip-link(8).
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(mode, ..)| *mode == self).map_or("", |(_, word, _)| word)
    }

    /// The kernel's number.
    #[must_use]
    pub fn number(self) -> u32 {
        Self::ALL.iter().find(|(mode, ..)| *mode == self).map_or(0, |(.., number)| *number)
    }

    /// The mode of a kernel's number.
    #[must_use]
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL.iter().find(|(.., known)| *known == number).map(|(mode, ..)| *mode)
    }
}

/// A network over UDP (RFC 7348, ip-link(8) "VXLAN Type Support").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vxlan {
    /// Network identifier, 24 bits.
    pub id: u32,
    /// Where frames go whose address is not learned: another end, or a multicast group.
    pub remote: Option<IpAddr>,
    /// Source address of the packets.
    pub local: Option<IpAddr>,
    /// UDP port.
    pub port: u16,
    /// Whether it learns which end has which Ethernet address.
    pub learns: bool,
    /// The link that packets leave by; needed for a multicast group.
    pub parent: Option<Parent>,
}

impl Vxlan {
    /// The UDP port of the standard (IANA).
    pub const PORT: u16 = 4789;
    /// The UDP port that Linux takes where none is named, older than the standard.
    pub const PORT_LINUX: u16 = 8472;
}

/// A link whose other end is a program (Documentation/networking/tuntap.rst of Linux).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tun {
    /// Whether the program sees Ethernet frames (`tap`) or IP packets (`tun`).
    pub is_tap: bool,
    /// Whether it stays when no program has it open.
    pub persists: bool,
}

impl LinkKind {
    /// The kernel's word for the kind.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Loopback => "loopback",
            Self::Veth { .. } => "veth",
            Self::Bridge(_) => "bridge",
            Self::Macvlan { .. } => "macvlan",
            Self::Vlan { .. } => "vlan",
            Self::Vxlan(_) => "vxlan",
            Self::Tun(tun) if tun.is_tap => "tap",
            Self::Tun(_) => "tun",
            Self::Other(word) => word,
        }
    }

    /// The link below, where there is one.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        match self {
            Self::Macvlan { parent, .. } | Self::Vlan { parent, .. } => Some(parent),
            Self::Vxlan(vxlan) => vxlan.parent.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ns, self.name)
    }
}

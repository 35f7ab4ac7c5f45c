//! Which way a frame went.

use serde::{Deserialize, Serialize};

/// Which way a frame went, seen from the link (linux/if_packet.h `PACKET_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// To this machine.
    In,
    /// To all.
    Broadcast,
    /// To a group.
    Multicast,
    /// To another machine.
    Other,
    /// From this machine.
    Out,
}

impl Way {
    /// As tcpdump(8) abbreviates it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::Broadcast => "B",
            Self::Multicast => "M",
            Self::Other => "P",
            Self::Out => "Out",
        }
    }
}

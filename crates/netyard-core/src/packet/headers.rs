//! What the headers of a frame say, as part of a journey.

use super::Frame;
use crate::journey::{Endpoints, Headers};
use crate::mac::Mac;

impl Headers {
    /// Those of a frame. Of ARP the endpoints are who asks and who is asked.
    #[must_use]
    pub fn of(frame: &Frame<'_>) -> Self {
        let ip = frame.ip();
        let of_ip = || {
            let ip = ip.as_ref()?;
            let echo = || match ip.icmp()?.kind {
                super::IcmpKind::Echo { id, .. } => Some(id),
                _ => None,
            };
            let ports = ip.ports();
            Some(Endpoints {
                source: ip.from,
                source_port: ports.map(|ports| ports.0).or_else(echo),
                destination: ip.to,
                destination_port: ports.map(|ports| ports.1),
            })
        };
        let of_arp = || {
            let arp = frame.arp()?;
            Some(Endpoints {
                source: arp.sender.into(),
                source_port: None,
                destination: arp.target.into(),
                destination_port: None,
            })
        };
        Self {
            // The destination stands first on the wire.
            macs: frame.macs.map(|(to, from)| (Mac(from), Mac(to))),
            ethertype: frame.ethertype,
            endpoints: of_ip().or_else(of_arp),
            protocol: ip.as_ref().map(|ip| ip.protocol),
            ttl: ip.as_ref().map(|ip| ip.ttl),
            len: u32::try_from(frame.len).unwrap_or(u32::MAX),
        }
    }
}

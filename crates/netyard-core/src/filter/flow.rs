//! The packets of one conversation, wherever they are seen.

use super::{Direction, Filter, Protocol};
use crate::packet::{ICMP, ICMPV6, TCP, UDP, VXLAN_PORTS};
use ipnet::IpNet;
use std::net::IpAddr;

/// What all packets of a conversation have in common at every hop.
///
/// NAT rewrites one end on the way out and the other on the way in, so no packet can be asked for both of its ends:
/// it has to be from or to one of the `remotes`, each of which is an end that stays as it is somewhere. For dnat, both
/// the address that is dialled and the one that answers are remotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// IANA number of the transport protocol; none for any.
    pub protocol: Option<u8>,
    /// Ends; none for any.
    pub remotes: Vec<Remote>,
    /// Whether packets of tunnels (VXLAN) are wanted, which may carry it.
    pub has_tunnels: bool,
}

/// One end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// Its address; none for any.
    pub address: Option<IpAddr>,
    /// Its port; none for any, and for ICMP.
    pub port: Option<u16>,
}

impl Flow {
    /// Its packets, errors about packets, and the address resolution that they need.
    ///
    /// ```
    /// use netyard_core::filter::{Flow, Remote};
    /// let remote = Remote { address: Some("1.1.1.1".parse()?), port: Some(80) };
    /// let filter = Flow { protocol: Some(6), remotes: vec![remote], has_tunnels: false }.filter();
    /// assert!(filter.program(256)?.len() < 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter(&self) -> Filter {
        let mut filter = self.remotes.iter().map(|remote| self.end(*remote)).reduce(Filter::or);
        if let Some(protocol) = self.protocol.and_then(named) {
            filter = Some(match filter {
                Some(filter) => Filter::Protocol(protocol).and(filter),
                None => Filter::Protocol(protocol),
            });
        }
        let Some(filter) = filter else { return Filter::All };
        let mut filter = filter.or(Filter::IcmpError).or(Filter::Discovery);
        if self.has_tunnels {
            for port in VXLAN_PORTS {
                let to_port = Filter::Ports(Direction::Destination, port, port);
                filter = filter.or(Filter::Protocol(Protocol::Udp).and(to_port));
            }
        }
        filter
    }

    /// From or to one end. Later fragments have no ports.
    fn end(&self, remote: Remote) -> Filter {
        let one = |direction: Direction| {
            let address = remote.address.map(|address| Filter::Net(direction, IpNet::from(address)));
            let port = remote.port.map(|port| Filter::Ports(direction, port, port).or(Filter::Fragment));
            match (address, port) {
                (Some(address), Some(port)) => address.and(port),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => Filter::Protocol(Protocol::Ether),
            }
        };
        one(Direction::Source).or(one(Direction::Destination))
    }
}

fn named(number: u8) -> Option<Protocol> {
    match number {
        ICMP => Some(Protocol::Icmp),
        TCP => Some(Protocol::Tcp),
        UDP => Some(Protocol::Udp),
        ICMPV6 => Some(Protocol::Icmp6),
        _ => None,
    }
}

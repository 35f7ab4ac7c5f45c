//! The kernel's own route look-up in a node (`ip route get`): no packet is sent.

use super::rtnetlink::{self, Told, route_type};
use super::{Miss, NodeSockets, SocketKind, open};
use netyard_core::expect::{Outcome, RouteProtocol};
use netyard_core::name::{IfName, NodeName};
use netyard_kernel::netlink::Socket;
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name;
use std::net::IpAddr;

/// How a node would send a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The gateway; none when the destination is on the link, or the node itself.
    pub via: Option<IpAddr>,
    /// The outgoing interface.
    pub dev: Option<IfName>,
    /// The source address that the kernel would choose.
    pub source: Option<IpAddr>,
}

/// Looks up the route of a node to an address.
///
/// # Errors
/// [`Outcome::NoRoute`] without a route, [`Outcome::Unreachable`] for `unreachable` and `prohibit` routes,
/// [`Outcome::Timeout`] for `blackhole` routes, which drop in silence.
pub fn look_up(sockets: &dyn NodeSockets, from: &NodeName, to: IpAddr) -> Result<Route, Miss> {
    let mut socket = Socket::from_fd(open(sockets, from, SocketKind::Route)?);
    let found = rtnetlink::route_to(&mut socket, to, Told::Result).map_err(|refusal| {
        // The look-up gives the error that sending would give.
        match Errno::from_raw_os_error(refusal.errno) {
            Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS | Errno::INVAL => {
                Miss::of_local_error(&refusal.into(), to)
            }
            _ => Miss::impossible(format!("cannot look up the route of {from} to {to}: {refusal}")),
        }
    })?;
    match found.kind {
        route_type::BLACKHOLE => {
            Err(Miss::new(Outcome::Timeout, format!("a blackhole route drops packets to {to}")))
        }
        route_type::UNREACHABLE => Err(Miss::of_local_error(&Errno::HOSTUNREACH.into(), to)),
        route_type::PROHIBIT => Err(Miss::of_local_error(&Errno::ACCESS.into(), to)),
        _ => {
            let name = found.ifindex.and_then(|index| index_to_name(&socket, index).ok());
            let dev = name.and_then(|name| IfName::new(name).ok());
            Ok(Route { via: found.via, dev, source: found.source })
        }
    }
}

/// Who made the route of a node to an address (`ip route get fibmatch`); none for protocols without a name here.
///
/// # Errors
/// As [`look_up`].
pub fn protocol(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    to: IpAddr,
) -> Result<Option<RouteProtocol>, Miss> {
    let mut socket = Socket::from_fd(open(sockets, from, SocketKind::Route)?);
    let found = rtnetlink::route_to(&mut socket, to, Told::Entry).map_err(|refusal| {
        Miss::impossible(format!("cannot look up who made the route of {from} to {to}: {refusal}"))
    })?;
    Ok(RouteProtocol::of_number(found.protocol))
}

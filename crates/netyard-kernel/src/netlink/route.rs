//! Routes (ip-route(8), linux/rtnetlink.h).

use super::address::{address_of, family, octets_of};
use super::message::{Attributes, Message, Messages};
use super::socket::{Refusal, Socket};
use ipnet::IpNet;
use netyard_core::state::{Route as Wanted, RouteTarget};
use netyard_core::why::{RouteAsk, RouteFound};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const NLM_F_CREATE_EXCL: u16 = 0x400 | 0x200;
const HEADER_LEN: usize = 12;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTNH_F_ONLINK: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;
const SCOPE_NOWHERE: u8 = 255;

/// `RTPROT_BOOT`: what `ip route add` puts when no protocol is named.
pub const PROTOCOL_BOOT: u8 = 3;
/// `RTPROT_STATIC`: added by a person on purpose.
pub const PROTOCOL_STATIC: u8 = 4;

/// Adds a route. `devices` are the ifindexes of its next hops (or of its one link), in order.
///
/// # Errors
/// `EEXIST` when there is such a route, `ENETUNREACH` ("Nexthop has invalid gateway") when no prefix of the link
/// holds the gateway, `ENETDOWN` when the link is down.
///
/// Same as `ip route add [TYPE] PREFIX [via GATEWAY] dev NAME [metric N] [table N] [src ADDRESS] [onlink]`, or with
/// `nexthop` for each of several hops.
pub fn add(messages: &mut Messages, route: &Wanted, devices: &[u32]) {
    let scope = match &route.target {
        _ if route.to.addr().is_ipv6() => SCOPE_UNIVERSE,
        RouteTarget::Local(_) => SCOPE_HOST,
        RouteTarget::Unicast(hops) if hops.iter().all(|hop| hop.via.is_none()) => SCOPE_LINK,
        _ => SCOPE_UNIVERSE,
    };
    put(messages, RTM_NEWROUTE, NLM_F_CREATE_EXCL, PROTOCOL_BOOT, scope, route, devices);
}

/// Removes the route that has all these properties. `devices` as in [`add`].
///
/// # Errors
/// `ESRCH` when there is no such route.
///
/// Same as `ip route delete` with the words of [`add`].
pub fn delete(messages: &mut Messages, route: &Wanted, devices: &[u32]) {
    put(messages, RTM_DELROUTE, 0, 0, SCOPE_NOWHERE, route, devices);
}

fn put(
    messages: &mut Messages,
    kind: u16,
    flags: u16,
    protocol: u8,
    scope: u8,
    route: &Wanted,
    devices: &[u32],
) {
    // struct rtmsg: family, destination length, source length, tos, table, protocol, scope, type (1 byte each),
    // flags (4). Tables that do not fit a byte go by RTA_TABLE alone, under RT_TABLE_UNSPEC.
    let to = route.to.trunc();
    let mut header = [0; HEADER_LEN];
    header[0] = family(to.addr());
    header[1] = to.prefix_len();
    header[4] = u8::try_from(route.table).unwrap_or_default();
    header[5] = protocol;
    header[6] = scope;
    header[7] = kind_of(&route.target);
    let single = match &route.target {
        RouteTarget::Unicast(hops) if hops.len() == 1 => hops.first(),
        _ => None,
    };
    if single.is_some_and(|hop| hop.onlink) {
        header[8..12].copy_from_slice(&u32::from(RTNH_F_ONLINK).to_ne_bytes());
    }
    let mut message = messages.begin(kind, flags, &header);
    let mut room = [0; 16];
    if to.prefix_len() > 0 {
        message.put(RTA_DST, octets_of(to.addr(), &mut room));
    }
    message.put_u32(RTA_TABLE, route.table);
    if route.metric > 0 {
        message.put_u32(RTA_PRIORITY, route.metric);
    }
    if let Some(src) = route.src {
        message.put(RTA_PREFSRC, octets_of(src, &mut room));
    }
    match (&route.target, single) {
        (RouteTarget::Unicast(hops), None) => {
            let mut several = message.nest(RTA_MULTIPATH);
            for (hop, index) in hops.iter().zip(devices) {
                let mut inner = Messages::new();
                put_gateway(&mut inner.begin(0, 0, &[]), to.addr(), hop.via);
                let attributes = inner.attributes();
                // struct rtnexthop: length (2 bytes), flags (1), weight less one (1), ifindex (4), attributes.
                let length = u16::try_from(8 + attributes.len()).expect("one next hop is short");
                let flags = if hop.onlink { RTNH_F_ONLINK } else { 0 };
                let weight = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
                several
                    .put_raw(&length.to_ne_bytes().into_iter().chain([flags, weight]).collect::<Vec<u8>>());
                several.put_raw(&index.to_ne_bytes());
                several.put_raw(attributes);
            }
        }
        (RouteTarget::Unicast(_), Some(hop)) => {
            put_gateway(&mut message, to.addr(), hop.via);
            devices.iter().for_each(|index| message.put_u32(RTA_OIF, *index));
        }
        (RouteTarget::Local(_), _) => devices.iter().for_each(|index| message.put_u32(RTA_OIF, *index)),
        (RouteTarget::Unreachable | RouteTarget::Blackhole | RouteTarget::Prohibit, _) => {}
    }
}

fn put_gateway(message: &mut Message<'_>, to: IpAddr, via: Option<IpAddr>) {
    let mut room = [0; 16];
    match via {
        Some(via) if via.is_ipv4() == to.is_ipv4() => message.put(RTA_GATEWAY, octets_of(via, &mut room)),
        Some(via) => {
            // struct rtvia: family (2 bytes), address.
            let mut payload = u16::from(family(via)).to_ne_bytes().to_vec();
            payload.extend_from_slice(octets_of(via, &mut room));
            message.put(RTA_VIA, &payload);
        }
        None => {}
    }
}

const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTN_BLACKHOLE: u8 = 6;
const RTN_UNREACHABLE: u8 = 7;
const RTN_PROHIBIT: u8 = 8;

fn kind_of(target: &RouteTarget) -> u8 {
    match target {
        RouteTarget::Unicast(_) => RTN_UNICAST,
        RouteTarget::Local(_) => RTN_LOCAL,
        RouteTarget::Unreachable => RTN_UNREACHABLE,
        RouteTarget::Blackhole => RTN_BLACKHOLE,
        RouteTarget::Prohibit => RTN_PROHIBIT,
    }
}

/// A route as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination; length 0 is the default route.
    pub to: IpNet,
    /// What happens to a packet that matches.
    pub kind: RouteKind,
    /// Who made it, `RTPROT_*`: 2 the kernel, 3 `ip`, 4 a person on purpose, 9 a router's advertisement.
    pub protocol: u8,
    /// Table; 254 is main, 255 local.
    pub table: u32,
    /// Priority; the lowest wins.
    pub metric: u32,
    /// Preferred source address.
    pub src: Option<IpAddr>,
    /// Next hops.
    pub hops: Vec<Hop>,
}

/// The type of a route (`RTN_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteKind {
    /// To its next hops.
    Unicast,
    /// Delivered here.
    Local,
    /// Dropped in silence.
    Blackhole,
    /// Answered with "host unreachable".
    Unreachable,
    /// Answered with "administratively prohibited".
    Prohibit,
    /// Any other, by its number: broadcast, anycast, multicast, throw.
    Other(u8),
}

impl RouteKind {
    /// Its number (`RTN_*`).
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Unicast => RTN_UNICAST,
            Self::Local => RTN_LOCAL,
            Self::Blackhole => RTN_BLACKHOLE,
            Self::Unreachable => RTN_UNREACHABLE,
            Self::Prohibit => RTN_PROHIBIT,
            Self::Other(number) => number,
        }
    }
}

/// One next hop as the kernel tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Gateway.
    pub via: Option<IpAddr>,
    /// ifindex.
    pub index: u32,
    /// Share among several, 1 to 256.
    pub weight: u16,
    /// Whether the gateway is taken as reachable on the link.
    pub onlink: bool,
}

/// All routes of all tables of the namespace of the socket, IPv4 and IPv6, except cached ones.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `ip route show table all` and `ip -6 route show table all`.
pub fn dump(socket: &mut Socket) -> Result<Vec<Route>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETROUTE, 0, &[0; HEADER_LEN]);
    let mut routes = Vec::new();
    socket.dump(&mut messages, |kind, payload| routes.extend(decode(kind, payload)))?;
    Ok(routes)
}

/// What the kernel would do with a packet in the namespace of the socket, and by which route.
///
/// # Errors
/// The error that a packet meets: `ENETUNREACH` without a route, `EHOSTUNREACH` where packets of others are not passed
/// on, `EINVAL` for a route of type `blackhole` and for a source that the reverse path filter does not take, `EACCES`
/// for one of type `prohibit`.
///
/// Same as `ip route get ADDRESS [from ADDRESS] [iif NAME] [oif NAME] [mark N] ipproto P sport N dport N`, and the same with
/// `fibmatch`.
pub fn get(socket: &mut Socket, ask: &RouteAsk) -> Result<RouteFound, Refusal> {
    const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
    const RTM_F_FIB_MATCH: u32 = 0x2000;
    const RTA_METRICS: u16 = 8;
    const RTAX_MTU: u16 = 2;
    // IPv6 always tells the table, and refuses the flag.
    let flags = if ask.to.is_ipv4() { RTM_F_LOOKUP_TABLE } else { 0 };
    let (_, answer) = socket.request(&mut get_message(ask, flags))?;
    let attributes = Attributes(answer.get(HEADER_LEN..).unwrap_or_default());
    let byte = |at: usize| answer.get(at).copied().unwrap_or_default();
    // The route itself is told by another question; where it is not, the answer stands without.
    let matched = socket.request(&mut get_message(ask, RTM_F_FIB_MATCH)).ok();
    let matched = matched.and_then(|(kind, payload)| decode(kind, &payload));
    Ok(RouteFound {
        kind: byte(7),
        route: matched.as_ref().map(|route| route.to),
        table: attributes.u32(RTA_TABLE).unwrap_or_else(|| u32::from(byte(4))),
        via: gateway(attributes),
        index: attributes.u32(RTA_OIF).unwrap_or_default(),
        source: attributes.get(RTA_PREFSRC).and_then(address_of),
        mtu: attributes.nested(RTA_METRICS).u32(RTAX_MTU),
        ways: matched.map_or(1, |route| route.hops.len()),
    })
}

fn get_message(ask: &RouteAsk, flags: u32) -> Messages {
    const RTA_SRC: u16 = 2;
    const RTA_IIF: u16 = 3;
    const RTA_MARK: u16 = 16;
    const RTA_IP_PROTO: u16 = 27;
    const RTA_SPORT: u16 = 28;
    const RTA_DPORT: u16 = 29;
    let bits = if ask.to.is_ipv4() { 32 } else { 128 };
    let mut header = [0; HEADER_LEN];
    header[0] = family(ask.to);
    header[1] = bits;
    header[2] = if ask.from.is_some() { bits } else { 0 };
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    let mut messages = Messages::new();
    let mut message = messages.begin(RTM_GETROUTE, 0, &header);
    let mut room = [0; 16];
    message.put(RTA_DST, octets_of(ask.to, &mut room));
    if let Some(from) = ask.from {
        message.put(RTA_SRC, octets_of(from, &mut room));
    }
    if let Some(iif) = ask.iif {
        message.put_u32(RTA_IIF, iif);
    }
    if let Some(oif) = ask.oif {
        message.put_u32(RTA_OIF, oif);
    }
    if ask.mark != 0 {
        message.put_u32(RTA_MARK, ask.mark);
    }
    if ask.protocol != 0 {
        message.put_u8(RTA_IP_PROTO, ask.protocol);
    }
    if let Some((from, to)) = ask.ports {
        message.put(RTA_SPORT, &from.to_be_bytes());
        message.put(RTA_DPORT, &to.to_be_bytes());
    }
    drop(message);
    messages
}

/// The route in an `RTM_NEWROUTE` answer; none for anything else.
fn decode(kind: u16, payload: &[u8]) -> Option<Route> {
    const RTM_F_CLONED: u32 = 0x200;
    if kind != RTM_NEWROUTE {
        return None;
    }
    let attributes = Attributes(payload.get(HEADER_LEN..)?);
    let flags = u32::from_ne_bytes(payload[8..12].try_into().ok()?);
    if flags & RTM_F_CLONED != 0 {
        return None;
    }
    let is_v4 = i32::from(payload[0]) == libc::AF_INET;
    if !is_v4 && i32::from(payload[0]) != libc::AF_INET6 {
        return None;
    }
    let unspecified =
        if is_v4 { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let to = attributes.get(RTA_DST).and_then(address_of).unwrap_or(unspecified);
    let hops = match (attributes.get(RTA_MULTIPATH), attributes.u32(RTA_OIF)) {
        (Some(several), _) => decode_hops(several),
        (None, Some(index)) => {
            let onlink = flags & u32::from(RTNH_F_ONLINK) != 0;
            vec![Hop { via: gateway(attributes), index, weight: 1, onlink }]
        }
        (None, None) => Vec::new(),
    };
    Some(Route {
        to: IpNet::new(to, payload[1]).ok()?,
        kind: match payload[7] {
            RTN_UNICAST => RouteKind::Unicast,
            RTN_LOCAL => RouteKind::Local,
            RTN_BLACKHOLE => RouteKind::Blackhole,
            RTN_UNREACHABLE => RouteKind::Unreachable,
            RTN_PROHIBIT => RouteKind::Prohibit,
            other => RouteKind::Other(other),
        },
        protocol: payload[5],
        table: attributes.u32(RTA_TABLE).unwrap_or_else(|| u32::from(payload[4])),
        metric: attributes.u32(RTA_PRIORITY).unwrap_or_default(),
        src: attributes.get(RTA_PREFSRC).and_then(address_of),
        hops,
    })
}

fn gateway(attributes: Attributes<'_>) -> Option<IpAddr> {
    let other_family = || attributes.get(RTA_VIA).and_then(|payload| payload.get(2..));
    attributes.get(RTA_GATEWAY).or_else(other_family).and_then(address_of)
}

/// The next hops in `RTA_MULTIPATH`; the layout is told in [`put`].
fn decode_hops(mut bytes: &[u8]) -> Vec<Hop> {
    let mut hops = Vec::new();
    while let Some(header) = bytes.get(..8) {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(attributes) = bytes.get(8..length) else { break };
        hops.push(Hop {
            via: gateway(Attributes(attributes)),
            index: u32::from_ne_bytes([header[4], header[5], header[6], header[7]]),
            weight: u16::from(header[3]) + 1,
            onlink: header[2] & RTNH_F_ONLINK != 0,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

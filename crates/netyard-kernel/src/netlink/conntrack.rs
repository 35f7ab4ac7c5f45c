//! The connections that a network namespace tracks, and how NAT rewrites them.
//!
//! ```text
//! struct nfgenmsg: | family (1) | version 0 (1) | resource id (2) |   then attributes, numbers in network order
//! ```
//!
//! Source: linux/netfilter/nfnetlink_conntrack.h, linux/netfilter/nf_conntrack_common.h, conntrack(8).

mod events;

pub use events::{Change, Event, Events, Heard};

use super::{Attributes, Messages, Refusal, Socket};
use netyard_core::conntrack::{Connection, Detail, Status, TcpState, Tuple};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of `struct nfgenmsg`.
const NFGENMSG_LEN: usize = 4;

/// Reads the tracked connections of the socket's network namespace (a socket of `Protocol::Netfilter`).
///
/// Looking does not switch tracking on. It takes about 10 ms with 262,144 buckets (`net.netfilter.nf_conntrack_buckets`),
/// even without entries: all namespaces share one table, which is walked. The table goes on changing meanwhile: a connection may be missing or be told of
/// twice. Same as `conntrack -L`.
///
/// ```no_run
/// use netyard_kernel::netlink::{Protocol, Socket, conntrack};
/// for connection in conntrack::list(&mut Socket::open(Protocol::Netfilter)?)? {
///     println!("{connection}");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the namespace; `EINVAL` or `EOPNOTSUPP` when the kernel has no ctnetlink.
pub fn list(socket: &mut Socket) -> Result<Vec<Connection>, Refusal> {
    /// `NFNL_SUBSYS_CTNETLINK`, `IPCTNL_MSG_CT_GET`.
    const GET: u16 = 1 << 8 | 1;
    let mut messages = Messages::new();
    messages.begin(GET, 0, &[0; NFGENMSG_LEN]);
    let mut connections = Vec::new();
    socket.dump(&mut messages, |_, payload| connections.extend(parse(payload)))?;
    Ok(connections)
}

/// The connection in the payload of an answer or of an event; none when it has no tuples.
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Connection> {
    const CTA_TUPLE_ORIG: u16 = 1;
    const CTA_TUPLE_REPLY: u16 = 2;
    const CTA_STATUS: u16 = 3;
    const CTA_PROTOINFO: u16 = 4;
    const CTA_TIMEOUT: u16 = 7;
    const CTA_MARK: u16 = 8;
    const CTA_ID: u16 = 12;
    const CTA_ZONE: u16 = 18;
    const CTA_PROTOINFO_TCP: u16 = 1;
    const CTA_PROTOINFO_TCP_STATE: u16 = 1;
    let attributes = Attributes(payload.get(NFGENMSG_LEN..)?);
    let (protocol, original) = tuple(attributes.nested(CTA_TUPLE_ORIG))?;
    let (_, reply) = tuple(attributes.nested(CTA_TUPLE_REPLY))?;
    let tcp = attributes.nested(CTA_PROTOINFO).nested(CTA_PROTOINFO_TCP);
    Some(Connection {
        id: attributes.be32(CTA_ID).unwrap_or(0),
        protocol,
        original,
        reply,
        status: Status(attributes.be32(CTA_STATUS).unwrap_or(0)),
        timeout_s: attributes.be32(CTA_TIMEOUT),
        tcp_state: tcp.u8(CTA_PROTOINFO_TCP_STATE).and_then(TcpState::from_number),
        mark: attributes.be32(CTA_MARK).unwrap_or(0),
        zone: attributes.u16(CTA_ZONE).map_or(0, u16::from_be),
    })
}

/// How many connections the calling thread's network namespace tracks (`net.netfilter.nf_conntrack_count`); 0 where
/// connection tracking is not loaded. Unlike [`list`], it costs nothing.
#[must_use]
pub fn count() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Protocol and tuple of `CTA_TUPLE_ORIG` or `CTA_TUPLE_REPLY`.
fn tuple(attributes: Attributes<'_>) -> Option<(u8, Tuple)> {
    const CTA_TUPLE_IP: u16 = 1;
    const CTA_TUPLE_PROTO: u16 = 2;
    const CTA_PROTO_NUM: u16 = 1;
    let ip = attributes.nested(CTA_TUPLE_IP);
    let proto = attributes.nested(CTA_TUPLE_PROTO);
    let tuple = Tuple { source: address(ip, 1, 3)?, destination: address(ip, 2, 4)?, detail: detail(proto) };
    Some((proto.u8(CTA_PROTO_NUM)?, tuple))
}

/// The address in the attribute of its family (`CTA_IP_V4_*`, `CTA_IP_V6_*`).
fn address(attributes: Attributes<'_>, v4: u16, v6: u16) -> Option<IpAddr> {
    if let Some(octets) = attributes.get(v4) {
        return Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(attributes.get(v6)?).ok()?).into())
}

fn detail(attributes: Attributes<'_>) -> Detail {
    const CTA_PROTO_SRC_PORT: u16 = 2;
    const CTA_PROTO_DST_PORT: u16 = 3;
    /// `CTA_PROTO_ICMP_ID`, `CTA_PROTO_ICMPV6_ID`; type and code follow each.
    const ICMP_IDS: [u16; 2] = [4, 7];
    let number = |kind: u16| attributes.u16(kind).map(u16::from_be);
    if let (Some(source), Some(destination)) = (number(CTA_PROTO_SRC_PORT), number(CTA_PROTO_DST_PORT)) {
        return Detail::Ports { source, destination };
    }
    let icmp = |at: u16| {
        Some(Detail::Icmp { id: number(at)?, kind: attributes.u8(at + 1)?, code: attributes.u8(at + 2)? })
    };
    ICMP_IDS.into_iter().find_map(icmp).unwrap_or(Detail::None)
}

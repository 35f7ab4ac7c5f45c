//! Links: veth pairs, bridges, and what every link has (ip-link(8), linux/if_link.h).

mod settings;

pub use settings::{NewLink, Settings, add_link};

use super::message::{Attributes, Message, Messages, Nest};
use super::socket::{Refusal, Socket};
use netyard_core::mac::Mac;
use netyard_core::state::{Bridge, Stp};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsRawFd, BorrowedFd};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_GETNSID: u16 = 90;
const NLM_F_CREATE_EXCL: u16 = 0x400 | 0x200;
const HEADER_LEN: usize = 16;

const IFF_UP: u32 = 1;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_QDISC: u16 = 6;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
/// linux/veth.h
const VETH_INFO_PEER: u16 = 1;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_HELLO_TIME: u16 = 2;
const IFLA_BR_MAX_AGE: u16 = 3;
const IFLA_BR_AGEING_TIME: u16 = 4;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_PRIORITY: u16 = 6;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_BR_NF_CALL_IPTABLES: u16 = 36;
const IFLA_BRPORT_STATE: u16 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_ISOLATED: u16 = 33;
/// linux/rtnetlink.h: leaves the counters out of an answer, most of its bytes.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

/// Bridge times are in hundredths of a second (`USER_HZ`).
const TICKS_PER_S: u32 = 100;
/// The kernel's own ageing time (`BR_DEFAULT_AGEING_TIME`).
const AGEING_S_DEFAULT: u32 = 300;

/// The ifindex that the loopback has in every namespace (linux/if.h `LOOPBACK_IFINDEX`).
pub const LOOPBACK: u32 = 1;
/// `IFLA_OPERSTATE` of a link that passes packets (linux/if.h `IF_OPER_UP`).
pub const OPERSTATE_UP: u8 = 6;
/// `IFLA_BRPORT_STATE` of a port that passes frames (linux/if_bridge.h `BR_STATE_FORWARDING`).
pub const PORT_FORWARDING: u8 = 3;
/// `IFLA_BRPORT_STATE` of a port that a spanning tree keeps shut (linux/if_bridge.h `BR_STATE_BLOCKING`).
pub const PORT_BLOCKING: u8 = 4;

/// What both ends of a veth pair are made with.
#[derive(Debug, Clone, Copy)]
pub struct VethEnd<'a> {
    /// Name, free in its namespace.
    pub name: &'a str,
    /// ifindex, free in its namespace.
    pub index: u32,
    /// Ethernet address.
    pub mac: Mac,
    /// Largest packet in bytes, 68 to 65535.
    pub mtu: u32,
}

/// Makes a veth pair: `near` in the namespace of the socket, `far` in `far_ns`, each from birth.
///
/// The near end becomes a port of the bridge `master` and goes up at once where asked for; the far end starts down,
/// as a peer that carries `IFF_UP` is refused with `ENOTCONN`. Both have one queue, which makes them a third cheaper.
///
/// # Errors
/// `EEXIST` when a name is taken, `EBUSY` when an ifindex is, `EXFULL` when the bridge has 1023 ports. Nothing has
/// been made then.
///
/// Source: veth(4), linux/veth.h `VETH_INFO_PEER`. Same as
/// `ip link add NEAR index N address M mtu B master BR up type veth peer name FAR netns NS index N address M mtu B`.
pub fn add_veth(
    messages: &mut Messages,
    near: VethEnd<'_>,
    master: Option<u32>,
    is_up: bool,
    far: VethEnd<'_>,
    far_ns: BorrowedFd<'_>,
) {
    let mut message = messages.begin(RTM_NEWLINK, NLM_F_CREATE_EXCL, &header(near.index, is_up, IFF_UP));
    put_end(&mut message, near);
    if let Some(master) = master {
        message.put_u32(IFLA_MASTER, master);
    }
    let mut kind = message.nest(IFLA_LINKINFO);
    kind.put_str(IFLA_INFO_KIND, "veth");
    let mut info = kind.nest(IFLA_INFO_DATA);
    let mut peer = info.nest(VETH_INFO_PEER);
    peer.put_raw(&header(far.index, false, 0));
    put_end(&mut peer, far);
    peer.put_u32(IFLA_NET_NS_FD, far_ns.as_raw_fd().cast_unsigned());
}

fn put_end(message: &mut Message<'_>, end: VethEnd<'_>) {
    message.put_str(IFLA_IFNAME, end.name);
    message.put(IFLA_ADDRESS, &end.mac.0);
    message.put_u32(IFLA_MTU, end.mtu);
    message.put_u32(IFLA_NUM_TX_QUEUES, 1);
    message.put_u32(IFLA_NUM_RX_QUEUES, 1);
}

/// Makes a bridge, down.
///
/// # Errors
/// `EEXIST` when the name is taken, `EBUSY` when the ifindex is, `ERANGE` for spanning tree times out of range.
///
/// Source: ip-link(8) "BRIDGE Type Support". Same as `ip link add NAME index N address M mtu B type bridge ...`.
pub fn add_bridge(messages: &mut Messages, name: &str, index: u32, mac: Mac, mtu: u32, bridge: &Bridge) {
    let mut message = messages.begin(RTM_NEWLINK, NLM_F_CREATE_EXCL, &header(index, false, 0));
    message.put_str(IFLA_IFNAME, name);
    message.put(IFLA_ADDRESS, &mac.0);
    message.put_u32(IFLA_MTU, mtu);
    let mut kind = message.nest(IFLA_LINKINFO);
    kind.put_str(IFLA_INFO_KIND, "bridge");
    put_bridge(&mut kind.nest(IFLA_INFO_DATA), bridge);
}

/// Changes the settings of a bridge.
///
/// # Errors
/// `ENODEV` when there is no such link, `ERANGE` for spanning tree times out of range.
///
/// Same as `ip link set NAME type bridge stp_state S ageing_time A mcast_snooping M ...`. Without a spanning tree its
/// times stay as they are: ports then forward at once, whatever the forward delay.
pub fn set_bridge(messages: &mut Messages, index: u32, bridge: &Bridge) {
    let mut message = messages.begin(RTM_NEWLINK, 0, &header(index, false, 0));
    let mut kind = message.nest(IFLA_LINKINFO);
    kind.put_str(IFLA_INFO_KIND, "bridge");
    put_bridge(&mut kind.nest(IFLA_INFO_DATA), bridge);
}

fn put_bridge(data: &mut Nest<'_>, bridge: &Bridge) {
    if let Some(stp) = bridge.stp {
        data.put_u32(IFLA_BR_FORWARD_DELAY, u32::from(stp.forward_delay_s) * TICKS_PER_S);
        data.put_u32(IFLA_BR_HELLO_TIME, u32::from(stp.hello_s) * TICKS_PER_S);
        data.put_u32(IFLA_BR_MAX_AGE, u32::from(stp.max_age_s) * TICKS_PER_S);
        data.put_u16(IFLA_BR_PRIORITY, stp.priority);
    }
    data.put_u32(IFLA_BR_STP_STATE, u32::from(bridge.stp.is_some()));
    data.put_u32(IFLA_BR_AGEING_TIME, if bridge.learns { AGEING_S_DEFAULT * TICKS_PER_S } else { 0 });
    data.put_u8(IFLA_BR_MCAST_SNOOPING, u8::from(bridge.snoops_multicast));
}

/// Removes a link; a veth goes with its peer.
///
/// # Errors
/// `ENODEV` when there is no such link, `EOPNOTSUPP` for one that cannot be removed, such as `lo`.
///
/// Same as `ip link delete NAME`.
pub fn delete(messages: &mut Messages, index: u32) {
    messages.begin(RTM_DELLINK, 0, &header(index, false, 0));
}

/// Sets a link up or down.
///
/// # Errors
/// `ENODEV` when there is no such link.
///
/// Same as `ip link set NAME up` or `down`.
pub fn set_up(messages: &mut Messages, index: u32, is_up: bool) {
    messages.begin(RTM_NEWLINK, 0, &header(index, is_up, IFF_UP));
}

/// Changes the largest packet of a link, in bytes.
///
/// # Errors
/// `EINVAL` when the link does not take that size, `ENODEV` when there is no such link.
///
/// Same as `ip link set NAME mtu N`.
pub fn set_mtu(messages: &mut Messages, index: u32, mtu: u32) {
    messages.begin(RTM_NEWLINK, 0, &header(index, false, 0)).put_u32(IFLA_MTU, mtu);
}

/// Changes the Ethernet address of a link.
///
/// # Errors
/// `EADDRNOTAVAIL` for a group address, `ENODEV` when there is no such link.
///
/// Same as `ip link set NAME address MAC`.
pub fn set_mac(messages: &mut Messages, index: u32, mac: Mac) {
    messages.begin(RTM_NEWLINK, 0, &header(index, false, 0)).put(IFLA_ADDRESS, &mac.0);
}

/// Makes a link a port of a bridge, or takes it out of the one that it is in.
///
/// # Errors
/// `EXFULL` when the bridge has 1023 ports, `ENODEV` when there is no such link.
///
/// Same as `ip link set NAME master BRIDGE` or `nomaster`.
pub fn set_master(messages: &mut Messages, index: u32, master: Option<u32>) {
    messages.begin(RTM_NEWLINK, 0, &header(index, false, 0)).put_u32(IFLA_MASTER, master.unwrap_or(0));
}

/// `struct ifinfomsg`: family (1 byte), padding (1), type (2), ifindex (4), flags (4), mask of changed flags (4).
fn header(index: u32, is_up: bool, change: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&(if is_up { IFF_UP } else { 0 }).to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

/// A link as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// ifindex.
    pub index: u32,
    /// Name.
    pub name: String,
    /// The kernel's word for its kind (`veth`, `bridge`); empty for hardware and the loopback.
    pub kind: String,
    /// Link-layer address where it has 6 bytes.
    pub mac: Option<Mac>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// `IFF_*` (netdevice(7)).
    pub flags: u32,
    /// `IF_OPER_*` (linux/if.h); 6 is up.
    pub operstate: u8,
    /// ifindex of the link that it is a port of.
    pub master: Option<u32>,
    /// ifindex of the peer (veth) or of the link below.
    pub peer: Option<u32>,
    /// The namespace of the peer, as this namespace numbers it; none when it is this one.
    pub peer_nsid: Option<i32>,
    /// Kind of the root qdisc, for example `noqueue`.
    pub qdisc: String,
    /// The settings, when it is a bridge.
    pub bridge: Option<Bridge>,
    /// Whether it is a bridge that looks at tags.
    pub filters_vlans: bool,
    /// What only its kind has.
    pub settings: Settings,
    /// `BR_STATE_*` (linux/if_bridge.h), when it is a port of a bridge; 3 is forwarding.
    pub port_state: Option<u8>,
    /// What else decides about frames, when it is a port of a bridge.
    #[serde(default)]
    pub port: Option<Port>,
    /// Whether it is a bridge that shows its frames to iptables, whatever the namespace says.
    #[serde(default)]
    pub calls_iptables: bool,
}

/// Flags of a port of a bridge (bridge(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// It passes nothing to other isolated ports.
    pub is_isolated: bool,
    /// Frames for unknown addresses leave by it.
    pub floods: bool,
    /// Frames may leave by it that came by it.
    pub is_hairpin: bool,
}

impl Link {
    /// Whether it is administratively up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// Whether it is the loopback.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        const IFF_LOOPBACK: u32 = 8;
        self.flags & IFF_LOOPBACK != 0
    }
}

/// All links of the namespace of the socket.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `ip -details link show`.
pub fn dump(socket: &mut Socket) -> Result<Vec<Link>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETLINK, 0, &[0; HEADER_LEN]).put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    let mut links = Vec::new();
    socket.dump(&mut messages, |kind, payload| links.extend(decode(kind, payload)))?;
    Ok(links)
}

/// One link of the namespace of the socket.
///
/// # Errors
/// `ENODEV` when there is no such link.
///
/// Same as `ip -details link show dev NAME`.
pub fn get(socket: &mut Socket, index: u32) -> Result<Link, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETLINK, 0, &header(index, false, 0)).put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    let (kind, payload) = socket.request(&mut messages)?;
    decode(kind, &payload).ok_or(Refusal { index: 0, errno: libc::EBADMSG, message: None })
}

/// The number that the namespace of the socket has for another one; none while it has had no need of one.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `ip netns list-id target-nsid ...`. Source: linux/net_namespace.h `RTM_GETNSID`.
pub fn nsid(socket: &mut Socket, ns: BorrowedFd<'_>) -> Result<Option<i32>, Refusal> {
    const NETNSA_NSID: u16 = 1;
    const NETNSA_FD: u16 = 3;
    let mut messages = Messages::new();
    messages.begin(RTM_GETNSID, 0, &[0; 4]).put_u32(NETNSA_FD, ns.as_raw_fd().cast_unsigned());
    let (_, payload) = socket.request(&mut messages)?;
    let number = Attributes(payload.get(4..).unwrap_or_default()).u32(NETNSA_NSID);
    Ok(number.map(u32::cast_signed).filter(|number| *number >= 0))
}

/// The ifindex in an event about a link; none in any other.
#[must_use]
pub fn index_of(kind: u16, payload: &[u8]) -> Option<u32> {
    let is_about_a_link = matches!(kind, RTM_NEWLINK | RTM_DELLINK);
    let index = u32::from_ne_bytes(payload.get(4..8)?.try_into().ok()?);
    is_about_a_link.then_some(index)
}

/// The link in an `RTM_NEWLINK` answer; none in any other.
fn decode(kind: u16, payload: &[u8]) -> Option<Link> {
    if kind != RTM_NEWLINK {
        return None;
    }
    let word = |at: usize| Some(u32::from_ne_bytes(payload.get(at..at + 4)?.try_into().ok()?));
    let attributes = Attributes(payload.get(HEADER_LEN..)?);
    let what = attributes.nested(IFLA_LINKINFO);
    let kind = what.str(IFLA_INFO_KIND).unwrap_or_default();
    let is_port = what.str(IFLA_INFO_SLAVE_KIND) == Some("bridge");
    Some(Link {
        index: word(4)?,
        name: attributes.str(IFLA_IFNAME)?.to_owned(),
        kind: kind.to_owned(),
        mac: attributes.get(IFLA_ADDRESS).and_then(|bytes| bytes.try_into().ok()).map(Mac),
        mtu: attributes.u32(IFLA_MTU).unwrap_or_default(),
        flags: word(8)?,
        operstate: attributes.u8(IFLA_OPERSTATE).unwrap_or_default(),
        master: attributes.u32(IFLA_MASTER),
        peer: attributes.u32(IFLA_LINK),
        peer_nsid: attributes.u32(IFLA_LINK_NETNSID).map(u32::cast_signed),
        qdisc: attributes.str(IFLA_QDISC).unwrap_or_default().to_owned(),
        bridge: (kind == "bridge").then(|| decode_bridge(what.nested(IFLA_INFO_DATA))),
        filters_vlans: kind == "bridge"
            && what.nested(IFLA_INFO_DATA).u8(IFLA_BR_VLAN_FILTERING).is_some_and(|on| on != 0),
        settings: settings::decode(kind, what.nested(IFLA_INFO_DATA)),
        port_state: is_port.then(|| what.nested(IFLA_INFO_SLAVE_DATA).u8(IFLA_BRPORT_STATE)).flatten(),
        port: is_port.then(|| decode_port(what.nested(IFLA_INFO_SLAVE_DATA))),
        calls_iptables: kind == "bridge"
            && what.nested(IFLA_INFO_DATA).u8(IFLA_BR_NF_CALL_IPTABLES).is_some_and(|on| on != 0),
    })
}

fn decode_port(data: Attributes<'_>) -> Port {
    let is_on = |kind| data.u8(kind).is_some_and(|on| on != 0);
    Port {
        is_isolated: is_on(IFLA_BRPORT_ISOLATED),
        floods: data.u8(IFLA_BRPORT_UNICAST_FLOOD) != Some(0),
        is_hairpin: is_on(IFLA_BRPORT_MODE),
    }
}

fn decode_bridge(data: Attributes<'_>) -> Bridge {
    let seconds = |kind| {
        let ticks = data.u32(kind).unwrap_or_default();
        u8::try_from(ticks.div_ceil(TICKS_PER_S)).unwrap_or(u8::MAX)
    };
    let stp = Stp {
        forward_delay_s: seconds(IFLA_BR_FORWARD_DELAY),
        hello_s: seconds(IFLA_BR_HELLO_TIME),
        max_age_s: seconds(IFLA_BR_MAX_AGE),
        priority: data.u16(IFLA_BR_PRIORITY).unwrap_or_default(),
    };
    Bridge {
        stp: data.u32(IFLA_BR_STP_STATE).is_some_and(|state| state != 0).then_some(stp),
        learns: data.u32(IFLA_BR_AGEING_TIME) != Some(0),
        snoops_multicast: data.u8(IFLA_BR_MCAST_SNOOPING).is_some_and(|on| on != 0),
    }
}

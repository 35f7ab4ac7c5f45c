//! One attempt for each kind of kernel object, in a network namespace that nobody else uses.

use super::throwaway::try_fresh_proc;
use crate::netlink::{Message, Messages, Protocol, Refusal, Socket, nft};
use netyard_core::feature::Kind;
use netyard_core::nft::{
    Action, BaseChain, Chain, ChainKind, CtStates, Family, Hook, Match, Policy, Rule, Table,
};
use std::net::{Ipv6Addr, UdpSocket};

/// The interfaces that later attempts build on.
const VETH_INDEX: u32 = 100;
const BRIDGE_INDEX: u32 = 200;
const VETH: &str = "nyveth";
const RTM_NEWLINK: u16 = 16;
const RTM_NEWQDISC: u16 = 36;
const NLM_F_EXCL_CREATE: u16 = 0x200 | 0x400;

/// Tries this kind; the first one to be tried must be [`Kind::Veth`].
///
/// # Errors
/// The kernel's refusal.
pub(super) fn attempt(kind: Kind) -> Result<(), Refusal> {
    match kind {
        Kind::Veth => link(kind.link_kind(), VETH, VETH_INDEX, |_| {}),
        Kind::Bridge => link("bridge", "nybr", BRIDGE_INDEX, |_| {}),
        // Both change the bridge that is there: a bridge that is refused while it is made takes 40 ms to be undone.
        Kind::BridgeVlanFiltering => change_bridge(|m| {
            const IFLA_BR_VLAN_FILTERING: u16 = 7;
            m.put_u8(IFLA_BR_VLAN_FILTERING, 1);
        }),
        Kind::Stp => change_bridge(|m| {
            const IFLA_BR_STP_STATE: u16 = 5;
            m.put_u32(IFLA_BR_STP_STATE, 1);
        }),
        Kind::Vlan => link("vlan", "nyvlan", 0, |m| {
            const IFLA_VLAN_ID: u16 = 1;
            m.put_u16(IFLA_VLAN_ID, 2);
        }),
        Kind::Macvlan => link("macvlan", "nymacvlan", 0, |m| {
            const IFLA_MACVLAN_MODE: u16 = 1;
            const MACVLAN_MODE_BRIDGE: u32 = 4;
            m.put_u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
        }),
        Kind::Vxlan => link("vxlan", "nyvxlan", 0, |m| {
            const IFLA_VXLAN_ID: u16 = 1;
            const IFLA_VXLAN_PORT: u16 = 15;
            m.put_u32(IFLA_VXLAN_ID, 1);
            m.put(IFLA_VXLAN_PORT, &4789_u16.to_be_bytes());
        }),
        Kind::Vrf => link("vrf", "nyvrf", 0, |m| {
            const IFLA_VRF_TABLE: u16 = 1;
            m.put_u32(IFLA_VRF_TABLE, 10);
        }),
        Kind::Dummy => link("dummy", "nydummy", 0, |_| {}),
        Kind::Wireguard => link("wireguard", "nywg", 0, |_| {}),
        Kind::Bond => link("bond", "nybond", 0, |_| {}),
        // With addresses: one tunnel without any is there already in each namespace.
        Kind::Ipip => link("ipip", "nyipip", 0, |m| put_ends(m, 2, 3)),
        Kind::Gre => link("gre", "nygre", 0, |m| put_ends(m, 6, 7)),
        Kind::Sit => link("sit", "nysit", 0, |m| put_ends(m, 2, 3)),
        Kind::Ip6tnl => link("ip6tnl", "nyip6tnl", 0, |m| put_ends_ipv6(m, 2, 3)),
        Kind::Ip6gre => link("ip6gre", "nyip6gre", 0, |m| put_ends_ipv6(m, 6, 7)),
        Kind::Tbf => tbf(),
        // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter; four bytes each.
        Kind::Netem => {
            let words = [0_u32, 1000, 0, 0, 0, 0];
            qdisc("netem", |m| m.put(TCA_OPTIONS, &words.map(u32::to_ne_bytes).concat()))
        }
        Kind::Masquerade => rule("nymasq", ChainKind::Nat, Hook::Postrouting, vec![], Action::Masquerade),
        Kind::Fib => {
            rule("nyfib", ChainKind::Filter, Hook::Prerouting, vec![Match::DestinationLocal], Action::Accept)
        }
        Kind::Conntrack => {
            let new = CtStates { new: true, ..CtStates::default() };
            rule("nyct", ChainKind::Filter, Hook::Input, vec![Match::CtState(new)], Action::Accept)?;
            // `conntrack -C`: to list them takes 10 ms, as the table of the whole machine is walked.
            const GET_STATS: u16 = 1 << 8 | 5;
            let mut messages = Messages::new();
            messages.begin(GET_STATS, 0, &[0; 4]);
            open(Protocol::Netfilter)?.request(&mut messages).map(drop)
        }
        Kind::Ipv6 => match UdpSocket::bind("[::]:0") {
            Ok(_) => Ok(()),
            Err(error) => Err(refusal(error.raw_os_error().unwrap_or(libc::EIO))),
        },
        Kind::FreshProc => try_fresh_proc().map_err(refusal),
    }
}

fn refusal(errno: i32) -> Refusal {
    Refusal { index: 0, errno, message: None }
}

fn open(protocol: Protocol) -> Result<Socket, Refusal> {
    Socket::open(protocol).map_err(|error| refusal(error.raw_os_error().unwrap_or(libc::EIO)))
}

/// `ip link add link nyveth name NAME type KIND ...`, with `index` where it is not 0.
fn link(kind: &str, name: &str, index: u32, options: impl FnOnce(&mut Message<'_>)) -> Result<(), Refusal> {
    const IFLA_IFNAME: u16 = 3;
    const IFLA_LINK: u16 = 5;
    request_link(index, NLM_F_EXCL_CREATE, |message| {
        message.put_str(IFLA_IFNAME, name);
        if matches!(kind, "vlan" | "macvlan") {
            message.put_u32(IFLA_LINK, VETH_INDEX);
        }
        put_kind(message, kind, options);
    })
}

/// The ends of a tunnel, by the numbers of their attributes (linux/if_tunnel.h `IFLA_IPTUN_*`, `IFLA_GRE_*`).
fn put_ends(message: &mut Message<'_>, local: u16, remote: u16) {
    message.put(local, &[127, 0, 0, 1]);
    message.put(remote, &[127, 0, 0, 2]);
}

/// The same of a tunnel in IPv6.
fn put_ends_ipv6(message: &mut Message<'_>, local: u16, remote: u16) {
    message.put(local, &Ipv6Addr::LOCALHOST.octets());
    message.put(remote, &Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets());
}

/// `ip link set nybr type bridge ...`
fn change_bridge(options: impl FnOnce(&mut Message<'_>)) -> Result<(), Refusal> {
    request_link(BRIDGE_INDEX, 0, |message| put_kind(message, "bridge", options))
}

fn put_kind(message: &mut Message<'_>, kind: &str, options: impl FnOnce(&mut Message<'_>)) {
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_INFO_DATA: u16 = 2;
    let mut nest = message.nest(IFLA_LINKINFO);
    nest.put_str(IFLA_INFO_KIND, kind);
    options(&mut nest.nest(IFLA_INFO_DATA));
}

fn request_link(index: u32, flags: u16, attributes: impl FnOnce(&mut Message<'_>)) -> Result<(), Refusal> {
    // struct ifinfomsg: family and type (4 bytes), index, flags, change.
    let header = [0, index, 0, 0].map(u32::to_ne_bytes).concat();
    let mut messages = Messages::new();
    attributes(&mut messages.begin(RTM_NEWLINK, flags, &header));
    open(Protocol::Route)?.send(&mut messages)
}

const TCA_OPTIONS: u16 = 2;

/// `tc qdisc replace dev nyveth root KIND ...`
fn qdisc(kind: &str, options: impl FnOnce(&mut Message<'_>)) -> Result<(), Refusal> {
    const TCA_KIND: u16 = 1;
    const TC_H_ROOT: u32 = 0xffff_ffff;
    const NLM_F_REPLACE_CREATE: u16 = 0x100 | 0x400;
    // struct tcmsg: family (4 bytes with padding), ifindex, handle, parent, info.
    let header = [0, VETH_INDEX, 0, TC_H_ROOT, 0].map(u32::to_ne_bytes).concat();
    let mut messages = Messages::new();
    {
        let mut message = messages.begin(RTM_NEWQDISC, NLM_F_REPLACE_CREATE, &header);
        message.put_str(TCA_KIND, kind);
        options(&mut message);
    }
    open(Protocol::Route)?.send(&mut messages)
}

fn tbf() -> Result<(), Refusal> {
    const TCA_TBF_PARMS: u16 = 1;
    const TCA_TBF_BURST: u16 = 6;
    const TC_LINKLAYER_ETHERNET: u8 = 1;
    const RATE_BYTE_PER_S: u32 = 125_000;
    // struct tc_tbf_qopt: rate and peak rate (struct tc_ratespec: cell log and link layer, overhead; alignment and
    // minimum; then the rate), limit, buffer, mtu.
    let link_layer = u32::from_ne_bytes([0, TC_LINKLAYER_ETHERNET, 0, 0]);
    let words = [link_layer, 0, RATE_BYTE_PER_S, 0, 0, 0, 100_000, 0, 0];
    qdisc("tbf", |m| {
        let mut nest = m.nest(TCA_OPTIONS);
        nest.put(TCA_TBF_PARMS, &words.map(u32::to_ne_bytes).concat());
        nest.put_u32(TCA_TBF_BURST, 10_000);
    })
}

/// An `inet` table with one rule in a chain at this hook.
fn rule(name: &str, kind: ChainKind, hook: Hook, matches: Vec<Match>, action: Action) -> Result<(), Refusal> {
    let base = BaseChain { kind, hook, priority: 0, policy: Policy::Accept };
    let rules = vec![Rule { matches, counts: false, action }];
    let chains = vec![Chain { name: "c".into(), base: Some(base), rules }];
    let table = Table { family: Family::Inet, name: name.into(), chains };
    nft::replace_table(&mut open(Protocol::Netfilter)?, &table)
}

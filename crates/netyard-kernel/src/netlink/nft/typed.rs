//! Comparisons that have a form of their own among the matches of netyard-core.

use super::expression::{Load, number::*};
use super::words::{self, Kind};
use ipnet::IpNet;
use netyard_core::name::IfName;
use netyard_core::nft::{Family, Match, Ports, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The mask and the exclusive-or that a value went through.
pub(super) type Mask = (Vec<u8>, Vec<u8>);

/// The version of IP that a comparison makes certain, with the words for it.
pub(super) fn ip_version(load: &Load, value: &[u8], family: Family) -> Option<(u8, String)> {
    let of_ethertype = || match value {
        [0x08, 0x00] => Some(4),
        [0x86, 0xdd] => Some(6),
        _ => None,
    };
    match load {
        Load::Meta(META_NFPROTO) => match value {
            [2] => Some((4, "meta nfproto ipv4".to_owned())),
            [10] => Some((6, "meta nfproto ipv6".to_owned())),
            _ => None,
        },
        Load::Meta(META_PROTOCOL) if matches!(family, Family::Bridge | Family::Netdev | Family::Inet) => {
            of_ethertype().map(|v| (v, format!("meta protocol {}", words::value(Kind::EtherType, value))))
        }
        Load::Payload { base: LINK_HEADER, offset: 12, len: 2 } => {
            of_ethertype().map(|v| (v, format!("ether type {}", words::value(Kind::EtherType, value))))
        }
        _ => None,
    }
}

pub(super) fn port_match(protocol: Option<u8>, offset: u32, first: u16, last: u16) -> Option<Match> {
    let ports = Ports { first, last };
    match (Protocol::from_number(protocol?)?, offset) {
        (protocol @ (Protocol::Tcp | Protocol::Udp), 0) => Some(Match::SourcePort(protocol, ports)),
        (protocol @ (Protocol::Tcp | Protocol::Udp), 2) => Some(Match::DestinationPort(protocol, ports)),
        _ => None,
    }
}

/// A comparison with a whole interface name, which has a zero at its end or all 16 bytes.
pub(super) fn interface(load: &Load, op: u32, value: &[u8]) -> Option<Match> {
    let end = value.iter().position(|b| *b == 0)?;
    let name = IfName::new(std::str::from_utf8(&value[..end]).ok()?).ok()?;
    match (load, op) {
        (Load::Meta(META_IIFNAME), EQUAL) => Some(Match::InterfaceIn(name)),
        (Load::Meta(META_OIFNAME), EQUAL) => Some(Match::InterfaceOut(name)),
        (Load::Meta(META_OIFNAME), NOT_EQUAL) => Some(Match::InterfaceOutNot(name)),
        _ => None,
    }
}

/// A comparison of an address with a prefix, by its first bytes or under a mask.
pub(super) fn address(
    ip_version: Option<u8>,
    offset: u32,
    len: u32,
    mask: Option<&Mask>,
    value: &[u8],
) -> Option<Match> {
    let (size, is_source) = match (ip_version?, offset) {
        (4, 12) => (4, true),
        (4, 16) => (4, false),
        (6, 8) => (16, true),
        (6, 24) => (16, false),
        _ => return None,
    };
    if value.len() != len as usize || value.len() > size {
        return None;
    }
    let bits = match mask {
        None => value.len() * 8,
        Some((mask, xor)) => mask_bits(mask, xor).filter(|_| mask.len() == size)?,
    };
    let mut octets = value.to_vec();
    octets.resize(size, 0);
    let prefix = IpNet::new(ip_addr(&octets)?, u8::try_from(bits).ok()?).ok()?;
    if prefix.trunc() != prefix {
        return None; // Bits behind the mask: never true.
    }
    Some(if is_source { Match::Source(prefix) } else { Match::Destination(prefix) })
}

/// The length of a netmask; none when it has a gap or when bits are turned as well.
pub(super) fn mask_bits(mask: &[u8], xor: &[u8]) -> Option<usize> {
    let ones = mask.iter().map(|b| b.count_ones() as usize).sum::<usize>();
    let leading = mask.iter().take_while(|b| **b == 0xff).count() * 8;
    let partial = mask.get(leading / 8).map_or(0, |b| b.leading_ones() as usize);
    (leading + partial == ones && xor.iter().all(|b| *b == 0)).then_some(ones)
}

pub(super) fn conntrack(key: u32, mask: Option<&Mask>, op: u32, value: &[u8]) -> Option<Match> {
    const DNAT_BIT: u64 = 1 << 5;
    let (mask, xor) = mask?;
    let is_any = op == NOT_EQUAL && [value, xor].into_iter().all(|bytes| bytes.iter().all(|b| *b == 0));
    let bits = words::host_number(mask);
    match key {
        CT_STATE if is_any => words::ct_states(bits).map(Match::CtState),
        CT_STATUS if is_any && bits == DNAT_BIT => Some(Match::CtStatusDnat),
        _ => None,
    }
}

pub(super) fn ip_addr(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into())
}

//! nft(8)'s words for what is loaded and for the values that it is compared with.

use super::encode::ct_state_bits;
use super::expression::{Load, Verdict, number::*};
use super::list::{Element, Set};
use netyard_core::nft::{CtStates, Family, Protocol, icmp_type_word};
use std::net::{Ipv4Addr, Ipv6Addr};

/// What the expressions before have made certain about the packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub family: Family,
    pub ip_version: Option<u8>,
    pub protocol: Option<u8>,
}

/// How the bytes of a value are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An integer in host order.
    Host,
    /// An integer in host order, printed in hexadecimal (marks).
    Mark,
    /// An integer in network order.
    Network,
    InterfaceName,
    Ipv4,
    Ipv6,
    Ether,
    EtherType,
    Protocol,
    Nfproto,
    CtState,
    CtStatus,
    CtDirection,
    AddressType,
    TcpFlags,
    IcmpType(Protocol),
    PacketType,
    Hex,
}

/// A loaded value in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub name: String,
    pub kind: Kind,
    /// Bytes of the value; none where any length fits.
    pub len: Option<usize>,
    /// The version of IP and the protocol that the name stands for: nft leaves out a match on them before it.
    pub ip_version: Option<u8>,
    pub protocol: Option<u8>,
}

impl Described {
    pub fn new(name: impl Into<String>, kind: Kind, len: Option<usize>) -> Self {
        Self { name: name.into(), kind, len, ip_version: None, protocol: None }
    }
}

/// The words for what is loaded.
pub(super) fn load(what: &Load, context: Context) -> Described {
    match what {
        Load::Meta(key) => meta(*key),
        Load::Ct { key, direction } => ct(*key, *direction),
        Load::Payload { base, offset, len } => payload(*base, *offset, *len, context),
        Load::Fib { result, flags } => fib(*result, *flags),
        Load::Route(RT_TCPMSS) => Described::new("rt mtu", Kind::Host, Some(2)),
        Load::Route(key) => Described::new(route_word(*key), Kind::Hex, None),
    }
}

fn route_word(key: u32) -> &'static str {
    ["rt classid", "rt nexthop", "rt nexthop", "rt mtu", "rt ipsec"]
        .get(key as usize)
        .copied()
        .unwrap_or("rt")
}

/// `enum nft_meta_keys`, with the words of nftables src/meta.c.
fn meta(key: u32) -> Described {
    let (name, kind, len) = match key {
        0 => ("meta length", Kind::Host, 4),
        META_PROTOCOL => ("meta protocol", Kind::EtherType, 2),
        2 => ("meta priority", Kind::Mark, 4),
        3 => ("meta mark", Kind::Mark, 4),
        4 => ("iif", Kind::Host, 4),
        5 => ("oif", Kind::Host, 4),
        META_IIFNAME => ("iifname", Kind::InterfaceName, 16),
        META_OIFNAME => ("oifname", Kind::InterfaceName, 16),
        8 => ("iiftype", Kind::Host, 2),
        9 => ("oiftype", Kind::Host, 2),
        10 => ("meta skuid", Kind::Host, 4),
        11 => ("meta skgid", Kind::Host, 4),
        12 => ("meta nftrace", Kind::Host, 1),
        13 => ("meta rtclassid", Kind::Host, 4),
        META_NFPROTO => ("meta nfproto", Kind::Nfproto, 1),
        META_L4PROTO => ("meta l4proto", Kind::Protocol, 1),
        17 => ("meta ibrname", Kind::InterfaceName, 16),
        18 => ("meta obrname", Kind::InterfaceName, 16),
        19 => ("meta pkttype", Kind::PacketType, 1),
        20 => ("meta cpu", Kind::Host, 4),
        21 => ("meta iifgroup", Kind::Host, 4),
        22 => ("meta oifgroup", Kind::Host, 4),
        23 => ("meta cgroup", Kind::Host, 4),
        24 => ("meta random", Kind::Host, 4),
        25 => ("meta ipsec", Kind::Host, 1),
        26 => ("meta iifkind", Kind::InterfaceName, 16),
        27 => ("meta oifkind", Kind::InterfaceName, 16),
        _ => return Described::new(format!("meta {key}"), Kind::Hex, None),
    };
    Described::new(name, kind, Some(len))
}

/// `enum nft_ct_keys`, with the words of nftables src/ct.c.
fn ct(key: u32, direction: Option<u8>) -> Described {
    let (name, kind) = match key {
        CT_STATE => ("state", Kind::CtState),
        1 => ("direction", Kind::CtDirection),
        CT_STATUS => ("status", Kind::CtStatus),
        3 => ("mark", Kind::Mark),
        5 => ("expiration", Kind::Host),
        6 => ("helper", Kind::InterfaceName),
        7 => ("l3proto", Kind::Nfproto),
        10 => ("protocol", Kind::Protocol),
        11 => ("proto-src", Kind::Network),
        12 => ("proto-dst", Kind::Network),
        14 => ("packets", Kind::Host),
        15 => ("bytes", Kind::Host),
        16 => ("avgpkt", Kind::Host),
        17 => ("zone", Kind::Host),
        19 => ("ip saddr", Kind::Ipv4),
        20 => ("ip daddr", Kind::Ipv4),
        21 => ("ip6 saddr", Kind::Ipv6),
        22 => ("ip6 daddr", Kind::Ipv6),
        23 => ("id", Kind::Host),
        _ => return Described::new(format!("ct {key}"), Kind::Hex, None),
    };
    let way = match direction {
        Some(0) => "original ",
        Some(_) => "reply ",
        None => "",
    };
    Described::new(format!("ct {way}{name}"), kind, None)
}

fn fib(result: u32, flags: u32) -> Described {
    let words = [(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")];
    let keys: Vec<&str> = words.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| *word).collect();
    let (word, kind) = match result {
        1 => ("oif", Kind::Host),
        2 => ("oifname", Kind::InterfaceName),
        _ => ("type", Kind::AddressType),
    };
    Described::new(format!("fib {} {word}", keys.join(" . ")), kind, None)
}

/// The fields of headers that rules name: offset, bytes, word, kind (RFC 791, 8200, 9293, 768, 792, 4443).
const IPV4_FIELDS: &[(u32, u32, &str, Kind)] = &[
    (2, 2, "ip length", Kind::Network),
    (4, 2, "ip id", Kind::Network),
    (6, 2, "ip frag-off", Kind::Network),
    (8, 1, "ip ttl", Kind::Network),
    (9, 1, "ip protocol", Kind::Protocol),
    (12, 4, "ip saddr", Kind::Ipv4),
    (16, 4, "ip daddr", Kind::Ipv4),
];
const IPV6_FIELDS: &[(u32, u32, &str, Kind)] = &[
    (4, 2, "ip6 length", Kind::Network),
    (6, 1, "ip6 nexthdr", Kind::Protocol),
    (7, 1, "ip6 hoplimit", Kind::Network),
    (8, 16, "ip6 saddr", Kind::Ipv6),
    (24, 16, "ip6 daddr", Kind::Ipv6),
];
const ETHER_FIELDS: &[(u32, u32, &str, Kind)] = &[
    (0, 6, "ether daddr", Kind::Ether),
    (6, 6, "ether saddr", Kind::Ether),
    (12, 2, "ether type", Kind::EtherType),
];

fn payload(base: u32, offset: u32, len: u32, context: Context) -> Described {
    let version = context.ip_version;
    let fields = match (base, version) {
        (LINK_HEADER, _) => ETHER_FIELDS,
        (NETWORK_HEADER, Some(4)) => IPV4_FIELDS,
        (NETWORK_HEADER, Some(6)) => IPV6_FIELDS,
        _ => &[],
    };
    if base == TRANSPORT_HEADER {
        if let Some(described) = transport_field(offset, len, context.protocol) {
            return described;
        }
    } else if let Some((_, whole, name, kind)) = fields.iter().find(|(o, whole, _, kind)| {
        // A prefix of whole bytes is compared by the first bytes of the address alone.
        *o == offset && (*whole == len || len < *whole && matches!(kind, Kind::Ipv4 | Kind::Ipv6))
    }) {
        let mut described = Described::new(*name, *kind, Some(*whole as usize));
        described.ip_version = if base == NETWORK_HEADER { version } else { None };
        return described;
    }
    let header = ["ll", "nh", "th", "ih"].get(base as usize).copied().unwrap_or("?");
    let (first_bit, bits) = (u64::from(offset) * 8, u64::from(len) * 8);
    Described::new(format!("@{header},{first_bit},{bits}"), Kind::Hex, Some(len as usize))
}

fn transport_field(offset: u32, len: u32, protocol: Option<u8>) -> Option<Described> {
    let of = |name: &str, kind| {
        let mut described = Described::new(name, kind, Some(len as usize));
        described.protocol = protocol;
        Some(described)
    };
    let known = protocol.and_then(Protocol::from_number);
    match (known, offset, len) {
        (Some(Protocol::Icmp | Protocol::Icmpv6), 0, 1) => {
            let protocol = known?;
            of(&format!("{protocol} type"), Kind::IcmpType(protocol))
        }
        (Some(Protocol::Icmp | Protocol::Icmpv6), 1, 1) => of(&format!("{} code", known?), Kind::Network),
        (Some(Protocol::Icmp | Protocol::Icmpv6), ..) => None,
        (Some(Protocol::Tcp), 13, 1) => of("tcp flags", Kind::TcpFlags),
        (Some(Protocol::Tcp), 14, 2) => of("tcp window", Kind::Network),
        (Some(Protocol::Udp), 4, 2) => of("udp length", Kind::Network),
        (_, 0 | 2, 2) => {
            let word = match protocol {
                Some(6) => "tcp",
                Some(17) => "udp",
                Some(33) => "dccp",
                Some(132) => "sctp",
                Some(136) => "udplite",
                _ => "th",
            };
            of(&format!("{word} {}", if offset == 0 { "sport" } else { "dport" }), Kind::Network)
        }
        _ => None,
    }
}

/// A value in words.
pub(super) fn value(kind: Kind, bytes: &[u8]) -> String {
    let number = || bytes.iter().take(8).fold(0_u64, |sum, b| sum << 8 | u64::from(*b));
    match (kind, bytes) {
        (Kind::Network, _) if bytes.len() <= 8 => number().to_string(),
        (Kind::Host, _) if bytes.len() <= 8 => host_number(bytes).to_string(),
        (Kind::Mark, _) if bytes.len() <= 4 => format!("{:#010x}", host_number(bytes)),
        (Kind::InterfaceName, _) => name_in_quotes(bytes),
        (Kind::Ipv4, &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        (Kind::Ipv6, _) if bytes.len() == 16 => <[u8; 16]>::try_from(bytes)
            .map_or_else(|_| hex(bytes), |octets| Ipv6Addr::from(octets).to_string()),
        (Kind::Ether, _) => bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"),
        (Kind::EtherType, _) => match number() {
            0x0800 => "ip".to_owned(),
            0x0806 => "arp".to_owned(),
            0x86dd => "ip6".to_owned(),
            0x8100 => "8021q".to_owned(),
            other => format!("{other:#06x}"),
        },
        (Kind::Protocol, &[number]) => protocol(number),
        (Kind::Nfproto, &[number]) => match number {
            2 => "ipv4".to_owned(),
            10 => "ipv6".to_owned(),
            other => other.to_string(),
        },
        (Kind::CtState, _) => bits(host_number(bytes), CT_STATES),
        (Kind::CtStatus, _) => bits(host_number(bytes), CT_STATUSES),
        (Kind::TcpFlags, &[flags]) => bits(flags.into(), TCP_FLAGS),
        (Kind::CtDirection, &[direction]) => if direction == 0 { "original" } else { "reply" }.to_owned(),
        (Kind::AddressType, _) => address_type(host_number(bytes)),
        (Kind::IcmpType(protocol), &[number]) => {
            icmp_type_word(protocol, number).map_or_else(|| number.to_string(), str::to_owned)
        }
        (Kind::PacketType, &[number]) => {
            let words = ["host", "broadcast", "multicast", "other"];
            words.get(usize::from(number)).map_or_else(|| number.to_string(), |word| (*word).to_owned())
        }
        _ => hex(bytes),
    }
}

const CT_STATES: &[(u64, &str)] =
    &[(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")];
const CT_STATUSES: &[(u64, &str)] = &[
    (1, "expected"),
    (2, "seen-reply"),
    (4, "assured"),
    (8, "confirmed"),
    (16, "snat"),
    (32, "dnat"),
    (512, "dying"),
];
const TCP_FLAGS: &[(u64, &str)] =
    &[(1, "fin"), (2, "syn"), (4, "rst"), (8, "psh"), (16, "ack"), (32, "urg"), (64, "ecn"), (128, "cwr")];

/// The states of a mask of `ct state`; none when it has other bits.
pub(super) fn ct_states(mask: u64) -> Option<CtStates> {
    let has = |bit: u64| mask & bit != 0;
    let states =
        CtStates { invalid: has(1), established: has(2), related: has(4), new: has(8), untracked: has(64) };
    (mask != 0 && u64::from(ct_state_bits(states)) == mask).then_some(states)
}

/// `RTN_*` of linux/rtnetlink.h.
fn address_type(number: u64) -> String {
    let words = [
        "unspec",
        "unicast",
        "local",
        "broadcast",
        "anycast",
        "multicast",
        "blackhole",
        "unreachable",
        "prohibit",
    ];
    usize::try_from(number)
        .ok()
        .and_then(|n| words.get(n))
        .map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

/// A transport protocol as nft prints it.
pub(super) fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        2 => "igmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        33 => "dccp".to_owned(),
        47 => "gre".to_owned(),
        50 => "esp".to_owned(),
        51 => "ah".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        89 => "ospf".to_owned(),
        132 => "sctp".to_owned(),
        136 => "udplite".to_owned(),
        other => other.to_string(),
    }
}

/// The names of the bits that are set, with commas; a number when one has no name.
fn bits(mask: u64, words: &[(u64, &str)]) -> String {
    let known = words.iter().fold(0, |sum, (bit, _)| sum | bit);
    if mask == 0 || mask & !known != 0 {
        return format!("{mask:#x}");
    }
    let set: Vec<&str> = words.iter().filter(|(bit, _)| mask & bit != 0).map(|(_, word)| *word).collect();
    set.join(",")
}

/// An interface name; without its closing zero it stands for all names that begin so.
fn name_in_quotes(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0);
    let text = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
    let star = if end.is_none() && bytes.len() < 16 { "*" } else { "" };
    format!("\"{text}{star}\"")
}

/// An integer in the order of this machine.
pub(super) fn host_number(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    let len = bytes.len().min(8);
    if cfg!(target_endian = "little") {
        padded[..len].copy_from_slice(&bytes[..len]);
    } else {
        padded[8 - len..].copy_from_slice(&bytes[..len]);
    }
    u64::from_ne_bytes(padded)
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let digits = digits.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

/// A verdict as nft prints it.
pub(super) fn verdict(verdict: &Verdict) -> String {
    let chain = verdict.chain.as_deref().unwrap_or("?");
    match verdict.code {
        VERDICT_DROP => "drop".to_owned(),
        VERDICT_ACCEPT => "accept".to_owned(),
        VERDICT_CONTINUE => "continue".to_owned(),
        VERDICT_JUMP => format!("jump {chain}"),
        VERDICT_GOTO => format!("goto {chain}"),
        VERDICT_RETURN => "return".to_owned(),
        other => format!("verdict {other}"),
    }
}

/// The elements of a set as nft prints them, `{ 80, 443, 1000-2000 }`, no more than `max`; the parts are those of a
/// concatenation.
pub(super) fn elements(set: &Set, parts: &[Described], max: usize) -> String {
    let mut words = Vec::new();
    let mut list = set.elements.iter().skip_while(|e| e.is_end).peekable();
    while let Some(element) = list.next() {
        let mut word = concatenation(&element.key, parts);
        if set.is_interval
            && let Some(end) = list.next_if(|e| e.is_end)
        {
            word = interval(&element.key, &before(&end.key), parts);
        } else if let Some(end) = element.key_end.as_ref().filter(|end| **end != element.key) {
            word = concatenated_intervals(&element.key, end, parts);
        }
        if words.len() == max {
            words.push("...".to_owned());
            break;
        }
        words.push(word + &mapped(element, set));
    }
    format!("{{ {} }}", words.join(", "))
}

fn mapped(element: &Element, set: &Set) -> String {
    match (&element.verdict, &element.value) {
        (Some(to), _) => format!(" : {}", verdict(to)),
        (None, Some(to)) if set.is_map && to.len() == 4 => format!(" : {}", value(Kind::Ipv4, to)),
        (None, Some(to)) if set.is_map && to.len() == 16 => format!(" : {}", value(Kind::Ipv6, to)),
        (None, Some(to)) if set.is_map => format!(" : {}", value(Kind::Network, to)),
        _ => String::new(),
    }
}

/// The parts of a key, each padded to four bytes in a concatenation.
fn concatenation(key: &[u8], parts: &[Described]) -> String {
    if key.is_empty() {
        return "*".to_owned();
    }
    let words: Vec<String> = split(key, parts).map(|(part, bytes)| value(part.kind, bytes)).collect();
    words.join(" . ")
}

/// An interval in each part, as `10.0.0.0/24 . 80-90`.
fn concatenated_intervals(first: &[u8], last: &[u8], parts: &[Described]) -> String {
    let pairs = split(first, parts).zip(split(last, parts));
    let words: Vec<String> =
        pairs.map(|((part, first), (_, last))| interval(first, last, std::slice::from_ref(part))).collect();
    words.join(" . ")
}

/// The bytes of each part of a key.
fn split<'a>(key: &'a [u8], parts: &'a [Described]) -> impl Iterator<Item = (&'a Described, &'a [u8])> {
    let mut rest = key;
    parts.iter().map(move |part| {
        let len = if parts.len() == 1 { rest.len() } else { part.len.unwrap_or(4).min(rest.len()) };
        let bytes = &rest[..len];
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        (part, bytes)
    })
}

fn interval(first: &[u8], last: &[u8], parts: &[Described]) -> String {
    let start = concatenation(first, parts);
    if first == last {
        return start;
    }
    let is_address = matches!(parts, [Described { kind: Kind::Ipv4 | Kind::Ipv6, .. }]);
    match prefix_len(first, last).filter(|_| is_address) {
        Some(bits) => format!("{start}/{bits}"),
        None => format!("{start}-{}", concatenation(last, parts)),
    }
}

/// The length of the prefix that these two are the first and the last address of.
fn prefix_len(first: &[u8], last: &[u8]) -> Option<u32> {
    let wide = |bytes: &[u8]| bytes.iter().take(16).fold(0_u128, |sum, b| sum << 8 | u128::from(*b));
    let hosts = wide(first) ^ wide(last);
    let is_block = hosts & hosts.wrapping_add(1) == 0 && wide(first) & hosts == 0;
    let bits = u32::try_from(first.len().min(16) * 8).expect("at most 128");
    bits.checked_sub(hosts.count_ones()).filter(|_| is_block)
}

/// The value before this one: an interval is stored with the first value after it.
fn before(end: &[u8]) -> Vec<u8> {
    let mut last = end.to_vec();
    for byte in last.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        *byte = less;
        if !borrows {
            break;
        }
    }
    last
}

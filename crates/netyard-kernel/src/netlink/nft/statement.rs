//! nft(8)'s words for expressions that this crate reads but never writes.

use super::expression::number::*;
use super::words::{Described, Kind};
use crate::netlink::Attributes;

/// `NF_NAT_RANGE_*` beyond those that addresses and ports imply (linux/netfilter/nf_nat.h).
pub(super) fn nat_flags(flags: u32) -> String {
    let words = [(4, " random"), (8, " persistent"), (16, " fully-random"), (64, " prefix")];
    words.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| *word).collect()
}

/// `limit`, `quota`, `ct count`, `last`.
pub(super) fn condition(name: &str, data: Attributes<'_>) -> String {
    let over = |flags: Option<u32>| if flags.unwrap_or(0) & 1 != 0 { "over " } else { "" };
    match name {
        "limit" => {
            let (rate, unit) = (be64(data, 1).unwrap_or(0), be64(data, 2).unwrap_or(0));
            let unit = match unit {
                1 => "second".to_owned(),
                60 => "minute".to_owned(),
                3600 => "hour".to_owned(),
                86_400 => "day".to_owned(),
                604_800 => "week".to_owned(),
                seconds => format!("{seconds} s"),
            };
            let what = if data.be32(4) == Some(1) { " bytes" } else { "" };
            let burst = match (data.be32(3).unwrap_or(0), what) {
                (0, _) => String::new(),
                (burst, "") => format!(" burst {burst} packets"),
                (burst, _) => format!(" burst {burst} bytes"),
            };
            format!("limit rate {}{rate}{what}/{unit}{burst}", over(data.be32(5)))
        }
        "quota" => format!("quota {}{} bytes", over(data.be32(2)), be64(data, 1).unwrap_or(0)),
        "connlimit" => format!("ct count {}{}", over(data.be32(2)), data.be32(1).unwrap_or(0)),
        other => other.to_owned(),
    }
}

/// A value that comes from something else than a packet or its connection, and the register that it goes to.
pub(super) fn loaded(name: &str, data: Attributes<'_>) -> Option<(u32, Described)> {
    match name {
        "numgen" => {
            let way = if data.be32(3) == Some(1) { "random" } else { "inc" };
            let words = format!("numgen {way} mod {}", data.be32(2)?);
            Some((data.be32(1)?, Described::new(words, Kind::Host, Some(4))))
        }
        "fib" if data.be32(1).is_some() => Some((data.be32(1)?, Described::new("fib", Kind::Hex, None))),
        "exthdr" => {
            let words = if data.be32(6) == Some(TCP_OPTION) { "tcp option" } else { "exthdr" };
            let kind = if data.be32(5).unwrap_or(0) & 1 != 0 { "exists " } else { "" };
            let words = format!("{words} {} {kind}", data.u8(2).unwrap_or(0)).trim_end().to_owned();
            Some((data.be32(1)?, Described::new(words, Kind::Network, None)))
        }
        "hash" => Some((data.be32(2)?, Described::new("hash", Kind::Host, Some(4)))),
        "socket" => Some((data.be32(2)?, Described::new("socket", Kind::Host, None))),
        "osf" | "xfrm" | "tunnel" => Some((data.be32(1)?, Described::new(name, Kind::Hex, None))),
        "bitwise" | "byteorder" => {
            // A shift, or a copy into another register.
            Some((data.be32(2)?, Described::new(name, Kind::Hex, None)))
        }
        _ => None,
    }
}

/// `add @set { key }`, `update @set { key }`.
pub(super) fn dynset(data: Attributes<'_>, key: &str) -> String {
    let word = ["add", "update", "delete"].get(data.be32(3).unwrap_or(0) as usize).copied().unwrap_or("add");
    format!("{word} @{} {{ {key} }}", data.str(1).unwrap_or("?"))
}

/// A statement without operands in registers.
pub(super) fn action(name: &str, data: Attributes<'_>) -> String {
    match name {
        "log" => {
            let prefix = data.str(2).map_or_else(String::new, |p| format!(" prefix \"{p}\""));
            let group = data.u16(1).map_or_else(String::new, |g| format!(" group {}", u16::from_be(g)));
            let level = data.be32(5).filter(|level| *level != WARN).map_or_else(String::new, |level| {
                let words = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
                format!(" level {}", words.get(level as usize).copied().unwrap_or("audit"))
            });
            format!("log{prefix}{group}{level}")
        }
        "queue" => format!("queue to {}", data.u16(1).map_or(0, u16::from_be)),
        "objref" => match (data.be32(1), data.str(2)) {
            (Some(kind), Some(name)) => {
                let words = ["?", "counter", "quota", "ct helper", "limit"];
                let word = words.get(kind as usize).copied().unwrap_or("object");
                format!("{word} name \"{name}\"")
            }
            _ => "object map".to_owned(),
        },
        "flow_offload" => format!("flow add @{}", data.str(1).unwrap_or("?")),
        other => other.to_owned(),
    }
}

/// The level that nft leaves out (syslog `LOG_WARNING`).
const WARN: u32 = 4;

/// `reject with ...` where it is not the plain one (`enum nft_reject_types`, RFC 792, RFC 4443).
pub(super) fn reject(kind: u32, code: u8, ip_version: Option<u8>) -> String {
    const TCP_RESET: u32 = 1;
    let icmpx = ["no-route", "port-unreachable", "host-unreachable", "admin-prohibited"];
    let icmp = [
        (0, "net-unreachable"),
        (1, "host-unreachable"),
        (2, "prot-unreachable"),
        (3, "port-unreachable"),
        (9, "net-prohibited"),
        (10, "host-prohibited"),
        (13, "admin-prohibited"),
    ];
    let icmpv6 = [
        (0, "no-route"),
        (1, "admin-prohibited"),
        (3, "addr-unreachable"),
        (4, "port-unreachable"),
        (5, "policy-fail"),
        (6, "reject-route"),
    ];
    let (word, name) = match (kind, ip_version) {
        (TCP_RESET, _) => return "reject with tcp reset".to_owned(),
        (REJECT_ICMPX, _) => ("icmpx", icmpx.get(usize::from(code)).copied()),
        (_, Some(6)) => ("icmpv6", icmpv6.iter().find(|(c, _)| *c == code).map(|(_, name)| *name)),
        _ => ("icmp", icmp.iter().find(|(c, _)| *c == code).map(|(_, name)| *name)),
    };
    format!("reject with {word} {}", name.map_or_else(|| code.to_string(), str::to_owned))
}

fn be64(data: Attributes<'_>, kind: u16) -> Option<u64> {
    Some(u64::from_be_bytes(data.get(kind)?.get(..8)?.try_into().ok()?))
}

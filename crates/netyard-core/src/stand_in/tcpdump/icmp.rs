//! ICMP (RFC 792) and ICMPv6 (RFC 4443, RFC 4861) messages in words.

use crate::packet::{Ip, TCP, UDP};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The words of an ICMP message, from `ICMP` on.
pub(super) fn v4(ip: &Ip<'_>) -> Option<String> {
    let bytes = ip.payload;
    let (kind, code) = (*bytes.first()?, *bytes.get(1)?);
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let inner = Ip::v4(bytes.get(8..).unwrap_or_default());
    let words = match kind {
        0 | 8 => {
            let what = if kind == 8 { "request" } else { "reply" };
            format!("echo {what}, id {}, seq {}", word(4)?, word(6)?)
        }
        3 => unreachable(code, word(6)?, inner.as_ref()),
        5 => {
            let gateway: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            let to = inner.map_or_else(String::new, |inner| inner.to.to_string());
            format!("redirect {to} to host {}", Ipv4Addr::from(gateway))
        }
        11 if code == 0 => "time exceeded in-transit".to_owned(),
        11 => "ip reassembly time exceeded".to_owned(),
        kind => format!("type-#{kind}"),
    };
    Some(format!("ICMP {words}, length {}", ip.payload_len))
}

fn unreachable(code: u8, mtu: u16, inner: Option<&Ip<'_>>) -> String {
    let Some(inner) = inner else { return "unreachable".to_owned() };
    let to = inner.to;
    match code {
        0 => format!("net {to} unreachable"),
        1 => format!("host {to} unreachable"),
        2 => format!("{to} protocol {} unreachable", inner.protocol),
        3 => match (inner.protocol, inner.ports()) {
            (TCP, Some((_, port))) => format!("{to} tcp port {port} unreachable"),
            (UDP, Some((_, port))) => format!("{to} udp port {port} unreachable"),
            (protocol, _) => format!("{to} protocol {protocol} unreachable"),
        },
        4 if mtu != 0 => format!("{to} unreachable - need to frag (mtu {mtu})"),
        4 => format!("{to} unreachable - need to frag"),
        9 => format!("net {to} unreachable - admin prohibited"),
        10 => format!("host {to} unreachable - admin prohibited"),
        13 => format!("host {to} unreachable - admin prohibited filter"),
        code => format!("{to} unreachable - #{code}"),
    }
}

/// The words of an ICMPv6 message, from `ICMP6` on.
pub(super) fn v6(ip: &Ip<'_>) -> Option<String> {
    let bytes = ip.payload;
    let (kind, code) = (*bytes.first()?, *bytes.get(1)?);
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?));
    let inner = Ip::v6(bytes.get(8..).unwrap_or_default());
    let to = inner.map_or_else(String::new, |inner| inner.to.to_string());
    let words = match kind {
        1 => {
            let why = match code {
                0 => "unreachable route".to_owned(),
                1 => "unreachable prohibited".to_owned(),
                3 => "unreachable address".to_owned(),
                4 => match inner.and_then(|inner| inner.ports().map(|ports| (inner.protocol, ports.1))) {
                    Some((TCP, port)) => {
                        return Some(format!(
                            "ICMP6, destination unreachable, unreachable port, {to} tcp port {port}, length {}",
                            ip.payload_len
                        ));
                    }
                    Some((_, port)) => {
                        return Some(format!(
                            "ICMP6, destination unreachable, unreachable port, {to} udp port {port}, length {}",
                            ip.payload_len
                        ));
                    }
                    None => "unreachable port".to_owned(),
                },
                code => format!("code-#{code}"),
            };
            format!("destination unreachable, {why} {to}")
        }
        2 => format!("packet too big, mtu {}", u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?)),
        3 => format!("time exceeded in-transit for {to}"),
        128 | 129 => {
            let what = if kind == 128 { "request" } else { "reply" };
            format!("echo {what}, id {}, seq {}", word(4)?, word(6)?)
        }
        133 => "router solicitation".to_owned(),
        134 => "router advertisement".to_owned(),
        135 => format!("neighbor solicitation, who has {}", address(8)?),
        136 => format!("neighbor advertisement, tgt is {}", address(8)?),
        143 => format!("multicast listener report v2, {} group record(s)", word(6)?),
        kind => format!("type-#{kind}"),
    };
    Some(format!("ICMP6, {words}, length {}", ip.payload_len))
}

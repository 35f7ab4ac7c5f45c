//! Rules that choose a routing table (ip-rule(8), linux/fib_rules.h).

use super::address::address_of;
use super::message::{Attributes, Messages};
use super::socket::{Refusal, Socket};
use ipnet::IpNet;
use netyard_core::name::IfName;
use netyard_core::state::{PolicyAction, PolicyRule};

const RTM_NEWRULE: u16 = 32;
const RTM_GETRULE: u16 = 34;
const HEADER_LEN: usize = 12;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
/// Attributes that say nothing of what matches: suppressed prefix length -1, protocol, padding.
const SILENT: [u16; 3] = [14, 18, 21];
const FIB_RULE_INVERT: u32 = 2;

/// All rules of the namespace of the socket, IPv4 and IPv6.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `ip rule show` and `ip -6 rule show`.
pub fn dump(socket: &mut Socket) -> Result<Vec<PolicyRule>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETRULE, 0, &[0; HEADER_LEN]);
    let mut rules = Vec::new();
    socket.dump(&mut messages, |kind, payload| rules.extend(decode(kind, payload)))?;
    Ok(rules)
}

/// `struct fib_rule_hdr`: family, destination length, source length, tos, table, two reserved, action (1 byte each),
/// flags (4).
fn decode(kind: u16, payload: &[u8]) -> Option<PolicyRule> {
    if kind != RTM_NEWRULE {
        return None;
    }
    let attributes = Attributes(payload.get(HEADER_LEN..)?);
    let is_ipv6 = match i32::from(payload[0]) {
        libc::AF_INET => false,
        libc::AF_INET6 => true,
        _ => return None,
    };
    let flags = u32::from_ne_bytes(payload[8..12].try_into().ok()?);
    let prefix = |kind, len| IpNet::new(address_of(attributes.get(kind)?)?, len).ok();
    let name = |kind| attributes.str(kind).and_then(|name| IfName::new(name).ok());
    let table = attributes.u32(FRA_TABLE).unwrap_or_else(|| u32::from(payload[4]));
    let known = [FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME];
    let is_unset = |kind: u16, value: &[u8]| kind == 14 && value.iter().all(|byte| *byte == 0xff);
    let others = attributes
        .filter(|(kind, value)| {
            !known.contains(kind) && (!SILENT.contains(kind) || *kind == 14 && !is_unset(*kind, value))
        })
        .map(|(kind, _)| kind);
    let mut others: Vec<u16> = others.collect();
    if payload[3] != 0 {
        // The type of service has no attribute.
        others.push(0);
    }
    Some(PolicyRule {
        is_ipv6,
        priority: attributes.u32(FRA_PRIORITY).unwrap_or_default(),
        is_inverted: flags & FIB_RULE_INVERT != 0,
        from: prefix(FRA_SRC, payload[2]),
        to: prefix(FRA_DST, payload[1]),
        incoming: name(FRA_IIFNAME),
        out: name(FRA_OIFNAME),
        mark: attributes.u32(FRA_FWMARK).map(|mark| (mark, attributes.u32(FRA_FWMASK).unwrap_or(u32::MAX))),
        action: match payload[7] {
            1 => PolicyAction::Table(table),
            6 => PolicyAction::Blackhole,
            7 => PolicyAction::Unreachable,
            8 => PolicyAction::Prohibit,
            other => PolicyAction::Other(other),
        },
        others,
    })
}

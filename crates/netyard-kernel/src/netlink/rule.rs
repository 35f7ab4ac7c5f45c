//! Rules that choose a routing table (ip-rule(8), linux/fib_rules.h).

use super::address::{address_of, octets_of};
use super::message::{Attributes, Messages};
use super::socket::{Refusal, Socket};
use ipnet::IpNet;
use netyard_core::name::IfName;
use netyard_core::state::{PolicyAction, PolicyRule};

const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;
const NLM_F_CREATE_EXCL: u16 = 0x400 | 0x200;
const HEADER_LEN: usize = 12;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_PROTOCOL: u16 = 21;
/// Attributes that say nothing of what matches: suppressed prefix length -1, padding, protocol.
const SILENT: [u16; 3] = [14, 18, FRA_PROTOCOL];
const FIB_RULE_INVERT: u32 = 2;
/// Who makes rules by hand: nobody named, `boot`, `static` (linux/rtnetlink.h `RTPROT_*`). Others are the kernel and daemons.
const PROTOCOLS_BY_HAND: [u8; 3] = [0, 3, 4];

/// Adds a rule; of its conditions, those that [`PolicyRule::others`] counts are left out.
///
/// # Errors
/// `EEXIST` when there is the same already, `EINVAL` for one that the kernel does not take.
///
/// Same as `ip rule add`.
pub fn add(messages: &mut Messages, rule: &PolicyRule) {
    append(messages, RTM_NEWRULE, NLM_F_CREATE_EXCL, rule);
}

/// Removes a rule.
///
/// # Errors
/// `ENOENT` when there is none like it.
///
/// Same as `ip rule delete`.
pub fn delete(messages: &mut Messages, rule: &PolicyRule) {
    append(messages, RTM_DELRULE, 0, rule);
}

/// A rule as [`decode`] reads it. Tables above 255 have an attribute only.
fn append(messages: &mut Messages, kind: u16, flags: u16, rule: &PolicyRule) {
    let prefix_len = |prefix: Option<IpNet>| prefix.map_or(0, |prefix| prefix.prefix_len());
    let (action, table) = match rule.action {
        PolicyAction::Table(table) => (1, table),
        PolicyAction::Blackhole => (6, 0),
        PolicyAction::Unreachable => (7, 0),
        PolicyAction::Prohibit => (8, 0),
        PolicyAction::Other(number) => (number, 0),
    };
    let mut header = [0; HEADER_LEN];
    let family = if rule.is_ipv6 { libc::AF_INET6 } else { libc::AF_INET };
    header[0] = u8::try_from(family).expect("address families are below 256");
    header[1] = prefix_len(rule.to);
    header[2] = prefix_len(rule.from);
    header[4] = u8::try_from(table).unwrap_or_default();
    header[7] = action;
    header[8..].copy_from_slice(&(if rule.is_inverted { FIB_RULE_INVERT } else { 0 }).to_ne_bytes());
    let mut message = messages.begin(kind, flags, &header);
    message.put_u32(FRA_PRIORITY, rule.priority);
    for (attribute, prefix) in [(FRA_DST, rule.to), (FRA_SRC, rule.from)] {
        if let Some(prefix) = prefix {
            message.put(attribute, octets_of(prefix.addr(), &mut [0; 16]));
        }
    }
    for (attribute, name) in [(FRA_IIFNAME, &rule.incoming), (FRA_OIFNAME, &rule.out)] {
        if let Some(name) = name {
            message.put_str(attribute, name.as_str());
        }
    }
    if let Some((mark, mask)) = rule.mark {
        message.put_u32(FRA_FWMARK, mark);
        message.put_u32(FRA_FWMASK, mask);
    }
    if table != 0 {
        message.put_u32(FRA_TABLE, table);
    }
}

/// All rules of the namespace of the socket, IPv4 and IPv6.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `ip rule show` and `ip -6 rule show`.
pub fn dump(socket: &mut Socket) -> Result<Vec<PolicyRule>, Refusal> {
    Ok(dump_by(socket)?.into_iter().map(|(_, rule)| rule).collect())
}

/// The rules that somebody has added by hand, without those that every namespace is born with.
///
/// Left out are those of the kernel and of routing daemons, and those with conditions that [`PolicyRule`] cannot say.
///
/// # Errors
/// The kernel's [`Refusal`].
pub fn dump_by_hand(socket: &mut Socket) -> Result<Vec<PolicyRule>, Refusal> {
    let mut rules = dump_by(socket)?;
    rules.retain(|(by, rule)| PROTOCOLS_BY_HAND.contains(by) && !rule.is_born() && rule.is_sayable());
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}

/// All rules, each with who made it.
fn dump_by(socket: &mut Socket) -> Result<Vec<(u8, PolicyRule)>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETRULE, 0, &[0; HEADER_LEN]);
    let mut rules = Vec::new();
    socket.dump(&mut messages, |kind, payload| rules.extend(decode(kind, payload)))?;
    Ok(rules)
}

/// `struct fib_rule_hdr`: family, destination length, source length, tos, table, two reserved, action (1 byte each),
/// flags (4).
fn decode(kind: u16, payload: &[u8]) -> Option<(u8, PolicyRule)> {
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
    let by = attributes.get(FRA_PROTOCOL).and_then(|value| value.first().copied()).unwrap_or_default();
    let rule = PolicyRule {
        is_ipv6,
        priority: attributes.u32(FRA_PRIORITY).unwrap_or_default(),
        is_inverted: flags & FIB_RULE_INVERT != 0,
        from: prefix(FRA_SRC, payload[2]),
        to: prefix(FRA_DST, payload[1]),
        incoming: name(FRA_IIFNAME),
        out: name(FRA_OIFNAME),
        // A mark of zero is told by its mask alone.
        mark: match (attributes.u32(FRA_FWMARK), attributes.u32(FRA_FWMASK)) {
            (None, None) => None,
            (mark, mask) => Some((mark.unwrap_or_default(), mask.unwrap_or(u32::MAX))),
        },
        action: match payload[7] {
            1 => PolicyAction::Table(table),
            6 => PolicyAction::Blackhole,
            7 => PolicyAction::Unreachable,
            8 => PolicyAction::Prohibit,
            other => PolicyAction::Other(other),
        },
        others,
    };
    Some((by, rule))
}

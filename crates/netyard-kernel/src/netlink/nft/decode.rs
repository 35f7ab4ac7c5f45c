//! Expressions as the rule that they were written from.
//!
//! The expressions are walked once. What each register holds is remembered; a comparison, a look-up or a statement
//! consumes it and becomes a [`Piece`]. At the end, matches on a version of IP or a protocol that nft writes by itself
//! are left out where a later piece implies them.

use super::encode::{TCPOPT_MAXSEG, reject};
use super::expression::{Expression, Load, number::*};
use super::list::Set;
use super::piece::{Piece, finish};
use super::typed::{Mask, address, conntrack, interface, ip_addr, ip_version, mask_bits, port_match};
use super::words::{self, Context, Described, Kind};
use super::{compat, statement};
use crate::netlink::Attributes;
use netyard_core::nft::{Action, Family, Match, Protocol, Rule};
use netyard_core::why::NamedSet;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How a set is found by its name.
pub(super) type FindSet<'a> = dyn Fn(&str) -> Option<&'a Set> + 'a;

/// The rule of these expressions, and the sets with a name that it looks into. Anything unknown becomes words; nothing
/// fails.
pub(super) fn rule<'a>(
    family: Family,
    expressions: &[Expression],
    set: &'a FindSet<'a>,
) -> (Rule, Vec<NamedSet>) {
    let ip_version = match family {
        Family::Ip => Some(4),
        Family::Ip6 => Some(6),
        _ => None,
    };
    let context = Context { family, ip_version, protocol: None };
    let mut decoder =
        Decoder { context, set, registers: BTreeMap::new(), pieces: Vec::new(), named: Vec::new() };
    let mut rest = expressions;
    while let Some((expression, tail)) = rest.split_first() {
        rest = tail;
        if let (Some((register, first)), Some((same, last))) =
            (comparison(expression, AT_LEAST), tail.first().and_then(|e| comparison(e, AT_MOST)))
            && register == same
        {
            decoder.range(register, EQUAL, first, last);
            rest = &tail[1..];
        } else {
            decoder.expression(expression);
        }
    }
    (finish(decoder.pieces), decoder.named)
}

fn comparison(expression: &Expression, wanted: u32) -> Option<(u32, &[u8])> {
    match expression {
        Expression::Compare { register, op, value } if *op == wanted => Some((*register, value)),
        _ => None,
    }
}

/// What a register holds.
#[derive(Clone)]
struct Value {
    what: Source,
    mask: Option<Mask>,
}

#[derive(Clone)]
enum Source {
    Load(Load),
    Immediate(Vec<u8>),
    Words(Described),
}

struct Decoder<'a> {
    context: Context,
    set: &'a FindSet<'a>,
    registers: BTreeMap<u32, Value>,
    pieces: Vec<Piece>,
    named: Vec<NamedSet>,
}

/// Elements of a set that are spelled out in a rule, and of one with a name.
const ELEMENTS_MAX: usize = 64;
const NAMED_ELEMENTS_MAX: usize = 4096;

/// The first data register as [`Expression::read`] numbers it.
const REG_FIRST: u32 = 8;

impl Decoder<'_> {
    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::Load { what, to } => self.put(*to, Source::Load(what.clone())),
            Expression::Immediate { to, value } => self.put(*to, Source::Immediate(value.clone())),
            Expression::Mask { register, mask, xor } => {
                if let Some(value) = self.registers.get_mut(register) {
                    value.mask = Some((mask.clone(), xor.clone()));
                }
            }
            Expression::ToNetworkOrder { .. } => {}
            Expression::Compare { register, op, value } => self.compare(*register, *op, value),
            Expression::Range { register, op, first, last } => self.range(*register, *op, first, last),
            Expression::Lookup { set, register, to, is_inverted } => {
                self.lookup(set, *register, *to, *is_inverted);
            }
            Expression::Counter => self.pieces.push(Piece::Counter),
            Expression::Verdict(verdict) => {
                let action = match (verdict.code, &verdict.chain) {
                    (VERDICT_ACCEPT, _) => Action::Accept,
                    (VERDICT_DROP, _) => Action::Drop,
                    (VERDICT_CONTINUE, _) => Action::Continue,
                    (VERDICT_RETURN, _) => Action::Return,
                    (VERDICT_JUMP, Some(chain)) => Action::Jump(chain.clone()),
                    _ => Action::Other(words::verdict(verdict)),
                };
                self.pieces.push(Piece::Action(action));
            }
            Expression::Masquerade { flags: 0, ports: None } => {
                self.pieces.push(Piece::Action(Action::Masquerade));
            }
            Expression::Masquerade { flags, ports } => {
                let words = format!("masquerade{}{}", self.to_ports(*ports), statement::nat_flags(*flags));
                self.pieces.push(Piece::Action(Action::Other(words)));
            }
            Expression::Nat { kind, family, addresses, ports, flags } => {
                let action = self.nat(*kind, *family, *addresses, *ports, *flags);
                self.pieces.push(Piece::Action(action));
            }
            Expression::Reject { kind, code } => self.reject(*kind, *code),
            Expression::WriteTcpOption { register, option, offset, len } => {
                self.write_tcp_option(*register, *option, (*offset, *len));
            }
            Expression::Other { name, attributes } => self.other(name, Attributes(attributes)),
        }
    }

    /// Fills a register. A value in the first one begins anew; one behind it continues a concatenation.
    fn put(&mut self, register: u32, what: Source) {
        if register == REG_FIRST {
            self.registers.clear();
        }
        self.registers.insert(register, Value { what, mask: None });
    }

    fn compare(&mut self, register: u32, op: u32, value: &[u8]) {
        let held = self.registers.get(&register).cloned();
        if let Some(Value { what: Source::Load(load), mask }) = &held
            && self.typed(load, mask.as_ref(), op, value)
        {
            return;
        }
        let Some(held) = held else {
            self.words(Described::new("?", Kind::Hex, None), op, value, None);
            return;
        };
        let described = self.describe(&held.what);
        self.words(described, op, value, held.mask.as_ref());
    }

    /// Appends the pieces of a comparison that has a form of its own; false when it has none.
    fn typed(&mut self, load: &Load, mask: Option<&Mask>, op: u32, value: &[u8]) -> bool {
        let simple = mask.is_none() && op == EQUAL;
        if simple && let Some((version, words)) = ip_version(load, value, self.context.family) {
            self.context.ip_version = Some(version);
            self.pieces.push(Piece::IpVersion(version, words));
            return true;
        }
        if let (true, Load::Meta(META_L4PROTO), &[number]) = (simple, load, value) {
            self.context.protocol = Some(number);
            self.pieces.push(Piece::Protocol(number));
            return true;
        }
        if simple && let Some(fields) = self.joined_fields(load, value.len()) {
            let mut rest = value;
            for (field, len) in fields {
                let (part, tail) = rest.split_at(len);
                rest = tail;
                if !self.typed(&field, None, EQUAL, part) {
                    self.words(words::load(&field, self.context), EQUAL, part, None);
                }
            }
            return true;
        }
        let found = match load {
            Load::Meta(META_IIFNAME | META_OIFNAME) if mask.is_none() => interface(load, op, value),
            Load::Payload { base: NETWORK_HEADER, offset, len } if op == EQUAL => {
                address(self.context.ip_version, *offset, *len, mask, value)
            }
            Load::Payload { base: TRANSPORT_HEADER, offset, len } => {
                self.transport((*offset, *len), mask, op, value)
            }
            Load::Ct { key, direction: None } => conntrack(*key, mask, op, value),
            Load::Fib { result: FIB_ADDRESS_TYPE, flags: FIB_DESTINATION } if simple => {
                const LOCAL: u64 = 2;
                (words::host_number(value) == LOCAL).then_some(Match::DestinationLocal)
            }
            _ => None,
        };
        found.map(|found| self.pieces.push(Piece::Match(found))).is_some()
    }

    /// The fields in what nft has joined into one comparison: `icmp type 8 icmp code 0`, or two ports.
    fn joined_fields(&self, load: &Load, value_len: usize) -> Option<Vec<(Load, usize)>> {
        let &Load::Payload { base, offset, len } = load else { return None };
        let is_field = |load: &Load| !words::load(load, self.context).name.starts_with('@');
        if len as usize != value_len || is_field(load) {
            return None;
        }
        let (mut at, mut fields) = (0, Vec::new());
        while at < len {
            let lengths = [16, 6, 4, 2, 1].into_iter().filter(|l| at + l <= len);
            let field = |len| Load::Payload { base, offset: offset.saturating_add(at), len };
            let len = lengths.into_iter().find(|len| is_field(&field(*len)))?;
            fields.push((field(len), len as usize));
            at += len;
        }
        Some(fields)
    }

    fn transport(
        &self,
        (offset, len): (u32, u32),
        mask: Option<&Mask>,
        op: u32,
        value: &[u8],
    ) -> Option<Match> {
        const SYN: u8 = 2;
        const SYN_RST: u8 = 6;
        let protocol = Protocol::from_number(self.context.protocol?)?;
        match (protocol, (offset, len), mask, value) {
            (Protocol::Tcp, (13, 1), Some((mask, xor)), &[SYN]) => {
                (op == EQUAL && mask[..] == [SYN_RST] && xor[..] == [0]).then_some(Match::TcpSyn)
            }
            (Protocol::Icmp | Protocol::Icmpv6, (0, 1), None, &[number]) if op == EQUAL => {
                Some(Match::IcmpType(protocol, number))
            }
            (_, (_, 2), None, &[high, low]) if op == EQUAL => {
                self.known_port(offset, u16::from_be_bytes([high, low]))
            }
            _ => None,
        }
    }

    /// A match on one port, at this offset of a TCP or UDP header.
    fn known_port(&self, offset: u32, port: u16) -> Option<Match> {
        port_match(self.context.protocol, offset, port, port)
    }

    fn range(&mut self, register: u32, op: u32, first: &[u8], last: &[u8]) {
        let held = self.registers.get(&register).cloned();
        if let Some(Value {
            what: Source::Load(Load::Payload { base: TRANSPORT_HEADER, offset, len: 2 }),
            mask: None,
        }) = held
            && let (EQUAL, &[a, b], &[c, d]) = (op, first, last)
            && a <= c
            && let Some(found) = port_match(
                self.context.protocol,
                offset,
                u16::from_be_bytes([a, b]),
                u16::from_be_bytes([c, d]),
            )
        {
            self.pieces.push(Piece::Match(found));
            return;
        }
        let mut described = match &held {
            Some(held) => self.describe(&held.what),
            None => Described::new("?", Kind::Hex, None),
        };
        let not = if op == EQUAL { "" } else { "!= " };
        let (first, last) = (words::value(described.kind, first), words::value(described.kind, last));
        described.name = format!("{} {not}{first}-{last}", described.name);
        self.pieces.push(Piece::Words(described));
    }

    /// Appends a comparison in words.
    fn words(&mut self, mut described: Described, op: u32, value: &[u8], mask: Option<&Mask>) {
        let kind = described.kind;
        let name = &described.name;
        let sign = ["", "!= ", "< ", "<= ", "> ", ">= "].get(op as usize).copied().unwrap_or("? ");
        described.name = match mask {
            None => prefix_words(kind, described.len, value).map_or_else(
                || format!("{name} {sign}{}", words::value(kind, value)),
                |p| format!("{name} {sign}{p}"),
            ),
            Some((mask, xor)) if xor.iter().all(|b| *b == 0) => {
                masked_words(name, kind, op, sign, mask, value)
            }
            Some((mask, xor)) => format!(
                "({name} & {}) ^ {} {sign}{}",
                words::value(kind, mask),
                words::value(kind, xor),
                words::value(kind, value)
            ),
        };
        self.pieces.push(Piece::Words(described));
    }

    fn lookup(&mut self, set: &str, register: u32, to: Option<u32>, is_inverted: bool) {
        let parts: Vec<Described> =
            self.registers.range(register..).map(|(_, held)| self.describe(&held.what)).collect();
        let name = parts.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(" . ");
        let contents = match (self.set)(set) {
            Some(found) if !found.has_name => words::elements(found, &parts, ELEMENTS_MAX),
            found => {
                let elements = found.map(|found| words::elements(found, &parts, NAMED_ELEMENTS_MAX));
                self.named.extend(elements.map(|elements| NamedSet { name: set.to_owned(), elements }));
                format!("@{set}")
            }
        };
        let mut described = Described::new("", Kind::Hex, None);
        described.ip_version = parts.iter().find_map(|p| p.ip_version);
        described.protocol = parts.iter().find_map(|p| p.protocol);
        match to {
            None => {
                described.name = format!("{name} {}{contents}", if is_inverted { "!= " } else { "" });
                self.pieces.push(Piece::Words(described));
            }
            // NFT_REG_VERDICT: the element says what happens.
            Some(0) => self.pieces.push(Piece::Action(Action::Other(format!("{name} vmap {contents}")))),
            Some(to) => {
                described.name = format!("{name} map {contents}");
                self.put(to, Source::Words(described));
            }
        }
    }

    fn nat(&self, kind: u32, family: u32, addresses: Pair, ports: Pair, flags: u32) -> Action {
        let other_flags = flags & !(RANGE_ADDRESSES | RANGE_PORTS);
        let single =
            |pair: Pair| pair.filter(|(min, max)| min == max).and_then(|(min, _)| self.immediate(min));
        let port = match ports {
            None => Some(0),
            Some(_) => {
                single(ports).and_then(|b| Some(u16::from_be_bytes(b.try_into().ok()?))).filter(|p| *p != 0)
            }
        };
        if let (Some(addr), Some(port), 0) = (single(addresses).and_then(ip_addr), port, other_flags) {
            match kind {
                SNAT if ports.is_none() => return Action::Snat(addr),
                DNAT => return Action::Dnat(SocketAddr::new(addr, port)),
                _ => {}
            }
        }
        let word = if kind == SNAT { "snat" } else { "dnat" };
        let version = match (self.context.family, family) {
            (Family::Ip | Family::Ip6, _) => "",
            (_, 2) => " ip",
            _ => " ip6",
        };
        let value_kind = if family == 2 { Kind::Ipv4 } else { Kind::Ipv6 };
        let addresses =
            addresses.map_or_else(String::new, |pair| format!(" to {}", self.pair(value_kind, pair)));
        let ports = ports.map_or_else(String::new, |pair| format!(":{}", self.pair(Kind::Network, pair)));
        Action::Other(format!("{word}{version}{addresses}{ports}{}", statement::nat_flags(flags)))
    }

    fn immediate(&self, register: u32) -> Option<&[u8]> {
        match self.registers.get(&register) {
            Some(Value { what: Source::Immediate(bytes), mask: None }) => Some(bytes),
            _ => None,
        }
    }

    /// What two registers hold, as one value or as a range.
    fn pair(&self, kind: Kind, (min, max): (u32, u32)) -> String {
        let first = self.operand(min, kind);
        if max == min { first } else { format!("{first}-{}", self.operand(max, kind)) }
    }

    /// What a register holds, where a value of this kind is wanted.
    fn operand(&self, register: u32, kind: Kind) -> String {
        match self.registers.get(&register) {
            Some(Value { what: Source::Immediate(bytes), .. }) => words::value(kind, bytes),
            Some(Value { what, mask: None }) => self.describe(what).name,
            Some(Value { what, mask: Some((mask, xor)) }) => {
                let name = self.describe(what).name;
                format!("({name} & {}) ^ {}", words::value(kind, mask), words::value(kind, xor))
            }
            None => "?".to_owned(),
        }
    }

    fn to_ports(&self, ports: Pair) -> String {
        ports.map_or_else(String::new, |pair| format!(" to :{}", self.pair(Kind::Network, pair)))
    }

    fn reject(&mut self, kind: u32, code: u8) {
        let is_plain = [self.context.ip_version, None]
            .into_iter()
            .any(|version| reject(self.context.family, version) == Some(Expression::Reject { kind, code }));
        let action = if is_plain {
            Action::Reject
        } else {
            Action::Other(statement::reject(kind, code, self.context.ip_version))
        };
        self.pieces.push(Piece::Action(action));
    }

    fn write_tcp_option(&mut self, register: u32, option: u8, place: (u32, u32)) {
        let held = self.registers.get(&register).map(|value| &value.what);
        let action = match (option, place, held) {
            (TCPOPT_MAXSEG, (2, 2), Some(Source::Load(Load::Route(RT_TCPMSS)))) => Action::ClampMss,
            (TCPOPT_MAXSEG, (2, 2), _) => {
                Action::Other(format!("tcp option maxseg size set {}", self.operand(register, Kind::Network)))
            }
            _ => Action::Other(format!("tcp option {option} set {}", self.operand(register, Kind::Hex))),
        };
        self.pieces.push(Piece::Action(action));
    }

    fn other(&mut self, name: &str, data: Attributes<'_>) {
        match name {
            "match" => {
                let (name, info) = (data.str(1).unwrap_or("?"), data.get(3).unwrap_or_default());
                let matches = compat::matches(name, info, self.context.protocol);
                self.pieces.extend(matches.into_iter().map(Piece::Match));
            }
            "target" => {
                let (name, info) = (data.str(1).unwrap_or("?"), data.get(3).unwrap_or_default());
                let revision = data.be32(2).unwrap_or(0);
                self.pieces.push(Piece::Action(compat::target(self.context.family, name, revision, info)));
            }
            "limit" | "quota" | "connlimit" | "last" => {
                let words = statement::condition(name, data);
                self.pieces.push(Piece::Words(Described::new(words, Kind::Hex, None)));
            }
            "meta" | "ct" if data.be32(1).is_none() => {
                let load = if name == "ct" {
                    Load::Ct { key: data.be32(2).unwrap_or(0), direction: None }
                } else {
                    Load::Meta(data.be32(2).unwrap_or(0))
                };
                self.set_statement(&load, data.be32(if name == "ct" { 4 } else { 3 }));
            }
            "payload" => {
                let number = |kind| data.be32(kind).unwrap_or(0);
                let load = Load::Payload { base: number(2), offset: number(3), len: number(4) };
                self.set_statement(&load, data.be32(5));
            }
            "redir" => {
                let ports = data.be32(1).map(|min| (normal(min), normal(data.be32(2).unwrap_or(min))));
                let flags = statement::nat_flags(data.be32(3).unwrap_or(0));
                let words = format!("redirect{}{flags}", self.to_ports(ports));
                self.pieces.push(Piece::Action(Action::Other(words)));
            }
            "dynset" => {
                let key = data.be32(4).map_or_else(|| "?".to_owned(), |r| self.operand(normal(r), Kind::Hex));
                let words = statement::dynset(data, &key);
                self.pieces.push(Piece::Action(Action::Other(words)));
            }
            _ => match statement::loaded(name, data) {
                Some((register, described)) => self.put(normal(register), Source::Words(described)),
                None => self.pieces.push(Piece::Action(Action::Other(statement::action(name, data)))),
            },
        }
    }

    /// `meta mark set 1`, `ip daddr set 1.2.3.4`.
    fn set_statement(&mut self, load: &Load, register: Option<u32>) {
        let target = words::load(load, self.context);
        let operand = register.map_or_else(|| "?".to_owned(), |r| self.operand(normal(r), target.kind));
        self.pieces.push(Piece::Action(Action::Other(format!("{} set {operand}", target.name))));
    }

    fn describe(&self, what: &Source) -> Described {
        match what {
            Source::Load(load) => words::load(load, self.context),
            Source::Immediate(bytes) => Described::new(words::value(Kind::Hex, bytes), Kind::Hex, None),
            Source::Words(described) => described.clone(),
        }
    }
}

type Pair = Option<(u32, u32)>;

/// A register as [`Expression::read`] numbers it.
fn normal(register: u32) -> u32 {
    super::expression::four_byte_register(register)
}

/// A value shorter than the field that it is compared with, as a prefix.
fn prefix_words(kind: Kind, len: Option<usize>, value: &[u8]) -> Option<String> {
    if !matches!(kind, Kind::Ipv4 | Kind::Ipv6) || value.len() >= len? {
        return None;
    }
    let mut octets = value.to_vec();
    octets.resize(len?, 0);
    Some(format!("{}/{}", words::value(kind, &octets), value.len() * 8))
}

fn masked_words(name: &str, kind: Kind, op: u32, sign: &str, mask: &[u8], value: &[u8]) -> String {
    let is_zero = value.iter().all(|b| *b == 0);
    match kind {
        Kind::CtState | Kind::CtStatus | Kind::TcpFlags if is_zero && op == NOT_EQUAL => {
            format!("{name} {}", words::value(kind, mask))
        }
        Kind::CtState | Kind::CtStatus | Kind::TcpFlags if is_zero && op == EQUAL => {
            format!("{name} ! {}", words::value(kind, mask))
        }
        Kind::TcpFlags => {
            format!("{name} {sign}{} / {}", words::value(kind, value), words::value(kind, mask))
        }
        Kind::Ipv4 | Kind::Ipv6 => match mask_bits(mask, &[]) {
            Some(bits) => format!("{name} {sign}{}/{bits}", words::value(kind, value)),
            None => format!("{name} & {} {sign}{}", words::value(kind, mask), words::value(kind, value)),
        },
        _ => {
            let sign = if op == EQUAL { "== " } else { sign };
            format!("{name} & {} {sign}{}", words::value(kind, mask), words::value(kind, value))
        }
    }
}

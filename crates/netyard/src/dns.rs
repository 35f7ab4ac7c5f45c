//! The DNS wire format, as far as a lab's resolver and its clients need it: bytes to values and back, no sockets.
//!
//! ```text
//! 0    2       4           6         8           10           12
//! | id | flags | questions | answers | authority | additional | question: name, type, class | records ... |
//! ```
//! A record is name, type (2 bytes), class (2), TTL (4), length (2), data (RFC 1035 4.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A record type (RFC 1035 3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(pub u16);

impl Type {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A server of a zone.
    pub const NS: Self = Self(2);
    /// Another name.
    pub const CNAME: Self = Self(5);
    /// The head of a zone.
    pub const SOA: Self = Self(6);
    /// The name of an address.
    pub const PTR: Self = Self(12);
    /// Text.
    pub const TXT: Self = Self(16);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: Self = Self(28);
    /// EDNS (RFC 6891).
    pub const OPT: Self = Self(41);
    /// Every type.
    pub const ANY: Self = Self(255);
}

/// The Internet class.
pub const CLASS_IN: u16 = 1;

/// A response code (RFC 1035 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rcode(pub u8);

impl Rcode {
    /// No error.
    pub const OK: Self = Self(0);
    /// The query could not be read.
    pub const FORMAT: Self = Self(1);
    /// The server failed.
    pub const SERVER: Self = Self(2);
    /// The name does not exist.
    pub const NO_NAME: Self = Self(3);
    /// The server does not do that.
    pub const NOT_IMPLEMENTED: Self = Self(4);
    /// The server will not answer.
    pub const REFUSED: Self = Self(5);
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OK => f.write_str("NOERROR"),
            Self::FORMAT => f.write_str("FORMERR"),
            Self::SERVER => f.write_str("SERVFAIL"),
            Self::NO_NAME => f.write_str("NXDOMAIN"),
            Self::NOT_IMPLEMENTED => f.write_str("NOTIMP"),
            Self::REFUSED => f.write_str("REFUSED"),
            Self(other) => write!(f, "RCODE{other}"),
        }
    }
}

/// Why bytes or a text are no message or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsError {
    /// The message ends too early.
    Short,
    /// A name is longer than 255 bytes, has an empty label or one longer than 63 bytes, or a bad pointer.
    Name,
    /// The message asks no question, or several.
    Questions,
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the message ends too early",
            Self::Name => "not a DNS name",
            Self::Questions => "the message does not ask exactly one question",
        })
    }
}

impl std::error::Error for DnsError {}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name without its last dot, in the case in which it was written; empty for the root.
    pub name: String,
    /// The type asked for.
    pub kind: Type,
    /// The class, nearly always [`CLASS_IN`].
    pub class: u16,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The number that the answer repeats.
    pub id: u16,
    /// Operation; 0 is an ordinary query.
    pub opcode: u8,
    /// Whether recursion is wished for.
    pub wants_recursion: bool,
    /// What is asked.
    pub question: Question,
    /// The largest UDP answer that the asker takes, where it speaks EDNS.
    pub edns_len: Option<u16>,
}

/// The data of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// PTR or CNAME, by its type, and a name.
    Name(Type, String),
    /// TXT, at most 255 bytes.
    Text(String),
    /// SOA with this name as server, for negative answers.
    Authority(String),
    /// A type that this module does not take apart.
    Other(Type),
}

impl Data {
    fn kind(&self) -> Type {
        match self {
            Self::Address(IpAddr::V4(_)) => Type::A,
            Self::Address(IpAddr::V6(_)) => Type::AAAA,
            Self::Name(kind, _) | Self::Other(kind) => *kind,
            Self::Text(_) => Type::TXT,
            Self::Authority(_) => Type::SOA,
        }
    }
}

/// An answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The number of the query.
    pub id: u16,
    /// How it went.
    pub rcode: Rcode,
    /// Whether records were left out because the message would have been too long.
    pub is_truncated: bool,
    /// The question, where the answer repeats it.
    pub question: Option<Question>,
    /// The names and data of the answer section.
    pub records: Vec<(String, Data)>,
}

impl Response {
    /// The addresses of the answer, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.records.iter().filter_map(|(_, data)| match data {
            Data::Address(address) => Some(*address),
            _ => None,
        })
    }
}

const HEADER_LEN: usize = 12;
const NAME_LEN_MAX: usize = 255;
const FLAG_RESPONSE: u16 = 1 << 15;
const FLAG_AUTHORITATIVE: u16 = 1 << 10;
const FLAG_TRUNCATED: u16 = 1 << 9;
const FLAG_RECURSION_DESIRED: u16 = 1 << 8;
const FLAG_RECURSION_AVAILABLE: u16 = 1 << 7;
/// What this module takes by UDP: no answer of that length is fragmented on any link (DNS flag day 2020).
pub const EDNS_LEN: u16 = 1232;
/// The longest UDP answer to an asker without EDNS (RFC 1035 2.3.4).
pub const PLAIN_LEN: usize = 512;
const TTL_S: u32 = 60;

/// Writes a query that wishes for recursion and speaks EDNS.
///
/// # Errors
/// [`DnsError::Name`] when `name` is not one.
pub fn encode_query(id: u16, name: &str, kind: Type) -> Result<Vec<u8>, DnsError> {
    let mut bytes = Vec::with_capacity(64);
    put_header(&mut bytes, [id, FLAG_RECURSION_DESIRED, 1, 0, 0, 1]);
    put_name(&mut bytes, name)?;
    put_u16(&mut bytes, kind.0);
    put_u16(&mut bytes, CLASS_IN);
    put_edns(&mut bytes);
    Ok(bytes)
}

/// Reads a query.
///
/// # Errors
/// What is wrong with it; an answer is taken for [`DnsError::Questions`], so that two servers never talk to each
/// other for ever.
pub fn decode_query(bytes: &[u8]) -> Result<Query, DnsError> {
    let [id, flags, questions, answers, authorities, additionals] = header(bytes)?;
    if flags & FLAG_RESPONSE != 0 || questions != 1 {
        return Err(DnsError::Questions);
    }
    let (question, mut at) = take_question(bytes, HEADER_LEN)?;
    let mut edns_len = None;
    for _ in 0..u32::from(answers) + u32::from(authorities) + u32::from(additionals) {
        let record = take_record(bytes, at)?;
        if record.kind == Type::OPT {
            edns_len = Some(record.class);
        }
        at = record.end;
    }
    let opcode = u8::try_from(flags >> 11 & 15).expect("four bits fit");
    Ok(Query { id, opcode, wants_recursion: flags & FLAG_RECURSION_DESIRED != 0, question, edns_len })
}

/// Writes the answer to a query, at most `len_max` bytes long; a longer one becomes an empty, truncated one.
///
/// # Errors
/// [`DnsError::Name`] when a name in the data is not one.
pub fn encode_response(
    query: &Query,
    rcode: Rcode,
    answers: &[(String, Data)],
    authorities: &[(String, Data)],
    len_max: usize,
) -> Result<Vec<u8>, DnsError> {
    let whole = encode_sections(query, rcode, answers, authorities, 0)?;
    if whole.len() <= len_max {
        return Ok(whole);
    }
    encode_sections(query, rcode, &[], &[], FLAG_TRUNCATED)
}

/// Writes the answer to a query that could not be read, if at least its number could.
#[must_use]
pub fn encode_format_error(query: &[u8]) -> Option<Vec<u8>> {
    let [id, flags, ..] = header(query).ok()?;
    if flags & FLAG_RESPONSE != 0 {
        return None;
    }
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    put_header(&mut bytes, [id, FLAG_RESPONSE | u16::from(Rcode::FORMAT.0), 0, 0, 0, 0]);
    Some(bytes)
}

fn encode_sections(
    query: &Query,
    rcode: Rcode,
    answers: &[(String, Data)],
    authorities: &[(String, Data)],
    extra: u16,
) -> Result<Vec<u8>, DnsError> {
    let count = |records: &[(String, Data)]| u16::try_from(records.len()).map_err(|_| DnsError::Name);
    let mut flags = FLAG_RESPONSE | FLAG_AUTHORITATIVE | FLAG_RECURSION_AVAILABLE | extra;
    flags |= u16::from(rcode.0 & 15) | u16::from(query.opcode & 15) << 11;
    if query.wants_recursion {
        flags |= FLAG_RECURSION_DESIRED;
    }
    let edns = u16::from(query.edns_len.is_some());
    let mut bytes = Vec::with_capacity(PLAIN_LEN);
    put_header(&mut bytes, [query.id, flags, 1, count(answers)?, count(authorities)?, edns]);
    put_name(&mut bytes, &query.question.name)?;
    put_u16(&mut bytes, query.question.kind.0);
    put_u16(&mut bytes, query.question.class);
    for (name, data) in answers.iter().chain(authorities) {
        // Nearly every record is about the name asked for, which stands right after the header.
        if name.eq_ignore_ascii_case(&query.question.name) {
            put_u16(&mut bytes, 0xc000 | HEADER_LEN as u16);
        } else {
            put_name(&mut bytes, name)?;
        }
        put_data(&mut bytes, data)?;
    }
    if edns == 1 {
        put_edns(&mut bytes);
    }
    Ok(bytes)
}

/// Reads an answer.
///
/// # Errors
/// What is wrong with it; a query is taken for [`DnsError::Questions`].
pub fn decode_response(bytes: &[u8]) -> Result<Response, DnsError> {
    let [id, flags, questions, answers, ..] = header(bytes)?;
    if flags & FLAG_RESPONSE == 0 || questions > 1 {
        return Err(DnsError::Questions);
    }
    let mut at = HEADER_LEN;
    let mut question = None;
    if questions == 1 {
        let (found, end) = take_question(bytes, at)?;
        question = Some(found);
        at = end;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        let record = take_record(bytes, at)?;
        let data = decode_data(bytes, &record)?;
        at = record.end;
        records.push((record.name, data));
    }
    let rcode = Rcode(u8::try_from(flags & 15).expect("four bits fit"));
    Ok(Response { id, rcode, is_truncated: flags & FLAG_TRUNCATED != 0, question, records })
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for (RFC 1035 3.5, RFC 3596 2.5).
#[must_use]
pub fn address_of_reverse_name(name: &str) -> Option<IpAddr> {
    let name = name.to_ascii_lowercase();
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = labels.rsplit('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        return Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into());
    }
    let labels = name.strip_suffix(".ip6.arpa")?;
    let digit = |label: &str| (label.len() == 1).then(|| u8::from_str_radix(label, 16).ok()).flatten();
    let digits: Vec<u8> = labels.rsplit('.').map(digit).collect::<Option<_>>()?;
    let digits = <[u8; 32]>::try_from(digits).ok()?;
    let octets: [u8; 16] = std::array::from_fn(|index| digits[2 * index] << 4 | digits[2 * index + 1]);
    Some(Ipv6Addr::from(octets).into())
}

fn put_header(bytes: &mut Vec<u8>, words: [u16; 6]) {
    for word in words {
        put_u16(bytes, word);
    }
}

fn put_u16(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend_from_slice(&value.to_be_bytes());
}

fn put_name(bytes: &mut Vec<u8>, name: &str) -> Result<(), DnsError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > NAME_LEN_MAX - 2 {
        return Err(DnsError::Name);
    }
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len));
        bytes.push(length.ok_or(DnsError::Name)?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    Ok(())
}

/// An OPT record: root name, type, the length that we take as class, no flags, no data (RFC 6891 6.1.2).
fn put_edns(bytes: &mut Vec<u8>) {
    bytes.push(0);
    put_u16(bytes, Type::OPT.0);
    put_u16(bytes, EDNS_LEN);
    bytes.extend_from_slice(&[0; 6]);
}

fn put_data(bytes: &mut Vec<u8>, data: &Data) -> Result<(), DnsError> {
    put_u16(bytes, data.kind().0);
    put_u16(bytes, CLASS_IN);
    bytes.extend_from_slice(&TTL_S.to_be_bytes());
    let mut payload = Vec::new();
    match data {
        Data::Address(IpAddr::V4(address)) => payload.extend_from_slice(&address.octets()),
        Data::Address(IpAddr::V6(address)) => payload.extend_from_slice(&address.octets()),
        Data::Name(_, name) => put_name(&mut payload, name)?,
        Data::Text(text) => {
            payload.push(u8::try_from(text.len()).map_err(|_| DnsError::Name)?);
            payload.extend_from_slice(text.as_bytes());
        }
        Data::Authority(server) => {
            put_name(&mut payload, server)?;
            put_name(&mut payload, server)?;
            // Serial, refresh, retry, expire, and the time for which a negative answer is kept.
            for value in [1, 3600, 600, 86_400, TTL_S] {
                payload.extend_from_slice(&value.to_be_bytes());
            }
        }
        Data::Other(_) => {}
    }
    put_u16(bytes, u16::try_from(payload.len()).map_err(|_| DnsError::Name)?);
    bytes.extend_from_slice(&payload);
    Ok(())
}

fn header(bytes: &[u8]) -> Result<[u16; 6], DnsError> {
    let mut words = [0; 6];
    for (index, word) in words.iter_mut().enumerate() {
        *word = u16_at(bytes, 2 * index)?;
    }
    Ok(words)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, DnsError> {
    let pair = bytes.get(at..at + 2).ok_or(DnsError::Short)?;
    Ok(u16::from_be_bytes([pair[0], pair[1]]))
}

fn take_question(bytes: &[u8], at: usize) -> Result<(Question, usize), DnsError> {
    let (name, at) = take_name(bytes, at)?;
    let question = Question { name, kind: Type(u16_at(bytes, at)?), class: u16_at(bytes, at + 2)? };
    Ok((question, at + 4))
}

struct Record {
    name: String,
    kind: Type,
    class: u16,
    data: usize,
    end: usize,
}

fn take_record(bytes: &[u8], at: usize) -> Result<Record, DnsError> {
    let (name, at) = take_name(bytes, at)?;
    let data = at + 10;
    let end = data + usize::from(u16_at(bytes, at + 8)?);
    if end > bytes.len() {
        return Err(DnsError::Short);
    }
    Ok(Record { name, kind: Type(u16_at(bytes, at)?), class: u16_at(bytes, at + 2)?, data, end })
}

fn decode_data(bytes: &[u8], record: &Record) -> Result<Data, DnsError> {
    let data = &bytes[record.data..record.end];
    Ok(match record.kind {
        Type::A => {
            let octets: [u8; 4] = data.try_into().map_err(|_| DnsError::Short)?;
            Data::Address(Ipv4Addr::from(octets).into())
        }
        Type::AAAA => {
            let octets: [u8; 16] = data.try_into().map_err(|_| DnsError::Short)?;
            Data::Address(Ipv6Addr::from(octets).into())
        }
        Type::CNAME | Type::PTR | Type::NS => Data::Name(record.kind, take_name(bytes, record.data)?.0),
        Type::TXT => {
            let length = usize::from(*data.first().ok_or(DnsError::Short)?);
            let text = data.get(1..=length).ok_or(DnsError::Short)?;
            Data::Text(String::from_utf8_lossy(text).into_owned())
        }
        other => Data::Other(other),
    })
}

/// Reads a name; pointers must lead backwards, so that none leads in a circle (RFC 1035 4.1.4).
fn take_name(bytes: &[u8], start: usize) -> Result<(String, usize), DnsError> {
    let mut name = String::new();
    let mut at = start;
    let mut lowest = start;
    let mut end = None;
    loop {
        let length = *bytes.get(at).ok_or(DnsError::Short)?;
        match length {
            0 => return Ok((name, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = bytes.get(at + 1..at + 1 + usize::from(length)).ok_or(DnsError::Short)?;
                if !name.is_empty() {
                    name.push('.');
                }
                // A dot or a byte that is not printable inside a label would read as another name.
                let printable = |byte: &u8| byte.is_ascii_graphic() && *byte != b'.' && *byte != b'\\';
                name.extend(label.iter().map(|b| if printable(b) { char::from(*b) } else { '?' }));
                if name.len() > NAME_LEN_MAX - 2 {
                    return Err(DnsError::Name);
                }
                at += 1 + usize::from(length);
            }
            192.. => {
                let target = usize::from(u16_at(bytes, at)? & 0x3fff);
                if target >= lowest {
                    return Err(DnsError::Name);
                }
                end = end.or(Some(at + 2));
                lowest = target;
                at = target;
            }
            64..192 => return Err(DnsError::Name),
        }
    }
}

#[cfg(test)]
#[path = "dns/tests.rs"]
mod tests;

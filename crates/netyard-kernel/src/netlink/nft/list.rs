//! Reads the tables of a network namespace back.

use super::decode;
use super::edit::{be64, counter};
use super::expression::{Expression, Verdict, read_value, read_verdict};
use super::{NFT_TABLE_F_OWNER, SUBSYSTEM, family_of, hooks};
use crate::netlink::{Attributes, Messages, Refusal, Socket};
use netyard_core::nft::{BaseChain, Chain, ChainKind, Family, Policy, Table};
use netyard_core::trace::rules::OWN_TABLE;
use netyard_core::why::{self, PlacedRule, Ruleset};
use std::collections::BTreeMap;

const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_GETRULE: u16 = 7;
const NFT_MSG_GETSET: u16 = 10;
const NFT_MSG_GETSETELEM: u16 = 13;
const NFT_MSG_GETGEN: u16 = 16;
/// Bytes of `struct nfgenmsg`, which begins every answer.
const NFGENMSG_LEN: usize = 4;
/// How often the whole is read again because the ruleset changed meanwhile.
const ATTEMPTS_MAX: usize = 16;

/// A set or map: one that a rule made without naming it, as `{ 80, 443 }`, or one with a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Set {
    pub has_name: bool,
    pub is_interval: bool,
    pub is_map: bool,
    pub elements: Vec<Element>,
}

/// One element of a set: a value, or the start of an interval that the next end closes; without a key, all other values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub key: Vec<u8>,
    /// The other end, in a set of concatenated intervals.
    pub key_end: Option<Vec<u8>>,
    pub is_end: bool,
    pub verdict: Option<Verdict>,
    pub value: Option<Vec<u8>>,
}

/// Which sets are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those without a name: they are parts of rules.
    Anonymous,
    /// Those with a name too.
    All,
}

/// Sets by table and by their name, which the kernel gives to those without one.
pub(super) type Sets = BTreeMap<(Family, String, String), Set>;

/// Reads all tables of the socket's network namespace, in the order of their making.
///
/// Expressions that [`super::replace_table`] writes come back as what they were, also where nft(8) or iptables-nft
/// wrote them; all else comes back as words. All parts are of one generation of the ruleset. Sets, maps and flow tables
/// that have a name are not part of the result. Same as `nft list ruleset`.
///
/// # Errors
/// As [`placed()`].
pub fn list(socket: &mut Socket) -> Result<Vec<Table>, Refusal> {
    let chain = |chain: why::Chain| Chain {
        name: chain.name,
        base: chain.base,
        rules: chain.rules.into_iter().map(|placed| placed.rule).collect(),
    };
    let table = |table: Ruleset| Table {
        family: table.family,
        name: table.name,
        chains: table.chains.into_iter().map(chain).collect(),
    };
    Ok(read_still(socket, Wanted::Anonymous)?.into_iter().map(table).collect())
}

/// As [`list()`], with the handle of each rule, its count where it counts, the links that a chain is at, and the sets with
/// a name that rules look into.
/// Same as `nft -a list ruleset`.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the socket's network namespace; `EINTR` when the ruleset never stood still.
pub fn placed(socket: &mut Socket) -> Result<Vec<Ruleset>, Refusal> {
    read_still(socket, Wanted::All)
}

/// Reads all until it has stood still meanwhile.
fn read_still(socket: &mut Socket, wanted: Wanted) -> Result<Vec<Ruleset>, Refusal> {
    let interrupted = Refusal { index: 0, errno: libc::EINTR, message: None };
    for _ in 0..ATTEMPTS_MAX {
        let before = generation(socket)?;
        match read_all(socket, wanted) {
            Ok(tables) if generation(socket)? == before => return Ok(tables),
            Err(refusal) if refusal.errno != libc::EINTR => return Err(refusal),
            _ => {}
        }
    }
    Err(interrupted)
}

/// The tables without their chains. Those by which somebody traces are no part of what is there: they decide nothing,
/// and go with the trace.
fn tables(socket: &mut Socket) -> Result<Vec<Ruleset>, Refusal> {
    const NFTA_TABLE_NAME: u16 = 1;
    const NFTA_TABLE_FLAGS: u16 = 2;
    let mut tables = Vec::new();
    dump(socket, NFT_MSG_GETTABLE, None, &[], |family, attributes| {
        let Some(name) = attributes.str(NFTA_TABLE_NAME) else { return };
        let is_owned = attributes.be32(NFTA_TABLE_FLAGS).unwrap_or(0) & NFT_TABLE_F_OWNER != 0;
        if !(is_owned && name.starts_with(OWN_TABLE)) {
            tables.push(Ruleset {
                is_legacy: false,
                family,
                name: name.to_owned(),
                chains: Vec::new(),
                sets: Vec::new(),
            });
        }
    })?;
    Ok(tables)
}

fn read_all(socket: &mut Socket, wanted: Wanted) -> Result<Vec<Ruleset>, Refusal> {
    let mut tables = tables(socket)?;
    if tables.is_empty() {
        return Ok(tables);
    }
    dump(socket, NFT_MSG_GETCHAIN, None, &[], |family, attributes| {
        const NFTA_CHAIN_TABLE: u16 = 1;
        let table = attributes.str(NFTA_CHAIN_TABLE);
        let place = tables.iter_mut().find(|t| t.family == family && Some(t.name.as_str()) == table);
        if let (Some(place), Some(chain)) = (place, chain(family, attributes)) {
            let (name, base) = (chain.name, chain.base);
            place.chains.push(why::Chain { name, base, devices: devices(attributes), rules: Vec::new() });
        }
    })?;
    let sets = sets(socket, wanted)?;
    dump(socket, NFT_MSG_GETRULE, None, &[], |family, attributes| {
        const NFTA_RULE_TABLE: u16 = 1;
        const NFTA_RULE_CHAIN: u16 = 2;
        const NFTA_RULE_HANDLE: u16 = 3;
        const NFTA_RULE_EXPRESSIONS: u16 = 4;
        let (table, chain) = (attributes.str(NFTA_RULE_TABLE), attributes.str(NFTA_RULE_CHAIN));
        let place = tables.iter_mut().find(|t| t.family == family && Some(t.name.as_str()) == table);
        if let (Some(Ruleset { chains, sets: known, .. }), Some(table)) = (place, table)
            && let Some(place) = chains.iter_mut().find(|c| Some(c.name.as_str()) == chain)
        {
            let list = attributes.nested(NFTA_RULE_EXPRESSIONS);
            let expressions: Vec<_> = list.map(|(_, e)| Expression::read(Attributes(e))).collect();
            let set = |name: &str| sets.get(&(family, table.to_owned(), name.to_owned()));
            let (rule, named) = decode::rule(family, &expressions, &set);
            for set in named {
                if !known.iter().any(|one| one.name == set.name) {
                    known.push(set);
                }
            }
            let packets = rule.counts.then(|| counter(list).0);
            place.rules.push(PlacedRule { handle: be64(attributes, NFTA_RULE_HANDLE), rule, packets });
        }
    })?;
    Ok(tables)
}

pub(super) fn chain(family: Family, attributes: Attributes<'_>) -> Option<Chain> {
    const NFTA_CHAIN_NAME: u16 = 3;
    let name = attributes.str(NFTA_CHAIN_NAME)?.to_owned();
    Some(Chain { name, base: base(family, attributes), rules: Vec::new() })
}

/// The links of a chain at ingress or egress (`NFTA_HOOK_DEV`, `NFTA_HOOK_DEVS`).
fn devices(attributes: Attributes<'_>) -> Vec<String> {
    const NFTA_CHAIN_HOOK: u16 = 4;
    const NFTA_HOOK_DEV: u16 = 3;
    const NFTA_HOOK_DEVS: u16 = 4;
    let hook = attributes.nested(NFTA_CHAIN_HOOK);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let several = hook.nested(NFTA_HOOK_DEVS).map(|(_, name)| text(name));
    let one = hook.get(NFTA_HOOK_DEV).map(text);
    let mut all: Vec<String> = several.collect();
    all.extend(one.filter(|one| !all.contains(one)).into_iter().collect::<Vec<_>>());
    all
}

fn base(family: Family, attributes: Attributes<'_>) -> Option<BaseChain> {
    const NFTA_CHAIN_HOOK: u16 = 4;
    const NFTA_CHAIN_POLICY: u16 = 5;
    const NFTA_CHAIN_TYPE: u16 = 7;
    let hook = attributes.nested(NFTA_CHAIN_HOOK);
    let number = hook.be32(1)?;
    let kind = match attributes.str(NFTA_CHAIN_TYPE)? {
        "nat" => ChainKind::Nat,
        "route" => ChainKind::Route,
        _ => ChainKind::Filter,
    };
    Some(BaseChain {
        kind,
        hook: hooks(family).iter().find(|(_, n)| *n == number)?.0,
        priority: hook.be32(2)?.cast_signed(),
        policy: if attributes.be32(NFTA_CHAIN_POLICY) == Some(0) { Policy::Drop } else { Policy::Accept },
    })
}

/// The sets and maps that have a name, as `ip nat servers`; they are no part of [`list()`].
///
/// # Errors
/// As [`list()`].
///
/// Same as `nft list sets` and `nft list maps`.
pub fn named_sets(socket: &mut Socket) -> Result<Vec<String>, Refusal> {
    const NFTA_SET_TABLE: u16 = 1;
    const NFTA_SET_NAME: u16 = 2;
    const NFTA_SET_FLAGS: u16 = 3;
    const NFT_SET_ANONYMOUS: u32 = 1;
    let mut names = Vec::new();
    dump(socket, NFT_MSG_GETSET, None, &[], |family, attributes| {
        let is_anonymous = attributes.be32(NFTA_SET_FLAGS).unwrap_or(0) & NFT_SET_ANONYMOUS != 0;
        if let (Some(table), Some(name), false) =
            (attributes.str(NFTA_SET_TABLE), attributes.str(NFTA_SET_NAME), is_anonymous)
        {
            names.push(format!("{family} {table} {name}"));
        }
    })?;
    Ok(names)
}

/// The sets that are wanted, with their elements in ascending order.
pub(super) fn sets(socket: &mut Socket, wanted: Wanted) -> Result<Sets, Refusal> {
    const NFTA_SET_TABLE: u16 = 1;
    const NFTA_SET_NAME: u16 = 2;
    const NFTA_SET_FLAGS: u16 = 3;
    const NFT_SET_ANONYMOUS: u32 = 1;
    const NFT_SET_INTERVAL: u32 = 4;
    const NFT_SET_MAP: u32 = 8;
    let mut sets = Sets::new();
    dump(socket, NFT_MSG_GETSET, None, &[], |family, attributes| {
        let flags = attributes.be32(NFTA_SET_FLAGS).unwrap_or(0);
        let (table, name) = (attributes.str(NFTA_SET_TABLE), attributes.str(NFTA_SET_NAME));
        if let (Some(table), Some(name)) = (table, name)
            && (flags & NFT_SET_ANONYMOUS != 0 || wanted == Wanted::All)
        {
            let set = Set {
                has_name: flags & NFT_SET_ANONYMOUS == 0,
                is_interval: flags & NFT_SET_INTERVAL != 0,
                is_map: flags & NFT_SET_MAP != 0,
                elements: Vec::new(),
            };
            sets.insert((family, table.to_owned(), name.to_owned()), set);
        }
    })?;
    for ((family, table, name), set) in &mut sets {
        const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
        const NFTA_SET_ELEM_LIST_SET: u16 = 2;
        const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
        let wanted = [(NFTA_SET_ELEM_LIST_TABLE, table.as_str()), (NFTA_SET_ELEM_LIST_SET, name.as_str())];
        dump(socket, NFT_MSG_GETSETELEM, Some(*family), &wanted, |_, attributes| {
            let list = attributes.nested(NFTA_SET_ELEM_LIST_ELEMENTS);
            set.elements.extend(list.filter_map(|(_, e)| element(Attributes(e))));
        })?;
        // The end of one interval and the start of the next may be the same value.
        set.elements.sort_by(|a, b| (&a.key, !a.is_end).cmp(&(&b.key, !b.is_end)));
    }
    Ok(sets)
}

fn element(attributes: Attributes<'_>) -> Option<Element> {
    const NFTA_SET_ELEM_KEY: u16 = 1;
    const NFTA_SET_ELEM_DATA: u16 = 2;
    const NFTA_SET_ELEM_FLAGS: u16 = 3;
    const NFTA_SET_ELEM_KEY_END: u16 = 10;
    const NFT_SET_ELEM_INTERVAL_END: u32 = 1;
    const NFT_SET_ELEM_CATCHALL: u32 = 2;
    let flags = attributes.be32(NFTA_SET_ELEM_FLAGS).unwrap_or(0);
    // What stands for all others has no key.
    let none = || (flags & NFT_SET_ELEM_CATCHALL != 0).then(Vec::new);
    Some(Element {
        key: read_value(attributes, NFTA_SET_ELEM_KEY).or_else(none)?,
        key_end: read_value(attributes, NFTA_SET_ELEM_KEY_END),
        is_end: flags & NFT_SET_ELEM_INTERVAL_END != 0,
        verdict: read_verdict(attributes.nested(NFTA_SET_ELEM_DATA)),
        value: read_value(attributes, NFTA_SET_ELEM_DATA),
    })
}

/// The number of the ruleset's generation, which grows with every transaction.
fn generation(socket: &mut Socket) -> Result<Option<u32>, Refusal> {
    const NFTA_GEN_ID: u16 = 1;
    let mut messages = Messages::new();
    messages.begin(SUBSYSTEM << 8 | NFT_MSG_GETGEN, 0, &[0; NFGENMSG_LEN]);
    let (_, payload) = socket.request(&mut messages)?;
    Ok(Attributes(payload.get(NFGENMSG_LEN..).unwrap_or_default()).be32(NFTA_GEN_ID))
}

/// Dumps the objects of one family, or of all, that have the wanted attributes.
pub(super) fn dump(
    socket: &mut Socket,
    kind: u16,
    family: Option<Family>,
    wanted: &[(u16, &str)],
    mut each: impl FnMut(Family, Attributes<'_>),
) -> Result<(), Refusal> {
    let mut messages = Messages::new();
    {
        let nfproto = family.map_or(0, super::nfproto);
        let mut message = messages.begin(SUBSYSTEM << 8 | kind, 0, &[nfproto, 0, 0, 0]);
        for (attribute, name) in wanted {
            message.put_str(*attribute, name);
        }
    }
    socket.dump(&mut messages, |_, payload| {
        if let (Some(nfproto), Some(attributes)) = (payload.first(), payload.get(NFGENMSG_LEN..))
            && let Some(family) = family_of(*nfproto)
        {
            each(family, Attributes(attributes));
        }
    })
}

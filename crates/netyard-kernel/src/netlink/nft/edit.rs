//! Single rules and chains put in place and removed beside others that stay, with their counts: what iptables(8) does.

use super::expression::Expression;
use super::list::{Wanted, chain, dump, sets};
use super::{
    NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFT_MSG_NEWRULE, NFT_MSG_NEWTABLE, NLM_F_APPEND, NLM_F_CREATE,
    begin, decode, encode, put_chain, put_frame, put_table, refused, send,
};
use crate::netlink::message::Attributes;
use crate::netlink::{Messages, Refusal, Socket};
use netyard_core::nft::{Chain, Family, Rule};

const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_DELCHAIN: u16 = 5;
const NFT_MSG_GETRULE: u16 = 7;
const NFT_MSG_DELRULE: u16 = 8;
const NFTA_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_RULE_POSITION: u16 = 6;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_USE: u16 = 6;
const NFTA_CHAIN_COUNTERS: u16 = 8;

/// A rule where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRule {
    /// The kernel's number for it.
    pub handle: u64,
    /// The rule.
    pub rule: Rule,
    /// Packets that met it, where it counts.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A chain where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedChain {
    /// Its name and its place in the packet path; without rules.
    pub chain: Chain,
    /// Packets that the policy decided, where it counts.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rules in it and jumps to it.
    pub uses: u32,
    /// Its rules in order.
    pub rules: Vec<PlacedRule>,
}

/// One change.
#[derive(Debug, Clone, Copy)]
pub enum Edit<'a> {
    /// Makes the table, if it is not there.
    AddTable,
    /// Makes a chain, if it is not there; one that is there takes the policy.
    AddChain(&'a Chain),
    /// Deletes a chain that is empty and that nobody jumps to.
    DeleteChain(&'a str),
    /// Puts a rule at the end of a chain.
    Append(&'a str, &'a Rule),
    /// Puts a rule before the one with that handle, or at the start of a chain.
    Insert(&'a str, Option<u64>, &'a Rule),
    /// Deletes the rule with that handle.
    Delete(&'a str, u64),
    /// Deletes all rules of a chain, or of the table.
    Flush(Option<&'a str>),
}

/// The chains of one table; none where there is no such table. Same as `nft -a list table F T`.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the socket's network namespace.
pub fn read(socket: &mut Socket, family: Family, table: &str) -> Result<Vec<PlacedChain>, Refusal> {
    let mut chains = Vec::new();
    let is_of_table = |attributes: Attributes<'_>| attributes.str(NFTA_TABLE) == Some(table);
    dump(socket, NFT_MSG_GETCHAIN, Some(family), &[], |_, attributes| {
        if let Some(chain) = chain(family, attributes).filter(|_| is_of_table(attributes)) {
            let (packets, bytes) = counts(attributes.nested(NFTA_CHAIN_COUNTERS), 2, 1);
            let uses = attributes.be32(NFTA_CHAIN_USE).unwrap_or(0);
            chains.push(PlacedChain { chain, packets, bytes, uses, rules: Vec::new() });
        }
    })?;
    if chains.is_empty() {
        return Ok(chains);
    }
    let sets = sets(socket, Wanted::Anonymous)?;
    dump(socket, NFT_MSG_GETRULE, Some(family), &[], |_, attributes| {
        let name = attributes.str(NFTA_RULE_CHAIN);
        let place = chains.iter_mut().find(|placed| Some(placed.chain.name.as_str()) == name);
        if let Some(place) = place.filter(|_| is_of_table(attributes)) {
            let list = attributes.nested(NFTA_RULE_EXPRESSIONS);
            let expressions: Vec<_> = list.map(|(_, e)| Expression::read(Attributes(e))).collect();
            let set = |name: &str| sets.get(&(family, table.to_owned(), name.to_owned()));
            let (packets, bytes) = counter(list);
            let handle = be64(attributes, NFTA_RULE_HANDLE);
            place.rules.push(PlacedRule {
                handle,
                rule: decode::rule(family, &expressions, &set).0,
                packets,
                bytes,
            });
        }
    })?;
    Ok(chains)
}

/// Packets and bytes of the first counter among expressions.
pub(super) fn counter(mut expressions: Attributes<'_>) -> (u64, u64) {
    const NFTA_EXPR_NAME: u16 = 1;
    const NFTA_EXPR_DATA: u16 = 2;
    let found = expressions.find(|(_, e)| Attributes(e).str(NFTA_EXPR_NAME) == Some("counter"));
    found.map_or((0, 0), |(_, e)| counts(Attributes(e).nested(NFTA_EXPR_DATA), 2, 1))
}

fn counts(attributes: Attributes<'_>, packets: u16, bytes: u16) -> (u64, u64) {
    (be64(attributes, packets), be64(attributes, bytes))
}

pub(super) fn be64(attributes: Attributes<'_>, kind: u16) -> u64 {
    let bytes = attributes.get(kind).and_then(|bytes| bytes.get(..8)?.try_into().ok());
    bytes.map_or(0, u64::from_be_bytes)
}

/// Carries out all changes to one table, or none.
///
/// # Errors
/// The kernel's [`Refusal`]: `EBUSY` for a chain that is used, `ENOENT` for what is not there, `EOPNOTSUPP` for an
/// action that the chain's hook cannot do; `EINVAL` with words, before anything is sent, for a rule that nft(8) would
/// not take.
///
/// Same as `nft -f` of `add table`, `add chain`, `add rule`, `insert rule`, `delete rule`, `flush chain`.
pub fn edit(socket: &mut Socket, family: Family, table: &str, edits: &[Edit<'_>]) -> Result<(), Refusal> {
    let mut messages = Messages::new();
    put_frame(&mut messages, NFNL_MSG_BATCH_BEGIN);
    for edit in edits {
        put(&mut messages, family, table, *edit)?;
    }
    put_frame(&mut messages, NFNL_MSG_BATCH_END);
    if edits.is_empty() { Ok(()) } else { send(socket, &mut messages) }
}

fn put(messages: &mut Messages, family: Family, table: &str, edit: Edit<'_>) -> Result<(), Refusal> {
    match edit {
        Edit::AddTable => put_table(messages, NFT_MSG_NEWTABLE, family, table, NLM_F_CREATE, 0),
        Edit::AddChain(chain) => put_chain(messages, family, table, chain)?,
        Edit::DeleteChain(name) => {
            let mut message = begin(messages, NFT_MSG_DELCHAIN, 0, family);
            message.put_str(NFTA_TABLE, table);
            message.put_str(NFTA_CHAIN_NAME, name);
        }
        Edit::Append(chain, rule) => put_rule(messages, family, [table, chain], NLM_F_APPEND, None, rule)?,
        Edit::Insert(chain, before, rule) => put_rule(messages, family, [table, chain], 0, before, rule)?,
        Edit::Delete(chain, handle) => {
            let mut message = begin(messages, NFT_MSG_DELRULE, 0, family);
            message.put_str(NFTA_TABLE, table);
            message.put_str(NFTA_RULE_CHAIN, chain);
            message.put(NFTA_RULE_HANDLE, &handle.to_be_bytes());
        }
        Edit::Flush(chain) => {
            let mut message = begin(messages, NFT_MSG_DELRULE, 0, family);
            message.put_str(NFTA_TABLE, table);
            if let Some(chain) = chain {
                message.put_str(NFTA_RULE_CHAIN, chain);
            }
        }
    }
    Ok(())
}

fn put_rule(
    messages: &mut Messages,
    family: Family,
    [table, chain]: [&str; 2],
    flags: u16,
    before: Option<u64>,
    rule: &Rule,
) -> Result<(), Refusal> {
    let expressions =
        encode::expressions(family, rule).map_err(|words| refused(messages, format!("`{rule}`: {words}")))?;
    let mut message = begin(messages, NFT_MSG_NEWRULE, NLM_F_CREATE | flags, family);
    message.put_str(NFTA_TABLE, table);
    message.put_str(NFTA_RULE_CHAIN, chain);
    if let Some(handle) = before {
        message.put(NFTA_RULE_POSITION, &handle.to_be_bytes());
    }
    let mut list = message.nest(NFTA_RULE_EXPRESSIONS);
    expressions.iter().for_each(|expression| expression.put(&mut list));
    Ok(())
}

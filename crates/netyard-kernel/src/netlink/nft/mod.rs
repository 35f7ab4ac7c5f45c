//! nf_tables: whole tables put in place, removed and read back, each in one transaction.
//!
//! ```text
//! struct nfgenmsg: | family (1) | version 0 (1) | resource id (2, network order) |   then attributes
//! ```
//!
//! A transaction is a datagram of messages between `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`; the kernel carries
//! out all of them or none. Source: linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h, nft(8).

pub(crate) mod compat;
mod decode;
mod edit;
mod encode;
mod expression;
mod list;
mod piece;
mod statement;
#[cfg(test)]
mod tests;
pub mod trace;
mod typed;
mod words;

use crate::netlink::{Message, Messages, Refusal, Socket};
pub use edit::{Edit, PlacedChain, PlacedRule, edit, read};
use expression::Expression;
pub use list::{list, named_sets, placed};
use netyard_core::nft::{Action, BaseChain, Chain, ChainKind, Family, Hook, Policy, Table};
use std::os::fd::AsFd;

/// `NFNL_SUBSYS_NFTABLES`, and message types of `enum nf_tables_msg_types`.
const SUBSYSTEM: u16 = 10;
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;
/// `NFT_TABLE_F_OWNER`, since Linux 5.12.
const NFT_TABLE_F_OWNER: u32 = 2;

/// Puts a table in place of the one of its name, if there is one, in one transaction.
///
/// Packets meet either the old table or the new one. Where a table was replaced, closing the socket takes 8 to 24 ms;
/// where none was there, it takes none. Nothing has changed when the kernel refuses any part. Reading the
/// table back gives [`Table::canonical`]. Same as `nft -f` of
/// `add table F T; delete table F T; table F T { ... }`.
///
/// ```no_run
/// use netyard_core::nft::{Family, Table};
/// use netyard_kernel::netlink::{Protocol, Socket, nft};
/// let mut socket = Socket::open(Protocol::Netfilter)?;
/// nft::replace_table(&mut socket, &Table { family: Family::Inet, name: "nat".into(), chains: vec![] })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// `EINVAL` with words, before anything is sent, for a rule that nft(8) would not take. `EPERM` without CAP_NET_ADMIN
/// over the socket's network namespace, or when another process owns the table; `EOPNOTSUPP` for an action in a chain
/// whose hook cannot do it; `ENOENT` for a jump to a chain that is not there, or when the kernel lacks an expression;
/// `EMSGSIZE` when the table is larger than what one datagram may hold: for an ordinary user twice
/// `net.core.wmem_max`, by default 425 KB or about 900 rules; for root there is no such limit.
pub fn replace_table(socket: &mut Socket, table: &Table) -> Result<(), Refusal> {
    replace(socket, table, 0)
}

/// Puts a table in place that belongs to this socket, in one transaction.
///
/// It is gone when the socket is closed, for whatever reason; no other process can change or delete it, and
/// `nft flush ruleset` leaves it alone. A table of this name that has no owner is not replaced but refused: it
/// is not ours. Same as `nft -i` (a process that stays) with `table F T { flags owner; ... }`.
///
/// # Errors
/// Those of [`replace_table`]; `EOPNOTSUPP` when a table of this name without owner is there, or on a kernel before
/// Linux 5.12.
pub fn replace_table_owned(socket: &mut Socket, table: &Table) -> Result<(), Refusal> {
    replace(socket, table, NFT_TABLE_F_OWNER)
}

/// Deletes a table with all that is in it. Same as `nft delete table F T`.
///
/// # Errors
/// `ENOENT` when there is none; `EPERM` when another process owns it.
pub fn delete_table(socket: &mut Socket, family: Family, name: &str) -> Result<(), Refusal> {
    let mut messages = Messages::new();
    put_frame(&mut messages, NFNL_MSG_BATCH_BEGIN);
    put_table(&mut messages, NFT_MSG_DELTABLE, family, name, 0, 0);
    put_frame(&mut messages, NFNL_MSG_BATCH_END);
    send(socket, &mut messages)
}

fn replace(socket: &mut Socket, table: &Table, flags: u32) -> Result<(), Refusal> {
    let is_there = table_exists(socket, table)?;
    let refusal = match put_whole(socket, table, flags, is_there) {
        Err(refusal) if refusal.errno == libc::EEXIST && !is_there => refusal,
        outcome => return outcome,
    };
    // Another process may have added it in between.
    if table_exists(socket, table)? { put_whole(socket, table, flags, true) } else { Err(refusal) }
}

/// Whether there is a table of this name.
///
/// To delete one that is not there would do no harm, if it is added before; but after any deletion the kernel keeps
/// the process that closes the socket waiting until all packets under way have passed: 8 to 24 ms, where adding a
/// table takes 20 us (net/netfilter/nf_tables_api.c, `nft_rcv_nl_event`).
fn table_exists(socket: &mut Socket, table: &Table) -> Result<bool, Refusal> {
    const NFT_MSG_GETTABLE: u16 = 1;
    let mut messages = Messages::new();
    put_table(&mut messages, NFT_MSG_GETTABLE, table.family, &table.name, 0, 0);
    match socket.request(&mut messages) {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Sends the transaction that puts the table in place of the one that is there, or where none is.
fn put_whole(socket: &mut Socket, table: &Table, flags: u32, is_there: bool) -> Result<(), Refusal> {
    let mut messages = Messages::new();
    check_names(&messages, table)?;
    put_frame(&mut messages, NFNL_MSG_BATCH_BEGIN);
    let (family, name) = (table.family, table.name.as_str());
    if is_there {
        // It may have been deleted meanwhile: deleting what is not there is an error; adding what is there is not.
        put_table(&mut messages, NFT_MSG_NEWTABLE, family, name, NLM_F_CREATE, flags);
        put_table(&mut messages, NFT_MSG_DELTABLE, family, name, 0, 0);
    }
    put_table(&mut messages, NFT_MSG_NEWTABLE, family, name, NLM_F_CREATE | NLM_F_EXCL, flags);
    // All chains come before the first rule: a rule may jump to any of them.
    for chain in &table.chains {
        put_chain(&mut messages, table.family, &table.name, chain)?;
    }
    for chain in &table.chains {
        for (index, rule) in chain.rules.iter().enumerate() {
            let expressions = encode::expressions(table.family, rule).map_err(|words| {
                refused(&messages, format!("rule {} of chain {}: `{rule}`: {words}", index + 1, chain.name))
            })?;
            put_rule(&mut messages, table, chain, &expressions);
        }
    }
    put_frame(&mut messages, NFNL_MSG_BATCH_END);
    send(socket, &mut messages)
}

/// Names longer than the kernel's own limit are refused here: no attribute may outgrow its 16 bits of length.
fn check_names(messages: &Messages, table: &Table) -> Result<(), Refusal> {
    /// linux/netfilter/nf_tables.h `NFT_NAME_MAXLEN`, less the closing zero.
    const NAME_LEN_MAX: usize = 255;
    let chains = table.chains.iter().map(|chain| chain.name.as_str());
    let jumps = table.chains.iter().flat_map(|chain| &chain.rules).filter_map(|rule| match &rule.action {
        Action::Jump(chain) => Some(chain.as_str()),
        _ => None,
    });
    for name in [table.name.as_str()].into_iter().chain(chains).chain(jumps) {
        if name.is_empty() || name.len() > NAME_LEN_MAX || name.contains('\0') {
            return Err(refused(
                messages,
                format!("a name has 1 to {NAME_LEN_MAX} bytes, none of them 0: {name:?}"),
            ));
        }
    }
    Ok(())
}

/// Sends a framed transaction.
///
/// Only the last message asks for an acknowledgement: errors of the others are answered without being asked for, and
/// some hundred acknowledgements would overflow the socket's receive buffer.
fn send(socket: &mut Socket, messages: &mut Messages) -> Result<(), Refusal> {
    const SEND_BUFFER_DEFAULT: usize = 200 * 1024;
    let len = messages.bytes.len();
    if len > SEND_BUFFER_DEFAULT {
        // The kernel takes a datagram up to the size of the send buffer. Only root may exceed net.core.wmem_max; what
        // cannot be had shows as EMSGSIZE of the send.
        let wanted = len * 2;
        if rustix::net::sockopt::set_socket_send_buffer_size_force(socket.as_fd(), wanted).is_err() {
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(socket.as_fd(), wanted);
        }
    }
    let last = messages.len() - 2;
    socket.send_transaction(messages, last..last + 1)
}

const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;

fn put_frame(messages: &mut Messages, kind: u16) {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    messages.begin(kind, 0, &[0, 0, high, low]);
}

fn begin(messages: &mut Messages, kind: u16, flags: u16, family: Family) -> Message<'_> {
    messages.begin(SUBSYSTEM << 8 | kind, flags, &[nfproto(family), 0, 0, 0])
}

fn put_table(messages: &mut Messages, kind: u16, family: Family, name: &str, how: u16, flags: u32) {
    const NFTA_TABLE_NAME: u16 = 1;
    const NFTA_TABLE_FLAGS: u16 = 2;
    let mut message = begin(messages, kind, how, family);
    message.put_str(NFTA_TABLE_NAME, name);
    if flags != 0 {
        message.put_be32(NFTA_TABLE_FLAGS, flags);
    }
}

fn put_chain(messages: &mut Messages, family: Family, table: &str, chain: &Chain) -> Result<(), Refusal> {
    const NFTA_CHAIN_TABLE: u16 = 1;
    const NFTA_CHAIN_NAME: u16 = 3;
    const NFTA_CHAIN_HOOK: u16 = 4;
    const NFTA_CHAIN_POLICY: u16 = 5;
    const NFTA_CHAIN_TYPE: u16 = 7;
    const NFTA_HOOK_HOOKNUM: u16 = 1;
    const NFTA_HOOK_PRIORITY: u16 = 2;
    let hook = match &chain.base {
        Some(base) => Some((
            base,
            hook_number(family, base.hook).ok_or_else(|| {
                let hook = base.hook;
                refused(
                    messages,
                    format!("chain {}: no hook {hook} without a link in family {family}", chain.name),
                )
            })?,
        )),
        None => None,
    };
    let mut message = begin(messages, NFT_MSG_NEWCHAIN, NLM_F_CREATE, family);
    message.put_str(NFTA_CHAIN_TABLE, table);
    message.put_str(NFTA_CHAIN_NAME, &chain.name);
    if let Some((BaseChain { kind, priority, policy, .. }, number)) = hook {
        {
            let mut nest = message.nest(NFTA_CHAIN_HOOK);
            nest.put_be32(NFTA_HOOK_HOOKNUM, number);
            nest.put_be32(NFTA_HOOK_PRIORITY, priority.cast_unsigned());
        }
        message.put_be32(NFTA_CHAIN_POLICY, policy_number(*policy));
        message.put_str(NFTA_CHAIN_TYPE, kind_word(*kind));
    }
    Ok(())
}

fn put_rule(messages: &mut Messages, table: &Table, chain: &Chain, expressions: &[Expression]) {
    const NFTA_RULE_TABLE: u16 = 1;
    const NFTA_RULE_CHAIN: u16 = 2;
    const NFTA_RULE_EXPRESSIONS: u16 = 4;
    let mut message = begin(messages, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, table.family);
    message.put_str(NFTA_RULE_TABLE, &table.name);
    message.put_str(NFTA_RULE_CHAIN, &chain.name);
    let mut list = message.nest(NFTA_RULE_EXPRESSIONS);
    for expression in expressions {
        expression.put(&mut list);
    }
}

/// What was not even sent to the kernel, in the place where the next message would have been.
fn refused(messages: &Messages, message: String) -> Refusal {
    Refusal { index: messages.len(), errno: libc::EINVAL, message: Some(message) }
}

/// `NFPROTO_*` of linux/netfilter.h.
fn nfproto(family: Family) -> u8 {
    match family {
        Family::Inet => 1,
        Family::Ip => 2,
        Family::Arp => 3,
        Family::Netdev => 5,
        Family::Bridge => 7,
        Family::Ip6 => 10,
    }
}

fn family_of(nfproto: u8) -> Option<Family> {
    [Family::Inet, Family::Ip, Family::Arp, Family::Netdev, Family::Bridge, Family::Ip6]
        .into_iter()
        .find(|family| self::nfproto(*family) == nfproto)
}

/// The hooks of a family and their numbers (`NF_INET_*`, `NF_BR_*`, `NF_ARP_*`, `NF_NETDEV_*`).
fn hooks(family: Family) -> &'static [(Hook, u32)] {
    match family {
        Family::Inet | Family::Ip | Family::Ip6 | Family::Bridge => &[
            (Hook::Prerouting, 0),
            (Hook::Input, 1),
            (Hook::Forward, 2),
            (Hook::Output, 3),
            (Hook::Postrouting, 4),
            (Hook::Ingress, 5),
        ],
        Family::Arp => &[(Hook::Input, 0), (Hook::Output, 1), (Hook::Forward, 2)],
        Family::Netdev => &[(Hook::Ingress, 0), (Hook::Egress, 1)],
    }
}

/// The number of a hook that needs no link of its own.
fn hook_number(family: Family, hook: Hook) -> Option<u32> {
    let is_of_a_link = matches!(hook, Hook::Ingress | Hook::Egress);
    hooks(family).iter().find(|(h, _)| *h == hook && !is_of_a_link).map(|(_, number)| *number)
}

fn policy_number(policy: Policy) -> u32 {
    match policy {
        Policy::Drop => 0,
        Policy::Accept => 1,
    }
}

fn kind_word(kind: ChainKind) -> &'static str {
    match kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
        ChainKind::Route => "route",
    }
}

//! What rules do with packets, as they do it (nft(8), "monitor trace").
//!
//! A table of our own marks packets before every other rule; from there on the kernel tells which rules match and what
//! they say. The table belongs to the socket that hears of it, and is gone when that is closed, for whatever reason.
//!
//! Source: linux/netfilter/nf_tables.h `NFTA_TRACE_*`, net/netfilter/nf_tables_trace.c.

use super::expression::{Expression, Load, REG_1, Verdict, number::*};
use super::{
    NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFT_MSG_NEWRULE, NFT_MSG_NEWTABLE, NFT_TABLE_F_OWNER,
    NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, SUBSYSTEM, begin, family_of, put_chain, put_frame, put_table,
    send,
};
use crate::netlink::{Attributes, Messages, Protocol, Refusal, Socket};
use netyard_core::nft::{BaseChain, Chain, ChainKind, Family, Hook, Policy};
use netyard_core::trace::rules::{RuleEventKind, RuleVerdict};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Before the raw tables of others (`NF_IP_PRI_RAW` is -300).
const FIRST: i32 = -310;
/// After all that filter or translate (`NF_IP_PRI_NAT_SRC` is 100, `NF_IP_PRI_SELINUX_LAST` 225).
const LAST: i32 = 1000;
/// Packets that are traced in a second, and at once: a busy connection would slow down otherwise.
const RATE_PER_S: u64 = 500;
const BURST: u32 = 500;
/// The same for packets that begin or end connections, which are told always.
const RATE_OF_SIGNS_PER_S: u64 = 20_000;
const BURST_OF_SIGNS: u32 = 5_000;

/// Hears which rules packets meet in one network namespace.
#[derive(Debug)]
pub struct RuleTrace {
    socket: Socket,
    has_lost: bool,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Family of the table.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// What it tells.
    pub kind: RuleEventKind,
    /// The verdict.
    pub verdict: RuleVerdict,
    /// The number of the packet.
    pub id: u32,
    /// Ifindex of the link that the packet came by.
    pub from: Option<u32>,
    /// Ifindex of the link that it leaves by.
    pub to: Option<u32>,
    /// The link header, where the message holds one.
    pub link: Vec<u8>,
    /// The network header.
    pub network: Vec<u8>,
    /// The beginning of the transport header.
    pub transport: Vec<u8>,
    /// The tracked connection; since Linux 6.17.
    pub ct: Option<u32>,
}

/// Makes the table of that name in the calling thread's network namespace, in family inet and, where it is wanted and
/// the kernel has it, bridge; the descriptor is to be read with [`RuleTrace::from_fd`], in whatever process.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the namespace, `EEXIST` when there is a table of that name, `EOPNOTSUPP` before
/// Linux 5.12.
///
/// Same as `nft -i` with `table inet NAME { flags owner; chain prerouting { type filter hook prerouting priority -310;
/// meta nftrace set 1; } ... }`, and `nft monitor trace`.
pub fn open(name: &str, sees_bridged: bool) -> io::Result<OwnedFd> {
    const NFNLGRP_NFTRACE: u32 = 9;
    let mut socket = Socket::open(Protocol::Netfilter)?;
    socket.join(NFNLGRP_NFTRACE)?;
    make(&mut socket, Family::Inet, name)?;
    if sees_bridged {
        // Not every kernel has rules for bridges.
        let _ = make(&mut socket, Family::Bridge, name);
    }
    Ok(socket.into_fd())
}

fn make(socket: &mut Socket, family: Family, name: &str) -> Result<(), Refusal> {
    match put(socket, family, name, true) {
        // A kernel without the expression `limit` traces everything.
        Err(refusal) if refusal.errno == libc::ENOENT => put(socket, family, name, false),
        done => done,
    }
}

fn put(socket: &mut Socket, family: Family, name: &str, is_limited: bool) -> Result<(), Refusal> {
    let mut messages = Messages::new();
    put_frame(&mut messages, NFNL_MSG_BATCH_BEGIN);
    put_table(&mut messages, NFT_MSG_NEWTABLE, family, name, NLM_F_CREATE | NLM_F_EXCL, NFT_TABLE_F_OWNER);
    let chains = [
        (Hook::Prerouting, FIRST),
        (Hook::Output, FIRST),
        // Whoever comes here has passed all other rules of the hook.
        (Hook::Input, LAST),
        (Hook::Postrouting, LAST),
    ];
    for (hook, priority) in chains {
        let base = BaseChain { kind: ChainKind::Filter, hook, priority, policy: Policy::Accept };
        let chain = Chain { name: hook.to_string(), base: Some(base), rules: Vec::new() };
        put_chain(&mut messages, family, name, &chain)?;
    }
    for hook in [Hook::Prerouting, Hook::Output] {
        if is_limited {
            put_marking(&mut messages, family, name, hook, &signs());
        }
        let limit = is_limited.then(|| limit(RATE_PER_S, BURST));
        put_marking(&mut messages, family, name, hook, limit.as_slice());
    }
    for hook in [Hook::Input, Hook::Postrouting] {
        put_rule(&mut messages, family, name, hook, &telling());
    }
    put_frame(&mut messages, NFNL_MSG_BATCH_END);
    send(socket, &mut messages)
}

/// A rule that marks what these expressions let pass (`meta nftrace set 1`).
fn put_marking(messages: &mut Messages, family: Family, table: &str, hook: Hook, expressions: &[Expression]) {
    const META_NFTRACE: u32 = 12;
    // `NFTA_META_KEY` and `NFTA_META_SREG`.
    let mark = [attribute(2, &META_NFTRACE.to_be_bytes()), attribute(3, &REG_1.to_be_bytes())].concat();
    let marking = [
        Expression::Immediate { to: REG_1, value: vec![1] },
        Expression::Other { name: "meta".to_owned(), attributes: mark },
    ];
    put_rule(messages, family, table, hook, &[expressions, &marking].concat());
}

/// `continue`: a rule that says nothing, and so tells the headers of what is traced once more, as they have become.
fn telling() -> [Expression; 1] {
    [Expression::Verdict(Verdict { code: VERDICT_CONTINUE, chain: None })]
}

fn put_rule(messages: &mut Messages, family: Family, table: &str, hook: Hook, expressions: &[Expression]) {
    const NFTA_RULE_TABLE: u16 = 1;
    const NFTA_RULE_CHAIN: u16 = 2;
    const NFTA_RULE_EXPRESSIONS: u16 = 4;
    let mut message = begin(messages, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family);
    message.put_str(NFTA_RULE_TABLE, table);
    message.put_str(NFTA_RULE_CHAIN, &hook.to_string());
    let mut list = message.nest(NFTA_RULE_EXPRESSIONS);
    for expression in expressions {
        expression.put(&mut list);
    }
}

/// `tcp flags & (fin | syn | rst) != 0`, within a generous limit.
fn signs() -> [Expression; 6] {
    const TCP: u8 = 6;
    const FIN_SYN_RST: u8 = 0x07;
    [
        Expression::Load { what: Load::Meta(META_L4PROTO), to: REG_1 },
        Expression::Compare { register: REG_1, op: EQUAL, value: vec![TCP] },
        Expression::Load { what: Load::Payload { base: TRANSPORT_HEADER, offset: 13, len: 1 }, to: REG_1 },
        Expression::Mask { register: REG_1, mask: vec![FIN_SYN_RST], xor: vec![0] },
        Expression::Compare { register: REG_1, op: NOT_EQUAL, value: vec![0] },
        limit(RATE_OF_SIGNS_PER_S, BURST_OF_SIGNS),
    ]
}

/// `limit rate RATE/second burst BURST packets` (`enum nft_limit_attributes`: rate, unit in seconds, burst).
fn limit(rate_per_s: u64, burst: u32) -> Expression {
    let attributes = [
        attribute(1, &rate_per_s.to_be_bytes()),
        attribute(2, &1u64.to_be_bytes()),
        attribute(3, &burst.to_be_bytes()),
    ];
    Expression::Other { name: "limit".to_owned(), attributes: attributes.concat() }
}

/// One attribute whose payload needs no padding.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).expect("numbers are short");
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes()[..], payload].concat()
}

impl RuleTrace {
    /// Takes over what [`open`] has opened.
    ///
    /// # Errors
    /// Those of ioctl(2).
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        const ROOM: usize = 8 << 20;
        rustix::io::ioctl_fionbio(&fd, true)?;
        // Beyond `net.core.rmem_max` only with rights over the machine.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&fd, ROOM).is_err() {
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&fd, ROOM);
        }
        Ok(Self { socket: Socket::from_fd(fd), has_lost: false })
    }

    /// Calls `each` with every message that is there. Never waits.
    ///
    /// # Errors
    /// Those of recv(2), but that messages were lost ([`RuleTrace::has_lost`]).
    pub fn read(&mut self, mut each: impl FnMut(Message)) -> io::Result<()> {
        const NFT_MSG_TRACE: u16 = 17;
        loop {
            let heard = self.socket.events(|kind, payload| {
                if kind == SUBSYSTEM << 8 | NFT_MSG_TRACE
                    && let Some(message) = message(payload)
                {
                    each(message);
                }
            });
            match heard {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.has_lost = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether messages found no room.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.has_lost
    }
}

impl AsFd for RuleTrace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Decodes the payload of `NFT_MSG_TRACE`: `struct nfgenmsg` (4 bytes), then attributes, numbers in network order.
fn message(payload: &[u8]) -> Option<Message> {
    const NFTA_TRACE_TABLE: u16 = 1;
    const NFTA_TRACE_CHAIN: u16 = 2;
    const NFTA_TRACE_RULE_HANDLE: u16 = 3;
    const NFTA_TRACE_TYPE: u16 = 4;
    const NFTA_TRACE_VERDICT: u16 = 5;
    const NFTA_TRACE_ID: u16 = 6;
    const NFTA_TRACE_LL_HEADER: u16 = 7;
    const NFTA_TRACE_NETWORK_HEADER: u16 = 8;
    const NFTA_TRACE_TRANSPORT_HEADER: u16 = 9;
    const NFTA_TRACE_IIF: u16 = 10;
    const NFTA_TRACE_OIF: u16 = 12;
    const NFTA_TRACE_POLICY: u16 = 16;
    const NFTA_TRACE_CT_ID: u16 = 18;
    const POLICY: u32 = 1;
    const RETURN: u32 = 2;
    const RULE: u32 = 3;
    let attributes = Attributes(payload.get(4..)?);
    let bytes = |kind: u16| attributes.get(kind).unwrap_or_default().to_vec();
    let (kind, verdict) = match attributes.be32(NFTA_TRACE_TYPE)? {
        POLICY => {
            let is_drop = attributes.be32(NFTA_TRACE_POLICY) == Some(0);
            (RuleEventKind::Policy, if is_drop { RuleVerdict::Drop } else { RuleVerdict::Accept })
        }
        RETURN => (RuleEventKind::Return, verdict(attributes.nested(NFTA_TRACE_VERDICT))?),
        RULE => {
            let handle = attributes.get(NFTA_TRACE_RULE_HANDLE)?.try_into().ok()?;
            let kind = RuleEventKind::Rule(u64::from_be_bytes(handle));
            (kind, verdict(attributes.nested(NFTA_TRACE_VERDICT))?)
        }
        _ => return None,
    };
    Some(Message {
        family: family_of(*payload.first()?)?,
        table: attributes.str(NFTA_TRACE_TABLE)?.to_owned(),
        chain: attributes.str(NFTA_TRACE_CHAIN)?.to_owned(),
        kind,
        verdict,
        id: attributes.be32(NFTA_TRACE_ID)?,
        from: attributes.be32(NFTA_TRACE_IIF),
        to: attributes.be32(NFTA_TRACE_OIF),
        link: bytes(NFTA_TRACE_LL_HEADER),
        network: bytes(NFTA_TRACE_NETWORK_HEADER),
        transport: bytes(NFTA_TRACE_TRANSPORT_HEADER),
        ct: attributes.be32(NFTA_TRACE_CT_ID),
    })
}

/// `NFTA_VERDICT_CODE` and `NFTA_VERDICT_CHAIN`; the low byte of a code of netfilter itself is the verdict.
fn verdict(attributes: Attributes<'_>) -> Option<RuleVerdict> {
    const NFTA_VERDICT_CODE: u16 = 1;
    const NFTA_VERDICT_CHAIN: u16 = 2;
    const NF_QUEUE: i32 = 3;
    let code = attributes.be32(NFTA_VERDICT_CODE)?.cast_signed();
    let chain = || attributes.str(NFTA_VERDICT_CHAIN).unwrap_or_default().to_owned();
    Some(match code {
        VERDICT_CONTINUE => RuleVerdict::Continue,
        VERDICT_JUMP => RuleVerdict::Jump(chain()),
        VERDICT_GOTO => RuleVerdict::Goto(chain()),
        VERDICT_RETURN => RuleVerdict::Return,
        VERDICT_DROP => RuleVerdict::Drop,
        VERDICT_ACCEPT => RuleVerdict::Accept,
        code if code > 0 && code & 0xff == NF_QUEUE => RuleVerdict::Queue,
        _ => return None,
    })
}

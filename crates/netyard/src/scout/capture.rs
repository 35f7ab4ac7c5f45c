//! What a scout does for those who watch packets.

use super::question::{LinkSeen, Told};
use super::station::Found;
use crate::live::again;
use crate::look::netfilter;
use netyard_core::capture::NatRule;
use netyard_core::conntrack::Connection;
use netyard_core::filter::Instruction;
use netyard_core::journey::RuleAt;
use netyard_core::nft::{Chain, ChainKind, Table};
use netyard_kernel::netlink::{Protocol, Socket, conntrack, link, nft};
use netyard_kernel::tap;
use std::io;

/// Opens a tap.
pub(super) fn tap(ring_len: usize, snap: u32, filter: &[Instruction]) -> Found {
    let opened = tap::open(tap::Settings { ring_len, snap, filter })?;
    Ok((Told::Tap(opened.shape, opened.is_smaller), vec![opened.fd]))
}

/// The tracked connections. Where there are none the table is not walked: it is that of all namespaces.
pub(super) fn connections() -> io::Result<Vec<Connection>> {
    if conntrack::count() == 0 {
        return Ok(Vec::new());
    }
    let mut socket = Socket::open(Protocol::Netfilter)?;
    Ok(again(|| conntrack::list(&mut socket))?)
}

/// The rules of all tables that translate addresses, in their order.
pub(super) fn nat_rules() -> io::Result<Vec<NatRule>> {
    let mut notes = Vec::new();
    let mut rules = Vec::new();
    let translates = |table: &&Table| {
        let is_nat = |chain: &Chain| chain.base.as_ref().is_some_and(|base| base.kind == ChainKind::Nat);
        table.chains.iter().any(is_nat)
    };
    for table in netfilter::tables(&mut notes).iter().filter(translates) {
        let mut socket = Socket::open(Protocol::Netfilter)?;
        for placed in again(|| nft::read(&mut socket, table.family, &table.name))? {
            for rule in placed.rules {
                rules.push(NatRule {
                    at: at(table, &placed.chain, Some(rule.handle), rule.rule.to_string()),
                    rule: rule.rule,
                });
            }
        }
    }
    for table in netfilter::legacy(&mut notes).iter().filter(translates) {
        for chain in &table.chains {
            for rule in &chain.rules {
                let at = RuleAt { is_legacy: true, ..at(table, chain, None, rule.to_string()) };
                rules.push(NatRule { at, rule: rule.clone() });
            }
        }
    }
    Ok(rules)
}

fn at(table: &Table, chain: &Chain, handle: Option<u64>, text: String) -> RuleAt {
    RuleAt {
        is_legacy: false,
        family: table.family,
        table: table.name.clone(),
        chain: chain.name.clone(),
        hook: chain.base.as_ref().map(|base| base.hook),
        handle,
        text,
    }
}

/// All links.
pub(super) fn links() -> io::Result<Vec<LinkSeen>> {
    let mut socket = Socket::open(Protocol::Route)?;
    let links = again(|| link::dump(&mut socket))?;
    let seen = links.into_iter().map(|link| LinkSeen {
        index: link.index,
        has_ethernet: link.mac.is_some() || link.is_loopback(),
        is_loopback: link.is_loopback(),
        master: link.master,
        name: link.name,
        kind: link.kind,
    });
    Ok(seen.collect())
}

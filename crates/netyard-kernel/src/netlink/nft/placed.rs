//! All rules of a network namespace with the numbers and counts that the kernel has for them.

use super::decode;
use super::edit::{be64, counter};
use super::expression::Expression;
use super::list::{anonymous_sets, chain, dump};
use crate::netlink::{Attributes, Refusal, Socket};
use netyard_core::why::{Chain, PlacedRule, Ruleset};

const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_GETRULE: u16 = 7;
const NFTA_NAME: u16 = 1;

/// Reads all tables of the socket's network namespace, in the order of their making.
///
/// As [`list`](super::list()), with the handle of each rule, its count where it counts, and the links that a chain is at.
/// Same as `nft -a list ruleset`.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN over the socket's network namespace; `EINTR` when rules changed meanwhile.
pub fn placed(socket: &mut Socket) -> Result<Vec<Ruleset>, Refusal> {
    let mut tables: Vec<Ruleset> = super::list::tables(socket)?
        .into_iter()
        .map(|table| Ruleset { is_legacy: false, family: table.family, name: table.name, chains: Vec::new() })
        .collect();
    if tables.is_empty() {
        return Ok(tables);
    }
    dump(socket, NFT_MSG_GETCHAIN, None, &[], |family, attributes| {
        let table = attributes.str(NFTA_NAME);
        let place = tables.iter_mut().find(|t| t.family == family && Some(t.name.as_str()) == table);
        if let (Some(place), Some(chain)) = (place, chain(family, attributes)) {
            place.chains.push(Chain {
                name: chain.name,
                base: chain.base,
                devices: devices(attributes),
                rules: Vec::new(),
            });
        }
    })?;
    let sets = anonymous_sets(socket)?;
    dump(socket, NFT_MSG_GETRULE, None, &[], |family, attributes| {
        const NFTA_RULE_CHAIN: u16 = 2;
        const NFTA_RULE_HANDLE: u16 = 3;
        const NFTA_RULE_EXPRESSIONS: u16 = 4;
        let (table, chain) = (attributes.str(NFTA_NAME), attributes.str(NFTA_RULE_CHAIN));
        let place = tables.iter_mut().find(|t| t.family == family && Some(t.name.as_str()) == table);
        let place = place.and_then(|t| t.chains.iter_mut().find(|c| Some(c.name.as_str()) == chain));
        if let (Some(place), Some(table)) = (place, table) {
            let list = attributes.nested(NFTA_RULE_EXPRESSIONS);
            let expressions: Vec<_> = list.map(|(_, e)| Expression::read(Attributes(e))).collect();
            let set = |name: &str| sets.get(&(family, table.to_owned(), name.to_owned()));
            let rule = decode::rule(family, &expressions, &set);
            let packets = rule.counts.then(|| counter(list).0);
            place.rules.push(PlacedRule { handle: be64(attributes, NFTA_RULE_HANDLE), rule, packets });
        }
    })?;
    Ok(tables)
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

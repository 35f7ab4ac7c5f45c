//! What following packets takes of a namespace: traces of rules, learned addresses.

use super::question::Told;
use super::station::Found;
use crate::live::again;
use netyard_kernel::netlink::nft::{self, trace};
use netyard_kernel::netlink::{Protocol, Socket, neighbour};
use std::io;

pub(super) fn rules_heard(table: &str, sees_bridged: bool) -> Found {
    Ok((Told::Done, vec![trace::open(table, sees_bridged)?]))
}

pub(super) fn rules() -> Found {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    Ok((Told::Rules(again(|| nft::placed(&mut socket)).map_err(io::Error::from)?), Vec::new()))
}

pub(super) fn learned() -> Found {
    let mut socket = Socket::open(Protocol::Route)?;
    Ok((Told::Learned(again(|| neighbour::forwarding(&mut socket)).map_err(io::Error::from)?), Vec::new()))
}

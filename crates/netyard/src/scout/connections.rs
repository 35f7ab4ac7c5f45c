//! Connections that the kernel tracks, and their events.

use super::question::{Told, Trouble};
use crate::live::again;
use netyard_kernel::netlink::conntrack::{self, Events};
use netyard_kernel::netlink::{Protocol, Socket};
use std::io;
use std::os::fd::OwnedFd;

/// The connections that the scout's namespace tracks now.
pub(super) fn list() -> Result<Told, Trouble> {
    // Reading walks the table of all namespaces; most have no connection at all.
    if conntrack::count() == 0 {
        return Ok(Told::Connections(Vec::new()));
    }
    let mut socket = Socket::open(Protocol::Netfilter)?;
    Ok(Told::Connections(again(|| conntrack::list(&mut socket)).map_err(io::Error::from)?))
}

/// A socket that hears of them; whoever has it may read it.
pub(super) fn events() -> io::Result<OwnedFd> {
    Events::open().map(Events::into_fd)
}

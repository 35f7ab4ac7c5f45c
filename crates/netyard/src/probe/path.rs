//! The routers on the way to an address, found by rising TTL as traceroute(8) does, with ICMP echo.

use super::ping::{Echo, Pinger};
use super::{Miss, NodeSockets, Patience};
use netyard_core::expect::Outcome;
use netyard_core::name::NodeName;
use std::net::IpAddr;

/// What was found on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The address that answered for each TTL from 1 on; `None` for a router that kept silent. Without the
    /// destination.
    pub routers: Vec<Option<IpAddr>>,
    /// Why the destination was not reached; `None` when it answered.
    pub end: Option<Miss>,
}

/// Silent routers in a row after which the destination counts as silent too.
const SILENT_MAX: usize = 3;

/// Finds the routers between a node and an address; the destination itself must answer echo requests.
///
/// # Errors
/// The [`Miss`] when not even the first packet can be sent. Later ones are in [`Path::end`].
pub fn discover(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    to: IpAddr,
    hops_max: u8,
    patience: Patience<'_>,
) -> Result<Path, Miss> {
    let mut pinger = Pinger::open(sockets, from, Echo::to(to))?;
    let mut routers: Vec<Option<IpAddr>> = Vec::new();
    for ttl in 1..=hops_max {
        pinger.set_ttl(ttl)?;
        let error = match pinger.echo_or_error(patience) {
            Ok(_) => return Ok(Path { routers, end: None }),
            Err(error) => error,
        };
        match error.miss.outcome() {
            Some(Outcome::TtlExceeded) => routers.push(error.offender),
            Some(Outcome::Timeout) => {
                routers.push(None);
                if routers.iter().rev().take_while(|router| router.is_none()).count() == SILENT_MAX {
                    routers.truncate(routers.len() - SILENT_MAX);
                    return Ok(Path { routers, end: Some(error.miss) });
                }
            }
            _ => return Ok(Path { routers, end: Some(error.miss) }),
        }
    }
    let detail = format!("{to} is more than {hops_max} hops away");
    Ok(Path { routers, end: Some(Miss::new(Outcome::TtlExceeded, detail)) })
}

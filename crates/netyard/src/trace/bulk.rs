//! Keeps long transfers short: the first packets of each flow at each link are followed, further ones are counted.

use super::ears::Heard;
use netyard_core::fault::Place;
use netyard_core::journey::{Endpoints, Journey, More};
use netyard_core::packet::{Ip, TCP, TcpFlags, UDP};
use netyard_core::state::Ns;
use netyard_core::trace::packet::Packet;
use netyard_core::trace::{At, Sighting, Topology};
use std::collections::HashMap;
use std::net::IpAddr;

/// Packets of a flow that are followed one by one at each link.
const FOLLOWED_MAX: u64 = 32;
/// The same for packets that begin or end a connection.
const SIGNS_MAX: u64 = 4096;
/// One in so many tells that the flow goes on.
const TOUCH_EVERY: u64 = 256;

/// Counts packets.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    links: HashMap<Key, Count>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    /// The number of the tap.
    tap: usize,
    index: u32,
    is_out: bool,
    protocol: u8,
    from: (IpAddr, u16),
    to: (IpAddr, u16),
}

#[derive(Debug, Default)]
struct Count {
    node: Option<Ns>,
    packets: u64,
    signs: u64,
    /// Of these, those that were counted only, and their bytes.
    more: u64,
    bytes: u64,
}

impl Sieve {
    /// Follows a packet, or counts it. What goes on without being followed is told once in a while.
    pub(super) fn sift(
        &mut self,
        heard: &Heard<'_>,
        pending: &mut Vec<Sighting>,
        touched: &mut Vec<(Ns, Packet, u64)>,
    ) {
        let ip = heard.frame.ip();
        let Some((key, is_sign)) = ip.as_ref().and_then(|ip| Key::of(heard, ip)) else {
            return pending.push(heard.sighting());
        };
        let count = self
            .links
            .entry(key)
            .or_insert_with(|| Count { node: Some(heard.node.clone()), ..Count::default() });
        count.packets += 1;
        count.signs += u64::from(is_sign);
        let is_followed = count.packets <= FOLLOWED_MAX || (is_sign && count.signs <= SIGNS_MAX);
        if is_followed {
            return pending.push(heard.sighting());
        }
        count.more += 1;
        count.bytes += u64::try_from(heard.frame.len).unwrap_or(0);
        if count.packets.is_multiple_of(TOUCH_EVERY) {
            touched.push((heard.node.clone(), heard.sighting().packet, heard.at_ns));
        }
    }

    /// Adds what was counted to the journeys that it belongs to, and forgets it.
    pub(super) fn count(&mut self, journeys: &mut [Journey], topology: &Topology) {
        if journeys.is_empty() {
            return;
        }
        let counted = self.links.iter_mut().filter(|(_, count)| count.more > 0);
        for (key, count) in counted {
            let ends = key.endpoints();
            let is_of = |journey: &&mut Journey| {
                let hops = journey
                    .legs
                    .iter()
                    .filter(|leg| leg.headers.protocol == Some(key.protocol))
                    .flat_map(|leg| &leg.hops);
                hops.into_iter()
                    .any(|hop| hop.headers.as_ref().is_some_and(|headers| headers.endpoints == Some(ends)))
            };
            let (Some(journey), Some(node)) = (journeys.iter_mut().find(is_of), count.node.clone()) else {
                continue;
            };
            let interface = topology.name(&At { node: node.clone(), index: key.index });
            journey.more.push(More {
                place: Place { node, interface },
                is_out: key.is_out,
                endpoints: ends,
                packets: std::mem::take(&mut count.more),
                bytes: std::mem::take(&mut count.bytes),
            });
        }
        for journey in journeys {
            journey.more.sort_by(|a, b| (&a.place, a.is_out).cmp(&(&b.place, b.is_out)));
        }
    }
}

impl Key {
    /// The flow of a packet at a link, and whether the packet begins or ends a connection. None for what is followed
    /// always.
    fn of(heard: &Heard<'_>, ip: &Ip<'_>) -> Option<(Self, bool)> {
        if !matches!(ip.protocol, TCP | UDP) {
            return None;
        }
        let (from, to) = ip.ports()?;
        let signs = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        let is_sign = ip.segment().is_some_and(|segment| segment.flags.0 & signs != 0);
        let key = Self {
            tap: heard.tap,
            index: heard.index,
            is_out: !heard.toward.is_in(),
            protocol: ip.protocol,
            from: (ip.from, from),
            to: (ip.to, to),
        };
        Some((key, is_sign))
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            source: self.from.0,
            source_port: Some(self.from.1),
            destination: self.to.0,
            destination_port: Some(self.to.1),
        }
    }
}

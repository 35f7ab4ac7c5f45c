//! What the kernel says about a route, and what its refusals mean.

use super::packet::Packet;
use super::path::ask;
use super::sight::{Address, RouteAsk, RouteFound, errno};
use super::walk::Walk;
use crate::state::Ns;
use std::net::IpAddr;

const RTN_UNICAST: u8 = 1;
const RTN_BLACKHOLE: u8 = 6;
const RTN_UNREACHABLE: u8 = 7;
const RTN_PROHIBIT: u8 = 8;

impl Walk<'_> {
    /// The route of a packet that the node makes; none when there is none, which is taken down.
    pub(super) fn way_out(&mut self, ns: &Ns, packet: &Packet, oif: Option<u32>) -> Option<RouteFound> {
        self.check_mark(ns, packet);
        let mut asked = RouteAsk { oif, ..ask(packet) };
        if oif.is_some() && asked.to.is_ipv6() {
            // With a source the kernel takes the interface for a wish, but not that of a bound socket
            // (net/ipv6/route.c, `ip6_route_output_flags`).
            asked.from = None;
        }
        let mut said = self.look_up(ns, &asked);
        if said == Err(errno::EINVAL) && asked.from.is_some() {
            // A source that is local by a route of another table (AnyIP) is refused here, and not by the sockets.
            said = self.look_up(ns, &RouteAsk { from: None, ..asked });
        }
        match said {
            Ok(found) => Some(found),
            Err(errno) => {
                self.blame_no_way_out(ns, packet, errno);
                None
            }
        }
    }

    /// The route of a packet that came in by a link; none when it ends here.
    pub(super) fn way_through(&mut self, ns: &Ns, iif: u32, packet: &Packet) -> Option<RouteFound> {
        self.check_mark(ns, packet);
        let asked = RouteAsk { iif: Some(iif), ..ask(packet) };
        match self.look_up(ns, &asked) {
            Ok(found) => {
                if found.kind != RouteFound::LOCAL && packet.destination.is_ipv6() && !self.forwards_ipv6(ns)
                {
                    self.blame_not_forwarding(ns, iif, packet, None);
                }
                Some(found)
            }
            Err(errno) => self.refused_through(ns, iif, packet, errno),
        }
    }

    /// A mark that is not known leaves open which route a packet takes, where rules choose tables by marks.
    fn check_mark(&mut self, ns: &Ns, packet: &Packet) {
        let inside = self.inside(ns);
        if packet.marks.packet.is_none() && inside.policy.iter().any(|rule| rule.mark.is_some()) {
            self.blame_unknown_mark(ns, packet);
            self.is_doubtful = true;
        }
    }

    /// Asks, and takes routes that refuse for refusals.
    fn look_up(&mut self, ns: &Ns, asked: &RouteAsk) -> Result<RouteFound, i32> {
        let found = self.kernel.route(ns, asked)?;
        match found.kind {
            RTN_UNICAST | RouteFound::LOCAL => Ok(found),
            RTN_BLACKHOLE => Err(errno::EINVAL),
            RTN_UNREACHABLE => Err(errno::EHOSTUNREACH),
            RTN_PROHIBIT => Err(errno::EACCES),
            _ => Err(0),
        }
    }

    fn forwards_ipv6(&mut self, ns: &Ns) -> bool {
        let inside = self.inside(ns);
        inside.sysctls.get("net.ipv6.conf.all.forwarding").is_none_or(|value| value != "0")
    }

    /// A look-up with an incoming interface was refused. Where only a setting is in the way, the walk goes on as if it
    /// were not.
    fn refused_through(&mut self, ns: &Ns, iif: u32, packet: &Packet, errno: i32) -> Option<RouteFound> {
        let own = self.look_up(ns, &RouteAsk { from: None, ..ask(packet) });
        let forwards = self.forwards_ipv4(ns, iif);
        match (errno, own) {
            // Without forwarding every failure of the look-up is told as this one.
            (errno::EHOSTUNREACH, own) if !forwards => {
                self.blame_not_forwarding(ns, iif, packet, Some(errno));
                match own {
                    Ok(own) => Some(own),
                    Err(errno) => {
                        self.blame_no_way_through(ns, iif, packet, errno);
                        None
                    }
                }
            }
            (errno::EINVAL | errno::EXDEV, Ok(own)) => {
                if self.way.is_there()
                    && self.from.as_ref() == Some(ns)
                    && self.outline(ns).has(packet.source)
                {
                    // It has come back to the one who sent it.
                    self.blame_loop(ns, packet);
                    return None;
                }
                self.blame_source(ns, iif, packet, errno);
                // What else the kernel would say is asked with a source that it does not doubt.
                if own.kind != RouteFound::LOCAL && !forwards {
                    self.blame_not_forwarding(ns, iif, packet, None);
                }
                Some(own)
            }
            (errno, _) => {
                self.blame_no_way_through(ns, iif, packet, errno);
                None
            }
        }
    }

    /// Whether packets that come in by a link are passed on.
    pub(super) fn forwards_ipv4(&mut self, ns: &Ns, iif: u32) -> bool {
        let outline = self.outline(ns);
        let inside = self.inside(ns);
        let name = outline.link(iif).map(|link| link.name.as_str().replace('.', "/")).unwrap_or_default();
        let of_link = inside.sysctls.get(&format!("net.ipv4.conf.{name}.forwarding"));
        let of_all = inside.sysctls.get("net.ipv4.ip_forward");
        of_link.or(of_all).is_none_or(|value| value != "0")
    }

    /// The value of a sysctl that holds for a link: the larger of its own and that of all.
    pub(super) fn larger_value(&mut self, ns: &Ns, link: u32, leaf: &str) -> (u32, String) {
        let outline = self.outline(ns);
        let inside = self.inside(ns);
        let name = outline.link(link).map(|link| link.name.as_str().replace('.', "/")).unwrap_or_default();
        let value = |conf: &str| {
            let key = format!("net.ipv4.conf.{conf}.{leaf}");
            (inside.sysctls.get(&key).and_then(|v| v.parse().ok()).unwrap_or(0), key)
        };
        let (of_all, of_link) = (value("all"), value(&name));
        if of_link.0 > of_all.0 { of_link } else { of_all }
    }

    /// A node that would pass packets on, on the same network as one of the addresses: the gateway that is missing. None
    /// that sends them back.
    pub(super) fn gateway_for(&mut self, ns: &Ns, packet: &Packet) -> Option<IpAddr> {
        let outline = self.outline(ns);
        let own: Vec<Address> = outline
            .global_addresses()
            .filter(|own| own.prefix.addr().is_ipv4() == packet.destination.is_ipv4())
            .copied()
            .collect();
        let mut second_best = None;
        for address in own {
            let spread = self.reached(ns, address.index);
            let mut links: Vec<(Ns, u32)> = spread.arrivals.into_iter().map(|a| (a.ns, a.link)).collect();
            links.retain(|(place, _)| place != ns);
            for (place, index) in links {
                let there = self.outline(&place);
                let near = there.addresses_of(index).map(|a| a.prefix.addr());
                let Some(gateway) = near.into_iter().find(|a| address.prefix.contains(a)) else { continue };
                let leads = self.kernel.route(&place, &RouteAsk { from: None, ..ask(packet) });
                match leads {
                    Ok(found) if found.kind == RouteFound::LOCAL => return Some(gateway),
                    Ok(found) => {
                        if found.index != index && !self.leads_back(ns, &place, packet.destination) {
                            return Some(gateway);
                        }
                    }
                    // Something may be wrong there too; a node on several networks is a router all the same.
                    Err(_) => {
                        let is_router =
                            there.links.iter().filter(|l| !l.is_loopback() && l.vxlan().is_none()).count()
                                > 1;
                        if is_router {
                            second_best.get_or_insert(gateway);
                        }
                    }
                }
            }
        }
        second_best
    }
    /// Whether the routes from a node on lead to another one that has passed the packet already.
    fn leads_back(&mut self, from: &Ns, gateway: &Ns, to: IpAddr) -> bool {
        let mut been = vec![from.clone()];
        let mut place = gateway.clone();
        loop {
            if been.contains(&place) {
                return true;
            }
            been.push(place.clone());
            let Ok(found) = self.kernel.route(&place, &RouteAsk::to(to)) else { return false };
            if found.kind == RouteFound::LOCAL {
                return false;
            }
            match found.via.and_then(|via| self.owner_of(via)) {
                Some(next) => place = next,
                None => return false,
            }
        }
    }
}

//! Frames in tunnels: the packets that carry them have a way of their own, and its ends have to fit.

use super::About;
use super::ethernet::{Step, TunnelEnd};
use super::packet::Packet;
use super::sight::{Link, Vxlan};
use super::walk::{Ended, Walk, unspecified};
use crate::fault::Cause;
use crate::journey::Event;
use std::net::IpAddr;

impl Walk<'_> {
    /// A frame is put into a tunnel at a link, carried to an address, and taken out there.
    pub(super) fn tunnelled(&mut self, step: &Step, remote: IpAddr, end: &TunnelEnd, packet: &Packet) {
        let Some(link) = self.link(&step.ns, step.link) else { return };
        let Some(vxlan) = link.vxlan() else { return };
        let place = self.place(&step.ns, step.link);
        let event = |is_in| Event::Tunnelled { kind: "vxlan".to_owned(), is_in, id: Some(vxlan.id) };
        self.hop(place, event(true), packet);
        let known = self.faults.len();
        let ended = self.carry(step, &link, vxlan, remote);
        match end {
            TunnelEnd::Takes(ns, index) => {
                let place = self.place(ns, *index);
                self.hop(place, event(false), packet);
            }
            TunnelEnd::Differs(ns, index) => self.blame_tunnel(step, (vxlan, remote), (ns, *index), packet),
            TunnelEnd::Missing => match ended {
                // What lies there cannot be seen; that was said.
                Ended::Left(..) => {}
                Ended::Delivered(ns, _) => self.blame_no_tunnel(step, (vxlan, remote), Some(&ns), packet),
                Ended::Lost => {
                    // That nobody has the address is the tunnel's fault; all else stops its packets on their way.
                    let is_nobody = |cause| matches!(cause, Cause::NoSuchAddress);
                    if self.faults[known..].iter().all(|fault| is_nobody(fault.cause)) {
                        self.faults.truncate(known);
                        self.blame_no_tunnel(step, (vxlan, remote), None, packet);
                    }
                }
            },
        }
    }

    /// Follows the packet that carries a frame. Whatever would stop it is taken down on its way.
    fn carry(&mut self, step: &Step, link: &Link, vxlan: Vxlan, remote: IpAddr) -> Ended {
        let source = vxlan.local.unwrap_or(unspecified(remote));
        let carrier = Packet::first(source, remote, About::Udp(vxlan.port));
        let by = link.end.as_ref().filter(|end| end.ns.as_ref() == Some(&step.ns)).map(|end| end.index);
        let flows = std::mem::take(&mut self.flows);
        let exits = std::mem::take(&mut self.exits);
        let ct_marks = std::mem::take(&mut self.ct_marks);
        let was_in_tunnel = std::mem::replace(&mut self.is_in_tunnel, true);
        let largest = self.largest.replace(link.mtu + Vxlan::overhead(remote));
        let (ended, _) = self.originate(&step.ns, carrier, by);
        (self.flows, self.exits, self.ct_marks) = (flows, exits, ct_marks);
        (self.is_in_tunnel, self.largest) = (was_in_tunnel, largest);
        ended
    }
}

//! Faults of tunnels: their ends do not fit.

use crate::fault::{Cause, Fault};
use crate::state::Ns;
use crate::why::ethernet::Step;
use crate::why::packet::Packet;
use crate::why::sight::{Link, Vxlan};
use crate::why::walk::Walk;
use std::net::IpAddr;

impl Walk<'_> {
    /// The other end takes frames of another network, or at another port.
    pub(in crate::why) fn blame_tunnel(
        &mut self,
        step: &Step,
        (vxlan, remote): (Vxlan, IpAddr),
        (ns, index): (&Ns, u32),
        packet: &Packet,
    ) {
        let (near, far) = (self.place(&step.ns, step.link), self.place(ns, index));
        let is_known =
            |fault: &Fault| fault.cause == Cause::TunnelMismatch && (fault.at == near || fault.at == far);
        let Some(link) = self.link(ns, index).filter(|_| !self.faults.iter().any(is_known)) else { return };
        let Some(its) = link.vxlan() else { return };
        let sentence = format!(
            "{near} sends frames of VNI {} to {remote} at UDP port {}, and {far} takes those of VNI {} at port {}",
            vxlan.id, vxlan.port, its.id, its.port
        );
        let again = self.made_again(ns, &link, Vxlan { id: vxlan.id, port: vxlan.port, ..its });
        let fault = self
            .fault(Cause::TunnelMismatch, far.clone(), sentence)
            .shown(&step.ns, show(&near.interface), words(vxlan))
            .shown(ns, show(&far.interface), words(its))
            .mended(ns, "makes it anew, as the other end is", again);
        self.blame(fault, packet);
    }

    /// Nobody takes the frames at the address that they are sent to: whoever has it has no such tunnel.
    pub(in crate::why) fn blame_no_tunnel(
        &mut self,
        step: &Step,
        (vxlan, remote): (Vxlan, IpAddr),
        owner: Option<&Ns>,
        packet: &Packet,
    ) {
        let near = self.place(&step.ns, step.link);
        let whose = match owner {
            Some(owner) => format!("{owner}, which has that address, has no vxlan that takes them"),
            None => "nobody has that address".to_owned(),
        };
        let sentence = format!(
            "{near} sends frames of VNI {} to {remote} at UDP port {}, and {whose}",
            vxlan.id, vxlan.port
        );
        let mut fault = self.fault(Cause::TunnelMismatch, near.clone(), sentence).shown(
            &step.ns,
            show(&near.interface),
            words(vxlan),
        );
        if let Some(owner) = owner {
            fault = fault.shown(owner, "ip -d link show type vxlan", "none of that VNI and port");
        }
        if let (Some(right), Some(name)) = (self.other_end(step, vxlan), &near.interface) {
            let command = format!("ip link set {name} type vxlan id {} remote {right}", vxlan.id);
            fault = fault.mended(&step.ns, "sends to the end that there is", command);
        }
        self.blame(fault, packet);
    }

    /// A tunnel that knows nobody to send to.
    pub(in crate::why) fn blame_no_remote(&mut self, step: &Step, packet: &Packet) {
        let near = self.place(&step.ns, step.link);
        let Some(vxlan) = self.link(&step.ns, step.link).and_then(|link| link.vxlan()) else { return };
        let sentence = format!("{near} knows no other end of VNI {}: it has no remote", vxlan.id);
        let mut fault = self.fault(Cause::TunnelMismatch, near.clone(), sentence).shown(
            &step.ns,
            show(&near.interface),
            words(vxlan),
        );
        if let (Some(right), Some(name)) = (self.other_end(step, vxlan), &near.interface) {
            let command = format!("bridge fdb append 00:00:00:00:00:00 dev {name} dst {right}");
            fault = fault.mended(&step.ns, "sends to the end that there is", command);
        }
        self.blame(fault, packet);
    }

    /// The address of the only other end that would take the frames.
    fn other_end(&mut self, step: &Step, vxlan: Vxlan) -> Option<IpAddr> {
        let mut found = Vec::new();
        for place in self.near.clone() {
            let outline = self.outline(&place);
            let takes = |link: &&Link| {
                (&place, link.index) != (&step.ns, step.link)
                    && link.vxlan().is_some_and(|its| its.takes(&vxlan))
            };
            for its in outline.links.iter().filter(takes).filter_map(Link::vxlan) {
                let is_outer = |index: u32| outline.link(index).is_some_and(|link| link.vxlan().is_none());
                let mut own = outline.global_addresses().filter(|own| is_outer(own.index));
                found.extend(its.local.or_else(|| own.next().map(|own| own.prefix.addr())));
            }
        }
        found.pop().filter(|_| found.is_empty())
    }

    /// The commands that make a vxlan anew: what it is cannot be changed.
    fn made_again(&mut self, ns: &Ns, link: &Link, vxlan: Vxlan) -> String {
        let outline = self.outline(ns);
        let name = &link.name;
        let mac = link.mac.map_or_else(String::new, |mac| format!(" address {mac}"));
        let dev = link.end.as_ref().and_then(|end| outline.link(end.index));
        let dev = dev.map_or_else(String::new, |dev| format!(" dev {}", dev.name));
        let mut commands = vec![
            format!("ip link delete {name}"),
            format!("ip link add {name}{mac} mtu {} type {}{dev}", link.mtu, words(vxlan)),
        ];
        if let Some(bridge) = link.master.and_then(|master| outline.link(master)) {
            commands.push(format!("ip link set {name} master {}", bridge.name));
        }
        let addresses =
            outline.addresses_of(link.index).filter(|own| crate::why::is_global(own.prefix.addr()));
        commands.extend(addresses.map(|own| format!("ip address add {} dev {name}", own.prefix)));
        commands.push(format!("ip link set {name} up"));
        commands.join(" && ")
    }
}

/// `vxlan id 42 remote 10.0.0.2 local 10.0.0.1 dstport 4789`
fn words(vxlan: Vxlan) -> String {
    let end = |word: &str, address: Option<IpAddr>| {
        address.map_or_else(String::new, |address| format!(" {word} {address}"))
    };
    let remote = if vxlan.remote.is_some_and(|remote| remote.is_multicast()) { "group" } else { "remote" };
    let learning = if vxlan.learns { "" } else { " nolearning" };
    format!(
        "vxlan id {}{}{} dstport {}{learning}",
        vxlan.id,
        end(remote, vxlan.remote),
        end("local", vxlan.local),
        vxlan.port
    )
}

fn show(interface: &Option<crate::name::IfName>) -> String {
    let name = interface.as_ref().map_or_else(|| "type vxlan".to_owned(), ToString::to_string);
    format!("ip -d link show {name}")
}

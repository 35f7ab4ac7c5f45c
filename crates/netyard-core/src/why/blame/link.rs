//! Faults of links and bridges.

use crate::fault::{Cause, Confidence, Effect, Place};
use crate::state::Ns;
use crate::why::ethernet::{Step, Trouble};
use crate::why::packet::Packet;
use crate::why::sight::{Link, NeighbourTable};
use crate::why::walk::Walk;

impl Walk<'_> {
    pub(in crate::why) fn blame_loopback(&mut self, ns: &Ns, packet: &Packet) {
        let at = match self.link(ns, 1) {
            Some(lo) => Place::interface(ns.clone(), lo.name),
            None => Place::node(ns.clone()),
        };
        let sentence = format!(
            "the loopback of {ns} is down: a node's packets to its own addresses, {} too, go over it",
            packet.destination
        );
        let fault = self
            .fault(Cause::LoopbackDown, at, sentence)
            .shown(ns, "ip link show lo", "state DOWN")
            .shown(
                ns,
                format!("ip route get {}", packet.destination),
                format!("local {} dev lo", packet.destination),
            )
            .mended(ns, "sets it up", "ip link set lo up");
        self.blame(fault, packet);
    }

    /// Something stops a frame at a link.
    pub(in crate::why) fn blame_trouble(
        &mut self,
        step: &Step,
        trouble: Trouble,
        _: Option<u32>,
        packet: &Packet,
    ) {
        let Some(link) = self.link(&step.ns, step.link) else { return };
        let ns = &step.ns;
        let place = Place::interface(ns.clone(), link.name.clone());
        let outline = self.outline(ns);
        let show = format!("ip -d link show {}", link.name);
        let fault = match trouble {
            Trouble::Down => return self.blame_down(ns, &link, packet),
            Trouble::NoCarrier => self
                .fault(Cause::NoCarrier, place.clone(), format!("{place} is up and has no carrier"))
                .shown(ns, show, "NO-CARRIER, LOWERLAYERDOWN"),
            Trouble::BridgeDown => self
                .fault(
                    Cause::BridgeDown,
                    place.clone(),
                    format!("the bridge {place} is down: its ports are up and pass nothing"),
                )
                .shown(ns, show, "state DOWN; its ports: state disabled")
                .mended(ns, "sets it up", format!("ip link set {} up", link.name)),
            Trouble::Port(state) => {
                let port = link.port.map_or("disabled", |port| port.word());
                let bridge = link.master.and_then(|master| outline.link(master));
                let bridge_name = bridge.map(|bridge| bridge.name.to_string()).unwrap_or_default();
                let stp = bridge.and_then(|bridge| bridge.bridge()).filter(|bridge| bridge.has_stp);
                let because = match (stp, state) {
                    (Some(stp), 1 | 2) => format!(
                        "the spanning tree makes it wait twice {} s before it forwards",
                        stp.forward_delay_s
                    ),
                    (Some(_), _) => "the spanning tree keeps it shut".to_owned(),
                    (None, _) => "somebody has set that".to_owned(),
                };
                let mut fix = format!("bridge link set dev {} state 3", link.name);
                if stp.is_some() {
                    fix = format!("ip link set {bridge_name} type bridge stp_state 0 && {fix}");
                }
                self.fault(
                    Cause::PortNotForwarding,
                    place.clone(),
                    format!(
                        "port {} of {ns}:{bridge_name} does not forward, its state is {port}: {because}",
                        link.name
                    ),
                )
                .shown(ns, format!("bridge link show dev {}", link.name), format!("state {port}"))
                .mended(ns, "makes it forward", fix)
            }
            Trouble::Isolated(other) => {
                // The same two on the way back are the same fault.
                let other = outline.link(other).map_or_else(|| link.name.clone(), |link| link.name.clone());
                let (first, second) =
                    if other < link.name { (other, link.name.clone()) } else { (link.name.clone(), other) };
                self.fault(
                    Cause::PortsIsolated,
                    Place::interface(ns.clone(), first.clone()),
                    format!("the bridge ports {first} and {second} of {ns} are isolated: nothing passes between isolated ports"),
                )
                .shown(ns, format!("bridge -d link show dev {first}"), "isolated on")
                .shown(ns, format!("bridge -d link show dev {second}"), "isolated on")
                .mended(ns, "lets it pass", format!("bridge link set dev {first} isolated off"))
            }
            Trouble::NoPeer => self
                .fault(
                    Cause::NoPeer,
                    place.clone(),
                    format!("the cable of {place} leads nowhere that can be seen"),
                )
                .shown(ns, show, "its other end is in no namespace that can be seen"),
            Trouble::NoRemote => return self.blame_no_remote(step, packet),
            Trouble::NotUnderstood | Trouble::OutOfSight => {
                return self.blame_out_of_sight(ns, &link, packet);
            }
        };
        self.blame(fault, packet);
    }

    /// A link is down: one end of a cable.
    fn blame_down(&mut self, ns: &Ns, link: &Link, packet: &Packet) {
        let place = Place::interface(ns.clone(), link.name.clone());
        let outline = self.outline(ns);
        let far = link.end.as_ref().and_then(|end| {
            let far = end.ns.clone()?;
            let name = self.link(&far, end.index)?.name;
            Some(Place::interface(far, name))
        });
        let has_address = outline.addresses_of(link.index).next().is_some();
        let (cause, sentence) = match &far {
            Some(far) if !has_address => (
                Cause::NoCarrier,
                format!("{far} has no carrier: the other end of its cable, {place}, is down"),
            ),
            _ => (Cause::InterfaceDown, format!("the interface {place} is down")),
        };
        let mut fault = self.fault(cause, place, sentence).shown(
            ns,
            format!("ip link show {}", link.name),
            "state DOWN, without the flag UP",
        );
        if let Some(far) = &far
            && let Some(name) = &far.interface
        {
            fault = fault.shown(&far.node, format!("ip link show {name}"), "NO-CARRIER");
        }
        let fault = fault.mended(ns, "sets it up", format!("ip link set {} up", link.name));
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_out_of_sight(&mut self, ns: &Ns, link: &Link, packet: &Packet) {
        self.leaves_sight = true;
        let place = Place::interface(ns.clone(), link.name.clone());
        let kind = match &link.kind {
            crate::why::sight::LinkKind::Other(word) if !word.is_empty() => {
                format!(", a link of kind {word},")
            }
            _ => String::new(),
        };
        let sentence = format!("packets leave by {place}{kind} for what netyard cannot see");
        let fault =
            self.fault(Cause::NotUnderstood, place, sentence).with_confidence(Confidence::Unknown).shown(
                ns,
                format!("ip -d link show {}", link.name),
                "its other end is not in any namespace here",
            );
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_address_on_port(&mut self, ns: &Ns, link: &Link, packet: &Packet) {
        let place = Place::interface(ns.clone(), link.name.clone());
        let outline = self.outline(ns);
        let bridge = link.master.and_then(|master| outline.link(master)).map(|link| link.name.to_string());
        let bridge = bridge.unwrap_or_default();
        let addresses: Vec<String> = outline.addresses_of(link.index).map(|a| a.prefix.to_string()).collect();
        let sentence = format!(
            "{ns} has the address {} on {}, a port of {bridge}: what comes in there goes to the bridge, so that no answer to ARP arrives",
            addresses.join(", "),
            link.name
        );
        let mut fault = self.fault(Cause::AddressOnPort, place, sentence).shown(
            ns,
            format!("ip address show {}", link.name),
            format!("master {bridge}, {}", addresses.join(", ")),
        );
        let moves: Vec<String> = outline
            .addresses_of(link.index)
            .filter(|a| crate::why::is_global(a.prefix.addr()))
            .map(|a| {
                format!(
                    "ip address delete {0} dev {1} && ip address add {0} dev {bridge}",
                    a.prefix, link.name
                )
            })
            .collect();
        if !moves.is_empty() {
            fault = fault.mended(ns, "moves it to the bridge", moves.join(" && "));
        }
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_full_table(&mut self, ns: &Ns, table: &NeighbourTable, packet: &Packet) {
        let (version, key) = if table.is_ipv6 { ("IPv6", "ipv6") } else { ("IPv4", "ipv4") };
        let key = format!("net.{key}.neigh.default.gc_thresh3");
        let sentence = format!(
            "the machine's table of {version} neighbours is full ({} of {}): {ns} cannot take in another one",
            table.entries, table.max
        );
        let fault = self
            .fault(Cause::NeighbourTableFull, Place::node(ns.clone()), sentence)
            // Old entries may be given up for new ones.
            .with_effect(Effect::Sometimes)
            .with_confidence(Confidence::Likely)
            .shown(ns, "ip ntable show", format!("entries {}, thresh3 {}", table.entries, table.max))
            .mended(
                ns,
                "makes room; only root of the machine may, outside of the lab",
                format!("sysctl -w {key}={}", table.max * 8),
            );
        self.blame(fault, packet);
    }

    /// A link takes less than `largest` bytes, which another one sends.
    pub(in crate::why) fn blame_mtu(
        &mut self,
        (from, largest): (&Link, u32),
        ns: &Ns,
        narrow: &Link,
        packet: &Packet,
    ) {
        let place = Place::interface(ns.clone(), narrow.name.clone());
        let sentence = format!(
            "{place} takes {} bytes, and {} sends up to {}: larger packets vanish between them, and nobody tells the sender",
            narrow.mtu, from.name, largest
        );
        let fault = self
            .fault(Cause::MtuTooSmall, place, sentence)
            .with_effect(Effect::StopsLarge)
            .shown(ns, format!("ip link show {}", narrow.name), format!("mtu {}", narrow.mtu))
            .mended(ns, "makes them alike", format!("ip link set {} mtu {}", narrow.name, from.mtu));
        self.blame(fault, packet);
    }
}

//! The way of a frame: over cables and through bridges, to where the network layer takes it.
//!
//! All ways are followed at once, those without a fault first. A fault does not end a way: what lies behind it is looked
//! at as if it were mended, so that several faults on one way are all found. A place is passed once, by the best way.

use super::kernel::Kernel;
use super::sight::{End, Link, LinkKind, Outline, RouteAsk, Vxlan};
use crate::journey::Forwarding;
use crate::mac::Mac;
use crate::state::{MacvlanMode, Ns};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

/// Whom a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// One Ethernet address.
    One(Mac),
    /// Everybody: ARP requests and neighbour solicitations.
    All,
}

/// Something that happened to a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub ns: Ns,
    /// ifindex of the link.
    pub link: u32,
    /// What.
    pub what: What,
}

/// What happened to a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It left by the link.
    Sent,
    /// It came in by the link.
    Received,
    /// A bridge, which is the link, passed it on.
    Bridged {
        /// The port that it came in by; none when the bridge's own node sent it.
        from: Option<u32>,
        /// The port that it leaves by; none when it is for the bridge's own node.
        to: Option<u32>,
        /// How that was chosen.
        how: Forwarding,
    },
    /// A tunnel, which is the link, took it.
    Tunnelled {
        /// Where its packet goes.
        remote: IpAddr,
        /// Who takes the frame out of it.
        end: TunnelEnd,
    },
    /// Here it would end.
    Stopped(Trouble),
}

/// The other end of a tunnel: namespace and ifindex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelEnd {
    /// It takes the frames.
    Takes(Ns, u32),
    /// It is there, and takes those of another network or port.
    Differs(Ns, u32),
    /// There is none.
    Missing,
}

impl What {
    /// Whether it stops the frame.
    fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::Stopped(_) | Self::Tunnelled { end: TunnelEnd::Differs(..) | TunnelEnd::Missing, .. }
        )
    }
}

/// What stops a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The link is down.
    Down,
    /// The link is up, and the wire is not alive.
    NoCarrier,
    /// The bridge is down.
    BridgeDown,
    /// The port does not forward; the state.
    Port(u8),
    /// Both ports are isolated: this one and the one that it came by.
    Isolated(u32),
    /// The link's other end cannot be seen.
    NoPeer,
    /// The tunnel does not know where to send it.
    NoRemote,
    /// What the kind of link does is not known.
    NotUnderstood,
    /// Frames leave what can be seen.
    OutOfSight,
}

/// Where the network layer takes a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The namespace.
    pub ns: Ns,
    /// ifindex of the link.
    pub link: u32,
    /// What happened on the way.
    pub steps: Vec<Step>,
}

impl Arrival {
    /// How many things on the way would stop it.
    #[must_use]
    pub fn trouble_count(&self) -> usize {
        self.steps.iter().filter(|step| step.what.is_trouble()).count()
    }

    /// The troubles of links on the way, each with its place.
    pub fn troubles(&self) -> impl Iterator<Item = (&Step, Trouble)> {
        self.steps.iter().filter_map(|step| match step.what {
            What::Stopped(trouble) => Some((step, trouble)),
            _ => None,
        })
    }
}

/// Where a frame gets to.
#[derive(Debug, Default)]
pub struct Spread {
    /// Where it is taken, the best way first.
    pub arrivals: Vec<Arrival>,
    /// Where it comes by but is not taken: namespace and ifindex of links that are no ports.
    pub passed: Vec<(Ns, u32)>,
    /// Where it leaves what can be seen: the last step.
    pub lost_sight: Vec<Vec<Step>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Phase {
    /// About to leave by the link.
    Out,
    /// Has come in by the link.
    In,
}

#[derive(PartialEq, Eq)]
struct Front {
    /// Troubles so far, then steps: the lowest is the best.
    cost: (usize, usize),
    at: (Ns, u32),
    phase: Phase,
    tags: Vec<u16>,
    steps: Vec<Step>,
}

impl Ord for Front {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.cost, &self.at, self.phase).cmp(&(other.cost, &other.at, other.phase))
    }
}

impl PartialOrd for Front {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Sends a frame out of a link. `is_wanted` says which links may take it.
pub fn spread(
    kernel: &mut dyn Kernel,
    from: (&Ns, u32),
    to: To,
    is_wanted: &dyn Fn(&Ns, &Link, &Outline) -> bool,
) -> Spread {
    let mut ways =
        Ways { kernel, to, queue: BinaryHeap::new(), seen: HashSet::new(), spread: Spread::default() };
    ways.push((from.0.clone(), from.1), Phase::Out, Vec::new(), Vec::new());
    while let Some(Reverse(front)) = ways.queue.pop() {
        if ways.seen.insert((front.at.clone(), front.phase, front.tags.clone())) {
            ways.step(front, is_wanted);
        }
    }
    ways.spread
}

struct Ways<'k> {
    kernel: &'k mut dyn Kernel,
    to: To,
    queue: BinaryHeap<Reverse<Front>>,
    seen: HashSet<((Ns, u32), Phase, Vec<u16>)>,
    spread: Spread,
}

impl Ways<'_> {
    fn push(&mut self, at: (Ns, u32), phase: Phase, tags: Vec<u16>, steps: Vec<Step>) {
        let troubles = steps.iter().filter(|step| step.what.is_trouble()).count();
        self.queue.push(Reverse(Front { cost: (troubles, steps.len()), at, phase, tags, steps }));
    }

    fn step(&mut self, front: Front, is_wanted: &dyn Fn(&Ns, &Link, &Outline) -> bool) {
        let Some(outline) = self.kernel.outline(&front.at.0) else {
            self.spread.lost_sight.push(front.steps);
            return;
        };
        let Some(link) = outline.link(front.at.1).cloned() else { return };
        match front.phase {
            Phase::Out => self.leave(front, &outline, &link),
            Phase::In => self.come(front, &outline, &link, is_wanted),
        }
    }

    fn leave(&mut self, front: Front, outline: &Rc<Outline>, link: &Link) {
        let Front { at: (ns, index), tags, mut steps, .. } = front;
        if let Some(_bridge) = link.bridge() {
            self.bridge(&ns, outline, link, None, tags, steps);
            return;
        }
        let step = |what| Step { ns: ns.clone(), link: index, what };
        if !link.is_up() {
            steps.push(step(What::Stopped(Trouble::Down)));
        }
        steps.push(step(What::Sent));
        let end = link.end.clone();
        match (&link.kind, end) {
            (LinkKind::Veth, Some(End { ns: Some(other), index })) => {
                let far = self.kernel.outline(&other).and_then(|outline| outline.link(index).cloned());
                // The far end's own state is found there.
                let is_alive = link.has_carrier() || !link.is_up() || far.is_none_or(|far| !far.is_up());
                if !is_alive {
                    steps.push(step(What::Stopped(Trouble::NoCarrier)));
                }
                self.push((other, index), Phase::In, tags, steps);
            }
            (LinkKind::Veth, _) => {
                // A wire that is alive has somebody at its other end, who cannot be seen.
                let trouble = if link.has_carrier() { Trouble::OutOfSight } else { Trouble::NoPeer };
                steps.push(step(What::Stopped(trouble)));
                self.spread.lost_sight.push(steps);
            }
            (LinkKind::Macvlan(mode), Some(End { ns: Some(parent_ns), index: parent })) => {
                if *mode == MacvlanMode::Bridge {
                    for (other, sibling) in
                        self.children((&parent_ns, parent), |kind| matches!(kind, LinkKind::Macvlan(_)))
                    {
                        if (&other, sibling.index) != (&ns, index) {
                            self.push((other, sibling.index), Phase::In, tags.clone(), steps.clone());
                        }
                    }
                }
                self.push((parent_ns, parent), Phase::Out, tags, steps);
            }
            (LinkKind::Vlan(id), Some(End { ns: Some(parent_ns), index: parent })) => {
                let tags = [&tags[..], &[*id]].concat();
                self.push((parent_ns, parent), Phase::Out, tags, steps);
            }
            (LinkKind::Vxlan(vxlan), _) => self.tunnel(&ns, index, *vxlan, &tags, steps),
            (LinkKind::Loopback, _) => self.push((ns.clone(), index), Phase::In, tags, steps),
            (LinkKind::Other(word), _) => {
                let is_known = ["", "tun"].contains(&word.as_str());
                steps.push(step(What::Stopped(if is_known {
                    Trouble::OutOfSight
                } else {
                    Trouble::NotUnderstood
                })));
                self.spread.lost_sight.push(steps);
            }
            _ => {
                steps.push(step(What::Stopped(Trouble::NoPeer)));
                self.spread.lost_sight.push(steps);
            }
        }
    }

    /// The links of all namespaces that stand on another one.
    fn children(&mut self, parent: (&Ns, u32), is_kind: impl Fn(&LinkKind) -> bool) -> Vec<(Ns, Link)> {
        let mut found = Vec::new();
        for (ns, index) in self.kernel.standing_on(parent.0, parent.1) {
            let link = self.kernel.outline(&ns).and_then(|outline| outline.link(index).cloned());
            found.extend(link.filter(|link| is_kind(&link.kind)).map(|link| (ns, link)));
        }
        found
    }

    /// The frame goes to the other ends of a network over UDP.
    fn tunnel(&mut self, ns: &Ns, index: u32, vxlan: Vxlan, tags: &[u16], mut steps: Vec<Step>) {
        let remotes = self.remotes(ns, index, vxlan);
        if remotes.is_empty() {
            steps.push(Step { ns: ns.clone(), link: index, what: What::Stopped(Trouble::NoRemote) });
            self.spread.lost_sight.push(steps);
            return;
        }
        for remote in remotes {
            let put_in = |end: TunnelEnd| {
                let what = What::Tunnelled { remote, end };
                [&steps[..], &[Step { ns: ns.clone(), link: index, what }]].concat()
            };
            let ends = self.tunnel_ends((ns, index), vxlan, remote);
            if ends.is_empty() {
                self.spread.lost_sight.push(put_in(TunnelEnd::Missing));
            }
            for (other, end, its) in ends {
                let takes = its.takes(&vxlan);
                let told = if takes { TunnelEnd::Takes } else { TunnelEnd::Differs };
                let steps = put_in(told(other.clone(), end));
                self.push((other, end), Phase::In, tags.to_vec(), steps);
            }
        }
    }

    /// Where the packets of a tunnel go.
    fn remotes(&mut self, ns: &Ns, index: u32, vxlan: Vxlan) -> Vec<IpAddr> {
        let inside = self.kernel.inside(ns);
        let known = |mac: Mac| {
            let own = inside.learned.iter().filter(|l| l.port == index && l.bridge.is_none() && l.mac == mac);
            own.filter_map(|l| l.remote).collect::<Vec<_>>()
        };
        let mut all = known(Mac([0; 6]));
        all.extend(vxlan.remote.filter(|remote| !all.contains(remote)));
        let To::One(mac) = self.to else { return all };
        let one = known(mac);
        if !one.is_empty() {
            return one;
        }
        // Whoever is asked has learned from the question where it came from.
        if vxlan.learns {
            all.extend(self.askers(ns, index, vxlan));
        }
        all
    }

    /// The addresses of the ends whose frames come to one.
    fn askers(&mut self, ns: &Ns, index: u32, vxlan: Vxlan) -> Vec<IpAddr> {
        let Some(own) = self.kernel.outline(ns) else { return Vec::new() };
        let mut found = Vec::new();
        for (place, _, its) in self.all_ends((ns, index)) {
            let to = its.remote.filter(|to| vxlan.takes(&its) && own.has(*to));
            let Some(to) = to else { continue };
            let chosen = || self.kernel.route(&place, &RouteAsk::to(to)).ok()?.source;
            found.extend(its.local.or_else(chosen));
        }
        found
    }

    /// All ends of networks over UDP but one.
    fn all_ends(&mut self, but: (&Ns, u32)) -> Vec<(Ns, u32, Vxlan)> {
        let mut found = Vec::new();
        for place in self.kernel.places() {
            let Some(outline) = self.kernel.outline(&place) else { continue };
            let ends = outline.links.iter().filter(|link| (&place, link.index) != but);
            found.extend(ends.filter_map(|link| Some((place.clone(), link.index, link.vxlan()?))));
        }
        found
    }

    /// The ends at an address: those that take the frames; where there is none, the one that is most like it.
    fn tunnel_ends(&mut self, from: (&Ns, u32), vxlan: Vxlan, remote: IpAddr) -> Vec<(Ns, u32, Vxlan)> {
        let mut there = self.all_ends(from);
        there.retain(|(place, _, its)| {
            if remote.is_multicast() {
                return its.remote == Some(remote);
            }
            self.kernel.outline(place).is_some_and(|outline| outline.has(remote))
        });
        if there.iter().any(|(.., its)| its.takes(&vxlan)) {
            there.retain(|(.., its)| its.takes(&vxlan));
        } else {
            there.sort_by_key(|(_, index, its)| (its.id != vxlan.id, its.port != vxlan.port, *index));
            there.truncate(1);
        }
        there
    }

    fn come(
        &mut self,
        front: Front,
        outline: &Rc<Outline>,
        link: &Link,
        is_wanted: &dyn Fn(&Ns, &Link, &Outline) -> bool,
    ) {
        let Front { at: (ns, index), tags, mut steps, .. } = front;
        if !link.is_up() && link.bridge().is_none() {
            steps.push(Step { ns: ns.clone(), link: index, what: What::Stopped(Trouble::Down) });
        }
        if link.bridge().is_none() {
            steps.push(Step { ns: ns.clone(), link: index, what: What::Received });
        }
        if let Some((last, rest)) = tags.split_last() {
            for (other, child) in self.children((&ns, index), |kind| *kind == LinkKind::Vlan(*last)) {
                self.push((other, child.index), Phase::In, rest.to_vec(), steps.clone());
            }
        } else {
            for (other, child) in self.children((&ns, index), |kind| matches!(kind, LinkKind::Macvlan(_))) {
                self.push((other, child.index), Phase::In, Vec::new(), steps.clone());
            }
        }
        let master =
            link.master.and_then(|master| outline.link(master)).filter(|master| master.bridge().is_some());
        match master {
            Some(bridge) => self.bridge(&ns, outline, &bridge.clone(), Some(link), tags, steps),
            None if tags.is_empty() => self.take(&ns, outline, link, steps, is_wanted),
            None => {}
        }
    }

    /// The network layer takes what is for it.
    fn take(
        &mut self,
        ns: &Ns,
        outline: &Rc<Outline>,
        link: &Link,
        steps: Vec<Step>,
        is_wanted: &dyn Fn(&Ns, &Link, &Outline) -> bool,
    ) {
        let is_for_it = match self.to {
            To::All => true,
            To::One(mac) => link.mac.is_none_or(|own| own == mac),
        };
        if is_for_it && is_wanted(ns, link, outline) {
            self.spread.arrivals.push(Arrival { ns: ns.clone(), link: link.index, steps });
        } else {
            self.spread.passed.push((ns.clone(), link.index));
        }
    }

    /// A bridge passes the frame on to ports, and to its own node.
    fn bridge(
        &mut self,
        ns: &Ns,
        outline: &Rc<Outline>,
        bridge: &Link,
        from: Option<&Link>,
        tags: Vec<u16>,
        mut steps: Vec<Step>,
    ) {
        const FORWARDING: u8 = 3;
        let step = |link: u32, what| Step { ns: ns.clone(), link, what };
        if !bridge.is_up() {
            steps.push(step(bridge.index, What::Stopped(Trouble::BridgeDown)));
        }
        // What a port's state says while it has no carrier or its bridge is down follows from that.
        let is_shut = |port: &Link| {
            let state = port.port.map(|p| p.state).filter(|state| *state != FORWARDING);
            state.filter(|_| port.is_up() && port.has_carrier() && bridge.is_up())
        };
        if let Some(port) = from
            && let Some(state) = is_shut(port)
        {
            steps.push(step(port.index, What::Stopped(Trouble::Port(state))));
        }
        let inside = self.kernel.inside(ns);
        let entry = match self.to {
            To::All => None,
            To::One(mac) => inside.learned.iter().find(|l| l.bridge == Some(bridge.index) && l.mac == mac),
        };
        let own = self.to == To::All
            || entry.is_some_and(|entry| entry.is_own)
            || matches!(self.to, To::One(mac) if bridge.mac == Some(mac));
        if own && from.is_some() {
            let mut steps = steps.clone();
            let (from, how) = (from.map(|port| port.index), Forwarding::Local);
            steps.push(step(bridge.index, What::Bridged { from, to: None, how }));
            // The bridge is now the link that the frame came in by.
            self.push((ns.clone(), bridge.index), Phase::In, tags.clone(), steps);
        }
        if self.to != To::All && own {
            return;
        }
        let hit = entry.filter(|entry| !entry.is_own).map(|entry| entry.port);
        let ports: Vec<&Link> =
            outline.links.iter().filter(|port| port.master == Some(bridge.index)).collect();
        for port in ports {
            let is_back = from.is_some_and(|from| from.index == port.index);
            let floods = port.port.is_none_or(|p| p.floods) || self.to == To::All;
            if is_back && !port.port.is_some_and(|p| p.is_hairpin) || hit.is_some_and(|hit| hit != port.index)
            {
                continue;
            }
            if hit.is_none() && !floods {
                continue;
            }
            let how = if hit.is_some() { Forwarding::Hit } else { Forwarding::Flood };
            let mut steps = steps.clone();
            let from_index = from.map(|port| port.index);
            steps.push(step(bridge.index, What::Bridged { from: from_index, to: Some(port.index), how }));
            if let Some(state) = is_shut(port) {
                steps.push(step(port.index, What::Stopped(Trouble::Port(state))));
            }
            let isolated = |port: Option<&Link>| port.and_then(|p| p.port).is_some_and(|p| p.is_isolated);
            if let Some(from) = from
                && isolated(Some(from))
                && isolated(Some(port))
            {
                steps.push(step(port.index, What::Stopped(Trouble::Isolated(from.index))));
            }
            self.push((ns.clone(), port.index), Phase::Out, tags.clone(), steps);
        }
    }
}

//! What explaining asks the kernel.

use super::sight::{End, Inside, Link, LinkKind, Listener, Outline, RouteAsk, RouteFound};
use crate::state::Ns;
use std::rc::Rc;

/// The kernel, asked inside of namespaces. Answers are those of one moment: nothing is asked twice.
pub trait Kernel {
    /// All namespaces that there are.
    fn places(&self) -> Vec<Ns>;

    /// Links and addresses; none of a namespace that cannot be entered.
    fn outline(&mut self, ns: &Ns) -> Option<Rc<Outline>>;

    /// What decides about packets in it.
    fn inside(&mut self, ns: &Ns) -> Rc<Inside>;

    /// What the kernel would do with a packet there.
    ///
    /// # Errors
    /// The error number of the look-up ([`super::sight::errno`]).
    fn route(&mut self, ns: &Ns, ask: &RouteAsk) -> Result<RouteFound, i32>;

    /// The sockets that wait for others there.
    fn listeners(&mut self, ns: &Ns) -> Rc<Vec<Listener>>;

    /// The links, in whatever namespace, that stand on one (macvlan, vlan).
    fn standing_on(&mut self, ns: &Ns, index: u32) -> Vec<(Ns, u32)> {
        let mut found = Vec::new();
        for place in self.places() {
            let Some(outline) = self.outline(&place) else { continue };
            let stands = |link: &&Link| {
                let is_end = |end: &End| end.ns.as_ref() == Some(ns) && end.index == index;
                link.kind != LinkKind::Veth && link.end.as_ref().is_some_and(is_end)
            };
            found.extend(outline.links.iter().filter(stands).map(|link| (place.clone(), link.index)));
        }
        found
    }

    /// The process that keeps a namespace which has no name, for a place that somebody has made and that is part of
    /// nothing: its name and id.
    fn keeper_of_unnamed(&self, ns: &Ns) -> Option<(String, u32)> {
        let _ = ns;
        None
    }
}

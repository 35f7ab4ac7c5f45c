//! What can be captured: namespaces, with the names and addresses of their interfaces.

use crate::error::Result;
use crate::look::{Scope, hostname, is_inside_lab};
use crate::scout::{Place, Scout};
use crate::why::Asked;
use netyard_core::capture::Node;
use netyard_core::state::Ns;
use netyard_core::why::{Kernel, Outline};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Namespaces, and who goes there.
#[derive(Debug)]
pub struct Scene {
    /// What it is, for titles.
    pub title: String,
    /// Its namespaces.
    pub nodes: Vec<Node>,
    pub(super) scout: Scout,
}

impl Scene {
    /// Finds all that a scope has. Call it while the process has one thread.
    ///
    /// # Errors
    /// As [`look`](crate::look::look).
    pub fn of(scope: Scope<'_>) -> Result<Self> {
        let scout = Scout::of(scope)?;
        let mut asked = Asked::new(&scout, matches!(scope, Scope::Lab(_)))?;
        let outlines: BTreeMap<Ns, Rc<Outline>> =
            asked.places().into_iter().filter_map(|ns| Some((ns.clone(), asked.outline(&ns)?))).collect();
        let kept = match scope {
            Scope::Here if !is_inside_lab() => Some(around(&scout, &outlines, |p| p.is_here || p.is_named)),
            Scope::Process(_) | Scope::Named(_) => Some(around(&scout, &outlines, |p| p.is_wanted)),
            Scope::Here | Scope::Host | Scope::Lab(_) => None,
        };
        let is_kept = |ns: &Ns| kept.as_ref().is_none_or(|kept| kept.contains(ns));
        let nodes = asked.places().into_iter().filter(is_kept).map(|name| Node {
            interfaces: outlines.get(&name).map_or_else(Vec::new, |outline| interfaces(outline)),
            refusal: asked.refusal(&name),
            name,
        });
        let nodes = nodes.collect();
        let title = match scope {
            Scope::Lab(lab) => lab.name().to_string(),
            Scope::Named(name) => name.to_owned(),
            Scope::Process(pid) => format!("process {pid}"),
            Scope::Here | Scope::Host => hostname(),
        };
        Ok(Self { title, nodes, scout })
    }
}

fn interfaces(outline: &Outline) -> Vec<(String, Vec<std::net::IpAddr>)> {
    let addresses = |index: u32| {
        let own = outline.addresses.iter().filter(move |address| address.index == index);
        own.map(|address| address.prefix.addr()).collect()
    };
    outline.links.iter().map(|link| (link.name.to_string(), addresses(link.index))).collect()
}

/// The places that are first, and all that cables lead to from there, in either direction.
fn around(
    scout: &Scout,
    outlines: &BTreeMap<Ns, Rc<Outline>>,
    is_first: impl Fn(&Place) -> bool,
) -> BTreeSet<Ns> {
    let mut cables: BTreeMap<&Ns, BTreeSet<&Ns>> = BTreeMap::new();
    for (ns, outline) in outlines {
        for end in outline.links.iter().filter_map(|link| link.end.as_ref()?.ns.as_ref()) {
            cables.entry(ns).or_default().insert(end);
            cables.entry(end).or_default().insert(ns);
        }
    }
    let mut kept: BTreeSet<Ns> = BTreeSet::new();
    let mut ahead: Vec<&Ns> =
        scout.places().iter().filter(|place| is_first(place)).map(|place| &place.name).collect();
    while let Some(ns) = ahead.pop() {
        if kept.insert(ns.clone()) {
            ahead.extend(cables.get(ns).into_iter().flatten());
        }
    }
    kept
}

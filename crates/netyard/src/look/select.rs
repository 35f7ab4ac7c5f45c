//! Which of all namespaces are shown.

use super::discover::{Discovery, Found};
use netyard_core::look::{Interface, Look, Seen};
use netyard_core::state::Ns;
use netyard_kernel::nsfs;
use std::collections::BTreeSet;
use std::os::fd::AsFd;

/// Keeps a namespace and all that cables lead to from it.
pub(super) fn around(look: &mut Look, inode: u64) {
    keep(look, |seen| seen.inode == inode);
}

/// Keeps the caller's own namespace, those that have a name below `/run/netns`, and all that cables lead to from there.
pub(super) fn around_here(look: &mut Look) {
    keep(look, |seen| seen.is_here || seen.files.iter().any(|file| file.starts_with("/run/netns/")));
}

/// Keeps the namespaces of the lab, and those that belong to its user namespace: what was made inside of it.
pub(super) fn of_lab(look: &mut Look, discovery: &Discovery) {
    let is_labs =
        |seen: &Seen| discovery.found.get(&seen.inode).is_some_and(|found| discovery.is_of_lab(found));
    look.namespaces.retain(is_labs);
}

impl Discovery {
    /// Whether a namespace belongs to the lab that is looked at, or to its user namespace: what was made inside of it.
    pub(crate) fn is_of_lab(&self, found: &Found) -> bool {
        let owners = || {
            let owners = nsfs::owners_below_own(found.fd.as_ref()?.as_fd()).ok()?;
            Some(owners.iter().filter_map(|owner| nsfs::inode(owner.as_fd()).ok()).collect::<Vec<_>>())
        };
        found.of_lab.is_some()
            || !self.lab_users.is_empty()
                && owners().unwrap_or_default().iter().any(|owner| self.lab_users.contains(owner))
    }
}

fn keep(look: &mut Look, is_first: impl Fn(&Seen) -> bool) {
    let mut kept: BTreeSet<Ns> = BTreeSet::new();
    let mut ahead: Vec<Ns> = look.namespaces.iter().filter(|s| is_first(s)).map(|s| s.name.clone()).collect();
    while let Some(name) = ahead.pop() {
        if !kept.insert(name.clone()) {
            continue;
        }
        for seen in &look.namespaces {
            let leads = |from: &Seen, to: &Ns| from.interfaces.iter().flat_map(ends).any(|ns| ns == to);
            if seen.name == name {
                ahead.extend(seen.interfaces.iter().flat_map(ends).cloned());
            } else if leads(seen, &name) {
                ahead.push(seen.name.clone());
            }
        }
    }
    look.namespaces.retain(|seen| kept.contains(&seen.name));
}

fn ends(interface: &Interface) -> impl Iterator<Item = &Ns> {
    [&interface.peer, &interface.parent].into_iter().flatten().filter_map(|end| end.namespace.as_ref())
}

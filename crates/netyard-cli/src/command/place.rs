//! Which namespaces are meant: those of a lab, or whoever made them.

use super::running;
use crate::args::Reach;
use netyard::look::{self, Scope};
use netyard::store::Store;
use netyard::{Result, RunningLab};

/// The lab that is meant, where one is: by name, or the one that runs when nothing else is asked for from outside.
pub fn lab(reach: &Reach, name: Option<&str>) -> Result<Option<RunningLab>> {
    if name.is_some() {
        return running(name, None).map(Some);
    }
    let asks_for_more = reach.pid.is_some() || reach.netns.is_some() || reach.host;
    if asks_for_more || look::is_inside_lab() || Store::of_user().labs()?.is_empty() {
        return Ok(None);
    }
    running(None, None).map(Some)
}

/// The namespaces that are meant; `lab` is that of [`lab`].
pub fn scope<'a>(reach: &'a Reach, lab: Option<&'a RunningLab>) -> Scope<'a> {
    match (lab, reach.pid, &reach.netns) {
        (Some(lab), ..) => Scope::Lab(lab),
        (_, Some(pid), _) => Scope::Process(pid),
        (_, _, Some(name)) => Scope::Named(name),
        _ if reach.host => Scope::Host,
        _ => Scope::Here,
    }
}

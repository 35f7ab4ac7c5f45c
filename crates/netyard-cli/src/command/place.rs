//! Which namespaces are meant: those of a lab, or whoever made them.

use super::running;
use crate::args::Place;
use netyard::look::{self, Scope};
use netyard::store::Store;
use netyard::{Result, RunningLab};

/// The lab that is meant, where one is: by name, or the one that runs when nothing else is asked for from outside.
pub fn lab(args: &Place, lab: Option<&str>) -> Result<Option<RunningLab>> {
    if let Some(name) = args.name.as_deref().or(lab) {
        return running(Some(name), None).map(Some);
    }
    let asks_for_more = args.pid.is_some() || args.netns.is_some() || args.host;
    if asks_for_more || look::is_inside_lab() || Store::of_user().labs()?.is_empty() {
        return Ok(None);
    }
    running(None, None).map(Some)
}

/// The namespaces that are meant; `lab` is that of [`lab`].
pub fn scope<'a>(args: &'a Place, lab: Option<&'a RunningLab>) -> Scope<'a> {
    match (lab, args.pid, &args.netns) {
        (Some(lab), ..) => Scope::Lab(lab),
        (_, Some(pid), _) => Scope::Process(pid),
        (_, _, Some(name)) => Scope::Named(name),
        _ if args.host => Scope::Host,
        _ => Scope::Here,
    }
}

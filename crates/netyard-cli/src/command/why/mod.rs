//! `netyard why`: why one node reaches another or does not.

mod text;

use super::running;
use crate::args::Why;
use crate::output::theme::Theme;
use crate::output::{self, json};
use netyard::look::{self, Scope};
use netyard::scout::Scout;
use netyard::store::Store;
use netyard::{Error, Result, RunningLab, why};
use netyard_core::why::{Verdict, Versions};
use std::process::ExitCode;

pub fn run(args: &Why, lab: Option<&str>) -> Result<ExitCode> {
    let lab = meant(args, lab)?;
    let scope = match &lab {
        Some(lab) => Scope::Lab(lab),
        None if args.host => Scope::Host,
        None => Scope::Here,
    };
    let scout = Scout::of(scope)?;
    let (from, to) = match &args.to {
        Some(to) => (args.from.clone(), to.clone()),
        None => (here(&scout)?, args.from.clone()),
    };
    let versions = match (args.v4, args.v6) {
        (true, _) => Versions::V4,
        (_, true) => Versions::V6,
        _ => Versions::Any,
    };
    let explanation = why::why(&scout, lab.is_some(), &from, &to, args.about, versions)?;
    if args.json {
        json::print("why", &explanation);
    } else {
        output::print(&text::whole(&explanation, Theme::of_output()));
    }
    Ok(match explanation.verdict {
        Verdict::Reachable => ExitCode::SUCCESS,
        Verdict::Unreachable | Verdict::Unknown => ExitCode::from(1),
    })
}

/// The caller's own namespace.
fn here(scout: &Scout) -> Result<String> {
    let own = scout.places().iter().find(|place| place.is_here).map(|place| place.name.to_string());
    own.ok_or_else(|| Error::input("U011", "say who asks and who is asked: `netyard why A B`"))
}

/// The lab that is meant, where one is: by name, or the one that runs when nothing else is asked for from outside.
fn meant(args: &Why, lab: Option<&str>) -> Result<Option<RunningLab>> {
    if let Some(name) = lab {
        return running(Some(name), None).map(Some);
    }
    if args.host || look::is_inside_lab() || Store::of_user().labs()?.is_empty() {
        return Ok(None);
    }
    running(None, None).map(Some)
}

//! `netyard why`: why one node reaches another or does not.

mod text;

use super::{node_name, place};
use crate::args::Why;
use crate::output::theme::Theme;
use crate::output::{self, json};
use netyard::scout::Scout;
use netyard::why::name::{Resolver, is_name};
use netyard::{Error, Result, RunningLab, why};
use netyard_core::why::Verdict;
use std::process::ExitCode;

pub fn run(args: &Why, lab: Option<&str>) -> Result<ExitCode> {
    let lab = place::lab(&args.reach, lab)?;
    let scope = place::scope(&args.reach, lab.as_ref());
    // What a node reads is read by a child, which only a process with one thread can send.
    let resolver = match &args.to {
        Some(to) => resolver(&args.from, to, lab.as_ref())?,
        None => resolver("", &args.from, lab.as_ref())?,
    };
    let scout = Scout::of(scope)?;
    let (from, to) = match &args.to {
        Some(to) => (args.from.clone(), to.clone()),
        None if lab.is_some() => {
            return Err(Error::input("U011", format!("whom shall `{}` reach?", args.from))
                .help(format!("netyard why {} TO", args.from)));
        }
        None => (here(&scout)?, args.from.clone()),
    };
    let versions = args.version.versions();
    let is_place = scout.places().iter().any(|place| place.name.as_str() == to);
    let mut explanation = match resolver.filter(|_| !is_place) {
        Some(resolver) => {
            why::name::why_name(&scout, lab.is_some(), &from, (&to, &resolver), args.about, versions)?
        }
        None => why::why(&scout, lab.is_some(), &from, &to, args.about, versions)?,
    };
    if args.probe {
        why::probe(&scout, &mut explanation)?;
    }
    if args.json {
        json::print("why", &explanation);
    } else {
        output::print(&text::whole(&explanation, &scout, Theme::of_output()));
    }
    Ok(match explanation.verdict {
        Verdict::Reachable => ExitCode::SUCCESS,
        Verdict::Unreachable | Verdict::Unknown => ExitCode::from(1),
    })
}

/// Whom the one who asks would ask for a name, where the target is named by one.
pub fn resolver(from: &str, to: &str, lab: Option<&RunningLab>) -> Result<Option<Resolver>> {
    if !is_name(to) {
        return Ok(None);
    }
    let from = from.split(':').next().unwrap_or_default();
    match lab {
        // A node of that name is meant first; an unknown one that asks is told of later.
        Some(lab) if lab.node(to).is_ok() || lab.node(from).is_err() => Ok(None),
        Some(lab) => why::name::resolver_of_lab(lab, &node_name(from)?).map(Some),
        None => Ok(Some(why::name::resolver_of_name(from))),
    }
}

/// The namespace that is asked about: the caller's own, where no other is.
fn here(scout: &Scout) -> Result<String> {
    let own = scout.places().iter().find(|place| place.is_wanted).map(|place| place.name.to_string());
    own.ok_or_else(|| Error::input("U011", "say who asks and who is asked: `netyard why A B`"))
}

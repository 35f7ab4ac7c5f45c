//! `netyard why`: why one node reaches another or does not.

mod text;

use super::running;
use crate::args::Why;
use crate::output::theme::Theme;
use crate::output::{self, json};
use netyard::look::{self, Scope};
use netyard::scout::Scout;
use netyard::store::Store;
use netyard::why::name::{Resolver, is_name};
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
    // What a node reads is read by a child, which only a process with one thread can send.
    let resolver = resolver(args, lab.as_ref())?;
    let scout = Scout::of(scope)?;
    let (from, to) = match &args.to {
        Some(to) => (args.from.clone(), to.clone()),
        None if lab.is_some() => {
            return Err(Error::input("U011", format!("whom shall `{}` reach?", args.from))
                .help(format!("netyard why {} TO", args.from)));
        }
        None => (here(&scout)?, args.from.clone()),
    };
    let versions = match (args.v4, args.v6) {
        (true, _) => Versions::V4,
        (_, true) => Versions::V6,
        _ => Versions::Any,
    };
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
        output::print(&text::whole(&explanation, Theme::of_output()));
    }
    Ok(match explanation.verdict {
        Verdict::Reachable => ExitCode::SUCCESS,
        Verdict::Unreachable | Verdict::Unknown => ExitCode::from(1),
    })
}

/// Whom the one who asks would ask for a name, where the target is named by one.
fn resolver(args: &Why, lab: Option<&RunningLab>) -> Result<Option<Resolver>> {
    let (from, to) = match &args.to {
        Some(to) => (args.from.split(':').next().unwrap_or_default(), to),
        None => ("", &args.from),
    };
    if !is_name(to) {
        return Ok(None);
    }
    match lab {
        // A node of that name is meant first; an unknown one that asks is told of later.
        Some(lab) if lab.node(to).is_ok() || lab.node(from).is_err() => Ok(None),
        Some(lab) => why::name::resolver_of_lab(lab, &super::node_name(from)?).map(Some),
        None => Ok(Some(why::name::resolver_of_name(from))),
    }
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

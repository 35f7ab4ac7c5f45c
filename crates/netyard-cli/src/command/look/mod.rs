//! `netyard look`: network namespaces as they are, whoever made them.

mod text;
mod watch;

use super::diagram::rendered;
use super::running;
use crate::args::Look;
use crate::output::theme::Theme;
use crate::output::{self, json};
use netyard::look::{self, Scope};
use netyard::store::Store;
use netyard::{Result, RunningLab};
use netyard_core::diagram::Picture;
use netyard_core::look::Look as Seen;
use std::process::ExitCode;

pub fn run(args: &Look, lab: Option<&str>) -> Result<ExitCode> {
    let lab = meant(args, lab)?;
    let scope = scope(args, lab.as_ref());
    if args.watch {
        watch::run(args, scope)?;
        return Ok(ExitCode::SUCCESS);
    }
    let seen = look::look(scope)?;
    seen.notes.iter().for_each(|note| output::say(note));
    let form = &args.form;
    if args.json {
        json::print("look", &seen);
    } else if args.script {
        let script = netyard_core::look::script(&seen);
        script.remarks.iter().for_each(|remark| output::say(&format!("left out: {remark}")));
        output::print(&script.text);
    } else if args.yaml {
        let yaml = netyard_core::look::yaml(&seen);
        yaml.remarks.iter().for_each(|remark| output::say(&format!("not quite: {remark}")));
        output::print(&yaml.text);
    } else if form.svg || form.mermaid || form.dot {
        output::print(&rendered(&Picture::of_look(&seen), form));
    } else {
        output::print(&whole(args, &seen));
    }
    Ok(ExitCode::SUCCESS)
}

/// The picture, and the tables below.
fn whole(args: &Look, seen: &Seen) -> String {
    let picture = rendered(&Picture::of_look(seen), &args.form);
    format!("{picture}\n{}", text::whole(seen, Theme::of_output()))
}

/// The lab that is meant, where one is: by name, or the one that runs when nothing else is asked for from outside.
fn meant(args: &Look, lab: Option<&str>) -> Result<Option<RunningLab>> {
    if let Some(name) = args.name.as_deref().or(lab) {
        return running(Some(name), None).map(Some);
    }
    let asks_for_more = args.pid.is_some() || args.netns.is_some() || args.host;
    if asks_for_more || look::is_inside_lab() || Store::of_user().labs()?.is_empty() {
        return Ok(None);
    }
    running(None, None).map(Some)
}

fn scope<'a>(args: &'a Look, lab: Option<&'a RunningLab>) -> Scope<'a> {
    match (lab, args.pid, &args.netns) {
        (Some(lab), ..) => Scope::Lab(lab),
        (_, Some(pid), _) => Scope::Process(pid),
        (_, _, Some(name)) => Scope::Named(name),
        _ if args.host => Scope::Host,
        _ => Scope::Here,
    }
}

//! `netyard look`: network namespaces as they are, whoever made them.

mod text;
mod watch;

use super::diagram::rendered;
use super::place;
use crate::args::Look;
use crate::output::theme::Theme;
use crate::output::{self, json};
use netyard::Result;
use netyard::look;
use netyard_core::diagram::Picture;
use netyard_core::look::Look as Seen;
use std::process::ExitCode;

pub fn run(args: &Look, lab: Option<&str>) -> Result<ExitCode> {
    let lab = place::lab(&args.place.reach, args.place.name.as_deref().or(lab))?;
    let scope = place::scope(&args.place.reach, lab.as_ref());
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

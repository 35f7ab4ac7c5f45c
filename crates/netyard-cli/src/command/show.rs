//! `netyard show`: a running lab as it is now.

pub(super) mod text;

use super::running;
use crate::args::Show;
use crate::output::theme::Theme;
use crate::output::{self, json};
use netyard::{Result, show};
use std::process::ExitCode;

pub fn run(args: &Show, lab: Option<&str>) -> Result<ExitCode> {
    let lab = running(args.name.as_deref(), lab)?;
    for node in &args.node {
        lab.node(node)?;
    }
    let mut view = show::view(&lab)?;
    view.nodes.retain(|node| args.node.is_empty() || args.node.iter().any(|name| node.name == **name));
    show::add_sockets(&lab, &mut view)?;
    if args.nat {
        show::add_connections(&lab, &mut view)?;
    }
    view.notes.iter().for_each(|note| output::say(note));
    if args.json {
        json::print("show", &view);
    } else if args.nat {
        output::print(&text::connections(&view, Theme::of_output()));
    } else {
        output::print(&text::whole(&view, Theme::of_output()));
    }
    Ok(ExitCode::SUCCESS)
}

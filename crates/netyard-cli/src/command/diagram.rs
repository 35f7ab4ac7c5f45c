//! `netyard diagram`: a picture of a lab.

use super::{running, test};
use crate::args::{Diagram, Form};
use crate::output::theme::{Label, Theme};
use crate::output::{self, json};
use netyard::{Error, Lab, Result, RunningLab, show};
use netyard_core::diagram::{self, Paint, Picture, Style};
use netyard_core::lab;
use netyard_core::name::LabName;
use netyard_core::show::LinkState;
use std::path::Path;
use std::process::ExitCode;

/// The narrowest picture that the renderers draw.
const WIDTH_MIN: usize = 20;

pub fn run(args: &Diagram, lab: Option<&str>) -> Result<ExitCode> {
    let (definition, live) = target(args.target.as_deref(), lab)?;
    if args.json {
        json::print("lab", &definition);
        return Ok(ExitCode::SUCCESS);
    }
    let mut picture = Picture::of_lab(&definition);
    if let Some(live) = live {
        mark_what_is_down(&mut picture, &live)?;
    }
    output::print(&rendered(&picture, &args.form));
    Ok(ExitCode::SUCCESS)
}

/// The lab of a file, or a running one.
fn target(target: Option<&str>, lab: Option<&str>) -> Result<(lab::Lab, Option<RunningLab>)> {
    if let Some(file) = target.filter(|target| test::is_file(target)) {
        let lab = Lab::from_file(Path::new(file), output::style())?;
        lab.warnings.iter().for_each(|warning| output::say(warning));
        return Ok((lab.definition().clone(), None));
    }
    if let Some(word) = target.filter(|word| LabName::new(word).is_err()) {
        return Err(Error::input("U009", format!("`{word}` is neither a file nor the name of a lab")));
    }
    let lab = running(target, lab)?;
    Ok((lab.definition()?, Some(lab)))
}

fn mark_what_is_down(picture: &mut Picture, lab: &RunningLab) -> Result<()> {
    for node in show::view(lab)?.nodes {
        for interface in node.interfaces.iter().filter(|interface| interface.state != LinkState::Up) {
            picture.mark_down(node.name.as_str(), interface.name.as_str());
        }
    }
    Ok(())
}

/// The picture in the form that was asked for.
pub fn rendered(picture: &Picture, form: &Form) -> String {
    if form.svg {
        return diagram::svg(picture);
    }
    if form.mermaid {
        return diagram::mermaid(picture);
    }
    if form.dot {
        return diagram::dot(picture);
    }
    drawn(picture, form.width.unwrap_or_else(output::width), form.ascii)
}

/// The picture as the terminal can show it.
pub fn drawn(picture: &Picture, width: usize, is_ascii: bool) -> String {
    let width = width.max(WIDTH_MIN);
    let theme = Theme::of_output();
    let painted = |paint: Paint, text: &str| theme.paint(Label::from(paint), text);
    let style = if theme == Theme::Plain { Style::Plain } else { Style::Painted(&painted) };
    if is_ascii { diagram::ascii(picture, width, style) } else { diagram::unicode(picture, width, style) }
}

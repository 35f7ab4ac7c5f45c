//! `netyard learn export`: a lesson as Markdown.

use super::load;
use crate::output;
use netyard::Result;
use netyard::lesson::{Errand, News, room};
use netyard_core::lesson::{Language, markdown};
use std::process::ExitCode;

pub fn run(name: &str, language: Language) -> Result<ExitCode> {
    let lesson = load(name)?;
    let drawn = room::alone(&lesson, language, Errand::Draw)?;
    let pictures = match drawn {
        News::Drawn(pictures) => pictures.into_iter().map(Some).collect(),
        _ => Vec::new(),
    };
    output::print(&markdown(&lesson, language, &pictures));
    Ok(ExitCode::SUCCESS)
}

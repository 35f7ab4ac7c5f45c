//! Lessons that come with the program, and lessons from disk.

use crate::error::{Error, ErrorKind, Result};
use netyard_core::diagnostic::{Source, Style};
use netyard_core::lesson::{self, Lesson};
use std::path::Path;

const SHIPPED: [(&str, &str); 6] = [
    ("talk", include_str!("../../../../lessons/talk/lesson.yaml")),
    ("break-it", include_str!("../../../../lessons/break-it/lesson.yaml")),
    ("two-subnets", include_str!("../../../../lessons/two-subnets/lesson.yaml")),
    ("port-forward", include_str!("../../../../lessons/port-forward/lesson.yaml")),
    ("dmz", include_str!("../../../../lessons/dmz/lesson.yaml")),
    ("ipv6-home", include_str!("../../../../lessons/ipv6-home/lesson.yaml")),
];

/// The names of the lessons that come with the program.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// A lesson that comes with the program.
///
/// # Errors
/// That there is none of that name.
pub fn shipped(name: &str, style: Style) -> Result<Lesson> {
    let found = SHIPPED.iter().find(|(own, _)| *own == name);
    let (name, text) = found.ok_or_else(|| {
        let names: Vec<&str> = shipped_names().collect();
        let near = netyard_core::labfile::nearest(name, names.iter().copied());
        let error = Error::input("U021", format!("there is no lesson `{name}`"));
        match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error
                .help(format!("lessons are {}; a folder with a `lesson.yaml` is one too", names.join(", "))),
        }
    })?;
    parse(&Source::new(format!("lessons/{name}/lesson.yaml"), *text), style)
}

/// A lesson by the name of a shipped one, or by its folder or file.
///
/// # Errors
/// That there is none, or every problem of its text.
pub fn load(word: &str, style: Style) -> Result<Lesson> {
    let path = Path::new(word);
    let file = if path.is_dir() { path.join("lesson.yaml") } else { path.to_owned() };
    let is_path = word.contains('/') || word.ends_with(".yaml") || (path.is_dir() && file.is_file());
    if !is_path {
        return shipped(word, style);
    }
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Error::input("U021", format!("cannot read {}: {error}", file.display()))
            .help("a lesson is a folder with a `lesson.yaml`")
    })?;
    parse(&Source::new(file.display().to_string(), text), style)
}

fn parse(source: &Source, style: Style) -> Result<Lesson> {
    lesson::parse(source).map_err(|problems| {
        let mut report: String =
            problems.iter().map(|problem| problem.render(source, style) + "\n").collect();
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        report.push_str(&format!("{count} {noun} in {}", source.name));
        let mut error = Error::input("", format!("{count} {noun} in {}", source.name));
        error.kind = ErrorKind::Input;
        error.code = problems.first().map_or_else(String::new, |problem| problem.code.to_string());
        error.report = Some(report);
        error
    })
}

//! `netyard learn list`, and the choice of a lesson.

use super::say;
use crate::output::table;
use crate::output::theme::{Cell, Label, Theme};
use crate::output::{self, json};
use netyard::Result;
use netyard::lesson::progress::Progress;
use netyard::lesson::{shipped, shipped_names};
use netyard_core::diagnostic::Style;
use netyard_core::lesson::{Language, Lesson};
use serde::Serialize;
use std::io::IsTerminal;
use std::process::ExitCode;

#[derive(Serialize)]
struct Listed {
    name: String,
    title: String,
    about: String,
    minutes: u32,
    steps: usize,
    done: usize,
}

pub fn run(language: Language, is_json: bool) -> Result<ExitCode> {
    let lessons = listed(language)?;
    if is_json {
        #[derive(Serialize)]
        struct Lessons {
            lessons: Vec<Listed>,
        }
        json::print("lessons", &Lessons { lessons });
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&table(&lessons, language));
    Ok(ExitCode::SUCCESS)
}

fn listed(language: Language) -> Result<Vec<Listed>> {
    let progress = Progress::load();
    let one = |lesson: &Lesson| {
        let done = progress.done.get(&lesson.name);
        let is_done = |id: &String| done.is_some_and(|done| done.contains(id));
        Listed {
            name: lesson.name.clone(),
            title: lesson.title.of(language).to_owned(),
            about: lesson.about.of(language).to_owned(),
            minutes: lesson.minutes,
            steps: lesson.steps.len(),
            done: lesson.steps.iter().filter(|step| is_done(&step.id)).count(),
        }
    };
    shipped_names().map(|name| shipped(name, Style::Plain).map(|lesson| one(&lesson))).collect()
}

fn table(lessons: &[Listed], language: Language) -> String {
    let mut rows = vec![table::heading([
        "#",
        say(language, "lesson", "レッスン"),
        say(language, "done", "完了"),
        say(language, "minutes", "分"),
        say(language, "about", "内容"),
    ])];
    for (index, lesson) in lessons.iter().enumerate() {
        let label = if lesson.done == lesson.steps { Label::Good } else { Label::Plain };
        rows.push([
            Cell::plain(index + 1),
            Cell::new(Label::Node, &lesson.name),
            Cell::new(label, format!("{}/{}", lesson.done, lesson.steps)),
            Cell::plain(lesson.minutes),
            Cell::plain(&lesson.title),
        ]);
    }
    table::aligned(&rows, Theme::of_output())
}

/// Shows the lessons and asks for one; none where nobody answers.
pub fn choose(language: Language) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let lessons = listed(language).ok()?;
    output::print(&table(&lessons, language));
    output::print(say(language, "which one? (number or name) ", "どれにしますか？（番号か名前） "));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    let word = line.trim();
    let by_number = word.parse::<usize>().ok().and_then(|n| lessons.get(n.checked_sub(1)?));
    by_number.map(|lesson| lesson.name.clone()).or_else(|| (!word.is_empty()).then(|| word.to_owned()))
}

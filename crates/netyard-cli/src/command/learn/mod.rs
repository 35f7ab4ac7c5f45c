//! `netyard learn`: lessons.

mod check;
mod exam;
mod export;
mod list;
mod session;

use crate::args::{Lang, LanguageChoice, Learn, LearnAction};
use crate::output::{self, coach::CoachScreen};
use netyard::Result;
use netyard_core::lesson::Language;
use std::io::IsTerminal;
use std::process::ExitCode;

pub fn run(args: Learn, lab: Option<&str>) -> Result<ExitCode> {
    match args.action {
        Some(LearnAction::List { language, json }) => list::run(language_of(&language), json),
        Some(LearnAction::Check { lessons, all, json }) => check::run(&lessons, all, json),
        Some(LearnAction::Export { lesson, language }) => export::run(&lesson, language_of(&language)),
        Some(LearnAction::Exam { language, student, seed, result, answer, show }) => {
            let exam = exam::Sitting { student, seed, result, language: language_of(&language) };
            if show { exam.show() } else { exam.sit(answer.as_deref(), lab) }
        }
        Some(LearnAction::Grade { files, seed, json }) => exam::grade(&files, &seed, json),
        None => {
            let language = language_of(&args.language);
            let Some(name) = args.lesson.clone().or_else(|| list::choose(language)) else {
                return if std::io::stdin().is_terminal() {
                    Ok(ExitCode::SUCCESS)
                } else {
                    list::run(language, false)
                };
            };
            session::run(&name, &args, language, lab)
        }
    }
}

/// The coach, which is this program inside of the sandbox.
pub fn coach() -> Result<ExitCode> {
    netyard::lesson::coach::run(&CoachScreen)?;
    Ok(ExitCode::SUCCESS)
}

/// The language that was asked for, or that of the locale (locale(7)).
fn language_of(choice: &LanguageChoice) -> Language {
    match choice.lang {
        Some(Lang::En) => Language::En,
        Some(Lang::Ja) => Language::Ja,
        None => {
            let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
            let locale = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG"));
            Language::of_locale(&locale.unwrap_or_default())
        }
    }
}

/// One of two wordings.
fn say(language: Language, en: &'static str, ja: &'static str) -> &'static str {
    if language == Language::Ja { ja } else { en }
}

/// A lesson by name or path.
fn load(word: &str) -> Result<netyard_core::lesson::Lesson> {
    netyard::lesson::load(word, output::style())
}

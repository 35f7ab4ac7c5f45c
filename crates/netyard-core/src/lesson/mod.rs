//! Lessons: what a learner reads, predicts, does and is shown, as data; and how live state is judged.
//!
//! A lesson is a file of YAML ([`parse`]). Its checks are about a [`Sight`]: what the kernel has in the sandbox's
//! namespaces now. Nothing here knows what the learner has typed.

mod check;
mod decode;
mod decode_check;
mod decode_probe;
pub mod exam;

mod hold;
mod markdown;
mod missing;
mod picture;
mod schema;
mod script;
mod sight;
mod wants;
mod wrap;

pub use check::{Check, Fact, LinkFact, Place, ProbeFact, Translation};
pub use markdown::markdown;
pub use picture::changes;
pub use schema::schema;
pub use script::script;
pub use sight::{Flow, Link, Listening, Neighbour, PeerEnd, Route, Seen, Sight};
pub use wants::Wants;
pub use wrap::wrap;

use crate::diagnostic::{Diagnostic, Source};
use crate::labfile::read_tree;
use serde::{Deserialize, Serialize};

/// The namespace in which the learner is.
pub const MACHINE: &str = "vm";

/// A language of lessons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

impl Language {
    /// The language of a locale such as `ja_JP.UTF-8`; English where it is any other.
    #[must_use]
    pub fn of_locale(locale: &str) -> Self {
        if locale == "ja" || locale.starts_with("ja_") || locale.starts_with("ja.") {
            Self::Ja
        } else {
            Self::En
        }
    }
}

/// A text in the languages of lessons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// English.
    pub en: String,
    /// Japanese, where there is one.
    pub ja: Option<String>,
}

impl Text {
    /// A text in both languages.
    #[must_use]
    pub fn new(en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self { en: en.into(), ja: Some(ja.into()) }
    }

    /// In that language; English where the other is missing.
    #[must_use]
    pub fn of(&self, language: Language) -> &str {
        match (language, &self.ja) {
            (Language::Ja, Some(ja)) => ja,
            _ => &self.en,
        }
    }

    /// Whether no language is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.en.trim().is_empty() && self.ja.as_ref().is_some_and(|ja| !ja.trim().is_empty())
    }
}

/// A lesson.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// What it is called by.
    pub name: String,
    /// Its title.
    pub title: Text,
    /// What one learns, in a sentence or two.
    pub about: Text,
    /// Minutes that it takes about.
    pub minutes: u32,
    /// Whether the order of the steps does not matter, so that each learner gets another one.
    pub is_shuffled: bool,
    /// Shell commands that make the network in which it begins.
    pub setup: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// A step of a lesson.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, unique in the lesson.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// The slides that it is about.
    pub slides: Option<String>,
    /// A few sentences.
    pub text: Text,
    /// Whether the picture is shown before.
    pub has_picture: bool,
    /// What is to be foretold.
    pub predict: Option<Predict>,
    /// Shell commands that run when the step begins: they inject a fault, for example.
    pub start: String,
    /// What is to be done, as commands that a person would type; shown.
    pub commands: String,
    /// What must be true in the end.
    pub checks: Vec<Check>,
    /// What has happened, and why.
    pub reveal: Text,
    /// The same with the commands of today.
    pub modern: String,
    /// What differs on other kernels or programs than those of the slides.
    pub differs: Option<Text>,
    /// Three hints, each saying more than the one before.
    pub hints: Vec<Text>,
    /// Shell commands that make the checks true, as far as they change state.
    pub solve: String,
    /// Shell commands after these that change nothing that lasts: a ping.
    pub attempt: String,
}

/// A prediction. It is judged by what the kernel then does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predict {
    /// The question.
    pub question: Text,
    /// Whether it is about the state in which the step begins, not about that in which it ends.
    pub is_about_start: bool,
    /// What is observed: the outcome of a probe, or whether a state holds (`yes`, `no`).
    pub observe: Option<Check>,
    /// The answers to choose from.
    pub choices: Vec<Choice>,
}

/// An answer to choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its words.
    pub text: Text,
    /// The observed outcomes that it stands for.
    pub outcomes: Vec<String>,
    /// Or what is true when it is right.
    pub when: Vec<Check>,
}

/// Reads a lesson.
///
/// ```
/// use netyard_core::diagnostic::Source;
/// let text = "
/// lesson: one
/// title: { en: One, ja: 一 }
/// steps:
///   - id: a
///     title: A namespace
///     text: Make one.
///     check: [{ namespace: pc }]
///     solve: ip netns add pc
/// ";
/// let lesson = netyard_core::lesson::parse(&Source::new("lesson.yaml", text)).unwrap();
/// assert_eq!(lesson.steps[0].checks.len(), 1);
/// ```
///
/// # Errors
/// Every problem of the text, in its order.
pub fn parse(source: &Source) -> Result<Lesson, Vec<Diagnostic>> {
    read_tree(source, decode::lesson)
}

impl Lesson {
    /// What is missing for a lesson that ships: texts in both languages, three hints, a solution.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        let mut text = |place: String, text: &Text| {
            if !text.is_complete() {
                gaps.push(format!("{place}: one of the languages is missing"));
            }
        };
        text("title".to_owned(), &self.title);
        text("about".to_owned(), &self.about);
        for step in &self.steps {
            let at = |what: &str| format!("step {}: {what}", step.id);
            text(at("title"), &step.title);
            text(at("text"), &step.text);
            text(at("reveal"), &step.reveal);
            step.differs.iter().for_each(|differs| text(at("differs"), differs));
            step.hints.iter().for_each(|hint| text(at("hints"), hint));
            if let Some(predict) = &step.predict {
                text(at("predict: question"), &predict.question);
                predict.choices.iter().for_each(|choice| text(at("predict: choices"), &choice.text));
            }
            step.checks
                .iter()
                .filter_map(|check| check.say.as_ref())
                .for_each(|say| text(at("check: say"), say));
        }
        for step in &self.steps {
            if step.hints.len() != 3 && !step.checks.is_empty() {
                gaps.push(format!("step {}: {} hints; three are needed", step.id, step.hints.len()));
            }
            if step.checks.is_empty() && step.predict.is_none() {
                gaps.push(format!("step {}: neither `check` nor `predict`", step.id));
            }
            if !step.checks.is_empty() && step.solve.is_empty() && step.attempt.is_empty() {
                gaps.push(format!("step {}: neither `solve` nor `try`", step.id));
            }
        }
        gaps
    }

    /// The position of a step by its number from 1, its id, or a slide.
    #[must_use]
    pub fn find(&self, word: &str) -> Option<usize> {
        let number = word.parse::<usize>().ok().filter(|n| (1..=self.steps.len()).contains(n));
        number.map(|n| n - 1).or_else(|| self.steps.iter().position(|step| step.id == word))
    }
}

impl Step {
    /// What is to be typed, as it is shown.
    #[must_use]
    pub fn shown_commands(&self) -> String {
        if !self.commands.is_empty() {
            return self.commands.trim_end().to_owned();
        }
        let both = [self.solve.trim_end(), self.attempt.trim_end()];
        both.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

impl Predict {
    /// The choices that stand for an outcome.
    #[must_use]
    pub fn choice_of(&self, outcome: &str) -> Option<usize> {
        self.choices.iter().position(|choice| choice.outcomes.iter().any(|word| word == outcome))
    }
}

//! A lesson as Markdown, to read or to print.

use super::{Language, Lesson, Step};
use std::fmt::Write;

/// The whole lesson in one language. `pictures` are drawn from live state, one for each step where there is one.
#[must_use]
pub fn markdown(lesson: &Lesson, language: Language, pictures: &[Option<String>]) -> String {
    let mut out = format!("# {}\n\n{}\n", lesson.title.of(language), lesson.about.of(language));
    if !lesson.setup.is_empty() {
        let title = word(language, "The network in which it begins", "はじめのネットワーク");
        let _ = write!(out, "\n{title}:\n\n{}", block("sh", &lesson.setup));
    }
    for (index, step) in lesson.steps.iter().enumerate() {
        one(&mut out, index + 1, step, language, pictures.get(index).and_then(Option::as_deref));
    }
    out
}

fn one(out: &mut String, number: usize, step: &Step, language: Language, picture: Option<&str>) {
    let slides =
        step.slides.as_ref().map(|slides| format!(" ({} {slides})", word(language, "slides", "スライド")));
    let _ = write!(
        out,
        "\n## {number}. {}{}\n\n{}\n",
        step.title.of(language),
        slides.unwrap_or_default(),
        step.text.of(language)
    );
    if let Some(predict) = &step.predict {
        let title = word(language, "What do you expect?", "どうなると思いますか？");
        let _ = write!(out, "\n**{title}** {}\n\n", predict.question.of(language));
        for choice in &predict.choices {
            let _ = writeln!(out, "- [ ] {}", choice.text.of(language));
        }
    }
    let commands = step.shown_commands();
    if !commands.is_empty() && step.start.is_empty() {
        let _ = write!(out, "\n{}", block("sh", &commands));
    }
    if let Some(picture) = picture {
        let _ = write!(out, "\n{}", block("", picture));
    }
    let reveal = step.reveal.of(language);
    if !reveal.is_empty() {
        let _ = write!(out, "\n{reveal}\n");
    }
    if !step.modern.is_empty() {
        let title = word(language, "The same with today's commands", "いまのコマンドで書くと");
        let _ = write!(out, "\n{title}:\n\n{}", block("sh", &step.modern));
    }
    if let Some(differs) = &step.differs {
        let _ = write!(out, "\n> {}\n", differs.of(language).replace('\n', "\n> "));
    }
    if !step.hints.is_empty() {
        let title = word(language, "Hints", "ヒント");
        let _ = write!(out, "\n<details><summary>{title}</summary>\n\n");
        for hint in &step.hints {
            let _ = writeln!(out, "1. {}", hint.of(language));
        }
        if !step.start.is_empty() {
            let _ = write!(out, "\n{}", block("sh", &step.solve));
        }
        out.push_str("\n</details>\n");
    }
}

fn block(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```\n", text.trim_end())
}

fn word(language: Language, en: &'static str, ja: &'static str) -> &'static str {
    if language == Language::Ja { ja } else { en }
}

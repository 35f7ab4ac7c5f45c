//! A lesson as it is written.

use super::decode_check::{check, checks};
use super::{Choice, Lesson, Predict, Step, Text};
use crate::diagnostic::{Code, Diagnostic};
use crate::labfile::read::{Fields, Problems, one_or_many};
use crate::labfile::tree::{Tree, Value};
use std::collections::HashMap;

/// Most steps of a lesson.
const STEPS_MAX: usize = 200;

pub(super) fn lesson(tree: &Tree, problems: &mut Problems) -> Option<Lesson> {
    let mut fields = problems.fields(tree, "a map with `lesson:`, `title:` and `steps:`")?;
    let name = match fields.get("lesson") {
        Some(tree) => name(tree, problems),
        None => {
            fields.missing("lesson", tree.span, "`lesson: NAME` says what it is called by");
            None
        }
    };
    let title = required_text(&mut fields, "title", problems);
    let about = optional_text(&mut fields, "about", problems).unwrap_or_default();
    let minutes = fields.get("minutes").and_then(|tree| problems.number(tree, 1, 600)).unwrap_or(10);
    let is_shuffled = fields
        .get("order")
        .and_then(|tree| problems.choice(tree, &[("given", false), ("shuffled", true)]))
        .unwrap_or(false);
    let setup = script(&mut fields, "setup", problems);
    let steps = match fields.get("steps") {
        Some(tree) => steps(tree, problems),
        None => {
            fields.missing("steps", tree.span, "a lesson has one step at least");
            Vec::new()
        }
    };
    fields.finish(problems);
    Some(Lesson { name: name?, title: title?, about, minutes, is_shuffled, setup, steps })
}

/// Small letters, digits and hyphens.
fn name(tree: &Tree, problems: &mut Problems) -> Option<String> {
    let text = problems.text(tree, "a name")?;
    let is_name = !text.is_empty()
        && text.len() <= 40
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_name {
        let problem = Diagnostic::new(Code::UnknownWord, tree.span).title("not the name of a lesson or step");
        problems.push(problem.label("up to 40 small letters, digits and hyphens"));
        return None;
    }
    Some(text.to_owned())
}

fn steps(tree: &Tree, problems: &mut Problems) -> Vec<Step> {
    let items = match &tree.value {
        Value::List(items) if !items.is_empty() && items.len() <= STEPS_MAX => items,
        _ => {
            problems.wrong_type(tree, "a list of 1 to 200 steps");
            return Vec::new();
        }
    };
    let mut ids = HashMap::new();
    let mut steps = Vec::new();
    for item in items {
        let Some(step) = step(item, problems) else { continue };
        if let Some(first) = ids.insert(step.id.clone(), item.span) {
            let problem = Diagnostic::new(Code::DuplicateKey, item.span).title("two steps have one id");
            problems.push(problem.label(format!("`{}` again", step.id)).related(first, "first here"));
        }
        steps.push(step);
    }
    steps
}

fn step(tree: &Tree, problems: &mut Problems) -> Option<Step> {
    let mut fields = problems.fields(tree, "a step: a map with `id:`, `title:` and `text:`")?;
    let id = match fields.get("id") {
        Some(tree) => name(tree, problems),
        None => {
            fields.missing("id", tree.span, "`id:` names the step, for `netyard learn` and for progress");
            None
        }
    };
    let title = required_text(&mut fields, "title", problems);
    let slides = fields.get("slides").and_then(|tree| problems.text(tree, "slides such as `9-11`"));
    let text = required_text(&mut fields, "text", problems);
    let has_picture = fields.get("picture").and_then(|tree| problems.switch(tree)).unwrap_or(false);
    let predict = fields.get("predict").and_then(|tree| predict(tree, problems));
    let start = script(&mut fields, "start", problems);
    let commands = script(&mut fields, "do", problems);
    let checks = fields.get("check").map(|tree| checks(tree, problems)).unwrap_or_default();
    let reveal = optional_text(&mut fields, "reveal", problems).unwrap_or_default();
    let modern = script(&mut fields, "modern", problems);
    let differs = optional_text(&mut fields, "differs", problems);
    let hints = fields.get("hints").map(one_or_many).unwrap_or_default();
    let hints = hints.iter().filter_map(|tree| text_of(tree, problems)).collect();
    let solve = script(&mut fields, "solve", problems);
    let attempt = script(&mut fields, "try", problems);
    fields.finish(problems);
    Some(Step {
        id: id?,
        title: title?,
        slides: slides.map(str::to_owned),
        text: text?,
        has_picture,
        predict,
        start,
        commands,
        checks,
        reveal,
        modern,
        differs,
        hints,
        solve,
        attempt,
    })
}

fn predict(tree: &Tree, problems: &mut Problems) -> Option<Predict> {
    let mut fields = problems.fields(tree, "a map with `question:` and `choices:`")?;
    let question = required_text(&mut fields, "question", problems);
    let is_about_start = fields
        .get("about")
        .and_then(|tree| problems.choice(tree, &[("end", false), ("start", true)]))
        .unwrap_or(false);
    let observe = fields.get("observe").and_then(|tree| check(tree, problems));
    let has_observe = fields.peek("observe").is_some();
    let choices = match fields.get("choices") {
        Some(tree) => choices(tree, has_observe, problems),
        None => {
            fields.missing("choices", tree.span, "each choice has `text:` and what it stands for");
            Vec::new()
        }
    };
    fields.finish(problems);
    Some(Predict { question: question?, is_about_start, observe, choices })
}

fn choices(tree: &Tree, has_observe: bool, problems: &mut Problems) -> Vec<Choice> {
    let items = match &tree.value {
        Value::List(items) if (2..=9).contains(&items.len()) => items,
        _ => {
            problems.wrong_type(tree, "a list of 2 to 9 choices");
            return Vec::new();
        }
    };
    items.iter().filter_map(|item| choice(item, has_observe, problems)).collect()
}

fn choice(tree: &Tree, has_observe: bool, problems: &mut Problems) -> Option<Choice> {
    let mut fields = problems.fields(tree, "a map with `text:` and `is:` or `if:`")?;
    let text = required_text(&mut fields, "text", problems);
    let outcomes = fields.get("is").map(|tree| problems.words(tree, "an outcome")).unwrap_or_default();
    let when = fields.get("if").map(|tree| checks(tree, problems)).unwrap_or_default();
    let known =
        ["yes", "no", "ok", "refused", "unreachable", "no-route", "timeout", "too-big", "ttl-exceeded"];
    for outcome in &outcomes {
        if !known.contains(&outcome.value.as_str()) {
            let problem = Diagnostic::new(Code::UnknownWord, outcome.span).label("no outcome has this name");
            problems.push(problem.help(format!("outcomes are {}", known.join(", "))));
        }
    }
    let is_bound = fields.peek("is").is_some() || fields.peek("if").is_some();
    if !is_bound {
        let help = if has_observe { "`is: timeout` binds it to an outcome" } else { "`if:` takes checks" };
        fields.missing("is", tree.span, help);
    }
    fields.finish(problems);
    let outcomes = outcomes.into_iter().map(|word| word.value).collect();
    Some(Choice { text: text?, outcomes, when })
}

/// A text in one language or in several.
pub(super) fn text_of(tree: &Tree, problems: &mut Problems) -> Option<Text> {
    if let Value::Scalar { text, .. } = &tree.value {
        return Some(Text { en: text.trim_end().to_owned(), ja: None });
    }
    let mut fields = problems.fields(tree, "a text, or `{ en: TEXT, ja: TEXT }`")?;
    let mut language = |key: &'static str, problems: &mut Problems| {
        let text = fields.get(key).and_then(|tree| problems.text(tree, "a text"));
        text.map(|text| text.trim_end().to_owned())
    };
    let en = language("en", problems);
    let ja = language("ja", problems);
    if en.is_none() {
        fields.missing("en", tree.span, "English is what other languages fall back to");
    }
    fields.finish(problems);
    Some(Text { en: en?, ja })
}

fn optional_text(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Option<Text> {
    fields.get(key).and_then(|tree| text_of(tree, problems))
}

fn required_text(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Option<Text> {
    match fields.get(key) {
        Some(tree) => text_of(tree, problems),
        None => {
            fields.missing(key, fields.span, "a text, or `{ en: TEXT, ja: TEXT }`");
            None
        }
    }
}

/// Shell commands, one on each line.
fn script(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> String {
    let Some(tree) = fields.get(key) else { return String::new() };
    match &tree.value {
        Value::Null => String::new(),
        _ => problems.text(tree, "shell commands").unwrap_or_default().trim_end().to_owned(),
    }
}

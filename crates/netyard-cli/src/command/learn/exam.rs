//! `netyard learn exam` and `netyard learn grade`.

use super::session::{Session, name};
use crate::output::theme::{Label, Theme};
use crate::output::{self, json};
use netyard::lesson::{Errand, News, Pace, room};
use netyard::{Error, Result};
use netyard_core::lesson::exam::{ExamResult, Point, exam};
use netyard_core::lesson::{Language, Lesson};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One student's exam.
pub struct Sitting {
    pub student: String,
    pub seed: String,
    pub result: PathBuf,
    pub language: Language,
}

impl Sitting {
    /// Prints the task.
    pub fn show(&self) -> Result<ExitCode> {
        let lesson = exam(&self.student, &self.seed);
        output::print(&format!("{}\n", lesson.steps[0].text.of(self.language)));
        Ok(ExitCode::SUCCESS)
    }

    /// Lets the student work in a shell, or takes commands from a file; writes the result.
    pub fn sit(&self, answer: Option<&Path>, lab: Option<&str>) -> Result<ExitCode> {
        let lesson = exam(&self.student, &self.seed);
        let mut script = String::new();
        let mut is_mended = false;
        match answer {
            Some(file) => {
                script = std::fs::read_to_string(file).map_err(|error| {
                    Error::input("U007", format!("cannot read {}: {error}", file.display()))
                })?;
            }
            None => {
                let session = Session {
                    lesson: &lesson,
                    order: (0..lesson.steps.len()).collect(),
                    language: self.language,
                    pace: Pace::Exam,
                    name: name(lab)?,
                };
                session.run(0, &mut |news| match news {
                    News::Seen(now) => script = now,
                    News::Passed { step, script: now, .. } => {
                        is_mended |= step == "mend";
                        script = now;
                    }
                    _ => {}
                })?;
            }
        }
        let points = points(&lesson, &script)?;
        let schema = ExamResult::SCHEMA.to_owned();
        let result = ExamResult { schema, student: self.student.clone(), script, points, is_mended };
        let text = serde_json::to_string_pretty(&result).expect("texts are JSON");
        std::fs::write(&self.result, text + "\n")
            .map_err(|error| Error::io(format!("cannot write {}", self.result.display()), &error))?;
        show(&result, None);
        output::say(&format!("the result is in {}", self.result.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Builds the student's network anew and looks.
fn points(lesson: &Lesson, script: &str) -> Result<Vec<Point>> {
    let errand = Errand::Grade { script: script.to_owned() };
    let held = match room::alone(lesson, Language::En, errand)? {
        News::Graded(held) => held,
        other => {
            return Err(Error::kernel(
                "K010",
                format!("the coach told something else than points: {other:?}"),
            ));
        }
    };
    let checks = lesson.steps.last().map(|step| step.checks.as_slice()).unwrap_or_default();
    let point = |(check, holds): (&netyard_core::lesson::Check, bool)| Point { text: check.words(), holds };
    Ok(checks.iter().zip(held).map(point).collect())
}

#[derive(Serialize)]
struct Graded {
    file: String,
    student: String,
    points: usize,
    of: usize,
    /// Whether the file says what its own commands build.
    is_honest: bool,
    missing: Vec<String>,
}

/// Grades result files. Exit code 1 when one claims what its commands do not build.
pub fn grade(files: &[PathBuf], seed: &str, is_json: bool) -> Result<ExitCode> {
    let mut all = Vec::new();
    for file in files {
        let claimed = read(file)?;
        let lesson = exam(&claimed.student, seed);
        let result = ExamResult { points: points(&lesson, &claimed.script)?, ..claimed.clone() };
        let is_honest = result.points == claimed.points;
        if !is_json {
            show(&result, Some(is_honest));
        }
        let (points, of) = result.score();
        let missing = result.points.iter().filter(|point| !point.holds).map(|point| point.text.clone());
        let file = file.display().to_string();
        let missing = missing.collect();
        all.push(Graded { file, student: result.student, points, of, is_honest, missing });
    }
    let is_good = all.iter().all(|graded| graded.is_honest);
    if is_json {
        #[derive(Serialize)]
        struct Results {
            results: Vec<Graded>,
        }
        json::print("learn-grade", &Results { results: all });
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn read(file: &Path) -> Result<ExamResult> {
    let unreadable = |why: String| Error::input("U022", format!("cannot read {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let result: ExamResult = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if result.schema != ExamResult::SCHEMA {
        return Err(unreadable(format!("its schema is `{}`, not `{}`", result.schema, ExamResult::SCHEMA)));
    }
    Ok(result)
}

fn show(result: &ExamResult, is_honest: Option<bool>) {
    let theme = Theme::of_output();
    let (points, of) = result.score();
    output::print(&format!("{}: {points} of {of} points\n", result.student));
    // Commands that build the mended network prove nothing of who found the fault.
    let source = if is_honest.is_some() { ", as the file says" } else { "" };
    let fault = Point { text: format!("the fault was mended{source}"), holds: result.is_mended };
    for point in result.points.iter().chain([&fault]) {
        let mark = if point.holds { theme.paint(Label::Good, "✓") } else { theme.paint(Label::Bad, "✗") };
        output::print(&format!("  {mark} {}\n", point.text));
    }
    if is_honest == Some(false) {
        let words = "its commands do not build what the file says";
        output::print(&format!("  {} {words}\n", theme.paint(Label::Bad, "!")));
    }
}

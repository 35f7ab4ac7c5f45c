//! `netyard learn check`: proves lessons.

use super::load;
use crate::output::theme::{Label, Theme};
use crate::output::{self, json};
use netyard::lesson::proof::Finding;
use netyard::lesson::{Errand, News, room, shipped_names};
use netyard::{Error, Result};
use netyard_core::lesson::Language;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Serialize)]
struct Proof {
    lesson: String,
    gaps: Vec<String>,
    steps: Vec<Finding>,
    duration_ms: u128,
}

impl Proof {
    fn is_good(&self) -> bool {
        self.gaps.is_empty() && self.steps.iter().all(|step| step.problems.is_empty())
    }
}

pub fn run(names: &[String], is_all: bool, is_json: bool) -> Result<ExitCode> {
    let names: Vec<String> =
        if is_all { shipped_names().map(str::to_owned).collect() } else { names.to_vec() };
    let mut proofs = Vec::new();
    for name in &names {
        let proof = prove(name)?;
        if !is_json {
            show(&proof);
        }
        proofs.push(proof);
    }
    let is_good = proofs.iter().all(Proof::is_good);
    if is_json {
        #[derive(Serialize)]
        struct Proofs {
            lessons: Vec<Proof>,
        }
        json::print("learn-check", &Proofs { lessons: proofs });
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn prove(name: &str) -> Result<Proof> {
    let lesson = load(name)?;
    let begun = Instant::now();
    match room::alone(&lesson, Language::En, Errand::Prove)? {
        News::Proved(steps) => Ok(Proof {
            gaps: lesson.gaps(),
            lesson: lesson.name,
            steps,
            duration_ms: begun.elapsed().as_millis(),
        }),
        other => Err(Error::kernel("K010", format!("the coach told something else than a proof: {other:?}"))),
    }
}

fn show(proof: &Proof) {
    let theme = Theme::of_output();
    let mark = if proof.is_good() { theme.paint(Label::Good, "✓") } else { theme.paint(Label::Bad, "✗") };
    let foretold = proof.steps.iter().filter(|step| step.observed.is_some()).count();
    output::print(&format!(
        "{mark} {}: {}, {}, {} ms\n",
        proof.lesson,
        output::count(proof.steps.len(), "step"),
        output::count(foretold, "prediction"),
        proof.duration_ms
    ));
    for gap in &proof.gaps {
        output::print(&format!("  {gap}\n"));
    }
    for step in &proof.steps {
        for problem in &step.problems {
            output::print(&format!("  step {}: {problem}\n", step.step));
        }
    }
}

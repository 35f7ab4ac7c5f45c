//! Proves a lesson: what is said of each step is what the kernel does.

use super::errand::{News, Start};
use super::eyes::Eyes;
use super::judge::Judge;
use netyard_core::diagram::{Picture, Style, unicode};
use netyard_core::lesson::{Language, Lesson, Sight, Step, Wants};
use netyard_kernel::traveller::Traveller;
use serde::{Deserialize, Serialize};
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the checks of a solved step may take to hold.
const SETTLING: Duration = Duration::from_secs(5);
/// Columns of pictures that are printed.
const WIDTH: usize = 110;

/// What was found out about a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The step's id.
    pub step: String,
    /// What came of its prediction, in a word; none where there is none.
    pub observed: Option<String>,
    /// What is wrong with it; empty when all is well.
    pub problems: Vec<String>,
}

/// Runs shell commands on the machine `vm`; what they print is thrown away.
pub(super) fn run_script(eyes: &Eyes, traveller: &mut Traveller, script: &str) -> io::Result<()> {
    if script.trim().is_empty() {
        return Ok(());
    }
    eyes.go_home(traveller)?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop)
}

/// One who solves steps and looks.
struct Prover<'a, 'b> {
    eyes: Eyes,
    traveller: &'a mut Traveller,
    lesson: &'b Lesson,
}

impl Prover<'_, '_> {
    fn look(&mut self, wants: &Wants) -> Sight {
        self.eyes.refresh(self.traveller);
        self.eyes.look(self.traveller, wants)
    }

    fn run(&mut self, script: &str) -> io::Result<()> {
        run_script(&self.eyes, self.traveller, script)
    }

    fn prove(&mut self, step: &Step) -> io::Result<Finding> {
        let wants = Wants::of_step(step);
        let mut finding = Finding { step: step.id.clone(), observed: None, problems: Vec::new() };
        self.run(&step.start)?;
        let start = self.look(&wants);
        if !step.checks.is_empty() && self.judge(&start, &start).hold(&step.checks) {
            finding.problems.push("its checks hold before anything is done".to_owned());
        }
        self.foretell(step, true, &start, &start, &mut finding);
        self.run(&step.solve)?;
        self.run(&step.attempt)?;
        let begun = Instant::now();
        let mut now = self.look(&wants);
        while !self.judge(&now, &start).hold(&step.checks) {
            if begun.elapsed() > SETTLING {
                let judge = self.judge(&now, &start);
                let open: Vec<String> = step
                    .checks
                    .iter()
                    .filter(|check| !judge.holds(check))
                    .map(|check| check.missing(&now, Language::En))
                    .collect();
                finding.problems.push(format!("its solution does not do it: {}", open.join("; ")));
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            now = self.look(&wants);
        }
        self.foretell(step, false, &now, &start, &mut finding);
        Ok(finding)
    }

    fn judge<'s>(&'s self, now: &'s Sight, start: &'s Sight) -> Judge<'s> {
        Judge { eyes: &self.eyes, now, start }
    }

    fn foretell(&self, step: &Step, is_start: bool, now: &Sight, start: &Sight, finding: &mut Finding) {
        let Some(predict) = step.predict.as_ref().filter(|predict| predict.is_about_start == is_start) else {
            return;
        };
        let (choice, word) = self.judge(now, start).observe(predict);
        let told = choice.and_then(|at| predict.choices.get(at)).map(|choice| choice.text.en.clone());
        if told.is_none() {
            finding.problems.push(format!("no choice stands for what happens: {word}"));
        }
        finding.observed = Some(if word.is_empty() { told.unwrap_or_default() } else { word });
    }
}

pub(super) fn prove(start: &Start, eyes: Eyes, traveller: &mut Traveller) -> io::Result<News> {
    let mut prover = Prover { eyes, traveller, lesson: &start.lesson };
    prover.run(&start.lesson.setup)?;
    let findings: io::Result<Vec<Finding>> =
        start.order.iter().map(|at| prover.prove(&prover.lesson.steps[*at].clone())).collect();
    Ok(News::Proved(findings?))
}

pub(super) fn draw(start: &Start, eyes: Eyes, traveller: &mut Traveller) -> io::Result<News> {
    let mut prover = Prover { eyes, traveller, lesson: &start.lesson };
    prover.run(&start.lesson.setup)?;
    let wants = Wants::of_lesson(&start.lesson);
    let mut before = prover.look(&wants);
    let mut pictures = Vec::new();
    for step in &start.lesson.steps {
        prover.run(&step.start)?;
        prover.run(&step.solve)?;
        let now = prover.look(&wants);
        let picture = Picture::of_sight(&now, Some(&before));
        pictures.push(unicode(&picture, WIDTH, Style::Plain));
        before = now;
    }
    Ok(News::Drawn(pictures))
}

pub(super) fn grade(start: &Start, script: &str, eyes: Eyes, traveller: &mut Traveller) -> io::Result<News> {
    let mut prover = Prover { eyes, traveller, lesson: &start.lesson };
    prover.run(&start.lesson.setup)?;
    let Some(step) = start.lesson.steps.last() else { return Ok(News::Graded(Vec::new())) };
    let wants = Wants::of_step(step);
    let before = prover.look(&wants);
    prover.run(script)?;
    let begun = Instant::now();
    loop {
        let now = prover.look(&wants);
        let judge = prover.judge(&now, &before);
        let held: Vec<bool> = step.checks.iter().map(|check| judge.holds(check)).collect();
        // Links that have just come up lose the first frames.
        if held.iter().all(|holds| *holds) || begun.elapsed() > SETTLING {
            return Ok(News::Graded(held));
        }
    }
}

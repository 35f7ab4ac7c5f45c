//! Tests written for kathara-lab-checker, asked of a lab that runs.
//!
//! Nothing waits for a fixed time: what is not as it should be is asked again until it is, or the file's convergence time
//! is over. What must not be so is asked when all else is as it should be.

use super::{devices, text_within};
use crate::error::{Error, Result};
use crate::running::RunningLab;
use netyard_core::diagnostic::Source;
use netyard_core::expect::Outcome;
use netyard_core::kathara::checker::{self, Answer, Check, Checks, Facts};
use netyard_core::name::NodeName;
use netyard_core::report::{ExpectationResult, Mismatch, TestReport};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Commands that run at the same time.
const AT_ONCE: usize = 8;
/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks a lab that runs, from this folder, for everything that a file of tests wants.
///
/// `template` is a `lab.conf` with which the lab's own is compared.
///
/// # Errors
/// That the lab has ended; that its files, or the template, cannot be read.
pub fn check(
    lab: &RunningLab,
    folder: &Path,
    checks: &Checks,
    template: Option<&Source>,
    on_result: &mut dyn FnMut(usize),
) -> Result<TestReport> {
    let facts = facts(folder)?;
    let mut all = match template {
        Some(source) => checker::structure(&checker::devices(source).map_err(|_| unreadable(&source.name))?),
        None => Vec::new(),
    };
    all.extend(checks.checks.iter().cloned());
    let limit = Duration::from_secs(checks.convergence_s);
    let mut round = Round { lab, nodes: devices(&lab.definition()?), facts: &facts, begun: Instant::now() };
    let mut results: Vec<Option<ExpectationResult>> = vec![None; all.len()];
    for is_negated in [false, true] {
        loop {
            let is_open = |at: &usize| {
                all[*at].is_negated == is_negated && !results[*at].as_ref().is_some_and(|r| r.passed)
            };
            let open: Vec<usize> = (0..all.len()).filter(is_open).collect();
            let asked: Vec<&Check> = open.iter().map(|at| &all[*at]).collect();
            for (at, verdict) in open.iter().zip(round.ask(&asked)?) {
                let attempts = results[*at].as_ref().map_or(0, |result| result.attempts) + 1;
                results[*at] = Some(round.result(*at, &all[*at], verdict, attempts));
            }
            let is_settled =
                |at: &usize| all[*at].command().is_none() || results[*at].as_ref().is_some_and(|r| r.passed);
            on_result(results.iter().flatten().count());
            if open.iter().all(is_settled) || round.begun.elapsed() >= limit {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(TestReport::new(lab.name().clone(), results.into_iter().flatten().collect()))
}

fn unreadable(file: &str) -> Error {
    Error::input("I001", format!("{file} is not a lab.conf"))
        .help("`structure` and `lab_inline` of the test say how devices are connected, as in lab.conf")
}

/// What the files of a lab tell.
fn facts(folder: &Path) -> Result<Facts> {
    let conf = text_within(folder, &folder.join("lab.conf")).unwrap_or_default();
    let source = Source::new("lab.conf", conf);
    let devices = checker::devices(&source).map_err(|_| unreadable("lab.conf"))?;
    let names = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let startups: BTreeSet<String> =
        names.filter_map(|name| name.strip_suffix(".startup").map(str::to_owned)).collect();
    Ok(Facts { devices, startups })
}

/// What is needed to ask.
struct Round<'a> {
    lab: &'a RunningLab,
    nodes: BTreeMap<String, NodeName>,
    facts: &'a Facts,
    begun: Instant,
}

impl Round<'_> {
    /// The verdict on each check as the lab is now. A command that several ask for runs once.
    fn ask(&mut self, checks: &[&Check]) -> Result<Vec<std::result::Result<(), String>>> {
        let commands: BTreeSet<(String, String)> =
            checks.iter().filter_map(|check| Some((check.device.clone(), check.command()?))).collect();
        let commands: Vec<(String, String)> = commands.into_iter().collect();
        let answers = self.answers(&commands);
        let verdict = |check: &&Check| {
            let Some(command) = check.command() else {
                return Ok(check.verdict(&Answer::default(), self.facts));
            };
            match answers.get(&(check.device.clone(), command)) {
                Some(Ok(answer)) => Ok(check.verdict(answer, self.facts)),
                Some(Err(error)) if error.code == "K009" => Err(error.clone()),
                Some(Err(error)) => Ok(Err(error.title.clone())),
                None => Ok(Err(format!("no device `{}` runs", check.device))),
            }
        };
        checks.iter().map(verdict).collect()
    }

    fn answers(&self, commands: &[(String, String)]) -> BTreeMap<(String, String), Result<Answer>> {
        let next = AtomicUsize::new(0);
        let answers = Mutex::new(BTreeMap::new());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(commands.len()) {
                scope.spawn(|| {
                    while let Some((device, command)) = commands.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let Some(node) = self.nodes.get(device) else { continue };
                        let answer = self.answer(node, command);
                        let mut answers = answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        answers.insert((device.clone(), command.clone()), answer);
                    }
                });
            }
        });
        answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn answer(&self, node: &NodeName, command: &str) -> Result<Answer> {
        let output = self.lab.known_node(node.clone()).command("sh").args(["-c", command]).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.shell_code();
        Ok(Answer { code, stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    fn result(
        &self,
        index: usize,
        check: &Check,
        verdict: std::result::Result<(), String>,
        attempts: u32,
    ) -> ExpectationResult {
        let detail = verdict.err();
        let mismatch = detail.as_ref().map(|reason| Mismatch {
            what: "check".to_owned(),
            expected: check.text.clone(),
            found: reason.clone(),
        });
        ExpectationResult {
            index,
            line: check.line,
            text: check.text.clone(),
            passed: detail.is_none(),
            expected: Outcome::Ok,
            outcome: Some(Outcome::Ok),
            mismatch,
            detail: detail.unwrap_or_default(),
            duration_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            attempts,
        }
    }
}

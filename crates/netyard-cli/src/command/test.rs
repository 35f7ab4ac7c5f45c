//! `netyard test`: check the expectations of a lab.

mod checks;

use super::running;
use crate::args::{Test, TestFormat};
use crate::output::theme::{Label, Theme};
use crate::output::{self, Progress};
use netyard::{Lab, Result, RunningLab};
use netyard_core::report::{self, Piece, TestReport, Writing};
use std::path::Path;
use std::process::ExitCode;

pub fn run(args: &Test, lab: Option<&str>) -> Result<ExitCode> {
    let format = if args.json { TestFormat::Json } else { args.format };
    let checks = args.target.as_deref().map(checks::source).transpose()?.flatten();
    let report = match (&checks, args.target.as_deref()) {
        (Some(source), _) => checks::report_of(source, args)?,
        (None, Some(target)) if is_file(target) => {
            let lab = Lab::from_file(Path::new(target), output::style())?.allowing_host(args.allow_host);
            lab.warnings.iter().for_each(|warning| output::say(warning));
            let mut progress = Progress::new(format!("building lab {lab}"));
            let copy = lab.up_with_progress(&mut |done, all| progress.at(done, all))?;
            drop(progress);
            report_of(&copy)?
        }
        (None, name) => report_of(&running(name, lab)?)?,
    };
    output::print(&rendered(&report, format, false));
    Ok(exit_code(&report))
}

/// Whether a word means a lab file, not the name of a lab.
pub fn is_file(word: &str) -> bool {
    word == "-"
        || word.contains('/')
        || word.ends_with(".yaml")
        || word.ends_with(".yml")
        || Path::new(word).is_file()
}

/// Runs all expectations of the lab.
pub fn report_of(lab: &RunningLab) -> Result<TestReport> {
    let definition = lab.definition()?;
    let all = definition.expectations.len();
    let mut progress = Progress::new(format!("testing lab {}", definition.name));
    let mut done = 0;
    let report = lab.test_telling(|_| {
        done += 1;
        progress.at(done, all);
    })?;
    drop(progress);
    if all == 0 {
        output::say(&format!("lab {} states no expectations", definition.name));
    }
    Ok(report)
}

pub fn rendered(report: &TestReport, format: TestFormat, failures_only: bool) -> String {
    let theme = Theme::of_output();
    let paint = |piece: Piece, text: &str| {
        let label = match piece {
            Piece::Passed => Label::Good,
            Piece::Failed => Label::Bad,
            Piece::Duration => Label::Quiet,
        };
        theme.paint(label, text)
    };
    match format {
        TestFormat::Text if report.expectations.is_empty() => String::new(),
        TestFormat::Text => {
            report::text(report, Writing { failures_only, paint: &paint, ..Writing::default() })
        }
        TestFormat::Json => report.json(),
        TestFormat::Junit => report::junit(report),
        TestFormat::Tap => report::tap(report),
    }
}

pub fn exit_code(report: &TestReport) -> ExitCode {
    ExitCode::from(u8::from(report.failed > 0))
}

//! `netyard up`: build a lab, or change the one that runs.

use crate::args::Up;
use crate::output::{self, Progress, json};
use netyard::store::Store;
use netyard::up::Upped;
use netyard::{Lab, Result};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Serialize)]
struct Report<'a> {
    lab: &'a str,
    nodes: usize,
    pid: u32,
    /// Steps that changed a running lab; none for a new one.
    changes: Option<usize>,
    milliseconds: u128,
}

pub fn run(args: &Up) -> Result<ExitCode> {
    let mut lab = Lab::from_file(&args.file, output::style())?;
    lab.fail_at = args.fail_at;
    lab.warnings.iter().for_each(|warning| output::say(warning));
    let begun = Instant::now();
    let mut progress = Progress::new(format!("building lab {lab}"));
    let upped = lab.up_named(&Store::of_user(), &mut |done, all| progress.at(done, all))?;
    drop(progress);
    if args.json {
        let report = Report {
            lab: lab.definition().name.as_str(),
            nodes: lab.definition().nodes.len(),
            pid: upped.lab.pid(),
            changes: upped.changes.as_ref().map(Vec::len),
            milliseconds: begun.elapsed().as_millis(),
        };
        json::print("up", &report);
    } else if !args.quiet {
        output::say(&sentence(&lab, &upped, begun));
    }
    Ok(ExitCode::SUCCESS)
}

fn sentence(lab: &Lab, upped: &Upped, begun: Instant) -> String {
    let nodes = output::count(lab.definition().nodes.len(), "node");
    let milliseconds = begun.elapsed().as_millis();
    match upped.changes.as_deref() {
        None => format!("lab {lab} is up: {nodes}, {milliseconds} ms"),
        Some([]) => format!("lab {lab} is up already and as described"),
        Some(steps) => {
            format!("lab {lab} is up and changed: {}, {milliseconds} ms", output::count(steps.len(), "step"))
        }
    }
}

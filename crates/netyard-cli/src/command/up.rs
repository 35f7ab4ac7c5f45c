//! `netyard up`: build a lab, or change the one that runs.

use super::{diagram, exec, test};
use crate::args::{TestFormat, Up};
use crate::output::{self, Progress, json};
use netyard::protocol::Changes;
use netyard::store::Store;
use netyard::up::Upped;
use netyard::{Lab, Result, RunningLab};
use netyard_core::diagram::Picture;
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
    let mut lab = Lab::from_file(&args.file, output::style())?.allowing_host(args.allow_host);
    lab.fail_at = args.fail_at;
    if let Some(node) = &args.r#in {
        lab.refuse_unknown_node(node)?;
    }
    lab.warnings.iter().for_each(|warning| output::say(warning));
    netyard::layer::advice(lab.definition()).iter().for_each(|warning| output::say(warning));
    let begun = Instant::now();
    let mut progress = Progress::new(format!("building lab {lab}"));
    let store = Store::of_user();
    let is_for_now = args.rm || !args.run.is_empty();
    let mut on_step = |done, all| progress.at(done, all);
    let upped = match is_for_now {
        true => lab.up_named_for_now(&store, &mut on_step)?,
        false => lab.up_named(&store, &mut on_step)?,
    };
    drop(progress);
    if args.json && !args.test {
        let report = Report {
            lab: lab.definition().name.as_str(),
            nodes: lab.definition().nodes.len(),
            pid: upped.lab.pid(),
            changes: upped.changes.as_ref().map(Changes::len),
            milliseconds: begun.elapsed().as_millis(),
        };
        json::print("up", &report);
    } else if !args.quiet {
        if args.run.is_empty() && !args.json {
            let picture = Picture::of_lab(lab.definition());
            output::print(&format!("{}\n", diagram::drawn(&picture, output::width(), false)));
        }
        output::say(&sentence(&lab, &upped, begun));
    }
    let done = afterwards(args, &upped.lab);
    // A lab that somebody has brought up before is removed only when that is asked for.
    if args.rm || (is_for_now && upped.changes.is_none()) {
        netyard::up::down(upped.lab.name(), &store, false)?;
    }
    done
}

/// What is to be done with the lab up.
fn afterwards(args: &Up, lab: &RunningLab) -> Result<ExitCode> {
    if args.test {
        let report = test::report_of(lab)?;
        let format = if args.json { TestFormat::Json } else { TestFormat::Text };
        output::print(&test::rendered(&report, format, args.quiet));
        if report.failed > 0 {
            return Ok(test::exit_code(&report));
        }
    }
    let Some((program, rest)) = args.run.split_first() else { return Ok(ExitCode::SUCCESS) };
    match &args.r#in {
        Some(node) => exec::in_foreground(lab.node(node)?.command(program).args(rest)),
        None => exec::outside(program, rest, lab),
    }
}

fn sentence(lab: &Lab, upped: &Upped, begun: Instant) -> String {
    let nodes = output::count(lab.definition().nodes.len(), "node");
    let milliseconds = begun.elapsed().as_millis();
    match &upped.changes {
        None => format!("lab {lab} is up: {nodes}, {milliseconds} ms"),
        Some(changes) if changes.is_empty() => format!("lab {lab} is up already and as described"),
        Some(changes) => {
            let mut parts = Vec::new();
            if !changes.steps.is_empty() {
                parts.push(output::count(changes.steps.len(), "step"));
            }
            parts.extend(changes.services.iter().map(ToString::to_string));
            format!("lab {lab} is up and changed: {}, {milliseconds} ms", parts.join(", "))
        }
    }
}

//! `netyard plan`: what `up` would do.

use crate::args::Plan;
use crate::output::{self, json};
use netyard::store::Store;
use netyard::{Lab, Result, RunningLab};
use netyard_core::desired;
use netyard_core::diff::diff;
use netyard_core::script::script;
use netyard_core::state::State;
use netyard_core::step::Step;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Planned<'a> {
    lab: &'a str,
    /// Whether the steps change a lab that runs.
    running: bool,
    steps: Vec<PlannedStep<'a>>,
}

#[derive(Serialize)]
struct PlannedStep<'a> {
    namespace: &'a str,
    step: &'a Step,
    commands: Vec<String>,
}

pub fn run(args: &Plan) -> Result<ExitCode> {
    let lab = Lab::from_file(&args.file, output::style())?;
    lab.warnings.iter().for_each(|warning| output::say(warning));
    let name = &lab.definition().name;
    let is_fresh = args.fresh || args.script;
    let running = if is_fresh { None } else { Store::of_user().find(name)?.is_some().then_some(()) };
    let steps = match running {
        Some(()) => RunningLab::find(name, &Store::of_user())?.plan(lab.spec())?,
        None => diff(&State::default(), &desired::state(lab.definition())),
    };
    if args.json {
        let planned =
            |step| PlannedStep { namespace: Step::ns(step).as_str(), step, commands: step.commands() };
        let steps = steps.iter().map(planned).collect();
        json::print("plan", &Planned { lab: name.as_str(), running: running.is_some(), steps });
    } else if args.script {
        output::print(&script(&steps, &format!("lab {name}")));
    } else if steps.is_empty() {
        output::say(&format!("lab {name} is up and as described: nothing to do"));
    } else {
        let commands: String = steps.iter().flat_map(Step::commands).map(|command| command + "\n").collect();
        output::print(&commands);
    }
    Ok(ExitCode::SUCCESS)
}

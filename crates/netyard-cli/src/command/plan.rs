//! `netyard plan`: what `up` would do.

use crate::args::Plan;
use crate::output::{self, json};
use netyard::protocol::{Changes, ServiceChange};
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
    services: &'a [ServiceChange],
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
    let changes = match running {
        Some(()) => RunningLab::find(name, &Store::of_user())?.plan(lab.spec())?,
        None => {
            let steps = diff(&State::default(), &desired::state(lab.definition()));
            Changes { steps, services: Vec::new() }
        }
    };
    let Changes { steps, services } = &changes;
    if args.json {
        let planned =
            |step| PlannedStep { namespace: Step::ns(step).as_str(), step, commands: step.commands() };
        let steps = steps.iter().map(planned).collect();
        json::print("plan", &Planned { lab: name.as_str(), running: running.is_some(), steps, services });
    } else if args.script {
        output::print(&script(steps, &format!("lab {name}")));
    } else if changes.is_empty() {
        output::say(&format!("lab {name} is up and as described: nothing to do"));
    } else {
        let commands = steps.iter().flat_map(Step::commands).map(|command| command + "\n");
        let services = services.iter().map(|change| format!("# {change}\n"));
        output::print(&commands.chain(services).collect::<String>());
    }
    Ok(ExitCode::SUCCESS)
}

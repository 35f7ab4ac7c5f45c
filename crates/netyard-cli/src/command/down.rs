//! `netyard down`: remove a lab.

use super::chosen;
use crate::args::Down;
use crate::output;
use netyard::Result;
use netyard::store::Store;
use netyard::up::Downed;
use std::process::ExitCode;

pub fn run(args: &Down, lab: Option<&str>) -> Result<ExitCode> {
    let store = Store::of_user();
    let names = if args.all { store.labs()? } else { vec![chosen(args.name.as_deref(), lab)?] };
    let mut failures = Vec::new();
    for name in &names {
        if !args.now
            && let Err(error) = netyard::up::run_stop_programs(name, &store)
        {
            output::report(&error);
        }
        let removed = netyard::up::down(name, &store, args.wait);
        match removed {
            Ok(Downed::Gone) => output::say(&format!("lab {name} is gone")),
            Ok(Downed::Unreaped) => output::say(&format!(
                "lab {name} is gone, but for a command that whoever started it has not waited for; one that is stopped \
                 (ctrl-Z) ends when it is continued"
            )),
            Ok(Downed::NotThere) if args.all => {}
            Ok(Downed::NotThere) => failures.push(store.no_such_lab(name)),
            Err(error) => failures.push(error),
        }
    }
    let last = failures.pop();
    failures.iter().for_each(output::report);
    last.map_or(Ok(ExitCode::SUCCESS), Err)
}

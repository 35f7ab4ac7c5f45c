//! systemctl(1).

use crate::output;
use netyard::service::{self, Failure, Found, Job, Record, Units, enable};
use netyard_core::stand_in::systemctl::{self, Order, Verb};
use netyard_core::unit::{self, Activity, Shown, UnitName, UnitState};
use std::collections::BTreeSet;
use std::io;

/// Exit codes of `status` and `is-active` (systemctl(1), EXIT STATUS).
const NOT_ACTIVE: u8 = 3;
const NO_SUCH_UNIT: u8 = 4;
/// What to do where a daemon wants to be somebody else than root, and there is nobody else.
const ONE_ID: &str = "  = help: this node has one user id only, and some daemons refuse to run as root; with subordinate ids \
                      (subuid(5), `newuidmap`) they have users of their own: see `netyard doctor`";

pub fn run(typed: &[String]) -> u8 {
    match systemctl::order(typed) {
        Ok(order) => carry_out(&order),
        Err(words) if words.starts_with(|c: char| c.is_uppercase()) => say(&words),
        Err(words) => say(&format!("systemctl: {words}")),
    }
}

fn say(words: &str) -> u8 {
    output::say(words);
    1
}

/// Does what is asked, and returns the exit code.
pub fn carry_out(order: &Order) -> u8 {
    let units = Units::default();
    match order.verb {
        Verb::ListUnits => list_units(&units, order),
        Verb::ListUnitFiles => list_unit_files(&units, order),
        Verb::DaemonReload => 0,
        Verb::Version => print("systemd 252 (netyard: services of a node, without systemd)\n"),
        Verb::IsSystemRunning => is_system_running(order),
        Verb::Status if order.units.is_empty() => list_units(&units, order),
        Verb::ResetFailed if order.units.is_empty() => {
            Record::all().iter().map(reset_failed).fold(0, u8::max)
        }
        Verb::IsActive | Verb::IsFailed | Verb::IsEnabled => ask(&units, order),
        Verb::Start | Verb::Restart => {
            let (names, others): (Vec<_>, Vec<_>) =
                order.units.iter().partition(|typed| UnitName::new(typed).is_some());
            let names = service::in_order(&units, names.iter().filter_map(|n| UnitName::new(n)).collect());
            let names = names.iter().map(UnitName::as_str).chain(others.iter().map(|typed| typed.as_str()));
            names.map(|name| for_one(&units, order, name)).fold(0, u8::max)
        }
        _ => order.units.iter().map(|typed| for_one(&units, order, typed)).fold(0, u8::max),
    }
}

fn print(text: &str) -> u8 {
    let _ = output::print(text);
    0
}

fn for_one(units: &Units, order: &Order, typed: &str) -> u8 {
    let Some(name) = UnitName::new(typed) else {
        return say(&format!("Invalid unit name \"{typed}\"."));
    };
    match order.verb {
        Verb::Start => told(service::start(units, &name, order.waits), "start"),
        Verb::Stop => told(service::stop(units, &name), "stop"),
        Verb::Restart => restart(units, &name, order),
        Verb::Reload => told(service::reload(units, &name), "reload"),
        Verb::ReloadOrRestart => reload_or_restart(units, &name, order),
        Verb::TryRestart | Verb::TryReloadOrRestart => match known(units, &name) {
            Some((_, state)) if !state.activity.is_active() => 0,
            Some(_) if order.verb == Verb::TryRestart => restart(units, &name, order),
            Some(_) => reload_or_restart(units, &name, order),
            None => told(Err(Failure::NotFound(name)), "try-restart"),
        },
        Verb::Status => status(units, &name, order),
        Verb::Show => show(units, &name, order),
        Verb::Cat => cat(units, &name),
        Verb::Kill => kill(units, &name, order),
        Verb::ResetFailed => reset_failed(&name),
        Verb::Enable => enable(units, &name, order),
        Verb::Reenable => disable(units, &name, order).max(enable(units, &name, order)),
        Verb::Disable => disable(units, &name, order),
        Verb::Mask => mask(units, &name, order),
        Verb::Unmask => match enable::unmask(units, &name) {
            Ok(link) => removed(link.iter().collect::<Vec<_>>().as_slice()),
            Err(error) => say(&format!("Failed to unmask unit: {error}")),
        },
        _ => 0,
    }
}

fn told(done: Result<Job, Failure>, verb: &str) -> u8 {
    match done {
        Ok(_) => 0,
        Err(failure) => {
            output::say(&failure.text(verb));
            if matches!(failure, Failure::NotStarted(..)) && service::has_one_id() {
                output::say(ONE_ID);
            }
            failure.code()
        }
    }
}

fn restart(units: &Units, name: &UnitName, order: &Order) -> u8 {
    told(service::restart(units, name, order.waits), "restart")
}

fn reload_or_restart(units: &Units, name: &UnitName, order: &Order) -> u8 {
    match service::reload(units, name) {
        Err(Failure::NotActive(_) | Failure::NotReloadable(_)) => restart(units, name, order),
        done => told(done, "reload-or-restart"),
    }
}

/// A unit with its state; one that was started without us may be seen by its init script or PID file.
fn known(units: &Units, name: &UnitName) -> Option<(Found, UnitState)> {
    let found = units.find(name)?;
    let mut state = Record::of(&found.unit.name).state();
    if state.activity == Activity::Inactive
        && let Some(native) = service::native(&found)
    {
        state.activity = Activity::Active;
        "running".clone_into(&mut state.sub);
        state.main_pid = match native {
            service::Native::Process(pid) => Some(pid),
            service::Native::Script(_) => None,
        };
    }
    Some((found, state))
}

/// `is-active`, `is-failed`, `is-enabled`: success when it is so of one of them.
fn ask(units: &Units, order: &Order) -> u8 {
    let mut is_any = false;
    for typed in &order.units {
        let name = UnitName::new(typed);
        let known = name.as_ref().and_then(|name| known(units, name));
        let (word, is_so) = match (order.verb, &known) {
            (Verb::IsEnabled, None) => {
                output::say(&format!("Failed to get unit file state for {typed}: No such file or directory"));
                continue;
            }
            (Verb::IsEnabled, Some((found, _))) => {
                let word = enable::word(units, found);
                (word, matches!(word, "enabled" | "static" | "alias"))
            }
            (Verb::IsFailed, Some((_, state))) => (state.activity.word(), state.activity == Activity::Failed),
            (_, Some((_, state))) => (state.activity.word(), state.activity.is_active()),
            (_, None) => ("inactive", false),
        };
        is_any |= is_so;
        if !order.is_quiet {
            print(&format!("{word}\n"));
        }
    }
    match order.verb {
        _ if is_any => 0,
        Verb::IsActive => NOT_ACTIVE,
        _ => 1,
    }
}

fn is_system_running(order: &Order) -> u8 {
    let has_failed = Record::all().iter().any(|name| Record::of(name).state().activity == Activity::Failed);
    if !order.is_quiet {
        print(if has_failed { "degraded\n" } else { "running\n" });
    }
    u8::from(has_failed)
}

/// Calls back with all that is known of a unit.
fn with_shown<T>(
    found: &Found,
    state: &UnitState,
    units: &Units,
    lines: usize,
    use_it: impl FnOnce(&Shown<'_>) -> T,
) -> T {
    let record = Record::of(&found.unit.name);
    let (processes, log) = (record.described_processes(), record.log(lines, 0));
    use_it(&Shown {
        unit: &found.unit,
        path: &found.path.to_string_lossy(),
        enabled: enable::word(units, found),
        state,
        processes: &processes,
        log: &log,
        now: service::now(),
    })
}

fn status(units: &Units, name: &UnitName, order: &Order) -> u8 {
    let Some((found, state)) = known(units, name) else {
        output::say(&format!("Unit {name} could not be found."));
        return NO_SUCH_UNIT;
    };
    if !order.is_quiet {
        with_shown(&found, &state, units, order.lines, |shown| print(&unit::status(shown)));
    }
    if state.activity.is_active() { 0 } else { NOT_ACTIVE }
}

fn show(units: &Units, name: &UnitName, order: &Order) -> u8 {
    let properties = match known(units, name) {
        Some((found, state)) => with_shown(&found, &state, units, 0, unit::properties),
        None => [
            ("Id", name.as_str()),
            ("LoadState", "not-found"),
            ("ActiveState", "inactive"),
            ("SubState", "dead"),
        ]
        .map(|(key, value)| (key, value.to_owned()))
        .to_vec(),
    };
    let wanted = properties.into_iter().filter(|(key, _)| {
        order.properties.is_empty() || order.properties.iter().any(|wanted| wanted == key)
    });
    let line = |(key, value): (&str, String)| {
        if order.is_value_only { format!("{value}\n") } else { format!("{key}={value}\n") }
    };
    print(&wanted.map(line).collect::<String>())
}

fn cat(units: &Units, name: &UnitName) -> u8 {
    let Some(found) = units.find(name) else {
        return say(&format!("No files found for {name}."));
    };
    let text = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        format!("# {}\n{}", path.display(), String::from_utf8_lossy(&bytes))
    };
    print(&found.files.iter().map(text).collect::<Vec<_>>().join("\n"))
}

fn kill(units: &Units, name: &UnitName, order: &Order) -> u8 {
    let Some((found, state)) = known(units, name) else {
        return told(Err(Failure::NotLoaded(name.clone())), "kill unit");
    };
    let typed = order.signal.as_deref().unwrap_or("TERM");
    let Some(signal) = unit::signal_number(typed) else {
        return say(&format!("Failed to parse signal string {typed}."));
    };
    let processes = match state.main_pid {
        Some(pid) if order.kills_main_only => vec![pid],
        _ => Record::of(&found.unit.name).processes(),
    };
    match service::signal_all(&processes, signal) {
        Ok(()) => 0,
        Err(error) => say(&format!("Failed to kill unit {name}: {}", super::words(&error))),
    }
}

fn reset_failed(name: &UnitName) -> u8 {
    let record = Record::of(name);
    if record.state().activity != Activity::Failed || record.has_keeper() {
        return 0;
    }
    record
        .forget()
        .map_or_else(|error| say(&format!("Failed to reset {name}: {}", super::words(&error))), |()| 0)
}

fn enable(units: &Units, name: &UnitName, order: &Order) -> u8 {
    let Some(found) = units.find(name) else {
        return say(&format!("Failed to enable unit: Unit file {name} does not exist."));
    };
    if found.is_masked {
        return say(&format!("Failed to enable unit: Unit file {} is masked.", found.path.display()));
    }
    match enable::enable(units, &found) {
        Ok(made) => {
            for (link, target) in made.iter().filter(|_| !order.is_quiet) {
                output::say(&format!("Created symlink {} → {}.", link.display(), target.display()));
            }
        }
        Err(error) => return failed_link("enable", &error),
    }
    if order.is_now { told(service::start(units, name, order.waits), "start") } else { 0 }
}

fn disable(units: &Units, name: &UnitName, order: &Order) -> u8 {
    let Some(found) = units.find(name) else {
        return say(&format!("Failed to disable unit: Unit file {name} does not exist."));
    };
    match enable::disable(units, &found) {
        Ok(links) => {
            removed(links.iter().filter(|_| !order.is_quiet).collect::<Vec<_>>().as_slice());
        }
        Err(error) => return failed_link("disable", &error),
    }
    if order.is_now && order.verb == Verb::Disable { told(service::stop(units, name), "stop") } else { 0 }
}

fn removed(links: &[&std::path::PathBuf]) -> u8 {
    for link in links {
        output::say(&format!("Removed \"{}\".", link.display()));
    }
    0
}

fn mask(units: &Units, name: &UnitName, order: &Order) -> u8 {
    match enable::mask(units, name) {
        Ok(link) => {
            if let Some(link) = link.filter(|_| !order.is_quiet) {
                output::say(&format!("Created symlink {} → /dev/null.", link.display()));
            }
        }
        Err(error) => return failed_link("mask", &error),
    }
    if order.is_now { told(service::stop(units, name), "stop") } else { 0 }
}

fn failed_link(verb: &str, error: &io::Error) -> u8 {
    say(&format!("Failed to {verb} unit: {}", super::words(error)))
}

fn list_units(units: &Units, order: &Order) -> u8 {
    let mut names: BTreeSet<UnitName> = Record::all().into_iter().collect();
    if order.is_all {
        names
            .extend(units.files().keys().filter_map(|name| UnitName::new(name)).filter(UnitName::is_service));
    }
    let mut rows = Vec::new();
    for name in names {
        let Some((found, state)) = known(units, &name).filter(|(found, _)| found.unit.name == name) else {
            continue;
        };
        let words = [state.activity.word(), &state.sub];
        let is_wanted = if order.states.is_empty() {
            order.is_all || state.activity != Activity::Inactive
        } else {
            order.states.iter().any(|state| words.contains(&state.as_str()))
        };
        if is_wanted && is_named(order, &name) {
            let sub = if state.sub.is_empty() { "dead" } else { &state.sub };
            let cells = [name.as_str(), "loaded", words[0], sub, &found.unit.description];
            rows.push(cells.map(str::to_owned).to_vec());
        }
    }
    let table = unit::list(&["UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"], &rows, order.has_legend);
    print(&table);
    if order.has_legend {
        print(&format!("\n{} loaded units listed.\n", rows.len()));
    }
    0
}

fn list_unit_files(units: &Units, order: &Order) -> u8 {
    let names: BTreeSet<UnitName> = units.files().keys().filter_map(|name| UnitName::new(name)).collect();
    let mut rows = Vec::new();
    for name in names.iter().filter(|name| name.is_service() && is_named(order, name)) {
        let word = match units.find(name) {
            Some(found) if found.unit.name != *name => "alias",
            Some(found) => enable::word(units, &found),
            None => "bad",
        };
        if order.states.is_empty() || order.states.iter().any(|state| state == word) {
            rows.push(vec![name.to_string(), word.to_owned()]);
        }
    }
    print(&unit::list(&["UNIT FILE", "STATE"], &rows, order.has_legend));
    if order.has_legend {
        print(&format!("\n{} unit files listed.\n", rows.len()));
    }
    0
}

/// Whether a unit is among those named; a name may end with `*`.
fn is_named(order: &Order, name: &UnitName) -> bool {
    let is_it = |typed: &String| match typed.split_once('*') {
        Some((begin, _)) => name.as_str().starts_with(begin),
        None => UnitName::new(typed).is_some_and(|typed| typed == *name),
    };
    order.units.is_empty() || order.units.iter().any(is_it)
}

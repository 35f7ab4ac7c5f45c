//! service(8), and the init scripts that are other names of services.

use super::systemctl as ctl;
use crate::output;
use netyard::service::{self, Units};
use netyard_core::stand_in::systemctl::{self, Order, ServiceOrder, Verb};
use netyard_core::unit::UnitName;
use std::path::Path;
use std::process::Stdio;

pub fn run(typed: &[String]) -> u8 {
    match systemctl::service_order(typed) {
        Ok(ServiceOrder::StatusAll) => status_all(),
        Ok(ServiceOrder::Of(name, words)) => of(&name, &words),
        Err(words) => say(&words),
    }
}

/// An init script that is another name of a service: `/etc/init.d/bind restart`.
pub fn run_script(name: &str, typed: &[String]) -> u8 {
    if typed.is_empty() {
        return say(&format!("Usage: /etc/init.d/{name} {{start|stop|restart|reload|force-reload|status}}"));
    }
    of(name, typed)
}

fn say(words: &str) -> u8 {
    output::say(words);
    1
}

/// The unit of that name first, else the init script.
fn of(name: &str, words: &[String]) -> u8 {
    let found = UnitName::new(name).and_then(|name| Units::default().find(&name));
    let verb = words.first().and_then(|word| verb(word));
    let script = service::init_script(Path::new("/"), name);
    match (found, verb, script) {
        (Some(found), Some(verb), _) if !found.is_script => {
            ctl::carry_out(&Order { verb, units: vec![name.to_owned()], ..Order::default() })
        }
        (_, _, Some(script)) => match service::script_command(&script, words).status() {
            Ok(status) => u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
            Err(error) => say(&format!("{}: {}", script.display(), super::words(&error))),
        },
        (Some(_), _, None) => say(&format!("{name}: unknown command {}", words.join(" "))),
        (None, _, None) => say(&format!("{name}: unrecognized service")),
    }
}

fn verb(word: &str) -> Option<Verb> {
    Some(match word {
        "start" => Verb::Start,
        "stop" => Verb::Stop,
        "restart" | "--full-restart" => Verb::Restart,
        "reload" => Verb::Reload,
        "force-reload" => Verb::ReloadOrRestart,
        "try-restart" | "condrestart" => Verb::TryRestart,
        "status" => Verb::Status,
        _ => return None,
    })
}

/// A line for each init script: `[ + ]` runs, `[ - ]` does not, `[ ? ]` cannot tell.
fn status_all() -> u8 {
    let units = Units::default();
    for name in service::script_names() {
        let unit = UnitName::new(&name).and_then(|name| units.find(&name));
        let is_unit = unit.as_ref().is_some_and(|found| !found.is_script);
        let runs = if is_unit {
            let words = [name.clone()];
            Some(
                ctl::carry_out(&Order {
                    verb: Verb::IsActive,
                    units: words.to_vec(),
                    is_quiet: true,
                    ..Order::default()
                }) == 0,
            )
        } else {
            service::init_script(Path::new("/"), &name).and_then(|script| script_status(&script))
        };
        let mark = match runs {
            Some(true) => '+',
            Some(false) => '-',
            None => '?',
        };
        output::print(&format!(" [ {mark} ]  {name}\n"));
    }
    0
}

/// What `status` of a script says; nothing where it does not know that word.
fn script_status(script: &Path) -> Option<bool> {
    let text = std::fs::read(script).ok()?;
    String::from_utf8_lossy(&text).contains("status").then_some(())?;
    let mut command = service::script_command(script, &["status".to_owned()]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    Some(status.success())
}

//! What systemctl(1) prints about units.

use super::{Activity, Unit, UnitState};
use std::fmt::Write as _;

/// A process of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its words.
    pub command: String,
}

/// A unit with all that is told about it.
#[derive(Debug, Clone)]
pub struct Shown<'a> {
    /// The unit.
    pub unit: &'a Unit,
    /// Its file.
    pub path: &'a str,
    /// The word of `is-enabled`.
    pub enabled: &'a str,
    /// Its state.
    pub state: &'a UnitState,
    /// Its processes.
    pub processes: &'a [Process],
    /// The last lines of what it printed.
    pub log: &'a str,
    /// Seconds after 1970.
    pub now: u64,
}

/// What `systemctl status` prints.
#[must_use]
pub fn status(shown: &Shown<'_>) -> String {
    let Shown { unit, state, .. } = shown;
    let dot = match state.activity {
        Activity::Failed => "×",
        Activity::Inactive => "○",
        _ => "●",
    };
    let title = if unit.description == unit.name.as_str() {
        unit.name.to_string()
    } else {
        format!("{} - {}", unit.name, unit.description)
    };
    let mut text = format!("{dot} {title}\n     Loaded: loaded ({}; {})\n", shown.path, shown.enabled);
    let result = if state.activity == Activity::Failed {
        format!(" (Result: {})", state.outcome.word())
    } else {
        format!(" ({})", if state.sub.is_empty() { "dead" } else { &state.sub })
    };
    let _ = write!(text, "     Active: {}{result}", state.activity.word());
    if state.since > 0 {
        let age = ago(shown.now.saturating_sub(state.since));
        let _ = write!(text, " since {}; {age}", utc(state.since));
    }
    text.push('\n');
    if let Some(failure) = &state.failure {
        let _ = writeln!(text, "    Process: {failure}");
    }
    match (state.main_pid, state.main_end) {
        (Some(pid), _) => {
            let of_pid = shown.processes.iter().find(|process| process.pid == pid);
            let name = of_pid.map_or("?", |process| program_name(&process.command));
            let _ = writeln!(text, "   Main PID: {pid} ({name})");
        }
        (None, Some(end)) => {
            let _ = writeln!(text, "   Main PID: none ({end})");
        }
        (None, None) => {}
    }
    if !state.status_text.is_empty() {
        let _ = writeln!(text, "     Status: \"{}\"", state.status_text);
    }
    if !shown.processes.is_empty() {
        let _ = writeln!(text, "      Tasks: {}", shown.processes.len());
        let _ = writeln!(text, "     CGroup: /system.slice/{}", unit.name);
        for (at, process) in shown.processes.iter().enumerate() {
            let corner = if at + 1 == shown.processes.len() { "└─" } else { "├─" };
            let _ = writeln!(text, "             {corner}{} {}", process.pid, process.command);
        }
    }
    if !shown.log.is_empty() {
        text.push('\n');
        text += shown.log;
        if !shown.log.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

/// `/usr/sbin/named -f` is `named`.
fn program_name(command: &str) -> &str {
    let program = command.split([' ', ':']).next().unwrap_or_default();
    program.rsplit('/').next().unwrap_or(program)
}

/// The properties of `systemctl show` that a service has here, in the order of systemd.
#[must_use]
pub fn properties(shown: &Shown<'_>) -> Vec<(&'static str, String)> {
    let Shown { unit, state, .. } = shown;
    let text = |word: &str| word.to_owned();
    let kind = match unit.kind {
        super::Type::Simple => "simple",
        super::Type::Forking => "forking",
        super::Type::Oneshot => "oneshot",
        super::Type::Notify => "notify",
    };
    let status = match state.main_end {
        Some(super::Outcome::ExitCode(code) | super::Outcome::Signal(code)) => code,
        _ => 0,
    };
    vec![
        ("Type", text(kind)),
        ("PIDFile", unit.pid_file.clone().unwrap_or_default()),
        ("MainPID", state.main_pid.unwrap_or(0).to_string()),
        ("StatusText", state.status_text.clone()),
        ("Result", text(state.outcome.word())),
        ("NRestarts", state.restarts.to_string()),
        ("ExecMainPID", state.main_pid.unwrap_or(0).to_string()),
        ("ExecMainStatus", status.to_string()),
        ("User", unit.user.clone().unwrap_or_default()),
        ("Group", unit.group.clone().unwrap_or_default()),
        ("Id", unit.name.to_string()),
        ("Names", unit.name.to_string()),
        ("Description", unit.description.clone()),
        ("LoadState", text("loaded")),
        ("ActiveState", text(state.activity.word())),
        ("SubState", if state.sub.is_empty() { text("dead") } else { state.sub.clone() }),
        ("FragmentPath", text(shown.path)),
        ("UnitFileState", text(shown.enabled)),
        ("InvocationID", state.invocation.clone()),
        ("StateChangeTimestamp", if state.since == 0 { String::new() } else { utc(state.since) }),
    ]
}

/// What a message to `/dev/log` says, without its priority and time, as a line (syslog(3), RFC 3164 section 4.1).
///
/// ```
/// use netyard_core::unit::syslog_text;
/// assert_eq!(syslog_text("<30>Nov 26 00:39:53 named[39]: running\0"), "named[39]: running\n");
/// ```
#[must_use]
pub fn syslog_text(message: &str) -> String {
    let message = message.trim_end_matches(['\0', '\n']);
    let priority = message.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let text = priority.map_or(message, |(_, rest)| rest);
    // `Mmm dd hh:mm:ss `
    let is_time = text.get(..16).is_some_and(|time| time.ends_with(' ') && time.as_bytes()[9] == b':');
    let text = if is_time { &text[16..] } else { text };
    format!("{text}\n")
}

/// A table with a head, columns as wide as they must be; without the head where none is wanted.
#[must_use]
pub fn list(head: &[&str], rows: &[Vec<String>], has_head: bool) -> String {
    let head: Vec<String> = head.iter().map(|word| (*word).to_owned()).collect();
    let lines: Vec<&Vec<String>> = has_head.then_some(&head).into_iter().chain(rows).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join(" ").trim_end();
        text.push('\n');
    }
    text
}

/// `Thu 2026-11-26 00:17:17 UTC`, from seconds after 1970.
#[must_use]
pub fn utc(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86400, seconds % 86400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    // Howard Hinnant, chrono-compatible low-level date algorithms, civil_from_days: years begin in March.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday} {year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// `5s ago`, `2min 3s ago`, `1h 2min ago`, `3 days ago`.
#[must_use]
pub fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}min {}s ago", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {}min ago", seconds / 3600, seconds / 60 % 60),
        86400..172_800 => "1 day ago".to_owned(),
        _ => format!("{} days ago", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, UnitName};
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "Thu 1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_827_696), "Tue 2000-02-29 12:34:56 UTC");
        assert_eq!(utc(1_795_652_237), "Thu 2026-11-26 00:17:17 UTC");
        assert_eq!(
            [ago(5), ago(123), ago(7300), ago(90_000)],
            ["5s ago", "2min 3s ago", "2h 1min ago", "1 day ago"]
        );
    }

    #[test]
    fn the_status_of_a_running_service_and_of_a_failed_one() {
        let unit = Unit::parse(UnitName::new("web").unwrap(), ["[Unit]\nDescription=A server\n"]);
        let processes = [
            Process { pid: 7, command: "/usr/sbin/web -f".to_owned() },
            Process { pid: 9, command: "helper".to_owned() },
        ];
        let mut state = UnitState {
            activity: Activity::Active,
            sub: "running".to_owned(),
            main_pid: Some(7),
            since: 10,
            ..UnitState::default()
        };
        let status_of = |state: &UnitState, processes: &[Process], log: &str| {
            let (path, enabled, now) = ("/lib/x", "enabled", 15);
            status(&Shown { unit: &unit, path, enabled, state, processes, log, now })
        };
        assert_eq!(
            status_of(&state, &processes, "hello"),
            "● web.service - A server\n     Loaded: loaded (/lib/x; enabled)\n     Active: active (running) since \
             Thu 1970-01-01 00:00:10 UTC; 5s ago\n   Main PID: 7 (web)\n      Tasks: 2\n     CGroup: \
             /system.slice/web.service\n             ├─7 /usr/sbin/web -f\n             └─9 helper\n\nhello\n"
        );
        state.activity = Activity::Failed;
        state.outcome = Outcome::ExitCode(1);
        state.failure = Some("ExecStart=/bin/false (code=exited, status=1/FAILURE)".to_owned());
        state.main_pid = None;
        assert_eq!(
            status_of(&state, &[], ""),
            "× web.service - A server\n     Loaded: loaded (/lib/x; enabled)\n     Active: failed (Result: exit-code) \
             since Thu 1970-01-01 00:00:10 UTC; 5s ago\n    Process: ExecStart=/bin/false (code=exited, \
             status=1/FAILURE)\n"
        );
    }
}

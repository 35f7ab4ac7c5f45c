//! Services of a node as packages describe them: unit files of systemd and init scripts, read without systemd.
//!
//! What concerns programs and their life is understood; what asks for a whole systemd (targets, sockets, slices,
//! sandboxes for each service) is passed over, as are keys that nobody knows. Source: systemd.unit(5),
//! systemd.service(5), systemd.exec(5), systemd.kill(5).

mod account;
mod capability;
mod condition;
mod exec;
mod file;
mod init_script;
mod name;
mod service;
mod span;
mod state;
mod text;
mod words;

pub use account::{Account, Accounts};
pub use capability::Capabilities;
pub use condition::{Condition, ConditionKind};
pub use exec::ExecLine;
pub use file::{Entry, entries, environment_file};
pub use init_script::unit_of_init_script;
pub use name::UnitName;
pub use service::{Directory, DirectoryKind, EnvironmentFile, KillMode, Restart, Statuses, Type, Unit};
pub use span::time_span;
pub use state::{Activity, Outcome, UnitState};
pub use text::{Process, Shown, ago, list, properties, status, syslog_text, utc};
pub use words::words;

/// The numbers of signals by name, with or without `SIG`, or as a number (signal(7), x86 and ARM).
#[must_use]
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The name of a signal, without `SIG`.
#[must_use]
pub fn signal_name(number: i32) -> &'static str {
    SIGNALS.iter().find(|(_, known)| *known == number).map_or("?", |(name, _)| name)
}

const SIGNALS: [(&str, i32); 24] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("WINCH", 28),
    ("IO", 29),
    ("SYS", 31),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        assert_eq!(signal_number("SIGTERM"), Some(15));
        assert_eq!(signal_number("HUP"), Some(1));
        assert_eq!(signal_number("9"), Some(9));
        assert_eq!(signal_number("0"), None);
        assert_eq!(signal_number("SIGNONE"), None);
        assert_eq!(signal_name(28), "WINCH");
    }
}

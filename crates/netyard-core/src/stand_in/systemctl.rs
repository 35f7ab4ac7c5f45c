//! systemctl(1), service(8) and journalctl(1): their words.

use super::options::{self, Known, Word};

/// A verb of systemctl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `start`
    Start,
    /// `stop`
    Stop,
    /// `restart`; with `force-reload` and `reload-or-restart` a reload where the service has one.
    Restart,
    /// `reload`
    Reload,
    /// `reload-or-restart`, `force-reload`
    ReloadOrRestart,
    /// `try-restart`, `condrestart`: only what runs.
    TryRestart,
    /// `try-reload-or-restart`
    TryReloadOrRestart,
    /// `status`
    Status,
    /// `is-active`
    IsActive,
    /// `is-failed`
    IsFailed,
    /// `is-enabled`
    IsEnabled,
    /// `enable`
    Enable,
    /// `disable`
    Disable,
    /// `reenable`
    Reenable,
    /// `mask`
    Mask,
    /// `unmask`
    Unmask,
    /// `list-units`
    ListUnits,
    /// `list-unit-files`
    ListUnitFiles,
    /// `show`
    Show,
    /// `cat`
    Cat,
    /// `kill`
    Kill,
    /// `reset-failed`
    ResetFailed,
    /// `daemon-reload`, `daemon-reexec`: unit files are read each time anyway.
    DaemonReload,
    /// `is-system-running`
    IsSystemRunning,
    /// `--version`
    Version,
}

impl Verb {
    const WORDS: [(&'static str, Self); 27] = [
        ("start", Self::Start),
        ("stop", Self::Stop),
        ("restart", Self::Restart),
        ("reload", Self::Reload),
        ("reload-or-restart", Self::ReloadOrRestart),
        ("force-reload", Self::ReloadOrRestart),
        ("try-restart", Self::TryRestart),
        ("condrestart", Self::TryRestart),
        ("try-reload-or-restart", Self::TryReloadOrRestart),
        ("status", Self::Status),
        ("is-active", Self::IsActive),
        ("is-failed", Self::IsFailed),
        ("is-enabled", Self::IsEnabled),
        ("enable", Self::Enable),
        ("disable", Self::Disable),
        ("reenable", Self::Reenable),
        ("mask", Self::Mask),
        ("unmask", Self::Unmask),
        ("list-units", Self::ListUnits),
        ("list-unit-files", Self::ListUnitFiles),
        ("show", Self::Show),
        ("cat", Self::Cat),
        ("kill", Self::Kill),
        ("reset-failed", Self::ResetFailed),
        ("daemon-reload", Self::DaemonReload),
        ("daemon-reexec", Self::DaemonReload),
        ("is-system-running", Self::IsSystemRunning),
    ];

    /// Whether it is nothing without the name of a unit.
    #[must_use]
    pub fn wants_units(self) -> bool {
        !matches!(
            self,
            Self::Status
                | Self::ListUnits
                | Self::ListUnitFiles
                | Self::ResetFailed
                | Self::DaemonReload
                | Self::IsSystemRunning
                | Self::IsFailed
                | Self::Version
                | Self::Show
        )
    }
}

/// What was typed after `systemctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What to do.
    pub verb: Verb,
    /// Names of units, as typed.
    pub units: Vec<String>,
    /// `--quiet`
    pub is_quiet: bool,
    /// `--now`
    pub is_now: bool,
    /// `--no-block`
    pub waits: bool,
    /// `--all`
    pub is_all: bool,
    /// `--no-legend`, `--legend=no`
    pub has_legend: bool,
    /// `--property`: all where none is named.
    pub properties: Vec<String>,
    /// `--value`
    pub is_value_only: bool,
    /// `--signal`
    pub signal: Option<String>,
    /// `--kill-whom=main`
    pub kills_main_only: bool,
    /// `--lines`
    pub lines: usize,
    /// `--type`, `--state`: those listed; all where none is named.
    pub states: Vec<String>,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            verb: Verb::ListUnits,
            units: Vec::new(),
            is_quiet: false,
            is_now: false,
            waits: true,
            is_all: false,
            has_legend: true,
            properties: Vec::new(),
            is_value_only: false,
            signal: None,
            kills_main_only: false,
            lines: 10,
            states: Vec::new(),
        }
    }
}

/// Letter, name, and whether a value follows. Those that [`set`] does not name change nothing here.
const OPTIONS: [Known; 29] = [
    option('q', "quiet", false),
    option('\0', "now", false),
    option('\0', "no-block", false),
    option('a', "all", false),
    option('\0', "no-legend", false),
    option('\0', "value", false),
    option('\0', "failed", false),
    option('\0', "version", false),
    option('p', "property", true),
    option('s', "signal", true),
    option('n', "lines", true),
    option('t', "type", true),
    option('\0', "state", true),
    option('\0', "kill-whom", true),
    option('\0', "kill-who", true),
    option('\0', "legend", true),
    option('o', "output", true),
    option('\0', "job-mode", true),
    option('\0', "no-pager", false),
    option('l', "full", false),
    option('\0', "system", false),
    option('f', "force", false),
    option('\0', "no-ask-password", false),
    option('\0', "no-reload", false),
    option('\0', "no-wall", false),
    option('\0', "plain", false),
    option('\0', "runtime", false),
    option('\0', "no-warn", false),
    option('r', "recursive", false),
];

const fn option(letter: char, name: &'static str, takes_value: bool) -> Known {
    Known { letter, name, takes_value }
}

/// Reads what was typed after `systemctl`.
///
/// ```
/// use netyard_core::stand_in::systemctl::{Verb, order};
/// let order = order(&["-q", "is-active", "frr"].map(String::from)).unwrap();
/// assert_eq!((order.verb, order.units.len(), order.is_quiet), (Verb::IsActive, 1, true));
/// ```
///
/// # Errors
/// What is printed; the exit code is 1 then.
pub fn order(typed: &[String]) -> Result<Order, String> {
    let mut order = Order::default();
    let mut verb = None;
    for word in options::read(typed, &OPTIONS)? {
        match word {
            Word::Option("version", _) => verb = Some(Verb::Version),
            Word::Option(name, value) => set(&mut order, name, &value.unwrap_or_default())?,
            Word::Plain(word) if verb.is_none() => {
                let known = Verb::WORDS.iter().find(|(known, _)| *known == word);
                verb = Some(known.ok_or_else(|| format!("Unknown command verb {word}."))?.1);
            }
            Word::Plain(word) => order.units.push(word),
        }
    }
    order.verb = verb.unwrap_or(Verb::ListUnits);
    if order.verb.wants_units() && order.units.is_empty() {
        return Err("Too few arguments.".to_owned());
    }
    Ok(order)
}

fn set(order: &mut Order, option: &str, value: &str) -> Result<(), String> {
    let several = || value.split(',').map(str::to_owned);
    match option {
        "quiet" => order.is_quiet = true,
        "now" => order.is_now = true,
        "no-block" => order.waits = false,
        "all" => order.is_all = true,
        "no-legend" => order.has_legend = false,
        "legend" => order.has_legend = !matches!(value, "no" | "false" | "0"),
        "value" => order.is_value_only = true,
        "failed" => order.states.push("failed".to_owned()),
        "state" => order.states.extend(several()),
        "property" => order.properties.extend(several()),
        "signal" => order.signal = Some(value.to_owned()),
        "kill-whom" | "kill-who" => order.kills_main_only = value == "main",
        "lines" => {
            order.lines = value.parse().map_err(|_| format!("Failed to parse lines '{value}'"))?;
        }
        // There are services only.
        "type" if several().all(|kind| kind != "service") => order.states.push("none".to_owned()),
        _ => {}
    }
    Ok(())
}

/// What was typed after `service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceOrder {
    /// `--status-all`
    StatusAll,
    /// A verb for a service, and the words after it.
    Of(String, Vec<String>),
}

/// What service(8) says to words that are none of its own.
pub const SERVICE_USAGE: &str =
    "Usage: service < option > | --status-all | [ service_name [ command | --full-restart ] ]";

/// Reads what was typed after `service`.
///
/// # Errors
/// What is printed; the exit code is 1 then.
pub fn service_order(typed: &[String]) -> Result<ServiceOrder, String> {
    match typed {
        [only] if only == "--status-all" => Ok(ServiceOrder::StatusAll),
        [name, _, ..] if !name.starts_with('-') => Ok(ServiceOrder::Of(name.clone(), typed[1..].to_vec())),
        _ => Err(SERVICE_USAGE.to_owned()),
    }
}

/// What was typed after `journalctl`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalOrder {
    /// `-u`: all units where none is named.
    pub units: Vec<String>,
    /// `-n`: all lines where it is not told.
    pub lines: Option<usize>,
    /// `-f`
    pub follows: bool,
    /// `-r`
    pub is_reversed: bool,
}

/// Letter, name, and whether a value follows.
const JOURNAL_OPTIONS: [Known; 15] = [
    option('f', "follow", false),
    option('u', "unit", true),
    option('n', "lines", true),
    option('o', "output", true),
    option('p', "priority", true),
    option('b', "boot", false),
    option('x', "catalog", false),
    option('e', "pager-end", false),
    option('q', "quiet", false),
    option('l', "full", false),
    option('a', "all", false),
    option('r', "reverse", false),
    option('\0', "no-pager", false),
    option('\0', "no-hostname", false),
    option('\0', "no-tail", false),
];

/// Reads what was typed after `journalctl`.
///
/// # Errors
/// What is printed; the exit code is 1 then.
pub fn journal_order(typed: &[String]) -> Result<JournalOrder, String> {
    let mut order = JournalOrder::default();
    for word in options::read(typed, &JOURNAL_OPTIONS)? {
        match word {
            Word::Option("unit", name) => order.units.extend(name),
            Word::Option("lines", lines) => {
                let text = lines.unwrap_or_default();
                order.lines = Some(text.parse().map_err(|_| format!("Failed to parse lines '{text}'"))?);
            }
            Word::Option("follow", _) => order.follows = true,
            Word::Option("reverse", _) => order.is_reversed = true,
            Word::Option(..) => {}
            Word::Plain(word) => {
                return Err(format!("in nodes there are no matches such as {word}; -u NAME is"));
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Order, String> {
        order(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_of_systemctl() {
        let shown = read("show frr -p MainPID,ActiveState --value").unwrap();
        assert_eq!(shown.properties, ["MainPID", "ActiveState"]);
        assert!(shown.is_value_only);
        assert_eq!(read("kill -s HUP named").unwrap().signal.as_deref(), Some("HUP"));
        assert_eq!(read("kill -sHUP named").unwrap().signal.as_deref(), Some("HUP"));
        assert!(read("enable --now a b").unwrap().is_now);
        assert_eq!(read("-la --no-pager").unwrap().verb, Verb::ListUnits);
        assert_eq!(read("status -n0 x").unwrap().lines, 0);
        assert_eq!(read("fly x").unwrap_err(), "Unknown command verb fly.");
        assert_eq!(read("start").unwrap_err(), "Too few arguments.");
        assert_eq!(read("start --fast x").unwrap_err(), "unrecognized option '--fast'");
        assert_eq!(read("start x -s").unwrap_err(), "option requires an argument -- 's'");
    }

    #[test]
    fn words_of_service_and_journalctl() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            service_order(&words("frr restart now")),
            Ok(ServiceOrder::Of("frr".into(), words("restart now")))
        );
        assert_eq!(service_order(&words("--status-all")), Ok(ServiceOrder::StatusAll));
        assert!(service_order(&words("frr")).is_err());
        let journal = journal_order(&words("-xeu named --lines=3")).unwrap();
        assert_eq!((journal.units, journal.lines), (words("named"), Some(3)));
        assert!(journal_order(&words("-fu named")).unwrap().follows);
        assert!(journal_order(&words("--since today")).is_err());
    }
}

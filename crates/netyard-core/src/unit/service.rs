//! What a unit file says about a service.

use super::capability::{Capabilities, capabilities};
use super::file::{Entry, entries};
use super::{Condition, ConditionKind, ExecLine, Outcome, UnitName, signal_number, time_span, words};
use std::time::Duration;

/// The number of `SIGHUP`.
const SIGHUP: i32 = 1;

/// When a service counts as started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Type {
    /// As soon as its program runs (`simple`, `exec`, `idle`, `dbus`).
    #[default]
    Simple,
    /// When the process that was started has ended and left the service behind.
    Forking,
    /// When it has ended.
    Oneshot,
    /// When it says so by sd_notify(3).
    Notify,
}

/// Whom a stop reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KillMode {
    /// All processes of the service.
    #[default]
    ControlGroup,
    /// The main process first; what is left then is killed.
    Mixed,
    /// The main process only.
    Process,
    /// Nobody.
    None,
}

/// After which ends a service is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// None.
    #[default]
    No,
    /// All but being stopped.
    Always,
    /// Those that are success.
    OnSuccess,
    /// Those that are none.
    OnFailure,
    /// By a signal, or by a time limit.
    OnAbnormal,
    /// By a signal that is no usual one.
    OnAbort,
}

/// Where a folder of a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryKind {
    /// `/run`
    Runtime,
    /// `/var/lib`
    State,
    /// `/var/cache`
    Cache,
    /// `/var/log`
    Logs,
    /// `/etc`
    Configuration,
}

impl DirectoryKind {
    /// All of them, with the beginning of their keys and the folder that they are in.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Runtime, "Runtime", "/run"),
        (Self::State, "State", "/var/lib"),
        (Self::Cache, "Cache", "/var/cache"),
        (Self::Logs, "Logs", "/var/log"),
        (Self::Configuration, "Configuration", "/etc"),
    ];
}

/// A folder that is made before a service starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its sort.
    pub kind: DirectoryKind,
    /// Its whole path.
    pub path: String,
    /// Its mode.
    pub mode: u32,
}

/// A file of environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentFile {
    /// Where it is.
    pub path: String,
    /// `-`: it may be missing.
    pub may_be_missing: bool,
}

/// Ends of a process: exit codes and signals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statuses {
    codes: Vec<i32>,
    signals: Vec<i32>,
}

impl Statuses {
    /// Adds those of a value, `143 SIGUSR1`; an empty one forgets those before.
    fn add(&mut self, value: &str) {
        if value.is_empty() {
            *self = Self::default();
        }
        for word in words(value) {
            match word.parse() {
                Ok(code) => self.codes.push(code),
                Err(_) => self.signals.extend(signal_number(&word)),
            }
        }
    }

    /// Whether an end is among them.
    #[must_use]
    pub fn has(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::ExitCode(code) => self.codes.contains(&code),
            Outcome::Signal(signal) => self.signals.contains(&signal),
            _ => false,
        }
    }
}

/// A service as its unit file and drop-ins describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: UnitName,
    /// `Description=`
    pub description: String,
    /// `Type=`
    pub kind: Type,
    /// `ExecCondition=`
    pub start_condition: Vec<ExecLine>,
    /// `ExecStartPre=`
    pub start_pre: Vec<ExecLine>,
    /// `ExecStart=`
    pub start: Vec<ExecLine>,
    /// `ExecStartPost=`
    pub start_post: Vec<ExecLine>,
    /// `ExecReload=`
    pub reload: Vec<ExecLine>,
    /// `ExecStop=`
    pub stop: Vec<ExecLine>,
    /// `ExecStopPost=`
    pub stop_post: Vec<ExecLine>,
    /// `Environment=`
    pub environment: Vec<(String, String)>,
    /// `EnvironmentFile=`
    pub environment_files: Vec<EnvironmentFile>,
    /// `User=`
    pub user: Option<String>,
    /// `Group=`
    pub group: Option<String>,
    /// `SupplementaryGroups=`
    pub groups: Vec<String>,
    /// `WorkingDirectory=`; `~` is the user's home. With `-` it may be missing.
    pub working_directory: Option<String>,
    /// `UMask=`
    pub umask: u32,
    /// `LimitNOFILE=`, soft and hard.
    pub open_files: Option<(u64, u64)>,
    /// `RuntimeDirectory=` and its kin.
    pub directories: Vec<Directory>,
    /// `RuntimeDirectoryPreserve=`, true for `yes` and `restart`.
    pub keeps_runtime_directory: bool,
    /// `PIDFile=`
    pub pid_file: Option<String>,
    /// `GuessMainPID=`
    pub guesses_main_pid: bool,
    /// `Type=notify-reload`: the signal that makes it read its configuration anew, of which it tells (`ReloadSignal=`).
    pub reload_signal: Option<i32>,
    /// `AmbientCapabilities=`: what it keeps of root's rights although it is somebody else (capabilities(7)).
    pub capabilities: Capabilities,
    /// `NotifyAccess=`, true for all but `none`.
    pub accepts_notification: bool,
    /// `KillMode=`
    pub kill_mode: KillMode,
    /// `KillSignal=`
    pub kill_signal: i32,
    /// `SendSIGKILL=`
    pub sends_sigkill: bool,
    /// `TimeoutStartSec=`; none is for ever.
    pub start_timeout: Option<Duration>,
    /// `TimeoutStopSec=`; none is for ever.
    pub stop_timeout: Option<Duration>,
    /// `Restart=`
    pub restart: Restart,
    /// `RestartSec=`
    pub restart_delay: Duration,
    /// `StartLimitIntervalSec=`
    pub start_limit_interval: Duration,
    /// `StartLimitBurst=`; 0 is without limit.
    pub start_limit_burst: usize,
    /// `SuccessExitStatus=`
    pub success: Statuses,
    /// `RestartPreventExitStatus=`: ends after which it is not started again.
    pub restart_prevented_by: Statuses,
    /// `RestartForceExitStatus=`: ends after which it is.
    pub restart_forced_by: Statuses,
    /// `RemainAfterExit=`
    pub remains_after_exit: bool,
    /// `StandardOutput=` or `StandardError=` say `null`.
    pub is_silent: bool,
    /// `ConditionPathExists=` and its kin.
    pub conditions: Vec<Condition>,
    /// `AssertPathExists=` and its kin: where they are not met a start fails.
    pub assertions: Vec<Condition>,
    /// `Requires=` and `BindsTo=`, services only.
    pub requires: Vec<UnitName>,
    /// `Wants=`, services only.
    pub wants: Vec<UnitName>,
    /// `After=`, services only.
    pub after: Vec<UnitName>,
    /// `Before=`, services only.
    pub before: Vec<UnitName>,
    /// `PartOf=`, services only: it is stopped and started again with them.
    pub part_of: Vec<UnitName>,
    /// `Alias=`
    pub aliases: Vec<UnitName>,
    /// `WantedBy=` and `RequiredBy=`: the folders below `/etc/systemd/system` that enabling puts a link in.
    pub enabled_in: Vec<String>,
}

impl Unit {
    /// Reads a unit file and the drop-ins that change it, in this order.
    ///
    /// ```
    /// use netyard_core::unit::{Unit, UnitName};
    /// let name = UnitName::new("web").unwrap();
    /// let unit = Unit::parse(name, ["[Service]\nExecStart=/bin/a", "[Service]\nExecStart=\nExecStart=/bin/b %p"]);
    /// assert_eq!(unit.start[0].text(), "/bin/b web");
    /// ```
    #[must_use]
    pub fn parse<'a>(name: UnitName, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut unit = Self::new(name);
        let mut kind = None;
        let mut modes = Vec::new();
        for entry in texts.into_iter().flat_map(entries) {
            match (entry.section.as_str(), entry.key.as_str()) {
                ("Service", "Type") => kind = Some(entry.value),
                ("Service", key) => match key.strip_suffix("DirectoryMode") {
                    Some(of) => modes.push((of.to_owned(), entry.value)),
                    None => unit.set_service(&entry),
                },
                ("Unit", _) => unit.set_unit(&entry),
                ("Install", _) => unit.set_install(&entry),
                _ => {}
            }
        }
        unit.kind = match kind.as_deref() {
            Some("forking") => Type::Forking,
            Some("oneshot") => Type::Oneshot,
            Some("notify" | "notify-reload") => Type::Notify,
            None if unit.start.is_empty() => Type::Oneshot,
            _ => Type::Simple,
        };
        unit.accepts_notification |= unit.kind == Type::Notify;
        let is_reloaded = kind.as_deref() == Some("notify-reload");
        unit.reload_signal = is_reloaded.then(|| unit.reload_signal.unwrap_or(SIGHUP));
        for (of, mode) in modes {
            let kind = DirectoryKind::ALL.into_iter().find(|(_, key, _)| *key == of).map(|(kind, ..)| kind);
            let Ok(mode) = u32::from_str_radix(&mode, 8) else { continue };
            unit.directories.iter_mut().filter(|d| Some(d.kind) == kind).for_each(|d| d.mode = mode);
        }
        unit
    }

    fn new(name: UnitName) -> Self {
        let of_systemd = Some(Duration::from_secs(90));
        Self {
            description: name.as_str().to_owned(),
            name,
            kind: Type::Simple,
            start_condition: Vec::new(),
            start_pre: Vec::new(),
            start: Vec::new(),
            start_post: Vec::new(),
            reload: Vec::new(),
            stop: Vec::new(),
            stop_post: Vec::new(),
            environment: Vec::new(),
            environment_files: Vec::new(),
            user: None,
            group: None,
            groups: Vec::new(),
            working_directory: None,
            umask: 0o022,
            open_files: None,
            directories: Vec::new(),
            keeps_runtime_directory: false,
            pid_file: None,
            guesses_main_pid: true,
            reload_signal: None,
            capabilities: Capabilities::default(),
            accepts_notification: false,
            kill_mode: KillMode::ControlGroup,
            kill_signal: 15,
            sends_sigkill: true,
            start_timeout: of_systemd,
            stop_timeout: of_systemd,
            restart: Restart::No,
            restart_delay: Duration::from_millis(100),
            start_limit_interval: Duration::from_secs(10),
            start_limit_burst: 5,
            success: Statuses::default(),
            restart_prevented_by: Statuses::default(),
            restart_forced_by: Statuses::default(),
            remains_after_exit: false,
            is_silent: false,
            conditions: Vec::new(),
            assertions: Vec::new(),
            requires: Vec::new(),
            wants: Vec::new(),
            after: Vec::new(),
            before: Vec::new(),
            part_of: Vec::new(),
            aliases: Vec::new(),
            enabled_in: Vec::new(),
        }
    }

    fn set_unit(&mut self, entry: &Entry) {
        let value = self.name.expand(&entry.value);
        match entry.key.as_str() {
            "Description" => self.description = value,
            "Requires" | "Requisite" | "BindsTo" => add(&mut self.requires, &value, services),
            "Wants" => add(&mut self.wants, &value, services),
            "After" => add(&mut self.after, &value, services),
            "Before" => add(&mut self.before, &value, services),
            "PartOf" => add(&mut self.part_of, &value, services),
            "StartLimitIntervalSec" | "StartLimitInterval" => {
                set_span(&mut self.start_limit_interval, &value)
            }
            "StartLimitBurst" => set(&mut self.start_limit_burst, value.parse().ok()),
            key => {
                let kind = |rest: Option<&str>| rest.and_then(ConditionKind::of_key);
                let condition = |kind| move |value: &str| Condition::parse(kind, value).into_iter().collect();
                if let Some(kind) = kind(key.strip_prefix("Condition")) {
                    add(&mut self.conditions, &value, condition(kind));
                } else if let Some(kind) = kind(key.strip_prefix("Assert")) {
                    add(&mut self.assertions, &value, condition(kind));
                }
            }
        }
    }

    fn set_install(&mut self, entry: &Entry) {
        let value = self.name.expand(&entry.value);
        let links =
            |end: &str| words(&value).iter().map(|target| format!("{target}.{end}")).collect::<Vec<_>>();
        match entry.key.as_str() {
            "Alias" => add(&mut self.aliases, &value, services),
            "WantedBy" => self.enabled_in.extend(links("wants")),
            "RequiredBy" => self.enabled_in.extend(links("requires")),
            _ => {}
        }
    }

    fn set_service(&mut self, entry: &Entry) {
        let name = self.name.clone();
        let commands = |value: &str| ExecLine::parse(value, &name);
        let (key, raw) = (entry.key.as_str(), entry.value.as_str());
        let value = self.name.expand(raw);
        let text = || (!value.is_empty()).then(|| value.clone());
        match key {
            "ExecCondition" => add(&mut self.start_condition, raw, commands),
            "ExecStartPre" => add(&mut self.start_pre, raw, commands),
            "ExecStart" => add(&mut self.start, raw, commands),
            "ExecStartPost" => add(&mut self.start_post, raw, commands),
            "ExecReload" => add(&mut self.reload, raw, commands),
            "ExecStop" => add(&mut self.stop, raw, commands),
            "ExecStopPost" => add(&mut self.stop_post, raw, commands),
            "Environment" => add(&mut self.environment, &value, |value| {
                let pair = |word: &String| word.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
                words(value).iter().filter_map(pair).collect()
            }),
            "EnvironmentFile" => add(&mut self.environment_files, &value, |value| {
                let path = value.trim_start_matches('-').to_owned();
                vec![EnvironmentFile { may_be_missing: value.starts_with('-'), path }]
            }),
            "User" => self.user = text(),
            "Group" => self.group = text(),
            "SupplementaryGroups" => add(&mut self.groups, &value, words),
            "WorkingDirectory" => self.working_directory = text(),
            "UMask" => set(&mut self.umask, u32::from_str_radix(&value, 8).ok()),
            "LimitNOFILE" => self.open_files = limits(&value),
            "PIDFile" => self.pid_file = text().map(|path| below_run(&path)),
            "GuessMainPID" => set(&mut self.guesses_main_pid, boolean(&value)),
            "NotifyAccess" => self.accepts_notification = value != "none",
            "ReloadSignal" => self.reload_signal = signal_number(&value),
            "AmbientCapabilities" => capabilities(&mut self.capabilities, &value),
            "KillSignal" => set(&mut self.kill_signal, signal_number(&value)),
            "SendSIGKILL" => set(&mut self.sends_sigkill, boolean(&value)),
            "TimeoutStartSec" => set(&mut self.start_timeout, limit_of_time(&value)),
            "TimeoutStopSec" => set(&mut self.stop_timeout, limit_of_time(&value)),
            "TimeoutSec" => {
                set(&mut self.start_timeout, limit_of_time(&value));
                set(&mut self.stop_timeout, limit_of_time(&value));
            }
            "RestartSec" => set_span(&mut self.restart_delay, &value),
            "StartLimitInterval" => set_span(&mut self.start_limit_interval, &value),
            "StartLimitBurst" => set(&mut self.start_limit_burst, value.parse().ok()),
            "RemainAfterExit" => set(&mut self.remains_after_exit, boolean(&value)),
            "RuntimeDirectoryPreserve" => self.keeps_runtime_directory = value != "no",
            "StandardOutput" => self.is_silent = value == "null",
            "SuccessExitStatus" => self.success.add(&value),
            "RestartPreventExitStatus" => self.restart_prevented_by.add(&value),
            "RestartForceExitStatus" => self.restart_forced_by.add(&value),
            "KillMode" => {
                self.kill_mode = match value.as_str() {
                    "mixed" => KillMode::Mixed,
                    "process" => KillMode::Process,
                    "none" => KillMode::None,
                    _ => KillMode::ControlGroup,
                }
            }
            "Restart" => {
                self.restart = match value.as_str() {
                    "always" => Restart::Always,
                    "on-success" => Restart::OnSuccess,
                    "on-failure" => Restart::OnFailure,
                    "on-abnormal" | "on-watchdog" => Restart::OnAbnormal,
                    "on-abort" => Restart::OnAbort,
                    _ => Restart::No,
                }
            }
            _ => self.add_directories(key, &value),
        }
    }

    fn add_directories(&mut self, key: &str, value: &str) {
        let of_key = |(_, begin, _): &(_, &str, _)| key.strip_suffix("Directory") == Some(*begin);
        let Some((kind, _, root)) = DirectoryKind::ALL.into_iter().find(of_key) else { return };
        if value.is_empty() {
            self.directories.retain(|directory| directory.kind != kind);
        }
        let is_inside = |path: &str| !path.starts_with('/') && !path.split('/').any(|part| part == "..");
        // After a colon a second name for the same folder may follow.
        let names =
            words(value).into_iter().map(|word| word.split(':').next().unwrap_or_default().to_owned());
        let folders = names.filter(|name| is_inside(name));
        self.directories.extend(folders.map(|name| Directory {
            kind,
            path: format!("{root}/{name}"),
            mode: 0o755,
        }));
    }
}

/// An empty value forgets those before (systemd.syntax(7)).
fn add<T>(list: &mut Vec<T>, value: &str, parse: impl Fn(&str) -> Vec<T>) {
    if value.is_empty() {
        list.clear();
    }
    list.extend(parse(value));
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn set_span(place: &mut Duration, value: &str) {
    set(place, time_span(value).flatten());
}

/// A limit in which 0 is none.
fn limit_of_time(value: &str) -> Option<Option<Duration>> {
    time_span(value).map(|span| span.filter(|span| !span.is_zero()))
}

fn services(value: &str) -> Vec<UnitName> {
    words(value).iter().filter_map(|word| UnitName::new(word)).filter(UnitName::is_service).collect()
}

fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

fn limits(value: &str) -> Option<(u64, u64)> {
    let number = |text: &str| if text == "infinity" { Some(u64::MAX) } else { text.parse().ok() };
    match value.split_once(':') {
        Some((soft, hard)) => Some((number(soft)?, number(hard)?)),
        None => Some((number(value)?, number(value)?)),
    }
}

fn below_run(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/run/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, text: &str) -> Unit {
        Unit::parse(UnitName::new(name).unwrap(), [text])
    }

    #[test]
    fn the_unit_of_frr() {
        let frr = unit(
            "frr",
            "[Unit]\nDescription=FRRouting\nWants=network.target\nAfter=network-pre.target systemd-sysctl.service\n\
             OnFailure=heartbeat-failed@%n\n[Service]\nNice=-5\nType=forking\nNotifyAccess=all\n\
             StartLimitInterval=3m\nStartLimitBurst=3\nTimeoutSec=2m\nRestartSec=5\nRestart=on-abnormal\n\
             LimitNOFILE=1024\nPIDFile=/var/run/frr/watchfrr.pid\nExecStart=/usr/lib/frr/frrinit.sh start\n\
             [Install]\nWantedBy=multi-user.target\n",
        );
        assert_eq!((frr.kind, frr.restart), (Type::Forking, Restart::OnAbnormal));
        assert_eq!(frr.start_timeout, Some(Duration::from_secs(120)));
        assert_eq!((frr.start_limit_burst, frr.start_limit_interval), (3, Duration::from_secs(180)));
        assert_eq!(frr.open_files, Some((1024, 1024)));
        assert_eq!(frr.after, [UnitName::new("systemd-sysctl").unwrap()]);
        assert_eq!(frr.enabled_in, ["multi-user.target.wants"]);
        assert!(frr.accepts_notification && frr.wants.is_empty());
    }

    #[test]
    fn lists_are_forgotten_and_folders_have_modes() {
        let web = unit(
            "web@a",
            "[Service]\nEnvironment=A=1 \"B=x y\"\nEnvironment=\nEnvironment=C=%i\nEnvironmentFile=-/etc/default/%p\n\
             RuntimeDirectory=web/%i ../no\nRuntimeDirectoryMode=0750\nStateDirectory=web\nExecStart=-/bin/a\n\
             ExecStart=/bin/b\nType=dbus\nTimeoutStartSec=0\nPIDFile=web.pid\nSuccessExitStatus=143 SIGUSR1\n",
        );
        assert_eq!(web.environment, [("C".to_owned(), "a".to_owned())]);
        assert_eq!(web.environment_files[0].path, "/etc/default/web");
        let folders: Vec<_> = web.directories.iter().map(|d| (d.path.as_str(), d.mode)).collect();
        assert_eq!(folders, [("/run/web/a", 0o750), ("/var/lib/web", 0o755)]);
        assert_eq!((web.kind, web.start.len(), web.start_timeout), (Type::Simple, 2, None));
        assert_eq!(web.pid_file.as_deref(), Some("/run/web.pid"));
        assert!(web.success.has(Outcome::ExitCode(143)) && web.success.has(Outcome::Signal(10)));
        assert!(!web.success.has(Outcome::ExitCode(10)));
    }

    #[test]
    fn conditions_ends_and_rights() {
        let unit = unit(
            "x",
            "[Unit]\nConditionPathExists=!/a\nConditionFileNotEmpty=|/b\nAssertPathIsDirectory=/c\n\
             ConditionVirtualization=!container\n[Service]\nType=notify-reload\nExecCondition=/bin/c\n\
             RestartPreventExitStatus=255 SIGKILL\nAmbientCapabilities=CAP_NET_RAW CAP_NET_BIND_SERVICE\n\
             AmbientCapabilities=~CAP_NET_RAW\n",
        );
        assert_eq!(unit.conditions.len(), 2);
        assert!(unit.conditions[0].is_negated && unit.conditions[1].is_alternative);
        assert_eq!((unit.assertions[0].kind, &*unit.assertions[0].path), (ConditionKind::IsDirectory, "/c"));
        assert_eq!((unit.start_condition.len(), unit.start_pre.len(), unit.reload_signal), (1, 0, Some(1)));
        assert!(unit.restart_prevented_by.has(Outcome::ExitCode(255)));
        assert!(unit.restart_prevented_by.has(Outcome::Signal(9)));
        assert_eq!(unit.capabilities, Capabilities(1 << 10));
    }

    #[test]
    fn without_a_program_it_is_a_oneshot() {
        assert_eq!(unit("x", "[Service]\nExecStop=/bin/true\n").kind, Type::Oneshot);
    }
}

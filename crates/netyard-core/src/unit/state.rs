//! What is known of a service that was started.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a service is in its life (systemctl(1), `ActiveState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// It does not run.
    #[default]
    Inactive,
    /// It is being started.
    Activating,
    /// It runs, or did what it is for.
    Active,
    /// It runs and reads its configuration anew.
    Reloading,
    /// It is being stopped.
    Deactivating,
    /// It ended, and not as it should.
    Failed,
}

impl Activity {
    /// Whether it runs.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Reloading)
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Activating => "activating",
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Deactivating => "deactivating",
            Self::Failed => "failed",
        }
    }
}

/// How a service, or one of its commands, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should.
    #[default]
    Success,
    /// By itself, with this code.
    ExitCode(i32),
    /// By this signal.
    Signal(i32),
    /// It took too long.
    Timeout,
    /// It ended or went on without saying what it had to say.
    Protocol,
    /// It could not be started.
    Resources,
    /// It was started too often.
    StartLimitHit,
    /// It was stopped while it was being started.
    Canceled,
    /// A command of `ExecCondition=` said that it is not to be started.
    Skipped,
}

impl Outcome {
    /// Its word (systemd.exec(5), `$SERVICE_RESULT`).
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success | Self::Canceled => "success",
            Self::ExitCode(_) => "exit-code",
            Self::Signal(_) => "signal",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Resources => "resources",
            Self::StartLimitHit => "start-limit-hit",
            Self::Skipped => "exec-condition",
        }
    }
}

/// As `code=exited, status=1/FAILURE`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("code=exited, status=0/SUCCESS"),
            Self::ExitCode(0) => f.write_str("code=exited, status=0/SUCCESS"),
            Self::ExitCode(code) => {
                let name = match code {
                    1 => "/FAILURE",
                    2 => "/INVALIDARGUMENT",
                    126 => "/cannot be executed",
                    127 => "/not found",
                    203 => "/EXEC",
                    _ => "",
                };
                write!(f, "code=exited, status={code}{name}")
            }
            Self::Signal(signal) => write!(f, "code=killed, signal={}", super::signal_name(*signal)),
            other => f.write_str(other.word()),
        }
    }
}

/// The state of a service, as its keeper writes it down.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitState {
    /// Where it is in its life.
    pub activity: Activity,
    /// The same in detail (`SubState`): `running`, `exited`, `dead`, `auto-restart`.
    pub sub: String,
    /// Its main process.
    pub main_pid: Option<u32>,
    /// How it ended last.
    pub outcome: Outcome,
    /// What failed: a command, and how it ended.
    pub failure: Option<String>,
    /// How its main process ended.
    pub main_end: Option<Outcome>,
    /// What it says of itself (sd_notify(3), `STATUS=`).
    pub status_text: String,
    /// Since when, in seconds after 1970.
    pub since: u64,
    /// How often it was started again by itself.
    pub restarts: u32,
    /// Process id and start time (proc_pid_stat(5), field 22) of its keeper.
    pub keeper: (u32, u64),
    /// What its processes have in their environment as `INVOCATION_ID`.
    pub invocation: String,
}

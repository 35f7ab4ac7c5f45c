//! Services inside nodes: `systemctl`, `service` and their kin without systemd.
//!
//! Nothing watches over a node's services from outside. A service that was started has a **keeper**, a process of this
//! program in the node, which adopts whatever its service leaves behind and so finds all of its processes when it is to
//! be stopped. What is known of the service is below [`STATES`], written by the keeper; whoever asks for something else
//! than facts asks the keeper over a socket there. A keeper that was killed leaves a state that names a process which
//! is no more.

pub mod enable;
mod find;
mod init;
mod job;
pub mod keeper;
mod made_anew;
mod processes;
mod quagga;
mod record;

pub use find::{Found, Units};
pub use init::{INIT_SCRIPTS, init_script, script_command, script_names};
pub use job::{Failure, Job, Native, in_order, native, reload, restart, start, stop};
pub use processes::{all_of, signal_all};
pub use record::{Record, now};

/// Where the states of started services are.
pub const STATES: &str = "/run/netyard-units";

/// A program of this name in full nodes is netyard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullStandIn {
    /// Where it is found in a node, in place of what may be there.
    pub path: &'static str,
    /// The name under which netyard does its work, which is the last part of the path.
    pub applet: &'static str,
    /// Whether it is shown only where there is nothing of that name.
    pub yields: bool,
}

/// Programs that netyard stands in for in full nodes, whatever the machine has. In a merged `/usr` these are the
/// programs below `/bin` and `/sbin` too.
pub const FULL_STAND_INS: [FullStandIn; 6] = [
    FullStandIn { path: "/usr/bin/systemctl", applet: "systemctl", yields: false },
    FullStandIn { path: "/usr/bin/journalctl", applet: "journalctl", yields: false },
    FullStandIn { path: "/usr/sbin/service", applet: "service", yields: false },
    FullStandIn { path: "/etc/init.d/bind", applet: "bind", yields: true },
    FullStandIn { path: "/etc/init.d/quagga", applet: "quagga", yields: true },
    FullStandIn { path: "/etc/init.d/zebra", applet: "zebra", yields: true },
];

/// Whether a node has one user id only: daemons cannot change to users of their own there, and some refuse to be root.
#[must_use]
pub fn has_one_id() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().count() == 1 && map.split_whitespace().nth(2) == Some("1")
}

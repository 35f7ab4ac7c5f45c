//! Processes: the holder of a lab, programs inside a lab's namespaces, and how both end.

mod enclosure;
mod end;
mod fork;
mod holder;
mod launch;
mod node;
mod report;
mod room;
mod service;

pub use enclosure::{Enclosed, enclosed};
pub use end::{
    ExitStatus, dies_with_caller, is_stopped, kill, kill_all_in, kill_group, pid_of, reap, wait_gone,
};
pub(crate) use fork::become_root_of_namespace;
pub use holder::{
    HOLDER_ARGV0, HOLDER_LISTENER_FD, HOLDER_OWNER_FD, HolderOptions, HolderProcess, spawn_holder,
};
pub use launch::{Doors, Launch, Mount, PATH_OF_SYSTEM, Running, Session};
pub use node::{Ballast, NodePlan, NodeProcess};
pub use report::LaunchError;
pub use room::{Own, Room};
pub use service::{Credentials, ServiceSettings, adopt_orphans, as_service, detached, send_signal};

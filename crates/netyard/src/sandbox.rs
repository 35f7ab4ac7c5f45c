//! The sandbox: a lab to play in, with a machine `vm` on which everything may be typed.
//!
//! It is a lab like any other. What a person starts in its nodes finds, besides, small programs in place of those that
//! the machine lacks ([`STAND_INS`]), and daemons can give up root although there is nobody else to become.

use crate::definition::Lab;
use crate::error::{Error, Result};
use crate::running::RunningLab;
use crate::store::Store;
use crate::up::{self, OnStep};
use netyard_core::name::LabName;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The node in which one plays.
pub const MACHINE: &str = "vm";
/// Programs that netyard stands in for where the machine does not have them: it does their work when it is started
/// under one of these names.
pub const STAND_INS: [&str; 6] = ["brctl", "curl", "ip6tables", "iptables", "ping", "tcpdump"];
/// Verbs of this program that are words of their own in a sandbox: `why pc 1.1.1.1`.
pub const VERBS: [&str; 3] = ["capture", "trace", "why"];
/// This program, as it is found in a sandbox.
pub const PROGRAM: &str = "/run/netyard-programs/netyard";
/// The folder of the words of lessons there.
pub const WORDS: &str = "/run/netyard-programs/words";
/// Set to `first`, stand-ins are taken also where the machine has the program, for tests.
const PREFERENCE: &str = "NETYARD_STAND_INS";
/// Where programs are, whoever's `PATH` says so: an ordinary user's often lacks the folders of root's programs.
const SYSTEM_FOLDERS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The sandbox of that name, as a lab.
///
/// ```
/// let lab = netyard::sandbox::lab(&"play".parse().unwrap());
/// assert!(lab.definition().node("vm").is_some());
/// ```
#[must_use]
pub fn lab(name: &LabName) -> Lab {
    let mut lab = Lab::from_yaml(include_str!("sandbox.yaml")).expect("the sandbox's own lab file is right");
    lab.definition.name = name.clone();
    lab.is_sandbox = true;
    lab
}

/// A sandbox that one has come into.
#[derive(Debug)]
pub struct Joined {
    /// The sandbox.
    pub lab: RunningLab,
    /// Whether it was made now; otherwise somebody else is in it, or was.
    pub is_new: bool,
}

/// Joins the sandbox of that name, or makes it. A new one ends with this process, or stays where it is kept.
///
/// # Errors
/// That a lab of that name runs which is no sandbox; what the kernel refused.
pub fn join(name: &LabName, is_kept: bool, store: &Store, on_step: OnStep<'_>) -> Result<Joined> {
    let (lab, is_new) = up::find_or_start(lab(name).spec(), store, is_kept, on_step)?;
    if !is_new {
        let description = lab.description()?;
        let other = "`netyard play --lab NAME` makes a sandbox of another name";
        if !description.is_sandbox {
            return Err(Error::input("U002", format!("a lab `{name}` is up that is no sandbox")).help(other));
        }
        if is_kept && !description.outlives_caller {
            let title = format!("sandbox `{name}` is up and ends with the terminal that started it");
            return Err(Error::input("U002", title).help(other.replace("--lab", "--keep")));
        }
    }
    Ok(Joined { lab, is_new })
}

/// Makes the programs of the system and the stand-ins found, in this order.
pub(crate) fn add_to_environment(env: &mut BTreeMap<OsString, OsString>, stand_ins: &Path) {
    let prefers = env.get(OsStr::new(PREFERENCE)).is_some_and(|value| value == "first");
    let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let path = path_with(&path, stand_ins, prefers);
    env.insert("PATH".into(), path);
}

fn path_with(path: &OsStr, stand_ins: &Path, prefers_stand_ins: bool) -> OsString {
    let own =
        std::env::split_paths(path).filter(|folder| !folder.as_os_str().is_empty() && folder != stand_ins);
    let mut folders: Vec<PathBuf> = own.collect();
    for folder in SYSTEM_FOLDERS.map(PathBuf::from) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let at = if prefers_stand_ins { 0 } else { folders.len() };
    folders.insert(at, stand_ins.to_owned());
    // Folders out of a path have no colon in them.
    std::env::join_paths(folders).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_is_a_lab_without_problems() {
        let lab = lab(&"class".parse().unwrap());
        assert_eq!(lab.warnings, Vec::<String>::new());
        assert_eq!(lab.definition().name.as_str(), "class");
        assert_eq!(
            lab.definition().node(MACHINE).unwrap().interfaces[0].mac.to_string(),
            "42:01:0a:8a:00:03"
        );
    }

    #[test]
    fn real_programs_come_before_their_stand_ins() {
        let path = |text: &str, prefers| path_with(text.as_ref(), Path::new("/x"), prefers);
        let of_user = "/home/a/bin:/usr/local/bin:/usr/bin:/bin";
        let found = "/home/a/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/x";
        assert_eq!(path(of_user, false), found);
        assert_eq!(path(found, false), found);
        assert_eq!(path("/bin", true), "/x:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin");
    }
}

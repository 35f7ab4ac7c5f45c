//! All ids of a system in a user namespace: the caller's own as root, subordinate ones as all others (subuid(5),
//! newuidmap(1)).

use crate::feature::{IdRange, own_subordinates};
use crate::userns::IdMap;
use std::fmt;
use std::fs;
use std::io;
use std::process::Command;

/// Ids that a system needs: accounts of packages are below 1000, `nobody` is 65534.
const NEEDED: u32 = 65535;

/// Which ids outside stand for those inside, from 0 on without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemIds {
    users: Vec<IdRange>,
    groups: Vec<IdRange>,
    /// Whether the caller is root, who may write maps without help.
    is_direct: bool,
}

/// Why there are no ids for a whole system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoIds {
    /// The caller has no or too few subordinate ids, with the file that would give them.
    NoRange {
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// The line that gives them.
        line: String,
    },
    /// The program that maps them is not installed.
    NoProgram(&'static str),
}

impl NoIds {
    /// What helps.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoRange { file, line } => {
                format!("`echo {line} | sudo tee -a {file}`, with numbers that nobody has")
            }
            Self::NoProgram(_) => "install the package that has it: `sudo apt install uidmap`".to_owned(),
        }
    }
}

impl fmt::Display for NoIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRange { file, .. } => write!(f, "{file} gives this user less than {NEEDED} ids"),
            Self::NoProgram(program) => write!(f, "the program `{program}` is not installed"),
        }
    }
}

impl SystemIds {
    /// Those that the caller may map: for root of the machine ids that own nothing, as its labs have them; for an
    /// ordinary user itself as root, and its subordinate ids.
    ///
    /// # Errors
    /// What is missing.
    pub fn of_caller() -> Result<Self, NoIds> {
        let uid = rustix::process::geteuid();
        if uid.is_root() && IdMap::of_self().is_none() {
            let map = IdMap::unprivileged();
            let range = |first| vec![IdRange { first, count: map.count }];
            return Ok(Self { users: range(map.uid), groups: range(map.gid), is_direct: true });
        }
        for program in ["newuidmap", "newgidmap"] {
            if !is_installed(program) {
                return Err(NoIds::NoProgram(program));
            }
        }
        let with_own = |own: u32, file: &'static str| {
            let ranges = own_subordinates(file);
            let count: u64 = ranges.iter().map(|range| u64::from(range.count)).sum();
            if count < u64::from(NEEDED) {
                let name = crate::account::name().unwrap_or_else(|| uid.as_raw().to_string());
                return Err(NoIds::NoRange { file, line: format!("{name}:100000:65536") });
            }
            Ok(std::iter::once(IdRange { first: own, count: 1 }).chain(ranges).collect())
        };
        let users = with_own(uid.as_raw(), "/etc/subuid")?;
        let groups = with_own(rustix::process::getegid().as_raw(), "/etc/subgid")?;
        Ok(Self { users, groups, is_direct: false })
    }

    /// The user and the group outside that are 0 inside.
    #[must_use]
    pub fn root(&self) -> (u32, u32) {
        let first = |ranges: &[IdRange]| ranges.first().map_or(0, |range| range.first);
        (first(&self.users), first(&self.groups))
    }

    /// Writes the maps for a process that has just entered its own user namespace. Same as
    /// `newuidmap PID 0 UID 1 1 FIRST COUNT` and the same for groups.
    ///
    /// # Errors
    /// What the kernel or the programs say.
    pub fn write(&self, pid: u32) -> io::Result<()> {
        let users = extents(&self.users);
        let groups = extents(&self.groups);
        if self.is_direct {
            let text = |extents: &[[u32; 3]]| -> String {
                extents
                    .iter()
                    .map(|[inside, outside, count]| format!("{inside} {outside} {count}\n"))
                    .collect()
            };
            fs::write(format!("/proc/{pid}/uid_map"), text(&users))?;
            return fs::write(format!("/proc/{pid}/gid_map"), text(&groups));
        }
        map_with("newuidmap", pid, &users)?;
        map_with("newgidmap", pid, &groups)
    }
}

/// First id inside, first id outside, count.
fn extents(ranges: &[IdRange]) -> Vec<[u32; 3]> {
    let mut inside = 0;
    let extent = |range: &IdRange| {
        let extent = [inside, range.first, range.count];
        inside += range.count;
        extent
    };
    ranges.iter().map(extent).collect()
}

fn map_with(program: &str, pid: u32, extents: &[[u32; 3]]) -> io::Result<()> {
    let numbers = extents.iter().flatten().map(u32::to_string);
    let output = Command::new(program).arg(pid.to_string()).args(numbers).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(said.trim().to_owned()))
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_each_other_inside() {
        let ranges =
            [(1001, 1), (100_000, 65536), (300_000, 10)].map(|(first, count)| IdRange { first, count });
        assert_eq!(extents(&ranges), [[0, 1001, 1], [1, 100_000, 65536], [65537, 300_000, 10]]);
    }

    #[test]
    fn what_is_missing_is_told_with_what_helps() {
        let none = NoIds::NoRange { file: "/etc/subuid", line: "ann:100000:65536".into() };
        assert_eq!(none.to_string(), "/etc/subuid gives this user less than 65535 ids");
        assert!(none.remedy().contains("ann:100000:65536 | sudo tee -a /etc/subuid"));
    }
}

//! Folders that packages want below `/run` (tmpfiles.d(5)): those are gone with every boot, and a node begins without.

use super::Accounts;

/// A folder to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Where, below `/run`.
    pub path: String,
    /// Its mode, 0755 where none is told.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// The folders below `/run` (or `/var/run`, which is the same) of a tmpfiles.d file. Other lines are passed over, as are those
/// whose owner has no account.
///
/// ```
/// use netyard_core::unit::{Accounts, tmpfiles};
/// let accounts = Accounts { passwd: "bind:x:100:101::/:/bin/sh\n", group: "" };
/// let folders = tmpfiles::folders("d /run/named 0775 root bind - -\nd /run/x - bind 7\nL /run/y\n", &accounts);
/// assert_eq!(folders[0].path, "/run/x", "there is no group bind");
/// assert_eq!((folders[0].mode, folders[0].uid, folders[0].gid), (0o755, 100, 7));
/// ```
#[must_use]
pub fn folders(text: &str, accounts: &Accounts<'_>) -> Vec<Folder> {
    text.lines().filter_map(|line| folder(line, accounts)).collect()
}

fn folder(line: &str, accounts: &Accounts<'_>) -> Option<Folder> {
    let mut fields = line.split_whitespace();
    fields.next().filter(|kind| kind.starts_with(['d', 'D']))?;
    let path = fields.next()?;
    let path = path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path);
    let is_plain =
        path.starts_with("/run/") && !path.contains('%') && !path.split('/').any(|part| part == "..");
    let mut given = || fields.next().filter(|field| *field != "-");
    let (mode, user, group) = (given(), given(), given());
    let mode =
        mode.map_or(Some(0o755), |mode| u32::from_str_radix(mode.trim_start_matches(['~', ':']), 8).ok())?;
    let uid = user.map_or(Some(0), |name| match name {
        "root" => Some(0),
        _ => accounts.user(name).map(|user| user.uid).or_else(|| name.parse().ok()),
    })?;
    let gid = group.map_or(Some(0), |name| if name == "root" { Some(0) } else { accounts.group_id(name) })?;
    is_plain.then(|| Folder { path: path.trim_end_matches('/').to_owned(), mode, uid, gid })
}

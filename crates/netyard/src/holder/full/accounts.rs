//! The accounts of a node: who is which number.

use netyard_kernel::inside::Inside;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Users and groups by name (passwd(5), group(5)).
pub(super) struct Accounts {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl Accounts {
    /// Those of the files below an `/etc`.
    pub(super) fn of(etc: &Path) -> Self {
        let read = |file: &str| fs::read_to_string(etc.join(file)).unwrap_or_default();
        Self { users: ids(&read("passwd")), groups: ids(&read("group")) }
    }

    /// Those of a node.
    pub(super) fn inside(root: Inside<'_>) -> Self {
        let read = |file: &str| root.read(Path::new(file)).unwrap_or_default();
        Self { users: ids(&read("/etc/passwd")), groups: ids(&read("/etc/group")) }
    }

    /// The id of a user.
    pub(super) fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied()
    }

    /// The id of a group.
    pub(super) fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }
}

/// The first and the third field of each line.
fn ids(text: &str) -> BTreeMap<String, u32> {
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(of_line).collect()
}

//! Users and groups: lines of `/etc/passwd` and `/etc/group` (passwd(5), group(5)).

use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A user or a group, by the line that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// The whole line, without its end.
    pub line: String,
}

/// The accounts of a text; lines that are none are left out.
///
/// ```
/// let users = netyard_core::layer::account::parse("root:x:0:0:root:/root:/bin/sh\n");
/// assert_eq!((users[0].name.as_str(), users[0].id), ("root", 0));
/// ```
#[must_use]
pub fn parse(text: &str) -> Vec<Account> {
    let account = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']))?;
        let id = fields.nth(1)?.parse().ok()?;
        Some(Account { name: name.to_owned(), id, line: line.to_owned() })
    };
    text.lines().filter_map(account).collect()
}

/// The accounts of the second text whose names the first does not have.
#[must_use]
pub fn added(before: &str, after: &str) -> Vec<Account> {
    let known: Vec<Account> = parse(before);
    let known: HashSet<&str> = known.iter().map(|account| account.name.as_str()).collect();
    parse(after).into_iter().filter(|account| !known.contains(account.name.as_str())).collect()
}

/// The text with accounts of layers added: by name, and what is there already wins.
///
/// Of two accounts with one number both stay, as their files do: the number's first name is the one that `ls` shows.
///
/// ```
/// use netyard_core::layer::account::{merged, parse};
/// let machine = "root:x:0:\nbind:x:110:\n";
/// let layer = parse("bind:x:120:\nfrr:x:121:\n");
/// assert_eq!(merged(machine, &layer), "root:x:0:\nbind:x:110:\nfrr:x:121:\n");
/// ```
#[must_use]
pub fn merged(text: &str, accounts: &[Account]) -> String {
    let mut merged = text.to_owned();
    if !merged.is_empty() && !merged.ends_with('\n') {
        merged.push('\n');
    }
    let known = parse(text);
    let mut known: HashSet<&str> = known.iter().map(|account| account.name.as_str()).collect();
    for account in accounts {
        if known.insert(&account.name) {
            merged.push_str(&account.line);
            merged.push('\n');
        }
    }
    merged
}

/// A text for `/etc/shadow` or `/etc/gshadow` in which no account of a passwd or group file has a password: what
/// `adduser` needs to find, made of what anybody may read.
#[must_use]
pub fn shadow(accounts: &str, fields_after_password: &str) -> String {
    parse(accounts).iter().map(|account| format!("{}:*:{fields_after_password}\n", account.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_told_by_name() {
        let before = "root:x:0:0:root:/root:/bin/sh\n+nis\n# note\nodd\n";
        let after = "root:x:0:0:changed:/root:/bin/sh\nfrr:x:117:125::/nonexistent:/usr/sbin/nologin\n";
        let added = added(before, after);
        assert_eq!(added.len(), 1);
        assert_eq!((added[0].name.as_str(), added[0].id), ("frr", 117));
    }

    #[test]
    fn merging_twice_is_merging_once() {
        let layer = parse("frr:x:121:\nfrr:x:122:\n");
        let once = merged("root:x:0:", &layer);
        assert_eq!(once, "root:x:0:\nfrr:x:121:\n");
        assert_eq!(merged(&once, &layer), once);
        assert_eq!(merged("", &[]), "");
    }

    #[test]
    fn nobody_has_a_password() {
        assert_eq!(shadow("root:x:0:\nfrr:x:1:\n", ":"), "root:*::\nfrr:*::\n");
    }
}

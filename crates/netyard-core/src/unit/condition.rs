//! Conditions of units about paths (systemd.unit(5), CONDITIONS AND ASSERTS).

/// What is asked about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionKind {
    /// `PathExists`
    Exists,
    /// `PathIsDirectory`
    IsDirectory,
    /// `PathIsSymbolicLink`
    IsSymbolicLink,
    /// `DirectoryNotEmpty`
    HasEntries,
    /// `FileNotEmpty`
    HasContent,
    /// `FileIsExecutable`
    IsExecutable,
}

impl ConditionKind {
    /// That of a key, told without `Condition` or `Assert`; conditions about anything else count as met.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        Some(match key {
            "PathExists" => Self::Exists,
            "PathIsDirectory" => Self::IsDirectory,
            "PathIsSymbolicLink" => Self::IsSymbolicLink,
            "DirectoryNotEmpty" => Self::HasEntries,
            "FileNotEmpty" => Self::HasContent,
            "FileIsExecutable" => Self::IsExecutable,
            _ => return None,
        })
    }
}

/// A condition about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is asked.
    pub kind: ConditionKind,
    /// About which path.
    pub path: String,
    /// `!`: it must not be so.
    pub is_negated: bool,
    /// `|`: of all of these one is enough.
    pub is_alternative: bool,
}

impl Condition {
    /// That of a value, `|!/path`; none of an empty one.
    #[must_use]
    pub fn parse(kind: ConditionKind, value: &str) -> Option<Self> {
        let bare = value.trim_start_matches('|').trim_start();
        let path = bare.trim_start_matches('!').trim_start();
        let (is_alternative, is_negated) = (value.starts_with('|'), bare.starts_with('!'));
        (!path.is_empty()).then(|| Self { kind, path: path.to_owned(), is_negated, is_alternative })
    }

    /// Whether all of these are met, where `is_so` tells what a path is: every plain one, and one of the alternatives.
    ///
    /// ```
    /// use netyard_core::unit::{Condition, ConditionKind};
    /// let of = |value| Condition::parse(ConditionKind::Exists, value).unwrap();
    /// let is_there = |_, path: &str| path == "/there";
    /// assert!(Condition::all_met(&[of("!/gone"), of("|/gone"), of("|/there")], is_there));
    /// assert!(!Condition::all_met(&[of("!/there")], is_there));
    /// ```
    pub fn all_met(conditions: &[Self], is_so: impl Fn(ConditionKind, &str) -> bool) -> bool {
        let is_met = |condition: &&Self| is_so(condition.kind, &condition.path) != condition.is_negated;
        let (alternatives, plain): (Vec<&Self>, Vec<&Self>) =
            conditions.iter().partition(|condition| condition.is_alternative);
        plain.iter().all(is_met) && (alternatives.is_empty() || alternatives.iter().any(is_met))
    }
}

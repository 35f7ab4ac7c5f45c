//! Names of units: `named.service`, `frr@blue.service`.

use std::fmt;

/// Ends of names of units that are no services (systemd.unit(5)).
const OTHER_KINDS: [&str; 10] =
    [".target", ".socket", ".timer", ".mount", ".path", ".slice", ".scope", ".device", ".swap", ".automount"];

/// The name of a unit, with its ending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName(String);

impl UnitName {
    /// The name as typed, `.service` added where no kind is told; none where it could not be a file's name, or has
    /// more than 80 bytes (a socket beside the unit's state has a path of at most 107, unix(7)).
    ///
    /// ```
    /// use netyard_core::unit::UnitName;
    /// assert_eq!(UnitName::new("named").unwrap().as_str(), "named.service");
    /// assert!(UnitName::new("../etc").is_none());
    /// ```
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-@:\\".contains(c);
        let is_name = !typed.is_empty() && !typed.starts_with('.') && typed.chars().all(is_allowed);
        let has_kind = OTHER_KINDS.iter().chain(&[".service"]).any(|kind| typed.ends_with(kind));
        let name = if has_kind { typed.to_owned() } else { format!("{typed}.service") };
        (is_name && name.len() <= 80).then_some(Self(name))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.0.ends_with(".service")
    }

    /// The name without its ending.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.0.rsplit_once('.').map_or(&self.0, |(stem, _)| stem)
    }

    /// What is before `@`, or the stem.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.stem().split_once('@').map_or(self.stem(), |(prefix, _)| prefix)
    }

    /// What is after `@`; empty for units that come from no template.
    #[must_use]
    pub fn instance(&self) -> &str {
        self.stem().split_once('@').map_or("", |(_, instance)| instance)
    }

    /// The name of the template's file, for an instance of one.
    #[must_use]
    pub fn template(&self) -> Option<String> {
        let (_, kind) = self.0.rsplit_once('.')?;
        (!self.instance().is_empty()).then(|| format!("{}@.{kind}", self.prefix()))
    }

    /// Whether it is a template itself, which cannot be started.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.stem().ends_with('@')
    }

    /// Replaces what begins with `%` (systemd.unit(5), SPECIFIERS) for a service of root. Unknown ones stay.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                expanded.push(c);
                continue;
            }
            match rest.next() {
                Some('n') => expanded.push_str(self.as_str()),
                Some('N') => expanded.push_str(self.stem()),
                Some('p') => expanded.push_str(self.prefix()),
                Some('P') => expanded.push_str(&unescape(self.prefix())),
                Some('i') => expanded.push_str(self.instance()),
                Some('I') => expanded.push_str(&unescape(self.instance())),
                Some('j') => expanded.push_str(self.prefix().rsplit('-').next().unwrap_or_default()),
                Some('t') => expanded.push_str("/run"),
                Some('S') => expanded.push_str("/var/lib"),
                Some('L') => expanded.push_str("/var/log"),
                Some('C') => expanded.push_str("/var/cache"),
                Some('E') => expanded.push_str("/etc"),
                Some('T') => expanded.push_str("/tmp"),
                Some('V') => expanded.push_str("/var/tmp"),
                Some('h') => expanded.push_str("/root"),
                Some('u') => expanded.push_str("root"),
                Some('U') => expanded.push('0'),
                Some('%') => expanded.push('%'),
                Some(other) => expanded.extend(['%', other]),
                None => expanded.push('%'),
            }
        }
        expanded
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `-` stands for `/`, `\xNN` for a byte (systemd-escape(1)).
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let code = rest.strip_prefix("\\x").and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok());
        match code {
            Some(byte) => bytes.push(byte),
            None if c == '-' => bytes.push(b'/'),
            None => bytes.extend(c.to_string().as_bytes()),
        }
        rest = &rest[if code.is_some() { 4 } else { c.len_utf8() }..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_of_an_instance() {
        let name = UnitName::new(r"frr@a-b\x2dc").unwrap();
        assert_eq!(name.template().as_deref(), Some("frr@.service"));
        assert_eq!(name.expand("%n %N %p %i %I"), r"frr@a-b\x2dc.service frr@a-b\x2dc frr a-b\x2dc a/b-c");
        assert_eq!(name.expand("%t %S %L %C 100%% %q %"), "/run /var/lib /var/log /var/cache 100% %q %");
    }

    #[test]
    fn names_that_are_none() {
        for typed in ["", "a/b", "..", ".x", "a b", &"x".repeat(73)] {
            assert_eq!(UnitName::new(typed), None, "{typed}");
        }
        assert!(!UnitName::new("network.target").unwrap().is_service());
        assert!(UnitName::new("getty@").unwrap().is_template());
    }
}

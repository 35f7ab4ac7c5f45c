//! Package layers: what packages add to the machine's files, kept in a folder, for nodes that name it.

pub mod account;
pub mod content;
pub mod dpkg;
mod lack;
mod package;
mod recipe;

pub use lack::{Lack, Machine, Remedy, lacking, remedy};
pub use package::{package_of, user_of};
pub use recipe::{Recipe, recipe, recipes};

use crate::name::NameError;
use crate::unit::environment_file;
use account::Account;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Most bytes of a layer's name.
const NAME_LEN_MAX: usize = 63;

/// The name of a package layer: `frr`, `kathara/base`. Small letters, digits, `.`, `_` and `-`, with at most one `/`;
/// each part begins with a letter or digit, so that it is a path below the folder of layers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayerName(String);

impl LayerName {
    /// Takes a text as a name.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_LEN_MAX {
            return Err(NameError::TooLong { len: text.len(), max: NAME_LEN_MAX });
        }
        let mut parts = text.split('/');
        for part in parts.by_ref().take(2) {
            let first = part.chars().next().ok_or(NameError::Empty)?;
            let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            if !is_word(first) {
                return Err(NameError::BadCharacter(first));
            }
            if let Some(c) = part.chars().find(|c| !is_word(*c) && !"._-".contains(*c)) {
                return Err(NameError::BadCharacter(c));
            }
        }
        if parts.next().is_some() {
            return Err(NameError::BadCharacter('/'));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text, which is also its path below the folder of layers.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LayerName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for LayerName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<LayerName> for String {
    fn from(name: LayerName) -> Self {
        name.0
    }
}

/// What a layer tells of itself (`layer.json` in its folder).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name.
    pub name: LayerName,
    /// The packages that were asked for.
    pub asked: Vec<String>,
    /// All that it holds, with versions, by name.
    pub packages: Vec<dpkg::Package>,
    /// The system that it was built on and belongs to: `Debian GNU/Linux 12 (bookworm)`.
    pub system: String,
    /// The release of that system, in the words of os-release(5): `debian 12`. None where it has no number.
    #[serde(default)]
    pub release: Option<String>,
    /// Debian's word for the processors that its programs run on: `amd64`.
    #[serde(default)]
    pub architecture: Option<String>,
    /// Files that packages keep from strangers: those who use somebody else's layer do without them.
    #[serde(default)]
    pub closed: Vec<String>,
    /// When it was built, in seconds since 1970.
    pub built: u64,
    /// Users that the packages have added.
    pub users: Vec<Account>,
    /// Groups that the packages have added.
    pub groups: Vec<Account>,
    /// Bytes of its files.
    pub bytes: u64,
}

/// The release of a system by its os-release(5): `debian 12`; none where it has no number, as those that change daily.
///
/// ```
/// let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
/// assert_eq!(netyard_core::layer::release(text).as_deref(), Some("debian 12"));
/// assert_eq!(netyard_core::layer::release("ID=debian\n"), None);
/// ```
#[must_use]
pub fn release(os_release: &str) -> Option<String> {
    let variables = environment_file(os_release);
    let value = |name| variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    Some(format!("{} {}", value("ID")?, value("VERSION_ID")?))
}

/// The name of the file in a layer's folder that holds its [`Manifest`].
pub const MANIFEST: &str = "layer.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_of_one_or_two_words() {
        for good in ["frr", "kathara/base", "a.b_c-9"] {
            assert_eq!(LayerName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "/", "a/", "/a", "a/b/c", "../a", "a/..", ".part", "A", "a b", "-a"] {
            assert!(LayerName::new(bad).is_err(), "{bad}");
        }
        assert!(LayerName::new(&"a".repeat(64)).is_err());
    }
}

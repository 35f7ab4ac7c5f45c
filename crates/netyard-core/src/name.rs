//! Names of labs, nodes, networks and interfaces: validated once, then carried as types.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// The text is empty.
    Empty,
    /// The text has `len` bytes where `max` are allowed.
    TooLong {
        /// Bytes in the text.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A character that may not stand at its place.
    BadCharacter(char),
    /// A name that the kernel or netyard uses for something else.
    Reserved,
    /// A name that would mean something else where it is used, and what.
    MeansElse(&'static str),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong { len, max } => write!(f, "{len} bytes; {max} are allowed"),
            Self::BadCharacter(c) => write!(f, "{c:?} may not stand here"),
            Self::Reserved => f.write_str("the name is reserved"),
            Self::MeansElse(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for NameError {}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes a text as a name.
            ///
            /// # Errors
            /// [`NameError`] when the text breaks the rule of this kind of name.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref();
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

name_type!(
    /// The name of a lab: `[a-z0-9][a-z0-9._-]{0,62}`.
    LabName,
    check_label
);
name_type!(
    /// The name of a node: `[a-z0-9][a-z0-9._-]{0,62}`, but not `fabric`, which names the namespace of the bridges.
    NodeName,
    check_node
);
name_type!(
    /// The name of a network: `[a-z0-9][a-z0-9._-]{0,62}`.
    NetworkName,
    check_label
);
name_type!(
    /// The name of an interface: 1 to 15 bytes (`IFNAMSIZ` less the closing zero, linux/if.h), no `/`, `:` or blank,
    /// and none of the words that the kernel uses in `/proc/sys/net/*/conf`.
    IfName,
    check_ifname
);

impl IfName {
    /// An interface name made from a longer text, the same each time: the text itself where the kernel takes it, else
    /// its beginning, `-` and 45 bits of its hash (`corp-network-upstairs` becomes `corp--` and nine characters).
    #[must_use]
    pub fn shortened(text: &str) -> Self {
        if text != "lo"
            && let Ok(name) = Self::new(text)
        {
            return name;
        }
        const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let clean = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
        // A name that begins with `-` is none.
        let mut name: String = text.chars().filter(clean).skip_while(|c| *c == '-').take(5).collect();
        if name.is_empty() {
            name.push('n');
        }
        name.push('-');
        let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        for _ in 0..9 {
            name.push(char::from(BASE32[(hash >> 59) as usize]));
            hash <<= 5;
        }
        Self(name.into())
    }
}

/// The longest interface name in bytes (linux/if.h `IFNAMSIZ` - 1).
pub const IFNAME_LEN_MAX: usize = 15;
const LABEL_LEN_MAX: usize = 63;

fn check_label(text: &str) -> Result<(), NameError> {
    let Some(first) = text.chars().next() else { return Err(NameError::Empty) };
    if !first.is_ascii_lowercase() && !first.is_ascii_digit() {
        return Err(NameError::BadCharacter(first));
    }
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(*c);
    if let Some(c) = text.chars().find(|c| !allowed(c)) {
        return Err(NameError::BadCharacter(c));
    }
    if text.contains("..") {
        return Err(NameError::BadCharacter('.'));
    }
    if text.len() > LABEL_LEN_MAX {
        return Err(NameError::TooLong { len: text.len(), max: LABEL_LEN_MAX });
    }
    Ok(())
}

fn check_node(text: &str) -> Result<(), NameError> {
    check_label(text)?;
    match text {
        crate::state::Ns::FABRIC => Err(NameError::Reserved),
        "localhost" => Err(NameError::MeansElse("`localhost` is every node itself")),
        "default" => Err(NameError::MeansElse("`default` is the route to everywhere")),
        "none" | "auto" => Err(NameError::MeansElse("this is a word of `gateway` and `address`")),
        _ if text.parse::<std::net::IpAddr>().is_ok() => {
            Err(NameError::MeansElse("this is an address, and is taken for one wherever it is used"))
        }
        _ => Ok(()),
    }
}

fn check_ifname(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > IFNAME_LEN_MAX {
        return Err(NameError::TooLong { len: text.len(), max: IFNAME_LEN_MAX });
    }
    if let Some(c) = text.chars().find(|c| "/:%".contains(*c) || c.is_whitespace() || c.is_control()) {
        return Err(NameError::BadCharacter(c));
    }
    if text.starts_with('-') {
        return Err(NameError::MeansElse("commands take a word that begins with `-` for an option"));
    }
    if matches!(text, "." | ".." | "all" | "default") {
        return Err(NameError::Reserved);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_has_at_most_15_bytes() {
        assert!(IfName::new("veth1-printer12").is_ok());
        assert_eq!(IfName::new("veth1-printer123"), Err(NameError::TooLong { len: 16, max: 15 }));
        assert_eq!(IfName::new("a/b"), Err(NameError::BadCharacter('/')));
        assert_eq!(IfName::new("all"), Err(NameError::Reserved));
        assert!(matches!(IfName::new("-rf"), Err(NameError::MeansElse(_))));
    }

    #[test]
    fn a_long_name_is_shortened_the_same_way_each_time() {
        assert_eq!(IfName::shortened("lan").as_str(), "lan");
        for text in ["corp-network-upstairs", "all", "lo", "", "日本のネットワーク"] {
            let short = IfName::shortened(text);
            assert_eq!(short, IfName::shortened(text));
            assert!(IfName::new(short.as_str()).is_ok(), "{short}");
            assert_ne!(short, IfName::shortened(&format!("{text}x")));
        }
        assert!(IfName::shortened("corp-network-upstairs").as_str().starts_with("corp--"));
    }

    #[test]
    fn a_node_name_is_a_lower_case_label() {
        assert!(NodeName::new("pc-1.home").is_ok());
        assert_eq!(NodeName::new("PC"), Err(NameError::BadCharacter('P')));
        assert_eq!(NodeName::new("a..b"), Err(NameError::BadCharacter('.')));
        assert_eq!(NodeName::new("fabric"), Err(NameError::Reserved));
        assert_eq!(NodeName::new(""), Err(NameError::Empty));
        for name in ["localhost", "default", "none", "auto", "10.0.0.1"] {
            assert!(matches!(NodeName::new(name), Err(NameError::MeansElse(_))), "{name}");
        }
        assert!(NodeName::new("10.0").is_ok());
    }
}

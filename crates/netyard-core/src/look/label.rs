//! Short names for namespaces, fit for nodes of a lab file.

use crate::name::NodeName;
use std::collections::{HashMap, HashSet};

/// A node name made of any text: lower case, `-` for what may not stand there; `ns` where nothing is left.
///
/// ```
/// use netyard_core::look::label::label;
/// assert_eq!(label("My PC").as_str(), "my-pc");
/// assert_eq!(label("fabric").as_str(), "fabric-1");
/// assert_eq!(label("(none)").as_str(), "none-1");
/// assert_eq!(label("日本").as_str(), "ns");
/// ```
///
/// # Panics
/// Never: what is made is a name.
#[must_use]
pub fn label(text: &str) -> NodeName {
    let mut clean = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        let is_allowed = c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let c = if is_allowed { c } else { '-' };
        let repeats = clean.ends_with(c) && "-.".contains(c);
        if !repeats && (!clean.is_empty() || c.is_ascii_alphanumeric()) && clean.len() < 50 {
            clean.push(c);
        }
    }
    let clean = clean.trim_end_matches(['-', '.']);
    let clean = match clean {
        "" => "ns",
        // A word that the lab file has for itself.
        "all" => "all-1",
        other => other,
    };
    // Some words mean something else in lab files; a machine without a name is called `(none)`.
    NodeName::new(clean)
        .or_else(|_| NodeName::new(format!("{clean}-1")))
        .expect("a lower-case label, or one with a number, is a name")
}

/// Gives out names, each once.
#[derive(Debug, Default)]
pub struct Labels {
    taken: HashSet<NodeName>,
    /// The number that each label was given last: of thousands alike none asks for all before it.
    last: HashMap<NodeName, u32>,
}

impl Labels {
    /// The name for this text: its label, with a number behind where that is taken.
    ///
    /// # Panics
    /// Never: a number makes no name too long.
    pub fn give(&mut self, text: &str) -> NodeName {
        let first = label(text);
        let numbered = |n: u32| NodeName::new(format!("{first}-{n}")).expect("a label and a number");
        if self.taken.insert(first.clone()) {
            return first;
        }
        let mut number = self.last.get(&first).copied().unwrap_or(1);
        let name = loop {
            number += 1;
            let name = numbered(number);
            if self.taken.insert(name.clone()) {
                break name;
            }
        };
        self.last.insert(first, number);
        name
    }
}

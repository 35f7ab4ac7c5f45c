//! What a learner has done, kept from day to day.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Steps that are done, by lesson.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Ids of steps by the name of their lesson.
    pub done: BTreeMap<String, BTreeSet<String>>,
    /// Predictions that were right, and all that were made, by lesson.
    pub predictions: BTreeMap<String, (u32, u32)>,
    /// The step at which the learner was last, by lesson.
    pub at: BTreeMap<String, String>,
}

/// `$XDG_STATE_HOME/netyard`, else `~/.local/state/netyard`; none for a user without a home.
fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("netyard"))
}

impl Progress {
    /// What is kept; nothing where nothing can be read.
    #[must_use]
    pub fn load() -> Self {
        let text = folder().and_then(|folder| std::fs::read_to_string(folder.join("lessons.json")).ok());
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Keeps it. Whoever has no home keeps nothing.
    ///
    /// # Errors
    /// Those of writing the file.
    pub fn save(&self) -> Result<()> {
        let Some(folder) = folder() else { return Ok(()) };
        let failed =
            |e: &std::io::Error| Error::io(format!("cannot keep progress in {}", folder.display()), e);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|e| failed(&e))?;
        // Written aside and renamed: two lessons at once never leave half a file.
        let aside = folder.join(format!("lessons.{}", std::process::id()));
        let text = serde_json::to_string_pretty(self).expect("maps of texts are JSON");
        std::fs::write(&aside, text + "\n").map_err(|e| failed(&e))?;
        std::fs::rename(&aside, folder.join("lessons.json")).map_err(|e| failed(&e))
    }

    /// Notes a step that is done.
    pub fn passed(&mut self, lesson: &str, step: &str, was_right: Option<bool>) {
        let is_new = self.done.entry(lesson.to_owned()).or_default().insert(step.to_owned());
        self.at.insert(lesson.to_owned(), step.to_owned());
        if let (Some(was_right), true) = (was_right, is_new) {
            let (right, all) = self.predictions.entry(lesson.to_owned()).or_default();
            *right += u32::from(was_right);
            *all += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_once() {
        let mut progress = Progress::default();
        progress.passed("talk", "look", Some(true));
        progress.passed("talk", "look", Some(false));
        progress.passed("talk", "ping", None);
        assert_eq!(progress.done["talk"].len(), 2);
        assert_eq!(progress.predictions["talk"], (1, 1));
    }
}

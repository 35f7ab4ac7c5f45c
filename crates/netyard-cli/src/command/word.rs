//! The words of a lesson's shell: `task`, `hint`, `next` and the others are this program under those names.

use crate::output;
use netyard::lesson::word::{self, Typed, VARIABLE, WORDS};
use std::path::Path;
use std::process::ExitCode;

/// Asks the coach, where this process was started under the name of a word; none otherwise.
pub fn run() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let first = words.next()?;
    let name = Path::new(&first).file_name()?.to_str()?;
    let word = WORDS.into_iter().find(|word| *word == name)?;
    std::env::var_os(VARIABLE)?;
    let rest = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let typed = Typed { word: word.to_owned(), rest, width: output::width() };
    Some(match word::ask(&typed) {
        Ok(answer) => {
            output::print(&answer.text);
            ExitCode::from(answer.code)
        }
        Err(error) => {
            output::say(&format!("{word}: the coach of the lesson does not answer: {error}"));
            ExitCode::from(3)
        }
    })
}

//! Init scripts (init.d(7)), for services that have no unit.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where they are.
pub const INIT_SCRIPTS: &str = "/etc/init.d";

/// The init script of that name below a root folder; none where it cannot be started, or where it is this program,
/// which stands in for some.
#[must_use]
pub fn init_script(root: &Path, name: &str) -> Option<PathBuf> {
    let path = root.join(INIT_SCRIPTS.trim_start_matches('/')).join(name);
    let file = fs::metadata(&path).ok().filter(|file| file.is_file() && file.mode() & 0o111 != 0)?;
    let own = fs::metadata("/proc/self/exe").ok();
    let is_own = own.is_some_and(|own| (own.dev(), own.ino()) == (file.dev(), file.ino()));
    (!is_own).then_some(path)
}

/// The names of all init scripts.
#[must_use]
pub fn script_names() -> Vec<String> {
    let entries = fs::read_dir(INIT_SCRIPTS).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| init_script(Path::new("/"), name).is_some() && !name.contains('.')).collect();
    names.sort();
    names
}

/// A script with its words and the environment that service(8) gives it: the path, the language and the terminal.
#[must_use]
pub fn script_command(path: &Path, words: &[String]) -> Command {
    let mut command = Command::new(path);
    command.args(words).current_dir("/").env_clear().env("PATH", super::keeper::PATH);
    for name in ["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TERM"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs a script with one word, its output thrown away; whether it ended with success.
///
/// # Errors
/// That it could not be started.
pub(super) fn quietly(path: &Path, word: &str) -> io::Result<bool> {
    is_done(&mut script_command(path, &[word.to_owned()]))
}

/// Runs a command without input, its output thrown away; whether it ended with success.
///
/// # Errors
/// That it could not be started.
pub(super) fn is_done(command: &mut Command) -> io::Result<bool> {
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
}

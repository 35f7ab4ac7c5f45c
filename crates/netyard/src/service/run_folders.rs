//! Folders that packages want below `/run`, made before the first service starts (tmpfiles.d(5)).

use super::STATES;
use super::keeper::make_folder;
use netyard_core::unit::{Accounts, tmpfiles};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

const CONFIGURATIONS: [&str; 2] = ["/usr/lib/tmpfiles.d", "/etc/tmpfiles.d"];

/// Makes those that are not there yet, once in the life of a node.
///
/// # Errors
/// That they were made could not be noted. What cannot be made itself is told by the service that lacks it.
pub(super) fn make() -> io::Result<()> {
    let done = Path::new(STATES).join("folders-are-made");
    if done.exists() {
        return Ok(());
    }
    let read = |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let passwd = read(Path::new("/etc/passwd")).unwrap_or_default();
    let group = read(Path::new("/etc/group")).unwrap_or_default();
    let accounts = Accounts { passwd: &passwd, group: &group };
    let mut files = BTreeMap::new();
    for folder in CONFIGURATIONS {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // The machine's own files hide those of packages.
            files.insert(entry.file_name(), entry.path());
        }
    }
    for path in files.into_values().filter(|path| path.extension().is_some_and(|end| end == "conf")) {
        let folders = tmpfiles::folders(&read(&path).unwrap_or_default(), &accounts);
        for folder in folders.iter().filter(|folder| is_wanted(&folder.path)) {
            let _ = make_folder(&folder.path, folder.mode, Some((folder.uid, folder.gid)));
        }
    }
    fs::write(done, "")
}

/// Not what is there already, and nothing of systemd's, which would be taken for systemd itself.
fn is_wanted(path: &str) -> bool {
    !Path::new(path).exists() && !path.starts_with("/run/systemd")
}

//! Folders that packages want below `/run` and `/var` (tmpfiles.d(5)): of that format the lines that make a folder.

use super::accounts::Accounts;
use netyard_kernel::inside::{Inside, Owner};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Component, Path};

/// A folder to make.
#[derive(Debug, PartialEq, Eq)]
struct Folder<'a> {
    path: &'a Path,
    mode: u32,
    user: &'a str,
    group: &'a str,
}

/// Makes in `root` the folders that the files of `folder` name. Those whose owner the lab cannot have are root's.
///
/// # Errors
/// Those of opening `root`.
pub(super) fn make(folder: &Path, root: &Path, accounts: &Accounts) -> io::Result<()> {
    let Ok(files) = fs::read_dir(folder) else { return Ok(()) };
    let root = fs::File::open(root)?;
    for file in files.flatten() {
        let is_conf = file.path().extension().is_some_and(|extension| extension == "conf");
        let Some(text) = is_conf.then(|| fs::read_to_string(file.path()).ok()).flatten() else { continue };
        for wanted in text.lines().filter_map(folder_of_line) {
            let uid = accounts.user(wanted.user).unwrap_or(0);
            let gid = accounts.group(wanted.group).unwrap_or(0);
            // One that cannot be made is missed by who needs it, and by nobody else.
            let _ = Inside(root.as_fd()).make_folder(wanted.path, wanted.mode, Owner { uid, gid });
        }
    }
    Ok(())
}

/// The folder that a line makes: without patterns and specifiers, below `/run` or `/var`.
fn folder_of_line(line: &str) -> Option<Folder<'_>> {
    let mut words = line.split_whitespace();
    let kind = words.next()?;
    let path = words.next()?;
    let is_plain = !path.contains(['%', '*', '?', '[', '"', '\'', '\\'])
        && Path::new(path).components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // Without `/run/systemd` scripts know that no systemd is there.
    let is_ours =
        ["/run/", "/var/"].iter().any(|top| path.starts_with(top)) && !path.starts_with("/run/systemd");
    if !matches!(kind.trim_end_matches(['!', '-', '+', '=', '~', '^', '$']), "d" | "D")
        || !is_plain
        || !is_ours
    {
        return None;
    }
    let mut word = || words.next().filter(|word| *word != "-");
    let mode = word().map(|mode| mode.trim_start_matches(['~', ':']));
    let mode = mode.map_or(Some(0o755), |mode| u32::from_str_radix(mode, 8).ok())?;
    let user = word().unwrap_or("root");
    let group = word().unwrap_or("root");
    Some(Folder { path: Path::new(path), mode: mode & 0o1777, user, group })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_all_else_is_left() {
        let frr = Folder { path: Path::new("/var/run/frr"), mode: 0o755, user: "frr", group: "frr" };
        assert_eq!(folder_of_line("d /var/run/frr 0755 frr frr - -"), Some(frr));
        let plain = Folder { path: Path::new("/run/named"), mode: 0o755, user: "root", group: "root" };
        assert_eq!(folder_of_line("D! /run/named - - -"), Some(plain));
        for line in [
            "",
            "# d /run/x",
            "d /tmp/x 0755",
            "d /run/%u",
            "f /run/x",
            "d /run/../etc",
            "d /run/systemd/x",
            "d /run/x 09",
        ] {
            assert_eq!(folder_of_line(line), None, "{line}");
        }
    }
}

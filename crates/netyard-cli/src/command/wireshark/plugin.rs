//! Makes netyard a plugin of Wireshark, and undoes that.

use super::{not_installed, program};
use crate::output;
use netyard::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The link to this program, by whose name it knows that it is a plugin.
pub const NAME: &str = "netyard-extcap";

pub fn install() -> Result<ExitCode> {
    let own = std::env::current_exe().map_err(|e| Error::io("cannot find this program", &e))?;
    let link = folder()?.join(NAME);
    let refused = |error: std::io::Error| {
        Error::input("U033", format!("cannot make {}: {error}", link.display()))
            .help("the folder is the one in which this version of Wireshark looks for plugins")
    };
    remove_link(&link)?;
    fs::create_dir_all(link.parent().unwrap_or(Path::new("/"))).map_err(refused)?;
    std::os::unix::fs::symlink(&own, &link).map_err(refused)?;
    output::print(&format!(
        "{} -> {}\nWireshark lists running labs among its interfaces when it is started next\n",
        link.display(),
        own.display()
    ));
    Ok(ExitCode::SUCCESS)
}

pub fn uninstall() -> Result<ExitCode> {
    let link = folder()?.join(NAME);
    match remove_link(&link)? {
        true => output::print(&format!("removed {}\n", link.display())),
        false => output::print(&format!("nothing to remove: there is no {}\n", link.display())),
    };
    Ok(ExitCode::SUCCESS)
}

/// Removes the link; whether there was one. What is no link is somebody else's and stays.
fn remove_link(link: &Path) -> Result<bool> {
    let refused =
        |error: std::io::Error| Error::input("U033", format!("cannot remove {}: {error}", link.display()));
    match fs::symlink_metadata(link) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(refused(error)),
        Ok(metadata) if metadata.is_symlink() => fs::remove_file(link).map(|()| true).map_err(refused),
        Ok(_) => Err(Error::input("U033", format!("{} is there already and is no link", link.display()))),
    }
}

/// The folder in which the installed version looks for the user's own plugins.
///
/// From 4.2 on it names that folder itself; before, it was below the folder of its settings.
fn folder() -> Result<PathBuf> {
    let asked = ["tshark", "wireshark"].into_iter().filter_map(program).find_map(|program| {
        let output = Command::new(program).args(["-G", "folders"]).output().ok()?;
        folder_in(&String::from_utf8_lossy(&output.stdout))
    });
    asked.ok_or_else(not_installed)
}

/// The folder in what `tshark -G folders` says.
fn folder_in(text: &str) -> Option<PathBuf> {
    let told = |wanted: &str| {
        let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(wanted))?;
        let (_, path) = line.split_once(':')?;
        Some(PathBuf::from(path.trim()))
    };
    told("personal extcap path:").or_else(|| Some(told("personal configuration:")?.join("extcap")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_that_of_the_version() {
        let old = "Personal configuration:\t/home/me/.config/wireshark\nExtcap path:  \t/usr/lib/wireshark/extcap\n";
        assert_eq!(folder_in(old), Some("/home/me/.config/wireshark/extcap".into()));
        let new = "Personal configuration:\t/home/me/.config/wireshark\nPersonal Extcap path:\t/home/me/.local/lib/wireshark/extcap\n";
        assert_eq!(folder_in(new), Some("/home/me/.local/lib/wireshark/extcap".into()));
        assert_eq!(folder_in("nothing"), None);
    }
}

//! Units that are started with the machine: links that nodes keep for those who ask, and that start nothing.

use super::find::{Found, Units};
use super::init::INIT_SCRIPTS;
use netyard_core::unit::UnitName;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Run levels in which a service of an enabled init script starts.
const RUN_LEVELS: [u8; 4] = [2, 3, 4, 5];

/// Whether a unit is enabled, in the words of systemctl(1).
#[must_use]
pub fn word(units: &Units, found: &Found) -> &'static str {
    let name = &found.unit.name;
    if found.is_masked {
        "masked"
    } else if found.is_script {
        if script_links(units, name).iter().any(|link| exists(link)) { "enabled" } else { "disabled" }
    } else if links(units, found).iter().any(|link| exists(link)) || is_wanted_somewhere(units, name) {
        "enabled"
    } else if found.unit.enabled_in.is_empty() && found.unit.aliases.is_empty() {
        "static"
    } else {
        "disabled"
    }
}

/// The links that enabling a unit makes.
fn links(units: &Units, found: &Found) -> Vec<PathBuf> {
    let own = units.own_folder();
    let wanted = found.unit.enabled_in.iter().map(|folder| own.join(folder).join(found.unit.name.as_str()));
    wanted.chain(found.unit.aliases.iter().map(|alias| own.join(alias.as_str()))).collect()
}

fn is_wanted_somewhere(units: &Units, name: &UnitName) -> bool {
    let folders = fs::read_dir(units.own_folder()).into_iter().flatten().flatten();
    let of_targets = folders.filter(|entry| {
        let folder = entry.file_name();
        let folder = folder.to_string_lossy();
        folder.ends_with(".wants") || folder.ends_with(".requires")
    });
    of_targets.into_iter().any(|entry| exists(&entry.path().join(name.as_str())))
}

fn script_links(units: &Units, name: &UnitName) -> Vec<PathBuf> {
    let link = |level| units.root().join(format!("etc/rc{level}.d/S01{}", name.stem()));
    RUN_LEVELS.into_iter().map(link).collect()
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Enables a unit. Returns the links that were made, with what they lead to.
///
/// # Errors
/// Those of symlink(2).
pub fn enable(units: &Units, found: &Found) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let (links, target) = if found.is_script {
        let target = Path::new(INIT_SCRIPTS).join(found.unit.name.stem());
        (script_links(units, &found.unit.name), target)
    } else {
        (links(units, found), found.path.clone())
    };
    let mut made = Vec::new();
    for link in links.into_iter().filter(|link| !exists(link)) {
        if let Some(folder) = link.parent() {
            fs::create_dir_all(folder)?;
        }
        symlink(&target, &link)?;
        made.push((link, target.clone()));
    }
    Ok(made)
}

/// Disables a unit. Returns the links that were removed.
///
/// # Errors
/// Those of unlink(2).
pub fn disable(units: &Units, found: &Found) -> io::Result<Vec<PathBuf>> {
    let name = &found.unit.name;
    let mut links = if found.is_script { script_links(units, name) } else { links(units, found) };
    links.retain(|link| link.is_symlink());
    for link in &links {
        fs::remove_file(link)?;
    }
    Ok(links)
}

/// Masks a unit, whether it exists or not. Returns the link that was made; none where it was there.
///
/// # Errors
/// `EEXIST` where a file of the machine's own is in its place.
pub fn mask(units: &Units, name: &UnitName) -> io::Result<Option<PathBuf>> {
    let link = units.own_folder().join(name.as_str());
    if fs::read_link(&link).is_ok_and(|target| target == Path::new("/dev/null")) {
        return Ok(None);
    }
    fs::create_dir_all(units.own_folder())?;
    symlink("/dev/null", &link).map(|()| Some(link))
}

/// Lifts a mask. Returns the link that was removed; none where there was no mask.
///
/// # Errors
/// Those of unlink(2).
pub fn unmask(units: &Units, name: &UnitName) -> io::Result<Option<PathBuf>> {
    let link = units.own_folder().join(name.as_str());
    if fs::read_link(&link).is_ok_and(|target| target == Path::new("/dev/null")) {
        return fs::remove_file(&link).map(|()| Some(link));
    }
    Ok(None)
}

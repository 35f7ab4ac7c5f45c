//! Configurations of Quagga, run by FRR.

use super::keeper::owner_of;
use netyard_core::kathara::quagga;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// Where it is; in Kathara's image both are one folder. Files of the later one go before those of the earlier.
pub(super) const FOLDERS: [&str; 2] = ["etc/zebra", "etc/quagga"];
const FRR: &str = "/etc/frr";

/// Makes FRR's configuration out of Quagga's, in place of the one that is there.
///
/// # Errors
/// Those of reading and writing.
pub(super) fn translate() -> io::Result<()> {
    let mut files = BTreeMap::new();
    let folders = FOLDERS.map(|folder| Path::new("/").join(folder));
    for entry in folders.iter().flat_map(fs::read_dir).flatten().flatten() {
        if entry.path().is_file() {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).into_owned();
            files.insert(entry.file_name().to_string_lossy().into_owned(), text);
        }
    }
    fs::create_dir_all(FRR)?;
    // What the package, or an earlier start, has left would be read besides or instead.
    for entry in
        fs::read_dir(FRR)?.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "conf"))
    {
        fs::remove_file(entry.path())?;
    }
    let owner = owner_of("frr");
    for (name, text) in quagga::translate(files) {
        let path = Path::new(FRR).join(name);
        fs::write(&path, text)?;
        if let Some((uid, gid)) = owner {
            chown(&path, Some(uid), Some(gid))?;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640))?;
    }
    Ok(())
}

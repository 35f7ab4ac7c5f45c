//! Keys and settings that packages make when they are installed. The machine keeps some of them from strangers, so a
//! node of an ordinary user begins without and makes its own.

use super::init;
use super::keeper::{PATH, owner_of};
use netyard_core::kathara::quagga;
use netyard_core::unit::UnitName;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

/// A unit, the file that it lacks without this, and the command that makes it.
const MADE: [(&str, &str, &[&str]); 2] = [
    ("named.service", "/etc/bind/rndc.key", &["rndc-confgen", "-a", "-c", "/etc/bind/rndc.key"]),
    ("ssh.service", "/etc/ssh/ssh_host_ed25519_key", &["ssh-keygen", "-A"]),
];
const FRR: &str = "/etc/frr";

/// Makes what the unit lacks.
///
/// # Errors
/// Those of writing. That a command is missing or fails is told by the service itself, which needs what it makes.
pub(super) fn make(unit: &UnitName) -> io::Result<()> {
    for (of, path, words) in MADE {
        let is_lacking = of == unit.as_str() && !Path::new(path).exists();
        if is_lacking && Path::new(path).parent().is_some_and(Path::is_dir) {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).env("PATH", PATH);
            if init::is_done(&mut command).unwrap_or(false) && of == "named.service" {
                give_to("bind", path)?;
            }
        }
    }
    if unit.as_str() == "frr.service" {
        let daemons = quagga::translate(BTreeMap::new()).remove("daemons").unwrap_or_default();
        // Without `vtysh.conf` vtysh complains each time, whatever is in it.
        for (path, text) in [("/etc/frr/daemons", daemons.as_str()), ("/etc/frr/vtysh.conf", "")] {
            make_setting(path, text)?;
        }
    }
    Ok(())
}

/// Makes a file of FRR's that is not there.
fn make_setting(path: &str, text: &str) -> io::Result<()> {
    if Path::new(path).exists() {
        return Ok(());
    }
    if !Path::new(FRR).is_dir() {
        fs::create_dir_all(FRR)?;
        give_to("frr", FRR)?;
    }
    fs::write(path, text)?;
    give_to("frr", path)
}

fn give_to(user: &str, path: &str) -> io::Result<()> {
    match owner_of(user) {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

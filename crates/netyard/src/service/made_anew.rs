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
const FRR_DAEMONS: &str = "/etc/frr/daemons";

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
    if unit.as_str() == "frr.service" && !Path::new(FRR_DAEMONS).exists() {
        fs::create_dir_all("/etc/frr")?;
        let settings = quagga::translate(BTreeMap::new()).remove("daemons").unwrap_or_default();
        fs::write(FRR_DAEMONS, settings)?;
        give_to("frr", "/etc/frr")?;
        give_to("frr", FRR_DAEMONS)?;
    }
    Ok(())
}

fn give_to(user: &str, path: &str) -> io::Result<()> {
    match owner_of(user) {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

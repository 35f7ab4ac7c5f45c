//! A lab of Kathara: how long it takes until its devices are wired, have their files, and begin their startup scripts.

use crate::figures::median;
use crate::rows::Bench;
use crate::stopwatch;
use crate::table::{Row, Target};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const DEVICES: u32 = 15;

/// The folder of a lab; it goes with this value, and the lab with it.
struct Folder<'a> {
    netyard: &'a Path,
    path: PathBuf,
}

impl<'a> Folder<'a> {
    /// Devices in a line, each with a tree and a startup script.
    fn new(netyard: &'a Path) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("netyard-bench-kathara-{}", std::process::id()));
        let mut conf = String::new();
        for at in 0..DEVICES {
            conf.push_str(&format!("r{at}[0]=\"L{at}\"\nr{at}[1]=\"L{}\"\n", at + 1));
            let tree = path.join(format!("r{at}/etc/frr"));
            fs::create_dir_all(&tree)?;
            fs::write(tree.join("daemons"), "zebra=yes\nospfd=yes\n")?;
            fs::write(tree.join("frr.conf"), "router ospf\n network 10.0.0.0/8 area 0.0.0.0\n")?;
            let script = format!(
                "ip address add 10.{at}.0.1/24 dev eth0\nip address add 10.{}.0.2/24 dev eth1\n",
                at + 1
            );
            fs::write(path.join(format!("r{at}.startup")), script)?;
        }
        fs::write(path.join("lab.conf"), conf)?;
        Ok(Self { netyard, path })
    }

    /// That of its folder.
    fn name(&self) -> &std::ffi::OsStr {
        self.path.file_name().unwrap_or_default()
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.netyard);
        command.args(["kathara", verb, "-d"]).arg(&self.path);
        command
    }
}

impl Drop for Folder<'_> {
    fn drop(&mut self) {
        // Nobody is left to tell when this fails.
        let _ = self.command("lclean").output();
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub fn rows(bench: &Bench) -> io::Result<Vec<Row>> {
    let lab = Folder::new(&bench.netyard)?;
    let mut wall_ms = Vec::new();
    for _ in 0..bench.rounds(11, 3) {
        wall_ms.push(stopwatch::run(lab.command("lstart").arg("--no-wait"))?.wall_ms);
        // What the kernel still takes apart would be waited for with the next one.
        stopwatch::run(Command::new(&bench.netyard).args(["down", "--wait"]).arg(lab.name()))?;
    }
    Ok(vec![Row {
        name: format!("kathara lstart, {DEVICES} devices with files"),
        figure: median(wall_ms.iter().copied()),
        target: Target::AtMost(150.0),
        unit: "ms",
        detail: "until startup scripts begin".to_owned(),
    }])
}

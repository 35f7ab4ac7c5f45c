//! Init scripts as units, as systemd-sysv-generator(8) makes them.

use super::{Unit, UnitName};
use std::fmt::Write as _;

/// The unit that stands for an init script: what it says of itself, and that it is started, stopped and reloaded by
/// those words.
#[must_use]
pub fn unit_of_init_script(name: &UnitName, path: &str, script: &str) -> Unit {
    let header = |word: &str| {
        let of_line = |line: &str| {
            let (key, value) = line.strip_prefix('#')?.split_once(':')?;
            (key.trim().eq_ignore_ascii_case(word) && !value.trim().is_empty())
                .then(|| value.trim().to_owned())
        };
        script.lines().find_map(of_line)
    };
    let description = header("Short-Description").or_else(|| header("Description"));
    let description = description.unwrap_or_else(|| name.stem().to_owned());
    let mut text = format!(
        "[Unit]\nDescription=LSB: {description}\n[Service]\nType=forking\nRemainAfterExit=yes\nGuessMainPID=no\n\
         TimeoutSec=5min\nIgnoreSIGPIPE=no\nExecStart={path} start\nExecStop={path} stop\n"
    );
    if let Some(pid_file) = header("pidfile") {
        let _ = writeln!(text, "PIDFile={pid_file}");
    }
    if script.contains("reload)") || script.contains("reload|") {
        let _ = writeln!(text, "ExecReload={path} reload");
    }
    Unit::parse(name.clone(), [text.as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_tells_what_it_is() {
        let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Short-Description: A server\n### END INIT INFO\n\
                      # pidfile: /run/x.pid\ncase $1 in\nforce-reload|reload) ;;\nesac\n";
        let unit = unit_of_init_script(&UnitName::new("x").unwrap(), "/etc/init.d/x", script);
        assert_eq!(unit.description, "LSB: A server");
        assert_eq!(unit.pid_file.as_deref(), Some("/run/x.pid"));
        assert_eq!(unit.reload[0].text(), "/etc/init.d/x reload");
        assert!(unit.remains_after_exit && !unit.guesses_main_pid);
    }
}

//! Configuration of Quagga, for FRR to run.
//!
//! FRR is Quagga's successor and takes its configuration but for few things, which are translated: how `daemons` is
//! written, where static routes and logs are, commands that are gone, and two defaults of BGP that were the other way
//! round.

use std::collections::BTreeMap;

/// Daemons that both have, zebra first, in the order in which FRR starts them, with the options of FRR's own file.
const DAEMONS: [(&str, &str); 10] = [
    ("zebra", "-A 127.0.0.1 -s 90000000"),
    ("bgpd", "-A 127.0.0.1"),
    ("ospfd", "-A 127.0.0.1"),
    ("ospf6d", "-A ::1"),
    ("ripd", "-A 127.0.0.1"),
    ("ripngd", "-A ::1"),
    ("isisd", "-A 127.0.0.1"),
    ("pimd", "-A 127.0.0.1"),
    ("babeld", "-A 127.0.0.1"),
    ("staticd", "-A 127.0.0.1"),
];

/// Words after `debug bgp` that FRR does not know.
const DEBUGS_GONE: [&str; 4] = ["", "events", "filters", "fsm"];

/// The files of `/etc/frr` that do what those of `/etc/quagga` do. Names are those in the folders; what is no
/// configuration is left out.
///
/// ```
/// use netyard_core::kathara::quagga::translate;
/// let files = [("bgpd.conf", "router bgp 1\n neighbor 10.0.0.2 remote-as 2\n"), ("daemons", "zebra=yes\nbgpd=yes\n")];
/// let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
/// let frr = translate(files.into());
/// assert!(frr["bgpd.conf"].contains("no bgp ebgp-requires-policy"));
/// assert!(frr["daemons"].contains("bgpd=yes"));
/// ```
#[must_use]
pub fn translate(files: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut frr = BTreeMap::new();
    let mut statics = String::new();
    for (name, text) in &files {
        let Some(stem) = name.strip_suffix(".conf") else { continue };
        match stem {
            "Quagga" => drop(frr.insert("frr.conf".to_owned(), configuration(text, None))),
            "vtysh" | "debian" | "ietf" => {}
            "zebra" => drop(frr.insert(name.clone(), configuration(text, Some(&mut statics)))),
            _ if DAEMONS.iter().any(|(daemon, _)| *daemon == stem) => {
                frr.insert(name.clone(), configuration(text, None));
            }
            _ => {}
        }
    }
    if !statics.is_empty() {
        frr.entry("staticd.conf".to_owned()).or_default().push_str(&statics);
    }
    let is_integrated = frr.contains_key("frr.conf");
    let service = if is_integrated { "" } else { "no " };
    frr.insert("vtysh.conf".to_owned(), format!("{service}service integrated-vtysh-config\n"));
    let wanted = wanted(files.get("daemons").map(String::as_str), &frr);
    frr.insert("daemons".to_owned(), daemons(&wanted));
    frr
}

/// The daemons that are to run: those that `daemons` turns on, else those that have a configuration.
fn wanted(daemons: Option<&str>, frr: &BTreeMap<String, String>) -> Vec<&'static str> {
    let has_file = |daemon: &str| frr.contains_key(&format!("{daemon}.conf"));
    let is_wanted = |daemon: &str| match daemons {
        // Static routes were zebra's own business.
        _ if daemon == "staticd" => has_file(daemon) || frr.contains_key("frr.conf"),
        Some(text) => is_on(text, daemon),
        None => daemon == "zebra" || has_file(daemon),
    };
    DAEMONS.iter().map(|(daemon, _)| *daemon).filter(|daemon| is_wanted(daemon)).collect()
}

/// Whether `daemons` of Quagga turns a daemon on: by `yes` or by a priority other than 0. The last line counts.
fn is_on(text: &str, daemon: &str) -> bool {
    let mut values = text.lines().filter_map(|line| {
        let (name, value) = line.split('#').next().unwrap_or_default().split_once('=')?;
        (name.trim() == daemon).then(|| value.trim().trim_matches(['"', '\'']))
    });
    values
        .next_back()
        .is_some_and(|value| value == "yes" || value.parse::<u32>().is_ok_and(|priority| priority > 0))
}

/// FRR's `daemons`.
fn daemons(wanted: &[&str]) -> String {
    let mut text = String::new();
    for (daemon, _) in DAEMONS {
        let value = if wanted.contains(&daemon) { "yes" } else { "no" };
        text.push_str(&format!("{daemon}={value}\n"));
    }
    text.push_str("vtysh_enable=yes\n");
    for (daemon, options) in DAEMONS {
        text.push_str(&format!("{daemon}_options=\"{options}\"\n"));
    }
    text
}

/// A configuration with what FRR has otherwise. Static routes go to `statics` where that is given.
fn configuration(text: &str, mut statics: Option<&mut String>) -> String {
    let mut frr = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["debug", "bgp", rest @ ..] = words.as_slice()
            && rest.len() < 2
            && DEBUGS_GONE.contains(&rest.first().copied().unwrap_or_default())
        {
            continue;
        }
        if let (["ip" | "ipv6", "route", ..], Some(statics)) = (words.as_slice(), statics.as_deref_mut()) {
            statics.push_str(&format!("{}\n", line.trim()));
            continue;
        }
        frr.push_str(
            &line.replace("/var/log/quagga", "/var/log/frr").replace("/var/log/zebra", "/var/log/frr"),
        );
        frr.push('\n');
        if let ["router", "bgp", ..] = words.as_slice() {
            frr.push_str(" no bgp ebgp-requires-policy\n no bgp network import-check\n");
        }
    }
    frr
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], name: &str, expected: &str) {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(translate(files).get(name).map_or("(absent)", String::as_str), expected);
    }

    #[test]
    fn bgp_has_the_defaults_of_quagga() {
        let text = "hostname r1\nrouter bgp 1\nneighbor 10.0.0.2 remote-as 2\n!\nlog file /var/log/quagga/bgpd.log\n";
        let frr = "hostname r1\nrouter bgp 1\n no bgp ebgp-requires-policy\n no bgp network import-check\n\
                   neighbor 10.0.0.2 remote-as 2\n!\nlog file /var/log/frr/bgpd.log\n";
        check(&[("bgpd.conf", text)], "bgpd.conf", frr);
    }

    #[test]
    fn commands_that_are_gone_are_left_out() {
        let text = "debug bgp\ndebug bgp events\ndebug bgp fsm\ndebug bgp keepalives\ndebug bgp updates in\n";
        check(&[("bgpd.conf", text)], "bgpd.conf", "debug bgp keepalives\ndebug bgp updates in\n");
    }

    #[test]
    fn static_routes_are_the_business_of_their_own_daemon() {
        let files = [("zebra.conf", "hostname r\nip route 10.0.0.0/8 10.1.1.1\npassword zebra\n")];
        check(&files, "zebra.conf", "hostname r\npassword zebra\n");
        check(&files, "staticd.conf", "ip route 10.0.0.0/8 10.1.1.1\n");
        let files: BTreeMap<String, String> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert!(translate(files)["daemons"].starts_with("zebra=yes\nbgpd=no\n"));
    }

    #[test]
    fn a_priority_turns_a_daemon_on() {
        let on = |text: &str| {
            let files = BTreeMap::from([("daemons".to_owned(), text.to_owned())]);
            let daemons = translate(files).remove("daemons").unwrap();
            let on = daemons.lines().filter_map(|line| line.strip_suffix("=yes").map(str::to_owned));
            on.filter(|name| name != "vtysh_enable").collect::<Vec<_>>().join(" ")
        };
        assert_eq!(on("zebra=yes\nbgpd=1 # first\nospfd=0\nripd=no\nold=yes\n"), "zebra bgpd");
        assert_eq!(on("zebra=no\nzebra=\"yes\"\n"), "zebra");
    }

    #[test]
    fn one_file_for_all_stays_one_file() {
        let files = [("Quagga.conf", "router bgp 1\n"), ("vtysh.conf", "x\n"), ("readme", "y\n")];
        let frr = "router bgp 1\n no bgp ebgp-requires-policy\n no bgp network import-check\n";
        check(&files, "frr.conf", frr);
        check(&files, "vtysh.conf", "service integrated-vtysh-config\n");
        check(&files, "readme", "(absent)");
    }
}

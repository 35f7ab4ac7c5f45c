//! brctl(8) of bridge-utils: its words and its tables.

use std::fmt::Write as _;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// `addbr NAME`
    AddBridge(String),
    /// `delbr NAME`
    DeleteBridge(String),
    /// `addif BRIDGE LINK...`
    AddPorts(String, Vec<String>),
    /// `delif BRIDGE LINK...`
    DeletePorts(String, Vec<String>),
    /// `show [BRIDGE...]`
    Show(Vec<String>),
    /// `showmacs BRIDGE`
    ShowMacs(String),
    /// `stp BRIDGE on|off`
    SpanningTree(String, bool),
    /// `--help`
    Help,
}

/// What brctl says to words that are none of its own.
pub const USAGE: &str = "Usage: brctl [commands]
commands:
\taddbr     \t<bridge>\t\tadd bridge
\tdelbr     \t<bridge>\t\tdelete bridge
\taddif     \t<bridge> <device>\tadd interface to bridge
\tdelif     \t<bridge> <device>\tdelete interface from bridge
\tshow      \t[ <bridge> ]\t\tshow a list of bridges
\tshowmacs  \t<bridge>\t\tshow a list of mac addrs
\tstp       \t<bridge> {on|off}\tturn stp on/off
";

/// Reads what was typed.
///
/// # Errors
/// What is printed; the exit code is 1 then.
pub fn order(typed: &[String]) -> Result<Order, String> {
    let words: Vec<&str> = typed.iter().map(String::as_str).collect();
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    match words[..] {
        ["addbr", name] => Ok(Order::AddBridge(name.into())),
        ["delbr", name] => Ok(Order::DeleteBridge(name.into())),
        ["addif", bridge, _, ..] => Ok(Order::AddPorts(bridge.into(), owned(&words[2..]))),
        ["delif", bridge, _, ..] => Ok(Order::DeletePorts(bridge.into(), owned(&words[2..]))),
        ["show", ..] => Ok(Order::Show(owned(&words[1..]))),
        ["showmacs", bridge] => Ok(Order::ShowMacs(bridge.into())),
        ["stp", bridge, switch] => match switch {
            "on" | "yes" | "1" => Ok(Order::SpanningTree(bridge.into(), true)),
            "off" | "no" | "0" => Ok(Order::SpanningTree(bridge.into(), false)),
            _ => Err("expect on/off for argument\n".into()),
        },
        ["-h" | "--help"] => Ok(Order::Help),
        [] => Err(USAGE.to_owned()),
        [word, ..] => Err(match usage_of(word) {
            Some(usage) => format!("Incorrect number of arguments for command\nUsage: brctl {usage}\n"),
            None if OTHERS.contains(&word) => {
                format!("command [{word}] is not for netyard's stand-in of brctl\n{USAGE}")
            }
            None => format!("never heard of command [{word}]\n{USAGE}"),
        }),
    }
}

/// What `brctl` of bridge-utils knows besides.
const OTHERS: [&str; 9] = [
    "hairpin",
    "setageing",
    "setbridgeprio",
    "setfd",
    "sethello",
    "setmaxage",
    "setpathcost",
    "setportprio",
    "showstp",
];

/// The line of the usage that is about a command.
fn usage_of(command: &str) -> Option<String> {
    let lines = USAGE.lines().filter_map(|line| line.trim_start().split_once('\t'));
    let mut own = lines.filter(|(name, _)| name.trim_end() == command);
    own.next().map(|(_, rest)| format!("{command} {rest}"))
}

/// A bridge to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Priority (2 bytes) and Ethernet address (6 bytes), IEEE 802.1D.
    pub id: [u8; 8],
    /// Whether it takes part in a spanning tree.
    pub has_stp: bool,
    /// Names of its ports.
    pub ports: Vec<String>,
}

/// The table of bridges; nothing where there is none.
#[must_use]
pub fn table(bridges: &[Bridge]) -> String {
    if bridges.is_empty() {
        return String::new();
    }
    let mut text = String::from("bridge name\tbridge id\t\tSTP enabled\tinterfaces\n");
    for bridge in bridges {
        let mac: String = bridge.id[2..].iter().map(|byte| format!("{byte:02x}")).collect();
        let priority = u16::from_be_bytes([bridge.id[0], bridge.id[1]]);
        let stp = if bridge.has_stp { "yes" } else { "no" };
        let _ = write!(text, "{}\t\t{priority:04x}.{mac}\t{stp}\t\t", bridge.name);
        let mut ports = bridge.ports.clone();
        ports.sort();
        text += &ports.join("\n\t\t\t\t\t\t\t");
        text.push('\n');
    }
    text
}

/// An Ethernet address that a bridge knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The number of its port.
    pub port: u16,
    /// The address.
    pub mac: [u8; 6],
    /// Whether it is the port's own.
    pub is_local: bool,
    /// Hundredths of a second since a frame came from it.
    pub age: u32,
}

/// The table of addresses.
#[must_use]
pub fn macs(known: &[Known]) -> String {
    let mut text = String::from("port no\tmac addr\t\tis local?\tageing timer\n");
    let mut known = known.to_vec();
    known.sort_by_key(|known| known.mac);
    for Known { port, mac, is_local, age } in &known {
        let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let local = if *is_local { "yes" } else { "no" };
        let age = if *is_local { 0 } else { *age };
        let _ = writeln!(text, "{port:3}\t{}\t{local}\t\t{:4}.{:02}", mac.join(":"), age / 100, age % 100);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Result<Order, String> {
        order(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_those_of_bridge_utils() {
        assert_eq!(typed("addbr bridge0"), Ok(Order::AddBridge("bridge0".into())));
        assert_eq!(typed("addif b x y"), Ok(Order::AddPorts("b".into(), vec!["x".into(), "y".into()])));
        assert_eq!(typed("show"), Ok(Order::Show(vec![])));
        assert_eq!(typed("stp b on"), Ok(Order::SpanningTree("b".into(), true)));
        assert!(typed("addif b").unwrap_err().starts_with(
            "Incorrect number of arguments for command\nUsage: brctl addif <bridge> <device>\tadd"
        ));
        assert!(
            typed("setfd br0 2").unwrap_err().starts_with("command [setfd] is not for netyard's stand-in")
        );
        assert!(typed("fly").unwrap_err().starts_with("never heard of command [fly]\n"));
    }

    #[test]
    fn bridges_are_listed_as_the_real_program_does() {
        let bridge = |ports: &[&str]| Bridge {
            name: "bridge0".into(),
            id: [0x80, 0, 0xea, 0x9d, 0x73, 0x94, 0xdb, 0x4f],
            has_stp: false,
            ports: ports.iter().map(|port| (*port).to_owned()).collect(),
        };
        let heading = "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n";
        assert_eq!(table(&[]), "");
        assert_eq!(table(&[bridge(&[])]), format!("{heading}bridge0\t\t8000.ea9d7394db4f\tno\t\t\n"));
        let two = format!("{heading}bridge0\t\t8000.ea9d7394db4f\tno\t\tveth1-br\n\t\t\t\t\t\t\tveth2-br\n");
        assert_eq!(table(&[bridge(&["veth2-br", "veth1-br"])]), two);
    }

    #[test]
    fn known_addresses_are_listed_with_their_age() {
        let known = [
            Known { port: 2, mac: [2, 0, 0, 0, 0, 9], is_local: false, age: 1234 },
            Known { port: 1, mac: [2, 0, 0, 0, 0, 1], is_local: true, age: 77 },
        ];
        let expected = "port no\tmac addr\t\tis local?\tageing timer\n  1\t02:00:00:00:00:01\tyes\t\t   0.00\n  \
                        2\t02:00:00:00:00:09\tno\t\t  12.34\n";
        assert_eq!(macs(&known), expected);
    }
}

//! What `DEVICE[OPTION]=VALUE` may say.

use std::collections::BTreeMap;

/// An option of a device with its value.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// `image`: the container image.
    Image(String),
    /// `mem`: most memory in bytes.
    Mem(i64),
    /// `cpus`: share of processors.
    Cpus(f64),
    /// `port`: a port of the machine that leads into the device.
    Port(Port),
    /// `bridged`: whether the device reaches the machine's network.
    Bridged(bool),
    /// `ipv6`: whether it speaks IPv6.
    Ipv6(bool),
    /// `exec`: a command that runs after its startup script.
    Exec(String),
    /// `sysctl`: a value below `/proc/sys/net`, by dotted key.
    Sysctl(String, String),
    /// `env`: a variable of the environment.
    Env(String, String),
    /// `shell`: the program that reads its startup script, and that `connect` starts.
    Shell(String),
    /// `num_terms`: terminals that open.
    Terminals(u32),
    /// `ulimit`: name, soft and hard limit; -1 is none.
    Ulimit(String, i64, i64),
    /// `privileged`: whether the container is root of the machine.
    Privileged(bool),
    /// `entrypoint`: the container's first program, in words.
    Entrypoint(Vec<String>),
    /// `args`: words for the first program.
    Args(Vec<String>),
    /// `volume`: a folder of the machine.
    Volume(Volume),
    /// A name that Kathara keeps and does not use.
    Unknown(String),
}

/// A port of the machine that leads into a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// On the machine.
    pub host: i64,
    /// In the device.
    pub guest: i64,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// A folder of the machine that a device sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// On the machine; relative to the folder in which the command was started.
    pub host: String,
    /// In the device.
    pub guest: String,
    /// Whether the device may not write there.
    pub is_read_only: bool,
}

/// What is wrong with the value of an option, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub help: &'static str,
}

/// The name of each option that Kathara knows.
pub const NAMES: [&str; 16] = [
    "image",
    "mem",
    "cpus",
    "port",
    "bridged",
    "ipv6",
    "exec",
    "sysctl",
    "env",
    "shell",
    "num_terms",
    "ulimit",
    "privileged",
    "entrypoint",
    "args",
    "volume",
];

/// Whether each of several options of that name counts; of others the last one does.
#[must_use]
pub fn adds_up(name: &str) -> bool {
    matches!(name, "port" | "exec" | "sysctl" | "env" | "ulimit" | "volume")
}

/// Whether Kathara looks at the value only when it starts the device: then one that is overwritten may be wrong.
#[must_use]
pub fn is_read_late(name: &str) -> bool {
    matches!(name, "mem" | "cpus" | "num_terms" | "ipv6" | "entrypoint" | "args")
}

/// Reads the value of an option as Kathara does.
///
/// # Errors
/// [`Fault`] where Kathara refuses the value.
pub fn read(name: &str, value: &str) -> Result<Setting, Fault> {
    let text = || value.to_owned();
    Ok(match name {
        "image" => Setting::Image(text()),
        "mem" => Setting::Mem(memory(value)?),
        "cpus" => Setting::Cpus(float(value)?),
        "port" => Setting::Port(port(value)?),
        "bridged" => Setting::Bridged(truth(value)?),
        "ipv6" => Setting::Ipv6(truth(value)?),
        "exec" => Setting::Exec(text()),
        "sysctl" => sysctl(value)?,
        "env" => env(value)?,
        "shell" => Setting::Shell(text()),
        "num_terms" => Setting::Terminals(terminals(value)?),
        "ulimit" => ulimit(value)?,
        "privileged" => Setting::Privileged(truth(value)?),
        "entrypoint" => Setting::Entrypoint(words(value)?),
        "args" => Setting::Args(words(value)?),
        "volume" => Setting::Volume(volume(value)?),
        other => Setting::Unknown(other.to_owned()),
    })
}

/// Options for all devices (`-o NAME=VALUE`), which go before those of `lab.conf`.
pub type Overrides = BTreeMap<String, String>;

fn fault(reason: impl Into<String>, help: &'static str) -> Fault {
    Fault { reason: reason.into(), help }
}

/// A whole number as Python's `int` takes it.
pub(super) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let bytes = digits.as_bytes();
    let ends_well = bytes.first().is_some_and(|b| is_digit(*b)) && bytes.last().is_some_and(|b| is_digit(*b));
    if !ends_well || digits.contains("__") || !bytes.iter().all(|byte| is_digit(*byte) || *byte == b'_') {
        return None;
    }
    digits.replace('_', "").parse::<i64>().ok().map(|number| sign * number)
}

/// What counts as a letter of a word: `\w`.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn memory(value: &str) -> Result<i64, Fault> {
    let wrong = || {
        fault(
            "not an amount of memory",
            "a whole number with `b`, `k`, `m` or `g` behind; without a letter MiB are meant",
        )
    };
    let factor = |unit: char| match unit.to_ascii_lowercase() {
        'b' => Some(1),
        'k' => Some(1 << 10),
        'm' => Some(1 << 20),
        'g' => Some(1 << 30),
        _ => None,
    };
    let last = value.chars().last().ok_or_else(wrong)?;
    let (digits, factor) = match factor(last) {
        Some(factor) => (&value[..value.len() - last.len_utf8()], factor),
        None => (value, 1 << 20),
    };
    integer(digits).and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

fn float(value: &str) -> Result<f64, Fault> {
    value.trim().parse().map_err(|_| fault("not a number of processors", "a number such as `1.5`"))
}

fn port(value: &str) -> Result<Port, Fault> {
    let wrong = |reason: &str| fault(reason, "`[HOST:]GUEST[/PROTOCOL]`, for example `8080:80/tcp`");
    let (ports, protocol) = match value.split_once('/') {
        Some((ports, protocol)) => (ports, protocol.to_lowercase()),
        None => (value, "tcp".to_owned()),
    };
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(wrong("the protocol is none of tcp, udp, sctp"));
    }
    let (host, guest) = ports.split_once(':').unwrap_or(("3000", ports));
    let number = |text: &str| integer(text).ok_or_else(|| wrong("not the number of a port"));
    Ok(Port { host: number(host)?, guest: number(guest)?, protocol })
}

fn truth(value: &str) -> Result<bool, Fault> {
    match value.to_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Ok(true),
        "n" | "no" | "f" | "false" | "off" | "0" => Ok(false),
        _ => Err(fault("neither true nor false", "`true` or `false`")),
    }
}

fn sysctl(value: &str) -> Result<Setting, Fault> {
    let help = "`net.KEY=VALUE`, for example `net.ipv4.ip_forward=1`";
    let (key, set) = value.split_once('=').ok_or_else(|| fault("`=` is missing", help))?;
    if set.contains('=') {
        return Err(fault("the value has `=` in it", help));
    }
    let rest = key.strip_prefix("net.").ok_or_else(|| fault("the key is not below `net.`", help))?;
    let is_part = |part: &str| is_word(&part.replace('-', "_"));
    if !rest.contains('.') || !rest.split('.').all(is_part) {
        return Err(fault("not the key of a sysctl", help));
    }
    Ok(Setting::Sysctl(key.to_owned(), set.trim().to_owned()))
}

fn env(value: &str) -> Result<Setting, Fault> {
    match value.split_once('=') {
        Some((name, set)) if is_word(name) => Ok(Setting::Env(name.to_owned(), set.trim().to_owned())),
        _ => Err(fault("not a variable with its value", "`NAME=VALUE`")),
    }
}

fn terminals(value: &str) -> Result<u32, Fault> {
    let number = integer(value).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| fault("not a number of terminals", "a whole number, 0 for none"))
}

fn ulimit(value: &str) -> Result<Setting, Fault> {
    let wrong = || fault("not a limit", "`NAME=SOFT[:HARD]`, for example `nofile=1024:2048`; -1 is no limit");
    let (name, limits) = value.split_once('=').filter(|(name, _)| is_word(name)).ok_or_else(wrong)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let limit = |text: &str| integer(text).filter(|number| *number >= -1).ok_or_else(wrong);
    let (soft, hard) = (limit(soft)?, limit(hard)?);
    let soft = if hard >= 0 && (soft < 0 || soft > hard) { hard } else { soft };
    Ok(Setting::Ulimit(name.to_owned(), soft, hard))
}

fn volume(value: &str) -> Result<Volume, Fault> {
    let help = "`HOST|GUEST[|MODE]` with `ro`, `rw` or `rx`, for example `data|/data|ro`";
    let parts: Vec<&str> = value.split('|').collect();
    let (host, guest, mode) = match parts.as_slice() {
        [host, guest] => (host, guest, "ro"),
        [host, guest, mode] => (host, guest, *mode),
        _ => return Err(fault("not two or three parts", help)),
    };
    if !["ro", "rw", "rx"].contains(&mode) {
        return Err(fault("the mode is none of ro, rw, rx", help));
    }
    Ok(Volume { host: (*host).to_owned(), guest: (*guest).to_owned(), is_read_only: mode != "rw" })
}

/// Words as a shell splits them. A value has no quotes in it, so only `\` is special.
fn words(value: &str) -> Result<Vec<String>, Fault> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let next = chars
                    .next()
                    .ok_or_else(|| fault("nothing follows `\\`", "leave it out, or write `\\\\`"))?;
                word.get_or_insert_default().push(next);
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_and_refused_as_kathara_does() {
        let taken = [
            ("mem", "128m"),
            ("mem", "128"),
            ("mem", "1G"),
            ("mem", "1_0k"),
            ("cpus", "0.5"),
            ("cpus", "1e1"),
            ("port", "80"),
            ("port", "8080:80"),
            ("port", "53/UDP"),
            ("port", "1:2/sctp"),
            ("bridged", "On"),
            ("ipv6", "F"),
            ("sysctl", "net.ipv4.ip_forward=1"),
            ("sysctl", "net.ipv4.conf.eth0.rp_filter=0"),
            ("sysctl", "net.ipv4.tcp_rmem=1 2 3"),
            ("env", "A=b=c"),
            ("env", "A="),
            ("num_terms", "0"),
            ("ulimit", "nofile=10"),
            ("ulimit", "nofile=-1:-1"),
            ("volume", "a|/b"),
            ("volume", "a|/b|rx"),
            ("entrypoint", "/bin/sh -c x"),
            ("nonsense", "whatever"),
            ("shell", "/bin/sh"),
        ];
        let refused = [
            ("mem", "m"),
            ("mem", "1.5g"),
            ("mem", "12q"),
            ("cpus", "many"),
            ("port", "http"),
            ("port", "1:2:3"),
            ("port", "80/icmp"),
            ("port", "80/tcp/udp"),
            ("bridged", "maybe"),
            ("ipv6", "2"),
            ("sysctl", "kernel.panic=1"),
            ("sysctl", "net.x=1"),
            ("sysctl", "net.ipv4.ip_forward"),
            ("sysctl", "net.a.b=1=2"),
            ("env", "A"),
            ("env", "A-B=c"),
            ("num_terms", "-1"),
            ("num_terms", "x"),
            ("ulimit", "nofile"),
            ("ulimit", "nofile=-2"),
            ("volume", "a"),
            ("volume", "a|/b|wr"),
            ("volume", "a|b|c|d"),
            ("args", "a \\"),
        ];
        taken.iter().for_each(|(name, value)| assert!(read(name, value).is_ok(), "{name}={value}"));
        refused.iter().for_each(|(name, value)| assert!(read(name, value).is_err(), "{name}={value}"));
    }

    #[test]
    fn values_mean_what_they_mean_to_kathara() {
        assert_eq!(read("mem", "2").unwrap(), Setting::Mem(2 << 20));
        let port = Port { host: 3000, guest: 80, protocol: "tcp".to_owned() };
        assert_eq!(read("port", "80").unwrap(), Setting::Port(port));
        assert_eq!(read("ulimit", "nofile=9:5").unwrap(), Setting::Ulimit("nofile".to_owned(), 5, 5));
        let words = ["a b", "c"].map(str::to_owned).to_vec();
        assert_eq!(read("args", " a\\ b  c").unwrap(), Setting::Args(words));
    }
}

//! Kernel parameters below `/proc/sys/net`, of the network namespace that the calling thread is in (sysctl(8)).

use std::io;

/// Writes a value. The key is dotted; `/` stands for a dot within a name, as in `net.ipv4.conf.eth0/1.rp_filter`.
///
/// # Errors
/// `EINVAL` for a key that is not below `net` or a value that the kernel does not take, `ENOENT` for a key that it
/// does not have.
///
/// Same as `sysctl -w KEY=VALUE`.
pub fn write(key: &str, value: &str) -> io::Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(file(key)?)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
}

/// Reads a value; several numbers have one space between them.
///
/// # Errors
/// As [`write`].
///
/// Same as `sysctl -n KEY`.
pub fn read(key: &str) -> io::Result<String> {
    let text = std::fs::read_to_string(file(key)?)?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn file(key: &str) -> io::Result<String> {
    Ok(format!("/proc/sys/{}", path(key)?))
}

/// The file of a dotted key, below `/proc/sys`: `net/ipv4/ip_forward`.
///
/// # Errors
/// `EINVAL` for a key that is not below `net`.
pub fn path(key: &str) -> io::Result<String> {
    let parts: Vec<String> = key.split('.').map(|part| part.replace('/', ".")).collect();
    let is_odd = |part: &String| matches!(part.as_str(), "" | "." | "..") || part.contains('\0');
    if parts.len() < 2 || parts[0] != "net" || parts.iter().any(is_odd) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_a_path_below_net() {
        assert_eq!(path("net.ipv4.ip_forward").unwrap(), "net/ipv4/ip_forward");
        let vlan = path("net.ipv4.conf.eth0/1.rp_filter").unwrap();
        assert_eq!(vlan, "net/ipv4/conf/eth0.1/rp_filter");
        for key in ["", "net", "kernel.core_pattern", "net.//.//.kernel.core_pattern", "net..x", "net./.x"] {
            assert!(path(key).is_err(), "{key}");
        }
    }
}

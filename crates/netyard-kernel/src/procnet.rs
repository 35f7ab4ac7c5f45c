//! What `/proc/net` tells of the network namespace that the calling thread is in (proc_net(5)).
//!
//! Reading it loads no kernel module, as asking by netlink may do for what no program has used yet.

use crate::netlink::sockdiag::{Listener, Transport};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The sockets that wait for others, as [`crate::netlink::sockdiag::listeners`] tells them but for what `/proc` does
/// not have (IPv6 only, link).
///
/// # Errors
/// Those of reading the files; one that is missing has no sockets.
pub fn listeners() -> io::Result<Vec<Listener>> {
    let files = [
        ("tcp", Transport::Tcp),
        ("tcp6", Transport::Tcp),
        ("udp", Transport::Udp),
        ("udp6", Transport::Udp),
    ];
    let mut found = Vec::new();
    for (file, transport) in files {
        let text = read(file)?;
        found.extend(text.lines().skip(1).filter_map(|line| listener(transport, line)));
    }
    found.sort_by_key(|l: &Listener| (l.transport, l.address.port(), l.address.ip(), l.inode));
    Ok(found)
}

/// Names of the tables of legacy iptables that exist; asking for another one would make it.
///
/// # Errors
/// `EACCES` for users who are not root of the namespace.
pub fn legacy_tables(is_ipv6: bool) -> io::Result<Vec<String>> {
    let text = read(if is_ipv6 { "ip6_tables_names" } else { "ip_tables_names" })?;
    // The kernel has the latest one first.
    let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// What the kernel has counted, by the names that nstat(8) gives the counters: `IpInDelivers`, `TcpExtListenDrops`,
/// `Ip6InNoRoutes`. Same as `nstat -as`.
///
/// # Errors
/// Those of reading the files.
pub fn counters() -> io::Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for file in ["snmp", "netstat"] {
        let text = read(file)?;
        let lines: Vec<&str> = text.lines().collect();
        // Two lines for each group: names, then values.
        for pair in lines.chunks_exact(2) {
            let (mut names, mut values) = (pair[0].split_whitespace(), pair[1].split_whitespace());
            let group = names.next().unwrap_or_default().trim_end_matches(':').to_owned();
            let _ = values.next();
            let each = names.zip(values).filter_map(|(name, value)| Some((name, value.parse().ok()?)));
            all.extend(each.map(|(name, value)| (format!("{group}{name}"), value)));
        }
    }
    let text = read("snmp6")?;
    let each = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
    all.extend(each.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))));
    Ok(all)
}

/// A file below `/proc/net`; an empty text where the kernel has none of that name.
fn read(file: &str) -> io::Result<String> {
    match std::fs::read_to_string(format!("/proc/thread-self/net/{file}")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result,
    }
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ...`
fn listener(transport: Transport, line: &str) -> Option<Listener> {
    /// include/net/tcp_states.h `TCP_CLOSE` (a UDP socket without a peer), `TCP_LISTEN`.
    const WAITING: [(Transport, &str); 2] = [(Transport::Udp, "07"), (Transport::Tcp, "0A")];
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, state, uid, inode) = (words.get(1)?, words.get(3)?, words.get(7)?, words.get(9)?);
    WAITING.contains(&(transport, state)).then_some(())?;
    Some(Listener {
        transport,
        address: socket_address(local)?,
        is_v6_only: false,
        ifindex: None,
        uid: uid.parse().ok()?,
        inode: inode.parse().ok()?,
    })
}

/// `0100007F:0050`: words of an address in host order, and the port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word =
        |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut octets = [0; 16];
            for at in 0..4 {
                octets[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_net_tcp_is_a_socket() {
        let line = "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0";
        let found = listener(Transport::Tcp, line).unwrap();
        assert_eq!(
            (found.address.to_string().as_str(), found.uid, found.inode),
            ("127.0.0.1:80", 1000, 4242)
        );
        assert!(listener(Transport::Udp, line).is_none(), "a TCP state");
        let any = socket_address("00000000000000000000000000000000:1F90").unwrap();
        assert_eq!(any.to_string(), "[::]:8080");
    }
}

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

/// Packets of each link: received, sent, dropped on receipt, dropped on sending (`/proc/net/dev`).
///
/// # Errors
/// Those of reading the file.
///
/// Same as `ip -s link`.
pub fn link_counters() -> io::Result<BTreeMap<String, [u64; 4]>> {
    Ok(read("dev")?.lines().skip(2).filter_map(link_counter).collect())
}

/// `name: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop ...`
fn link_counter(line: &str) -> Option<(String, [u64; 4])> {
    let (name, rest) = line.split_once(':')?;
    let numbers: Vec<u64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let at = |index: usize| numbers.get(index).copied();
    Some((name.trim().to_owned(), [at(1)?, at(9)?, at(3)?, at(11)?]))
}

/// Counters of protocols: `Ip.InAddrErrors` and the like of `/proc/net/snmp` and `/proc/net/netstat`, `Ip6InNoRoutes`
/// and the like of `/proc/net/snmp6`.
///
/// # Errors
/// Those of reading the files.
///
/// Same as `nstat -az`.
pub fn protocol_counters() -> io::Result<BTreeMap<String, u64>> {
    let mut counters = BTreeMap::new();
    for file in ["snmp", "netstat"] {
        let text = read(file)?;
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks(2) {
            let [names, values] = pair else { continue };
            let Some((protocol, names)) = names.split_once(':') else { continue };
            let values = values.split_once(':').map_or("", |(_, values)| values);
            let both = names.split_whitespace().zip(values.split_whitespace());
            counters.extend(
                both.filter_map(|(name, value)| Some((format!("{protocol}.{name}"), value.parse().ok()?))),
            );
        }
    }
    for line in read("snmp6")?.lines() {
        if let Some((name, value)) = line.split_once(char::is_whitespace)
            && let Ok(value) = value.trim().parse()
        {
            counters.insert(name.to_owned(), value);
        }
    }
    Ok(counters)
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
    fn a_line_of_proc_net_dev_is_the_counts_of_a_link() {
        let line = "  eth0: 1296 16 0 2 0 0 0 0 1156 14 0 3 0 0 0 0";
        assert_eq!(link_counter(line), Some(("eth0".to_owned(), [16, 14, 2, 3])));
        assert_eq!(link_counter("Inter-|   Receive"), None);
    }

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

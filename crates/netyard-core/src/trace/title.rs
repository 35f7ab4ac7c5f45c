//! What a packet is, in a few words.

use super::packet::{Kind, Packet};
use crate::journey::Endpoints;
use crate::packet::{ICMPV6, TcpFlags, mac_text};
use std::fmt::Write;
use std::net::IpAddr;

/// `ICMP echo request seq 1`, `TCP SYN`, `ARP who has 10.0.0.254?`.
#[must_use]
pub fn of_packet(packet: &Packet) -> String {
    let icmp = if packet.headers.protocol == Some(ICMPV6) { "ICMPv6" } else { "ICMP" };
    let asked = packet.headers.endpoints.map(|ends| (ends.source, ends.destination));
    match &packet.kind {
        Kind::Arp { is_reply: false, .. } => {
            asked.map_or_else(|| "ARP".to_owned(), |(_, target)| format!("ARP who has {target}?"))
        }
        Kind::Arp { mac, .. } => asked
            .map_or_else(|| "ARP".to_owned(), |(owner, _)| format!("ARP {owner} is at {}", mac_text(mac.0))),
        Kind::Neighbour { is_reply: false, target, .. } => format!("neighbour discovery: who has {target}?"),
        Kind::Neighbour { target, mac: Some(mac), .. } => {
            format!("neighbour discovery: {target} is at {}", mac_text(mac.0))
        }
        Kind::Neighbour { target, .. } => format!("neighbour discovery: {target} is here"),
        Kind::Echo { is_reply, seq, .. } => {
            format!("{icmp} echo {} seq {seq}", if *is_reply { "reply" } else { "request" })
        }
        Kind::Tcp { flags, len, .. } => segment(*flags, *len),
        Kind::Udp { len } => format!("UDP {len} B"),
        Kind::Error { kind, code, mtu, .. } => {
            format!("{icmp} {}", error(packet.headers.protocol == Some(ICMPV6), *kind, *code, *mtu))
        }
        Kind::Other(protocol) if packet.headers.endpoints.is_some() => format!("IP protocol {protocol}"),
        Kind::Other(_) => format!("frame of type {:#06x}", packet.headers.ethertype),
    }
}

/// The words of an error of ICMP (RFC 792, RFC 4443).
#[must_use]
pub fn error(is_v6: bool, kind: u8, code: u8, mtu: Option<u32>) -> String {
    let words = match (is_v6, kind, code) {
        (false, 3, 0) => "net unreachable",
        (false, 3, 1) => "host unreachable",
        (false, 3, 2) => "protocol unreachable",
        (false, 3, 3) | (true, 1, 4) => "port unreachable",
        (false, 3, 4) => "fragmentation needed",
        (false, 3, 9 | 10 | 13) | (true, 1, 1) => "administratively prohibited",
        (true, 1, 0) => "no route",
        (true, 1, 3) => "address unreachable",
        (true, 2, _) => "packet too big",
        (false, 11, 1) | (true, 3, 1) => "reassembly time exceeded",
        (false, 11, _) => "TTL exceeded",
        (true, 3, _) => "hop limit exceeded",
        (false, 3, _) | (true, 1, _) => "unreachable",
        _ => "parameter problem",
    };
    mtu.filter(|mtu| *mtu > 0).map_or_else(|| words.to_owned(), |mtu| format!("{words}, MTU {mtu}"))
}

/// `10.0.0.1:41000 > 10.0.0.2:80`
#[must_use]
pub fn ends(ends: &Endpoints, has_ports: bool) -> String {
    let one = |address: IpAddr, port: Option<u16>| match (address, port.filter(|_| has_ports)) {
        (address, None) => address.to_string(),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
    };
    format!("{} > {}", one(ends.source, ends.source_port), one(ends.destination, ends.destination_port))
}

/// What a conversation that begins with this packet is called.
#[must_use]
pub fn of_journey(packet: &Packet) -> String {
    let Some(endpoints) = packet.headers.endpoints else { return of_packet(packet) };
    match &packet.kind {
        Kind::Echo { .. } => {
            let icmp = if packet.headers.protocol == Some(ICMPV6) { "ICMPv6" } else { "ICMP" };
            format!("{icmp} echo {}", ends(&endpoints, false))
        }
        Kind::Tcp { .. } => format!("TCP {}", ends(&endpoints, true)),
        Kind::Udp { .. } => format!("UDP {}", ends(&endpoints, true)),
        Kind::Arp { .. } | Kind::Neighbour { .. } => of_packet(packet),
        _ => format!("{} {}", of_packet(packet), ends(&endpoints, false)),
    }
}

fn segment(flags: u8, len: u32) -> String {
    let names =
        [(TcpFlags::SYN, "SYN"), (TcpFlags::FIN, "FIN"), (TcpFlags::RST, "RST"), (TcpFlags::ACK, "ACK")];
    let set: Vec<&str> = names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let is_plain = set == ["ACK"];
    let mut words = "TCP ".to_owned();
    match (is_plain, len) {
        (true, 1..) => words.push_str("data"),
        _ => words.push_str(&set.join(", ")),
    }
    if len > 0 {
        let _ = write!(words, " {len} B");
    }
    words
}

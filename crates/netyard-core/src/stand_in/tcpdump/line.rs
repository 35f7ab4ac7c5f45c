//! One line for each packet.

use super::tcp::Connections;
use super::{Style, dns, icmp};
use crate::filter::service::SERVICES;
use crate::packet::{ARP, Arp, Frame, ICMP, ICMPV6, IPV4, IPV6, Ip, TCP, UDP, mac_text};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Writes lines; knows the connections that it has seen.
#[derive(Debug, Default)]
pub struct Lines {
    style: Style,
    connections: Connections,
}

impl Lines {
    /// Lines of that style.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { style, connections: Connections::default() }
    }

    /// The line of a frame, without its time.
    #[must_use]
    pub fn line(&mut self, frame: &Frame<'_>) -> String {
        let mut text = self.link_header(frame);
        let has_header = !text.is_empty();
        text += &match frame.ethertype {
            IPV4 | IPV6 => match frame.ip() {
                Some(ip) => self.packet(&ip, has_header),
                None => "[|ip]".to_owned(),
            },
            ARP => {
                let words = frame
                    .arp()
                    .map_or_else(|| "[|arp]".to_owned(), |arp| arp_words(&arp, frame.payload.len()));
                let words = if self.style.is_verbose {
                    format!("Ethernet (len 6), IPv4 (len 4), {words}")
                } else {
                    words
                };
                if has_header { words } else { format!("ARP, {words}") }
            }
            other if has_header => format!("ethertype 0x{other:04x}, length {}", frame.payload.len()),
            other => format!("ethertype Unknown (0x{other:04x}), length {}", frame.len),
        };
        text
    }

    /// What `-e` shows first.
    fn link_header(&self, frame: &Frame<'_>) -> String {
        let Some((to, from)) = frame.macs.filter(|_| self.style.has_link_header) else {
            return String::new();
        };
        let to =
            if to == [0xff; 6] && !self.style.is_numeric { "Broadcast".to_owned() } else { mac_text(to) };
        let name = match frame.ethertype {
            IPV4 => "IPv4",
            IPV6 => "IPv6",
            ARP => "ARP",
            _ => "Unknown",
        };
        let vlan = frame.vlan.map_or_else(String::new, |vlan| format!("vlan {vlan}, "));
        format!(
            "{} > {to}, {vlan}ethertype {name} (0x{:04x}), length {}: ",
            mac_text(from),
            frame.ethertype,
            frame.len
        )
    }

    fn packet(&mut self, ip: &Ip<'_>, has_link_header: bool) -> String {
        let is_ipv6 = ip.from.is_ipv6();
        let mut text = String::new();
        if !has_link_header {
            text += if is_ipv6 { "IP6 " } else { "IP " };
        }
        if self.style.is_verbose {
            text += &header(ip);
        }
        let ports = ip.ports();
        let _ = write!(
            text,
            "{} > {}: ",
            self.end(ip.from, ports.map(|ports| ports.0)),
            self.end(ip.to, ports.map(|ports| ports.1))
        );
        if ip.has_options {
            text += "HBH ";
        }
        text + &self.carried(ip)
    }

    /// An address, and a port behind a dot.
    fn end(&self, address: IpAddr, port: Option<u16>) -> String {
        let Some(port) = port else { return address.to_string() };
        let name = SERVICES.iter().find(|(number, _)| *number == port).filter(|_| !self.style.is_numeric);
        name.map_or_else(|| format!("{address}.{port}"), |(_, name)| format!("{address}.{name}"))
    }

    fn carried(&mut self, ip: &Ip<'_>) -> String {
        if ip.offset > 0 {
            return match ip.protocol {
                other if self.style.is_numeric => format!("ip-proto-{other}"),
                ICMP => "icmp".to_owned(),
                TCP => "tcp".to_owned(),
                UDP => "udp".to_owned(),
                other => format!("ip-proto-{other}"),
            };
        }
        let words = match ip.protocol {
            TCP => self.connections.segment(ip, self.style),
            UDP => self.datagram(ip),
            ICMP => icmp::v4(ip),
            ICMPV6 => icmp::v6(ip),
            other => Some(format!("ip-proto-{other} {}", ip.payload_len)),
        };
        words.unwrap_or_else(|| "[|truncated]".to_owned())
    }

    fn datagram(&self, ip: &Ip<'_>) -> Option<String> {
        const HEADER_LEN: usize = 8;
        let (from, to) = ip.ports()?;
        let len = usize::from(u16::from_be_bytes(ip.payload.get(4..6)?.try_into().ok()?))
            .checked_sub(HEADER_LEN)?;
        let is_dns = (from == 53 || to == 53) && !self.style.is_quick;
        let words = if is_dns { dns::words(&ip.payload[HEADER_LEN..], len) } else { None };
        Some(words.unwrap_or_else(|| format!("UDP, length {len}")))
    }
}

/// The fields of the IP header that `-v` shows.
fn header(ip: &Ip<'_>) -> String {
    let protocol = match ip.protocol {
        TCP => "TCP".to_owned(),
        UDP => "UDP".to_owned(),
        ICMP => "ICMP".to_owned(),
        ICMPV6 => "ICMPv6".to_owned(),
        other => format!("unknown {other}"),
    };
    let number = ip.protocol;
    if ip.from.is_ipv6() {
        let class = if ip.tos == 0 { String::new() } else { format!("class 0x{:02x}, ", ip.tos) };
        let flow = if ip.flow == 0 { String::new() } else { format!("flowlabel 0x{:05x}, ", ip.flow) };
        return format!(
            "({class}{flow}hlim {}, next-header {protocol} ({number}) payload length: {}) ",
            ip.ttl, ip.len
        );
    }
    let flags = match (ip.does_not_fragment, ip.more_follow) {
        (false, false) => "none",
        (true, false) => "DF",
        (false, true) => "+",
        (true, true) => "+, DF",
    };
    format!(
        "(tos 0x{:x}, ttl {}, id {}, offset {}, flags [{flags}], proto {protocol} ({number}), length {})\n    ",
        ip.tos, ip.ttl, ip.id, ip.offset, ip.len
    )
}

fn arp_words(arp: &Arp, len: usize) -> String {
    match arp.operation {
        1 => {
            let is_known = arp.target_mac != [0; 6] && arp.target_mac != [0xff; 6];
            let mac = if is_known { format!(" ({})", mac_text(arp.target_mac)) } else { String::new() };
            format!("Request who-has {}{mac} tell {}, length {len}", arp.target, arp.sender)
        }
        2 => format!("Reply {} is-at {}, length {len}", arp.sender, mac_text(arp.sender_mac)),
        other => format!("op {other}, length {len}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(style: Style, bytes: &[u8]) -> String {
        Lines::new(style).line(&Frame::ethernet(bytes, bytes.len()).unwrap())
    }

    const NUMERIC: Style = Style {
        is_numeric: true,
        is_verbose: false,
        has_link_header: false,
        is_quick: false,
        is_absolute: false,
        shows_text: false,
        is_timeless: false,
    };

    fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let len = u8::try_from(20 + payload.len()).unwrap();
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        bytes.extend([0x45, 0, 0, len, 0, 7, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 1, 1, 1, 1]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_first_segment_is_told_as_tcpdump_does() {
        let segment =
            [0x03, 0xe8, 0, 80, 0, 0, 0, 9, 0, 0, 0, 0, 0x60, 2, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4];
        let said = line(NUMERIC, &ipv4(TCP, &segment));
        assert_eq!(
            said,
            "IP 10.0.0.1.1000 > 1.1.1.1.80: Flags [S], seq 9, win 64240, options [mss 1460], length 0"
        );
        let named = line(Style { is_numeric: false, ..NUMERIC }, &ipv4(TCP, &segment));
        assert!(named.starts_with("IP 10.0.0.1.1000 > 1.1.1.1.http: "), "{named}");
        let style = Style { has_link_header: true, is_verbose: true, ..NUMERIC };
        let said = line(style, &ipv4(TCP, &segment));
        assert!(said.starts_with("02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype IPv4 (0x0800), length 58: (tos 0x0, ttl 64, id 7, offset 0, flags [DF], proto TCP (6), length 44)\n    10.0.0.1.1000 > 1.1.1.1.80: Flags [S], cksum 0x0000 (incorrect -> 0x"), "{said}");
    }

    #[test]
    fn echoes_and_errors_are_told() {
        let echo = [8, 0, 0, 0, 0, 5, 0, 6, 1, 2, 3, 4];
        assert_eq!(
            line(NUMERIC, &ipv4(ICMP, &echo)),
            "IP 10.0.0.1 > 1.1.1.1: ICMP echo request, id 5, seq 6, length 12"
        );
        let mut error = vec![3, 3, 0, 0, 0, 0, 0, 0];
        error.extend(&ipv4(UDP, &[0, 9, 0, 53, 0, 8, 0, 0])[14..]);
        let said = line(NUMERIC, &ipv4(ICMP, &error));
        assert_eq!(said, "IP 10.0.0.1 > 1.1.1.1: ICMP 1.1.1.1 udp port 53 unreachable, length 36");
    }

    #[test]
    fn arp_is_told() {
        let mut bytes = vec![0xff; 6];
        bytes.extend([2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        bytes.extend([2, 0, 0, 0, 0, 2, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        assert_eq!(line(NUMERIC, &bytes), "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28");
        bytes[21] = 2;
        assert_eq!(line(NUMERIC, &bytes), "ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:02, length 28");
    }

    #[test]
    fn no_cut_or_broken_packet_breaks_a_line() {
        let whole =
            ipv4(TCP, &[3, 0xe8, 0, 80, 0, 0, 0, 9, 0, 0, 0, 0, 0x60, 2, 0, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4]);
        let style = Style { is_verbose: true, has_link_header: true, ..NUMERIC };
        for at in 14..whole.len() {
            line(style, &whole[..at]);
            for byte in [0, 1, 15, 0x45, 0x60, 255] {
                for ethertype in [[8, 0], [8, 6], [0x86, 0xdd]] {
                    let mut broken = whole.clone();
                    broken[at] = byte;
                    broken[12..14].copy_from_slice(&ethertype);
                    line(style, &broken);
                }
            }
        }
    }
}

//! TCP segments: flags, options, and sequence numbers counted from the first that was seen.

use super::Style;
use crate::packet::Ip;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// The first sequence numbers of both ends of every connection that was seen: of the lower address, of the higher.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<(SocketAddr, SocketAddr), (u32, u32)>);

const SYN: u8 = 2;
const ACK: u8 = 16;
const FLAGS: [(u8, char); 8] =
    [(1, 'F'), (SYN, 'S'), (4, 'R'), (8, 'P'), (ACK, '.'), (32, 'U'), (64, 'E'), (128, 'W')];

impl Connections {
    /// The words of a segment, from `Flags` on.
    pub(super) fn segment(&mut self, ip: &Ip<'_>, style: Style) -> Option<String> {
        let bytes = ip.payload;
        let head = bytes.get(..20)?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let header_len = usize::from(head[12] >> 4) * 4;
        let len = ip.payload_len.checked_sub(header_len)?;
        if style.is_quick {
            return Some(format!("tcp {len}"));
        }
        let flags = head[13];
        let (from_port, to_port) = ip.ports()?;
        let ends = (SocketAddr::new(ip.from, from_port), SocketAddr::new(ip.to, to_port));
        let (seq, ack) = self.counted(ends, flags, word(4), word(8), style.is_absolute);
        let letters: String =
            FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| *letter).collect();
        let mut text = format!("Flags [{}]", if letters.is_empty() { "none" } else { &letters });
        if let Some((written, right)) = ip.checksum(16).filter(|_| style.is_verbose) {
            let verdict = if written == right {
                "(correct)".to_owned()
            } else {
                format!("(incorrect -> 0x{right:04x})")
            };
            let _ = write!(text, ", cksum 0x{written:04x} {verdict}");
        }
        if len > 0 {
            let last = seq.wrapping_add(u32::try_from(len).unwrap_or(0));
            let _ = write!(text, ", seq {seq}:{last}");
        } else if flags & (SYN | 1 | 4) != 0 {
            let _ = write!(text, ", seq {seq}");
        }
        if flags & ACK != 0 {
            let _ = write!(text, ", ack {ack}");
        }
        let _ = write!(text, ", win {}", u16::from_be_bytes([head[14], head[15]]));
        let options = options(bytes.get(20..header_len).unwrap_or_default());
        if !options.is_empty() {
            let _ = write!(text, ", options [{}]", options.join(","));
        }
        let _ = write!(text, ", length {len}");
        let carried = bytes.get(header_len..).unwrap_or_default();
        if len > 0 && (from_port == 80 || to_port == 80) {
            text += &http(carried);
        }
        Some(text)
    }

    /// Sequence and acknowledgement number as they are told.
    fn counted(
        &mut self,
        (from, to): (SocketAddr, SocketAddr),
        flags: u8,
        seq: u32,
        ack: u32,
        is_absolute: bool,
    ) -> (u32, u32) {
        let is_forward = from <= to;
        let key = if is_forward { (from, to) } else { (to, from) };
        let first = if is_forward { (seq, ack.wrapping_sub(1)) } else { (ack.wrapping_sub(1), seq) };
        match self.0.get(&key) {
            Some((low, high)) if flags & SYN == 0 => {
                let (own, other) = if is_forward { (*low, *high) } else { (*high, *low) };
                if is_absolute { (seq, ack) } else { (seq.wrapping_sub(own), ack.wrapping_sub(other)) }
            }
            _ => {
                self.0.insert(key, first);
                (seq, ack)
            }
        }
    }
}

/// Options in their order (RFC 9293 3.1, RFC 7323, RFC 2018): kind, length, value.
fn options(mut bytes: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(kind) = bytes.first() {
        if *kind <= 1 {
            words.push(if *kind == 0 { "eol" } else { "nop" }.to_owned());
            bytes = if *kind == 0 { &[] } else { &bytes[1..] };
            continue;
        }
        let len = bytes.get(1).map_or(0, |len| usize::from(*len));
        let Some(value) = bytes.get(2..len.max(2)).filter(|_| len >= 2) else { return words };
        let word =
            |at: usize| value.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        words.push(match (*kind, value.len()) {
            (2, 2) => format!("mss {}", u16::from_be_bytes([value[0], value[1]])),
            (3, 1) => format!("wscale {}", value[0]),
            (4, 0) => "sackOK".to_owned(),
            (5, len) => {
                let blocks = (0..len / 8).map(|n| format!("{{{}:{}}}", word(n * 8), word(n * 8 + 4)));
                format!("sack {} {}", len / 8, blocks.collect::<String>())
            }
            (8, 8) => format!("TS val {} ecr {}", word(0), word(4)),
            (kind, _) => format!("unknown-{kind}"),
        });
        bytes = &bytes[len..];
    }
    words
}

/// The first line of a request or an answer.
fn http(carried: &[u8]) -> String {
    let line = carried.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let is_http = line.starts_with("HTTP/") || line.contains(" HTTP/");
    if is_http && !line.contains(char::is_control) { format!(": HTTP: {line}") } else { ": HTTP".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_named_and_wrong_ones_end_the_list() {
        let bytes = [2, 4, 5, 140, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 10];
        assert_eq!(options(&bytes), ["mss 1420", "sackOK", "TS val 1 ecr 2", "nop", "wscale 10"]);
        (0..bytes.len()).for_each(|len| assert!(options(&bytes[..len]).len() <= 5));
        assert_eq!(options(&[8, 0, 1]), Vec::<String>::new());
    }

    #[test]
    fn numbers_are_counted_from_the_first_of_each_end() {
        let mut seen = Connections::default();
        let (a, b) = ("10.0.0.1:1000".parse().unwrap(), "1.1.1.1:80".parse().unwrap());
        assert_eq!(seen.counted((a, b), SYN, 100, 0, false), (100, 0));
        assert_eq!(seen.counted((b, a), SYN | ACK, 500, 101, false), (500, 101));
        assert_eq!(seen.counted((a, b), ACK, 101, 501, false), (1, 1));
        assert_eq!(seen.counted((b, a), ACK, 501, 173, false), (1, 73));
        assert_eq!(seen.counted((b, a), ACK, 501, 173, true), (501, 173));
    }

    #[test]
    fn the_first_line_of_http_is_shown() {
        assert_eq!(http(b"HEAD / HTTP/1.1\r\nHost: x\r\n"), ": HTTP: HEAD / HTTP/1.1");
        assert_eq!(http(b"just bytes"), ": HTTP");
    }
}

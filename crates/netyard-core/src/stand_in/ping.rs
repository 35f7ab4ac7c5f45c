//! ping(8) of iputils: its options, its packets and its words.

use super::options::{self, Known, Word};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Name or address.
    pub target: String,
    /// `-c`: echo requests; without end where none is given.
    pub count: Option<u64>,
    /// `-i`: time between two of them.
    pub interval: Duration,
    /// `-W`: how long the last answer is waited for.
    pub wait: Duration,
    /// `-w`: time after which all ends.
    pub deadline: Option<Duration>,
    /// `-s`: payload in bytes.
    pub size: u16,
    /// `-t`: TTL or hop limit.
    pub ttl: Option<u8>,
    /// `-I`: own address, or an interface.
    pub from: Option<String>,
    /// `-4`, `-6`: whether the address must be of IPv6.
    pub is_ipv6: Option<bool>,
    /// `-q`: only the summary.
    pub is_quiet: bool,
    /// `-O`: tells of answers that are missing when the next request is sent.
    pub tells_missing: bool,
    /// `-D`: each line begins with the time.
    pub tells_time: bool,
    /// `-M do`: do not fragment.
    pub df: bool,
}

const USAGE: &str = "usage error: Destination address required";
const OPTIONS: [Known; 15] = [
    Known { letter: 'n', name: "n", takes_value: false },
    Known { letter: 'v', name: "v", takes_value: false },
    Known { letter: 'q', name: "q", takes_value: false },
    Known { letter: '4', name: "4", takes_value: false },
    Known { letter: '6', name: "6", takes_value: false },
    Known { letter: 'O', name: "O", takes_value: false },
    Known { letter: 'D', name: "D", takes_value: false },
    Known { letter: 'c', name: "c", takes_value: true },
    Known { letter: 'i', name: "i", takes_value: true },
    Known { letter: 'W', name: "W", takes_value: true },
    Known { letter: 'w', name: "w", takes_value: true },
    Known { letter: 's', name: "s", takes_value: true },
    Known { letter: 't', name: "t", takes_value: true },
    Known { letter: 'I', name: "I", takes_value: true },
    Known { letter: 'M', name: "M", takes_value: true },
];

/// Reads what was typed.
///
/// # Errors
/// What ping says after `ping: `; its exit code is 2 then.
pub fn order(typed: &[String]) -> Result<Order, String> {
    let mut order = Order {
        target: String::new(),
        count: None,
        interval: Duration::from_secs(1),
        wait: Duration::from_secs(10),
        deadline: None,
        size: 56,
        ttl: None,
        from: None,
        is_ipv6: None,
        is_quiet: false,
        tells_missing: false,
        tells_time: false,
        df: false,
    };
    for word in options::read(typed, &OPTIONS)? {
        match word {
            Word::Plain(target) => order.target = target,
            Word::Option(name, value) => set(&mut order, name, value.as_deref().unwrap_or_default())?,
        }
    }
    if order.target.is_empty() { Err(USAGE.to_owned()) } else { Ok(order) }
}

fn set(order: &mut Order, name: &str, value: &str) -> Result<(), String> {
    let bad = || format!("invalid argument: '{value}'");
    let seconds = || {
        let seconds: f64 =
            value.parse().ok().filter(|s: &f64| s.is_finite() && *s >= 0.0 && *s < 2e6).ok_or_else(bad)?;
        Ok::<_, String>(Duration::from_secs_f64(seconds))
    };
    let out_of_range = |range: &str| format!("invalid argument: '{value}': out of range: {range}");
    match name {
        "q" => order.is_quiet = true,
        "4" => order.is_ipv6 = Some(false),
        "6" => order.is_ipv6 = Some(true),
        "O" => order.tells_missing = true,
        "D" => order.tells_time = true,
        "c" => {
            let count: u64 = value.parse().map_err(|_| bad())?;
            order.count = Some(count).filter(|count| *count > 0);
            if count == 0 {
                return Err(out_of_range("1 <= value <= 9223372036854775807"));
            }
        }
        "i" => order.interval = seconds()?.max(Duration::from_millis(2)),
        "W" => order.wait = seconds()?,
        "w" => order.deadline = Some(seconds()?),
        "s" => {
            let size: u32 = value.parse().map_err(|_| bad())?;
            order.size = u16::try_from(size)
                .ok()
                .filter(|size| *size <= 65507)
                .ok_or_else(|| out_of_range("0 <= value <= 65507"))?;
        }
        "t" => {
            let ttl: u32 = value.parse().map_err(|_| bad())?;
            order.ttl = Some(
                u8::try_from(ttl)
                    .ok()
                    .filter(|ttl| *ttl > 0)
                    .ok_or_else(|| out_of_range("1 <= value <= 255"))?,
            );
        }
        "I" => order.from = Some(value.to_owned()),
        "M" => match value {
            "do" => order.df = true,
            "dont" | "want" => {}
            _ => return Err(format!("invalid -M argument: {value}")),
        },
        _ => {}
    }
    Ok(())
}

/// An echo request (RFC 792, RFC 4443 4.1): type, code, checksum, identifier, sequence, payload.
///
/// The checksum of ICMPv6 is filled by the kernel.
#[must_use]
pub fn request(is_ipv6: bool, id: u16, sequence: u16, size: u16) -> Vec<u8> {
    let mut bytes = vec![0; 8 + usize::from(size)];
    bytes[0] = if is_ipv6 { 128 } else { 8 };
    bytes[4..6].copy_from_slice(&id.to_be_bytes());
    bytes[6..8].copy_from_slice(&sequence.to_be_bytes());
    for (at, byte) in bytes[8..].iter_mut().enumerate() {
        *byte = at.to_le_bytes()[0];
    }
    if !is_ipv6 {
        let sum = checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [low, high, ..] = sum.to_le_bytes();
    !u16::from_le_bytes([low, high])
}

/// What a packet of a raw socket answers: the sequence number, and bytes from the ICMP header on. IPv4 packets come with
/// their IP header.
#[must_use]
pub fn answered(is_ipv6: bool, id: u16, packet: &[u8]) -> Option<(u16, usize)> {
    let at = if is_ipv6 { 0 } else { usize::from(packet.first()? & 0x0f) * 4 };
    let message = packet.get(at..)?;
    let is_reply = *message.first()? == if is_ipv6 { 129 } else { 0 };
    let sequence = sequence_of(id, message).filter(|_| is_reply)?;
    Some((sequence, message.len()))
}

/// The sequence number of an echo message with this identifier.
#[must_use]
pub fn sequence_of(id: u16, message: &[u8]) -> Option<u16> {
    let word = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    (word(4)? == id).then(|| word(6)).flatten()
}

/// The first line.
#[must_use]
pub fn heading(target: &str, address: IpAddr, from: Option<&str>, size: u16) -> String {
    let from = from.map_or_else(String::new, |from| format!(" from {from}:"));
    let sizes = if address.is_ipv6() {
        format!("{size} data bytes")
    } else {
        format!("{size}({}) bytes of data.", u32::from(size) + 28)
    };
    let space = if address.is_ipv6() { "" } else { " " };
    format!("PING {target}{space}({address}){from} {sizes}")
}

/// The line of an answer; `name` where the target was named.
#[must_use]
pub fn answer(name: Option<&str>, from: IpAddr, len: usize, sequence: u64, ttl: u8, rtt: Duration) -> String {
    let who = name.map_or_else(|| from.to_string(), |name| format!("{name} ({from})"));
    format!("{len} bytes from {who}: icmp_seq={sequence} ttl={ttl} time={} ms", milliseconds(rtt))
}

/// A time as an answer tells it: four digits that count.
fn milliseconds(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        99_950.. => ((us + 500) / 1000).to_string(),
        9_995.. => format!("{}.{:01}", (us + 50) / 1000, (us + 50) % 1000 / 100),
        1_000.. => format!("{}.{:02}", (us + 5) / 1000, (us + 5) % 1000 / 10),
        _ => format!("{}.{:03}", us / 1000, us % 1000),
    }
}

/// The line of an ICMP error.
#[must_use]
pub fn error(from: IpAddr, sequence: u64, icmp_type: u8, icmp_code: u8, mtu: u32) -> String {
    format!("From {from} icmp_seq={sequence} {}", error_words(from.is_ipv6(), icmp_type, icmp_code, mtu))
}

fn error_words(is_ipv6: bool, icmp_type: u8, icmp_code: u8, mtu: u32) -> String {
    let words = match (is_ipv6, icmp_type, icmp_code) {
        (false, 3, 0) => "Destination Net Unreachable",
        (false, 3, 1) => "Destination Host Unreachable",
        (false, 3, 2) => "Destination Protocol Unreachable",
        (false, 3, 3) => "Destination Port Unreachable",
        (false, 3, 4) => return format!("Frag needed and DF set (mtu = {mtu})"),
        (false, 3, 9) => "Destination Net Prohibited",
        (false, 3, 10) => "Destination Host Prohibited",
        (false, 3, 13) => "Packet filtered",
        (false, 11, 0) => "Time to live exceeded",
        (false, 11, _) => "Frag reassembly time exceeded",
        (true, 1, 0) => "Destination unreachable: No route",
        (true, 1, 1) => "Destination unreachable: Administratively prohibited",
        (true, 1, 2) => "Destination unreachable: Beyond scope of source address",
        (true, 1, 3) => "Destination unreachable: Address unreachable",
        (true, 1, 4) => "Destination unreachable: Port unreachable",
        (true, 2, _) => return format!("Packet too big: mtu={mtu}"),
        (true, 3, 0) => "Time exceeded: Hop limit",
        _ => return format!("Bad ICMP type: {icmp_type}"),
    };
    words.to_owned()
}

/// What was sent and what came.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests.
    pub sent: u64,
    /// Answers, each once.
    pub received: u64,
    /// Answers that came again.
    pub duplicates: u64,
    /// ICMP errors.
    pub errors: u64,
    /// The most requests that were unanswered at a time.
    pub pipe: u64,
    rtts_us: Vec<u128>,
}

impl Tally {
    /// Counts an answer.
    pub fn answer(&mut self, rtt: Duration) {
        self.received += 1;
        self.rtts_us.push(rtt.as_micros());
    }

    /// The summary, with the line break that precedes it.
    #[must_use]
    pub fn summary(&self, target: &str, took: Duration) -> String {
        let mut text = format!("\n--- {target} ping statistics ---\n");
        let _ = write!(text, "{} packets transmitted, {} received", self.sent, self.received);
        if self.duplicates > 0 {
            let _ = write!(text, ", +{} duplicates", self.duplicates);
        }
        if self.errors > 0 {
            let _ = write!(text, ", +{} errors", self.errors);
        }
        if self.sent > 0 {
            let lost = self.sent.saturating_sub(self.received);
            let _ = write!(text, ", {}% packet loss", general(lost as f64 * 100.0 / self.sent as f64));
            let _ = write!(text, ", time {}ms", took.as_millis());
        }
        text.push('\n');
        let mut last = Vec::new();
        if let (Some(min), Some(max)) = (self.rtts_us.iter().min(), self.rtts_us.iter().max()) {
            let count = self.rtts_us.len() as u128;
            let average = self.rtts_us.iter().sum::<u128>() / count;
            let (sum, squares): (u128, u128) =
                self.rtts_us.iter().fold((0, 0), |(sum, squares), rtt| (sum + rtt, squares + rtt * rtt));
            let deviation = (squares.saturating_sub(sum * sum / count) / count).isqrt();
            let ms = |us: u128| format!("{}.{:03}", us / 1000, us % 1000);
            let [min, average, max, deviation] = [*min, average, *max, deviation].map(ms);
            last.push(format!("rtt min/avg/max/mdev = {min}/{average}/{max}/{deviation} ms"));
        }
        if self.pipe > 1 {
            last.push(format!("pipe {}", self.pipe));
        }
        text + &last.join(", ") + "\n"
    }
}

/// A number as `%g` of printf(3) has it: six digits that count.
fn general(number: f64) -> String {
    let digits = if number >= 100.0 {
        3
    } else if number >= 10.0 {
        4
    } else {
        5
    };
    let text = format!("{number:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Result<Order, String> {
        order(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_those_of_iputils() {
        let order = typed("-nc3 -i 0.2 -W 1 -s 1472 -t 5 -M do 1.1.1.1").unwrap();
        assert_eq!(
            (order.count, order.interval, order.wait),
            (Some(3), Duration::from_millis(200), Duration::from_secs(1))
        );
        assert_eq!(
            (order.size, order.ttl, order.df, order.target.as_str()),
            (1472, Some(5), true, "1.1.1.1")
        );
        assert_eq!(typed("").unwrap_err(), "usage error: Destination address required");
        assert_eq!(
            typed("-c 0 x").unwrap_err(),
            "invalid argument: '0': out of range: 1 <= value <= 9223372036854775807"
        );
        assert_eq!(
            typed("-t 256 x").unwrap_err(),
            "invalid argument: '256': out of range: 1 <= value <= 255"
        );
        assert_eq!(typed("-c x y").unwrap_err(), "invalid argument: 'x'");
        assert_eq!(typed("-z x").unwrap_err(), "invalid option -- 'z'");
    }

    #[test]
    fn a_request_has_a_right_checksum_and_is_recognised() {
        let bytes = request(false, 0x1234, 7, 56);
        assert_eq!(checksum(&bytes), 0);
        assert_eq!(sequence_of(0x1234, &bytes), Some(7));
        let mut reply = [vec![0x45; 20], bytes].concat();
        assert_eq!(answered(false, 0x1234, &reply), None, "it is a request");
        reply[20] = 0;
        assert_eq!(answered(false, 0x1234, &reply), Some((7, 64)));
        assert_eq!(answered(false, 1, &reply), None);
        (0..reply.len()).for_each(|len| drop(answered(false, 0x1234, &reply[..len])));
    }

    #[test]
    fn lines_are_those_of_iputils() {
        let to: IpAddr = "1.1.1.1".parse().unwrap();
        assert_eq!(heading("1.1.1.1", to, None, 56), "PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.");
        assert_eq!(
            heading("1.1.1.1", to, Some("10.0.0.1"), 56),
            "PING 1.1.1.1 (1.1.1.1) from 10.0.0.1: 56(84) bytes of data."
        );
        let rtt = Duration::from_micros;
        assert_eq!(
            answer(None, to, 64, 1, 61, rtt(8294)),
            "64 bytes from 1.1.1.1: icmp_seq=1 ttl=61 time=8.29 ms"
        );
        assert_eq!(
            answer(Some("one"), to, 64, 2, 61, rtt(36)),
            "64 bytes from one (1.1.1.1): icmp_seq=2 ttl=61 time=0.036 ms"
        );
        assert_eq!(
            [36, 1234, 12_345, 123_456].map(|us| milliseconds(rtt(us))),
            ["0.036", "1.23", "12.3", "123"]
        );
        assert_eq!(
            error("10.0.0.254".parse().unwrap(), 1, 3, 1, 0),
            "From 10.0.0.254 icmp_seq=1 Destination Host Unreachable"
        );
    }

    #[test]
    fn the_summary_counts_and_averages() {
        let mut tally = Tally { sent: 3, ..Tally::default() };
        [7424, 7664, 8289].iter().for_each(|us| tally.answer(Duration::from_micros(*us)));
        let expected = "\n--- 1.1.1.1 ping statistics ---\n3 packets transmitted, 3 received, 0% packet loss, time 2003ms\n\
                        rtt min/avg/max/mdev = 7.424/7.792/8.289/0.364 ms\n";
        assert_eq!(tally.summary("1.1.1.1", Duration::from_millis(2003)), expected);
        let lost = Tally { sent: 3, received: 0, errors: 3, pipe: 3, ..Tally::default() };
        let expected = "\n--- x ping statistics ---\n3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 5ms\npipe 3\n";
        assert_eq!(lost.summary("x", Duration::from_millis(5)), expected);
        assert_eq!([0.0, 33.333_333, 66.666_666, 100.0].map(general), ["0", "33.3333", "66.6667", "100"]);
    }
}

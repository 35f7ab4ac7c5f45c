//! What is printed.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// The first line; `from` where the own address, or the interface, was asked for.
#[must_use]
pub fn heading(target: &str, address: IpAddr, from: Option<(IpAddr, &str)>, size: u16) -> String {
    let from = from.map_or_else(String::new, |(address, interface)| format!(" from {address} {interface}:"));
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

    #[test]
    fn lines_are_those_of_iputils() {
        let to: IpAddr = "1.1.1.1".parse().unwrap();
        assert_eq!(heading("1.1.1.1", to, None, 56), "PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.");
        assert_eq!(
            heading("1.1.1.1", to, Some((to, "")), 56),
            "PING 1.1.1.1 (1.1.1.1) from 1.1.1.1 : 56(84) bytes of data."
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

//! Expectations as sentences.

use crate::expect::{Expectation, Outcome, Ping, Probe, Target};
use std::fmt::{self, Write};
use std::net::IpAddr;

impl fmt::Display for Expectation {
    /// What is expected, for example `pc pings 1.1.1.1, seen as 10.138.0.3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, probe, outcome, seen_as, within_ms, dropped, .. } = self;
        if *outcome == Outcome::Ok {
            write!(f, "{from} {}", does(probe))?;
        } else {
            write!(f, "{from} {}", cannot(probe))?;
        }
        if let Some(address) = seen_as {
            write!(f, ", seen as {address}")?;
        }
        match dropped {
            Some(dropped) => write!(f, ": {dropped}")?,
            None if *outcome != Outcome::Ok => write!(f, ": {outcome}")?,
            None => {}
        }
        match within_ms {
            0 => Ok(()),
            ms if ms % 1000 == 0 => write!(f, ", within {} s", ms / 1000),
            ms => write!(f, ", within {ms} ms"),
        }
    }
}

fn does(probe: &Probe) -> String {
    match probe {
        Probe::Ping(ping) => format!("pings {}", pinged(ping)),
        Probe::Tcp { to, port } => format!("connects to {to} port {port}"),
        Probe::Udp { to, port, answer, .. } => {
            let with = answer.as_ref().map(|answer| format!(" with {answer:?}")).unwrap_or_default();
            format!("gets a UDP answer{with} from {to} port {port}")
        }
        Probe::Http { to, port, path, status, contains } => {
            let mut text = format!("gets {}", url(to, *port, path));
            if let Some(status) = status {
                let _ = write!(text, ", status {status}");
            }
            if let Some(contains) = contains {
                let _ = write!(text, ", containing {contains:?}");
            }
            text
        }
        Probe::Dns { address, .. } => {
            let to = address.map(|address| format!(" to {address}")).unwrap_or_default();
            format!("resolves {}{to}", asked(probe))
        }
        Probe::OspfNeighbour { to, state } => format!("has OSPF neighbour {to}, {state}"),
        Probe::BgpSession { to, state, remote_as } => {
            let remote_as = remote_as.map(|number| format!(" of AS {number}")).unwrap_or_default();
            format!("has a BGP session with {to}{remote_as}, {state}")
        }
        Probe::Route { to, via, dev, protocol } => {
            let via = via.map(|via| format!(" via {via}")).unwrap_or_default();
            let dev = dev.as_ref().map(|dev| format!(" dev {dev}")).unwrap_or_default();
            let protocol = protocol.map(|protocol| format!(" by {protocol}")).unwrap_or_default();
            format!("routes {to}{via}{dev}{protocol}")
        }
        Probe::Neighbour { to, mac, state } => {
            let mac = mac.map(|mac| format!(" at {mac}")).unwrap_or_default();
            let state = state.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
            format!("has neighbour {to}{mac}{state}")
        }
        Probe::Path { to, nodes } => {
            let nodes: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
            format!("reaches {to} by {}", nodes.join(", "))
        }
        Probe::Throughput { to, rate_bit_per_s, tolerance_percent, .. } => {
            format!("sends {} +-{tolerance_percent} % to {to}", rate(*rate_bit_per_s))
        }
    }
}

fn cannot(probe: &Probe) -> String {
    match probe {
        Probe::Ping(ping) => format!("cannot ping {}", pinged(ping)),
        Probe::Tcp { to, port } => format!("cannot connect to {to} port {port}"),
        Probe::Udp { to, port, .. } => format!("gets no UDP answer from {to} port {port}"),
        Probe::Http { to, port, path, .. } => format!("cannot get {}", url(to, *port, path)),
        Probe::Dns { .. } => format!("cannot resolve {}", asked(probe)),
        Probe::Route { to, .. } => format!("cannot route {to}"),
        Probe::Neighbour { to, .. } => format!("has no neighbour {to}"),
        Probe::OspfNeighbour { to, .. } => format!("has no OSPF neighbour {to}"),
        Probe::BgpSession { to, .. } => format!("has no BGP session with {to}"),
        Probe::Path { to, .. } => format!("does not reach {to}"),
        Probe::Throughput { to, .. } => format!("cannot send to {to}"),
    }
}

fn pinged(ping: &Ping) -> String {
    let mut text = ping.to.to_string();
    if ping.count > 1 {
        let _ = write!(text, " {} times", ping.count);
    }
    if let Some(source) = ping.source {
        let _ = write!(text, " from {source}");
    }
    if ping.size != 56 {
        let _ = write!(text, " with {} bytes", ping.size);
    }
    if ping.df {
        text.push_str(" unfragmented");
    }
    let facts = [
        ping.ttl.map(|ttl| format!("TTL {ttl}")),
        ping.answer_ttl.map(|ttl| format!("answered with TTL {ttl}")),
        ping.hops
            .map(|hops| if hops == 1 { "1 router away".to_owned() } else { format!("{hops} routers away") }),
        ping.rtt_us_min.map(|us| format!("in at least {}", milliseconds(us))),
        ping.rtt_us_max.map(|us| format!("in at most {}", milliseconds(us))),
    ];
    for fact in facts.into_iter().flatten() {
        let _ = write!(text, ", {fact}");
    }
    text
}

fn asked(probe: &Probe) -> String {
    let Probe::Dns { name, server, is_ipv6, .. } = probe else { return String::new() };
    let kind = if *is_ipv6 { " (AAAA)" } else { "" };
    let server = server.as_ref().map(|server| format!(" by {server}")).unwrap_or_default();
    format!("{name}{kind}{server}")
}

fn url(to: &Target, port: u16, path: &str) -> String {
    let host = match to {
        Target::Address(IpAddr::V6(address)) => format!("[{address}]"),
        other => other.to_string(),
    };
    let port = if port == 80 { String::new() } else { format!(":{port}") };
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("http://{host}{port}{slash}{path}")
}

fn milliseconds(us: u32) -> String {
    format!("{} ms", f64::from(us) / 1000.0)
}

fn rate(bit_per_s: u64) -> String {
    let units = [(1_000_000_000, "Gbit/s"), (1_000_000, "Mbit/s"), (1_000, "kbit/s")];
    match units.iter().find(|(unit, _)| bit_per_s >= *unit) {
        // Below 2^53 as every rate is; shown with the digits that it has.
        Some((unit, word)) => format!("{} {word}", bit_per_s as f64 / *unit as f64),
        None => format!("{bit_per_s} bit/s"),
    }
}

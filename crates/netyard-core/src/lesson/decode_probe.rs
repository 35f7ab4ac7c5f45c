//! Checks that send something: `ping`, `tcp`, `http`, `dns`.

use super::MACHINE;
use super::check::ProbeFact;
use super::decode_check::{socket, word};
use crate::diagnostic::{Code, Diagnostic};
use crate::expect::{Outcome, Ping, Probe, Target};
use crate::labfile::read::{Fields, Problems};
use crate::labfile::tree::Tree;
use std::net::{IpAddr, SocketAddr};

pub(super) fn probe(
    kind: &str,
    value: &Tree,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<ProbeFact> {
    let from = fields.get("from").and_then(|tree| problems.text(tree, "the name of a namespace"));
    let outcomes = [
        Outcome::Ok,
        Outcome::Refused,
        Outcome::Unreachable,
        Outcome::NoRoute,
        Outcome::Timeout,
        Outcome::TooBig,
        Outcome::TtlExceeded,
    ];
    let words: Vec<(String, Outcome)> = outcomes.iter().map(|o| (o.to_string(), *o)).collect();
    let words: Vec<(&str, Outcome)> = words.iter().map(|(word, o)| (word.as_str(), *o)).collect();
    let outcome = fields.get("outcome").and_then(|tree| problems.choice(tree, &words)).unwrap_or_default();
    let seen_as = fields.get("seen-as").and_then(|tree| problems.address(tree));
    let within_us = fields.get("within").and_then(|tree| problems.time_us(tree)).unwrap_or_default();
    let probe = match kind {
        "ping" => ping(value, fields, problems).map(Probe::Ping),
        "tcp" => socket(value, problems)
            .map(|socket| Probe::Tcp { to: Target::Address(socket.ip()), port: socket.port() }),
        "http" => {
            let contains = word(fields, "contains", problems);
            http(value, problems).map(|(to, port, path)| Probe::Http {
                to,
                port,
                path,
                status: None,
                contains,
            })
        }
        _ => {
            let server = fields.get("server").and_then(|tree| problems.address(tree)).map(Target::Address);
            let name = problems.text(value, "a name such as `example.com`").map(str::to_owned);
            name.map(|name| Probe::Dns { name, server, is_ipv6: false, address: None })
        }
    };
    let from = from.unwrap_or(MACHINE).to_owned();
    Some(ProbeFact { from, probe: probe?, outcome, seen_as, within_ms: within_us / 1000 })
}

fn ping(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Ping> {
    let size = fields.get("size").and_then(|tree| problems.number(tree, 0, 65_507));
    let df = fields.get("df").and_then(|tree| problems.switch(tree));
    let hops = fields.get("hops").and_then(|tree| problems.number(tree, 0, 64));
    let plain = Ping::to(Target::Address(problems.address(value)?));
    Some(Ping { size: size.unwrap_or(plain.size), df: df.unwrap_or(false), hops, ..plain })
}

/// `http://ADDRESS[:PORT]/PATH`.
fn http(tree: &Tree, problems: &mut Problems) -> Option<(Target, u16, String)> {
    let text = problems.text(tree, "a URL such as `http://1.1.1.1/`")?;
    let read = || {
        let rest = text.strip_prefix("http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let socket: Option<SocketAddr> = host.parse().ok();
        let socket = socket.or_else(|| Some(SocketAddr::new(bare(host)?, 80)))?;
        Some((Target::Address(socket.ip()), socket.port(), format!("/{path}")))
    };
    let url = read();
    if url.is_none() {
        let problem = Diagnostic::new(Code::BadUrl, tree.span).label("not `http://ADDRESS[:PORT]/PATH`");
        problems.push(problem);
    }
    url
}

fn bare(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

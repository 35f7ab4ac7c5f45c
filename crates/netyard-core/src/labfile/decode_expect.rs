//! Expectations: tree to what is written.

use super::decode_nat::{bad_port, split_port, word};
use super::decode_route::via;
use super::quantity;
use super::read::{Fields, Problems, one_or_many};
use super::syntax::{At, DroppedDecl, ExpectDecl, PingDecl, ProbeDecl, TargetDecl, Via};
use super::tree::{Entry, Tree, Value};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::expect::{Outcome, RouteProtocol};
use crate::fault::Cause;
use ipnet::IpNet;

const PROBES: [&str; 11] = [
    "ping",
    "tcp",
    "udp",
    "http",
    "dns",
    "route",
    "neighbour",
    "path",
    "throughput",
    "ospf-neighbour",
    "bgp-session",
];
const TARGET: &str = "a node, an address or a list of them";

pub(crate) fn list(tree: &Tree, problems: &mut Problems) -> Vec<ExpectDecl> {
    if tree.value == Value::Null {
        return Vec::new();
    }
    if !matches!(tree.value, Value::List(_)) {
        problems.wrong_type(tree, "a list such as `- { from: pc, ping: printer }`");
        return Vec::new();
    }
    one_or_many(tree).iter().filter_map(|item| expectation(item, problems)).collect()
}

fn expectation(tree: &Tree, problems: &mut Problems) -> Option<ExpectDecl> {
    let mut fields = problems.fields(tree, "a map such as `{ from: pc, ping: printer }`")?;
    let from = match fields.get("from") {
        Some(tree) => {
            refuse_empty(tree, problems);
            problems.words(tree, "a node, a group or `all`")
        }
        None => {
            fields.missing("from", tree.span, "say which node does it, for example `from: pc`");
            Vec::new()
        }
    };
    let outcomes = [
        ("ok", Outcome::Ok),
        ("refused", Outcome::Refused),
        ("unreachable", Outcome::Unreachable),
        ("no-route", Outcome::NoRoute),
        ("timeout", Outcome::Timeout),
        ("too-big", Outcome::TooBig),
        ("ttl-exceeded", Outcome::TtlExceeded),
        ("dropped", Outcome::Dropped),
    ];
    let outcome_tree = fields.get("outcome");
    let stated = outcome_tree.and_then(|t| problems.choice(t, &outcomes));
    let within = fields.get("within").and_then(|t| problems.time_us(t)).unwrap_or(0);
    let entry = probe_entry(&mut fields, problems)?;
    let has_sender_address = matches!(entry.key.as_str(), "ping" | "tcp" | "udp" | "http");
    let (outcome, dropped) = match has_sender_address {
        true => dropped(stated, outcome_tree, &mut fields, problems),
        false => (stated.unwrap_or_default(), None),
    };
    let seen_as = if has_sender_address {
        fields.get("seen-as").and_then(|t| problems.word(t, "an address")).map(|w| via(&w.value, w.span))
    } else {
        None
    };
    refuse_empty(&entry.value, problems);
    if let Some(tree) = outcome_tree.filter(|_| outcome != Outcome::Ok) {
        refuse_contradiction(entry, outcome, tree.span, &fields, problems);
    }
    let probe = probe(entry, &mut fields, problems);
    finish(fields, entry, problems);
    let (span, within_ms) = (entry.key_span, within.div_ceil(1000));
    let span = Span::new(tree.span.start.min(span.start), tree.span.end);
    probe.filter(|_| !from.is_empty()).map(|probe| ExpectDecl {
        span,
        from,
        probe,
        outcome,
        seen_as,
        within_ms,
        dropped,
    })
}

/// The outcome with the reason that is stated: who names a reason expects that nothing arrives.
fn dropped(
    stated: Option<Outcome>,
    stated_at: Option<&Tree>,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> (Outcome, Option<DroppedDecl>) {
    let by_tree = fields.get("dropped-by");
    let at_tree = fields.get("dropped-at");
    let words: Vec<(String, Cause)> = Cause::ALL.iter().map(|cause| (cause.word(), *cause)).collect();
    let words: Vec<(&str, Cause)> = words.iter().map(|(word, cause)| (word.as_str(), *cause)).collect();
    let by = by_tree.and_then(|tree| problems.choice(tree, &words));
    let at = at_tree.and_then(|tree| problems.word(tree, "the name of a node"));
    let reason = by_tree.or(at_tree);
    match (stated, reason) {
        (Some(outcome), Some(reason)) if outcome != Outcome::Dropped => {
            let label = format!("`{outcome}` is stated too");
            let problem = Diagnostic::new(Code::ContradictoryExpectation, reason.span).label(label);
            let place = stated_at.map_or(reason.span, |tree| tree.span);
            problems
                .push(problem.related(place, "the outcome").help("leave `outcome` out, or write `dropped`"));
            (outcome, None)
        }
        (_, Some(_)) => (Outcome::Dropped, Some(DroppedDecl { by, at })),
        (Some(Outcome::Dropped), None) => (Outcome::Dropped, Some(DroppedDecl { by: None, at: None })),
        (stated, None) => (stated.unwrap_or_default(), None),
    }
}

/// An empty list of senders or targets would pass without anything being tried.
fn refuse_empty(tree: &Tree, problems: &mut Problems) {
    if matches!(&tree.value, Value::List(items) if items.is_empty()) {
        let problem = Diagnostic::new(Code::EmptyGroup, tree.span).title("nobody is in this list");
        problems.push(problem.label("this would test nothing"));
    }
}

/// What needs an answer contradicts an outcome without one, and not every outcome can come of every probe.
fn refuse_contradiction(
    probe: &Entry,
    outcome: Outcome,
    span: Span,
    fields: &Fields<'_>,
    problems: &mut Problems,
) {
    let name = probe.key.as_str();
    let (about_answers, impossible): (&[&str], &[Outcome]) = match name {
        "ping" => (&["answer-ttl", "hops", "rtt"], &[]),
        "udp" => (&["answer"], &[]),
        "http" => (&["status", "contains"], &[]),
        "dns" => (&["address"], &[]),
        "route" => (&["via", "dev", "protocol"], &[Outcome::Refused, Outcome::TooBig, Outcome::TtlExceeded]),
        "neighbour" => (
            &["mac", "state"],
            &[Outcome::Refused, Outcome::NoRoute, Outcome::Timeout, Outcome::TooBig, Outcome::TtlExceeded],
        ),
        "throughput" => (&["rate"], &[]),
        "ospf-neighbour" | "bgp-session" => (
            &["state", "as"],
            &[Outcome::Refused, Outcome::NoRoute, Outcome::Timeout, Outcome::TooBig, Outcome::TtlExceeded],
        ),
        _ => (&[], &[]),
    };
    let contradiction = |label: String| Diagnostic::new(Code::ContradictoryExpectation, span).label(label);
    let is_packet = matches!(name, "ping" | "tcp" | "udp" | "http");
    if outcome == Outcome::Dropped && !is_packet {
        let help = "packets are dropped of `ping`, `tcp`, `udp` and `http`";
        return problems.push(contradiction(format!("`{name}` never ends so")).help(help));
    }
    if impossible.contains(&outcome) {
        let help = match name {
            "route" => "a look-up ends with `ok`, `no-route`, `unreachable` or `timeout` (a blackhole route)",
            _ => "there is an entry (`ok`) or none (`unreachable`)",
        };
        return problems.push(contradiction(format!("`{name}` never ends so")).help(help));
    }
    let given = about_answers.iter().find_map(|key| fields.peek(key).map(|tree| (key, tree)));
    if let Some((key, tree)) = given {
        let problem = contradiction(format!("with this outcome there is no answer that `{key}` could judge"));
        problems.push(problem.related(tree.span, format!("`{key}`")).help("leave one of them out"));
    }
}

/// The one key that says what is done.
fn probe_entry<'t>(fields: &mut Fields<'t>, problems: &mut Problems) -> Option<&'t Entry> {
    // `path` beside `http` is the path of the URL.
    let has_http = fields.peek("http").is_some();
    let probes = PROBES.iter().filter(|probe| !(has_http && **probe == "path"));
    let mut given = probes.filter_map(|probe| fields.entry(probe));
    let Some(first) = given.next() else {
        drop(given);
        if !fields.report_misspelt(&PROBES, problems) {
            let problem = Diagnostic::new(Code::NotOneProbe, fields.span);
            let help = format!("add one of {}", PROBES.join(", "));
            problems.push(problem.label("it does not say what is done").help(help));
        }
        return None;
    };
    // `path` and `ping` may stand together in other tools; here each has its own line.
    if let Some(second) = given.next() {
        let problem = Diagnostic::new(Code::NotOneProbe, second.key_span);
        let problem = problem.label("a second thing to do").related(first.key_span, "the first");
        problems.push(problem.help("write one entry for each"));
    }
    Some(first)
}

fn finish(fields: Fields<'_>, probe: &Entry, problems: &mut Problems) {
    let mut found = Problems::default();
    fields.finish(&mut found);
    const KEYS: [&str; 26] = [
        "seen-as",
        "dropped-by",
        "dropped-at",
        "count",
        "size",
        "df",
        "ttl",
        "answer-ttl",
        "hops",
        "rtt",
        "source",
        "port",
        "payload",
        "answer",
        "path",
        "status",
        "contains",
        "server",
        "type",
        "address",
        "via",
        "dev",
        "mac",
        "state",
        "protocol",
        "as",
    ];
    for problem in found.into_list() {
        // A key of another probe is no misspelling.
        let other = KEYS.iter().find(|key| problem.label == format!("no key `{key}` belongs here"));
        match (other, problem.span) {
            (Some(key), Some(span)) => {
                let label = format!("`{}` has no `{key}`", probe.key);
                let problem = Diagnostic::new(Code::KeyNotForProbe, span).label(label);
                problems.push(problem.related(probe.key_span, "the probe"));
            }
            _ => problems.push(problem),
        }
    }
}

fn probe(entry: &Entry, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<ProbeDecl> {
    let tree = &entry.value;
    match entry.key.as_str() {
        "ping" => {
            let ping = ping(fields, problems);
            Some(ProbeDecl::Ping { to: targets(tree, problems)?, ping })
        }
        "tcp" => Some(ProbeDecl::Tcp { to: with_port(tree, fields, problems)? }),
        "udp" => {
            let payload = text(fields, "payload", problems).unwrap_or_else(|| "netyard".into());
            let answer = text(fields, "answer", problems);
            Some(ProbeDecl::Udp { to: with_port(tree, fields, problems)?, payload, answer })
        }
        "http" => http(tree, fields, problems),
        "dns" => dns(tree, fields, problems),
        "route" => {
            let via = fields.get("via").and_then(|t| address_or_node(t, problems));
            let dev = fields.get("dev").and_then(|t| problems.word(t, "an interface or a network"));
            let protocols = RouteProtocol::ALL.map(|protocol| (protocol.word(), protocol));
            let protocol = fields.get("protocol").and_then(|t| problems.choice(t, &protocols));
            Some(ProbeDecl::Route { to: targets(tree, problems)?, via, dev, protocol })
        }
        "neighbour" => {
            let mac = fields.get("mac").and_then(|t| problems.mac(t));
            let state = fields.get("state").and_then(|t| neighbour_state(t, problems));
            Some(ProbeDecl::Neighbour { to: targets(tree, problems)?, mac, state })
        }
        "ospf-neighbour" => {
            let state = state(fields, &OSPF_STATES, problems);
            Some(ProbeDecl::OspfNeighbour { to: targets(tree, problems)?, state })
        }
        "bgp-session" => {
            let state = state(fields, &BGP_STATES, problems);
            let remote_as = fields.get("as").and_then(|t| problems.number(t, 1, u32::MAX.into()));
            Some(ProbeDecl::BgpSession { to: targets(tree, problems)?, state, remote_as })
        }
        "path" => {
            let to = fields.get("to").and_then(|t| target(t, problems));
            let nodes = problems.words(tree, "the name of a node");
            (!nodes.is_empty()).then_some(ProbeDecl::Path { to, nodes })
        }
        _ => throughput(tree, fields, problems),
    }
}

fn address_or_node(tree: &Tree, problems: &mut Problems) -> Option<At<Via>> {
    problems.word(tree, "an address or a node").map(|word| via(&word.value, word.span))
}

fn text(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Option<String> {
    fields.get(key).and_then(|tree| problems.text(tree, "a text")).map(str::to_owned)
}

fn targets(tree: &Tree, problems: &mut Problems) -> Option<Vec<TargetDecl>> {
    let all: Vec<TargetDecl> = one_or_many(tree).iter().filter_map(|item| target(item, problems)).collect();
    (!all.is_empty()).then_some(all)
}

/// `server`, `server:80`, `server:eth1`, `server:eth1:80`, an address, `10.0.0.1:80` or `[fd00::1]:80`.
fn target(tree: &Tree, problems: &mut Problems) -> Option<TargetDecl> {
    let text = problems.text(tree, TARGET)?;
    if let Ok(net) = text.parse::<IpNet>() {
        let first = net.hosts().nth(usize::from(net.addr().is_ipv6())).unwrap_or(net.addr());
        let problem = Diagnostic::new(Code::BadAddress, tree.span).label("this is a prefix");
        problems.push(problem.help(format!("name one address of it, for example `{first}`")));
        return None;
    }
    let (host, port) = split_port(text);
    let port = match port {
        None => None,
        Some(digits) => match digits.parse().ok().filter(|port| *port > 0) {
            Some(port) => Some(port),
            None => {
                problems.push(bad_port(digits, tree.span));
                return None;
            }
        },
    };
    Some(TargetDecl { host: word(host, tree.span), port })
}

/// Targets that all have a port, their own or that of `port:`.
fn with_port(tree: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Vec<TargetDecl>> {
    let common: Option<u16> = fields.get("port").and_then(|tree| problems.number(tree, 1, 65_535));
    let has_key = fields.peek("port").is_some();
    let mut all = targets(tree, problems)?;
    for target in &mut all {
        target.port = target.port.or(common);
        if target.port.is_none() && !has_key {
            let problem = Diagnostic::new(Code::TargetWithoutPort, target.host.span).label("which port?");
            problems.push(problem.help(format!("for example `{}:80`", target.host.value)));
        }
    }
    all.iter().all(|target| target.port.is_some()).then_some(all)
}

fn ping(fields: &mut Fields<'_>, problems: &mut Problems) -> PingDecl {
    let (rtt_us_min, rtt_us_max) = match fields.get("rtt") {
        Some(tree) => rtt(tree, problems).unwrap_or_default(),
        None => (None, None),
    };
    PingDecl {
        count: fields.get("count").and_then(|t| problems.number(t, 1, 10_000)),
        size: fields.get("size").and_then(|t| problems.number(t, 0, 65_507)),
        df: fields.get("df").and_then(|t| problems.switch(t)).unwrap_or(false),
        ttl: fields.get("ttl").and_then(|t| problems.number(t, 1, 255)),
        answer_ttl: fields.get("answer-ttl").and_then(|t| problems.number(t, 1, 255)),
        hops: fields.get("hops").and_then(|t| problems.number(t, 0, 254)),
        rtt_us_max,
        rtt_us_min,
        source: fields.get("source").and_then(|t| problems.address(t).map(|a| At::new(a, t.span))),
    }
}

/// `5ms` is the longest round trip, `40ms..60ms` the shortest and the longest.
fn rtt(tree: &Tree, problems: &mut Problems) -> Option<(Option<u32>, Option<u32>)> {
    let text = problems.text(tree, "a time such as `5ms` or `40ms..60ms`")?;
    let time = |text: &str| quantity::time_us(text).and_then(|us| u32::try_from(us).ok());
    let range = match text.split_once("..") {
        None => time(text).map(|max| (None, Some(max))),
        Some((min, "")) => time(min).map(|min| (Some(min), None)),
        Some((min, max)) => match (time(min), time(max)) {
            (Some(min), Some(max)) if min <= max => Some((Some(min), Some(max))),
            _ => None,
        },
    };
    if range.is_none() {
        let label = "not a time such as `5ms` (at most) or `40ms..60ms` (between)";
        problems.push(Diagnostic::new(Code::BadQuantity, tree.span).label(label));
    }
    range
}

fn http(tree: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<ProbeDecl> {
    let path_key = text(fields, "path", problems);
    let port_key: Option<u16> = fields.get("port").and_then(|tree| problems.number(tree, 1, 65_535));
    let status = fields.get("status").and_then(|t| problems.number(t, 100, 599));
    let contains = text(fields, "contains", problems);
    let mut path = path_key.unwrap_or_else(|| "/".into());
    let mut to = Vec::new();
    for item in one_or_many(tree) {
        let url = problems.text(item, "a URL such as `http://1.1.1.1/`")?;
        let (host, url_path) = match url.split_once("://") {
            Some(("http", rest)) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            Some(_) => {
                let problem = Diagnostic::new(Code::BadUrl, item.span).label("only `http://` is spoken");
                problems.push(problem);
                return None;
            }
            None => url.split_at(url.find('/').unwrap_or(url.len())),
        };
        if !url_path.is_empty() {
            url_path.clone_into(&mut path);
        }
        let (host, digits) = split_port(host);
        let port = digits.map_or(Some(port_key.unwrap_or(80)), |d| d.parse().ok().filter(|port| *port > 0));
        if host.is_empty() || port.is_none() || path.contains(char::is_whitespace) {
            let label = "not `http://HOST:PORT/PATH`";
            problems.push(Diagnostic::new(Code::BadUrl, item.span).label(label));
            return None;
        }
        to.push(TargetDecl { host: word(host, item.span), port });
    }
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    (!to.is_empty()).then_some(ProbeDecl::Http { to, path, status, contains })
}

fn dns(tree: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<ProbeDecl> {
    let server = fields.get("server").and_then(|t| target(t, problems));
    let types = [("A", false), ("AAAA", true), ("a", false), ("aaaa", true)];
    let is_ipv6 = fields.get("type").and_then(|t| problems.choice(t, &types)).unwrap_or(false);
    let address = fields.get("address").and_then(|t| address_or_node(t, problems));
    let name = problems.text(tree, "a name to look up")?.to_owned();
    Some(ProbeDecl::Dns { name, server, is_ipv6, address })
}

/// States of a neighbour (RFC 2328, 10.1), the one that is waited for first.
const OSPF_STATES: [&str; 8] = ["full", "2-way", "loading", "exchange", "exstart", "init", "attempt", "down"];
/// States of a session (RFC 4271, 8.2.2), the one that is waited for first.
const BGP_STATES: [&str; 6] = ["established", "openconfirm", "opensent", "active", "connect", "idle"];

fn state(fields: &mut Fields<'_>, states: &[&'static str], problems: &mut Problems) -> String {
    let words: Vec<(&str, &str)> = states.iter().map(|state| (*state, *state)).collect();
    let state = fields.get("state").and_then(|tree| problems.choice(tree, &words));
    state.unwrap_or(states[0]).to_owned()
}

fn neighbour_state(tree: &Tree, problems: &mut Problems) -> Option<String> {
    const STATES: [(&str, &str); 8] = [
        ("reachable", "reachable"),
        ("stale", "stale"),
        ("delay", "delay"),
        ("probe", "probe"),
        ("failed", "failed"),
        ("incomplete", "incomplete"),
        ("permanent", "permanent"),
        ("noarp", "noarp"),
    ];
    problems.choice(tree, &STATES).map(str::to_owned)
}

/// Allowed deviation in per cent where none is given: what TCP over a shaped link needs.
const TOLERANCE_PERCENT: f64 = 10.0;

fn throughput(tree: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<ProbeDecl> {
    let tolerance = fields.get("tolerance").and_then(|t| problems.percent(t));
    let rate = match fields.get("rate") {
        Some(tree) => rate(tree, problems),
        None => {
            fields.missing("rate", tree.span, "for example `rate: 10mbit +-5%`");
            None
        }
    };
    let to = targets(tree, problems)?;
    let (rate_bit_per_s, own) = rate?;
    let tolerance_percent = tolerance.or(own).unwrap_or(TOLERANCE_PERCENT);
    Some(ProbeDecl::Throughput { to, rate_bit_per_s, tolerance_percent })
}

/// `10mbit`, `10mbit +-5%` or `10mbit ±5%`.
fn rate(tree: &Tree, problems: &mut Problems) -> Option<(u64, Option<f64>)> {
    let text = problems.text(tree, "a rate such as `10mbit +-5%`")?;
    let split = text.split_once("+-").or_else(|| text.split_once('±'));
    let parsed = match split {
        None => quantity::rate_bit_per_s(text).map(|rate| (rate, None)),
        Some((rate, share)) => {
            let share = quantity::percent(share).filter(|_| share.contains('%'));
            quantity::rate_bit_per_s(rate).zip(share.map(Some))
        }
    };
    if parsed.is_none() {
        let label = "not a rate such as `10mbit` or `10mbit +-5%`";
        problems.push(Diagnostic::new(Code::BadQuantity, tree.span).label(label));
    }
    parsed
}

//! Translation and packet filter of a node: tree to what is written.

use super::decode_route::via;
use super::read::{Problems, as_switch, one_or_many};
use super::suggest::nearest;
use super::syntax::{
    AllowDecl, At, ChainDecl, FirewallDecl, MasqueradeDecl, NatDecl, PortForwardDecl, Traffic, Via, Word,
};
use super::tree::{Entry, Tree, Value};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::nft::{Policy, Ports, Protocol};
use std::net::IpAddr;

const SOURCE: &str = "a network, a node or a prefix";
const OUT: &str = "a network or an interface";

/// `true`, an outgoing network, a map, or a list of these.
pub(crate) fn masquerades(tree: &Tree, problems: &mut Problems) -> Vec<MasqueradeDecl> {
    one_or_many(tree).iter().filter_map(|item| masquerade(item, problems)).collect()
}

fn masquerade(tree: &Tree, problems: &mut Problems) -> Option<MasqueradeDecl> {
    let mut decl = MasqueradeDecl { span: tree.span, from: Vec::new(), out: Vec::new() };
    match &tree.value {
        Value::Scalar { text, .. } if as_switch(text) == Some(true) => return Some(decl),
        Value::Scalar { text, .. } if as_switch(text) == Some(false) => return None,
        Value::Scalar { .. } => {
            decl.out = problems.words(tree, OUT);
            return Some(decl);
        }
        _ => {}
    }
    let mut fields = problems.fields(tree, "`true` or a map such as `{ from: lan, out: isp }`")?;
    decl.from = fields.get("from").map(|t| problems.some_words(t, SOURCE)).unwrap_or_default();
    decl.out = fields.get("out").map(|t| problems.some_words(t, OUT)).unwrap_or_default();
    fields.finish(problems);
    Some(decl)
}

/// A list of translations, each a map with one key that names its kind.
pub(crate) fn list(tree: &Tree, problems: &mut Problems) -> Vec<NatDecl> {
    if tree.value == Value::Null {
        return Vec::new();
    }
    let mut all = Vec::new();
    for item in one_or_many(tree) {
        let before = all.len();
        let entries = problems.entries(item, "a map such as `{ port-forward: { port: 80, to: web } }`");
        for entry in entries {
            match entry.key.as_str() {
                "masquerade" => all.push(NatDecl::Masquerade(masquerades(&entry.value, problems))),
                "snat" => all.extend(snat(&entry.value, problems)),
                "forward" | "port-forward" => {
                    let forwards = one_or_many(&entry.value).iter();
                    all.extend(forwards.filter_map(|tree| port_forward(tree, problems)));
                }
                other @ ("dnat" | "redirect" | "forwards" | "port-forwards" | "publish") => {
                    let label = format!("no key `{other}` belongs here");
                    let problem = Diagnostic::new(Code::UnknownKey, entry.key_span).label(label);
                    let help =
                        "destinations are translated by `port-forward: { port: 80, in: isp, to: web }`";
                    problems.push(problem.help(help));
                }
                other => {
                    problems.unknown_key(
                        other,
                        entry.key_span,
                        &["masquerade", "snat", "port-forward"],
                        None,
                    );
                }
            }
        }
        if entries.len() > 1 && all.len() > before {
            let second = &entries[1];
            let problem = Diagnostic::new(Code::KeysExclude, second.key_span);
            problems.push(
                problem.label("an item of `nat` holds one translation").help("begin it with its own `-`"),
            );
        }
    }
    all
}

fn snat(tree: &Tree, problems: &mut Problems) -> Option<NatDecl> {
    let mut fields = problems.fields(tree, "a map such as `{ from: lan, out: isp, to: 10.138.0.3 }`")?;
    let from = fields.get("from").map(|t| problems.some_words(t, SOURCE)).unwrap_or_default();
    let out = fields.get("out").map(|t| problems.some_words(t, OUT)).unwrap_or_default();
    let to_tree = fields.get("to");
    let to = to_tree.and_then(|t| problems.address(t).map(|a| At::new(a, t.span)));
    if to_tree.is_none() {
        fields.missing("to", tree.span, "for example `to: 10.138.0.3`");
    }
    fields.finish(problems);
    to.map(|to| NatDecl::Snat { span: tree.span, from, out, to })
}

fn port_forward(tree: &Tree, problems: &mut Problems) -> Option<NatDecl> {
    let mut fields = problems.fields(tree, "a map such as `{ port: 80, to: web }`")?;
    let ports_tree = fields.either("port", "ports", problems);
    let ports = ports_tree.map(|tree| ports(tree, problems)).unwrap_or_default();
    if ports_tree.is_none() {
        fields.missing("port", tree.span, "for example `port: 80`");
    }
    let protocol_tree = fields.either("protocol", "protocols", problems);
    let protocols = protocol_tree.map(|t| transport(t, problems)).unwrap_or(vec![Protocol::Tcp]);
    let incoming = fields.get("in").and_then(|t| problems.word(t, OUT));
    let to_tree = fields.get("to");
    let to = to_tree.and_then(|t| target(t, problems));
    if to_tree.is_none() {
        fields.missing("to", tree.span, "for example `to: web:8080`");
    }
    let hairpin = fields.get("hairpin").and_then(|t| problems.switch(t)).unwrap_or(false);
    fields.finish(problems);
    let (to, to_ports) = to?;
    let decl = PortForwardDecl { span: tree.span, ports, protocols, incoming, to, to_ports, hairpin };
    (!decl.ports.is_empty() && !decl.protocols.is_empty()).then_some(NatDecl::PortForward(decl))
}

fn transport(tree: &Tree, problems: &mut Problems) -> Vec<Protocol> {
    let words = [("tcp", Some(Protocol::Tcp)), ("udp", Some(Protocol::Udp)), ("both", None)];
    let mut all = Vec::new();
    for item in one_or_many(tree) {
        match problems.choice(item, &words) {
            Some(Some(protocol)) => all.push(protocol),
            Some(None) => all.extend([Protocol::Tcp, Protocol::Udp]),
            None => {}
        }
    }
    all
}

/// `web`, `web:8080`, `web:8080-8090`, `10.0.0.5`, `10.0.0.5:8080` or `[fd00::5]:8080`.
fn target(tree: &Tree, problems: &mut Problems) -> Option<(At<Via>, Option<Ports>)> {
    let text = problems.text(tree, "a node or address, with a port behind a colon where it differs")?;
    let (host, ports) = split_port(text);
    let ports = match ports {
        Some(ports) => match parse_ports(ports) {
            Some(ports) => Some(ports),
            None => {
                problems.push(bad_ports(ports, tree.span));
                return None;
            }
        },
        None => None,
    };
    Some((via(host, tree.span), ports))
}

/// A host and the digits behind its last colon, or two numbers with `-`; an IPv6 address has a port only in brackets.
pub(crate) fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some(rest) = text.strip_prefix('[')
        && let Some((host, after)) = rest.split_once(']')
    {
        return (host, after.strip_prefix(':'));
    }
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    let is_port = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    };
    match text.rsplit_once(':') {
        Some((host, port)) if is_port(port) => (host, Some(port)),
        _ => (text, None),
    }
}

fn bad_ports(text: &str, span: Span) -> Diagnostic {
    let label = format!("`{text}` is neither a port from 1 to 65535 nor a range such as `80-90`");
    Diagnostic::new(Code::BadPort, span).label(label)
}

pub(crate) fn bad_port(text: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::BadPort, span).label(format!("`{text}` is not a number from 1 to 65535"))
}

/// One port, a range `80-90`, or a list of these.
fn ports(tree: &Tree, problems: &mut Problems) -> Vec<At<Ports>> {
    let mut all = Vec::new();
    for item in one_or_many(tree) {
        let Some(text) = problems.text(item, "a port such as `80` or a range such as `80-90`") else {
            continue;
        };
        match parse_ports(text) {
            Some(ports) => all.push(At::new(ports, item.span)),
            None => problems.push(bad_ports(text, item.span)),
        }
    }
    all
}

fn parse_ports(text: &str) -> Option<Ports> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        None => port(text).map(Ports::from),
        Some((first, last)) => {
            let ports = Ports { first: port(first)?, last: port(last)? };
            (ports.first <= ports.last).then_some(ports)
        }
    }
}

/// `drop` or `accept` for both directions, or a map with `input` and `forward`.
pub(crate) fn firewall(tree: &Tree, problems: &mut Problems) -> Option<FirewallDecl> {
    if let Value::Scalar { .. } = tree.value {
        let chain = ChainDecl { policy: policy(tree, problems)?, allow: Vec::new() };
        return Some(FirewallDecl { input: Some(chain.clone()), forward: Some(chain) });
    }
    if tree.value == Value::Null {
        return None;
    }
    let mut fields = problems.fields(tree, "a map such as `{ input: drop, forward: accept }`")?;
    let input = fields.get("input").and_then(|tree| chain(tree, problems));
    let forward = fields.get("forward").and_then(|tree| chain(tree, problems));
    fields.finish(problems);
    Some(FirewallDecl { input, forward })
}

fn policy(tree: &Tree, problems: &mut Problems) -> Option<Policy> {
    problems.choice(tree, &[("drop", Policy::Drop), ("accept", Policy::Accept)])
}

fn chain(tree: &Tree, problems: &mut Problems) -> Option<ChainDecl> {
    if let Value::Scalar { .. } = tree.value {
        return Some(ChainDecl { policy: policy(tree, problems)?, allow: Vec::new() });
    }
    let wanted = "`drop`, `accept` or a map such as `{ policy: drop, allow: [ping] }`";
    let mut fields = problems.fields(tree, wanted)?;
    let policy_entry = fields.entry("policy");
    let policy = policy_entry.and_then(|e| policy(&e.value, problems)).unwrap_or(Policy::Drop);
    let mut allow = Vec::new();
    if let Some(entry) = fields.entry("allow") {
        allow = one_or_many(&entry.value).iter().filter_map(|item| allowed(item, problems)).collect();
        if policy == Policy::Accept && !allow.is_empty() {
            let problem = Diagnostic::new(Code::AllowHasNoEffect, entry.key_span);
            problems.push(problem.label("everything passes already").help("write `policy: drop`"));
        }
    }
    fields.finish(problems);
    Some(ChainDecl { policy, allow })
}

fn allowed(tree: &Tree, problems: &mut Problems) -> Option<AllowDecl> {
    let mut allow = AllowDecl {
        span: tree.span,
        from: Vec::new(),
        to: Vec::new(),
        incoming: Vec::new(),
        out: Vec::new(),
        traffic: Vec::new(),
    };
    if let Value::Scalar { text, .. } = &tree.value {
        allow.traffic = traffic_named(text, tree.span, problems)?;
        return Some(allow);
    }
    let mut fields = problems.fields(tree, "an entry such as `ping` or `{ from: lan, tcp: 80 }`")?;
    allow.from = fields.get("from").map(|t| problems.some_words(t, SOURCE)).unwrap_or_default();
    allow.to = fields.get("to").map(|t| problems.some_words(t, SOURCE)).unwrap_or_default();
    allow.incoming = fields.get("in").map(|t| problems.some_words(t, OUT)).unwrap_or_default();
    allow.out = fields.get("out").map(|t| problems.some_words(t, OUT)).unwrap_or_default();
    let mut is_readable = true;
    for (key, protocol) in [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)] {
        let Some(entry) = fields.entry(key) else { continue };
        let ports = ports_or_all(entry, problems);
        is_readable &= ports.is_some();
        allow.traffic.extend(ports.map(|ports| Traffic { ports, ..protocol.into() }));
    }
    for key in ["icmp", "ping"] {
        let Some(entry) = fields.entry(key) else { continue };
        let is_on = entry.value.value == Value::Null || problems.switch(&entry.value).unwrap_or(false);
        if is_on {
            allow.traffic.extend(traffic_named(key, entry.key_span, problems)?);
        }
    }
    if let Some(tree) = fields.either("protocol", "protocols", problems) {
        for word in problems.words(tree, "a protocol") {
            allow.traffic.extend(traffic_named(&word.value, word.span, problems)?);
        }
    }
    fields.finish(problems);
    is_readable.then_some(allow)
}

/// The ports of `tcp:` and `udp:`: empty for all, which nothing, `any` and `true` say.
fn ports_or_all(entry: &Entry, problems: &mut Problems) -> Option<Vec<Ports>> {
    match &entry.value.value {
        Value::Null => return Some(Vec::new()),
        Value::Scalar { text, .. } if matches!(text.as_str(), "any" | "all" | "true") => {
            return Some(Vec::new());
        }
        _ => {}
    }
    let ports = ports(&entry.value, problems);
    (!ports.is_empty()).then(|| ports.into_iter().map(|port| port.value).collect())
}

fn traffic_named(text: &str, span: Span, problems: &mut Problems) -> Option<Vec<Traffic>> {
    let protocols: &[Protocol] = match text {
        "ping" => return Some([Protocol::Icmp, Protocol::Icmpv6].map(Traffic::pings).to_vec()),
        "icmp" => &[Protocol::Icmp, Protocol::Icmpv6],
        "icmpv6" => &[Protocol::Icmpv6],
        "tcp" => &[Protocol::Tcp],
        "udp" => &[Protocol::Udp],
        "all" | "any" => &[],
        _ => {
            let known = ["ping", "icmp", "icmpv6", "tcp", "udp", "all"];
            let problem = Diagnostic::new(Code::UnknownAllow, span).label(format!("`{text}` is no protocol"));
            let help = match nearest(text, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "for example `ping`, `{ tcp: 80 }` or `{ from: lan, to: dmz, tcp: [80, 443] }`".into()
                }
            };
            problems.push(problem.help(help));
            return None;
        }
    };
    Some(protocols.iter().copied().map(Traffic::from).collect())
}

/// The host part of a target as a word.
pub(crate) fn word(text: &str, span: Span) -> Word {
    At::new(text.to_owned(), span)
}

//! Checks as they are written: a map whose first key says what it is about.

use super::MACHINE;
use super::check::{Check, Fact, LinkFact, Place, Translation};
use super::decode::text_of;
use super::decode_probe::probe;
use crate::diagnostic::{Code, Diagnostic};
use crate::labfile::read::{Fields, Problems, one_or_many};
use crate::labfile::tree::Tree;
use crate::nft::{Hook, Policy};
use ipnet::IpNet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The keys that say what a check is about.
pub(super) const KINDS: [&str; 17] = [
    "namespace",
    "link",
    "address",
    "route",
    "sysctl",
    "masquerade",
    "dnat",
    "policy",
    "neighbour",
    "learned",
    "listens",
    "counter",
    "flows",
    "ping",
    "tcp",
    "http",
    "dns",
];

pub(super) fn checks(tree: &Tree, problems: &mut Problems) -> Vec<Check> {
    one_or_many(tree).iter().filter_map(|tree| check(tree, problems)).collect()
}

pub(super) fn check(tree: &Tree, problems: &mut Problems) -> Option<Check> {
    let mut fields = problems.fields(tree, "a check: a map such as `{ namespace: pc }`")?;
    let Some(kind) = KINDS.into_iter().find(|kind| fields.peek(kind).is_some()) else {
        if !fields.report_misspelt(&KINDS, problems) {
            let problem = Diagnostic::new(Code::MissingKey, tree.span).title("a check is about nothing");
            problems.push(problem.help(format!("one of its keys must be {}", KINDS.join(", "))));
        }
        return None;
    };
    let value = fields.get(kind)?;
    let is_negated = fields.get("not").and_then(|tree| problems.switch(tree)).unwrap_or(false);
    let say = fields.get("say").and_then(|tree| text_of(tree, problems));
    let fact = match kind {
        "namespace" => {
            problems.text(value, "the name of a namespace").map(|name| Fact::Namespace(name.to_owned()))
        }
        "link" => link(value, &mut fields, problems).map(Fact::Link),
        "address" => address(value, &mut fields, problems),
        "route" => route(value, &mut fields, problems),
        "sysctl" => sysctl(value, &mut fields, problems),
        "masquerade" => masquerade(value, &mut fields, problems),
        "dnat" => dnat(value, &mut fields, problems),
        "policy" => policy(value, &mut fields, problems),
        "neighbour" => neighbour(value, &mut fields, problems),
        "learned" => learned(value, &mut fields, problems),
        "listens" => listens(value, &mut fields, problems),
        "counter" => counter(value, &mut fields, problems),
        "flows" => flows(value, &mut fields, problems),
        _ => probe(kind, value, &mut fields, problems).map(Fact::Probe),
    };
    fields.finish(problems);
    Some(Check { fact: fact?, is_negated, say })
}

fn namespace(fields: &mut Fields<'_>, problems: &mut Problems) -> String {
    let name = fields.get("in").and_then(|tree| problems.text(tree, "the name of a namespace"));
    name.unwrap_or(MACHINE).to_owned()
}

fn place(tree: &Tree, problems: &mut Problems) -> Option<Place> {
    problems.text(tree, "a link such as `pc:veth1-pc`").map(Place::parse)
}

pub(super) fn word(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Option<String> {
    fields.get(key).and_then(|tree| problems.text(tree, "a word")).map(str::to_owned)
}

fn link(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<LinkFact> {
    Some(LinkFact {
        kind: word(fields, "kind", problems),
        master: word(fields, "master", problems)
            .map(|name| if name == "none" { String::new() } else { name }),
        peer: fields.get("peer").and_then(|tree| place(tree, problems)),
        is_up: fields.get("up").and_then(|tree| problems.switch(tree)),
        mtu: fields.get("mtu").and_then(|tree| problems.number(tree, 68, 65_535)),
        has_stp: fields.get("stp").and_then(|tree| problems.switch(tree)),
        place: place(value, problems)?,
    })
}

fn address(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let on = fields.get("on").and_then(|tree| place(tree, problems));
    let namespace = on.as_ref().map_or_else(|| namespace(fields, problems), |place| place.namespace.clone());
    let text = problems.text(value, "an address such as `10.0.0.1/24`")?;
    let address = problems.prefix_or_address(text, value.span)?;
    Some(Fact::Address { address, namespace, link: on.map(|place| place.link) })
}

fn route(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let via = fields.get("via").and_then(|tree| problems.address(tree));
    let dev = word(fields, "dev", problems);
    let text = problems.text(value, "`default`, `default6` or a prefix")?;
    let to = match text {
        "default" if via.is_some_and(|via| via.is_ipv6()) => {
            IpNet::new(Ipv6Addr::UNSPECIFIED.into(), 0).ok()?
        }
        "default" => IpNet::new(Ipv4Addr::UNSPECIFIED.into(), 0).ok()?,
        "default6" => IpNet::new(Ipv6Addr::UNSPECIFIED.into(), 0).ok()?,
        text => problems.prefix_or_address(text, value.span)?,
    };
    Some(Fact::Route { namespace, to, via, dev })
}

fn sysctl(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let wanted = word(fields, "is", problems);
    if wanted.is_none() {
        fields.missing("is", value.span, "the value that it must have");
    }
    let key = problems.text(value, "a key such as `net.ipv4.ip_forward`")?.to_owned();
    Some(Fact::Sysctl { namespace, key, value: wanted? })
}

fn masquerade(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let out = word(fields, "out", problems);
    let from = problems.prefix(value)?;
    Some(Fact::Nat { namespace, translation: Translation::Masquerade { from, out } })
}

fn dnat(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let to = match fields.get("to") {
        Some(tree) => socket(tree, problems),
        None => {
            fields.missing("to", value.span, "where the port leads, for example `10.0.0.2:80`");
            None
        }
    };
    let port = problems.number(value, 1, 65_535)?;
    Some(Fact::Nat { namespace, translation: Translation::Dnat { port, to: to? } })
}

pub(super) fn socket(tree: &Tree, problems: &mut Problems) -> Option<SocketAddr> {
    let text = problems.text(tree, "an address with a port such as `10.0.0.2:80`")?;
    let socket = text.parse().ok();
    if socket.is_none() {
        let problem = Diagnostic::new(Code::BadAddress, tree.span).label("no address with a port");
        problems.push(problem.help("write `10.0.0.2:80`, or `[fd00::2]:80` in quotes"));
    }
    socket
}

fn policy(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let policies = [("accept", Policy::Accept), ("drop", Policy::Drop)];
    let policy = fields.get("is").and_then(|tree| problems.choice(tree, &policies)).unwrap_or(Policy::Accept);
    let hooks = [("input", Hook::Input), ("forward", Hook::Forward), ("output", Hook::Output)];
    Some(Fact::Policy { namespace, hook: problems.choice(value, &hooks)?, policy })
}

fn neighbour(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let mac_of = fields.get("mac-of").and_then(|tree| place(tree, problems));
    Some(Fact::Neighbour { namespace, address: problems.address(value)?, mac_of })
}

fn learned(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let Some(port) = fields.get("on") else {
        fields.missing("on", value.span, "the port of the bridge, for example `on: vm:veth1-br`");
        return None;
    };
    let port = place(port, problems);
    Some(Fact::Learned { link: place(value, problems)?, port: port? })
}

fn listens(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let protocols = [("tcp", true), ("udp", false)];
    let is_tcp = fields.get("protocol").and_then(|tree| problems.choice(tree, &protocols)).unwrap_or(true);
    Some(Fact::Listening { namespace, is_tcp, port: problems.number(value, 1, 65_535)? })
}

fn counter(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let grows =
        fields.get("grows").and_then(|tree| problems.number(tree, 1, u64::from(u32::MAX))).unwrap_or(1);
    let name = problems.text(value, "a counter such as `IcmpInEchoReps` or `ens4.tx`")?.to_owned();
    Some(Fact::Counter { namespace, name, grows })
}

fn flows(value: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Fact> {
    let namespace = namespace(fields, problems);
    let from = fields.get("from").map(one_or_many).unwrap_or_default();
    Some(Fact::Flows {
        namespace,
        from: from.iter().filter_map(|tree| problems.address(tree)).collect(),
        to: fields.get("to").and_then(|tree| problems.address(tree)),
        port: fields.get("port").and_then(|tree| problems.number(tree, 1, 65_535)),
        seen_as: fields.get("seen-as").and_then(|tree| problems.address(tree)),
        is_replied: fields.get("replied").and_then(|tree| problems.switch(tree)),
        count: problems.number(value, 1, 10_000)?,
    })
}

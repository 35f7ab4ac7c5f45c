//! Expectations in the schema: one form for each probe.

use super::{entries, number, object, refers, with, words};
use crate::expect::RouteProtocol;
use crate::fault::Cause;
use serde_json::{Map, Value, json};

/// The definitions of expectations.
pub(super) fn definitions() -> Map<String, Value> {
    let port = || number(1, 65_535, "Port of targets that name none.");
    let causes: Vec<String> = Cause::ALL.iter().map(|cause| cause.word()).collect();
    let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
    let seen_as = || {
        json!({
            "seen-as": refers("word", "The sender's address as the receiver saw it."),
            "dropped-by": words("Why it must not arrive; `outcome: dropped` is meant.", &causes),
            "dropped-at": refers("word", "The node where it must end."),
        })
    };
    let probes = [
        probe("ping", "Whom to send ICMP echo requests.", with(seen_as(), ping())),
        probe(
            "tcp",
            "Whom to open a TCP connection to, as `server:80`.",
            with(seen_as(), json!({ "port": port() })),
        ),
        probe(
            "udp",
            "Whom to send a datagram that is answered, as `server:53`.",
            with(
                seen_as(),
                json!({
                    "port": port(),
                    "payload": refers("text", "What is sent."),
                    "answer": refers("text", "What the answer must contain."),
                }),
            ),
        ),
        probe(
            "http",
            "What to GET: a URL or a node.",
            with(
                seen_as(),
                json!({
                    "port": number(1, 65_535, "Port where the URL names none; 80."),
                    "path": refers("text", "Path where the URL names none."),
                    "status": number(100, 599, "The status that is expected; any below 400 where none is given."),
                    "contains": refers("text", "What the body must contain."),
                }),
            ),
        ),
        probe(
            "dns",
            "The name to look up.",
            json!({
                "server": refers("word", "The server; the node's own resolver where none is given."),
                "type": words("Which record.", &["A", "AAAA", "a", "aaaa"]),
                "address": refers("word", "An address, or the node that has it, which the answer must hold."),
            }),
        ),
        probe(
            "route",
            "Where the kernel's route look-up is for.",
            json!({
                "via": refers("word", "Gateway that it must use: an address or a node."),
                "dev": refers("word", "Interface, or its network, that it must use."),
                "protocol": words("Who must have made it.", &RouteProtocol::ALL.map(RouteProtocol::word)),
            }),
        ),
        probe(
            "ospf-neighbour",
            "The OSPF neighbour: a node, or its router id.",
            json!({ "state": words("Its state; `full` where none is given.", &["full", "2-way", "loading", "exchange", "exstart", "init", "attempt", "down"]) }),
        ),
        probe(
            "bgp-session",
            "The other end of the BGP session: a node or an address.",
            json!({
                "state": words("Its state; `established` where none is given.", &["established", "openconfirm", "opensent", "active", "connect", "idle"]),
                "as": number(1, u32::MAX, "The autonomous system of the other end."),
            }),
        ),
        probe(
            "neighbour",
            "Whose neighbour entry to look at.",
            json!({
                "mac": refers("mac", "Its Ethernet address."),
                "state": words("Its state.", &["reachable", "stale", "delay", "probe", "failed", "incomplete", "permanent", "noarp"]),
            }),
        ),
        probe(
            "path",
            "The nodes on the way, the destination last.",
            json!({
                "to": refers("word", "The destination; the last node where none is given."),
            }),
        ),
        probe(
            "throughput",
            "Whom to send as fast as TCP can.",
            json!({
                "rate": { "type": ["string", "integer"], "description": "Expected rate, as `10mbit` or `10mbit +-5%`." },
                "tolerance": refers("share", "Allowed deviation; 10% where none is given."),
            }),
        ),
    ];
    entries(json!({ "expectation": { "type": "object", "anyOf": probes } }))
}

fn probe(name: &str, description: &str, own: Value) -> Value {
    let common = json!({
        "from": refers("words", "Who does it: a node, a group, a range, `all`, or a list of these."),
        "outcome": words("What must come of it; `ok` where none is given.", &["ok", "refused", "unreachable", "no-route", "timeout", "too-big", "ttl-exceeded", "dropped"]),
        "within": refers("time", "Time until which it must come true; it is tried again until then."),
    });
    let target = json!({ name: refers("words", description) });
    object(with(with(common, target), own), &["from", name])
}

fn ping() -> Value {
    json!({
        "count": number(1, 10_000, "Echo requests that must all be answered."),
        "size": number(0, 65_507, "Payload in bytes."),
        "df": refers("switch", "Do not fragment."),
        "ttl": number(1, 255, "TTL of the requests."),
        "answer-ttl": number(1, 255, "TTL that the answer must arrive with."),
        "hops": number(0, 254, "Routers that the answer passed."),
        "rtt": { "type": "string", "description": "Longest round trip, `5ms`, or shortest and longest, `40ms..60ms`." },
        "source": refers("word", "Source address."),
    })
}

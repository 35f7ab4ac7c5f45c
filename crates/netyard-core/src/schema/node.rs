//! Nodes, groups and defaults in the schema.

use super::{entries, map_of, number, object, one_or_many, refers, shaping, with, words};
use crate::labfile::FRR_DAEMONS;
use serde_json::{Map, Value, json};

/// The definitions of nodes and of all that is in them.
pub(super) fn definitions() -> Map<String, Value> {
    let members = json!({ "members": refers("words", "Nodes, ranges and groups that are in it.") });
    let network_defaults =
        with(json!({ "mtu": refers("mtu", "MTU of networks that name none.") }), shaping());
    let mut all = entries(json!({
        "node": { "anyOf": [{ "type": "null" }, object(node(), &[])] },
        "group": { "anyOf": [
            { "type": "null" },
            { "$ref": "#/$defs/words" },
            object(with(node(), members), &[]),
        ] },
        "defaults": object(with(node(), network_defaults), &[]),
    }));
    all.extend(links());
    all.extend(own());
    all.extend(routes());
    all.extend(translations());
    all.extend(firewall());
    all.extend(programs());
    all.extend(root());
    all
}

fn node() -> Value {
    with(
        json!({
            "role": words("What it is for: `router` forwards, `bridge` joins its links, `internet` answers for every outside address.", &["host", "router", "bridge", "internet"]),
            "kind": words("`net` is a network of its own, `full` has files and processes of its own too, `host` is where netyard was started (root only).", &["net", "full", "host"]),
            "group": refers("words", "Groups that it is in."),
            "groups": refers("words", "Groups that it is in."),
            "links": refers("links", "The networks that it is on; interfaces are `eth0`, `eth1` ... in this order."),
            "bridge": refers("bridge", "A bridge `br0` in the node, of all its links where no ports are given."),
            "bridges": map_of("bridge", "Bridges in the node by name."),
            "interfaces": { "type": ["object", "null"], "additionalProperties": { "$ref": "#/$defs/ownLink" }, "description": "Links of its own by name: macvlan, vlan, vxlan, tun, tap; and addresses of `lo`." },
            "down": refers("words", "Interfaces that are set down."),
            "tables": { "type": ["object", "null"], "additionalProperties": { "anyOf": [{ "type": "null" }, map_of("nftChain", "Chains by name.")] }, "description": "Tables of nftables by family and name, as `ip nat`." },
            "mtu": refers("mtu", "MTU of its interfaces that name none."),
            "routes": refers("routes", "Routes; with any, the node gets no default route by itself."),
            "gateway": refers("gateway", "Default gateway: an address, a node, one of each family, or `none`."),
            "forward": refers("forward", "Whether it forwards packets of others."),
        }),
        json!({
            "masquerade": one_or_many("masquerade"),
            "nat": one_or_many("nat"),
            "firewall": refers("firewall", "Packet filter; answers to what passed always pass."),
            "sysctls": { "type": ["object", "null"], "additionalProperties": { "$ref": "#/$defs/text" }, "description": "Sysctls below `net.`." },
            "rules": refers("rules", "Rules that choose a routing table, besides those that every node has."),
            "neighbours": refers("neighbours", "Permanent neighbour entries."),
            "run": refers("run", "Programs that run as long as the lab does."),
            "stop": refers("stop", "Programs that `down` runs before the lab ends, in this order."),
            "files": refers("files", "Files of its own: a folder laid over `/`, or texts and copies by path."),
            "rootfs": refers("text", "Its root file system: a folder, `.tar` or `.tar.gz`; the machine's programs where none is given."),
            "layers": refers("words", "Package layers by name, as `netyard layer` makes them."),
            "frr": refers("frr", "Routing daemons of FRR; implies forwarding."),
            "binds": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/bind" }, { "type": "array", "items": { "$ref": "#/$defs/bind" } }], "description": "Folders of the machine that it sees." },
            "env": refers("environment", "Environment of its programs."),
            "hostname": refers("text", "Host name where it is not the node's name."),
            "uplink": { "enum": ["pasta", "none", true, false, "on", "off", "yes", "no"], "description": "Connection to the real network, by pasta(1)." },
            "labels": { "anyOf": [
                { "$ref": "#/$defs/words" },
                { "type": ["object", "null"], "additionalProperties": { "$ref": "#/$defs/textOrNull" } },
            ], "description": "Free words for pictures and selections." },
        }),
    )
}

fn links() -> Map<String, Value> {
    let link = json!({
        "address": refers("addresses", "Its address, or several; `auto` for one of each prefix, `none` for none."),
        "addresses": refers("addresses", "The same as `address`."),
        "name": refers("ifname", "Its name in the node, at most 15 bytes."),
        "port": refers("ifname", "Name of the bridge's side."),
        "mac": refers("mac", "Its Ethernet address; made from lab, node and interface where none is given."),
        "mtu": refers("mtu", "Largest packet in bytes; the network's where none is given."),
        "up": refers("direction", "Shaping of what the node sends."),
        "down": refers("direction", "Shaping of what the node receives."),
    });
    let link = with(link, shaping());
    let named = with(link.clone(), json!({ "network": refers("word", "The network.") }));
    let by_network = json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/link" } });
    entries(json!({
        "direction": object(shaping(), &[]),
        "link": { "anyOf": [{ "$ref": "#/$defs/addresses" }, object(link, &[])] },
        "links": { "anyOf": [
            { "type": "null" },
            { "$ref": "#/$defs/word" },
            { "type": "array", "items": { "anyOf": [
                { "$ref": "#/$defs/word" },
                object(named, &["network"]),
                by_network,
            ] } },
            by_network,
        ] },
        "bridge": { "anyOf": [
            { "type": "null" },
            { "$ref": "#/$defs/switch" },
            { "type": "array", "items": { "$ref": "#/$defs/word" } },
            object(json!({
                "ports": refers("words", "Interfaces or networks of the node that are its ports."),
                "mac": refers("mac", "Its Ethernet address."),
                "stp": refers("stp", "Spanning tree."),
                "priority": number(0, 65_535, "Bridge priority for spanning tree."),
                "learning": refers("switch", "Whether it learns Ethernet addresses; on where not given."),
                "multicast-snooping": refers("switch", "IGMP and MLD snooping; off where not given."),
                "address": refers("addresses", "Addresses of the bridge itself."),
                "addresses": refers("addresses", "The same as `address`."),
            }), &[]),
        ] },
    }))
}

fn own() -> Map<String, Value> {
    let interface = json!({
        "kind": words("What it is.", &["macvlan", "vlan", "vxlan", "tun", "tap"]),
        "parent": refers("word", "The interface that it stands on: `eth0`, or `node:eth0`."),
        "mode": words("What passes between macvlans of one parent.", &["private", "vepa", "bridge", "passthru"]),
        "id": number(0, 0xff_ffff, "VLAN tag, or identifier of a vxlan."),
        "remote": refers("word", "Other end, or multicast group, of a vxlan."),
        "local": refers("word", "Source address of a vxlan's packets."),
        "port": number(1, 65_535, "UDP port of a vxlan; 4789 where none is given."),
        "learning": refers("switch", "Whether a vxlan learns which end has which Ethernet address."),
        "mac": refers("mac", "Its Ethernet address."),
        "mtu": refers("mtu", "Largest packet in bytes."),
        "address": refers("addresses", "Its addresses."),
        "addresses": refers("addresses", "The same as `address`."),
    });
    let rules = json!({ "anyOf": [
        { "type": ["string", "null"] },
        { "type": "array", "items": { "type": "string" } },
    ], "description": "Rules as nft(8) writes them." });
    let chain = json!({
        "type": words("What its rules may do.", &["filter", "nat", "route"]),
        "hook": words("Where packets enter it from.", &["prerouting", "input", "forward", "output", "postrouting"]),
        "priority": { "type": "integer", "description": "The lowest is first." },
        "policy": words("What happens to packets that no rule decides.", &["accept", "drop"]),
        "rules": rules,
    });
    entries(json!({
        "ownLink": { "anyOf": [{ "$ref": "#/$defs/addresses" }, object(interface, &[])] },
        "nftChain": { "anyOf": [rules, object(chain, &["hook"])] },
    }))
}

fn routes() -> Map<String, Value> {
    let hop = json!({
        "via": refers("word", "Gateway: an address or a node."),
        "dev": refers("word", "Interface, or the network it is on."),
        "weight": number(1, 256, "Share among several next hops."),
        "onlink": refers("switch", "Take the gateway as reachable on the link though no prefix says so."),
    });
    let rest = json!({
        "kind": words("`unreachable` and `prohibit` answer with ICMP, `blackhole` drops.", &["unicast", "unreachable", "blackhole", "prohibit"]),
        "hops": one_or_many("hop"),
        "src": refers("word", "Source address of the node's own packets."),
        "metric": { "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "The lowest wins." },
        "table": { "$ref": "#/$defs/routeTable" },
    });
    let rest = with(hop.clone(), rest);
    let long =
        with(rest.clone(), json!({ "to": refers("word", "`default`, a prefix, a network or a node.") }));
    let short = json!({ "type": "object", "additionalProperties": { "anyOf": [
        { "$ref": "#/$defs/word" },
        object(rest, &[]),
    ] } });
    entries(json!({
        "hop": { "anyOf": [{ "$ref": "#/$defs/word" }, object(hop, &[])] },
        "routes": { "anyOf": [
            { "type": "null" },
            { "type": "array", "items": { "anyOf": [object(long, &["to"]), short] } },
            short,
        ] },
        "routeTable": { "anyOf": [{ "enum": ["main", "default"] }, number(1, u32::MAX, "A table by its number.")] },
        "rules": one_or_many("rule"),
        "rule": object(json!({
            "priority": number(0, u32::MAX, "The lowest is asked first; one more than that of the rule before where none is given."),
            "not": refers("switch", "Holds for what does not match."),
            "from": refers("word", "Source: a prefix, a network, a node, or `all`."),
            "to": refers("word", "Destination: a prefix, a network, a node, or `all`."),
            "iif": refers("word", "Interface by which packets came in, or the network it is on; `lo` for the node's own."),
            "oif": refers("word", "Interface that the sending socket is bound to, or the network it is on."),
            "fwmark": refers("word", "Mark of the packet, with the bits that count: `0x1/0xff`."),
            "table": { "$ref": "#/$defs/routeTable" },
            "kind": words("`unreachable` and `prohibit` answer with ICMP, `blackhole` drops.", &["unreachable", "blackhole", "prohibit"]),
        }), &[]),
        "gateway": { "anyOf": [{ "$ref": "#/$defs/words" }, { "const": false }] },
        "forward": { "anyOf": [
            { "$ref": "#/$defs/switch" },
            { "enum": ["ipv4", "ipv6"] },
            { "type": "array", "items": { "enum": ["ipv4", "ipv6"] } },
        ] },
        "neighbours": { "anyOf": [
            { "type": ["object", "null"], "additionalProperties": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/mac" }] } },
            { "type": "array", "items": { "anyOf": [
                { "$ref": "#/$defs/word" },
                object(json!({
                    "to": refers("word", "An address or a node."),
                    "mac": refers("mac", "Its Ethernet address; that of the node where none is given."),
                    "dev": refers("word", "Interface, or the network it is on."),
                }), &["to"]),
            ] } },
        ] },
    }))
}

fn translations() -> Map<String, Value> {
    let sources = "Networks, nodes or prefixes; every source where none are given.";
    let out = "Outgoing networks or interfaces; that of the default route where none is given.";
    entries(json!({
        "masquerade": { "description": "Sources become the address of the outgoing interface; implies forwarding.", "anyOf": [
            { "$ref": "#/$defs/switch" },
            { "$ref": "#/$defs/word" },
            object(json!({ "from": refers("words", sources), "out": refers("words", out) }), &[]),
        ] },
        "ports": { "anyOf": [
            { "$ref": "#/$defs/port" },
            { "type": "array", "items": { "$ref": "#/$defs/port" } },
        ] },
        "port": { "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65_535 },
            { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" },
        ] },
        "portForward": object(json!({
            "port": refers("ports", "Public port, a range, or a list."),
            "ports": refers("ports", "The same as `port`."),
            "protocol": refers("transport", "`tcp` where none is given."),
            "protocols": refers("transport", "The same as `protocol`."),
            "in": refers("word", "Network or interface with the public address; that of the default route where none is given."),
            "to": refers("word", "A node or address, with its port or range of ports behind a colon where it differs."),
            "hairpin": refers("switch", "Whether the target's own network reaches it by the public address too."),
        }), &["to"]),
        "transport": { "anyOf": [
            { "enum": ["tcp", "udp", "both"] },
            { "type": "array", "items": { "enum": ["tcp", "udp", "both"] } },
        ] },
        "nat": { "description": "One translation.", "anyOf": [{ "type": "null" }, object(json!({
            "masquerade": one_or_many("masquerade"),
            "snat": object(json!({
                "from": refers("words", sources),
                "out": refers("words", out),
                "to": refers("word", "The new source address."),
            }), &["to"]),
            "port-forward": one_or_many("portForward"),
            "forward": one_or_many("portForward"),
        }), &[])] },
    }))
}

fn firewall() -> Map<String, Value> {
    let protocol = json!({ "enum": ["ping", "icmp", "icmpv6", "tcp", "udp", "all", "any"] });
    let all_ports = json!({ "anyOf": [{ "type": "null" }, { "const": true }, { "enum": ["any", "all"] }, { "$ref": "#/$defs/ports" }] });
    let icmp = json!({ "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/switch" }] });
    let allow = json!({
        "from": refers("words", "Networks, nodes, groups or prefixes."),
        "to": refers("words", "Networks, nodes, groups or prefixes."),
        "in": refers("words", "Incoming interfaces or networks."),
        "out": refers("words", "Outgoing interfaces or networks."),
        "tcp": all_ports,
        "udp": all_ports,
        "icmp": icmp,
        "ping": icmp,
        "protocol": { "anyOf": [protocol, { "type": "array", "items": protocol }] },
        "protocols": { "anyOf": [protocol, { "type": "array", "items": protocol }] },
    });
    let entry = json!({ "anyOf": [protocol, object(allow, &[])] });
    entries(json!({
        "firewall": { "anyOf": [
            { "type": "null" },
            { "enum": ["drop", "accept"] },
            object(json!({
                "input": refers("chain", "Packets to the node itself."),
                "forward": refers("chain", "Packets through the node."),
            }), &[]),
        ] },
        "chain": { "anyOf": [
            { "enum": ["drop", "accept"] },
            object(json!({
                "policy": words("What happens to what nothing allows; `drop` where none is given.", &["drop", "accept"]),
                "allow": { "anyOf": [entry, { "type": "array", "items": entry }] },
            }), &[]),
        ] },
    }))
}

fn programs() -> Map<String, Value> {
    let job = json!({
        "name": refers("text", "Its name; that of its file where none is given."),
        "command": refers("command", "A text for the shell, or a list of program and arguments."),
        "env": refers("environment", "Environment on top of the node's."),
    });
    let server = json!({
        "restart": { "enum": ["no", "never", "on-failure", "always", true, false, "on", "off", "yes"], "description": "When it is started again." },
        "ready": refers("ready", "When it counts as ready; as soon as it is started where nothing is said."),
        "after": refers("words", "Programs that must be ready before it starts: `NAME` of the node itself, `NODE/NAME` of another."),
    });
    entries(json!({
        "environment": { "type": ["object", "null"], "additionalProperties": { "$ref": "#/$defs/textOrNull" } },
        "command": { "anyOf": [
            { "$ref": "#/$defs/text" },
            { "type": "array", "items": { "$ref": "#/$defs/text" }, "minItems": 1 },
        ] },
        "ready": { "anyOf": [{ "enum": ["ended"] }, object(json!({
            "port": number(1, 65_535, "Somebody in the node listens on this TCP port."),
            "command": refers("command", "This ends with code 0 in the node."),
            "log": refers("text", "It has printed a line with this text."),
            "ended": { "enum": [true, "yes", "on"], "description": "It has ended with code 0: it is a job, not a server." },
            "within": refers("text", "How long that may take; 30s where nothing is said."),
        }), &[])] },
        "program": { "anyOf": [{ "$ref": "#/$defs/command" }, object(with(job.clone(), server), &["command"])] },
        "job": { "anyOf": [{ "$ref": "#/$defs/command" }, object(job.clone(), &["command"])] },
        "run": programs_of("program", object(entries_of_long(), &["command"])),
        "stop": programs_of("job", object(job, &["command"])),
    }))
}

/// One program, a list of them, or a map by name.
fn programs_of(program: &str, long: Value) -> Value {
    let program = json!({ "$ref": format!("#/$defs/{program}") });
    json!({ "anyOf": [
        { "type": "null" },
        { "$ref": "#/$defs/text" },
        { "type": "array", "items": program },
        long,
        { "type": "object", "additionalProperties": program },
    ] })
}

fn entries_of_long() -> Value {
    json!({
        "name": { "$ref": "#/$defs/text" },
        "command": { "$ref": "#/$defs/command" },
        "restart": { "$ref": "#/$defs/text" },
        "env": { "$ref": "#/$defs/environment" },
        "ready": { "$ref": "#/$defs/ready" },
        "after": { "$ref": "#/$defs/words" },
    })
}

fn root() -> Map<String, Value> {
    let file = json!({
        "text": refers("text", "What is in it."),
        "from": refers("text", "A file or folder below the lab file's folder that is copied."),
        "mode": { "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 7777 },
            { "type": "string", "pattern": "^(0o)?[0-7]{1,5}$" },
        ], "description": "Permission bits, in octal digits." },
        "owner": refers("text", "`USER` or `USER:GROUP` of the node; root where none is given."),
    });
    let by_path = json!({ "type": "object", "additionalProperties": { "anyOf": [
        { "$ref": "#/$defs/text" },
        object(file, &[]),
    ] } });
    let bind = json!({
        "source": refers("text", "The folder on the machine, absolute or below the lab file's folder."),
        "path": refers("text", "Where the node sees it, absolute."),
        "read-only": refers("switch", "Whether the node may not write there."),
    });
    let one = json!({ "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/text" }, by_path] });
    let content = json!({ "anyOf": [{ "$ref": "#/$defs/text" }, object(json!({
        "text": refers("text", "The text."),
        "from": refers("text", "A file below the lab file's folder."),
    }), &[])] });
    let mut frr = Map::new();
    for daemon in FRR_DAEMONS {
        frr.insert(daemon.to_owned(), json!({ "anyOf": [{ "type": "null" }, content] }));
    }
    let names = json!({ "enum": FRR_DAEMONS });
    let names = json!({ "anyOf": [names, { "type": "array", "items": names }] });
    frr.insert("daemons".to_owned(), names.clone());
    frr.insert("config".to_owned(), content);
    entries(json!({
        "frr": { "anyOf": [names, object(Value::Object(frr), &[])] },
        "files": { "anyOf": [one, { "type": "array", "items": one }] },
        "bind": { "anyOf": [{ "$ref": "#/$defs/text" }, object(bind, &["source", "path"])] },
    }))
}

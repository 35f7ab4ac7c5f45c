//! Namespaces as tables.

use crate::output::table::{aligned, heading};
use crate::output::theme::{Cell, Label, Theme};
use netyard_core::look::{Interface, Look, Seen};
use netyard_core::show::{LinkState, RuleView};

/// One table of namespaces, one of interfaces, and one for each other thing that there is.
pub fn whole(look: &Look, theme: Theme) -> String {
    let mut namespaces = vec![heading(["NAMESPACE", "INODE", "KNOWN BY"])];
    namespaces.extend(look.namespaces.iter().map(namespace_row));
    let mut interfaces =
        vec![heading(["NAMESPACE", "INTERFACE", "KIND", "STATE", "ADDRESSES", "LEADS TO", "MTU"])];
    interfaces.extend(look.namespaces.iter().flat_map(interface_rows));
    let mut text = format!("{}\n{}", aligned(&namespaces, theme), aligned(&interfaces, theme));
    let sections = [
        ("ROUTES", rows(look, route_cells)),
        (
            "ROUTING RULES",
            rows(look, |seen| seen.rules.iter().map(|rule| pair(Label::Route, rule, "")).collect()),
        ),
        ("NAT", rows(look, |seen| rule_cells(Label::Nat, &seen.nat))),
        ("FIREWALL", rows(look, |seen| rule_cells(Label::Firewall, &seen.firewall))),
        ("FORWARDING", rows(look, forwarding_cells)),
        ("NEIGHBOURS", rows(look, neighbour_cells)),
        ("LISTENING", rows(look, socket_cells)),
        ("NOT SEEN", rows(look, not_seen_cells)),
    ];
    for (title, rows) in sections.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        text.push_str(&format!("\n{}\n{}", theme.paint(Label::Heading, title), aligned(&rows, theme)));
    }
    text
}

fn namespace_row(seen: &Seen) -> [Cell; 3] {
    [
        Cell::new(Label::Node, &seen.name),
        Cell::new(Label::Quiet, seen.inode),
        Cell::plain(seen.known_by().join(", ")),
    ]
}

fn interface_rows(seen: &Seen) -> Vec<[Cell; 7]> {
    let is_worth_telling = |interface: &&Interface| {
        interface.kind != "loopback"
            || interface.state != LinkState::Up
            || interface.addresses.iter().any(|address| !address.addr().is_loopback())
    };
    let shown = seen.interfaces.iter().filter(is_worth_telling).enumerate();
    shown
        .map(|(at, interface)| interface_row(if at == 0 { seen.name.as_str() } else { "" }, interface))
        .collect()
}

fn interface_row(name: &str, interface: &Interface) -> [Cell; 7] {
    let state = match interface.state {
        LinkState::Up => Label::Good,
        LinkState::NoCarrier => Label::Doubtful,
        LinkState::Down | LinkState::Missing => Label::Bad,
    };
    let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let settings: Vec<String> =
        interface.settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
    [
        Cell::new(Label::Node, name),
        Cell::plain(&interface.name),
        Cell::plain(format!("{} {}", interface.kind, settings.join(" ")).trim_end()),
        Cell::new(state, interface.state),
        Cell::new(Label::Address, or_dash(addresses.join(", "))),
        Cell::new(Label::Network, or_dash(leads_to(interface))),
        Cell::new(Label::Quiet, interface.mtu),
    ]
}

/// `pc:eth0`, `port of br0`, `on host:eth0`, `2 ports`.
fn leads_to(interface: &Interface) -> String {
    let mut words = Vec::new();
    words.extend(interface.peer.as_ref().map(ToString::to_string));
    words.extend(interface.parent.as_ref().map(|parent| format!("on {parent}")));
    if let Some(master) = &interface.master {
        let state = interface.port_state.filter(|state| *state != "forwarding");
        words.push(format!("port of {master}{}", state.map(|s| format!(" ({s})")).unwrap_or_default()));
    }
    if let Some(bridge) = &interface.bridge {
        words.push(if bridge.ports.is_empty() { "no port".to_owned() } else { bridge.ports.join(" ") });
        words.extend(bridge.stp.then(|| "spanning tree".to_owned()));
        words.extend(bridge.filters_vlans.then(|| "vlan filtering".to_owned()));
        if bridge.learned > 0 {
            words.push(format!("{} learned", bridge.learned));
        }
    }
    words.join(", ")
}

/// One row for each thing of each namespace, its name before the first.
fn rows(look: &Look, things: impl Fn(&Seen) -> Vec<[Cell; 2]>) -> Vec<[Cell; 3]> {
    let of_seen = |seen: &Seen| {
        let name = seen.name.to_string();
        let things = things(seen).into_iter().enumerate();
        let rows = things.map(move |(index, [first, second])| {
            [Cell::new(Label::Node, if index == 0 { &*name } else { "" }), first, second]
        });
        rows.collect::<Vec<_>>()
    };
    look.namespaces.iter().flat_map(of_seen).collect()
}

fn pair(label: Label, first: &str, second: &str) -> [Cell; 2] {
    [Cell::new(label, first), Cell::new(Label::Quiet, second)]
}

fn route_cells(seen: &Seen) -> Vec<[Cell; 2]> {
    let who = |protocol: &str| match protocol {
        "boot" | "static" => String::new(),
        "kernel" => "# of an address".to_owned(),
        other => format!("# by {other}"),
    };
    seen.routes.iter().map(|route| pair(Label::Route, &route.words, &who(&route.protocol))).collect()
}

fn rule_cells(label: Label, rules: &[RuleView]) -> Vec<[Cell; 2]> {
    let cells = |rule: &RuleView| {
        let meaning = rule.meaning.as_ref().map_or("# not understood".to_owned(), |m| format!("# {m}"));
        pair(label, &format!("{}: {}", rule.chain, rule.rule), &meaning)
    };
    rules.iter().map(cells).collect()
}

/// What forwards, and what else is not as usual.
fn forwarding_cells(seen: &Seen) -> Vec<[Cell; 2]> {
    let is_told = |key: &str, value: &str| {
        let is_of_all = matches!(key, "net.ipv4.ip_forward" | "net.ipv6.conf.all.forwarding");
        let bridge = key.starts_with("net.bridge.") && seen.interfaces.iter().any(|i| i.bridge.is_some());
        value != "0" && (is_of_all || bridge || key == "net.ipv4.conf.all.rp_filter")
    };
    let told = seen.sysctls.iter().filter(|(key, value)| is_told(key, value));
    told.map(|(key, value)| pair(Label::Plain, &format!("{key} = {value}"), "")).collect()
}

fn neighbour_cells(seen: &Seen) -> Vec<[Cell; 2]> {
    let cells = |entry: &netyard_core::look::NeighbourView| {
        let mac = entry.mac.map(|mac| format!(" is {mac}")).unwrap_or_default();
        pair(
            Label::Address,
            &format!("{}{mac}", entry.address),
            &format!("{} on {}", entry.state, entry.interface),
        )
    };
    seen.neighbours.iter().map(cells).collect()
}

fn socket_cells(seen: &Seen) -> Vec<[Cell; 2]> {
    let process = |socket: &netyard_core::look::SocketView| {
        socket
            .process
            .as_ref()
            .map(|process| format!("{} ({})", process.comm, process.pid))
            .unwrap_or_default()
    };
    let cells = |socket: &netyard_core::look::SocketView| {
        pair(Label::Address, &format!("{} {}", socket.protocol, socket.address), &process(socket))
    };
    seen.sockets.iter().map(cells).collect()
}

fn not_seen_cells(seen: &Seen) -> Vec<[Cell; 2]> {
    seen.unread.iter().chain(&seen.notes).map(|why| pair(Label::Doubtful, why, "")).collect()
}

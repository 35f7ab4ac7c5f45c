//! An explanation in words.

use crate::output::table::aligned;
use crate::output::theme::{Cell, Label, Theme};
use netyard::scout::Scout;
use netyard::why::party_words;
use netyard_core::fault::{Confidence, Effect, Fault, Way};
use netyard_core::journey::{Endpoints, Event, Forwarding, Hop, Leg, Nat};
use netyard_core::why::probe::Probed;
use netyard_core::why::{Explanation, Verdict};
use std::net::SocketAddr;

/// One sentence, what proves it, what mends it; of a way without a fault, what happens on it.
pub fn whole(explanation: &Explanation, scout: &Scout, theme: Theme) -> String {
    let mut text = String::new();
    let (stops, remarks): (Vec<&Fault>, Vec<&Fault>) =
        explanation.faults.iter().partition(|fault| fault.effect == Effect::Stops);
    for fault in &stops {
        text.push_str(&told(fault, scout, theme));
    }
    if explanation.verdict == Verdict::Reachable {
        let name = explanation.name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
        let line = format!(
            "{} reaches {name}{} ({}), and the answer comes back",
            party_words(&explanation.from),
            party_words(&explanation.to),
            explanation.about
        );
        text.push_str(&format!("{}\n", theme.paint(Label::Good, &line)));
    }
    // The way is of interest where all is well, and as far as can be seen where that is not known.
    if explanation.verdict != Verdict::Unreachable {
        for leg in &explanation.legs {
            text.push_str(&leg_text(leg, theme));
        }
    }
    if let Some(probe) = &explanation.probe {
        text.push_str(&probed(probe, theme));
    }
    for fault in &remarks {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&told(fault, scout, theme));
    }
    text
}

/// What came of a real packet.
fn probed(probe: &Probed, theme: Theme) -> String {
    let (label, word) =
        if probe.is_answered { (Label::Good, "a real packet:") } else { (Label::Bad, "a real packet:") };
    let mut text = format!("{} {}\n", theme.paint(label, word), probe.says);
    if let Some(last) = &probe.last {
        text.push_str(&format!("  seen last at {last}\n"));
    }
    let rows: Vec<[Cell; 2]> = probe
        .changes
        .iter()
        .map(|change| {
            [
                Cell::new(Label::Node, format!("  {}", change.node)),
                Cell::plain(format!("{} +{}", change.counter, change.by)),
            ]
        })
        .collect();
    text + &aligned(&rows, theme)
}

fn told(fault: &Fault, scout: &Scout, theme: Theme) -> String {
    let (label, tail) = match (fault.effect, fault.confidence) {
        (Effect::Stops, Confidence::Unknown) => (Label::Doubtful, ""),
        (Effect::Stops, _) => (Label::Bad, ""),
        (Effect::Sometimes, _) => (Label::Doubtful, " (works by luck)"),
        (Effect::StopsLarge, _) => (Label::Doubtful, " (small packets pass)"),
        (Effect::StopsUsers, _) => (Label::Doubtful, " (root may)"),
        (Effect::Remark, _) => (Label::Quiet, ""),
    };
    let mut text = format!("{}{tail}\n", theme.paint(label, &fault.sentence));
    let mut rows = Vec::new();
    for (at, evidence) in fault.evidence.iter().enumerate() {
        rows.push([
            Cell::new(Label::Quiet, if at == 0 { "  seen" } else { "" }),
            Cell::new(Label::Node, &evidence.node),
            Cell::plain(&evidence.command),
            Cell::new(Label::Quiet, &evidence.says),
        ]);
    }
    text.push_str(&aligned(&rows, theme));
    // What mends it can be typed as it is told.
    let mut rows = Vec::new();
    for (at, fix) in fault.fixes.iter().enumerate() {
        rows.push([
            Cell::new(Label::Quiet, if at == 0 { "  mend" } else { "" }),
            Cell::new(Label::Good, scout.typed(&fix.node, &fix.command)),
            Cell::new(Label::Quiet, format!("# {}", fix.does)),
        ]);
        if let Some(line) = &fix.lab_line {
            rows.push([Cell::plain(""), Cell::plain(line), Cell::new(Label::Quiet, "# in the lab file")]);
        }
    }
    text.push_str(&aligned(&rows, theme));
    text
}

fn leg_text(leg: &Leg, theme: Theme) -> String {
    let way = match leg.way {
        Way::There => "there",
        Way::Back => "back",
    };
    let title = match &leg.headers.endpoints {
        Some(ends) => format!("{way}: {}, {} > {}", leg.title, ends.source, ends.destination),
        None => format!("{way}: {}", leg.title),
    };
    let rows: Vec<[Cell; 2]> = leg
        .hops
        .iter()
        .enumerate()
        .filter(|(at, _)| !is_of_bridge(&leg.hops, *at))
        .filter_map(|(_, hop)| row(hop))
        .collect();
    let mut text = format!("{}\n", theme.paint(Label::Heading, &title));
    for line in aligned(&rows, theme).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// Whether a hop is a frame that comes into a port of a bridge or leaves by one: the bridge's own line tells that.
fn is_of_bridge(hops: &[Hop], at: usize) -> bool {
    let is_bridged = |other: Option<&Hop>, is_in: bool| {
        other.is_some_and(|other| match &other.event {
            Event::Bridged { from, to, .. } => {
                let name = &hops[at].place.interface;
                other.place.node == hops[at].place.node
                    && if is_in { from == name } else { name.as_ref().is_some_and(|name| to.contains(name)) }
            }
            _ => false,
        })
    };
    match hops[at].event {
        Event::Received => is_bridged(hops.get(at + 1), true),
        Event::Sent => is_bridged(at.checked_sub(1).and_then(|before| hops.get(before)), false),
        _ => false,
    }
}

fn row(hop: &Hop) -> Option<[Cell; 2]> {
    let (label, words) = match &hop.event {
        Event::Sent => (Label::Plain, "out".to_owned()),
        Event::Received => (Label::Plain, "in".to_owned()),
        Event::Bridged { bridge, from, to, decision } => {
            let from = from.as_ref().map_or_else(|| "its own node".to_owned(), ToString::to_string);
            let to: Vec<String> = to.iter().map(ToString::to_string).collect();
            let to = if to.is_empty() { "its own node".to_owned() } else { to.join(", ") };
            let how = match decision {
                Forwarding::Hit => "knows the address",
                Forwarding::Flood => "floods: does not know the address yet",
                Forwarding::Local => "for itself",
            };
            (Label::Network, format!("bridge {bridge}: from {from} to {to} ({how})"))
        }
        Event::Routed { route, table, via, dev, src } => {
            let route = route.map_or_else(
                || "route".to_owned(),
                |route| match route.prefix_len() {
                    0 => "route default".to_owned(),
                    _ => format!("route {route}"),
                },
            );
            let via = via.map(|via| format!(" via {via}")).unwrap_or_default();
            let src = src.map(|src| format!(", source {src}")).unwrap_or_default();
            let table = if [254, 255].contains(table) { String::new() } else { format!(", table {table}") };
            (Label::Route, format!("{route}{via} dev {dev}{src}{table}"))
        }
        Event::Neighbour { to, mac, state } => {
            let mac = mac.map_or_else(|| "not known".to_owned(), |mac| mac.to_string());
            let state = if state == "none" { "would be asked for" } else { state };
            (Label::Plain, format!("neighbour {to} is {mac} ({state})"))
        }
        Event::Ttl { from, to } => (Label::Quiet, format!("ttl {from} > {to}")),
        Event::Filtered { rule, verdict } => (
            Label::Firewall,
            format!("{} {} {}: {} ({verdict})", rule.family, rule.table, rule.chain, rule.text),
        ),
        Event::Translated { nat, before, after, rule, .. } => {
            let word = match nat {
                Nat::Masquerade => "masquerade",
                Nat::Snat => "snat",
                Nat::Dnat => "dnat",
                Nat::Undo => "translated back",
            };
            let rule = rule.as_ref().map(|rule| format!(", by `{}`", rule.text)).unwrap_or_default();
            (Label::Nat, format!("{word}: {} becomes {}{rule}", ends(before), ends(after)))
        }
        Event::Fragmented { pieces } => (Label::Plain, format!("{pieces} fragments")),
        Event::Reassembled { pieces } => (Label::Plain, format!("put together from {pieces} fragments")),
        Event::Segmented { pieces } => (Label::Plain, format!("{pieces} segments")),
        Event::Tunnelled { kind, is_in, id } => {
            let id = id.map(|id| format!(" {id}")).unwrap_or_default();
            let verb = if *is_in { "put into" } else { "taken out of" };
            (Label::Plain, format!("{verb} {kind}{id}"))
        }
        Event::Delivered { to, socket, .. } => {
            let socket = socket.map(|socket| format!(", to the socket at {socket}")).unwrap_or_default();
            (Label::Good, format!("arrives: {to} is its own address{socket}"))
        }
        Event::Dropped(_) => return None,
    };
    Some([Cell::new(Label::Node, &hop.place), Cell::new(label, words)])
}

/// `10.0.0.1 > 1.1.1.1`, with ports where there are some.
fn ends(ends: &Endpoints) -> String {
    let end = |address, port: Option<u16>| match port {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    };
    format!("{} > {}", end(ends.source, ends.source_port), end(ends.destination, ends.destination_port))
}

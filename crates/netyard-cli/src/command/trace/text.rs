//! The way of packets as text.

use crate::output::theme::{Label, Theme};
use netyard::scout::Scout;
use netyard_core::conntrack::Detail;
use netyard_core::fault::{Confidence, Fault, Way};
use netyard_core::journey::{Endpoints, Event, Forwarding, Hop, Journey, Leg, More, Nat, RuleAt, Verdict};
use netyard_core::packet::{ARP, ICMP, ICMPV6, mac_text};
use netyard_core::state::Ns;
use netyard_core::trace::title;
use std::sync::Arc;
use unicode_width::UnicodeWidthStr;

/// How journeys are written.
pub struct Text {
    theme: Theme,
    is_ascii: bool,
    is_full: bool,
    /// Who knows how a command is typed in a namespace, as long as it is there.
    scout: Option<Arc<Scout>>,
    /// The ways of conversations that were told in full.
    told: Vec<Vec<(Way, Vec<String>)>>,
}

/// The most ways that are remembered.
const TOLD_MAX: usize = 64;

/// Packets of the same sort and way that are told in a row.
const ALIKE_MAX: usize = 6;

/// Columns of the time.
const TIME: usize = 10;
/// The least columns of a node's name.
const NODE_MIN: usize = 8;

/// One line: when, where, a sign, what.
struct Row {
    at_ns: Option<u64>,
    node: String,
    sign: char,
    label: Label,
    words: String,
}

impl Text {
    pub fn new(theme: Theme, is_ascii: bool, is_full: bool, scout: Option<Arc<Scout>>) -> Self {
        Self { theme, is_ascii, is_full, scout, told: Vec::new() }
    }

    /// A conversation. One that went as another before it is one line, unless all is wanted.
    pub fn journey(&mut self, journey: &Journey) -> String {
        if let Some(line) = self.brief(journey) {
            return line;
        }
        let ways: Vec<(Way, Vec<String>)> =
            journey.legs.iter().map(|leg| (leg.way, leg.hops.iter().map(step).collect())).collect();
        let has_arrived = matches!(journey.verdict, Verdict::Arrived { .. });
        if !self.is_full && has_arrived && journey.more.is_empty() && self.told.contains(&ways) {
            let head = journey.legs.first().map(|leg| self.head(leg, None)).unwrap_or_default();
            return format!("{}   as before   {}\n", head.trim_end(), self.verdict(journey));
        }
        if self.told.len() < TOLD_MAX {
            self.told.push(ways);
        }
        let is_lost = matches!(journey.verdict, Verdict::Lost { .. });
        let rows: Vec<Vec<Row>> = journey.legs.iter().map(|leg| self.rows(leg, is_lost)).collect();
        let node = rows.iter().flatten().map(|row| row.node.width()).max().unwrap_or(0).max(NODE_MIN);
        let begun = journey.legs.iter().flat_map(|leg| &leg.hops).filter_map(|hop| hop.at_ns).min();
        let mut text = String::new();
        let mut shown: Vec<(Way, Vec<String>)> = Vec::new();
        let mut alike = 0;
        for (leg, rows) in journey.legs.iter().zip(rows) {
            let path: Vec<String> = leg.hops.iter().map(step).collect();
            let is_known =
                !self.is_full && shown.iter().any(|(way, known)| *way == leg.way && *known == path);
            // Of data and acknowledgements in a row, the first few tell enough.
            let is_plain = is_known && (leg.title.starts_with("TCP data") || leg.title == "TCP ACK");
            alike = if is_plain { alike + 1 } else { 0 };
            if alike > ALIKE_MAX {
                continue;
            }
            text.push_str(&self.head(leg, begun.filter(|_| is_known)));
            if alike == ALIKE_MAX {
                text.push_str("...\n");
            }
            if !is_known {
                text.push_str(&self.body(&rows, begun, node));
                shown.push((leg.way, path));
            }
        }
        text.push_str(&self.more(&journey.more));
        text.push_str(&self.verdict(journey));
        text.push('\n');
        text
    }

    /// A question for a neighbour that was answered is one line, unless all is wanted.
    fn brief(&self, journey: &Journey) -> Option<String> {
        let (asks, answers) = (journey.legs.first()?, journey.legs.get(1)?);
        let is_asked = asks.headers.ethertype == ARP || asks.title.starts_with("neighbour");
        let Verdict::Arrived { took_ns: Some(took_ns), .. } = journey.verdict else { return None };
        if self.is_full || !is_asked || journey.legs.len() != 2 {
            return None;
        }
        let of = |leg: &Leg| leg.hops.first().map(|hop| hop.place.node.to_string());
        let (asker, answerer) = (of(asks)?, of(answers)?);
        let mac = answers.headers.macs.map(|(from, _)| mac_text(from.0))?;
        let title = self.theme.paint(Label::Heading, &format!("{:<34}", asks.title));
        let took = self.time(took_ns);
        let took = took.trim_start_matches('+');
        Some(format!("{title} {asker} asks, {answerer} answers {mac} within {took}\n\n"))
    }

    /// One packet alone.
    pub fn leg(&self, leg: &Leg) -> String {
        let rows = self.rows(leg, true);
        let node = rows.iter().map(|row| row.node.width()).max().unwrap_or(0).max(NODE_MIN);
        format!("{}{}", self.head(leg, None), self.body(&rows, None, node))
    }

    /// The line above the hops of a packet; of one that went a way that was told it is all.
    fn head(&self, leg: &Leg, same_since: Option<u64>) -> String {
        let mut title = leg.title.clone();
        if leg.is_copy {
            title.push_str(" (a copy)");
        }
        let ends = leg.headers.endpoints.map(|ends| title::ends(&ends, has_ports(leg))).unwrap_or_default();
        let title = self.theme.paint(Label::Heading, &format!("{title:<34}"));
        let ends = self.theme.paint(Label::Address, &self.arrow(&ends));
        let same = same_since.map_or_else(String::new, |begun| {
            let first = leg.hops.iter().find_map(|hop| hop.at_ns).unwrap_or(begun);
            let arrived = if leg.hops.iter().any(|hop| matches!(hop.event, Event::Delivered { .. })) {
                format!(" {}", self.theme.paint(Label::Good, &self.glyph('✓')))
            } else {
                String::new()
            };
            format!("   {}, the same way{arrived}", self.time(first.saturating_sub(begun)))
        });
        format!("{title} {ends}   {} B{same}\n", leg.headers.len)
    }

    fn body(&self, rows: &[Row], begun: Option<u64>, width: usize) -> String {
        let mut text = String::new();
        let (mut last_time, mut last_node) = (String::new(), "");
        for row in rows {
            let time = row
                .at_ns
                .zip(begun)
                .map(|(at, begun)| self.time(at.saturating_sub(begun)))
                .unwrap_or_default();
            let shown = if time == last_time { "" } else { time.as_str() };
            let node = if row.node == last_node { "" } else { row.node.as_str() };
            let pad = |text: &str, columns: usize| " ".repeat(columns.saturating_sub(text.width()));
            let sign = self.glyph(row.sign);
            let line = format!(
                "{}{}  {}{} {}{} {}",
                pad(shown, TIME),
                self.theme.paint(Label::Quiet, shown),
                self.theme.paint(Label::Node, node),
                pad(node, width),
                pad(&sign, 1),
                self.theme.paint(row.label, &sign),
                self.theme.paint(row.label, &self.arrow(&row.words)),
            );
            text.push_str(line.trim_end());
            text.push('\n');
            last_time = time;
            last_node = &row.node;
        }
        text
    }

    /// `+47.1 µs`
    fn time(&self, ns: u64) -> String {
        let micro = if self.is_ascii { "us" } else { "µs" };
        let tenth = |value: u64, unit: u64| format!("{}.{}", value / unit, value % unit / (unit / 10));
        match ns {
            0..1_000_000 => format!("+{} {micro}", tenth(ns, 1_000)),
            1_000_000..1_000_000_000 => format!("+{} ms", tenth(ns, 1_000_000)),
            _ => format!("+{} s", tenth(ns, 1_000_000_000)),
        }
    }

    /// The rows of a packet. Where nothing was lost, what came to the door of a node has gone in.
    fn rows(&self, leg: &Leg, is_lost: bool) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let mut ends = leg.headers.endpoints;
        let mut neighbour = None;
        for hop in &leg.hops {
            let interface = hop.place.interface.as_ref().map(ToString::to_string).unwrap_or_default();
            match &hop.event {
                Event::Neighbour { to, mac, state } => {
                    neighbour = Some((to, mac, state));
                    continue;
                }
                Event::Sent => {
                    let mut words = interface;
                    if let Some((to, mac, state)) = neighbour.take() {
                        let mac = mac.map_or_else(|| "unknown".to_owned(), |mac| mac_text(mac.0));
                        words.push_str(&format!("   to {to} at {mac} ({state})"));
                    }
                    let now = hop.headers.as_ref().and_then(|headers| headers.endpoints);
                    if now.is_some() && now != ends {
                        words.push_str(&format!(
                            "   {}",
                            now.map(|now| title::ends(&now, has_ports(leg))).unwrap_or_default()
                        ));
                        ends = now;
                    }
                    rows.push(row(hop, '▸', Label::Plain, words));
                }
                Event::Received => rows.push(row(hop, '◂', Label::Plain, interface)),
                Event::Delivered { to, socket, program } => {
                    let whose = match (program, socket) {
                        (Some(program), Some(socket)) => format!(": {program}, listening at {socket}"),
                        (None, Some(socket)) => format!(": a socket listening at {socket}"),
                        _ => String::new(),
                    };
                    let likely =
                        if is_lost && hop.confidence != Confidence::Certain { " (likely)" } else { "" };
                    let words = format!("delivered to {to}{whose}{likely}");
                    rows.push(row(hop, '✓', Label::Good, words));
                    continue;
                }
                event => rows.push(self.inside(hop, event)),
            }
            if let Event::Translated { rule: Some(rule), .. } = &hop.event {
                rows.push(row(hop, ' ', Label::Quiet, format!("  by {}", rule_words(rule))));
            }
            if hop.confidence != Confidence::Certain
                && let Some(last) = rows.last_mut()
            {
                last.words.push_str("   (likely)");
            }
        }
        rows
    }

    /// What happens inside of a node.
    fn inside(&self, hop: &Hop, event: &Event) -> Row {
        match event {
            Event::Bridged { bridge, from, to, decision } => {
                let to: Vec<String> = to.iter().map(ToString::to_string).collect();
                let from = from.as_ref().map_or_else(String::new, |from| format!("◂ {from} "));
                let (out, how) = match decision {
                    Forwarding::Hit => (format!("▸ {}", to.join(" ")), "known address"),
                    Forwarding::Flood => (format!("▸ {}", to.join(" ")), "to all ports"),
                    Forwarding::Local => (String::new(), "for the bridge itself"),
                };
                let words = format!("{from}{out}   {how}").trim_start().to_owned();
                // The namespace of a network's bridge has no name that anybody knows.
                let node = match hop.place.node {
                    Ns::Fabric => bridge.to_string(),
                    Ns::Node(_) => hop.place.node.to_string(),
                };
                let words =
                    if hop.place.node == Ns::Fabric { words } else { format!("bridge {bridge}: {words}") };
                Row { at_ns: hop.at_ns, node, sign: ' ', label: Label::Network, words }
            }
            Event::Routed { route, table, via, dev, src } => {
                let to = route.map_or_else(String::new, |route| {
                    if route.prefix_len() == 0 { "default ".to_owned() } else { format!("{route} ") }
                });
                let via = via.map_or_else(String::new, |via| format!("via {via} "));
                let src = src.map_or_else(String::new, |src| format!(" src {src}"));
                // linux/rtnetlink.h `RT_TABLE_MAIN`, `RT_TABLE_LOCAL`
                let table = match table {
                    0 | 254 | 255 => String::new(),
                    table => format!(" table {table}"),
                };
                row(hop, ' ', Label::Route, format!("route {to}{via}dev {dev}{src}{table}"))
            }
            Event::Ttl { from, to } => row(hop, ' ', Label::Quiet, format!("ttl {from} → {to}")),
            Event::Filtered { rule, verdict } => {
                let is_told = rule.text.ends_with(verdict.as_str()) || rule.text.contains("reject");
                let words = if is_told || verdict == "continue" {
                    rule_words(rule)
                } else {
                    format!("{} → {verdict}", rule_words(rule))
                };
                row(hop, ' ', Label::Firewall, words)
            }
            Event::Translated { nat, before, after, ct, .. } => {
                let (word, words) = translation(*nat, before, after);
                let ct = ct.map_or_else(String::new, |ct| format!("   (connection {ct:08x})"));
                row(hop, '⇄', Label::Nat, format!("{word} {words}{ct}"))
            }
            Event::Fragmented { pieces } => {
                row(hop, ' ', Label::Quiet, format!("cut into {pieces} fragments"))
            }
            Event::Reassembled { pieces } => {
                row(hop, ' ', Label::Quiet, format!("put together from {pieces} fragments"))
            }
            Event::Segmented { pieces } => row(hop, ' ', Label::Quiet, format!("cut into {pieces} segments")),
            Event::Tunnelled { kind, is_in, id } => {
                let id = id.map_or_else(String::new, |id| format!(" {id}"));
                let words = if *is_in { "put into" } else { "taken out of" };
                row(hop, ' ', Label::Network, format!("{words} {kind}{id}"))
            }
            Event::Dropped(fault) => row(hop, '✗', Label::Bad, format!("dropped: {}", fault.sentence)),
            Event::Sent | Event::Received | Event::Delivered { .. } | Event::Neighbour { .. } => {
                row(hop, ' ', Label::Plain, String::new())
            }
        }
    }

    /// Packets that were counted only.
    fn more(&self, more: &[More]) -> String {
        let most = more.iter().map(|more| more.packets).max();
        let Some(most) = most else { return String::new() };
        let mut text = format!(
            "and {most} more packets of the same connection, counted where they were seen to pass:\n"
        );
        for more in more {
            let sign = self.glyph(if more.is_out { '▸' } else { '◂' });
            let ends = self.arrow(&title::ends(&more.endpoints, true));
            text.push_str(&format!(
                "  {:<24} {sign} {:>9} packets {:>12} B   {ends}\n",
                more.place.to_string(),
                more.packets,
                more.bytes
            ));
        }
        text
    }

    fn verdict(&self, journey: &Journey) -> String {
        match &journey.verdict {
            Verdict::Arrived { took_ns, seen_as } => {
                let is_answered = journey.legs.iter().any(|leg| leg.way == Way::Back);
                let took = took_ns.map_or_else(String::new, |ns| {
                    format!(" after {}", self.time(ns).trim_start_matches('+'))
                });
                let first = journey.legs.first().and_then(|leg| leg.headers.endpoints);
                let seen = seen_as
                    .filter(|seen| first.is_some_and(|first| first.source != seen.source))
                    .map_or_else(String::new, |seen| {
                        let port = match seen.detail {
                            Detail::Ports { source, .. } => format!(" port {source}"),
                            _ => String::new(),
                        };
                        format!("; the receiver saw {}{port}", seen.source)
                    });
                let word = if is_answered { "answered" } else { "arrived" };
                self.last('✓', Label::Good, &format!("{word}{took}{seen}"))
            }
            Verdict::Refused { by, says, faults } => {
                let faults: String = faults.iter().map(|fault| self.fault(fault)).collect();
                let refused = format!("refused by {}: {says}", by.node);
                format!("{}{faults}", self.last('✗', Label::Bad, &refused))
            }
            Verdict::Open => self.last('?', Label::Doubtful, "still under way when looking ended"),
            Verdict::Lost { faults, .. } if journey.legs.is_empty() => {
                let faults: String = faults.iter().map(|fault| self.fault(fault)).collect();
                format!("{}{faults}", self.last('✗', Label::Bad, &journey.title))
            }
            Verdict::Lost { way, last, faults } => {
                let what = match way {
                    Way::There => "lost",
                    Way::Back => "no answer comes back",
                };
                let mut text = self.last('✗', Label::Bad, &format!("{what}; last seen at {last}"));
                for fault in faults {
                    text.push_str(&self.fault(fault));
                }
                if faults.is_empty() {
                    text.push_str("    nothing that was seen tells why\n");
                }
                text
            }
        }
    }

    fn last(&self, sign: char, label: Label, words: &str) -> String {
        format!("{} {}\n", self.theme.paint(label, &self.glyph(sign)), self.theme.paint(label, words))
    }

    fn fault(&self, fault: &Fault) -> String {
        let likely = if fault.confidence == Confidence::Certain { "" } else { " (likely)" };
        let mut text = format!("    {}{likely}\n", fault.sentence);
        for evidence in &fault.evidence {
            text.push_str(&format!(
                "    seen:  {}  {}\n",
                self.at(&evidence.node, &evidence.command),
                evidence.says
            ));
        }
        for fix in &fault.fixes {
            text.push_str(&format!("    try:   {}   ({})\n", self.at(&fix.node, &fix.command), fix.does));
            if let Some(line) = &fix.lab_line {
                text.push_str(&format!("           in the lab file: {line}\n"));
            }
        }
        text
    }

    /// A command as it is typed from where we are.
    fn at(&self, node: &Ns, command: &str) -> String {
        match &self.scout {
            Some(scout) => scout.typed(node, command),
            None => format!("{node}# {command}"),
        }
    }

    /// A sign in the character set that is wanted.
    fn glyph(&self, sign: char) -> String {
        if self.is_ascii { plain(sign).to_owned() } else { sign.to_string() }
    }

    /// Words with signs among them, likewise.
    fn arrow(&self, words: &str) -> String {
        if !self.is_ascii {
            return words.replace(" > ", " → ");
        }
        ['→', '▸', '◂', '⇄'].iter().fold(words.to_owned(), |words, sign| words.replace(*sign, plain(*sign)))
    }
}

/// A sign in ASCII.
fn plain(sign: char) -> &'static str {
    match sign {
        '▸' => ">",
        '◂' => "<",
        '⇄' => "=",
        '✓' => "+",
        '✗' => "x",
        '→' => "->",
        '?' => "?",
        _ => " ",
    }
}

fn row(hop: &Hop, sign: char, label: Label, words: String) -> Row {
    Row { at_ns: hop.at_ns, node: hop.place.node.to_string(), sign, label, words }
}

/// What tells one way from another: where, and what happened, without times and numbers.
fn step(hop: &Hop) -> String {
    let kind = match &hop.event {
        Event::Filtered { .. } => return String::new(),
        Event::Translated { .. } => "translated".to_owned(),
        Event::Bridged { to, .. } => format!("bridged {to:?}"),
        Event::Neighbour { .. } => return String::new(),
        Event::Dropped(_) => "dropped".to_owned(),
        Event::Ttl { .. } => "ttl".to_owned(),
        Event::Delivered { .. } => "delivered".to_owned(),
        Event::Routed { .. } => "routed".to_owned(),
        other => format!("{other:?}"),
    };
    format!("{} {kind}", hop.place)
}

fn has_ports(leg: &Leg) -> bool {
    !matches!(leg.headers.protocol, Some(ICMP | ICMPV6) | None)
}

/// `nft inet filter forward #4: iifname "eth0" accept`
fn rule_words(rule: &RuleAt) -> String {
    let backend = if rule.is_legacy { "iptables-legacy" } else { "nft" };
    let handle = rule.handle.map_or_else(String::new, |handle| format!(" #{handle}"));
    format!("{backend} {} {} {}{handle}: {}", rule.family, rule.table, rule.chain, rule.text)
}

fn translation(nat: Nat, before: &Endpoints, after: &Endpoints) -> (&'static str, String) {
    let word = match nat {
        Nat::Masquerade => "masquerade",
        Nat::Snat => "snat",
        Nat::Dnat => "dnat",
        Nat::Undo => "back",
    };
    let is_source = before.source != after.source || before.source_port != after.source_port;
    let (from, to) = if is_source {
        ((before.source, before.source_port), (after.source, after.source_port))
    } else {
        ((before.destination, before.destination_port), (after.destination, after.destination_port))
    };
    let one = |(address, port): (std::net::IpAddr, Option<u16>)| match port {
        Some(port) if from.1 != to.1 || before.destination_port.is_some() => {
            std::net::SocketAddr::new(address, port).to_string()
        }
        _ => address.to_string(),
    };
    (word, format!("{} → {}", one(from), one(to)))
}

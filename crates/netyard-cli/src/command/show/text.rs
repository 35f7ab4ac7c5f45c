//! A running lab as tables.

use crate::output::count;
use crate::output::table::{aligned, heading};
use crate::output::theme::{Cell, Label, Theme};
use netyard_core::show::{
    Connection, Direction, InterfaceView, LinkState, NodeView, ProgramState, ReadyState, RuleView, View,
};

/// Everything but connections: one table of interfaces, and one for each other thing that there is.
pub fn whole(view: &View, theme: Theme) -> String {
    let mut interfaces = vec![heading(["NODE", "INTERFACE", "STATE", "ADDRESSES", "PEER", "MAC", "MTU"])];
    interfaces.extend(view.nodes.iter().flat_map(interface_rows));
    let mut text = aligned(&interfaces, theme);
    let sections = [
        ("ROUTES", rows(view, |node| node.routes.iter().map(|route| one(Label::Route, route)).collect())),
        ("RULES", rows(view, |node| node.rules.iter().map(|rule| one(Label::Route, rule)).collect())),
        ("NAT", rows(view, |node| rule_cells(Label::Nat, &node.nat))),
        ("FIREWALL", rows(view, |node| rule_cells(Label::Firewall, &node.firewall))),
        ("LISTENING", rows(view, socket_cells)),
        ("PROGRAMS", rows(view, program_cells)),
    ];
    for (title, rows) in sections.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        text.push_str(&format!("\n{}\n{}", theme.paint(Label::Heading, title), aligned(&rows, theme)));
    }
    text
}

/// The tracked connections of nodes that translate.
pub fn connections(view: &View, theme: Theme) -> String {
    let mut text = String::new();
    for node in &view.nodes {
        let Some(connections) = &node.connections else { continue };
        let title = format!("{}: {}", node.name, count(connections.len(), "connection"));
        text.push_str(&format!("{}\n", theme.paint(Label::Heading, &title)));
        let rows: Vec<[Cell; 6]> = connections.iter().flat_map(connection_rows).collect();
        text.push_str(&aligned(&rows, theme));
    }
    if text.is_empty() { "no node translates addresses\n".to_owned() } else { text }
}

fn interface_rows(node: &NodeView) -> Vec<[Cell; 7]> {
    let name = |index: usize| if index == 0 { node.name.to_string() } else { String::new() };
    if node.interfaces.is_empty() {
        let cells = ["-", "", "", "", "", ""].map(Cell::plain);
        let [a, b, c, d, e, f] = cells;
        return vec![[Cell::new(Label::Node, &node.name), a, b, c, d, e, f]];
    }
    let rows = node.interfaces.iter().enumerate();
    rows.map(|(index, interface)| interface_row(&name(index), interface)).collect()
}

fn interface_row(node: &str, interface: &InterfaceView) -> [Cell; 7] {
    let state = match interface.state {
        LinkState::Up => Label::Good,
        LinkState::NoCarrier => Label::Doubtful,
        LinkState::Down | LinkState::Missing => Label::Bad,
    };
    let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    let or_dash =
        |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
    [
        Cell::new(Label::Node, node),
        Cell::plain(&interface.name),
        Cell::new(state, interface.state),
        Cell::new(Label::Address, or_dash(Some(addresses.join(", ")))),
        Cell::new(Label::Network, or_dash(interface.peer.as_ref().map(ToString::to_string))),
        Cell::new(Label::Quiet, or_dash(interface.mac.map(|mac| mac.to_string()))),
        Cell::new(Label::Quiet, interface.mtu),
    ]
}

/// One row for each thing of each node, the node's name before the first.
fn rows(view: &View, things: impl Fn(&NodeView) -> Vec<[Cell; 2]>) -> Vec<[Cell; 3]> {
    let of_node = |node: &NodeView| {
        let name = node.name.to_string();
        let things = things(node).into_iter().enumerate();
        let rows = things.map(move |(index, [first, second])| {
            [Cell::new(Label::Node, if index == 0 { &*name } else { "" }), first, second]
        });
        rows.collect::<Vec<_>>()
    };
    view.nodes.iter().flat_map(of_node).collect()
}

fn one(label: Label, text: &str) -> [Cell; 2] {
    [Cell::new(label, text), Cell::plain("")]
}

fn rule_cells(label: Label, rules: &[RuleView]) -> Vec<[Cell; 2]> {
    let cells = |rule: &RuleView| {
        let chain = rule.chain.rsplit(' ').next().unwrap_or_default();
        let words = Cell::new(label, format!("{chain}: {}", rule.rule));
        let meaning = rule.meaning.as_ref().map(|meaning| format!("# {meaning}"));
        [words, Cell::new(Label::Quiet, meaning.unwrap_or_default())]
    };
    rules.iter().map(cells).collect()
}

fn socket_cells(node: &NodeView) -> Vec<[Cell; 2]> {
    node.sockets.iter().map(|s| [Cell::plain(s.protocol), Cell::new(Label::Address, s.address)]).collect()
}

fn program_cells(node: &NodeView) -> Vec<[Cell; 2]> {
    let cells = |program: &netyard_core::show::ProgramView| {
        let (label, state) = match (program.state, program.status) {
            (ProgramState::Running, _) if program.ready == Some(ReadyState::Pending) => {
                (Label::Doubtful, "running, not ready yet".to_owned())
            }
            (ProgramState::Running, _) if program.ready == Some(ReadyState::Failed) => {
                (Label::Bad, "running, but did not get ready".to_owned())
            }
            (ProgramState::Held, _) if program.ready == Some(ReadyState::Failed) => {
                (Label::Bad, "not started".to_owned())
            }
            (ProgramState::Running, _) if program.ready == Some(ReadyState::Ready) => {
                (Label::Good, "running, ready".to_owned())
            }
            (ProgramState::Held, _) => (Label::Doubtful, "waits for other programs".to_owned()),
            (ProgramState::Running, _) => (Label::Good, "running".to_owned()),
            (ProgramState::Waiting, _) => (Label::Doubtful, "waiting for its next start".to_owned()),
            (ProgramState::Exited, Some(0)) => (Label::Quiet, "ended".to_owned()),
            (ProgramState::Exited, code) => (Label::Bad, format!("ended with code {}", code.unwrap_or(-1))),
        };
        let restarts = match program.restarts {
            0 => String::new(),
            n => format!(", started again {}", count(n as usize, "time")),
        };
        [Cell::plain(&program.name), Cell::new(label, state + &restarts)]
    };
    node.programs.iter().map(cells).collect()
}

/// The packet as it came, and below it what an answer looks like.
pub(in crate::command) fn connection_rows(connection: &Connection) -> [[Cell; 6]; 2] {
    let state = connection.state.clone().unwrap_or_default();
    let cells = |direction: &Direction| {
        let id = direction.id.map(|id| format!(", id {id}")).unwrap_or_default();
        let to = format!("{}{id}", direction.destination);
        [
            Cell::new(Label::Address, &direction.source),
            Cell::new(Label::Quiet, "→"),
            Cell::new(Label::Address, to),
        ]
    };
    let [from, arrow, to] = cells(&connection.original);
    let [answer_from, answer_arrow, answer_to] = cells(&connection.reply);
    [
        [
            Cell::plain(&connection.protocol),
            from,
            arrow,
            to,
            Cell::new(Label::Nat, connection.rewrites()),
            Cell::plain(state),
        ],
        [
            Cell::new(Label::Quiet, "  answer"),
            answer_from,
            answer_arrow,
            answer_to,
            Cell::plain(""),
            Cell::plain(""),
        ],
    ]
}

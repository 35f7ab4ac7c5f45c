//! Rules that choose a routing table: tree to what is written.

use super::decode_route::{destination, table};
use super::read::Problems;
use super::syntax::{At, Destination, RuleDecl};
use super::tree::{Tree, Value};
use crate::diagnostic::{Code, Diagnostic};
use crate::state::{PolicyAction, Route};

/// Rules: a list of maps, or one map.
pub(crate) fn list(tree: &Tree, problems: &mut Problems) -> Vec<RuleDecl> {
    match &tree.value {
        Value::Null => Vec::new(),
        Value::List(items) => items.iter().filter_map(|item| rule(item, problems)).collect(),
        _ => rule(tree, problems).into_iter().collect(),
    }
}

fn rule(tree: &Tree, problems: &mut Problems) -> Option<RuleDecl> {
    let errors_before = problems.errors();
    let mut fields = problems.fields(tree, "a rule such as `{ from: 10.0.1.0/24, table: 100 }`")?;
    let mut prefix = |key: &'static str, problems: &mut Problems| {
        let tree = fields.get(key)?;
        match problems.text(tree, "a prefix, a network or a node")? {
            "all" => Some(At::new(Destination::Default, tree.span)),
            text => destination(text, tree.span, problems),
        }
    };
    let (from, to) = (prefix("from", problems), prefix("to", problems));
    let (table_entry, kind_entry) = (fields.entry("table"), fields.entry("kind"));
    let kind = kind_entry.and_then(|entry| problems.choice(&entry.value, &KINDS));
    let table = table_entry.and_then(|entry| table(&entry.value, problems)).map(PolicyAction::Table);
    if let (Some(first), Some(second)) = (table_entry, kind_entry) {
        problems.exclude(first, second);
    }
    if table_entry.is_none() && kind_entry.is_none() {
        fields.missing("table", tree.span, "for example `table: 100`, or `kind: blackhole`");
    }
    let decl = RuleDecl {
        span: tree.span,
        priority: fields.get("priority").and_then(|tree| problems.number(tree, 0, u64::from(u32::MAX))),
        is_inverted: fields.get("not").and_then(|tree| problems.switch(tree)).unwrap_or(false),
        from,
        to,
        incoming: fields.get("iif").and_then(|tree| problems.word(tree, "an interface or a network")),
        out: fields.get("oif").and_then(|tree| problems.word(tree, "an interface or a network")),
        mark: fields.get("fwmark").and_then(|tree| mark(tree, problems)),
        action: kind.or(table).unwrap_or(PolicyAction::Table(Route::TABLE_MAIN)),
    };
    fields.finish(problems);
    (problems.errors() == errors_before).then_some(decl)
}

/// The kinds of rules that ask no table, in the words of ip-rule(8).
const KINDS: [(&str, PolicyAction); 3] = [
    ("blackhole", PolicyAction::Blackhole),
    ("unreachable", PolicyAction::Unreachable),
    ("prohibit", PolicyAction::Prohibit),
];

/// A mark and the bits of it that count, as ip-rule(8) writes them: `1`, `0x1`, `0x1/0xff`.
fn mark(tree: &Tree, problems: &mut Problems) -> Option<(u32, u32)> {
    let text = problems.text(tree, "a mark such as `0x1` or `0x1/0xff`")?;
    let number = |text: &str| match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let mark = match text.split_once('/') {
        Some((mark, mask)) => number(mark).zip(number(mask)),
        None => number(text).map(|mark| (mark, u32::MAX)),
    };
    if mark.is_none() {
        let problem = Diagnostic::new(Code::BadNumber, tree.span).label(format!("`{text}` is not a mark"));
        problems.push(problem.help("for example `1`, `0x1` or, where only some bits count, `0x1/0xff`"));
    }
    mark
}

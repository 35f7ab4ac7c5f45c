//! Programs of a node, `run:` and `stop:`: tree to what is written.

use super::decode_node::environment;
use super::read::{Fields, Problems, as_switch};
use super::syntax::{At, ProgramDecl, Word};
use super::tree::{Entry, Tree, Value};
use crate::diagnostic::{Code, Diagnostic};
use crate::lab::{Ready, ReadyWhen, Restart};
use std::collections::BTreeMap;

/// How long a program may take to become ready where nothing is said, in milliseconds.
const READY_WITHIN_MS: u32 = 30_000;

/// Programs that run as long as the lab does.
pub(crate) fn run(tree: &Tree, problems: &mut Problems) -> Vec<ProgramDecl> {
    programs(tree, server_fields, problems)
}

/// Programs that `down` runs.
pub(crate) fn stop(tree: &Tree, problems: &mut Problems) -> Vec<ProgramDecl> {
    programs(tree, |_, _, _| {}, problems)
}

/// Reads the keys that only some programs have.
type FurtherFields = fn(&mut ProgramDecl, &mut Fields<'_>, &mut Problems);

fn programs(tree: &Tree, further: FurtherFields, problems: &mut Problems) -> Vec<ProgramDecl> {
    let mut read = |name, tree| program(name, tree, further, problems);
    match &tree.value {
        Value::Null => Vec::new(),
        Value::Scalar { .. } => read(None, tree).into_iter().collect(),
        Value::List(items) => items.iter().filter_map(|item| read(None, item)).collect(),
        // A map with `command` is one program in its long form; any other has names as keys.
        Value::Map(entries) if entries.iter().any(|entry| entry.key == "command") => {
            read(None, tree).into_iter().collect()
        }
        Value::Map(entries) => {
            let named = |entry: &Entry| At::new(entry.key.clone(), entry.key_span);
            entries.iter().filter_map(|entry| read(Some(named(entry)), &entry.value)).collect()
        }
    }
}

fn program(
    name: Option<Word>,
    tree: &Tree,
    further: FurtherFields,
    problems: &mut Problems,
) -> Option<ProgramDecl> {
    let plain = |argv| ProgramDecl {
        name: name.clone(),
        argv,
        restart: Restart::Never,
        env: BTreeMap::new(),
        ready: None,
        after: Vec::new(),
    };
    match &tree.value {
        Value::Map(_) => {}
        _ => return argv(tree, problems).map(plain),
    }
    let mut fields = problems.fields(tree, "a command")?;
    let command = fields.get("command");
    if command.is_none() {
        fields.missing("command", tree.span, "for example `command: nginx -g 'daemon off;'`");
    }
    let mut decl = plain(command.and_then(|tree| argv(tree, problems)).unwrap_or_default());
    if let Some(tree) = fields.get("name") {
        decl.name = problems.word(tree, "a name").or(decl.name);
    }
    decl.env = fields.get("env").map(|tree| environment(tree, problems)).unwrap_or_default();
    further(&mut decl, &mut fields, problems);
    fields.finish(problems);
    (!decl.argv.is_empty()).then_some(decl)
}

fn server_fields(decl: &mut ProgramDecl, fields: &mut Fields<'_>, problems: &mut Problems) {
    let restart_entry = fields.entry("restart");
    decl.restart = restart_entry.and_then(|entry| restart(&entry.value, problems)).unwrap_or_default();
    decl.ready = fields.get("ready").and_then(|tree| ready(tree, problems));
    decl.after =
        fields.get("after").map(|tree| problems.words(tree, "the name of a program")).unwrap_or_default();
    let is_job = decl.ready.as_ref().is_some_and(|ready| ready.when == ReadyWhen::Ended);
    if let Some(entry) = restart_entry.filter(|_| is_job && decl.restart == Restart::Always) {
        let problem = Diagnostic::new(Code::KeysExclude, entry.value.span);
        let label = "it is ready when it has ended, but is to run for ever";
        problems.push(problem.label(label).help("`restart: on-failure` tries until it succeeds"));
    }
}

/// `ended`, or a map with one condition.
fn ready(tree: &Tree, problems: &mut Problems) -> Option<Ready> {
    if let Value::Scalar { .. } = &tree.value {
        let when = problems.choice(tree, &[("ended", ())]).map(|()| ReadyWhen::Ended)?;
        return Some(Ready { when, within_ms: READY_WITHIN_MS });
    }
    let mut fields = problems.fields(tree, "a map such as `{ port: 80 }`")?;
    let errors_before = problems.errors();
    let given = ["port", "command", "log", "ended"].map(|key| fields.entry(key));
    let within = fields.get("within").map(|tree| problems.time_us(tree));
    let mut given = given.into_iter().flatten();
    let when = match given.next() {
        Some(entry) => ready_when(entry, problems),
        None => {
            fields.missing("port", tree.span, "or `command`, `log` or `ended`: what makes the program ready");
            None
        }
    };
    for second in given {
        let problem = Diagnostic::new(Code::KeysExclude, second.key_span);
        problems
            .push(problem.label("one condition makes a program ready").help("`command` can ask for several"));
    }
    fields.finish(problems);
    let within_ms = within.flatten().map_or(READY_WITHIN_MS, |us| us / 1000);
    when.filter(|_| problems.errors() == errors_before).map(|when| Ready { when, within_ms })
}

fn ready_when(entry: &Entry, problems: &mut Problems) -> Option<ReadyWhen> {
    let tree = &entry.value;
    match entry.key.as_str() {
        "port" => problems.number(tree, 1, 65_535).map(ReadyWhen::Port),
        "command" => argv(tree, problems).map(ReadyWhen::Command),
        "log" => {
            let text = problems.text(tree, "a text that the program prints")?;
            if text.is_empty() || text.contains('\n') {
                let label = "a text of one line is needed";
                problems.push(Diagnostic::new(Code::WrongType, tree.span).label(label));
                return None;
            }
            Some(ReadyWhen::Log(text.to_owned()))
        }
        _ => match problems.switch(tree)? {
            true => Some(ReadyWhen::Ended),
            false => {
                let problem = Diagnostic::new(Code::UnknownWord, tree.span).label("this says nothing");
                problems.push(problem.help("leave `ready` out"));
                None
            }
        },
    }
}

fn restart(tree: &Tree, problems: &mut Problems) -> Option<Restart> {
    if let Value::Scalar { text, .. } = &tree.value {
        match as_switch(text) {
            Some(false) => return Some(Restart::Never),
            Some(true) => return Some(Restart::Always),
            None => {}
        }
    }
    let words = [
        ("no", Restart::Never),
        ("never", Restart::Never),
        ("on-failure", Restart::OnFailure),
        ("always", Restart::Always),
    ];
    problems.choice(tree, &words)
}

/// A list is program and arguments; a text is run by the shell.
fn argv(tree: &Tree, problems: &mut Problems) -> Option<Vec<String>> {
    let wanted = "a command: a text for the shell, or a list of program and arguments";
    let argv = match &tree.value {
        Value::List(_) => {
            let words = problems.words(tree, "a text");
            words.into_iter().map(|word| word.value).collect()
        }
        _ => {
            let text = problems.text(tree, wanted)?;
            if text.trim().is_empty() { Vec::new() } else { vec!["sh".into(), "-c".into(), text.to_owned()] }
        }
    };
    if argv.first().is_none_or(String::is_empty) || argv.iter().any(|arg| arg.contains('\0')) {
        let problem = Diagnostic::new(Code::WrongType, tree.span).label("an empty command");
        problems.push(problem.help("write a text for the shell, or a list of program and arguments"));
        return None;
    }
    Some(argv)
}

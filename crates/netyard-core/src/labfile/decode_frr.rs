//! The routing daemons of a node, `frr:`: tree to what is written.

use super::decode_root::content;
use super::read::{Fields, Problems};
use super::resolve_frr::DAEMONS;
use super::suggest::nearest;
use super::syntax::{FrrDaemonDecl, FrrDecl};
use super::tree::{Tree, Value};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::FileContent;

/// Names of daemons, or a map: `daemons` and `config`, or a configuration for each daemon.
pub(crate) fn frr(tree: &Tree, problems: &mut Problems) -> Option<FrrDecl> {
    let mut decl = FrrDecl { span: tree.span, daemons: Vec::new(), config: None };
    if !matches!(tree.value, Value::Map(_)) {
        add_daemons(&mut decl, tree, problems);
        return Some(decl);
    }
    let mut fields = problems.fields(tree, "a map such as `{ daemons: [ospfd], config: ... }`")?;
    if let Some(tree) = fields.get("daemons") {
        add_daemons(&mut decl, tree, problems);
    }
    let common = fields.entry("config");
    decl.config = common.and_then(|entry| content(&entry.value, "a configuration", problems));
    let own = add_own_configurations(&mut decl, &mut fields, problems);
    if let (Some(entry), Some(span)) = (common, own) {
        let problem = Diagnostic::new(Code::KeysExclude, entry.key_span);
        let problem =
            problem.label("one configuration for all, and one for a single daemon").related(span, "this one");
        problems.push(problem.help("keep one of the two forms"));
    }
    fields.finish(problems);
    Some(decl)
}

fn add_daemons(decl: &mut FrrDecl, tree: &Tree, problems: &mut Problems) {
    for word in problems.words(tree, "the name of a daemon such as `ospfd`") {
        match DAEMONS.iter().find(|daemon| **daemon == word.value) {
            Some(name) => add(decl, name, None),
            None => {
                let problem = Diagnostic::new(Code::UnknownWord, word.span);
                let problem = problem.label(format!("`{}` is no daemon of FRR", word.value));
                problems.push(match nearest(&word.value, DAEMONS) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("known here: {}", DAEMONS.join(", "))),
                });
            }
        }
    }
}

/// The keys that are daemons; the place of the first that has a configuration.
fn add_own_configurations(
    decl: &mut FrrDecl,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<Span> {
    let mut first = None;
    for name in DAEMONS {
        let Some(entry) = fields.entry(name) else { continue };
        let config = match &entry.value.value {
            Value::Null => None,
            _ => content(&entry.value, "a configuration", problems),
        };
        if config.is_some() {
            first.get_or_insert(entry.key_span);
        }
        add(decl, name, config);
    }
    first
}

fn add(decl: &mut FrrDecl, name: &'static str, config: Option<FileContent>) {
    match decl.daemons.iter_mut().find(|daemon| daemon.name == name) {
        Some(daemon) => daemon.config = daemon.config.take().or(config),
        None => decl.daemons.push(FrrDaemonDecl { name, config }),
    }
}

//! The file systems of full nodes, and which nodes are full.

use super::read::Problems;
use super::resolve::Draft;
use super::resolve_frr;
use super::syntax::{BindDecl, NodeDecl, NodeFileDecl};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{NodeBind, NodeFile, NodeKind, NodeRoot, RootBase};
use std::collections::HashMap;
use std::rc::Rc;

/// What a node is made of: full where it says so, or needs it.
pub(crate) fn kind(decl: &NodeDecl) -> NodeKind {
    match decl.kind {
        Some(kind) => kind,
        None if needs_full(decl).is_some() => NodeKind::Full,
        None => NodeKind::Net,
    }
}

/// The place of what only a full node can have, and what that is.
fn needs_full(decl: &NodeDecl) -> Option<(Span, &'static str)> {
    let files = decl.files.iter().flatten().map(|file| (file.path.span, "files"));
    let binds = decl.binds.iter().flatten().map(|bind| (bind.path.span, "binds"));
    let layers = decl.layers.iter().flatten().map(|layer| (layer.span, "layers"));
    let rootfs = decl.rootfs.iter().map(|base| (base.span, "rootfs"));
    let frr = decl.frr.iter().map(|frr| (frr.span, "frr"));
    files.chain(rootfs).chain(layers).chain(binds).chain(frr).next()
}

/// Gives every full node its file system.
pub(crate) fn add_roots(draft: &mut Draft, problems: &mut Problems) {
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        match (decl.kind, needs_full(&decl)) {
            (Some(kind @ (NodeKind::Host | NodeKind::Net)), Some((span, key))) => {
                problems.push(not_full(kind, key, span));
            }
            _ => draft.nodes[at].node.root = root(&decl, problems),
        }
    }
}

fn not_full(kind: NodeKind, key: &str, span: Span) -> Diagnostic {
    let problem = Diagnostic::new(Code::NotAFullNode, span);
    if kind == NodeKind::Host {
        let label = "a node of kind `host` has the machine's own files";
        return problem.label(label).help(format!("leave `{key}` out, or make it another node"));
    }
    problem.label("a node of kind `net` has none").help("`kind: full`, or leave `kind` out")
}

fn root(decl: &NodeDecl, problems: &mut Problems) -> NodeRoot {
    let files: Vec<&NodeFileDecl> = decl.files.iter().flatten().collect();
    let binds: Vec<&BindDecl> = decl.binds.iter().flatten().collect();
    // Trees for one place lie over each other.
    let single = files.iter().filter(|file| file.path.value != "/").map(|file| &file.path);
    let mut places: HashMap<&str, Span> = HashMap::new();
    for place in single.chain(binds.iter().map(|bind| &bind.path)) {
        if let Some(first) = places.insert(&place.value, place.span) {
            let problem =
                Diagnostic::new(Code::FileTwice, place.span).label(format!("`{}` again", place.value));
            problems.push(problem.related(first, "first here"));
        }
    }
    NodeRoot {
        base: decl.rootfs.as_ref().map_or(RootBase::Machine, |base| base.value.clone()),
        layers: decl.layers.iter().flatten().map(|layer| layer.value.clone()).collect(),
        // What the file itself says of a path stands over what FRR is given by itself.
        files: decl.frr.iter().flat_map(resolve_frr::files).chain(files.into_iter().map(node_file)).collect(),
        binds: binds.into_iter().map(node_bind).collect(),
    }
}

fn node_file(decl: &NodeFileDecl) -> NodeFile {
    NodeFile {
        path: decl.path.value.clone(),
        content: decl.content.clone(),
        mode: decl.mode,
        owner: decl.owner.clone(),
    }
}

fn node_bind(decl: &BindDecl) -> NodeBind {
    NodeBind { source: decl.source.clone(), path: decl.path.value.clone(), is_read_only: decl.is_read_only }
}

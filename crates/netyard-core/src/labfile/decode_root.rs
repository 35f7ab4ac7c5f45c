//! The file system of a node, `files:`, `rootfs:`, `layers:` and `binds:`: tree to what is written.

use super::read::{Fields, Problems, one_or_many};
use super::syntax::{At, BindDecl, FrrDecl, NodeDecl, NodeFileDecl, Word};
use super::tree::{Entry, Tree, Value};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{FileContent, RootBase};

/// Folders of a node that the kernel or netyard fills, where no file can be laid.
const NOT_FOR_FILES: [&str; 3] = ["/proc", "/sys", "/dev"];

/// A folder for `/`, a map of files by path, or a list of both.
pub(crate) fn files(tree: &Tree, problems: &mut Problems) -> Vec<NodeFileDecl> {
    match &tree.value {
        Value::Null => Vec::new(),
        Value::List(items) => items.iter().flat_map(|item| files(item, problems)).collect(),
        Value::Map(entries) => entries.iter().filter_map(|entry| file(entry, problems)).collect(),
        Value::Scalar { .. } => tree_over_root(tree, problems).into_iter().collect(),
    }
}

fn tree_over_root(tree: &Tree, problems: &mut Problems) -> Option<NodeFileDecl> {
    let path =
        path_below_folder(tree, "write `{ from: FOLDER }` with a folder beside the lab file", problems)?;
    let content = FileContent::From { path, fixes_text: false };
    Some(NodeFileDecl { path: At::new("/".into(), tree.span), content, mode: None, owner: None })
}

fn file(entry: &Entry, problems: &mut Problems) -> Option<NodeFileDecl> {
    let path = path_in_node(&entry.key, entry.key_span, problems);
    let tree = &entry.value;
    let (content, mode, owner) = match &tree.value {
        Value::Map(_) => file_fields(tree, problems)?,
        _ => {
            let text = problems.text(tree, "a text, or a map such as `{ from: named.conf, mode: 0640 }`")?;
            (FileContent::Text(text.to_owned()), None, None)
        }
    };
    let path = path?;
    if path.value == "/" && matches!(content, FileContent::Text(_)) {
        let problem =
            Diagnostic::new(Code::BadNodePath, path.span).label("a text cannot be the whole file system");
        problems.push(problem.help("`/: { from: FOLDER }` lays a folder over it"));
        return None;
    }
    Some(NodeFileDecl { path, content, mode, owner })
}

/// A text, `{ text: ... }` or `{ from: FILE }`.
pub(crate) fn content(tree: &Tree, wanted: &str, problems: &mut Problems) -> Option<FileContent> {
    if !matches!(tree.value, Value::Map(_)) {
        let wanted = format!("{wanted}: a text, or `{{ from: FILE }}`");
        return problems.text(tree, &wanted).map(|text| FileContent::Text(text.to_owned()));
    }
    let mut fields = problems.fields(tree, wanted)?;
    let content = content_fields(tree, &mut fields, problems);
    fields.finish(problems);
    content
}

type FileFields = (FileContent, Option<u32>, Option<String>);

fn file_fields(tree: &Tree, problems: &mut Problems) -> Option<FileFields> {
    let mut fields = problems.fields(tree, "a text or a map")?;
    let content = content_fields(tree, &mut fields, problems);
    let mode = fields.get("mode").and_then(|tree| mode(tree, problems));
    let owner = fields.get("owner").and_then(|tree| owner(tree, problems));
    fields.finish(problems);
    Some((content?, mode, owner))
}

fn content_fields(tree: &Tree, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<FileContent> {
    let (text, from) = (fields.entry("text"), fields.entry("from"));
    match (text, from) {
        (Some(first), Some(second)) => {
            let problem = Diagnostic::new(Code::KeysExclude, second.key_span);
            let problem = problem.label("a file has one content").related(first.key_span, "given here");
            problems.push(problem.help("keep one of them"));
            None
        }
        (Some(entry), None) => {
            problems.text(&entry.value, "a text").map(|text| FileContent::Text(text.to_owned()))
        }
        (None, Some(entry)) => path_below_folder(&entry.value, "copy it beside the lab file", problems)
            .map(|path| FileContent::From { path, fixes_text: false }),
        (None, None) => {
            fields.missing("text", tree.span, "`text: ...` or `from: FILE`: what is in the file");
            None
        }
    }
}

/// Permission bits in octal digits, as chmod(1) takes them.
fn mode(tree: &Tree, problems: &mut Problems) -> Option<u32> {
    let text = problems.text(tree, "a mode such as `0644`")?;
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777 && !digits.starts_with('+'));
    if mode.is_none() {
        let problem = Diagnostic::new(Code::BadFileAttribute, tree.span);
        problems.push(problem.label("not up to four octal digits").help("for example `0644` or `0750`"));
    }
    mode
}

/// `USER` or `USER:GROUP`.
fn owner(tree: &Tree, problems: &mut Problems) -> Option<String> {
    let text = problems.text(tree, "an owner such as `frr` or `frr:frr`")?;
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 32
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    };
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() <= 2 && parts.iter().all(|part| is_name(part)) {
        return Some(text.to_owned());
    }
    let problem = Diagnostic::new(Code::BadFileAttribute, tree.span).label("neither `USER` nor `USER:GROUP`");
    problems.push(problem.help("for example `frr:frr`"));
    None
}

/// A folder or archive with a root file system.
pub(crate) fn rootfs(tree: &Tree, problems: &mut Problems) -> Option<At<RootBase>> {
    let text = problems.text(tree, "a folder or an archive")?;
    let path = path_of_machine(text, tree.span, problems)?;
    let other = [".tar.xz", ".tar.zst", ".tar.bz2", ".txz", ".zip"].into_iter().find(|e| path.ends_with(e));
    if let Some(ending) = other {
        let problem = Diagnostic::new(Code::UnknownWord, tree.span);
        let label = format!("archives that end with `{ending}` are not read");
        problems
            .push(problem.label(label).help("`.tar` and `.tar.gz` are; or unpack it and name the folder"));
        return None;
    }
    let is_archive = [".tar", ".tar.gz", ".tgz"].into_iter().any(|ending| path.ends_with(ending));
    let base = if is_archive { RootBase::Archive(path) } else { RootBase::Folder(path) };
    Some(At::new(base, tree.span))
}

/// Names of package layers: `frr`, `kathara/base`.
pub(crate) fn layers(tree: &Tree, problems: &mut Problems) -> Vec<Word> {
    if tree.value == Value::Null {
        return Vec::new();
    }
    let mut layers: Vec<Word> = Vec::new();
    for word in problems.words(tree, "the name of a package layer") {
        let flaw = flaw_of_layer(&word.value);
        let first = layers.iter().find(|other| other.value == word.value);
        match (flaw, first) {
            (Some(label), _) => {
                let problem = Diagnostic::new(Code::BadLayerName, word.span).label(label);
                problems.push(problem.help("`netyard layer list` tells which there are"));
            }
            (None, Some(first)) => {
                let problem = Diagnostic::new(Code::BadLayerName, word.span).label("the same layer again");
                problems.push(problem.related(first.span, "first here"));
            }
            (None, None) => layers.push(word),
        }
    }
    layers
}

fn flaw_of_layer(name: &str) -> Option<&'static str> {
    let is_clean = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    match name {
        _ if name.len() > 63 => Some("more than 63 bytes"),
        _ if name.split('/').all(is_clean) && name.matches('/').count() <= 1 => None,
        _ => Some("small letters, digits, `.`, `_` and `-`, with at most one `/`"),
    }
}

/// `SOURCE:PATH`, `SOURCE:PATH:ro` or maps.
pub(crate) fn binds(tree: &Tree, problems: &mut Problems) -> Vec<BindDecl> {
    if tree.value == Value::Null {
        return Vec::new();
    }
    one_or_many(tree).iter().filter_map(|item| bind(item, problems)).collect()
}

fn bind(tree: &Tree, problems: &mut Problems) -> Option<BindDecl> {
    let decl = match &tree.value {
        Value::Map(_) => bind_fields(tree, problems)?,
        _ => {
            let text = problems.text(tree, "`SOURCE:PATH`, or a map with `source` and `path`")?;
            short_bind(text, tree.span, problems)?
        }
    };
    if decl.path.value == "/" {
        let problem = Diagnostic::new(Code::BadNodePath, decl.path.span).label("a bind over everything");
        problems.push(problem.help("`rootfs: FOLDER` gives the node another root file system"));
        return None;
    }
    Some(decl)
}

fn bind_fields(tree: &Tree, problems: &mut Problems) -> Option<BindDecl> {
    let mut fields = problems.fields(tree, "a map")?;
    let mut required = |key: &'static str, example: &str| {
        let found = fields.get(key);
        if found.is_none() {
            fields.missing(key, tree.span, example);
        }
        found
    };
    let source = required("source", "the folder of the machine, for example `source: ./data`");
    let path = required("path", "where the node sees it, for example `path: /srv/data`");
    let source = source.and_then(|tree| {
        let text = problems.text(tree, "a folder of the machine")?;
        path_of_machine(text, tree.span, problems)
    });
    let path = path.and_then(|tree| {
        let text = problems.text(tree, "a path in the node")?;
        path_in_node(text, tree.span, problems)
    });
    let is_read_only = fields.get("read-only").and_then(|tree| problems.switch(tree)).unwrap_or(false);
    fields.finish(problems);
    Some(BindDecl { source: source?, path: path?, is_read_only })
}

fn short_bind(text: &str, span: Span, problems: &mut Problems) -> Option<BindDecl> {
    let (source, path, is_read_only) = match text.split(':').collect::<Vec<_>>().as_slice() {
        [source, path] => (*source, *path, false),
        [source, path, "ro"] => (*source, *path, true),
        [source, path, "rw"] => (*source, *path, false),
        _ => {
            let problem =
                Diagnostic::new(Code::WrongType, span).label("not `SOURCE:PATH` nor `SOURCE:PATH:ro`");
            problems.push(problem.help("for example `./data:/srv/data:ro`"));
            return None;
        }
    };
    let source = path_of_machine(source, span, problems);
    let path = path_in_node(path, span, problems);
    Some(BindDecl { source: source?, path: path?, is_read_only })
}

/// A path of the machine: absolute, or below the lab file's folder.
fn path_of_machine(text: &str, span: Span, problems: &mut Problems) -> Option<String> {
    if text.is_empty() || text.contains('\0') {
        problems.push(Diagnostic::new(Code::WrongType, span).label("not a path"));
        return None;
    }
    if text.starts_with('/') {
        return Some(text.to_owned());
    }
    below_folder(text, span, "write the absolute path of what is elsewhere", problems)
}

/// A path below the lab file's folder.
fn path_below_folder(tree: &Tree, help: &str, problems: &mut Problems) -> Option<String> {
    let text = problems.text(tree, "a path below the lab file's folder")?;
    if text.is_empty() || text.contains('\0') {
        problems.push(Diagnostic::new(Code::WrongType, tree.span).label("not a path"));
        return None;
    }
    if text.starts_with('/') {
        let problem = Diagnostic::new(Code::OutsideFolder, tree.span).label("this path is absolute");
        problems.push(problem.help(help));
        return None;
    }
    below_folder(text, tree.span, help, problems)
}

fn below_folder(text: &str, span: Span, help: &str, problems: &mut Problems) -> Option<String> {
    let mut depth = 0_i32;
    for part in text.split('/') {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        if depth < 0 {
            let problem = Diagnostic::new(Code::OutsideFolder, span).label("`..` leads out of the folder");
            problems.push(problem.help(help));
            return None;
        }
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// An absolute path in a node, without `.` and empty parts.
fn path_in_node(text: &str, span: Span, problems: &mut Problems) -> Option<Word> {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let path = format!("/{}", parts.join("/"));
    let is_reserved = |folder: &&&str| path == **folder || path.starts_with(&format!("{folder}/"));
    let flaw = if !text.starts_with('/') {
        Some("a path in a node begins with `/`".to_owned())
    } else if parts.contains(&"..") {
        Some("`..` may not stand in it".to_owned())
    } else if text.contains('\0') || parts.iter().any(|part| part.len() > 255) || path.len() > 4095 {
        Some("no file can be called so".to_owned())
    } else {
        NOT_FOR_FILES.iter().find(is_reserved).map(|folder| format!("`{folder}` is the kernel's own"))
    };
    match flaw {
        None => Some(At::new(path, span)),
        Some(label) => {
            let problem = Diagnostic::new(Code::BadNodePath, span).label(label);
            problems.push(problem.help("for example `/etc/bind/named.conf`"));
            None
        }
    }
}

/// As many bytes of text count as one value of the file.
const BYTES_OF_VALUE: usize = 64;

impl NodeDecl {
    /// What the texts of its files weigh, as each node of a range gets its own.
    pub(crate) fn weight_of_texts(&self) -> usize {
        let len = |content: &FileContent| match content {
            FileContent::Text(text) => text.len() / BYTES_OF_VALUE,
            FileContent::From { .. } => 0,
        };
        let of_frr = |frr: &FrrDecl| {
            frr.daemons
                .iter()
                .filter_map(|daemon| daemon.config.as_ref())
                .chain(&frr.config)
                .map(len)
                .sum::<usize>()
        };
        self.files.iter().flatten().map(|file| len(&file.content)).chain(self.frr.iter().map(of_frr)).sum()
    }
}

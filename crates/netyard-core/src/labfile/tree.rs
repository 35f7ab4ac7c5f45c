//! YAML text to a tree of maps, lists and scalars, each with its place.
//!
//! Scalars stay text: whether `010`, `1.10` or `off` is a number, a name or a switch is known only where it is used.

use super::offsets::Offsets;
use super::syntax_error;
use crate::diagnostic::{Code, Diagnostic, Source, Span};
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use std::collections::HashMap;

/// Largest text in bytes.
pub(crate) const TEXT_LEN_MAX: usize = 8 * 1024 * 1024;
/// Deepest nesting of maps and lists, aliases expanded.
pub(crate) const DEPTH_MAX: usize = 64;
/// Most values that aliases of one file may add.
pub(crate) const ALIASED_VALUES_MAX: usize = 100_000;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    pub span: Span,
    pub value: Value,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A text; `is_quoted` when it stood in quotes or was a block.
    Scalar { text: String, is_quoted: bool },
    /// A list.
    List(Vec<Tree>),
    /// A map in the order of the file, no key twice.
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Tree,
}

impl Tree {
    /// How many values it holds, itself included.
    pub(crate) fn weight(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Self::weight).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.weight()).sum(),
        }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads a text; `None` when nothing of it can be used. Problems are added to `problems`.
pub(crate) fn read(source: &Source, problems: &mut Vec<Diagnostic>) -> Option<Tree> {
    let len = source.text.len();
    if len > TEXT_LEN_MAX {
        let label = format!("{len} bytes; {TEXT_LEN_MAX} are allowed");
        let help = "ranges such as `h[1-100]:` and `defaults:` say much in few lines";
        problems.push(Diagnostic::new(Code::FileTooLarge, Span::new(0, 0)).label(label).help(help));
        return None;
    }
    let mut reader = Reader {
        source,
        offsets: Offsets::of(&source.text),
        open: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
        root: None,
        problems,
    };
    reader.run()
}

/// A finished anchor: its value, and what an alias of it costs.
struct Anchor {
    tree: Tree,
    values: usize,
    depth: usize,
}

/// A map or list whose end has not come yet.
struct Open {
    start: Span,
    anchor: usize,
    values: usize,
    depth: usize,
    content: Content,
}

enum Content {
    List(Vec<Tree>),
    Map { entries: Vec<Entry>, seen: HashMap<String, usize>, key: Key, merges: Vec<(Span, Tree)> },
}

/// What a map waits for.
enum Key {
    Awaited,
    Read(String, Span),
    /// The key cannot be used; its value is read and dropped.
    Unusable,
}

struct Reader<'a> {
    source: &'a Source,
    offsets: Offsets<'a>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    aliased: usize,
    root: Option<Tree>,
    problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn run(&mut self) -> Option<Tree> {
        let source = self.source;
        let mut parser = Parser::new(StrInput::new(&source.text));
        let mut has_document = false;
        while let Some(event) = parser.next_event() {
            let (event, place) = match event {
                Ok(event) => event,
                Err(error) => {
                    self.problems.push(syntax_error::problem(&error, source, &self.offsets));
                    return None;
                }
            };
            let span = self.offsets.span(place);
            if matches!(event, Event::DocumentStart(_)) && std::mem::replace(&mut has_document, true) {
                let help = "keep one lab in a file";
                let problem = Diagnostic::new(Code::SeveralDocuments, span);
                self.problems.push(problem.label("a second document begins").help(help));
                return self.root.take();
            }
            self.take(event, span).ok()?;
        }
        let is_empty = matches!(&self.root, None | Some(Tree { value: Value::Null, .. }));
        if is_empty {
            let help = "begin with `networks:` and `nodes:`, for example\n\
                        networks: { lan: 10.0.0.0/24 }\nnodes: { pc: { links: [lan] } }";
            let problem = Diagnostic::new(Code::EmptyFile, Span::new(0, 0));
            self.problems.push(problem.label("nothing is described here").help(help));
            return None;
        }
        self.root.take()
    }

    /// Takes one event; fails when nothing after it can be trusted.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), ()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let is_quoted = style != ScalarStyle::Plain;
                let is_null = !is_quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let text = text.into_owned();
                let value = if is_null { Value::Null } else { Value::Scalar { text, is_quoted } };
                self.finish(Tree { span, value }, anchor, 1, 0);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.enter(span, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let (entries, seen, merges) = (Vec::new(), HashMap::new(), Vec::new());
                self.enter(span, anchor, Content::Map { entries, seen, key: Key::Awaited, merges })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.leave(span);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    fn refuse_tag(&mut self, has_tag: bool, span: Span) {
        if has_tag {
            let help = "leave the tag out; put a text in quotes where it must stay as it is";
            self.problems.push(Diagnostic::new(Code::TagNotSupported, span).help(help));
        }
    }

    fn enter(&mut self, start: Span, anchor: usize, content: Content) -> Result<(), ()> {
        if self.open.len() >= DEPTH_MAX {
            let problem = Diagnostic::new(Code::NestedTooDeeply, start);
            self.problems.push(problem.label(format!("deeper than {DEPTH_MAX} levels")));
            return Err(());
        }
        self.open.push(Open { start, anchor, values: 1, depth: 0, content });
        Ok(())
    }

    fn leave(&mut self, end: Span) {
        let Some(open) = self.open.pop() else { return };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { mut entries, seen, merges, .. } => {
                for (key_span, tree) in merges {
                    self.merge(&mut entries, &seen, key_span, tree);
                }
                Value::Map(entries)
            }
        };
        let text = self.source.text.as_bytes();
        let end = if matches!(text.get(end.start), Some(b']' | b'}')) {
            end.start + 1
        } else {
            // A block ends where the next token begins: blanks and comments before it are not part of it.
            self.offsets.trim_end(open.start.start, end.end.max(open.start.end))
        };
        let tree = Tree { span: Span::new(open.start.start, end), value };
        self.finish(tree, open.anchor, open.values, open.depth + 1);
    }

    /// Adds the keys that a `<<:` brings, unless the map has them (YAML 1.1 merge key).
    fn merge(&mut self, entries: &mut Vec<Entry>, seen: &HashMap<String, usize>, key_span: Span, tree: Tree) {
        let maps = match tree.value {
            Value::List(items) => items,
            _ => vec![tree],
        };
        let mut added: std::collections::HashSet<String> = std::collections::HashSet::new();
        for map in maps {
            let Value::Map(merged) = map.value else {
                let label = format!("this is {}", map.kind());
                let problem = Diagnostic::new(Code::BadMergeKey, map.span).label(label);
                self.problems.push(problem.related(key_span, "merged here"));
                continue;
            };
            for entry in merged {
                if !seen.contains_key(&entry.key) && added.insert(entry.key.clone()) {
                    entries.push(entry);
                }
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), ()> {
        let Some(known) = self.anchors.get(&anchor) else {
            let label = "this alias stands inside the value that it names";
            self.problems.push(Diagnostic::new(Code::AliasesExpandTooFar, span).label(label));
            return Err(());
        };
        let (values, depth) = (known.values, known.depth);
        self.aliased += values;
        if self.aliased > ALIASED_VALUES_MAX {
            let label = format!("with this alias more than {ALIASED_VALUES_MAX} values");
            let help = "`groups:` and `defaults:` say the same for many nodes";
            self.problems.push(Diagnostic::new(Code::AliasesExpandTooFar, span).label(label).help(help));
            return Err(());
        }
        if self.open.len() + depth > DEPTH_MAX {
            let label = format!("deeper than {DEPTH_MAX} levels");
            self.problems.push(Diagnostic::new(Code::NestedTooDeeply, span).label(label));
            return Err(());
        }
        let tree = known.tree.clone();
        self.finish(tree, 0, values, depth);
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn finish(&mut self, tree: Tree, anchor: usize, values: usize, depth: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, Anchor { tree: tree.clone(), values, depth });
        }
        let Some(parent) = self.open.last_mut() else {
            self.root.get_or_insert(tree);
            return;
        };
        parent.values += values;
        parent.depth = parent.depth.max(depth);
        match &mut parent.content {
            Content::List(items) => items.push(tree),
            Content::Map { entries, seen, key, merges } => match std::mem::replace(key, Key::Awaited) {
                Key::Awaited => *key = read_key(tree, entries, seen, self.problems),
                Key::Read(text, span) if text == "<<" => merges.push((span, tree)),
                Key::Read(text, key_span) => {
                    seen.insert(text.clone(), entries.len());
                    entries.push(Entry { key: text, key_span, value: tree });
                }
                Key::Unusable => {}
            },
        }
    }
}

fn read_key(
    tree: Tree,
    entries: &[Entry],
    seen: &HashMap<String, usize>,
    problems: &mut Vec<Diagnostic>,
) -> Key {
    let text = match tree.value {
        Value::Scalar { text, .. } => text,
        Value::Null => {
            let problem = Diagnostic::new(Code::KeyNotText, tree.span).label("an empty key");
            problems.push(problem.help("write a word before the colon"));
            return Key::Unusable;
        }
        _ => {
            let label = format!("{} cannot be a key", tree.kind());
            let help = "put the key in quotes if its brackets are part of it, for example \"h[1-3]\"";
            problems.push(Diagnostic::new(Code::KeyNotText, tree.span).label(label).help(help));
            return Key::Unusable;
        }
    };
    if let Some(first) = seen.get(&text).and_then(|at| entries.get(*at)) {
        let problem = Diagnostic::new(Code::DuplicateKey, tree.span).label(format!("`{text}` again"));
        problems.push(problem.related(first.key_span, "first here"));
        return Key::Unusable;
    }
    Key::Read(text, tree.span)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;

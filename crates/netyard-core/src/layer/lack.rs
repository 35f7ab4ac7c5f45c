//! Programs and users that the nodes of a lab need and the machine does not have.

use super::package::{package_of, user_of};
use super::recipe::recipes;
use crate::lab::{Lab, Node, NodeKind, Program, RootBase};

/// What a node's programs find.
pub trait Machine {
    /// Whether a program is there, by name or absolute path: on the machine, or in one of these layers.
    fn has_program(&self, program: &str, layers: &[String]) -> bool;
    /// Whether a user is there, on the machine or by one of these layers.
    fn has_user(&self, user: &str, layers: &[String]) -> bool;
}

/// Something that a program of a node needs and does not find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The node.
    pub node: String,
    /// Whether the node could have layers.
    pub is_full: bool,
    /// The program.
    pub program: String,
    /// The user as whom it runs, where the program is there and that user is not.
    pub user: Option<String>,
    /// The package that brings it, where that is known.
    pub package: Option<&'static str>,
}

/// All that the lab's programs lack, in the order of the file.
///
/// Judged are programs with plain words: of a text for the shell the first word, where the text has no sign that means
/// something to the shell. Nodes with a root file system of their own are not judged, nor programs that a node's files
/// may bring.
pub fn lacking(lab: &Lab, machine: &impl Machine) -> Vec<Lack> {
    let judged = lab.nodes.iter().filter(|node| node.root.base == RootBase::Machine);
    judged.flat_map(|node| node.programs.iter().filter_map(|program| lack(node, program, machine))).collect()
}

fn lack(node: &Node, program: &Program, machine: &impl Machine) -> Option<Lack> {
    let program_path = program_of(program)?;
    let says_path = |env: &std::collections::BTreeMap<String, String>| env.contains_key("PATH");
    if says_path(&node.env) || says_path(&program.env) || may_bring(node, program_path) {
        return None;
    }
    let layers = &node.root.layers;
    let has_program = machine.has_program(program_path, layers);
    let is_full = node.kind == NodeKind::Full;
    let user = user_of(program_path).filter(|user| is_full && !machine.has_user(user, layers));
    if has_program && user.is_none() {
        return None;
    }
    Some(Lack {
        node: node.name.to_string(),
        is_full,
        program: program_path.to_owned(),
        user: user.filter(|_| has_program).map(str::to_owned),
        package: package_of(program_path),
    })
}

/// The program that is started; none where that is not plain to see.
fn program_of(program: &Program) -> Option<&str> {
    let first = match program.argv.as_slice() {
        [shell, option, text] if shell == "sh" && option == "-c" => plain_words(text)?.next()?,
        [first, ..] => first,
        [] => return None,
    };
    let is_known_place = !first.contains('/') || first.starts_with('/');
    (is_known_place && !is_of_shell(first)).then_some(first)
}

/// The words of a text in which nothing means anything to the shell but blanks.
fn plain_words(text: &str) -> Option<impl Iterator<Item = &str>> {
    let is_plain = |c: char| c.is_alphanumeric() || " ./:,+-_@%".contains(c);
    text.trim().chars().all(is_plain).then(|| text.split_whitespace())
}

/// Words that the shell understands by itself (dash(1)).
fn is_of_shell(word: &str) -> bool {
    const WORDS: &[&str] = &[
        ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif",
        "else", "esac", "eval", "exec", "exit", "export", "false", "fg", "fi", "for", "getopts", "hash",
        "if", "jobs", "kill", "local", "printf", "pwd", "read", "readonly", "return", "set", "shift", "test",
        "then", "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "until", "wait",
        "while",
    ];
    WORDS.contains(&word)
}

/// Whether the node's own files or binds may hold the program.
fn may_bring(node: &Node, program: &str) -> bool {
    use crate::lab::FileContent;
    let name = program.rsplit('/').next().unwrap_or(program);
    let root = &node.root;
    let mut files = root.files.iter();
    let has_file = files.any(|file| match &file.content {
        FileContent::Text(_) => file.path.rsplit('/').next() == Some(name),
        // A tree may hold anything; known daemons come from packages.
        FileContent::From { .. } => package_of(program).is_none(),
    });
    has_file || !root.binds.is_empty()
}

/// What brings something to a node: commands and lines of a lab file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// Into the machine.
    pub install: String,
    /// Into a layer of its own, and how nodes name it; for full nodes.
    pub layer: Option<String>,
}

/// What brings all of these.
#[must_use]
pub fn remedy(lacks: &[Lack]) -> Option<Remedy> {
    let mut packages: Vec<&str> = lacks.iter().filter_map(|lack| lack.package).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return None;
    }
    let install = format!("`sudo apt install {}`", packages.join(" "));
    let layer = lacks.iter().all(|lack| lack.is_full).then(|| match packages.as_slice() {
        [one] if recipes().iter().any(|recipe| recipe.name == *one) => {
            format!("`netyard layer build {one}` and `layers: [{one}]` in the node")
        }
        [first, ..] => format!(
            "`netyard layer build {first} --apt {}` and `layers: [{first}]` in the node",
            packages.join(",")
        ),
        [] => String::new(),
    });
    Some(Remedy { install, layer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labfile::{Source, parse};

    struct Bare;

    impl Machine for Bare {
        fn has_program(&self, program: &str, layers: &[String]) -> bool {
            program == "sleep" || layers.iter().any(|layer| layer == "frr")
        }

        fn has_user(&self, _user: &str, layers: &[String]) -> bool {
            !layers.is_empty()
        }
    }

    fn lab(run: &str) -> Lab {
        let text =
            format!("networks: {{ lan: 10.0.0.0/24 }}\nnodes:\n  a:\n    links: [lan]\n    run: {run}\n");
        let mut lab = parse(&Source::new("x", text)).unwrap().lab;
        lab.nodes[0].kind = NodeKind::Full;
        lab
    }

    fn lacks(run: &str) -> Vec<String> {
        lacking(&lab(run), &Bare).into_iter().map(|lack| lack.program).collect()
    }

    #[test]
    fn the_first_word_is_judged_where_it_is_a_program() {
        assert_eq!(lacks("named -g"), ["named"]);
        assert_eq!(lacks("/usr/lib/frr/zebra -d"), ["/usr/lib/frr/zebra"]);
        for unsure in ["sleep 3", "exec named -g", "'[ -x /usr/bin/x ]'", "named || true", "'$X -g'", "./own"]
        {
            assert_eq!(lacks(unsure), [""; 0], "{unsure}");
        }
    }

    #[test]
    fn a_layer_helps_and_so_does_the_node_itself() {
        let mut lab = lab("zebra");
        let lacks = lacking(&lab, &Bare);
        assert_eq!(lacks[0].package, Some("frr"));
        let remedy = remedy(&lacks).unwrap();
        assert_eq!(remedy.install, "`sudo apt install frr`");
        assert_eq!(remedy.layer.unwrap(), "`netyard layer build frr` and `layers: [frr]` in the node");
        lab.nodes[0].root.layers = vec!["frr".to_owned()];
        assert_eq!(lacking(&lab, &Bare), []);
        lab.nodes[0].root.layers.clear();
        lab.nodes[0].env.insert("PATH".into(), "/opt".into());
        assert_eq!(lacking(&lab, &Bare), []);
    }

    #[test]
    fn a_file_of_the_node_may_be_the_program() {
        use crate::lab::{FileContent, NodeFile};
        let mut lab = lab("serve");
        assert_eq!(lacking(&lab, &Bare).len(), 1);
        assert_eq!(remedy(&lacking(&lab, &Bare)), None);
        let content = FileContent::Text("#!/bin/sh".into());
        let file = NodeFile { path: "/usr/bin/serve".into(), content, mode: None, owner: None };
        lab.nodes[0].root.files.push(file);
        assert_eq!(lacking(&lab, &Bare), []);
    }

    #[test]
    fn a_user_that_is_missing_is_told() {
        struct NoUsers;
        impl Machine for NoUsers {
            fn has_program(&self, _: &str, _: &[String]) -> bool {
                true
            }
            fn has_user(&self, _: &str, _: &[String]) -> bool {
                false
            }
        }
        let lacks = lacking(&lab("named -g"), &NoUsers);
        assert_eq!(lacks[0].user.as_deref(), Some("bind"));
        assert_eq!(lacking(&lab("dig x"), &NoUsers), []);
    }
}
